"""Gradient methods against closed forms, captum and statistics."""

import pytest
import torch
from captum import attr

from xaiwidgets.api import attribute, stream
from xaiwidgets.methods.gradients import RunningMean

WEIGHTS = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])


def linear(x):
    return x @ WEIGHTS.T


def test_a_linear_model():
    x = torch.randn(4, 3)
    signed = attribute(linear, x, target=0, method="saliency", absolute=False)
    assert torch.equal(signed.values, WEIGHTS[0].expand(4, 3))
    assert torch.equal(attribute(linear, x, target=0, method="saliency").values, WEIGHTS[0].abs().expand(4, 3))
    product = attribute(linear, x, target=1, method="input_x_gradient")
    torch.testing.assert_close(product.values.sum(1), linear(x)[:, 1])
    torch.testing.assert_close(product.score, linear(x)[:, 1])
    smooth = attribute(linear, x, target=1, method="smoothgrad")
    torch.testing.assert_close(smooth.values, WEIGHTS[1].expand(4, 3))
    assert smooth.error < 1e-6
    assert smooth.evaluations == {"forward": 0, "gradient": 4 * 32}


def test_captum_agrees(digits, cifar):
    for model, images, labels in (digits, cifar):
        x, y = images[:8].clone().requires_grad_(), labels[:8]
        expected = attr.Saliency(model).attribute(x, target=y)
        torch.testing.assert_close(attribute(model, images[:8], target=y, method="saliency").values, expected)
        expected = attr.InputXGradient(model).attribute(x, target=y).detach()
        torch.testing.assert_close(attribute(model, images[:8], target=y, method="input_x_gradient").values, expected)


def test_antithetic_noise_is_exact_for_quadratics():
    x = torch.randn(2, 5)
    result = attribute(lambda x: (x**2).sum(1), x, method="smoothgrad", samples=2, noise=0.5)
    torch.testing.assert_close(result.values, 2 * x)


def test_smoothgrad_converges_and_its_error_is_right():
    # E[cos(x + ε)] = cos(x) exp(-σ²/2), with σ a fraction of the row's range
    x = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    expected = torch.cos(x) * torch.exp(torch.tensor(-((0.3 * 2) ** 2) / 2))
    ratios = []
    for seed in range(40):
        result = attribute(lambda x: x.sin().sum(1), x, method="smoothgrad", samples=256, noise=0.3, seed=seed)
        ratios.append(float((result.values - expected).abs().sum() / result.values.abs().sum()) / result.error)
    # The mean of |z| for a standard normal z is 0.8.
    assert 0.6 < sum(ratios) / len(ratios) < 1.0


def test_the_range_is_each_inputs_own():
    a = torch.zeros(1, 2)
    b = torch.tensor([[0.0, 10.0]])
    result = attribute(lambda a, b: (a**4).sum(1) + (b**2).sum(1), (a, b), wrt=[0, 1], method="smoothgrad", noise=1.0)
    assert result.values[0].tolist() == [[0, 0]]  # a constant input has no range, hence no noise


def test_more_samples_continue_the_same_noise(digits):
    short = list(stream(digits.model, digits.images[:2], target=0, method="smoothgrad", samples=16))
    long = list(stream(digits.model, digits.images[:2], target=0, method="smoothgrad", samples=31))
    assert [one.progress[0] for one in long] == [8, 16, 24, 31]
    assert torch.equal(short[-1].values, long[1].values)
    assert long[-1].error < long[0].error
    other = attribute(digits.model, digits.images[:2], target=0, method="smoothgrad", samples=16, seed=1)
    assert not torch.equal(other.values, short[-1].values)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_running_mean(shift):
    values = torch.randn(20, 3, 4, dtype=torch.float64) + shift
    running = RunningMean()
    assert running.relative_standard_error() is None
    for value in values:
        running.add(value)
    torch.testing.assert_close(running.mean, values.mean(0))
    torch.testing.assert_close(running.variance(), values.var(0), rtol=1e-6, atol=1e-8)
