"""Arrays to bytes for the browser, and back.

Several maps travel as one zlib stream (the browser inflates it natively), each described by where it starts and how its
numbers are stored. `int8` with one scale costs 0.4 % of the largest value and a quarter of the bytes of `float32`;
`float16` is there for debugging. Twin of js/src/lib/transport.ts.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

LEVEL = 3
"""Of zlib: on noisy maps level 6 takes 1.6 times as long and saves 3 % more."""
Precision = Literal["int8", "float16", "float32"]


@dataclass(frozen=True)
class Map:
    """One picture of numbers. `values`: float array [height, width]."""

    key: str
    label: str
    values: NDArray[np.floating[Any]]
    signed: bool
    unit: str = ""


def quantise(values: NDArray[np.floating[Any]], precision: Precision = "int8") -> tuple[NDArray[Any], float]:
    """`(stored, scale)` with `stored * scale` close to `values`; not-a-number is refused."""
    if not np.isfinite(values).all():
        raise ValueError("map values must be finite: an attribution holds NaN or infinity")
    if precision == "float32":
        return values.astype("<f4"), 1.0
    largest = float(np.abs(values).max(initial=0.0))
    scale = largest / 127.0 or 1.0
    if precision == "float16":
        # scaled to ±1 first: tiny gradients would underflow float16
        return (values / (largest or 1.0)).astype("<f2"), largest or 1.0
    # in double: the steps of a map of subnormal float32 values are no float32 numbers
    with np.errstate(over="ignore"):  # numpy 1 divides empty lanes of its vectors too, by steps as small as these
        return np.rint(values.astype(np.float64) / scale).astype(np.int8), scale


def pack(maps: Sequence[Map], precision: Precision = "int8") -> tuple[list[dict[str, Any]], bytes]:
    """Descriptions (JSON) and one zlib stream for all maps."""
    descriptions, chunks, offset = [], [], 0
    for item in maps:
        stored, scale = quantise(item.values, precision)
        chunk = np.ascontiguousarray(stored).tobytes()
        descriptions.append({
            "key": item.key, "label": item.label, "reduction": item.key, "signed": item.signed, "unit": item.unit,
            "shape": list(item.values.shape), "dtype": precision, "scale": scale, "offset": offset, "enc": "zlib",
        })  # fmt: skip
        chunks.append(chunk)
        # 4-byte aligned, so that the browser can view floats in place
        padding = -len(chunk) % 4
        chunks.append(b"\0" * padding)
        offset += len(chunk) + padding
    return descriptions, zlib.compress(b"".join(chunks), LEVEL)


def unpack(descriptions: Sequence[dict[str, Any]], data: bytes) -> dict[str, NDArray[np.float32]]:
    """The maps again, by key."""
    raw = zlib.decompress(data) if data else b""
    maps = {}
    for item in descriptions:
        dtype = np.dtype({"int8": "i1", "float16": "<f2", "float32": "<f4"}[item["dtype"]])
        stored = np.frombuffer(raw, dtype, count=int(np.prod(item["shape"])), offset=item["offset"])
        maps[item["key"]] = (stored.reshape(item["shape"]).astype(np.float64) * item["scale"]).astype(np.float32)
    return maps


def pack_labels(labels: NDArray[np.integer[Any]]) -> bytes:
    """A map of region numbers as zlib-packed little-endian uint16."""
    if labels.min() < 0 or labels.max() > np.iinfo(np.uint16).max:
        raise ValueError(f"region numbers must lie in 0..65535, got {labels.min()}..{labels.max()}")
    return zlib.compress(labels.astype("<u2").tobytes(), 6)
