"""How alike the maps of several methods rank the places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xaiwidgets.metrics.agreement import ranks


def agreement_of(fields: Mapping[str, Sequence[NDArray[np.floating[Any]]]], shown: int) -> dict[str, Any]:
    """The `agreement` trait: Spearman's rank correlation of every two maps, with their signs.

    `fields`: a map for each input, by entry. `each`: of the first `shown` inputs; `mean`: over all for which it is defined.
    """
    keys = list(fields)
    count = len(next(iter(fields.values()), []))
    each = (
        np.stack([_correlations([fields[key][row] for key in keys]) for row in range(count)]) if count else np.empty(0)
    )
    if not count:
        return {"keys": keys, "mean": [], "each": []}
    known = np.isfinite(each)
    sums = np.where(known, each, 0.0).sum(0)
    counts = known.sum(0)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return {"keys": keys, "mean": _plain(mean), "each": [_plain(one) for one in each[:shown]]}


def _correlations(maps: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
    """[k, k]; NaN where one of both is the same everywhere."""
    flat = torch.from_numpy(np.stack([one.ravel() for one in maps]).astype(np.float64))
    centred = ranks(flat).double()
    centred = centred - centred.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    found = ((centred @ centred.T) / (lengths[:, None] * lengths)).clamp(-1, 1)
    return np.asarray(found.numpy())


def _plain(matrix: NDArray[np.float64]) -> list[list[float | None]]:
    return [[round(float(value), 3) if np.isfinite(value) else None for value in row] for row in matrix]
