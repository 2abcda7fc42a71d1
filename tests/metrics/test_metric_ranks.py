"""Sensitivity-n, monotonicity and its correlation: closed forms, brute force, and Quantus where it measures the same."""

import numpy as np
import pytest
import torch
from removing import last, linear, normal
from scipy.stats import pearsonr, spearmanr
from torch import nn

from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.case import Case


def tanh(features=10):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()


# --- sensitivity-n ---------------------------------------------------------------------------------------------------


def test_a_linear_models_own_map_has_correlation_one_at_every_size():
    model, points, values = linear(features=20)
    reading = last(Case(Problem(model, points), values), "sensitivity_n")
    correlations = reading.curves["correlation"].values
    torch.testing.assert_close(correlations, torch.ones_like(correlations))
    torch.testing.assert_close(reading.values, torch.ones(3, dtype=torch.float64))
    scaled = last(Case(Problem(model, points), -3 * values), "sensitivity_n")
    torch.testing.assert_close(scaled.values, -torch.ones(3, dtype=torch.float64))


def test_sensitivity_n_by_brute_force():
    model, points, values = tanh(), normal(2, 10), normal(2, 10, seed=1)
    case = Case(Problem(model, points, target=1), values)
    curve = last(case, "sensitivity_n", samples=16).curves["correlation"]
    assert torch.equal(curve.values[:, 0], curve.values[:, 3])  # 1 % and 10 % of ten features are both one feature
    for row in range(2):
        keys = torch.rand(16, 10, generator=case.generator(row, "sets", 4), dtype=torch.float64)
        sets = keys.argsort(1)[:, :4]
        sums = [values[row, one].sum().item() for one in sets]
        losses = []
        for one in sets:
            without = points[row].clone()
            without[one] = 0
            losses.append((model(points[row]) - model(without))[1].item())
        np.testing.assert_allclose(curve.values[row, 5].item(), pearsonr(sums, losses)[0], rtol=1e-9)
        distinct = curve.values[row, [0, 4, 5, 6]]  # sizes 1, 2, 4, 8
        torch.testing.assert_close(last(case, "sensitivity_n", samples=16).values[row], distinct.mean())


def test_sensitivity_n_asks_the_model_once_for_all_maps():
    model, points, values = linear()
    memory = {}
    first = Case(Problem(model, points), values, name="a", memory=memory)
    other = Case(Problem(model, points), values.abs(), name="b", memory=memory)
    last(first, "sensitivity_n")
    assert first.evaluations["forward"] > 0
    found = last(other, "sensitivity_n")
    assert other.evaluations["forward"] == 0
    torch.testing.assert_close(found.values, last(Case(Problem(model, points), values.abs()), "sensitivity_n").values)


def test_what_never_changes_has_no_correlation_and_says_so():
    points = normal(2, 12)
    for name in ("sensitivity_n", "monotonicity_correlation"):
        constant = last(Case(Problem(lambda x: x.new_ones(len(x), 1), points), points), name, measure="logit")
        assert constant.values.isnan().all()
        assert "NaN" in constant.notes[0]


# --- monotonicity ----------------------------------------------------------------------------------------------------


def test_monotonicity_of_a_linear_model_is_the_share_of_positive_parts():
    model, points, values = linear()
    reading = last(Case(Problem(model, points), values), "monotonicity", measure="logit")
    torch.testing.assert_close(reading.values, (values >= 0).double().mean(1))
    positive = Case(Problem(lambda x: x.abs().sum(1, keepdim=True), points), points.abs())
    assert torch.equal(last(positive, "monotonicity", measure="logit").values, torch.ones(3, dtype=torch.float64))


def test_monotonicity_costs_nothing_beside_deletion():
    model, points, values = linear()
    case = Case(Problem(model, points), values)
    last(case, "deletion")
    spent = case.evaluations["forward"]
    last(case, "monotonicity")
    assert case.evaluations["forward"] == spent


def test_a_constant_model_never_falls():
    points = normal(2, 12)
    flat = last(Case(Problem(lambda x: x.new_ones(len(x), 1), points), points), "monotonicity")
    assert torch.equal(flat.values, torch.ones(2, dtype=torch.float64))


def test_quantus_calls_every_map_monotone():
    """It replaces the baseline by the baseline and never shows the input, so there is nothing to compare with."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval(), normal(3, 1, 4, 4).float()
    labels = np.array([0, 1, 0])
    found = quantus.Monotonicity(perturb_baseline=0.0, normalise=False, disable_warnings=True)(
        model=model, x_batch=images.numpy(), y_batch=labels, a_batch=normal(3, 1, 4, 4, seed=2).numpy(), device="cpu"
    )
    assert [bool(one) for one in found] == [True, True, True]
    case = Case(Problem(model, images, target=torch.from_numpy(labels)), normal(3, 1, 4, 4, seed=2))
    assert (last(case, "monotonicity").values < 1).all()


# --- the correlation with single effects -------------------------------------------------------------------------------


def test_the_effects_of_a_linear_model_are_squared_parts():
    model, points, values = linear()
    case = Case(Problem(model, points), values)
    own = last(case, "monotonicity_correlation", fill="zeros", measure="logit")
    torch.testing.assert_close(own.values, torch.ones(3, dtype=torch.float64))
    other = Case(Problem(model, points), normal(3, 12, seed=7))
    expected = [spearmanr(one.abs(), part**2)[0] for one, part in zip(other.values, values, strict=True)]
    found = last(other, "monotonicity_correlation", fill="zeros", measure="logit").values
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_quantus_agrees_on_single_effects():
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Tanh(), nn.Linear(6, 2)).eval()
    images, values, labels = normal(3, 1, 4, 4).float(), normal(3, 1, 4, 4, seed=1).float(), torch.tensor([0, 1, 1])
    theirs = quantus.MonotonicityCorrelation(
        nr_samples=1, features_in_step=1, abs=True, normalise=False, perturb_baseline=0.0, disable_warnings=True
    )
    arguments = {"x_batch": images.numpy(), "y_batch": labels.numpy(), "a_batch": values.numpy(), "device": "cpu"}
    expected = theirs(model=model, **arguments)
    case = Case(Problem(model, images, target=labels), values)
    found = last(case, "monotonicity_correlation", fill="zeros", measure="probability")
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sensitivity_n", "monotonicity", "monotonicity_correlation"])
def test_rows_are_alone_and_seeded(name):
    model, points, values = tanh(), normal(3, 10), normal(3, 10, seed=1).round()
    regions = torch.stack([torch.arange(10), torch.arange(10) // 2, torch.arange(10)])
    together = last(Case(Problem(model, points, target=0), values, regions=regions), name, fill="noise")
    before = torch.random.get_rng_state()
    alone = Case(Problem(model, points[:2], target=0, batch_size=3), values[:2], regions=regions[:2])
    torch.testing.assert_close(together.values[:2], last(alone, name, fill="noise").values)
    second = Case(Problem(model, points[1:2], target=0), values[1:2], regions=regions[1:2])
    assert torch.isfinite(last(second, name, fill="noise").values).all()
    assert torch.equal(before, torch.random.get_rng_state())
    other = Case(Problem(model, points, target=0), values, regions=regions, seed=1)
    assert not torch.equal(last(other, name, fill="noise").values, together.values)
