"""Methods that fit a linear model to the scores of coalitions: Kernel SHAP and LIME.

The fit is kept as running sums of its normal equations, so that memory does not grow with the number of coalitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import RegionsLike, resolve
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .coalitions import Game, Solution, coalition_names, play
from .orders import balanced_order

REFRESH = 8  # a partial result when there are 1/8 more coalitions, because each one costs a solution


@method(
    family="perturbation",
    title="Kernel SHAP",
    reference="Lundberg, Lee (2017), A Unified Approach to Interpreting Model Predictions, arXiv:1705.07874; "
    "pairs: Covert, Lee (2021), Improving KernelSHAP, arXiv:2012.01536",
    complete=True,
)
def kernel_shap(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that are present or absent together.", kind="regions")] = "auto",
    samples: Annotated[
        int, Range(16, 65536, log=True, help="Different coalitions asked of each row and baseline.")
    ] = 512,
    baseline: Annotated[BaselineLike, Note("What stands for an absent region.", kind="baseline")] = "zeros",
    seed: Annotated[int, Note("Seed of the coalitions.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """The linear model of which regions are present that fits the score best under the Shapley kernel.

    Values [batch, ...]: one number a region in units of the score, divided evenly among its places. They sum to
    score - baseline_score exactly, because that is a constraint of the fit, not a heavily weighted sample. Coalitions
    come with their complements. The smallest and largest ones are asked completely as far as their share of the kernel
    pays for it, the other sizes in proportion to the kernel, without repetition; with all 2^regions coalitions the
    answer is the exact Shapley values. `error` is the standard error of the fit from sampling, estimated from its
    residuals taken as equally large everywhere, summed and relative to the summed size of the values, of the worst row.
    """
    yield from play(
        problem,
        regions,
        problem.baselines(baseline),
        lambda game: _fit(game, _plan(game.players, samples, game.problem.generator(seed))),
        share=True,
        complete=True,
    )


@method(
    family="perturbation",
    title="LIME",
    reference="Ribeiro, Singh, Guestrin (2016), Why Should I Trust You?, arXiv:1602.04938",
)
def lime(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that are present or absent together.", kind="regions")] = "auto",
    samples: Annotated[
        int, Range(16, 16384, log=True, help="Random coalitions asked of each row and baseline.")
    ] = 1000,
    width: Annotated[
        float, Range(0.05, 5.0, log=True, help="Cosine distance from the whole input at which weights fall off.")
    ] = 0.25,
    ridge: Annotated[float, Range(0.0, 100.0, help="Penalty on squared values.")] = 1.0,
    region_mean: Annotated[bool, Note("Show an absent region as its own mean instead of the baseline.")] = False,
    baseline: Annotated[BaselineLike, Note("What stands for an absent region.", kind="baseline")] = "zeros",
    seed: Annotated[int, Note("Seed of the coalitions.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """A ridge regression of the score on which regions are present, close to the whole input.

    Values [batch, ...]: one coefficient a region in units of the score, divided evenly among its places. As in the
    authors' code for images: every region is present with probability 1/2, the whole input comes first, a coalition at
    cosine distance d from it weighs sqrt(exp(-d² / width²)) with width 0.25, and the penalty is 1; only feature
    selection is left out, and theirs shows absent regions as their mean (`region_mean`). `error` is the standard error
    from sampling, as of Kernel SHAP. The values are biased towards zero by the ridge and depend on width: the fit is
    local, not complete.
    """
    absent = _region_means(problem, regions) if region_mean else problem.baselines(baseline)
    strategy = partial(_lime, samples=samples, width=width, ridge=ridge, seed=seed)
    yield from play(problem, regions, absent, strategy, share=True)


def every_coalition(game: Game) -> Iterator[Solution]:
    """Exact Shapley values: the kernel's fit to all 2^players coalitions, the smallest and largest first."""
    return _fit(game, _plan(game.players, 2**game.players, game.problem.generator(0)))


# --- the Shapley kernel ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Coalitions to ask together with their complements.

    coalitions  [pairs, players] bool
    weights     [pairs] of the pair in the fit
    chance      [pairs] share of the size's coalitions that is left out: 0 where all are asked
    """

    coalitions: Tensor
    weights: Tensor
    chance: Tensor


def _plan(players: int, samples: int, generator: torch.Generator) -> Plan:
    """Which pairs to ask with so many samples, the two ends included: complete sizes first, the others mixed."""
    sizes = list(range(1, players // 2 + 1))
    # Of the two sizes of a pair together; half of the players are their own complement.
    mass = {size: (2 - (2 * size == players)) * (players - 1) / (size * (players - size)) for size in sizes}
    number = {size: math.comb(players, size) // (1 + (2 * size == players)) for size in sizes}
    left = max(1, (samples - 2) // 2) if sizes else 0
    parts: list[tuple[Tensor, float, float]] = []
    while sizes and number[sizes[0]] <= left * mass[sizes[0]] / sum(mass[size] for size in sizes) + 1e-6:
        size = sizes.pop(0)
        left -= number[size]
        parts.append((_all_of(players, size), mass[size] / number[size], 0.0))
    sampled = []
    for size, count in _allot(left, {size: mass[size] for size in sizes}).items():
        found = _some_of(players, size, min(count, number[size]), generator)
        weight, chance = mass[size] / max(len(found), 1), 1 - len(found) / number[size]
        sampled.append((found, weight, chance))
    mixed = torch.randperm(sum(len(found) for found, _, _ in sampled), generator=generator)
    plans = [_listed(players, parts), _listed(players, sampled, mixed)]
    return Plan(*(torch.cat([getattr(plan, name) for plan in plans]) for name in ("coalitions", "weights", "chance")))


def _listed(players: int, parts: list[tuple[Tensor, float, float]], order: Tensor | None = None) -> Plan:
    coalitions = torch.cat([torch.zeros((0, players), dtype=torch.bool), *(found for found, _, _ in parts)])
    weights, chance = (
        torch.tensor([part[which] for part in parts for _ in range(len(part[0]))], dtype=torch.float64)
        for which in (1, 2)
    )
    chosen = slice(None) if order is None else order
    return Plan(coalitions[chosen], weights[chosen], chance[chosen])


def _allot(total: int, mass: dict[int, float]) -> dict[int, int]:
    """Whole numbers in proportion to the masses, by largest remainder."""
    shares = {size: total * one / sum(mass.values()) for size, one in mass.items()}
    counts = {size: int(share) for size, share in shares.items()}
    for size in sorted(shares, key=lambda size: counts[size] - shares[size])[: total - sum(counts.values())]:
        counts[size] += 1
    return {size: count for size, count in counts.items() if count}


def _all_of(players: int, size: int) -> Tensor:
    """All coalitions of a size; of half the players only those with player 0, the others are their complements."""
    own_complement = 2 * size == players
    members = list(combinations(range(own_complement, players), size - own_complement))
    index = torch.from_numpy(np.array(members, dtype=np.int64).reshape(len(members), -1))
    coalitions = torch.zeros((len(index), players), dtype=torch.bool)
    coalitions[:, 0] = own_complement
    return coalitions.scatter_(1, index, value=True)


def _some_of(players: int, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Random coalitions of a size without repetition, neither they nor their complements, players evenly used."""
    base = torch.from_numpy(balanced_order(players))[:size]
    taken: set[bytes] = set()
    found: list[Tensor] = []
    while True:
        seats = torch.randperm(players, generator=generator)
        shifts = torch.randperm(players, generator=generator)
        block = torch.zeros((players, players), dtype=torch.bool)
        block.scatter_(1, seats[(base + shifts[:, None]) % players], value=True)
        for coalition, name, other in zip(block, coalition_names(block), coalition_names(~block), strict=True):
            if len(found) == count:
                return torch.stack(found)
            if name not in taken:
                taken |= {name, other}
                found.append(coalition)


def _fit(game: Game, plan: Plan) -> Iterator[Solution]:
    """Least squares over the pairs of a plan, under the constraint that all values sum to full - empty.

    With a value φ_i = gap / n + ψ_i, Σψ = 0, the two errors of a pair are equal up to a constant, so a pair is one
    equation: the size-centred coalition times ψ is half the difference of its scores, less what the gap explains.
    """
    players, total = game.players, 2 * len(plan.coalitions) + 2
    gap = _columns(game.full - game.empty)
    fit = Regression(players, gap.shape[-1])
    begin, exact = 0, not bool(plan.chance.any())
    while True:
        size = max(1, game.batch // 2, begin // REFRESH)
        group = slice(begin, begin + size)
        coalitions = plan.coalitions[group]
        if len(coalitions):
            scores = _columns(game.scores(torch.cat([coalitions, ~coalitions])))
            present, absent = scores.chunk(2)
            share = coalitions.double().mean(1, keepdim=True)
            answers = (present - absent) / 2 + gap * (0.5 - share)
            fit.add(coalitions.double() - share, answers, plan.weights[group], plan.chance[group])
        begin += len(coalitions)
        values, errors = fit.solve()
        values = values + gap / players
        last = begin == len(plan.coalitions)
        error = 0.0 if last and exact else _relative(errors, values, game)
        yield Solution(_by_player(values, game), 2 * begin + 2, total, error)
        if last:
            return


# --- LIME ------------------------------------------------------------------------------------------------------------


def _lime(game: Game, samples: int, width: float, ridge: float, seed: int) -> Iterator[Solution]:
    generator = game.problem.generator(seed)
    penalty = torch.full((game.players + 1,), ridge, dtype=torch.float64)
    penalty[0] = 0  # the intercept
    fit = Regression(game.players + 1, game.full.numel(), penalty)
    whole = torch.ones((1, game.players), dtype=torch.bool)
    fit.add(torch.ones((1, game.players + 1)).double(), _columns(game.full.unsqueeze(0)), torch.ones(1).double())
    done = 1
    while done < samples:
        size = min(max(game.batch, done // REFRESH), samples - done)
        coalitions = torch.rand((size, game.players), generator=generator) < 0.5
        distance = 1 - coalitions.double().mean(1).sqrt()  # 1 - cosine with the whole input
        features = torch.cat([whole[:, :1].expand(size, 1), coalitions], 1).double()
        weights = (-(distance**2) / width**2).exp().sqrt()
        fit.add(features, _columns(game.scores(coalitions)), weights)
        done += size
        values, errors = (one[1:] if one is not None else None for one in fit.solve())
        assert values is not None  # noqa: S101
        yield Solution(_by_player(values, game), done, samples, _relative(errors, values, game))


def _region_means(problem: Problem, regions: object) -> Tensor:
    """The input with every region replaced by its mean, of each channel on its own: [1, rows, ...]."""
    points, ids = problem.points, resolve(regions, problem.inputs).ids
    along = [size if shared == 1 else 1 for size, shared in zip(points.shape[1:], ids.shape[1:], strict=True)]
    channel = torch.arange(math.prod(along), device=problem.device).reshape(1, *along)
    index = (ids * channel.numel() + channel).expand(points.shape).flatten(1)
    sums = torch.zeros((problem.rows, int(index.max()) + 1), dtype=problem.sum_dtype, device=problem.device)
    values = points.flatten(1).to(problem.sum_dtype)
    means = sums.scatter_add(1, index, values) / sums.scatter_add(1, index, torch.ones_like(values))
    return means.gather(1, index).reshape(1, *points.shape).to(problem.dtype)


# --- least squares ---------------------------------------------------------------------------------------------------


class Regression:
    """Weighted least squares for many answers to the same questions, in running sums.

    `chance` scales the part of each equation in the sampling error: 0 for those that every sample would contain.
    """

    def __init__(self, features: int, answers: int, penalty: Tensor | None = None) -> None:
        self.penalty = penalty
        self.count = 0
        self.left = torch.zeros((features, features), dtype=torch.float64)
        self.right = torch.zeros((features, answers), dtype=torch.float64)
        self.noise = _Sums(features, answers)

    def add(self, features: Tensor, answers: Tensor, weights: Tensor, chance: Tensor | None = None) -> None:
        """Equations `features` [m, f] · values = `answers` [m, a]."""
        weighted = features * weights[:, None]
        self.count += len(features)
        self.left += features.T @ weighted
        self.right += weighted.T @ answers
        self.noise.add(features, answers, weights**2 * (1 if chance is None else chance))

    def solve(self) -> tuple[Tensor, Tensor | None]:
        """Values [f, a], the smallest if there are many, and their standard errors if there are equations to spare."""
        left = self.left if self.penalty is None else self.left + torch.diag(self.penalty)
        inverse = torch.linalg.pinv(left, hermitian=True, rtol=1e-11)
        values = inverse @ self.right
        spare = self.count - len(left)
        if spare < 1 or self.noise.total == 0:
            return values, None
        variance = self.noise.squares(values) / self.noise.total * (self.count / spare)
        spread = (inverse @ self.noise.left @ inverse).diagonal().clamp(min=0)
        return values, (spread[:, None] * variance).sqrt()


class _Sums:
    """The weighted squares of what a fit misses, for values that are known only later."""

    def __init__(self, features: int, answers: int) -> None:
        self.total = 0.0
        self.left = torch.zeros((features, features), dtype=torch.float64)
        self.right = torch.zeros((features, answers), dtype=torch.float64)
        self.answers = torch.zeros(answers, dtype=torch.float64)

    def add(self, features: Tensor, answers: Tensor, weights: Tensor) -> None:
        weighted = features * weights[:, None]
        self.total += float(weights.sum())
        self.left += features.T @ weighted
        self.right += weighted.T @ answers
        self.answers += (answers.square() * weights[:, None]).sum(0)

    def squares(self, values: Tensor) -> Tensor:
        """Σ w (answer - features · values)² of every answer."""
        explained = (values * (self.left @ values - 2 * self.right)).sum(0)
        return (self.answers + explained).clamp(min=0)


def _columns(scores: Tensor) -> Tensor:
    """Scores [..., r, columns] as answers [..., r * columns]; the algebra is done on the CPU, in double precision."""
    return scores.flatten(-2).double().cpu()


def _by_player(values: Tensor, game: Game) -> Tensor:
    """Values [players, r * columns] as [columns, r, players]."""
    return values.reshape(game.players, *game.full.shape).permute(2, 1, 0).to(game.full)


def _relative(errors: Tensor | None, values: Tensor, game: Game) -> float | None:
    """Summed standard errors over summed sizes, of the worst row."""
    if errors is None:
        return None
    summed, sizes = (one.abs().reshape(len(one), *game.full.shape).sum((0, 2)) for one in (errors, values))
    return float(torch.where(summed > 0, summed / sizes, 0.0).max())
