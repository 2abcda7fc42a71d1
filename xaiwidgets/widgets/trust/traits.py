"""From findings to the traits `trust` and `trust_data`. Twin of js/src/trust/traits.ts."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xaiwidgets.live.frames import pooled, rounded
from xaiwidgets.live.pictures import encode

from .findings import ALIKE, SHARES, Control, Findings, Layers, Line, Settings
from .tested import Tested
from .words import sentences

SIDE, LAYER_SIDE, PICTURE_SIDE = 48, 32, 56
"""Pixels on the longer side of the maps of controls and of layers, and of the ablated pictures: a saved notebook keeps them."""
QUALITY = 50
"""Of the ablated pictures: holes are what weighs."""
LEVELS = 127


def about(tested: Tested, settings: Settings) -> dict[str, Any]:
    """What does not change while a test runs."""
    subject = tested.subject
    height, width = (1, len(subject.tokens)) if subject.picture is None else subject.picture.shape[:2]
    return {
        "key": tested.key,
        "about": {
            "method_title": tested.method, "target_label": tested.target, "foil_label": tested.foil,
            "input_label": subject.label, "medium": "text" if subject.is_text else "image", "width": width, "height": height,
        },
        "settings": {"fill": settings.fill, "measure": settings.measure},
        "choices": {"fill": list(map(list, tested.fills.items())), "measure": list(map(list, tested.measures.items()))},
        "unit": tested.unit(settings),
    }  # fmt: skip


def found_traits(found: Findings, tested: Tested, settings: Settings) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What is known so far, as a part of `trust`, and `trust_data`."""
    said: dict[str, Any] = {
        "curves": {kind: {name: _line(line) for name, line in lines.items()} for kind, lines in found.curves.items()},
        "sentences": sentences(found, tested, settings),
        "cost": {
            "forward": found.evaluations.get("forward", 0), "gradient": found.evaluations.get("gradient", 0),
            "seconds": round(found.seconds, 2),
        },
    }  # fmt: skip
    data: dict[str, bytes] = {}
    own = found.control("map")
    mass = 0.0 if own is None else float(np.abs(own.values).sum())
    if found.controls:
        packed = [_small(one.values, mass, SIDE, fixed=tested.subject.is_text) for one in found.controls]
        said["controls"] = [
            _control(one, stored, scale) for one, (stored, scale) in zip(found.controls, packed, strict=True)
        ]
        data["maps"] = _bytes([stored for stored, _ in packed])
    if found.layers is not None:
        said["layers"], data["layers"] = _layers(found.layers, mass, fixed=tested.subject.is_text)
    if found.frames:
        said["frames"], pictures = _frames(found, tested)
        data |= pictures
    return said, data


def _line(line: Line) -> dict[str, Any]:
    low, high = ([], []) if line.band is None else line.band
    areas = line.areas
    tries = len(areas)
    ends = None if tries == 1 else _rounded(line.area_ends)
    return {
        "x": _rounded(line.x), "y": _rounded(line.y), "low": _rounded(low), "high": _rounded(high),
        "area": _rounded([areas.mean()])[0], "areas": ends, "tries": tries,
    }  # fmt: skip


def _control(one: Control, stored: NDArray[np.int8], scale: float) -> dict[str, Any]:
    return {
        "key": one.key, "title": one.title, "shape": list(stored.shape), "scale": scale, "signed": one.signed,
        "rank": _known(one.rank), "rank_absolute": _known(one.rank_absolute), "ssim": _known(one.ssim),
    }  # fmt: skip


def _layers(layers: Layers, mass: float, *, fixed: bool) -> tuple[dict[str, Any], bytes]:
    shown = sorted(layers.maps)
    packed = [_small(layers.maps[place], mass, LAYER_SIDE, fixed=fixed) for place in shown]
    numbers = {name: [_known(value) for value in getattr(layers, name)] for name in (*ALIKE, "output")}
    return {
        "names": list(layers.names), **numbers, "shown": shown, "shape": list(packed[0][0].shape) if packed else [0, 0],
        "scales": [scale for _, scale in packed],
    }, _bytes([stored for stored, _ in packed])  # fmt: skip


def _frames(found: Findings, tested: Tested) -> tuple[dict[str, Any], dict[str, bytes]]:
    shares = list(SHARES)
    if tested.subject.is_text:
        kept = {kind: there.tolist() for kind, there in found.frames.items()}
        return {"tokens": list(tested.subject.tokens), "shares": shares, "kept": kept}, {}
    strips = {}
    side: list[int] = []
    for kind, pictures in found.frames.items():
        height, width = pictures.shape[1:3]
        scale = min(1.0, PICTURE_SIDE / max(height, width))
        side = [max(1, round(width * scale)), max(1, round(height * scale))]
        small = [np.asarray(Image.fromarray(one).resize((side[0], side[1]), Image.Resampling.BOX)) for one in pictures]
        strips[kind] = encode(np.concatenate(small, axis=1), quality=QUALITY)
    return {"side": side, "shares": shares}, strips


def _small(values: NDArray[np.floating[Any]], mass: float, side: int, *, fixed: bool) -> tuple[NDArray[np.int8], float]:
    """A map with few pixels as bytes and their scale, with the sum of |values| that the tested map has.

    fixed   a text keeps all its tokens
    """
    own = float(np.abs(values).sum())
    small = values if fixed else pooled(values, side)[0]
    small = np.asarray(small, np.float64) * (mass / own if own > 0 else 1.0)
    scale = float(np.abs(small).max(initial=0.0)) / LEVELS or 1.0
    return np.rint(small / scale).astype(np.int8), float(f"{scale:.6g}")


def _bytes(maps: list[NDArray[np.int8]]) -> bytes:
    return zlib.compress(b"".join(np.ascontiguousarray(one).tobytes() for one in maps), 9) if maps else b""


def _known(value: float | None) -> float | None:
    """A number that can be written as JSON."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _rounded(values: Any) -> list[float]:
    return rounded(np.asarray(values, np.float64).round(6).tolist())
