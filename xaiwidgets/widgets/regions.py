"""A rectangle of an image blurred away to ask again."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError


def check_region(region: dict[str, Any], height: int, width: int) -> tuple[int, int, int, int]:
    """`(y0, y1, x0, x1)` of a half-open rectangle inside the image. Raises InputError."""
    try:
        x0, y0, x1, y1 = (int(region[name]) for name in ("x0", "y0", "x1", "y1"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError("region", f"{region!r} is no region", hint="Give x0, y0, x1 and y1 in pixels.") from error
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(
            "region",
            f"The region x {x0}..{x1}, y {y0}..{y1} is empty or leaves the image",
            hint=f"Stay within {width} × {height} pixels.",
        )
    return y0, y1, x0, x1


def blur_region(image: Tensor, rectangle: tuple[int, int, int, int]) -> Tensor:
    """The image [1, c, h, w] with a rectangle (y0, y1, x0, x1) replaced by a heavy blur of the image.

    The blur is an average over about half the rectangle's size in each direction, so that what was there cannot be
    recognised while its surroundings' colours stay likely.
    """
    y0, y1, x0, x1 = rectangle
    blurred = image
    for axis, size in ((2, y1 - y0), (3, x1 - x0)):
        blurred = _box_blur(_box_blur(blurred, axis, size), axis, size)
    changed = image.clone()
    changed[..., y0:y1, x0:x1] = blurred[..., y0:y1, x0:x1]
    return changed


def _box_blur(image: Tensor, axis: int, size: int) -> Tensor:
    """Mean over `size` pixels (made odd) along an axis, edges repeated."""
    reach = min(max(size // 2, 1), image.shape[axis] - 1)
    if reach < 1:
        return image
    kernel = [1, 1]
    kernel[axis - 2] = 2 * reach + 1
    padding = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    return functional.avg_pool2d(functional.pad(image, padding, mode="replicate"), kernel, stride=1)
