"""What is seen on the path, in sentences: for captions, notices and readers who do not see the picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.methods.walk import Curves
from xaiwidgets.widgets.summary import WIDE_GAP
from xaiwidgets.widgets.words import percent, subject, support

from .kinds import DISTRIBUTION, PATH

MOST = 0.9
"""Of the change: the rest counts as flat."""
SHORT = 0.5
"""A rise on less of the path than this is a saturated one."""
DETOUR = 0.1
"""Of the change, by which a score goes beyond its ends to be worth a word."""
EDGE = 0.1
"""Stretches that begin before this begin at once."""
RESTLESS = 0.3
"""Ups and downs outside the rise, as a share of the change, that are not called flat."""
Stretch = tuple[float, float]


def steepest(alphas: Sequence[float], F: Sequence[float]) -> Stretch | None:
    """The shortest stretch of the path that holds most of the change of the score; None where it does not change."""
    change = F[-1] - F[0]
    if change == 0:
        return None
    places = np.unique(np.concatenate([np.asarray(alphas), np.linspace(0, 1, 201)]))
    share = np.interp(places, alphas, F) / change
    enough = share[None, :] - share[:, None] >= MOST
    length = np.where(enough, places[None, :] - places[:, None], np.inf)
    length[length < 0] = np.inf
    low, high = np.unravel_index(int(length.argmin()), length.shape)
    return (float(places[low]), float(places[high])) if np.isfinite(length[low, high]) else None


def rising(curves: Curves, mode: str) -> Stretch | None:
    """Where most of the change happens, if that is a small part of the path."""
    if mode == DISTRIBUTION or not curves.gaps.relative:
        return None
    stretch = steepest(curves.alphas, curves.F)
    short = stretch is not None and stretch[1] - stretch[0] < SHORT
    return stretch if stretch is not None and short and _moves_outside(curves, stretch) <= RESTLESS else None


def caption(
    question: dict[str, Any], curves: Curves, total: NDArray[np.floating[Any]], *, mode: str, unit: str, promises: bool,
    surfaces: Sequence[str] | None = None,
) -> str:  # fmt: skip
    """The whole picture in a few sentences. `total` [h, w]; `promises`: whether the values should add up."""
    sentences = [subject(question) + "."]
    sentences.append(_samples(curves, unit) if mode == DISTRIBUTION else _course(curves, question, unit))
    sentences += _strongest_words(total, surfaces) if surfaces is not None else support(total, signed=True)
    if promises:
        sentences.append(_gaps(curves, mode, unit))
    return " ".join(sentences)


def notices(
    curves: Curves, *, mode: str, promises: bool, training: bool, colours: str, text: bool
) -> list[dict[str, Any]]:
    """What a reader should know before believing the picture."""
    found: list[dict[str, Any]] = []
    gaps, stretch = curves.gaps, rising(curves, mode)
    if not gaps.relative and promises:
        text_ = f"The baseline ({_number(curves.scores[0])}) and the input ({_number(curves.scores[1])}) have practically the same score, so shares of the change are left out: choose another baseline or target."
        found.append({"level": "warning", "code": "same_score", "text": text_})
    if stretch is not None:
        flat = percent(1 - (stretch[1] - stretch[0]))
        text_ = f"Saturated: {percent(MOST)} of the change happens between {stretch[0]:.2f} and {stretch[1]:.2f}; on the other {flat} of the path the output hardly moves."
        found.append({"level": "info", "code": "saturated", "text": text_, "window": list(stretch)})
    if (
        promises
        and gaps.relative
        and max(gaps.end, gaps.max if mode != DISTRIBUTION else 0.0) > WIDE_GAP * abs(gaps.difference)
    ):
        way_out = "draw more samples" if mode == DISTRIBUTION else "raise the steps, or refine where the gap is largest"
        share = percent(gaps.end / abs(gaps.difference))
        text_ = f"The attributions do not add up: they miss {share} of the change at the end, {percent(gaps.max / abs(gaps.difference))} at the worst place. Before trusting them, {way_out}."
        if mode == DISTRIBUTION:
            text_ = f"The attributions do not add up: they miss {share} of the change. Before trusting them, {way_out}."
        found.append({"level": "warning", "code": "gap", "text": text_})
    if training:
        text_ = "The model is in training mode: with dropout or batch statistics no two passes are alike, and the curve is not reproducible."
        found.append({"level": "warning", "code": "training", "text": text_})
    if colours:
        found.append({"level": "info", "code": "colours", "text": colours})
    if text:
        text_ = "Between the baseline and the text lie embeddings that are not words: the model was never shown any."
        found.append({"level": "info", "code": "text_path", "text": text_})
    return found


def _course(curves: Curves, question: dict[str, Any], unit: str) -> str:
    """How the output goes from the baseline to the input."""
    stretch = rising(curves, PATH)
    low, high = stretch or (0.0, 1.0)
    output = _Output(curves, question, unit, low, high)
    first, last = output.at(low), output.at(high)
    if not curves.gaps.relative:
        return f"The {output.name} is practically the same at the baseline ({first}) and at the input ({last})."
    verb = "rises" if curves.gaps.difference > 0 else "falls"
    if stretch is None:
        return f"The {output.name} {verb} from {first} to {last} over most of the path{output.detour()}."
    when = "then is flat" if low < EDGE else "and is flat before" if high > 1 - EDGE else "and is flat before and after"
    flat = f"saturated for {percent(1 - (high - low))} of the path"
    return f"The {output.name} {verb} from {first} to {last} between {low:.2f} and {high:.2f}, {when}: {flat}."


def _moves_outside(curves: Curves, stretch: Stretch) -> float:
    """How far the score moves up and down outside a stretch, as a share of its change."""
    places = np.unique(np.concatenate([np.asarray(curves.alphas), stretch]))
    moves = np.abs(np.diff(np.interp(places, curves.alphas, curves.F)))
    outside = (places[1:] <= stretch[0]) | (places[:-1] >= stretch[1])
    return float(moves[outside].sum() / abs(curves.gaps.difference))


class _Output:
    """The output along the path in the words people know: as a probability, where it says the same as the score."""

    def __init__(self, curves: Curves, question: dict[str, Any], unit: str, low: float, high: float) -> None:
        self._alphas, self._unit = curves.alphas, unit
        self._likely = bool(curves.prob) and not question.get("foil_label")
        self._line = np.array(curves.prob)
        if self._likely:
            change = float(np.interp(high, curves.alphas, curves.prob)) - float(
                np.interp(low, curves.alphas, curves.prob)
            )
            self._likely = change * curves.gaps.difference > 0 and self.at(low) != self.at(high)
        if not self._likely:
            self._line = curves.scores[0] + np.array(curves.F)
        self.name = "output" if self._likely else "score"

    def at(self, alpha: float) -> str:
        """There, with its unit."""
        value = float(np.interp(alpha, self._alphas, self._line))
        return percent(value) if self._likely else f"{_number(value)} {self._unit}"

    def detour(self) -> str:
        """Where it goes beyond both of its ends, if it does."""
        line, ends = self._line, (self._line[0], self._line[-1])
        beyond = {
            "highest": (line.max() - max(ends), int(line.argmax())),
            "lowest": (min(ends) - line.min(), int(line.argmin())),
        }
        return "".join(
            f", {name} at {self._alphas[place]:.2f} ({self.at(self._alphas[place])})"
            for name, (distance, place) in beyond.items()
            if distance > DETOUR * abs(ends[1] - ends[0])
        )


def _samples(curves: Curves, unit: str) -> str:
    count = int(curves.alphas[-1])
    return f"After {count} samples the values add up to {_number(curves.C[-1])} {unit}; the output is {_number(curves.scores[0])} at the baselines and {_number(curves.scores[1])} at the input."


def _gaps(curves: Curves, mode: str, unit: str) -> str:
    gaps = curves.gaps
    relative = gaps.relative

    def size(gap: float) -> str:
        return percent(gap / abs(gaps.difference)) if relative else f"{_number(gap)} {unit}"

    if mode == DISTRIBUTION:
        return f"Completeness gap {size(gaps.end)}."
    return f"Completeness gap {size(gaps.end)} at the end, at most {size(gaps.max)} on the path (at {gaps.at:.2f})."


def _strongest_words(total: NDArray[np.floating[Any]], surfaces: Sequence[str]) -> list[str]:
    values = total.reshape(-1)
    size = float(np.abs(values).sum())
    if size == 0:
        return ["Every value is zero."]
    best = [
        f'"{surfaces[index]}" ({percent(values[index] / size)})'
        for index in np.argsort(-values, kind="stable")[:3]
        if values[index] > 0
    ]
    against = float(np.clip(-values, 0, None).sum()) / size
    return [*([f"Largest support: {', '.join(best)}."] if best else []), f"{percent(against)} of the total opposes."]


def _number(value: float) -> str:
    return f"{value:.3g}"
