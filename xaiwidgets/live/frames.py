"""Maps that follow each other, as bytes for the browser: few, small and coarse enough to keep.

Frame k occupies h · w bytes of one zlib stream; its values are the signed bytes times a scale of its own, so that a quiet
frame is as precise as a loud one. Each but the first is stored as what it differs by from the one before it, byte by byte, wrapping
around: neighbours are alike, and differences compress to about two thirds. Larger maps are pooled by sums, which keeps what they add up to.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.pictures import encode

Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Detail:
    """How much is kept: frames at most, pixels on their longer side, steps from zero to the largest value of each frame,
    and pixels on the longer side of the map they add up to.
    """

    frames: int
    side: int
    levels: int
    total_side: int


def pooled(maps: Numbers, side: int) -> tuple[Numbers, int]:
    """Maps [..., h, w] with at most `side` pixels on the longer side, and how many were added up along each axis."""
    height, width = maps.shape[-2:]
    pool = math.ceil(max(height, width) / side)
    if pool == 1:
        return maps, 1
    rows, columns = (np.arange(0, extent, pool) for extent in (height, width))
    return np.add.reduceat(np.add.reduceat(maps, rows, axis=-2), columns, axis=-1), pool


def groups(count: int, most: int) -> list[int]:
    """Where each of at most `most` groups of neighbours begins."""
    kept = min(most, count)
    return [number * count // kept for number in range(kept)]


def pack_frames(
    edges: Sequence[float], frames: Numbers, detail: Detail, pool_before: int = 1
) -> tuple[dict[str, Any], bytes]:
    """`inc_meta` and `increments` of frames [K, h, w] between edges [K + 1]; `pool_before`: how they were pooled already."""
    starts = groups(len(frames), detail.frames)
    edges = [*(edges[start] for start in starts), edges[-1]]
    pool = pool_before * pooled(frames, detail.side)[1]
    frames = pooled(np.add.reduceat(frames, starts, axis=0), detail.side)[0]
    scales = np.abs(frames).max(axis=(1, 2)).astype(np.float64) / detail.levels
    stored = np.rint(frames / np.where(scales > 0, scales, 1.0)[:, None, None]).astype(np.int8)
    stored[1:] -= stored[:-1].copy()
    meta = {
        "K": len(frames), "edges": rounded(edges), "scales": rounded(scales.tolist()), "shape": list(frames.shape[1:]),
        "pool": pool, "dtype": "int8", "differences": True,
    }  # fmt: skip
    return meta, zlib.compress(np.ascontiguousarray(stored).tobytes(), 9)


def pack_total(total: Numbers, detail: Detail) -> tuple[dict[str, Any], bytes]:
    """`total_meta` and `total_map` of a map [h, w]: half precision where that is little, bytes elsewhere."""
    total, _pool = pooled(total, detail.total_side)
    largest = float(np.abs(total).max(initial=0.0)) or 1.0
    fine = total.size * 2 <= _LITTLE and detail.levels > 100
    scale = largest if fine else largest / 127
    stored = (total / scale).astype("<f2") if fine else np.rint(total / scale).astype(np.int8)
    meta = {"shape": list(total.shape), "scale": scale, "dtype": "float16" if fine else "int8"}
    return meta, zlib.compress(np.ascontiguousarray(stored).tobytes(), 9)


_LITTLE = 2 * 64 * 64


def sprite(pictures: NDArray[np.uint8], most: int) -> bytes:
    """The last of each group of pictures [K, h, w, 3], side by side."""
    starts = groups(len(pictures), most)
    chosen = pictures[[*(start - 1 for start in starts[1:]), len(pictures) - 1]]
    return encode(np.concatenate(list(chosen), axis=1), quality=60)


def unpack_total(meta: dict[str, Any], data: bytes) -> NDArray[np.float64]:
    """The map again."""
    dtype = np.dtype("<f2" if meta["dtype"] == "float16" else "i1")
    stored = np.frombuffer(zlib.decompress(data), dtype).reshape(meta["shape"])
    return stored.astype(np.float64) * float(meta["scale"])


def unpack_frames(meta: dict[str, Any], data: bytes) -> NDArray[np.float64]:
    """The frames again, [K, h, w]."""
    stored = np.frombuffer(zlib.decompress(data), np.int8).reshape(meta["K"], *meta["shape"])
    if meta.get("differences"):
        stored = np.cumsum(stored, axis=0, dtype=np.int8)
    scales = np.array(meta["scales"], np.float64)
    return stored.astype(np.float64) * scales[:, None, None]


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """A mask [h, w], eight pixels a byte, the first in the highest bit; rows are not padded."""
    return zlib.compress(np.packbits(mask).tobytes(), 9)


def rounded(values: Sequence[float]) -> list[float]:
    """Numbers with the digits that are looked at: a curve is drawn, not computed with."""
    return [float(f"{value:.6g}") for value in values]
