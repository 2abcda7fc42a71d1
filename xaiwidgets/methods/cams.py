"""Class activation maps weighted by gradients: where in the image a late layer found what the score depends on.

All of them are one sum, map = Σ_k weight_k · activation_k over the layer's channels; they differ in the weight, which is a
small function of the activation and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.diagnosis import require_finite
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.layers import LayerLike, find_layer, tapped
from xaiwidgets.engine.places import PlaceLayer, place_layer
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method

from .noise import Noise, Samples, Seed, group, noisy

Layer = Annotated[
    LayerLike, Note("Layer to read; the last one with places, maps or tokens, that the score depends on.", kind="layer")
]
Relu = Annotated[bool, Note("Keep only what speaks for the score.")]
Weighting = Callable[[Tensor, Tensor], Tensor]
"""(activation, gradient), both [n, channels, h, w] -> weights [n, channels, h, w] or [n, channels, 1, 1]"""

PLACES = (2, 3)
NEEDS = ("gradient", "layer", "image")


@method(
    family="cam",
    title="Grad-CAM",
    reference="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra (2016), Grad-CAM, arXiv:1610.02391",
    needs=NEEDS,
)
def grad_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """Where a layer's channels that raise the score are active.

    Values [batch, 1, height, width]: the layer's channels weighted by their mean gradient, enlarged to the image
    bilinearly. In units of score, not normalised, so maps of different images can be compared.
    """
    return _weighted(problem, layer, mean_gradient, relu=relu)


@method(
    family="cam",
    title="HiResCAM",
    reference="Draelos, Carin (2020), Use HiResCAM instead of Grad-CAM, arXiv:2011.08891",
    needs=NEEDS,
)
def hires_cam(problem: Problem, *, layer: Layer = None, relu: Relu = False) -> Iterator[Partial]:
    """A layer's activation times its gradient, place by place, summed over the channels.

    Values [batch, 1, height, width] in units of score, enlarged bilinearly. Where one linear layer follows, also without
    pooling, they show exactly what it used: before the enlargement they sum to the score minus its bias. That holds for
    the signed map, which is therefore the default.
    """
    return _weighted(problem, layer, gradient_itself, relu=relu)


@method(
    family="cam",
    title="Grad-CAM++",
    reference="Chattopadhyay, Sarkar, Howlader, Balasubramanian (2017), Grad-CAM++, arXiv:1710.11063",
    needs=NEEDS,
)
def grad_cam_pp(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """Grad-CAM with more weight for small objects and for several of the same kind.

    Values [batch, 1, height, width] in units of score, enlarged bilinearly. The paper takes y = exp(score) for what is
    differentiated, because then the second and third derivatives are powers of the first; its common positive factor
    exp(score) is left out. Layers are taken to be rectified, as there: of other layers only the positive activation
    counts in the weight's denominator, which keeps it away from zero.
    """
    return _weighted(problem, layer, plus_plus, relu=relu)


@method(
    family="cam",
    title="XGrad-CAM",
    reference="Fu, Hu, Dong, Guo, Gao, Li (2020), Axiom-based Grad-CAM, arXiv:2008.02312",
    needs=NEEDS,
)
def xgrad_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """Grad-CAM with gradients that count by how active their place is.

    Values [batch, 1, height, width] in units of score, enlarged bilinearly. Before that and the ReLU, they sum to the
    summed gradient × activation, for any model. Channels whose activation sums to zero get no weight.
    """
    return _weighted(problem, layer, activity_mean, relu=relu)


@method(
    family="cam",
    title="Layer-CAM",
    reference="Jiang, Zhang, Hou, Cheng, Wei (2021), LayerCAM, IEEE TIP, doi:10.1109/TIP.2021.3089943",
    needs=NEEDS,
)
def layer_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """A layer's activation times its positive gradient, place by place: sharp also in early layers.

    Values [batch, 1, height, width] in units of score, enlarged bilinearly.
    """
    return _weighted(problem, layer, positive_gradient, relu=relu)


@method(
    family="cam",
    title="Smooth Grad-CAM++",
    reference="Omeiza, Speakman, Cintas, Weldermariam (2019), Smooth Grad-CAM++, arXiv:1908.01224",
    needs=NEEDS,
)
def smooth_grad_cam_pp(
    problem: Problem,
    *,
    layer: Layer = None,
    samples: Samples = 16,
    noise: Noise = 0.15,
    relu: Relu = True,
    seed: Seed = 0,
) -> Iterator[Partial]:
    """Grad-CAM++ with gradients averaged over noisy copies of the image.

    Values [batch, 1, height, width] in units of score, enlarged bilinearly. The gradient and its second and third power
    are averaged before they meet in the weight; the activation is that of the image without noise. Without noise it is
    Grad-CAM++, with the same reading of y = exp(score).
    """
    place = place_layer(problem, layer)
    originals = problem.samples  # without their repetitions for several targets
    activation = problem.layer_outputs(problem.points[:originals], None, place.name)
    maps = _for_every_target(place.maps(activation), problem)
    draws = noisy(problem, samples, noise, seed, antithetic=True)
    rows = torch.arange(originals, device=problem.device)
    powers = [torch.zeros((), dtype=problem.sum_dtype, device=problem.device)] * 3
    done = 0
    while done < samples:
        copies = torch.cat([points[:originals] for points in islice(draws, min(group(problem), samples - done))])
        count = len(copies) // originals
        _, gradient, _ = layer_gradients(problem, place.name, copies, rows.repeat(count))
        gradients = place.maps(gradient).unflatten(0, (-1, count, originals)).to(problem.sum_dtype)
        powers = [total + (gradients**power).sum(1).flatten(0, 1) for power, total in enumerate(powers, 1)]
        done += count
        first, second, third = (total / done for total in powers)
        values = (smooth_plus_plus(maps, first, second, third).to(maps) * maps).sum(1, keepdim=True)
        yield Partial(place.enlarge(values, relu=relu), done, samples)


# --- weightings ------------------------------------------------------------------------------------------------------


def mean_gradient(_activation: Tensor, gradient: Tensor) -> Tensor:
    """The gradient's mean over places."""
    return gradient.mean(PLACES, keepdim=True)


def gradient_itself(_activation: Tensor, gradient: Tensor) -> Tensor:
    """Every place its own."""
    return gradient


def positive_gradient(_activation: Tensor, gradient: Tensor) -> Tensor:
    """Every place its own, where it raises the score."""
    return gradient.relu()


def activity_mean(activation: Tensor, gradient: Tensor) -> Tensor:
    """The gradient's mean over places, each counting by its activation."""
    total = activation.sum(PLACES, keepdim=True)
    weight = (gradient * activation).sum(PLACES, keepdim=True) / total
    return torch.where(total == 0, 0, weight)


def plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Σ α relu(g) with α = g² / (2g² + g³ ΣA), of which 1 / (2 + g ΣA) is left where it counts, at g > 0."""
    positive = gradient.relu()
    total = activation.relu().sum(PLACES, keepdim=True)
    return (positive / (2 + positive * total)).sum(PLACES, keepdim=True)


def smooth_plus_plus(activation: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """The same from the means of g, g² and g³.

    The mean of g³ may be negative where that of g is not; there it would put a pole into the weight, and counts as zero.
    """
    total = activation.relu().sum(PLACES, keepdim=True)
    alpha = torch.where(second > 0, second / (2 * second + third.relu() * total), 0)
    return (alpha * first.relu()).sum(PLACES, keepdim=True)


# --- the common sum --------------------------------------------------------------------------------------------------


def _weighted(problem: Problem, layer: LayerLike, weigh: Weighting, *, relu: bool) -> Iterator[Partial]:
    place = place_layer(problem, layer)
    maps, gradient, scores = place_gradients(problem, place)
    values = (weigh(maps, gradient) * maps).sum(1, keepdim=True)
    yield Partial(place.enlarge(values, relu=relu), 1, 1, score=scores)


def place_gradients(problem: Problem, place: PlaceLayer) -> tuple[Tensor, Tensor, Tensor]:
    """A layer's maps at the inputs and their gradients, both [rows, channels, h, w], and the scores [rows]."""
    activation, gradient, scores = layer_gradients(problem, place.name)
    maps = place.maps(gradient)
    if bool(gradient.any()) and not bool(maps.any()):
        raise ParameterError(
            "layer_unread",
            f"The score depends on the layer {place.name!r} only through its class token",
            "None of the tokens that stand for places has a gradient, so the map would be zero.",
            "Leave layer= out, or name what goes into the last block's attention.",
        )
    return _for_every_target(place.maps(activation), problem), maps, scores


def layer_gradients(
    problem: Problem, layer: str, points: Tensor | None = None, rows: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Output of a layer [n, ...], its gradients [targets * n, ...] and the scores [targets * n], target-major.

    One forward pass for all targets. Points belong to samples, which are not repeated for targets.
    """
    _, part = find_layer(problem.module, layer)

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        with tapped(part) as seen:
            output = chunk.output(hooked=True)
        if not seen:
            raise ModelError("layer_not_run", f"The layer {layer!r} put out no tensor during the forward pass")
        columns = [scorer(output, chunk.rows).to(problem.dtype) for scorer in problem.scorers]
        for scores in columns:
            require_finite(scores, "score")
        gradients = [chunk.differentiate(scores, seen[-1], keep=True)[0] for scores in columns]
        chunk.evaluations["gradient"] += len(chunk.rows) * (len(columns) - 1)
        return seen[-1].detach().to(problem.dtype), torch.stack(gradients, 1), torch.stack(columns, 1).detach()

    points = problem.points[: problem.samples] if points is None else points
    activation, gradients, scores = problem.evaluate(work, points, rows)
    return activation, gradients.transpose(0, 1).flatten(0, 1), scores.T.flatten()


def _for_every_target(maps: Tensor, problem: Problem) -> Tensor:
    """[samples, ...] as [rows, ...], where rows are target-major."""
    return maps.repeat(problem.rows // problem.samples, 1, 1, 1)
