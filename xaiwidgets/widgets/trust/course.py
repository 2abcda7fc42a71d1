"""The tests, one after another: what says most for its price comes first, and each step can be shown.

The map's own curves in few points; then where random orders lie, and the controls; the curves in more points; the model made
random layer by layer; the curves in all points. What does not depend on the settings is kept for the next ones.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import xaiwidgets.metrics.controls  # noqa: F401 - importing registers them
from xaiwidgets.engine.errors import Cancelled, ExplainError, ModelError
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.fills import Kind, removal_by
from xaiwidgets.metrics.likeness import likeness, places_of
from xaiwidgets.metrics.randomisation import LayerStep, randomising
from xaiwidgets.metrics.registry import CONTROLS
from xaiwidgets.metrics.removal import Walk, removal_walk

from .findings import ALIKE, KINDS, SHARES, Control, Findings, Layers, Line, Settings
from .tested import Tested, on_map

ORDERS = 16
"""Random orders in the band."""
STEPS, COARSE = 33, 17
"""Points of the map's curves, and of those they are compared with."""
MOST_LAYERS, SHOWN_LAYERS = 16, 6
"""Steps in which the model is made random, and those whose maps are kept."""
GRADIENT = 2.0
"""What a gradient costs, in passes."""
Interrupt = Callable[[], None]


class Course:
    """The tests of one map. `findings` grow; `progress` is (done, total, what is being done), in passes, roughly."""

    def __init__(self, tested: Tested) -> None:
        self.tested = tested
        self.findings = Findings()
        self.settings: Settings | None = None
        self.finished: Settings | None = None
        self.progress: tuple[float, float, str] = (0.0, 0.0, "")
        self._case: Case | None = None
        self._total = self._done = 0.0

    def run(self, settings: Settings, interrupt: Interrupt) -> Iterator[Findings]:
        """Findings, each time there are more of them. Asked again, it pays only for what is new."""
        if settings == self.finished:
            yield self.findings
            return
        if settings != self.settings:
            self.findings.curves, self.findings.frames = {kind: {} for kind in KINDS}, {}
        self.settings, self.finished = settings, None
        started, before = time.perf_counter(), self.findings.seconds
        for _ in self._steps(settings, interrupt):
            self.findings.seconds = before + time.perf_counter() - started
            if self._case is not None:
                self.findings.evaluations = dict(self._case.evaluations)
            yield self.findings
        self.finished = settings

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _steps(self, settings: Settings, interrupt: Interrupt) -> Iterator[None]:
        self._plan()
        if self._case is None:
            self._case = self.tested.case(interrupt)
        case = self._case
        order = case.order()
        self.findings.frames = self._frames(case, order, settings)
        own = {kind: self._walk(case, order[None], kind, settings, STEPS) for kind in KINDS}
        yield from self._curves("map", own, "first points")
        random = torch.stack([case.random_orders(seed) for seed in range(1, ORDERS + 1)])
        yield from self._whole_curves("random", random, settings, "random orders")
        yield from self._controls(case)
        control = self.tested.subject.control
        if self.findings.control(control) is not None:
            ranking = case.order(values=self._control(control))
            yield from self._whole_curves(control, ranking[None], settings, control)
        while any(len(self.findings.curves[kind]["map"].x) < COARSE for kind in KINDS):
            more = yield from self._curves("map", own, "more points")
            if not more:
                break
        yield from self._randomised(case)
        while (yield from self._curves("map", own, "more points")):
            pass

    def _walk(self, case: Case, orders: Tensor, kind: Kind, settings: Settings, steps: int) -> Iterator[Walk]:
        measure: Any = settings.measure
        return removal_walk(case, orders, kind=kind, fill=settings.fill, measure=measure, steps=steps)

    def _curves(self, name: str, walks: dict[Kind, Iterator[Walk]], phase: str) -> Generator[None, None, bool]:
        """One refinement of each kind of curve; whether there was one."""
        more = False
        for kind, walk in walks.items():
            self._say(phase)
            found = next(walk, None)
            if found is None:
                continue
            more = True
            before = self.findings.curves[kind].get(name)
            tries = found.values[:, 0].double().cpu().numpy()
            if not np.isfinite(tries).all():
                raise ModelError(
                    "non_finite_scores",
                    "The model gives NaN or infinity where parts of the input are missing",
                    hint="Choose another fill.",
                )
            known = 0 if before is None else len(before.x)
            if len(found.x) <= known:
                continue  # taken up again after it was stopped
            self._done += (len(found.x) - known) * len(tries)
            self.findings.curves[kind][name] = Line(found.x.double().cpu().numpy(), tries)
            if len(tries) > 1:
                yield  # many tries take their time
        if more:
            yield
        return more

    def _whole_curves(self, name: str, orders: Tensor, settings: Settings, phase: str) -> Iterator[None]:
        assert self._case is not None  # noqa: S101 - made before any curve
        walks = {kind: self._walk(self._case, orders, kind, settings, COARSE) for kind in KINDS}
        while (yield from self._curves(name, walks, phase)):
            pass

    def _controls(self, case: Case) -> Iterator[None]:
        """Maps that know nothing of the model, and how like them this one is."""
        if self.findings.control("map") is not None:
            return
        places = places_of(case, "auto")
        found = [Control("map", "This map", on_map(case.values), self.tested.signed)]
        for name in ("random", self.tested.subject.control):
            self._say(name)
            values = self._control(name)
            if name != "random" and bool((values == values.flatten()[0]).all()):
                continue  # nothing to be like
            alike = likeness(case, case.values, values, places)
            found.append(Control(name, CONTROLS[name].title, on_map(values), name == "random", **_row(alike)))
        self.findings.controls = found
        yield

    def _randomised(self, case: Case) -> Iterator[None]:
        """The same method, of a model whose layers are made random from the output downwards."""
        done = self.findings.layers
        if "randomisation" in self.findings.missing or (done is not None and done.finished):
            return
        try:
            yield from self._layers(case)
        except Cancelled:
            raise
        except ExplainError as error:
            self.findings.missing["randomisation"] = " ".join(filter(None, (error.title + ".", error.detail)))
            self.findings.layers = None
            yield

    def _layers(self, case: Case) -> Iterator[None]:
        self._say("layers made random")
        cost, layers = self._cost_of_map(), Layers(())
        shown: set[int] = set()
        for step in randomising(case, kind="cascading", steps=MOST_LAYERS):
            place = len(layers.rank)
            if place == 0:
                layers.names, shown = step.names, _spread(step.total, SHOWN_LAYERS)
                self._total += cost * (step.total - MOST_LAYERS)
                self.findings.layers = layers
            for name, values in _row(step).items():
                getattr(layers, name).append(values)
            layers.output.append(float(step.output[0]))
            if place in shown:
                layers.maps[place] = on_map(step.values)
            self._done += cost
            self._say("layers made random")
            if layers.finished:
                self._add_randomised(layers, step.values)
            yield

    def _add_randomised(self, layers: Layers, values: Tensor) -> None:
        alike = {name: getattr(layers, name)[-1] for name in ALIKE}
        kept = [one for one in self.findings.controls if one.key != "randomised"]
        title = "Same method, all weights random"
        self.findings.controls = [*kept, Control("randomised", title, on_map(values), self.tested.signed, **alike)]

    # --- parts -------------------------------------------------------------------------------------------------------

    def _control(self, name: str) -> Tensor:
        """A map that knows nothing of the model, like the case's values."""
        case = self._case
        assert case is not None  # noqa: S101 - made before any control

        def make() -> Tensor:
            other = copy.copy(case)
            other.method, other.parameters = CONTROLS[name], {}
            return other.explain()

        return case.shared(("control", name), make)

    def _frames(self, case: Case, order: Tensor, settings: Settings) -> dict[str, NDArray[np.uint8]]:
        """The input as the model sees it at some shares of the curves."""
        subject, count = self.tested.subject, case.counts[0]
        rows = torch.zeros(len(SHARES), dtype=torch.long)
        found: dict[str, NDArray[np.uint8]] = {}
        for kind in KINDS:
            gone = torch.zeros(len(SHARES), case.count, dtype=torch.bool)
            for row, share in enumerate(SHARES):
                taken = order[0, : round(share * count)] if kind == "deletion" else order[0, round(share * count) :]
                gone[row, taken] = True
            if subject.pixels is None:
                ids = case.ids[0].reshape(-1)
                there = ~(gone[:, ids.clamp(min=0)] & (ids >= 0))
                found[kind] = there.numpy().astype(np.uint8)
            else:
                points = removal_by(case, settings.fill, 0, kind).points(rows, gone)
                found[kind] = np.stack([subject.pixels(point) for point in points])
        return found

    # --- how far -----------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        self._done, self._total = 0.0, 2.0 * (STEPS + (ORDERS + 1) * COARSE)
        layers = self.findings.layers
        if (layers is None or not layers.finished) and "randomisation" not in self.findings.missing:
            self._total += MOST_LAYERS * self._cost_of_map()
        self._say("looking at the model")

    def _cost_of_map(self) -> float:
        evaluations = self.tested.attribution.evaluations
        return float(evaluations.get("forward", 0) + GRADIENT * evaluations.get("gradient", 0))

    def _say(self, phase: str) -> None:
        self.progress = (min(self._done, self._total), self._total, phase)


def _row(alike: LayerStep | dict[str, Tensor]) -> dict[str, float]:
    """How alike two maps of the one row are; NaN where that is not defined."""
    found = alike if isinstance(alike, dict) else vars(alike)
    values = {name: found.get(name) for name in ALIKE}
    return {name: math.nan if value is None else float(value[0]) for name, value in values.items()}


def _spread(count: int, most: int) -> set[int]:
    """At most so many of the numbers below `count`, evenly, with both ends."""
    return {round(place) for place in np.linspace(0, count - 1, min(most, count))} if count else set()
