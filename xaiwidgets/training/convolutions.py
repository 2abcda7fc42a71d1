"""Convolutions are linear in patches: of what goes in, or, where they are transposed, of the gradient that comes back."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .plans import Built, ByRow, Given, Plan, Watched
from .products import Formed, Outer
from .unfold import Patches


def convolution(watched: Watched, given: Given) -> Plan | None:
    image, weight, kernel, stride, dilation, groups = _read(given)
    if image.ndim != weight.ndim:  # one image without a batch
        return None
    inputs, name, bias = watched.keep(image), watched.name(weight), watched.name(given.get("bias"))
    sides = _padding(given.get("padding", 0), kernel, dilation)

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        images = by_row(gradient)
        if name:
            count = gradient.shape[2:]
            patches = Patches(by_row(inputs).flatten(0, 1), kernel, stride, sides, dilation, groups, count)
            yield name, Outer(_positions(images, groups), patches, weight.shape, len(images))
        if bias:
            yield bias, Formed(images.flatten(3).sum((1, 3)))

    return Plan(1, (name, bias), build)


def transposed(watched: Watched, given: Given) -> Plan | None:
    image, weight, kernel, stride, dilation, groups = _read(given)
    if image.ndim != weight.ndim:
        return None
    inputs, name, bias = watched.keep(image), watched.name(weight), watched.name(given.get("bias"))
    sides, count = _padding(given.get("padding", 0), kernel, dilation), image.shape[2:]

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        images = by_row(gradient)
        if name:
            patches = Patches(images.flatten(0, 1), kernel, stride, sides, dilation, groups, count)
            yield name, Outer(_positions(by_row(inputs), groups), patches, weight.shape, len(images))
        if bias:
            yield bias, Formed(images.flatten(3).sum((1, 3)))

    return Plan(1, (name, bias), build)


def _read(given: Given) -> tuple[Tensor, Tensor, tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
    image, weight = given["input"], given["weight"]
    kernel = tuple(weight.shape[2:])
    stride, dilation = (_each(given.get(name, 1), len(kernel)) for name in ("stride", "dilation"))
    return image, weight, kernel, stride, dilation, given.get("groups", 1)


def _padding(
    padding: str | int | Sequence[int], kernel: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """What is added before and behind each axis."""
    if padding == "same":
        wholes = [(size - 1) * far for size, far in zip(kernel, dilation, strict=True)]
        return [(whole // 2, whole - whole // 2) for whole in wholes]
    sides = _each(0 if isinstance(padding, str) else padding, len(kernel))
    return [(side, side) for side in sides]


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def _positions(images: Tensor, groups: int) -> Tensor:
    """[B, pieces, channels, *size] as [B, groups, positions, channels of a group]."""
    flat: Tensor = images.flatten(3).unflatten(2, (groups, -1))
    return flat.squeeze(1).mT if flat.shape[1] == 1 else flat.permute(0, 2, 1, 4, 3).flatten(2, 3)
