"""Sensitivity to the input and to hyperparameters: closed forms, brute force, Captum and Quantus."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from xaiwidgets.api import ParameterError, attribute
from xaiwidgets.engine.baselines import NAMES
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.hyperparameters import _settings, sam
from xaiwidgets.metrics.stability import (
    Around,
    local_lipschitz,
    max_sensitivity,
    neighbours,
    relative_input_stability,
    relative_output_stability,
)

EVERY = (max_sensitivity, local_lipschitz, relative_input_stability, relative_output_stability)
GENERATOR = torch.Generator().manual_seed(0)
A = torch.randn(5, 5, generator=GENERATOR)
A = A + A.T
X = torch.rand(3, 5, generator=GENERATOR) + 0.5


def quadratic(x):
    return (x @ A * x).sum(1) / 2


def case(method="saliency", model=quadratic, x=X, options=None, memory=None, **parameters):
    parameters = {"absolute": False} | parameters if method == "saliency" else parameters
    options = options or {}
    values = attribute(model, x, method=method, **options, **parameters).values
    chosen = find_method(method)
    return Case(Problem(model, x, **options), values, method=chosen, parameters=chosen.check(parameters), memory=memory)


def last(readings):
    *_, reading = readings
    return reading


# --- neighbours ----------------------------------------------------------------------------------------------------


def test_where_neighbours_are():
    found = case()
    width = X.amax(1) - X.amin(1)
    for unit, reach in (("range", 0.1 * width), ("absolute", torch.full((3,), 0.1))):
        shifts = torch.stack([near.shift for near in neighbours(found, 100, Around(0.1, unit, "box"))])
        assert (shifts.abs() <= reach[:, None] * 1.0001).all()
        torch.testing.assert_close(shifts.abs().amax((0, 2)), reach, rtol=0.03, atol=0)
    normal = torch.stack([near.shift for near in neighbours(found, 100, Around(0.1, "absolute", "gaussian"))])
    torch.testing.assert_close(normal.std(), torch.tensor(0.1), rtol=0.1, atol=0)
    for near in neighbours(found, 2, Around(0.1, "absolute", "box")):
        torch.testing.assert_close(near.values, near.points @ A)
        torch.testing.assert_close(near.points - X, near.shift)


# --- closed forms --------------------------------------------------------------------------------------------------


def test_the_gradient_of_a_quadratic():
    found = case()
    near = [*neighbours(found, 10, Around(0.02, "range", "box"))]
    ratios = torch.stack([(one.shift @ A).norm(dim=1) / one.shift.norm(dim=1) for one in near])
    lipschitz = last(local_lipschitz(found)).values
    torch.testing.assert_close(lipschitz, ratios.amax(0).double(), rtol=1e-3, atol=0)
    assert (lipschitz <= torch.linalg.eigvalsh(A).abs().max() * 1.001).all()
    relative = torch.stack([(one.shift @ A).norm(dim=1) / (X @ A).norm(dim=1) for one in near])
    torch.testing.assert_close(last(max_sensitivity(found)).values, relative.amax(0).double(), rtol=1e-3, atol=0)
    absolute = torch.stack([(one.shift @ A).norm(dim=1) for one in near])
    values = last(max_sensitivity(found, relative=False)).values
    torch.testing.assert_close(values, absolute.amax(0).double(), rtol=1e-3, atol=0)


def test_curvature_the_same_everywhere():
    found = case(model=lambda x: -3 * x.square().sum(1) / 2)
    torch.testing.assert_close(last(local_lipschitz(found)).values, torch.full((3,), 3.0).double(), rtol=1e-4, atol=0)
    # The map is proportional to the input, so that both change by the same share.
    one = last(relative_input_stability(found)).values
    torch.testing.assert_close(one, torch.ones(3).double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("metric", EVERY)
def test_the_gradient_of_a_linear_model_never_changes(metric):
    found = case(model=lambda x: x @ A[0])
    reading = last(metric(found))
    assert reading.values.tolist() == [0, 0, 0]
    assert reading.done == reading.total == 10


def test_relative_output_stability_in_closed_form():
    found = case()
    ratios = []
    for near in neighbours(found, 10, Around(0.02, "range", "box")):
        share = (near.shift @ A / (X @ A)).norm(dim=1)
        ratios.append(share / (quadratic(near.points) - quadratic(X)).abs().clamp(min=1e-6))
    values = last(relative_output_stability(found)).values
    torch.testing.assert_close(values, torch.stack(ratios).amax(0).double(), rtol=1e-2, atol=0)


def test_only_neighbours_of_the_same_class_count():
    # One value beside the boundary: about half of the neighbours are on the other side, where the map is ten times larger.
    def steep(x):
        height = torch.where(x[:, 0] > 0, 10 * x[:, 0], x[:, 0]) + x[:, 1].pow(2)
        return torch.stack([height, height + x[:, 0]], dim=1)

    x = torch.tensor([[1e-3, 1.0], [-1e-3, 1.0]])
    found = case(model=steep, x=x, options={"target": 0})
    for metric in (relative_input_stability, relative_output_stability):
        # Within a class, only the second gradient 2 x₂ changes, by the share that x₂ does.
        assert last(metric(found, samples=40)).values.max() < 10
    assert last(max_sensitivity(found, samples=40)).values.max() > 0.5  # which looks at all neighbours


def test_no_neighbour_keeps_the_class():
    x = torch.tensor([[0.0, 1.0]])

    def model(x):
        return torch.stack([(x[:, 0] == 0).float() + 0 * x[:, 1], 0.5 + 0 * x[:, 0]], dim=1) + x.square()

    reading = last(relative_input_stability(case(model=model, x=x, options={"target": 0})))
    assert reading.values.isnan().all()
    assert "keeps the class" in reading.notes[0]


def test_zeros_have_no_share():
    # Input and map are zero in the last column, and stay out of the norms.
    x = torch.cat([X, torch.zeros(3, 1)], dim=1)
    found = case(model=lambda x: x.square().sum(1) / 2, x=x)
    assert (found.values[:, -1] == 0).all()
    torch.testing.assert_close(last(relative_input_stability(found)).values, torch.ones(3).double(), rtol=1e-3, atol=0)


def test_undefined():
    flat = case(model=lambda x: x.sum(1) * 0)
    for metric in (max_sensitivity, relative_input_stability, relative_output_stability):
        reading = last(metric(flat))
        assert reading.values.isnan().all()
        assert "zero everywhere" in reading.notes[0]
    constant = case(x=torch.ones(2, 5))
    assert last(local_lipschitz(constant)).values.isnan().all()
    assert not last(local_lipschitz(constant, unit="absolute")).values.isnan().any()


# --- oracles -------------------------------------------------------------------------------------------------------


def test_captum_agrees(digits):
    from captum import attr
    from captum.metrics import sensitivity_max

    model, x, y = digits.model, digits.images[:4], digits.labels[:4]
    found = case(model=model, x=x, options={"target": y})
    near = [*neighbours(found, 10, Around(0.02, "absolute", "box"))]
    points = torch.stack([one.points for one in near], dim=1).flatten(0, 1)
    saliency = attr.Saliency(model)
    expected = sensitivity_max(
        lambda inputs, **rest: saliency.attribute(inputs, abs=False, **rest),
        x, perturb_func=lambda _: points, target=y, n_perturb_samples=10,
    )  # fmt: skip
    values = last(max_sensitivity(found, unit="absolute")).values
    torch.testing.assert_close(values, expected.double(), rtol=1e-4, atol=1e-6)


def test_quantus_agrees_about_each_neighbour(digits):
    quantus = pytest.importorskip("quantus")
    # A bias moves all gradients away from zero, where Quantus divides by 1e-6 instead of leaving places out.
    model, x, y = digits.model, digits.images[:3] + 0.01, digits.labels[:3]
    found = case(model=lambda x: model(x) + (x * 3).flatten(1).sum(1, keepdim=True), x=x, options={"target": y})
    options = {"abs": False, "normalise": False, "return_aggregate": False, "disable_warnings": True}
    stability = quantus.RelativeInputStability(**options)
    outputs = quantus.RelativeOutputStability(**options)
    theirs_in, theirs_out = [], []
    for near in neighbours(found, 10, Around(0.02, "range", "box")):
        maps = found.values.numpy(), near.values.numpy()
        theirs_in.append(stability.relative_input_stability_objective(x.numpy(), near.points.numpy(), *maps))
        logits = [found.outputs(points, torch.arange(3)).numpy() for points in (x, near.points)]
        theirs_out.append(outputs.relative_output_stability_objective(*logits, *maps))
    for metric, theirs in ((relative_input_stability, theirs_in), (relative_output_stability, theirs_out)):
        expected = torch.tensor(np.max(theirs, axis=0)).double()
        torch.testing.assert_close(last(metric(found)).values, expected, rtol=1e-3, atol=0)


# --- how it is computed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", EVERY)
def test_more_neighbours_only_raise_it(metric):
    found = case("input_x_gradient")
    readings = [reading.values for reading in metric(found, samples=12)]
    assert len(readings) == 12
    assert all((one <= two).all() for one, two in pairwise(readings))
    torch.testing.assert_close(last(metric(case("input_x_gradient"), samples=5)).values, readings[4])


def test_the_largest_counts_wherever_it_comes():
    found = case("input_x_gradient")
    sizes = torch.stack(
        [(near.values - found.values).norm(dim=1) for near in neighbours(found, 10, Around(0.02, "range", "box"))]
    )
    assert (sizes.argmax(0) < 9).any()  # not the last, with which an average or a running value would end
    expected = (sizes.amax(0) / found.values.norm(dim=1)).double()
    torch.testing.assert_close(last(max_sensitivity(found)).values, expected)


def test_metrics_share_their_neighbours():
    found = case(memory={})
    counts = []
    for metric in EVERY:
        before = dict(found.evaluations)
        last(metric(found))
        counts.append({kind: found.evaluations[kind] - before[kind] for kind in before})
    assert counts == [
        {"forward": 0, "gradient": 30},
        {"forward": 0, "gradient": 0},
        {"forward": 3, "gradient": 0},  # one output has no classes
        {"forward": 30, "gradient": 0},
    ]


@pytest.mark.parametrize("metric", EVERY)
def test_neither_batches_nor_neighbouring_rows_matter(digits, metric):
    model, x, y = digits.model, digits.images[:3], digits.labels[:3]
    state = torch.get_rng_state()

    def asked(rows, **batch):
        return last(metric(case("input_x_gradient", model, x[:rows], {"target": y[:rows], **batch}), samples=4)).values

    whole = asked(3)
    torch.testing.assert_close(whole, asked(3, batch_size=2), rtol=1e-2, atol=1e-5)
    torch.testing.assert_close(whole[:2], asked(2), rtol=1e-2, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


class Padded(Case):
    """The last value of every row belongs to no unit."""

    def units(self, regions):
        ids = torch.arange(self.problem.points.shape[1])
        ids[-1] = -1
        return ids[None], (len(ids) - 1,) * self.rows


@pytest.mark.parametrize("ball", ["box", "gaussian"])
def test_padding_stays(ball):
    x = torch.cat([X, torch.full((3, 1), 50.0)], dim=1)

    def model(x):
        return quadratic(x[:, :5]) + x[:, 5]

    alone, chosen = case(), find_method("saliency")
    values = attribute(model, x, method="saliency", absolute=False).values
    padded = Padded(Problem(model, x), values * (x < 50), method=chosen, parameters={"absolute": False})
    for one, two in zip(*(neighbours(found, 3, Around(0.1, "range", ball)) for found in (alone, padded)), strict=True):
        assert (two.shift[:, 5] == 0).all()
        torch.testing.assert_close(one.shift, two.shift[:, :5])


def test_bare_values_cannot_be_made_again():
    with pytest.raises(ParameterError) as caught:
        next(max_sensitivity(Case(Problem(quadratic, X), X)))
    assert caught.value.code == "bare_values"


# --- hyperparameters -----------------------------------------------------------------------------------------------


def test_settings_around_the_present_one():
    known = {one.name: one for one in find_method("smoothgrad").parameters}
    assert _settings(known["samples"], 32, 5, 2.0) == [16, 23, 32, 45, 64]
    assert _settings(known["samples"], 2, 3, 2.0) == [2, 4]
    window = next(one for one in find_method("occlusion").parameters if one.name == "window")
    assert _settings(window, 1, 3, 2.0) == [1, 2]  # where 0 would mean one that fits
    assert _settings(known["noise"], 0.2, 3, 2.0) == pytest.approx([0.1, 0.2, 0.4])
    assert 0.2 in _settings(known["noise"], 0.2, 4, 2.0)
    assert _settings(known["noise"], 0.0, 3, 2.0) == pytest.approx([0, 0.5, 1])
    assert _settings(known["seed"], 7, 3, 2.0) == [7, 8, 9]
    path = {one.name: one for one in find_method("integrated_gradients").parameters}
    assert _settings(path["baseline"], "mean", 3, 2.0, NAMES) == ["mean", "zeros", "blur"]
    given = torch.zeros(1)
    assert _settings(path["baseline"], given, 2, 2.0, NAMES)[0] is given
    assert _settings(find_method("saliency").parameters[0], True, 5, 2.0, (False, True)) == [True, False]


def test_a_linear_model_has_no_settings():
    reading = last(sam(case("smoothgrad", lambda x: x @ A[0], samples=4), measure="logit"))
    torch.testing.assert_close(reading.values, torch.ones(3).double())
    assert reading.curves["deletion"].values.std(1).max() < 1e-6
    assert reading.curves["deletion"].labels == tuple(f"samples={count}" for count in (2, 3, 4, 6, 8))
    assert list(reading.maps) == list(reading.curves["deletion"].labels)
    assert "varies by" in reading.notes[-1]


def test_by_brute_force(digits):
    model, x, y = digits.model, digits.images[:3], digits.labels[:3]
    found = case("integrated_gradients", model, x, {"target": y}, steps=9)
    readings = [*sam(found, parameter="baseline", settings=3)]
    maps = [
        attribute(model, x, target=y, method="integrated_gradients", steps=9, baseline=baseline).values
        for baseline in ("zeros", "mean", "blur")
    ]
    expected = [
        np.mean([spearmanr(one[row].flatten(), two[row].flatten()).statistic for one, two in combinations(maps, 2)])
        for row in range(3)
    ]
    torch.testing.assert_close(readings[-1].values, torch.tensor(expected), rtol=1e-4, atol=1e-4)
    assert [(reading.done, reading.total) for reading in readings] == [(2, 3), (3, 3)]
    torch.testing.assert_close(readings[-1].maps["baseline=blur"], maps[2], rtol=1e-4, atol=1e-5)
    similar = last(sam(found, parameter="baseline", settings=3, similarity="ssim", deletion=False))
    from skimage.metrics import structural_similarity

    def unit(picture):
        return ((picture - picture.min()) / (picture.max() - picture.min()))[0].double().numpy()

    expected = [
        np.mean(
            [
                structural_similarity(unit(one[row]), unit(two[row]), data_range=1.0)
                for one, two in combinations(maps, 2)
            ]
        )
        for row in range(3)
    ]
    torch.testing.assert_close(similar.values, torch.tensor(expected), rtol=1e-3, atol=1e-3)
    assert similar.curves == {}


def test_what_is_set_by_itself():
    for method, parameters, name in (
        ("integrated_gradients", {"steps": 9}, "baseline"),  # not how exactly it is computed
        ("occlusion", {}, "baseline"),  # window=0 means one that fits
        ("smoothgrad", {"samples": 2}, "samples"),
    ):
        found = case(method, lambda x: x.flatten(1).sum(1), torch.rand(1, 1, 4, 4), **parameters)
        reading = next(sam(found, settings=2, deletion=False))
        assert all(label.startswith(f"{name}=") for label in reading.maps)


def test_tables_have_no_blur():
    found = case("integrated_gradients")
    reading = last(sam(found, deletion=False))
    names = ("zeros", "mean", "uniform", "gaussian", "max_distance")
    assert list(reading.maps) == [f"baseline={name}" for name in names]
    maps = [attribute(quadratic, X, method="integrated_gradients", baseline=name).values[0] for name in names]
    alike = [spearmanr(one, two).statistic for one, two in combinations(maps, 2)]
    torch.testing.assert_close(reading.values[0], torch.tensor(np.mean(alike)))


def test_nothing_beside_the_present_setting():
    reading = last(sam(case("smoothgrad", samples=2), parameter="samples", spread=1.1))
    assert reading.values.isnan().all()
    assert "no other setting of samples" in reading.notes[0]


def test_nothing_to_set():
    reading = last(sam(case("input_x_gradient")))
    assert reading.values.isnan().all()
    assert "no parameter" in reading.notes[0]
    with pytest.raises(ParameterError) as caught:
        next(sam(case("smoothgrad", samples=2), parameter="nois"))
    assert "noise" in caught.value.hint
    with pytest.raises(ParameterError) as caught:
        next(sam(case("smoothgrad", samples=2), similarity="ssim"))
    assert caught.value.code == "not_an_image"


def test_the_model_stays_as_it_was(digits):
    model, x, y = digits.model, digits.images[:2], digits.labels[:2]
    before = {name: one.clone() for name, one in model.state_dict().items()}
    found = case("smoothgrad", model, x, {"target": y}, samples=2)
    for metric in (*EVERY, sam):
        next(metric(found))  # and closed in the middle
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(part.training or part._forward_hooks for part in model.modules())
