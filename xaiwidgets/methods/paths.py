"""Methods that add up gradients along a path from a baseline to the input."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike, resolve
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .quadrature import FIRST, Node, Piece, fixed_rule, measure, worst

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
    The adaptive rule looks where the integral is least certain, keeps every gradient it has (more steps cost only the
    new ones, fewer cost nothing) and reports `error`, the larger of |delta| and of a bound on the whole map, both
    relative, for the worst row. The other rules are the textbook's, for comparison; tolerance is theirs to ignore.
    """
    baselines = resolve(baseline, problem.inputs)
    if rule == "adaptive":
        yield from _adaptive(problem, baselines, steps, tolerance)
    else:
        yield from _fixed(problem, baselines, steps, rule)


class Path:
    """One straight path from one baseline to one row, with the integral so far."""

    def __init__(self, row: int, start: Tensor, end: Tensor, kept: dict[float, tuple[Tensor, Node]]) -> None:
        self.row = row
        self.start = start
        self.step = end - start
        self.kept = kept  # integrand and numbers of every node ever evaluated; outlives the run
        self.used: set[float] = set()
        self.pieces: list[Piece] = []
        self.chosen: list[Piece] = []
        self.sum: Tensor = torch.zeros(())
        self.error = float("inf")

    def point(self, alpha: float) -> Tensor:
        return self.start + alpha * self.step

    def keep(self, alpha: float, gradient: Tensor, score: float, sum_dtype: torch.dtype) -> None:
        integrand = gradient * self.step
        self.kept[alpha] = (integrand, Node(float(integrand.sum(dtype=sum_dtype)), score))

    def begin(self, sum_dtype: torch.dtype) -> None:
        self.used = set(FIRST)
        self.sum = torch.zeros_like(self.step, dtype=sum_dtype)
        for low, high in zip(FIRST[:-2:2], FIRST[2::2], strict=True):
            self._put(self._measure(low, high), 1.0)

    def choose(self, left: int) -> list[float]:
        """The nodes wanted next, `left` of them at most: two for each of the worst pieces."""
        self.chosen = worst(self.pieces)[: left // 2]
        return [(end + piece.middle) / 2 for piece in self.chosen for end in (piece.low, piece.high)]

    def refine(self) -> None:
        """Replace the chosen pieces by their halves."""
        for piece in self.chosen:
            self.pieces.remove(piece)
            self._put(piece, -1.0)
            for low, high in ((piece.low, piece.middle), (piece.middle, piece.high)):
                self.used.add((low + high) / 2)
                self._put(self._measure(low, high), 1.0)
        self.chosen = []

    def judge(self) -> None:
        """Estimate the relative error: of the sum, which is known, and of the map, which is bounded."""
        change = self.score - self.baseline_score
        size = float(self.sum.abs().sum())
        if size == 0 and change == 0:
            self.error = 0.0
            return
        # A score that comes back to where it started has nothing to be relative to; then the map's size is the scale.
        of_sum = abs(self.delta) / max(abs(change), 1e-3 * size)
        of_map = sum(piece.bound for piece in self.pieces) / size if size else 0.0
        self.error = max(of_sum, of_map)

    @property
    def score(self) -> float:
        return self.kept[1.0][1].score

    @property
    def baseline_score(self) -> float:
        return self.kept[0.0][1].score

    @property
    def delta(self) -> float:
        return float(self.sum.sum()) - (self.score - self.baseline_score)

    def _measure(self, low: float, high: float) -> Piece:
        return measure(low, high, {alpha: self.kept[alpha][1] for alpha in (low, (low + high) / 2, high)}, self._bend)

    def _bend(self, low: float, middle: float, high: float) -> float:
        return float((self.kept[low][0] + self.kept[high][0] - 2 * self.kept[middle][0]).abs().sum())

    def _put(self, piece: Piece, sign: float) -> None:
        if sign > 0:
            self.pieces.append(piece)
        for alpha, weight in zip((piece.low, piece.middle, piece.high), piece.weights, strict=True):
            self.sum.add_(self.kept[alpha][0], alpha=sign * weight)


def _adaptive(problem: Problem, baselines: Tensor, steps: int, tolerance: float) -> Iterator[Partial]:
    memory = problem.memory(("path", _digest(baselines)))
    paths = [
        Path(row, baselines[k, row], problem.points[row], memory.setdefault((k, row), {}))
        for k in range(len(baselines))
        for row in range(problem.rows)
    ]
    _visit(problem, [(path, FIRST) for path in paths])
    for path in paths:
        path.begin(problem.sum_dtype)
        path.judge()
    yield _partial(problem, paths, len(FIRST), steps)
    while True:
        wanted = [(path, path.choose(steps - len(path.used))) for path in paths if path.error > tolerance]
        wanted = [(path, alphas) for path, alphas in wanted if alphas]
        if not wanted:
            return
        _visit(problem, wanted)
        for path, _ in wanted:
            path.refine()
            path.judge()
        yield _partial(problem, paths, max(len(path.used) for path in paths), steps)


def _visit(problem: Problem, wanted: list[tuple[Path, Any]]) -> None:
    """Evaluate the nodes that are not known yet, of all paths together."""
    missing = [(path, alpha) for path, alphas in wanted for alpha in alphas if alpha not in path.kept]
    if not missing:
        return
    points = torch.stack([path.point(alpha) for path, alpha in missing])
    rows = torch.tensor([path.row for path, _ in missing])
    gradients, scores = problem.gradients(points, rows)
    for (path, alpha), gradient, score in zip(missing, gradients, scores.tolist(), strict=True):
        path.keep(alpha, gradient, score, problem.sum_dtype)


def _partial(problem: Problem, paths: list[Path], done: int, steps: int) -> Partial:
    """The mean over the baselines of what every path has so far."""
    rows = problem.rows

    def mean(numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64).reshape(-1, rows).mean(0).to(problem.points)

    values = torch.stack([path.sum for path in paths]).reshape(-1, *problem.points.shape).mean(0)
    return Partial(
        values.to(problem.dtype),
        done=done,
        total=steps,
        delta=mean([path.delta for path in paths]),
        error=max(path.error for path in paths),
        score=mean([path.score for path in paths]),
        baseline_score=mean([path.baseline_score for path in paths]),
    )


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
    for begin in range(0, steps, 8):
        group = order[begin : begin + 8]
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


def _digest(tensor: Tensor) -> str:
    """A name for a tensor's content."""
    return hashlib.blake2b(tensor.cpu().contiguous().numpy().tobytes(), digest_size=16).hexdigest()
