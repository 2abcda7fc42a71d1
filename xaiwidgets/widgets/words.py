"""What the pictures say, in words: captions for readers who do not see them, notices, labels."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = Sequence[str] | Mapping[int, str] | None
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def label(labels: Labels, index: int) -> str:
    """The name of a class; its number where there is no name."""
    name: object = f"class {index}"
    if isinstance(labels, Mapping):
        name = labels.get(index, name)
    elif labels is not None and 0 <= index < len(labels):
        name = labels[index]
    return encodable(str(name))


def encodable(text: str) -> str:
    """Without lone surrogates (half an emoji), which neither a message to the page nor a file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def escaped(text: object) -> str:
    """Text as HTML shows it literally."""
    # half an emoji (a lone surrogate) cannot be encoded as UTF-8
    return html.escape(str(text).encode("utf-8", "replace").decode("utf-8"))


def percent(share: float) -> str:
    """A share in 0..1 as text."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %"


def caption(values: NDArray[np.floating[Any]], *, signed: bool, question: dict[str, Any], gap: float | None) -> str:
    """The picture in a few sentences. `values` [height, width]."""
    sentences = [subject(question) + "."]
    total = float(np.abs(values).sum())
    if total == 0:
        return (
            sentences[0]
            + " Every value is zero: nothing in this input changes the score. Check the target and the baseline."
        )
    sentences += support(values, signed=signed)
    if gap is not None:
        sentences.append(f"Completeness gap {percent(gap)}.")
    return " ".join(sentences)


def support(values: NDArray[np.floating[Any]], *, signed: bool) -> list[str]:
    """Where a map [h, w] is strongest, of nine areas, and how much of it opposes."""
    total = float(np.abs(values).sum())
    if total == 0:
        return ["Every value is zero."]
    sentences = []
    areas = [
        (
            float(np.clip(cell, 0, None).sum()) / total if signed else float(np.abs(cell).sum()) / total,
            f"{_ROWS[row]} {_COLUMNS[column]}",
        )
        for row, band in enumerate(np.array_split(values, 3, axis=0))
        for column, cell in enumerate(np.array_split(band, 3, axis=1))
    ]
    best = [
        f"{'the centre' if name == 'middle centre' else name} ({percent(share)})"
        for share, name in sorted(areas, reverse=True)[:2]
        if share > 0
    ]
    if best:
        sentences.append(f"Largest {'support' if signed else 'values'}: {', '.join(best)}.")
    if signed:
        sentences.append(f"{percent(float(np.clip(-values, 0, None).sum()) / total)} of the total opposes.")
    return sentences


def subject(question: dict[str, Any]) -> str:
    """What is shown: method, classes and baseline."""
    subject = f"{question['method_title']} for {question['target_label']}"
    if question.get("foil_label"):
        subject += f" rather than {question['foil_label']}"
    if question.get("baseline_title"):
        subject += f", baseline: {question['baseline_title']}"
    return subject
