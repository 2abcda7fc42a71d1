"""Class activation maps without gradients of the layer: from the head's weights, from masks, from ablations, from components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import ModelError, TargetError
from xaiwidgets.engine.layers import LayerLike, find_layer, open_module
from xaiwidgets.engine.places import PlaceLayer, Seen, place_layer, watched
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial, method
from xaiwidgets.engine.target import unwrap

from .cams import Layer, Relu, mean_gradient, place_gradients

NEEDS = ("layer", "image")


@method(
    family="cam",
    title="Score-CAM",
    reference="Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu (2019), Score-CAM, arXiv:1910.01279",
    needs=NEEDS,
    unit="activation",
)
def score_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """A layer's channels weighted by the score that is left when only what they show is kept.

    Values [batch, 1, height, width] in units of the layer's activation: an average of its channels, weighted by the
    softmax of the scores of the image times each channel, the channel enlarged and brought to the range 0 to 1. The
    paper subtracts the score of a black image, which the softmax does not see. Channels without any contrast show
    nothing and are left out. The most active channels come first.
    """
    maps, place = _maps(problem, layer)
    score = problem.scores().T
    scores = torch.full((len(score), *maps.shape[:2]), -torch.inf, dtype=problem.dtype, device=problem.device)
    flat = maps.flatten(2)
    contrast = flat.amax(2) > flat.amin(2)
    for progress, rows, channels in _by_activity(problem, problem, maps, contrast):
        if len(rows):
            masks = place.enlarge(maps[rows, channels].unsqueeze(1), relu=False)
            low, high = masks.amin((1, 2, 3), keepdim=True), masks.amax((1, 2, 3), keepdim=True)
            masked = problem.points[rows] * ((masks - low) / (high - low))
            scores[:, rows, channels] = problem.scores(masked, rows).T
        weights = scores.softmax(2).nan_to_num(0)  # a row without any contrast has no weights, rather than NaN
        yield Partial(place.enlarge(_combined(weights, maps), relu=relu), *progress, score=score.flatten())


@method(
    family="cam",
    title="Ablation-CAM",
    reference="Desai, Ramaswamy (2020), Ablation-CAM, IEEE WACV, doi:10.1109/WACV45572.2020.9093360",
    needs=NEEDS,
    unit="{score} × activation",
)
def ablation_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """A layer's channels weighted by how far the score drops without them.

    Values [batch, 1, height, width]: drop times activation, in units of score × activation. The paper divides the drop
    by the score, one number for the whole map, which turns the map over where the score is negative; here it is not
    divided. Channels that are zero anyway are not evaluated. The most active channels come first.
    """
    place = place_layer(problem, layer)
    rest = problem.at(place.name)
    maps = place.maps(rest.points)
    score = rest.scores().T
    drops = torch.zeros((len(score), *maps.shape[:2]), dtype=problem.dtype, device=problem.device)
    for progress, rows, channels in _by_activity(problem, rest, maps, maps.flatten(2).any(2)):
        if len(rows):
            points = rest.points[rows]
            place.maps(points)[torch.arange(len(rows), device=problem.device), channels] = 0  # the maps are a view
            drops[:, rows, channels] = score[:, rows] - rest.scores(points, rows).T
        yield Partial(place.enlarge(_combined(drops, maps), relu=relu), *progress, score=score.flatten())


@method(
    family="cam",
    title="Eigen-CAM",
    reference="Muhammad, Yeasin (2020), Eigen-CAM, arXiv:2008.00299",
    needs=NEEDS,
    unit="activation",
)
def eigen_cam(problem: Problem, *, layer: Layer = None, relu: Relu = False) -> Iterator[Partial]:
    """The strongest pattern among a layer's channels, whatever the score.

    Values [batch, 1, height, width] in units of the layer's activation: its projection on the first right singular
    vector of the matrix of places by channels, not centred, as in the paper. Its sign is arbitrary and chosen so that the
    map's sum is not negative. It says nothing of the score and is the same for every target.
    """
    maps, place = _maps(problem, layer)
    left, size, _ = torch.linalg.svd(maps.flatten(2).transpose(1, 2).to(problem.sum_dtype), full_matrices=False)
    first = (left[..., 0] * size[..., :1]).unflatten(1, maps.shape[2:]).unsqueeze(1).to(problem.dtype)
    values = torch.where(first.sum((1, 2, 3), keepdim=True) < 0, -first, first)
    yield Partial(place.enlarge(values, relu=relu).repeat(problem.columns, 1, 1, 1), 1, 1)


@method(
    family="cam",
    title="CAM",
    reference="Zhou, Khosla, Lapedriza, Oliva, Torralba (2015), Learning Deep Features for Discriminative Localization, "
    "arXiv:1512.04150",
    needs=("gradient", "layer", "image"),
)
def cam(problem: Problem, *, layer: Layer = None, relu: Relu = False) -> Iterator[Partial]:
    """The last maps weighted as the model's linear head weights their means.

    Values [batch, 1, height, width] in units of score: what the score would be, without its bias, if the whole image
    looked like this place; before the enlargement their mean is the score minus the bias. Only for models that end in a
    mean over places and one linear layer, which are found and checked; Grad-CAM is this map divided by the number of
    places, and works for all.
    """
    if any(scorer.function is not None or scorer.score != "logit" for scorer in problem.scorers):
        raise TargetError(
            "cam_target",
            "CAM explains a logit of the model's linear head",
            hint='Name a class with target= and leave score="logit", or use grad_cam.',
        )
    place = PlaceLayer(problem, _pooled_layer(problem, layer))
    maps, gradient, scores = place_gradients(problem, place)
    weights = mean_gradient(maps, gradient) * (maps.shape[2] * maps.shape[3])
    yield Partial(place.enlarge((weights * maps).sum(1, keepdim=True), relu=relu), 1, 1, score=scores)


def _pooled_layer(problem: Problem, layer: LayerLike) -> str:
    """The layer whose maps' means go into the model's linear head, looked for once."""
    name = None if layer is None else find_layer(problem.module, layer)[0]
    known = problem.memory("cam")
    if name not in known:
        known[name] = _find_pooled_layer(problem, name)
    return str(known[name])


def _find_pooled_layer(problem: Problem, named: str | None) -> str:
    module, layers = open_module(problem.module), dict[str, Seen]()

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        with watched(module) as seen:
            output = chunk.output(hooked=True)
        layers.update(seen)
        return (unwrap(output).detach(),)

    first = torch.zeros(1, dtype=torch.long, device=problem.device)
    (logits,) = problem.evaluate(work, problem.points[:1], first, gradient=False)
    head = next((name for name in reversed(layers) if _is_head(module.get_submodule(name), layers[name], logits)), None)
    if head is None:
        raise _no_head("the output is not what a linear layer puts out")
    features = layers[head].source
    if features is None or features[0].numel() != features.shape[1]:
        raise _no_head(f"the linear layer {head!r} is applied to many places")
    for name in reversed(layers) if named is None else [named]:
        if name in layers and _feeds(PlaceLayer(problem, name), layers[name], features):
            return name
    which = "any layer" if named is None else f"the layer {named!r}"
    raise _no_head(f"what the linear layer {head!r} reads is not the mean over places of {which}")


def _feeds(place: PlaceLayer, seen: Seen, features: Tensor) -> bool:
    """Whether the features are the means of the layer's maps, as they came out of it."""
    if not (seen.untouched and seen.output.ndim > 2 and len(seen.output) == 1 and place.readable(seen.output)):
        return False
    maps = place.maps(seen.output)
    return maps[0, 0].numel() > 1 and _close(maps.mean((2, 3)), features)


def _is_head(part: nn.Module, seen: Seen, logits: Tensor) -> bool:
    return isinstance(part, nn.Linear | nn.Conv2d) and _close(seen.output, logits)


def _close(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding, whatever the shape."""
    if one.numel() != other.numel():
        return False
    room = 1e-3 if torch.finfo(other.dtype).eps < 1e-5 else 0.05
    one, other = one.detach().flatten().double(), other.detach().flatten().double()
    return torch.allclose(one, other, rtol=room, atol=room * float(other.abs().max()))


def _no_head(found: str) -> ModelError:
    return ModelError(
        "cam_head",
        "CAM needs a model that ends in a mean over places and one linear layer",
        f"Of this one, {found}.",
        "Use grad_cam: it is the same where CAM is defined, up to the number of places.",
    )


# --- channel after channel -------------------------------------------------------------------------------------------


def _maps(problem: Problem, layer: LayerLike) -> tuple[Tensor, PlaceLayer]:
    place = place_layer(problem, layer)
    return place.maps(problem.layer_outputs(None, None, place.name)), place


class Step(NamedTuple):
    """Channels to evaluate together, one a row and entry."""

    progress: tuple[int, int]
    rows: Tensor
    channels: Tensor


def _by_activity(problem: Problem, asked: Problem, maps: Tensor, wanted: Tensor) -> Iterator[Step]:
    """The wanted [rows, channels], every row's most active channel first, in steps of about one batch of `asked`."""
    activity = maps.abs().sum((2, 3)).masked_fill(~wanted, -1)
    order = activity.argsort(dim=1, descending=True, stable=True)
    counts = wanted.sum(1)
    done, total = 0, max(1, int(counts.max()))  # without any there is one step, of nothing
    while done < total:
        begin, done = done, min(done + max(1, asked.chunk_rows // problem.rows), total)
        ranks = torch.arange(begin, done, device=maps.device)
        rank, rows = torch.nonzero(ranks.unsqueeze(1) < counts, as_tuple=True)
        yield Step((done, total), rows, order[rows, ranks[rank]])


def _combined(weights: Tensor, maps: Tensor) -> Tensor:
    """Maps [rows, channels, h, w] weighted by [targets, rows, channels]: [targets * rows, 1, h, w]."""
    return torch.einsum("trk,rkhw->trhw", weights, maps).flatten(0, 1).unsqueeze(1)
