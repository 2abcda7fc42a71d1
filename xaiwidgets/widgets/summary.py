"""What is said beside a picture, as plain values for the page: classes, question, quality, notices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.registry import find_method
from xaiwidgets.widgets.explanations import Request
from xaiwidgets.widgets.words import Labels, label, percent

TOP_CLASSES = 5
UNITS = {"logit": "logit", "probability": "probability", "log_probability": "nats"}
"""What scores are measured in."""
SAVED_BUDGET = 1_000_000
"""Bytes above which a widget says that it is heavy to save."""
WIDE_GAP = 0.05
"""Completeness gaps above this are worth a warning."""


def class_bars(outputs: Tensor, labels: Labels, also: Iterable[int] = ()) -> list[dict[str, Any]]:
    """The most probable classes of an output [classes], then those in `also`; none for other outputs."""
    if outputs.ndim != 1 or len(outputs) < 2:
        return []
    probabilities = outputs.softmax(0)
    best = outputs.topk(min(TOP_CLASSES, len(outputs))).indices.tolist()
    return [
        {
            "id": index,
            "name": label(labels, index),
            "score": float(probabilities[index]),
            "logit": float(outputs[index]),
        }
        for index in [*best, *(index for index in also if index not in best)]
    ]


def question(request: Request, baselines: Sequence[Mapping[str, str]], labels: Labels, score: str) -> dict[str, Any]:
    """The question a result answers, in its nouns."""
    method = find_method(request.method)
    titles = {entry["name"]: entry["title"] for entry in baselines}
    takes_baseline = any(parameter.name == "baseline" for parameter in method.parameters)
    return {
        "target": request.target,
        "foil": request.foil,
        "target_label": "the model's score" if request.target is None else label(labels, request.target),
        "foil_label": "" if request.foil is None else label(labels, request.foil),
        "baseline_title": titles.get(request.baseline, request.baseline) if takes_baseline else "",
        "method_title": method.title,
        "score": score,
    }


def quality(attribution: Attribution) -> dict[str, Any]:
    """How far the numbers of the one row can be trusted, and what they cost."""
    delta = difference = gap = None
    if attribution.delta is not None and attribution.score is not None and attribution.baseline_score is not None:
        delta = float(attribution.delta[0])
        difference = float((attribution.score - attribution.baseline_score)[0])
        gap = abs(delta / difference) if difference else None
    return {
        "delta": delta,
        "difference": difference,
        "gap": gap,
        "error": attribution.error,
        "evaluations": dict(attribution.evaluations),
        "steps": attribution.progress[0],
        "seconds": attribution.seconds,
        "complete": find_method(attribution.method).complete,
    }


def notices(
    values: NDArray[np.floating[Any]], facts: Mapping[str, Any], *, colours: str, saved: int
) -> list[dict[str, str]]:
    """What a reader should know before believing the map `values` [h, w].

    `facts`: its quality; `colours`: how the picture's colours were guessed, if they were; `saved`: bytes in a saved notebook.
    """
    found = []
    if colours:
        found.append({"level": "info", "code": "colours", "text": colours})
    difference, gap = facts["difference"], facts["gap"]
    largest = float(np.abs(values).max())
    if largest == 0 or (difference is not None and largest < 1e-6 * abs(difference) / values.size):
        text = f"The largest value is {largest:.1e}, practically zero: check the target, and that the baseline differs from the input."
        found.append({"level": "warning", "code": "near_zero", "text": text})
    if gap is not None and gap > WIDE_GAP:
        text = f"The values miss {percent(gap)} of what they should add up to: raise the steps."
        found.append({"level": "warning", "code": "gap", "text": text})
    if saved > SAVED_BUDGET:
        text = f"A saved notebook grows by {saved / 1e6:.1f} MB with this widget; w.freeze() shows a small picture instead."
        found.append({"level": "info", "code": "size", "text": text})
    return found
