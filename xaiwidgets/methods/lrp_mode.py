"""The forward pass whose gradient, times the input, is relevance: one table from operations to what they hand down.

    linear maps           a rule of the composite, see lrp_rules; with batch norm behind them, on the weights both make
    element by element    everything to the input at the same place: c σ(x) / x
    products              the same to every factor that depends on the input
    norms, divisors       taken as constants
    softmax               its gradient: the first order of a Taylor expansion (Achtibat et al. 2024), or a constant
    maxima                everything to the winner
    sums, means, moves    nothing to do: shortcuts conserve relevance by themselves

First-layer rules that are not proportional to the input give relevance itself instead of relevance / input. A composite
that has one therefore starts with tensors that carry relevance as their gradient ("raw"): moving them about and shifting
and scaling them keeps them so, and every operation but the first layer gets a tensor worth the same whose gradient is
relevance / value. Nothing is ever divided by an input.
"""

from __future__ import annotations

import fnmatch
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from xaiwidgets.engine.decompose import DECOMPOSED
from xaiwidgets.engine.errors import ModelError, ParameterError, did_you_mean
from xaiwidgets.engine.rewrite import (
    CLOSED,
    ELEMENTWISE,
    PRODUCT,
    SELECTING,
    STRUCTURAL,
    WRITING,
    Rewrite,
    active,
    graft,
    tensors_in,
)
from xaiwidgets.engine.rewrite import (
    Rule as Operation,
)

from .lrp_rules import STABILIZER, LinearMap, Rule, epsilon, hand_down, stabilized


@dataclass(frozen=True, eq=False)
class Composite:
    """Which rule goes where.

    convolution, dense   rules of the two kinds of linear maps; products with constant matrices are dense
    first                the rule of layers that see nothing but the input, moved about, shifted or scaled; None: as others
    layers               rules for layers by name, before all others; names may have wildcards: {"features.*": gamma()}
    constant             operations whose results are taken as constants, such as "softmax" (relevance then goes through
                         what attention carries, not through where it looks) or "sigmoid" (gates)
    stabilizer           keeps c σ(x) / x finite near zero for functions with σ(0) ≠ 0
    """

    convolution: Rule = field(default_factory=epsilon)
    dense: Rule = field(default_factory=epsilon)
    first: Rule | None = None
    layers: Mapping[str, Rule] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()
    stabilizer: float = STABILIZER

    @property
    def starts_raw(self) -> bool:
        """Whether gradients at the input are relevance itself, because some rule needs to know where the input is."""
        return self.first is not None or not all(rule.proportional for rule in self.layers.values())


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


class Source(NamedTuple):
    """The tensor that another is a function of, element by element, while nothing has been written to it; whether the
    function is more than a factor.
    """

    tensor: Tensor
    version: int
    curved: bool


class Producer(NamedTuple):
    """The linear map that made a tensor, while nothing has been written to it."""

    linear: LinearMap
    x: Tensor
    z: Tensor
    version: int


class Relevance(Rewrite):
    """Gradients under this mode are relevance / value; at inputs that start raw, relevance."""

    title: ClassVar[str] = "Relevance propagation"
    passes: ClassVar[frozenset[str] | None] = STRUCTURAL | SELECTING

    def __init__(self, composite: Composite) -> None:
        super().__init__()
        self.composite = composite
        self.first_layers = 0
        self.raw, self.weighed, self.sources, self.producers = (WeakIdKeyDictionary() for _ in range(4))

    def begin(self, module: Any, arguments: Any) -> None:
        super().begin(module, arguments)
        layers = {name.rpartition(".")[0] for name in self.names.values()}
        for pattern in self.composite.layers:
            if not fnmatch.filter(layers, pattern):
                raise ParameterError(
                    "unknown_layer", f"No layer is called {pattern!r}", hint=did_you_mean(pattern, layers)
                )
        if self.composite.starts_raw:
            for tensor in filter(active, tensors_in(arguments)):
                self.raw[tensor] = True

    def end(self, output: Any) -> Any:
        if self.composite.first is not None and not self.first_layers:
            raise ModelError(
                "no_first_layer",
                f"The rule {self.composite.first} is for a layer that sees the input itself, and no layer does",
                "Something other than a convolution or a linear layer comes first.",
                "Choose a composite without a rule for the first layer, such as epsilon.",
            )
        return super().end(output)

    # --- linear maps ---------------------------------------------------------------------------------------------

    def linear(self, linear: LinearMap, x: Tensor, z: Tensor) -> Tensor:
        """The value z of a linear map at x, with its rule for a gradient."""
        if linear.rule.direct and linear.rule.stabilizer == 0:
            return z
        if linear.rule.direct:
            return cast("Tensor", _Stabilized.apply(z, linear.rule.stabilizer))  # type: ignore[no-untyped-call]
        return cast("Tensor", _HandedDown.apply(x, z.detach(), linear))  # type: ignore[no-untyped-call]

    def rule_of(self, weight: Tensor, kind: str, x: Tensor) -> Rule:
        """The rule for a layer, by its name, its place or its kind."""
        base = weight._base  # noqa: SLF001  # the parameter that a transposed weight is a view of
        name = self.layer_of(weight) or (self.layer_of(base) if base is not None else "")
        first = self.composite.first if x in self.raw else None
        self.first_layers += first is not None
        named = (rule for pattern, rule in self.composite.layers.items() if name and fnmatch.fnmatchcase(name, pattern))
        rule = next(named, first) or cast("Rule", getattr(self.composite, kind))
        if not rule.proportional and x not in self.raw:
            raise ParameterError(
                "first_layer_rule",
                f"The rule {rule} of layer {name!r} is for layers that see the input itself",
                "It gives relevance to inputs that are zero, which nothing below could pass on.",
                "Use epsilon, z_plus, alpha_beta or gamma here.",
            )
        return rule

    # --- what is known of tensors --------------------------------------------------------------------------------

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if name in self.composite.constant:
            return function(*args, **kwargs).detach()
        python = isinstance(function, types.FunctionType) and name not in STRUCTURAL | CLOSED
        inside = name not in self.rules and (python or name in DECOMPOSED)
        if self.raw and not inside and any(tensor in self.raw for tensor in tensors_in((args, kwargs))):
            return self._apply_raw(name, function, args, kwargs)
        result = super()._apply(name, function, args, kwargs)
        self._note_source(name, args, result)
        return result

    def _apply_raw(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        depending = [tensor for tensor in tensors_in((args, kwargs)) if tensor.requires_grad]
        alone = all(tensor in self.raw for tensor in depending)
        if alone and name in MOVES:
            result = super()._apply(name, function, args, kwargs)
        elif alone and len(depending) == 1 and name in _ADJUSTING and args[0] is depending[0]:
            value = function(*args, **kwargs)
            result = graft(value, depending[0].expand_as(value))
        elif name in _FIRST:
            return super()._apply(name, function, args, kwargs)
        elif name in WRITING and args[0] in self.raw:
            raise self.uncovered(name, "It writes what depends on the input into the input.")
        else:
            args, kwargs = mapped((args, kwargs), self.entered)
            return super()._apply(name, function, args, kwargs)
        for tensor in filter(active, tensors_in((result, args[0] if name in WRITING else None))):
            self.raw[tensor] = True
        return result

    def entered(self, tensor: Tensor) -> Tensor:
        """The same value; where its gradient was relevance, it is relevance / value from here on."""
        if tensor not in self.raw:
            return tensor
        if tensor not in self.weighed:
            self.weighed[tensor] = tensor.detach() * (1 + (tensor - tensor.detach()))
        return cast("Tensor", self.weighed[tensor])

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        for facts in (self.raw, self.sources):
            facts.pop(tensor, None)
            if other in facts:
                facts[tensor] = facts[other]
        self.weighed.pop(tensor, None)

    def source(self, tensor: Tensor) -> Source:
        found = cast("Source | None", self.sources.get(tensor))
        if found is None or found.tensor._version != found.version:  # noqa: SLF001
            return Source(tensor, tensor._version, curved=False)  # noqa: SLF001
        return found

    def _note_source(self, name: str, args: Any, result: Any) -> None:
        """Keep track of functions written out element by element, such as 0.5 x (1 + tanh(...))."""
        if name in WRITING:
            self.sources.pop(args[0], None)
        if name not in _TRACED or not active(result):
            return
        sources = [self.source(tensor) for tensor in args if active(tensor)]
        if not sources or any(one.tensor is not sources[0].tensor for one in sources):
            return
        curved = name in ELEMENTWISE or any(one.curved for one in sources)
        biased = name in SHIFTS and len(sources) == 1 and not curved  # a bias, whose relevance is its own
        if not biased and result.shape == sources[0].tensor.shape:
            self.sources[result] = sources[0]._replace(curved=curved)


_FIRST = OPERANDS.keys() | PRODUCT | {"batch_norm"}
_ADJUSTING = SCALES | SHIFTS
_TRACED = ELEMENTWISE | SCALES | SHIFTS


class _Stabilized(torch.autograd.Function):
    """Identity; back: c z / (z + ε sign z)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, amount: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.amount = amount
        return z.clone()  # so that nothing written in place reaches what is kept

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (z,) = ctx.saved_tensors
        return gradients[0] * (z / stabilized(z, ctx.amount)), None


class _HandedDown(torch.autograd.Function):
    """The value z that a linear map has at x; back: what its rule says, worked out only if it is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Tensor, linear: LinearMap) -> Tensor:
        ctx.save_for_backward(x, z)
        ctx.linear = linear
        return z.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, z = ctx.saved_tensors
        return hand_down(ctx.linear, x, z, gradients[0] * z), None, None


# --- the table ---------------------------------------------------------------------------------------------------


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
    with torch.set_grad_enabled(direct):
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


def _power(mode: Relevance, function: Any, base: Any, exponent: Any, **kwargs: Any) -> Tensor:
    if isinstance(exponent, int | float) and exponent < 0:
        return _constant(mode, function, base, exponent, **kwargs)
    return _elementwise("pow", mode, function, base, exponent, **kwargs)


def _constant(_mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    return cast("Tensor", function(*args, **kwargs).detach())


def _divide(_mode: Relevance, function: Any, x: Any, y: Any, **kwargs: Any) -> Tensor:
    return cast("Tensor", function(x, y.detach() if isinstance(y, Tensor) else y, **kwargs))


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
    made = function(producer.z, *args[1:], **kwargs)
    return mode.linear(producer.linear.scaled(scale, shift), producer.x, made)


def _named(function: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of batch or instance norm, whose order is another in torch.nn.functional than at the bottom."""
    statistics, affine = ("running_mean", "running_var"), ("weight", "bias")
    python = isinstance(function, types.FunctionType)
    order = (
        "input",
        *(*statistics, *affine) * python,
        *(*affine, *statistics) * (not python),
        "training",
        "momentum",
        "eps",
    )
    return dict(zip(order, args, strict=False)) | kwargs


def _normalized(x: Tensor, axes: tuple[int, ...], eps: float, *, centre: bool) -> Tensor:
    """X over its deviation, which is taken as a constant."""
    x = x - x.mean(axes, keepdim=True) if centre else x
    return x * torch.rsqrt(x.detach().square().mean(axes, keepdim=True) + eps)


def _layer_norm(  # noqa: PLR0917  # torch's own order
    _mode: Relevance,
    function: Any,
    x: Tensor,
    shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    value = function(x, shape, weight, bias, eps, *rest)
    normalized = _normalized(x, tuple(range(-len(shape), 0)), eps, centre=True)
    return graft(value, normalized if weight is None else normalized * weight)


def _rms_norm(
    _mode: Relevance, function: Any, x: Tensor, shape: Any, weight: Any = None, eps: float | None = None
) -> Tensor:
    value = function(x, shape, weight, eps)
    amount = torch.finfo(x.dtype).eps if eps is None else eps
    normalized = _normalized(x, tuple(range(-len(shape), 0)), amount, centre=False)
    return graft(value, normalized if weight is None else normalized * weight)


def _group_norm(  # noqa: PLR0917  # torch's own order
    _mode: Relevance,
    function: Any,
    x: Tensor,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    value = function(x, groups, weight, bias, eps, *rest)
    grouped = x.reshape(len(x), groups, -1)
    normalized = _normalized(grouped, (-1,), eps, centre=True).reshape(x.shape)
    return graft(value, normalized if weight is None else normalized * weight.reshape(-1, *[1] * (x.ndim - 2)))


def _instance_norm(mode: Relevance, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    given = _named(function, args, kwargs)
    value, x, weight, eps = function(*args, **kwargs), given["input"], given.get("weight"), given.get("eps", 1e-5)
    if not given.get("use_input_stats", given.get("training", True)):
        return cast("Tensor", value)
    return _group_norm(mode, lambda *_: value, x, x.shape[1], weight, None, eps)


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


RULES: dict[str, Operation] = {
    **{name: partial(_linear, name) for name in OPERANDS},
    **{name: partial(_product, name) for name in PRODUCT},
    **{name: partial(_elementwise, name) for name in ELEMENTWISE},
    **dict.fromkeys(HOMOGENEOUS, _plain),
    "pow": _power,
    **dict.fromkeys(("rsqrt", "reciprocal"), _constant),
    "div": _divide,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), _plain),
}
Relevance.rules = RULES
