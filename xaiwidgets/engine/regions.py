"""Parts of an input that are taken away together: pixels, blocks, superpixels, tokens, or the caller's own mask.

Regions are numbers: one tensor of ids says which region each value of the input belongs to. An axis of size one means
that all values along it share their region, as the channels of a pixel do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import ExplainError, ParameterError, did_you_mean
from .inputs import Inputs

NAMES = ("auto", "pixel", "block", "superpixel", "token", "coarse")
FEW_BLOCKS, MANY_BLOCKS = 8, 14  # along the shorter side of a small and of a large image
LARGE = 112
COARSE = {1: 9, 2: 3, 3: 2}  # parts along each of so many axes

RegionsLike = str | Tensor | tuple[Any, ...] | list[Any] | dict[str, Any]


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of every row.

    ids     [1 or rows, ...] broadcastable to the points; one row is shared by all. Numbers 0..count-1 of the row's own
    counts  how many regions each row has
    """

    ids: Tensor
    counts: tuple[int, ...]


def resolve(regions: Any, inputs: Inputs) -> Regions:
    """Any way of naming regions, for the explained input.

    "auto"        blocks of an image or a volume, the tokens of [batch, tokens, features], every value of anything else
    "pixel"       every place of [batch, channels, places...] with all its channels; every value of smaller inputs
    "block"       squares of an eighth of the shorter side, a fourteenth from 112 pixels on; of a series
                  [batch, channels, length] stretches, of [batch, features] neighbours
    "superpixel"  SLIC (Achanta et al. 2012), of every image on its own; needs scikit-image
    "coarse"      few enough to enumerate: 3 × 3 parts of an image, 2 × 2 × 2 of a volume, nine stretches of tokens or
                  values
    "token"       every position of [batch, tokens, features], every element of [batch, tokens]
    a tensor      ids of any integers, broadcastable to one row or to the whole batch

    Several explained inputs may get one each, in a tuple or dict; equal ids of tensors join regions across inputs.
    """
    leaves = inputs.leaves
    if isinstance(regions, Mapping):
        named = {str(key): value for key, value in regions.items()}
        unknown = named.keys() - {str(key) for key in inputs.explained}
        if unknown:
            raise ParameterError(
                "unknown_regions",
                f"regions={sorted(unknown)} name no explained input",
                hint=did_you_mean(min(unknown), [str(key) for key in inputs.explained]),
            )
        parts = [named.get(str(key), "auto") for key in inputs.explained]
    elif isinstance(regions, tuple | list) and inputs.several:
        if len(regions) != len(leaves):
            raise ParameterError(
                "regions_shape", f"{len(regions)} regions for {len(leaves)} explained inputs", hint="Give one for each."
            )
        parts = list(regions)
    else:
        parts = [regions] * len(leaves)
    found = [_of_leaf(part, leaf) for part, leaf in zip(parts, leaves, strict=True)]
    ids = _join([isinstance(part, str) for part in parts], found, inputs)
    return _numbered(ids.to(leaves[0].device))


def _of_leaf(regions: Any, leaf: Tensor) -> Tensor:
    if isinstance(regions, str):
        if regions not in BUILDERS:
            raise ParameterError(
                "unknown_regions", f"There are no regions {regions!r}", hint=did_you_mean(regions, NAMES)
            )
        return BUILDERS[regions](leaf)
    if not isinstance(regions, Tensor | np.ndarray):
        raise ParameterError(
            "unknown_regions",
            f"{type(regions).__name__} names no regions",
            hint=f"Use a tensor of integers or one of {', '.join(NAMES)}.",
        )
    mask = torch.as_tensor(regions)
    if mask.is_floating_point() or mask.is_complex():
        raise ParameterError(
            "regions_type", f"Region ids are integers, not {mask.dtype}", hint="Convert the mask with .long()."
        )
    lengths = tuple(leaf.shape)
    shape = (1,) * (leaf.ndim - mask.ndim) + tuple(mask.shape)
    if len(shape) != leaf.ndim or any(size not in (1, length) for size, length in zip(shape, lengths, strict=True)):
        raise ParameterError(
            "regions_shape",
            f"A mask of shape {list(mask.shape)} does not fit an input of shape {list(lengths)}",
            hint="Give ids for one row or for the whole batch; axes of size one are shared.",
        )
    return mask.detach().long().reshape(shape).to(leaf.device)


def _join(fresh: list[bool], found: list[Tensor], inputs: Inputs) -> Tensor:
    """One tensor of ids for all explained inputs; ids of named regions are kept apart from all others."""
    if not inputs.several:
        return found[0]
    start = max((int(ids.max()) + 1 for ids, named in zip(found, fresh, strict=True) if not named), default=0)
    parts = []
    for ids, named, leaf in zip(found, fresh, inputs.leaves, strict=True):
        shifted = ids + start if named else ids
        start = int(shifted.max()) + 1 if named else start
        parts.append(shifted.expand(ids.shape[0], *leaf.shape[1:]).flatten(1).cpu())
    rows = max(len(part) for part in parts)
    return torch.cat([part.expand(rows, -1) for part in parts], dim=1)


def _numbered(ids: Tensor) -> Regions:
    """The regions of each row as 0..count-1 in the order of their ids; equal rows are kept once."""
    if len(ids) > 1 and bool((ids == ids[:1]).all()):
        ids = ids[:1]
    rows = [torch.unique(row, return_inverse=True) for row in ids]
    return Regions(torch.stack([inverse for _, inverse in rows]), tuple(len(known) for known, _ in rows))


# --- named regions -------------------------------------------------------------------------------------------------


def _auto(leaf: Tensor) -> Tensor:
    return (_blocks if leaf.ndim >= 4 else _tokens if leaf.ndim == 3 else _pixels)(leaf)


def _pixels(leaf: Tensor) -> Tensor:
    shape = (1, 1, *leaf.shape[2:]) if leaf.ndim >= 4 else (1, *leaf.shape[1:])
    return torch.arange(math.prod(shape)).reshape(shape)


def _tokens(leaf: Tensor) -> Tensor:
    if leaf.ndim not in (2, 3):
        raise ParameterError(
            "regions_shape",
            f"An input of shape {list(leaf.shape)} has no tokens",
            hint='Use "pixel", "block", "superpixel" or a tensor of region ids.',
        )
    return torch.arange(leaf.shape[1]).reshape(1, -1, *[1] * (leaf.ndim - 2))


def _blocks(leaf: Tensor) -> Tensor:
    if leaf.ndim < 2:
        return _pixels(leaf)
    lead = 2 if leaf.ndim > 2 else 1
    shorter = min(leaf.shape[lead:])
    side = math.ceil(shorter / (MANY_BLOCKS if shorter >= LARGE else FEW_BLOCKS))
    return _product(leaf, {axis: torch.arange(leaf.shape[axis]) // side for axis in range(lead, leaf.ndim)})


def _coarse(leaf: Tensor) -> Tensor:
    axes = range(2, leaf.ndim) if leaf.ndim > 3 else range(1, min(leaf.ndim, 2))
    parts = COARSE.get(len(axes), 1)
    return _product(leaf, {axis: torch.arange(leaf.shape[axis]) * parts // leaf.shape[axis] for axis in axes})


def _product(leaf: Tensor, along: dict[int, Tensor]) -> Tensor:
    """Ids of the parts that cuts along some axes make together, in reading order."""
    ids = torch.zeros((1,) * leaf.ndim, dtype=torch.long)
    for axis, cut in along.items():
        ids = ids * (int(cut.max()) + 1) + cut.reshape(-1, *[1] * (leaf.ndim - 1 - axis))
    return ids


def _superpixels(leaf: Tensor) -> Tensor:
    if leaf.ndim != 4:
        raise ParameterError(
            "regions_shape",
            f"Superpixels are of images [batch, channels, height, width], and the input has shape {list(leaf.shape)}",
            hint='Use "pixel", "block", "token" or a tensor of region ids.',
        )
    height, width = leaf.shape[2:]
    pictures = leaf.detach().float().cpu()
    low, high = (pictures.flatten(1).aminmax(dim=1)[side].reshape(-1, 1, 1, 1) for side in (0, 1))
    pictures = (pictures - low) / (high - low).clamp(min=1e-12)
    if pictures.shape[1] != 3:
        pictures = pictures.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    labels = [superpixels(picture.permute(1, 2, 0).numpy(), (height, width)) for picture in pictures]
    return torch.from_numpy(np.stack(labels)).unsqueeze(1)


def superpixels(pixels: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.integer[Any]]:
    """Region numbers 0..n-1 for a map of `shape`: SLIC (Achanta et al. 2012), about 60 regions, fewer on small images.

    `pixels` [height, width, 3] are bytes or numbers from 0 to 1. Raises ExplainError without scikit-image.
    """
    try:
        from skimage import transform  # noqa: PLC0415
        from skimage.segmentation import slic  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ExplainError(
            "missing_extra",
            "Superpixels need scikit-image",
            str(error),
            "pip install 'xaiwidgets[images]', then choose superpixel again.",
        ) from error
    picture = transform.resize(pixels, (*shape, 3), order=1, anti_aliasing=True)
    count = int(min(60, max(4, math.prod(shape) // 16)))
    labels = slic(picture, n_segments=count, compactness=10, start_label=0, channel_axis=-1)
    return np.asarray(np.unique(labels, return_inverse=True)[1].reshape(shape), dtype=np.int64)


BUILDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "auto": _auto,
    "pixel": _pixels,
    "block": _blocks,
    "superpixel": _superpixels,
    "token": _tokens,
    "coarse": _coarse,
}
