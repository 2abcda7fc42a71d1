"""The gradient itself, the gradient times the input, and the gradient averaged over noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

GROUP = 8  # noisy copies of each row between two partial results


@method(
    family="gradient",
    title="Saliency",
    reference="Simonyan, Vedaldi, Zisserman (2013), Deep Inside Convolutional Networks, arXiv:1312.6034",
    needs=("gradient",),
    signed=False,
)
def saliency(
    problem: Problem,
    *,
    absolute: Annotated[bool, Note("Show the size of the gradient only, not its sign.")] = True,
) -> Iterator[Partial]:
    """How fast the score changes with each input value.

    Values [batch, ...] like the input, in score per unit of input. Simonyan et al. take the absolute value.
    """
    gradients, scores = problem.gradients()
    yield Partial(gradients.abs() if absolute else gradients, done=1, total=1, score=scores)


@method(
    family="gradient",
    title="Input × gradient",
    reference="Shrikumar, Greenside, Shcherbina, Kundaje (2016), Not Just a Black Box, arXiv:1605.01713",
    needs=("gradient",),
)
def input_x_gradient(problem: Problem) -> Iterator[Partial]:
    """The gradient times the input: each value's share of a linear model's score.

    Values [batch, ...] like the input, in units of the score. They sum to score minus bias for linear and to the score
    for bias-free ReLU models; elsewhere the sum means nothing, so no delta is given.
    """
    gradients, scores = problem.gradients()
    yield Partial(gradients * problem.points, done=1, total=1, score=scores)


@method(
    family="gradient",
    title="SmoothGrad",
    reference="Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), SmoothGrad, arXiv:1706.03825",
    needs=("gradient",),
)
def smoothgrad(
    problem: Problem,
    *,
    samples: Annotated[int, Range(2, 512, log=True, help="Noisy copies of the input to average over.")] = 32,
    noise: Annotated[
        float, Range(0.0, 1.0, step=0.01, help="Standard deviation of the noise, as a fraction of the input's range.")
    ] = 0.15,
    seed: Annotated[int, Note("Seed of the noise.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """The gradient averaged over noisy copies of the input.

    Values [batch, ...] like the input, signed, in score per unit of input. The noise comes in pairs of opposite sign,
    which cancels the part of the spread that is linear in the noise; `error` is the standard error of the mean,
    summed over the input and relative to the summed size of the mean, for the worst row.
    """
    generator = problem.generator(seed)
    scale = noise * _range(problem)
    average = RunningMean()
    rows = torch.arange(problem.rows, device=problem.device)
    done = 0
    while done < samples:
        count = min(GROUP, samples - done)
        shifts = _antithetic(problem, count, generator) * scale
        points = (problem.points + shifts).flatten(0, 1)
        gradients, _ = problem.gradients(points, rows.repeat(count))
        gradients = gradients.reshape(count, *problem.points.shape).to(problem.sum_dtype)
        # The two gradients of a pair are not independent; their means are, so the spread is measured between pairs.
        for first in range(0, count, 2):
            average.add(gradients[first : first + 2].mean(0))
        done += count
        yield Partial(average.mean.to(problem.dtype), done=done, total=samples, error=average.relative_standard_error())


class RunningMean:
    """Mean and variance in one pass, without the cancellation of E[x²] - E[x]² (Welford 1962)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, value: Tensor) -> None:
        self.count += 1
        difference = value - self.mean
        self.mean = self.mean + difference / self.count
        self.squares = self.squares + difference * (value - self.mean)

    def variance(self) -> Tensor:
        """Unbiased variance of the values added; needs two of them."""
        return self.squares / (self.count - 1)

    def relative_standard_error(self) -> float | None:
        """Summed standard errors over summed sizes, of the worst row; None before there are two values."""
        if self.count < 2:
            return None
        errors = (self.variance() / self.count).sqrt().flatten(1).sum(1)
        sizes = self.mean.abs().flatten(1).sum(1)
        return float(torch.where(errors > 0, errors / sizes, 0.0).max())


def _range(problem: Problem) -> Tensor:
    """Width of the range (max - min) of every row, of every explained input separately, in the shape of the points."""
    ranges = []
    for leaf in problem.inputs.leaves:
        flat = leaf.to(problem.dtype).reshape(len(leaf), -1)
        width = (flat.amax(1) - flat.amin(1)).reshape(-1, *([1] * (leaf.ndim - 1)))
        ranges.append(width.expand(leaf.shape))
    return problem.inputs.pack(ranges)


def _antithetic(problem: Problem, count: int, generator: torch.Generator) -> Tensor:
    """Standard normal noise [count, 1, ...] in pairs (ε, -ε); an odd last one stands alone.

    Every row of the batch gets the same noise, so that a row's result does not depend on its neighbours.
    """
    pairs = torch.randn(((count + 1) // 2, 1, *problem.points.shape[1:]), generator=generator, dtype=torch.float64)
    both = torch.stack([pairs, -pairs], dim=1).flatten(0, 1)[:count]
    return both.to(problem.points)
