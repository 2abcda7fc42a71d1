"""The course of a forward pass: which calls matter, who reads what, and what could be done instead of each.

Only calls with the model's own parameters are changed. A tensor counts as read by one call alone if no other call got it
and nobody holds it once the model has returned; that is found out without autograd, which would hold more.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from .rewrite import tensors_in
from .stem import suits

# A mode costs some 0.3 ms a pass: what a CPU's core multiplies and adds in that time, and no small network gains.
LEAST_WORK = 20_000_000
KINDS: dict[Any, str] = {
    torch.conv1d: "convolution",
    torch.conv2d: "convolution",
    torch.conv3d: "convolution",
    functional.batch_norm: "normalisation",
    functional.relu: "relu",
    torch.relu: "relu",
    Tensor.relu: "relu",
    torch.add: "sum",
    Tensor.add: "sum",
}
# Questions about a tensor that read none of its values.
METADATA = {
    Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.__len__,
    *(getattr(Tensor, name).__get__ for name in ("shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda")),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """One of the calls that matter, in their order."""

    kind: str
    parameters: tuple[
        Any, ...
    ] = ()  # weight and bias, or mean, variance, weight and bias; empty unless all are the model's
    source: int | None = None  # the step whose result it reads first
    only_reader: int | None = None  # the step that alone reads its result, which is gone afterwards
    epsilon: float | None = None  # of a normalisation by kept statistics
    in_place: bool = False
    work: int = 0  # multiplications and additions of a convolution
    stem: bool = False  # a convolution with a faster way to its input's gradient
    weights: tuple[Tensor, Any] | None = None  # instead of a convolution's own
    folded: bool = False  # a convolution that is normalised already, a normalisation with nothing left to do


@dataclass
class _Result:
    step: int
    where: weakref.ref[Tensor]
    readers: list[int | None] = field(default_factory=list)


class Recorder(TorchFunctionMode):
    """Writes down a forward pass without changing it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.own = {id(None), *map(id, module.parameters()), *map(id, module.buffers())}
        self.steps: list[Step] = []
        self.results: list[_Result] = []
        self.known: Any = WeakIdKeyDictionary()

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in METADATA:
            return func(*args, **kwargs)
        kind, place = KINDS.get(func), len(self.steps)
        for tensor in tensors_in((args, kwargs)):
            if (read := self.known.get(tensor)) is not None:
                read.readers.append(place if kind else None)
        source = self.known.get(args[0]) if kind else None
        result = func(*args, **kwargs)
        if kind is not None:
            step = DESCRIBED[kind](*args, **kwargs)
            if any(id(one) not in self.own for one in step.parameters):
                step = replace(step, parameters=())
            work = (
                result.numel() * args[1].numel() // len(args[1]) if step.kind == "convolution" and len(args) > 1 else 0
            )
            self.steps.append(replace(step, source=None if source is None else source.step, work=work))
            self.results.append(_Result(place, weakref.ref(result)))
            self.known[result] = self.results[-1]
        return result

    def finished(self) -> list[Step]:
        """The steps, once the model has returned; its output must still be held."""
        single = [result.where() is None and len(result.readers) == 1 for result in self.results]
        readers = [result.readers[0] if one else None for result, one in zip(self.results, single, strict=True)]
        return [replace(step, only_reader=reader) for step, reader in zip(self.steps, readers, strict=True)]


def _convolution(_input: Tensor, weight: Tensor, bias: Any = None, *options: Any, **named: Any) -> Step:
    return Step("convolution", (weight, bias), stem=suits(weight, *options, **named))


def _normalisation(_input: Tensor, mean: Any, variance: Any, *args: Any, **kwargs: Any) -> Step:
    given = dict(zip(("weight", "bias", "training", "momentum", "eps"), args, strict=False)) | kwargs
    kept = not given.get("training") and mean is not None
    parameters = (mean, variance, given.get("weight"), given.get("bias"))
    return Step("normalisation", parameters, epsilon=given.get("eps", 1e-5) if kept else None)


def _relu(_input: Tensor, inplace: bool = False) -> Step:
    return Step("relu", in_place=inplace)


def _sum(*_args: Any, **kwargs: Any) -> Step:
    return Step("sum", in_place="out" in kwargs)


DESCRIBED: dict[str, Callable[..., Step]] = {
    "convolution": _convolution, "normalisation": _normalisation, "relu": _relu, "sum": _sum,
}  # fmt: skip


def planned(steps: list[Step], *, channels_last: bool) -> list[Step] | None:
    """What to do at every step, or None if there is nothing to gain."""
    plan = [replace(step, in_place=_can_overwrite(steps, place)) for place, step in enumerate(steps)]
    convolutions = [(place, step) for place, step in enumerate(steps) if step.kind == "convolution" and step.parameters]
    turned = channels_last and sum(_turns(step.parameters[0]) for _, step in convolutions) > 1
    with torch.no_grad():
        for place, step in convolutions:
            weight, bias = step.parameters
            after = _foldable(steps, place)
            if after is not None:
                weight, bias = _folded(weight, bias, steps[after])
                plan[after] = replace(plan[after], folded=True)
            if turned and _turns(weight):
                weight = weight.contiguous(memory_format=torch.channels_last)
            if after is not None or turned or step.stem:
                plan[place] = replace(plan[place], folded=after is not None, weights=(weight, bias))
    gained = any(step.weights for step in plan) and sum(step.work for step in steps) >= LEAST_WORK
    return plan if gained else None


def _foldable(steps: list[Step], place: int) -> int | None:
    """The normalisation that alone reads a convolution's result."""
    after = steps[place].only_reader
    if after is None:
        return None
    reader = steps[after]
    kept = reader.kind == "normalisation" and bool(reader.parameters) and reader.epsilon is not None
    return after if kept and reader.source == place else None


def _folded(weight: Tensor, bias: Any, normalisation: Step) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that normalises: scale (w x + b - mean) / sqrt(variance + epsilon) + shift."""
    mean, variance, scale, shift = normalisation.parameters
    factor = (variance.double() + normalisation.epsilon).rsqrt() * (1 if scale is None else scale)
    moved = ((0 if bias is None else bias) - mean.double()) * factor + (0 if shift is None else shift)
    scaled = weight * factor.to(torch.promote_types(weight.dtype, torch.float32)).view(-1, *[1] * (weight.ndim - 1))
    return scaled.to(weight), moved.to(weight)


def _can_overwrite(steps: list[Step], place: int) -> bool:
    """Whether a ReLU's input was made just before, for it alone."""
    step = steps[place]
    if step.kind != "relu" or step.in_place or step.source is None or step.source != place - 1:
        return False
    made = steps[step.source]
    return made.kind != "relu" and not made.in_place and made.only_reader == place


def _turns(weight: Tensor) -> bool:
    """Where a convolution is faster with the channels last."""
    return weight.ndim == 4 and weight.device.type in ("cpu", "cuda") and weight.dtype != torch.float64
