"""Gradient products against one backward pass for each example, and where the order of sums and products matters."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from small_runs import RATES, small_run
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.training.index import TrainingIndex


def gradients(model, inputs, labels, names, loss):
    """[rows, P] one backward pass a row."""
    parameters = [parameter for name, parameter in model.named_parameters() if name in names]
    rows = []
    for row in range(len(labels)):
        one = (
            {key: value[row : row + 1] for key, value in inputs.items()}
            if isinstance(inputs, dict)
            else inputs[row : row + 1]
        )
        output = model(**one).logits if isinstance(one, dict) else model(one)
        found = torch.autograd.grad(loss(output, labels[row : row + 1]).sum(), parameters, allow_unused=True)
        flat = [torch.zeros(p.numel()) if g is None else g.flatten() for g, p in zip(found, parameters, strict=True)]
        rows.append(torch.cat(flat))
    return torch.stack(rows)


def brute(model, states, train, test, *, names=None, loss=functional.cross_entropy, normalise="none", rates=RATES):
    """[Q, N, C] from the definition, in a copy of the model."""
    model = copy.deepcopy(model).eval()
    names = [name for name, _ in model.named_parameters()] if names is None else names
    contributions = []
    for state, rate in zip(states, rates, strict=True):
        model.load_state_dict(state)
        ours, theirs = (gradients(model, *rows, names, loss) for rows in (test, train))
        products = ours @ theirs.T
        if normalise == "cosine":
            products /= ours.norm(dim=1)[:, None] * theirs.norm(dim=1) * len(states) * rate
        elif normalise == "relative":
            products /= theirs.norm(dim=1)
        contributions.append(rate * products)
    return torch.stack(contributions, 2).numpy()


def close(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@cache
def trained():
    """A run, its training rows, 4 queries, and an index of it."""
    run = small_run()
    index = TrainingIndex.build(run.model, run.rows, checkpoints=run.checkpoints, learning_rates=RATES, progress=False)
    return run, run.rows, run.queries, index


@pytest.mark.parametrize("normalise", ["none", "cosine", "relative"])
def test_tracin_is_what_it_is_defined_to_be(normalise):
    example, rows, queries, index = trained()
    result = index.influence(queries, normalise=normalise)
    assert np.array_equal(result.labels, example.model(queries).argmax(1).numpy()), (
        "None asks about the predicted class"
    )
    expected = brute(
        example.model, example.checkpoints, rows, (queries, torch.from_numpy(result.labels)), normalise=normalise
    )
    close(result.per_checkpoint, expected)
    close(result.scores, expected.sum(2))
    assert result.exact
    assert result.approximations == ()
    assert np.array_equal(result.indices, np.tile(np.arange(300), (4, 1)))


def test_the_last_layer_with_its_bias():
    example, rows, queries, index = trained()
    result = index.influence(queries, example.query_labels, method="tracin_last_layer")
    names = ["7.weight", "7.bias"]
    close(
        result.per_checkpoint,
        brute(example.model, example.checkpoints, rows, (queries, example.query_labels), names=names),
    )
    assert not result.exact
    assert result.approximations == ("gradients of one layer only, weight and bias",)
    first = index.influence(queries, example.query_labels, method="tracin_last_layer", layer="0")
    names = ["0.weight", "0.bias"]
    close(
        first.scores,
        brute(example.model, example.checkpoints, rows, (queries, example.query_labels), names=names).sum(2),
    )


@pytest.mark.parametrize(("method", "normalise"), [("gradient_dot", "none"), ("gradient_cosine", "cosine")])
def test_the_last_checkpoint_alone(method, normalise):
    example, rows, queries, index = trained()
    result = index.influence(queries, method=method)
    test = queries, torch.from_numpy(result.labels)
    expected = brute(example.model, example.checkpoints[-1:], rows, test, normalise=normalise, rates=[1.0])
    close(result.scores, expected.sum(2))
    assert result.per_checkpoint.shape == (4, 300, 1)


def test_a_mask_of_checkpoints_is_their_share_of_the_sum():
    _, _, queries, index = trained()
    everything = index.influence(queries, [1, 2, 3, 4])
    for mask, kept in (([True, False, True], [0, 2]), ([2, 0], [2, 0])):
        some = index.influence(queries, [1, 2, 3, 4], checkpoints=mask)
        assert some.checkpoints == tuple(f"checkpoint {number}" for number in kept)
        close(some.per_checkpoint, everything.per_checkpoint[:, :, kept], 1e-6)
    last = index.influence(queries, [1, 2, 3, 4], method="gradient_dot", checkpoints=[0])
    close(last.scores * RATES[0], everything.per_checkpoint[:, :, 0], 1e-6)


class Slope(nn.Module):
    """One weight w; with the squared error the gradient is 2 (w x − y) x."""

    def __init__(self, weight=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight]))

    def forward(self, x):
        return x[:, 0] * self.weight


def test_the_product_comes_before_the_sum():
    # Gradients at w = 1: train 2(1−0)·1 = 2, query 2(1−0)·1 = 2; at w = −1: −2 and −2. Summed first they would cancel.
    data = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 6.0])
    index = TrainingIndex.build(
        Slope(), data, checkpoints=[Slope(1.0), Slope(-1.0)], loss="squared_error", learning_rates=1.0, progress=False
    )
    result = index.influence(torch.tensor([[1.0]]), torch.tensor([0.0]))
    # second example: 2(2·1 − 6)·2 = −16 and 2(−2 − 6)·2 = −32
    assert result.per_checkpoint.tolist() == [[[4.0, 4.0], [-32.0, 64.0]]]
    assert result.scores.tolist() == [[8.0, 32.0]]
    assert index.self_influence().tolist() == [8.0, 256.0 + 1024.0]
    projected = index.influence(torch.tensor([[1.0]]), torch.tensor([0.0]), method="tracin_projected")
    assert projected.scores == pytest.approx(result.scores, rel=0.02), "not cancelled in the index's sums either"


def test_positive_is_a_proponent():
    example, rows, queries, index = trained()
    result = index.influence(queries[:1], checkpoints=[2])
    model = copy.deepcopy(example.model)
    label = torch.from_numpy(result.labels)
    before = functional.cross_entropy(model(queries[:1]), label)
    for (indices, _), lower in ((result.proponents(5), True), (result.opponents(5), False)):
        stepped = copy.deepcopy(model)
        loss = functional.cross_entropy(stepped(rows[0][indices[0]]), rows[1][indices[0]], reduction="sum")
        for parameter, gradient in zip(
            stepped.parameters(), torch.autograd.grad(loss, list(stepped.parameters())), strict=True
        ):
            parameter.data -= 1e-3 * gradient
        after = functional.cross_entropy(stepped(queries[:1]), label)
        assert bool(after < before) is lower


def test_self_influence_is_tracin_of_an_example_on_itself():
    _, rows, _, index = trained()
    result = index.influence(rows[0][:5], rows[1][:5])
    close(np.diagonal(result.scores[:, :5]), index.self_influence()[:5])
    cosine = index.influence(rows[0][:5], rows[1][:5], method="gradient_cosine")
    assert np.diagonal(cosine.scores[:, :5]) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_gradient_of_zero_has_no_direction():
    class Picky(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (x[:, :1] > 0)

    data = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [3.0, 1.0]]), torch.zeros(3)
    model = Picky(2, 1)
    index = TrainingIndex.build(model, data, checkpoints=[model], loss="squared_error", progress=False)
    for normalise in ("none", "cosine", "relative"):
        assert index.influence(data[0][:1], 0.0, normalise=normalise).scores[0, 1] == 0


def test_projected_scores_follow_the_exact_ones():
    _, _, queries, index = trained()
    exact = index.influence(queries)
    sketched = index.influence(queries, method="tracin_projected")
    assert not sketched.exact
    assert "sketched" in sketched.approximations[0]
    assert np.corrcoef(exact.scores.ravel(), sketched.scores.ravel())[0, 1] > 0.95
    chance = index.influence(queries, method="random", seed=3)
    assert abs(np.corrcoef(exact.scores.ravel(), chance.scores.ravel())[0, 1]) < 0.2
    assert np.array_equal(chance.scores, index.influence(queries, method="random", seed=3).scores)


def test_methods_and_parameters_are_checked_before_any_work():
    _, _, queries, index = trained()
    for options, match in (
        ({"method": "tracing"}, "Did you mean 'tracin'"),
        ({"normalise": "cosin"}, "Did you mean 'cosine'"),
        ({"seed": 1}, "no parameter 'seed'"),
        ({"k": 0}, "k=0"),
        ({"candidates": "some"}, "candidates"),
        ({"candidates": [300]}, "0 to 299"),
        ({"candidates": []}, "0 to 299"),
        ({"checkpoints": [3]}, "does not choose from 3"),
        ({"checkpoints": [True, False]}, "does not choose from 3"),
        ({"checkpoints": []}, "does not choose from 3"),
    ):
        with pytest.raises(ParameterError, match=match):
            index.stream(queries, **options)
    for labels, match in (
        ([10] * 4, "10 classes"),
        ([-1] * 4, "Label -1"),
        ([1, 2], "4 queries"),
        ("three", "no labels"),
    ):
        with pytest.raises(InputError, match=match):
            index.stream(queries, labels)
    with pytest.raises(InputError, match=r"inputs\[None\]"):
        index.stream(queries[0])


# ---- text: three checkpoints of a BERT ----


def test_bert_of_dict_items_and_checkpoint_files(shared):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    stored = shared / "models/sst2-bert-tiny"
    folder = stored / "checkpoints"
    if not folder.is_dir():
        pytest.skip(f"no stored checkpoints at {folder}")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(stored, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(stored)
    texts = [
        "a warm and funny film", "dull from the first minute", "the plot never finds its feet", "lovely music",
        "nothing here works", "a quiet triumph , funny and sad", "not bad at all", "bad",
    ]  # fmt: skip
    labels = torch.tensor([1, 0, 0, 1, 0, 1, 1, 0])
    encoded = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    items = [
        {**{key: value[row] for key, value in encoded.items()}, "sentence": texts[row], "labels": int(labels[row])}
        for row in range(8)
    ]
    before = copy.deepcopy(model.state_dict())
    index = TrainingIndex.build(model, items, checkpoints=folder, learning_rates=RATES, progress=False)
    assert index.checkpoints == ("epoch-1", "epoch-3", "epoch-6")
    queries = dict(
        tokenizer(["a sad , lovely film", "it never works"], padding="max_length", max_length=12, return_tensors="pt")
    )
    result = index.influence(queries)
    test = queries, torch.from_numpy(result.labels)
    expected = brute_bert(model, index.spec.checkpoints, (encoded, labels), test)
    close(result.per_checkpoint, expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    last = index.influence(queries, method="tracin_last_layer")
    names = ["classifier.weight", "classifier.bias"]
    close(last.per_checkpoint, brute_bert(model, index.spec.checkpoints, (encoded, labels), test, names))


def brute_bert(model, checkpoints, train, test, names=None):
    states = []
    for checkpoint in checkpoints:
        scratch = copy.deepcopy(model)
        checkpoint.load_into(scratch)
        states.append(scratch.state_dict())
    return brute(model, states, train, test, names=names)


def test_the_users_model_is_never_touched():
    example, rows, queries, _ = trained()
    model = copy.deepcopy(example.model).train()
    model[0].weight.requires_grad_(False)
    model[7].bias.grad = torch.ones(10)
    before = copy.deepcopy(model.state_dict())
    index = TrainingIndex.build(model, rows, checkpoints=example.checkpoints[:1], progress=False)
    result = index.influence(queries, k=3)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[7].bias.grad.sum() == 10
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True, True, True, True]
    assert any("0.weight (frozen)" in note for note in result.notes), "what is left out is said"


def test_a_model_without_a_free_parameter():
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ModelError):
        TrainingIndex.build(model, (torch.rand(3, 2), torch.zeros(3).long()), checkpoints=[model], progress=False)
    with pytest.raises(ModelError, match="not a torch module"):
        TrainingIndex.build(lambda x: x, (torch.rand(3, 2), torch.zeros(3).long()), checkpoints=[model], progress=False)


def test_a_custom_loss_and_a_custom_call():
    model = nn.Linear(2, 3)
    data = torch.rand(12, 2, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3

    def doubled(module, inputs):
        return module(2 * inputs)

    def smooth(output, labels):
        return functional.cross_entropy(output, labels, reduction="none", label_smoothing=0.1)

    index = TrainingIndex.build(model, data, checkpoints=[model], loss=smooth, forward=doubled, progress=False)
    result = index.influence(data[0][:2], data[1][:2])
    expected = brute(
        model, [model.state_dict()], (2 * data[0], data[1]), (2 * data[0][:2], data[1][:2]), loss=smooth, rates=[1.0]
    )
    close(result.scores, expected.sum(2))
