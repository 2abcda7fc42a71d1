"""Rules of layer-wise relevance propagation for linear maps, as data, and the few lines that apply any of them.

A linear map takes inputs a with weights w to z_j = Σ_i a_i w_ij + b_j. A rule says what fraction of an output's relevance
R_j each input receives. All known rules are sums of shares,

    R_i = Σ_shares amount Σ_j (Σ_parts ± a'_i w'_ij) / (Σ_parts ± Σ_k a'_k w'_kj + b'_j) R_j,

where a' is the inputs or what a rule puts in their place, and w' the weights with positive and negative ones scaled. The
denominator is kept from zero by adding `stabilizer` with its own sign (that of zero is positive).

Relevance travels divided by the value it belongs to, c = R / a, because then it is a gradient. Rules whose a' is the input
itself or its positive or negative part never need that division. Those that are not proportional to the input (flat, w²,
z^B: `proportional` is false) give R itself, and belong where nothing comes before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError

STABILIZER = 1e-6
Inputs = Literal["all", "positive", "negative", "ones", "low", "high"]
PROPORTIONAL: dict[str, Callable[[Tensor], Tensor]] = {  # which inputs take part
    "all": torch.ones_like,
    "positive": lambda x: (x > 0).to(x.dtype),
    "negative": lambda x: (x < 0).to(x.dtype),
}


@dataclass(frozen=True)
class Part:
    """One term of a denominator: which inputs meet which weights.

    inputs     the inputs, their positive or negative part, ones, or the ends of the box they come from
    positive   what positive weights are multiplied with; `negative` likewise
    power      of the weights: 2 squares them, 0 takes them all as one
    bias       whether the bias, scaled like the weights, takes part in the denominator
    sign       of the whole term
    """

    inputs: Inputs = "all"
    positive: float = 1.0
    negative: float = 1.0
    power: int = 1
    bias: bool = False
    sign: float = 1.0

    def scaled(self, weight: Tensor) -> Tensor:
        """The weights w' that the term is made with."""
        if self.power != 1:
            return weight**self.power
        if self.positive == self.negative == 1:
            return weight
        return self.positive * weight.clamp(min=0) + self.negative * weight.clamp(max=0)


@dataclass(frozen=True)
class Share:
    """A fraction of the relevance, dealt out in the proportions that some parts add up to.

    amount    the fraction
    outputs   only that of outputs with this sign
    """

    parts: tuple[Part, ...]
    amount: float = 1.0
    outputs: Literal["all", "positive", "negative"] = "all"


@dataclass(frozen=True, eq=False)
class Rule:
    """How a linear map hands relevance down.

    shares       what it consists of; none: every output's relevance goes to the input at its place (`pass_`)
    stabilizer   keeps denominators from zero
    low, high    the box that inputs come from, a number or a tensor like one input; None: from the smallest to the largest
                 value of each row
    """

    name: str
    shares: tuple[Share, ...]
    stabilizer: float = STABILIZER
    low: float | Tensor | None = None
    high: float | Tensor | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def proportional(self) -> bool:
        """Whether an input of zero never gets any relevance."""
        return all(part.inputs in PROPORTIONAL for share in self.shares for part in share.parts)

    @property
    def direct(self) -> bool:
        """Whether the proportions are those of the map itself."""
        return self.shares == (Share((Part(bias=True),)),)


# --- the rules of the literature -------------------------------------------------------------------------------------


def epsilon(stabilizer: float = STABILIZER) -> Rule:
    """R a w / (z + ε sign z); with ε = 0 LRP-0 (Bach et al. 2015, doi:10.1371/journal.pone.0130140)."""
    return Rule(f"epsilon({stabilizer:g})", (Share((Part(bias=True),)),), stabilizer)


def _signed(sign: float, *, bias: bool = True) -> tuple[Part, Part]:
    """Everything that pulls an output up (sign 1) or down (sign -1)."""
    up, down = (1.0, 0.0) if sign > 0 else (0.0, 1.0)
    return Part("positive", up, down, bias=bias), Part("negative", down, up)


def z_plus(*, bias: bool = True) -> Rule:
    """Only what pulls an output up: (a w)⁺ / Σ (a w)⁺ (Montavon et al. 2017, arXiv:1512.02479, for a ≥ 0 and no bias)."""
    return Rule("z_plus", (Share(_signed(1, bias=bias)),))


def alpha_beta(alpha: float = 2.0, beta: float | None = None, *, bias: bool = True) -> Rule:
    """α times what pulls up less β times what pulls down, α − β = 1 (Bach et al. 2015)."""
    beta = alpha - 1 if beta is None else beta
    if alpha < 0 or beta < 0:
        raise ParameterError("alpha_beta", f"alpha={alpha:g}, beta={beta:g}: neither may be negative")
    shares = (Share(_signed(1, bias=bias), alpha), Share(_signed(-1, bias=bias), -beta))
    return Rule(f"alpha_beta({alpha:g}, {beta:g})", shares[: 2 if beta else 1])


def gamma(factor: float = 0.25) -> Rule:
    """What pulls an output to the side it is on counts 1 + γ times (Montavon et al. 2019, doi:10.1007/978-3-030-28954-6_10;
    for inputs and outputs of either sign as in Andéol et al. 2021, arXiv:2112.05206).
    """
    more = 1 + factor
    up = Part("positive", more, 1, bias=True), Part("negative", 1, more)
    down = Part("positive", 1, more, bias=True), Part("negative", more, 1)
    return Rule(f"gamma({factor:g})", (Share(up, outputs="positive"), Share(down, outputs="negative")))


def flat() -> Rule:
    """The same to every input that takes part (Lapuschkin et al. 2019, arXiv:1902.10178)."""
    return Rule("flat", (Share((Part("ones", power=0),)),))


def w_squared() -> Rule:
    """w² / Σ w²: for inputs that can be any number (Montavon et al. 2017)."""
    return Rule("w_squared", (Share((Part("ones", power=2),)),))


def z_box(low: float | Tensor | None = None, high: float | Tensor | None = None) -> Rule:
    """z^B: (a w − l w⁺ − h w⁻) / Σ (a w − l w⁺ − h w⁻), for inputs between l and h (Montavon et al. 2017)."""
    parts = Part(), Part("low", 1, 0, sign=-1.0), Part("high", 0, 1, sign=-1.0)
    return Rule("z_box", (Share(parts),), low=low, high=high)


def pass_() -> Rule:
    """Everything to the input at the same place, for maps that keep the shape."""
    return Rule("pass", ())


# --- applying them ---------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class LinearMap:
    """One use of a linear operation: call(x, weight, bias) evaluates it, for whatever is put in the place of each."""

    call: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    rule: Rule
    axis: int | None = None  # of the weight: the output's channels
    last: bool = False

    def scaled(self, scale: Tensor, shift: Tensor) -> LinearMap:
        """The map followed by a scale and a shift of each channel."""
        assert self.axis is not None  # noqa: S101  # for the type checker
        shape = [1] * self.weight.ndim
        shape[self.axis] = -1
        bias = shift if self.bias is None else self.bias * scale + shift
        return replace(self, weight=self.weight * scale.reshape(shape), bias=bias)


class Producer(NamedTuple):
    """The linear map that made a tensor, while nothing has been written to it."""

    linear: LinearMap
    x: Tensor
    z: Tensor
    version: int


def stabilized(values: Tensor, amount: float) -> Tensor:
    """Away from zero by `amount`, on the side where the value is; a new tensor."""
    return torch.copysign(torch.full((), amount, dtype=values.dtype, device=values.device), values).add_(values)


def hand_down(linear: LinearMap, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    """What the rule gives each input of its outputs' relevance: R_i / x_i for proportional rules, R_i for others."""
    rule, total = linear.rule, torch.zeros_like(x)
    if not rule.shares:
        return _pass(x, relevance)
    box = {} if rule.proportional else _box(rule, x)
    signed = bool(x.min() < 0)
    for share in rule.shares:
        wanted = relevance if share.outputs == "all" else relevance * PROPORTIONAL[share.outputs](z)
        if share.outputs != "all" and not bool(wanted.any()):  # as before a rectifier
            continue
        parts = [part for part in share.parts if signed or part.inputs != "negative"]
        with torch.enable_grad():
            leaves = [_taken(part.inputs, x, box, signed=signed).requires_grad_() for part in parts]
            whole = reduce(torch.add, (_term(linear, part, leaf) for part, leaf in zip(parts, leaves, strict=True)))
        wanted = (wanted / stabilized(whole.detach(), rule.stabilizer)).mul_(share.amount)
        for part, leaf, found in zip(parts, leaves, torch.autograd.grad(whole, leaves, wanted), strict=True):
            if not rule.proportional:
                total.addcmul_(found, leaf.detach())
            elif signed and part.inputs != "all":
                total.addcmul_(found, PROPORTIONAL[part.inputs](x))
            else:
                total.add_(found)
    return total


def _term(linear: LinearMap, part: Part, inputs: Tensor) -> Tensor:
    bias = part.scaled(linear.bias) if part.bias and linear.bias is not None else None
    term = linear.call(inputs, part.scaled(linear.weight), bias)
    return term if part.sign == 1 else part.sign * term


def _taken(inputs: Inputs, x: Tensor, box: dict[str, Tensor], *, signed: bool) -> Tensor:
    """What a rule puts in the place of the inputs."""
    if inputs in box:
        return box[inputs].clone()
    if inputs == "ones":
        return torch.ones_like(x)
    if inputs == "all" or not signed:
        return x.detach()
    return x.detach().clamp(min=0) if inputs == "positive" else x.detach().clamp(max=0)


def _box(rule: Rule, x: Tensor) -> dict[str, Tensor]:
    """The smallest and the largest value each input might have had."""
    ends: dict[str, Any] = {"low": rule.low, "high": rule.high}
    rows = x.detach().flatten(1)
    own = {"low": rows.amin(1), "high": rows.amax(1)}
    for end, value in ends.items():
        bound = own[end].reshape(-1, *[1] * (x.ndim - 1)) if value is None else torch.as_tensor(value).to(x)
        ends[end] = bound.expand_as(x)
    room = 1e-4 * (ends["high"] - ends["low"])
    if bool((x < ends["low"] - room).any() | (x > ends["high"] + room).any()):
        raise ParameterError(
            "outside_box",
            f"The first layer gets values from {float(x.min()):g} to {float(x.max()):g}, outside the box of the rule z_box",
            "The box must hold every possible value of what the first layer is given.",
            "Give low and high for the inputs after normalisation, or leave both out.",
        )
    return ends


def _pass(x: Tensor, relevance: Tensor) -> Tensor:
    if relevance.shape != x.shape:
        raise ParameterError(
            "rule_pass",
            f"The rule pass needs a layer that keeps the shape, not {list(x.shape)} to {list(relevance.shape)}",
            hint="Choose another rule for this layer.",
        )
    return torch.where(x == 0, 0, relevance / torch.where(x == 0, 1, x))
