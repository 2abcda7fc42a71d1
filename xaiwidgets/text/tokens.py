"""A text as its tokens, each with its place in the raw text, so that strip, sums and pictures show the text itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

from .graphemes import graphemes

Part = Literal["prompt", "output", "first", "second", "padding"]


@dataclass(frozen=True)
class Token:
    """One position of the model's input.

    id           its number; -1 where only the words are known
    start, end   characters of the raw text; equal for a token that stands for none of them, such as [CLS]
    special      structure, not text. [UNK] and [MASK] stand for words and are not special.
    surface      as readers see it alone: whitespace visible, parts of a character as ⟨E2 82⟩
    """

    id: int
    start: int
    end: int
    special: bool
    part: Part
    surface: str


@dataclass(frozen=True)
class Stretch:
    """A stretch of the raw text that is drawn as one: some tokens' (`members`), or a gap between tokens (no members).

    Tokens that are parts of the same grapheme are members of one stretch.
    """

    start: int
    end: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, a model input's row.

    text      as it was given, lone surrogates included; of two texts, one after the other
    items     a token for each position
    inputs    what the model is called with, numbers for each position: input_ids, attention_mask, ...
    missed    tokens that could not be found in the text as they are spelled; 0 where the tokenizer says where they are
    """

    text: str
    items: tuple[Token, ...]
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    missed: int = 0

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.items]

    @property
    def surfaces(self) -> list[str]:
        return [token.surface for token in self.items]

    @property
    def words(self) -> list[bool]:
        """Which positions stand for text: neither special nor padding."""
        return [not token.special and token.part != "padding" for token in self.items]

    @cached_property
    def units(self) -> tuple[Stretch, ...]:
        """The tokens in order, those that share a grapheme as one; each token is in exactly one."""
        edges = _edges(self.text)
        found: list[Stretch] = []
        for place, token in enumerate(self.items):
            start, end = (token.start, token.end)
            if end > start:
                start, end = edges.down[start], edges.up[end]
            last = found[-1] if found else None
            if last is not None and last.start < last.end and start < last.end:
                found[-1] = Stretch(last.start, max(last.end, end), (*last.members, place))
            else:
                found.append(Stretch(start, end, (place,)))
        return tuple(found)

    @cached_property
    def strip(self) -> tuple[Stretch, ...]:
        """Units and the gaps between them. Their texts joined are the text, exactly."""
        found: list[Stretch] = []
        place = 0
        for unit in self.units:
            if unit.start > place:
                found.append(Stretch(place, unit.start, ()))
            found.append(unit)
            place = max(place, unit.end)
        if place < len(self.text):
            found.append(Stretch(place, len(self.text), ()))
        return tuple(found)

    def slice(self, stretch: Stretch) -> str:
        """The raw text of a stretch."""
        return self.text[stretch.start : stretch.end]

    def utf16(self, places: Iterable[int]) -> list[int]:
        """Characters counted as JavaScript counts them: two for what does not fit in 16 bits."""
        counts = [0]
        for character in self.text:
            counts.append(counts[-1] + 1 + (ord(character) > 0xFFFF))
        return [counts[place] for place in places]

    def joined(self, other: Tokens) -> Tokens:
        """Both texts one after the other, as one row."""
        shift = len(self.text)
        moved = (replace(token, start=token.start + shift, end=token.end + shift) for token in other.items)
        names = [name for name in self.inputs if name in other.inputs]
        inputs = {name: self.inputs[name] + other.inputs[name] for name in names}
        return Tokens(self.text + other.text, (*self.items, *moved), inputs, self.missed + other.missed)

    def padded(self, length: int, pad: int, *, left: bool = False) -> Tokens:
        """With padding up to a length: token `pad`, 0 in every other input of the model."""
        count = length - len(self)
        place = 0 if left else len(self.text)
        items = (Token(pad, place, place, special=True, part="padding", surface=""),) * count
        inputs = {}
        for name, numbers in self.inputs.items():
            more = (pad if name == "input_ids" else 0,) * count
            inputs[name] = more + numbers if left else numbers + more
        return replace(self, items=items + self.items if left else self.items + items, inputs=inputs)


@dataclass(frozen=True)
class _Edges:
    """For every place of a text the grapheme boundary at or before it, and at or after it."""

    down: Sequence[int]
    up: Sequence[int]


def _edges(text: str) -> _Edges:
    down, up = list(range(len(text) + 1)), list(range(len(text) + 1))
    if not text.isascii() or "\r" in text:
        bounds = graphemes(text)
        for start, end in pairwise(bounds):
            down[start:end] = [start] * (end - start)
            up[start + 1 : end + 1] = [end] * (end - start)
    return _Edges(down, up)
