"""Searching the index: every stored vector against the questions', block by block, the best kept on the way.

Nothing grows with the index but the time: one small buffer of rows in float32, k best and k worst a question, and a
histogram. The first page is there after the first block.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ParameterError

from .shards import Array, Shards, no_vectors

BUFFER = 2 * 2**20
"""Bytes of vectors turned into float32 at a time: small enough to stay in a core's cache until they are multiplied."""
PAGE_EVERY = 0.1
"""Seconds between two pages."""
BINS = 64


@dataclass(frozen=True, eq=False)
class Totals:
    """All scores so far, added up and counted.

    positive, negative   float64 [Q]: sums of the positive and of the negative scores
    edges                float64 [bins + 1], symmetric around zero
    counts               int64 [Q, bins]
    """

    positive: Array
    negative: Array
    edges: Array
    counts: Array


@dataclass(frozen=True, eq=False)
class Page:
    """The best and the worst of what has been scanned: (positions int64 [Q, k'], scores float32 [Q, k']).

    proponents are ordered from the largest score, opponents from the smallest; k' is k, or less where there are fewer.
    """

    proponents: tuple[Array, Array]
    opponents: tuple[Array, Array]
    scanned: int
    total: int
    totals: Totals


def top(
    vectors: Tensor,
    shards: Shards,
    k: int,
    *,
    candidates: Array | None = None,
    divisors: Array | None = None,
    interrupt: Callable[[], None] | None = None,
) -> Iterator[Page]:
    """Pages of the k best and k worst training examples for each question [Q, dim]; the last is of all of them.

    candidates   positions to choose from, None for all
    divisors     [N] what each example's scores are divided by (its gradient's length: cosines); 0 for 0
    interrupt    called for every block
    """
    if k < 1:
        raise ParameterError("parameter_range", f"k={k}: at least one example is asked for")
    total = len(shards) if candidates is None else len(np.unique(candidates))
    best, worst, tally = _Leading(len(vectors), k), _Leading(len(vectors), k), Tally(len(vectors))
    scanned, shown = 0, -math.inf
    for positions, raw in scores(vectors, shards, candidates=candidates):
        if interrupt is not None:
            interrupt()
        scored = raw if divisors is None else _divided(raw, divisors[positions])
        best.add(positions, scored)
        worst.add(positions, -scored)
        tally.add(scored)
        scanned += len(positions)
        now = time.perf_counter()
        if now - shown >= PAGE_EVERY or scanned == total:
            shown = now
            yield Page(best.ordered(), _negated(worst.ordered()), scanned, total, tally.totals())


def scores(vectors: Tensor, shards: Shards, *, candidates: Array | None = None) -> Iterator[tuple[Array, Tensor]]:
    """Blocks of (positions [n], float32 [Q, n]): the estimate of every stored example's influence on each question."""
    projection = shards.projection
    if projection is None:
        raise no_vectors()
    if vectors.ndim != 2 or vectors.shape[1] != projection["dim"]:
        raise InputError(
            "vector_shape",
            f"Questions of shape {list(vectors.shape)} do not fit vectors of {projection['dim']} numbers",
        )
    if not vectors.isfinite().all():
        raise InputError("not_finite", "A question's gradient is not finite", hint="Its loss may be infinite or NaN.")
    questions = vectors.detach().cpu().float().contiguous()
    buffer = torch.empty(max(1, BUFFER // (4 * projection["dim"])), projection["dim"])
    chosen = None if candidates is None else np.unique(np.asarray(candidates, dtype=np.int64))
    for block in shards.blocks:
        inside = None
        if chosen is not None:
            low, high = np.searchsorted(chosen, (block["start"], block["start"] + block["n"]))
            inside = chosen[low:high] - block["start"]
            if not len(inside):
                continue
        stored, scale = shards.stored(block)
        if inside is not None:
            stored, scale = stored[inside], scale[inside]
        positions = np.arange(block["n"]) if inside is None else inside
        yield (
            positions + block["start"],
            _products(torch.from_numpy(stored), torch.from_numpy(scale), questions, buffer),
        )


def _products(stored: Tensor, scale: Tensor, questions: Tensor, buffer: Tensor) -> Tensor:
    """[Q, n] of questions [Q, dim] and stored rows [n, dim] in few bits, of which `scale` [n] makes the vectors."""
    products = torch.empty(len(questions), len(stored))
    for at in range(0, len(stored), len(buffer)):
        stop = min(at + len(buffer), len(stored))
        wide = buffer[: stop - at].copy_(stored[at:stop])
        # this way round: with few questions the other takes three times as long
        torch.mul(questions @ wide.T, scale[at:stop], out=products[:, at:stop])
    return products


class _Leading:
    """The k largest scores of each question and whose they are."""

    def __init__(self, questions: int, k: int) -> None:
        self.k = k
        self.scores = torch.empty(questions, 0)
        self.positions = torch.empty(questions, 0, dtype=torch.int64)

    def add(self, positions: Array, scores: Tensor) -> None:
        leading, where = scores.topk(min(self.k, scores.shape[1]), sorted=False)
        joined = torch.cat([self.scores, leading], 1)
        names = torch.cat([self.positions, torch.from_numpy(positions)[where]], 1)
        self.scores, order = joined.topk(min(self.k, joined.shape[1]))
        self.positions = names.gather(1, order)

    def ordered(self) -> tuple[Array, Array]:
        return self.positions.numpy(), self.scores.numpy()


def _divided(scores: Tensor, divisors: Array) -> Tensor:
    by = torch.from_numpy(divisors).float()
    return torch.where(by > 0, scores / by, 0.0)


def _negated(leading: tuple[Array, Array]) -> tuple[Array, Array]:
    return leading[0], -leading[1]


class Tally:
    """Sums and a histogram whose range doubles, two bins becoming one, whenever a score falls outside."""

    def __init__(self, questions: int) -> None:
        self.positive, self.negative = np.zeros(questions), np.zeros(questions)
        self.counts = np.zeros((questions, BINS), dtype=np.int64)
        self.reach = 0.0

    def add(self, scores: Tensor) -> None:
        positive = scores.clamp(min=0).sum(1, dtype=torch.float64).numpy()
        self.positive += positive
        self.negative += scores.sum(1, dtype=torch.float64).numpy() - positive
        self._widen(float(scores.abs().max()))
        bins = ((scores + self.reach) * (BINS / (2 * self.reach))).long().clamp_(0, BINS - 1)
        bins += BINS * torch.arange(len(scores))[:, None]
        self.counts += np.bincount(bins.flatten().numpy(), minlength=self.counts.size).reshape(self.counts.shape)

    def totals(self) -> Totals:
        edges = np.linspace(-self.reach, self.reach, BINS + 1)
        return Totals(self.positive.copy(), self.negative.copy(), edges, self.counts.copy())

    def _widen(self, largest: float) -> None:
        if self.reach == 0.0:
            self.reach = largest or 1.0
        while largest > self.reach:
            pairs = self.counts.reshape(len(self.counts), BINS // 2, 2).sum(2)
            self.counts[:] = np.pad(pairs, ((0, 0), (BINS // 4, BINS // 4)))
            self.reach *= 2
