"""Difference quotients of single operations: what DeepLIFT's multipliers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.rewrite import SELECTING
from xaiwidgets.engine.tape import Call

Elementwise = Callable[[Tensor], Tensor]
# Straight between their bends, so that a difference quotient is as exact as the numbers are.
STRAIGHT = frozenset(
    "relu relu6 leaky_relu rrelu prelu hardtanh hardsigmoid threshold abs clamp clamp_min clamp_max hardshrink softshrink "
    "sign floor ceil round".split()
)
POOLS = frozenset(name for name in SELECTING if "pool" in name)


class Mapped(torch.autograd.Function):
    """An operation's own value, and a linear map of the measurer's choice for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, measure: Callable[[Tensor], tuple[Tensor, Any, tuple[Tensor, ...]]]) -> Tensor:
        value, ctx.back, kept = measure(x)
        ctx.save_for_backward(*kept)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return ctx.back(gradients[0], *ctx.saved_tensors), None


def _multiplied(gradient: Tensor, multiplier: Tensor) -> Tensor:
    return gradient * multiplier


def scaled(x: Tensor, value: Tensor, multiplier: Callable[[], Tensor]) -> Tensor:
    """Some value; its gradient is that of x times a multiplier."""
    return Mapped.apply(x, lambda _x: (value, _multiplied, (multiplier().to(x.dtype),)))  # type: ignore[no-any-return, no-untyped-call]


def slope(f: Elementwise, x: Tensor, x0: Tensor, y: Tensor, y0: Tensor, *, straight: bool = False) -> Tensor:
    """Δy / Δx; where both differences drown in rounding the derivative halfway, which is off by O(Δ²) only."""
    step, rise = x - x0, y - y0
    if straight:
        near = step == 0
    else:
        small = torch.finfo(x.dtype).eps ** (1 / 3)
        near = (step.abs() > small * (x.abs() + x0.abs())) | (rise.abs() > small * (y.abs() + y0.abs()))
        near = ~near | (step == 0)  # whatever is not a number counts as near
    if not bool(near.any()):
        return rise.div_(step)
    return torch.where(near, _derivative(f, (x + x0) / 2), rise / torch.where(near, 1, step))


def _derivative(f: Elementwise, x: Tensor) -> Tensor:
    """Of an elementwise function; zero where it has none that is finite."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(f(x).sum(), x)
    return found.nan_to_num_(0, 0, 0)


def log_weights(x: Tensor, x0: Tensor, dim: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Weights w with Σ w Δx = Δ log Σ exp x, and log Σ exp of both, in the shape of a sum that keeps its axes."""
    top = torch.maximum(x, x0).amax(dim, keepdim=True)
    e, e0 = (x - top).exp_(), (x0 - top).exp_()
    total, total0 = e.sum(dim, keepdim=True), e0.sum(dim, keepdim=True)
    log, log0 = x.logsumexp(dim, keepdim=True), x0.logsumexp(dim, keepdim=True)
    rise = total - total0
    near = rise.abs() <= torch.finfo(x.dtype).eps ** (1 / 3) * (total + total0)
    of_log = torch.where(near, 2 / (total + total0), (log - log0) / torch.where(near, 1, rise))
    return slope(lambda t: (t - top).exp(), x, x0, e, e0).mul_(of_log), log, log0


Picker = Callable[[Tensor], Tensor]


def credited(x: Tensor, x0: Tensor, index: Tensor, index0: Tensor) -> Picker:
    """What is picked from the last axis [..., n] at index [..., k] now and index0 at the reference, as a linear map."""
    step = x - x0
    values, values0 = x.gather(-1, index), x0.gather(-1, index0)
    top = torch.maximum(values, values0)
    shares = [(index, top - values0), (index0, values - top)]
    for place, (one, rise) in enumerate(shares):
        own = step.gather(-1, one)
        shares[place] = one, torch.where(own == 0, 0, rise / torch.where(own == 0, 1, own))
    return lambda lines: torch.stack([lines.gather(-1, one) * share for one, share in shares]).sum(0)


def pooled(now: Call, then: Call) -> tuple[Any, Picker]:
    """Max pooling over the last one, two or three axes: its result, and what it does to differences."""
    axes = int(next(letter for letter in now.name if letter.isdigit()))
    indexed = getattr(functional, f"{now.name.removesuffix('_with_indices')}_with_indices")
    kwargs = {name: value for name, value in now.kwargs.items() if name != "return_indices"}
    x, x0 = now.args[0].detach(), then.args[0]
    (values, index), (_, index0) = (indexed(one, *now.args[1:], **kwargs) for one in (x, x0))
    pick = credited(*(one.flatten(-axes) for one in (x, x0, index, index0)))
    return now.put({0: x}), lambda one: pick(one.flatten(-axes)).reshape(values.shape)


def extreme(now: Call, then: Call) -> tuple[Any, Picker]:
    """The largest or smallest over some axes, or over all: the same."""
    x, x0 = now.args[0].detach(), then.args[0]
    dim = now.given(1, "dim")
    dims = list(range(x.ndim)) if dim is None or dim == () else [dim] if isinstance(dim, int) else list(dim)
    found = now.put({0: x})
    values = found if isinstance(found, Tensor) else found[0]
    sign = 1 if "max" in now.name else -1
    lines, lines0 = (sign * _lines(one, dims) for one in (x, x0))
    pick = credited(lines, lines0, lines.argmax(-1, keepdim=True), lines0.argmax(-1, keepdim=True))
    return found, lambda one: sign * pick(sign * _lines(one, dims)).reshape(values.shape)


def _lines(x: Tensor, dims: list[int]) -> Tensor:
    """The given axes as one, at the end."""
    if x.ndim == 0:
        return x.reshape(1)
    return x.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims))
