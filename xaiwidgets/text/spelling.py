"""How vocabularies spell pieces of text, and how pieces are shown to readers.

Byte-level vocabularies write every byte as a printable character of its own, SentencePiece writes a space as "▁" and a byte
as "<0xE2>", WordPiece marks what goes on with "##", older ones mark what ends with "</w>".
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Convention = Literal["plain", "bytes"]

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACES = {" ": "␣", "\u00a0": "⍽", "\t": "⇥", "\n": "⏎", "\r": "␍", "\u3000": "␣", "\u2028": "⏎", "\u2029": "¶"}
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _byte_alphabet() -> dict[str, int]:
    """The character of each byte in byte-level vocabularies: itself where it is printable, others counted from 256 on."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(own)]
    return {chr(byte): byte for byte in own} | {chr(256 + place): byte for place, byte in enumerate(rest)}


_ALPHABET = _byte_alphabet()


class Piece(NamedTuple):
    """A token's spelling, read."""

    content: bytes
    begins: bool  # the vocabulary says that a word begins with it


def read(spelling: str, convention: Convention) -> Piece:
    """The bytes that a spelling stands for."""
    if convention == "bytes":
        if all(character in _ALPHABET for character in spelling):
            content = bytes(_ALPHABET[character] for character in spelling)
            return Piece(content, content[:1] == b" ")
        return Piece(spelling.encode("utf-8", "replace"), begins=False)
    byte = _BYTE.fullmatch(spelling)
    if byte is not None:
        return Piece(bytes([int(byte[1], 16)]), begins=False)
    if spelling.startswith("##") and len(spelling) > 2:
        return Piece(spelling[2:].encode("utf-8", "replace"), begins=False)
    plain = spelling.removesuffix("</w>").replace("▁", " ")
    return Piece(plain.encode("utf-8", "replace"), begins=True)


def broken(spelling: str) -> bytes | None:
    """The bytes of a piece that is only a part of a character; None for any other."""
    for convention in ("bytes", "plain"):
        content = read(spelling, convention).content
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return content
    return None


def plain(spelling: str) -> str:
    """The text that a whole piece stands for."""
    content = read(spelling, "bytes").content if spelling[:1] in ("Ġ", "Ċ", "ĉ") else read(spelling, "plain").content
    return content.decode("utf-8", "replace")


def visible(text: str) -> str:
    """Whitespace as signs ␣ ⏎ ⇥, other controls as ⟨08⟩."""
    for character, sign in _SPACES.items():
        text = text.replace(character, sign)
    return _INVISIBLE.sub(lambda match: hexadecimal(match[0].encode("utf-8")), text)


def surface(text: str) -> str:
    """A token as one line: spaces stay as they are between other characters, all else that nobody sees is made visible."""
    if not text.strip():
        return visible(text)
    return " ".join(map(visible, text.split(" ")))


def hexadecimal(content: bytes) -> str:
    """Bytes as ⟨E2 82⟩."""
    return f"⟨{content.hex(' ').upper()}⟩"


def readable(text: str) -> str:
    """Without lone surrogates (half an emoji), which no tokenizer takes; as long as before."""
    return "".join("\ufffd" if 0xD800 <= ord(character) < 0xE000 else character for character in text)
