"""Pictures under maps, from whatever they came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.widgets.images import as_pixels, pictures

from .arrays import COLOURS, array

Pixels = NDArray[np.uint8]
BYTE = 255


def photos(image: Any) -> tuple[list[Pixels], str]:
    """A picture for each image, and a sentence where their colours were guessed.

    image   a PIL image, an array or a tensor of one or of several, with colours first or last; or a list of these
    """
    if callable(image) and not isinstance(image, (Tensor, np.ndarray)) and not hasattr(image, "__array__"):
        raise InputError(
            "image_shape", "image= is a function", hint="Here there are no inputs: pass the pictures themselves."
        )
    if isinstance(image, (list, tuple)):
        found = [photos(one) for one in image]
        return [view for views, _ in found for view in views], next((note for _, note in found if note), "")
    if hasattr(image, "convert"):  # PIL
        return [as_pixels(image)], ""
    batch = _colours_first(array(image, "image"), tensors=isinstance(image, Tensor))
    if batch.shape[1] == 4:
        batch = batch[:, :3]
    if not np.isfinite(batch).all():
        raise InputError("image_range", "image= holds NaN or infinity")
    low, high = float(batch.min()), float(batch.max())
    if low >= 0 and 2 * COLOURS[-1] < high <= BYTE:  # no normalisation reaches so far
        batch = (batch / BYTE).astype(batch.dtype)
    return pictures(torch.from_numpy(np.ascontiguousarray(batch)))


def _colours_first(values: NDArray[np.float32], *, tensors: bool) -> NDArray[np.float32]:
    """[images, channels, height, width]."""
    if values.ndim == 2:
        return values[None, None]
    if values.ndim == 3:
        first, last = values.shape[0] in COLOURS, values.shape[2] in COLOURS
        if first and (tensors or not last):
            return values[None]
        return np.moveaxis(values, -1, 0)[None] if last else values[:, None]
    if values.ndim == 4:
        first, last = values.shape[1] in COLOURS, values.shape[3] in COLOURS
        return np.moveaxis(values, -1, 1) if last and not (first and tensors) else values
    raise InputError(
        "image_shape",
        f"image= has shape {list(values.shape)}",
        hint="Pass [height, width, 3], or [images, channels, height, width].",
    )


def stretched(views: Sequence[Pixels], maps: Sequence[NDArray[np.float32]]) -> str:
    """A sentence where a map has another form than its picture."""
    for view, own in zip(views, maps, strict=True):
        (height, width), (rows, columns) = view.shape[:2], own.shape[-2:]
        if abs(height * columns / (width * rows) - 1) > 0.02:
            return (
                f"The map is {columns} × {rows} and the picture {width} × {height}: it was stretched over it. "
                "Pass the picture as the model saw it, cropped and resized."
            )
    return ""
