"""The kernel side of an explanation: one session per question, results kept, requests checked.

Everything a page can send is validated here: it may only name inputs, classes, methods, baselines and parameters that
exist, with values in their ranges.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine import baselines
from xaiwidgets.engine.abilities import abilities
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError, ParameterError, did_you_mean
from xaiwidgets.engine.layers import find_layer
from xaiwidgets.engine.memory import model_stamp
from xaiwidgets.engine.places import names_with_places
from xaiwidgets.engine.registry import METHODS, find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.engine.target import Contrast

KEEP_RESULTS = 24
KEEP_SESSIONS = 6
"""Kept for going back without computing. A session keeps the gradients of its paths, so fewer of them."""

BASELINES = {
    "zeros": "zeros",
    "mean": "the mean of each channel",
    "blur": "the blurred input",
    "uniform": "uniform noise",
    "gaussian": "the input with Gaussian noise",
    "max_distance": "the most distant image",
}
IMAGES_MEET = frozenset({"gradient", "image", "layer"})
"""What methods need and every model of images has."""
GIVEN = "given"
"""The name under which a page refers to a baseline, layer or target that was passed from Python and is no plain value."""


@dataclass(frozen=True)
class Request:
    """What a page asks for: the `params` trait, checked."""

    input: int
    target: int | None
    foil: int | None
    method: str
    baseline: str
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        """Equal for equal requests."""
        return json.dumps(
            [self.input, self.target, self.foil, self.method, self.baseline, self.parameters],
            sort_keys=True,
            default=repr,
        )


@dataclass(frozen=True)
class Explanation:
    """One result to show: the request with its target filled in, the attribution, the outputs it explains."""

    request: Request
    attribution: Attribution
    outputs: Tensor
    final: bool


class Explanations:
    """Answers requests about one model and its inputs."""

    def __init__(self, model: Any, inputs: Any, *, target: Any, given: dict[str, Any], **session: Any) -> None:
        target = torch.as_tensor(target) if isinstance(target, (list, np.ndarray)) else target
        self._model, self._target, self._given, self._options = model, target, given, session
        self.inputs = Session(model, inputs, target=target, **session).problem.inputs
        if "baseline" in given:
            baselines.resolve(given["baseline"], self.inputs)  # wrong ones are refused before anything is shown
        self.count = self.inputs.rows
        self.model_name = type(model).__name__
        self._sessions: OrderedDict[tuple[Any, ...], Session] = OrderedDict()
        self._results: OrderedDict[str, Explanation] = OrderedDict()
        self._outputs: dict[int, Tensor] = {}
        self._layers: list[str] | None = None
        self._methods: list[str] | None = None
        self._lock = threading.Lock()
        self._stamp = model_stamp(module_of(model))

    def request(self, params: dict[str, Any]) -> Request:
        """Check a page's `params`. Raises InputError or ParameterError naming what is wrong."""
        self._forget_if_changed()
        method = find_method(str(params.get("method")))
        index = _whole(params.get("input", 0), "input", self.count)
        values = {str(name): value for name, value in dict(params.get("parameters") or {}).items()}
        baseline = str(params.get("baseline") or "zeros")
        if baseline not in BASELINES and not (baseline == GIVEN and "baseline" in self._given):
            raise ParameterError(
                "unknown_baseline", f"There is no baseline {baseline!r}", hint=did_you_mean(baseline, BASELINES)
            )
        # what belongs to another method or was given from Python is not the page's to say
        known = {parameter.name for parameter in method.parameters} - {"baseline"}
        values = {name: value for name, value in values.items() if name in known}
        self._check_layer(values)
        checked = method.check(values)
        values = {name: checked[name] for name in known if name in values or name not in self._given}
        classes = self._classes()
        target, foil = (
            None if params.get(name) is None else _whole(params[name], name, classes) for name in ("target", "foil")
        )
        return Request(index, target, foil, method.name, baseline, values)

    def outputs(self, index: int, interrupt: Callable[[], None] | None = None) -> Tensor:
        """The model's output for one input, [classes] or whatever its shape is without the batch."""
        if index not in self._outputs:
            self._outputs[index] = (
                self._session(index, None, None, interrupt).predict()[0].detach().to("cpu", torch.float32)
            )
        return self._outputs[index]

    def layers(self) -> list[str]:
        """Names of the layers whose output has places, in the order in which they run; none for a model that is no module."""
        if self._layers is None:
            problem = self._session(0, None, None, None).problem.begin()
            readable = problem.module is not None and not isinstance(problem.module, torch.jit.ScriptModule)
            self._layers = names_with_places(problem) if readable else []
        return self._layers

    def methods(self) -> list[str]:
        """Names of the methods whose needs the model meets and whose values are as large as the image."""
        if self._methods is None:
            met = IMAGES_MEET | abilities(self._session(0, None, None, None).problem.begin())
            self._methods = [one.name for one in METHODS.values() if met.issuperset(one.needs) and one.shape == "input"]
        return self._methods

    def explain(self, request: Request, interrupt: Callable[[], None]) -> Iterator[Explanation]:
        """Results for a request, each better than the last; a finished one is given again without computing."""
        outputs = self.outputs(request.input, interrupt)
        target = self._class(request.input, outputs) if request.target is None else request.target
        foil = None if target is None or request.foil == target else request.foil
        request = replace(request, target=target, foil=foil)
        known = self._results.get(request.key)
        if known is not None:
            self._results.move_to_end(request.key)
            yield known
            return
        session = self._session(request.input, request.target, request.foil, interrupt)
        explanation = None
        for attribution in session.stream(request.method, **self._arguments(request)):
            explanation = Explanation(request, attribution, outputs, final=False)
            yield explanation
        if explanation is not None:
            _keep(self._results, request.key, replace(explanation, final=True), KEEP_RESULTS)

    def predict_changed(self, index: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """The output for one input after `change` of its explained tensor [1, ...]."""
        session = self._session(index, None, None, None)
        return (
            session.problem.outputs(change(session.problem.points), torch.zeros(1, dtype=torch.long))[0]
            .detach()
            .to("cpu", torch.float32)
        )

    def points(self, index: int) -> Tensor:
        """The explained tensor of one input, [1, ...]."""
        return self._session(index, None, None, None).problem.points

    def close(self) -> None:
        """Let go of the model and of everything computed."""
        self._sessions.clear()
        self._results.clear()
        self._outputs.clear()
        for name in ("_model", "inputs", "_target"):
            self.__dict__.pop(name, None)
        self._given, self._options = {}, {}

    def _forget_if_changed(self) -> None:
        """A model that was trained on, or given other weights, is another model."""
        stamp = model_stamp(module_of(self._model))
        if stamp != self._stamp:
            self._stamp = stamp
            self._results.clear()
            self._outputs.clear()

    def _check_layer(self, values: dict[str, Any]) -> None:
        """A page names a layer, or leaves the choice to the method: then what was given from Python stays."""
        if "layer" not in values:
            return
        if values["layer"] in (None, ""):
            del values["layer"]
        else:
            values["layer"] = find_layer(module_of(self._model), str(values["layer"]))[0]

    def _classes(self) -> int:
        outputs = next(iter(self._outputs.values()), None)
        if outputs is None:
            outputs = self.outputs(0)
        return int(outputs.shape[0]) if outputs.ndim else 1

    def _class(self, index: int, outputs: Tensor) -> int | None:
        """The class a request that names none is about; None where the score is no class."""
        target = _of_row(self._target, index)
        if outputs.ndim != 1:
            return None
        if target is None:
            return int(outputs.argmax()) if len(outputs) > 1 else None
        whole = isinstance(target, np.integer) or (isinstance(target, Tensor) and target.numel() == 1)
        return int(target) if whole else None

    def _session(
        self, index: int, target: int | None, foil: int | None, interrupt: Callable[[], None] | None
    ) -> Session:
        # what is asked beside a run must not share its interrupt
        key = (index, target, foil, interrupt is None)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                chosen: Any = _of_row(self._target, index)
                if target is not None:
                    chosen = target if foil is None else Contrast(target, foil)
                session = Session(self._model, self.inputs.select([index]), target=chosen, **self._options)
            _keep(self._sessions, key, session, KEEP_SESSIONS)
            session.problem.interrupt = interrupt
            return session

    def _arguments(self, request: Request) -> dict[str, Any]:
        method = find_method(request.method)
        arguments = dict(request.parameters)
        names = {parameter.name for parameter in method.parameters}
        arguments |= {name: value for name, value in self._given.items() if name in names and name not in arguments}
        if "baseline" in names:
            named = request.baseline != GIVEN
            arguments["baseline"] = (
                request.baseline if named else self._baseline_of(arguments["baseline"], request.input)
            )
        return arguments

    def _baseline_of(self, baseline: Any, index: int) -> Any:
        """A baseline that was given for all inputs, for one of them."""
        if isinstance(baseline, list):
            return [self._baseline_of(member, index) for member in baseline]
        each = isinstance(baseline, Tensor) and baseline.ndim == self.inputs.points.ndim and len(baseline) == self.count
        return baseline[index : index + 1] if each else baseline


def _of_row(target: Any, index: int) -> Any:
    """A target's part for one input, where it has one for each."""
    if isinstance(target, Contrast):
        return Contrast(_of_row(target.a, index), _of_row(target.b, index))
    return target[index : index + 1] if isinstance(target, Tensor) and target.ndim else target


def _whole(value: Any, name: str, below: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise InputError(
            "out_of_range", f"{name}={value!r} is out of range", hint=f"Choose a whole number in 0..{below - 1}."
        )
    return value


def _keep(store: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    store[key] = value
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
