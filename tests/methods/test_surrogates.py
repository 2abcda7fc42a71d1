"""Kernel SHAP and LIME against enumeration, captum, scikit-learn, and closed forms."""

import warnings

import numpy as np
import pytest
import torch
from captum import attr
from games import QUARTERS, enumerated, random_table, table_game
from sklearn.linear_model import Ridge

from xaiwidgets.api import Session, attribute, stream
from xaiwidgets.engine.target import Each
from xaiwidgets.methods.surrogates import Regression


@pytest.mark.parametrize("players", [1, 2, 3, 4, 7, 9])
def test_all_coalitions_are_exact_shapley_values(players):
    table = random_table(players, 5)
    model, x = table_game(table)
    found = attribute(model, x, method="kernel_shap", samples=512)
    np.testing.assert_allclose(found.values[0], enumerated(table), rtol=0, atol=1e-12)
    assert found.error == 0
    assert found.evaluations["forward"] == 2**players


def test_a_linear_model_is_exact_from_the_first_picture_on():
    weights, x = torch.randn(40, dtype=torch.float64), torch.randn(3, 40, dtype=torch.float64)
    parts = list(stream(lambda x: x @ weights + 3, x, method="kernel_shap", samples=200, baseline=0.5, batch_size=60))
    assert len(parts) > 3
    torch.testing.assert_close(parts[-1].values, (x - 0.5) * weights)
    for part in parts:  # the constraint holds long before the fit is determined
        torch.testing.assert_close(part.values.sum(1), part.score - part.baseline_score)
    assert parts[-1].error < 1e-6


def test_no_coalition_is_asked_twice_and_complements_go_together():
    seen = []

    def model(x):
        seen.extend(map(tuple, x.tolist()))
        return x.prod(1)

    attribute(model, torch.ones(1, 12), method="kernel_shap", samples=300)
    assert len(seen) == len(set(seen)) == 300
    assert {tuple(1 - v for v in one) for one in seen} == set(seen)
    sizes = np.bincount([int(sum(one)) for one in seen], minlength=13)
    assert sizes[1] == sizes[11] == 12  # both ends completely
    assert sizes.tolist() == sizes[::-1].tolist()


def test_better_than_captum_at_three_tenths_of_its_evaluations(digits):
    x, y = digits.images[:6], digits.labels[:6]
    regions = torch.arange(8)[:, None] // 2 * 3 + torch.arange(8) // 3  # twelve
    sizes = torch.bincount(regions.flatten())[regions]  # captum shows a region's value at every pixel
    exact = Session(digits.model, x, target=y, batch_size=2048).attribute("shapley_exact", regions=regions).values

    def error(values):
        return float(((values - exact).abs().sum((1, 2, 3)) / exact.abs().sum((1, 2, 3))).mean())

    session = Session(digits.model, x, target=y)
    ours, theirs = [], []
    for seed in range(3):
        ours.append(error(session.attribute("kernel_shap", regions=regions, samples=150, seed=seed).values))
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it fits one row after the other, and says so
            torch.manual_seed(seed)
            found = attr.KernelShap(digits.model).attribute(
                x, target=y, feature_mask=regions[None, None], n_samples=500, perturbations_per_eval=250
            )
        theirs.append(error(found / sizes))
    assert np.mean(ours) < np.mean(theirs)


def test_the_error_is_honest():
    table = random_table(12, 1) + np.array([code.bit_count() for code in range(2**12)])
    model, x = table_game(table)
    exact, session = enumerated(table), Session(model, x)
    runs = [session.attribute("kernel_shap", samples=400, seed=seed) for seed in range(40)]
    true = [np.abs(run.values[0].numpy() - exact).sum() / np.abs(exact).sum() for run in runs]
    assert 0.6 < np.mean(true) / np.mean([run.error for run in runs]) < 1.0  # E|z| = 0.8
    values = np.stack([run.values[0].numpy() for run in runs])
    assert np.abs(values.mean(0) - exact).sum() < 0.5 * np.mean(true) * np.abs(exact).sum()


def lime_by_hand(coalitions, scores, width, ridge):
    distance = 1 - np.sqrt(coalitions.mean(1))
    weights = np.sqrt(np.exp(-(distance**2) / width**2))
    return Ridge(alpha=ridge).fit(coalitions, scores, sample_weight=weights).coef_


@pytest.mark.parametrize(("width", "ridge"), [(0.25, 1.0), (0.7, 0.1)])
def test_scikit_learn_agrees_on_the_same_coalitions(width, ridge):
    weights = torch.linspace(-1, 2, 40, dtype=torch.float64)
    seen = []

    def model(x):
        return torch.tanh(x @ weights - 4) + x[:, 3] * x[:, 30]

    def watched(x):
        seen.append(x.detach().clone())
        return model(x)

    x = torch.ones(1, 40, dtype=torch.float64)
    found = attribute(watched, x, method="lime", samples=300, width=width, ridge=ridge)
    coalitions = torch.cat(seen)
    assert len(coalitions) == 300  # none of the 2^40 comes twice
    expected = lime_by_hand(coalitions.numpy(), model(coalitions).numpy(), width, ridge)
    np.testing.assert_allclose(found.values[0], expected, rtol=0, atol=1e-10)
    assert coalitions[0].tolist() == [1] * 40
    assert 0.45 < float(coalitions[1:].mean()) < 0.55
    assert found.delta is None


def test_lime_of_a_linear_model():
    weights, x = torch.randn(6, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    found = attribute(lambda x: x @ weights - 1, x, method="lime", ridge=0.0, samples=200)
    torch.testing.assert_close(found.values, x * weights)
    assert found.evaluations["forward"] <= 2 * 2**6


def test_absent_regions_can_show_their_mean():
    regions = torch.arange(4)[:, None].expand(4, 4) // 2
    image = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    seen = []

    def model(x):
        seen.append(x.detach().clone())
        return x.flatten(1).sum(1)

    attribute(model, image, method="lime", regions=regions, region_mean=True)
    nothing = torch.cat([image[:, :, half].mean((2, 3), keepdim=True).expand(2, 3, 2, 4)
                         for half in (slice(0, 2), slice(2, 4))], 2)  # fmt: skip
    points = torch.cat(seen)
    assert min(float((point - nothing[0]).abs().max()) for point in points) < 1e-12
    assert min(float((point - nothing[1]).abs().max()) for point in points) < 1e-12


@pytest.mark.parametrize("method", ["kernel_shap", "lime"])
def test_neither_neighbours_nor_chunks_nor_targets_matter(digits, method):
    x = digits.images[:3]
    mask = torch.stack([QUARTERS, QUARTERS // 2, QUARTERS])[:, None]
    asks = {"method": method, "samples": 100, "baseline": [0.0, 1.0]}
    together = attribute(digits.model, x, target=3, regions=mask, batch_size=17, **asks)
    for row in range(3):
        alone = attribute(digits.model, x[row : row + 1], target=3, regions=mask[row : row + 1], **asks)
        torch.testing.assert_close(together.values[row : row + 1], alone.values, rtol=1e-3, atol=1e-5)
    assert torch.equal(
        attribute(digits.model, x, target=3, regions=mask, batch_size=17, **asks).values, together.values
    )
    assert not torch.allclose(
        attribute(digits.model, x, target=3, regions=mask, seed=1, **asks).values, together.values
    )
    both = attribute(digits.model, x, target=Each(5, 3), regions=mask, **asks)
    torch.testing.assert_close(both.values.reshape(2, 3, 1, 8, 8)[1], together.values, rtol=1e-3, atol=1e-5)
    assert both.evaluations == together.evaluations


def test_running_sums_are_least_squares():
    generator = torch.Generator().manual_seed(0)
    features, answers = (torch.randn(50, size, generator=generator, dtype=torch.float64) for size in (4, 2))
    weights = torch.rand(50, generator=generator, dtype=torch.float64)
    fit = Regression(4, 2)
    for part in torch.arange(50).split(7):
        fit.add(features[part], answers[part], weights[part])
    values, errors = fit.solve()
    root = weights.sqrt()[:, None]
    torch.testing.assert_close(values, torch.linalg.lstsq(features * root, answers * root).solution)
    missed = answers - features @ values
    inverse = torch.linalg.inv(features.T @ (features * weights[:, None]))
    variance = (weights[:, None] ** 2 * missed**2).sum(0) / (weights**2).sum() * 50 / 46
    spread = (inverse @ (features.T @ (features * weights[:, None] ** 2)) @ inverse).diagonal()
    torch.testing.assert_close(errors, (spread[:, None] * variance).sqrt())
