"""XRAI: integrated gradients gathered into the regions that carry most of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import ExplainError
from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial, method

from .curves import lines
from .path_integral import integrate
from .paths import Steps, Tolerance

# Kapishnikov et al. (2019), for images of 224 × 224 pixels
SIDE = 224
SCALES = (50, 100, 150, 250, 500, 1200)  # of Felzenszwalb's segmentation, in 1/255 of the range of the picture
SMOOTHING = 0.8  # pixels
SMALLEST, LEAST_NEW = 150, 50  # pixels of a segment, and that it must add to be taken
DILATION = 5  # pixels


@method(
    family="perturbation",
    title="XRAI",
    reference="Kapishnikov, Bolukbasi, Viégas, Terry (2019), XRAI: Better Attributions Through Regions, "
    "arXiv:1906.02825",
    needs=("gradient", "image"),
    complete=True,
)
def xrai(
    problem: Problem,
    *,
    steps: Steps = 64,
    tolerance: Tolerance = 0.002,
) -> Iterator[Partial]:
    """Integrated gradients gathered into the regions that carry most of them.

    Values [batch, 1, height, width] in units of the score. Integrated gradients from black and from white, the lowest
    and the highest value of each image, are averaged and summed over the channels. The image is segmented at six scales
    (Felzenszwalb, Huttenlocher 2004), the segments are widened a little, and region after region is taken: always the
    one with the most attribution for each pixel it adds. That gain is the value of the pixels it adds; pixels that no
    region adds share theirs. So the values have the sum of the integrated gradients, and `delta` is theirs; `error` too
    is that of the integrated gradients.

    Other than published: the sum over the channels, where the authors' code takes the largest, which keeps the sum
    complete and a pixel's opposing channels opposed; and constants scaled to the image: pixel counts by area, lengths by
    the shorter side, and the segmentation's scale by the side too, because contrasts between neighbours grow as an image
    shrinks (measured on photographs: by area, images of 32 pixels fall apart into three times as many segments).
    Partial results show the pixels first and then, image by image, the regions.
    """
    _segmentation()  # a missing package shows before the work
    low, high = (side.reshape(-1, 1, 1, 1) for side in problem.points.flatten(1).aminmax(dim=1))
    baselines = torch.stack([side.expand_as(problem.points) for side in (low, high)])
    found: Partial
    for found in integrate(problem, lines(problem, baselines), steps, tolerance, key=digest(baselines)):
        values = found.values.sum(1, keepdim=True)
        yield dataclasses.replace(found, values=values, total=found.total + problem.rows)
    values = values.clone()
    remember = problem.memory("xrai segments")
    for row, image in enumerate(problem.points):
        name = digest(image)  # the same image is asked about several targets
        if name not in remember:
            remember[name] = segments(image)
        values[row, 0] = gather(values[row, 0].cpu(), remember[name])
        done = found.total + row + 1
        yield dataclasses.replace(found, values=values.clone(), done=done, total=found.total + problem.rows)


def segments(image: Tensor) -> Tensor:
    """Overlapping segments of an image [channels, height, width] at all scales: [height, width, segments], booleans."""
    felzenszwalb = _segmentation()
    side = min(image.shape[1:]) / SIDE
    area = image[0].numel() / SIDE**2
    picture = image.double().cpu()
    picture = (picture - picture.min()) / (picture.max() - picture.min()).clamp(min=1e-12)
    pixels = picture.permute(1, 2, 0).numpy()
    found = []
    for scale in SCALES:
        labels = torch.from_numpy(
            felzenszwalb(
                pixels,
                scale=scale * side,
                sigma=SMOOTHING * side,
                min_size=max(1, round(SMALLEST * area)),
                channel_axis=-1,
            )
        )
        masks = torch.stack([labels == label for label in labels.unique()])
        found.append(_dilated(masks, round(DILATION * side)))
    return torch.cat(found).permute(1, 2, 0).contiguous()


def gather(values: Tensor, masks: Tensor) -> Tensor:
    """Region after region, always the one with the highest mean over the pixels it adds; their values are that mean.

    Values [height, width], masks [height, width, segments]. A region that adds too few pixels is passed over.
    """
    least = max(1, round(LEAST_NEW * values.numel() / SIDE**2))
    flat, masks = values.double().flatten(), masks.flatten(0, 1)
    result, left = torch.zeros_like(flat), torch.ones_like(flat, dtype=torch.bool)
    sums, counts = flat @ masks.double(), masks.sum(0)
    while bool((counts >= least).any()):
        best = int(torch.where(counts >= least, sums / counts.clamp(min=1), -torch.inf).argmax())
        new = masks[:, best] & left
        result[new] = flat[new].mean()
        left &= ~new
        sums -= flat[new] @ masks[new].double()
        counts -= masks[new].sum(0)
    result[left] = flat[left].mean()
    return result.reshape(values.shape).to(values)


def _dilated(masks: Tensor, radius: int) -> Tensor:
    """Masks [n, height, width] widened by a disc."""
    if radius < 1:
        return masks
    offsets = torch.arange(-radius, radius + 1)
    disc = (offsets[:, None].square() + offsets.square() <= radius**2).float()
    return functional.conv2d(masks[:, None].float(), disc[None, None], padding=radius)[:, 0] > 0.5


def _segmentation() -> Any:
    try:
        from skimage.segmentation import felzenszwalb  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ExplainError(
            "missing_extra", "XRAI needs scikit-image", str(error), "pip install 'xaiwidgets[images]', then try again."
        ) from error
    return felzenszwalb
