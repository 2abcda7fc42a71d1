"""Class activation maps that take more from a backward pass than the layer's gradient."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Tensor

from xaiwidgets.engine.places import PlaceLayer, place_layer
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.target import Scorer, unwrap

from .cams import PLACES, Layer, Relu, mean_gradient, place_gradients
from .deeplift import deeplift
from .guided import guided_gradients
from .lrp import lrp
from .lrp_mode import Composite
from .lrp_rules import z_plus


@method(
    family="cam",
    title="Guided Grad-CAM",
    reference="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra (2016), Grad-CAM, arXiv:1610.02391",
    needs=("gradient", "layer", "image", "relu"),
    unit="{score}² per unit of input",
)
def guided_grad_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """Guided backpropagation's edges, where Grad-CAM looks.

    Values [batch, ...] like the input: the product of the two, Grad-CAM enlarged bilinearly, in score² per unit of input.
    What is fine in it is guided backpropagation's, which hardly depends on the class; the class decides where.
    """
    place = place_layer(problem, layer)
    maps, gradient, scores = place_gradients(problem, place)
    where = place.enlarge((mean_gradient(maps, gradient) * maps).sum(1, keepdim=True), relu=relu)
    edges, _ = guided_gradients(problem)
    yield Partial(where * edges, 1, 1, score=scores)


@method(
    family="cam",
    title="Relevance-CAM",
    reference="Lee, Kim, Park, Eo, Hwang (2021), Relevance-CAM, CVPR 2021, pp. 14944-14953",
    needs=("gradient", "layer", "image"),
    unit="{score} × activation",
)
def relevance_cam(
    problem: Problem,
    *,
    layer: Layer = None,
    contrastive: Annotated[bool, Note("Subtract what speaks for all classes alike.")] = True,
    relu: Relu = False,
) -> Iterator[Partial]:
    """A layer's channels weighted by the relevance that LRP gives them: also for layers far from the end.

    Values [batch, 1, height, width] in units of score × activation, enlarged bilinearly. Relevance comes down by the z⁺
    rule without biases and is summed over each channel's places. Where the score is a class's logit, relevance starts with
    the logit's size at the class, so that a channel that raises a negative logit counts as speaking for it, and
    contrastively with minus that over the number of classes at each of the others.
    """
    place = place_layer(problem, layer)
    rest = copy.copy(problem.at(place.name))
    rest.scorers = tuple(_Start(scorer, contrastive=contrastive) for scorer in problem.scorers)
    (handed_down,) = lrp(rest, composite=Composite(z_plus(bias=False), z_plus(bias=False)))
    yield Partial(_by_share(place, handed_down.values, rest.points, relu=relu), 1, 1)


@method(
    family="cam",
    title="LIFT-CAM",
    reference="Jung, Oh (2021), Towards Better Explanations of Class Activation Mapping, arXiv:2102.05228",
    needs=("gradient", "layer", "image"),
    unit="{score} × activation",
)
def lift_cam(problem: Problem, *, layer: Layer = None, relu: Relu = True) -> Iterator[Partial]:
    """A layer's channels weighted by their contribution to the score, an estimate of their Shapley values.

    Values [batch, 1, height, width] in units of score × activation, enlarged bilinearly. Contributions are DeepLIFT's
    against the layer with nothing at any place; summed over channels they give the difference of the score, exactly.
    """
    place = place_layer(problem, layer)
    rest = problem.at(place.name)
    absent = rest.points.clone()
    place.maps(absent)[:] = 0  # class tokens stay: they are not what is weighted
    for found in deeplift(rest, baseline=absent):
        values = _by_share(place, found.values, rest.points, relu=relu)
        yield Partial(values, found.done, found.total, score=found.score, baseline_score=found.baseline_score)


class _Start(Scorer):
    """What relevance starts from, as output × gradient: only that is right, the value is not a score.

    The contrast is that of Gu, Yang, Tresp (2018), arXiv:1812.02100, as Relevance-CAM takes it.
    """

    def __init__(self, scorer: Scorer, *, contrastive: bool) -> None:
        self.scorer, self.contrastive = scorer, contrastive

    def __call__(self, output: Any, rows: Tensor) -> Tensor:
        scores = self.scorer(output, rows)
        index = self.scorer.terms[0][1] if len(self.scorer.terms) == 1 and self.scorer.score == "logit" else None
        if index is None or index.shape[1] != 1:
            return scores
        start = scores * scores.detach().sign()
        if not self.contrastive:
            return start
        logits = unwrap(output)
        units = logits / torch.where(logits == 0, 1, logits).detach()  # output × gradient is one at every class
        own = index.to(units.device)[rows.to(units.device)]
        others = units.sum(1) - units.gather(1, own).squeeze(1)
        return start - start.detach() * others / units.shape[1]


def _by_share(place: PlaceLayer, contributions: Tensor, activation: Tensor, *, relu: bool) -> Tensor:
    """Channels weighted by their contributions, summed over places."""
    shares = place.maps(contributions).sum(PLACES, keepdim=True)
    return place.enlarge((shares * place.maps(activation)).sum(1, keepdim=True), relu=relu)
