"""Which training examples lead: three ways to read the same products of gradients, and what is kept of them.

The page ranks what it has by the same formulas (js/src/gallery/rank.ts), over the checkpoints its reader leaves on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Places = NDArray[np.int64]
MODES = ("dot", "cosine", "relative")
BINS = 48


@dataclass(frozen=True, eq=False)
class Scored:
    """Examples and what is known of their part in one query's loss.

    ids           [n] positions in the data set
    parts         [n, C] learning rate × product of gradients, a checkpoint each; [n, 1] where a method has but one number
    norms         [n, C] squared lengths of their gradients; None where they are not known
    query_norms   [C] those of the query
    rates         [C] learning rates
    """

    ids: Places
    parts: Numbers
    norms: Numbers | None = None
    query_norms: Numbers | None = None
    rates: Numbers | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def modes(self) -> tuple[str, ...]:
        """What they can be ranked by."""
        lengths = self.norms is not None and self.query_norms is not None and self.rates is not None
        return MODES if lengths else MODES[:1]

    def take(self, rows: Places) -> Scored:
        """Some of them, in that order."""
        norms = None if self.norms is None else self.norms[rows]
        return replace(self, ids=self.ids[rows], parts=self.parts[rows], norms=norms)

    def by(self, mode: str, mask: Sequence[bool] | None = None) -> NDArray[np.float64]:
        """[n] scores. `mask`: the checkpoints that count.

        dot        the sum of the parts
        cosine     the mean of the angles' cosines: how alike the gradients are, whatever their lengths
        relative   each part by the length of the example's gradient: examples that lead everywhere lead less
        """
        chosen = np.ones(self.parts.shape[1], bool) if mask is None else np.asarray(mask, bool)
        parts = self.parts.astype(np.float64)[:, chosen]
        if mode == "dot" or not parts.shape[1]:
            return np.asarray(parts.sum(1))
        assert self.norms is not None and self.query_norms is not None and self.rates is not None  # noqa: S101, PT018 - see modes
        lengths = np.sqrt(self.norms.astype(np.float64)[:, chosen])
        if mode == "relative":
            return np.asarray(_divided(parts, lengths).sum(1))
        scale = self.rates.astype(np.float64)[chosen] * np.sqrt(self.query_norms.astype(np.float64)[chosen])
        return np.asarray(_divided(parts, lengths * scale).mean(1))


def leading(scores: NDArray[np.float64], most: int) -> tuple[Places, Places]:
    """Rows of the most positive scores, and of the most negative, the strongest first; none of the other sign."""
    ends = []
    for signed in (scores, -scores):
        rows = np.flatnonzero(signed > 0)
        if len(rows) > most:
            rows = rows[np.argpartition(-signed[rows], most - 1)[:most]]
        ends.append(rows[np.lexsort((rows, -signed[rows]))])
    return ends[0], ends[1]


def stored(scored: Scored, most: int, always: Sequence[int] = ()) -> Scored:
    """What the page gets: for each mode the `most` leading on either side, and the ids in `always`; by size of their dot."""
    rows = [np.flatnonzero(np.isin(scored.ids, np.asarray(always, np.int64)))]
    for mode in scored.modes:
        rows += leading(scored.by(mode), most)
    union = np.unique(np.concatenate(rows))
    dot = scored.by("dot")
    return scored.take(union[np.lexsort((scored.ids[union], -np.abs(dot[union])))])


def totals(scores: NDArray[np.float64]) -> dict[str, float]:
    """What all positive and all negative scores add up to."""
    return {"positive": float(scores[scores > 0].sum()), "negative": float(scores[scores < 0].sum())}


def histogram(scores: NDArray[np.float64], bins: int = BINS) -> dict[str, list[Any]]:
    """Counts between edges that lie evenly on either side of zero."""
    limit = float(np.abs(scores).max(initial=0.0)) or 1.0
    counts, edges = np.histogram(scores, bins=bins, range=(-limit, limit))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def without(scored: Scored, position: int | None) -> Scored:
    """All but one example."""
    return scored if position is None else scored.take(np.flatnonzero(scored.ids != position))


def _divided(parts: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where a gradient vanishes: it moves nothing."""
    return np.divide(parts, by, out=np.zeros_like(parts), where=by > 0)
