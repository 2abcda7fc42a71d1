"""EK-FAC against formulas written out, against the exact inverse, and on every kind of layer."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from curvature_parts import (
    answer,
    blobs,
    correlations,
    digits,
    fitted,
    gauss_newton,
    gradients,
    seeded,
    small_network,
    spec_of,
)
from torch import nn

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.training.curvature import Objective, root_of_loss
from xaiwidgets.training.ekfac import Block, EkFac, Lookup, Weight
from xaiwidgets.training.inverse import finished
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.question import Question
from xaiwidgets.training.solvers import Inversion


def prepared(spec, queries, **inversion):
    question = Question(spec, *queries)
    inverse = Inversion(**{"solver": "ekfac", **inversion}).of(question, 0)
    list(inverse.prepare())
    return question, inverse


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- random gradients with the right covariance ----------------------------------------------------------------------


def every_sign(monkeypatch, output, labels, loss):
    """The mean of r r' over all signs, exactly: [rows, numbers, numbers]."""
    total, count = 0, 0
    for signs in itertools.product((0, 1), repeat=output[0].numel()):
        drawn = torch.tensor(signs).reshape(1, *output.shape[1:]).expand(output.shape)
        monkeypatch.setattr(torch, "randint", lambda *_, drawn=drawn, **__: drawn)
        root = root_of_loss(loss_of(loss), output, labels, generator()).flatten(1)
        total, count = total + root.unsqueeze(2) * root.unsqueeze(1), count + 1
    monkeypatch.undo()
    return total / count


@pytest.mark.parametrize(
    ("loss", "output", "labels"),
    [
        ("cross_entropy", torch.randn(3, 4, generator=generator()), torch.tensor([0, 3, 1])),
        ("cross_entropy", torch.randn(2, 3, 3, generator=generator()), torch.tensor([[0, -100, 2], [1, 1, 0]])),
        ("cross_entropy", torch.randn(2, 4, 2, generator=generator()), torch.tensor([[0, -100], [1, 3]])),
        ("binary_cross_entropy", torch.randn(3, 2, generator=generator()), torch.rand(3, 2, generator=generator(1))),
        ("squared_error", torch.randn(3, 2, generator=generator()), torch.randn(3, 2, generator=generator(1))),
    ],
    ids=["classes", "places", "classes first", "binary", "squares"],
)
def test_random_gradients_have_the_losses_second_derivative_for_covariance(monkeypatch, loss, output, labels):
    found = every_sign(monkeypatch, output, labels, loss)
    for row in range(len(output)):

        def of_row(values, row=row):
            return loss_of(loss)(values.reshape(1, *output.shape[1:]), labels[row : row + 1]).sum()

        expected = torch.autograd.functional.hessian(of_row, output[row].flatten())
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_a_huge_output_of_an_unknown_loss_is_an_error():
    with pytest.raises(ModelError, match="too large"):
        root_of_loss(loss_of("squared_error"), torch.zeros(2, 3000), torch.zeros(2, 3000), generator())


# --- the inverse -----------------------------------------------------------------------------------------------------


def test_one_layer_is_the_formula():
    data, queries = blobs(50), blobs(3, seed=5)
    model = seeded(lambda: nn.Linear(10, 3)).double()
    data, queries = ((rows[0].double(), rows[1]) for rows in (data, queries))
    question, inverse = prepared(spec_of(model, data), queries, damping=0.03, hessian="fisher")
    wide = torch.cat([data[0], torch.ones(50, 1)], 1)
    slopes = (model(data[0]).softmax(1) - nn.functional.one_hot(data[1], 3)).detach()
    left, right = (torch.linalg.eigh(side.T @ side)[1] for side in (slopes, wide))
    values = ((slopes @ left).square().T @ (wide @ right).square()) / 50
    vector = question.queries(0).dense()
    joined = torch.cat([vector["weight"], vector["bias"].unsqueeze(2)], 2)
    solved = left @ ((left.T @ joined @ right) / (values + 0.03)) @ right.T
    found = finished(inverse.solve(inverse.layout.flatten(vector)))
    assert torch.allclose(found, torch.cat([solved[:, :, :10].flatten(1), solved[:, :, 10]], 1), atol=1e-10)


def test_the_curvature_of_a_linear_regression_is_a_kronecker_product():
    inputs = torch.randn(400, 6, generator=generator())
    data = (inputs, torch.randn(400, 1, generator=generator(1)))
    model, queries = seeded(lambda: nn.Linear(6, 1)), (inputs[:4], data[1][:4])
    exact, ekfac = (
        answer(spec_of(model, data, loss="squared_error"), queries, "influence_function", solver=solver, damping=0.1)
        for solver in ("exact", "ekfac")
    )
    # Exact but for the eigenvalues: the mean of (x'q)², which is the eigenvalue, as there is one output.
    assert torch.allclose(exact, ekfac, rtol=1e-3, atol=1e-3)


def test_it_comes_near_the_exact_inverse_on_a_small_network():
    """Where λ is as large as the large eigenvalues gradients alone are near too, so they are the measure."""
    data, queries = digits(150), digits(160)
    queries = (queries[0][150:], queries[1][150:])
    model = fitted(
        seeded(lambda: nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))), data, decay=1e-3, steps=40
    )
    spec = spec_of(model, data, chunk=50)
    exact = answer(spec, queries, "influence_function", damping=0.1, tolerance=1e-4)
    near = correlations(answer(spec, queries, "influence_function", solver="ekfac", damping=0.1), exact).mean()
    plain = correlations(answer(spec, queries, "gradient_dot"), exact).mean()
    print(f"correlation with the exact influence: EK-FAC {near:.3f}, gradients alone {plain:.3f}")
    assert near > 0.95
    assert near > plain + 0.03


class Everything(nn.Module):
    """Lookups, convolutions plain and grouped, normalisation, a layer used twice, a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.plain = nn.Conv1d(6, 4, 3, padding=1)
        self.grouped = nn.Conv1d(4, 4, 3, padding=1, groups=2)
        self.norm = nn.LayerNorm(4)
        self.twice = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4) * 0.7)
        self.head = nn.Linear(4, 3)

    def forward(self, ids):
        values = self.grouped(torch.relu(self.plain(self.embedding(ids).mT))).mT
        values = self.twice(torch.tanh(self.twice(self.norm(values)))) * self.scale
        return self.head(values.mean(1))


def everything(rows=30):
    ids = torch.randint(0, 12, (rows, 5), generator=generator())
    return ids, torch.randint(0, 3, (rows,), generator=generator(1))


def test_every_parameter_is_in_one_block_and_the_map_is_symmetric():
    data = everything()
    spec = spec_of(seeded(Everything), data)
    question, inverse = prepared(spec, (data[0][:4], data[1][:4]), damping=0.01)
    blocks = {block.name: block for block in inverse.blocks}
    assert isinstance(blocks["embedding.weight"], Lookup)
    weights = {"plain.weight", "twice.weight", "head.weight"}
    assert {name for name, block in blocks.items() if isinstance(block, Weight)} == weights
    assert all(blocks[name].bias == name.replace("weight", "bias") for name in weights)
    assert sum(block.values.numel() for block in inverse.blocks) == inverse.layout.total

    vectors = inverse.layout.flatten(question.queries(0).dense())
    solved = finished(inverse.solve(vectors))
    assert torch.allclose(vectors @ solved.T, solved @ vectors.T, rtol=1e-3, atol=1e-5)
    assert bool(((vectors * solved).sum(1) > 0).all())
    named = inverse.layout.split(solved)
    assert torch.allclose(question.queries(0).dot_vectors(named), vectors @ solved.T, rtol=1e-3, atol=1e-4)
    for power, expected in ((1, (vectors * solved).sum(1)), (2, solved.square().sum(1))):
        assert torch.allclose(inverse.quadratic(question.queries(0), power).float(), expected, rtol=1e-3)


def test_other_parameters_have_their_full_matrix():
    data = everything()
    spec = spec_of(seeded(Everything), data, layers=("scale",))
    question, inverse = prepared(spec, (data[0][:4], data[1][:4]), damping=0.01, hessian="fisher")
    [block] = inverse.blocks
    assert type(block) is Block
    own = torch.cat([part.dense()["scale"] for _, part in question.gradients(0, question.candidates())]).double()
    matrix = own.T @ own / 30 + 0.01 * torch.eye(4)
    vectors = question.queries(0).dense()["scale"]
    assert torch.allclose(
        finished(inverse.solve(vectors)).double(), torch.linalg.solve(matrix, vectors.double().T).T, rtol=1e-3
    )


def test_rows_of_an_embedding_have_their_own_eigenvalues():
    data = everything()
    spec = spec_of(seeded(Everything), data, layers=("embedding",))
    question, inverse = prepared(spec, (data[0][:4], data[1][:4]), damping=0.01, hessian="fisher")
    [block] = inverse.blocks
    own = torch.cat(
        [part.dense()["embedding.weight"] for _, part in question.gradients(0, question.candidates())]
    ).double()
    basis = torch.linalg.eigh(torch.einsum("bvd,bve->de", own, own))[1]
    assert torch.allclose(block.values, (own @ basis).square().mean(0), rtol=1e-3, atol=1e-9)


def test_a_weight_that_was_formed_after_all_counts_the_same(monkeypatch):
    data, queries = blobs(30), blobs(3, seed=5)
    spec = spec_of(small_network(), data)
    expected = answer(spec, queries, "influence_function", solver="ekfac", hessian="fisher", damping=0.05)
    from xaiwidgets.training import ekfac

    known, first = ekfac._factored, ekfac.blocks_of
    monkeypatch.setattr(ekfac, "blocks_of", lambda gradients: [_bare(block) for block in first(gradients)])

    def _bare(block):
        monkeypatch.setattr(ekfac, "_factored", lambda _: None)
        return block

    found = answer(spec, queries, "influence_function", solver="ekfac", hessian="fisher", damping=0.05)
    assert ekfac._factored is not known
    # The bases of the outputs are other ones, as every row of the gradient counts alike: near, not equal.
    assert correlations(found, expected).mean() > 0.95


@pytest.mark.parametrize("hessian", ["gauss_newton", "fisher"])
def test_batches_and_memory_do_not_change_it(hessian):
    data, queries = blobs(40), blobs(3, seed=5)
    whole, small, again = (
        answer(
            spec_of(small_network(), data, chunk=chunk), queries, "influence_function", solver="ekfac", hessian=hessian
        )
        for chunk in (40, 7, 40)
    )
    assert torch.equal(whole, again)
    assert torch.allclose(whole, small, rtol=1e-3, atol=1e-3 * float(whole.abs().max()))


def test_every_layer_has_its_own_damping_unless_given():
    data, queries = blobs(60), blobs(3, seed=5)
    _, inverse = prepared(spec_of(small_network(), data), queries)
    for block in inverse.blocks:
        assert block.damping == pytest.approx(0.1 * float(block.values.mean()))
    assert isinstance(inverse, EkFac)
    assert inverse.damping > 0


def test_the_eigenvalues_are_the_curvature_along_the_basis():
    """Λ is the diagonal of the Gauss–Newton matrix of a layer in the layer's basis, up to the signs drawn."""
    data = (blobs(400)[0].double(), blobs(400)[1])
    model = seeded(lambda: nn.Linear(10, 3)).double()
    spec = spec_of(copy.deepcopy(model), data)
    _, inverse = prepared(spec, (data[0][:2], data[1][:2]))
    [block] = inverse.blocks
    matrix = gauss_newton(spec, data)
    order = torch.cat([torch.arange(30).reshape(3, 10), torch.arange(30, 33)[:, None]], 1).flatten()
    basis = torch.kron(block.left, block.right)
    diagonal = (basis.T @ matrix[order][:, order] @ basis).diagonal().reshape(3, 11)
    assert torch.allclose(block.values, diagonal, rtol=0.3, atol=0.01 * float(diagonal.max()))


def test_the_curvature_reads_the_private_copy_only():
    model = small_network()
    spec = spec_of(copy.deepcopy(model), blobs(20))
    before = copy.deepcopy(spec.model.state_dict())
    answer(spec, blobs(2, seed=5), "influence_function", solver="ekfac")
    assert all(torch.equal(before[name], value) for name, value in spec.model.state_dict().items())
    assert (
        Objective(spec.recorder(model)).layout.total == gradients(spec_of(small_network(), blobs(1)), blobs(1)).shape[1]
    )
