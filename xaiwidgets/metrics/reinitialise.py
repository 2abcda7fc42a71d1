"""Copies of a model whose layers have forgotten what they learned, one layer after another.

The layers come in the order in which a forward pass uses their parameters, not in the order in which they were written
down. Every layer draws from a generator of its own, so that layers of equal shape do not become equal, and the global
random state is never touched. The user's model is read once, under its lock, and never written to.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.layers import open_module
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.rewrite import Watch, tensors_in
from xaiwidgets.engine.state import lock_of
from xaiwidgets.engine.target import unwrap

from .case import generator_of

Kind = Literal["cascading", "independent", "bottom_up"]

DRAWS = frozenset(
    "bernoulli bernoulli_ cauchy_ exponential_ geometric_ log_normal_ multinomial normal normal_ rand randint randn random_ "
    "randperm uniform_".split()
)
"""Torch's functions that take a generator and draw from the global one without."""

LIKE = {"rand_like": "uniform_", "randint_like": "random_", "randn_like": "normal_"}
"""Those that take no generator in torch 2.8, and what fills an empty tensor in the same way."""


@dataclass(frozen=True)
class Layer:
    """Parameters that are drawn anew together.

    name      of the module that owns them; of the parameter itself where a module with layers inside owns it
    owner     name of the module
    tensors   the owner's names of the parameters
    whole     whether that is all the module has, so that its own `reset_parameters` may be called
    """

    name: str
    owner: str
    tensors: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, eq=False)
class Randomised:
    """A model after another layer was drawn anew: the working copy, valid until the next step is taken.

    name     of that layer; of the last one where a step draws several
    layers   the names of all that this step has drawn
    done     steps so far, of `total`
    """

    name: str
    layers: tuple[str, ...]
    done: int
    total: int
    module: nn.Module


def layers_of(problem: Problem) -> tuple[Layer, ...]:
    """The layers that have parameters, from the input to the output.

    One row goes through the model to see when each parameter is used; of those used several times (tied weights, a layer
    called twice), the last use counts. What this pass does not use is not among them. Raises ModelError for functions and
    scripted models, and if no parameter is used.
    """
    known = problem.memory("layers with parameters")
    if not known:
        known["layers"] = _found(problem)
    layers: tuple[Layer, ...] = known["layers"]
    return layers


def stages(layers: tuple[Layer, ...], kind: Kind, steps: int | None = None) -> list[list[int]]:
    """Positions of the layers that each step draws, in the order of the steps: neighbours together if there are too many."""
    order = list(range(len(layers)) if kind == "bottom_up" else reversed(range(len(layers))))
    count = min(len(order), steps or len(order))
    cuts = [len(order) * step // count for step in range(count + 1)]
    return [order[start:stop] for start, stop in pairwise(cuts)]


def reinitialised(
    problem: Problem, *, kind: Kind = "cascading", seed: int = 0, steps: int | None = None
) -> Iterator[Randomised]:
    """The model with more and more layers as before training.

    kind     "cascading" from the output down, each step on top of the last (Adebayo et al. 2018); "bottom_up" the same from
             the input; "independent" one step at a time, all other layers as trained
    seed     of the draws; a layer gets the same new values in every kind
    steps    how many at most: deeper models draw several neighbouring layers in one step; None: one layer a step

    A layer with `reset_parameters` of its own (torch's all have it) is reset by that, its running statistics included;
    other parameters are drawn from a normal distribution with their own mean and standard deviation, so that a constant
    (or a single number) stays as it is.
    """
    layers = layers_of(problem)
    module = copied(problem.module)
    plan = stages(layers, kind, steps)
    for done, places in enumerate(plan, 1):
        owners = {layers[place].owner: module.get_submodule(layers[place].owner) for place in places}
        before = {name: {key: one.clone() for key, one in _state(owner).items()} for name, owner in owners.items()}
        for place in places:
            redraw(owners[layers[place].owner], layers[place], generator_of(seed, place, "layer"))
        names = tuple(layers[place].name for place in places)
        yield Randomised(names[-1], names, done, len(plan), module)
        if kind == "independent":
            for name, owner in owners.items():
                _put(owner, before[name])


def copied(module: nn.Module | None) -> nn.Module:
    """A copy of the user's model, taken while nobody else uses it; without gradients. Raises ModelError if it has none."""
    original = open_module(module)
    with lock_of(original), torch.inference_mode(mode=False):
        try:
            twin = copy.deepcopy(original)
        except Exception as error:
            raise ModelError(
                "not_copied",
                "The model cannot be copied, and its layers are only drawn anew in a copy",
                f"{type(error).__name__}: {error}",
                "Make copy.deepcopy(model) work, or leave out the metrics that change the model.",
            ) from error
    for parameter in twin.parameters():
        parameter.grad = None
    return twin


def redraw(owner: nn.Module, layer: Layer, generator: torch.Generator) -> None:
    """Draw the parameters of a layer anew, in place.

    It is done on a copy on the CPU, where every device's draws are the same. What `reset_parameters` leaves exactly as it
    was (weights behind a parametrisation) is drawn as well.
    """
    fresh = copy.deepcopy(owner).cpu() if layer.whole else None
    reset = getattr(fresh, "reset_parameters", None)
    state = _state(owner)
    with torch.no_grad():
        if callable(reset):
            with _Drawn(generator):
                reset()
            after = _state(fresh)  # type: ignore[arg-type]  # it has a method, so it is a module
            own = {*layer.tensors, *dict(owner.named_buffers(recurse=False))}  # weights tied to another layer's are its
            changed = {name for name in own if name in after and not torch.equal(after[name], state[name].cpu())}
            _put(owner, {name: after[name] for name in changed})
        else:
            changed = set()
        for name in layer.tensors:
            if name not in changed:
                state[name].copy_(_alike(state[name], generator))


def _alike(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers with the mean and standard deviation of a tensor; a constant stays as it is."""
    wide = tensor.detach().cpu().double()
    spread = wide.std(correction=0)
    return wide if not spread else wide.mean() + spread * torch.randn(wide.shape, generator=generator).double()


def _state(module: nn.Module) -> dict[str, Tensor]:
    """The module's own parameters and buffers, by their own names."""
    tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: tensor.detach() for name, tensor in tensors}


def _put(module: nn.Module, values: dict[str, Tensor]) -> None:
    state = _state(module)
    for name, tensor in values.items():
        state[name].copy_(tensor)


# --- in which order ------------------------------------------------------------------------------------------------------


class _Uses(Watch):
    """Notes at which operation each known tensor was used last."""

    def __init__(self, known: dict[int, str]) -> None:
        super().__init__()
        self.known = known
        self.count = 0
        self.last: dict[str, int] = {}

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(True for _ in tensors_in(result)):  # asking for a shape or a dtype is no use
            self.count += 1
            for tensor in tensors_in((args, kwargs or {})):
                if id(tensor) in self.known:
                    self.last[self.known[id(tensor)]] = self.count
        return result


class _Drawn(TorchFunctionMode):
    """Random numbers come from one generator, whatever draws them: the global one is shared by all threads."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in LIKE:
            generator = keywords.pop("generator", None) or self.generator
            bounds = (*args[1:], *(keywords.pop(end) for end in ("low", "high") if end in keywords))
            with torch.no_grad():
                return getattr(torch.empty_like(*args[:1], **keywords), LIKE[name])(*bounds, generator=generator)
        if "generator" in keywords or name in DRAWS:
            keywords["generator"] = keywords.get("generator") or self.generator
        return func(*args, **keywords)


def _found(problem: Problem) -> tuple[Layer, ...]:
    module = open_module(problem.module)
    for part in module.modules():
        open_module(part)
    uses = _Uses(
        {id(parameter): name for name, parameter in module.named_parameters() if parameter.is_floating_point()}
    )

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        return (unwrap(chunk.output(rewrite=uses)),)

    problem.evaluate(work, problem.points[:1], torch.zeros(1, dtype=torch.long), gradient=False)
    found: list[tuple[int, Layer]] = []
    for owner, part in module.named_modules():
        used = {
            name: uses.last.get(f"{owner}.{name}" if owner else name)
            for name in dict(part.named_parameters(recurse=False))
        }
        places = {name: place for name, place in used.items() if place is not None}
        if not any(True for child in part.children() for _ in child.parameters()):
            if places:
                found.append(
                    (max(places.values()), Layer(owner or "the model itself", owner, tuple(places), whole=True))
                )
            continue
        for place in sorted(set(places.values())):
            names = tuple(name for name in places if places[name] == place)
            title = ".".join(filter(None, (owner, *names))) if len(names) == 1 else owner or ", ".join(names)
            found.append((place, Layer(title, owner, names, whole=False)))
    if not found:
        raise ModelError("no_layers", "The model uses no parameters that could be drawn anew", hint="Pass the module.")
    return tuple(layer for _, layer in sorted(found, key=lambda pair: pair[0]))
