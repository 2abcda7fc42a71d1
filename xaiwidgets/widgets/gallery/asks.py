"""What can be asked: queries, labels and training methods. Everything a page sends is checked here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xaiwidgets.training.methods  # noqa: F401 - importing the methods registers them
from xaiwidgets.engine.errors import InputError
from xaiwidgets.training.registry import TRAINING_METHODS, find_training_method
from xaiwidgets.widgets.questions import whole

PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class Query:
    """An example asked about. `inputs`: what the model is called with, a batch of one.

    title      in the menu
    training   its position, where it is a training example
    label      whose loss is asked unless a page names another; None: the predicted class
    text       as it was given; None where it was not
    given      the label it has, where that is known: only shown
    """

    inputs: Any
    title: str
    training: int | None = None
    label: Any = None
    text: str | None = None
    given: Any = None


@dataclass(frozen=True)
class Request:
    """The `params` trait, checked. `label`: a class or a number; None: the query's own, or the predicted class."""

    input: int
    label: float | int | None
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Equal for equal requests."""
        return json.dumps([self.input, self.label, self.method, self.parameters], sort_keys=True, default=repr)


class Menu:
    """The queries and methods of one gallery. `given`: parameters that no page can hold, by method.

    vectors   whether the index keeps vectors: some methods read nothing else
    """

    def __init__(self, queries: Sequence[Query], given: Mapping[str, Mapping[str, Any]], *, vectors: bool) -> None:
        self.queries, self._given, self._vectors = list(queries), given, vectors

    def methods(self) -> list[dict[str, Any]]:
        """The `methods` trait: descriptions, because the front end's core knows only those of attribution."""
        offered = (one for one in TRAINING_METHODS.values() if self._vectors or not one.indexed)
        return [one.schema() | {"signed": True} for one in offered]

    def request(self, params: Mapping[str, Any]) -> Request:
        """Raises InputError or ParameterError naming what is wrong."""
        method = find_training_method(str(params.get("method")))
        index = whole(params.get("input", 0), "input", len(self.queries))
        label = params.get("target")
        if label is not None and (
            isinstance(label, bool) or not isinstance(label, (int, float)) or not math.isfinite(label)
        ):
            raise InputError("query_labels", f"target={label!r} is no label", hint="A class number, or None.")
        known = {parameter.name for parameter in method.parameters}
        values = {str(name): value for name, value in dict(params.get("parameters") or {}).items()}
        # what belongs to another method or was given from Python is not the page's to say
        given = self._given.get(method.name, {})
        checked = method.check({name: value for name, value in values.items() if name in known} | dict(given))
        return Request(index, label, method.name, checked)


def beyond_json(method: str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameter values a page cannot hold."""
    given = {name: value for name, value in parameters.items() if not isinstance(value, PLAIN)}
    return {method: given} if given else {}
