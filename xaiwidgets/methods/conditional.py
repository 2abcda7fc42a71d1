"""What could stand in a region of an image, given what surrounds it: a Gaussian over the image's own patches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import Regions

MARGIN = 2  # pixels around a region that its content is drawn from
MOST_PIXELS = 1024  # of a region's box: a covariance of more is neither cheap nor known
MOST_PATCHES = 4096
SHRINKAGE = 1e-3  # of the covariance towards independent pixels

Box = tuple[int, int, int, int]


def draw_from_surroundings(problem: Problem, regions: Regions, samples: int, seed: int) -> Tensor:
    """Contents [samples, rows, channels, height, width] in which every region is drawn given the pixels around it.

    Zintgraf et al. (2017): pixels of a patch are jointly Gaussian. Mean and covariance are those of the patches of the
    same image and channel. Every region is drawn from the unchanged surroundings, independently of other regions.
    """
    points, ids = problem.points, regions.ids
    if points.ndim != 4 or ids.shape[1] != 1:
        raise InputError(
            "not_an_image",
            "Conditional sampling is for regions of images that all channels share",
            f"The input has shape {list(points.shape)}, the regions {list(ids.shape)}.",
            'Use sampling="marginal".',
        )
    drawn = torch.empty((samples, *points.shape), dtype=problem.dtype, device="cpu")
    for row in range(problem.rows):
        generator = problem.generator(seed)  # the same for every row
        drawn[:, row] = _draw_row(points[row].cpu().double(), ids[row % len(ids), 0].cpu(), samples, generator)
    return drawn.to(problem.device)


def _draw_row(image: Tensor, ids: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    drawn = image.expand(samples, *image.shape).clone()
    known: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for region in range(int(ids.max()) + 1):
        top, bottom, left, right = _box(ids == region)
        height, width = bottom - top, right - left
        if height * width > MOST_PIXELS:
            raise ParameterError(
                "regions_size",
                f"A region with its surroundings covers {height} × {width} pixels, too many for conditional sampling",
                hint=f'Use smaller regions (boxes up to {MOST_PIXELS} pixels), or sampling="marginal".',
            )
        if (height, width) not in known:
            known[height, width] = _patches(image, height, width)
        inside = (ids[top:bottom, left:right] == region).flatten()
        box = image[:, top:bottom, left:right].flatten(1)
        noise = torch.randn((samples, len(image), int(inside.sum())), generator=generator, dtype=torch.float64)
        content = _conditional(*known[height, width], box, inside, noise)
        target = drawn[:, :, top:bottom, left:right].flatten(2)  # a copy
        target[:, :, inside] = content
        drawn[:, :, top:bottom, left:right] = target.reshape(samples, len(image), height, width)
    low, high = (edge.reshape(-1, 1, 1) for edge in image.flatten(1).aminmax(dim=1))
    return torch.minimum(torch.maximum(drawn, low), high)


def _box(inside: Tensor) -> Box:
    """Top, bottom, left and right of a region and its surroundings, within the image."""
    bounds = []
    for axis in (1, 0):
        along = torch.nonzero(inside.any(axis)).flatten()
        first, last = int(along[0]) - MARGIN, int(along[-1]) + 1 + MARGIN
        bounds += [max(first, 0), min(last, inside.shape[1 - axis])]
    return bounds[0], bounds[1], bounds[2], bounds[3]


def _patches(image: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Mean [channels, pixels] and covariance [channels, pixels, pixels] of the image's patches."""
    patches = functional.unfold(image.unsqueeze(1), (height, width))  # [channels, pixels, patches]
    patches = patches[:, :, :: max(1, patches.shape[2] // MOST_PATCHES)]
    mean = patches.mean(2)
    centred = patches - mean.unsqueeze(2)
    covariance = centred @ centred.mT / max(patches.shape[2] - 1, 1)
    level = image.flatten(1).var(1, correction=0).clamp(min=1e-12)[:, None, None]
    return mean, covariance + SHRINKAGE * level * torch.eye(height * width, dtype=image.dtype)


def _conditional(mean: Tensor, covariance: Tensor, box: Tensor, inside: Tensor, noise: Tensor) -> Tensor:
    """Contents [samples, channels, pixels inside] given the pixels outside."""
    around = ~inside
    own = covariance[:, inside][:, :, inside]
    cross = covariance[:, inside][:, :, around]
    gain = torch.linalg.solve(covariance[:, around][:, :, around], cross.mT).mT
    expected = mean[:, inside] + (gain @ (box - mean)[:, around].unsqueeze(-1)).squeeze(-1)
    spread = torch.linalg.cholesky(own - gain @ cross.mT)
    return torch.add(expected, (spread @ noise.unsqueeze(-1)).squeeze(-1))
