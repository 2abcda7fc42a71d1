"""Ways through the input space that end at a row, and the gradient met on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial

from .quadrature import fixed_rule

GOLDEN = 0.6180339887498949  # multiples of it fill [0, 1) evenly, however many there are


class Curve(Protocol):
    """A way from a baseline (0) to a row of the problem's points (1)."""

    @property
    def row(self) -> int: ...

    def at(self, alpha: float) -> Tensor:
        """The point [...] there."""

    def velocity(self, alpha: float) -> Tensor:
        """How fast the point moves with alpha."""


@dataclass(frozen=True, eq=False)
class Line:
    """The straight way."""

    row: int
    start: Tensor
    step: Tensor

    def at(self, alpha: float) -> Tensor:
        return self.start + alpha * self.step

    def velocity(self, alpha: float) -> Tensor:  # noqa: ARG002 - the same everywhere
        return self.step


class Node(NamedTuple):
    """What was found at one point of a curve."""

    integrand: Tensor  # gradient times velocity
    total: float  # sum of the integrand
    score: float


class Bundle:
    """The straight ways from baselines [k, rows, ...] to the points, walked side by side."""

    def __init__(self, problem: Problem, baselines: Tensor) -> None:
        self.problem = problem
        self.count = len(baselines)
        self.start = baselines.flatten(0, 1)
        self.step = problem.points.repeat(self.count, *[1] * (problem.points.ndim - 1)) - self.start

    def at(self, alphas: Sequence[float]) -> tuple[Tensor, Tensor]:
        """The points [places * k * rows, ...] there, and the rows they belong to."""
        rows = torch.arange(self.problem.rows, device=self.problem.device)
        points = torch.cat([self.start + alpha * self.step for alpha in alphas])
        return points, rows.repeat(self.count * len(alphas))

    def placed(self, values: Tensor) -> Tensor:
        """What was found at those points as [places, k, rows, ...]."""
        return values.reshape(-1, self.count, self.problem.rows, *values.shape[1:])

    def spans(self, places: int) -> Iterator[range]:
        """Cut a number of places into ranges that about fill a batch each."""
        begin = 0
        while begin < places:
            end = min(places, begin + max(1, self.problem.chunk_rows // len(self.start)))
            yield range(begin, end)
            begin = end


def scattered(count: int) -> list[int]:
    """The numbers below `count`, each far from those just before it: what is known of a few is fair to all."""
    return sorted(range(count), key=lambda index: (index * GOLDEN) % 1)


def drawn(
    generator: torch.Generator, baselines: int, samples: int, *, stratified: bool = True
) -> tuple[list[int], list[float]]:
    """Random places on the ways from several baselines: for every sample a baseline, and how far along.

    Baselines take turns in a random order. Stratified places follow each other by the golden ratio from a random start.
    """
    turns = torch.randperm(baselines, generator=generator).tolist()
    alphas = torch.rand(samples, generator=generator, dtype=torch.float64)
    if stratified:
        alphas = (alphas[0] + GOLDEN * torch.arange(samples, dtype=torch.float64)) % 1
    return [turns[index % baselines] for index in range(samples)], alphas.tolist()


def lines(problem: Problem, baselines: Tensor) -> list[Curve]:
    """From every baseline [k, rows, ...] to every row, baseline after baseline."""
    return [Line(row, start[row], problem.points[row] - start[row]) for start in baselines for row in range(len(start))]


def visit(problem: Problem, places: Sequence[tuple[Curve, float]]) -> Iterator[Node]:
    """Evaluate places on curves, no more points at a time than go through the model together."""
    done = 0
    while done < len(places):
        part = places[done : done + problem.chunk_rows]
        points = torch.stack([curve.at(alpha) for curve, alpha in part])
        gradients, scores = problem.gradients(points, torch.tensor([curve.row for curve, _ in part]))
        integrands = [one * curve.velocity(alpha) for one, (curve, alpha) in zip(gradients, part, strict=True)]
        totals = torch.stack([one.sum(dtype=problem.sum_dtype) for one in integrands])
        yield from map(Node, integrands, totals.tolist(), scores.tolist())
        done += len(part)


def integrate_by_rule(problem: Problem, curves: Sequence[Curve], steps: int, rule: str) -> Iterator[Partial]:
    """A textbook rule with `steps` nodes on each of the curves [k * rows], averaged over the k."""
    nodes, weights = fixed_rule(rule, steps)
    count = len(curves) // problem.rows
    score = problem.values()
    baseline_score = torch.zeros_like(score)
    for first in range(0, len(curves), problem.rows):
        starts = torch.stack([curve.at(0.0) for curve in curves[first : first + problem.rows]])
        baseline_score += problem.values(starts) / count
    total = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    seen = 0.0
    order = scattered(steps)
    # A partial result after every full batch: smaller groups would leave room in the batches, larger ones hold more.
    size = max(1, problem.chunk_rows // len(curves))
    for begin in range(0, steps, size):
        group = order[begin : begin + size]
        places = [(index, curve) for index in group for curve in curves]
        found = visit(problem, [(curve, nodes[index]) for index, curve in places])
        for (index, curve), node in zip(places, found, strict=True):
            total[curve.row].add_(node.integrand, alpha=weights[index] / count)
        seen += sum(weights[index] for index in group)
        values = total / seen
        delta = values.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            values.to(problem.dtype),
            done=begin + len(group),
            total=steps,
            delta=delta.to(problem.dtype),
            score=score,
            baseline_score=baseline_score,
        )
