"""Class activation maps that take more from a backward pass than the layer's gradient."""

from __future__ import annotations

from collections.abc import Iterator

from xaiwidgets.engine.places import place_layer
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial, method

from .cams import Layer, Relu, mean_gradient, place_gradients
from .guided import guided_gradients


@method(
    family="cam",
    title="Guided Grad-CAM",
    reference="Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra (2016), Grad-CAM, arXiv:1610.02391",
    needs=("gradient", "layer", "image", "relu"),
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
