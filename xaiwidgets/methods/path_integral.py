"""Integrals of the gradient along curves, refined together until each is good enough or out of steps."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import torch
from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial

from .curves import Curve, Node, visit
from .quadrature import FIRST, Piece, Weights, common_correction, measure, worst

ROUNDING = 1e-5  # scores in single precision that differ by less, relatively, are taken for equal


class Path:
    """The integral along one curve, so far."""

    def __init__(self, curve: Curve, nodes: dict[float, Node]) -> None:
        self.curve = curve
        self.nodes = nodes  # everything ever evaluated on this curve; outlives the run
        self.used = 0
        self.pieces: list[Piece] = []
        self.pending = list(zip(FIRST[:-2:2], FIRST[2::2], strict=True))
        self.wanted: tuple[float, ...] = FIRST
        self.base = torch.zeros(())  # sum of the pieces' values, and of their answers to the common correction
        self.tilt = torch.zeros(())
        self.values = torch.zeros(())
        self.history: list[tuple[int, Tensor]] = []  # (nodes used, values) since half as many nodes
        self.score = self.baseline_score = self.delta = 0.0
        self.error = float("inf")

    def choose(self, left: int) -> None:
        """Mark the worst pieces for halving, with no more than `left` new nodes."""
        chosen = worst(self.pieces)[: left // 2]
        self.pending = [stretch for piece in chosen for stretch in _halves(piece)]
        self.wanted = tuple((low + high) / 2 for low, high in self.pending)
        for piece in chosen:
            self.pieces.remove(piece)
            self._add(piece, -1.0)

    def bends(self) -> list[Tensor]:
        """How far the integrand is from a straight line over each pending stretch."""
        found = []
        for low, high in self.pending:
            first, middle, last = (self.nodes[alpha].integrand for alpha in (low, (low + high) / 2, high))
            found.append((first + last).sub_(middle, alpha=2).abs_().sum())
        return found

    def absorb(self, bends: Sequence[float], dtype: torch.dtype) -> None:
        """Put the pending stretches in place, now that their nodes are known."""
        if not self.pieces and self.used == 0:
            self.base, self.tilt = (torch.zeros_like(self.nodes[1.0].integrand, dtype=dtype) for _ in range(2))
            self.score, self.baseline_score = self.nodes[1.0].score, self.nodes[0.0].score
        for (low, high), bend in zip(self.pending, bends, strict=True):
            known = [self.nodes[alpha] for alpha in (low, (low + high) / 2, high)]
            change = known[-1].score - known[0].score
            piece = measure(low, high, [node.total for node in known], change, bend)
            self.pieces.append(piece)
            self._add(piece, 1.0)
        self.used += len(self.wanted)
        self.pending = []
        self.values = self.base + common_correction(self.pieces) * self.tilt

    def judge(self, total: float, size: float) -> None:
        """Estimate the relative error, given the sum of the values and of their sizes."""
        change = self.score - self.baseline_score
        self.delta = total - change
        if size == 0 and abs(change) <= ROUNDING * max(abs(self.score), abs(self.baseline_score)):
            self.error = 0.0  # nothing changes, and nothing is attributed
            return
        # A score that comes back to where it was has nothing to be relative to: the size of the map takes over.
        of_sum = abs(self.delta) / max(abs(change), 1e-3 * size)
        self.error = max(of_sum, self._change_of_map(size))

    def _change_of_map(self, size: float) -> float:
        """How far the map has moved, relatively, since half as many nodes.

        The error falls like one over the nodes where the integrand jumps, and faster where it is smooth, so the map
        still has about half as far to go as it has come since. Measured on three image networks: 1.0 to 5.0 times the
        true error, twice in the median. The first nodes have no half: there the sizes of the pieces' corrections bound it.
        """
        while len(self.history) > 1 and 2 * self.history[1][0] <= self.used + 1:
            self.history.pop(0)
        half = self.history[0] if self.history else None
        self.history.append((self.used, self.values.to(self.nodes[1.0].integrand.dtype)))
        if size == 0:
            return 0.0
        if half is None:
            return sum(max(abs(piece.missing), piece.bound) for piece in self.pieces) / size
        return float((self.values - half[1]).abs().sum()) / size

    def _add(self, piece: Piece, sign: float) -> None:
        for total, weights in ((self.base, piece.weights), (self.tilt, piece.tilt)):
            _accumulate(total, weights, [self.nodes[alpha].integrand for alpha in piece.nodes], sign)


def integrate(
    problem: Problem, curves: Sequence[Curve], steps: int, tolerance: float, key: Hashable
) -> Iterator[Partial]:
    """Refine the curves [k * rows], up to `steps` nodes each, and average over the k; `key` says which curves they are.

    Every node is kept while it may still be needed, so a batch too large for that is worked through in groups; rows
    whose turn has not come are zero, and there is no error estimate until all have begun.
    """
    room = max(1, problem.remembered.limit // (steps * max(1, problem.points[0].nbytes)))
    remember = problem.memory(("path", key)) if len(curves) <= room else None
    paths = [
        Path(curve, {} if remember is None else remember.setdefault(index, {})) for index, curve in enumerate(curves)
    ]
    groups = [paths[first : first + room] for first in range(0, len(paths), room)]
    for index, group in enumerate(groups):
        for done in _refine(problem, group, steps, tolerance):
            yield _mean(problem, paths, index * steps + done, len(groups) * steps)
        if remember is None:
            for path in group:
                path.nodes = {}


def _refine(problem: Problem, paths: list[Path], steps: int, tolerance: float) -> Iterator[int]:
    """Round after round, all unfinished paths together; yields the most nodes any path has used."""
    active = paths
    while active:
        _visit(problem, active)
        bends = iter(torch.stack([bend for path in active for bend in path.bends()]).tolist())
        for path in active:
            path.absorb([next(bends) for _ in path.pending], problem.sum_dtype)
        sums = torch.stack([torch.stack((path.values.sum(), path.values.abs().sum())) for path in active]).tolist()
        for path, (total, size) in zip(active, sums, strict=True):
            path.judge(total, size)
        yield max(path.used for path in paths)
        active = [path for path in active if path.error > tolerance]
        for path in active:
            path.choose(steps - path.used)
        active = [path for path in active if path.wanted]


def _visit(problem: Problem, paths: list[Path]) -> None:
    """Evaluate the wanted nodes that are not known yet, of all paths together."""
    missing = [(path, alpha) for path in paths for alpha in path.wanted if alpha not in path.nodes]
    found = visit(problem, [(path.curve, alpha) for path, alpha in missing])
    for (path, alpha), node in zip(missing, found, strict=True):
        path.nodes[alpha] = node


def _mean(problem: Problem, paths: list[Path], done: int, total: int) -> Partial:
    """The mean over the baselines of what every path has so far."""

    def mean(numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64).reshape(-1, problem.rows).mean(0).to(problem.points)

    begun = all(path.used for path in paths)
    values = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    for path in paths:
        values[path.curve.row].add_(path.values, alpha=problem.rows / len(paths))
    return Partial(
        values.to(problem.dtype),
        done,
        total,
        delta=mean([path.delta for path in paths]) if begun else None,
        error=max(path.error for path in paths) if begun else None,
        score=mean([path.score for path in paths]) if begun else None,
        baseline_score=mean([path.baseline_score for path in paths]) if begun else None,
    )


def _halves(piece: Piece) -> list[tuple[float, float]]:
    low, middle, high = piece.nodes
    return [(low, middle), (middle, high)]


def _accumulate(total: Tensor, weights: Weights, integrands: Sequence[Tensor], sign: float) -> None:
    for weight, integrand in zip(weights, integrands, strict=True):
        total.add_(integrand, alpha=sign * weight)
