"""Exact values of nearest neighbours beside the definition: every subset of the training examples."""

import itertools
import math

import numpy as np
import pytest
import torch

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.training.shapley_values import knn_shapley, similarity


def brute_force(alike: torch.Tensor, agrees: list[bool], neighbours: int) -> np.ndarray:
    """The definition: the mean gain of an example over all orders in which the examples can come."""
    count = len(agrees)
    nearest_first = sorted(range(count), key=lambda one: (-float(alike[one]), one))

    def worth(members: frozenset[int]) -> float:
        voters = [one for one in nearest_first if one in members][:neighbours]
        return sum(agrees[one] for one in voters) / neighbours

    values = np.zeros(count)
    for one in range(count):
        others = [other for other in range(count) if other != one]
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for members in map(frozenset, itertools.combinations(others, size)):
                values[one] += weight * (worth(members | {one}) - worth(members))
    return values


@pytest.mark.parametrize("measure", ["l2", "cosine", "dot"])
@pytest.mark.parametrize("neighbours", [1, 3, 12])  # also more than there are examples
def test_equals_the_definition(neighbours, measure):
    generator = torch.Generator().manual_seed(neighbours)
    rows, queries = torch.randn(8, 3, generator=generator), torch.randn(2, 3, generator=generator)
    rows[5] = rows[2]  # examples at the same place are taken in their order
    labels, asked = torch.tensor([0, 1, 1, 0, 2, 0, 1, 0]), torch.tensor([0, 1])
    values = knn_shapley(rows, labels, queries, asked, neighbours=neighbours, measure=measure)
    alike = similarity(queries, rows, measure)
    for query in range(2):
        expected = brute_force(alike[query], (labels == asked[query]).tolist(), neighbours)
        np.testing.assert_allclose(values[query].numpy(), expected, atol=1e-6)


def test_values_sum_to_what_all_are_worth_and_blocks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    rows, labels = torch.randn(300, 2, 2, generator=generator), torch.randint(0, 3, (300,), generator=generator)
    queries, asked = torch.randn(20, 2, 2, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    values = knn_shapley(rows, labels, queries, asked, neighbours=7)
    nearest = torch.cdist(queries.flatten(1), rows.flatten(1)).argsort(dim=1)[:, :7]
    share = (labels[nearest] == asked[:, None]).float().mean(1)
    torch.testing.assert_close(values.sum(1), share, atol=1e-5, rtol=0)
    monkeypatch.setattr("xaiwidgets.training.shapley_values.BLOCK", 1)  # a query at a time
    torch.testing.assert_close(knn_shapley(rows, labels, queries, asked, neighbours=7), values, atol=1e-6, rtol=0)


def test_a_wrong_label_is_worth_less_than_nothing():
    rows = torch.cat([torch.randn(40, 2) * 0.1, torch.randn(40, 2) * 0.1 + 5])
    labels = torch.arange(80) // 40
    labels[3] = 1
    worth = knn_shapley(rows, labels, rows[10:70:3], (torch.arange(80) // 40)[10:70:3]).mean(0)
    assert worth.argmin() == 3
    assert worth[3] < 0


def test_misfits_are_named():
    rows, labels = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(InputError, match="2 features"):
        knn_shapley(rows, labels, torch.zeros(1, 2), labels[:1])
    with pytest.raises(InputError, match="3 labels for 4"):
        knn_shapley(rows, labels[:3], rows, labels)
    with pytest.raises(ParameterError, match="neighbours=0"):
        knn_shapley(rows, labels, rows, labels, neighbours=0)
