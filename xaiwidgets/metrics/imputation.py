"""What the places around a hole say should be in it: the linear imputation of ROAD.

Rong, Leemann, Borisov, Kasneci, Kasneci (2022), A Consistent and Efficient Evaluation Strategy for Attribution Methods,
arXiv:2202.00449, section 5. A removed pixel is the weighted mean of its neighbours, 1/6 for those that share an edge and 1/12
for those at a corner; at the border the weights that are left are scaled to sum to one. Removed neighbours are unknowns
too, so each hole is one linear system. Its matrix is symmetric and positive definite (an M-matrix), which conjugate gradients
solve with nothing but sums of shifted images: all images, holes and channels side by side.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

TOLERANCE = 1e-5
MOST_ROUNDS = 512
ROUND = 8  # steps before what is solved leaves the batch
PART_BYTES = 2**20  # of images solved together on a CPU, whose state then stays in its cache


def imputed(images: Tensor, removed: Tensor, *, tolerance: float = TOLERANCE) -> Tensor:
    """The images [m, channels, places...] with what is `removed` [m, 1 or channels, places...] solved for.

    Works for any number of axes of places; in one dimension a removed value is the mean of its two neighbours, so that
    holes are bridged by straight lines. Where nothing at all is left, the channel's mean. `tolerance` is the norm of the
    residual relative to that of the right-hand side, for every channel on its own: each is solved as if it were alone.
    """
    mean = images.flatten(2).mean(2).reshape(*images.shape[:2], *[1] * (images.ndim - 2))
    grid = _Grid(images.shape[2:])
    values = grid.flat(images - mean)
    holes = grid.flat(removed.expand(images.shape).to(images.dtype))
    share = grid.around(grid.flat(torch.ones_like(images[:1, :1])))
    part = len(values) if images.device.type != "cpu" else max(1, PART_BYTES // (values[0].numel() * values.itemsize))
    solved = torch.cat(
        [
            _conjugate_gradients(grid, hole, share, hole * grid.around((1 - hole) * known), tolerance)
            for hole, known in zip(holes.split(part), values.split(part), strict=True)
        ]
    )
    return torch.where(removed, mean + grid.unflat(solved).reshape(images.shape), images)


class _Grid:
    """Images as rows of numbers: a zero behind every line along every axis, so that neighbours are neighbours in memory.

    Shifting all images at once is then adding one stretch of memory to another.
    """

    def __init__(self, places: tuple[int, ...]) -> None:
        self.places = places
        self.padded = tuple(length + 1 for length in places)
        self.strides = [math.prod(self.padded[axis + 1 :]) for axis in range(len(places))]
        self.own = 2.0 ** len(places)
        self.scale = 1 / (self.own**2 - self.own)

    def flat(self, images: Tensor) -> Tensor:
        """[m, channels, places...] as [m * channels, padded places]."""
        return functional.pad(images, [0, 1] * len(self.places)).reshape(images.shape[0] * images.shape[1], -1)

    def unflat(self, rows: Tensor) -> Tensor:
        """[m * channels, places...]."""
        images = rows.reshape(-1, *self.padded)
        return images[(slice(None), *(slice(length) for length in self.places))]

    def smoothed(self, rows: Tensor) -> Tensor:
        """[1, 2, 1] along every axis; of use only where there is a place."""
        total = rows.reshape(-1)
        for stride in self.strides:
            wider = 2 * total
            wider[stride:] += total[:-stride]
            wider[:-stride] += total[stride:]
            total = wider
        return total.reshape(rows.shape)

    def around(self, rows: Tensor) -> Tensor:
        """The weighted sum of every place's neighbours, none beyond the border: [1, 2, 1] without the place itself."""
        return (self.smoothed(rows) - self.own * rows) * self.scale


def _conjugate_gradients(grid: _Grid, hole: Tensor, share: Tensor, target: Tensor, tolerance: float) -> Tensor:
    """x, zero outside the holes, with share·x − around(x) = target inside them."""
    solved = torch.zeros_like(target)
    enough = tolerance**2 * _along(target, target)
    active = torch.arange(len(target), device=target.device)
    centre, rim = hole * (share + grid.own * grid.scale), -grid.scale * hole
    x, residual, direction = torch.zeros_like(target), target.clone(), target.clone()
    size = _along(residual, residual)
    for _ in range(MOST_ROUNDS):
        left = (size > enough).squeeze(1)
        if not bool(left.all()):
            solved[active] = x
            active, centre, rim, x, residual, direction, size, enough = (
                part[left] for part in (active, centre, rim, x, residual, direction, size, enough)
            )
        if not len(active):
            return solved
        for _ in range(ROUND):
            applied = (centre * direction).addcmul_(rim, grid.smoothed(direction))
            going = size > enough  # what is solved stands still while it waits for the others
            step = torch.where(going, size / _along(direction, applied), 0)
            x.addcmul_(step, direction)
            residual.addcmul_(step, applied, value=-1)
            found = _along(residual, residual)
            direction.mul_(torch.where(going, found / size, 0)).add_(residual)
            size = torch.where(going, found, size)
    solved[active] = x
    return solved


def _along(one: Tensor, other: Tensor) -> Tensor:
    """Inner products [n, 1] of rows."""
    return (one * other).sum(1, keepdim=True)
