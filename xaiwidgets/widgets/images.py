"""Model inputs as pictures to look at: what the tensor's numbers most likely mean, said aloud where it is a guess."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from xaiwidgets.engine.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TOLERANCE = 0.02
_GUESSED = "pass image= (a picture, or a callable that undoes the normalisation) to be sure"

Pixels = NDArray[np.uint8]
Picture = Any
"""A PIL image, or an array [h, w, 3] or [h, w] or tensor [c, h, w]: uint8, or floating point in 0..1."""


def pictures(
    inputs: Tensor, image: Picture | Sequence[Picture] | Callable[[Tensor], Tensor] | None = None
) -> tuple[list[Pixels], str]:
    """A picture for each row of `inputs` [n, c, h, w], and a sentence if their colours were guessed (else "")."""
    if image is None:
        return _guess(inputs)
    if callable(image):
        return [as_pixels(row) for row in image(inputs.detach())], ""
    given = list(image) if isinstance(image, (list, tuple)) else [image]
    if len(given) != len(inputs):
        raise InputError(
            "image_count",
            f"image= holds {len(given)} pictures for {len(inputs)} inputs",
            hint="Pass one picture for each input.",
        )
    return [as_pixels(picture) for picture in given], ""


def as_pixels(picture: Picture) -> Pixels:
    """Any picture as uint8 [height, width, 3]. Raises InputError if it is none."""
    if isinstance(picture, Image.Image):
        picture = picture.convert("RGB")  # palettes, transparency, CMYK
    if isinstance(picture, Tensor):
        tensor = picture.detach().cpu()
        array = (tensor if tensor.dtype == torch.uint8 else tensor.float()).numpy()
        array = array if array.ndim == 2 else np.moveaxis(array, 0, -1)
    else:
        array = np.asarray(picture)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise InputError(
            "image_shape",
            f"image= has shape {array.shape}",
            hint="Pass [height, width, 3], [height, width] or a tensor [channels, height, width].",
        )
    if array.dtype != np.uint8:
        if not np.isfinite(array).all() or array.min() < -_TOLERANCE or array.max() > 1 + _TOLERANCE:
            raise InputError(
                "image_range",
                f"image= has float values from {array.min():.3g} to {array.max():.3g}",
                hint="Pass values in 0..1, or uint8 in 0..255.",
            )
        array = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(
        np.broadcast_to(array, (*array.shape[:2], 3)) if array.shape[2] == 1 else array[..., :3]
    )


def _guess(inputs: Tensor) -> tuple[list[Pixels], str]:
    undo, note = undone(inputs)
    return [as_pixels(row) for row in undo(inputs)], note


def undone(inputs: Tensor) -> tuple[Callable[[Tensor], Tensor], str]:
    """How rows like these [n, c, h, w] become values in 0..1, and a sentence if that is a guess (else "")."""
    values = inputs.detach().to("cpu", torch.float32)
    note, grey = "", values.shape[1] not in (1, 3)
    if grey:
        values, note = (
            values.mean(1, keepdim=True),
            f"The picture is the mean of {values.shape[1]} channels; {_GUESSED}.",
        )
    low, high = float(values.min()), float(values.max())
    mean, std = torch.zeros(1), torch.ones(1)
    if not _within(low, high, 0, 1):
        usual = [torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD)]
        natural = values * usual[1] + usual[0] if values.shape[1] == 3 else values
        if _within(low, high, -1, 1):
            mean, std, note = mean + 0.5, std / 2, f"Colours: -1..1 taken as black..white; {_GUESSED}."
        elif values.shape[1] == 3 and _within(float(natural.min()), float(natural.max()), 0, 1):
            mean, std = usual
            note = f"Colours: ImageNet normalisation undone, as the values {low:.2f}..{high:.2f} suggest; {_GUESSED}."
        else:
            std = std / (high - low or 1)
            mean = mean - low * std
            note = f"Colours: values {low:.3g}..{high:.3g} stretched to black..white; {_GUESSED}."

    def undo(rows: Tensor) -> Tensor:
        rows = rows.detach().to("cpu", torch.float32)
        return ((rows.mean(1, keepdim=True) if grey else rows) * std + mean).clamp(0, 1)

    return undo, note


def _within(low: float, high: float, lowest: float, highest: float) -> bool:
    return low >= lowest - _TOLERANCE and high <= highest + _TOLERANCE
