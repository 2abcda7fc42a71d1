"""Influence functions against closed forms, other solvers and the real thing: training again without an example."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from curvature_parts import (
    answer,
    answers,
    blobs,
    correlations,
    digits,
    every_step,
    fitted,
    gauss_newton,
    gradients,
    seeded,
    small_network,
    spec_of,
)
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import Cancelled, ExplainError, InputError, ModelError, ParameterError
from xaiwidgets.training.curvature import Curvature, Layout, Objective
from xaiwidgets.training.inverse import ConjugateGradient, finished
from xaiwidgets.training.methods.influence_functions import approximations_of, group_influence
from xaiwidgets.training.recorder import Recorder
from xaiwidgets.training.registry import Preparing, find_training_method


def curvature_of(model, data, kind="gauss_newton", loss="cross_entropy"):
    spec = spec_of(model, data, loss=loss)
    objective = Objective(spec.recorder(copy.deepcopy(model)))
    return Curvature(objective, kind, lambda rows: (data[0][rows], data[1][rows]), len(data[1]))


def matrix_of(curvature):
    *_, (_, _, matrix) = curvature.matrix()
    return matrix


# --- products --------------------------------------------------------------------------------------------------------


def test_the_products_are_those_with_the_explicit_matrices():
    model, data = small_network().double(), blobs(30)
    data = (data[0].double(), data[1])
    spec = spec_of(model, data)
    assert torch.allclose(matrix_of(curvature_of(model, data)), gauss_newton(spec, data), atol=1e-12)

    own = gradients(spec, data)
    assert torch.allclose(matrix_of(curvature_of(model, data, "fisher")), own.T @ own / 30, atol=1e-12)

    layout = Layout(dict(model.named_parameters()))
    theta = layout.flatten({name: one.detach()[None] for name, one in model.named_parameters()})[0]

    def loss(values):
        named = {name: one[0] for name, one in layout.split(values[None]).items()}
        return functional.cross_entropy(torch.func.functional_call(model, named, (data[0],)), data[1])

    hessian = torch.autograd.functional.hessian(loss, theta)
    assert torch.allclose(matrix_of(curvature_of(model, data, "hessian")), hessian, atol=1e-12)


class Attention(nn.Module):
    """Tokens, attention, normalisation, tied weights and a dictionary of outputs."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.out = nn.Linear(8, 9, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, ids):
        return {"logits": self.out(self.layer(self.embedding(ids)).mean(1)), "ids": ids}


@pytest.mark.parametrize("kind", ["gauss_newton", "hessian", "fisher"])
def test_attention_and_tied_weights_have_symmetric_products(kind):
    model = seeded(Attention).double()
    ids, labels = torch.randint(0, 9, (6, 5), generator=torch.Generator().manual_seed(0)), torch.arange(6)
    curvature = curvature_of(model, (ids, labels), kind)
    left, right = torch.randn(
        2, 1, curvature.layout.total, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    assert float(curvature.product(left) @ right.T) == pytest.approx(float(left @ curvature.product(right).T), rel=1e-8)
    assert float(curvature.product(left).norm()) > 0


def test_the_mean_eigenvalue_is_that_of_the_matrix():
    curvature = curvature_of(small_network().double(), (blobs(40)[0].double(), blobs(40)[1]))
    exact = float(matrix_of(curvature).diagonal().mean())
    assert curvature.mean_eigenvalue(0, probes=256) == pytest.approx(exact, rel=0.1)


# --- closed forms ----------------------------------------------------------------------------------------------------


def regression(rows=60):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    labels = (inputs @ torch.randn(5, generator=generator, dtype=torch.float64) + 0.3).unsqueeze(1)
    return inputs, labels + 0.5 * torch.randn(rows, 1, generator=generator, dtype=torch.float64)


def least_squares(inputs, labels):
    """A linear layer at the minimum of the mean squared error."""
    wide = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], 1)
    solution = torch.linalg.lstsq(wide, labels).solution[:, 0]
    model = nn.Linear(5, 1).double()
    model.load_state_dict({"weight": solution[None, :5], "bias": solution[5:]})
    return model.eval()


@pytest.mark.parametrize("hessian", ["hessian", "gauss_newton"])
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "exact"},
        {"solver": "conjugate_gradient", "tolerance": 1e-8},
        {"solver": "arnoldi", "iterations": 6, "rank": 6},
        {"solver": "lissa", "depth": 200},
    ],
    ids=lambda solver: solver["solver"],
)
def test_linear_regression_has_the_closed_form(solver, hessian):
    data, queries = regression(), regression(4)
    model = least_squares(*data)
    wide = [torch.cat([rows[0], torch.ones(len(rows[0]), 1, dtype=torch.float64)], 1) for rows in (data, queries)]
    slopes = [2 * (model(rows[0]) - rows[1]).detach() * one for rows, one in zip((data, queries), wide, strict=True)]
    expected = slopes[1] @ torch.linalg.inv(2 * wide[0].T @ wide[0] / 60 + 0.05 * torch.eye(6)) @ slopes[0].T
    scores = answer(
        spec_of(model, data, loss="squared_error"),
        queries,
        "influence_function",
        hessian=hessian,
        damping=0.05,
        **solver,
    )
    assert torch.allclose(scores.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("solver", ["exact", "conjugate_gradient"])
def test_logistic_regression_has_the_closed_form(solver):
    data, queries = digits(150), digits(160)
    queries = (queries[0][150:], queries[1][150:])
    model = fitted(seeded(lambda: nn.Linear(64, 10)), data, decay=0.01)
    spec = spec_of(model, data)
    matrix = gauss_newton(spec, data) + 0.01 * torch.eye(650)
    expected = gradients(spec, queries) @ torch.linalg.solve(matrix, gradients(spec, data).T)
    scores = answer(spec, queries, "influence_function", solver=solver, damping=0.01, tolerance=1e-6, iterations=500)
    assert float((scores - expected).abs().max() / expected.abs().max()) < 1e-4


def test_lissa_and_arnoldi_come_near_the_exact_inverse():
    data, queries = blobs(120), blobs(8, seed=5)
    spec = spec_of(fitted(small_network(), data, decay=1e-3), data)
    exact = answer(spec, queries, "influence_function", solver="exact", damping=0.01)
    lissa = answer(spec, queries, "influence_function", solver="lissa", damping=0.01, depth=400)
    assert correlations(lissa, exact).mean() > 0.95
    arnoldi = answer(spec, queries, "influence_function", solver="arnoldi", damping=0.01, iterations=115, rank=115)
    assert torch.allclose(arnoldi, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
    few = [
        answer(spec, queries, "influence_function", solver="arnoldi", damping=0.01, iterations=60, rank=rank)
        for rank in (5, 20, 50)
    ]
    assert sorted(near := [float(correlations(one, exact).mean()) for one in few]) == near


# --- what a score means ----------------------------------------------------------------------------------------------


def test_a_score_over_n_is_the_change_of_the_loss_without_the_example():
    data, queries = regression(200), regression(5)
    scores = answer(
        spec_of(least_squares(*data), data, loss="squared_error"),
        queries,
        "influence_function",
        solver="exact",
        damping=0.0,
    )
    full = (least_squares(*data)(queries[0]) - queries[1]).square()[:, 0]
    for left_out in range(0, 200, 20):
        kept = torch.arange(200) != left_out
        again = (least_squares(data[0][kept], data[1][kept])(queries[0]) - queries[1]).square()[:, 0]
        change = (again - full).detach()
        assert torch.allclose(scores[:, left_out].double() / 200, change, rtol=0.2, atol=2e-4)


def test_scores_agree_with_training_again_without_each_example(record_property):
    decay = 0.01
    data, queries = digits(100), digits(112)
    queries = (queries[0][100:], queries[1][100:])
    model = fitted(seeded(lambda: nn.Linear(64, 10)), data, decay=decay)
    scores = answer(spec_of(model, data), queries, "influence_function", solver="exact", damping=decay)
    full = functional.cross_entropy(model(queries[0]), queries[1], reduction="none")
    left_out = range(0, 100, 3)
    changes = []
    for example in left_out:
        kept = torch.arange(100) != example
        # The decay of the sum over the examples stays as it was: the same share of a smaller mean.
        again = fitted(copy.deepcopy(model), (data[0][kept], data[1][kept]), decay=decay * 100 / 99, steps=40)
        changes.append(functional.cross_entropy(again(queries[0]), queries[1], reduction="none") - full)
    correlation = float(correlations(scores[:, list(left_out)], torch.stack(changes, 1).detach()).mean())
    record_property("leave_one_out_correlation", correlation)
    print(f"correlation with leaving one out: {correlation:.3f}")
    assert correlation > 0.85


def test_an_example_is_a_proponent_of_itself():
    data = blobs(60)
    spec = spec_of(fitted(small_network(), data, decay=1e-2), data)
    scores = answer(spec, data, "influence_function", solver="exact")
    assert bool((scores.diagonal() > 0).all())
    assert torch.allclose(scores, scores.T, atol=1e-4 * float(scores.abs().max()))


def test_groups_are_the_sums_of_their_members():
    scores = torch.arange(12.0).reshape(2, 6)
    mask = np.array([True, False, False, False, False, True])
    assert group_influence(scores, [[0, 1], mask, []]).tolist() == [[1, 5, 0], [13, 17, 0]]
    with pytest.raises(InputError, match="Group 1 does not choose"):
        group_influence(scores, [[0], [6]])


# --- relative influence ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relative_to", ["theta", "loss"])
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "exact"},
        {"solver": "conjugate_gradient", "tolerance": 1e-6},
        {"solver": "arnoldi", "iterations": 115, "rank": 115},
    ],
    ids=lambda solver: solver["solver"],
)
def test_relatif_has_the_closed_form(solver, relative_to):
    data, queries = blobs(40), blobs(5, seed=5)
    spec = spec_of(small_network(), data)
    matrix = gauss_newton(spec, data) + 0.02 * torch.eye(115)
    own = gradients(spec, data)
    moved = torch.linalg.solve(matrix, own.T)
    lengths = moved.norm(dim=0) if relative_to == "theta" else (own.T * moved).sum(0).sqrt()
    expected = gradients(spec, queries) @ moved / lengths
    scores = answer(spec, queries, "relatif", relative_to=relative_to, damping=0.02, **solver)
    assert float((scores - expected).abs().max() / expected.abs().max()) < 1e-3


# --- parameters, batches, errors -------------------------------------------------------------------------------------


def test_layers_of_the_index_are_the_only_ones():
    data, queries = blobs(40), blobs(3, seed=5)
    spec = spec_of(small_network(), data, layers=("2",))
    head = spec_of(nn.Sequential(spec.model[2]), (torch.tanh(spec.model[0](data[0])).detach(), data[1]))
    matrix = gauss_newton(head, head.data.batch(range(40))) + 0.1 * torch.eye(27)
    expected = gradients(spec, queries) @ torch.linalg.solve(matrix, gradients(spec, data).T)
    scores = answer(spec, queries, "influence_function", solver="exact", damping=0.1)
    assert torch.allclose(scores.double(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["influence_function", "relatif"])
def test_batches_do_not_change_the_scores(method):
    data, queries = blobs(50), blobs(3, seed=5)
    whole, small = (answer(spec_of(small_network(), data, chunk=chunk), queries, method) for chunk in (50, 7))
    assert torch.allclose(whole, small, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


def test_the_curvature_may_be_that_of_some_examples_and_it_is_said():
    data, queries = blobs(60), blobs(3, seed=5)
    spec = spec_of(small_network(), data)
    some, same, other = (answer(spec, queries, "influence_function", examples=20, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(some, same)
    assert not torch.allclose(some, other)
    defaults = find_training_method("influence_function").check({"examples": 20})
    assert "curvature of at most 20 examples drawn at random" in approximations_of(defaults)
    assert approximations_of({**defaults, "examples": None, "solver": "exact", "hessian": "hessian"}) == ()


def test_the_last_checkpoint_is_the_one_that_counts():
    data, queries = blobs(40), blobs(3, seed=5)
    first, last = small_network(0), small_network(1)
    both = answer(spec_of(last, data, checkpoints=[first, last]), queries, "influence_function", damping=0.1)
    alone = answer(spec_of(last, data), queries, "influence_function", damping=0.1)
    assert torch.equal(both, alone)


def test_progress_is_shown_and_the_damping_told():
    steps = every_step(spec_of(small_network(), blobs(40)), blobs(3, seed=5), "influence_function")
    phases = [step.phase for step in steps if isinstance(step, Preparing)]
    assert list(dict.fromkeys(phases)) == ["curvature", "solving for the queries"]
    assert all(step.done <= step.total for step in steps if isinstance(step, Preparing))
    assert steps[-1].notes[0].startswith("damping λ = ")


@pytest.mark.parametrize("solver", ["exact", "conjugate_gradient", "lissa", "arnoldi", "ekfac"])
def test_cancelling_stops_at_the_next_chunk(solver):
    calls = 0

    def interrupt():
        nonlocal calls
        calls += 1
        if calls == 6:
            raise Cancelled

    with pytest.raises(Cancelled):
        answer(
            spec_of(small_network(), blobs(60)),
            blobs(3, seed=5),
            "influence_function",
            solver=solver,
            interrupt=interrupt,
        )
    assert calls == 6


def test_negative_curvature_and_unfinished_solutions_are_said():
    model, data = small_network().double(), blobs(40)
    data = (data[0].double(), data[1])
    indefinite = curvature_of(model, data, "hessian")
    solver = ConjugateGradient(indefinite, 1e-3, tolerance=1e-9, iterations=200)
    list(solver.prepare())
    values, vectors = torch.linalg.eigh(matrix_of(indefinite))
    assert values[0] < -1e-3
    finished(solver.solve(vectors.T[[0]]))
    assert "directions of negative curvature were left out of the solution" in solver.notes

    [step] = answers(
        spec_of(model, data), (data[0][:2], data[1][:2]), "influence_function", iterations=5, tolerance=1e-8
    )
    assert any("stopped at a relative residual of" in note for note in step.notes)
    [step] = answers(spec_of(model, data), (data[0][:2], data[1][:2]), "influence_function", solver="lissa", depth=10)
    assert any("short of their limit" in note for note in step.notes)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"solver": "exact", "damping": 0.0}, ModelError, "cannot be inverted"),
        ({"solver": "ekfac", "hessian": "hessian"}, ParameterError, "EK-FAC does not know the Hessian"),
        ({"damping": -1.0}, ParameterError, "is negative"),
        ({"solver": "lissa", "hessian": "hessian", "damping": -0.0, "depth": 100_000}, ModelError, "does not converge"),
        ({"solver": "newton"}, ParameterError, "is not a choice"),
    ],
)
def test_what_cannot_be_done_is_an_error(parameters, error, message):
    data = (torch.cat([blobs(30)[0], torch.zeros(30, 1)], 1), blobs(30)[1])  # an input without information: singular
    model = seeded(lambda: nn.Sequential(nn.Linear(11, 4), nn.Tanh(), nn.Linear(4, 3)))
    with pytest.raises(error, match=message):
        answer(spec_of(model, data), (data[0][:2], data[1][:2]), "influence_function", **parameters)


def test_too_many_parameters_for_the_matrix_is_an_error_with_a_way_out():
    model = seeded(lambda: nn.Sequential(nn.Linear(10, 600), nn.ReLU(), nn.Linear(600, 3)))
    with pytest.raises(ExplainError, match=r"too large to be inverted.*ekfac"):
        answer(spec_of(model, blobs(20)), blobs(2, seed=5), "influence_function", solver="exact")


def test_the_users_model_is_left_alone():
    model = small_network()
    before = copy.deepcopy(model.state_dict())
    answer(spec_of(copy.deepcopy(model), blobs(20)), blobs(2, seed=5), "influence_function")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    recorder = Recorder(copy.deepcopy(model), functional.cross_entropy)
    assert Objective(recorder).layout.total == 115
