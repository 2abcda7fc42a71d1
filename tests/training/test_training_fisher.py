"""Fisher kernels against the closed form, and the examples that stand in for a query against every choice there is."""

from __future__ import annotations

import itertools

import pytest
import torch
from curvature_parts import answer, blobs, correlations, fitted, gradients, small_network, spec_of

from xaiwidgets.engine.errors import Cancelled, ParameterError
from xaiwidgets.training.methods.fisher import sequential_quadrature, whitened
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import find_training_method


def problem():
    data, queries = blobs(60), blobs(4, seed=5)
    return spec_of(fitted(small_network(), data, decay=1e-2, steps=10), data), data, queries


def closed_form(spec, data, queries, damping):
    own = gradients(spec, data)
    matrix = own.T @ own / len(own)
    damping = 0.1 * float(matrix.diagonal().mean()) if damping is None else damping
    return gradients(spec, queries) @ torch.linalg.solve(matrix + damping * torch.eye(len(matrix)), own.T)


@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "exact"},
        {"solver": "conjugate_gradient", "tolerance": 1e-7, "iterations": 200},
        {"solver": "arnoldi", "iterations": 115, "rank": 115},
    ],
    ids=lambda solver: solver["solver"],
)
def test_the_kernel_is_the_closed_form(solver):
    spec, data, queries = problem()
    wanted = closed_form(spec, data, queries, 0.05)
    found = answer(spec, queries, "fisher_kernel", damping=0.05, **solver)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-3


def test_sketched_kernels_come_near_it_and_are_those_of_the_sketches():
    spec, data, queries = problem()
    wanted = closed_form(spec, data, queries, 0.05)
    near = [
        float(correlations(answer(spec, queries, "fisher_kernel", dim=dim, damping=0.05), wanted).mean())
        for dim in (64, 1024)
    ]
    assert near[1] > 0.95
    assert near[1] > near[0]
    rows, asked = whitened(Question(spec, *queries), dim=256, damping=0.05)
    scores = answer(spec, queries, "fisher_kernel", dim=256, damping=0.05)
    assert torch.allclose((asked @ rows.T).float(), scores, rtol=1e-3, atol=1e-3 * float(scores.abs().max()))


def test_damping_is_a_tenth_of_the_mean_eigenvalue_where_none_is_given():
    spec, data, queries = problem()
    own = gradients(spec, data)
    tenth = 0.1 * float(own.square().sum() / 60 / 128)  # the trace survives the sketch on average; over 128 eigenvalues
    auto, given = (answer(spec, queries, "fisher_kernel", dim=128, damping=damping) for damping in (None, tenth))
    assert correlations(auto, given).min() > 0.99


def test_some_examples_are_enough_and_it_is_said():
    spec, _, queries = problem()
    method = find_training_method("fisher_kernel")
    parameters = method.check({"examples": 30})
    assert method.approximates(parameters)[-1] == "Fisher matrix of at most 30 examples drawn at random"
    some, every = (answer(spec, queries, "fisher_kernel", examples=examples, damping=0.1) for examples in (30, None))
    assert not torch.allclose(some, every)
    assert correlations(some, every).mean() > 0.5


def test_greedy_choices_are_the_best_next_ones():
    generator = torch.Generator().manual_seed(0)
    features, goal = torch.randn(12, 5, generator=generator).double(), torch.randn(5, generator=generator).double()

    def distance(chosen):
        part = features[list(chosen)]
        return float((goal - torch.linalg.lstsq(part.T, goal[:, None]).solution[:, 0] @ part).norm())

    chosen, weights = sequential_quadrature(features, goal, 3)
    for step in range(3):
        before = chosen[:step].tolist()
        best = min((one for one in range(12) if one not in before), key=lambda one: distance([*before, one]))
        assert int(chosen[step]) == best
    assert float((goal - weights @ features[chosen]).norm()) == pytest.approx(distance(chosen.tolist()))
    # Greedy is not best of all, and not far from it.
    assert distance(chosen.tolist()) <= 3 * min(map(distance, itertools.combinations(range(12), 3))) + 0.5


def test_all_directions_reproduce_the_goal_and_more_do_not_exist():
    features = torch.eye(3).repeat(3, 1)
    chosen, weights = sequential_quadrature(features, torch.tensor([1.0, 3.0, 2.0]), 3)
    assert chosen.tolist() == [1, 2, 0]
    assert weights.tolist() == pytest.approx([3, 2, 1])
    with pytest.raises(ParameterError, match="count=4 is not possible"):
        sequential_quadrature(features, torch.ones(3), 4)
    with pytest.raises(ParameterError, match="rank 1"):
        sequential_quadrature(torch.ones(4, 3), torch.tensor([1.0, 1.0, 0.0]), 2)


def test_cancelling():
    spec, _, queries = problem()
    calls = []

    def interrupt():
        calls.append(0)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        answer(spec, queries, "fisher_kernel", dim=64, interrupt=interrupt)
    assert len(calls) == 3
