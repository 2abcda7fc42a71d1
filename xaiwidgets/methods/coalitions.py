"""Games: which score the model gives when only some regions of the input are present.

The players are regions, a coalition says which of them are present, and the others show the baseline. Composite inputs
are built a chunk at a time, so memory does not grow with the number of coalitions. All rows with equally many regions
play the same coalitions; a row's coalitions never depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.prefix_cache import prefix_scores
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import resolve
from xaiwidgets.engine.registry import Partial

REMEMBERED_PLAYERS = 1024  # coalitions of more are too long to be names
REMEMBERED_BYTES = 128 * 2**20
ENTRY_BYTES = 512  # of a name and a tensor, beside the numbers in it

Keep = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """What a game has answered so far: a number for each player."""

    values: Tensor  # [columns, rows, players]
    done: int
    total: int
    error: float | None = None


@dataclass(frozen=True, eq=False)
class Game:
    """One question about rows that have equally many regions.

    rows     [r] the samples that play
    ids      [1 or r, ...] the player of each value of the input
    absent   [k, all rows, ...] what is seen of those who are absent; scores are averaged over the k
    memory   scores of coalitions asked before
    """

    problem: Problem
    rows: Tensor
    ids: Tensor
    players: int
    absent: Tensor
    memory: dict[Any, Any]

    @cached_property
    def full(self) -> Tensor:
        """Score [r, columns] with everybody present: one evaluation a row, however many baselines there are."""
        if "full" not in self.memory:
            scores = self.problem.scores(self.problem.points[self.rows], self.rows)
            self.memory["full"] = scores.to(self.problem.sum_dtype)
        return cast("Tensor", self.memory["full"])

    @cached_property
    def empty(self) -> Tensor:
        """Score [r, columns] with everybody absent."""
        return self.scores(torch.zeros((1, self.players), dtype=torch.bool))[0]

    @property
    def batch(self) -> int:
        """Coalitions that fill a chunk."""
        return max(1, self.problem.chunk_rows // (len(self.rows) * len(self.absent)))

    def scores(self, coalitions: Tensor) -> Tensor:
        """Scores [m, r, columns] of coalitions [m, players], true for those who are present; none is asked twice."""
        if self.players > REMEMBERED_PLAYERS:
            return self._ask(coalitions)
        names = coalition_names(coalitions)
        new = {name: index for index, name in enumerate(names) if name not in self.memory}
        if not new:
            return torch.stack([self.memory[name] for name in names])
        found = dict(zip(new, self._ask(coalitions[list(new.values())]), strict=True))
        scores = torch.stack([found[name] if name in found else self.memory[name] for name in names])
        if len(self.memory) * (self.full.nbytes + ENTRY_BYTES) < REMEMBERED_BYTES:
            self.memory.update(found)
        return scores

    def _ask(self, coalitions: Tensor) -> Tensor:
        coalitions = coalitions.to(self.problem.device)
        ids = self.ids.flatten(1).expand(len(self.rows), -1)

        def keep(which: Tensor, row: Tensor) -> Tensor:
            return coalitions[which].gather(1, ids[row]).reshape(-1, *self.ids.shape[1:])

        return masked_scores(self.problem, keep, len(coalitions), self.absent, self.rows)

    def spread(self, values: Tensor, *, share: bool) -> Tensor:
        """Values [columns, r, players] at every place [columns, r, ...]; `share` divides them among a player's places."""
        ids = self.ids.flatten(1).expand(len(self.rows), -1)
        if share:
            sizes = torch.zeros(values.shape[1:], dtype=values.dtype, device=values.device)
            values = values / sizes.scatter_add_(1, ids, torch.ones_like(ids, dtype=values.dtype))
        return values.gather(2, ids.expand(len(values), -1, -1)).reshape(*values.shape[:2], *self.ids.shape[1:])


def play(
    problem: Problem,
    regions: Any,
    absent: Tensor,
    strategy: Callable[[Game], Iterator[Solution]],
    *,
    share: bool = False,
    complete: bool = False,
) -> Iterator[Partial]:
    """Let every group of rows with equally many regions play, step by step together.

    With `share` a region's value is divided among its places, so that sums over the map are sums over regions; without
    it every place shows the value of its region. What is `complete` gets a delta.
    """
    games = _games(problem, regions, absent)
    order = torch.cat([game.rows for game in games])
    back = torch.argsort(order)
    full = torch.cat([game.full for game in games])[back].T.flatten()
    empty = torch.cat([game.empty for game in games])[back].T.flatten() if complete else None
    latest: list[Solution] = []
    for step in zip_longest(*map(strategy, games)):
        latest = [new or old for new, old in zip_longest(step, latest)]
        values = torch.cat([game.spread(one.values, share=share) for game, one in zip(games, latest, strict=True)], 1)
        values = values[:, back].flatten(0, 1).to(problem.dtype)
        errors = [one.error for one in latest if one.error is not None]
        delta = None if empty is None else values.flatten(1).sum(1, dtype=problem.sum_dtype) - (full - empty)
        yield Partial(
            values,
            sum(one.done for one in latest),
            sum(one.total for one in latest),
            delta=None if delta is None else delta.to(problem.dtype),
            error=max(errors) if len(errors) == len(latest) else None,
            score=full.to(problem.dtype),
            baseline_score=None if empty is None else empty.to(problem.dtype),
        )


def _games(problem: Problem, regions: Any, absent: Tensor) -> list[Game]:
    found = resolve(regions, problem.inputs)
    counts = torch.tensor(found.counts, device=problem.device).expand(problem.rows)
    name = digest(absent)
    games = []
    for count in sorted(set(found.counts)):
        rows = torch.nonzero(counts == count).flatten()
        ids = found.ids if len(found.ids) == 1 else found.ids[rows]
        memory = problem.memory(("coalitions", name, digest(ids), tuple(rows.tolist())))
        games.append(Game(problem, rows, ids, count, absent, memory))
    return games


def masked_scores(problem: Problem, keep: Keep, count: int, absent: Tensor, rows: Tensor) -> Tensor:
    """Scores [count, r, columns] of inputs of which only what a mask keeps is present, averaged over what is absent.

    `keep(which, row)` makes masks [n, ...], broadcastable to the points: `which` counts the masks, `row` the `rows`.
    """
    kinds, players = len(absent), len(rows)
    parts, start, total = [], 0, count * kinds * players
    while start < total:
        index = torch.arange(start, min(start + problem.chunk_rows, total), device=problem.device)
        which, row = index // (kinds * players), index % players
        sample = rows[row]
        points = torch.where(keep(which, row), problem.points[sample], absent[index // players % kinds, sample])
        parts.append(prefix_scores(problem, points, sample))
        start += len(index)
    scores = torch.cat(parts).to(problem.sum_dtype)
    return scores.reshape(count, kinds, players, -1).mean(1)


def coalition_names(coalitions: Tensor) -> list[bytes]:
    """A short name for each of the coalitions [m, players]."""
    return [row.tobytes() for row in np.packbits(coalitions.cpu().numpy(), axis=1)]
