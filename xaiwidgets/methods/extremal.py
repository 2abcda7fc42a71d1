"""Extremal perturbation: the part of the image, of a given area, that keeps the score as high as it can be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.baselines import BaselineLike, Blur
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .learned_masks import PACE, SIDE, Game, change_of_score, slope

# Fong, Patrick and Vedaldi (2019), in pixels of an image of 224: the cells of a mask, its smallest blob, the strongest blur
CELL, BLOB, BLUR = 7, 21, 20
LEVELS = 8  # of blur
TEMPERATURE = 1 / 20  # of the smooth maximum
PRICE, LAST_PRICE = 30, 4900  # λ of the area near the first and at the last step
MOMENTUM = 0.9
WAY = 24.0  # step size times steps
CHANGE = 20.0  # what the whole change of score counts as, against λ: about what logits change by
CELLS = 1024  # the cells that the step size is meant for


@method(
    family="perturbation",
    title="Extremal perturbation",
    reference="Fong, Patrick, Vedaldi (2019), Understanding Deep Networks via Extremal Perturbations and Smooth Masks, "
    "arXiv:1910.08485",
    needs=("gradient", "image"),
    signed=False,
    unit="marked pixels",
)
def extremal_perturbation(
    problem: Problem,
    *,
    area: Annotated[float, Range(0.01, 0.9, step=0.01, help="Share of the image to mark.")] = 0.1,
    steps: Annotated[int, Range(20, 1600, log=True, help="Gradient steps from the first to the final mask.")] = 100,
    game: Annotated[
        Game, Note("Preserve: the part that keeps the score highest. Delete: the part whose loss lowers it most.")
    ] = "preserve",
    baseline: Annotated[
        BaselineLike, Note("What a place outside the part becomes; blur comes in steps.", kind="baseline")
    ] = "blur",
    flip: Annotated[
        bool, Note("Mirror the image on every other step, for models to which that means nothing.")
    ] = False,
) -> Iterator[Partial]:
    """The part of the image, of a chosen area, that alone keeps the score highest.

    Values [batch, 1, height, width] from 0 to 1: 1 inside the part, 0 outside. The mask is a smooth maximum of blobs,

        m(u) = smax_v k(u - v) p(v),   smax of a set: its members weighted by exp(member / T),   k a Gaussian,

    of strengths p on a coarse grid, so that no mask is finer than a blob. A pixel with m = 1 stays, one with m = 0 is
    blurred, others are blurred less, between the levels of a pyramid; with another baseline they fade into it. Gradient
    ascent with momentum on p maximises

        ± f(m ⊗ x) - λ mean (sort m - r)²      r: zeros, and ones for the last `area` of the pixels

    with a λ that grows until the area is met; the last of the partial results is the sharpest. The mask is soft at its
    rim and no smaller than a blob, about 4 % of the image.

    Other than published: the largest distance of the score from f(baseline) seen so far, at first that of f(x), counts as 20,
    so that the unit of the score does not matter. λ ends where 800 steps of 0.35 % from 300 end, but starts at a tenth of
    that and at nothing on the first step, and steps are longer: 100 of them kept as much of the score as 800 published
    ones at an area of 10 % and a fifth more at 30 % (four CIFAR-10 images), and found two planted squares of two, not one.
    The schedule spans the steps asked for, so that any number of them meets the
    area. The start is a half everywhere. The smooth maximum is taken at the cells and enlarged bilinearly, many times
    cheaper for a mask that is smooth at that scale. Mirroring is off unless asked for. Lengths follow the shorter side.
    """
    height, width = problem.points.shape[2:]
    scaled = min(height, width) / SIDE
    size = max(1, round(CELL * scaled))
    blobs = Blobs(-(-height // size), -(-width // size), BLOB * scaled / size, problem.points)
    if isinstance(baseline, str) and baseline == "blur":
        pyramid = _pyramid(problem.points, BLUR * scaled)
    else:
        baselines = problem.baselines(baseline)
        pyramid = torch.stack([problem.points.expand_as(baselines), baselines])
    scale = change_of_score(problem, pyramid[-1])
    weight = -CHANGE if game == "preserve" else CHANGE
    wanted = _wanted(area, height * width, problem.points)

    def mask_of(strengths: Tensor) -> Tensor:
        return functional.interpolate(blobs(strengths), (height, width), mode="bilinear")

    strengths = torch.full((problem.rows, 1, *blobs.grid), 0.5, dtype=problem.dtype, device=problem.device)
    velocity = torch.zeros_like(strengths)
    rate = WAY / steps * math.prod(blobs.shape) / CELLS
    for step in range(steps):
        # Free at first: among equal pixels the price would choose by their place in the sorted order alone.
        price = PRICE * (LAST_PRICE / PRICE) ** (step / (steps - 1)) if step else 0.0
        mirrored = flip and step % 2 == 0

        def build(leaf: Tensor, price: float = price, mirrored: bool = mirrored) -> tuple[Tensor, Tensor]:
            mask = mask_of(leaf)
            images = _between(pyramid, 1 - mask if game == "preserve" else mask)
            unmet = mask.flatten(1).sort(dim=1).values - wanted
            return images.flip(-1) if mirrored else images, price * unmet.square().mean(1)

        gradient, scale = slope(problem, build, strengths, scale, weight)
        velocity = torch.lerp(gradient, velocity, MOMENTUM)
        strengths = (strengths - rate * velocity).clamp(0, 1)
        if (step + 1) % PACE == 0 or step + 1 == steps:
            yield Partial(mask_of(strengths), step + 1, steps, score=scale.score, baseline_score=scale.baseline_score)


class Blobs:
    """Smooth maxima of Gaussian blobs at the cells of an image: strengths [n, 1, *grid] to masks [n, 1, height, width].

    The grid reaches beyond the image as far as a blob does, so that the border is a place like any other.
    """

    def __init__(self, height: int, width: int, sigma: float, like: Tensor) -> None:
        reach = max(1, math.ceil(2 * sigma))
        self.shape = (height, width)
        self.grid = (height + 2 * reach, width + 2 * reach)
        self.window = 2 * reach + 1
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
        kernel = torch.exp(-(offsets[:, None].square() + offsets.square()) / (2 * sigma**2))
        self.kernel = kernel.flatten().to(like)[:, None]

    def __call__(self, strengths: Tensor) -> Tensor:
        members = functional.unfold(strengths, self.window) * self.kernel
        weights = torch.softmax(members / TEMPERATURE, dim=1)
        return (members * weights).sum(1).reshape(-1, 1, *self.shape)


def _pyramid(images: Tensor, strongest: float) -> Tensor:
    """The images ever more blurred: [levels, 1, rows, channels, height, width], the first as they are."""
    blurs = [strongest * level / (LEVELS - 1) for level in range(1, LEVELS)]
    return torch.stack([images[None], *(Blur(sigma).draw(images) for sigma in blurs)])


def _between(pyramid: Tensor, amount: Tensor) -> Tensor:
    """Every pixel changed by its amount [rows, 1, height, width] from 0 to 1, linearly between two levels."""
    top = len(pyramid) - 1
    place = amount.clamp(0, 1) * top
    below = place.detach().floor().clamp(max=top - 1)
    index = below.long().expand(pyramid.shape[1:])[None]
    weaker, stronger = pyramid.gather(0, index)[0], pyramid.gather(0, index + 1)[0]
    return weaker + (place - below) * (stronger - weaker)


def _wanted(area: float, pixels: int, like: Tensor) -> Tensor:
    """The sorted mask [pixels] that has exactly this area: zeros, a fraction where it does not divide, ones."""
    return (torch.arange(1, pixels + 1, dtype=torch.float64) - (1 - area) * pixels).clamp(0, 1).to(like)
