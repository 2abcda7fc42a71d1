"""What happens inside on the way from a baseline to the input: how much of the change passes through each neuron."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.layers import LayerLike, find_layer, tapped
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .curves import Bundle, scattered
from .paths import Baselines
from .quadrature import fixed_rule

Layer = Annotated[LayerLike, Note("Layer to look into; the last one that still has height and width.", kind="layer")]
Steps = Annotated[int, Range(4, 512, log=True, help="Gradient evaluations for each row and baseline.")]
Rule = Annotated[
    Literal["gauss_legendre", "trapezoid", "midpoint", "left", "right"], Note("How points on the path are chosen.")
]


@method(
    family="path",
    title="Conductance",
    reference="Dhamdhere, Sundararajan, Yan (2018), How Important Is a Neuron?, arXiv:1805.12233",
    needs=("gradient", "layer"),
    shape="layer",
)
def conductance(
    problem: Problem, *, layer: Layer = None, baseline: Baselines = "zeros", steps: Steps = 64
) -> Iterator[Partial]:
    """How much of the score's change from a baseline to the input passes through each neuron of a layer.

    Values have the shape of the layer's output, in units of the score: the gradient of the score with respect to the
    neuron, integrated over the neuron's own change along the straight path. The change is taken as it is, from place to
    place, and the gradient as the mean of both ends, so only the gradient is approximated. `delta` is their sum minus
    (score - baseline_score): it goes to zero with the steps where everything passes through the layer; where something
    bypasses it, `delta` is what does. Partial results cover the path as far as it has been walked.
    """
    name = problem.layer(layer, _has_places)
    bundle = Bundle(problem, problem.baselines(baseline))
    total = torch.zeros(())
    first = torch.zeros(())
    before: tuple[Tensor, Tensor] | None = None
    for span in bundle.spans(steps + 1):
        found = problem.layer_gradients(*bundle.at([index / steps for index in span]), name)
        for activation, gradient, score in zip(*map(bundle.placed, found), strict=True):
            last = score.mean(0)
            if before is None:
                first, total = last, torch.zeros_like(activation[0], dtype=problem.sum_dtype)
            else:
                change, slope = activation - before[0], (gradient + before[1]) / 2
                total = total + (change * slope).to(problem.sum_dtype).mean(0)
            before = activation, gradient
        if span.stop == 1:
            continue
        delta = total.flatten(1).sum(1) - (last - first)
        yield Partial(
            total.to(problem.dtype),
            span.stop - 1,
            steps,
            delta=delta.to(problem.dtype),
            score=last,
            baseline_score=first,
        )


@method(
    family="path",
    title="Internal influence",
    reference="Leino, Sen, Datta, Fredrikson, Li (2018), Influence-Directed Explanations for Deep Convolutional "
    "Networks, arXiv:1802.03788",
    needs=("gradient", "layer"),
    shape="layer",
    unit="{score} per unit of the neuron",
)
def internal_influence(
    problem: Problem,
    *,
    layer: Layer = None,
    baseline: Baselines = "zeros",
    steps: Steps = 64,
    rule: Rule = "midpoint",
) -> Iterator[Partial]:
    """How strongly each neuron of a layer moves the score, on average on the way from a baseline to the input.

    Values have the shape of the layer's output, in score per unit of the neuron: the mean gradient along the straight
    path, not multiplied by anything, so they have no sum to keep.
    """
    name = problem.layer(layer, _has_places)

    def influence(points: Tensor, rows: Tensor) -> Tensor:
        return problem.layer_gradients(points, rows, name)[1]

    bundle = Bundle(problem, problem.baselines(baseline))
    for done, values in _mean_over(problem, bundle, steps, rule, influence):
        yield Partial(values.to(problem.dtype), done, steps)


@method(
    family="path",
    title="Neuron conductance",
    reference="Dhamdhere, Sundararajan, Yan (2018), How Important Is a Neuron?, arXiv:1805.12233",
    needs=("gradient", "layer"),
)
def neuron_conductance(
    problem: Problem,
    *,
    layer: Layer = None,
    neuron: Annotated[int, Note("Which neuron or channel: a place on the layer's first axis behind the batch.")] = 0,
    baseline: Baselines = "zeros",
    steps: Steps = 64,
    rule: Rule = "midpoint",
) -> Iterator[Partial]:
    """How much each input contributes to the score through one neuron or channel of a layer.

    Values [batch, ...] like the input, in units of the score: integrated gradients restricted to what passes through the
    neuron. They sum to its conductance, and over all neurons of a layer that nothing bypasses to integrated gradients.
    """
    name = problem.layer(layer, _has_places)
    part = find_layer(problem.module, name)[1]

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        with tapped(part) as seen:
            output = chunk.output(hooked=True)
        if not seen:
            raise ModelError(
                "layer_not_run",
                f"The layer {name!r} put out no tensor during the forward pass",
                hint="Pick another one.",
            )
        activation = seen[-1]
        if activation.ndim < 2 or not -activation.shape[1] <= neuron < activation.shape[1]:
            raise ParameterError(
                "neuron_index",
                f"The layer {name!r} has no neuron {neuron}",
                f"It puts out [batch, {', '.join(map(str, activation.shape[1:]))}].",
            )
        (gradient,) = chunk.differentiate(chunk.scores(output), activation, keep=True)
        through = gradient[:, neuron] * activation[:, neuron].to(problem.dtype)
        return chunk.differentiate(through, chunk.leaf)

    def influence(points: Tensor, rows: Tensor) -> Tensor:
        (gradients,) = problem.evaluate(work, points, rows)
        return (gradients.reshape(-1, *bundle.step.shape) * bundle.step).flatten(0, 1)

    bundle = Bundle(problem, problem.baselines(baseline))
    for done, values in _mean_over(problem, bundle, steps, rule, influence):
        yield Partial(values.to(problem.dtype), done, steps)


def _mean_over(
    problem: Problem, bundle: Bundle, steps: int, rule: str, influence: Callable[[Tensor, Tensor], Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """The mean over the paths of what `influence` finds at their points, and how many places it is from."""
    nodes, weights = fixed_rule(rule, steps)
    order = scattered(steps)
    total, seen = torch.zeros((), dtype=problem.sum_dtype, device=problem.device), 0.0
    for span in bundle.spans(steps):
        chosen = [order[index] for index in span]
        found = influence(*bundle.at([nodes[index] for index in chosen]))
        for index, one in zip(chosen, bundle.placed(found), strict=True):
            total = total + weights[index] * one.to(problem.sum_dtype).mean(0)
            seen += weights[index]
        yield span.stop, total / seen


def _has_places(output: Tensor) -> bool:
    return output.ndim == 4 and output.shape[2] * output.shape[3] > 1
