"""How each operation that multiplies, adds or looks up a parameter tells the parameter's gradients, row by row.

A rule is given the operation's arguments and returns a `Plan`: how many of the output's leading axes are positions, which
parameters it accounts for, and how their gradients are built from the gradient of the output. None: not this way of
calling it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional

from .products import Formed, Looked, Outer, Part
from .unfold import Patches, padding_of

ByRow = Callable[[Tensor], Tensor]
"""Puts a tensor [*positions, ...] into the order [B, positions of a row, ...]."""
Built = Iterator[tuple[str, Part]]


class Watched(Protocol):
    """What a rule may ask of the pass that it is part of."""

    def name(self, value: Any) -> str:
        """The name of a parameter whose gradients are wanted; empty for everything else."""

    def keep(self, value: Tensor) -> Tensor:
        """A tensor as it is now, however the model goes on to change it."""


@dataclass(frozen=True)
class Plan:
    depth: int
    names: tuple[str, ...]
    build: Callable[[Tensor, ByRow], Built]


Rule = Callable[..., Plan | None]


def _linear(watched: Watched, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Plan:  # noqa: A002
    inputs, name, bias_name = watched.keep(input), watched.name(weight), watched.name(bias)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        left = by_row(gradient)
        if name:
            yield name, _outer(left, by_row(inputs), weight)
        if bias_name:
            yield bias_name, Formed(left.sum(1))

    return Plan(input.ndim - 1, (name, bias_name), build)


def _matmul(watched: Watched, first: Tensor, second: Tensor) -> Plan | None:
    name = watched.name(second)
    if not name or watched.name(first) or second.ndim != 2 or first.ndim < 2:
        return None
    inputs = watched.keep(first)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        yield name, _outer(by_row(inputs), by_row(gradient), second)

    return Plan(first.ndim - 1, (name,), build)


def _addmm(
    watched: Watched, bias: Tensor, first: Tensor, second: Tensor, *, beta: float = 1, alpha: float = 1
) -> Plan | None:
    name, bias_name = watched.name(second), watched.name(bias)
    if watched.name(first) or (bias_name and bias.ndim != 1):
        return None
    inputs = watched.keep(first)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        right = by_row(gradient)
        if name:
            yield name, _outer(by_row(inputs), alpha * right, second)
        if bias_name:
            yield bias_name, Formed(beta * right.sum(1).sum_to_size(len(right), *bias.shape))

    return Plan(1, (name, bias_name), build)


def _outer(left: Tensor, right: Tensor, weight: Tensor) -> Outer:
    return Outer(left.unsqueeze(1), right.unsqueeze(1), weight.shape, len(left))


def _convolution(
    watched: Watched,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Plan | None:
    if input.ndim != weight.ndim:
        return None
    axes, kernel = weight.ndim - 2, weight.shape[2:]
    inputs, name, bias_name = watched.keep(input), watched.name(weight), watched.name(bias)
    steps, holes = _each(stride, axes), _each(dilation, axes)
    sides = padding_of(padding if isinstance(padding, str) else _each(padding, axes), kernel, holes)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        images = by_row(gradient)
        if name:
            patches = Patches(by_row(inputs).flatten(0, 1), kernel, steps, sides, holes, groups, gradient.shape[2:])
            yield name, Outer(_positions(images, groups), patches, weight.shape, len(images))
        if bias_name:
            yield bias_name, Formed(images.flatten(3).sum((1, 3)))

    return Plan(1, (name, bias_name), build)


def _transposed_convolution(
    watched: Watched,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,  # noqa: ARG001  # the gradient is as large as it is
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Plan | None:
    if input.ndim != weight.ndim:
        return None
    axes = weight.ndim - 2
    inputs, name, bias_name = watched.keep(input), watched.name(weight), watched.name(bias)
    sides = [(side, side) for side in _each(padding, axes)]

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        images = by_row(gradient)
        if name:
            patches = Patches(
                images.flatten(0, 1),
                weight.shape[2:],
                _each(stride, axes),
                sides,
                _each(dilation, axes),
                groups,
                input.shape[2:],
            )
            yield name, Outer(_positions(by_row(inputs), groups), patches, weight.shape, len(images))
        if bias_name:
            yield bias_name, Formed(images.flatten(3).sum((1, 3)))

    return Plan(1, (name, bias_name), build)


def _positions(images: Tensor, groups: int) -> Tensor:
    """[B, pieces, channels, *size] as [B, groups, positions, channels of a group]."""
    flat = images.flatten(3).unflatten(2, (groups, -1))
    if flat.shape[1] == 1:
        return flat.squeeze(1).mT
    return flat.permute(0, 2, 1, 4, 3).flatten(2, 3)


def _embedding(
    watched: Watched,
    weight: Tensor,
    ids: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,  # noqa: ARG001  # only how PyTorch would store the gradient
) -> Plan | None:
    if scale_grad_by_freq or watched.name(ids):
        return None
    name, ids = watched.name(weight), watched.keep(ids)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        looked, rows = by_row(ids), by_row(gradient)
        if padding_idx >= 0:
            rows = rows * (looked != padding_idx).unsqueeze(-1)
        yield name, Looked(looked, rows, weight.shape)

    return Plan(ids.ndim, (name,), build)


def _layer_norm(
    watched: Watched,
    input: Tensor,  # noqa: A002
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    _enable: bool = True,
) -> Plan:
    return _scaled(
        watched, input, input.ndim - len(shape), weight, bias, lambda x: functional.layer_norm(x, tuple(shape), eps=eps)
    )


def _rms_norm(
    watched: Watched,
    input: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,  # noqa: A002
) -> Plan:
    return _scaled(
        watched, input, input.ndim - len(shape), weight, None, lambda x: functional.rms_norm(x, tuple(shape), eps=eps)
    )


def _batch_norm(
    watched: Watched,
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    _momentum: float,
    eps: float,
    _enable: bool = True,
) -> Plan | None:
    if training or mean is None or variance is None:
        return None
    centre, scale = mean.clone(), (variance + eps).rsqrt()

    def normalised(values: Tensor) -> Tensor:
        spread = [1, -1, *[1] * (values.ndim - 2)]
        return (values - centre.to(values).reshape(spread)) * scale.to(values).reshape(spread)

    return _scaled(watched, input, 1, weight, bias, normalised)


def _group_norm(
    watched: Watched,
    input: Tensor,  # noqa: A002
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    _enable: bool = True,
) -> Plan:
    return _scaled(watched, input, 1, weight, bias, lambda x: functional.group_norm(x, groups, eps=eps))


def _instance_norm(
    watched: Watched,
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    _enable: bool = True,
) -> Plan | None:
    if not use_input_stats:
        return _batch_norm(watched, input, weight, bias, mean, variance, False, momentum, eps)
    return _scaled(watched, input, 1, weight, bias, lambda x: functional.instance_norm(x, eps=eps))


def _scaled(
    watched: Watched,
    input: Tensor,  # noqa: A002
    depth: int,
    weight: Tensor | None,
    bias: Tensor | None,
    normalised: Callable[[Tensor], Tensor],
) -> Plan:
    """Normalised values times a weight plus a bias, one number a channel (axis 1) or a feature (the last axes)."""
    inputs, name, bias_name = watched.keep(input), watched.name(weight), watched.name(bias)
    shape = next(one.shape for one in (weight, bias) if one is not None)

    def total(rows: Tensor) -> Formed:
        rows = rows.sum(1)
        return Formed(rows.flatten(1 + len(shape)).sum(-1) if rows.ndim > 1 + len(shape) else rows)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        if name:
            yield name, total(by_row(gradient * normalised(inputs.to(gradient.dtype))))
        if bias_name:
            yield bias_name, total(by_row(gradient))

    return Plan(depth, (name, bias_name), build)


def _mul(watched: Watched, first: Any, second: Any) -> Plan | None:
    parameter, other = (first, second) if watched.name(first) else (second, first)
    if not isinstance(other, Tensor):
        return None
    factor = watched.keep(other)
    return _spread(watched, parameter, other, lambda gradient: gradient * factor)


def _add(watched: Watched, first: Any, second: Any, *, alpha: float = 1) -> Plan | None:
    parameter, other = (first, second) if watched.name(first) else (second, first)
    factor = alpha if parameter is second else 1
    return _spread(watched, parameter, other, lambda gradient: factor * gradient)


def _sub(watched: Watched, first: Any, second: Any, *, alpha: float = 1) -> Plan | None:
    parameter, other = (first, second) if watched.name(first) else (second, first)
    factor = -alpha if parameter is second else 1
    return _spread(watched, parameter, other, lambda gradient: factor * gradient)


def _spread(watched: Watched, parameter: Tensor, other: Any, through: Callable[[Tensor], Tensor]) -> Plan | None:
    """A parameter that is broadcast over the batch, which therefore lies in one of the axes it lacks."""
    if not isinstance(other, Tensor) or watched.name(other):
        return None
    shape = parameter.shape
    axes = max(other.ndim, parameter.ndim)
    own = len(shape)
    while own and own + 1 > axes and shape[len(shape) - own] == 1:
        own -= 1
    if own >= axes:
        return None
    name = watched.name(parameter)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        rows = by_row(through(gradient)).sum(1)
        inner = shape[len(shape) - own :]
        yield name, Formed(rows.sum_to_size(len(rows), *inner).reshape(len(rows), *shape))

    return Plan(axes - own, (name,), build)


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


RULES: dict[str, Rule] = {
    "linear": _linear, "matmul": _matmul, "mm": _matmul, "addmm": _addmm, "embedding": _embedding,
    "conv1d": _convolution, "conv2d": _convolution, "conv3d": _convolution,
    "conv_transpose1d": _transposed_convolution, "conv_transpose2d": _transposed_convolution,
    "conv_transpose3d": _transposed_convolution,
    "layer_norm": _layer_norm, "rms_norm": _rms_norm, "batch_norm": _batch_norm, "group_norm": _group_norm,
    "instance_norm": _instance_norm, "mul": _mul, "add": _add, "sub": _sub,
}  # fmt: skip
OPENED = {"layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm", "embedding"}
"""Names that torch.nn.functional has a Python function of, with other arguments than the operation itself."""
