"""Full-gradients: what the input and what the biases contribute to a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method

from .bias_shares import BiasShares
from .implicit_biases import Biases


@method(
    family="propagation",
    title="FullGrad",
    reference="Srinivas, Fleuret (2019), Full-Gradient Representation for Neural Network Visualization, arXiv:1905.00780",
    needs=("gradient", "image"),
    signed=False,
    unit="sum of maps from 0 to 1",
)
def full_grad(
    problem: Problem,
    *,
    raw: Annotated[bool, Note("Signed shares of the score instead of the paper's picture.")] = False,
) -> Iterator[Partial]:
    """Input × gradient and, of every layer, bias × gradient, in one map of the image.

    Values [batch, 1, height, width]. The paper's picture takes each layer's map of absolute values, scales it from 0 to 1
    for each row (over all channels together), enlarges it (bilinear) and adds the channels of all of them up; it has no
    unit, and what has no places (fully connected layers) is not in it. Biases are those of layers, batch normalisations,
    added constants and, with other activations than ReLU, the implicit ones of nonlinearities.
    `raw` adds the signed contributions themselves, in units of the score: a coarse map's values are spread over the pixels
    they stand for, contributions without a place over all of them, so that they sum to the score up to `delta`.
    """
    height, width = problem.points.shape[2:]

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        contribution, biases, scores = contributions(chunk)
        maps = [contribution, *(one for one, image in biases if image)]
        if not raw:
            return sum(map(pictured, maps), torch.zeros_like(contribution[:, :1])), scores
        elsewhere = sum((one.flatten(1).sum(1) for one, image in biases if not image), torch.zeros_like(scores))
        spread = torch.cat([spread_out(one.sum(1, keepdim=True), height, width) for one in maps], 1).sum(
            1, keepdim=True
        )
        return spread + elsewhere[:, None, None, None] / (height * width), scores

    def pictured(map_: Tensor) -> Tensor:
        size = map_.abs().flatten(1)
        low, high = size.amin(1, keepdim=True), size.amax(1, keepdim=True)
        scaled = torch.where(high > low, (size - low) / (high - low), 0).reshape(map_.shape).sum(1, keepdim=True)
        return functional.interpolate(scaled, (height, width), mode="bilinear", align_corners=False)

    values, scores = problem.evaluate(work)
    total = values.to(problem.sum_dtype).flatten(1).sum(1)
    nothing = torch.zeros_like(scores) if raw else None
    yield Partial(values, 1, 1, delta=(total - scores).to(problem.dtype) if raw else None, score=scores,
                  baseline_score=nothing)  # fmt: skip


@method(
    family="propagation",
    title="Bias attribution",
    reference="Wang, Zhou, Bilmes (2019), Bias Also Matters: Bias Attribution for Deep Neural Network Explanation, ICML",
    needs=("gradient",),
)
def bias_attribution(problem: Problem) -> Iterator[Partial]:
    """What the biases contribute to the score, handed back layer by layer to the inputs.

    Values [batch, ...] like the input, in units of the score; they sum to the score less Σ input × gradient, so that
    together with `input_x_gradient` they sum to the score. As in the paper every bias counts b ∂f/∂b, and each neuron deals
    out what it has gathered among the inputs of its layer in fractions that sum to one. The fractions are |w x| / Σ |w x|,
    by the size of what an input sends to the neuron (equal where nothing is sent); the paper's own choices, with softmax and
    temperature, are not among them. For layers, functions of single numbers and pooling; anything else is an error.
    """

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        unit = torch.ones_like(chunk.leaf).requires_grad_()
        mode = BiasShares(chunk.problem.inputs.assemble(unit, chunk.rows))
        scores = chunk.scores(chunk.output(rewrite=mode), mode)
        chunk.differentiate(scores, chunk.leaf)
        found = torch.zeros_like(unit)
        if mode.terms:
            (found,) = torch.autograd.grad(
                [mode.shares[number] for number in mode.terms],
                unit,
                [term.expand_as(mode.shares[number]) for number, term in mode.terms.items()],
            )
        return found, scores.detach()

    values, scores = problem.evaluate(work)
    yield Partial(values, 1, 1, score=scores)


Terms = dict[int, tuple[Tensor, bool]]


def contributions(chunk: Chunk) -> tuple[Tensor, list[tuple[Tensor, bool]], Tensor]:
    """Input × gradient [n, ...], bias × gradient of every operation and whether it is a map of the image, and scores [n]."""
    product, terms, scores = _contributions(chunk)
    return product, [(term.to(scores.dtype), image) for _, (term, image) in sorted(terms.items())], scores


def _contributions(chunk: Chunk) -> tuple[Tensor, Terms, Tensor]:
    mode = Biases()
    scores = chunk.scores(chunk.output(rewrite=mode), mode)
    (gradient,) = chunk.differentiate(scores, chunk.leaf)
    terms = {number: (term, number in mode.images) for number, term in mode.terms.items()}
    rows = len(chunk.rows)
    if rows == 1:
        terms = {number: (term if image else term.reshape(1, -1), image) for number, (term, image) in terms.items()}
    elif not all(term.ndim in (2, 4) and len(term) == rows for term, _ in terms.values()):
        return _one_by_one(chunk)  # which row a number belongs to cannot be told from the shape
    return chunk.leaf.detach() * gradient, terms, scores.detach()


def _one_by_one(chunk: Chunk) -> tuple[Tensor, Terms, Tensor]:
    found = []
    for at in range(len(chunk.rows)):
        leaf = chunk.leaf[at : at + 1].detach().requires_grad_()
        found.append(_contributions(replace(chunk, leaves=(leaf,), rows=chunk.rows[at : at + 1])))
    terms: Terms = {}
    for number in sorted({number for _, parts, _ in found for number in parts}):
        some, image = next(parts[number] for _, parts, _ in found if number in parts)
        none = torch.zeros_like(some), image  # of a row whose bias is zero there
        terms[number] = torch.cat([parts.get(number, none)[0] for _, parts, _ in found]), image
    return torch.cat([one for one, _, _ in found]), terms, torch.cat([scores for _, _, scores in found])


def spread_out(coarse: Tensor, height: int, width: int) -> Tensor:
    """Every value divided evenly among the pixels it stands for; the sum stays."""
    with torch.enable_grad():
        fine = torch.zeros(
            (*coarse.shape[:2], height, width), dtype=coarse.dtype, device=coarse.device
        ).requires_grad_()
        means = functional.adaptive_avg_pool2d(fine, (coarse.shape[2], coarse.shape[3]))
    return torch.autograd.grad(means, fine, coarse)[0]
