"""A text from its tokens alone, as libraries hand them out: with "##", "Ġ" or "▁", with their own spaces, or as words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from xaiwidgets.engine.errors import InputError
from xaiwidgets.text.spelling import read, surface
from xaiwidgets.text.tokenizers import tokenize
from xaiwidgets.text.tokens import Part, Token, Tokens

SPECIAL = re.compile(r"\[(CLS|SEP|PAD|BOS|EOS)\]|</?s>|<(pad|bos|eos|cls|sep)>|<\|[^|<>]*\|>|\Z")
"""Tokens that stand for no text, as vocabularies call them; an empty one stands for one whose name got lost."""
BYTES = "ĠĊĉ"
NAMELESS = "∅"


def tokens_of(words: Sequence[str], part: Part = "prompt", text: str | None = None) -> Tokens:
    """The text that some tokens make, and where each of them is.

    text   where it is known; it is put together otherwise
    """
    words = [str(word) for word in words]
    places = [place for place, word in enumerate(words) if not SPECIAL.fullmatch(word)]
    own = [words[place] for place in places]
    contents = _contents(own)
    if text is None:
        text = b"".join(contents).decode("utf-8", "replace")
    elif own:
        return _with_special(tokenize(text, own), words, places)  # a list of words is a tokenizer, too
    try:
        pieces = [content.decode("utf-8") for content in contents]
    except UnicodeDecodeError:  # a token is only a part of a character
        return _with_special(tokenize(text, own), words, places)
    items, place = [], 0
    for piece, word in zip(pieces, own, strict=True):
        gap = len(piece) - len(piece.lstrip(" ")) if piece.strip(" ") else 0
        items.append(
            Token(
                -1,
                place + gap,
                place + len(piece),
                special=False,
                part=part,
                surface=surface(piece.lstrip(" ") or word),
            )
        )
        place += len(piece)
    found = Tokens("".join(pieces), tuple(items), {"input_ids": (-1,) * len(items)})
    return _with_special(found, words, places)


def generated(prompt: Sequence[str], outputs: Sequence[str]) -> tuple[Tokens, Tokens]:
    """The prompt, and all of it with what was generated."""
    both = [*prompt, *outputs]
    whole = tokens_of(both)
    count = len(prompt)
    items = tuple(replace(one, part="output") if place >= count else one for place, one in enumerate(whole.items))
    whole = replace(whole, items=items)
    end = min([one.start for one in items[count:]], default=len(whole.text))
    own = replace(whole, text=whole.text[:end], items=items[:count], inputs={"input_ids": (-1,) * count})
    return own, whole


def _contents(words: Sequence[str]) -> list[bytes]:
    """The bytes of each token, spaces in front included."""
    if any(word[:1] in BYTES for word in words):
        found = [read(word, "bytes").content for word in words]
    elif any("▁" in word for word in words):
        found = [read(word, "plain").content for word in words]
    elif any(word != word.strip() for word in words):
        found = [word.encode("utf-8", "replace") for word in words]
    else:
        goes_on = [len(word) > 2 and word.startswith("##") for word in words]
        found = [
            (word[2:] if joined else f" {word}").encode("utf-8", "replace")
            for word, joined in zip(words, goes_on, strict=True)
        ]
    return [found[0].lstrip(b" ") or found[0], *found[1:]] if found else []


def _with_special(tokens: Tokens, words: Sequence[str], places: Sequence[int]) -> Tokens:
    """The tokens that stand for no text, back in their places."""
    own = dict(zip(places, tokens.items, strict=True))
    items, end = [], 0
    for place, word in enumerate(words):
        item = own.get(place)
        if item is None:
            item = Token(-1, end, end, special=True, part="prompt", surface=surface(word) if word else NAMELESS)
        end = item.end
        items.append(item)
    if not own:
        raise InputError("only_special", "A text holds nothing but special tokens", hint="Pass some words.")
    return replace(tokens, items=tuple(items), inputs={"input_ids": (-1,) * len(items)})
