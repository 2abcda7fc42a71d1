"""Learned masks: planted patches, invariance to the score's unit, formulas written out, finite differences."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from xaiwidgets.api import Each, ExplainError, Session, attribute, stream
from xaiwidgets.engine.baselines import Blur
from xaiwidgets.engine.problem import Problem
from xaiwidgets.methods import extremal, learned_masks

METHODS = ("meaningful_perturbation", "extremal_perturbation")
GAMES = ("delete", "preserve")


class Patches(torch.nn.Module):
    """Class 0 is the brightness of one square of a 32 × 32 image, class 1 that of another."""

    squares = ((slice(6, 16), slice(18, 28)), (slice(18, 28), slice(4, 14)))

    def forward(self, x):
        return torch.stack([x[:, 0, rows, columns].mean((1, 2)) for rows, columns in self.squares], dim=1)

    def inside(self, target):
        mask = torch.zeros(32, 32, dtype=torch.bool)
        mask[self.squares[target]] = True
        return mask


@pytest.fixture
def patches():
    return Patches().eval()


def bright(rows=1):
    return 0.5 + 0.5 * torch.rand(rows, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def overlap(mask, inside):
    return float((mask & inside).sum() / (mask | inside).sum())


@pytest.fixture(scope="module")
def textured():
    """A small network with random weights and a striped image of 24 × 24."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(),
            torch.nn.Linear(8 * 20 * 20, 3),
        ).eval()  # fmt: skip
        return model, torch.rand(2, 1, 24, 24)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("target", [0, 1])
def test_a_planted_square_is_found(patches, game, target):
    x, inside = bright(), patches.inside(target)
    near = functional.max_pool2d(inside[None, None].float(), 9, 1, 4)[0, 0] > 0
    for method in METHODS:
        found = attribute(patches, x, target=target, method=method, game=game, baseline="zeros", steps=60)
        values = found.values[0, 0]
        assert 0 <= values.min() <= values.max() <= 1
        assert overlap(values > 0.5, inside) > 0.5
        assert values[inside].mean() > 0.75
        assert values[~near].max() < 0.2
        assert found.score.item() == pytest.approx(patches(x)[0, target].item(), rel=1e-4)
        assert found.baseline_score.item() == 0


@pytest.mark.parametrize("area", [0.05, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("steps", [20, 100])
def test_the_area_is_met(textured, area, game, steps):
    model, x = textured
    found = attribute(model, x, target=1, method="extremal_perturbation", area=area, game=game, steps=steps)
    assert (found.values.mean((1, 2, 3)) - area).abs().max() < 0.05
    assert ((found.values > 0.5).float().mean((1, 2, 3)) - area).abs().max() < 0.04


def test_no_place_is_preferred():
    """Where the score says nothing, the border of the image is no better than its middle."""
    strengths = torch.full((1, 1, 20, 21), 0.5, dtype=torch.float64)
    mask = extremal.Blobs(14, 15, 1.5, strengths)(strengths)
    assert mask.shape == (1, 1, 14, 15)
    assert mask.max() - mask.min() < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_the_score_does_not_matter(patches, method):
    x = bright()
    plain = attribute(lambda x: patches(x)[:, 0], x, method=method, steps=20)
    large = attribute(lambda x: 7 + 64 * patches(x)[:, 0], x, method=method, steps=20)
    torch.testing.assert_close(large.values, plain.values, rtol=1e-3, atol=1e-3)


def test_a_model_that_ignores_the_image_needs_no_part_of_it():
    found = attribute(lambda x: 3 + 0 * x.flatten(1).sum(1), bright(), method="meaningful_perturbation", steps=30)
    assert found.values.max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_marked_part_matters_more_than_as_much_elsewhere(digits, method):
    x, y = digits.images[:6], digits.labels[:6]
    kw = {"steps": 60, "game": "delete", "baseline": "zeros"}
    values = attribute(digits.model, x, target=y, method=method, **kw).values
    with torch.no_grad():
        score = digits.model(x)[range(6), y]
        drop = score - digits.model(x * (1 - values))[range(6), y]
        moves = [(down, right) for down in (2, 4, 6) for right in (2, 4, 6)]
        moved = [score - digits.model(x * (1 - values.roll(by, (2, 3))))[range(6), y] for by in moves]
    assert (drop > torch.stack(moved).mean(0)).all()
    assert drop.mean() > 1.5 * torch.stack(moved).mean()


@pytest.mark.parametrize("method", METHODS)
def test_rows_targets_batches_and_seeds(patches, method):
    x, kw = bright(3), {"method": method, "steps": 20}
    whole = attribute(patches, x, target=Each(0, 1), **kw)
    assert whole.values.shape == (2, 3, 1, 32, 32)
    assert whole.score.shape == (2, 3)
    for target in (0, 1):
        alone = attribute(patches, x[1:2], target=target, batch_size=1, **kw)
        torch.testing.assert_close(alone.values, whole.values[target, 1:2], rtol=1e-3, atol=1e-3)
    again = attribute(patches, x, target=Each(0, 1), **kw)
    assert torch.equal(again.values, whole.values)


def test_the_jitter_has_a_seed(patches):
    one, two = (
        attribute(patches, bright(), target=0, method="meaningful_perturbation", steps=20, seed=seed) for seed in (0, 1)
    )
    assert not torch.allclose(one.values, two.values, atol=1e-2)
    moves = learned_masks._jitter(2, torch.Generator().manual_seed(0))
    assert {move for pair in moves for move in pair} == {-2, -1, 0, 1, 2}
    image = torch.arange(12.0).reshape(1, 3, 4)
    assert learned_masks._moved(image, (1, -2))[0].tolist() == [[2, 3, 3, 3], [2, 3, 3, 3], [6, 7, 7, 7]]


@pytest.mark.parametrize("method", METHODS)
def test_streams_every_ten_steps(patches, method):
    parts = list(stream(patches, bright(2), target=0, method=method, steps=25))
    assert [part.progress for part in parts] == [(10, 25), (20, 25), (25, 25)]
    assert parts[-1].evaluations["gradient"] == 2 * 25


def test_more_steps_continue_where_fewer_ended(textured):
    model, x = textured
    session = Session(model, x, target=1)
    session.attribute("meaningful_perturbation", steps=15)
    longer = session.attribute("meaningful_perturbation", steps=25)
    assert longer.evaluations["gradient"] == 2 * 10
    fresh = attribute(model, x, target=1, method="meaningful_perturbation", steps=25)
    assert fresh.evaluations["gradient"] == 2 * 25
    torch.testing.assert_close(longer.values, fresh.values, rtol=1e-3, atol=1e-3)
    shorter = session.attribute("meaningful_perturbation", steps=15)
    assert shorter.evaluations["gradient"] == 2 * 15


def test_small_and_oblong_images(digits):
    for method in METHODS:
        found = attribute(digits.model, digits.images[:1], target=digits.labels[:1], method=method, steps=20)
        assert found.values.shape == (1, 1, 8, 8)
        oblong = attribute(lambda x: x.flatten(1).sum(1), torch.rand(1, 2, 5, 30), method=method, steps=20)
        assert oblong.values.shape == (1, 1, 5, 30)


def test_mirroring_gives_a_mirror_image_the_same_mask(patches):
    def symmetric(x):
        return (x * x.flip(-1))[:, 0, 8:18].mean((1, 2))

    x = bright()
    x = (x + x.flip(-1)) / 2
    plain, mirrored = (
        attribute(symmetric, x, method="extremal_perturbation", steps=20, flip=flip).values for flip in (False, True)
    )
    torch.testing.assert_close(mirrored, plain, rtol=1e-3, atol=1e-3)
    found = attribute(patches, x, target=0, method="extremal_perturbation", steps=60, flip=True, baseline="zeros")
    inside = patches.inside(0)
    both = inside | inside.flip(-1)
    # What the mirror image shows to the model counts as much.
    assert found.values[0, 0][both].sum() > 0.6 * found.values.sum()
    assert found.values[0, 0][inside.flip(-1)].mean() > 0.8 * found.values[0, 0][inside].mean()


def test_what_cannot_be_explained():
    for method in METHODS:
        with pytest.raises(ExplainError, match="explains images"):
            attribute(lambda x: x.sum(1), torch.rand(1, 5), method=method)
    with pytest.raises(ExplainError, match="area=0 is out of range"):
        attribute(lambda x: x.flatten(1).sum(1), bright(), method="extremal_perturbation", area=0.0)
    with pytest.raises(ExplainError, match="'both' is not a choice"):
        attribute(lambda x: x.flatten(1).sum(1), bright(), method="meaningful_perturbation", game="both")


# --- the parts -------------------------------------------------------------------------------------------------------


def test_the_slope_is_that_of_weight_times_score_plus_price():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 1, 3, 3, dtype=torch.float64, generator=generator)
    blanks = torch.rand(3, 2, 1, 3, 3, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 3, 3, dtype=torch.float64, generator=generator)

    def model(x):
        return x.flatten(1).prod(1) + x[:, 0, 0].sum(1).sin()

    def build(mask):
        return blanks + mask * (x - blanks), mask.square().mean((1, 2, 3))

    def scores(mask):
        return torch.stack([model(one) for one in build(mask)[0]]).mean(0)

    problem = Problem(model, x).begin()
    scale = learned_masks.change_of_score(problem, blanks)
    torch.testing.assert_close(scale.baseline_score, scores(torch.zeros_like(mask)))
    torch.testing.assert_close(scale.unit, (model(x) - scale.baseline_score).abs())
    scale = scale._replace(unit=torch.tensor([0.001, 9.0], dtype=torch.float64))
    found, after = learned_masks.slope(problem, build, mask, scale, -2.0)
    unit = torch.stack(((scores(mask) - scale.baseline_score).abs()[0], torch.tensor(9.0, dtype=torch.float64)))
    torch.testing.assert_close(after.unit, unit)  # what was seen is more than 0.001 and less than 9

    def total(mask):
        return (-2 * scores(mask) / unit + build(mask)[1]).sum()

    for place in itertools.product(range(2), [0], range(3), range(3)):
        step = torch.zeros_like(mask)
        step[place] = 1e-5
        assert float(found[place]) == pytest.approx(float(total(mask + step) - total(mask - step)) / 2e-5, abs=1e-8)


def test_adam_is_torchs():
    values = torch.rand(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = values.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], learned_masks.STEP_SIZE)
    ours = learned_masks.Adam.start(values)
    for step in range(1, 8):
        theirs.grad = torch.sin(step + 9 * theirs.detach())
        ours = ours.next(torch.sin(step + 9 * ours.values))
        optimizer.step()
        theirs.data.clamp_(0, 1)
        torch.testing.assert_close(ours.values, theirs.detach())


def test_roughness_and_enlargement():
    marks = torch.rand(2, 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for row, found in zip(marks[:, 0].tolist(), learned_masks._roughness(marks).tolist(), strict=True):
        down = sum(abs(row[i + 1][j] - row[i][j]) ** 3 for i in range(2) for j in range(4))
        across = sum(abs(row[i][j + 1] - row[i][j]) ** 3 for i in range(3) for j in range(3))
        assert found == pytest.approx(down + across)
    matrix = learned_masks._spread(224, 28, marks)
    torch.testing.assert_close(matrix.sum(1), torch.ones(224, dtype=torch.float64))
    for place, cell in ((0, 0), (100, 12), (101, 15)):
        weights = [math.exp(-(((place + 0.5 - (one + 0.5) * 8) / 5) ** 2) / 2) for one in range(28)]
        assert float(matrix[place, cell]) == pytest.approx(weights[cell] / sum(weights))


def test_the_smooth_maximum_written_out():
    strengths = torch.rand(1, 1, 9, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = 0.9
    blobs = extremal.Blobs(5, 6, sigma, strengths)
    assert blobs.grid == (9, 10)
    found = blobs(strengths)[0, 0]
    for i, j in itertools.product(range(5), range(6)):
        members = [
            math.exp(-(a * a + b * b) / (2 * sigma**2)) * float(strengths[0, 0, i + 2 + a, j + 2 + b])
            for a, b in itertools.product(range(-2, 3), repeat=2)
        ]
        weights = [math.exp(20 * member) for member in members]
        smooth = sum(member * weight for member, weight in zip(members, weights, strict=True)) / sum(weights)
        assert float(found[i, j]) == pytest.approx(smooth)


def test_between_the_levels_of_blur():
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pyramid = extremal._pyramid(images, 2.0)
    torch.testing.assert_close(pyramid[-1, 0], Blur(2.0).draw(images)[0])
    torch.testing.assert_close(pyramid[3, 0], Blur(6 / 7).draw(images)[0])
    amount = torch.rand(2, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    amount[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    found = extremal._between(pyramid, amount)[0]
    torch.testing.assert_close(found[0, :, 0, 0], images[0, :, 0, 0])
    torch.testing.assert_close(found[0, :, 0, 1], pyramid[-1, 0, 0, :, 0, 1])
    weights = functional.relu(1 - (7 * amount[None] - torch.arange(8).reshape(-1, 1, 1, 1, 1)).abs())
    torch.testing.assert_close(found, (weights * pyramid[:, 0]).sum(0))


@pytest.mark.parametrize(("area", "pixels"), [(0.1, 1024), (0.25, 64), (0.013, 100)])
def test_the_wanted_mask_has_the_area(area, pixels):
    wanted = extremal._wanted(area, pixels, torch.zeros((), dtype=torch.float64))
    assert float(wanted.sum()) == pytest.approx(area * pixels)
    assert torch.equal(wanted, wanted.sort().values)
    assert int(((wanted > 0) & (wanted < 1)).sum()) <= 1
