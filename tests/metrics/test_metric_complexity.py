"""Sparseness, entropy and effective complexity against closed forms, brute force and Quantus."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.complexity import complexity, effective_complexity, sparseness


def case(values, model=None, inputs=None, **options):
    values = torch.as_tensor(values, dtype=torch.float32)
    inputs = torch.rand_like(values) if inputs is None else inputs
    return Case(Problem(model or (lambda x: x.flatten(1).sum(1)), inputs), values, **options)


def last(readings):
    *_, reading = readings
    return reading


def test_the_extremes():
    n = 16
    one, even = torch.zeros(n), torch.full((n,), -2.0)
    one[3] = -5
    found = case(torch.stack([one, even, torch.zeros(n)]))
    gini, entropy = last(sparseness(found)), last(complexity(found))
    torch.testing.assert_close(gini.values[:2], torch.tensor([1 - 1 / n, 0.0], dtype=torch.float64))
    torch.testing.assert_close(entropy.values[:2], torch.tensor([0.0, math.log(n)], dtype=torch.float64))
    relative = last(complexity(found, relative=True)).values
    torch.testing.assert_close(relative[:2], torch.tensor([0.0, 1.0], dtype=torch.float64))
    for reading in (gini, entropy):
        assert reading.values[2].isnan()
        assert "1 of 3 rows" in reading.notes[0]
        assert "zero" in reading.notes[0]


def test_order_and_sign_do_not_matter():
    values = torch.randn(5, 30)
    mixed = -3 * values[:, torch.randperm(30)]
    for metric in (sparseness, complexity):
        torch.testing.assert_close(last(metric(case(values))).values, last(metric(case(mixed))).values)


def test_channels_of_a_pixel_are_one_unit():
    values = torch.randn(2, 3, 4, 5)
    whole = case(values, regions="pixel")
    alone = case(values.sum(1).flatten(1))
    for metric in (sparseness, complexity):
        torch.testing.assert_close(last(metric(whole)).values, last(metric(alone)).values)


def test_rows_with_fewer_units_are_as_if_alone():
    values = torch.randn(2, 8)
    ids = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 1, 1, 2, 2, 2, 2]])
    both = case(values, regions=ids)
    assert both.counts == (8, 3)
    alone = case(torch.stack([values[1, :2].sum(), values[1, 2:4].sum(), values[1, 4:].sum()])[None])
    for metric in (sparseness, complexity):
        torch.testing.assert_close(last(metric(both)).values[1], last(metric(alone)).values[0])


def test_quantus_agrees():
    quantus = pytest.importorskip("quantus")
    values = torch.randn(6, 1, 7, 7)
    found, images = case(values), np.zeros((6, 1, 7, 7))
    options = {"abs": True, "normalise": False, "return_aggregate": False, "disable_warnings": True}
    given = {"model": None, "x_batch": images, "y_batch": np.zeros(6, dtype=int)}
    for theirs, ours, slack in (
        (quantus.Sparseness(**options), sparseness, 1e-5),  # it adds 1e-7 to every value
        (quantus.Complexity(**options), complexity, 1e-6),
    ):
        expected = theirs(a_batch=values.numpy().copy(), **given)
        torch.testing.assert_close(
            last(ours(found)).values, torch.tensor(np.array(expected)).double(), atol=slack, rtol=0
        )


def test_effective_complexity_of_a_linear_model():
    # Zero the rest: the loss of keeping k is the square of what the rest is worth.
    worth = torch.tensor([1.0, 8.0, 2.0, 4.0])
    found = case(worth[None], lambda x: x @ worth, torch.ones(1, 4))

    def units(tolerance):
        return int(last(effective_complexity(found, tolerance=tolerance, fill="zeros", draws=3)).values)

    total = 15.0**2
    readings = [*effective_complexity(found, fill="zeros")]
    assert readings[-1].done == readings[-1].total
    assert units(1.0) == 0
    assert units(7.1**2 / total) == 1
    assert units(6.9**2 / total) == 2
    assert units(2.9**2 / total) == 3
    assert units(0.001) == 4
    kept = last(effective_complexity(found, fill="zeros")).curves["kept"]
    assert kept.x.tolist() == [0, 1, 2, 4]
    torch.testing.assert_close(kept.values[0], torch.tensor([total, 49, 9, 0], dtype=torch.float64) / total)


def test_effective_complexity_by_brute_force(digits):
    model, images, labels = digits
    x, y = images[:4], labels[:4]
    values = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    found = Case(Problem(model, x, target=y), values)
    tolerance = 0.3
    kept = last(effective_complexity(found, tolerance=tolerance, draws=4)).values
    from xaiwidgets.metrics.fills import removal_by

    order = values.abs().flatten(1).argsort(1, descending=True)
    noise = [removal_by(found, "noise", draw).fill for draw in range(4)]
    for row in range(4):
        gone = torch.zeros(65, 64, dtype=torch.bool)
        for k in range(65):
            gone[k, order[row, k:]] = True
        pictures = [torch.where(gone, one[row].flatten(), x[row].flatten()).reshape(-1, 1, 8, 8) for one in noise]
        with torch.no_grad():
            score = model(x[row : row + 1])[0, y[row]]
            changes = torch.stack([model(picture)[:, y[row]] - score for picture in pictures])
        losses = changes.square().mean(0)
        k = int(kept[row])
        assert losses[k] <= tolerance * losses[0] * 1.0001
        assert losses[k - 1] > tolerance * losses[0] * 0.9999


def test_replacing_everything_changes_nothing():
    found = case(torch.randn(2, 5), lambda x: x.sum(1) * 0)
    assert last(effective_complexity(found)).values.tolist() == [0, 0]


def test_effective_complexity_does_not_depend_on_the_batch(digits):
    model, images, labels = digits
    values = torch.randn(5, 1, 8, 8)
    whole = Case(Problem(model, images[:5], target=labels[:5]), values)
    small = Case(Problem(model, images[:5], target=labels[:5], batch_size=2), values)
    first = Case(Problem(model, images[:1], target=labels[:1]), values[:1])
    one, two, three = (last(effective_complexity(found, draws=3)).values for found in (whole, small, first))
    assert torch.equal(one, two)
    assert torch.equal(one[:1], three)


def test_the_model_stays_as_it_was():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5)).eval()
    found = Case(Problem(model, torch.randn(2, 6), target=1), torch.randn(2, 6))
    before, state = {name: one.clone() for name, one in model.state_dict().items()}, torch.get_rng_state()
    last(effective_complexity(found))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
