"""Two passes of one model compared operation by operation: written down at a reference, read again at the inputs.

A rule about differences needs what an operation got at the reference. The first pass of a `Taped` rewrite writes its
operations down in their order; the second finds each of them again, and a model that does anything else the second time
(another branch, another shape, a number read out of a tensor, a mask or an index that follows the data) is an error:
differences of such a model have no meaning operation by operation.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .errors import ModelError
from .rewrite import Rewrite, active, mapped

Compared = Callable[["Taped", "Call", "Call"], Any]
"""rule(mode, now, then) -> the operation's result; `then` has the reference's tensors where `now` has active ones."""

# Written in Python around an operation of the same name with another order of arguments: rules are for the inner one.
WRAPPED = frozenset("softmax log_softmax layer_norm group_norm rms_norm batch_norm instance_norm".split())
# They say something about a tensor; what a model makes of it shows in its other operations.
QUESTIONS = frozenset("__get__ size dim stride numel is_contiguous storage_offset element_size data_ptr".split())

PLAIN = (bool, int, float, complex, str, slice, torch.dtype, torch.device, type(None), type(...))


@dataclass
class Call:
    """One call of an operation."""

    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        return self.function(*self.args, **self.kwargs)

    def put(self, values: Mapping[int, Any]) -> Any:
        """The result with other arguments at some positions."""
        return self.function(*(values.get(at, value) for at, value in enumerate(self.args)), **self.kwargs)

    def active(self) -> list[int]:
        """Positions of the arguments that depend on the explained input."""
        return [at for at, value in enumerate(self.args) if active(value)]

    def given(self, at: int, name: str, default: Any = None) -> Any:
        """An argument by position or by name."""
        return self.args[at] if len(self.args) > at else self.kwargs.get(name, default)

    def wide(self) -> Call:
        """The same call with half-precision tensors as float32."""
        return replace(self, args=mapped(self.args, _wide), kwargs=mapped(self.kwargs, _wide))


class Step(NamedTuple):
    """What is known of an operation at the reference."""

    name: str
    facts: list[Any]  # numbers, and the shapes and parameters of tensors
    constants: list[Tensor]
    args: Any
    kwargs: Any


class Taped(Rewrite):
    """A rewrite that runs twice, at a reference and then, after `turn()`, at the inputs."""

    compared: ClassVar[Mapping[str, Compared]] = {}
    switching: ClassVar[frozenset[str]] = (
        frozenset()
    )  # their rules know what to do when a constant argument has changed

    def __init__(self) -> None:
        super().__init__()
        self.tape: list[Step] = []
        self.place: int | None = None  # None: still writing
        self.own: dict[int, Tensor] = {}

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        super().begin(module, arguments)
        if module is not None and not self.own:
            self.own = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}

    def turn(self) -> None:
        """The reference is done; what comes next is compared with it."""
        self.place = 0

    def finish(self) -> None:
        """Both passes are done: the second must have come as far as the first."""
        if self.place != len(self.tape):
            raise self.differs(f"The second pass ended after {self.place} of {len(self.tape)} operations.")

    def differs(self, detail: str) -> ModelError:
        return ModelError(
            "not_repeatable",
            f"{self.title} compares what the model does at the input with what it does at the baseline, and it does "
            "something else",
            detail,
            "A branch, a mask or an index follows the data, or something is random: choose a baseline closer to the input, "
            "or use integrated gradients.",
        )

    def keeps(self, call: Call) -> bool:  # noqa: ARG002  # subclasses look at it
        """Whether a rule will ask for the tensors of this call."""
        return True

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if "input" in kwargs:
            kwargs = dict(kwargs)
            args = (kwargs.pop("input"), *args)
        if name in WRAPPED and isinstance(function, types.FunctionType):
            return self.open(function, args, kwargs)
        rule = self.compared.get(name)
        if rule is None:
            return super()._apply(name, function, args, kwargs)
        return self.compare(name, function, args, kwargs, rule)

    def compare(self, name: str, function: Any, args: Any, kwargs: Any, rule: Compared) -> Any:
        """At the reference the operation as it is, at the inputs what the rule makes of both."""
        now = Call(name, function, tuple(args), kwargs)
        then = self._step(now, keep=self.place is None and self.keeps(now))
        return now.run() if then is None else rule(self, now, then)

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if name not in QUESTIONS:
            self._step(Call(name, function, tuple(args), kwargs), keep=False)
        return super().otherwise(name, function, args, kwargs)

    def _step(self, call: Call, *, keep: bool) -> Call | None:
        """Write a call down and return nothing, or find it again and return it as it was."""
        writing = self.place is None
        facts: list[Any] = []
        constants: list[Tensor] = []

        def note(value: Any) -> Any:
            if not isinstance(value, Tensor):
                facts.append(value if isinstance(value, PLAIN) else type(value))
            elif value.requires_grad:
                facts.append(value.shape)
                value = value.detach().clone() if keep else None
            elif id(value) in self.own:
                facts.append(id(value))
            else:
                value = value.detach().clone() if writing else value
                constants.append(value)
            return value

        args, kwargs = mapped(call.args, note), mapped(call.kwargs, note)
        if self.place is None:
            self.tape.append(Step(call.name, facts, constants, args, kwargs))
            return None
        step = self._next(call.name, facts)
        if call.name not in self.switching and not _equal(constants, step.constants):
            raise self.differs(
                f"Operation {self.place}, {call.name}, takes a tensor that no derivative leads to (a mask, an index, or "
                "something computed without gradients), and it is not the same."
            )
        return Call(call.name, call.function, step.args, step.kwargs)

    def _next(self, name: str, facts: list[Any]) -> Step:
        assert self.place is not None  # noqa: S101  # for the type checker
        if self.place >= len(self.tape):
            raise self.differs(f"After all {len(self.tape)} operations of the first pass comes {name}.")
        step = self.tape[self.place]
        self.place += 1
        if (step.name, step.facts) != (name, facts):
            other = "with other arguments" if step.name == name else f"instead of {step.name}"
            raise self.differs(f"Operation {self.place} is {name}, {other}.")
        return step


def _equal(constants: list[Tensor], earlier: list[Tensor]) -> bool:
    return len(constants) == len(earlier) and all(map(equal, constants, earlier))


def equal(one: Tensor, other: Tensor) -> bool:
    """The same tensor, to the last bit."""
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def same_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """What is drawn inside is drawn again afterwards."""
    accelerators = [device] if device.type in ("cuda", "xpu") else []
    return torch.random.fork_rng(accelerators, device_type=device.type if accelerators else "cuda")


def _wide(value: Any) -> Any:
    half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.detach().float() if half else value
