"""Where words, sentences, lines and paragraphs of a raw text begin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from .graphemes import graphemes

_LINES = re.compile(r"\r\n|[\n\r\u0085\u2028\u2029]")
_PARAGRAPHS = re.compile(r"(?:\r\n|[\n\r\u0085\u2028\u2029])[ \t]*(?:(?:\r\n|[\n\r\u0085\u2028\u2029])[ \t]*)+|\u2029")
_CLOSERS = "\"'”’»›)]}」』）】"
_SENTENCES = re.compile(rf"[.!?…؟।。！？]+[{re.escape(_CLOSERS)}]*")
_FULL = "。！？"  # of scripts that put no space behind them
_INSIDE = frozenset("'’-.,·\u200c\u200d_@")  # between letters or digits they belong to the word
_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


def starts(text: str, unit: str) -> list[int]:
    """Where stretches of a kind begin: "character" (a grapheme), "word", "sentence", "line" or "paragraph".

    Together they cover the text; what ends one (whitespace, a line break) belongs to it.
    """
    return [0, *(place for place in UNITS[unit](text) if 0 < place < len(text))]


def words(text: str) -> list[str]:
    """Its words and signs, without the whitespace between them."""
    bounds = [*starts(text, "word"), len(text)]
    return [part for start, end in pairwise(bounds) if (part := text[start:end].strip())]


def _words(text: str) -> list[int]:
    """Runs of letters and digits, marks included; every sign, and every grapheme of scripts without spaces, by itself."""
    found: list[int] = []
    bounds = graphemes(text)
    before = "space"
    for place, start in enumerate(bounds[:-1]):
        kind = _kind(text[start])
        inner = text[start] in _INSIDE and before == "letter" and place + 2 < len(bounds)
        if inner and _kind(text[bounds[place + 1]]) == "letter":
            continue
        if kind != "space" and not (kind == before == "letter"):
            found.append(start)
        before = kind
    return found


def _kind(character: str) -> str:
    """One of "space", "letter" (of which words are made) and "single"."""
    if character.isspace():
        return "space"
    if unicodedata.category(character)[0] not in "LNM":
        return "single"
    if character < "\u0e00":
        return "letter"
    return "single" if unicodedata.name(character, "").startswith(_SCRIPTS) else "letter"


def _sentences(text: str) -> list[int]:
    """Behind a full stop and whitespace, unless a small letter follows; behind line breaks."""
    found = _lines(text)
    for match in _SENTENCES.finditer(text):
        place = _past_spaces(text, match.end())
        apart = place > match.end() or any(sign in match[0] for sign in _FULL)
        if apart and not text[place : place + 1].islower():
            found.append(place)
    return sorted(set(found))


def _lines(text: str) -> list[int]:
    return [match.end() for match in _LINES.finditer(text)]


def _paragraphs(text: str) -> list[int]:
    return [match.end() for match in _PARAGRAPHS.finditer(text)]


def _past_spaces(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


UNITS: dict[str, Callable[[str], list[int]]] = {
    "character": graphemes,
    "word": _words,
    "sentence": _sentences,
    "line": _lines,
    "paragraph": _paragraphs,
}
