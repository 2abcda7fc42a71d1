"""Methods and their parameters, read from the functions themselves: what is drawn cannot drift from what is run."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

from torch import Tensor

from .baselines import NAMES as BASELINE_NAMES
from .errors import ParameterError, did_you_mean
from .regions import NAMES as REGION_NAMES

Kind = Literal["range", "choice", "switch", "number", "seed", "baseline", "layer", "regions", "method"]


Shape = Literal["input", "layer"]


@dataclass(frozen=True)
class Range:
    """A slider: bounds, step and whether it moves on a logarithmic scale."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    help: str = ""
    title: str = ""


@dataclass(frozen=True)
class Note:
    """What a parameter means; `kind` where the type does not say it."""

    help: str
    kind: Kind | None = None
    title: str = ""


@dataclass(frozen=True, eq=False)
class Partial:
    """An attribution so far: each one a method yields is better than the last, and the last is the answer."""

    values: Tensor
    done: int
    total: int
    delta: Tensor | None = None
    error: float | None = None
    score: Tensor | None = None
    baseline_score: Tensor | None = None


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: enough to draw a control, to check a value and to explain it."""

    name: str
    kind: Kind
    default: Any
    title: str
    help: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[str, ...] = ()
    accepts: tuple[type, ...] = ()  # classes whose objects may be given in place of a choice

    def schema(self) -> dict[str, Any]:
        """The same as plain JSON values, without what says nothing: every saved notebook carries it.

        A method is a choice among all there are by then; baselines have a menu of their own.
        """
        plain = {name: value for name, value in asdict(self).items() if name != "accepts"}
        if self.kind == "method":
            plain |= {"kind": "choice", "choices": sorted(METHODS)}
        elif self.kind == "baseline":
            plain["choices"] = ()
        plain["choices"] = list(plain["choices"])
        silent = [value is None or value is False or value in ("", []) for value in plain.values()]
        return {
            name: value
            for (name, value), none in zip(plain.items(), silent, strict=True)
            if name == "default" or not none
        }

    def check(self, value: Any) -> Any:
        """The value in its proper type, or an error saying what is allowed."""
        if self.default is None and value is None:
            return None
        if self.kind == "choice" and not isinstance(value, self.accepts) and value not in self.choices:
            raise ParameterError(
                "parameter_choice",
                f"{self.name}={value!r} is not a choice",
                hint=did_you_mean(str(value), self.choices),
            )
        if self.kind == "switch" and not isinstance(value, bool):
            raise ParameterError("parameter_type", f"{self.name}={value!r} is not True or False")
        if self.kind == "method":
            find_method(value)
        return self._check_number(value) if self.kind in ("range", "number", "seed") else value

    def _check_number(self, value: Any) -> int | float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not number or (self.integer and value != int(value)):
            kind = "an integer" if self.integer else "a number"
            raise ParameterError("parameter_type", f"{self.name}={value!r} is not {kind}")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            upper = "" if self.high is None else f" to {self.high:g}"
            raise ParameterError(
                "parameter_range", f"{self.name}={value:g} is out of range", hint=f"Allowed: {self.low:g}{upper}."
            )
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Method:
    """An attribution method: a generator function and what is worth knowing about it."""

    name: str
    title: str
    family: str
    summary: str
    reference: str
    needs: tuple[str, ...]
    signed: bool
    complete: bool
    unit: str
    shape: Shape
    parameters: tuple[Parameter, ...]
    run: Callable[..., Iterator[Partial]]

    def check(self, given: dict[str, Any]) -> dict[str, Any]:
        """Every parameter with its given or default value, checked."""
        return checked(self.name, self.parameters, given)

    def schema(self) -> dict[str, Any]:
        """Plain JSON values: what a user interface needs."""
        plain = {name: getattr(self, name) for name in ("name", "title", "summary", "reference")}
        return {
            **plain,
            "family": FAMILIES.get(self.family, self.family),
            "signed": self.signed,
            "parameters": [parameter.schema() for parameter in self.parameters],
        }


METHODS: dict[str, Method] = {}
FAMILIES = {
    "gradient": "gradients",
    "path": "paths",
    "propagation": "propagation",
    "cam": "class activation maps",
    "perturbation": "perturbation",
    "attention": "attention",
}
"""Headings of the method menu."""

Function = typing.TypeVar("Function", bound=Callable[..., Iterator[Partial]])


def method(
    *,
    family: str,
    title: str,
    reference: str,
    needs: tuple[str, ...] = (),
    signed: bool = True,
    complete: bool = False,
    unit: str = "{score}",
    shape: Shape = "input",
) -> Callable[[Function], Function]:
    """Register a generator function as an attribution method; the function itself is unchanged.

    needs      of "gradient" (a differentiable model; without it the method must answer all targets at once), "image" (points
               [rows, channels, height, width]), "tokens" (numbers of tokens [rows, tokens]), "layer", "relu", "attention"
    signed     whether negative values mean something
    complete   whether the values sum to score - baseline_score
    unit       of the values, in words; {score} stands for the unit of the score
    shape      of the values: of the "input" (or one channel of it), or of a "layer"'s output
    """

    def register(function: Function) -> Function:
        name = function.__name__
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        METHODS[name] = Method(
            name, title, family, summary, reference, needs, signed, complete, unit, shape,
            parameters_of(function), function,
        )  # fmt: skip
        return function

    return register


def find_method(name: str) -> Method:
    if name not in METHODS:
        raise ParameterError("unknown_method", f"There is no method {name!r}", hint=did_you_mean(str(name), METHODS))
    return METHODS[name]


def checked(method: str, parameters: tuple[Parameter, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Every parameter of a method with its given or default value, checked."""
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            raise ParameterError(
                "unknown_parameter", f"{method} has no parameter {name!r}", hint=did_you_mean(name, known)
            )
    return {name: parameter.check(given.get(name, parameter.default)) for name, parameter in known.items()}


def parameters_of(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Read the keyword-only parameters of a function as controls."""
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    return tuple(
        _parameter(name, hints[name], parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    )


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    annotated = typing.get_origin(hint) is typing.Annotated
    base, *notes = typing.get_args(hint) if annotated else (hint,)
    note = next((item for item in notes if isinstance(item, Range | Note)), Note(""))
    title = note.title or name.replace("_", " ").capitalize()
    if isinstance(note, Range):
        integer = base is int
        step = note.step if note.step is not None else (1 if integer else None)
        return Parameter(name, "range", default, title, note.help, note.low, note.high, step, note.log, integer)
    if base is bool:
        return Parameter(name, "switch", default, title, note.help)
    literal, *accepts = typing.get_args(base) if typing.get_origin(base) in (typing.Union, types.UnionType) else (base,)
    if typing.get_origin(literal) is Literal:
        choices = typing.get_args(literal)
        return Parameter(name, "choice", default, title, note.help, choices=choices, accepts=tuple(accepts))
    if note.kind == "seed":
        return Parameter(name, "seed", default, title, note.help, low=0, step=1, integer=True)
    if note.kind == "baseline":
        return Parameter(name, "baseline", default, title, note.help, choices=BASELINE_NAMES)
    if note.kind == "regions":
        return Parameter(name, "regions", default, title, note.help, choices=REGION_NAMES)
    if note.kind is None and base not in (int, float):
        found = base.__name__ if isinstance(base, type | types.GenericAlias) else base
        raise TypeError(f"parameter {name!r}: annotate {found} with a Note that says which kind of control it is")
    return Parameter(name, note.kind or "number", default, title, note.help, integer=literal is int)
