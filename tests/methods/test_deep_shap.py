"""DeepSHAP against the mean over its background, closed forms, shap where shap is right, and statistics."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import zoo
from torch import nn

from xaiwidgets.api import Session, attribute, baselines, stream
from xaiwidgets.engine.target import Each


def double(*shape: int, seed: int = 0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def explained(model, x, background, **keywords):
    return attribute(model, x, method="deep_shap", baseline=background, **keywords)


def test_a_linear_model():
    w, x, background = double(5), double(3, 5, seed=1), double(40, 5, seed=2)
    found = explained(lambda x: x @ w, x, background)
    torch.testing.assert_close(found.values, w * (x - background.mean(0)))  # Shapley values of a linear model
    torch.testing.assert_close(found.baseline_score, (background @ w).mean().expand(3))
    assert found.progress == (40, 40)
    assert found.evaluations == {"forward": 0, "gradient": 2 * 3 * 40}


@pytest.mark.parametrize("name", ["shared_relu", "vit"])
@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_the_mean_over_the_background(name, rule):
    if name == "vit" and rule == "reveal_cancel":
        pytest.skip("not defined for attention")
    model, x = zoo.make(name)
    background = double(4, *x.shape[1:], seed=3)
    found = explained(model, x, background, target=Each(0, 1), rule=rule)
    each = [attribute(model, x, method="deeplift", baseline=one, target=1, rule=rule) for one in background]
    torch.testing.assert_close(found.values[1], sum(one.values for one in each) / 4)
    change = found.score - found.baseline_score
    torch.testing.assert_close(found.values.flatten(2).sum(2), change)
    assert float(found.delta.abs().max()) < 1e-12


def test_backgrounds():
    model, x = zoo.make("shared_relu")
    data = double(20, *x.shape[1:], seed=4)
    drawn = baselines.Dataset(data, samples=5, seed=1)
    expected = explained(model, x, list(drawn.draw(x)), target=1)
    torch.testing.assert_close(explained(model, x, drawn, target=1).values, expected.values)
    both = explained(model, x, [drawn, 0.0], target=1)
    zero = attribute(model, x, method="deeplift", target=1)
    torch.testing.assert_close(both.values, (5 * expected.values + zero.values) / 6)
    assert explained(model, x, "uniform", target=1).progress == (8, 8)
    assert explained(model, x, torch.zeros(2, 1, 1), target=1).progress == (
        1,
        1,
    )  # one number a channel is no set of images
    assert explained(model, x, [0.0], target=1).error is None


def test_the_background_at_a_layer():
    model, x = zoo.make("shared_relu")
    background = double(4, *x.shape[1:], seed=3)
    found = explained(model, x, background, target=1, layer="conv2")
    assert float(found.delta.abs().max()) < 1e-12
    torch.testing.assert_close(found.baseline_score, model(background)[:, 1].mean().expand(3).detach())
    own = explained(model, x, double(6, *found.values.shape[1:], seed=5), target=1, layer="conv2")
    assert own.progress == (6, 6)
    assert float(own.delta.abs().max()) < 1e-12


def test_it_gets_better_and_its_error_is_right():
    """The standard error says how far the mean is from that over the whole population."""
    w = double(4)
    x = double(1, 4, seed=1)

    def model(x):
        return torch.relu(x @ w)

    population = double(4000, 4, seed=2)
    truth = explained(model, x, population).values
    ratios = []
    for start in range(0, 2000, 50):
        *_, last = parts = list(
            stream(model, x, method="deep_shap", baseline=population[start : start + 50], batch_size=16)
        )
        assert [part.progress[0] for part in parts] == [16, 32, 48, 50]
        ratios.append(float((last.values - truth).abs().sum() / last.values.abs().sum()) / last.error)
    assert 0.6 < sum(ratios) / len(ratios) < 1.0  # E|z| = 0.8


def test_memory_is_that_of_one_batch():
    model, x = zoo.make("shared_relu")
    session = Session(model, x, target=1, batch_size=6)
    seen: list[int] = []
    model.conv1.register_forward_hook(lambda _m, inputs, _o: seen.append(len(inputs[0])))
    session.attribute("deep_shap", baseline=double(30, *x.shape[1:]))
    assert set(seen) == {6}
    assert len(seen) == 2 * 3 * 30 / 6


def test_shap_agrees_where_it_is_right():
    shap = pytest.importorskip("shap")
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = double(*parameter.shape, seed=seed).float()
    x, background = double(4, 6, seed=10).float(), double(9, 6, seed=11).float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = shap.DeepExplainer(model, background).shap_values(x)
    found = explained(model, x, background, target=Each(0, 1, 2))
    np.testing.assert_allclose(found.values.permute(1, 2, 0), expected, rtol=1e-3, atol=1e-4)


def test_the_same_again():
    model, x = zoo.make("residual")
    one, two = (explained(model, x, "gaussian", target=1) for _ in range(2))
    assert torch.equal(one.values, two.values)
    for rows in (1, 5):
        torch.testing.assert_close(explained(model, x, "gaussian", target=1, batch_size=rows).values, one.values)
    torch.testing.assert_close(explained(model, x[1:2], "gaussian", target=1).values, one.values[1:2])
