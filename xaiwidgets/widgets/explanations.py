"""The kernel side of an explanation: results kept, requests checked.

Everything a page can send is validated here and in `questions`: it may only name inputs, classes, methods, baselines and
parameters that exist, with values in their ranges.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine import baselines
from xaiwidgets.engine.abilities import abilities
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.layers import find_layer
from xaiwidgets.engine.places import names_with_places
from xaiwidgets.engine.registry import METHODS, find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.metrics.case import Case
from xaiwidgets.widgets.questions import Questions, keep, whole

KEEP_RESULTS = 24
"""Kept for going back without computing."""

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
        self._model, self._given = model, given
        self._questions = Questions(model, inputs, target=target, **session)
        self.inputs = self._questions.inputs
        if "baseline" in given:
            baselines.resolve(given["baseline"], self.inputs)  # wrong ones are refused before anything is shown
        self.count, self.model_name = self._questions.count, self._questions.model_name
        self._results: OrderedDict[str, Explanation] = OrderedDict()
        self._layers: list[str] | None = None
        self._methods: list[str] | None = None
        self._models = 0

    def request(self, params: dict[str, Any]) -> Request:
        """Check a page's `params`. Raises InputError or ParameterError naming what is wrong."""
        self.refresh()
        method = find_method(str(params.get("method")))
        index = whole(params.get("input", 0), "input", self.count)
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
        target, foil = (self._questions.check_class(params.get(name), name) for name in ("target", "foil"))
        return Request(index, target, foil, method.name, baseline, values)

    def outputs(self, index: int, interrupt: Callable[[], None] | None = None) -> Tensor:
        """The model's output for one input, [classes] or whatever its shape is without the batch."""
        return self._questions.outputs(index, interrupt)

    def layers(self) -> list[str]:
        """Names of the layers whose output has places, in the order in which they run; none for a model that is no module."""
        if self._layers is None:
            problem = self._questions.session(0, None, None, None).problem.begin()
            readable = problem.module is not None and not isinstance(problem.module, torch.jit.ScriptModule)
            self._layers = names_with_places(problem) if readable else []
        return self._layers

    def methods(self) -> list[str]:
        """Names of the methods whose needs the model meets and whose values are as large as the image."""
        if self._methods is None:
            met = IMAGES_MEET | abilities(self._questions.session(0, None, None, None).problem.begin())
            self._methods = [one.name for one in METHODS.values() if met.issuperset(one.needs) and one.shape == "input"]
        return self._methods

    def explain(self, request: Request, interrupt: Callable[[], None]) -> Iterator[Explanation]:
        """Results for a request, each better than the last; a finished one is given again without computing."""
        outputs = self.outputs(request.input, interrupt)
        target, foil = self._questions.settled(request.input, request.target, request.foil)
        request = replace(request, target=target, foil=foil)
        known = self._results.get(request.key)
        if known is not None:
            self._results.move_to_end(request.key)
            yield known
            return
        session = self._questions.session(request.input, request.target, request.foil, interrupt)
        explanation = None
        for attribution in session.stream(request.method, **self._arguments(request)):
            explanation = Explanation(request, attribution, outputs, final=False)
            yield explanation
        if explanation is not None:
            keep(self._results, request.key, replace(explanation, final=True), KEEP_RESULTS)

    def refresh(self) -> bool:
        """Forget what is known if the model is another one by now; whether it is."""
        changed = self._questions.changed()
        if changed:
            self._results.clear()
            self._models += 1
        return changed

    def key(self, request: Request) -> str:
        """The name of a map: the same for the same question to the same model."""
        return f"{self._models}-{blake2b(request.key.encode(), digest_size=8).hexdigest()}"

    def case(self, request: Request, attribution: Attribution, interrupt: Callable[[], None]) -> Case:
        """A result as the metrics see it."""
        problem = self._questions.problem(request.input, request.target, request.foil, interrupt)
        method = find_method(request.method)
        parameters = method.check(self._arguments(request))
        return Case(problem, attribution.values, method=method, parameters=parameters, name="map")

    def predict_changed(self, index: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """The output for one input after `change` of its explained tensor [1, ...]."""
        session = self._questions.session(index, None, None, None)
        return (
            session.problem.outputs(change(session.problem.points), torch.zeros(1, dtype=torch.long))[0]
            .detach()
            .to("cpu", torch.float32)
        )

    def points(self, index: int) -> Tensor:
        """The explained tensor of one input, [1, ...]."""
        return self._questions.session(index, None, None, None).problem.points

    def close(self) -> None:
        """Let go of the model and of everything computed."""
        self._questions.close()
        self._results.clear()
        for name in ("_model", "inputs"):
            self.__dict__.pop(name, None)
        self._given = {}

    def _check_layer(self, values: dict[str, Any]) -> None:
        """A page names a layer, or leaves the choice to the method: then what was given from Python stays."""
        if "layer" not in values:
            return
        if values["layer"] in (None, ""):
            del values["layer"]
        else:
            values["layer"] = find_layer(module_of(self._model), str(values["layer"]))[0]

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
