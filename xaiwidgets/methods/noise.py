"""The gradient, or any other method, averaged over noisy copies of the input.

The noise is normal, with a standard deviation that is a fraction of each row's own range (max - min), of every explained
input separately. Every row of a batch gets the same draws, so that its result does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, find_method, method

from .moments import Moments

GROUP = 8  # noisy copies of each row between two partial results

Samples = Annotated[int, Range(2, 512, log=True, help="Noisy copies of the input to average over.")]
Noise = Annotated[
    float, Range(0.0, 1.0, step=0.01, help="Standard deviation of the noise, as a fraction of the input's range.")
]
Seed = Annotated[int, Note("Seed of the noise.", kind="seed")]
Average = Literal["smoothgrad", "smoothgrad_squared", "vargrad"]


@method(
    family="gradient",
    title="SmoothGrad",
    reference="Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), SmoothGrad, arXiv:1706.03825",
    needs=("gradient",),
    unit="{score} per unit of input",
)
def smoothgrad(problem: Problem, *, samples: Samples = 32, noise: Noise = 0.15, seed: Seed = 0) -> Iterator[Partial]:
    """The gradient averaged over noisy copies of the input.

    Values [batch, ...] like the input, signed, in score per unit of input. The noise comes in pairs of opposite sign,
    which cancels the part of the spread that is linear in the noise; `error` is the standard error of the mean,
    summed over the input and relative to the summed size of the mean, for the worst row.
    """
    yield from _of_gradients(problem, "smoothgrad", samples, noise, seed)


@method(
    family="gradient",
    title="SmoothGrad²",
    reference="Hooker, Erhan, Kindermans, Kim (2018), A Benchmark for Interpretability Methods in Deep Neural "
    "Networks, arXiv:1806.10758",
    needs=("gradient",),
    signed=False,
    unit="({score} per unit of input)²",
)
def smoothgrad_squared(
    problem: Problem, *, samples: Samples = 32, noise: Noise = 0.15, seed: Seed = 0
) -> Iterator[Partial]:
    """The squared gradient averaged over noisy copies of the input.

    Values [batch, ...] like the input, never negative, in squared score per squared unit of input; `error` as for
    SmoothGrad.
    """
    yield from _of_gradients(problem, "smoothgrad_squared", samples, noise, seed)


@method(
    family="gradient",
    title="VarGrad",
    reference="Adebayo, Gilmer, Goodfellow, Kim (2018), Local Explanation Methods for Deep Neural Networks Lack "
    "Sensitivity to Parameter Values, arXiv:1810.03307",
    needs=("gradient",),
    signed=False,
    unit="({score} per unit of input)²",
)
def vargrad(problem: Problem, *, samples: Samples = 32, noise: Noise = 0.15, seed: Seed = 0) -> Iterator[Partial]:
    """How much the gradient varies over noisy copies of the input.

    Values [batch, ...] like the input: the unbiased variance, never negative, in squared score per squared unit of
    input; `error` is its standard error, summed and relative like SmoothGrad's. The noise is not paired: pairs would
    bias a variance.
    """
    yield from _of_gradients(problem, "vargrad", samples, noise, seed)


@method(
    family="gradient",
    title="Noise tunnel",
    reference="Smilkov, Thorat, Kim, Viégas, Wattenberg (2017), SmoothGrad, arXiv:1706.03825",
    needs=("gradient",),
)
def noise_tunnel(
    problem: Problem,
    *,
    inner: Annotated[str, Note("The method to average, with its own settings at their defaults.", kind="method")] = (
        "integrated_gradients"
    ),
    average: Annotated[Average, Note("The mean of its values, the mean of their squares, or their variance.")] = (
        "smoothgrad"
    ),
    samples: Annotated[int, Range(2, 512, log=True, help="Noisy copies of the input to average over.")] = 8,
    noise: Noise = 0.15,
    seed: Seed = 0,
) -> Iterator[Partial]:
    """Any other method, averaged over noisy copies of the input.

    Values have the shape of the inner method's, and its unit (squared for the other two averages). Baselines that
    depend on the input are those of the noisy copy. `error` as for SmoothGrad and VarGrad.
    """
    chosen = find_method(inner)
    if "image" in chosen.needs and problem.points.ndim != 4:
        raise InputError(
            "not_an_image",
            f"{chosen.title} explains images [batch, channels, height, width]",
            f"The input has shape {list(problem.points.shape)}.",
            "Choose another inner method.",
        )
    parameters = chosen.check({})
    gathered = _Gathered(average)
    draws = noisy(problem, samples, noise, seed, antithetic=gathered.antithetic)
    for done in range(0, samples, 2):
        values = []
        for points in islice(draws, 2):
            *_, last = chosen.run(problem.with_points(points), **parameters)
            values.append(last.values.to(problem.sum_dtype))
        gathered.add(torch.stack(values))
        yield gathered.partial(min(done + 2, samples), samples, problem.dtype)


class _Gathered:
    """What noisy copies have given so far, and the average asked for."""

    def __init__(self, average: Average) -> None:
        self.squared = average == "smoothgrad_squared"
        self.of_variance = average == "vargrad"
        self.antithetic = not self.of_variance
        self.moments = Moments(order=4 if self.of_variance else 2)

    def add(self, values: Tensor) -> None:
        """Values [copies, rows, ...], where antithetic copies come in pairs."""
        for pair in (values.square() if self.squared else values).split(2):
            # The two of a pair are not independent; their means are, so the spread is measured between pairs.
            for value in (pair.mean(0),) if self.antithetic else pair:
                self.moments.add(value)

    def partial(self, done: int, total: int, dtype: torch.dtype) -> Partial:
        moments = self.moments
        values, error = (
            (moments.variance(), moments.error_of_variance())
            if self.of_variance
            else (moments.mean, moments.error_of_mean())
        )
        return Partial(values.to(dtype), done, total, error=error)


def _of_gradients(problem: Problem, average: Average, samples: int, noise: float, seed: int) -> Iterator[Partial]:
    gathered = _Gathered(average)
    draws = noisy(problem, samples, noise, seed, antithetic=gathered.antithetic)
    rows = torch.arange(problem.rows, device=problem.device)
    done = 0
    while done < samples:
        count = min(group(problem), samples - done)
        gradients, _scores = problem.gradients(torch.cat([*islice(draws, count)]), rows.repeat(count))
        gathered.add(gradients.reshape(count, *problem.points.shape).to(problem.sum_dtype))
        done += count
        yield gathered.partial(done, samples, problem.dtype)


def group(problem: Problem) -> int:
    """How many copies of all rows to evaluate at once: an even number that about fills a batch."""
    return min(GROUP, max(2, problem.chunk_rows // problem.rows // 2 * 2))


def noisy(problem: Problem, samples: int, noise: float, seed: int, *, antithetic: bool) -> Iterator[Tensor]:
    """Noisy copies [rows, ...] of the points, one at a time; an antithetic one is followed by its opposite."""
    generator = problem.generator(seed)
    scale = noise * _range(problem)
    shift = scale
    for index in range(samples):
        if index % 2 == 0 or not antithetic:
            drawn = torch.randn((1, *problem.points.shape[1:]), generator=generator, dtype=torch.float64)
            shift = drawn.to(problem.points) * scale
        else:
            shift = -shift
        yield problem.points + shift


def _range(problem: Problem) -> Tensor:
    """Width of the range (max - min) of every row, of every explained input separately, in the shape of the points."""
    ranges = []
    for leaf in problem.inputs.leaves:
        flat = leaf.to(problem.dtype).reshape(len(leaf), -1)
        width = (flat.amax(1) - flat.amin(1)).reshape(-1, *([1] * (leaf.ndim - 1)))
        ranges.append(width.expand(leaf.shape))
    return problem.inputs.pack(ranges)
