"""One forward pass under watch: every operation that a parameter takes part in, by identity.

Parameters are frozen, so that the backward pass only goes through activations; what an operation's output gets from it
is read at the output's gradient edge, which later changes in place do not move. Nothing is hooked into the model: modules
that are used twice, tied weights and functional calls are what they are.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import identify, opened, tensors_in
from .operations import OPENED, RULES, Plan

Key = tuple[tuple[str, ...], int]


@dataclass(eq=False)
class Use:
    """An operation that parameters take part in.

    key    which parameters, and the how manieth operation with just these
    lead   the sizes of the output's axes that are positions
    """

    key: Key
    plan: Plan
    lead: tuple[int, ...]
    edge: GradientEdge
    saved: list[tuple[Tensor, int]]

    def overwritten(self) -> bool:
        """Whether the model has changed in place what the operation was given."""
        return any(tensor._version != version for tensor, version in self.saved)  # noqa: SLF001  # autograd's own check


class Watch(TorchFunctionMode):
    """The mode.

    names   the parameters whose gradients are wanted, by id
    copies  operations whose inputs the model changes later, which are therefore copied
    """

    def __init__(self, names: Mapping[int, str], copies: set[Key]) -> None:
        super().__init__()
        self.names, self.copies = names, copies
        self.uses: list[Use] = []
        self.unknown: dict[str, str] = {}  # parameters that something no rule knows has touched -> what that was
        self._counts: dict[tuple[str, ...], int] = {}
        self._saved: list[tuple[Tensor, int]] = []
        self._copying = False
        self._anchor = torch.zeros((), requires_grad=True)

    def name(self, value: Any) -> str:
        return self.names.get(id(value), "")

    def keep(self, value: Tensor) -> Tensor:
        if self._copying:
            return value.detach().clone()
        self._saved.append((value, value._version))  # noqa: SLF001
        return value.detach()

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        touched = tuple(dict.fromkeys(self._touched(args, kwargs)))
        if not touched or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        name, in_place = identify(func, args, dict(kwargs))
        python = isinstance(func, types.FunctionType)
        if python and (name in OPENED or name not in RULES):
            with self:
                return opened(func)(*args, **kwargs)
        plan, key = self._planned(name, in_place, touched, args, kwargs)
        result = func(*args, **kwargs)
        known = () if plan is None else plan.names
        if plan is not None and isinstance(result, Tensor):
            result = self._use(plan, key, result)
        elif not any(tensor.is_floating_point() and not self.name(tensor) for tensor in tensors_in(result)):
            return result  # a size, a flag, the parameter itself
        self.unknown.update({one: name for one in touched if one not in known})
        return result

    def _planned(
        self, name: str, in_place: bool, touched: tuple[str, ...], args: Any, kwargs: Any
    ) -> tuple[Plan | None, Key]:
        if name == "batch_norm" and args[5]:
            raise ModelError(
                "rows_interact",
                "Batch normalisation in training mode mixes the rows of a batch",
                "The loss of one example then depends on its neighbours, and has no gradient of its own.",
                "Put the model into evaluation mode with model.eval().",
            )
        key = (touched, self._counts.get(touched, 0))
        self._counts[touched] = key[1] + 1
        if name not in RULES or "out" in kwargs or (in_place and self.name(args[0])):
            return None, key
        self._saved = []
        self._copying = key in self.copies or in_place
        return RULES[name](self, *args, **kwargs), key

    def _use(self, plan: Plan, key: Key, result: Tensor) -> Tensor:
        if result._is_view():  # a change in place would go around the edge of a view  # noqa: SLF001
            result = result.clone()
        if not result.requires_grad:
            result = _Joined.apply(result, self._anchor)
        self.uses.append(Use(key, plan, tuple(result.shape[: plan.depth]), get_gradient_edge(result), self._saved))
        return result

    def _touched(self, args: Any, kwargs: Any) -> Iterator[str]:
        for value in (*args, *kwargs.values()):
            if isinstance(value, tuple | list):
                yield from filter(None, map(self.name, value))
            elif name := self.name(value):
                yield name


class _Joined(torch.autograd.Function):
    """Begins a graph at a tensor that has none, without a copy, so that it may be changed in place afterwards."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, anchor: Tensor) -> Tensor:  # noqa: ARG004
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, _gradient: Tensor) -> tuple[None, None]:  # noqa: ARG004
        return None, None
