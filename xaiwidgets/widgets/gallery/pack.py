"""Numbers as the page reads them: zlib streams of little-endian numbers, and what they mean. Twin of js/src/gallery/pack.ts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.transport import LEVEL

DTYPES = {"u8": "u1", "u16": "<u2", "f16": "<f2", "i32": "<i4", "f32": "<f4"}


def pack_floats(values: NDArray[np.floating[Any]]) -> bytes:
    """Any shape, as float32."""
    return zlib.compress(np.ascontiguousarray(values, "<f4").tobytes(), LEVEL)


def unpack_floats(data: bytes, columns: int) -> NDArray[np.float32]:
    """[n, columns] again."""
    return np.frombuffer(zlib.decompress(data) if data else b"", "<f4").reshape(-1, columns)


def pack_columns(fields: Mapping[str, NDArray[Any]], total: int) -> tuple[dict[str, Any], bytes]:
    """`columns_meta` and `columns`: fields [n] one after another, each as small as its meaning allows.

    total   examples in the data set; there are more than n only where the columns name theirs in a field "ids"
    """
    entries, chunks = [], []
    for name, values in fields.items():
        dtype, scale = _kind(name, values)
        entries.append({"name": name, "dtype": dtype, "scale": scale, "low": 0.0})
        chunks.append(_stored(values, dtype, scale).tobytes())
    n = len(next(iter(fields.values()), ()))
    return {"n": n, "total": total, "fields": entries}, zlib.compress(b"".join(chunks), 6)


def unpack_columns(meta: Mapping[str, Any], data: bytes) -> dict[str, NDArray[np.float64]]:
    """The fields again, by name."""
    raw, offset, found = zlib.decompress(data), 0, {}
    for field in meta["fields"]:
        dtype = np.dtype(DTYPES[field["dtype"]])
        stored = np.frombuffer(raw, dtype, count=meta["n"], offset=offset).astype(np.float64)
        found[field["name"]] = field["low"] + field["scale"] * stored
        offset += meta["n"] * dtype.itemsize
    return found


def _kind(name: str, values: NDArray[Any]) -> tuple[str, float]:
    """How a field is stored: dtype and scale, value = scale · stored."""
    if name in ("conf", "confidence", "correctness", "variability") and np.isfinite(values).all():
        return "u8", (float(values.max(initial=0.0)) if name == "variability" else 1.0) / 255 or 1.0
    if np.issubdtype(values.dtype, np.integer):
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        dtype = next((kind for kind, most in (("u8", 255), ("u16", 65535)) if low >= 0 and high <= most), "i32")
        return dtype, 1.0
    return ("f32" if name in ("y", "yhat") else "f16"), 1.0


def _stored(values: NDArray[Any], dtype: str, scale: float) -> NDArray[Any]:
    if dtype.startswith("f"):
        limits = np.finfo(DTYPES[dtype])
        return np.asarray(np.clip(values, limits.min, limits.max).astype(DTYPES[dtype]))  # NaN stays NaN
    return np.rint(values / scale).astype(DTYPES[dtype])


def finite(value: Any) -> float | None:
    """A number as JSON may hold it."""
    number = float(value)
    return number if np.isfinite(number) else None


def shortened(text: str, most: int) -> str:
    """Its beginning, where it is long."""
    return text if len(text) <= most else text[:most].rstrip() + "…"


def plain_list(values: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """As JSON holds it; None for what is no number."""
    return [finite(value) for value in values]
