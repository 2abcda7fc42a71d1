"""Photographs that scikit-learn and scikit-image carry in their packages."""

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.examples.example import require

_SCIKIT_LEARN = ("china.jpg", "flower.jpg")
_SCIKIT_IMAGE = ("astronaut", "cat", "coffee", "rocket")


def photographs() -> dict[str, NDArray[np.uint8]]:
    """All of them by name, uint8 [height, width, 3]."""
    names = [*(name.removesuffix(".jpg") for name in _SCIKIT_LEARN), *_SCIKIT_IMAGE]
    return {name: photograph(name) for name in names}


def photograph(name: str) -> NDArray[np.uint8]:
    """One photograph by name: china, flower, astronaut, cat, coffee or rocket. uint8 [height, width, 3].

    Raises ValueError for another name, ImportError without the `demo` extra.
    """
    if f"{name}.jpg" in _SCIKIT_LEARN:
        picture = require("sklearn.datasets").load_sample_image(f"{name}.jpg")
    elif name in _SCIKIT_IMAGE:
        picture = getattr(require("skimage.data"), name)()
    else:
        known = ", ".join([*(n.removesuffix(".jpg") for n in _SCIKIT_LEARN), *_SCIKIT_IMAGE])
        raise ValueError(f"there is no photograph {name!r}; there are {known}")
    return np.array(picture, dtype=np.uint8)
