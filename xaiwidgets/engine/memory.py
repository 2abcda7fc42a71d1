"""What a session remembers between runs, so that moving a slider costs only what is new."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

LIMIT = 512 * 2**20


class Memory:
    """A few dictionaries, one for each key, bounded in bytes: the oldest goes first, never the one in use."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._kept: dict[Hashable, dict[Any, Any]] = {}
        self._stamp: Hashable = None

    def of(self, key: Hashable) -> dict[Any, Any]:
        """The dictionary of `key`, which becomes the newest."""
        current = self._kept.pop(key, {})
        while self._kept and sum(map(_nbytes, self._kept.values())) + _nbytes(current) > self.limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = current
        return current

    def nbytes(self) -> int:
        return sum(map(_nbytes, self._kept.values()))

    def forget(self) -> None:
        self._kept.clear()

    def forget_if_changed(self, stamp: Hashable) -> None:
        """Drop everything when the model is no longer the one the memories are of."""
        if stamp != self._stamp:
            self.forget()
            self._stamp = stamp


def model_stamp(module: nn.Module | None) -> Hashable:
    """Changes whenever a weight or a buffer is written to or replaced, or a training flag is switched."""
    if module is None:
        return None
    tensors = (*module.parameters(), *module.buffers())
    # Tensors made under inference mode keep no version counter; they cannot be trained either.
    versions = tuple((id(tensor), 0 if tensor.is_inference() else tensor._version) for tensor in tensors)  # noqa: SLF001
    return versions, tuple(part.training for part in module.modules())


def digest(tensor: Tensor) -> str:
    """A name for a tensor's content; what is only expanded is read once."""
    small = tensor[tuple(slice(0, 1) if step == 0 else slice(None) for step in tensor.stride())]
    content = small.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.blake2b(content.tobytes() + str(tensor.shape).encode(), digest_size=16).hexdigest()


def _nbytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(_nbytes, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(_nbytes, value))
    return 0
