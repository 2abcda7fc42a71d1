"""DeepLIFT's rescale rule as tables: what each operation makes of differences from a reference.

An operation y = f(x) hands its share of the difference of the score down with the multiplier Δy / Δx in place of f'(x)
(Shrikumar et al. 2017, arXiv:1704.02685). Differences then add up exactly, whatever the model is composed of, as long as
every operation's own differences do. Where the paper is silent:

* Of products each factor gets half of what they do together: Δ(xy) = Δx ȳ + x̄ Δy, with the bar for the mean of the value
  and its reference (`_weight` knows the exception).
* Softmax is exp(x − log Σ exp x), its parts taken by themselves; nothing is exponentiated that could overflow.
* The largest of several: what it rises by goes to the winner at the input, what it falls by to the winner at the reference.
  Neither gets more than its own difference.
* A mask that is not the same at the reference (`x * (x > 0)`, `where`) is part of the function: the value gets all of Δy.
* Normalisations and attention are taken apart into these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from xaiwidgets.engine.rewrite import ELEMENTWISE, LINEAR, PRODUCT, STRUCTURAL, Rule, active, graft, mapped, tensors_in
from xaiwidgets.engine.tape import Call, Compared, Taped, equal

from .differences import POOLS, STRAIGHT, Mapped, extreme, log_weights, pooled, scaled, slope
from .taken_apart import APART


def secant(mode: Taped, now: Call, then: Call) -> Tensor:
    """An elementwise function of one tensor."""
    if len(now.active()) != 1 or any(map(active, now.kwargs.values())):
        raise mode.uncovered(now.name, "More than one of its arguments depends on the input.")
    (at,) = now.active()
    wide = now.wide()
    x0 = then.wide().args[at]

    def f(x: Tensor) -> Tensor:
        return wide.put({at: x})  # type: ignore[no-any-return]

    def multiplier() -> Tensor:
        x = wide.args[at].detach()
        y, y0 = f(x), f(x0)
        x, reference = x.expand_as(y), x0.expand_as(y)
        return slope(f, x, reference, y, y0, straight=now.name in STRAIGHT)

    x = now.args[at]
    value = now.put({at: x.detach()})
    result = scaled(x.expand_as(value), value, multiplier)
    if now.name in INVERSE and isinstance(mode, DeepLift):
        mode.inverse[result] = True
    return result


INVERSE = frozenset(("rsqrt", "reciprocal"))
FACTORS = dict.fromkeys("addmm baddbmm addbmm addmv".split(), (1, 2))


def product(mode: Taped, now: Call, then: Call) -> Tensor:
    """Linear in each of two tensors, and in whatever is added to their product."""
    at = FACTORS.get(now.name, (0, 1))
    if now.name == "einsum":
        now, then, at = flat(now), flat(then), (1, 2)
    factors = [one for one in at if len(now.args) > one and active(now.args[one])]
    if len(now.active()) > len(factors) and (now.name not in LINEAR or len(now.active()) > len(factors) + 1):
        raise mode.uncovered(now.name, "More than two of its arguments depend on the input.")
    if any(map(active, now.kwargs.values())):
        raise mode.uncovered(now.name, "It takes what depends on the input as a named argument.")
    if len(factors) < 2:
        return _masked(now, then) if now.name == "mul" else now.run()
    first, second = at
    weight = _weight(mode, now, then, at)
    middle = {
        first: torch.lerp(now.args[first].detach(), then.args[first], weight),
        second: torch.lerp(then.args[second], now.args[second].detach(), weight),
    }
    halves = now.put({second: middle[second]}) + now.put(
        {first: middle[first], **{one: now.args[one].detach() for one in now.active() if one not in at}}
    )
    return graft(now.put({one: now.args[one].detach() for one in now.active()}), halves)


def _weight(mode: Taped, now: Call, then: Call, at: tuple[int, int]) -> Tensor:
    """How far the second factor has come while the first one moves: a half.

    Only where one of them is one over something (a norm, a deviation) and either order alone would hand out more than ten
    times what the other does, only to take it back, the cheaper order counts more; from a hundred times on it counts alone.
    Otherwise a normalisation whose input is constant at the reference would drown everything.
    """
    x, y = (now.args[one].detach() for one in at)
    x0, y0 = (then.args[one] for one in at)
    half = torch.full((), 0.5, dtype=x.dtype, device=x.device)
    if now.name != "mul" or not isinstance(mode, DeepLift) or not any(now.args[one] in mode.inverse for one in at):
        return half
    end = ((x - x0) * y).abs() + (x0 * (y - y0)).abs()
    start = ((x - x0) * y0).abs() + (x * (y - y0)).abs()
    excess = torch.log10(start / end).nan_to_num_(0)
    return half + excess.sign() * (excess.abs() - 1).clamp_(0, 1) / 2


def flat(call: Call) -> Call:
    """An einsum whose operands came in a list."""
    if len(call.args) == 2 and isinstance(call.args[1], tuple | list):
        return Call(call.name, call.function, (call.args[0], *call.args[1]), call.kwargs)
    return call


def _masked(now: Call, then: Call) -> Tensor:
    """X times a tensor that may be another one than at the reference."""
    (at,) = now.active()
    mask, mask0 = now.args[1 - at], then.args[1 - at]
    if not isinstance(mask, Tensor) or mask is mask0 or equal(mask, mask0):
        return now.run()  # type: ignore[no-any-return]
    x, x0 = now.args[at], then.args[at]

    def multiplier() -> Tensor:
        step = x.detach() - x0
        rise = now.put({at: x.detach()}) - then.run()
        return torch.where((mask == mask0) | (step == 0), mask.to(x.dtype), rise / torch.where(step == 0, 1, step))

    value = now.put({at: x.detach()})
    return scaled(x.expand_as(value), value, multiplier)


def switch(_mode: Taped, now: Call, then: Call) -> Any:
    """`where` and `masked_fill`: of places whose mask has changed, all alternatives together get Δy."""
    if len(now.args) + len(now.kwargs) < 3:
        return now.run()
    (mask, *values), (mask0, *values0) = _alternatives(now), _alternatives(then)
    result = now.run()
    changed = mask != mask0
    if not bool(changed.any()):
        return result
    moved = [(one, one0) for one, one0 in zip(values, values0, strict=True) if active(one)]
    step = sum((one.detach() - one0 for one, one0 in moved), torch.zeros_like(result))
    rise = result.detach() - then.run()
    multiplier = torch.where(step == 0, 0, rise / torch.where(step == 0, 1, step))
    together = sum((one for one, _ in moved), torch.zeros_like(result)) * multiplier
    return graft(result, torch.where(changed, together, result))


def _alternatives(call: Call) -> tuple[Tensor, Any, Any]:
    """The mask, what is taken where it is true, and what elsewhere."""
    if call.name == "masked_fill":
        return call.given(1, "mask"), call.given(2, "value"), call.args[0]
    if call.args[0] is not None and call.args[0].dtype != torch.bool:  # a method of the first alternative
        return call.given(1, "condition"), call.args[0], call.given(2, "other")
    return call.args[0], call.given(1, "self"), call.given(2, "other")


def _wide_pair(now: Call, then: Call) -> tuple[Tensor, Tensor]:
    x, x0 = now.wide().args[0].detach(), then.wide().args[0]
    dtype = now.given(2, "dtype") if now.name != "logsumexp" else None
    return (x, x0) if dtype is None else (x.to(dtype), x0.to(dtype))


def softmax(_mode: Taped, now: Call, then: Call) -> Tensor:
    dim = now.given(1, "dim")

    def measure(x: Tensor) -> Any:
        wide, x0 = _wide_pair(now, then)
        weights, log, log0 = log_weights(wide, x0, dim)
        v, v0 = wide - log, x0 - log0
        slopes = slope(torch.exp, v, v0, v.exp(), v0.exp())

        def back(gradient: Tensor, slopes: Tensor, weights: Tensor) -> Tensor:
            passed = gradient * slopes
            return (passed - weights * passed.sum(dim, keepdim=True)).to(x.dtype)

        return now.put({0: x}), back, (slopes, weights)

    return Mapped.apply(now.args[0], measure)  # type: ignore[no-any-return, no-untyped-call]


def log_softmax(_mode: Taped, now: Call, then: Call) -> Tensor:
    dim = now.given(1, "dim")

    def measure(x: Tensor) -> Any:
        def back(gradient: Tensor, weights: Tensor) -> Tensor:
            return (gradient - weights * gradient.sum(dim, keepdim=True)).to(x.dtype)

        return now.put({0: x}), back, (log_weights(*_wide_pair(now, then), dim)[0],)

    return Mapped.apply(now.args[0], measure)  # type: ignore[no-any-return, no-untyped-call]


def logsumexp(_mode: Taped, now: Call, then: Call) -> Tensor:
    dim, keepdim = now.given(1, "dim"), now.given(2, "keepdim", default=False)
    dims = sorted(one % now.args[0].ndim for one in ((dim,) if isinstance(dim, int) else dim))

    def measure(x: Tensor) -> Any:
        def back(gradient: Tensor, weights: Tensor) -> Tensor:
            for one in () if keepdim else dims:
                gradient = gradient.unsqueeze(one)
            return (gradient * weights).to(x.dtype)

        return now.put({0: x}), back, (log_weights(*_wide_pair(now, then), dims)[0],)

    return Mapped.apply(now.args[0], measure)  # type: ignore[no-any-return, no-untyped-call]


def selected(_mode: Taped, now: Call, then: Call) -> Any:
    """The largest of several, and where it was if that was asked for."""
    found, pick = (pooled if now.name in POOLS else extreme)(now, then)
    if isinstance(found, Tensor):
        return graft(found, pick(now.args[0]))
    return type(found)((graft(found[0], pick(now.args[0])), *found[1:]))


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype == torch.float32 else value


# --- the table ---------------------------------------------------------------------------------------------------------


class DeepLift(Taped):
    """The rescale rule."""

    title = "DeepLIFT"
    passes: ClassVar[frozenset[str]] = STRUCTURAL | {"div", "batch_norm"}
    switching: ClassVar[frozenset[str]] = frozenset({"where", "masked_fill", "mul"})
    rules: ClassVar[Mapping[str, Rule]] = APART
    compared: ClassVar[Mapping[str, Compared]] = {
        **dict.fromkeys(ELEMENTWISE, secant),
        **dict.fromkeys(LINEAR | PRODUCT, product),
        **dict.fromkeys(("where", "masked_fill"), switch),
        **dict.fromkeys((*POOLS, "amax", "amin"), selected),
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": logsumexp,
    }

    def __init__(self) -> None:
        super().__init__()
        self.inverse: WeakIdKeyDictionary = WeakIdKeyDictionary()  # the tensors that are one over something

    def compare(self, name: str, function: Any, args: Any, kwargs: Any, rule: Compared) -> Any:
        if any(one.dtype == torch.float64 for one in tensors_in(args) if one.requires_grad):
            args, kwargs = mapped(args, _double), {key: one for key, one in kwargs.items() if key != "dtype"}
        return super().compare(name, function, args, kwargs, rule)

    def keeps(self, call: Call) -> bool:
        """A product with a parameter is linear, and needs nothing from the reference."""
        if call.name not in LINEAR | PRODUCT:
            return True
        free = [one for one in call.args if isinstance(one, Tensor) and id(one) not in self.own]
        return len(free) > 1 or call.name == "einsum"
