"""Training examples that lead for everybody, and training examples that are there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xaiwidgets.training.scan import top

from .facts import Facts
from .media import leaves

SAMPLE = 64
LEADING = 12
"""Places that count as leading: as many as a page shows."""
CLOSE = 1e-4
"""Relative difference of losses and gradients below which two examples are compared number by number."""
MOST_COMPARED = 64
MOST_NEAR = 20_000
"""Where so many have the same loss, it says nothing."""

Interrupt = Callable[[], None]


@dataclass(frozen=True)
class Hubs:
    """Share 0..1 of `sample` training examples, asked about as queries, for which an example is among the `leading`."""

    shares: dict[int, float]
    sample: int
    leading: int

    def share(self, position: int) -> float:
        return self.shares.get(position, 0.0)


def find_hubs(shards: Any, *, seed: int = 0, interrupt: Interrupt | None = None) -> Hubs:
    """Scan the index's own vectors with a seeded sample of them; nobody leads for itself."""
    count = len(shards)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(count, min(SAMPLE, count), replace=False))
    leading = min(LEADING, max(count // 20, 1))
    counts: dict[int, int] = {}
    *_, page = top(shards.vectors(chosen), shards, leading + 1, interrupt=interrupt)
    positions, scores = page.proponents
    for own, row, values in zip(chosen, positions, scores, strict=True):
        for position in row[(row != own) & (values > 0)][:leading].tolist():
            counts[position] = counts.get(position, 0) + 1
    return Hubs({position: times / len(chosen) for position, times in counts.items()}, len(chosen), leading)


def find_duplicates(
    ids: Iterable[int], facts: Facts, inputs: Callable[[int], Any], *, interrupt: Interrupt | None = None
) -> dict[int, int]:
    """For some examples, another of the same label and the very same input.

    The same input gives the same loss and the same gradient; where both agree, the inputs themselves are compared.
    """
    order = np.argsort(facts.loss, kind="stable")
    ordered = facts.loss[order]
    found: dict[int, int] = {}
    compared = 0
    for position in ids:
        if interrupt is not None:
            interrupt()
        loss = float(facts.loss[position])
        if position in found or not np.isfinite(loss) or loss == 0 or not facts.norms[position].any():
            continue
        low, high = np.searchsorted(ordered, (loss * (1 - CLOSE), loss * (1 + CLOSE)), side="left")
        if high - low > MOST_NEAR:
            continue
        near = order[low : high + 1]
        near = near[
            (near != position) & np.isclose(facts.norms[near], facts.norms[position], rtol=10 * CLOSE, atol=0).all(1)
        ]
        if facts.y is not None:
            near = near[facts.y[near] == facts.y[position]]
        for other in near.tolist():
            if compared >= MOST_COMPARED:
                return found
            compared += 1
            if same(inputs(position), inputs(other)):
                found[position], found[other] = other, position
                break
    return found


def find_query(query: Any, losses: NDArray[np.floating[Any]], facts: Facts, inputs: Callable[[int], Any]) -> int | None:
    """A training example that is the query itself. `losses` [N]: the query's, under every example's label."""
    near = np.flatnonzero(np.isclose(losses, facts.loss, rtol=10 * CLOSE, atol=1e-6))
    nearest = near[np.argsort(np.abs(losses[near] - facts.loss[near]), kind="stable")][:MOST_COMPARED]
    return next((position for position in nearest.tolist() if same(query, inputs(position))), None)


def same(one: Any, other: Any) -> bool:
    """Whether two inputs hold the same numbers."""
    parts, others = leaves(one), leaves(other)
    return len(parts) == len(others) and all(
        a.shape == b.shape and bool(torch.equal(a.detach().cpu(), b.detach().cpu().to(a.dtype)))
        for a, b in zip(parts, others, strict=True)
    )
