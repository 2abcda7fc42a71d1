"""What the walks share that show how an attribution comes about: places are looked at once, and what was found is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.memory import model_stamp
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.target import Scorer, unwrap

SAME = 1e-3  # of the scores' own size: what changes less is no measure for anything

Reduce = Callable[[Tensor], Tensor]


class Place(NamedTuple):
    """A point to look at, and what the gradient found there is multiplied with."""

    alpha: float
    point: Tensor  # [...]
    step: Tensor


class Node(NamedTuple):
    """What was found at one place of the path."""

    alpha: float
    integrand: Tensor  # [...] gradient times (input - baseline), on the model's device
    total: float  # sum of the integrand: how fast the score rises there
    score: float
    probability: float | None  # of the target, from the same forward pass; None without classes


@dataclass(frozen=True)
class Gaps:
    """How far what has accumulated is from what the score has done, in units of the score.

    end         |sum of all attributions - change of the score|
    max         the largest such distance anywhere on the way, and `at` where
    local_sum   the distances of the single cells, summed without their signs: errors cannot cancel in it
    difference  score of the input - score of the baseline, signed
    relative    whether the difference is large enough to divide by
    """

    end: float
    max: float
    at: float
    local_sum: float
    difference: float
    relative: bool


@dataclass(frozen=True)
class Curves:
    """Numbers along the way, all lists of one length (`prob` may be empty).

    alphas  places, ascending: on the path 0..1, of samples their number so far
    F       the score's change up to there
    C       the attribution accumulated up to there, summed over the input
    prob    probability of the target, empty where the model has no classes
    scores  of the baseline, of the input
    """

    alphas: list[float]
    F: list[float]
    C: list[float]
    prob: list[float]
    scores: tuple[float, float]
    gaps: Gaps

    @property
    def size(self) -> float:
        """What gaps are small or large beside: the score's change, but no less than a thousandth of the scores."""
        return max(abs(self.gaps.difference), SAME * max(map(abs, self.scores)))


class Walk:
    """Looks at places for the one row of a problem, and keeps what it finds from the moment it is known.

    evaluations  {"forward", "gradient"} paid so far; nothing is paid twice
    seconds      time spent in the model, without what consumers do between two results

    A walk that was cancelled or failed is continued by the next one. What is known is dropped when the model has changed.
    """

    def __init__(self, problem: Problem) -> None:
        if problem.rows != 1 or problem.columns != 1:
            raise InputError(
                "one_row",
                f"A walk explains one row and one target, not {problem.rows} rows and {problem.columns} targets",
                hint="Pass a batch of one.",
            )
        self.problem = problem
        self.evaluations = {"forward": 0, "gradient": 0}
        self.seconds = 0.0
        self.rounding: float | None = None  # see Problem.rounding
        self._stamp: Hashable = None

    @property
    def ready(self) -> bool:
        """Whether enough is known to show something."""
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError

    def _keep(self, node: Node) -> None:
        raise NotImplementedError

    def _begin(self) -> Problem:
        """The problem for one run: with the interrupt it has now, counting what this walk pays."""
        run = self.problem.begin()
        run.evaluations = self.evaluations
        stamp = model_stamp(run.module)
        if stamp != self._stamp:
            self._forget()
            self._stamp = stamp
            with self._at_work():
                self.rounding = run.rounding()
        return run

    def _look(self, run: Problem, places: Sequence[Place]) -> None:
        with self._at_work():
            look(run, places, self._keep)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            with torch.inference_mode(mode=False), torch.no_grad():  # whatever mode the consumer is in
                yield
        finally:
            self.seconds += time.perf_counter() - started

    def _require_ready(self) -> None:
        if not self.ready:
            raise ParameterError("nothing_yet", "Nothing is known yet", hint="Walk first.")


def look(run: Problem, places: Sequence[Place], keep: Callable[[Node], None]) -> None:
    """Evaluate the places of the only row. Nodes are kept as they come: a failure later on takes none of them back."""
    chance = _probability(run)
    points = torch.stack([place.point for place in places])
    numbers = torch.arange(len(places), device=run.device)

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        output = chunk.output()
        scores = chunk.scores(output)
        probabilities = chance(output, chunk.rows).detach() if chance and _classes(output) > 1 else None
        (gradients,) = chunk.differentiate(scores, chunk.leaf)
        chosen = [places[number] for number in chunk.leaves[1].long().tolist()]
        integrands = [gradient * place.step for gradient, place in zip(gradients, chosen, strict=True)]
        columns = [torch.stack([one.sum(dtype=run.sum_dtype) for one in integrands]), scores.detach()]
        columns += [probabilities] if probabilities is not None else []
        found = torch.stack([column.to(run.sum_dtype) for column in columns], dim=1).tolist()  # one wait for the device
        for place, integrand, (total, score, *probability) in zip(chosen, integrands, found, strict=True):
            keep(Node(place.alpha, integrand, total, score, probability[0] if probability else None))
        return (scores.detach(),)

    run.evaluate(work, (points, numbers), torch.zeros_like(numbers))


def curves_of(
    alphas: list[float],
    *,
    F: list[float],
    C: list[float],
    prob: list[float],
    scores: tuple[float, float],
    local_sum: float,
    settled: int = 0,
) -> Curves:
    """Curves with their gaps; the largest is looked for from place number `settled` on."""
    distances = [abs(accumulated - change) for accumulated, change in zip(C, F, strict=True)]
    largest = max(range(settled, len(distances)), key=distances.__getitem__)
    gaps = Gaps(
        end=distances[-1],
        max=distances[largest],
        at=alphas[largest],
        local_sum=local_sum,
        difference=F[-1],
        relative=F[-1] != 0 and abs(F[-1]) >= SAME * max(map(abs, scores)),
    )
    return Curves(alphas, F, C, prob, scores, gaps)


def frame_bounds(cells: int, most: int) -> list[int]:
    """Cut a number of cells into at most so many frames of equally many: the K + 1 bounds."""
    frames = max(1, min(most, cells))
    return [frame * cells // frames for frame in range(frames + 1)]


def _probability(problem: Problem) -> Scorer | None:
    """What gives the probability of the class in question (of a contrast, of the first); None where none is named."""
    scorer = problem.scorers[0]
    index = scorer.terms[0][1]
    return None if scorer.function is not None or index is None else Scorer(index, "probability", problem.samples)


def _classes(output: Any) -> int:
    scores = unwrap(output)
    if scores.ndim < 2:
        return 1
    return scores.shape[-1 if scores.ndim <= 3 else 1]
