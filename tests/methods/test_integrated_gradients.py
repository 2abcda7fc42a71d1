"""Integrated gradients: axioms, closed forms, captum, and what a moved slider costs."""

import copy

import pytest
import torch
from captum import attr
from torch import nn

from xaiwidgets.api import Session, attribute, baselines, stream

RULES = ["adaptive", "gauss_legendre", "trapezoid", "midpoint", "left", "right"]


def distance(found, expected):
    """Relative L1 distance of every row."""
    found, expected = found.double().flatten(1), expected.double().flatten(1)
    return (found - expected).abs().sum(1) / expected.abs().sum(1)


def gap(result):
    return (result.delta / (result.score - result.baseline_score)).abs()


def test_a_linear_model_is_exact_after_nine():
    x, weights = torch.randn(3, 4), torch.randn(4)
    result = attribute(lambda x: x @ weights + 7, x, baseline=1.0)
    torch.testing.assert_close(result.values, (x - 1) * weights)
    torch.testing.assert_close(result.score - result.baseline_score, (x - 1) @ weights)
    assert result.evaluations == {"forward": 0, "gradient": 3 * 9}
    assert result.error < 1e-4
    assert result.progress == (9, 64)


@pytest.mark.parametrize("rule", RULES)
def test_a_quadratic_form(rule):
    # f = xᵀMx along a straight path: IG_i = (x-x')_i ((M+Mᵀ)(x+x')/2)_i
    generator = torch.Generator().manual_seed(0)
    x, start, matrix = (torch.randn(4, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    result = attribute(lambda x: ((x @ matrix) * x).sum(1), x, baseline=start, rule=rule, steps=64, tolerance=0.0)
    expected = (x - start) * (((x + start) / 2) @ (matrix + matrix.T))
    tolerance = 0.06 if rule in ("left", "right") else 1e-9
    assert distance(result.values, expected).max() < tolerance
    torch.testing.assert_close(result.values.sum(1) - (result.score - result.baseline_score), result.delta)


def test_a_product_is_shared():
    result = attribute(lambda x: x[:, 0] * x[:, 1] * x[:, 2], torch.tensor([[2.0, 3.0, 5.0]]))
    torch.testing.assert_close(result.values, torch.full((1, 3), 10.0), rtol=1e-3, atol=0)


def test_dummy_and_symmetry():
    def model(x):
        return torch.tanh(3 * (x[:, 0] + x[:, 1]) - 1)

    result = attribute(model, torch.tensor([[0.7, 0.7, 9.0]]))
    assert result.values[0, 2] == 0
    torch.testing.assert_close(result.values[0, 0], result.values[0, 1])


def test_sensitivity():
    # Sundararajan et al.'s example of where the gradient fails: 1 - ReLU(1 - x) is flat at 2.
    result = attribute(lambda x: (1 - (1 - x).relu()).sum(1), torch.tensor([[2.0]]), steps=129, tolerance=0.0)
    torch.testing.assert_close(result.values, torch.ones(1, 1), rtol=1e-3, atol=0)


class Split(nn.Module):
    """The same function as a linear - ReLU - linear model: each hidden unit in two parts, the second in other units."""

    def __init__(self, first, second):
        super().__init__()
        self.first = nn.Linear(first.in_features, 2 * first.out_features)
        self.second = nn.Linear(2 * second.in_features, second.out_features)
        with torch.no_grad():
            self.first.weight.copy_(torch.cat([first.weight, 3 * first.weight]))
            self.first.bias.copy_(torch.cat([first.bias, 3 * first.bias]))
            self.second.weight.copy_(torch.cat([0.7 * second.weight, 0.1 * second.weight], 1))
            self.second.bias.copy_(second.bias)

    def forward(self, x):
        return self.second(nn.functional.relu(self.first(x)) * 0.5 * 2)


@pytest.mark.parametrize("rule", RULES)
def test_same_function_same_attribution(rule):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 3)).double().eval()
    other = Split(plain[0], plain[2]).double().eval()
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(plain(x), other(x))
    found = [attribute(model, x, target=1, baseline=-1.0, rule=rule, tolerance=0.0).values for model in (plain, other)]
    torch.testing.assert_close(found[0], found[1])


def test_finite_differences_along_the_path(digits):
    # The same integral with no gradient at all: each pixel's central difference, midpoints by hand.
    x = digits.images[:1].double()
    model = copy.deepcopy(digits.model).double()
    places = [11, 20, 27]
    found = attribute(model, x, target=4, rule="midpoint", steps=64).values.flatten()[places]
    shifts = torch.zeros(3, 64, dtype=torch.float64)
    shifts[range(3), places] = 1e-6
    total = torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for index in range(64):
            point = x * (index + 0.5) / 64
            up, down = (model(point + sign * shifts.reshape(3, 1, 8, 8))[:, 4] for sign in (1, -1))
            total += (up - down) / 2e-6 / 64
    torch.testing.assert_close(found, total * x.flatten()[places], rtol=1e-3, atol=1e-6)


def test_captums_trapezoid_loses_a_step_and_ours_does_not():
    x, weights = torch.randn(3, 4), torch.randn(4)

    def model(x):
        return x @ weights

    theirs = attr.IntegratedGradients(model).attribute(x, n_steps=10, method="riemann_trapezoid")
    torch.testing.assert_close(theirs, 0.9 * x * weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(attribute(model, x, rule="trapezoid", steps=10).values, x * weights)


@pytest.mark.parametrize("steps", [16, 50])
def test_captum_agrees_with_the_same_gauss_nodes(digits, steps):
    x, y = digits.images[:8], digits.labels[:8]
    expected = attr.IntegratedGradients(digits.model).attribute(x, torch.full_like(x, 0.2), target=y, n_steps=steps)
    found = attribute(digits.model, x, target=y, baseline=0.2, rule="gauss_legendre", steps=steps)
    assert distance(found.values, expected).max() < 1e-5
    assert found.evaluations == {"forward": 16, "gradient": 8 * steps}


@pytest.fixture(scope="module", params=["logit", "probability"])
def digits_reference(request, digits):
    """A session on a ReLU network, and what 512 gradients a row give."""
    session = Session(digits.model, digits.images, target=digits.labels, score=request.param)
    return session, session.attribute(rule="midpoint", steps=512).values


def test_digits_are_complete_and_accurate_by_default(digits_reference):
    session, reference = digits_reference
    found = session.attribute()
    assert gap(found).max() < 0.01
    assert distance(found.values, reference).max() < 0.01
    # what the fixed rules need 128 gradients for
    assert gap(session.attribute(rule="gauss_legendre", steps=64)).max() > gap(found).max()


def test_a_relu_network_to_one_percent_in_forty_gradients(digits_reference):
    session, reference = digits_reference
    for steps in (33, 40):
        found = session.attribute(steps=steps, tolerance=0.0)
        assert distance(found.values, reference).quantile(0.9) < 0.01
        assert found.evaluations["gradient"] <= 40 * len(reference)


class Gated(nn.Module):
    """Layer norm, GELU, a gate of SiLU and a shortcut."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(10)
        self.up, self.gate, self.down = nn.Linear(10, 20), nn.Linear(10, 20), nn.Linear(20, 10)
        self.head = nn.Sequential(nn.Linear(10, 16), nn.GELU(), nn.Linear(16, 4))

    def forward(self, x):
        y = self.norm(x)
        return self.head(x + self.down(nn.functional.silu(self.gate(y)) * self.up(y)))


def test_a_smooth_residual_network_is_complete_and_accurate():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Gated().double().eval()
    x = torch.randn(8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    session = Session(model, x, target=2)
    found = session.attribute(baseline=0.3)  # at zero, layer norm jumps
    reference = session.attribute(baseline=0.3, rule="gauss_legendre", steps=512)
    assert gap(found).max() < 1e-3
    assert distance(found.values, reference.values).max() < 0.01
    assert found.values.dtype == torch.float64


def test_half_precision_is_answered_in_single(digits):
    model = copy.deepcopy(digits.model).bfloat16()
    x, y = digits.images[:4], digits.labels[:4]
    exact = attribute(digits.model, x, target=y)
    found = attribute(model, x.bfloat16(), target=y)
    assert found.values.dtype == torch.float32
    assert distance(found.values, exact.values).max() < 0.1


@pytest.mark.parametrize("rule", ["adaptive", "midpoint"])
def test_neither_the_batch_nor_the_neighbours_matter(digits, rule):
    x, y = digits.images[:3], digits.labels[:3]
    parameters = {"rule": rule, "steps": 33, "tolerance": 0.0, "baseline": ["zeros", "mean"]}
    together = attribute(digits.model, x, target=y, **parameters).values
    for batch_size in (1, 4, 50):
        again = attribute(digits.model, x, target=y, batch_size=batch_size, **parameters).values
        assert distance(again, together).max() < 1e-3
    alone = attribute(digits.model, x[1:2], target=y[1:2], **parameters).values
    assert distance(alone, together[1:2]).max() < 1e-3


@pytest.fixture(scope="module")
def cifar_session(cifar):
    return Session(cifar.model, cifar.images[:8], target=cifar.labels[:8])


@pytest.fixture(scope="module")
def cifar_reference(cifar, cifar_session):
    """Captum's Gauss-Legendre with 512 nodes, in its own batches, for the first few images."""
    integrated = attr.IntegratedGradients(cifar.model)
    rows = [
        integrated.attribute(image[None], target=int(label), n_steps=512, internal_batch_size=64)
        for image, label in zip(cifar.images[:2], cifar.labels[:2], strict=True)
    ]
    return torch.cat(rows)


def test_a_residual_network_is_complete_by_default(cifar_session):
    assert gap(cifar_session.attribute()).max() < 0.01


def test_a_residual_network_is_accurate(cifar, cifar_reference):
    # The integrand of this network jumps hundreds of times: 64 gradients give 2 to 3 %, 192 give 1 %.
    session = Session(cifar.model, cifar.images[:2], target=cifar.labels[:2])
    for steps, limit in ((64, 0.03), (192, 0.01)):
        found = session.attribute(steps=steps)
        error = distance(found.values, cifar_reference).max()
        assert error < limit
        assert found.error > error  # the estimate is on the safe side


def test_it_beats_gauss_legendre_at_equal_cost(cifar_session, cifar_reference):
    adaptive = cifar_session.attribute(steps=64)
    gauss = cifar_session.attribute(steps=64, rule="gauss_legendre")
    assert distance(adaptive.values[:2], cifar_reference).mean() < distance(gauss.values[:2], cifar_reference).mean()
    assert gap(adaptive).max() < 0.1 * gap(gauss).max()


def test_moving_the_slider_costs_only_what_is_new(digits):
    session = Session(digits.model, digits.images[:3], target=digits.labels[:3])
    costs = {}
    results = {}
    for steps in (64, 128, 40, 64, 200):
        results[steps] = session.attribute(steps=steps, tolerance=0.0)
        costs[steps] = costs.get(steps, 0) + results[steps].evaluations["gradient"]
    assert costs == {64: 3 * 63, 128: 3 * 64, 40: 0, 200: 3 * 72}
    fresh = attribute(digits.model, digits.images[:3], target=digits.labels[:3], steps=64, tolerance=0.0)
    torch.testing.assert_close(results[64].values, fresh.values, rtol=1e-5, atol=1e-6)


def test_baselines_are_remembered_separately(digits):
    session = Session(digits.model, digits.images[:1], target=1)
    zeros = session.attribute(steps=17).values
    assert session.attribute(steps=17, baseline="mean").evaluations["gradient"] == 17
    again = session.attribute(steps=17, baseline=0.0)
    assert again.evaluations["gradient"] == 0
    assert torch.equal(again.values, zeros)


def test_the_stream_starts_with_nine_and_gets_better(digits):
    parts = list(stream(digits.model, digits.images[:4], target=digits.labels[:4], tolerance=0.0, steps=64))
    assert [part.evaluations["gradient"] for part in parts] == [4 * n for n in (9, 13, 17, 21, 25, 31, 37, 45, 55, 63)]
    assert [part.progress for part in parts][:2] == [(9, 64), (13, 64)]
    reference = attribute(digits.model, digits.images[:4], target=digits.labels[:4], rule="midpoint", steps=512).values
    errors = [distance(part.values, reference).max().item() for part in parts]
    assert errors[-1] < errors[5] < errors[0]
    assert all(error < part.error for part, error in zip(parts, errors, strict=True))
    assert all(part.error < 6 * error for part, error in zip(parts[1:], errors[1:], strict=True))


@pytest.mark.parametrize("rule", RULES[1:])
def test_fixed_rules_stream_fair_estimates(digits, rule):
    images, targets = digits.images[:4], digits.labels[:4]
    parts = list(stream(digits.model, images, target=targets, rule=rule, steps=50, batch_size=64))
    assert [part.progress[0] for part in parts] == [16, 32, 48, 50]
    assert distance(parts[0].values, parts[-1].values).max() < 0.2


def test_tolerance_stops_each_row_on_its_own():
    def model(x):
        return x[:, 0] + torch.sin(9 * x[:, 1])

    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # the first row's path is straight
    result = attribute(model, x, steps=256, tolerance=0.01)
    assert result.error <= 0.01
    easy, hard = (attribute(model, x[i : i + 1], steps=256, tolerance=0.01) for i in (0, 1))
    assert easy.evaluations["gradient"] == 9
    assert result.evaluations["gradient"] == 9 + hard.evaluations["gradient"] < 2 * 256


def test_a_path_that_comes_back_and_one_that_does_not_move():
    def model(x):
        return torch.sin(2 * torch.pi * x).sum(1)

    back = attribute(model, torch.ones(1, 1))
    assert back.values.abs().max() < 1e-3
    assert torch.isfinite(torch.tensor(back.error))
    still = attribute(model, torch.zeros(2, 3))
    assert still.values.tolist() == [[0, 0, 0]] * 2
    assert still.error == 0
    assert still.delta.tolist() == [0, 0]


def test_a_jump_without_a_gradient_is_reported_as_an_error():
    result = attribute(lambda x: (x > 0.5).float().sum(1) + 0 * x.sum(1), torch.ones(1, 2))
    assert result.values.abs().sum() == 0
    assert result.delta.tolist() == [-2]
    assert result.error == 1


@pytest.mark.parametrize("rule", ["adaptive", "midpoint"])
def test_several_baselines_are_paths_of_their_own(digits, rule):
    session = Session(digits.model, digits.images[:2], target=1)
    both = session.attribute(baseline=["zeros", baselines.Constant(1.0)], rule=rule, tolerance=0.0)
    parts = [session.attribute(baseline=value, rule=rule, tolerance=0.0) for value in (0.0, 1.0)]
    torch.testing.assert_close(both.values, (parts[0].values + parts[1].values) / 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both.baseline_score, (parts[0].baseline_score + parts[1].baseline_score) / 2)
    torch.testing.assert_close(
        both.delta, both.values.flatten(1).sum(1) - (both.score - both.baseline_score), rtol=1e-3, atol=2e-5
    )


def test_a_batch_too_large_to_keep_is_worked_through_in_groups(digits):
    session = Session(digits.model, digits.images[:5], target=digits.labels[:5])
    expected = session.attribute(steps=33)
    small = Session(digits.model, digits.images[:5], target=digits.labels[:5])
    small.problem.remembered.limit = 2 * 33 * 8 * 8 * 4  # two rows at a time
    parts = list(small.stream(steps=33))
    torch.testing.assert_close(parts[-1].values, expected.values, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(parts[-1].delta, expected.delta, rtol=1e-3, atol=1e-5)
    assert parts[0].error is None
    assert parts[0].values[2:].eq(0).all()
    assert parts[-1].error == pytest.approx(expected.error, rel=1e-3)
    assert small.problem.remembered.nbytes() == 0
