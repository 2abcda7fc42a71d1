"""One forward pass under watch: every operation that a parameter takes part in, by identity.

Parameters are frozen, so that the backward pass only goes through activations; what an operation's output gets from it
is read at the output's gradient edge, which later changes in place do not move. Nothing is hooked into the model: modules
that are used twice, tied weights and functional calls are what they are.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from xaiwidgets.engine.decompose import DECOMPOSED
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import identify, mapped, opened, tensors_in

from .made import Made
from .operations import KNOWN, OPENED, copies, plan_of
from .plans import Plan

Key = tuple[tuple[str, ...], int]
SHAPED = frozenset("to type_as view_as reshape_as expand_as".split())
"""Only the first argument's values matter."""
COPYING = frozenset("expand expand_as repeat".split())
"""Give every row of the batch its own copy of a parameter, it may be."""


@dataclass(eq=False)
class Use:
    """An operation that parameters take part in.

    key     which parameters, and the how manieth operation with just these
    lead    the sizes of the output's axes that are positions
    copied  whether the operation knows only the parameter, and is taken to make a copy of it for each row
    """

    key: Key
    plan: Plan
    lead: tuple[int, ...]
    edge: GradientEdge
    saved: list[tuple[Tensor, int]]
    copied: bool

    def overwritten(self) -> bool:
        """Whether the model has changed in place what the operation was given."""
        return any(tensor._version != version for tensor, version in self.saved)  # noqa: SLF001  # autograd's own check


class Watch(TorchFunctionMode):
    """The mode.

    parameters  those whose gradients are wanted, by name
    constants   the model's tensors: they are the same for every row
    rows        the size of the batch
    overwritten operations whose inputs the model changes later, which are therefore copied
    shared      operations that only look as if they made a copy for each row
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        constants: Iterable[Tensor],
        rows: int,
        *,
        overwritten: set[Key],
        shared: set[Key],
    ) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self.made: dict[str, Made] = {}
        self.unknown: dict[str, str] = {}  # parameters that something no rule knows has touched -> what that was
        self._parameters, self._rows = parameters, rows
        self._overwritten, self._shared = overwritten, shared
        self._names = {id(parameter): name for name, parameter in parameters.items()}
        self._constants = {id(one): one for one in constants}
        self._leaves: dict[str, Tensor] = {}
        self._originals: dict[int, Tensor] = {}
        self._counts: dict[tuple[str, ...], int] = {}
        self._saved: list[tuple[Tensor, int]] = []
        self._copying = False

    def name(self, value: Any) -> str:
        return self._names.get(id(value), "")

    def keep(self, value: Tensor) -> Tensor:
        if self._copying:
            return value.detach().clone()
        self._saved.append((value, value._version))  # noqa: SLF001
        return value.detach()

    def parameters_of(self, names: Iterable[str]) -> set[str]:
        """The parameters behind names, some of which may be made tensors'."""
        return {leaf for name in names if name for leaf in (self.made[name].leaves if name in self.made else (name,))}

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [value for value in args if isinstance(value, Tensor)]
        if kwargs or any(isinstance(value, tuple | list | Mapping) for value in args):
            given = list(tensors_in((args, kwargs)))
        if getattr(func, "__name__", "") in SHAPED:
            given = given[:1]
        touched = tuple(dict.fromkeys(filter(None, map(self.name, given))))
        alone = all(self.name(one) or id(one) in self._constants for one in given)
        if not touched or not torch.is_grad_enabled():
            result = func(*args, **kwargs)
            if alone:
                self._constants.update({id(one): one for one in tensors_in(result)})
            return result
        name, in_place = identify(func, args, dict(kwargs))
        if isinstance(func, types.FunctionType) and (name in OPENED or (name not in KNOWN and not alone)):
            with self:
                return opened(func)(*args, **kwargs)
        in_place = in_place and bool(self.name(args[0]))
        key = touched, self._counts.get(touched, 0)
        plan = None
        if alone and not in_place:
            plan = self._copied(name, func, key, args, kwargs)
            if plan is None:
                return self._make(func, touched, args, kwargs)
        elif name in DECOMPOSED and not in_place:
            with self:
                return DECOMPOSED[name](*args, **kwargs)
        return self._use(name, func, key, args, kwargs, known=not in_place, copied=plan)

    def _copied(self, name: str, func: Any, key: Key, args: Any, kwargs: Any) -> Plan | None:
        """The plan of an operation that gives every row its own copy of a parameter, as far as can be told by now."""
        if self._rows == 1 or key in self._shared:
            return None
        if name in COPYING:
            return copies(self, args[0], func(*args, **kwargs), self._rows)
        if any(self._rows in one.shape[:1] for one in tensors_in((args, kwargs)) if not self.name(one)):
            return plan_of(name, self, args, kwargs)
        return None

    def _use(self, name: str, func: Any, key: Key, args: Any, kwargs: Any, *, known: bool, copied: Plan | None) -> Any:
        if name == "batch_norm" and args[5]:
            raise ModelError(
                "rows_interact",
                "Batch normalisation in training mode mixes the rows of a batch",
                "The loss of one example then depends on its neighbours, and has no gradient of its own.",
                "Put the model into evaluation mode with model.eval().",
            )
        touched, count = key
        self._counts[touched] = count + 1
        self._saved = []
        self._copying = key in self._overwritten or bool(identify(func, args, dict(kwargs))[1])
        plan = copied or (plan_of(name, self, args, kwargs) if known else None)
        result = func(*args, **kwargs)
        if plan is not None and isinstance(result, Tensor):
            if result._is_view():  # noqa: SLF001  # a change in place would go around the edge of a view
                result = result.clone()
            if not result.requires_grad:
                anchor = torch.zeros((), device=result.device, requires_grad=True)
                result = _Joined.apply(result, anchor)  # type: ignore[no-untyped-call]
            lead = tuple(result.shape[: plan.depth])
            self.uses.append(Use(key, plan, lead, get_gradient_edge(result), self._saved, copied is not None))
        elif not any(one.is_floating_point() for one in tensors_in(result)):
            return result
        self.unknown.update(dict.fromkeys(self.parameters_of({*touched} - set(plan.names if plan else ())), name))
        return result

    def _make(self, func: Any, touched: tuple[str, ...], args: Any, kwargs: Any) -> Any:
        """Do something with parameters alone, in a graph of its own."""
        args, kwargs = mapped((args, kwargs), self._live)
        leaves = {name: self._leaves[name] for name in self.parameters_of(touched)}
        return mapped(func(*args, **kwargs), lambda value: self._detached(value, leaves))

    def _live(self, value: Any) -> Any:
        name = self.name(value)
        if not name:
            return value
        if name in self.made:
            return self.made[name].live
        if name not in self._leaves:
            leaf = self._leaves[name] = self._parameters[name].detach().requires_grad_()
            self._originals[id(leaf)] = value
        return self._leaves[name]

    def _detached(self, value: Any, leaves: Mapping[str, Tensor]) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in self._originals:
            return self._originals[id(value)]
        if not value.requires_grad:
            self._constants[id(value)] = value
            return value
        outside, name = value.detach(), f"#{len(self.made)}"
        self.made[name] = Made(outside, value, leaves)
        self._names[id(outside)] = name
        self._originals[id(value)] = outside
        return outside


class _Joined(torch.autograd.Function):
    """Begins a graph at a tensor that has none, without a copy, so that it may be changed in place afterwards."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, anchor: Tensor) -> Tensor:  # noqa: ARG004
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, _gradient: Tensor) -> tuple[None, None]:  # noqa: ARG004
        return None, None
