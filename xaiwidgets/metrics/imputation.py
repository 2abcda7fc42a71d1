"""What the places around a hole say should be in it: the linear imputation of ROAD.

Rong, Leemann, Borisov, Kasneci, Kasneci (2022), A Consistent and Efficient Evaluation Strategy for Attribution Methods,
arXiv:2202.00449, section 5. A removed pixel is the weighted mean of its neighbours, 1/6 for those that share an edge and 1/12
for those at a corner; at the border the weights that are left are scaled to sum to one. Removed neighbours are unknowns
too, so each hole is one linear system. Its matrix is symmetric and positive definite (an M-matrix), which conjugate gradients
solve with nothing but sums of shifted images: all images, holes and channels side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-5
MOST_ROUNDS = 512
ROUND = 8  # steps before what is solved leaves the batch


def imputed(images: Tensor, removed: Tensor, *, tolerance: float = TOLERANCE) -> Tensor:
    """The images [m, channels, places...] with what is `removed` [m, 1 or channels, places...] solved for.

    Works for any number of axes of places; in one dimension a removed value is the mean of its two neighbours, so that
    holes are bridged by straight lines. Where nothing at all is left, the channel's mean. `tolerance` is the norm of the
    residual relative to that of the right-hand side, for every channel on its own: each is solved as if it were alone.
    """
    mean = images.flatten(2).mean(2).reshape(*images.shape[:2], *[1] * (images.ndim - 2))
    hole = removed.to(images.dtype)
    known = (1 - hole) * (images - mean)
    share = _around(torch.ones_like(images[:1, :1]))
    target = hole * _around(known)
    solved = _conjugate_gradients(hole, share, target, tolerance)
    return torch.where(removed, mean + solved, images)


def _conjugate_gradients(hole: Tensor, share: Tensor, target: Tensor, tolerance: float) -> Tensor:
    """x, zero outside the holes, with share·x − around(x) = target inside them."""
    solved = torch.zeros_like(target)
    enough = tolerance**2 * _squares(target)
    # What is being worked on: its places in the batch, and the state of each.
    active = torch.arange(len(target), device=target.device)
    x, residual = torch.zeros_like(target), target
    direction, size = residual, _squares(residual)
    for _ in range(MOST_ROUNDS):
        left = (size > enough).flatten(1).any(1)
        solved[active] = x
        if not bool(left.any()):
            break
        active, hole, x, residual, direction, size, enough = (
            part[left] for part in (active, hole, x, residual, direction, size, enough)
        )
        for _ in range(ROUND):
            applied = hole * (share * direction - _around(direction))
            going = size > enough  # what is solved stands still while it waits for the others
            curvature = _along(direction, applied)
            step = torch.where(going, size / torch.where(going, curvature, 1), 0)
            x = x + step * direction
            residual = residual - step * applied
            found = _squares(residual)
            direction = torch.where(going, residual + found / torch.where(going, size, 1) * direction, direction)
            size = torch.where(going, found, size)
    return solved


def _around(values: Tensor) -> Tensor:
    """The weighted sum of every place's neighbours, nothing beyond the border.

    The weights are those of [1, 2, 1] along every axis, without the place itself: 1/6 and 1/12 in two dimensions.
    """
    axes = range(2, values.ndim)
    total = values
    for axis in axes:
        length = total.shape[axis]
        wider = 2 * total
        wider.narrow(axis, 1, length - 1).add_(total.narrow(axis, 0, length - 1))
        wider.narrow(axis, 0, length - 1).add_(total.narrow(axis, 1, length - 1))
        total = wider
    own = 2.0 ** len(axes)
    return (total - own * values) / (own**2 - own)


def _along(one: Tensor, other: Tensor) -> Tensor:
    """Inner products over the places, [m, channels, 1...]."""
    products = (one * other).flatten(2).sum(2)
    return products.reshape(*products.shape, *[1] * (one.ndim - 2))


def _squares(values: Tensor) -> Tensor:
    return _along(values, values)
