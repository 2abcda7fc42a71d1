"""Curves of taking units away: closed forms, nesting, seeds, costs, the fills, and what is imputed."""

import numpy as np
import pytest
import torch
from removing import dense, last, linear, normal
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import Cancelled, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.fills import fill_names, removal_by
from xaiwidgets.metrics.imputation import imputed
from xaiwidgets.metrics.registry import find_metric
from xaiwidgets.metrics.removal import area, removal_walk

# --- closed forms ----------------------------------------------------------------------------------------------------


def test_a_linear_models_curves_are_partial_sums():
    model, points, values = linear()
    case = Case(Problem(model, points), values)
    reading = last(case, "deletion", measure="logit")
    drops = values.sort(1, descending=True).values.cumsum(1)
    score = model(points).detach()
    expected = torch.cat([score, score - drops], 1)
    assert torch.equal(reading.curves["deletion"].x, torch.arange(13) / torch.tensor(12, dtype=torch.float64))
    torch.testing.assert_close(reading.curves["deletion"].values, expected)
    shown = torch.cat([torch.zeros(3, 1, dtype=torch.float64), drops], 1) + 0.3
    torch.testing.assert_close(reading.curves["insertion"].values, shown)
    torch.testing.assert_close(reading.values, torch.trapezoid(expected, dx=1 / 12, dim=1))
    torch.testing.assert_close(reading.values, reading.curves["deletion"].area())


def test_the_area_between_the_curves_of_a_linear_model():
    model, points, values = linear()
    case = Case(Problem(model, points), values)
    between = last(case, "abpc")
    steps = torch.cat([torch.zeros(3, 1, dtype=torch.float64), values.sort(1, descending=True).values.cumsum(1)], 1)
    low = torch.cat([torch.zeros(3, 1, dtype=torch.float64), values.sort(1).values.cumsum(1)], 1)
    torch.testing.assert_close(between.values, torch.trapezoid(steps - low, dx=1 / 12, dim=1))
    torch.testing.assert_close(between.values, last(case, "lerf").values - last(case, "morf").values)
    upside_down = last(Case(Problem(model, points), -values), "abpc")
    torch.testing.assert_close(upside_down.values, -between.values)
    assert (between.values > 0).all()


def test_least_relevant_first_is_a_deletion_of_its_own():
    """The curve read off the insertion backwards is what taking away the other way round gives."""
    model = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1)).double().eval()
    points = normal(2, 12)
    case = Case(Problem(model, points), normal(2, 12, seed=4))
    *_, direct = removal_walk(case, case.order().flip(1), measure="logit", fill="mean")
    curve = last(case, "lerf", fill="mean").curves["lerf"]
    torch.testing.assert_close(curve.values, direct.values[0])
    torch.testing.assert_close(curve.x, direct.x)


def test_a_constant_models_curve_is_flat():
    case = Case(Problem(lambda x: x.new_full((len(x), 1), 0.7), normal(2, 1, 6, 6)), normal(2, 1, 6, 6, seed=1))
    for fill in ("zeros", "mean", "blur", "noise", "neighbours"):
        curves = last(case, "insertion", fill=fill, measure="logit").curves
        assert all(torch.allclose(curve.values, torch.tensor(0.7, dtype=torch.float64)) for curve in curves.values())
    assert torch.allclose(last(case, "abpc").values, torch.zeros(2, dtype=torch.float64))


def test_permuting_the_features_changes_nothing():
    model, points, values = linear()
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(5))
    other = nn.Linear(12, 1).double().eval()
    with torch.no_grad():
        other.weight.copy_(model.weight[:, shuffled])
        other.bias.copy_(model.bias)
    moved = Case(Problem(other, points[:, shuffled]), values[:, shuffled])
    for name in ("deletion", "insertion"):
        expected = last(Case(Problem(model, points), values), name).values
        torch.testing.assert_close(last(moved, name).values, expected)


def test_the_probability_is_the_targets():
    torch.manual_seed(0)
    model = nn.Linear(6, 3).double().eval()
    points = normal(2, 6)
    case = Case(Problem(model, points, target=torch.tensor([2, 0])), normal(2, 6, seed=1))
    curve = last(case, "deletion").curves["deletion"]
    softmax = model(points).softmax(1).detach()
    torch.testing.assert_close(curve.values[:, 0], softmax[[0, 1], [2, 0]])
    torch.testing.assert_close(curve.values[:, -1], model(torch.zeros_like(points)).softmax(1)[[0, 1], [2, 0]].detach())


# --- refinement, seeds, costs ----------------------------------------------------------------------------------------


def counting(rows=2, side=8):
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * side * side, 3)).eval()
    calls = []
    model.register_forward_pre_hook(lambda _module, given: calls.append(len(given[0])))
    images = normal(rows, 1, side, side).float()
    return Problem(model, images, target=1, batch_size=64), calls


def test_refinement_is_nested_and_pays_only_for_new_points():
    problem, calls = counting()
    case = Case(problem, normal(2, 1, 8, 8, seed=1))
    walks = removal_walk(case, case.order(), steps=33)
    first = next(walks)
    assert len(first.x) == 5
    assert case.evaluations["forward"] == 2 * 5  # both ends once, three points between them
    assert calls[-1] == 2 * 3  # all new points in one call
    points = [len(walk.x) for walk in walks]
    assert points == [9, 17, 33]
    assert case.evaluations["forward"] == 2 * 33
    assert sum(calls) == 2 * 33 + 1  # the engine tries one row before it fuses layers
    *_, again = removal_walk(case, case.order(), steps=33)
    assert case.evaluations["forward"] == 2 * 33
    *_, finer = removal_walk(case, case.order(), steps=65)
    assert case.evaluations["forward"] == 2 * 65
    assert torch.equal(finer.values[..., ::2], again.values)
    assert torch.equal(again.values[..., ::8], first.values)
    assert (again.done, again.total) == (66, 66)


def test_all_five_metrics_cost_one_pair_of_curves():
    problem, _ = counting()
    case = Case(problem, normal(2, 1, 8, 8, seed=1))
    for name in ("deletion", "insertion"):
        last(case, name, fill="zeros", measure="logit", steps=17)
    assert case.evaluations["forward"] == 2 * (2 + 15 + 15)
    for name in ("morf", "lerf", "abpc"):
        last(case, name, steps=17)
    assert case.evaluations["forward"] == 2 * (2 + 15 + 15)


def test_the_first_partial_has_five_points_and_all_curves():
    case = Case(counting()[0], normal(2, 1, 8, 8, seed=1))
    found = find_metric("deletion")
    run = found.run(case, **found.check({}))
    first = next(run)
    assert [len(curve.x) for curve in first.curves.values()] == [5, 5]
    assert case.evaluations["forward"] == 2 * (2 + 3 + 3)
    run.close()


def test_an_interrupted_walk_can_go_on():
    problem, _ = counting()
    stop = False

    def interrupt():
        if stop:
            raise Cancelled

    problem.interrupt = interrupt
    case = Case(problem, normal(2, 1, 8, 8, seed=1))
    walks = removal_walk(case, case.order(), steps=17)
    next(walks)
    stop = True
    with pytest.raises(Cancelled):
        next(walks)
    stop = False
    *_, gone_on = removal_walk(case, case.order(), steps=17)
    fresh, _ = counting()
    *_, expected = removal_walk(Case(fresh, case.values), case.order(), steps=17)
    assert not gone_on.values.isnan().any()
    assert gone_on.x.equal(expected.x)


def test_results_do_not_depend_on_the_batch_or_on_other_rows():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()
    images, values = normal(3, 2, 6, 6), normal(3, 1, 6, 6, seed=1).round()  # many ties
    for fill in ("zeros", "blur", "noise", "neighbours"):
        asked = {"fill": fill, "tries": 2, "steps": 9}
        together = last(Case(Problem(model, images, target=0), values), "deletion", **asked)
        small = last(Case(Problem(model, images, target=0, batch_size=5), values), "deletion", **asked)
        torch.testing.assert_close(together.values, small.values)
        first = last(Case(Problem(model, images[:1], target=0), values[:1]), "deletion", **asked)
        torch.testing.assert_close(together.values[:1], first.values)


def test_ties_are_broken_by_the_seed_and_nothing_global_moves():
    problem, _ = counting()
    flat = torch.zeros(2, 1, 8, 8)
    before = torch.random.get_rng_state()
    seeds = [last(Case(problem, flat, seed=seed), "deletion").values for seed in (0, 0, 1)]
    assert torch.equal(seeds[0], seeds[1])
    assert not torch.equal(seeds[0], seeds[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_tries_are_the_spread_of_a_single_row():
    problem, _ = counting(rows=1)
    tied = last(Case(problem, torch.zeros(1, 1, 8, 8), seed=3), "deletion", tries=4, steps=9)
    curve = tied.curves["deletion"]
    assert curve.spread.shape == (4, 9)
    torch.testing.assert_close(curve.values[0], curve.spread.mean(0))
    alone = [last(Case(problem, torch.zeros(1, 1, 8, 8), seed=seed), "deletion", steps=9) for seed in (3, 4, 5, 6)]
    torch.testing.assert_close(tied.values, torch.stack([one.values for one in alone]).mean(0))
    case = Case(problem, normal(1, 1, 8, 8))
    assert last(case, "deletion", tries=4, steps=9).curves["deletion"].spread is None
    assert case.evaluations["forward"] == 2 + 7 + 7  # without ties one try says it all


def test_orders_of_any_kind_walk_together():
    problem, calls = counting(rows=1)
    case = Case(problem, normal(1, 1, 8, 8, seed=1))
    orders = torch.stack([case.random_orders(seed) for seed in range(16)])
    walks = removal_walk(case, orders, kind="insertion", steps=9)
    first = next(walks)
    assert first.values.shape == (16, 1, 5)
    assert calls[-1] == 16 * 3
    *_, final = walks
    for number in (0, 7):
        *_, one = removal_walk(Case(problem, case.values), orders[number], kind="insertion", steps=9)
        torch.testing.assert_close(final.values[number], one.values[0])
    torch.testing.assert_close(area(final)[:, 0], torch.trapezoid(final.values[:, 0], final.x, dim=1))


def test_rows_of_different_numbers_of_units_share_their_places():
    weights = torch.tensor([[3.0, 1.0, 2.0, 4.0]], dtype=torch.float64)
    points = torch.ones(2, 4, dtype=torch.float64)
    regions = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1]])
    case = Case(Problem(lambda x: x @ weights.T, points), weights.expand(2, -1), regions=regions)
    assert case.counts == (4, 2)
    curve = last(case, "deletion", measure="logit").curves["deletion"]
    torch.testing.assert_close(curve.x, torch.linspace(0, 1, 5, dtype=torch.float64))
    torch.testing.assert_close(curve.values[0], torch.tensor([10.0, 6, 3, 1, 0], dtype=torch.float64))
    torch.testing.assert_close(curve.values[1], torch.tensor([10.0, 7, 4, 2, 0], dtype=torch.float64))


def test_a_rows_area_is_of_its_own_points():
    """A row of few units beside one of many: its breakpoints are not among the others' shares."""
    points = torch.ones(2, 10, dtype=torch.float64)
    weights = torch.tensor([[5.0, 4, 3, 2, 1, 1, 1, 1, 1, 1]], dtype=torch.float64)
    regions = torch.stack([torch.arange(10), torch.tensor([0, 1, 2, 2, 2, 2, 2, 2, 2, 2])])
    together = Case(Problem(lambda x: x @ weights.T, points), weights.expand(2, -1), regions=regions)
    alone = Case(Problem(lambda x: x @ weights.T, points[:1]), weights, regions=regions[1:])
    areas = last(together, "deletion", measure="logit").values
    torch.testing.assert_close(areas[1:], last(alone, "deletion", measure="logit").values)
    # the third unit, worth 11, goes first: 20, 9, 4, 0
    torch.testing.assert_close(areas[1], torch.tensor((20 / 2 + 9 + 4) / 3, dtype=torch.float64))
    torch.testing.assert_close(last(together, "abpc").values[1:], last(alone, "abpc").values)


# --- fills -----------------------------------------------------------------------------------------------------------


def test_fills_are_what_they_say():
    images = normal(2, 3, 6, 6)
    case = Case(Problem(lambda x: x.flatten(1).sum(1), images), images)
    rows, everything = torch.arange(2), torch.ones(2, 36, dtype=torch.bool)
    filled = {name: removal_by(case, name, 0).points(rows, everything) for name in fill_names(case)}
    assert set(filled) == {"zeros", "mean", "blur", "noise", "neighbours"}
    assert not filled["zeros"].any()
    torch.testing.assert_close(filled["mean"], images.mean((2, 3), keepdim=True).expand_as(images))
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    assert ((filled["noise"] >= low) & (filled["noise"] <= high)).all()
    assert not torch.equal(filled["noise"], removal_by(case, "noise", 1).points(rows, everything))
    assert filled["blur"].std() < images.std()
    own = torch.full((1, 3, 1, 1), 0.25)
    torch.testing.assert_close(removal_by(case, own, 0).points(rows, everything), torch.full_like(images, 0.25))
    assert torch.equal(removal_by(case, "auto", 0, "insertion").points(rows, everything), filled["blur"])
    half = torch.arange(36)[None] < 18
    kept = removal_by(case, "neighbours", 0).points(rows, half.expand(2, -1))
    assert torch.equal(kept[:, :, 3:], images[:, :, 3:])
    assert not torch.equal(kept[:, :, :3], images[:, :, :3])


def test_wrong_fills_are_refused():
    model, points, values = linear()
    case = Case(Problem(model, points), values)
    for fill in ("neighbours", "blur", "mask_token"):
        with pytest.raises(ParameterError, match="no meaning"):
            removal_by(case, fill, 0)
    with pytest.raises(ParameterError, match="does not fit"):
        removal_by(case, torch.zeros(5), 0)
    with pytest.raises(ParameterError, match="choice"):
        find_metric("deletion").check({"fill": "white"})


# --- imputation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_is_the_dense_solution(share):
    images = normal(4, 3, 9, 7)
    smooth = functional.interpolate(normal(4, 1, 3, 3, seed=1), size=(9, 7), mode="bicubic")
    hole = smooth > smooth.flatten(1).quantile(1 - share, dim=1)[:, None, None, None]
    expected = torch.stack([dense(image, one[0]) for image, one in zip(images, hole, strict=True)])
    torch.testing.assert_close(imputed(images, hole, tolerance=1e-12), expected)
    assert (imputed(images, hole) - expected).abs().max() < 1e-3
    single = imputed(images.float(), hole)
    assert (single - expected).abs().max() < 1e-3
    alone = torch.cat([imputed(images[row : row + 1].float(), hole[row : row + 1]) for row in range(4)])
    assert torch.equal(single, alone)


def test_imputation_bridges_a_series_and_knows_nothing_of_an_empty_image():
    series = torch.tensor([[[0.0, 9, 9, 3]]])
    bridged = imputed(series, torch.tensor([[[False, True, True, False]]]))
    torch.testing.assert_close(bridged, torch.tensor([[[0.0, 1, 2, 3]]]))
    image = normal(1, 2, 4, 4)
    nothing = imputed(image, torch.ones(1, 1, 4, 4, dtype=torch.bool))
    torch.testing.assert_close(nothing, image.mean((2, 3), keepdim=True).expand_as(image))
    flat = torch.full((1, 1, 4, 4), 5.0)
    assert torch.equal(imputed(flat, torch.rand(1, 1, 4, 4) < 0.5), flat)


def test_imputation_of_channels_with_holes_of_their_own():
    image = normal(1, 2, 5, 5)
    hole = normal(1, 2, 5, 5, seed=2) > 0
    found = imputed(image, hole, tolerance=1e-12)
    for channel in range(2):
        expected = dense(image[0, channel : channel + 1], hole[0, channel])
        torch.testing.assert_close(found[0, channel : channel + 1], expected)


# --- beside Quantus --------------------------------------------------------------------------------------------------


def test_quantus_flips_the_same_pixels():
    """Its PixelFlipping leaves out the point before anything is gone, and breaks ties by position."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    problem, _ = counting()
    images, values = problem.points, normal(2, 1, 8, 8, seed=1).float()
    theirs = quantus.PixelFlipping(features_in_step=4, perturb_baseline=0.0, normalise=False, disable_warnings=True)
    expected = theirs(
        model=problem.module, x_batch=images.numpy(), y_batch=np.array([1, 1]), a_batch=values.numpy(), device="cpu"
    )
    curve = last(Case(problem, values), "deletion", steps=17).curves["deletion"]
    assert curve.values.shape == (2, 17)
    np.testing.assert_allclose(curve.values[:, 1:], expected, atol=1e-5)
