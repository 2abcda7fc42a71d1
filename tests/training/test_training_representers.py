"""Representer points: the logits of the refitted last layer are the sum of the values, to the precision that is said."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError
from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.training.methods.representers import fit_last_layer


def trained(inputs: torch.Tensor, labels: torch.Tensor, *, decay: float = 0.0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=decay)
    for _ in range(200):
        optimiser.zero_grad()
        functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()
    return model


@pytest.fixture(scope="module")
def index():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (90,), generator=generator)
    inputs = torch.randn(90, 6, generator=generator) + functional.one_hot(labels, 6)
    model = trained(inputs, labels, decay=1e-3)
    with TrainingIndex.build(model, (inputs, labels), checkpoints=[model], projection=False, progress=False) as built:
        yield built, model, inputs, labels


@pytest.mark.parametrize("fit_to", ["model", "labels"])
@pytest.mark.parametrize("weight_decay", [3e-3, 0.1])
def test_values_add_up_to_the_logits(index, fit_to, weight_decay):
    """Beside a last layer fitted by other means: plain Newton steps on the same objective."""
    built, model, inputs, labels = index
    queries = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    asked = torch.arange(7) % 3
    result = built.influence(queries, asked, method="representer_points", fit_to=fit_to, weight_decay=weight_decay)
    features = functional.pad(model[:2](inputs), (0, 1), value=1.0).detach().double()
    targets = (
        model(inputs).softmax(1).detach().double() if fit_to == "model" else functional.one_hot(labels, 3).double()
    )
    weights = newton(features, targets, weight_decay)
    logits = functional.pad(model[:2](queries), (0, 1), value=1.0).detach().double() @ weights.T
    expected = logits[torch.arange(7), asked]
    np.testing.assert_allclose(result.scores.sum(1), expected.numpy(), atol=1e-4)
    (note,) = [note for note in result.notes if "add up" in note]
    assert float(re.search(r"within (\S+)", note)[1]) < 1e-4
    moved = (logits - model(queries)).abs().max().item()
    assert float(re.search(r"up to (\S+)$", note)[1]) == pytest.approx(moved, rel=0.1)
    assert not result.exact


def newton(features: torch.Tensor, targets: torch.Tensor, decay: float) -> torch.Tensor:
    def objective(weights: torch.Tensor) -> torch.Tensor:
        odds = (features @ weights.T).log_softmax(1)
        return -(targets * odds).sum(1).mean() + decay * weights.square().sum()

    weights = torch.zeros(targets.shape[1], features.shape[1], dtype=torch.float64)
    for _ in range(30):
        slope = torch.func.grad(objective)(weights)
        bend = torch.func.jacrev(torch.func.grad(objective))(weights).reshape(weights.numel(), -1)
        weights = weights - torch.linalg.solve(bend, slope.flatten()).view_as(weights)
    assert slope.abs().max() < 1e-12
    return weights


def test_who_is_asked_about_does_not_change_the_fit(index):
    built, _, inputs, _ = index
    every = built.influence(inputs[:3], method="representer_points")
    some = built.influence(inputs[:3], method="representer_points", candidates=[4, 40])
    np.testing.assert_allclose(some.scores, every.scores[:, [4, 40]], rtol=1e-4, atol=1e-6)


def test_examples_of_the_class_speak_for_it(index):
    built, _, inputs, labels = index
    result = built.influence(inputs[:9], labels[:9], method="representer_points", fit_to="labels")
    same = labels[:9, None] == labels[None]
    alphas = result.scores
    features = functional.pad(built.spec.model[:2](inputs), (0, 1), value=1.0).detach()
    near = (features[:9] @ features.T > 0.5).numpy()
    assert (alphas[same.numpy() & near] > 0).all()
    assert (alphas[~same.numpy() & near] < 0).all()


def test_a_looser_fit_says_so():
    """The note's figure is what is left of the slope, so an unfinished fit cannot pass for a finished one."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 4, generator=generator)
    targets = torch.softmax(3 * torch.randn(50, 3, generator=generator), 1)
    refit = fit_last_layer(features, targets, 1e-2)
    gap = (refit.alphas @ features.double() - refit.weights).abs().max()
    assert float(gap) == pytest.approx(refit.slope / 2e-2, rel=1e-3)
    assert refit.slope < 1e-8


def test_only_classes():
    model = nn.Linear(3, 1)
    data = torch.randn(8, 3), torch.randn(8, 1)
    with (
        TrainingIndex.build(
            model, data, checkpoints=[model], loss="squared_error", projection=False, progress=False
        ) as built,
        pytest.raises(InputError, match="class as label"),
    ):
        built.influence(data[0][:2], data[1][:2], method="representer_points")
