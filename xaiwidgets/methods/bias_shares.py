"""Biases handed back to the inputs: a second gradient that deals out instead of multiplying.

Beside every tensor goes another of ones, made from the ones before it by an average with the fractions that a bias at that
place is dealt out in. It stays one everywhere; its gradient is the bias that has arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from xaiwidgets.engine.companions import Companions
from xaiwidgets.engine.rewrite import ELEMENTWISE, LINEAR, PRODUCT, SELECTING, STRUCTURAL, WRITING, active, tensors_in
from xaiwidgets.engine.tape import QUESTIONS, Call

from .implicit_biases import Biases, replaced, with_constant

SIGNS = {"sub": torch.add, "rsub": torch.add, "neg": torch.abs, "negative": torch.abs}


class BiasShares(Biases):
    """`inputs` are the model's arguments made of ones."""

    title = "Bias attribution"

    def __init__(self, inputs: Any) -> None:
        super().__init__()
        self.inputs = inputs
        self.ones: Companions[Tensor] = Companions(self.title)
        self.shares: dict[int, Tensor] = {}  # by the number of a term: the ones beside the tensor its bias was added to

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        super().begin(module, arguments)
        for tensor, ones in zip(tensors_in(arguments), tensors_in(self.inputs), strict=True):
            if active(tensor):
                self.ones[tensor] = ones

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        self.ones[tensor] = self.ones[other]

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if not any(map(active, tensors_in((args, kwargs)))):
            return function(*args, **kwargs)
        call = Call(name, function, tuple(args), kwargs)
        ones = self._dealt(call)  # before anything is written
        count = self.count
        result = super().otherwise(name, function, args, kwargs)
        for tensor, one in zip(filter(active, tensors_in(args[0] if name in WRITING else result)), ones, strict=False):
            self.ones[tensor] = one
            if self.count > count:
                self.shares[self.count] = one
        return result

    def _dealt(self, call: Call) -> list[Tensor]:
        """What goes beside the results that depend on the input."""
        if call.name in ELEMENTWISE or with_constant(call):
            at = self._lone(call)
            return [self.ones[call.args[at]].expand(call.run().shape)]
        if call.name in SELECTING:
            self._lone(call)
            found = torch.func.jvp(
                lambda x: _first(call.put({0: x})), (call.args[0].detach(),), (self.ones[call.args[0]],)
            )
            return [cast("Tensor", found[1])]
        if call.name in LINEAR | PRODUCT | {"div"}:
            self._lone(call)
        elif call.name not in STRUCTURAL | {"batch_norm"}:
            raise self.uncovered(call.name, "It mixes its inputs in a way that biases cannot be dealt out by.")
        return self._averaged(call)

    def _lone(self, call: Call) -> int:
        if len(call.active()) != 1 or (call.name == "div" and call.active() != [0]):
            raise self.uncovered(call.name, "Two of its arguments depend on the input.")
        return call.active()[0]

    def _averaged(self, call: Call) -> list[Tensor]:
        """Σ |w x| u / Σ |w x|; where that is nothing, Σ u / Σ 1."""
        if call.name in QUESTIONS and not any(map(active, tensors_in(call.run()))):
            return []
        weighed = self._sums(call, lambda x: x.detach().abs() * self.ones[x])
        total = self._sums(call, lambda x: x.detach().abs())
        if all(bool((one > 0).all()) for one in total):
            return [many / some for many, some in zip(weighed, total, strict=True)]
        equal = self._sums(call, lambda x: self.ones[x], weights=torch.ones_like)
        count = self._sums(call, torch.ones_like, weights=torch.ones_like)
        return [
            torch.where(some > 0, many / some.masked_fill(some <= 0, 1), other / number.masked_fill(number == 0, 1))
            for many, some, other, number in zip(weighed, total, equal, count, strict=True)
        ]

    def _sums(
        self, call: Call, inputs: Callable[[Tensor], Tensor], weights: Callable[[Tensor], Tensor] = torch.abs
    ) -> list[Tensor]:
        """The operation without its constants on other inputs, with other weights."""
        if call.name in SIGNS:
            call = Call("add", SIGNS[call.name], call.args, call.kwargs)
        if call.name == "batch_norm":
            return [inputs(call.args[0])]
        if call.name in LINEAR | PRODUCT | {"div"}:
            args = tuple(weights(one) if _weight(one) else one for one in call.args)
            call = Call(call.name, call.function, args, call.kwargs)
        results = []
        for put in (inputs, torch.zeros_like):
            made = replaced(call, put)
            if call.name in WRITING:
                made.args = (
                    made.args[0].detach().clone() if not active(made.args[0]) else made.args[0].clone(),
                    *made.args[1:],
                )
            result = made.run()
            results.append(list(tensors_in(made.args[0] if call.name in WRITING else result)))
        return [one - none for one, none in zip(*results, strict=True)]


def _weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not active(value)


def _first(value: Any) -> Any:
    return value if isinstance(value, Tensor) else value[0]
