"""What a metric sees: one attribution about one problem, the means to ask both again, and the units the input is made of.

Numbers about units and rows are float64 on the CPU; points, values and masks live where the model is.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.fusion import Fusion
from xaiwidgets.engine.inputs import require_differentiable
from xaiwidgets.engine.layers import find_layer
from xaiwidgets.engine.memory import Memory
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import Regions, resolve
from xaiwidgets.engine.registry import Method, Partial
from xaiwidgets.engine.state import lock_of, module_of
from xaiwidgets.engine.target import Target, scorers_of

from .shapes import mask_of, values_of

Measure = Literal["probability", "logit"]
T = TypeVar("T")


class Case:
    """One attribution about one problem.

    problem      the question; points [rows, ...]. Its count of evaluations is this case's own
    values       [rows, ...] the attribution, broadcastable to the points (or with fewer axes behind the first ones: [rows,
                 tokens] for points [rows, tokens, width])
    method       what made the values and can make others, None for bare values; `parameters` are its
    mask         [1 or rows, ...] where the object is, bool, broadcastable to the points; None where there is none
    ids          [1 or rows, ...] which unit each value of the input belongs to, -1 where to none; counts [rows] units of a row
    others       by name, the values of the other attributions of the same evaluation
    name         of the attribution in the evaluation
    memory       what all metrics and attributions of an evaluation share
    """

    ids: Tensor
    counts: tuple[int, ...]

    def __init__(
        self,
        problem: Problem,
        values: Any,
        *,
        method: Method | None = None,
        parameters: Mapping[str, Any] | None = None,
        seed: int = 0,
        mask: Any = None,
        regions: Any = "auto",
        name: str = "",
        others: Mapping[str, Tensor] | None = None,
        memory: dict[Hashable, Any] | None = None,
    ) -> None:
        if problem.columns > 1:
            raise InputError(
                "several_targets", "A metric is about one target at a time", hint="Evaluate the targets one by one."
            )
        self.problem = problem.begin()
        self.method = method
        self.parameters = dict(parameters or {})
        self.seed = seed
        self.name = name
        self.others = dict(others or {})
        self.memory: dict[Hashable, Any] = {} if memory is None else memory
        self.values = values_of(self.problem, values)
        self.mask = None if mask is None else mask_of(self.problem, mask)
        named = regions if isinstance(regions, str) else id(regions)  # which stays its own while it is remembered
        self.ids, self.counts, _ = self.shared(("units", named), lambda: (*self.units(regions), regions))

    @property
    def rows(self) -> int:
        return self.problem.rows

    @property
    def evaluations(self) -> dict[str, int]:
        """Rows evaluated by the model for this case so far."""
        return self.problem.evaluations

    # --- units -----------------------------------------------------------------------------------------------------

    def units(self, regions: Any) -> tuple[Tensor, tuple[int, ...]]:
        """`ids` and `counts` of regions: "auto" is pixels with all their channels together, or every value of other inputs."""
        found: Regions = resolve(
            "pixel" if isinstance(regions, str) and regions == "auto" else regions, self.problem.inputs
        )
        counts = found.counts if len(found.counts) == self.rows else found.counts * self.rows
        return found.ids.cpu(), counts

    @property
    def count(self) -> int:
        """Units of the row that has most: the length of every axis of units."""
        return max(self.counts)

    @property
    def present(self) -> Tensor:
        """[rows, units] bool: false beyond a row's own units."""
        return torch.arange(self.count) < torch.tensor(self.counts)[:, None]

    def importance(self, values: Tensor | None = None) -> Tensor:
        """[rows, units] float64: the sum of the values in each unit, NaN beyond a row's own units."""
        own = self.widened(self.values if values is None else values).detach().cpu().double()
        own, ids = torch.broadcast_tensors(own, self.ids)  # broadcast_shapes would import sympy, which takes a second
        own, ids = own.flatten(1), ids.flatten(1)
        own = own.masked_fill(ids < 0, 0)
        sums = torch.zeros(self.rows, self.count, dtype=torch.float64).scatter_add(1, ids.clamp(min=0), own)
        return sums.masked_fill(~self.present, float("nan"))

    def order(
        self,
        *,
        ascending: bool = False,
        absolute: bool = False,
        seed: int | None = None,
        values: Tensor | None = None,
    ) -> Tensor:
        """[rows, units] units, the most important first; ties in an order that only the seed and the row decide.

        Beyond a row's own units come the numbers of units it does not have.
        """
        importance = self.importance(values)
        importance = importance.abs() if absolute else importance
        ranked = (importance if ascending else -importance).masked_fill(~self.present, math.inf)
        mixed = self.random_orders(seed)
        return mixed.gather(1, ranked.gather(1, mixed).argsort(dim=1, stable=True))

    def random_orders(self, seed: int | None = None) -> Tensor:
        """[rows, units] all units of each row in a random order."""
        seed = self.seed if seed is None else seed

        def draw() -> Tensor:
            orders = torch.arange(self.count).repeat(self.rows, 1)
            for row, own in enumerate(self.counts):
                orders[row, :own] = torch.randperm(own, generator=generator_of(seed, row, "order"))
            return orders

        return self.shared(("random orders", seed, self.counts), draw)

    def replaced(self, rows: Tensor, chosen: Tensor, fill: Tensor) -> Tensor:
        """The points [m, ...] of rows [m] with the chosen [m, units] units taken from `fill` [1 or m, ...]."""
        if len(fill) not in (1, len(rows)):
            raise ValueError(f"{len(fill)} fills for {len(rows)} points: pass fill[rows]")
        points = self.problem.points
        return torch.where(self.taken(rows, chosen), fill.to(points), points[rows.to(points.device)])

    def taken(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """Which values of the points belong to the chosen [m, units] units of rows [m]: bool [m, ...], broadcastable to the points."""
        ids = self.ids if len(self.ids) == 1 else self.ids[rows.cpu()]
        flat = ids.expand(len(rows), *ids.shape[1:]).flatten(1)
        taken = chosen.cpu().gather(1, flat.clamp(min=0)) & (flat >= 0)
        return taken.reshape(len(rows), *ids.shape[1:]).to(self.problem.device)

    def widened(self, values: Tensor) -> Tensor:
        """Values with as many axes as the points."""
        return values.reshape(*values.shape, *[1] * (self.problem.points.ndim - values.ndim))

    # --- asking the model and the method ---------------------------------------------------------------------------

    def scores(self, points: Tensor, rows: Tensor, measure: Measure = "logit") -> Tensor:
        """[m] float64 of the explained target: the score as it was asked about, or its probability.

        A model with one output has the probability of the logistic function.
        """
        return measured(self.problem, measure).values(points, rows).cpu().double()

    def outputs(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """The model's output for the points (for the inputs), detached."""
        return self.problem.outputs(points, rows)

    def explain(self, problem: Problem | None = None, **overrides: Any) -> Tensor:
        """The method's values [rows, ...] at the problem's own points, or at those of another one like it.

        problem     `case.problem.with_points(points)`, or `case.asked_of(module)`
        overrides   parameters of the method
        """
        if self.method is None:
            raise bare_values("This")
        *_, last = explained(
            self.problem if problem is None else problem, self.method, {**self.parameters, **overrides}
        )
        return values_of(self.problem, last.values)

    def asked_of(self, module: nn.Module) -> Problem:
        """The same question to another module of the same shape. It counts as this case's evaluations."""
        return asked_of(self.problem, module)

    def asking(self, target: Target) -> Problem:
        """The same question about another target."""
        other = copy.copy(self.problem)
        other.scorers = scorers_of(target, self.problem.scorers[0].score, self.rows)
        other.remembered = Memory()
        return other

    def baselines(self, baseline: Any) -> Tensor:
        """Any way of naming a baseline as points [k, rows, ...]."""
        return self.problem.baselines(baseline)

    # --- what is shared, what is random ------------------------------------------------------------------------------

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once an evaluation for all metrics and all attributions: the key says all it depends on."""
        if key not in self.memory:
            self.memory[key] = make()
        return cast("T", self.memory[key])

    def own(self, key: Hashable, make: Callable[[], T]) -> T:
        """The same for what depends on this attribution's values too."""
        return self.shared(("of", self.name, key), make)

    def generator(self, row: int, *salt: Hashable) -> torch.Generator:
        """Random numbers of one row: they depend on the seed, the row's number and the salt, and on no other row."""
        return generator_of(self.seed, row, *salt)


def generator_of(seed: int, row: int, *salt: Hashable) -> torch.Generator:
    """A private source of random numbers on the CPU."""
    name = hashlib.blake2b(repr((seed, row, *salt)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(name, "big") >> 1)


def explained(problem: Problem, method: Method, parameters: Mapping[str, Any]) -> Generator[Partial]:
    """A method's partial results about a problem; evaluations are the problem's."""
    given = dict(parameters)
    if "layer" in given and not any(parameter.name == "layer" for parameter in method.parameters):
        problem = problem.at(given.pop("layer"))
    if "gradient" in method.needs and "attention" not in method.needs:
        require_differentiable(problem.inputs, method.title)
    given = method.check(given)
    partials = None
    try:
        while True:
            with torch.inference_mode(mode=False), torch.no_grad():  # whatever mode the consumer is in
                if partials is None:
                    partials = method.run(problem, **given)
                partial = next(partials, None)
            if partial is None:
                return
            yield partial
    finally:
        if partials is not None:
            partials.close()  # type: ignore[attr-defined] # methods are generator functions


def measured(problem: Problem, measure: Measure) -> Problem:
    """The same problem with its score read as a probability, or as it is."""
    if measure == "logit":
        return problem
    other = copy.copy(problem)
    scorers = []
    for scorer in problem.scorers:
        if scorer.function is not None:
            raise ParameterError(
                "measure_of_callable",
                f"measure={measure!r} has no meaning for a target that is a function",
                hint='Use measure="logit", or let the function return a probability.',
            )
        scorers.append(copy.copy(scorer))
        scorers[-1].score = "probability"
    other.scorers = tuple(scorers)
    return other


def asked_of(problem: Problem, module: nn.Module) -> Problem:
    """The same question to another module of the same shape."""
    if problem.module is None or module_of(problem.call) is not problem.module:
        raise ParameterError(
            "model_is_a_function",
            "The question cannot be asked of another model",
            "The model is reached through a function (forward=, or a neuron as target), which would still call the first one.",
            "Pass the torch module itself.",
        )
    other = copy.copy(problem)
    name = getattr(problem.call, "__name__", "") if getattr(problem.call, "__self__", None) is problem.module else ""
    other.call = getattr(module, name) if name else module
    other.module = module
    other.fusion, other.lock, other.remembered = Fusion(module, other.call), lock_of(module), Memory()
    return other


def by_name(problem: Problem, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with layers given by their names, so that they mean the same in a copy of the model."""
    found = dict(parameters)
    if isinstance(found.get("layer"), nn.Module):
        found["layer"] = find_layer(problem.module, found["layer"])[0]
    return found


def bare_values(who: str, name: str = "") -> ParameterError:
    """The error of a metric that would have to run a method nobody named; `name` is the attribution's."""
    return ParameterError(
        "bare_values",
        f"{who} runs the method again, and bare values do not say which method made them",
        f"{name!r} are such values." if name else "",
        "Pass a method's name, (name, parameters), or what xaiwidgets.attribute returned.",
    )
