"""The same forward pass with less work: batch normalisation folded into convolutions, a faster memory layout, ReLU in place.

In evaluation mode a batch normalisation after a convolution is a scale and a shift of its output, so the convolution can
have them in its weights. Whoever writes that into a model changes the user's model, and whoever traces one is stopped by
the first branch. Here a `TorchFunctionMode` answers the calls of an ordinary forward pass: once, for one row, it notes
which convolution's output only a normalisation reads; from then on that convolution runs with other weights and the
normalisation hands through what it gets. The model, its modules and its weights are not touched.

A pass that takes another course than the one noted is done again without any of this, and so is everything after it. The
first pass is compared with the model's own, on one row. What differs is rounding: measured on a ResNet-18, the gradient is
as far from the one in double precision as the model's own is (L1, 1e-4, where roundings open or close a ReLU), in double
precision the two are equal to 1e-15.

Measured with one thread (AMD Zen 3, medians, interleaved; the model's own time over this, forward / with input gradient):
ResNet-18 at 224 × 224, 4 rows 1.3 / 1.25; ResNet-20 at 32 × 32, 32 rows 1.2 / 1.2; depthwise convolutions 2.5 / 2.3; a VGG
without normalisation 1.4 / 1.15. Convolutions at the processor's peak are then nine tenths of the time, so little is left.
Winograd's algorithm was tried: 1.4 for wide layers, none for others, four times the weights, errors of 1e-5: not worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .batching import is_out_of_memory
from .course import DESCRIBED, KINDS, METADATA, Recorder, Step, planned
from .memory import model_stamp
from .rewrite import packing, tensors_in
from .stem import convolution

Forward = Callable[[int | None], Any]
"""forward(count) -> the model's raw output for the first of the chunk's rows, None for all; its arguments are made anew."""

AGREE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


class Fusion:
    """Makes the passes of one model cheaper, as long as its weights stay as they are."""

    def __init__(self, module: nn.Module | None, call: Any = None) -> None:
        # Compiled code has its own fusions and is not seen by modes.
        self.module = None if module is None or _compiled(module) or hasattr(call, "_orig_mod") else module
        self.forget()

    def forget(self) -> None:
        """Start again: the next pass is the model's own."""
        self._stamp: Any = None
        self._plan: list[Step] | None = None
        self._off = False

    def call(self, forward: Forward) -> Any:
        """The model's output for the chunk's rows. The first pass is always plain: alone it would gain nothing."""
        if self.module is None or self._off or _hooked(self.module):
            return forward(None)
        stamp = model_stamp(self.module)
        if stamp != self._stamp:
            self.forget()
            self._stamp = stamp
            return forward(None)
        if self._plan is not None:
            found = self._run(self._plan, forward)
            if found is not None:
                return found[0]
        elif (found := self._begin(self.module, forward)) is not None:
            return found[0]
        self._off, self._plan = True, None
        return forward(None)

    def _begin(self, module: nn.Module, forward: Forward) -> tuple[Any] | None:
        """Note the course of one row, and trust the plan if the chunk's first row agrees with it."""
        try:
            with torch.no_grad(), Recorder(module) as record:
                expected = forward(1)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return None
        steps = record.finished()
        del record
        for channels_last in (True, False):
            plan = planned(steps, channels_last=channels_last)
            found = self._run(plan, forward) if plan is not None else None
            if found is not None and _agree(found[0], expected):
                self._plan = plan
                return found
        return None

    def _run(self, plan: list[Step], forward: Forward) -> tuple[Any] | None:
        """The output in a tuple of its own, or None for a pass that went another way than planned."""
        mode = _Fused(plan)
        try:
            with mode:
                output = forward(None)
            return (output,) if mode.complete() else None
        except _OtherCourse:
            return None
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return None  # a view of what is laid out otherwise, say; the plain pass fails again if it is the model's


# --- a pass by plan --------------------------------------------------------------------------------------------------


class _OtherCourse(BaseException):
    """The pass left the plan. No Exception: a model's own `except` must not catch it."""


class _Fused(TorchFunctionMode):
    """Follows a plan through one forward pass."""

    def __init__(self, plan: list[Step]) -> None:
        super().__init__()
        self.plan = plan
        self.place = 0
        self.pending: list[Tensor] = []  # normalised already; nothing but its normalisation may see it
        self.last: Any = None
        self.packing = packing()

    def complete(self) -> bool:
        return self.place == len(self.plan) and not self.pending

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = KINDS.get(func)
        if kind is None:
            if self.pending and func not in METADATA:
                self._guard(args, kwargs)
            return func(*args, **kwargs)
        step = self._next(kind)
        if step.folded and kind == "normalisation":
            self.last = self._handed_through(step, args, kwargs)
            return self.last
        self._guard(args, kwargs)
        if step.weights is not None:
            self._check(step, args, kwargs)
            others = {name: value for name, value in kwargs.items() if name not in ("weight", "bias")}
            self.last = convolution(func, args[0], *step.weights, *args[3:], **others)
            if step.folded:
                self.pending.append(self.last)
        elif step.in_place and args[0] is self.last:
            self.last = torch.relu_(args[0])
        else:
            self.last = func(*args, **kwargs)
        return self.last

    def _next(self, kind: str) -> Step:
        step = self.plan[self.place] if self.place < len(self.plan) else None
        # A checkpointed part runs a second time without this mode, and must find the same tensors to keep.
        if step is None or step.kind != kind or packing() is not self.packing:
            raise _OtherCourse
        self.place += 1
        return step

    def _check(self, step: Step, args: Any, kwargs: Any) -> None:
        """The parameters are those that the plan is about."""
        found = DESCRIBED[step.kind](*args, **kwargs)
        same = all(one is other for one, other in zip(found.parameters, step.parameters, strict=True))
        if not same or found.epsilon != step.epsilon:
            raise _OtherCourse

    def _handed_through(self, step: Step, args: Any, kwargs: Any) -> Tensor:
        self._check(step, args, kwargs)
        for place, one in enumerate(self.pending):
            if one is args[0]:
                return self.pending.pop(place)
        raise _OtherCourse

    def _guard(self, args: Any, kwargs: Any) -> None:
        if self.pending and any(tensor is one for tensor in tensors_in((args, kwargs)) for one in self.pending):
            raise _OtherCourse


# --- what is looked at -----------------------------------------------------------------------------------------------


def _compiled(module: nn.Module) -> bool:
    return any(
        hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None
        for part in module.modules()
    )


def _hooked(module: nn.Module) -> bool:
    """Whether someone watches the inside of the model, and may see a convolution's own output."""
    return any(
        part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks  # noqa: SLF001
        for part in module.modules()
        if part is not module
    )


def _agree(found: Any, expected: Any) -> bool:
    """Whether the first row of an output is what the model itself gives for it."""
    pairs = list(zip(_tensors_of(found), _tensors_of(expected), strict=False))
    return bool(pairs) and all(_close(one[:1], other) for one, other in pairs if other.is_floating_point())


def _tensors_of(output: Any) -> list[Tensor]:
    return [*tensors_in(output), *tensors_in(getattr(output, "__dict__", None))]


def _close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    room = AGREE.get(expected.dtype, 0.0) * float(expected.abs().max()) if expected.numel() else 0.0
    return bool(((found.detach() - expected).abs() <= room).all())
