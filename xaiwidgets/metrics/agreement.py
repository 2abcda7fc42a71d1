"""How alike maps are: of two methods, of two models, of two settings.

Every measure takes maps [rows, ...] and gives [rows] float64 on the CPU. Places where either map is NaN are left out, which is
how places are masked. Where a measure is undefined (a constant map has no ranks) it gives NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import Range

from .case import Case
from .registry import Note, Reading, metric

CELL, BINS = 8, 9  # of histograms of gradients: pixels a side, directions


def ranks(maps: Tensor) -> Tensor:
    """Ranks 1..n [rows, n] of everything behind the first axis, equal values sharing their average; NaN stays NaN."""
    flat = maps.detach().cpu().double().flatten(1)
    missing = flat.isnan()
    keyed = flat.masked_fill(missing, math.inf)
    ordered, places = keyed.sort(dim=1)
    # Equal values form a run: its rank is the mean of the places it covers.
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    runs = fresh.cumsum(1) - 1
    counts = torch.zeros_like(ordered).scatter_add_(1, runs, torch.ones_like(ordered))
    last = counts.cumsum(1)
    shared = (last - (counts - 1) / 2).gather(1, runs)
    return torch.empty_like(ordered).scatter_(1, places, shared).masked_fill_(missing, math.nan)


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Rank correlation (Spearman 1904), -1 to 1; ties share their average rank."""
    first, second = _both(first, second)
    return _correlation(ranks(first), ranks(second))


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Linear correlation, -1 to 1."""
    return _correlation(*_both(first, second))


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between the maps, -1 to 1."""
    first, second = (one.nan_to_num(0) for one in _both(first, second))
    return _ratio((first * second).sum(1), first.norm(dim=1) * second.norm(dim=1))


def topk_overlap(first: Tensor, second: Tensor, share: float = 0.1) -> Tensor:
    """The part of the largest values that both maps have at the same places, 0 to 1.

    share   of all places; at least one. Of equal values at the edge each counts for the chance it has of being taken.
    """
    chances = [chance_of_top(one, share) for one in _both(first, second)]
    return _ratio((chances[0] * chances[1]).sum(1), chances[0].sum(1))


def chance_of_top(maps: Tensor, share: float | Tensor) -> Tensor:
    """How likely each place [rows, n] is among the largest: 1 above the edge, a part where several are equal at it.

    share   of a row's known places that is the top, of all rows or [rows] of each; at least one place
    """
    known = ~maps.isnan()
    wanted = (known.sum(1) * share).round().clamp(min=1)
    keyed = maps.masked_fill(~known, -math.inf)
    ordered = keyed.sort(dim=1, descending=True).values
    edge = ordered.gather(1, wanted.long()[:, None] - 1)
    above, at = (keyed > edge) & known, (keyed == edge) & known
    part = (wanted - above.sum(1)) / at.sum(1).clamp(min=1)
    return above.double() + at.double() * part[:, None]


def sign_agreement(first: Tensor, second: Tensor) -> Tensor:
    """The share of places, of those where both maps are not zero, at which their signs agree."""
    product = torch.mul(*_both(first, second))
    known = (product != 0) & ~product.isnan()
    return _ratio(((product > 0) & known).sum(1).double(), known.sum(1).double())


def ssim(first: Tensor, second: Tensor, mask: Tensor | None = None, *, size: int = 7) -> Tensor:
    """Structural similarity (Wang et al. 2004) of [rows, height, width], -1 to 1, each map first scaled to the range 0..1.

    mask   [rows, height, width] bool: where windows count that are centred there; else all windows that lie inside
    size   of the square windows in pixels, odd, made smaller where the map is; uniform weights and sample covariances, as
           scikit-image has by default
    """
    first, second = (_unit_range(_picture(one)) for one in (first, second))
    shorter = min(first.shape[1:])
    size = min(size, shorter if shorter % 2 else shorter - 1)
    if size < 3:
        return torch.full((len(first),), math.nan, dtype=torch.float64)
    unbiased = size**2 / (size**2 - 1)

    def mean(maps: Tensor) -> Tensor:
        return functional.avg_pool2d(maps.unsqueeze(1), size, stride=1).squeeze(1)

    one, two = mean(first), mean(second)
    spread_one = unbiased * (mean(first**2) - one**2)
    spread_two = unbiased * (mean(second**2) - two**2)
    common = unbiased * (mean(first * second) - one * two)
    steady = 0.01**2, 0.03**2
    found = ((2 * one * two + steady[0]) * (2 * common + steady[1])) / (
        (one**2 + two**2 + steady[0]) * (spread_one + spread_two + steady[1])
    )
    if mask is None:
        return found.mean((1, 2))
    edge = size // 2
    inside = mask.cpu().expand(first.shape)[:, edge : first.shape[1] - edge, edge : first.shape[2] - edge]
    return _ratio((found * inside).sum((1, 2)), inside.sum((1, 2)).double())


def hog_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Correlation of the histograms of gradient directions (Dalal & Triggs 2005) of [rows, height, width], -1 to 1."""
    return pearson(*(_histograms(_picture(one)) for one in (first, second)))


MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "spearman": spearman,
    "pearson": pearson,
    "cosine": cosine,
    "topk": topk_overlap,
    "signs": sign_agreement,
}


def disagreement(maps: Mapping[str, Tensor]) -> Tensor:
    """[rows, ...] where methods differ: the standard deviation over methods of maps scaled to a sum of |values| of 1.

    A map that is zero everywhere stays zero. Maps of one channel are compared with others' sums over channels.
    """
    if len(maps) < 2:
        raise InputError("one_map", "Methods differ where there are two or more", f"Got {len(maps)}.")
    own = [_channels_summed(one.detach().cpu().double()) for one in maps.values()]
    scaled = []
    for wide in torch.broadcast_tensors(*own):
        mass = wide.abs().flatten(1).sum(1).reshape(-1, *[1] * (wide.ndim - 1))
        scaled.append(wide / mass.masked_fill(mass == 0, 1))
    return torch.stack(scaled).std(0, correction=0)


@metric(
    family="agreement",
    title="Agreement with other methods",
    reference="Krishna et al. (2022), The Disagreement Problem in Explainable Machine Learning, arXiv:2202.01602",
    direction="none",
    asks=("others",),
    range=(-1, 1),
    tells="Near 1, the other methods of this evaluation say much the same.",
    cannot="It cannot tell who is right: methods can share a mistake, and one alone can be right.",
)
def method_agreement(
    case: Case,
    *,
    measure: Annotated[
        Literal["spearman", "pearson", "cosine", "topk", "signs"],
        Note("What is alike: ranks, values, their direction, the most important units, or signs."),
    ] = "spearman",
    share: Annotated[float, Range(0.01, 0.5, step=0.01, help="Of topk: the share of all units that is the top.")] = 0.1,
) -> Iterator[Reading]:
    """How alike this map is to those of the other methods: the mean rank correlation with them over units.

    mean over the other attributions of the same evaluation, controls left out, of ρ(importance, importance of the other), where
    importance is the sum of values in a unit. `measure` is the correlation of ranks (ties share their average) or of values, the
    cosine, the overlap of the `share` most important units, or how often signs agree ("topk" and "signs" are 0 to 1).
    """
    own = case.importance()
    found = []
    for name, values in case.others.items():
        other = case.importance(values)
        one = topk_overlap(own, other, share) if measure == "topk" else MEASURES[measure](own, other)
        found.append(one)
        so_far = torch.stack(found)
        notes: tuple[str, ...] = ()
        if bool(so_far.isnan().any()):
            notes = (f"Undefined where a map is the same everywhere (with {name} or one before it).",)
        yield Reading(so_far.nanmean(0), len(found), len(case.others), notes=notes)


def _both(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps [rows, n], NaN where either is."""
    one, two = torch.broadcast_tensors(first.detach().cpu().double(), second.detach().cpu().double())
    one, two = one.flatten(1), two.flatten(1)
    missing = one.isnan() | two.isnan()
    return one.masked_fill(missing, math.nan), two.masked_fill(missing, math.nan)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    one, two = (part - part.nanmean(1, keepdim=True) for part in (first, second))
    one, two = (part.nan_to_num(0) for part in (one, two))
    scale = (one.norm(dim=1) * two.norm(dim=1)).masked_fill(_constant(first) | _constant(second), 0)
    return _ratio((one * two).sum(1), scale).clamp(-1, 1)


def _constant(maps: Tensor) -> Tensor:
    """Rows whose known values are all the same: what is left after subtracting their mean is rounding."""
    low = maps.nan_to_num(math.inf, posinf=math.inf, neginf=-math.inf).amin(1)
    high = maps.nan_to_num(-math.inf, posinf=math.inf, neginf=-math.inf).amax(1)
    return ~(high > low)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """The quotient; NaN where there is nothing to divide by."""
    return torch.where(below > 0, above / below.masked_fill(below <= 0, 1), math.nan)


def _picture(maps: Tensor) -> Tensor:
    """[rows, height, width] float64: channels of [rows, channels, height, width] are summed."""
    found: Tensor = maps.detach().cpu().double()
    found = found.sum(1) if found.ndim == 4 else found
    if found.ndim != 3:
        raise InputError("not_an_image", "This likeness is of images", f"The maps have shape {list(maps.shape)}.")
    return found


def _unit_range(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).masked_fill(high == low, 1)


def _channels_summed(maps: Tensor) -> Tensor:
    return maps if maps.ndim < 4 else maps.sum(1, keepdim=True)


def _histograms(maps: Tensor) -> Tensor:
    """[rows, n] how much the map changes into each of 9 directions without sign, cell by cell, each cell scaled to length 1."""
    down, right = torch.zeros_like(maps), torch.zeros_like(maps)
    down[:, 1:-1] = maps[:, 2:] - maps[:, :-2]
    right[:, :, 1:-1] = maps[:, :, 2:] - maps[:, :, :-2]
    size = torch.hypot(down, right)
    direction = (torch.atan2(down, right) % math.pi) / math.pi * BINS
    cell = min(CELL, *maps.shape[1:])
    layers = []
    for one in range(BINS):
        inside = (direction.floor().clamp(max=BINS - 1) == one).double()
        layers.append(functional.avg_pool2d((size * inside).unsqueeze(1), cell))
    cells = torch.cat(layers, dim=1)
    scaled: Tensor = cells / (cells.norm(dim=1, keepdim=True) + 1e-12)
    return scaled.flatten(1)
