"""Expected gradients, IDGI and SmoothTaylor: closed forms, captum, statistics."""

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from xaiwidgets.api import Each, Session, attribute, baselines, stream


def distance(found, expected):
    return float((found.double() - expected.double()).abs().sum() / expected.double().abs().sum())


# --- expected gradients ----------------------------------------------------------------------------------------------


def test_expected_gradients_of_a_linear_model_are_exact_over_whole_turns():
    x, data, weights = torch.randn(3, 4), torch.randn(8, 4), torch.randn(4)
    result = attribute(
        lambda x: x @ weights, x, method="expected_gradients", baseline=baselines.Dataset(data, 8), samples=16
    )
    torch.testing.assert_close(result.values, (x - data.mean(0)) * weights)
    torch.testing.assert_close(result.baseline_score, (data @ weights).mean().expand(3))
    assert result.delta.abs().max() < 1e-5
    assert result.evaluations == {"forward": 3 + 8 * 3, "gradient": 3 * 16}


@pytest.mark.parametrize("sampling", ["stratified", "random"])
def test_expected_gradients_are_unbiased_and_state_their_error(sampling):
    # f = Σ x³ from y to x: the integral is (x - y)(x² + xy + y²), here averaged over two baselines
    x = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    starts = [torch.tensor([[0.0, 1.0, 1.0]]), torch.tensor([[-1.0, 0.5, 0.0]])]
    expected = torch.stack([x**3 - start.double() ** 3 for start in starts]).mean(0)
    found, ratios = [], []
    for seed in range(60):
        result = attribute(
            lambda x: (x**3).sum(1),
            x,
            method="expected_gradients",
            baseline=starts,
            samples=32,
            sampling=sampling,
            seed=seed,
        )
        found.append(result.values)
        ratios.append(
            distance(result.values, expected) * float(expected.abs().sum() / found[-1].abs().sum()) / result.error
        )
        torch.testing.assert_close(result.values.sum(1) - (result.score - result.baseline_score), result.delta)
    found = torch.stack(found)
    assert ((found.mean(0) - expected).abs() < 4 * found.std(0) / 60**0.5).all()
    mean_ratio = float(np.mean(ratios))
    assert mean_ratio < 0.3 if sampling == "stratified" else 0.6 < mean_ratio < 1.0  # on the safe side; right


def test_expected_gradients_agree_with_captum_up_to_the_sampling(digits):
    x, data = digits.images[:2], digits.images[8:24]
    result = attribute(
        digits.model, x, target=1, method="expected_gradients", baseline=baselines.Dataset(data, 16), samples=512
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = attr.GradientShap(digits.model).attribute(x, data, n_samples=1024, stdevs=0.0, target=1)
    exact = attribute(digits.model, x, target=1, baseline=baselines.Dataset(data, 16), steps=65, tolerance=0.0).values
    assert distance(theirs, exact) < 0.2
    assert distance(result.values, exact) < 0.05
    assert result.error > distance(result.values, exact)


def test_expected_gradients_stream(digits):
    parts = list(stream(digits.model, digits.images[:2], target=1, method="expected_gradients", samples=27))
    assert [part.progress[0] for part in parts] == [8, 16, 24, 27]
    shorter = attribute(digits.model, digits.images[:2], target=1, method="expected_gradients", samples=16)
    torch.testing.assert_close(shorter.values, parts[1].values, rtol=1e-4, atol=1e-6)
    assert parts[-1].error < parts[0].error
    again = attribute(digits.model, digits.images[:2], target=1, method="expected_gradients", samples=27)
    torch.testing.assert_close(again.values, parts[-1].values)


# --- IDGI ------------------------------------------------------------------------------------------------------------


def test_idgi_by_its_formula(digits):
    x, steps = digits.images[:2], 20
    total = torch.zeros_like(x)
    for index in range(steps):
        point = (x * index / steps).requires_grad_()
        score = digits.model(point)[:, 3]
        (gradient,) = torch.autograd.grad(score.sum(), point)
        with torch.no_grad():
            change = digits.model(x * (index + 1) / steps)[:, 3] - score
        shares = gradient**2 / (gradient**2).sum((1, 2, 3), keepdim=True)
        total += shares * change.detach().reshape(-1, 1, 1, 1)
    result = attribute(digits.model, x, target=3, method="idgi", steps=steps)
    torch.testing.assert_close(result.values, total, rtol=1e-3, atol=1e-5)
    assert result.delta.abs().max() < 1e-4
    assert result.evaluations == {"forward": 2, "gradient": 40}
    small = attribute(digits.model, x, target=3, method="idgi", steps=steps, batch_size=3)
    torch.testing.assert_close(small.values, result.values, rtol=1e-3, atol=1e-5)


def test_idgi_is_another_attribution_though_it_is_complete(digits):
    session = Session(digits.model, digits.images[:4], target=digits.labels[:4])
    idgi, exact = session.attribute("idgi", steps=128), session.attribute(tolerance=0.0)
    assert (idgi.delta / (idgi.score - idgi.baseline_score)).abs().max() < 1e-4
    assert distance(idgi.values, exact.values) > 0.2


def test_idgi_where_the_gradient_is_zero():
    # The gradient is zero for the first half of the path; the last step before the kink cannot be shared out.
    result = attribute(lambda x: (x - 0.55).relu().sum(1), torch.ones(2, 3), method="idgi", steps=10)
    assert torch.isfinite(result.values).all()
    assert result.delta.abs().max() > 0.1  # said, not hidden
    flat = attribute(lambda x: 0 * x.sum(1), torch.ones(2, 3), method="idgi")
    assert flat.values.eq(0).all()
    assert flat.delta.eq(0).all()


def test_idgi_averages_over_baselines(digits):
    session = Session(digits.model, digits.images[:2], target=1)
    both = session.attribute("idgi", baseline=[0.0, 1.0]).values
    parts = [session.attribute("idgi", baseline=value).values for value in (0.0, 1.0)]
    torch.testing.assert_close(both, (parts[0] + parts[1]) / 2, rtol=1e-4, atol=1e-5)


# --- SmoothTaylor ----------------------------------------------------------------------------------------------------


def test_smooth_taylor_of_a_quadratic():
    # f = xᵀAx/2, z = x + ε: the mean of -ε_i (A(x + ε))_i is -σ² A_ii
    generator = torch.Generator().manual_seed(0)
    x, a = torch.randn(1, 4, generator=generator).double(), torch.randn(4, 4, generator=generator).double()
    a = a @ a.T
    sigma = 0.1 * float(x.max() - x.min())
    found = torch.stack(
        [
            attribute(
                lambda x: ((x @ a) * x).sum(1) / 2, x, method="smooth_taylor", samples=512, noise=0.1, seed=seed
            ).values
            for seed in range(8)
        ]
    )
    expected = -(sigma**2) * a.diagonal()
    assert ((found.mean(0) - expected).abs() < 4 * found.std(0) / 8**0.5).all()


def test_smooth_taylor_of_a_linear_model_is_nothing():
    weights = torch.randn(5)
    result = attribute(lambda x: x @ weights, torch.randn(2, 5), method="smooth_taylor", samples=8)
    assert result.values.abs().max() < 1e-5


# --- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["expected_gradients", "idgi", "smooth_taylor", "guided_ig"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_half_and_double_precision(method, dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 2)).eval()
    x = torch.randn(2, 6)
    exact = attribute(model, x, target=0, method=method)
    found = attribute(model.to(dtype), x.to(dtype), target=0, method=method)
    assert found.values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert distance(found.values, exact.values) < (1e-4 if dtype == torch.float64 else 0.2)


@pytest.mark.parametrize("method", ["expected_gradients", "idgi", "smooth_taylor", "guided_ig"])
def test_neither_the_batch_nor_the_neighbours_matter(digits, method):
    x, y = digits.images[:3], digits.labels[:3]
    parameters = {"method": method, "baseline": [0.0, 0.5]} if method != "smooth_taylor" else {"method": method}
    together = attribute(digits.model, x, target=y, **parameters).values
    small = attribute(digits.model, x, target=y, batch_size=5, **parameters).values
    alone = attribute(digits.model, x[1:2], target=y[1:2], **parameters).values
    assert distance(small, together) < 1e-3
    assert distance(alone, together[1:2]) < 1e-3


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("explanation_vectors", {}),
        ("vargrad", {"samples": 4}),
        ("noise_tunnel", {"samples": 2, "inner": "occlusion"}),
        ("integrated_gradients", {"steps": 17, "tolerance": 0.0}),
        ("integrated_gradients", {"steps": 17, "rule": "midpoint"}),
        ("expected_gradients", {"samples": 8}),
        ("idgi", {"steps": 8}),
        ("smooth_taylor", {"samples": 4}),
        ("blur_ig", {"steps": 17, "tolerance": 0.0}),
        ("guided_ig", {"steps": 8}),
        ("conductance", {"steps": 8, "layer": "3"}),
        ("internal_influence", {"steps": 8, "layer": "3"}),
        ("neuron_conductance", {"steps": 8, "layer": "3", "neuron": 7}),
    ],
)
def test_several_targets_at_once(digits, method, parameters):
    together = attribute(digits.model, digits.images[:2], target=Each(3, 5), method=method, **parameters)
    for index, target in enumerate((3, 5)):
        alone = attribute(digits.model, digits.images[:2], target=target, method=method, **parameters)
        assert distance(together.values[index], alone.values) < 1e-3
        if alone.delta is not None:
            torch.testing.assert_close(together.delta[index], alone.delta, rtol=1e-2, atol=1e-4)
            torch.testing.assert_close(together.score[index], alone.score)
            torch.testing.assert_close(together.baseline_score[index], alone.baseline_score, rtol=1e-4, atol=1e-5)
