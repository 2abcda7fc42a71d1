"""RISE against every mask there is, the formulas written out, and deletion on real images."""

import itertools

import pytest
import torch
from torch.nn import functional

from xaiwidgets.api import Each, ExplainError, Session, attribute, stream
from xaiwidgets.methods.rise import draw_masks

WEIGHTINGS = ("centred", "normalised", "unbiased")


def curved(x):
    """A score that is not linear in the image, with a mean far from zero."""
    return 5 + x[:, 0, 0, 0] * x[:, 0, 3, 3] + x[:, 0, 1, 2].square() - x[:, 0, 2].sum(1)


def every_mask(visible):
    """All masks of a 2 × 2 grid on a 4 × 4 image and their probabilities, by torch's own bilinear enlargement."""
    masks, chances = [], []
    for cells in itertools.product((0.0, 1.0), repeat=4):
        grid = torch.tensor(cells, dtype=torch.float64).reshape(1, 1, 2, 2)
        large = functional.interpolate(grid, (6, 6), mode="bilinear")[0, 0]
        chance = visible ** sum(cells) * (1 - visible) ** (4 - sum(cells))
        for top, left in itertools.product(range(2), repeat=2):
            masks.append(large[top : top + 4, left : left + 4])
            chances.append(chance / 4)
    return torch.stack(masks), torch.tensor(chances, dtype=torch.float64)


def expected(image, visible, weighting):
    masks, chances = every_mask(visible)
    scores = curved(masks[:, None] * image)
    of_visible = torch.einsum("n,n,nhw->hw", chances, scores, masks) / torch.einsum("n,nhw->hw", chances, masks)
    return of_visible - (chances @ scores if weighting == "centred" else 0)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("visible", [0.5, 0.3])
def test_it_converges_to_the_mean_over_every_mask(weighting, visible):
    image = torch.linspace(-1, 2, 16, dtype=torch.float64).reshape(1, 1, 4, 4)
    truth = expected(image, visible, weighting)
    parts = list(
        stream(curved, image, method="rise", samples=4096, visible=visible, weighting=weighting, batch_size=256)
    )
    errors = [float((part.values[0, 0] - truth).abs().sum() / truth.abs().sum()) for part in parts]
    assert errors[-1] < 3 * parts[-1].error
    assert parts[-1].error < parts[1].error / 2
    assert parts[-1].error < 0.1


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_standard_error_is_the_spread_over_seeds(weighting):
    image = torch.linspace(-1, 2, 16, dtype=torch.float64).reshape(1, 1, 4, 4)
    truth = expected(image, 0.5, weighting)
    found = [
        attribute(curved, image, method="rise", samples=200, weighting=weighting, seed=seed, batch_size=256)
        for seed in range(30)
    ]
    spread = torch.stack([one.values[0, 0] - truth for one in found]).square().mean(0).sqrt().sum()
    said = torch.tensor([one.error * float(one.values.abs().sum()) for one in found]).mean()
    assert said == pytest.approx(float(spread), rel=0.2)


def test_centring_removes_the_noise_of_the_mean_score():
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def shifted(by):
        return lambda x: by + x[:, 0, 2:4, 2:4].sum((1, 2))

    plain, lifted = (attribute(shifted(by), image, method="rise", samples=256) for by in (0.0, 100.0))
    torch.testing.assert_close(plain.values, lifted.values, rtol=1e-3, atol=1e-4)
    noisy = attribute(shifted(100.0), image, method="rise", samples=256, weighting="unbiased")
    ratio = attribute(shifted(100.0), image, method="rise", samples=256, weighting="normalised")
    # Compared in units of score: the published estimator is dozens of times noisier here.
    assert noisy.error > 10 * ratio.error


def test_formulas_written_out():
    image = torch.rand(1, 1, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    masks = draw_masks(40, (2, 3), (6, 9), 0.5, torch.Generator().manual_seed(7))

    def model(x):
        return x[:, 0, 1].prod(1) + x.flatten(1).sum(1).sin()

    f = model(masks[:, None] * image)[:, None, None]
    ratio = (f * masks).sum(0) / masks.sum(0)
    terms = {
        "unbiased": f * masks / 0.5,
        "normalised": ratio + masks * (f - ratio) / masks.mean(0),
        "centred": ratio - f.mean(0) + masks * (f - ratio) / masks.mean(0) - (f - f.mean(0)),
    }
    for weighting, values in terms.items():
        found = attribute(model, image, method="rise", samples=40, cells=2, seed=7, weighting=weighting)
        torch.testing.assert_close(found.values[0, 0], values.mean(0))
        error = values.std(0, correction=0).sum() / 40**0.5 / values.mean(0).abs().sum()
        assert found.error == pytest.approx(float(error), rel=1e-6)


def test_masks_are_enlarged_grids_each_at_its_own_offset():
    masks = draw_masks(64, (3, 4), (10, 13), 0.5, torch.Generator().manual_seed(0))
    draws = torch.Generator().manual_seed(0)
    offsets = set()
    for mask in masks:
        drawn = torch.rand(14, generator=draws, dtype=torch.float64)
        grid = (drawn[2:] < 0.5).double().reshape(1, 1, 3, 4)
        top, left = int(drawn[0] * 4), int(drawn[1] * 4)
        large = functional.interpolate(grid, (16, 20), mode="bilinear")[0, 0]
        torch.testing.assert_close(mask, large[top : top + 10, left : left + 13])
        offsets.add((top, left))
    assert len(offsets) > 12
    many = draw_masks(4000, (3, 4), (10, 13), 0.3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(many.mean(0), torch.full((10, 13), 0.3, dtype=torch.float64), rtol=0, atol=0.03)


def test_a_constant_model_has_no_map_and_no_error():
    found = attribute(lambda x: 7.3 + 0 * x.flatten(1).sum(1), torch.rand(2, 1, 8, 8), method="rise", samples=64)
    assert found.values.abs().max() < 1e-6
    assert found.error == 0


def test_cells_are_at_most_half_the_pixels():
    image = torch.rand(1, 1, 6, 12)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 1)).eval()
    default, three = (attribute(model, image, method="rise", samples=16, **kw) for kw in ({}, {"cells": 3}))
    assert torch.equal(default.values, three.values)
    single = attribute(lambda x: x.flatten(1).sum(1), torch.rand(1, 1, 1, 1), method="rise", samples=512, cells=2)
    assert single.values.shape == (1, 1, 1, 1)


def test_more_samples_cost_the_new_ones_and_fewer_nothing(digits):
    session = Session(digits.model, digits.images[:2], target=digits.labels[:2])
    first = session.attribute("rise", samples=100)
    assert first.evaluations == {"forward": 2 + 200, "gradient": 0}
    more = session.attribute("rise", samples=150)
    assert more.evaluations["forward"] == 100
    fresh = attribute(digits.model, digits.images[:2], target=digits.labels[:2], method="rise", samples=150)
    torch.testing.assert_close(more.values, fresh.values, rtol=1e-4, atol=1e-5)
    for kw in ({"samples": 100}, {"samples": 150, "weighting": "normalised"}):
        assert session.attribute("rise", **kw).evaluations["forward"] == 0
    torch.testing.assert_close(session.attribute("rise", samples=100).values, first.values, rtol=1e-4, atol=1e-5)
    assert session.attribute("rise", samples=100, seed=1).evaluations["forward"] == 202


def test_the_stream_starts_after_eight(digits):
    parts = list(stream(digits.model, digits.images[:1], target=3, method="rise", samples=30, batch_size=4))
    assert [part.progress for part in parts] == [(8, 30), (16, 30), (24, 30), (30, 30)]
    assert all(part.score.shape == (1,) and part.values.shape == (1, 1, 8, 8) for part in parts)


def test_batches_neighbours_and_seeds(digits):
    x, y = digits.images[:3], digits.labels[:3]
    whole = attribute(digits.model, x, target=y, method="rise", samples=64)
    for size in (1, 7):
        other = attribute(digits.model, x, target=y, method="rise", samples=64, batch_size=size)
        torch.testing.assert_close(other.values, whole.values, rtol=1e-4, atol=1e-5)
    alone = attribute(digits.model, x[1:2], target=y[1:2], method="rise", samples=64)
    torch.testing.assert_close(alone.values, whole.values[1:2], rtol=1e-4, atol=1e-5)
    again, other = (attribute(digits.model, x, target=y, method="rise", samples=64, seed=seed) for seed in (0, 1))
    assert torch.equal(again.values, whole.values)
    assert not torch.allclose(other.values, whole.values, atol=1e-2)


def test_all_targets_from_one_run(digits):
    x = digits.images[:2]
    both = attribute(digits.model, x, target=Each(3, 5), method="rise", samples=64)
    assert both.values.shape == (2, 2, 1, 8, 8)
    assert both.evaluations["forward"] == 2 + 128
    for index, target in enumerate((3, 5)):
        one = attribute(digits.model, x, target=target, method="rise", samples=64)
        torch.testing.assert_close(both.values[index], one.values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(both.score[index], one.score)


def test_several_baselines_are_averaged(digits):
    maps = {
        name: attribute(digits.model, digits.images[:2], target=3, method="rise", samples=64, baseline=baseline).values
        for name, baseline in (("both", [0.0, 1.0]), ("zero", 0.0), ("one", 1.0))
    }
    torch.testing.assert_close(maps["both"], (maps["zero"] + maps["one"]) / 2, rtol=1e-4, atol=1e-4)


def test_deleting_what_it_marks_first_lowers_the_probability_most(digits):
    x, y = digits.images[:8], digits.labels[:8]
    maps = attribute(digits.model, x, target=y, method="rise", samples=1024).values.flatten(1)

    def area_under_deletion(order):
        areas = torch.zeros(len(x))
        for count in range(0, 64, 4):
            kept = torch.ones_like(maps).scatter(1, order[:, :count], 0.0).reshape(x.shape)
            with torch.no_grad():
                areas += digits.model(x * kept).softmax(1)[range(len(x)), y] / 16
        return areas

    best, worst = (area_under_deletion(maps.argsort(1, descending=descending)) for descending in (True, False))
    assert (best < worst).all()
    assert best.mean() < 0.5 * worst.mean()


def test_what_cannot_be_explained():
    with pytest.raises(ExplainError, match="explains images"):
        attribute(lambda x: x.sum(1), torch.rand(1, 5), method="rise")
    with pytest.raises(ExplainError, match="samples=1 is out of range"):
        attribute(lambda x: x.flatten(1).sum(1), torch.rand(1, 1, 4, 4), method="rise", samples=1)
