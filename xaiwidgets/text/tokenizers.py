"""Any tokenizer, asked for the tokens of a text.

Taken as they come: Hugging Face tokenizers with and without offsets, `tokenizers.Tokenizer`, SentencePiece processors, any
function from a text to token numbers, and plain lists of words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xaiwidgets.engine.errors import InputError

from .alignment import Span, align
from .spelling import broken, hexadecimal, plain, readable, surface
from .tokens import Part, Token, Tokens

Text = str | tuple[str, str]
EXTRA = ("attention_mask", "token_type_ids")  # besides input_ids, what models take a number a token of


def tokenize(text: Text, tokenizer: Any, *, special: bool = True, max_length: int | None = None) -> Tokens:
    """The tokens of a text, or of two texts that a model reads together.

    special      whether the tokenizer adds its own tokens, such as [CLS]
    max_length   cut longer texts to so many tokens, where the tokenizer can; the rest of the text has no tokens

    Raises InputError for what is no text or no tokenizer.
    """
    texts = (text,) if isinstance(text, str) else tuple(text) if isinstance(text, tuple) else ()
    if not 0 < len(texts) <= 2 or not all(isinstance(one, str) for one in texts):
        raise InputError("not_a_text", "A text is a string, or a tuple of two", f"Got {type(text).__name__}.")
    raw = "".join(texts)
    clean = tuple(map(readable, texts))
    if isinstance(tokenizer, list | tuple):
        return _from_words(raw, [str(word) for word in tokenizer])
    if tokenizer is None or not (callable(tokenizer) or hasattr(tokenizer, "encode")):
        raise InputError(
            "no_tokenizer", "A text needs its tokenizer", hint="Pass tokenizer=, as it came with the model."
        )
    return _from_encoding(raw, clean, tokenizer, _encoded(clean, tokenizer, special, max_length))


def words_of(ids: Sequence[int], tokenizer: Any, words: Sequence[str] | None = None) -> Tokens:
    """Tokens whose text is not known: decoded, or spelled where they cannot be, one after the other.

    words   what to show instead, one for each
    """
    if words is not None and len(words) != len(ids):
        raise InputError(
            "token_count", f"{len(words)} words for {len(ids)} positions", hint="Pass one word for each position."
        )
    if words is None and tokenizer is None:
        raise InputError(
            "no_tokens",
            "A text needs its words to be shown",
            hint="Pass tokenizer=, or tokens= with one string for each.",
        )
    shown = [str(word) for word in words] if words is not None else [decoded(number, tokenizer) for number in ids]
    control = special_ids(tokenizer)
    items, place = [], 0
    for number, word in zip(ids, shown, strict=True):
        items.append(Token(int(number), place, place + len(word), int(number) in control, "prompt", surface(word)))
        place += len(word)
    return Tokens("".join(shown), tuple(items), {"input_ids": tuple(map(int, ids))})


# --- what tokenizers know -------------------------------------------------------------------------------------------------


def spelling(number: int, tokenizer: Any) -> str | None:
    """How the vocabulary spells a token; None where the tokenizer does not say."""
    for name in ("convert_ids_to_tokens", "id_to_token", "id_to_piece", "IdToPiece"):
        ask = getattr(tokenizer, name, None)
        if callable(ask):
            found = ask(int(number))
            return None if found is None else str(found)
    return decode([number], tokenizer)


def decode(ids: Iterable[int], tokenizer: Any) -> str | None:
    """The text of some tokens with special ones left out; None where the tokenizer cannot tell."""
    ask = getattr(tokenizer, "decode", None)
    if not callable(ask):
        return None
    numbers = [int(number) for number in ids]
    for options in (
        {"skip_special_tokens": True, "clean_up_tokenization_spaces": False},
        {"skip_special_tokens": True},
        {},
    ):
        try:
            return str(ask(numbers, **options))
        except TypeError:
            continue
    return None


def decoded(number: int, tokenizer: Any) -> str:
    """One token as readers know it; its spelling where it is special or only a part of a character."""
    text = "" if int(number) in special_ids(tokenizer) else decode([number], tokenizer) or ""
    if text and "\ufffd" not in text:
        return text
    spelled = spelling(number, tokenizer) or f"#{number}"
    part = broken(spelled)
    return hexadecimal(part) if part is not None else spelled


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Numbers of the tokens that are structure: all special ones but those that stand for words."""
    known = {int(number) for number in getattr(tokenizer, "all_special_ids", None) or []}
    added = getattr(tokenizer, "get_added_tokens_decoder", None)
    if callable(added):  # of a tokenizers.Tokenizer
        known |= {int(number) for number, token in added().items() if token.special}
    words = {token_id(tokenizer, "unk"), token_id(tokenizer, "mask")}
    return frozenset(known - words)


def token_id(tokenizer: Any, name: str) -> int | None:
    """The number of the "mask", "pad", "unk", "bos" or "eos" token, if there is one."""
    number = getattr(tokenizer, f"{name}_token_id", None)
    if number is None and callable(getattr(tokenizer, "token_to_id", None)):
        spellings = (f"[{name.upper()}]", f"<{name}>")
        number = next((found for one in spellings if (found := tokenizer.token_to_id(one)) is not None), None)
    return int(number) if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


# --- asking them ----------------------------------------------------------------------------------------------------------


class _Encoding:
    """What tokenizers answer, in one shape."""

    def __init__(self, ids: Sequence[int], words: list[str] | None = None) -> None:
        self.ids = [int(number) for number in ids]
        self.words = words  # spellings, where the answer is no numbers
        self.offsets: list[Span] | None = None
        self.special: list[bool] | None = None
        self.segments: list[int | None] | None = None
        self.extra: dict[str, tuple[int, ...]] = {}


def _encoded(texts: tuple[str, ...], tokenizer: Any, special: bool, max_length: int | None) -> _Encoding:
    if hasattr(tokenizer, "is_fast"):
        return _hugging_face(texts, tokenizer, special, max_length)
    if callable(tokenizer):
        return _cut(_answer(tokenizer(*texts)), max_length)
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        found = tokenizer.encode(*texts, add_special_tokens=special)
        encoding = _Encoding(found.ids)
        encoding.offsets = list(found.offsets)
        encoding.special = [bool(flag) for flag in found.special_tokens_mask]
        encoding.segments = list(found.sequence_ids)
        encoding.extra = {"attention_mask": tuple(found.attention_mask), "token_type_ids": tuple(found.type_ids)}
        return _cut(encoding, max_length)
    return _cut(_answer(tokenizer.encode(*texts)), max_length)


def _hugging_face(texts: tuple[str, ...], tokenizer: Any, special: bool, max_length: int | None) -> _Encoding:
    fast = bool(tokenizer.is_fast)
    cut = {"truncation": True, "max_length": max_length} if max_length is not None else {}
    found = tokenizer(
        *texts, add_special_tokens=special, return_offsets_mapping=fast, return_special_tokens_mask=True, **cut
    )
    encoding = _Encoding(found["input_ids"])
    encoding.special = [bool(flag) for flag in found["special_tokens_mask"]]
    encoding.extra = {name: tuple(found[name]) for name in EXTRA if name in found}
    if fast:
        encoding.offsets = [(int(start), int(end)) for start, end in found["offset_mapping"]]
        encoding.segments = list(found.sequence_ids(0))
    return encoding


def _answer(found: Any) -> _Encoding:
    """What a function or a SentencePiece processor gives: numbers, words, or a mapping with input_ids."""
    if isinstance(found, Mapping):
        ids = _flat(found.get("input_ids"))
        encoding = _Encoding(ids)
        offsets = found.get("offset_mapping")
        encoding.offsets = None if offsets is None else [(int(start), int(end)) for start, end in offsets]
        encoding.extra = {name: tuple(_flat(found[name])) for name in EXTRA if name in found}
        return encoding
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise InputError("no_tokenizer", f"The tokenizer gave a {type(found).__name__}, no tokens")
    items = list(found)
    if items and all(isinstance(item, str) for item in items):
        return _Encoding([-1] * len(items), items)
    return _Encoding(_flat(items))


def _flat(numbers: Any) -> list[int]:
    """Token numbers from a list, or from a row or a batch of one row in any array."""
    if hasattr(numbers, "tolist"):
        numbers = numbers.tolist()
    if isinstance(numbers, Sequence) and len(numbers) == 1 and isinstance(numbers[0], list | tuple):
        numbers = numbers[0]
    if not isinstance(numbers, Sequence) or not all(isinstance(number, int) for number in numbers):
        raise InputError("no_tokenizer", "The tokenizer gives no token numbers", hint="It should return input_ids.")
    return list(numbers)


def _cut(encoding: _Encoding, length: int | None) -> _Encoding:
    if length is not None and len(encoding.ids) > length:
        encoding.ids = encoding.ids[:length]
        for name in ("words", "offsets", "special", "segments"):
            value = getattr(encoding, name)
            setattr(encoding, name, None if value is None else value[:length])
        encoding.extra = {name: numbers[:length] for name, numbers in encoding.extra.items()}
    return encoding


# --- putting together -----------------------------------------------------------------------------------------------------


def _from_words(raw: str, words: list[str]) -> Tokens:
    """Tokens of a text that came as words; their numbers are not known."""
    encoding = _Encoding([-1] * len(words), words)
    return _from_encoding(raw, (readable(raw),), None, encoding)


def _from_encoding(raw: str, texts: tuple[str, ...], tokenizer: Any, encoding: _Encoding) -> Tokens:
    control = special_ids(tokenizer)
    count = len(encoding.ids)
    spelled: list[str | None] = list(encoding.words or []) or [spelling(number, tokenizer) for number in encoding.ids]
    added = encoding.special or [number in control for number in encoding.ids]
    unknown = token_id(tokenizer, "unk")
    spans, missed = _trusted(encoding, texts, spelled), 0
    if spans is None:
        vague = [word is None or "\ufffd" in word for word in spelled]
        laid = [
            None if none or number == unknown else word
            for word, number, none in zip(spelled, encoding.ids, vague, strict=True)
        ]
        spans, missed = align("".join(texts), laid, {place for place, flag in enumerate(added) if flag})
    segments = encoding.segments or [None] * count
    items = tuple(
        Token(
            number, *span, special=flag or number in control, part=_part(span, segment, texts),
            surface=_surface(raw, place, spans, word),
        )
        for place, (number, span, flag, segment, word) in enumerate(
            zip(encoding.ids, spans, added, segments, spelled, strict=True)
        )
    )  # fmt: skip
    return Tokens(raw, items, {"input_ids": tuple(encoding.ids), **encoding.extra}, missed)


def _part(span: Span, segment: int | None, texts: tuple[str, ...]) -> Part:
    if len(texts) == 1:
        return "prompt"
    second = segment == 1 if segment is not None else span[0] >= len(texts[0])
    return "second" if second else "first"


def _trusted(encoding: _Encoding, texts: tuple[str, ...], spelled: list[str | None]) -> list[Span] | None:
    """The tokenizer's own offsets in the joined text, unless they cannot be true: some tokenizers give empty spans for
    all tokens, or spans that jump back.
    """
    if encoding.offsets is None:
        return None
    spans, place, empty = list[Span](), 0, 0
    length = sum(map(len, texts))
    for number, own in enumerate(encoding.offsets):
        segment = encoding.segments[number] if encoding.segments is not None else 0
        if segment is None or (encoding.special is not None and encoding.special[number]):
            spans.append((place, place))
            continue
        shift = len(texts[0]) if segment == 1 else 0
        start, end = own[0] + shift, own[1] + shift
        if not spans or start >= spans[-1][0]:
            empty += start == end and bool((spelled[number] or "").strip("▁Ġ "))
        if not 0 <= start <= end <= length or start < (spans[-1][0] if spans else 0):
            return None
        spans.append((start, end))
        place = max(place, end)
    texted = sum(end > start for start, end in spans)
    return None if empty > texted else spans


def _surface(raw: str, place: int, spans: list[Span], spelled: str | None) -> str:
    span = spans[place]
    if span[0] == span[1]:
        return surface(plain(spelled or ""))
    if spelled is None or (span not in spans[max(0, place - 1) : place] and span not in spans[place + 1 : place + 2]):
        return surface(raw[slice(*span)])
    # One of several tokens with the same characters shows its own spelling.
    whole = plain(spelled).strip().casefold() in unicodedata.normalize("NFKC", raw[slice(*span)]).casefold()
    part = None if whole else broken(spelled)
    return hexadecimal(part) if part is not None else surface(plain(spelled))
