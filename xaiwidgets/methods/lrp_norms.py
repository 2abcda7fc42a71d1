"""Norms under relevance propagation: scales and shifts, or divisions by what is taken as a constant."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import Rule, graft

from .lrp_rules import Producer

if TYPE_CHECKING:
    from .lrp_mode import Relevance


def _batch_norm(mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A scale and a shift of each channel; behind a linear map, that map with other weights."""
    given = _named(function, args, kwargs)
    if given.get("training") or given.get("running_var") is None:
        raise ModelError(
            "batch_statistics",
            "Batch norm takes its statistics from the batch, so that one row's relevance would depend on the others",
            hint="Put the model in evaluation mode: model.eval().",
        )
    x, mean, variance = given["input"], given["running_mean"], given["running_var"]
    scale = torch.rsqrt(variance + given.get("eps", 1e-5))
    scale = scale if given.get("weight") is None else scale * given["weight"]
    shift = -mean * scale if given.get("bias") is None else given["bias"] - mean * scale
    producer = cast("Producer | None", mode.producers.get(x))
    if producer is None or producer.version != x._version or producer.linear.axis is None:  # noqa: SLF001
        shape = (-1, *[1] * (x.ndim - 2))
        value = function(*args, **kwargs)
        if x in mode.raw:
            result = graft(value, x)
            mode.raw[result] = True
            return result
        return graft(value, x * scale.reshape(shape))
    made = function(**given | {"input": producer.z}) if "input" in kwargs else function(producer.z, *args[1:], **kwargs)
    return mode.linear(producer.linear.scaled(scale, shift), producer.x, made)


def _named(function: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of batch or instance norm, whose order is another in torch.nn.functional than at the bottom."""
    statistics, affine = ("running_mean", "running_var"), ("weight", "bias")
    middle = (*statistics, *affine) if isinstance(function, types.FunctionType) else (*affine, *statistics)
    order = ("input", *middle, "training", "momentum", "eps")
    return dict(zip(order, args, strict=False)) | kwargs


def _normalized(x: Tensor, axes: tuple[int, ...], eps: float, *, centre: bool) -> Tensor:
    """X over its deviation, which is taken as a constant."""
    x = x - x.mean(axes, keepdim=True) if centre else x
    return x * torch.rsqrt(x.detach().square().mean(axes, keepdim=True) + eps)


def _layer_norm(  # noqa: PLR0917  # torch's own order
    _mode: Relevance,
    function: Any,
    input: Tensor,  # noqa: A002
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    value = function(input, normalized_shape, weight, bias, eps, *rest)
    normalized = _normalized(input, tuple(range(-len(normalized_shape), 0)), eps, centre=True)
    return graft(value, normalized if weight is None else normalized * weight)


def _rms_norm(
    _mode: Relevance,
    function: Any,
    input: Tensor,  # noqa: A002
    normalized_shape: Any,
    weight: Any = None,
    eps: float | None = None,
) -> Tensor:
    value = function(input, normalized_shape, weight, eps)
    amount = torch.finfo(input.dtype).eps if eps is None else eps
    normalized = _normalized(input, tuple(range(-len(normalized_shape), 0)), amount, centre=False)
    return graft(value, normalized if weight is None else normalized * weight)


def _group_norm(  # noqa: PLR0917  # torch's own order
    _mode: Relevance,
    function: Any,
    input: Tensor,  # noqa: A002
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    value = function(input, num_groups, weight, bias, eps, *rest)
    grouped = input.reshape(len(input), num_groups, -1)
    normalized = _normalized(grouped, (-1,), eps, centre=True).reshape(input.shape)
    return graft(value, normalized if weight is None else normalized * weight.reshape(-1, *[1] * (input.ndim - 2)))


def _instance_norm(mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    given = _named(function, args, kwargs)
    value, x, weight, eps = function(*args, **kwargs), given["input"], given.get("weight"), given.get("eps", 1e-5)
    if not given.get("use_input_stats", given.get("training", True)):
        return cast("Tensor", value)
    return _group_norm(mode, lambda *_: value, x, x.shape[1], weight, None, eps)


NORMS: dict[str, Rule] = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
