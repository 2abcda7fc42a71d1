"""From colours to what the model is given, and back.

A picture and the tensor made of it are related by a line for each channel, unless something unusual was done in between:
common normalisations are tried, then the line is fitted and kept if it explains every pixel to within the rounding of
the picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.live.render import LUMA
from xaiwidgets.widgets.images import IMAGENET_MEAN, IMAGENET_STD

_LEVEL = 1.01
"""Picture levels by which a line may miss a pixel: half of one is the rounding, the rest is float32's."""
_BEYOND = 6.0
"""Levels by which values may lie outside a picture's range, which clips them."""
OWN_RANGE = (
    "Colours: the input could not be matched with its picture, so black and white are the ends of the input's own range; "
    "pass image= (the picture it was made of) to be sure."
)
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ColourMap:
    """value = slope · level + offset for levels 0..255, for three channels or for one. `note`: what was guessed, or ""."""

    slope: Numbers
    offset: Numbers
    note: str = ""

    def to_input(self, pixels: NDArray[np.uint8], channels: int) -> Tensor:
        """Pixels [..., 3] as values [channels, ...]; channels that are no colours get the brightness."""
        levels = np.moveaxis(pixels.astype(np.float64), -1, 0)
        if len(self.slope) == 1:
            levels = (LUMA @ levels.reshape(3, -1)).reshape(1, *levels.shape[1:])
        shape = (-1, *[1] * (levels.ndim - 1))
        values = torch.from_numpy(levels * self.slope.reshape(shape) + self.offset.reshape(shape))
        return values.expand(channels, *levels.shape[1:])

    def to_pixels(self, values: Tensor) -> NDArray[np.uint8]:
        """Values [channels, h, w] as uint8 [h, w, 3]."""
        levels = (_colours(values) - self.offset[:, None, None]) / self.slope[:, None, None]
        pixels = np.round(np.clip(np.nan_to_num(levels), 0, 255)).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1))


def fit_colours(picture: NDArray[np.uint8], values: Tensor) -> ColourMap:
    """The line behind a picture [h, w, 3] and the tensor [channels, h, w] that the model gets."""
    channels = _colours(values)
    levels = np.moveaxis(picture.astype(np.float64), -1, 0)
    if len(channels) == 1:
        levels = (LUMA @ levels.reshape(3, -1)).reshape(1, *levels.shape[1:])
    for slope, offset in [*_known(len(channels)), *_fitted(levels, channels)]:
        if _explains(levels, (channels - offset[:, None, None]) / slope[:, None, None]):
            return ColourMap(slope, offset)
    low, high = float(channels.min()), float(channels.max())
    return ColourMap(np.array([(high - low or 1.0) / 255]), np.array([low]), OWN_RANGE)


def _colours(values: Tensor) -> Numbers:
    """[channels, h, w] as three channels, or as one: what the picture shows of any other number of channels."""
    array = values.detach().to("cpu", torch.float64).numpy()
    return array if len(array) == 3 else array.mean(0, keepdims=True)


def _known(channels: int) -> list[tuple[Numbers, Numbers]]:
    """0..1, -1..1, ImageNet's, 0..255: in the order in which they are likely, for images of one colour fit several."""
    unit, signed, plain = (
        (np.full(channels, slope), np.full(channels, offset))
        for slope, offset in ((1 / 255, 0.0), (2 / 255, -1.0), (1.0, 0.0))
    )
    mean, deviation = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    imagenet = [(1 / 255 / deviation, -mean / deviation)] if channels == 3 else []
    return [unit, signed, *imagenet, plain]


def _fitted(levels: Numbers, channels: Numbers) -> list[tuple[Numbers, Numbers]]:
    """The line of least squares for each channel; none where a channel is of one level, or of one value."""
    flat, wanted = levels.reshape(len(levels), -1), channels.reshape(len(channels), -1)
    centred = flat - flat.mean(1, keepdims=True)
    spread = (centred**2).sum(1)
    if (spread == 0).any():
        return []
    slope = (centred * wanted).sum(1) / spread
    return [(slope, wanted.mean(1) - slope * flat.mean(1))] if slope.all() else []


def _explains(levels: Numbers, found: Numbers) -> bool:
    """Whether the levels found are the picture's, which was rounded and clipped."""
    low = np.where(levels < 0.5, _BEYOND, _LEVEL)
    high = np.where(levels > 254.5, _BEYOND, _LEVEL)
    return bool(((found >= levels - low) & (found <= levels + high)).all())


def parse_colour(colour: str) -> NDArray[np.uint8]:
    """A colour written #rrggbb as uint8 [3]."""
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)


def write_colour(pixel: NDArray[np.uint8]) -> str:
    """uint8 [3] as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*pixel.tolist())
