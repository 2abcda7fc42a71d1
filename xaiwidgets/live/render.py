"""The picture of a map, in numpy: the reference the browser is tested against, and the picture where no script runs.

Twin of js/src/lib/render.ts. A map and the reader's display settings give RGBA:

- values are added up over the unit shown (pixel or square block): attributions are a sum, so a block's is its pixels';
- the range r is a percentile of |a| (nearest rank), so that a few extreme pixels do not hide the rest;
- strength t = min(|a| / r, 1) ** gamma; signed maps put zero at the middle of a diverging table;
- over a picture, opacity follows the strength (its square root), so that zero lets the picture through.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.colors import Table

DISPLAY: dict[str, Any] = {
    "view": "overlay", "opacity": 0.85, "underlay": 1.0, "clip": 99.5, "gamma": 1.0, "sign": "both", "unit": "pixel", "block": 0,
    "top_p": 20, "scale_mode": "own", "range": 0.0, "reduction": "sum", "wipe": 0.5,
}  # fmt: skip
"""The default display settings; their meaning and ranges stand in docs/widgets.md."""

CHOICES = {
    "view": ("overlay", "side", "wipe", "mask"),
    "sign": ("both", "positive", "negative", "absolute"),
    "unit": ("pixel", "block", "superpixel"),
    "scale_mode": ("own", "shared", "fixed"),
    "reduction": ("sum", "magnitude", "l2"),
}

FADED = {"light": (217.0, 38.0 / 255.0), "dark": (0.0, 0.2)}  # offset and factor of the greys under an overlay
LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Rendered:
    """`rgba`: uint8 [height, width, 4]; `range`: the |value| drawn at full strength."""

    rgba: NDArray[np.uint8]
    range: float


def check_display(display: dict[str, Any]) -> dict[str, Any]:
    """Settings with the defaults filled in. Raises ValueError for an unknown name or a value of the wrong kind."""
    for name, value in display.items():
        if name not in DISPLAY:
            raise ValueError(f"display has no setting {name!r}; it has {', '.join(DISPLAY)}")
        if name in CHOICES and value not in CHOICES[name]:
            raise ValueError(f"display[{name!r}] is {value!r}; choose {', '.join(CHOICES[name])}")
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if name not in CHOICES and not number:
            raise ValueError(f"display[{name!r}] is {value!r}, not a number")
    return DISPLAY | display


def clip_range(values: NDArray[np.floating[Any]], clip: float) -> float:
    """The `clip`-th percentile of |values| by nearest rank; the largest value where that percentile is zero."""
    magnitudes = np.abs(values.astype(np.float32)).ravel()
    rank = max(math.ceil(clip / 100 * magnitudes.size) - 1, 0)
    return float(np.partition(magnitudes, rank)[rank]) or float(magnitudes.max())


def _chosen_range(settings: dict[str, Any], shared: float) -> float:
    """The range the reader chose; 0 where it follows from the map."""
    return {"fixed": float(settings["range"]), "shared": shared}.get(settings["scale_mode"], 0.0)


def block_sums(values: NDArray[np.floating[Any]], size: int) -> tuple[NDArray[np.floating[Any]], Any]:
    """Sums over square blocks [rows, columns], and the index that spreads them over the pixels again.

    `size` in pixels; 0 makes 14 blocks along the longer side. Blocks at the right and lower edge may be smaller.
    """
    side = max(1, math.floor((size if size > 0 else max(values.shape) / 14) + 0.5))
    starts = [np.arange(0, extent, side) for extent in values.shape]
    sums: NDArray[np.floating[Any]] = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    return sums, np.ix_(*(np.arange(extent) // side for extent in values.shape))


def keep_sign(values: NDArray[np.floating[Any]], sign: str) -> NDArray[np.floating[Any]]:
    """The part of the values a sign mode shows."""
    low = 0 if sign == "positive" else -np.inf
    high = 0 if sign == "negative" else np.inf
    shown: NDArray[np.floating[Any]] = np.clip(values, low, high)
    return np.abs(shown) if sign == "absolute" else shown


def render(
    values: NDArray[np.floating[Any]],
    table: Table,
    *,
    signed: bool,
    display: dict[str, Any] | None = None,
    warm_supports: bool = True,
    shared_range: float = 0.0,
) -> Rendered:
    """Draw a map [height, width] by pixels or blocks; superpixels are drawn as blocks, for want of their map.

    `table` is a diverging table where `signed` (and the sign mode is not "absolute"), else a sequential one, [256, 3];
    `shared_range` the range common to several maps, 0 where there is none.
    """
    settings = DISPLAY | (display or {})
    values = values.astype(np.float32).astype(np.float64)
    sums, unit_of = (values, ...) if settings["unit"] == "pixel" else block_sums(values, settings["block"])
    limit = _chosen_range(settings, shared_range) or clip_range(sums, settings["clip"])
    shown = keep_sign(sums, settings["sign"])[unit_of]
    strength = np.minimum(np.abs(shown) / limit, 1.0) ** settings["gamma"] if limit > 0 else np.zeros_like(shown)
    if signed and settings["sign"] != "absolute":
        direction = np.sign(shown) * (1.0 if warm_supports else -1.0)
        index = np.clip(np.floor(127.5 + direction * 127.5 * strength + 0.5), 0, 255).astype(np.intp)
    else:
        index = np.floor(255 * strength + 0.5).astype(np.intp)
    alpha = np.full_like(strength, 255.0) if settings["view"] == "side" else np.floor(255 * np.sqrt(strength) + 0.5)
    rgba = np.concatenate([table[index], alpha.astype(np.uint8)[..., None]], axis=-1)
    return Rendered(rgba.astype(np.uint8), limit)


def underlay(image: NDArray[np.uint8], fade: float, theme: str = "light") -> NDArray[np.uint8]:
    """The picture below an overlay: its greys faded so that its own contrast does not read as attribution. RGB [h, w, 3]."""
    offset, factor = FADED[theme]
    grey = offset + (image.astype(np.float64) @ LUMA)[..., None] * factor
    faded: NDArray[np.uint8] = np.round((1 - fade) * image + fade * grey).astype(np.uint8)
    return faded


def compose(
    image: NDArray[np.uint8], rendered: Rendered, *, opacity: float = 0.85, fade: float = 1.0, theme: str = "light"
) -> NDArray[np.uint8]:
    """A map over its picture, RGB at the size of the larger of the two."""
    height, width = (max(a, b) for a, b in zip(image.shape[:2], rendered.rgba.shape[:2], strict=True))
    base, top = (
        _resize(array, height, width).astype(np.float64) for array in (underlay(image, fade, theme), rendered.rgba)
    )
    alpha = top[..., 3:] / 255 * opacity
    composed: NDArray[np.uint8] = np.round(alpha * top[..., :3] + (1 - alpha) * base).astype(np.uint8)
    return composed


def _resize(array: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    rows = np.arange(height) * array.shape[0] // height
    columns = np.arange(width) * array.shape[1] // width
    resized: NDArray[np.uint8] = array[rows][:, columns]
    return resized
