"""Infidelity, correlation with removals, and sums: closed forms, brute force, Captum and Quantus."""

import numpy as np
import pytest
import torch
from torch import nn

from xaiwidgets.api import InputError, ParameterError, attribute
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.fidelity import Moves, Removals, faithfulness_correlation, infidelity, shares, squares
from xaiwidgets.metrics.sums import completeness, pathwise_gap

W = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
NOISY = ("gaussian", "noisy_baseline")
TAKEN = ("square", "zero_units")


def linear(x):
    return (x * W).flatten(1).sum(1) + 3


def curved(x):
    return (x * W).flatten(1).sum(1).tanh() + x.flatten(1).square().sum(1) / 7


def images(rows=3, seed=1):
    return torch.rand(rows, 1, 6, 6, generator=torch.Generator().manual_seed(seed)) + 0.1


def case(method, model=linear, x=None, options=None, **parameters):
    x = images() if x is None else x
    options = options or {}
    checked = find_method(method).check(parameters)
    values = attribute(model, x, method=method, **options, **parameters).values
    return Case(Problem(model, x, **options), values, method=find_method(method), parameters=checked)


def last(readings):
    *_, reading = readings
    return reading


def flat(values):
    return values.flatten(1).double()


# --- infidelity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("perturbation", NOISY + TAKEN)
@pytest.mark.parametrize(
    ("method", "parameters"),
    [("input_x_gradient", {}), ("saliency", {"absolute": False}), ("integrated_gradients", {"baseline": "zeros"})],
)
@pytest.mark.parametrize("scaled", [True, False])
def test_nothing_is_unfaithful_in_a_linear_model(perturbation, method, parameters, scaled):
    found = last(infidelity(case(method, **parameters), perturbation=perturbation, scaled=scaled, samples=16))
    assert found.values.max() < 1e-9
    assert found.done == found.total == 16


def test_path_maps_are_divided_for_noise_and_not_for_removal():
    baseline = torch.full((1, 1, 6, 6), -2.0)
    found = case("integrated_gradients", baseline=baseline)
    noisy = last(infidelity(found, perturbation="gaussian", scaled=False))
    assert noisy.values.max() < 1e-9
    assert "its baseline" in noisy.notes[0]
    taken = last(infidelity(found, perturbation="zero_units", scaled=False, fill=baseline))
    assert taken.values.max() < 1e-9
    assert taken.notes == ()
    assert last(infidelity(found, perturbation="zero_units", scaled=False)).values.min() > 0.1  # other baseline


def test_the_best_scale():
    x = images()
    once = Case(Problem(curved, x), W * x)
    often = Case(Problem(curved, x), -7 * W * x)
    one, two = (last(infidelity(found, perturbation="gaussian")).values for found in (once, often))
    torch.testing.assert_close(one, two)
    assert (one <= last(infidelity(once, perturbation="gaussian", scaled=False)).values).all()
    double = Case(Problem(linear, x), 2 * W * x)
    moves = Moves(double, 0.1, None, "logit")
    truth = torch.stack([moves.expected(sample) / 2 for sample in range(64)])
    unscaled = last(infidelity(double, perturbation="gaussian", scaled=False, noise=0.1)).values
    torch.testing.assert_close(unscaled, truth.square().mean(0))


def test_a_whole_input_replaced_is_completeness():
    found = case("integrated_gradients", curved, baseline=0.3, tolerance=1e-4, steps=257)
    change = (curved(images()) - curved(torch.full((3, 1, 6, 6), 0.3))).double()
    options = {"perturbation": "noisy_baseline", "noise": 1e-4, "scaled": False}
    same = last(infidelity(found, baseline=0.3, **options)).values
    assert (same < 1e-4 * change.square()).all()
    other = last(infidelity(found, baseline=[0.3, 0.6], samples=2, **options)).values
    turned = last(infidelity(found, baseline=[0.6, 0.3], samples=2, **options)).values
    torch.testing.assert_close(other, turned, rtol=1e-2, atol=0)
    assert (other > 10 * same).all()


@pytest.mark.parametrize("perturbation", NOISY + TAKEN)
def test_a_constant_model(perturbation):
    found = Case(Problem(lambda x: x.flatten(1).sum(1) * 0 + 2, images()), torch.randn(3, 1, 6, 6))
    assert last(infidelity(found, perturbation=perturbation)).values.tolist() == [0, 0, 0]
    relative = last(infidelity(found, perturbation=perturbation, relative=True))
    assert relative.values.isnan().all()
    assert "3 of 3" in relative.notes[-1]


def test_an_empty_map_foretells_nothing():
    found = Case(Problem(curved, images()), torch.zeros(3, 1, 6, 6))
    values = last(infidelity(found, perturbation="zero_units", relative=True)).values
    torch.testing.assert_close(values, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("normalize", [True, False])
def test_captum_agrees_about_noise(digits, normalize):
    from captum.metrics import infidelity as captum_infidelity

    model, x, y = digits.model, digits.images[:4], digits.labels[:4]
    found = case("saliency", model, x, {"target": y}, absolute=False)
    moves = Moves(found, 0.1, None, "logit")
    noisy = torch.stack([moves._moved(sample) for sample in range(12)], dim=1).flatten(0, 1)

    def perturb(inputs):
        return inputs - noisy, noisy

    expected = captum_infidelity(model, perturb, x, found.values, target=y, n_perturb_samples=12, normalize=normalize)
    values = last(infidelity(found, perturbation="gaussian", noise=0.1, samples=12, scaled=normalize)).values
    torch.testing.assert_close(values, expected.double(), rtol=1e-4, atol=1e-8)


def test_captum_agrees_about_taken_units(digits):
    from captum.metrics import infidelity as captum_infidelity

    model, x, y = digits.model, digits.images[:4], digits.labels[:4]
    found = case("integrated_gradients", model, x, {"target": y})
    chosen = torch.stack([shares(found, row, sample, 0.3) for row in range(4) for sample in range(12)])
    chosen = chosen.reshape(-1, 1, 8, 8)

    def perturb(inputs):
        return chosen.float(), torch.where(chosen, 0, inputs)

    expected = captum_infidelity(model, perturb, x, found.values, target=y, n_perturb_samples=12, normalize=True)
    values = last(infidelity(found, perturbation="zero_units", size=0.3, samples=12)).values
    torch.testing.assert_close(values, expected.double(), rtol=1e-4, atol=1e-8)


def test_sensitivities_are_multiplied_with_what_is_taken():
    x = images()
    gradient = case("saliency", curved, x, absolute=False)
    product = Case(Problem(curved, x), gradient.values * x)
    for perturbation in TAKEN:
        one, two = (last(infidelity(found, perturbation=perturbation)).values for found in (gradient, product))
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-9)


def test_squares_are_squares():
    found = Case(Problem(lambda x: x.flatten(1).sum(1), torch.rand(1, 2, 6, 9)), torch.rand(1, 1, 6, 9))
    seen = torch.stack([squares(found, 0, sample, 0.5) for sample in range(400)]).reshape(-1, 6, 9)
    assert seen.sum((1, 2)).unique().tolist() == [9]
    rows, columns = seen.any(2), seen.any(1)
    assert (rows.sum(1) == 3).all()
    assert (columns.sum(1) == 3).all()
    corners = {(int(row.int().argmax()), int(column.int().argmax())) for row, column in zip(rows, columns, strict=True)}
    assert corners == {(top, left) for top in range(4) for left in range(7)}


def test_squares_need_pixels():
    for found in (
        Case(Problem(lambda x: x.sum(1), torch.rand(2, 5)), torch.rand(2, 5)),
        Case(Problem(linear, images()), torch.rand(3, 1, 6, 6), regions="coarse"),
    ):
        with pytest.raises(ParameterError) as caught:
            last(infidelity(found, perturbation="square"))
        assert caught.value.code == "no_squares"
        auto, units = (last(infidelity(found, perturbation=kind)).values for kind in ("auto", "zero_units"))
        assert torch.equal(auto, units)


def test_noise_needs_a_value_for_every_number():
    found = Case(Problem(lambda x: x.sum((1, 2)), torch.rand(2, 5, 3)), torch.rand(2, 5))
    with pytest.raises(InputError) as caught:
        last(infidelity(found, perturbation="gaussian"))
    assert caught.value.code == "map_of_tokens"
    assert last(infidelity(found)).values.shape == (2,)


@pytest.mark.parametrize("perturbation", NOISY + TAKEN)
def test_neither_batches_nor_neighbours_nor_how_many_matter(digits, perturbation):
    model, x, y = digits.model, digits.images[:4], digits.labels[:4]
    values = torch.randn(4, 1, 8, 8)
    state = torch.get_rng_state()

    def asked(rows, batch_size, samples):
        problem = Problem(model, x[:rows], target=y[:rows], batch_size=batch_size)
        return [*infidelity(Case(problem, values[:rows]), perturbation=perturbation, samples=samples)]

    whole, small, fewer = asked(4, "auto", 24), asked(4, 3, 24), asked(2, "auto", 24)
    torch.testing.assert_close(whole[-1].values, small[-1].values, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(whole[-1].values[:2], fewer[-1].values, rtol=1e-4, atol=1e-8)
    assert [reading.done for reading in whole] == [8, 16, 24]
    torch.testing.assert_close(asked(4, "auto", 16)[-1].values, whole[1].values)
    assert torch.equal(torch.get_rng_state(), state)


def test_maps_of_one_evaluation_share_the_passes():
    problem, memory = Problem(curved, images()), {}
    counts = []
    for name in ("one", "two"):
        found = Case(problem, torch.randn(3, 1, 6, 6), name=name, memory=memory)
        last(infidelity(found, perturbation="zero_units", samples=16))
        last(faithfulness_correlation(found, samples=16))
        counts.append(found.evaluations["forward"])
    assert counts == [3 * 17, 0]


# --- faithfulness correlation --------------------------------------------------------------------------------------


def test_a_linear_model_correlates():
    x = images()
    for sign in (1, -1):
        values = last(faithfulness_correlation(Case(Problem(linear, x), sign * W * x))).values
        torch.testing.assert_close(values, torch.full((3,), float(sign), dtype=torch.float64))
    for model, map_ in ((linear, torch.ones(3, 1, 6, 6)), (lambda x: x.flatten(1).sum(1) * 0, x)):
        reading = last(faithfulness_correlation(Case(Problem(model, x), map_)))
        assert reading.values.isnan().all()
        assert "3 of 3" in reading.notes[0]


def test_quantus_agrees_about_the_correlation(digits, monkeypatch):
    quantus = pytest.importorskip("quantus")
    model, x, y = digits.model, digits.images[:3], digits.labels[:3]
    found = case("integrated_gradients", model, x, {"target": y})
    count = round(0.3 * 64)
    drawn = iter(
        [shares(found, row, sample, 0.3).nonzero().flatten().numpy() for sample in range(20) for row in range(3)]
    )
    theirs = quantus.FaithfulnessCorrelation(
        nr_runs=20, subset_size=count, perturb_baseline=0.0, abs=False, normalise=False, return_aggregate=False,
        disable_warnings=True,
    )  # fmt: skip
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: next(drawn))
    expected = theirs(
        model=model, x_batch=x.numpy(), y_batch=y.numpy(), a_batch=found.values.numpy(), softmax=False, device="cpu"
    )
    values = last(faithfulness_correlation(found, size=0.3, samples=20)).values
    torch.testing.assert_close(values, torch.tensor(np.array(expected)).double(), rtol=1e-4, atol=1e-5)


# --- sums ----------------------------------------------------------------------------------------------------------


def cubic(x):
    return x.flatten(1).pow(3).sum(1)


def test_a_complete_map_and_twice_of_it():
    found = case("integrated_gradients", cubic, steps=129)
    assert last(completeness(found)).values.max() < 1e-4
    twice = Case(found.problem, 2 * found.values, method=found.method, parameters=found.parameters)
    torch.testing.assert_close(last(completeness(twice)).values, torch.ones(3).double(), atol=1e-4, rtol=0)
    absolute = last(completeness(twice, relative=False)).values
    torch.testing.assert_close(absolute, cubic(images()).double(), atol=1e-3, rtol=1e-3)


def test_several_baselines():
    found = case("integrated_gradients", cubic, baseline=[0.0, -1.0, "mean"], steps=129)
    assert last(completeness(found)).values.max() < 1e-3
    assert last(completeness(found, baseline=0.0)).values.min() > 0.1


def test_no_baseline_no_sum():
    reading = last(completeness(case("saliency")))
    assert reading.values.isnan().all()
    assert "baseline" in reading.notes[0]
    x = images()
    bare = Case(Problem(linear, x), W * x)
    assert last(completeness(bare)).values.isnan().all()
    assert last(completeness(bare, baseline="zeros")).values.max() < 1e-5


def test_a_method_without_a_promise_says_so():
    reading = last(completeness(case("feature_ablation", regions="pixel")))
    assert reading.values.max() < 1e-5  # it keeps it for a linear model
    assert "does not promise" in reading.notes[0]


@pytest.mark.parametrize("metric", [completeness, pathwise_gap])
def test_nothing_to_divide_by(metric):
    x = images()
    found = case("integrated_gradients", cubic, x, baseline=x.clone())
    reading = last(metric(found))
    assert reading.values.isnan().all()
    assert "thousandth" in reading.notes[-1]
    assert last(metric(found, relative=False)).values.max() < 1e-6


def test_the_gap_of_a_cubic():
    # The trapezoid's error for 3 α² on cells of width h is h²/2, growing with α.
    found = case("integrated_gradients", cubic)
    readings = [*pathwise_gap(found, steps=70)]
    assert [reading.done for reading in readings] == [9, 17, 33, 65]
    for reading in readings:
        expected = torch.full((3,), 0.5 / (reading.done - 1) ** 2, dtype=torch.float64)
        torch.testing.assert_close(reading.values, expected, rtol=1e-2, atol=1e-6)
    curves = readings[-1].curves
    torch.testing.assert_close(
        curves["score"].values, curves["score"].x.pow(3) * cubic(images()).double()[:, None], rtol=1e-4, atol=1e-5
    )


def test_the_gap_in_the_middle_counts():
    # A bump that is gone at the end: the sum is right there, and wrong on the way.
    def bump(x):
        return (x[:, 0] * 40).cos() * 5 + x[:, 0]

    x = torch.tensor([[2 * torch.pi * 50 / 40]])
    found = case("integrated_gradients", bump, x)
    reading = next(pathwise_gap(found))
    gaps = (reading.curves["accumulated"].values - reading.curves["score"].values).abs()
    assert reading.values[0] > 0.1
    torch.testing.assert_close(reading.values[0] * x[0, 0].double(), gaps.max(), rtol=1e-3, atol=1e-5)


def test_the_walk_of_one_row_agrees(digits):
    from xaiwidgets.methods.path_walk import PathWalk

    model, x, y = digits.model, digits.images[:1], digits.labels[:1]
    found = case("integrated_gradients", model, x, {"target": y}, baseline="mean")
    walk = PathWalk(found.problem, found.baselines("mean")[0])
    [*walk.walk(33, 0.0)]
    gaps = walk.curves().gaps
    torch.testing.assert_close(
        last(pathwise_gap(found)).values,
        torch.tensor([gaps.max / abs(gaps.difference)], dtype=torch.float64),
        rtol=1e-4,
        atol=1e-7,
    )


def test_other_paths_are_refused():
    for name in ("saliency", "guided_ig"):
        reading = last(pathwise_gap(case(name)))
        assert reading.values.isnan().all()
        assert "straight path" in reading.notes[0]


def test_the_model_stays_as_it_was(digits):
    model, x, y = digits.model, digits.images[:2], digits.labels[:2]
    before = {name: one.clone() for name, one in model.state_dict().items()}
    flags = [(part.training, len(part._forward_hooks)) for part in model.modules()]
    found = case("integrated_gradients", model, x, {"target": y})
    for metric in (infidelity, faithfulness_correlation, completeness, pathwise_gap):
        next(metric(found))
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    assert flags == [(part.training, len(part._forward_hooks)) for part in model.modules()]
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_removal_knows_its_units():
    x = torch.rand(2, 3, 4, 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1)).eval()
    found = Case(Problem(model, x), torch.randn(2, 3, 4, 4))
    changes = Removals(found, "zeros", "logit", lambda row, sample: shares(found, row, sample, 0.5))
    chosen = torch.stack([shares(found, row, 5, 0.5) for row in range(2)]).reshape(2, 1, 4, 4)
    assert chosen.sum((1, 2, 3)).tolist() == [8, 8]
    torch.testing.assert_close(changes.expected(5), flat(found.values * chosen).sum(1))
    with torch.no_grad():
        torch.testing.assert_close(changes.scores([5])[0], model(x * ~chosen)[:, 0].double(), rtol=1e-5, atol=1e-6)
