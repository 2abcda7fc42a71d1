"""What widgets have in common that show values without a model: every answer is there from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError, ParameterError, did_you_mean
from xaiwidgets.widgets import words
from xaiwidgets.widgets.questions import whole
from xaiwidgets.widgets.trust.drawer import TrustDrawer
from xaiwidgets.widgets.trust.tested import Tested

from .arrays import Array, tensor

NO_MODEL = "These values were made elsewhere: there is no model here to ask."
THIS = "this answer"
SHELF_BUDGET = 500_000
"""Bytes of answers that a saved notebook holds beside the one on show; a kernel gives the others."""


@dataclass(frozen=True, eq=False)
class Row:
    """One set of values about one input, and what is said about it. `target`: a class's number, a name, or None."""

    values: Array
    target: Any = None
    delta: float | None = None
    score: float | None = None
    baseline_score: float | None = None


@dataclass(frozen=True, eq=False)
class Choice:
    """One entry of the method menu: its values for every input.

    unit       of the values; `signed` whether their sign means something
    complete   whether they should add up
    about      where they come from, in words; `note` what was done to them
    """

    name: str
    title: str
    rows: Sequence[Row]
    signed: bool
    unit: str = ""
    complete: bool = False
    baseline: str = ""
    about: str = ""
    note: str = ""
    error: float | None = None
    seconds: float = 0.0
    parameters: Mapping[str, Any] | None = None

    def schema(self) -> dict[str, Any]:
        """As a method of the menu."""
        return {
            "name": self.name, "title": words.encodable(self.title), "family": "values from elsewhere",
            "summary": words.encodable(f"{self.about} {NO_MODEL}".strip()),
            "reference": "", "signed": self.signed, "parameters": [],
        }  # fmt: skip

    def attribution(self, index: int, values: Array) -> Attribution:
        """As `result` gives it. `values`: of one input, without a batch axis."""
        row = self.rows[index]

        def alone(number: float | None) -> Any:
            return None if number is None else tensor(_scalar(number))

        return Attribution(
            values=tensor(values), delta=alone(row.delta), error=self.error, evaluations={}, method=self.title,
            parameters=dict(self.parameters or {}), target=row.target, seconds=self.seconds, progress=(0, 0),
            score=alone(row.score), baseline_score=alone(row.baseline_score),
        )  # fmt: skip

    def question(self, index: int, labels: words.Labels) -> dict[str, Any]:
        """The `question` trait."""
        target = self.rows[index].target
        number = isinstance(target, int) and not isinstance(target, bool)
        named = THIS if target is None else words.label(labels, target) if number else words.encodable(str(target))
        return {
            "target": target if number else None, "foil": None, "target_label": named, "foil_label": "",
            "baseline_title": words.encodable(self.baseline), "method_title": words.encodable(self.title), "score": "given",
        }  # fmt: skip

    def quality(self, index: int) -> dict[str, Any]:
        """The `quality` trait: what was given of it."""
        row = self.rows[index]
        known = row.score is not None and row.baseline_score is not None
        difference = (
            row.score - row.baseline_score if row.score is not None and row.baseline_score is not None else None
        )
        gap = abs(row.delta / difference) if known and difference and row.delta is not None else None
        return {
            "delta": row.delta, "difference": difference, "gap": gap, "error": self.error, "evaluations": {}, "steps": None,
            "seconds": self.seconds or None, "complete": self.complete or gap is not None,
        }  # fmt: skip


def fitting(found: list[dict[str, str]], facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Notices without advice for who has the model."""
    text = (
        f"The values miss {words.percent(facts['gap'] or 0.0)} of the difference between the score and the baseline's."
    )
    return [one | {"text": text} if one["code"] == "gap" else one for one in found]


class Shelf(TrustDrawer):
    """A widget without a model: in front of HeatmapOverlay or TokenStrip.

    `shelf` holds the traits of each input ("0") and of each answer ("0/name"), so that a page needs no kernel to change
    between them. It is empty where there is only one, and holds the first ones where all are too heavy to be saved.
    """

    shelf = traitlets.Dict().tag(sync=True)
    no_model = traitlets.Unicode(NO_MODEL).tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)

    choices: Sequence[Choice]
    labels: words.Labels

    def choice(self, params: Mapping[str, Any]) -> tuple[Choice, int]:
        """What `params` asks for. Raises InputError or ParameterError."""
        index = whole(params.get("input", 0), "input", len(self.choices[0].rows))
        named = {one.name: one for one in self.choices}
        name = str(params.get("method"))
        if name not in named:
            raise ParameterError("unknown_method", f"There are no values {name!r}", hint=did_you_mean(name, named))
        return named[name], index

    def fill(
        self, of_input: Callable[[int], dict[str, Any]], of_answer: Callable[[Choice, int], dict[str, Any]]
    ) -> int:
        """Put on the shelf what can be saved; how many bytes that is."""
        found: dict[str, Any] = {}
        total = 0
        if len(self.choices[0].rows) * len(self.choices) == 1:
            return total
        for key, traits in _entries(self.choices, of_input, of_answer):
            weight = sum(map(_weight, traits.values()))
            if total + weight > SHELF_BUDGET:
                break
            found[key], total = traits, total + weight
        self.shelf = found
        return total

    # --- the same in both -------------------------------------------------------------------------------------------

    def _tested(self, key: str) -> Tested:  # noqa: ARG002 - none can be
        raise no_model()

    def _title(self) -> str:
        return self.heading or super()._title()

    def static_state(self) -> dict[str, Any]:
        """As for every widget; a page has its own heading."""
        return super().static_state() | {"heading": ""}


def _entries(
    choices: Sequence[Choice],
    of_input: Callable[[int], dict[str, Any]],
    of_answer: Callable[[Choice, int], dict[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for index in range(len(choices[0].rows)):
        yield f"{index}", of_input(index)
        for one in choices:
            yield f"{index}/{one.name}", of_answer(one, index)


def no_model() -> InputError:
    """The error of everything that has to ask a model."""
    return InputError(
        "no_model", "There is no model to ask", NO_MODEL,
        'xaiwidgets.explain(model, …) has one; xaiwidgets.evaluate(model, inputs, {"name": values}) tests given values.',
    )  # fmt: skip


def _weight(value: Any) -> int:
    return len(value) if isinstance(value, (bytes, str)) else 12 * len(value) if isinstance(value, (list, dict)) else 8


def _scalar(number: float) -> Array:
    return np.asarray(number, np.float32)
