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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from xaiwidgets.engine.decompose import DECOMPOSED
from xaiwidgets.engine.errors import ModelError, ParameterError, did_you_mean
from xaiwidgets.engine.rewrite import (
    CLOSED,
    ELEMENTWISE,
    SELECTING,
    STRUCTURAL,
    WRITING,
    Rewrite,
    active,
    graft,
    tensors_in,
)
from xaiwidgets.engine.rewrite import Rule as Operation

from .lrp_operations import FIRST, MOVES, RULES, SCALES, SHIFTS, mapped
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


class Source(NamedTuple):
    """The tensor that another is a function of, element by element, while nothing has been written to it; whether the
    function is more than a factor.
    """

    tensor: Tensor
    version: int
    curved: bool


class Relevance(Rewrite):
    """Gradients under this mode are relevance / value; at inputs that start raw, relevance."""

    title: ClassVar[str] = "Relevance propagation"
    rules: ClassVar[Mapping[str, Operation]] = RULES
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
        if alone and (name in MOVES or _writes(name)):
            result = super()._apply(name, function, args, kwargs)
        elif alone and len(depending) == 1 and name in SCALES | SHIFTS and args[0] is depending[0]:
            value = function(*args, **kwargs)
            result = graft(value, depending[0].expand_as(value))
        elif name in FIRST:
            return super()._apply(name, function, args, kwargs)
        elif _writes(name) and args[0] in self.raw:
            raise self.uncovered(name, "It writes what depends on the input into the input.")
        else:
            args, kwargs = mapped((args, kwargs), self.entered)
            return super()._apply(name, function, args, kwargs)
        for tensor in filter(active, tensors_in((result, args[0] if _writes(name) else None))):
            self.raw[tensor] = True
        return result

    def entered(self, tensor: Tensor) -> Tensor:
        """The same value; where its gradient was relevance, it is relevance / value from here on."""
        if tensor not in self.raw:
            return tensor
        version, weighed = self.weighed.get(tensor, (-1, tensor))
        if version != tensor._version:  # noqa: SLF001
            weighed = tensor.detach().clone() * (1 + (tensor - tensor.detach()))
            self.weighed[tensor] = tensor._version, weighed  # noqa: SLF001
        return cast("Tensor", weighed)

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        for facts in (self.raw, self.sources):
            facts.pop(tensor, None)
            if other in facts:
                facts[tensor] = facts[other]

    def source(self, tensor: Tensor) -> Source:
        found = cast("Source | None", self.sources.get(tensor))
        if found is None or found.tensor._version != found.version:  # noqa: SLF001
            return Source(tensor, tensor._version, curved=False)  # noqa: SLF001
        return found

    def _note_source(self, name: str, args: Any, result: Any) -> None:
        """Keep track of functions written out element by element, such as 0.5 x (1 + tanh(...))."""
        if _writes(name):
            self.sources.pop(args[0], None)
        if name not in ELEMENTWISE | SCALES | SHIFTS or not active(result):
            return
        sources = [self.source(tensor) for tensor in args if active(tensor)]
        if not sources or any(one.tensor is not sources[0].tensor for one in sources):
            return
        curved = name in ELEMENTWISE or any(one.curved for one in sources)
        biased = name in SHIFTS and len(sources) == 1 and not curved  # a bias, whose relevance is its own
        if not biased and result.shape == sources[0].tensor.shape:
            self.sources[result] = sources[0]._replace(curved=curved)


def _writes(name: str) -> bool:
    """Whether an operation changes its first argument."""
    return name in WRITING or (name.endswith("_") and not name.endswith("__"))


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
        return torch.div(z, stabilized(z, ctx.amount)).mul_(gradients[0]), None


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
