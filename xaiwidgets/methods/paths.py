"""Methods that add up gradients along a path from a baseline to the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike, resolve
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .path_integral import integrate
from .quadrature import fixed_rule

Rule = Literal["adaptive", "gauss_legendre", "trapezoid", "midpoint", "left", "right"]


@method(
    family="path",
    title="Integrated gradients",
    reference="Sundararajan, Taly, Yan (2017), Axiomatic Attribution for Deep Networks, arXiv:1703.01365",
    needs=("gradient",),
    complete=True,
)
def integrated_gradients(
    problem: Problem,
    *,
    baseline: Annotated[BaselineLike, Note("What stands for an absent input.", kind="baseline")] = "zeros",
    steps: Annotated[int, Range(9, 512, log=True, help="Most gradient evaluations for each row and baseline.")] = 64,
    tolerance: Annotated[
        float, Range(0.0, 0.1, step=0.0005, help="Stop a row early once its estimated relative error is below this.")
    ] = 0.002,
    rule: Annotated[Rule, Note("How points on the path are chosen; adaptive is the most accurate for its cost.")] = (
        "adaptive"
    ),
) -> Iterator[Partial]:
    """The change of the score from a baseline to the input, divided among the input's values.

    Values [batch, ...] like the input, in units of the score; they sum to score - baseline_score up to `delta`.
    Several baselines are averaged, each along its own path. The adaptive rule looks where the integral is least
    certain and keeps every gradient it has: more steps cost only the new ones, fewer cost nothing. It corrects its sum,
    so a small delta proves little; `error` estimates what is left in the whole map, relative and of the worst row, from
    how far the map has moved since half as many steps (measured: about twice the true error). The other rules are the
    textbook's, for comparison: they always take all steps and estimate no error.
    """
    baselines = resolve(baseline, problem.inputs)
    if rule == "adaptive":
        yield from integrate(problem, baselines, steps, tolerance)
    else:
        yield from _fixed(problem, baselines, steps, rule)


def _fixed(problem: Problem, baselines: Tensor, steps: int, rule: Rule) -> Iterator[Partial]:
    nodes, weights = fixed_rule(rule, steps)
    count, rows = baselines.shape[:2]
    start = baselines.flatten(0, 1)
    step = problem.points.repeat(count, *[1] * (problem.points.ndim - 1)) - start
    sample = torch.arange(rows, device=problem.device).repeat(count)
    score = problem.values()
    baseline_score = problem.values(start, sample).reshape(count, rows).mean(0)
    total = torch.zeros_like(step, dtype=problem.sum_dtype)
    seen = 0.0
    # Scattered over the path, so that a partial sum over the weight it has is already a fair estimate.
    order = sorted(range(steps), key=lambda index: (index * 0.6180339887498949) % 1)
    # A partial result after every full batch: smaller groups would leave room in the batches, larger ones hold more.
    size = max(1, problem.chunk_rows // len(step))
    for begin in range(0, steps, size):
        group = order[begin : begin + size]
        points = torch.cat([start + nodes[index] * step for index in group])
        gradients, _ = problem.gradients(points, sample.repeat(len(group)))
        for index, gradient in zip(group, gradients.reshape(len(group), *step.shape), strict=True):
            total.add_(gradient, alpha=weights[index])
            seen += weights[index]
        values = (total * step / seen).reshape(baselines.shape).mean(0)
        delta = values.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            values.to(problem.dtype),
            done=begin + len(group),
            total=steps,
            delta=delta.to(problem.dtype),
            score=score,
            baseline_score=baseline_score,
        )
