"""Where the tokens of a tokenizer that gives no offsets lie in the text.

Pieces are laid along the text, byte by byte, from left to right. What a tokenizer did to the text before (lower case, no
accents, composed characters, no whitespace) is undone by comparing both in a folded form. A piece that says nothing
([UNK]) gets what lies between its neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from .segments import words
from .spelling import Convention, Piece, read

Span = tuple[int, int]
FARTHEST = 4096  # bytes that are searched for a piece behind unknown ones
TRIES = 64
_SEEN = re.compile(rb"\S")


class Alignment(NamedTuple):
    """Spans in characters, one a piece, starts never decreasing; and how many pieces were not found as they are spelled."""

    spans: list[Span]
    missed: int


def align(text: str, spellings: Sequence[str | None], added: Collection[int] = ()) -> Alignment:
    """Find each piece in the text; None is a piece that can be anything, and pieces at the places `added` may be missing.

    Every way of reading the spellings is tried, the plainest first, until one of them explains all pieces.
    """
    best: Alignment | None = None
    for fold in (_same, _folded):
        for convention in _CONVENTIONS:
            pieces = [None if one is None else _read(one, convention, fold) for one in spellings]
            found = _laid(_Stream(text, fold), text, pieces, added)
            if found.missed == 0:
                return found
            if best is None or found.missed < best.missed:
                best = found
    assert best is not None  # noqa: S101 - there are conventions
    return best


_CONVENTIONS: tuple[Convention, ...] = ("plain", "bytes")


class _Stream:
    """A text as bytes, each of which knows its character."""

    def __init__(self, text: str, fold: Callable[[str], str]) -> None:
        parts = [fold(character).encode("utf-8", "replace") for character in text]
        self.content = b"".join(parts)
        self.places = [place for place, part in enumerate(parts) for _ in part]
        self.places.append(len(text))

    def span(self, start: int, stop: int) -> Span:
        return self.places[start], self.places[stop - 1] + 1

    def past_spaces(self, start: int) -> int:
        found = _SEEN.search(self.content, start)
        return found.start() if found is not None else len(self.content)


def _laid(stream: _Stream, text: str, pieces: list[Piece | None], added: Collection[int]) -> Alignment:
    spans: list[Span | None] = []
    hollow = list[int]()
    cursor, missed, waiting = 0, 0, 0  # waiting: unknown pieces since the last one that was found
    for place, piece in enumerate(pieces):
        found = None if piece is None else _found(stream, text, piece, cursor, waiting)
        if found is None and place in added:
            hollow.append(place)
            continue
        missed += piece is not None and found is None
        if found is None:
            spans.append(None)
            waiting += 1
            continue
        start, stop = found
        spans.append(stream.span(start, stop) if stop > start else (stream.places[start],) * 2)
        cursor, waiting = stop, 0
    filled = _filled(text, spans)
    for place in hollow:
        end = filled[place - 1][1] if place else 0
        filled.insert(place, (end, end))
    return Alignment(_ordered(filled), missed)


def _found(stream: _Stream, text: str, piece: Piece, cursor: int, waiting: int) -> Span | None:
    """Start and stop of a piece in the stream: here, behind whitespace, or, after unknown pieces, anywhere soon."""
    content, here = piece.content, stream.content
    if not waiting:
        if here.startswith(content, cursor):
            return cursor, cursor + len(content)
        bare, start = content.lstrip(), stream.past_spaces(cursor)
        if here.startswith(bare, start):
            return (start, start + len(bare)) if bare else (cursor, cursor)
        return None
    bare, start = content.strip() or content, stream.past_spaces(cursor) + 1
    if not bare:
        return None
    first: Span | None = None
    for _ in range(TRIES):
        start = here.find(bare, start, cursor + FARTHEST)
        if start < 0:
            break
        if first is None:
            first = start, start + len(bare)
        if not piece.begins or _begins(text, stream.places[start]):
            return start, start + len(bare)
        start += 1
    return first


def _begins(text: str, place: int) -> bool:
    """Whether a word could begin here."""
    return place == 0 or not (text[place - 1].isalnum() and text[place].isalnum())


def _filled(text: str, spans: list[Span | None]) -> list[Span]:
    """Unknown pieces get what lies between known ones, without the whitespace around it."""
    known = [-1, *(place for place, span in enumerate(spans) if span is not None), len(spans)]
    filled: list[Span] = []
    for before, after in pairwise(known):
        left = spans[before][1] if before >= 0 else 0  # type: ignore[index]
        right = spans[after][0] if after < len(spans) else len(text)  # type: ignore[index]
        # Neighbours that are parts of one character leave nothing between them: what is between is a part of it too.
        filled += _shared(text, min(left, right), max(left, right), after - before - 1)
        if after < len(spans):
            filled.append(spans[after])  # type: ignore[arg-type]
    return filled


def _shared(text: str, left: int, right: int, count: int) -> list[Span]:
    """A stretch for several unknown pieces: a word each, a character each, or all of it together."""
    if count == 0:
        return []
    gap = text[left:right]
    left, right = left + len(gap) - len(gap.lstrip()), right - (len(gap) - len(gap.rstrip()))
    if right <= left:
        return [(min(left, len(text)),) * 2] * count
    inner = text[left:right]
    for parts in (inner.split(), words(inner), [character for character in inner if not character.isspace()]):
        if len(parts) == count:
            spans, place = [], left
            for part in parts:
                start = text.index(part, place)
                place = start + len(part)
                spans.append((start, place))
            return spans
    return [(left, right)] * count


def _ordered(spans: list[Span]) -> list[Span]:
    """With starts that never decrease, however characters were taken apart and put in another order."""
    start = spans[-1][0] if spans else 0
    for place in range(len(spans) - 1, -1, -1):
        start = min(start, spans[place][0])
        spans[place] = start, spans[place][1]
    return spans


# --- folding ------------------------------------------------------------------------------------------------------------


def _same(character: str) -> str:
    return character


def _folded(character: str) -> str:
    """Without case, accents, and what is neither seen nor a space."""
    if character.isspace():
        return " "
    decomposed = unicodedata.normalize("NFKD", character).casefold()
    return "".join(one for one in decomposed if unicodedata.category(one)[0] not in "CM" and one != "\ufffd")


def _read(spelling: str, convention: Convention, fold: Callable[[str], str]) -> Piece:
    piece = read(spelling, convention)
    if fold is _same:
        return piece
    try:
        content = piece.content.decode("utf-8")
    except UnicodeDecodeError:
        return piece  # a part of a character
    return piece._replace(content="".join(map(fold, content)).encode("utf-8", "replace"))
