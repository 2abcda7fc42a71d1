"""How alike two maps of one case are, where there is something to see: what a change of the model is read from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .agreement import hog_similarity, spearman, ssim
from .case import Case

Mask = Literal["auto", "none"]

FEW = 0.05
"""The share of places with the same value, the most frequent one, from which on they are background."""


def likeness(case: Case, first: Tensor, second: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
    """How alike two maps are, each [rows] float64, NaN where undefined (a map that is the same everywhere has no ranks).

    first, second   values [rows, ...] like the case's
    places          [rows, units] bool, the units that count; None for `places_of(case)`

    "rank" is Spearman's correlation over the units' sums, "rank_absolute" the same of their sizes. Images have "ssim" of the
    sums over channels (windows centred at places that count) and "hog" (of the whole picture) as well.
    """
    places = places_of(case) if places is None else places
    one, two = (case.importance(map_).masked_fill(~places, torch.nan) for map_ in (first, second))
    found = {"rank": spearman(one, two), "rank_absolute": spearman(one.abs(), two.abs())}
    if case.problem.points.ndim == 4:
        own, other = picture(case, first), picture(case, second)
        flat = case.ids.expand(case.rows, *case.ids.shape[1:])[:, 0]
        shown = places.gather(1, flat.clamp(min=0).flatten(1)).reshape(flat.shape) & (flat >= 0)
        found["ssim"] = _defined(ssim(own, other, shown), own, other)
        found["hog"] = hog_similarity(own, other)
    return found


def places_of(case: Case, mask: Mask = "auto") -> Tensor:
    """[rows, units] bool: the units that count when maps are compared.

    "auto" leaves out constant background: the places of an image where every channel has its most frequent value, and the
    values of [rows, features] that are the most frequent one, if they are several and a twentieth or more. A map that is zero there,
    like those multiplied by the input, would agree with itself there whatever the model. "none" leaves out nothing.
    """
    if mask == "none":
        return case.present
    return case.present & _with_content(case)


def picture(case: Case, values: Tensor) -> Tensor:
    """[rows, height, width] float64 on the CPU: the sum of a map over channels, at the image's size."""
    flat = case.widened(values).detach().cpu().double().sum(1)
    return flat.expand(case.rows, *case.problem.points.shape[2:])


def _with_content(case: Case) -> Tensor:
    points = case.problem.points.detach().cpu()
    if points.ndim == 3 or points.ndim < 2:  # series and tokens have no background
        return torch.ones_like(case.present)
    flat = points.flatten(2) if points.ndim > 3 else points.unsqueeze(1)  # [rows, channels, places]
    background = (flat == flat.mode(dim=2, keepdim=True).values).all(1)
    often = background.sum(1, keepdim=True)
    background &= (often > 1) & (often >= FEW * background.shape[1])
    content = ~background.reshape(case.rows, *([1, *points.shape[2:]] if points.ndim > 3 else points.shape[1:]))
    content, ids = (part.flatten(1) for part in torch.broadcast_tensors(content, case.ids))
    counted = (content & (ids >= 0)).double()
    return torch.zeros(case.rows, case.count, dtype=torch.float64).scatter_add(1, ids.clamp(min=0), counted) > 0


def _defined(found: Tensor, *maps: Tensor) -> Tensor:
    """NaN where a map is the same everywhere: it has no structure to be alike."""
    constant = torch.stack([map_.flatten(1).amax(1) == map_.flatten(1).amin(1) for map_ in maps]).any(0)
    return found.masked_fill(constant, torch.nan)
