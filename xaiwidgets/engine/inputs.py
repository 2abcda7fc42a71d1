"""The model's inputs: which tensors are explained, and how the others follow their rows.

Whatever the caller passes (a tensor, a tuple, a dict) becomes named items, one or several of them explained. A
method sees only `points`, one float tensor with the batch first; `assemble` turns points back into a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .errors import InputError

Key = int | str
Values = Tensor | tuple[Tensor, ...] | dict[str, Tensor]


@dataclass(frozen=True)
class Inputs:
    """A call of the model, split into explained leaves and everything that goes with them."""

    items: dict[Key, Any]
    explained: tuple[Key, ...]
    container: str  # "tensor", "tuple" or "dict": how the caller wrote the inputs
    several: bool  # a list of leaves was asked for, so results keep the container

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """The explained tensors, in the dtype the model gets them."""
        return tuple(self.items[key] for key in self.explained)

    @property
    def rows(self) -> int:
        return self.leaves[0].shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """What attributions are computed and returned in: half precision is widened to float32."""
        return torch.float64 if any(leaf.dtype == torch.float64 for leaf in self.leaves) else torch.float32

    @property
    def differentiable(self) -> bool:
        """Whether every explained input is floating point; others can only be taken away and put back."""
        return all(leaf.is_floating_point() for leaf in self.leaves)

    @property
    def points(self) -> Tensor:
        """[rows, ...] the explained input; several leaves are packed side by side into [rows, D]."""
        return self.pack(self.leaves)

    def pack(self, leaves: Sequence[Tensor]) -> Tensor:
        """Join per-leaf tensors [rows, ...] into one tensor like `points`."""
        wide = [leaf.to(self.dtype) for leaf in leaves]
        return torch.cat([leaf.flatten(1) for leaf in wide], dim=1) if self.several else wide[0]

    def split(self, points: Tensor) -> tuple[Tensor, ...]:
        """Undo `pack`, for any number of points."""
        if not self.several:
            return (points,)
        sizes = [prod(leaf.shape[1:]) for leaf in self.leaves]
        parts = torch.split(points, sizes, dim=1)
        return tuple(
            part.reshape(part.shape[0], *leaf.shape[1:]) for part, leaf in zip(parts, self.leaves, strict=True)
        )

    def unpack(self, values: Tensor) -> Values:
        """Give values shaped like `points` the container of the inputs."""
        if not self.several:
            return values
        parts = self.split(values)
        if self.container == "dict":
            return {str(key): part for key, part in zip(self.explained, parts, strict=True)}
        return parts

    def select(self, rows: Sequence[int]) -> Any:
        """The same inputs for some rows only, in the caller's container."""
        index = torch.tensor(rows)
        chosen = {key: _take(value, index, self.rows) for key, value in self.items.items()}
        if self.container == "dict":
            return chosen
        return tuple(chosen.values()) if self.container == "tuple" else chosen[0]

    def repeated(self, times: int) -> Inputs:
        """The same inputs, all rows over and over."""
        index = torch.arange(self.rows).repeat(times)
        return replace(self, items={key: _take(value, index, self.rows) for key, value in self.items.items()})

    def moved(self, points: Tensor) -> Inputs:
        """The same inputs with other values of the explained ones."""
        leaves = (part.to(leaf.dtype) for part, leaf in zip(self.split(points), self.leaves, strict=True))
        return replace(self, items={**self.items, **dict(zip(self.explained, leaves, strict=True))})

    def assemble(self, points: Tensor, rows: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments that evaluate `points`, each belonging to sample `rows[i]`."""
        call = {key: _take(value, rows, self.rows) for key, value in self.items.items() if key not in self.explained}
        parts = (part.to(leaf.dtype) for part, leaf in zip(self.split(points), self.leaves, strict=True))
        call.update(zip(self.explained, parts, strict=True))
        ordered = [call[key] for key in self.items]
        if self.container == "dict":
            return (), {str(key): value for key, value in zip(self.items, ordered, strict=True)}
        return tuple(ordered), {}


def read_inputs(inputs: Any, wrt: Key | Sequence[Key] | None = None) -> Inputs:
    """Sort what the caller passed into an `Inputs`, or say precisely why it cannot be explained."""
    container = "dict" if isinstance(inputs, Mapping) else "tuple" if isinstance(inputs, tuple | list) else "tensor"
    raw: dict[Key, Any] = dict(
        inputs if container == "dict" else enumerate(inputs if container == "tuple" else [inputs])
    )
    # Copies: the caller may change or free the originals while an explanation is still being refined, and a tensor
    # made under inference mode cannot be saved for a backward pass.
    with torch.inference_mode(mode=False):
        items = {key: _map(value, _private_copy) for key, value in raw.items()}
    if not items or (container == "tensor" and not isinstance(items[0], Tensor)):
        raise InputError(
            "no_tensor", "The inputs hold no tensor", f"Got {type(inputs).__name__}.", "Pass a batch-first tensor."
        )
    explained, several = _choose_leaves(items, wrt)
    result = Inputs(items, explained, container, several)
    for key in explained:
        _check_leaf(key, items[key], items[explained[0]])
    for key, value in items.items():
        if key not in explained:
            _map(value, partial(_check_companion, key, result.rows))
    return result


def rows_of(inputs: Any, rows: Sequence[int]) -> Any:
    """The same inputs with some of their rows; tensors of one row are shared by all and stay."""
    counts: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        counts.append(tensor.shape[0] if tensor.ndim else 1)
        return tensor

    def take(tensor: Tensor) -> Tensor:
        shared = tensor.ndim == 0 or (tensor.shape[0] == 1 and total > 1)
        return tensor if shared else tensor[list(rows)]

    _map(inputs, count)
    total = max(counts, default=1)
    return _map(inputs, take)


def _choose_leaves(items: dict[Key, Any], wrt: Key | Sequence[Key] | None) -> tuple[tuple[Key, ...], bool]:
    if wrt is not None:
        several = not isinstance(wrt, int | str)
        keys = tuple(cast("Sequence[Key]", wrt)) if several else (cast("Key", wrt),)
        for key in keys:
            if not isinstance(items.get(key), Tensor):
                raise InputError(
                    "unknown_leaf",
                    f"wrt={key!r} names no tensor among the inputs",
                    hint=f"Tensors: {_names(items)}.",
                )
        if not keys or len(set(keys)) != len(keys):
            raise InputError("unknown_leaf", "wrt must name one or more different inputs", f"Got {wrt!r}.")
        return keys, several
    floating = [key for key, value in items.items() if isinstance(value, Tensor) and value.is_floating_point()]
    if len(floating) == 1:
        return (floating[0],), False
    if floating:
        names = ", ".join(repr(key) for key in floating)
        raise InputError(
            "ambiguous_leaf",
            "Several inputs are floating point",
            f"They are {names}.",
            f"Say which to explain: wrt={floating[0]!r}, or wrt={floating!r} for all of them together.",
        )
    tensors = [key for key, value in items.items() if isinstance(value, Tensor)]
    if len(tensors) == 1:
        return (tensors[0],), False
    raise InputError(
        "ambiguous_leaf",
        "No input is floating point, and several could be explained",
        f"Tensors: {_names(items)}.",
        f"Say which to explain: wrt={(tensors or [0])[0]!r}.",
    )


def _check_leaf(key: Key, leaf: Tensor, first: Tensor) -> None:
    if leaf.is_complex():
        raise InputError("complex_input", f"Input {key!r} has dtype {leaf.dtype}", hint="Pass real numbers.")
    if leaf.ndim == 0 or leaf.numel() == 0:
        raise InputError(
            "empty_batch",
            f"Input {key!r} of shape {tuple(leaf.shape)} holds nothing to explain",
            hint="Inputs are batch first: [rows, ...] with at least one row.",
        )
    if leaf.shape[0] != first.shape[0]:
        raise InputError(
            "batch_mismatch",
            f"Input {key!r} has {leaf.shape[0]} rows, the first explained input has {first.shape[0]}",
            hint="Inputs explained together need the same rows.",
        )
    if leaf.is_floating_point() and not bool(torch.isfinite(leaf).all()):
        raise InputError(
            "non_finite_input", f"Input {key!r} contains NaN or infinity", hint="Clean it before explaining it."
        )


def _check_companion(key: Key, rows: int, tensor: Tensor) -> Tensor:
    if tensor.ndim and tensor.shape[0] not in (1, rows):
        raise InputError(
            "batch_mismatch",
            f"Input {key!r} has {tensor.shape[0]} rows, the explained input has {rows}",
            hint="Give every tensor the same number of rows, or one row to be shared by all.",
        )
    return tensor


def _take(value: Any, rows: Tensor, total: int) -> Any:
    """The rows of a companion input that belong to the points being evaluated."""

    def take(tensor: Tensor) -> Tensor:
        if tensor.ndim == 0:
            return tensor
        if tensor.shape[0] == 1 and total != 1:
            return tensor.expand(len(rows), *tensor.shape[1:])
        return tensor.index_select(0, rows.to(tensor.device))

    return _map(value, take)


def _private_copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to every tensor of a nested value; anything else passes through."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: _map(item, function) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a named tuple
        return type(value)(*(_map(item, function) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_map(item, function) for item in value)
    return value


def _names(items: dict[Key, Any]) -> str:
    found = [f"{key!r} ({value.dtype})" for key, value in items.items() if isinstance(value, Tensor)]
    return ", ".join(found) or "none"


def require_differentiable(inputs: Inputs, method: str) -> None:
    """Refuse to differentiate with respect to integers, and say what can be done instead."""
    if not inputs.differentiable:
        dtypes = ", ".join(str(leaf.dtype) for leaf in inputs.leaves)
        raise InputError(
            "integer_input",
            f"{method} needs gradients, and the explained input is {dtypes}",
            hint="Convert an image with .float() (and scale it as the model expects); explain token numbers at their "
            "embedding, layer=the name of the embedding layer, or with a method that needs no gradient.",
        )
