"""Methods that score training examples, and their parameters, read from the functions themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.registry import Parameter, checked, parameters_of


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of some training examples: positive where a step on the example lowers the query's loss.

    positions   [n] which examples; every method goes through its candidates in order, each once
    scores      [queries, n, checkpoints] the contribution of each checkpoint asked; [queries, n, 1] from methods without
    notes       what this run has to say about itself (a solver's residual)
    """

    positions: np.ndarray[Any, Any]
    scores: Tensor
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preparing:
    """What is done before the first score: `done` of `total` steps of a phase."""

    done: int
    total: int
    phase: str


Step = Scored | Preparing
By = Literal["products", "lengths", ""]
Shortlist = By | Callable[[dict[str, Any]], By]
Approximations = tuple[str, ...] | Callable[[dict[str, Any]], tuple[str, ...]]


@dataclass(frozen=True)
class TrainingMethod:
    """A method: a generator function `run(question, **parameters)` and what is worth knowing about it.

    per_checkpoint   whether its scores are one for each checkpoint, to be added up
    indexed          whether it reads only the vectors of the index, no training example
    shortlist        what the index's vectors can name the examples worth scoring by when only the leaders are asked for:
                     "products", or "lengths" for products divided by the length of the example's gradient; "" nothing
    """

    name: str
    title: str
    family: str
    summary: str
    reference: str
    per_checkpoint: bool
    indexed: bool
    shortlist: Shortlist
    approximations: Approximations
    parameters: tuple[Parameter, ...]
    run: Callable[..., Iterator[Step]]

    def check(self, given: dict[str, Any]) -> dict[str, Any]:
        """Every parameter with its given or default value, checked."""
        return checked(self.name, self.parameters, given)

    def approximates(self, parameters: dict[str, Any]) -> tuple[str, ...]:
        """In plain words, what makes its scores differ from what it is defined to be; nothing if they are exact."""
        return self.approximations(parameters) if callable(self.approximations) else self.approximations

    def shortlists(self, parameters: dict[str, Any]) -> By:
        """What the index may name examples by."""
        return self.shortlist(parameters) if callable(self.shortlist) else self.shortlist

    def schema(self) -> dict[str, Any]:
        """Plain JSON values: what a user interface needs."""
        plain = {name: getattr(self, name) for name in ("name", "title", "summary", "reference", "per_checkpoint")}
        return {
            **plain,
            "family": FAMILIES.get(self.family, self.family),
            "parameters": [parameter.schema() for parameter in self.parameters],
        }


TRAINING_METHODS: dict[str, TrainingMethod] = {}
FAMILIES = {
    "gradient": "gradient products",
    "curvature": "influence functions",
    "similarity": "similarity",
    "representer": "representer points",
    "control": "controls",
}
"""Headings of the method menu."""

Function = TypeVar("Function", bound=Callable[..., Iterator[Step]])


def training_method(
    *,
    title: str,
    family: str,
    reference: str,
    per_checkpoint: bool = False,
    indexed: bool = False,
    shortlist: Shortlist = "",
    approximations: Approximations = (),
    name: str = "",
) -> Callable[[Function], Function]:
    """Register a generator function; its name (or `name`), first line of documentation and keyword parameters are read.

    approximations   in plain words, or a function of the checked parameters that returns them
    """

    def register(function: Function) -> Function:
        known = name or function.__name__
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        TRAINING_METHODS[known] = TrainingMethod(
            known, title, family, summary, reference, per_checkpoint, indexed, shortlist, approximations,
            parameters_of(function), function,
        )  # fmt: skip
        return function

    return register


def find_training_method(name: str) -> TrainingMethod:
    if name not in TRAINING_METHODS:
        raise ParameterError(
            "unknown_method", f"There is no training method {name!r}", hint=did_you_mean(str(name), TRAINING_METHODS)
        )
    return TRAINING_METHODS[name]
