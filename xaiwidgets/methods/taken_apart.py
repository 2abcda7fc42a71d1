"""Operations that DeepLIFT takes apart, and those that mean something else to differences than to derivatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import Rewrite, Rule, active, graft
from xaiwidgets.engine.tape import Taped


def either(mode: Rewrite, function: Any, x: Any, other: Any, **_kwargs: Any) -> Tensor:
    """The larger or smaller of two: half their sum, and half their distance."""
    sign = 1 if "max" in function.__name__ else -1
    apart = mode.under(lambda: (x + other + sign * torch.abs(x - other)) / 2)
    return graft(function(*(one.detach() if active(one) else one for one in (x, other))), apart)


def divide(mode: Rewrite, function: Any, x: Any, other: Any, **kwargs: Any) -> Any:
    if not active(other) or kwargs.get("rounding_mode"):
        return mode.otherwise("div" if not kwargs.get("rounding_mode") else "rounded div", function, (x, other), kwargs)
    return mode.under(lambda: x * torch.reciprocal(other))


def maximum(mode: Rewrite, function: Any, x: Any, other: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`max` and `min`, which have three meanings."""
    other = kwargs.get("other", other)
    if isinstance(other, Tensor):
        return mode.rules["maximum"](mode, function, x, other)
    name = "amax" if "max" in function.__name__ else "amin"
    assert isinstance(mode, Taped)  # noqa: S101  # for the type checker
    return mode.compare(name, function, (x, *(() if other is None else (other,)), *args), kwargs, mode.compared[name])


def detach(mode: Rewrite, _function: Any, x: Tensor) -> Any:
    """Differences know of no derivatives that could be stopped."""
    return mode.under(lambda: x.view_as(x))


def read(_mode: Rewrite, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    return function(x.detach(), *args, **kwargs)


def cast(mode: Rewrite, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Double precision stays: what a model computes in single precision by itself would be the largest error there is."""
    found: Tensor = mode.otherwise(function.__name__, function, (x, *args), kwargs)
    narrowed = x.dtype == torch.float64 and found.is_floating_point() and found.dtype != x.dtype
    return x.to(found.device).view_as(x) if narrowed else found


def batch_norm(mode: Rewrite, function: Any, *args: Any) -> Any:
    if args[5]:
        raise ModelError(
            "batch_statistics",
            f"{mode.title} cannot explain a batch normalisation that is training: its rows depend on each other",
            hint="Call model.eval(), or pass training=False.",
        )
    return mode.otherwise("batch_norm", function, args, {})


def _standardised(x: Tensor, axes: tuple[int, ...], epsilon: float, *, centre: bool = True) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean(axes, keepdim=True) if centre else wide
    return (wide * torch.rsqrt(wide.square().mean(axes, keepdim=True) + epsilon)).to(x.dtype)


def _affine(x: Tensor, weight: Any, bias: Any) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def layer_norm(  # noqa: PLR0917  # torch's own order
    mode: Rewrite,
    _function: Any,
    x: Tensor,
    shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    axes = tuple(range(-len(shape), 0))
    return mode.under(lambda: _affine(_standardised(x, axes, eps), weight, bias))


def rms_norm(mode: Rewrite, _function: Any, x: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    epsilon = torch.finfo(x.dtype).eps if eps is None else eps
    axes = tuple(range(-len(shape), 0))
    return mode.under(lambda: _affine(_standardised(x, axes, epsilon, centre=False), weight, None))


def group_norm(  # noqa: PLR0917  # torch's own order
    mode: Rewrite,
    _function: Any,
    x: Tensor,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    channels = (-1, *(1,) * (x.ndim - 2))
    scale, shift = (None if one is None else one.reshape(channels) for one in (weight, bias))

    def apart() -> Tensor:
        grouped = x.reshape(x.shape[0], groups, math.prod(x.shape[1:]) // groups)
        return _affine(_standardised(grouped, (-1,), eps).reshape(x.shape), scale, shift)

    return mode.under(apart)


def instance_norm(  # noqa: PLR0917  # torch's own order
    mode: Rewrite, _function: Any, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, own: bool, momentum: float, eps: float, *_: Any
) -> Any:  # fmt: skip
    if own:
        return group_norm(mode, None, x, x.shape[1], weight, bias, eps)
    return mode.under(lambda: torch.batch_norm(x, weight, bias, mean, var, False, momentum, eps, False))


APART: Mapping[str, Rule] = {
    "div": divide,
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), either),
    **dict.fromkeys(("max", "min"), maximum),
    "detach": detach,
    **dict.fromkeys(("numpy", "tolist", "item"), read),
    **dict.fromkeys(("to", "type", "type_as", "float", "half", "bfloat16"), cast),
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
}
