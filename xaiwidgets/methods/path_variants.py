"""Relatives of integrated gradients that sample the path, weigh it otherwise, or leave it for a neighbourhood."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .curves import Bundle, drawn
from .moments import Moments
from .noise import Noise, Samples, Seed, group, noisy
from .paths import Baselines


@method(
    family="path",
    title="Expected gradients",
    reference="Erion, Janizek, Sturmfels, Lundberg, Lee (2019), Improving Performance of Deep Learning Models with "
    "Axiomatic Attribution Priors and Expected Gradients, arXiv:1906.10670",
    needs=("gradient",),
    complete=True,
)
def expected_gradients(
    problem: Problem,
    *,
    baseline: Baselines = "uniform",
    samples: Annotated[int, Range(2, 1024, log=True, help="Gradient evaluations for each row.")] = 128,
    sampling: Annotated[
        Literal["stratified", "random"], Note("Places spread evenly over the paths, or drawn independently.")
    ] = "stratified",
    seed: Annotated[int, Note("Seed of the places and the order of the baselines.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """Integrated gradients averaged over a distribution of baselines, one random place on one path at a time.

    Values [batch, ...] like the input, in units of the score; they sum to score - baseline_score in expectation, the
    baseline's score being averaged over all baselines; `delta` is what this sample misses. Baselines take turns in a
    random order. Every place on a path is equally probable; stratified places follow each other by the golden ratio from
    a random start, so that they are spread evenly. `error` is the standard error of the mean, summed over the input and
    relative to the summed size of the mean, for the worst row; with stratified places it is on the safe side.
    """
    baselines = problem.baselines(baseline)
    turns, alphas = drawn(problem.generator(seed), len(baselines), samples, stratified=sampling == "stratified")
    score = problem.values()
    rows = torch.arange(problem.rows, device=problem.device)
    of_baselines = problem.values(baselines.flatten(0, 1), rows.repeat(len(baselines)))
    baseline_score = of_baselines.reshape(len(baselines), -1).mean(0)
    moments = Moments()
    done = 0
    while done < samples:
        count = min(group(problem), samples - done)
        starts = [baselines[turn] for turn in turns[done : done + count]]
        steps = [problem.points - start for start in starts]
        places = alphas[done : done + count]
        points = torch.cat([start + alpha * step for start, step, alpha in zip(starts, steps, places, strict=True)])
        gradients, _scores = problem.gradients(points, rows.repeat(count))
        for gradient, step in zip(gradients.split(problem.rows), steps, strict=True):
            moments.add((gradient * step).to(problem.sum_dtype))
        done += count
        values = moments.mean
        delta = values.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            values.to(problem.dtype),
            done,
            samples,
            delta=delta.to(problem.dtype),
            error=moments.error_of_mean(),
            score=score,
            baseline_score=baseline_score,
        )


@method(
    family="path",
    title="IDGI",
    reference="Yang, Wang, Bilgic (2023), IDGI: A Framework to Eliminate Explanation Noise from Integrated Gradients, "
    "arXiv:2303.14242",
    needs=("gradient",),
    complete=True,
)
def idgi(
    problem: Problem,
    *,
    baseline: Baselines = "zeros",
    steps: Annotated[int, Range(4, 512, log=True, help="Gradient evaluations for each row and baseline.")] = 64,
) -> Iterator[Partial]:
    """Each change of the score along the straight path, shared by squared gradients.

    Values [batch, ...] like the input, in units of the score. Between two places on the path the score changes by d;
    input i gets d g_i² / Σ g². They sum to score - baseline_score by construction, so a small `delta` proves nothing,
    neither here nor beside other methods: it only shows where the gradient was zero while the score changed. The values
    do not converge to integrated gradients. Partial results cover the path as far as it has been walked.
    """
    bundle = Bundle(problem, problem.baselines(baseline))
    score = problem.values()
    total = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    baseline_score = torch.zeros_like(score)
    before: tuple[Tensor, Tensor] | None = None  # squared gradients over their sum at the last place, the score there
    for span in bundle.spans(steps):
        gradients, scores = map(bundle.placed, problem.gradients(*bundle.at([index / steps for index in span])))
        for gradient, now in zip(gradients, scores, strict=True):
            if before is None:
                baseline_score = now.mean(0)
            else:
                total += (before[0] * _axes(now - before[1], gradient)).mean(0)
            before = _shares(gradient.to(problem.sum_dtype)), now
        if span.stop == steps and before is not None:
            total += (before[0] * _axes(score - before[1], before[0])).mean(0)
        delta = total.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            total.to(problem.dtype),
            span.stop,
            steps,
            delta=delta.to(problem.dtype),
            score=score,
            baseline_score=baseline_score,
        )


@method(
    family="path",
    title="SmoothTaylor",
    reference="Goh, Lapuschkin, Weber, Samek, Binder (2020), Understanding Integrated Gradients with SmoothTaylor for "
    "Deep Neural Network Attribution, arXiv:2004.10484",
    needs=("gradient",),
)
def smooth_taylor(problem: Problem, *, samples: Samples = 64, noise: Noise = 0.3, seed: Seed = 0) -> Iterator[Partial]:
    """The first Taylor term of the score at the input, seen from noisy copies of it.

    Values [batch, ...] like the input, in units of the score: (x - z) times the gradient at z, averaged over noisy
    copies z in pairs of opposite sign. For a linear model nothing is left, because both copies of a pair explain the
    same change the other way round: what shows is how the score curves around the input. `error` as for SmoothGrad.
    """
    draws = noisy(problem, samples, noise, seed, antithetic=True)
    rows = torch.arange(problem.rows, device=problem.device)
    moments = Moments()
    done = 0
    while done < samples:
        copies = torch.stack([*islice(draws, min(group(problem), samples - done))])
        gradients, _scores = problem.gradients(copies.flatten(0, 1), rows.repeat(len(copies)))
        terms = gradients.reshape(copies.shape).mul(problem.points - copies).to(problem.sum_dtype)
        for pair in terms.split(2):
            moments.add(pair.mean(0))
        done += len(copies)
        yield Partial(moments.mean.to(problem.dtype), done, samples, error=moments.error_of_mean())


def _shares(gradients: Tensor) -> Tensor:
    """Squared gradients [k, rows, ...] over their sum in each row; nothing where the gradient is zero."""
    tiny = torch.finfo(gradients.dtype).tiny
    largest = gradients.abs().flatten(2).amax(2).clamp(min=tiny)
    squares = (gradients / _axes(largest, gradients)).square()
    return squares / _axes(squares.flatten(2).sum(2).clamp(min=tiny), squares)


def _axes(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers [k, rows] with as many axes as `like`."""
    return numbers.reshape(*numbers.shape, *[1] * (like.ndim - 2))
