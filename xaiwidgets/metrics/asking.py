"""Whatever names attributions and metrics, by name and in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

import xaiwidgets.methods  # noqa: F401 - importing the families registers their methods
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ExplainError, InputError, ParameterError, did_you_mean
from xaiwidgets.engine.registry import METHODS, Method
from xaiwidgets.text.embedding import TextBaseline

from .case import by_name
from .registry import CONTROLS, METRICS, Metric, find_metric
from .shapes import values_of
from .subject import Subject, Texts


@dataclass(frozen=True, eq=False)
class Entry:
    """One attribution of an evaluation.

    kind         "method", "control" or "values" (nobody said what made them)
    method       its name, "" for bare values; `parameters` are its own
    values       [rows, ...], None while they are not there
    evaluations  rows evaluated by the model to make it: {"forward": int, "gradient": int}
    error        what went wrong instead
    """

    name: str
    kind: str
    title: str
    method: str
    parameters: dict[str, Any]
    values: Tensor | None = None
    evaluations: Mapping[str, int] | None = None
    seconds: float = 0.0
    error: Exception | None = None
    run: Method | None = None


@dataclass(frozen=True, eq=False)
class Measuring:
    """One metric of an evaluation with its parameters."""

    name: str
    metric: Metric
    parameters: dict[str, Any]


# --- which attributions ------------------------------------------------------------------------------------------------


def entries_of(
    attributions: Any, subject: Subject, *, target: Any, controls: bool, baseline: Any, seed: int
) -> dict[str, Entry]:
    """Whatever names attributions, by name and in order; controls come last."""
    found: dict[str, Entry] = {}
    for name, one in _named(attributions):
        entry = _entry(name, one, subject, target=target, baseline=baseline, seed=seed)
        found[_free(entry.name, found)] = replace(entry, name=_free(entry.name, found))
    for name in subject.controls if controls else ():
        if not any(entry.kind == "control" and entry.method == name for entry in found.values()):
            found[_free(name, found)] = _entry(
                _free(name, found), name, subject, target=target, baseline=baseline, seed=seed
            )
    if baseline is not None and not any(_takes_baseline(entry.run) for entry in found.values()):
        raise ParameterError(
            "no_baseline", "None of the attributions is measured from a baseline", hint="Leave it out."
        )
    if not found:
        raise ParameterError("no_attributions", "There is no attribution to evaluate", hint="Name a method.")
    return found


def _named(attributions: Any) -> list[tuple[str, Any]]:
    if isinstance(attributions, Mapping):
        return [(str(name), one) for name, one in attributions.items()]
    if isinstance(attributions, list | tuple) and not _is_pair(attributions):
        return [("", one) for one in attributions]
    return [("", attributions)]


def _entry(name: str, asked: Any, subject: Subject, *, target: Any, baseline: Any, seed: int) -> Entry:
    if isinstance(asked, Attribution):
        return _of_attribution(name, asked, subject, target)
    if isinstance(asked, str) or _is_pair(asked):
        method_name, given = asked if _is_pair(asked) else (asked, {})
        method = _found_method(method_name)
        known = {parameter.name for parameter in method.parameters}
        shared = {"baseline": baseline} if baseline is not None else {}
        if method.family == "control":
            shared["seed"] = seed
        given = {**{key: value for key, value in shared.items() if key in known}, **by_name(subject.problem, given)}
        subject.fits(method)
        # A layer that the method does not read itself is where it is asked; `explained` knows.
        elsewhere = {"layer": given.pop("layer")} if "layer" in given and "layer" not in known else {}
        parameters = {**method.check(given), **elsewhere}
        if isinstance(subject, Texts):  # what is not given is chosen for the text
            parameters = {**given, **elsewhere}
        kind = "control" if method.family == "control" else "method"
        return Entry(name or method.name, kind, method.title, method.name, parameters, run=method)
    return Entry(name or "values", "values", name or "Values", "", {}, values_of(subject.points, asked))


def _of_attribution(name: str, given: Attribution, subject: Subject, target: Any) -> Entry:
    """What was computed before. It can be made again if its method is known and takes the parameters it says."""
    if isinstance(given.target, int) and isinstance(target, int) and given.target != target:
        raise InputError(
            "other_target",
            f"The attribution explains target {given.target}, and the evaluation is about {target}",
            hint=f"Pass target={given.target}.",
        )
    method = METHODS.get(given.method)
    parameters = {key: value for key, value in given.parameters.items() if value is not None}
    if isinstance(subject, Texts) and parameters.get("layer") == subject.question.layer:
        parameters.pop("layer")  # where it was asked follows from the method
    if isinstance(parameters.get("baseline"), TextBaseline):
        parameters["baseline"] = parameters["baseline"].name  # of another text it would be another
    run = method
    if method is not None:
        own = {parameter.name for parameter in method.parameters} | {"layer"}
        try:
            method.check({key: value for key, value in parameters.items() if key != "layer" or "layer" in own})
        except ExplainError:
            run = None  # made by other means, or read from a file that only describes them
    values = values_of(subject.points, given.values)
    title = method.title if method is not None else given.method
    return Entry(
        name or given.method, "method", title, given.method, parameters, values, given.evaluations, given.seconds, run=run
    )  # fmt: skip


def _takes_baseline(method: Method | None) -> bool:
    return method is not None and any(parameter.name == "baseline" for parameter in method.parameters)


def _found_method(name: Any) -> Method:
    known = {**METHODS, **CONTROLS}
    if name not in known:
        raise ParameterError("unknown_method", f"There is no method {name!r}", hint=did_you_mean(str(name), known))
    return known[name]


# --- which metrics -------------------------------------------------------------------------------------------------------


def metrics_of(metrics: Any, defaults: Mapping[str, Any]) -> dict[str, Measuring]:
    """Whatever names metrics, by name and in order; `defaults` are of all that have such a choice."""
    found: dict[str, Measuring] = {}
    for label, one in _metrics_named(metrics):
        name, given = one if _is_pair(one) else (one, {})
        metric = find_metric(name)
        free = _free(label or metric.name, found)
        choices = {parameter.name: parameter.choices for parameter in metric.parameters}
        asked = {**{key: value for key, value in defaults.items() if value in choices.get(key, ())}, **given}
        found[free] = Measuring(free, metric, metric.check(asked))
    if not found:
        raise ParameterError("no_metrics", "There is no metric to evaluate", hint=did_you_mean("", METRICS))
    return found


def _metrics_named(metrics: Any) -> list[tuple[str, Any]]:
    if isinstance(metrics, Mapping):
        return [(str(name), (name, one) if isinstance(one, Mapping) else one) for name, one in metrics.items()]
    if isinstance(metrics, Sequence) and not isinstance(metrics, str) and not _is_pair(metrics):
        return [("", one) for one in metrics]
    return [("", metrics)]


def _is_pair(value: Any) -> bool:
    """(name, parameters)."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], Mapping)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with a number behind it where it is taken."""
    if name not in taken:
        return name
    return next(other for other in (f"{name} {number}" for number in range(2, len(taken) + 3)) if other not in taken)
