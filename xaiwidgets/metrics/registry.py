"""Metrics and their parameters, read from the functions themselves, as methods are (`engine/registry.py`)."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.registry import Method, Note, Parameter, Partial, Range, checked, parameters_of

from .result import Curve

Direction = Literal["higher", "lower", "none"]
Ask = Literal["method", "image", "text", "mask", "module", "gradient", "others", "model_trained_otherwise"]

__all__ = [
    "CONTROLS", "FAMILIES", "METRICS", "Ask", "Direction", "Metric", "Note", "Parameter", "Range", "Reading", "control",
    "find_metric", "metric",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reading:
    """A measurement so far: each one a metric yields is better than the last, and the last is the answer.

    values   [rows] float64, one number a row; NaN where it is undefined, which the notes then say
    done     of `total`, in the metric's own unit of work
    curves   by name, what was measured on the way ("deletion", "morf", "layers", ...)
    maps     by name, other maps worth looking at [rows, ...] (of randomised models, say)
    """

    values: Tensor
    done: int
    total: int
    curves: Mapping[str, Curve] = field(default_factory=dict)
    maps: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A measurement of attributions: a generator function over a `Case` and what is worth knowing about it.

    direction   whether "higher" or "lower" values speak for the explanation, or "none"
    asks        what it needs besides values; see `metric`
    range       the values it can take, None where there is no bound
    tells       what a good value means, in one sentence
    cannot      what it cannot tell, in one sentence
    """

    name: str
    title: str
    family: str
    summary: str
    reference: str
    direction: Direction
    asks: tuple[Ask, ...]
    range: tuple[float | None, float | None]
    tells: str
    cannot: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., Iterator[Reading]]

    def check(self, given: dict[str, Any]) -> dict[str, Any]:
        """Every parameter with its given or default value, checked."""
        return checked(self.name, self.parameters, given)

    def facts(self) -> str:
        """Source, range, direction, and what it tells and cannot tell: a line each."""
        low, high = ("" if bound is None else f"{bound:g}" for bound in self.range)
        bounds = (
            f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else "any number"
        )
        speaks = "No direction." if self.direction == "none" else f"{self.direction.capitalize()} speaks for the map."
        return f"Source: {self.reference}\nRange: {bounds}. {speaks}\nTells: {self.tells}\nCannot tell: {self.cannot}"

    def schema(self) -> dict[str, Any]:
        """Plain JSON values: what a user interface needs."""
        names = ("name", "title", "summary", "reference", "direction", "tells", "cannot")
        return {
            **{name: getattr(self, name) for name in names},
            "family": FAMILIES.get(self.family, self.family),
            "asks": list(self.asks),
            "range": list(self.range),
            "parameters": [parameter.schema() for parameter in self.parameters],
        }


METRICS: dict[str, Metric] = {}
CONTROLS: dict[str, Method] = {}
"""Maps that explain nothing, asked for by name like methods and not found among them: what a metric must tell from one."""
FAMILIES = {
    "removal": "taking away and putting back",
    "fidelity": "agreement with the model",
    "stability": "stability",
    "sanity": "sanity checks",
    "localisation": "agreement with a mask",
    "complexity": "simplicity",
    "agreement": "agreement of methods",
    "text": "texts",
}
"""Headings of the metric menu."""

Function = typing.TypeVar("Function", bound=Callable[..., Iterator[Reading]])
Drawing = typing.TypeVar("Drawing", bound=Callable[..., Iterator[Partial]])


def metric(
    *,
    family: str,
    title: str,
    reference: str,
    direction: Direction,
    asks: tuple[Ask, ...] = (),
    range: tuple[float | None, float | None] = (None, None),  # noqa: A002 - the field's word
    tells: str,
    cannot: str,
) -> Callable[[Function], Function]:
    """Register a generator function as a metric; only its docstring grows, by what is said here.

    asks   of "method" (runs the method again, so that bare values are refused), "image" (points [rows, channels, height,
           width]), "text", "mask" (where the object is), "module" (a torch module to copy and change), "gradient" (a
           differentiable input), "others" (a second attribution in the same evaluation), "model_trained_otherwise" (its
           parameter `other`)
    """

    def register(function: Function) -> Function:
        name = function.__name__
        METRICS[name] = Metric(
            name, title, family, _summary(function), reference, direction, asks, range, tells, cannot,
            parameters_of(function), function,
        )  # fmt: skip
        function.__doc__ = f"{inspect.getdoc(function)}\n\n{METRICS[name].facts()}"
        return function

    return register


def control(*, title: str, reference: str = "", needs: tuple[str, ...] = ()) -> Callable[[Drawing], Drawing]:
    """Register a generator function over a `Problem` as a map that explains nothing; its docstring's first line says what it is."""

    def register(function: Drawing) -> Drawing:
        name = function.__name__
        CONTROLS[name] = Method(
            name, title, "control", _summary(function), reference, needs, False, False, "nothing", "input",
            parameters_of(function), function,
        )  # fmt: skip
        return function

    return register


def find_metric(name: str) -> Metric:
    """The metric of that name, or an error with those there are."""
    if name not in METRICS:
        raise ParameterError("unknown_metric", f"There is no metric {name!r}", hint=did_you_mean(str(name), METRICS))
    return METRICS[name]


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
