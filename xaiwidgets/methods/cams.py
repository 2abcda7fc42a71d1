"""Class activation maps: where in the image a late layer found what the score depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.layers import LayerLike
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method


@method(
    family="cam",
    title="Grad-CAM",
    reference="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra (2016), Grad-CAM, arXiv:1610.02391",
    needs=("gradient", "layer", "image"),
)
def grad_cam(
    problem: Problem,
    *,
    layer: Annotated[LayerLike, Note("Layer to read; the last one that still has height and width.", kind="layer")] = (
        None
    ),
    relu: Annotated[bool, Note("Keep only what speaks for the score.")] = True,
) -> Iterator[Partial]:
    """Where a layer's channels that raise the score are active.

    Values [batch, 1, height, width]: the layer's channels weighted by their mean gradient, enlarged to the image
    bilinearly. In units of score, not normalised, so maps of different images can be compared.
    """
    name = problem.layer(layer, _has_places)
    activation, gradient, scores = problem.layer_gradients(None, None, name)
    if activation.ndim != 4:
        raise ParameterError(
            "layer_shape",
            f"The layer {name!r} puts out shape {list(activation.shape)}, not [batch, channels, height, width]",
            hint="Choose a convolutional layer.",
        )
    weights = gradient.mean((2, 3), keepdim=True)
    yield Partial(_enlarge((weights * activation).sum(1, keepdim=True), problem.points, relu), 1, 1, score=scores)


def _has_places(output: Tensor) -> bool:
    return output.ndim == 4 and output.shape[2] * output.shape[3] > 1


def _enlarge(maps: Tensor, images: Tensor, relu: bool) -> Tensor:
    """ReLU comes first: it belongs to the map, and bilinear enlargement keeps it non-negative."""
    return functional.interpolate(maps.relu() if relu else maps, images.shape[2:], mode="bilinear")
