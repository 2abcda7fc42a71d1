"""What a strip says, in words: captions for readers who do not see it, notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.text.spelling import surface
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets.summary import SAVED_BUDGET, WIDE_GAP
from xaiwidgets.widgets.words import encodable, percent, subject

from .subject import Notes

NAMED = 3
"""Words that a caption names."""


def caption(
    values: NDArray[np.floating[Any]], tokens: Tokens, question: dict[str, Any], *, signed: bool, gap: float | None
) -> str:
    """The strip in a few sentences. `values` [T]."""
    sentences = [subject(question) + "."]
    known = np.nan_to_num(values)
    total = float(np.abs(known).sum())
    if total == 0:
        return (
            sentences[0]
            + " Every value is zero: nothing in this text changes the score. Check the target and the baseline."
        )
    sums = np.array([known[list(unit.members)].sum() for unit in tokens.units])
    order = np.argsort(-sums if signed else -np.abs(sums), kind="stable")[:NAMED]
    best = [
        f'"{_shown(tokens, index)}" ({percent(abs(float(sums[index])) / total)})' for index in order if sums[index] > 0
    ]
    if best:
        sentences.append(f"Largest {'support' if signed else 'values'}: {', '.join(best)}.")
    if signed:
        sentences.append(f"{percent(float(np.clip(-known, 0, None).sum()) / total)} of the total opposes.")
    if gap is not None:
        sentences.append(f"Completeness gap {percent(gap)}.")
    return " ".join(sentences)


def notices(
    values: NDArray[np.floating[Any]],
    facts: Mapping[str, Any],
    notes: Notes,
    *,
    signed: bool,
    training: bool,
    length: int,
    saved: int,
) -> list[dict[str, str]]:
    """What a reader should know before believing the values [T]. `facts`: their quality; `length`: of the text, in tokens."""
    found: list[dict[str, str]] = []

    def say(level: str, code: str, text: str) -> None:
        found.append({"level": level, "code": code, "text": text})

    if notes.cut:
        say(
            "warning",
            "text_cut",
            f"The model takes {length} tokens: what comes after them was cut off and is not explained.",
        )
    if notes.stopped:
        say("info", "generation_cut", f"The model was stopped after {notes.stopped} tokens and would have gone on.")
    if notes.missed:
        say("info", "no_offsets", f"The tokenizer does not say where its tokens are: {notes.missed} could not be found in the text as they are spelled, so their places are guessed.")  # fmt: skip
    if training:
        say("warning", "training", "The model is in training mode: with dropout no two passes are alike.")
    if not signed:
        say(
            "info",
            "unsigned",
            "This method gives strengths without a sign: a large value says that a word matters, not which way.",
        )
    largest = float(np.abs(np.nan_to_num(values)).max(initial=0.0))
    difference, gap = facts["difference"], facts["gap"]
    if largest == 0 or (difference is not None and largest < 1e-6 * abs(difference) / values.size):
        say(
            "warning",
            "near_zero",
            f"The largest value is {largest:.1e}, practically zero: check the target, and that the baseline differs from the text.",
        )
    if gap is not None and facts["complete"] and gap > WIDE_GAP:
        say("warning", "gap", f"The values miss {percent(gap)} of what they should add up to: raise the steps.")
    if saved > SAVED_BUDGET:
        say(
            "info",
            "size",
            f"A saved notebook grows by {saved / 1e6:.1f} MB with this widget; w.freeze() shows a small picture instead.",
        )
    return found


def _shown(tokens: Tokens, unit: int) -> str:
    own = tokens.units[unit]
    text = tokens.slice(own).strip() or tokens.items[own.members[0]].surface
    return encodable(surface(text))
