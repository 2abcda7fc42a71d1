"""A text to explain: the path runs through the space of embeddings, one vector a token."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.inputs import Inputs
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.text_case import Question, TextCase
from xaiwidgets.text.embedding import at_embedding, baseline, check_vocabulary
from xaiwidgets.text.session import TextSession
from xaiwidgets.text.spelling import surface
from xaiwidgets.text.tokenizers import decoded, token_id, words_of
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets.trust.tested import fills_of_text
from xaiwidgets.widgets.words import encodable

from .kinds import text_kinds
from .subject import Entry, Look

TOKENS = ("mask", "pad")
VECTORS = ("zeros", "mean")
"""Kinds of baselines: named tokens, and what is no token."""


class TextSubject:
    """One row of token numbers [1, tokens].

    Special tokens keep their own embedding in every baseline: the model must still see where a text begins and ends, and
    padding is no text.
    """

    medium = "text"
    note = ""

    def __init__(self, model: Any, inputs: Inputs, tokenizer: Any = None, tokens: Any = None) -> None:
        leaf = inputs.leaves[0]
        if inputs.several or leaf.ndim != 2 or leaf.is_floating_point():
            raise InputError(
                "not_a_text",
                "A text is one row of token numbers [1, tokens]",
                f"Got {leaf.dtype} of shape {list(leaf.shape)}.",
                "Name them with wrt=, or pass the text itself and tokenizer=.",
            )
        check_vocabulary(module_of(model), leaf)
        self._ids = leaf[0].cpu()
        self._tokenizer = tokenizer
        self.size = (1, len(self._ids))
        self._row = words_of(self._ids.tolist(), tokenizer, tokens)
        self.tokens = [encodable(shown) for shown in self._row.surfaces]
        self._kept = _kept(self._row, inputs)
        self._numbers = {name: number for name in TOKENS if (number := token_id(tokenizer, name)) is not None}
        self.kinds = text_kinds(mask="mask" in self._numbers, pad="pad" in self._numbers, tokens=tokenizer is not None)

    def problem(self, session: Session) -> Problem:
        return at_embedding(session.problem)

    def reduce(self, values: Tensor) -> Tensor:
        return values.sum(-1)

    def traits(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "image_size": [self.size[1], 1]}

    # --- baselines ------------------------------------------------------------------------------------------------

    def starts(self, problem: Problem, entry: Entry, mode: str, samples: int) -> Tensor:  # noqa: ARG002 - one for a path
        kind = self._named(entry)
        return baseline(problem, kind, torch.from_numpy(self._kept)[None], self._tokenizer).points

    def thumbnails(self, points: Tensor, side: int) -> None:
        """A text has no pictures."""

    def entry(self, asked: Any) -> Entry | None:
        if isinstance(asked, bool):
            return None
        if isinstance(asked, (int, float)):
            return Entry(f"{asked:g}", "number", f"{asked:g} everywhere", {}, ("path",), torch.tensor(float(asked)))
        if isinstance(asked, (Tensor, np.ndarray)):
            return Entry("given", "given", "as given", {}, ("path",), torch.as_tensor(asked))
        return None

    def case(self, problem: Problem, entry: Entry, mode: str, samples: int, values: Tensor) -> Case:  # noqa: ARG002
        question = TextSession(Question(problem), [self._row], self._tokenizer, kept=torch.from_numpy(self._kept)[None])
        method = find_method("integrated_gradients")
        return TextCase(
            question, self.reduce(values), method=method, parameters={"baseline": self._named(entry)}, name="map"
        )

    def fills(self) -> dict[str, str]:
        return fills_of_text(self._tokenizer, shorter=False)

    def look(self, entry: Entry) -> Look:
        blind = self._kept.copy()
        word = {"zeros": "∅", "mean": "μ"}.get(entry.kind, "·")
        if entry.given is None and entry.kind not in VECTORS:
            number = self._number(entry)
            word = encodable(surface(decoded(number, self._tokenizer)))
            blind |= self._ids.numpy() == number
        surfaces = [own if kept else word for own, kept in zip(self.tokens, self._kept, strict=True)]
        return Look(blind[None], surfaces=surfaces)

    def close(self) -> None:
        """Nothing is held."""

    def _named(self, entry: Entry) -> Any:
        """The baseline as `baseline` takes it: vectors, a name, or a token's number."""
        if entry.given is not None:
            return entry.given
        return entry.kind if entry.kind in VECTORS else self._number(entry)

    def _number(self, entry: Entry) -> int:
        if entry.kind != "token":
            return self._numbers[entry.kind]
        token = entry.params["token"]
        numbers = self._tokenizer.encode(token, add_special_tokens=False)
        if len(numbers) != 1:
            pieces = ", ".join(repr(decoded(number, self._tokenizer)) for number in numbers[:8])
            raise ParameterError(
                "token_unknown",
                f"{token!r} is not one token of this vocabulary",
                f"It is cut into: {pieces}." if pieces else "",
                "Choose a word that the vocabulary holds whole.",
            )
        return int(numbers[0])


def _kept(row: Tokens, inputs: Inputs) -> NDArray[np.bool_]:
    """Special tokens and padding."""
    kept = ~np.array(row.words)
    mask = inputs.items.get("attention_mask")
    if isinstance(mask, Tensor) and mask.shape == (1, len(row)):
        kept |= mask[0].cpu().numpy() == 0
    if kept.all():
        raise InputError("only_special", "The text holds nothing but special tokens", hint="Pass some words.")
    return kept


def encoded(text: str, tokenizer: Any) -> dict[str, Tensor]:
    """What a Hugging Face tokenizer makes of one text: the model's keyword arguments, one row each."""
    if not callable(tokenizer):
        raise InputError(
            "no_tokenizer", "A text needs its tokenizer", hint="Pass tokenizer=, as it came with the model."
        )
    pieces = tokenizer(text, return_tensors="pt")
    if not isinstance(pieces, Mapping) or not isinstance(pieces.get("input_ids"), Tensor):
        raise InputError(
            "no_tokenizer", f"{type(tokenizer).__name__} gives no input_ids", hint="Pass token numbers and tokens=."
        )
    return {str(name): value for name, value in pieces.items() if isinstance(value, Tensor)}
