"""RISE: show the model many random parts of the image and see which pixels a high score goes with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

GROUP = 8  # fewest masks between two partial results
REPLAY = 64  # masks at a time whose scores are remembered

Weighting = Literal["centred", "normalised", "unbiased"]


@method(
    family="perturbation",
    title="RISE",
    reference="Petsiuk, Das, Saenko (2018), RISE, arXiv:1806.07421",
    needs=("image",),
)
def rise(
    problem: Problem,
    *,
    samples: Annotated[int, Range(16, 16384, log=True, help="Random masks to look through.")] = 1024,
    cells: Annotated[
        int, Range(2, 32, help="Cells a mask has along the shorter side; never more than half its pixels.")
    ] = 7,
    visible: Annotated[float, Range(0.05, 0.95, step=0.05, help="Share of the cells a mask shows.")] = 0.5,
    weighting: Annotated[
        Weighting, Note("Centred: relative to the mean score. Normalised, unbiased: the paper's map, estimated twice.")
    ] = "centred",
    baseline: Annotated[BaselineLike, Note("What stands where a mask hides.", kind="baseline")] = "zeros",
    seed: Annotated[int, Note("Seed of the masks.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """How much higher the score is when a pixel is visible, over random masks.

    Values [batch, 1, height, width] in units of the score, f the scores of the masked images and M the masks:

        unbiased     Σ f M / (N p)         as published; its variance grows with the mean score, because how often a
                                           pixel was shown is left to chance
        normalised   Σ f M / Σ M           the same quantity, E[f | visible]; biased by O(1/N), far less noisy
        centred      Σ f M / Σ M - Σ f / N the same map less the mean score: signed, zero for a constant model

    `error` is the standard error of the pixels' values, summed and relative to their summed size, for the worst row.
    Every mask is drawn on a grid, enlarged bilinearly to (cells + 1) / cells of the image and cropped at its own offset.
    Scores are remembered: more samples cost the new ones, fewer samples or another weighting cost nothing.
    """
    height, width = problem.points.shape[2:]
    baselines = problem.baselines(baseline)
    grid = _grid(height, width, cells)
    remember = problem.memory(("rise", digest(baselines), grid, visible, seed))
    if not remember:
        score = problem.scores().T.flatten()
        remember.update(score=score, masked=score.new_zeros(0, len(score)))
    score, known = remember["score"], remember["masked"]
    generator = problem.generator(seed)
    sums = Sums(problem.sum_dtype)
    group = max(GROUP, problem.chunk_rows // baselines.shape[0] // problem.rows)
    while sums.count < samples:
        replay = sums.count < len(known)
        count = min(REPLAY, len(known) - sums.count) if replay else group
        count = min(count, samples - sums.count)
        masks = draw_masks(count, grid, (height, width), visible, generator).to(problem.points)
        if not replay:
            known = remember["masked"] = torch.cat((known, _masked_scores(problem, baselines, masks)))
        sums.add(masks.flatten(1), known[sums.count : sums.count + count])
        if replay and sums.count < min(len(known), samples):
            continue
        values, errors = sums.estimate(weighting, visible)
        yield Partial(
            values.reshape(-1, 1, height, width).to(problem.dtype),
            sums.count,
            samples,
            error=_relative(values, errors),
            score=score,
        )


def draw_masks(
    count: int, grid: tuple[int, int], size: tuple[int, int], visible: float, generator: torch.Generator
) -> Tensor:
    """Masks [count, height, width] in 0..1, float64 on the CPU; one by one, so that any grouping draws the same ones."""
    drawn = torch.stack(
        [torch.rand(grid[0] * grid[1] + 2, generator=generator, dtype=torch.float64) for _ in range(count)]
    )
    shown = (drawn[:, 2:] < visible).double().reshape(count, *grid)
    rows, columns = (
        _enlarge(cells, length, offsets) for cells, length, offsets in zip(grid, size, drawn[:, :2].T, strict=True)
    )
    return rows @ shown @ columns.transpose(1, 2)


def _enlarge(cells: int, length: int, draws: Tensor) -> Tensor:
    """Matrices [count, length, cells]: bilinear enlargement to (cells + 1) · ⌈length / cells⌉, then a random crop."""
    step = -(-length // cells)
    offsets = (draws * step).floor()
    places = (torch.arange(length) + offsets[:, None] + 0.5) * cells / ((cells + 1) * step) - 0.5
    distances = places.clamp(0, cells - 1)[:, :, None] - torch.arange(cells)
    return (1 - distances.abs()).clamp(min=0)


def _grid(height: int, width: int, cells: int) -> tuple[int, int]:
    """Cells along height and width, as square as they come."""
    shorter = min(height, width)
    cells = max(1, min(cells, shorter // 2))
    return max(1, round(height * cells / shorter)), max(1, round(width * cells / shorter))


def _masked_scores(problem: Problem, baselines: Tensor, masks: Tensor) -> Tensor:
    """Scores [masks, targets * rows] of the images behind the masks, averaged over the baselines."""
    shown = masks[:, None, None, None]
    points = baselines + shown * (problem.points - baselines)  # [masks, baselines, rows, channels, height, width]
    rows = torch.arange(problem.rows, device=problem.device).repeat(len(masks) * len(baselines))
    scores = problem.scores(points.flatten(0, 2), rows)
    return scores.reshape(len(masks), len(baselines), problem.rows, -1).mean(1).transpose(1, 2).flatten(1)


class Sums:
    """Means over the masks of M^a f^b, for a and b up to two: all that the estimates and their errors need."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.count = 0
        self.dtype = dtype
        self.sums: dict[tuple[int, int], Tensor] = {}

    def add(self, masks: Tensor, scores: Tensor) -> None:
        """Masks [n, pixels] and scores [n, targets * rows]."""
        self.count += len(masks)
        ones = torch.ones(len(masks), 1, dtype=self.dtype, device=masks.device)
        masks, scores = masks.to(self.dtype), scores.to(self.dtype)
        for a, shown in enumerate((ones, masks, masks.square())):
            for b, seen in enumerate((ones, scores, scores.square())):
                total = seen.T @ shown
                self.sums[a, b] = self.sums[a, b] + total if (a, b) in self.sums else total

    def estimate(self, weighting: Weighting, visible: float) -> tuple[Tensor, Tensor]:
        """Values and their standard errors, both [targets * rows, pixels].

        Errors of ratios are those of their linearisation (the delta method): of M (f - r) / mean M for r = Σ f M / Σ M.
        """
        mean = {powers: total / self.count for powers, total in self.sums.items()}
        centre, shown = mean[0, 1], mean[1, 0]
        if weighting == "unbiased":
            return mean[1, 1] / visible, self._error(mean, (mean[2, 2] - mean[1, 1].square()) / visible**2)
        never = shown == 0  # nothing is known about a pixel that was never visible: the mean stands in
        shown = shown.where(~never, 1.0)
        ratio = (mean[1, 1] / shown).where(~never, centre)
        variance = (mean[2, 2] - 2 * ratio * mean[2, 1] + ratio.square() * mean[2, 0]) / shown.square()
        if weighting == "normalised":
            return ratio, self._error(mean, variance)
        # Of M (f - r) / mean M - (f - mean f), whose two terms are correlated.
        together = (mean[1, 2] - (ratio + centre) * mean[1, 1] + ratio * centre * mean[1, 0]) / shown
        return ratio - centre, self._error(mean, variance - 2 * together + mean[0, 2] - centre.square())

    def _error(self, mean: dict[tuple[int, int], Tensor], variance: Tensor) -> Tensor:
        """Of the mean, from the variance of its terms; what may be rounding alone counts as zero."""
        rounding = 64 * torch.finfo(self.dtype).eps * mean[0, 2]
        return (variance.where(variance > rounding, 0.0) / self.count).sqrt()


def _relative(values: Tensor, errors: Tensor) -> float:
    """Summed errors over summed sizes, of the worst row."""
    spread, size = errors.sum(1), values.abs().sum(1)
    return float(torch.where(spread > 0, spread / size, 0.0).max())
