"""What values of texts are about: tokens from wherever they came, one number for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xaiwidgets.engine.errors import InputError
from xaiwidgets.text.tokenizers import tokenize
from xaiwidgets.text.tokens import Tokens

from .arrays import Array, summed
from .reading import Reading
from .spelled import generated, tokens_of

HOW = 'Pass tokens=["one", "string", "for", "each", "value"], or text= with tokenizer=.'


@dataclass(frozen=True, eq=False)
class Text:
    """A text. `prompt`: its part that was not generated; None where nothing was."""

    tokens: Tokens
    prompt: Tokens | None = None

    @property
    def outputs(self) -> int:
        return 0 if self.prompt is None else len(self.tokens) - len(self.prompt)


def texts_of(readings: Sequence[Reading], tokens: Any, text: Any, outputs: Any, tokenizer: Any) -> list[Text]:
    """The texts that all readings are about. Raises InputError where they are about different ones."""
    words, written = _each(tokens), _each(outputs)
    raw = None if text is None else [text] if isinstance(text, str) else list(text)
    for reading in readings:
        if reading.tokens is not None:
            if words is not None and words != reading.tokens and tokens is None:
                raise InputError("other_texts", "The values are about different tokens", hint="Show them one by one.")
            words = words or reading.tokens
            written = written or reading.outputs
    if words is None:
        if raw is None:
            raise InputError("no_tokens", "Values of a text need its tokens", hint=HOW)
        return [
            Text(tokenize(one, tokenizer) if tokenizer is not None else tokens_of(one.split(), text=one)) for one in raw
        ]
    if written is not None:
        _same(len(written), len(words), "outputs=")
        return [Text(whole, own) for own, whole in map(generated, words, written)]
    if raw is not None:
        _same(len(raw), len(words), "text=")
    return [Text(tokens_of(one, text=None if raw is None else raw[place])) for place, one in enumerate(words)]


def rows(reading: Reading, texts: Sequence[Text], name: str) -> tuple[list[Array], bool]:
    """The values of each text: [tokens], or [outputs, tokens]; and whether parts of vectors were added up."""
    values = reading.values
    split = values if isinstance(values, list) else _split(values, len(texts), name)
    _same(len(split), len(texts), f"{name}: values")
    found = [_row(own, text, name) for own, text in zip(split, texts, strict=True)]
    return [own for own, _ in found], any(added for _, added in found)


def _split(values: Array, count: int, name: str) -> list[Array]:
    if count == 1 and (values.ndim < 2 or len(values) != 1):
        return [values]
    if values.ndim < 2 or len(values) != count:
        raise InputError(
            "input_count",
            f"{name}: values of shape {list(values.shape)} are not about {count} texts",
            hint="The first axis counts texts.",
        )
    return list(values)


def _row(values: Array, text: Text, name: str) -> tuple[Array, bool]:
    count, outputs = len(text.tokens), text.outputs
    lengths = {count, count - 1, count - outputs} if outputs else {count}  # the last one written is before none
    shape, added = list(values.shape), False
    if values.ndim == (3 if outputs else 2) and values.shape[-2] in lengths:
        values, added = summed(values, -1), True
    if outputs and values.ndim == 2 and values.shape[0] == outputs and values.shape[1] in lengths:
        whole = np.full((outputs, count), np.nan, np.float32)
        whole[:, : values.shape[1]] = values
    elif values.ndim == 1 and len(values) in lengths and not outputs:
        whole = values
    else:
        wanted = f"[{outputs}, {count - outputs}] or [{outputs}, {count}]" if outputs else f"[{count}]"
        raise InputError(
            "values_shape", f"{name}: values of shape {shape} do not fit a text of {count} tokens", f"They should be {wanted}.",
            f"Are special tokens among the values, and not among the tokens? {HOW}",
        )  # fmt: skip
    if np.isinf(whole).any() or not np.isfinite(whole).any():
        raise InputError(
            "not_finite",
            f"{name}: values are infinite, or none is a number",
            hint="NaN may stand where a token has no value.",
        )
    return whole, added


def _each(words: Any) -> list[list[str]] | None:
    """Tokens of one text or of several, as lists."""
    if words is None:
        return None
    if isinstance(words, str):
        raise InputError(
            "no_tokens", "tokens= is one string", hint='Pass a list with a string for each token, or text="…".'
        )
    listed = list(words)
    if all(isinstance(one, str) for one in listed):
        return [[str(one) for one in listed]]
    return [[str(one) for one in row] for row in listed]


def _same(count: int, wanted: int, what: str) -> None:
    if count != wanted:
        raise InputError(
            "input_count", f"{what} are about {count} texts, and there are {wanted}", hint="Pass one for each text."
        )
