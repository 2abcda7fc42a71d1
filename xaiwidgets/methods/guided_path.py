"""Integrated gradients along a path that the model chooses: the inputs it is least sensitive to move first."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial, Range, method

from .curves import Bundle
from .paths import Baselines


@method(
    family="path",
    title="Guided integrated gradients",
    reference="Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi (2021), Guided Integrated Gradients: An "
    "Adaptive Path Method for Removing Noise, arXiv:2106.09788",
    needs=("gradient",),
    complete=True,
)
def guided_ig(
    problem: Problem,
    *,
    baseline: Baselines = "zeros",
    steps: Annotated[int, Range(8, 512, log=True, help="Gradient evaluations for each row, one after another.")] = 128,
    fraction: Annotated[
        float, Range(0.05, 1.0, step=0.05, help="Share of the inputs that move together, least sensitive first.")
    ] = 0.25,
    max_dist: Annotated[
        float, Range(0.0, 1.0, step=0.01, help="How far an input may be ahead of or behind the straight path.")
    ] = 0.02,
) -> Iterator[Partial]:
    """The change of the score from a baseline to the input, along a path that avoids large gradients.

    Values [batch, ...] like the input, in units of the score; they sum to score - baseline_score up to `delta`, which
    falls with the steps. In every step the inputs with the smallest gradients move until the distance to the input is
    what the straight path would have left, none of them farther than `max_dist` (of the whole way) from the straight
    path. All rows and baselines move together; partial results cover the path as far as it has been walked. A step counts
    with the mean of the gradients at its ends: with the one at its beginning alone, the smallest there is, the sum misses
    up to a quarter of the change on small ReLU networks, however many the steps (measured; with both ends 1 to 5 %).
    """
    bundle = Bundle(problem, problem.baselines(baseline))
    position = bundle.start
    _, sample = bundle.at([0.0])
    score = problem.values()
    baseline_score = torch.zeros_like(score)
    total = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    last, gone = torch.zeros_like(position), torch.zeros_like(position)
    for index in range(steps):
        gradients, scores = problem.gradients(position, sample)
        if index == 0:
            baseline_score = scores.reshape(bundle.count, -1).mean(0)
        # Steps are chosen where the gradient is small at their beginning: weighing that end alone would be one-sided.
        total += bundle.placed(gone * (last + gradients) / 2).to(problem.sum_dtype)[0].mean(0)
        delta = total.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            total.to(problem.dtype),
            index + 1,
            steps,
            delta=delta.to(problem.dtype),
            score=score,
            baseline_score=baseline_score,
        )
        if index < steps - 1:
            alpha = (index + 1) / (steps - 1)
            moved = _advance(bundle, position, gradients, alpha, fraction=fraction, max_dist=max_dist)
            gone, last, position = moved - position, gradients, moved


def _advance(
    bundle: Bundle, position: Tensor, gradients: Tensor, alpha: float, *, fraction: float, max_dist: float
) -> Tensor:
    """Where all rows are when `alpha` of the distance is behind them."""
    start, step = bundle.start, bundle.step
    end = start + step
    if alpha == 1:
        return end
    rear, front = (start + min(max(at, 0.0), 1.0) * step for at in (alpha - max_dist, alpha + max_dist))
    # Nobody stays behind the corridor.
    behind = (position - rear) * step.sign() < 0
    here = torch.where(behind, rear, position).flatten(1)
    front, goal = front.flatten(1), end.flatten(1)
    to_front = (front - here).abs()
    left = (goal - here).abs().sum(1) - (1 - alpha) * step.abs().flatten(1).sum(1)  # still to be gone in this step
    # Those who can move, least sensitive first, in groups of which each moves only when the one before has arrived.
    keys = torch.where(to_front > 0, gradients.abs().flatten(1), torch.inf)
    order = keys.argsort(dim=1, stable=True)
    distances = to_front.gather(1, order)
    size = max(1, ceil(fraction * distances.shape[1]))
    groups = functional.pad(distances, (0, -distances.shape[1] % size)).unflatten(1, (-1, size)).sum(2)
    before = groups.cumsum(1) - groups
    share = ((left[:, None] - before) / groups.clamp(min=torch.finfo(groups.dtype).tiny)).clamp(0, 1)
    shares = share.repeat_interleave(size, 1)[:, : distances.shape[1]]
    shares = torch.empty_like(shares).scatter_(1, order, shares)
    return torch.lerp(here, front, shares).reshape(position.shape)
