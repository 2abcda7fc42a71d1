"""Gradients that go back through rectifiers by another rule: deconvnet, guided backpropagation, DeSaliNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.rewrite import Rewrite, Rule, graft

POOLING_OPTIONS = ("stride", "padding", "dilation")


def _keep_positive(tensor: Tensor) -> Tensor:
    """The same tensor, with only the positive part of its gradient."""
    if tensor.requires_grad:
        tensor.register_hook(lambda gradient: gradient.clamp(min=0))
    return tensor


def _guided_relu(mode: Rectified, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Back: what is positive, where the rectifier let something through."""
    mode.rectifiers += 1
    return _keep_positive(function(x, *args, **kwargs))


def _deconvnet_relu(mode: Rectified, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Back: what is positive, wherever it is."""
    mode.rectifiers += 1
    return _keep_positive(graft(function(x, *args, **kwargs), x))


def _central_max_pool2d(_mode: Rectified, function: Any, x: Tensor, kernel_size: Any, *args: Any, **kwargs: Any) -> Any:
    """Back: to the middle of the window, whichever place had the largest value."""
    found = function(x, kernel_size, *args, **kwargs)
    values, rest = (found, ()) if isinstance(found, Tensor) else (found[0], found[1:])
    options = {"stride": None, "padding": 0, "dilation": 1, **dict(zip(POOLING_OPTIONS, args, strict=False)), **kwargs}
    height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    centre = torch.zeros((x.shape[1], 1, height, width), dtype=x.dtype, device=x.device)
    centre[:, :, height // 2, width // 2] = 1
    step, pad, wide = options["stride"] or kernel_size, options["padding"], options["dilation"]
    picked = functional.conv2d(x, centre, None, step, pad, wide, x.shape[1])
    # With ceil_mode the last windows reach over the edge; their centres may lie outside and get nothing back.
    missing = [have - got for have, got in zip(values.shape[2:], picked.shape[2:], strict=True)]
    picked = functional.pad(picked, (0, missing[1], 0, missing[0]))
    pooled = graft(values, picked)
    return (pooled, *rest) if rest else pooled


class Rectified(Rewrite):
    """Counts the rectifiers it meets: without one there is only the plain gradient, which must not pass for more."""

    passes = None  # everything else is differentiated as it is
    opaque: ClassVar[frozenset[str]] = frozenset({"rnn_relu"})

    def __init__(self) -> None:
        super().__init__()
        self.rectifiers = 0

    def end(self, output: Any) -> Any:
        if not self.rectifiers:
            raise ModelError(
                "no_rectifier",
                f"{self.title} changes how gradients pass rectifiers, and the model has none",
                "Neither ReLU nor ReLU6 was called on anything that depends on the input.",
                "Use input_x_gradient, lrp or deeplift for models with other activations.",
            )
        return super().end(output)


class GuidedBackprop(Rectified):
    title = "Guided backpropagation"
    rules: ClassVar[Mapping[str, Rule]] = {"relu": _guided_relu, "relu6": _guided_relu}


class Deconvnet(Rectified):
    title = "Deconvnet"
    rules: ClassVar[Mapping[str, Rule]] = {"relu": _deconvnet_relu, "relu6": _deconvnet_relu}


class CentralDeSaliNet(Rectified):
    title = "DeSaliNet"
    rules: ClassVar[Mapping[str, Rule]] = {**GuidedBackprop.rules, "max_pool2d": _central_max_pool2d}


def guided_gradients(problem: Problem) -> tuple[Tensor, Tensor]:
    """Guided backpropagation's gradients [rows, ...] and the scores [rows]."""
    return problem.gradients(rewrite=GuidedBackprop)


@method(
    family="propagation",
    title="Guided backpropagation",
    reference="Springenberg, Dosovitskiy, Brox, Riedmiller (2014), Striving for Simplicity, arXiv:1412.6806",
    needs=("gradient", "relu"),
    unit="{score} per unit of input",
)
def guided_backprop(problem: Problem) -> Iterator[Partial]:
    """The gradient, with everything negative stopped at every rectifier.

    Values [batch, ...] like the input, in score per unit of input. Sharp, and nearly the same whatever the weights and the
    class are (Adebayo et al. 2018, arXiv:1810.03292): a picture of edges more than an explanation.
    Raises ModelError where the model calls no ReLU.
    """
    gradients, scores = guided_gradients(problem)
    yield Partial(gradients, done=1, total=1, score=scores)


@method(
    family="propagation",
    title="Deconvnet",
    reference="Zeiler, Fergus (2013), Visualizing and Understanding Convolutional Networks, arXiv:1311.2901",
    needs=("gradient", "relu"),
    unit="{score} per unit of input",
)
def deconvnet(problem: Problem) -> Iterator[Partial]:
    """The network run backwards, rectifying what comes back instead of what went in.

    Values [batch, ...] like the input, in score per unit of input. Raises ModelError where the model calls no ReLU.
    """
    gradients, scores = problem.gradients(rewrite=Deconvnet)
    yield Partial(gradients, done=1, total=1, score=scores)


@method(
    family="propagation",
    title="DeSaliNet",
    reference="Mahendran, Vedaldi (2016), Salient Deconvolutional Networks, ECCV",
    needs=("gradient", "relu"),
    unit="{score} per unit of input",
)
def desalinet(
    problem: Problem,
    *,
    pooling: Annotated[
        Literal["switches", "centre"],
        Note("Where a pooled value goes back to: the place it came from, or the middle of its window."),
    ] = "centre",
) -> Iterator[Partial]:
    """Guided backpropagation, which can also forget where the maxima of the pooling layers were.

    Values [batch, ...] like the input, in score per unit of input. With "switches" it is guided backpropagation; with
    "centre" what remains cannot come from the positions that max pooling has kept. Raises ModelError without a ReLU.
    """
    rewrites: dict[str, type[Rectified]] = {"switches": GuidedBackprop, "centre": CentralDeSaliNet}
    gradients, scores = problem.gradients(rewrite=rewrites[pooling])
    yield Partial(gradients, done=1, total=1, score=scores)
