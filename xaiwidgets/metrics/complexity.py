"""How simple a map is: a few units that stand out, or a little of everything.

Simple is not true: a map with a single random pixel is the simplest of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from .case import Case, Measure
from .fills import FillName, Measures, Removal, fill_names, is_random, removal_by
from .forms import undefined
from .registry import Note, Range, Reading, metric
from .result import Curve


@metric(
    family="complexity",
    title="Sparseness",
    reference="Chalasani, Chen, Chowdhury, Jha, Wu (2018), Concise Explanations of Neural Networks using Adversarial "
    "Training, arXiv:1810.06583; Hurley, Rickard (2008), Comparing Measures of Sparsity, arXiv:0811.4706",
    direction="higher",
    range=(0.0, 1.0),
    tells="Near 1, a few units hold nearly all of the map's size; at 0, all units are equal.",
    cannot="It does not look at the model: a wrong map with one bright pixel is as sparse as a map can be.",
)
def sparseness(case: Case) -> Iterator[Reading]:
    """How unevenly the size of a map is spread over the units: its Gini index.

    With the sizes |φ| of the n units of a row in ascending order,

        Gini = Σₖ (2k - n - 1) |φ|₍ₖ₎ / (n Σₖ |φ|₍ₖ₎)

    from 0 (all equal) to 1 - 1/n (one unit has everything). A unit's values are summed first, channels with their signs.
    NaN for a map of zeros.
    """
    sizes, count = _sizes(case)
    ranked = sizes.sort(dim=1).values.nan_to_num(0)  # missing units come last
    places = torch.arange(1, sizes.shape[1] + 1, dtype=torch.float64)
    values = ((2 * places - count - 1) * ranked).sum(1, keepdim=True) / (count * ranked.sum(1, keepdim=True))
    yield _reading(values.squeeze(1))


@metric(
    family="complexity",
    title="Complexity",
    reference="Bhatt, Weller, Moura (2020), Evaluating and Aggregating Feature-based Model Explanations, arXiv:2005.00631",
    direction="lower",
    range=(0.0, None),
    tells="Near 0, one unit holds the whole map; at the logarithm of the number of units, all are equal.",
    cannot="It does not look at the model: a wrong map with one bright pixel is as simple as a map can be.",
)
def complexity(
    case: Case,
    *,
    relative: Annotated[
        bool, Note("Divide by the logarithm of the number of units, so that inputs of different size can be compared.")
    ] = False,
) -> Iterator[Reading]:
    """How many units share the size of a map: the entropy of |φ| as a distribution.

        p_u = |φ_u| / Σ_v |φ_v|        -Σ_u p_u ln p_u

    in nats, from 0 (one unit) to ln n (all n equal); with `relative` from 0 to 1. NaN for a map of zeros.
    """
    sizes, count = _sizes(case)
    entropy = torch.special.entr(sizes / sizes.nansum(1, keepdim=True)).nan_to_num(0).sum(1)
    entropy = torch.where(sizes.nansum(1) > 0, entropy, math.nan)
    yield _reading(entropy / count.squeeze(1).clamp(min=2).log() if relative else entropy)


@metric(
    family="complexity",
    title="Effective complexity",
    reference="Nguyen, Martínez (2020), On Quantitative Aspects of Model Interpretability, arXiv:2007.07584",
    direction="lower",
    range=(0.0, None),
    tells="Small, a few of the units it ranks first are enough to keep the score.",
    cannot="Inputs of which most units are replaced at random are unlike any the model was made for.",
)
def effective_complexity(
    case: Case,
    *,
    tolerance: Annotated[
        float, Range(0.001, 1.0, step=0.001, help="Share of the mean square change of the score that may remain.")
    ] = 0.1,
    draws: Annotated[int, Range(1, 256, log=True, help="Random replacements of the other units.")] = 8,
    fill: Annotated[
        FillName | Tensor,
        Note("What the other units are replaced by. auto: noise, drawn anew; in texts the mask token."),
    ] = "auto",
    measure: Measures = "logit",
) -> Iterator[Reading]:
    """How many of the units ranked first must be kept for the score to stay, whatever the others are.

        min k:   E[(f(x) - f(x_top k, rest replaced))²] <= tolerance · E[(f(x) - f(all replaced))²]

    in units, 0 where replacing everything changes nothing; units are ranked by |Φ|. Found by doubling k and then halving
    the last step, which is exact where keeping more never hurts; otherwise a smaller k may do by chance. The curve `kept`
    is the share of the change that remains. (Counting values above a threshold, which goes by the same name in some
    libraries, is not this: it does not ask the model.)
    """
    place = torch.zeros(case.rows, case.count, dtype=torch.long)
    place.scatter_(1, case.order(absolute=True), torch.arange(case.count).expand(case.rows, -1))
    loss = _Loss(case, place, _removals(case, fill, draws), measure)
    counts = torch.tensor(case.counts)
    steps = [0, *(2**power for power in range(case.count.bit_length())), case.count]
    steps = sorted(set(steps))
    asked = torch.stack([counts.clamp(max=step) for step in steps])  # [steps, rows]
    remaining = loss(asked)
    most = remaining[0]
    enough = remaining <= tolerance * most
    first = enough.double().argmax(0, keepdim=True)  # keeping everything is always enough
    high = asked.gather(0, first).squeeze(0)
    low = torch.where(first == 0, high, asked.gather(0, (first - 1).clamp(min=0))).squeeze(0)
    curve = Curve(
        torch.tensor(steps, dtype=torch.float64),
        (remaining / torch.where(most > 0, most, torch.nan)).T,
        "units kept",
        "share of the mean square change that remains",
    )
    total = case.count.bit_length()
    for done in range(1, total + 1):
        found = bool((high - low <= 1).all())
        yield Reading(high.double(), total if found else done, total, curves={"kept": curve})
        if found:
            return
        middle = torch.where(high - low > 1, (low + high) // 2, high)
        fits = loss(middle[None])[0] <= tolerance * most
        low, high = torch.where(fits | (high - low <= 1), low, middle), torch.where(fits, middle, high)


class _Loss:
    """The mean square change of the score when all but the first so many units of each row are replaced."""

    def __init__(self, case: Case, place: Tensor, removals: list[Removal], measure: Measure) -> None:
        self.case, self.place, self.removals, self.measure = case, place, removals, measure
        self.rows = torch.arange(case.rows)
        self.score = case.scores(case.problem.points, self.rows, measure)

    def __call__(self, kept: Tensor) -> Tensor:
        """For several numbers of units [k, rows] together: [k, rows]."""
        chosen = ((self.place >= kept.unsqueeze(2)) & self.case.present).flatten(0, 1)
        rows = self.rows.repeat(len(kept))
        scores = [removal.scores(rows, chosen, self.measure).reshape(kept.shape) for removal in self.removals]
        return (torch.stack(scores) - self.score).square().mean(0)


def _removals(case: Case, fill: str | Tensor, draws: int) -> list[Removal]:
    """One for each draw of a random fill, one of any other."""
    if isinstance(fill, str) and fill == "auto" and "noise" in fill_names(case):
        fill = "noise"
    return [removal_by(case, fill, case.seed + draw) for draw in range(draws if is_random(fill) else 1)]


def _sizes(case: Case) -> tuple[Tensor, Tensor]:
    """|φ| [rows, units], NaN where a row has no such unit, and the number of units [rows, 1]."""
    return case.importance().abs(), torch.tensor(case.counts, dtype=torch.float64).unsqueeze(1)


def _reading(values: Tensor) -> Reading:
    return Reading(values, 1, 1, notes=undefined(values, "the map is zero everywhere"))
