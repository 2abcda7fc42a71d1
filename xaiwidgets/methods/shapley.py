"""Shapley values: every region's mean contribution over all orders in which regions can appear.

With few regions all 2^n coalitions are asked; with more, orders are sampled, balanced as `orders.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import RegionsLike
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .coalitions import Game, Solution, coalition_names, play
from .moments import Moments
from .orders import pairs, prefixes
from .surrogates import every_coalition

MOST_PLAYERS = 20


@method(
    family="perturbation",
    title="Shapley values",
    reference="Mitchell, Cooper, Frank, Holmes (2022), Sampling Permutations for Shapley Value Estimation, "
    "arXiv:2104.12199",
    complete=True,
)
def shapley(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that appear together.", kind="regions")] = "auto",
    samples: Annotated[
        int, Range(16, 65536, log=True, help="Different coalitions asked of each row and baseline; at least one pair.")
    ] = 512,
    baseline: Annotated[BaselineLike, Note("What stands for an absent region.", kind="baseline")] = "zeros",
    seed: Annotated[int, Note("Seed of the orders.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """Every region's mean contribution to the score over all orders in which regions can appear.

    Values [batch, ...]: one number a region in units of the score, divided evenly among its places, so that they sum to
    score - baseline_score whatever the number of samples. Several baselines are averaged in every coalition. Exact when
    all 2^regions coalitions fit in `samples`, otherwise unbiased, from pairs of an order and its reverse. `error` is the
    standard error of the mean of the pairs, summed and relative to the summed size of the values, of the worst row. It
    takes the pairs for independent; they are balanced, and the true error is up to a third smaller than it says.
    """
    yield from play(
        problem,
        regions,
        problem.baselines(baseline),
        partial(_shapley, samples=samples, seed=seed),
        share=True,
        complete=True,
    )


@method(
    family="perturbation",
    title="Shapley values, exact",
    reference="Lundberg, Lee (2017), A Unified Approach to Interpreting Model Predictions, arXiv:1705.07874",
    complete=True,
)
def shapley_exact(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that appear together; at most 20.", kind="regions")] = "coarse",
    baseline: Annotated[BaselineLike, Note("What stands for an absent region.", kind="baseline")] = "zeros",
) -> Iterator[Partial]:
    """Every region's mean contribution to the score over all orders, from all 2^regions coalitions.

    Values [batch, ...]: one number a region in units of the score, divided evenly among its places; they sum to
    score - baseline_score. Partial results fit the coalitions seen so far, the smallest and largest first.
    """
    yield from play(problem, regions, problem.baselines(baseline), _exact, share=True, complete=True)


def _exact(game: Game) -> Iterator[Solution]:
    if game.players > MOST_PLAYERS:
        raise ParameterError(
            "too_many_regions",
            f"{game.players} regions have 2^{game.players} coalitions",
            hint=f'Use at most {MOST_PLAYERS} regions, or method="shapley", which samples.',
        )
    yield from every_coalition(game)


def _shapley(game: Game, samples: int, seed: int) -> Iterator[Solution]:
    if game.players <= MOST_PLAYERS and 2**game.players <= samples:
        yield from every_coalition(game)
    else:
        yield from _sampled(game, samples, seed)


def _sampled(game: Game, samples: int, seed: int) -> Iterator[Solution]:
    players, moments = game.players, Moments()
    asked, waiting = 2, list[Tensor]()  # the two ends are always asked
    seen: set[bytes] = set()
    for pair in pairs(players, game.problem.generator(seed)):
        names = set(coalition_names(prefixes(pair).flatten(0, 1))) - seen
        enough = asked + len(names) > samples and (moments.count > 0 or bool(waiting))
        if not enough:
            seen |= names
            asked += len(names)
            waiting.append(pair)
        if waiting and (enough or len(waiting) * 2 * (players - 1) >= game.batch):
            for contribution in _contributions(game, torch.stack(waiting)):
                moments.add(contribution)
            waiting.clear()
            mean = moments.mean.permute(1, 0, 2)
            yield Solution(mean, min(asked, samples), samples, moments.error_of_mean())
        if enough:
            return


def _contributions(game: Game, orders: Tensor) -> Tensor:
    """Mean contributions [pairs, r, columns, players] of orders and their reverses [pairs, 2, players]."""
    count, _, players = orders.shape
    coalitions = prefixes(orders)  # [pairs, 2, players - 1, players]
    scores = game.scores(coalitions.flatten(0, 2)).reshape(count, 2, players - 1, *game.full.shape)
    first, last = (end.expand(count, 2, 1, *end.shape) for end in (game.empty, game.full))
    steps = torch.cat([first, scores, last], 2).diff(dim=2).movedim(2, -1)  # [pairs, 2, r, columns, position]
    position = torch.argsort(orders, -1).to(steps.device)[:, :, None, None].expand(-1, -1, *game.full.shape, -1)
    return steps.gather(-1, position).mean(1)
