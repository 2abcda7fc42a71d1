"""How each operation that multiplies, adds or looks up a parameter tells the parameter's gradients, row by row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.rewrite import mapped

from .convolutions import convolution, transposed
from .normalisations import batch_norm, group_norm, instance_norm, layer_norm, prelu, rms_norm
from .plans import Built, ByRow, Given, Plan, Rule, Watched
from .products import Formed, Looked, Outer


def _linear(watched: Watched, given: Given) -> Plan:
    weight = given["weight"]
    inputs, name, bias = watched.keep(given["input"]), watched.name(weight), watched.name(given.get("bias"))

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        left = by_row(gradient)
        if name:
            yield name, _outer(left, by_row(inputs), weight)
        if bias:
            yield bias, Formed(left.sum(1))

    return Plan(inputs.ndim - 1, (name, bias), build)


def _matmul(watched: Watched, given: Given) -> Plan | None:
    first, second = given["input"], given["other"]
    name = watched.name(second)
    if watched.name(first) or second.ndim != 2 or first.ndim < 2:
        return None
    inputs = watched.keep(first)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        yield name, _outer(by_row(inputs), by_row(gradient), second)

    return Plan(first.ndim - 1, (name,), build)


def _addmm(watched: Watched, given: Given) -> Plan | None:
    bias, first, second = given["input"], given["first"], given["second"]
    alpha, beta = given.get("alpha", 1), given.get("beta", 1)
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


def _embedding(watched: Watched, given: Given) -> Plan | None:
    weight, padding = given["weight"], given.get("padding_idx", -1)
    if given.get("scale_grad_by_freq") or watched.name(given["ids"]):
        return None
    name, ids = watched.name(weight), watched.keep(given["ids"])

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        looked, rows = by_row(ids), by_row(gradient)
        if padding >= 0:
            rows = rows * (looked != padding).unsqueeze(-1)
        yield name, Looked(looked, rows, weight.shape)

    return Plan(ids.ndim, (name,), build)


def _elementwise(name: str, watched: Watched, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Plan | None:
    """A parameter that is broadcast over the batch, which therefore lies in one of the axes it lacks or has one of."""
    given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    parameters = [value for value in given if watched.name(value)]
    parameter, shape = parameters[0], torch.broadcast_shapes(*(value.shape for value in given))
    own = parameter.shape
    inner = own[next((at for at, size in enumerate(own) if size > 1), len(own)) :]
    if len(parameters) > 1 or len(inner) == len(shape):
        return None
    function, parameter_name = getattr(torch, name), watched.name(parameter)
    kept = mapped(
        (args, kwargs), lambda one: watched.keep(one) if isinstance(one, Tensor) and one is not parameter else one
    )

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        spread = parameter.detach().expand(shape).requires_grad_()
        args, kwargs = mapped(kept, lambda one: spread if one is parameter else one)
        result = function(*args, **kwargs)
        (own_gradient,) = torch.autograd.grad(result, spread, gradient.to(result.dtype))
        rows = by_row(own_gradient).sum(1)
        yield parameter_name, Formed(rows.sum_to_size(len(rows), *inner).reshape(len(rows), *own))

    return Plan(len(shape) - len(inner), (parameter_name,), build)


def copies(watched: Watched, parameter: Tensor, result: Tensor, rows: int) -> Plan | None:
    """A parameter that each row gets its own copy of, such as a class token."""
    name, shape = watched.name(parameter), parameter.shape
    missing = result.ndim - len(shape)
    for axis, size in enumerate(result.shape):
        before = shape[: max(0, axis - missing + 1)]
        if any(one != 1 for one in before):
            return None
        if size == rows:
            break
    else:
        return None
    inner = shape[len(before) :]

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        gradients = by_row(gradient).sum(1)
        yield name, Formed(gradients.sum_to_size(len(gradients), *inner).reshape(len(gradients), *shape))

    return Plan(axis + 1, (name,), build)


_NORM = "input weight bias mean variance"
_CONVOLUTION = "input weight bias stride padding dilation groups"
_TRANSPOSED = "input weight bias stride padding output_padding groups dilation"
RULES: dict[str, tuple[Rule, str]] = {
    "linear": (_linear, "input weight bias"),
    "matmul": (_matmul, "input other"),
    "mm": (_matmul, "input other"),
    "addmm": (_addmm, "input first second"),
    "embedding": (_embedding, "weight ids padding_idx scale_grad_by_freq sparse"),
    "conv1d": (convolution, _CONVOLUTION),
    "conv2d": (convolution, _CONVOLUTION),
    "conv3d": (convolution, _CONVOLUTION),
    "conv_transpose1d": (transposed, _TRANSPOSED),
    "conv_transpose2d": (transposed, _TRANSPOSED),
    "conv_transpose3d": (transposed, _TRANSPOSED),
    "layer_norm": (layer_norm, "input shape weight bias eps cudnn_enable"),
    "rms_norm": (rms_norm, "input shape weight eps"),
    "group_norm": (group_norm, "input groups weight bias eps cudnn_enabled"),
    "batch_norm": (batch_norm, f"{_NORM} training momentum eps cudnn_enabled"),
    "instance_norm": (instance_norm, f"{_NORM} use_input_stats momentum eps cudnn_enabled"),
    "prelu": (prelu, "input weight"),
}
"""By the name at the bottom of torch: the rule, and what its arguments are called here, in their order."""
ELEMENTWISE = frozenset("add sub rsub mul div pow where maximum minimum fmax fmin atan2 hypot xlogy".split())
OPENED = frozenset({"layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm", "embedding"})
"""Names that torch.nn.functional has a Python function of, with other arguments than the operation itself."""

KNOWN = ELEMENTWISE | RULES.keys()


def plan_of(name: str, watched: Watched, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Plan | None:
    """How an operation's parameters come by their gradients; None where no rule knows."""
    if "out" in kwargs or name not in KNOWN:
        return None
    if name in ELEMENTWISE:
        return _elementwise(name, watched, args, kwargs)
    rule, names = RULES[name]
    return rule(watched, {**dict(zip(names.split(), args, strict=False)), **kwargs})
