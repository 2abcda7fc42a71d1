"""What some chosen words add up to. Twin of js/src/tokens/selection.ts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets.words import encodable

from .pack import characters


def summed(values: NDArray[np.floating[Any]], tokens: Tokens, selection: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The `selection_sum` trait: of every token with a character in one of the places [start, end)."""
    if not selection:
        return {}
    known = np.nan_to_num(values).astype(np.float64)
    places = [(characters(tokens.text, start), characters(tokens.text, end)) for start, end in selection]
    chosen = [any(one.start < end and one.end > start for start, end in places) for one in tokens.items]
    own, total = known[np.array(chosen, dtype=bool)], float(np.abs(known).sum())
    return {
        "sum": float(own.sum()),
        "positive": float(own.clip(0, None).sum()),
        "negative": float(own.clip(None, 0).sum()),
        "share": float(own.sum()) / total if total else 0.0,
        "tokens": sum(chosen),
        "text": " … ".join(encodable(tokens.text[start:end]) for start, end in places),
    }


def same_sum(own: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether the page has said the same already: its numbers are rounded, and its share is of what it shows."""
    if not own or own.keys() != said.keys():
        return dict(own) == dict(said)
    size = abs(own["positive"]) + abs(own["negative"])
    near = all(abs(own[name] - said[name]) <= 1e-4 * size for name in ("sum", "positive", "negative"))
    return near and (own["tokens"], own["text"]) == (said["tokens"], said["text"])
