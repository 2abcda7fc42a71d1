"""Pixels as the bytes of a picture file, and the figure shown where no script runs."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = 64 * 64
"""Up to this many pixels a picture is stored exactly (PNG); above it, as JPEG, which a photograph hardly shows."""
EXACT_BYTES = 4096
"""What a small picture may weigh unless told otherwise: above it, it is a photograph, and stored as one."""
THUMBNAIL = 64


def encode(pixels: NDArray[np.uint8], *, quality: int = 75, exact_bytes: int = EXACT_BYTES, small: int = 90) -> bytes:
    """PNG for small pictures, JPEG for photographs and large ones. `pixels`: uint8 [height, width, 3].

    quality       of JPEG, 1 to 95
    exact_bytes   what a small picture may weigh as PNG; above it, it is a photograph, and JPEG of quality `small`
    """
    picture = Image.fromarray(pixels)
    if pixels.shape[0] * pixels.shape[1] > SMALL:
        return _saved(picture, "JPEG", quality=quality)
    exact = _saved(picture, "PNG")
    return exact if len(exact) <= exact_bytes else _saved(picture, "JPEG", quality=small)


def _saved(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, optimize=True, **options)
    return buffer.getvalue()


def thumbnails(pictures: list[NDArray[np.uint8]]) -> bytes:
    """One strip of square thumbnails, 64 pixels each."""
    strip = Image.new("RGB", (THUMBNAIL * len(pictures), THUMBNAIL))
    for position, pixels in enumerate(pictures):
        side = min(pixels.shape[:2])
        top, left = ((size - side) // 2 for size in pixels.shape[:2])
        square = Image.fromarray(pixels[top : top + side, left : left + side])
        method = Image.Resampling.NEAREST if side < THUMBNAIL else Image.Resampling.LANCZOS
        strip.paste(square.resize((THUMBNAIL, THUMBNAIL), method), (THUMBNAIL * position, 0))
    return encode(np.asarray(strip))


def data_uri(pixels: NDArray[np.uint8], width: int) -> str:
    """A picture as a data URI, `width` pixels wide; small ones are enlarged by whole pixels.

    Coarser than `encode`: beside the map itself, a noisy map as JPEG is what weighs most in a saved notebook.
    """
    height = max(round(pixels.shape[0] * width / pixels.shape[1]), 1)
    method = Image.Resampling.NEAREST if pixels.shape[1] < width else Image.Resampling.LANCZOS
    data = encode(np.asarray(Image.fromarray(pixels).resize((width, height), method)), quality=60)
    kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
