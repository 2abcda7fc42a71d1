"""Gradients at random places between many references and an input, one after another: what can be looked at meanwhile.

The running mean is the attribution so far; what every few samples have added is kept, so that the way to it can be shown.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from math import isnan, nan
from typing import Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.problem import Problem

from .curves import drawn
from .moments import Moments
from .noise import group, noisy
from .walk import Curves, Node, Place, Reduce, Walk, curves_of, frame_bounds

MOST_SUMS = 32  # sums of consecutive samples that are kept

Kind = Literal["expected_gradients", "smoothgrad_x_input"]


class SampleWalk(Walk):
    """Expected gradients, or SmoothGrad times input, of the one row of a problem.

    references   [k, 1, ...] like the problem's points
    samples      gradient evaluations in all; SmoothGrad needs no more than there are references
    kind         "expected_gradients": references are baselines; each sample is a random place on the way from one of them,
                 the same places as those of the method of that name with this seed. "smoothgrad_x_input": references are
                 the noisy inputs themselves (see `noisy_copies`), taken in their order; each is multiplied with its gradient
    evaluations  what was paid so far: one gradient for each sample, one forward pass for each reference and for the input
    """

    def __init__(self, problem: Problem, references: Tensor, *, samples: int, seed: int, kind: Kind) -> None:
        super().__init__(problem)
        if references.ndim < 1 or len(references) < 1 or references.shape[1:] != problem.points.shape:
            raise ParameterError(
                "baseline_shape",
                f"References of shape {list(references.shape)} do not fit an input of shape {list(problem.points.shape)}",
                hint="Pass them as [k, 1, ...].",
            )
        if samples < 1:
            raise ParameterError("parameter_range", f"samples={samples} is too few", hint="From 1 on.")
        self.kind = kind
        with torch.inference_mode(mode=False):
            self.references = references.detach().to(problem.points)
        self.samples = samples if kind == "expected_gradients" else min(samples, len(references))
        self._turns, self._alphas = (
            drawn(problem.generator(seed), len(references), samples)
            if kind == "expected_gradients"
            else (list(range(self.samples)), [0.0] * self.samples)
        )
        self._each = -(-self.samples // MOST_SUMS)  # samples in one of the sums
        self._score = nan
        self._forget()

    # --- walking -------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[None]:
        """Evaluate what is missing, a few samples at a time; yields after each few, never if there is nothing new."""
        run = self._begin()
        if isnan(self._score):
            self._score = self._values(run, run.points)[0]
        while self.done < self.samples:
            upcoming = range(self.done, min(self.samples, self.done + group(run)))
            self._score_baselines(run, [self._turns[index] for index in upcoming])
            self._look(run, [self._place(index) for index in upcoming])
            yield
        unused = [turn for turn in range(len(self.references)) if turn not in self._baseline_scores]
        if unused and self.kind == "expected_gradients":  # the expectation is over all of them
            self._score_baselines(run, unused)
            yield

    def _forget(self) -> None:
        self._totals: list[float] = []
        self._moments = Moments()
        self._sums: list[Tensor] = []
        self._score = nan  # of the input; until known
        self._baseline_scores: dict[int, float] = {}

    def _place(self, index: int) -> Place:
        start = self.references[self._turns[index]][0]
        if self.kind == "smoothgrad_x_input":
            return Place(index, start, start)
        step = self.problem.points[0] - start
        return Place(index, start + self._alphas[index] * step, step)

    def _keep(self, node: Node) -> None:
        if node.alpha < self.done:
            return  # looked at a second time, because memory ran out in the middle of a chunk
        # What may run out of memory comes first, so that a sample is in all of the sums or in none.
        value = node.integrand.to(self.problem.sum_dtype).unsqueeze(0)
        moments = copy.copy(self._moments)
        moments.add(value)
        if self.done % self._each == 0:
            self._sums.append(value)
        else:
            self._sums[-1] = self._sums[-1] + value
        self._moments = moments
        self._totals.append(node.total)

    def _score_baselines(self, run: Problem, turns: Sequence[int]) -> None:
        """Scores of references; of SmoothGrad there is one baseline, zero, because that is what it multiplies with."""
        if self.kind == "smoothgrad_x_input":
            if 0 not in self._baseline_scores:
                self._baseline_scores[0] = self._values(run, torch.zeros_like(run.points))[0]
            return
        missing = [turn for turn in dict.fromkeys(turns) if turn not in self._baseline_scores]
        if missing:
            scores = self._values(run, torch.cat([self.references[turn] for turn in missing]))
            self._baseline_scores.update(zip(missing, scores, strict=True))

    def _values(self, run: Problem, points: Tensor) -> list[float]:
        with self._at_work():
            rows = torch.zeros(len(points), dtype=torch.long, device=run.device)
            scores: list[float] = run.values(points, rows).tolist()
            return scores

    # --- what is known -------------------------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """Samples known."""
        return len(self._totals)

    @property
    def ready(self) -> bool:
        """Whether there is something to show."""
        return self.done > 0

    def curves(self) -> Curves:
        """After every number of samples: C the sum of the running mean, F what it should be by the references so far.

        `gaps.max` is the largest in the second half: the first few samples say nothing yet. `gaps.local_sum` is the mean
        distance of a single sample from what it should be, which sampling has to average out.
        """
        self._require_ready()
        score = self._score
        counts = range(1, self.done + 1)
        starts = [self._baseline_of(index) for index in range(self.done)]
        F = [score - total / count for total, count in zip(accumulate(starts), counts, strict=True)]
        C = [total / count for total, count in zip(accumulate(self._totals), counts, strict=True)]
        distances = [abs(total - (score - start)) for total, start in zip(self._totals, starts, strict=True)]
        return curves_of(
            [float(count) for count in counts],
            F=F,
            C=C,
            prob=[],
            scores=(self._baseline_score(), score),
            local_sum=sum(distances) / self.done,
            settled=self.done // 2,
        )

    @torch.inference_mode(mode=False)
    def values(self) -> Tensor:
        """The attribution [1, ...]: the mean over the samples so far, in the dtype of long sums."""
        self._require_ready()
        return self._moments.mean.clone()

    @torch.inference_mode(mode=False)
    def increments(self, most: int, reduce: Reduce) -> tuple[list[float], Tensor]:
        """What consecutive samples have added: edges [K + 1] are numbers of samples from 0, frames [K, h, w] sums over them.

        K <= `most`. `reduce` turns a map [1, ...] into a picture [h, w]; where it is linear, frames sum to the reduced
        values times the number of samples.
        """
        self._require_ready()
        bounds = frame_bounds(len(self._sums), most)
        frames = [reduce(torch.stack(self._sums[low:high]).sum(0)) for low, high in pairwise(bounds)]
        return [float(min(self.done, bound * self._each)) for bound in bounds], torch.stack(frames)

    def references_of(self, edges: Sequence[float]) -> tuple[Tensor, list[float]]:
        """The last reference [K, ...] of each frame, and how far from it towards the input the sample was [K]."""
        last = [int(edge) - 1 for edge in edges[1:]]
        chosen = torch.cat([self.references[self._turns[index]] for index in last])
        return chosen, [self._alphas[index] for index in last]

    @torch.inference_mode(mode=False)
    def attribution(
        self, method: str = "", parameters: Mapping[str, Any] | None = None, target: Any = None
    ) -> Attribution:
        """What is known as an attribution. SmoothGrad times input promises no sum and has no `delta`."""
        self._require_ready()
        score = torch.tensor([self._score], dtype=torch.float64)
        baseline_score = torch.tensor([self._baseline_score()], dtype=torch.float64)
        values, like = self._moments.mean, self.problem.points
        complete = self.kind == "expected_gradients"
        delta = values.sum().cpu() - (score - baseline_score)
        return Attribution(
            values=self.problem.inputs.unpack(values.to(self.problem.dtype)),
            delta=delta.to(like) if complete else None,
            error=self._moments.error_of_mean() if complete else None,  # copies may come in pairs of opposite noise
            evaluations=dict(self.evaluations),
            method=method or self.kind,
            parameters=dict(parameters or {}),
            target=target,
            seconds=self.seconds,
            progress=(self.done, self.samples),
            score=score.to(like),
            baseline_score=baseline_score.to(like) if complete else None,
            rounding=self.rounding,
        )

    def _baseline_of(self, index: int) -> float:
        return self._baseline_scores[self._turns[index] if self.kind == "expected_gradients" else 0]

    def _baseline_score(self) -> float:
        """Averaged over the references known; after a whole walk, over all."""
        return sum(self._baseline_scores.values()) / len(self._baseline_scores)


def noisy_copies(problem: Problem, samples: int, noise: float = 0.15, seed: int = 0) -> Tensor:
    """Noisy inputs [samples, rows, ...] as SmoothGrad and the noise tunnel draw them: references of SmoothGrad times input.

    `noise` is the standard deviation as a fraction of the input's range; copies come in pairs of opposite noise.
    """
    return torch.stack([*noisy(problem, samples, noise, seed, antithetic=True)])
