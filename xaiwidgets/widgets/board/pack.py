"""Maps and curves as bytes for the page, small enough to keep in a notebook. Twin of js/src/board/fields.ts and lines.ts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.live.frames import pooled, rounded
from xaiwidgets.metrics.evaluation import Evaluation
from xaiwidgets.metrics.result import Result

BUDGET = 400_000
"""Bytes of all maps before they are compressed."""
LEAST_SIDE = 14
LEVELS = 127
Numbers = NDArray[np.floating[Any]]


def fields_of(values: Tensor, lengths: Sequence[int] | None, most: int) -> list[Numbers]:
    """The maps of the first `most` inputs: [height, width] summed over channels, [1, tokens] of texts (`lengths`: their tokens)."""
    stored = values[:most].detach().to("cpu").double()
    if lengths is None:
        return [row.numpy() for row in (stored.sum(1) if stored.ndim == 4 else stored)]
    return [row.flatten()[:length][None].numpy() for row, length in zip(stored, lengths, strict=False)]


def pack_maps(fields: Mapping[str, Sequence[Numbers]]) -> tuple[dict[str, Any], bytes]:
    """`maps` and `map_data` of maps by entry, one for each shown input.

    Signed bytes times a scale of each map's own, entry after entry; large maps are pooled by sums to keep within the budget.
    """
    first = next(iter(fields.values()), [])
    count = len(fields) * len(first)
    if not count:
        return {"shapes": [], "pool": 1, "entries": {}}, b""
    texts = all(field.shape[0] == 1 for field in first)
    side = max(LEAST_SIDE, math.isqrt(BUDGET // count))
    entries, chunks, offset, pool, shapes = {}, [], 0, 1, []
    for key, maps in fields.items():
        small = [(field, 1) if texts else pooled(field, side) for field in maps]
        pool = max(pool, *(by for _, by in small))
        shapes = [list(field.shape) for field, _ in small]
        scales = [float(np.abs(field).max(initial=0.0)) / LEVELS for field, _ in small]
        stored = b"".join(
            np.rint(field / (scale or 1.0)).astype(np.int8).tobytes()
            for (field, _), scale in zip(small, scales, strict=True)
        )
        entries[key] = {"offset": offset, "scales": rounded(scales)}
        chunks.append(stored)
        offset += len(stored)
    return {"shapes": shapes, "pool": pool, "entries": entries}, zlib.compress(b"".join(chunks), 6)


class Curves:
    """`curves` and `curve_data`: the mean over all inputs, then each of the first `most`, in half precision times a scale.

    A curve that several metrics hold is stored once, and lists them in `columns`. What belongs to a finished result is made
    once; bands, which cost most, only of finished ones.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: dict[int, tuple[Result, list[tuple[dict[str, Any], bytes]]]] = {}

    def pack(self, evaluation: Evaluation) -> tuple[list[dict[str, Any]], bytes]:
        """Of what is there now."""
        infos: list[dict[str, Any]] = []
        chunks: list[bytes] = []
        offset, made = 0, {}
        for entry in evaluation.methods:
            known: dict[tuple[str, bytes], dict[str, Any]] = {}
            for column, result in evaluation[entry].items():
                made[id(result)] = self._made.get(id(result)) or (result, list(self._of(result)))
                for info, stored in made[id(result)][1]:
                    same = known.get((info["name"], stored))
                    if same is not None:
                        same["columns"].append(column)
                        continue
                    known[info["name"], stored] = {"entry": entry, "columns": [column], **info, "offset": offset}
                    chunks.append(stored)
                    offset += len(stored)
            infos += known.values()
        self._made = made
        return infos, zlib.compress(b"".join(chunks), 6) if chunks else b""

    def _of(self, result: Result) -> Iterator[tuple[dict[str, Any], bytes]]:
        for name, curve in result.curves.items():
            stored, scale = _halves(np.concatenate([curve.mean[None].numpy(), curve.values[: self._most].numpy()]))
            low, high = (_plain(end) for end in curve.band()) if result.final else ([], [])
            yield {
                "name": name, "x": rounded(curve.x.tolist()), "x_title": curve.x_title, "y_title": curve.y_title,
                "low": low, "high": high, "ticks": list(curve.labels), "inputs": min(len(curve.values), self._most),
                "scale": scale,
            }, stored  # fmt: skip


def _halves(values: Numbers) -> tuple[bytes, float]:
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return (values / largest).astype("<f2").tobytes(), largest


def _plain(values: Tensor) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values.tolist()]
