"""Tensors that are made of parameters alone: transposes, pieces, casts, sums, position embeddings.

An operation may be given one of these instead of the parameter itself. Its gradients are then those of the made tensor,
and go back to the parameters through what made it, which is differentiated row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .products import Formed, Outer, Part


@dataclass(frozen=True, eq=False)
class Made:
    """A tensor made of parameters.

    value   what the model goes on with, outside of any graph
    live    the same inside the graph that leads back to `leaves`
    leaves  name -> the parameter's values as the graph's beginning
    """

    value: Tensor
    live: Tensor
    leaves: Mapping[str, Tensor]

    def returned(self, parts: Sequence[Part]) -> list[tuple[str, Part]]:
        """The gradients of the parameters, given those of the made tensor."""
        if len(self.leaves) == 1:
            ((name, leaf),) = self.leaves.items()
            moved = [_of_view(part, self.live, leaf) for part in parts]
            if all(part is not None for part in moved):
                return [(name, part) for part in moved if part is not None]
        formed = torch.stack([part.formed() for part in parts]).sum(0)
        gradients = torch.autograd.grad(
            self.live,
            list(self.leaves.values()),
            formed.reshape(-1, *self.live.shape).to(self.live.dtype),
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=True,
        )
        pairs = zip(self.leaves, gradients, strict=True)
        return [(name, Formed(gradient.to(formed.dtype))) for name, gradient in pairs if gradient is not None]


def _of_view(part: Part, view: Tensor, leaf: Tensor) -> Part | None:
    """The same factors for the whole parameter, where the view is its transpose or some of its rows."""
    if not isinstance(part, Outer) or part.groups != 1 or leaf.ndim != 2 or not view._is_view():  # noqa: SLF001
        return None
    left, right = part.sides()
    if view.shape == leaf.mT.shape and view.stride() == leaf.mT.stride():
        return Outer(right, left, leaf.shape, part.rows) if view.data_ptr() == leaf.data_ptr() else None
    if view.stride() == leaf.stride() and view.shape[1] == leaf.shape[1]:
        first = (view.storage_offset() - leaf.storage_offset()) // leaf.stride(0)
        left = functional.pad(left, (first, len(leaf) - first - len(view)))
        return Outer(left, right, leaf.shape, part.rows)
    return None
