"""Inner products of gradients: a step on a training example against a step on the query, at one checkpoint or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.registry import Note
from xaiwidgets.training.question import Question
from xaiwidgets.training.recorder import Gradients
from xaiwidgets.training.registry import By, Scored, Step, training_method

Normalise = Literal["none", "cosine", "relative"]
Choice = Annotated[
    Normalise,
    Note(
        "none: the product itself. cosine: of directions only, the mean over checkpoints. "
        "relative: divided by the length of the training example's gradient"
    ),
]

PRUTHI = "Pruthi et al. 2020, Estimating training data influence by tracing gradient descent, arXiv:2002.08484"
CHARPIAT = "Charpiat et al. 2019, Input similarity from the neural network perspective, arXiv:2102.05262"


def _by(parameters: dict[str, Any]) -> By:
    return "products" if parameters["normalise"] == "none" else "lengths"


@training_method(title="TracIn", family="gradient", reference=PRUTHI, per_checkpoint=True, shortlist=_by)
def tracin(question: Question, *, normalise: Choice = "none") -> Iterator[Step]:
    """Products of the gradients at every checkpoint, times its learning rate."""
    return _products(question, normalise)


@training_method(
    title="TracIn, last layer",
    family="gradient",
    reference=PRUTHI,
    per_checkpoint=True,
    approximations=("gradients of one layer only, weight and bias",),
)
def tracin_last_layer(
    question: Question,
    *,
    layer: Annotated[str | None, Note("None: the last linear layer that is used", "layer")] = None,
    normalise: Choice = "none",
) -> Iterator[Step]:
    """TracIn by the gradients of the last linear layer: no pass back through the rest of the model."""
    return _products(question.of_layer(layer or question.last_linear()), normalise)


@training_method(title="Gradient product", family="gradient", reference=CHARPIAT, shortlist="products")
def gradient_dot(question: Question) -> Iterator[Step]:
    """The product of the gradients at the last of the checkpoints."""
    return _last(question, "none")


@training_method(title="Gradient cosine", family="gradient", reference=CHARPIAT, shortlist="lengths")
def gradient_cosine(question: Question) -> Iterator[Step]:
    """The cosine of the gradients at the last of the checkpoints: large gradients do not lead everywhere."""
    return _last(question, "cosine")


@training_method(
    title="TracIn, projected",
    family="gradient",
    reference=PRUTHI,
    indexed=True,
    approximations=("gradients sketched and rounded as the index stores them, checkpoints together",),
)
def tracin_projected(question: Question) -> Iterator[Step]:
    """Products of the index's stored vectors: nothing is computed of the training examples."""
    vectors = question.vectors(question.checkpoints)
    for positions in question.spans():
        question.check()
        yield Scored(positions, (vectors @ question.stored.vectors(positions).T).unsqueeze(2))


@training_method(
    title="Random",
    family="control",
    reference="A control: no method should do worse",
    approximations=("random numbers",),
)
def random(
    question: Question, *, seed: Annotated[int, Note("Another seed, other numbers", "seed")] = 0
) -> Iterator[Step]:
    """Random scores, to compare others with."""
    generator = question.generator(seed)
    for positions in question.spans():
        scores = torch.randn(len(positions), len(question), 1, generator=generator)
        yield Scored(positions, scores.transpose(0, 1))


def _last(question: Question, normalise: Normalise) -> Iterator[Step]:
    last = question.checkpoints[-1]
    for positions in question.spans():
        yield Scored(positions, _block(question, last, positions, normalise).unsqueeze(2))


def _products(question: Question, normalise: Normalise) -> Iterator[Step]:
    """Each checkpoint's own product comes before the sum over checkpoints: gradients of different ones never meet."""
    weights = question.learning_rates.float()
    if normalise == "cosine":
        weights = torch.full_like(weights, 1 / len(weights))
    for positions in question.spans():
        blocks = [_block(question, checkpoint, positions, normalise) for checkpoint in question.checkpoints]
        yield Scored(positions, torch.stack(blocks, 2) * weights)


def _block(question: Question, checkpoint: int, positions: Any, normalise: Normalise) -> Tensor:
    """[Q, n] of one checkpoint."""
    queries = question.queries(checkpoint)
    chunks = [
        _normalised(queries, gradients, normalise).T.cpu() for _, gradients in question.gradients(checkpoint, positions)
    ]
    return torch.cat(chunks, 1)


def _normalised(queries: Gradients, gradients: Gradients, normalise: Normalise) -> Tensor:
    """[n, Q] of a chunk; a gradient that is zero has no direction and gets 0."""
    products = gradients.dot(queries).float()
    if normalise == "none":
        return products
    lengths = gradients.squared_norms().float().sqrt()[:, None]
    if normalise == "cosine":
        lengths = lengths * queries.squared_norms().float().sqrt()[None]
    return torch.where(lengths > 0, products / lengths, torch.zeros_like(products))
