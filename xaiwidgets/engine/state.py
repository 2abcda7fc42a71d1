"""The user's model is borrowed, one chunk at a time, and given back as it was.

Nothing is held while a generator is suspended: between two partial results the model is exactly the user's.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import ModelError

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


def module_of(model: Any) -> nn.Module | None:
    """The module behind a model: itself, what `torch.compile` wrapped, or the owner of a bound method."""
    owner = getattr(model, "__self__", None)
    module = model if isinstance(model, nn.Module) else owner
    module = getattr(module, "_orig_mod", module)
    return module if isinstance(module, nn.Module) else None


def lock_of(module: nn.Module | None) -> threading.RLock:
    """One lock a module: gradient flags and training flags are shared state, and threads really run at once."""
    if module is None:
        return threading.RLock()
    with _locks_guard:
        return _locks.setdefault(module, threading.RLock())


class _Eager:
    """A switch, global to the process, that makes compiled models run uncompiled while anyone needs that."""

    def __init__(self) -> None:
        self.users = 0
        self.guard = threading.Lock()
        self.stance: Any = None

    @contextmanager
    def __call__(self, needed: bool) -> Iterator[None]:
        # As long as nothing is compiled there is nothing to do, and importing the compiler takes seconds.
        if not (needed and "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")):
            yield
            return
        with self.guard:
            if self.users == 0:
                self.stance = torch.compiler.set_stance("force_eager")
            self.users += 1
        try:
            yield
        finally:
            with self.guard:
                self.users -= 1
                if self.users == 0:
                    self.stance.__exit__(None, None, None)


# Hooks are not seen by compiled code, and what autograd keeps cannot be counted in it.
eager = _Eager()


def check_mode(module: nn.Module | None, training: bool | None) -> None:
    """Refuse to guess: dropout and batch statistics make an explanation random or dependent on its neighbours."""
    if module is None or training is not None:
        return
    active = [name or "the model itself" for name, part in module.named_modules() if part.training]
    if active:
        raise ModelError(
            "training_mode",
            "The model is in training mode",
            f"{len(active)} of its modules are, first: {active[0]}.",
            "Call model.eval() first, pass training=False to explain it as in evaluation mode, "
            "or training=True to explain it as it is.",
        )


class _Draws(TorchDispatchMode):
    """Notes whether an operation of this thread may have drawn random numbers."""

    seen = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import the compiler, for a second, to keep it off what is called here; `eager` keeps it off."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen = self.seen or torch.Tag.nondeterministic_seeded in function.tags
        return function(*args, **(kwargs or {}))

    def drew(self, before: list[Tensor], after: list[Tensor]) -> bool:
        """Whether it did, going by the random states too: some operations only might."""
        return self.seen and not all(map(torch.equal, before, after))


_drawing: weakref.WeakKeyDictionary[nn.Module, dict[bool, bool]] = weakref.WeakKeyDictionary()
"""Whether a module draws random numbers, in training mode and outside; known from its first chunk off the main thread."""


@contextmanager
def _random_state_kept(module: nn.Module | None, training: bool, device: torch.device) -> Iterator[None]:
    """The global random state as it was, whatever the model draws.

    The state is shared by all threads: putting it back takes away what another thread has drawn meanwhile. So off the main
    thread it is put back only for models that draw, which the first chunk finds out.
    """
    known = {} if module is None else _drawing.setdefault(module, {})
    draws = True if threading.current_thread() is threading.main_thread() else known.get(training)
    before = [] if draws is False else _random_states(device)
    probe = _Draws() if draws is None else None  # type: ignore[no-untyped-call]  # torch's
    try:
        with eager(needed=probe is not None), probe or nullcontext():
            yield
        if probe is not None:
            known[training] = probe.drew(before, _random_states(device))
    finally:
        if draws or (probe is not None and probe.drew(before, _random_states(device))):
            _set_random_states(device, before)


def _random_states(device: torch.device) -> list[Tensor]:
    accelerator = [getattr(torch, device.type).get_rng_state(device)] if device.type in ("cuda", "xpu") else []
    return [torch.get_rng_state(), *accelerator]


def _set_random_states(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        getattr(torch, device.type).set_rng_state(state, device)


@contextmanager
def borrowed(
    module: nn.Module | None, lock: threading.RLock, *, gradient: bool, training: bool | None, device: torch.device
) -> Iterator[None]:
    """Run a chunk: exclusive, parameters frozen, gradient mode explicit, random state and flags restored."""
    with (
        lock,
        torch.inference_mode(mode=False),
        torch.set_grad_enabled(gradient),
        _random_state_kept(module, training is True, device),
    ):
        if module is None:
            yield
            return
        # Only the input's gradient is wanted. Freezing the parameters saves their share of the backward pass and
        # makes sure that nothing can accumulate into `.grad`.
        frozen = [parameter for parameter in module.parameters() if parameter.requires_grad and parameter.is_leaf]
        flags = [(part, part.training) for part in module.modules()] if training is False else []
        buffers = _snapshot(module) if training else []
        try:
            for parameter in frozen:
                parameter.requires_grad_(False)
            for part, _ in flags:
                part.training = False
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
            for part, flag in flags:
                part.training = flag
            _restore(buffers)


def _snapshot(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Batch norm in training mode moves its running statistics on every forward pass; explaining must not."""
    return [(buffer, buffer.clone()) for buffer in module.buffers()]


def _restore(buffers: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for buffer, saved in buffers:
            if not torch.equal(buffer, saved):
                buffer.copy_(saved)
