"""What each training example is worth to a classifier that votes among nearest neighbours: exact Shapley values."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ParameterError

Measure = Literal["cosine", "dot", "l2"]

BLOCK = 64 * 1024 * 1024  # bytes of similarities at a time


def similarity(queries: Tensor, rows: Tensor, measure: Measure) -> Tensor:
    """[Q, d] and [n, d] to [Q, n], larger = more alike: cosine, dot product, or minus the squared distance (l2)."""
    if measure == "cosine":
        return functional.normalize(queries, dim=1) @ functional.normalize(rows, dim=1).T
    if measure == "dot":
        return queries @ rows.T
    # Not by way of a product of matrices: its rounding would tell apart what is at the same place.
    return -torch.cdist(queries, rows, compute_mode="donot_use_mm_for_euclid_dist").square()


def knn_shapley(
    features: Tensor,
    labels: Tensor,
    query_features: Tensor,
    query_labels: Tensor,
    *,
    neighbours: int = 5,
    measure: Measure = "l2",
) -> Tensor:
    """Shapley values [Q, N] of N training examples for the vote of the nearest `neighbours` about each query.

    features [N, ...] and query_features [Q, ...] are flattened; labels are integers. The value of a set of examples is the
    share of its `neighbours` nearest that have the query's label (missing neighbours count as wrong), so each row sums to
    what all examples together are worth. Exact in O(N log N) a query (Jia et al. 2019, arXiv:1908.08619); examples at the
    same distance are taken in their order. The mean over the queries is the worth to a validation set.

    Raises InputError where shapes do not fit, ParameterError for neighbours < 1.
    """
    rows, queries = features.flatten(1).float(), query_features.flatten(1).float()
    if rows.shape[1] != queries.shape[1]:
        raise InputError(
            "features_shape", f"The queries have {queries.shape[1]} features and the training examples {rows.shape[1]}"
        )
    if len(labels) != len(rows) or len(query_labels) != len(queries) or not len(rows):
        raise InputError(
            "labels_shape",
            f"{len(labels)} labels for {len(rows)} training examples, {len(query_labels)} for {len(queries)} queries",
        )
    step = max(1, BLOCK // (8 * len(rows)))
    return torch.cat([
        shapley_of_neighbours(
            similarity(queries[start : start + step], rows, measure), labels, query_labels[start : start + step], neighbours
        )
        for start in range(0, len(queries), step)
    ])  # fmt: skip


def shapley_of_neighbours(alike: Tensor, labels: Tensor, query_labels: Tensor, neighbours: int) -> Tensor:
    """The same from similarities [Q, N].

    From the farthest example to the nearest, neighbours in order of distance differ in worth only where exactly one of
    them has the query's label, and then by the chance that there is room for them.
    """
    if neighbours < 1:
        raise ParameterError("parameter_range", f"neighbours={neighbours} is out of range", hint="Allowed: 1 or more.")
    count = alike.shape[1]
    order = alike.argsort(dim=1, descending=True, stable=True)
    agrees = (labels[order] == query_labels[:, None]).double()
    place = torch.arange(1, count + 1, dtype=torch.float64, device=alike.device)
    room = place.clamp(max=neighbours) / (place * neighbours)
    steps = agrees * room  # the farthest: the chance to be among the neighbours of a random set
    steps[:, :-1] = (agrees[:, :-1] - agrees[:, 1:]) * room[:-1]
    worth = steps.flip(1).cumsum(1).flip(1)
    return torch.empty_like(alike).scatter_(1, order, worth.to(alike.dtype))
