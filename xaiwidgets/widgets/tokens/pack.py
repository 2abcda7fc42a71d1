"""Texts and their numbers as the page reads them."""

import json
import math
import zlib
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.transport import LEVEL
from xaiwidgets.text.segments import starts
from xaiwidgets.text.spelling import readable
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets.words import encodable

SEGMENTS = ("word", "sentence", "line", "paragraph")


def text_traits(tokens: Tokens, prompt: Tokens | None = None) -> dict[str, Any]:
    """The traits that say what the text is. `prompt`: the part of it that was not generated."""
    text = readable(tokens.text)
    places = tokens.utf16(range(len(text) + 1))
    n_prompt, end = (len(tokens), len(text)) if prompt is None else (len(prompt), len(prompt.text))
    return {
        "text": text,
        "n_prompt": n_prompt,
        "prompt_end": places[end],
        "tokens": [
            [places[one.start], places[one.end], int(one.special), encodable(one.surface), one.part]
            for one in tokens.items
        ],
        "strip": [[places[one.start], places[one.end], *one.members] for one in tokens.strip],
        "boundaries": {unit: [places[start] for start in starts(text, unit)] for unit in SEGMENTS},
    }


def characters(text: str, units: int) -> int:
    """The place in a text that JavaScript counts as `units`."""
    count = 0
    for place, character in enumerate(text):
        if count >= units:
            return place
        count += 1 + (ord(character) > 0xFFFF)
    return len(text)


def pack_values(values: NDArray[np.floating[Any]]) -> bytes:
    """One number a token, [T]."""
    return zlib.compress(values.astype("<f4").tobytes(), LEVEL)


def pack_matrix(values: NDArray[np.floating[Any]]) -> tuple[bytes, float]:
    """[T_out, T_in] as float16 and the scale that brings it back; NaN stays NaN."""
    known = np.abs(values[np.isfinite(values)])
    scale = float(known.max(initial=0.0)) or 1.0
    return zlib.compress((values / scale).astype("<f2").tobytes(), LEVEL), scale


def unpack_values(data: bytes) -> NDArray[np.float32]:
    """[T] again."""
    return np.frombuffer(zlib.decompress(data), "<f4") if data else np.zeros(0, np.float32)


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, and numbers as JavaScript writes them: what the page finds a result by."""
    if isinstance(value, dict):
        inner = ",".join(f"{canonical(str(key))}:{canonical(value[key])}" for key in sorted(value, key=str))
        return f"{{{inner}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    if abs(value) < 1e-6:
        digits, exponent = repr(value).split("e")
        return f"{digits}e{int(exponent)}"
    return format(Decimal(repr(value)), "f") if abs(value) < 1e21 else repr(value)
