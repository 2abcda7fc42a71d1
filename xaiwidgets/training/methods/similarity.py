"""Training examples that look alike to the model. Nothing here knows what the model was taught by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.layers import LayerLike
from xaiwidgets.engine.registry import Note, Range
from xaiwidgets.training.features import Features
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, Scored, Step, training_method
from xaiwidgets.training.shapley_values import Measure, shapley_of_neighbours, similarity

Layer = Annotated[
    LayerLike,
    Note('Whose output is compared: a name, or "input"; otherwise what the last linear layer is given.', "layer"),
]
Alike = Annotated[Measure, Note("cosine of the angle, dot product, or minus the squared distance (l2).")]

UNSIGNED = "similarity: a training example that is alike may have raised or lowered the score"


@training_method(
    title="Feature similarity",
    family="similarity",
    reference="Hanawa et al. 2021, Evaluation of similarity-based explanations, arXiv:2006.04528",
)
def feature_similarity(question: Question, *, layer: Layer = None, measure: Alike = "cosine") -> Iterator[Step]:
    """How alike a layer's output is for the training example and for the query."""
    features = Features(question, layer)
    queries = features.queries()
    for span in question.spans():
        parts = [similarity(queries, rows, measure) for _, rows, *_ in features.training(span)]
        yield Scored(span, torch.cat(parts, 1).unsqueeze(2).cpu(), (UNSIGNED,))


@training_method(
    title="Shapley value for a vote of neighbours", family="similarity",
    reference="Jia et al. 2019, Efficient task-specific data valuation for nearest neighbor algorithms, arXiv:1908.08619",
    approximations=("values for a vote of the nearest neighbours in the layer's output, not for the model",),
)  # fmt: skip
def knn_shapley(
    question: Question,
    *,
    layer: Layer = None,
    measure: Alike = "l2",
    neighbours: Annotated[int, Range(1, 100, help="How many training examples vote.")] = 5,
) -> Iterator[Step]:
    """What the training example adds to the share of nearest neighbours that have the query's label."""
    if question.data.label_kind != "class":
        raise InputError("classes_needed", "A vote of neighbours needs one class a training example as its label")
    features = Features(question, layer)
    queries = features.queries()
    candidates = question.candidates()
    alike, labels = [], []
    for positions, rows, _, own in features.training(candidates):
        alike.append(similarity(queries, rows, measure))
        labels.append(own.flatten())
        yield Preparing(int(np.searchsorted(candidates, positions[-1])) + 1, len(candidates), "neighbours")
    values = shapley_of_neighbours(torch.cat(alike, 1), torch.cat(labels), question.labels.flatten(), neighbours)
    yield Scored(candidates, values.unsqueeze(2).cpu())
