"""Whether the numbers of a map go along with what happens: for random sets of units, for single ones, one after another.

What the model says without some units does not depend on the map, so it is asked once for all attributions of an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.registry import Range

from .agreement import pearson, spearman
from .case import Case, Measure
from .fills import Fill, Measures, fill_key, fill_names, is_random, removal_by, resolved
from .registry import Reading, metric
from .removal import removal_walk
from .removal_curves import Steps, curve_of
from .result import Curve

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
ROUNDING = 1e-6  # of the row's largest score: less is no fall
UNDEFINED = "Not defined (NaN) where the map or what the model does is the same for all sets of units."


@metric(
    family="removal",
    title="Sensitivity-n",
    reference="Ancona, Ceolini, Öztireli, Gross (2018), Towards better understanding of gradient-based attribution methods for "
    "Deep Neural Networks, arXiv:1711.06104",
    direction="higher",
    range=(-1.0, 1.0),
    tells="The sum of the values in a set of units goes along with what the score loses without the set.",
    cannot="Whether the sums are right: any multiple of a map, plus any number, is rated the same; and sets at random seldom hit "
    "what matters when that is small.",
)
def sensitivity_n(
    case: Case,
    *,
    samples: Annotated[int, Range(8, 1000, log=True, help="Random sets of each size and row.")] = 64,
    fill: Fill = "auto",
    measure: Measures = "logit",
) -> Iterator[Reading]:
    """How well sums of values say what random sets of units are worth to the score.

    For n of 1, 2, 5, 10, 20, 40 and 80 % of the units (at least one): Pearson's correlation over random sets S of n units of
    Σ_{i∈S} Φ_i and f(x) − f(x without S). Their mean over n, each size once and without those at which the correlation is not
    defined; exactly 1 for weights × input of a linear model whose fill is zeros. The curve has the correlation at each n. The sets are the same for every attribution.
    """
    filled = resolved(case, fill, "deletion")
    importance = case.importance().nan_to_num(0)
    found = torch.full((case.rows, len(SHARES)), torch.nan, dtype=torch.float64)
    sizes = (torch.tensor(SHARES, dtype=torch.float64) * torch.tensor(case.counts)[:, None]).round().long().clamp(min=1)
    again = torch.zeros_like(found, dtype=torch.bool)
    again[:, 1:] = sizes[:, 1:] == sizes[:, :-1]  # a row of few units has the same n twice: it counts once
    for number in range(len(SHARES)):
        chosen = torch.stack([_sets(case, row, int(sizes[row, number]), samples) for row in range(case.rows)])
        losses = _losses(case, chosen, filled, measure, ("sets", number, samples))
        sums = torch.stack([sets.double() @ values for sets, values in zip(chosen, importance, strict=True)])
        found[:, number] = pearson(sums, losses)
        curve = Curve(
            torch.tensor(SHARES, dtype=torch.float64), found.clone(), "share of the units in a set", "correlation"
        )
        values = found.masked_fill(again, torch.nan).nanmean(1)
        notes = (UNDEFINED,) if bool(values.isnan().any()) else ()
        yield Reading(values, number + 1, len(SHARES), {"correlation": curve}, notes=notes)


@metric(
    family="removal",
    title="Monotonicity",
    reference="Arya et al. (2019), One Explanation Does Not Fit All, arXiv:1909.03012",
    direction="higher",
    range=(0.0, 1.0),
    tells="Showing more, the least important units first, never lowers the score.",
    cannot="How important anything is; and units that speak against the target lower the score whatever the map says.",
)
def monotonicity(
    case: Case, *, fill: Fill = "auto", measure: Measures = "probability", steps: Steps = 33
) -> Iterator[Reading]:
    """How many of the steps do not lower the score when units are shown in the order of increasing importance.

    Share of the steps k with f(x_k) ≥ f(x_{k−1}), from nothing shown to the whole input; falls of less than a millionth of the
    row's largest score do not count. The reference asks whether it is 1. A step is one unit where there
    are fewer than `steps` of them, else several. These are the points of `deletion`, backwards.
    """
    walks = removal_walk(case, case.order()[None], fill=fill, measure=measure, steps=steps, seed=case.seed)
    for walk in walks:
        kept = []
        for _, scores in walk.own:
            rises = scores[0].diff() <= ROUNDING * scores.abs().max()
            kept.append(rises.double().mean())
        yield Reading(
            torch.stack(kept), walk.done, walk.total, {"deletion": curve_of(walk, "share taken away", measure)}
        )


@metric(
    family="removal",
    title="Correlation with single effects",
    reference="Nguyen, Martínez (2020), On quantitative aspects of model interpretability, arXiv:2007.07584",
    direction="higher",
    range=(-1.0, 1.0),
    tells="The larger a unit's value, the more the score varies when that unit alone is replaced.",
    cannot="What units do together: where one can stand in for another, removing either alone changes nothing.",
)
def monotonicity_correlation(
    case: Case,
    *,
    units: Annotated[
        int, Range(8, 4096, log=True, help="Most units of a row that are looked at, drawn at random.")
    ] = 64,
    draws: Annotated[int, Range(1, 32, help="Random fills of every unit; one for fills that are not random.")] = 4,
    fill: Fill = "auto",
    measure: Measures = "probability",
) -> Iterator[Reading]:
    """How well the ranks of the values agree with those of what each unit alone does to the score.

    Spearman's rank correlation over units i of |Φ_i| and the mean over draws of (f(x) − f(x with i replaced))².
    "auto" is noise, texts take the mask token. Units drawn and effects are the same for every attribution.
    """
    seen = torch.stack([_few(case, row, units) for row in range(case.rows)])
    chosen = torch.zeros(*seen.shape, case.count, dtype=torch.bool).scatter_(2, seen[..., None], True)
    missing = ~case.present.gather(1, seen)
    importance = case.importance().abs().gather(1, seen).masked_fill(missing, torch.nan)
    total = torch.zeros_like(importance)
    noise = isinstance(fill, str) and fill == "auto" and "noise" in fill_names(case)
    filled = "noise" if noise else resolved(case, fill, "deletion")
    draws = draws if is_random(filled) else 1
    for draw in range(draws):
        total += _losses(case, chosen, filled, measure, ("single", units), seed=case.seed + draw) ** 2
        values = spearman(importance, total)
        yield Reading(values, draw + 1, draws, notes=(UNDEFINED,) if bool(values.isnan().any()) else ())


def _sets(case: Case, row: int, size: int, samples: int) -> Tensor:
    """[samples, units] random sets of so many of a row's units."""
    keys = torch.rand(samples, case.counts[row], generator=case.generator(row, "sets", size), dtype=torch.float64)
    chosen = torch.zeros(samples, case.count, dtype=torch.bool)
    return chosen.scatter_(1, keys.argsort(1)[:, :size], True)


def _few(case: Case, row: int, units: int) -> Tensor:
    """[at most units] of a row's units, and after them the numbers of some that it does not have."""
    drawn = torch.randperm(case.counts[row], generator=case.generator(row, "few"))
    return torch.cat([drawn, torch.arange(case.counts[row], case.count)])[:units]


def _losses(
    case: Case,
    chosen: Tensor,
    fill: str | Tensor,
    measure: Measure,
    name: tuple[str | int, ...],
    *,
    seed: int | None = None,
) -> Tensor:
    """[rows, m] what the score loses without the chosen units [rows, m, units]; asked once an evaluation under that name."""
    seed = case.seed if seed is None else seed
    rows = torch.arange(case.rows)

    def lose() -> Tensor:
        whole = case.shared(("all units", measure), lambda: case.scores(case.problem.points, rows, measure))
        removal = removal_by(case, fill, seed)
        asked = rows.repeat_interleave(chosen.shape[1])
        return whole[:, None] - removal.scores(asked, chosen.flatten(0, 1), measure).reshape(chosen.shape[:2])

    return case.shared(("losses", fill_key(fill), measure, seed, case.seed, *name), lose)
