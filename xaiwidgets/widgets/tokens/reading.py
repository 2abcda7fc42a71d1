"""Whatever was passed as a text, as tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.state import module_of
from xaiwidgets.text.generation import output_tokens
from xaiwidgets.text.tokenizers import tokenize, words_of
from xaiwidgets.text.tokens import Tokens

from .subject import Options

UNLIMITED = 1_000_000
"""Tokenizers that know no length name a larger one."""
SPARE = 8


@dataclass(frozen=True, eq=False)
class Read:
    """One text as tokens, what else the model is called with, and whether its end was cut off."""

    tokens: Tokens
    more: dict[str, Any] = field(default_factory=dict)
    cut: bool = False


def is_text(inputs: Any) -> bool:
    """A text, two that are read together, tokens, or a list of any of these."""
    if isinstance(inputs, list):
        return bool(inputs) and all(map(is_text, inputs))
    pair = isinstance(inputs, tuple) and len(inputs) == 2 and all(isinstance(one, str) for one in inputs)
    return isinstance(inputs, (str, Tokens)) or pair


def read_all(inputs: Any, tokenizer: Any, words: Sequence[Any] | None, model: Any, options: Options) -> list[Read]:
    """Texts, or token numbers [rows, tokens] (alone, or among the model's inputs by name), one by one."""
    if is_text(inputs):
        texts = inputs if isinstance(inputs, list) else [inputs]
        if words is not None and tokenizer is None:
            tokenizer = words if len(texts) == 1 else None
        return [read(one, tokenizer, model, options) for one in texts]
    name = options.numbers
    named = dict(inputs) if isinstance(inputs, Mapping) else {name: inputs}
    ids = named.pop(name, None)
    if ids is None:
        raise InputError("not_a_text", f"There are no {name} among the inputs", f"Got {', '.join(map(str, named))}.")
    ids = torch.as_tensor(np.asarray(ids) if isinstance(ids, list) else ids).detach().cpu()
    ids = ids[None] if ids.ndim == 1 else ids
    if ids.ndim != 2 or ids.is_floating_point() or not ids.numel():
        raise InputError(
            "not_a_text",
            "A text is made of token numbers [rows, tokens]",
            f"Got {ids.dtype} of shape {list(ids.shape)}.",
        )
    if words is not None and len(ids) == 1 and all(isinstance(word, str) for word in words):
        words = [words]
    if words is not None and len(words) != len(ids):
        raise InputError(
            "token_count", f"tokens= holds {len(words)} lists for {len(ids)} texts", hint="Pass one for each."
        )
    return [_row(ids, row, named, tokenizer, None if words is None else words[row]) for row in range(len(ids))]


def read(text: Any, tokenizer: Any, model: Any, options: Options) -> Read:
    """One text, cut to what the model takes."""
    if isinstance(text, Tokens):
        return Read(text)
    tokens = tokenize(text, tokenizer, special=options.special)
    most = min(limit(model, tokenizer), options.max_length or UNLIMITED)
    if len(tokens) <= most:
        return Read(tokens)
    return Read(tokenize(text, tokenizer, special=options.special, max_length=most), cut=True)


def limit(model: Any, tokenizer: Any) -> int:
    """How many tokens the model has positions for."""
    config = getattr(module_of(model), "config", None)
    known = [getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    own, named = (one if isinstance(one, int) and 0 < one < UNLIMITED else None for one in known)
    if own is None:
        return named or UNLIMITED
    # some models keep a few positions for themselves, and only their tokenizer says so
    return named if named is not None and own - SPARE <= named < own else own


def _row(ids: Tensor, row: int, named: dict[str, Any], tokenizer: Any, words: Any) -> Read:
    """A row of token numbers, without its padding."""
    own = {name: torch.as_tensor(value)[row].cpu() for name, value in named.items() if _each_token(value, ids)}
    kept = own["attention_mask"] != 0 if "attention_mask" in own else torch.ones(ids.shape[1], dtype=torch.bool)
    shown = None if words is None else [str(word) for word in words]
    if shown is not None and len(shown) == ids.shape[1]:
        shown = [word for word, keep in zip(shown, kept.tolist(), strict=True) if keep]
    numbers = ids[row][kept].tolist()
    tokens = words_of(numbers, tokenizer, shown) if shown is not None else _decoded(numbers, tokenizer)
    inputs = {name: tuple(map(int, value[kept].tolist())) for name, value in own.items()}
    more = {
        name: value[row : row + 1] if isinstance(value, Tensor) and len(value) == len(ids) else value
        for name, value in named.items()
        if name not in own
    }
    return Read(replace(tokens, inputs=tokens.inputs | inputs), more)


def _decoded(ids: list[int], tokenizer: Any) -> Tokens:
    """The text that some tokens make together; one word after the other, where the tokenizer cannot tell."""
    if tokenizer is None or not callable(getattr(tokenizer, "decode", None)):
        return words_of(ids, tokenizer)
    found = output_tokens(Tokens("", ()), ids, tokenizer, joined=False)
    items = tuple(replace(one, part="prompt") for one in found.items)
    return replace(found, items=items, inputs={"input_ids": found.inputs["input_ids"]})


def _each_token(value: Any, ids: Tensor) -> bool:
    return (
        isinstance(value, (Tensor, np.ndarray))
        and tuple(value.shape) == tuple(ids.shape)
        and not torch.as_tensor(value).is_floating_point()
    )
