"""From a question to answers: everything scored, the leaders only, or the leaders among those the index names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .influence import Array, Everything, Influence, Leaders
from .losses import outcomes
from .question import Question
from .registry import Preparing, Scored, Step, TrainingMethod
from .scan import Page, Tally, Totals, top
from .weights import few

SHORTLIST_FACTOR, SHORTLIST_LEAST = 5, 50
"""So many times k examples a side and query are scored of those that lead in the index, and at least so many."""
SKETCHED = "scores of sketched gradients, about to be computed exactly"


@dataclass(frozen=True, eq=False)
class Asked:
    """A question to a method.

    k             leaders to keep at each end, None for every score
    shortlisted   whether the index may name the examples to score
    prepare       is told what happens before the first score
    """

    question: Question
    method: TrainingMethod
    parameters: dict[str, Any]
    k: int | None
    shortlisted: bool = False
    prepare: Callable[[Preparing], None] | None = None


class _Clock:
    """Seconds of our own work; the consumer's do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.started = time.perf_counter()

    def pause(self) -> float:
        self.seconds += time.perf_counter() - self.started
        return self.seconds

    def go_on(self) -> None:
        self.started = time.perf_counter()


def answers(asked: Asked) -> Iterator[Influence]:
    """Answers of more and more examples; the last is complete."""
    if asked.k is not None and asked.shortlisted and asked.method.shortlists(asked.parameters):
        return _through_index(asked, asked.k)
    return _scored(asked)


def _scored(asked: Asked) -> Iterator[Influence]:
    """Every candidate, in order."""
    clock, question = _Clock(), asked.question
    candidates = question.candidates()
    kept = Everything(len(question), candidates) if asked.k is None else Leaders(len(question), asked.k)
    account = _Account(asked)
    tally = Tally(len(question))
    seen, last = 0, 0
    for step in _steps(asked, clock):
        scores = np.asarray(step.scores.float().cpu().numpy())
        kept.add(step.positions, scores)
        sums = scores.sum(2)
        tally.add(torch.from_numpy(np.where(np.isfinite(sums), sums, 0.0)))
        account.read(step, sums)
        seen += len(step.positions)
        if asked.k is not None or seen == len(candidates) or seen >= 2 * last:  # whole matrices: only now and then
            last = seen
            progress = (seen, len(candidates))
            yield account.answer(kept.arrays(), progress, tally.totals(), clock.pause())
            clock.go_on()


def _through_index(asked: Asked, k: int) -> Iterator[Influence]:
    """The examples that lead in the index's sketches, and then their scores."""
    clock, question = _Clock(), asked.question
    account = _Account(asked)
    vectors, divisors = _sketched(asked)
    wanted = max(SHORTLIST_FACTOR * k, SHORTLIST_LEAST)
    page: Page | None = None
    for page in top(vectors, question.stored, wanted, divisors=divisors, interrupt=question.interrupt):
        progress = (page.scanned, page.total)
        yield account.answer(_leading(page, k), progress, page.totals, clock.pause(), sketched=(SKETCHED,))
        clock.go_on()
    assert page is not None  # noqa: S101 - an index has examples
    union = np.unique(np.concatenate([page.proponents[0], page.opponents[0]], axis=None))
    leaders = Leaders(len(question), k)
    question.narrow(union)
    for step in _steps(asked, clock):
        scores = np.asarray(step.scores.float().cpu().numpy())
        leaders.add(step.positions, scores)
        account.read(step, scores.sum(2))
    words: tuple[str, ...] = ()
    if len(union) < page.total:
        found = f"leaders looked for among the {len(union):,} examples that lead by the index's sketches"
        words = (found, "totals of all examples from sketches")
    yield account.answer(leaders.arrays(), (page.total, page.total), page.totals, clock.pause(), chosen=words)


def _steps(asked: Asked, clock: _Clock) -> Iterator[Scored]:
    """What the method yields, under the modes it needs whatever its consumer has set."""
    steps: Iterator[Step] | None = None
    try:
        while True:
            with torch.inference_mode(mode=False), torch.no_grad():
                if steps is None:
                    steps = asked.method.run(asked.question, **asked.parameters)
                step = next(steps, None)
            if step is None:
                return
            if isinstance(step, Scored):
                yield step
            elif asked.prepare is not None:
                clock.pause()
                asked.prepare(step)
                clock.go_on()
    finally:
        if steps is not None:
            steps.close()  # type: ignore[attr-defined]  # methods return generators


class _Account:
    """What every answer says of itself."""

    def __init__(self, asked: Asked) -> None:
        question, method = asked.question, asked.method
        spec = question.spec
        chosen = [spec.checkpoints[number] for number in question.checkpoints]
        labels = question.labels
        self.notes = [*spec.checkpoints.notes, *_left_out(question)]
        self.broken = 0
        self.result = Influence(
            scores=np.zeros((len(question), 0), np.float32),
            indices=np.zeros((len(question), 0), np.int64),
            per_checkpoint=np.zeros((len(question), 0, 1), np.float32),
            checkpoints=tuple(one.name for one in chosen),
            learning_rates=tuple(one.learning_rate for one in chosen),
            labels=np.asarray(labels.cpu().numpy()),
            predicted=np.asarray(outcomes(question.output, labels, spec.loss).predicted.cpu().numpy()),
            method=method.name,
            parameters=dict(asked.parameters),
            exact=not method.approximates(asked.parameters),
            approximations=method.approximates(asked.parameters),
            missing=tuple(spec.checkpoints.missing),
            notes=(),
            seconds=0.0,
            progress=(0, 0),
            totals=Tally(len(question)).totals(),
            kept=asked.k,
        )

    def read(self, step: Scored, sums: Array) -> None:
        """What a step has to say, and how many of its examples have no score."""
        self.notes += [note for note in step.notes if note not in self.notes]
        self.broken += int((~np.isfinite(sums)).any(0).sum())

    def answer(
        self,
        arrays: tuple[Array, Array, Array],
        progress: tuple[int, int],
        totals: Totals,
        seconds: float,
        *,
        sketched: tuple[str, ...] = (),
        chosen: tuple[str, ...] = (),
    ) -> Influence:
        """`sketched` says why the scores themselves are not what the method defines, `chosen` why leaders may be missing."""
        broken = (f"{self.broken} examples have no finite score and lead nowhere",) if self.broken else ()
        scores, indices, per_checkpoint = arrays
        return replace(
            self.result,
            scores=scores, indices=indices, per_checkpoint=per_checkpoint, progress=progress, totals=totals,
            seconds=seconds, exact=self.result.exact and not sketched,
            approximations=(*self.result.approximations, *sketched, *chosen), notes=(*self.notes, *broken),
        )  # fmt: skip


def _sketched(asked: Asked) -> tuple[torch.Tensor, Array | None]:
    """The queries as the index stores examples, and what each example's scores are divided by, if anything."""
    question, method = asked.question, asked.method
    used = question.checkpoints if method.per_checkpoint else question.checkpoints[-1:]
    with torch.inference_mode(mode=False), torch.no_grad():
        vectors = question.vectors(used)
    if method.shortlists(asked.parameters) == "products":
        return vectors, None
    chosen = [question.spec.checkpoints[number] for number in used]
    norms = question.stored.column("norm")[:, [one.number for one in chosen]]
    return vectors, np.sqrt(norms @ np.array([one.learning_rate for one in chosen]))


def _leading(page: Page, k: int) -> tuple[Array, Array, Array]:
    """A page's k leaders at each end, largest first; all of them, once, where there are fewer than 2k."""
    best, worst = page.proponents, page.opponents
    if best[0].shape[1] < 2 * k:
        indices, scores = best
    else:
        indices, scores = (
            np.concatenate([first[:, :k], last[:, :k][:, ::-1]], 1) for first, last in zip(best, worst, strict=True)
        )
    return scores, indices, scores[:, :, None]


def _left_out(question: Question) -> list[str]:
    """Parameters whose gradients do not count, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for name, why in question.left_out.items():
        reasons.setdefault(why, []).append(name)
    return [f"without the gradients of {few(names)} ({why})" for why, names in reasons.items()]
