"""The patches that a convolution multiplies its weights with: any number of axes, strides, dilations, groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of an image, cut out when they are asked for and not kept.

    image     [N, channels, *size]
    kernel, stride, padding (one pair an axis), dilation, groups   as the convolution's
    count     number of patches along each axis; what a longer image has more is left out
    """

    image: Tensor
    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[tuple[int, int]]
    dilation: Sequence[int]
    groups: int
    count: Sequence[int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, groups, patches, numbers in one]."""
        channels = self.image.shape[1] // self.groups
        return len(self.image), self.groups, math.prod(self.count), channels * math.prod(self.kernel)

    def tensor(self) -> Tensor:
        """[N, groups, patches, numbers in one]; the patches lie along the innermost axis of the memory."""
        image = self.image
        if any(any(pair) for pair in self.padding):
            image = functional.pad(image, [side for pair in reversed(self.padding) for side in pair])
        rows, channels = image.shape[:2]
        steps = image.stride()[2:]
        windows = image.as_strided(
            (rows, channels, *self.kernel, *self.count),
            (
                *image.stride()[:2],
                *(step * far for step, far in zip(steps, self.dilation, strict=True)),
                *(step * far for step, far in zip(steps, self.stride, strict=True)),
            ),
        )
        return windows.reshape(rows, self.groups, -1, math.prod(self.count)).mT
