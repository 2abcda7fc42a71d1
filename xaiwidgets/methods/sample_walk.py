"""Gradients at random places between many references and an input, one after another: what can be looked at meanwhile.

The running mean is the attribution so far; what every few samples have added is kept, so that the way to it can be shown.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.memory import model_stamp
from xaiwidgets.engine.problem import Problem

from .curves import drawn
from .moments import Moments
from .noise import group, noisy
from .path_walk import Curves, Node, Place, Reduce, curves, frame_bounds, look, require_one_row

MOST_SUMS = 32  # sums of consecutive samples that are kept

Kind = Literal["expected_gradients", "smoothgrad_x_input"]


class SampleWalk:
    """Expected gradients, or SmoothGrad times input, of the one row of a problem.

    references   [k, 1, ...] like the problem's points
    samples      gradient evaluations in all; SmoothGrad needs no more than there are references
    kind         "expected_gradients": references are baselines; each sample is a random place on the way from one of them,
                 the same places as those of the method of that name with this seed. "smoothgrad_x_input": references are
                 the noisy inputs themselves (see `noisy_copies`), taken in their order; each is multiplied with its gradient
    evaluations  {"forward", "gradient"} paid so far: scores of the references count as forward
    seconds      time spent in the model, without what consumers do between two results

    Samples are kept from the moment they are known: a walk that was cancelled or failed is continued by the next one. They
    are dropped when the model's weights have changed.
    """

    def __init__(self, problem: Problem, references: Tensor, *, samples: int, seed: int, kind: Kind) -> None:
        require_one_row(problem)
        if references.ndim < 1 or len(references) < 1 or references.shape[1:] != problem.points.shape:
            raise ParameterError(
                "baseline_shape",
                f"References of shape {list(references.shape)} do not fit an input of shape {list(problem.points.shape)}",
                hint="Pass them as [k, 1, ...].",
            )
        if samples < 1:
            raise ParameterError("parameter_range", f"samples={samples} is too few", hint="From 1 on.")
        self.problem = problem
        self.kind = kind
        with torch.inference_mode(mode=False):
            self.references = references.detach().to(problem.points)
        self.samples = samples if kind == "expected_gradients" else min(samples, len(references))
        self._turns, self._alphas = (
            drawn(problem.generator(seed), len(references), samples)
            if kind == "expected_gradients"
            else (list(range(self.samples)), [0.0] * self.samples)
        )
        self.evaluations = {"forward": 0, "gradient": 0}
        self.seconds = 0.0
        self.rounding: float | None = None
        self._each = -(-self.samples // MOST_SUMS)  # samples in one of the sums
        self._stamp: Hashable = None
        self._score: float | None = None
        self._forget()

    # --- walking -------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[None]:
        """Evaluate what is missing, a few samples at a time; yields after each few, never if there is nothing new."""
        run = self._begin()
        if self._score is None:
            self._score = self._values(run, run.points)[0]
        while self.done < self.samples:
            upcoming = range(self.done, min(self.samples, self.done + group(run)))
            self._score_baselines(run, [self._turns[index] for index in upcoming])
            places = [self._place(index) for index in upcoming]
            started = time.perf_counter()
            try:
                look(run, places, self._keep)
            finally:
                self.seconds += time.perf_counter() - started
            yield
        unused = [turn for turn in range(len(self.references)) if turn not in self._baseline_scores]
        if unused and self.kind == "expected_gradients":  # the expectation is over all of them
            self._score_baselines(run, unused)
            yield

    def _begin(self) -> Problem:
        run = self.problem.begin()
        run.evaluations = self.evaluations
        stamp = model_stamp(run.module)
        if stamp != self._stamp:
            self._forget()
            self._stamp = stamp
            with torch.inference_mode(mode=False), torch.no_grad():
                self.rounding = run.rounding()
        return run

    def _forget(self) -> None:
        self._totals: list[float] = []
        self._moments = Moments()
        self._sums: list[Tensor] = []
        self._score = None
        self._baseline_scores: dict[int, float] = {}

    def _place(self, index: int) -> Place:
        start = self.references[self._turns[index]][0]
        if self.kind == "smoothgrad_x_input":
            return Place(index, start, start)
        step = self.problem.points[0] - start
        return Place(index, start + self._alphas[index] * step, step)

    def _keep(self, node: Node) -> None:
        if node.alpha < self.done:
            return  # evaluated a second time, because memory ran out in the middle of keeping
        value = node.integrand.to(self.problem.sum_dtype).unsqueeze(0)
        if self.done % self._each == 0:
            self._sums.append(torch.zeros_like(value))
        self._sums[-1].add_(value)
        self._moments.add(value)
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
        started = time.perf_counter()
        with torch.inference_mode(mode=False), torch.no_grad():
            rows = torch.zeros(len(points), dtype=torch.long, device=run.device)
            scores: list[float] = run.values(points, rows).tolist()
        self.seconds += time.perf_counter() - started
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

        `gaps.local_sum` is the mean distance of a single sample from what it should be: what sampling has to average out.
        """
        score = self._require_ready()
        counts = range(1, self.done + 1)
        starts = [self._baseline_of(index) for index in range(self.done)]
        F = [score - total / count for total, count in zip(accumulate(starts), counts, strict=True)]
        C = [total / count for total, count in zip(accumulate(self._totals), counts, strict=True)]
        distances = [abs(total - (score - start)) for total, start in zip(self._totals, starts, strict=True)]
        return curves(
            [float(count) for count in counts],
            F=F,
            C=C,
            prob=[],
            scores=(self._baseline_score(), score),
            local_sum=sum(distances) / self.done,
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
        score = torch.tensor([self._require_ready()], dtype=torch.float64)
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

    def _require_ready(self) -> float:
        """The score of the input."""
        if not self.ready or self._score is None:
            raise ParameterError("nothing_yet", "No sample is known yet", hint="Walk first.")
        return self._score


def noisy_copies(problem: Problem, samples: int, noise: float = 0.15, seed: int = 0) -> Tensor:
    """Noisy inputs [samples, rows, ...] as SmoothGrad and the noise tunnel draw them: references of SmoothGrad times input.

    `noise` is the standard deviation as a fraction of the input's range; copies come in pairs of opposite noise.
    """
    return torch.stack([*noisy(problem, samples, noise, seed, antithetic=True)])
