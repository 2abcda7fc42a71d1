"""What readers see as one character: the extended grapheme clusters of Unicode (UAX #29), from the standard library alone.

Python's `unicodedata` knows neither Grapheme_Cluster_Break nor Extended_Pictographic; categories and a few ranges stand for
them. Only emoji of scripts added since may be cut differently.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

Kind = Literal[
    "other", "extend", "spacing", "joiner", "control", "prepend", "flag", "picture", "L", "V", "T", "LV", "LVT"
]
JOINER = "\u200d"
_PREPEND = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd")
_LINKERS = frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d")  # they join consonants of Indic scripts
_LINKED = frozenset(ord(linker) >> 7 for linker in _LINKERS)
_NOT_SPACING = frozenset("\u102b\u102c\u1038\u1062\u1063\u1064\u1067\u1068\u1069\u106a\u106b\u106c\u106d\u1083\u1087")
_PICTURES = (
    (0xA9, 0xA9), (0xAE, 0xAE), (0x203C, 0x203C), (0x2049, 0x2049), (0x2122, 0x2122), (0x2139, 0x2139),
    (0x2194, 0x2199), (0x21A9, 0x21AA), (0x231A, 0x231B), (0x2328, 0x2328), (0x23CF, 0x23CF), (0x23E9, 0x23F3),
    (0x23F8, 0x23FA), (0x24C2, 0x24C2), (0x25AA, 0x25AB), (0x25B6, 0x25B6), (0x25C0, 0x25C0), (0x25FB, 0x25FE),
    (0x2600, 0x2604), (0x2607, 0x2612), (0x2614, 0x2685), (0x2690, 0x2705), (0x2708, 0x2712), (0x2714, 0x2714),
    (0x2716, 0x2716), (0x271D, 0x271D), (0x2721, 0x2721), (0x2728, 0x2728), (0x2733, 0x2734), (0x2744, 0x2744),
    (0x2747, 0x2747), (0x274C, 0x274C), (0x274E, 0x274E), (0x2753, 0x2755), (0x2757, 0x2757), (0x2763, 0x2767),
    (0x2795, 0x2797), (0x27A1, 0x27A1), (0x27B0, 0x27B0), (0x27BF, 0x27BF), (0x2934, 0x2935), (0x2B05, 0x2B07),
    (0x2B1B, 0x2B1C), (0x2B50, 0x2B50), (0x2B55, 0x2B55), (0x3030, 0x3030), (0x303D, 0x303D), (0x3297, 0x3297),
    (0x3299, 0x3299), (0x1F000, 0x1F0FF), (0x1F10D, 0x1F10F), (0x1F12F, 0x1F12F), (0x1F16C, 0x1F171),
    (0x1F17E, 0x1F17F), (0x1F18E, 0x1F18E), (0x1F191, 0x1F19A), (0x1F1AD, 0x1F1E5), (0x1F201, 0x1F20F),
    (0x1F21A, 0x1F21A), (0x1F22F, 0x1F22F), (0x1F232, 0x1F23A), (0x1F23C, 0x1F23F), (0x1F249, 0x1F3FA),
    (0x1F400, 0x1F53D), (0x1F546, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F774, 0x1F77F), (0x1F7D5, 0x1F7FF),
    (0x1F80C, 0x1F80F), (0x1F848, 0x1F84F), (0x1F85A, 0x1F85F), (0x1F888, 0x1F88F), (0x1F8AE, 0x1F8FF),
    (0x1F90C, 0x1F93A), (0x1F93C, 0x1F945), (0x1F947, 0x1FAFF), (0x1FC00, 0x1FFFD),
)  # fmt: skip
_PICTURE = frozenset(number for low, high in _PICTURES for number in range(low, high + 1))
# After the first, what may follow without a boundary; anything may be followed by "extend", "joiner" and "spacing".
_HANGUL = {"L": {"L", "V", "LV", "LVT"}, "LV": {"V", "T"}, "V": {"V", "T"}, "LVT": {"T"}, "T": {"T"}}


def graphemes(text: str) -> list[int]:
    """Where grapheme clusters start, and the length of the text at the end: [0, ..., len(text)]."""
    starts: list[int] = []
    before: Kind = "control"
    flags, picture, linked = 0, False, False  # what the cluster so far allows to follow
    for place, character in enumerate(text):
        kind = _kind(character)
        joined = place > 0 and (
            (text[place - 1] == "\r" and character == "\n")
            or _follows(before, kind)
            or (kind == "picture" and before == "joiner" and picture)
            or (kind == "flag" and before == "flag" and flags % 2 == 1)
            or (linked and before in ("extend", "joiner") and _consonant(character))
        )
        if not joined:
            starts.append(place)
            flags, picture, linked = 0, False, False
        flags += kind == "flag"
        if kind not in ("extend", "joiner"):
            picture, linked = kind == "picture", False
        elif character in _LINKERS:
            linked = True
        before = kind
    return [*starts, len(text)]


def _follows(before: Kind, kind: Kind) -> bool:
    if "control" in (before, kind):
        return False
    return kind in ("extend", "joiner", "spacing") or before == "prepend" or kind in _HANGUL.get(before, ())


def _consonant(character: str) -> bool:
    """Whether it is a letter of a script that has a linker; a script's block has 128 numbers."""
    return ord(character) >> 7 in _LINKED and unicodedata.category(character) == "Lo"


def _kind(character: str) -> Kind:  # noqa: C901, PLR0912 - a table of ranges
    number = ord(character)
    if number < 0x300:
        if number < 0x20 or 0x7F <= number < 0xA0 or number == 0xAD:
            return "control"
        return "picture" if number in _PICTURE else "other"
    if character == JOINER:
        return "joiner"
    if character in _PREPEND:
        return "prepend"
    if number == 0x200C or 0x1F3FB <= number <= 0x1F3FF or 0xE0020 <= number <= 0xE007F or 0xFF9E <= number <= 0xFF9F:
        return "extend"
    if 0x1F1E6 <= number <= 0x1F1FF:
        return "flag"
    if 0xAC00 <= number <= 0xD7A3:
        return "LV" if (number - 0xAC00) % 28 == 0 else "LVT"
    if 0x1100 <= number <= 0x115F or 0xA960 <= number <= 0xA97C:
        return "L"
    if 0x1160 <= number <= 0x11A7 or 0xD7B0 <= number <= 0xD7C6:
        return "V"
    if 0x11A8 <= number <= 0x11FF or 0xD7CB <= number <= 0xD7FB:
        return "T"
    category = unicodedata.category(character)
    if category in ("Mn", "Me"):
        return "extend"
    if category == "Mc":
        if character in _NOT_SPACING:
            return "other"
        return (
            "extend"
            if number in (0x9BE, 0x9D7, 0xB3E, 0xB57, 0xBBE, 0xBD7, 0xCC2, 0xCD5, 0xCD6, 0xD3E, 0xD57)
            else "spacing"
        )
    if category in ("Cc", "Cf", "Zl", "Zp"):
        return "control"
    if number in (0xE33, 0xEB3):
        return "spacing"
    return "picture" if number in _PICTURE else "other"
