"""Which rows of a batch the positions of an operation's output belong to.

The batch is not always the first axis: attention swaps it with the tokens, others flatten the two into one. Shapes alone
cannot tell where batch and tokens are equally many, so the layout is measured: with losses weighted differently, the
gradient at a position that belongs to one row changes by that row's weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The batch lies in `axis`, as the slower (first) or the faster (last) part of it."""

    axis: int
    fastest: bool = False

    def fits(self, lead: tuple[int, ...], rows: int) -> bool:
        return self.axis < len(lead) and lead[self.axis] % rows == 0

    def by_row(self, tensor: Tensor, depth: int, rows: int) -> Tensor:
        """A tensor whose first `depth` axes are positions as [rows, positions of a row, ...]."""
        if self.fastest:
            split: Tensor = tensor.unflatten(self.axis, (-1, rows)).movedim(self.axis + 1, 0)
        else:
            split = tensor.unflatten(self.axis, (rows, -1)).movedim(self.axis, 0)
        return split.flatten(1, depth) if depth else split.unsqueeze(1)


WHOLE = Layout(0)
"""Of one row, everything is that row's; only positions are counted."""


def candidates(lead: tuple[int, ...], rows: int) -> Iterator[Layout]:
    """Layouts that the shape allows, the usual ones first."""
    for fastest in (False, True):
        for axis, size in enumerate(lead):
            if size and size % rows == 0 and not (fastest and size == rows):
                yield Layout(axis, fastest)


def measured(
    lead: tuple[int, ...], rows: int, plain: Tensor, weighted: Tensor, weights: Tensor
) -> tuple[Layout | None, float]:
    """The layout that explains best how the gradient changed with the weights of the losses, and its misfit (0 to ~1)."""
    best, least = None, float("inf")
    scale = float(weighted.double().square().sum())
    for layout in candidates(lead, rows):
        before, after = (layout.by_row(gradient, len(lead), rows) for gradient in (plain, weighted))
        factor = weights.to(before.dtype).reshape(-1, *[1] * (before.ndim - 1))
        misfit = float((after - factor * before).double().square().sum()) / scale
        if misfit < least:
            best, least = layout, misfit
    return best, least


def weights_of(rows: int, like: Tensor) -> Tensor:
    """Weights [rows] of both signs and between one half and one and a half, no two alike."""
    steps = torch.arange(rows, device=like.device, dtype=torch.float64)
    size = 0.5 + (steps * 0.6180339887498949) % 1
    return (size * (1 - 2 * (steps % 2))).to(like.dtype)
