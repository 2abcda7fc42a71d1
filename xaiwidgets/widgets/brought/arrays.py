"""Numbers in any container as NumPy arrays, and how their axes are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.errors import InputError

Array = NDArray[np.float32]
Channels = Literal["first", "last"]
COLOURS = (1, 3, 4)
"""Lengths of an axis that holds colours."""
CALL = 'xw.show({"name": values, "another": values}, …)'


def array(value: Any, what: str = "values") -> Array:
    """Anything that holds numbers as float32. Raises InputError for what holds none."""
    if isinstance(value, Tensor):
        value = value.detach().to_dense().cpu()
        value = value.float() if not value.is_complex() else value
        found = value.numpy()
    else:
        try:
            found = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise _no_numbers(value, what) from error
    if found.dtype.kind not in "fiub":
        raise _no_numbers(value, what)
    with np.errstate(over="ignore"):
        single: Array = found.astype(np.float32)
    return single


def finite(values: Array, name: str) -> Array:
    """The same values. Raises InputError where one is no number: a map of them would be drawn wrongly."""
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong:
        raise InputError(
            "not_finite", f"{name}: {wrong} of {values.size} values are NaN or infinite", "In float32, as they are shown.",
            "Find out why, or pass numpy.nan_to_num(values).",
        )  # fmt: skip
    return values


def numbers(value: Any, count: int, what: str) -> list[float | None]:
    """One number for each input, or none for any."""
    if value is None:
        return [None] * count
    found = array(value, what).reshape(-1)
    if len(found) != count:
        raise InputError(
            "number_count", f"{what}= holds {len(found)} numbers for {count} inputs", hint="Pass one for each input."
        )
    return [float(one) for one in finite(found, what)]


def maps(values: Array | Sequence[Array], count: int | None, channels: Channels | None, name: str) -> list[Array]:
    """Values of images as one [channels, height, width] for each.

    count      how many images there are, where that is known
    channels   where the colours are, where that was said
    """
    if not isinstance(values, np.ndarray):
        found = [one for part in values for one in maps(part, 1, channels, name)]
    elif values.ndim == 2:
        found = [values[None]]
    elif values.ndim == 3:
        found = _three(values, count, channels)
    elif values.ndim == 4:
        last = channels == "last" or (channels is None and _colours_last(values.shape[1:]))
        found = list(np.moveaxis(values, -1, 1) if last else values)
    else:
        raise InputError(
            "values_shape", f"{name}: values of shape {list(values.shape)} are no images",
            hint="Pass [images, channels, height, width], [images, height, width] or [height, width]; of several classes one: "
            "values[..., 0]. Values of a text need tokens=.",
        )  # fmt: skip
    if not found or any(0 in one.shape for one in found):
        raise InputError("values_shape", f"{name}: there are no values", "An axis has length 0.")
    if count is not None and len(found) != count:
        shape = f"of shape {list(values.shape)} " if isinstance(values, np.ndarray) else ""
        raise InputError(
            "input_count", f"{name}: values {shape}are about {len(found)} images, and there are {count}",
            hint='Pass one picture for each; channels="first" or "last" says which axis holds colours.',
        )  # fmt: skip
    return [np.ascontiguousarray(finite(one, name)) for one in found]


def _three(values: Array, count: int | None, channels: Channels | None) -> list[Array]:
    """Colours of one image, or maps of several."""
    if channels == "first" or (channels is None and values.shape[0] in COLOURS and (count or 1) == 1):
        return [values]
    if channels == "last" or (channels is None and _colours_last(values.shape) and (count or 1) == 1):
        return [np.moveaxis(values, -1, 0)]
    if count == 1 and values.shape[0] != 1:  # of a layer: many channels
        return [values]
    return list(values[:, None])


def _colours_last(shape: Sequence[int]) -> bool:
    return shape[-1] in COLOURS and shape[0] not in COLOURS


def _no_numbers(value: Any, what: str) -> InputError:
    return InputError(
        "no_numbers", f"{what}: {type(value).__name__} holds no numbers that can be shown",
        hint=f"Pass a tensor, an array, nested lists of equal lengths, or what a library gave. Several: {CALL}",
    )  # fmt: skip


def is_numeric(value: Any) -> bool:
    """Whether it is a tensor or an array, and no container of them."""
    return isinstance(value, (Tensor, np.ndarray)) or hasattr(value, "__array__")


def summed(values: Array, axis: int) -> Array:
    """In double, so that long axes lose nothing."""
    total: Array = values.sum(axis, dtype=np.float64).astype(np.float32)
    return total


def tensor(values: Array) -> Tensor:
    """A row of a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(values))[None]
