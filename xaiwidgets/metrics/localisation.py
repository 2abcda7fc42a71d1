"""Does the explanation point at the object? Maps beside a mask of where the object is.

A mask says what people look at. A model that goes by something else is explained rightly by a map outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError

from .agreement import chance_of_top, ranks
from .case import Case
from .registry import Note, Range, Reading, metric

Absolute = Annotated[bool, Note("Whether strongly negative values count like positive ones.")]

TOLERANCE = 15 / 224
"""Fifteen pixels of an image of 224, as the pointing game was first played."""
TELLS_NOT = (
    "It cannot tell whether the model looks there: a right map of a model that goes by the background scores low."
)


class Places(NamedTuple):
    """Maps and masks place by place, [rows, places]: pixels with their channels together, tokens, or values."""

    values: Tensor  # float64, NaN at places that belong to no unit (padding)
    inside: Tensor  # bool
    shape: tuple[int, ...]  # of the places of a row

    @property
    def known(self) -> Tensor:
        return ~self.values.isnan()


@metric(
    family="localisation",
    title="Pointing game",
    reference="Zhang, Lin, Brandt, Shen, Sclaroff (2016), Top-down Neural Attention by Excitation Backprop, arXiv:1608.00507",
    direction="higher",
    asks=("mask",),
    range=(0, 1),
    tells="At 1, the map's highest place lies on the object or close by.",
    cannot=TELLS_NOT,
)
def pointing_game(
    case: Case,
    *,
    tolerance: Annotated[
        float,
        Range(0, 0.25, step=0.005, help="How far beside the object still counts, as a share of the shorter side."),
    ] = TOLERANCE,
    absolute: Absolute = False,
) -> Iterator[Reading]:
    """Whether the highest value lies on the object: 1 for a hit, 0 for a miss.

    A hit if the place of max φ is within `tolerance` (15 of 224 pixels; of images only) of the mask. Of several highest places
    the share that hits, which is what a draw among them gives on average: an empty map scores what chance does. Channels are
    summed before. Zhang et al. (2016), arXiv:1608.00507. Range 0 to 1. Higher is better.
    """
    places = places_in(case, absolute=absolute)
    target = places.inside
    if len(places.shape) == 2:
        target = _widened(target, places.shape, tolerance * min(places.shape))
    top = places.values == places.values.nan_to_num(-math.inf).amax(1, keepdim=True)
    yield _reading((top & target).sum(1).double() / top.sum(1), places.inside.any(1))


@metric(
    family="localisation",
    title="Relevance rank",
    reference="Arras, Osman, Samek (2022), CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural Network "
    "Explanations, arXiv:2003.07258",
    direction="higher",
    asks=("mask",),
    range=(0, 1),
    tells="At 1, the highest places are those of the object, all of them.",
    cannot=TELLS_NOT,
)
def relevance_rank(case: Case, *, absolute: Absolute = False) -> Iterator[Reading]:
    """The share of the K highest places that lie on the object, K being the object's size.

    |top-K ∩ mask| / K with K = |mask|; equal values at the edge count for the chance of being among the K. Channels are
    summed before. Chance is the mask's share of the image. Arras et al. (2022), arXiv:2003.07258. Range 0 to 1. Higher is better.
    """
    places = places_in(case, absolute=absolute)
    yield _reading(_top_inside(places, places.inside.sum(1).double()), places.inside.any(1))


@metric(
    family="localisation",
    title="Top-k intersection",
    reference="Theiner, Müller-Budack, Ewerth (2021), Interpretable Semantic Photo Geolocation, arXiv:2104.14995",
    direction="higher",
    asks=("mask",),
    range=(0, 1),
    tells="At 1, the few highest places all lie on the object.",
    cannot=TELLS_NOT,
)
def top_k_intersection(
    case: Case,
    *,
    share: Annotated[float, Range(0.005, 1, step=0.005, help="The part of all places that is the top.")] = 0.1,
    absolute: Absolute = False,
) -> Iterator[Reading]:
    """The share of the k highest places that lie on the object.

    |top-k ∩ mask| / k with k = `share` of all places, at least one; equal values at the edge count for the chance of being among
    the k. Channels are summed before. Theiner et al. (2021), arXiv:2104.14995. Range 0 to 1, at most |mask| / k. Higher is better.
    """
    places = places_in(case, absolute=absolute)
    count = (places.known.sum(1) * share).round().clamp(min=1)
    yield _reading(_top_inside(places, count.double()), places.inside.any(1))


@metric(
    family="localisation",
    title="Relevance mass",
    reference="Arras, Osman, Samek (2022), CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural Network "
    "Explanations, arXiv:2003.07258",
    direction="higher",
    asks=("mask",),
    range=(0, 1),
    tells="At 1, everything that speaks for the score lies on the object.",
    cannot=TELLS_NOT,
)
def relevance_mass(case: Case, *, absolute: Absolute = False) -> Iterator[Reading]:
    """The share of the positive values' sum that lies on the object.

    Σ over the mask of max(φ, 0) / Σ over all places of max(φ, 0), with |φ| for `absolute`. Channels are summed before. Chance is
    the mask's share of the image. Arras et al. (2022), arXiv:2003.07258. Range 0 to 1. Higher is better.
    """
    places = places_in(case, absolute=absolute)
    positive = places.values.nan_to_num(0).clamp(min=0)
    total = positive.sum(1)
    found = (positive * places.inside).sum(1) / total.masked_fill(total == 0, 1)
    yield _reading(found, places.inside.any(1), total > 0)


@metric(
    family="localisation",
    title="Area under the ROC curve",
    reference="Fawcett (2006), An Introduction to ROC Analysis, Pattern Recognition Letters 27",
    direction="higher",
    asks=("mask",),
    range=(0, 1),
    tells="At 1, every place of the object is higher than every other place.",
    cannot=TELLS_NOT,
)
def auc(case: Case, *, absolute: Absolute = False) -> Iterator[Reading]:
    """How likely a place on the object has a higher value than a place beside it.

    P(φ_inside > φ_outside) + P(φ_inside = φ_outside) / 2, the area under the ROC curve of the map as a detector of the mask's
    places. Channels are summed before. Fawcett (2006). Range 0 to 1, 0.5 by chance. Higher is better.
    """
    places = places_in(case, absolute=absolute)
    inside, outside = places.inside.sum(1).double(), (~places.inside & places.known).sum(1).double()
    sums = (ranks(places.values).nan_to_num(0) * places.inside).sum(1)
    pairs = inside * outside
    found = (sums - inside * (inside + 1) / 2) / pairs.masked_fill(pairs == 0, 1)
    yield _reading(found, pairs > 0)


def places_in(case: Case, *, absolute: bool = False) -> Places:
    """The case's map and mask place by place. Raises InputError without a mask."""
    points = case.problem.points
    if case.mask is None:
        raise InputError("no_mask", "There is no mask to compare with", hint="Pass mask=, true where the object is.")
    own = case.ids.expand(case.rows, *case.ids.shape[1:]) >= 0
    values, inside = case.widened(case.values).detach().cpu().double(), case.mask.cpu()
    # [rows, channels, places...] or [rows, tokens, width]; what has two axes has neither.
    joined = 1 if points.ndim > 3 else 2 if points.ndim == 3 else None
    shape = tuple(size for axis, size in enumerate(points.shape) if axis not in (0, joined))
    if joined is not None:
        values, inside, own = values.sum(joined), inside.any(joined), own.any(joined)
    values, inside, own = (part.expand(case.rows, *shape).flatten(1) for part in (values, inside, own))
    values = values.abs() if absolute else values
    return Places(values.masked_fill(~own, torch.nan), inside & own, shape)


def _top_inside(places: Places, count: Tensor) -> Tensor:
    """[rows] the part of the `count` [rows] highest places that is inside."""
    chance = chance_of_top(places.values, count / places.known.sum(1).clamp(min=1))
    return (chance * places.inside).sum(1) / count.clamp(min=1)


def _widened(inside: Tensor, shape: tuple[int, ...], distance: float) -> Tensor:
    """The mask and all places up to so many pixels beside it."""
    reach = int(distance + 1e-9)
    if reach == 0:
        return inside
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    disc = (steps[:, None].square() + steps.square()).sqrt() <= distance + 1e-9
    wide = functional.conv2d(inside.reshape(-1, 1, *shape).float(), disc.float()[None, None], padding=reach)
    return (wide > 0.5).flatten(1)


def _reading(values: Tensor, *defined: Tensor) -> Reading:
    known = torch.stack(defined).all(0)
    notes = () if bool(known.all()) else ("Undefined where the mask is empty (or full), or where nothing is positive.",)
    return Reading(values.masked_fill(~known, torch.nan), 1, 1, notes=notes)
