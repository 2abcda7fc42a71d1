"""The input gradient of a strided convolution over few channels, on a CPU: a network's first layer, often.

The gradient at the pixels (s i + p, s j + q), for one phase (p, q) of the stride s, is an ordinary convolution of the
output's gradient with every s-th weight. All phases together are one dense convolution to s² times the channels, and a
shuffle of pixels. torch's own kernel is slow there, for want of channels: measured with one thread, 4 rows of 224 × 224,
7 × 7 by 2 to 64 channels: 44 ms, 24 ms this way (a whole gradient of a ResNet-18: 370 ms); 16 × 16 by 16 to 192 channels:
14 and 5 ms; 3 × 3 by 2: no gain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MOST_CHANNELS = 4
LEAST_KERNEL = 4


def suits(weight: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1) -> bool:
    """Whether `strided` may take a convolution, and gains."""
    if weight.ndim != 4 or weight.shape[1] > MOST_CHANNELS or weight.device.type != "cpu":
        return False
    equal = [
        value[0] if isinstance(value, tuple | list) and len({*value}) == 1 else value for value in (stride, padding)
    ]
    kernel = weight.shape[-1]
    return (
        weight.shape[2] == kernel >= LEAST_KERNEL
        and all(isinstance(value, int) for value in equal)
        and 1 < equal[0] <= kernel
        and equal[1] < kernel
        and {*((dilation,) if isinstance(dilation, int) else dilation), groups} == {1}
    )


def convolution(func: Any, picture: Tensor, weight: Tensor, bias: Any, *options: Any, **named: Any) -> Tensor:
    """Call `func`, a convolution of torch, or do the same by a faster gradient where that suits."""
    given = dict(zip(("stride", "padding", "dilation", "groups"), options, strict=False)) | named
    if func is torch.conv2d and picture.requires_grad and torch.is_grad_enabled() and suits(weight, **given):
        return strided(picture, weight, bias, given["stride"], given.get("padding", 0))
    return func(picture, weight, bias, *options, **named)  # type: ignore[no-any-return]


def strided(picture: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
    """conv2d, with another way to the same gradient of the picture [n, c, h, w]; none for weight and bias."""
    step, room = (value if isinstance(value, int) else value[0] for value in (stride, padding))
    return _Strided.apply(picture, weight, bias, step, room)  # type: ignore[no-any-return, no-untyped-call]


class _Strided(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, *given: Any) -> Tensor:
        picture, weight, bias, stride, padding = given
        context.save_for_backward(weight)
        context.stride, context.padding, context.side = stride, padding, picture.shape[2:]
        return functional.conv2d(picture, weight, bias, stride, padding)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        (weight,) = context.saved_tensors
        return _gradient(gradients[0], weight, context.stride, context.padding, context.side), None, None, None, None


def _gradient(gradient: Tensor, weight: Tensor, stride: int, padding: int, side: tuple[int, int]) -> Tensor:
    kernels, before, after = _phases(weight.to(gradient.dtype), stride, padding)
    # As many cells of s × s pixels as cover the picture; the convolution makes some more on every side.
    cells = [-(-length // stride) for length in side]
    around = max(before, after)
    missing = max(0, *(n - (m + around - after) for n, m in zip(cells, gradient.shape[2:], strict=True)))
    gradient = functional.pad(gradient, (0, missing, 0, missing)) if missing else gradient
    found = functional.conv2d(gradient, kernels, padding=around)
    first = around - before
    found = found[:, :, first : first + cells[0], first : first + cells[1]]
    return functional.pixel_shuffle(found, stride)[:, :, : side[0], : side[1]]


def _phases(weight: Tensor, stride: int, padding: int) -> tuple[Tensor, int, int]:
    """Kernels [c s s, o, n, n] from a weight [o, c, k, k], and how far they reach back and ahead."""
    channels, kernel = weight.shape[1], weight.shape[2]
    before, after = (kernel - 1 - padding) // stride, (stride - 1 + padding) // stride
    reach = torch.arange(-before, after + 1)
    # Of the pixel s i + p, the output i + d saw the weight p + padding - s d; one past the last is zero.
    place = torch.arange(stride)[:, None] + padding - stride * reach
    place = torch.where((place >= 0) & (place < kernel), place, kernel)
    found = functional.pad(weight, (0, 1, 0, 1))[:, :, place[:, :, None, None], place]
    kernels = found.permute(1, 2, 4, 0, 3, 5).reshape(channels * stride**2, -1, len(reach), len(reach))
    layout = torch.channels_last if weight.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    return kernels.contiguous(memory_format=layout), before, after
