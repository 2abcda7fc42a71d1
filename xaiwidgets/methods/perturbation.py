"""Methods that only ask what happens to the score when one part of the input is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.prefix_cache import supported
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import RegionsLike, resolve
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .coalitions import Game, Keep, Solution, masked_scores, play
from .conditional import draw_from_surroundings

LEAST_PROBABILITY = 1e-6  # odds of smaller ones are not told apart

Drop = Callable[[Tensor, Tensor], Tensor]


@method(
    family="perturbation",
    title="Feature ablation",
    reference="Covert, Lundberg, Lee (2021), Explaining by Removing, arXiv:2011.14878",
)
def feature_ablation(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that are taken away together.", kind="regions")] = "auto",
    baseline: Annotated[BaselineLike, Note("What stands for an absent region.", kind="baseline")] = "zeros",
) -> Iterator[Partial]:
    """How far the score drops when one region is replaced by the baseline.

    Values [batch, ...] in units of the score: every place shows the drop of its region, averaged over several baselines.
    Any inputs, integers and booleans too, several together; a mask with the same id in two inputs takes both away.
    Regions come in a scattered order, and those still to come show zero.
    """
    yield from play(problem, regions, problem.baselines(baseline), lambda game: one_by_one(game, torch.sub))


@method(
    family="perturbation",
    title="Prediction difference",
    reference="Zintgraf, Cohen, Adel, Welling (2017), Visualizing Deep Neural Network Decisions, arXiv:1702.04595; "
    "Robnik-Šikonja, Kononenko (2008), Explaining Classifications for Individual Instances",
)
def prediction_difference(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Parts that are forgotten together.", kind="regions")] = "auto",
    sampling: Annotated[
        Literal["marginal", "conditional"],
        Note("Marginal: from the baselines. Conditional: from what surrounds the region in the image."),
    ] = "marginal",
    difference: Annotated[
        Literal["score", "log_odds"],
        Note("Of the score as it is, or of the odds of a probability, in bits."),
    ] = "score",
    baseline: Annotated[BaselineLike, Note("What marginal sampling draws from.", kind="baseline")] = "uniform",
    samples: Annotated[int, Range(2, 64, log=True, help="Contents drawn for a region in conditional sampling.")] = 8,
    seed: Annotated[int, Note("Seed of conditional sampling.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """How far the expected score drops when the content of a region is not known.

    Values [batch, ...]: every place shows the difference of its region, the score of the input minus the mean score over
    contents drawn for the region; or the difference of log2(p / (1 - p)), p being the probability and its mean, which
    needs score="probability". Marginal sampling takes the region's content from other inputs: give baseline=
    Dataset(data) for real ones, the default draws from the row's own range. Conditional sampling fits a Gaussian to the
    patches of the image, of each channel on its own, and draws a region given the two pixels around it. The authors
    slide overlapping windows over the image; here regions are disjoint.
    """
    if difference == "log_odds" and any(one.score != "probability" for one in problem.scorers):
        raise ParameterError(
            "odds_of_score", "Odds are of a probability", hint='Ask with score="probability", or difference="score".'
        )
    absent = (
        problem.baselines(baseline)
        if sampling == "marginal"
        else draw_from_surroundings(problem, resolve(regions, problem.inputs), samples, seed)
    )
    drop = _odds_drop if difference == "log_odds" else torch.sub
    yield from play(problem, regions, absent, lambda game: one_by_one(game, drop))


@method(
    family="perturbation",
    title="Occlusion",
    reference="Zeiler, Fergus (2013), Visualizing and Understanding Convolutional Networks, arXiv:1311.2901",
    needs=("image",),
)
def occlusion(
    problem: Problem,
    *,
    window: Annotated[
        int, Range(0, 128, help="Side of the covering square in pixels; 0 takes an eighth of the shorter side.")
    ] = 0,
    stride: Annotated[int, Range(0, 128, help="Pixels between two squares; 0 takes half the window.")] = 0,
    baseline: Annotated[BaselineLike, Note("What the square is filled with.", kind="baseline")] = "zeros",
) -> Iterator[Partial]:
    """How far the score drops when a square of the image is covered.

    Values [batch, 1, height, width] in units of the score: the drop, averaged over the squares that cover a pixel.
    Squares come in a scattered order, so that early results already cover the whole image. Series
    [batch, channels, length] and volumes are covered by stretches and cubes in the same way.
    """
    lengths = problem.points.shape[2:]
    if not lengths or problem.inputs.several:
        raise InputError(
            "not_an_image",
            "Occlusion slides over places [batch, channels, places...]",
            f"The input has shape {list(problem.points.shape)}.",
            'For other inputs: "feature_ablation".',
        )
    side = min(window or max(1, min(lengths) // 8), *lengths)
    corners = _corners(lengths, side, min(stride or max(1, side // 2), side))
    corners = corners[torch.randperm(len(corners), generator=problem.generator(0))].to(problem.device)
    absent = problem.baselines(baseline)
    rows = torch.arange(problem.rows, device=problem.device)
    full = problem.scores().to(problem.sum_dtype)
    drops = torch.zeros((problem.columns * problem.rows, *lengths), dtype=problem.sum_dtype, device=problem.device)
    covered = torch.zeros(lengths, dtype=problem.sum_dtype, device=problem.device)
    done = 0
    while done < len(corners):
        size = max(1, problem.chunk_rows // (len(absent) * problem.rows))
        inside = _windows(corners[done : done + size], lengths, side)
        scores = masked_scores(problem, _outside(inside), len(inside), absent, rows)
        weights = inside.flatten(1).to(problem.sum_dtype)
        drops += ((full - scores).movedim(0, -1).transpose(0, 1).flatten(0, 1) @ weights).reshape(drops.shape)
        covered += inside.sum(0)
        done += len(inside)
        values = (drops / covered.clamp(min=1)).unsqueeze(1)
        yield Partial(values.to(problem.dtype), done, len(corners), score=full.T.flatten().to(problem.dtype))


def _outside(inside: Tensor) -> Keep:
    return lambda which, _row: ~inside[which].unsqueeze(1)


def one_by_one(game: Game, drop: Drop) -> Iterator[Solution]:
    """What each player's absence does to the score, the others being present."""
    # Of a decoder's text in its order: neighbours are evaluated together, and have most before them in common.
    in_order = supported(game.problem)
    order = (
        torch.arange(game.players) if in_order else torch.randperm(game.players, generator=game.problem.generator(0))
    )
    values = torch.zeros((game.players, *game.full.shape), dtype=game.full.dtype, device=game.full.device)
    done = 0
    while done < game.players:
        missing = order[done : done + game.batch]
        coalitions = torch.ones((len(missing), game.players), dtype=torch.bool)
        coalitions.scatter_(1, missing[:, None], value=False)
        values[missing.to(values.device)] = drop(game.full, game.scores(coalitions))
        done += len(missing)
        yield Solution(values.permute(2, 1, 0), done, game.players)


def _odds_drop(before: Tensor, after: Tensor) -> Tensor:
    """Difference of the logarithms to base 2 of the odds."""
    return torch.sub(
        *(torch.logit(one.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)) for one in (before, after))
    ) / torch.log(torch.tensor(2.0, dtype=before.dtype))


def _corners(lengths: tuple[int, ...], side: int, stride: int) -> Tensor:
    """First corners [windows, axes] of windows that cover every place; the last ones may reach over the edge."""
    steps = (range(0, max(length - side, 0) + stride, stride) for length in lengths)
    return torch.tensor(list(product(*steps)))


def _windows(corners: Tensor, lengths: tuple[int, ...], side: int) -> Tensor:
    """Masks [windows, places...], true inside."""
    inside = torch.ones((len(corners), *[1] * len(lengths)), dtype=torch.bool, device=corners.device)
    for axis, length in enumerate(lengths):
        place = torch.arange(length, device=corners.device)
        first = corners[:, axis, None]
        along = (place >= first) & (place < first + side)
        inside = inside & along.reshape(len(corners), *[1] * axis, length, *[1] * (len(lengths) - 1 - axis))
    return inside
