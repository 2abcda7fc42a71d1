"""ROAD beside a brute force with a dense solver, and beside Quantus where that works."""

import numpy as np
import pytest
import torch
from removing import dense, last, normal
from torch import nn

from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics import fills
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.road import SHARES


def network(channels, side, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * (side - 2) ** 2, 3)
        return nn.Sequential(*layers).double().eval()


def test_the_whole_metric_by_brute_force(monkeypatch):
    monkeypatch.setattr(fills, "NOISE", 0.0)
    model, images, values = network(3, 7), normal(2, 3, 7, 7), normal(2, 1, 7, 7, seed=1)
    reading = last(Case(Problem(model, images, target=1), values), "road")
    expected = {"morf": [], "lerf": []}
    for image, ranking in zip(images, values.flatten(1), strict=True):
        for name, order in (("morf", (-ranking).argsort()), ("lerf", ranking.argsort())):
            row = []
            for share in SHARES:
                hole = torch.zeros(49, dtype=torch.bool)
                hole[order[: int(share * 49)]] = True
                row.append(model(dense(image, hole.reshape(7, 7))[None]).softmax(1)[0, 1].item())
            expected[name].append(row)
    for name, rows in expected.items():
        found = reading.curves[name].values
        assert (found - torch.tensor(rows)).abs().max() < 1e-4
    gap = torch.tensor(expected["lerf"]).mean(1) - torch.tensor(expected["morf"]).mean(1)
    assert (reading.values - gap).abs().max() < 1e-4


def test_rows_are_alone_and_seeds_decide():
    model, images, values = network(2, 6), normal(3, 2, 6, 6), normal(3, 1, 6, 6, seed=1).round()
    together = last(Case(Problem(model, images, target=0), values), "road", tries=2)
    other = last(Case(Problem(model, images[:1], target=0, batch_size=3), values[:1]), "road", tries=2)
    torch.testing.assert_close(together.values[:1], other.values)
    before = torch.random.get_rng_state()
    seeded = last(Case(Problem(model, images, target=0), values, seed=1), "road", tries=2)
    assert not torch.equal(seeded.values, together.values)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_constant_model_and_a_random_map_have_no_gap():
    images = normal(4, 1, 8, 8)
    flat = last(Case(Problem(lambda x: x.new_ones(len(x), 1), images), images), "road", measure="logit")
    assert torch.equal(flat.values, torch.zeros(4, dtype=torch.float64))


def test_the_digits_true_map_beats_its_reverse(digits):
    images, labels = digits.images[:16], digits.labels[:16]
    problem = Problem(digits.model, images, target=labels)
    gradients, _ = problem.gradients()
    forward = last(Case(problem, gradients * images), "road", measure="unchanged")
    backward = last(Case(problem, -gradients * images), "road", measure="unchanged")
    assert forward.values.mean() > 0.1 > -0.1 > backward.values.mean()
    assert set(forward.curves["morf"].values.unique().tolist()) <= {0.0, 1.0}


def test_a_table_needs_another_fill():
    model = nn.Linear(6, 2).double().eval()
    case = Case(Problem(model, normal(2, 6), target=0), normal(2, 6, seed=1))
    with pytest.raises(Exception, match="no meaning"):
        last(case, "road")
    assert torch.isfinite(last(case, "road", fill="mean").values).all()


def test_quantus_agrees_on_grey_images_without_ties():
    """Quantus fails on colour, and reads only the first batch: one batch of grey images is what can be compared."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    model, images, values = network(1, 8).float(), normal(6, 1, 8, 8).float(), normal(6, 1, 8, 8, seed=1).float()
    labels = model(images).argmax(1)
    theirs = quantus.ROAD(
        percentages=[100 * share for share in SHARES], noise=0.0, normalise=False, disable_warnings=True
    )
    found = theirs(
        model=model, x_batch=images.numpy(), y_batch=labels.numpy(), a_batch=values.numpy(), device="cpu", batch_size=6
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fills, "NOISE", 0.0)
        ours = last(Case(Problem(model, images, target=labels), values), "road", measure="unchanged")
    hits = np.array(list(found.values())) if isinstance(found, dict) else np.array(found)
    np.testing.assert_allclose(ours.curves["morf"].mean.numpy(), hits.reshape(-1), atol=1e-6)


def test_quantus_fails_on_colour():
    """Why ours is checked by brute force there; when this starts to fail, compare with it."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    model, images = network(3, 7).float(), normal(2, 3, 7, 7).float()
    metric = quantus.ROAD(percentages=[10, 50], disable_warnings=True)
    arguments = {"x_batch": images.numpy(), "y_batch": np.array([0, 1]), "a_batch": images.numpy(), "device": "cpu"}
    with pytest.raises(IndexError):
        metric(model=model, **arguments)
