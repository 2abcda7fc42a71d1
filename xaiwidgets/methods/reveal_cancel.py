"""DeepLIFT's reveal-cancel rule: what raises and what lowers a unit is followed separately.

Every difference Δx = Δx⁺ + Δx⁻ goes through the model as its two parts, each a linear function of the parts before it
(Shrikumar et al. 2017, arXiv:1704.02685, sections 3.2 and 3.5):

* linear layers: Δy⁺ = Σ w Δx over the terms with w Δx > 0, Δy⁻ over those with w Δx < 0, by the sign of the whole Δx; an
  input that has not changed sends half of each part each way;
* functions of one number: Δy⁺ = ½ (f(x₀ + Δx⁺) − f(x₀)) + ½ (f(x₀ + Δx⁻ + Δx⁺) − f(x₀ + Δx⁻)), and Δy⁻ likewise;
* additions, means, moves and scales keep the parts, a negative scale exchanges them, so that a batch normalisation does the
  same whether it is folded into the convolution before it or not;
* the largest of several: the winners' parts, in the rescale rule's proportions.

Parts are kept beside the tensors of the second pass. Products of two differences and what is made of them (softmax, layer
normalisation, attention, division) have no such parts and are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from xaiwidgets.engine.companions import Companions
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import (
    ELEMENTWISE,
    LINEAR,
    PRODUCT,
    STRUCTURAL,
    WRITING,
    Rewrite,
    Rule,
    active,
    mapped,
    tensors_in,
)
from xaiwidgets.engine.tape import Call, Compared, Taped, same_random_numbers

from .deeplift_rules import FACTORS, flat
from .differences import POOLS, STRAIGHT, extreme, pooled, slope
from .taken_apart import batch_norm, detach, maximum, read

Parts = tuple[Tensor, Tensor]
NO_PARTS = "Its two factors rise and fall together: the parts of their differences cannot be told apart."
# Which of their arguments count the other way round.
MINUS = {"sub": (1,), "rsub": (0,), "neg": (0,), "negative": (0,)}


class RevealCancel(Taped):
    """Carries the parts of differences beside the tensors; `inputs` are the model's arguments made of rises and of falls."""

    title = "DeepLIFT's reveal-cancel rule"
    passes: ClassVar[frozenset[str]] = STRUCTURAL

    def __init__(self, inputs: list[Any]) -> None:
        super().__init__()
        self.inputs = inputs
        self.parts: Companions[Parts] = Companions(self.title)

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        super().begin(module, arguments)
        if self.place is not None:
            for tensor, *parts in zip(*map(tensors_in, (arguments, *self.inputs)), strict=True):
                if active(tensor):
                    self.parts[tensor] = cast("Parts", tuple(parts))

    def uncovered(
        self, name: str, why: str = "Rises and falls cannot be followed through it separately."
    ) -> ModelError:
        found = super().uncovered(name, why)
        return ModelError(
            found.code, found.title, found.detail, 'Use rule="rescale", which is defined for every operation.'
        )

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        if self.place is not None:
            self.parts[tensor] = self.parts[other]

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if self.place is None or (self.passes is not None and name not in self.passes):
            return super().otherwise(name, function, args, kwargs)
        call = Call(name, function, tuple(args), kwargs)
        carried = self._carried(call)  # before anything is written
        result = super().otherwise(name, function, args, kwargs)
        made = args[0] if name in WRITING else result
        for tensor, *parts in zip(*map(tensors_in, (made, *carried)), strict=True):
            if active(tensor):
                self.parts[tensor] = cast("Parts", tuple(parts))
        return result

    def _carried(self, call: Call) -> tuple[Any, Any]:
        """Both parts of what is linear apart from constants: the operation on the parts less that on zeros."""
        minus = MINUS.get(call.name, ())
        if call.name == "add" and call.kwargs.get("alpha", 1) < 0:
            minus = (1,)

        def made(side: int | None) -> Any:
            def part(tensor: Any, which: int | None = side) -> Any:
                if not active(tensor):
                    return tensor.detach().clone() if isinstance(tensor, Tensor) and call.name in WRITING else tensor
                return torch.zeros_like(tensor) if which is None else self.parts[tensor][which].clone()

            def other(tensor: Any) -> Any:
                return part(tensor, None if side is None else 1 - side)

            args = tuple(mapped(one, other if at in minus else part) for at, one in enumerate(call.args))
            kwargs = mapped(call.kwargs, part)
            with same_random_numbers(next(tensors_in(call.args)).device) if "dropout" in call.name else nullcontext():
                result = call.function(*args, **kwargs)
            return args[0] if call.name in WRITING else result

        zero = list(tensors_in(made(None)))
        return tuple([one - none for one, none in zip(tensors_in(made(side)), zero, strict=True)] for side in (0, 1))  # type: ignore[return-value]


# --- rules -----------------------------------------------------------------------------------------------------------


def _lone(mode: Taped, call: Call) -> int:
    """The position of the only argument that depends on the input."""
    if len(call.active()) != 1 or any(map(active, call.kwargs.values())):
        raise mode.uncovered(call.name, NO_PARTS)
    return call.active()[0]


def _with_parts(rule: Callable[[RevealCancel, Call, Call], tuple[Any, Parts]]) -> Compared:
    def compared(mode: Taped, now: Call, then: Call) -> Any:
        assert isinstance(mode, RevealCancel)  # noqa: S101  # for the type checker
        result, parts = rule(mode, now, then)
        mode.parts[next(tensors_in(result))] = parts
        return result

    return compared


@_with_parts
def _linear(mode: RevealCancel, now: Call, then: Call) -> tuple[Any, Parts]:
    """Terms of a linear map regrouped by their signs."""
    call, before = (flat(one) if now.name == "einsum" else one for one in (now, then))
    at = _lone(mode, call)
    first, second = (1, 2) if call.name == "einsum" else FACTORS.get(call.name, (0, 1))
    if at not in (first, second):
        raise mode.uncovered(call.name, NO_PARTS)
    other = second if at == first else first
    call = _unbiased(call)
    step = sum(mode.parts[call.args[at]], torch.zeros_like(call.args[at]))
    weight = call.args[other]
    # The sign of the difference itself: where nothing has changed, the parts cancel only up to rounding.
    change = call.args[at].detach() - before.args[at]
    up, down = change > 0, change < 0
    still = ~(up | down) * 0.5
    positive, negative = step * (up + still), step * (down + still)
    rises = call.put({at: positive, other: weight.clamp(min=0)}) + call.put({at: negative, other: weight.clamp(max=0)})
    return now.run(), (rises, call.put({at: step}) - rises)


def _unbiased(call: Call) -> Call:
    if call.name in FACTORS:
        return replace(call, kwargs={**call.kwargs, "beta": 0})
    if call.name not in LINEAR:
        return call
    args = tuple(None if at == 2 else value for at, value in enumerate(call.args))
    return replace(call, args=args, kwargs={name: value for name, value in call.kwargs.items() if name != "bias"})


@_with_parts
def _scale(mode: RevealCancel, now: Call, _then: Call) -> tuple[Any, Parts]:
    """Place by place y = s x + c: parts stay, or are exchanged where s is negative."""
    at = _lone(mode, now)
    x = now.args[at].detach()
    zero, one = now.put({at: torch.zeros_like(x)}), now.put({at: torch.ones_like(x)})
    same, swapped = (one >= zero), (one < zero)
    rises, falls = (now.put({at: part}) - zero for part in mode.parts[now.args[at]])
    return now.run(), (rises * same + falls * swapped, falls * same + rises * swapped)


@_with_parts
def _function(mode: RevealCancel, now: Call, then: Call) -> tuple[Any, Parts]:
    """A function of one number, its argument moved by one part alone and after the other."""
    at = _lone(mode, now)
    x, x0 = now.args[at], then.args[at]
    parts = mode.parts[x]
    rise, fall = (part.detach() for part in parts)

    def f(x: Tensor) -> Tensor:
        return now.put({at: x})  # type: ignore[no-any-return]

    low, high = x0 + fall, x0 + rise
    after, before, top, bottom = (f(one) for one in (x.detach(), x0, high, low))

    def between(end: Tensor, start: Tensor, y: Tensor, y0: Tensor) -> Tensor:
        return slope(f, end, start, y, y0, straight=now.name in STRAIGHT)

    of_rise = (between(high, x0, top, before) + between(x.detach(), low, after, bottom)) / 2
    of_fall = (between(low, x0, bottom, before) + between(x.detach(), high, after, top)) / 2
    if not bool(torch.isfinite(of_rise + of_fall).all()):
        raise mode.uncovered(now.name, "It is not defined for rises or falls by themselves.")
    return now.run(), (parts[0] * of_rise, parts[1] * of_fall)


@_with_parts
def _selected(mode: RevealCancel, now: Call, then: Call) -> tuple[Any, Parts]:
    """The largest of several."""
    _, pick = (pooled if now.name in POOLS else extreme)(now, then)
    rises, falls = mode.parts[now.args[0]]
    return now.run(), (pick(rises), pick(falls))


def _either(mode: Rewrite, function: Any, x: Any, other: Any, **_kwargs: Any) -> Any:
    sign = 1 if "max" in function.__name__ else -1
    return mode.under(lambda: (x + other + sign * torch.abs(x - other)) / 2)


def _divide(mode: Rewrite, function: Any, x: Any, other: Any, **kwargs: Any) -> Any:
    if active(other) or kwargs:
        raise mode.uncovered("div", NO_PARTS)
    assert isinstance(mode, RevealCancel)  # noqa: S101  # for the type checker
    return mode.compare("div", function, (x, other), {}, _scale)


def _batch_norm(mode: Rewrite, function: Any, *args: Any) -> Any:
    assert isinstance(mode, RevealCancel)  # noqa: S101  # for the type checker
    if args[5]:
        return batch_norm(mode, function, *args)
    return mode.compare("batch_norm", function, args, {}, _scale)


_RULES: Mapping[str, Rule] = {
    "div": _divide,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _either),
    **dict.fromkeys(("max", "min"), maximum),
    "detach": detach,
    **dict.fromkeys(("numpy", "tolist", "item"), read),
}
RevealCancel.rules = _RULES
RevealCancel.compared = {
    **dict.fromkeys(ELEMENTWISE, _function),
    **dict.fromkeys(LINEAR | PRODUCT, _linear),
    "mul": _scale,
    **dict.fromkeys((*POOLS, "amax", "amin"), _selected),
}
