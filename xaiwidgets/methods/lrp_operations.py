"""What operations of torch hand down of their relevance: the table that `lrp_mode.Relevance` looks them up in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from xaiwidgets.engine.rewrite import ELEMENTWISE, PRODUCT, STRUCTURAL, WRITING, Rule, active, graft, tensors_in

from .lrp_norms import NORMS
from .lrp_rules import LinearMap, Producer, stabilized

if TYPE_CHECKING:
    from .lrp_mode import Relevance


class Operands(NamedTuple):
    """Where an operation of torch has its input, its weight and its bias, and the weight its output channels."""

    kind: str
    names: tuple[str, str, str]
    x: int = 0
    weight: int = 1
    bias: int = 2
    axis: int | None = 0


_CONVOLUTION = Operands("convolution", ("input", "weight", "bias"))
OPERANDS: dict[str, Operands] = {
    "linear": Operands("dense", ("input", "weight", "bias")),
    **{f"conv{n}d": _CONVOLUTION for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _CONVOLUTION._replace(axis=1) for n in (1, 2, 3)},
    "addmm": Operands("dense", ("input", "mat1", "mat2"), 1, 2, 0, 1),
    "addmv": Operands("dense", ("input", "mat", "vec"), 1, 2, 0, None),
    "baddbmm": Operands("dense", ("input", "batch1", "batch2"), 1, 2, 0, None),
}
PRODUCT_OF = {"addmm": "mm", "addmv": "mv", "baddbmm": "bmm"}

# σ(s x) = s σ(x) for s > 0: their gradient times x is their value already
HOMOGENEOUS = frozenset("relu leaky_relu prelu rrelu abs".split())
# σ(0) = 0, so that σ(x) / x needs nothing to stay finite
VANISHING = ELEMENTWISE & frozenset(
    "relu6 elu selu celu gelu silu mish tanh tanhshrink hardtanh hardswish hardshrink softshrink softsign expm1 log1p sqrt "
    "square sin tan atan asin sinh erf sign floor ceil round".split()
)
SCALES, SHIFTS = frozenset({"mul", "div", "neg"}), frozenset({"add", "sub", "rsub"})
# What only moves numbers, or drops some of them
MOVES = (
    STRUCTURAL
    & frozenset(
        "cat concat concatenate stack hstack vstack dstack split split_with_sizes tensor_split chunk unbind reshape view "
        "view_as reshape_as flatten unflatten squeeze unsqueeze transpose permute swapaxes swapdims movedim moveaxis t expand "
        "expand_as repeat repeat_interleave tile roll flip rot90 contiguous clone detach to type type_as float double half "
        "bfloat16 cpu cuda index_select gather take take_along_dim masked_fill masked_select where narrow select diagonal tril "
        "triu unfold im2col as_strided pad constant_pad_nd dropout feature_dropout pixel_shuffle pixel_unshuffle "
        "channel_shuffle __getitem__ __get__ __setitem__ requires_grad_ broadcast_to broadcast_tensors unsafe_chunk "
        "unsafe_split".split()
    )
    | WRITING
)
# What a tensor that carries relevance as its gradient may come to as it is: it may be a first layer.
FIRST = OPERANDS.keys() | PRODUCT | {"batch_norm"}


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A function applied to the tensors in an operation's arguments or a model's output."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple | list):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, Mapping):
        changed = {key: mapped(item, change) for key, item in value.items()}
        return changed if type(value) is dict else type(value)(**changed)
    return value


def _plain(_mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _linear(name: str, mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A layer: with its own weights one of the composite's rules, with weights made from the input a product."""
    spec = OPERANDS[name]
    given = list(args) + [kwargs.pop(key, None) for key in spec.names[len(args) :]]
    x, weight, bias = (given[at] for at in (spec.x, spec.weight, spec.bias))
    if active(bias) or active(weight) or (name in PRODUCT_OF and kwargs):
        return _with_weights_made(name, mode, function, given, kwargs)

    def call(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        new = list(given)
        new[spec.x], new[spec.weight] = x, weight
        new[spec.bias] = bias if bias is not None or spec.bias else torch.zeros((), dtype=x.dtype, device=x.device)
        return cast("Tensor", function(*new, **kwargs))

    groups = given[6] if len(given) > 6 else kwargs.get("groups", 1)
    axis = None if name.startswith("conv_transpose") and groups != 1 else spec.axis
    return _map(mode, LinearMap(call, weight, bias, mode.rule_of(weight, spec.kind, x), axis), x)


def _with_weights_made(name: str, mode: Relevance, function: Any, given: list[Any], kwargs: dict[str, Any]) -> Tensor:
    if name in PRODUCT_OF:
        bias, first, second = given[:3]
        scale = kwargs.get("beta", 1), kwargs.get("alpha", 1)
        product = getattr(torch, PRODUCT_OF[name])
        return cast("Tensor", mode.under(lambda: bias * scale[0] + product(first, second) * scale[1]))
    given = [mode.entered(one) if isinstance(one, Tensor) else one for one in given]
    x, weight, bias = given[:3]
    product = function(x, weight, None, *given[3:], **kwargs)
    value = product / 2 if active(x) and active(weight) else product
    shift = function(*given, **kwargs).detach()
    if active(bias):
        value = value + bias.reshape(-1, *[1] * (value.ndim - 2 if name != "linear" else 0))
    return graft(shift, value)


def _product(name: str, mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    """The same to every factor that depends on the input; with a constant matrix a dense layer."""
    tensors = list(tensors_in((args, kwargs)))
    factors = [tensor for tensor in tensors if active(tensor)]
    others = [tensor for tensor in tensors if not active(tensor)]
    if len(factors) == 1 and name != "mul" and len(others) == 1:
        (x,), (weight,) = factors, others

        def call(new: Tensor, other: Tensor, _bias: Tensor | None) -> Tensor:
            placed, named = mapped((args, kwargs), lambda tensor: new if tensor is x else other)
            return cast("Tensor", function(*placed, **named))

        return _map(mode, LinearMap(call, weight, None, mode.rule_of(weight, "dense", x)), x)
    args, kwargs = mapped((args, kwargs), mode.entered)
    value = cast("Tensor", function(*args, **kwargs))
    if len(factors) == 1:
        if name != "mul" and not mode.composite.dense.direct:
            raise mode.uncovered(name, "It has several constant factors, and the rule for dense layers asks for one.")
        return value
    sources = [mode.source(tensor) for tensor in tensors_in((args, kwargs)) if active(tensor)]
    if name == "mul" and all(one.tensor is sources[0].tensor for one in sources):
        return _ratio(value, sources[0].tensor, mode.composite.stabilizer)
    return graft(value, value / len(factors))


def _map(mode: Relevance, linear: LinearMap, x: Tensor) -> Tensor:
    if linear.rule.proportional:
        x = mode.entered(x)
    direct = linear.rule.direct
    with torch.set_grad_enabled(direct and torch.is_grad_enabled()):
        z = linear.call(x, linear.weight, linear.bias)
    result = mode.linear(linear, x, z)
    mode.producers[result] = Producer(linear, x, z, result._version)  # noqa: SLF001
    return result


def _elementwise(name: str, mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    factors = [tensor for tensor in tensors_in((args, kwargs)) if active(tensor)]
    value = cast("Tensor", function(*args, **kwargs))
    if len(factors) != 1:
        raise mode.uncovered(name, "Several of its arguments depend on the input.")
    return _ratio(value, factors[0], 0.0 if name in VANISHING else mode.composite.stabilizer)


def _ratio(value: Tensor, x: Tensor, stabilizer: float) -> Tensor:
    """The value; back: c value / x."""
    below = x.detach()
    divisor = stabilized(below, stabilizer) if stabilizer else torch.where(below == 0, 1, below)
    return graft(value, x * (value.detach() / divisor))


def _power(mode: Relevance, function: Any, input: Any, exponent: Any, **kwargs: Any) -> Tensor:  # noqa: A002
    if isinstance(exponent, int | float) and exponent < 0:
        return _constant(mode, function, input, exponent, **kwargs)
    return _elementwise("pow", mode, function, input, exponent, **kwargs)


def _constant(_mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    return cast("Tensor", function(*args, **kwargs).detach())


def _divide(mode: Relevance, function: Any, input: Any, other: Any, **kwargs: Any) -> Tensor:  # noqa: A002
    if kwargs.get("rounding_mode") is not None:
        raise mode.uncovered("div", "It rounds.")
    return cast("Tensor", function(input, other.detach() if isinstance(other, Tensor) else other, **kwargs))


RULES: dict[str, Rule] = {
    **{name: partial(_linear, name) for name in OPERANDS},
    **{name: partial(_product, name) for name in PRODUCT},
    **{name: partial(_elementwise, name) for name in ELEMENTWISE},
    **dict.fromkeys(HOMOGENEOUS, _plain),
    "pow": _power,
    **dict.fromkeys(("rsqrt", "reciprocal"), _constant),
    "div": _divide,
    **NORMS,
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), _plain),
}
