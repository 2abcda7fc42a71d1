"""Averages over noise: closed forms, statistics, and the same noise whatever the batch."""

import pytest
import torch
from torch import nn

from xaiwidgets.api import InputError, ParameterError, Session, attribute, stream
from xaiwidgets.methods.moments import Moments

WEIGHTS = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])
OF_GRADIENTS = ["smoothgrad", "smoothgrad_squared", "vargrad"]


def linear(x):
    return x @ WEIGHTS.T


def test_a_linear_model():
    x = torch.randn(4, 3)
    smooth = attribute(linear, x, target=1, method="smoothgrad")
    torch.testing.assert_close(smooth.values, WEIGHTS[1].expand(4, 3))
    assert smooth.error < 1e-6
    assert smooth.evaluations == {"forward": 0, "gradient": 4 * 32}
    squared = attribute(linear, x, target=1, method="smoothgrad_squared")
    torch.testing.assert_close(squared.values, WEIGHTS[1].square().expand(4, 3))
    assert attribute(linear, x, target=1, method="vargrad").values.abs().max() < 1e-12


def test_antithetic_noise_is_exact_for_quadratics():
    x = torch.randn(2, 5)
    result = attribute(lambda x: (x**2).sum(1), x, method="smoothgrad", samples=2, noise=0.5)
    torch.testing.assert_close(result.values, 2 * x)


def expected_of_sine(x, sigma):
    """Mean, mean square and variance of cos(x + ε)."""
    mean = torch.cos(x) * torch.exp(torch.tensor(-(sigma**2) / 2))
    square = 0.5 + 0.5 * torch.cos(2 * x) * torch.exp(torch.tensor(-2 * sigma**2))
    return {"smoothgrad": mean, "smoothgrad_squared": square, "vargrad": square - mean**2}


@pytest.mark.parametrize("method", OF_GRADIENTS)
def test_they_converge_and_their_error_is_right(method):
    # The gradient of a sum of sines; σ is a fraction of the row's range.
    x = torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64)
    expected = expected_of_sine(x, 0.3 * 2)[method]
    ratios, values = [], []
    for seed in range(40):
        result = attribute(lambda x: x.sin().sum(1), x, method=method, samples=128, noise=0.3, seed=seed)
        ratios.append(float((result.values - expected).abs().sum() / result.values.abs().sum()) / result.error)
        values.append(result.values)
    # The mean of |z| for a standard normal z is 0.8.
    assert 0.6 < sum(ratios) / len(ratios) < 1.05
    spread = torch.stack(values)
    assert ((spread.mean(0) - expected).abs() < 4 * spread.std(0) / 40**0.5).all()  # unbiased


def test_the_range_is_each_inputs_own():
    a = torch.zeros(1, 2)
    b = torch.tensor([[0.0, 10.0]])
    result = attribute(lambda a, b: (a**4).sum(1) + (b**2).sum(1), (a, b), wrt=[0, 1], method="smoothgrad", noise=1.0)
    assert result.values[0].tolist() == [[0, 0]]  # a constant input has no range, hence no noise


@pytest.mark.parametrize("method", OF_GRADIENTS)
def test_more_samples_continue_the_same_noise(digits, method):
    long = list(stream(digits.model, digits.images[:2], target=0, method=method, samples=31))
    assert [one.progress[0] for one in long] == [2, 10, 18, 26, 31]
    short = attribute(digits.model, digits.images[:2], target=0, method=method, samples=18)
    torch.testing.assert_close(short.values, long[2].values, rtol=1e-5, atol=1e-7)
    assert long[-1].error < long[1].error
    other = attribute(digits.model, digits.images[:2], target=0, method=method, samples=18, seed=1)
    assert not torch.allclose(other.values, short.values)


@pytest.mark.parametrize("method", [*OF_GRADIENTS, "noise_tunnel"])
def test_neither_the_batch_nor_the_neighbours_matter(digits, method):
    x, y = digits.images[:3], digits.labels[:3]
    parameters = {"method": method, "samples": 5}
    together = attribute(digits.model, x, target=y, **parameters).values
    small = attribute(digits.model, x, target=y, batch_size=2, **parameters).values
    torch.testing.assert_close(small, together, rtol=1e-3, atol=1e-5)
    alone = attribute(digits.model, x[1:2], target=y[1:2], **parameters).values
    torch.testing.assert_close(alone, together[1:2], rtol=1e-3, atol=1e-5)


def test_nothing_touches_the_global_random_numbers(digits):
    state = torch.get_rng_state()
    for method in (*OF_GRADIENTS, "noise_tunnel"):
        attribute(digits.model, digits.images[:1], target=0, method=method, samples=2)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", [*OF_GRADIENTS, "noise_tunnel"])
def test_half_and_double_precision(method, dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2)).eval()
    x = torch.randn(2, 6)
    exact = attribute(model, x, target=0, method=method, samples=16)
    found = attribute(model.to(dtype), x.to(dtype), target=0, method=method, samples=16)
    assert found.values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    limit = 1e-5 if dtype == torch.float64 else 0.15
    assert (found.values - exact.values).abs().sum() < limit * exact.values.abs().sum()


# --- around other methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("average", OF_GRADIENTS)
def test_a_tunnel_around_the_gradient_is_the_method_itself(digits, average):
    # Explanation vectors are the signed gradient of the probability.
    session = Session(digits.model, digits.images[:2], target=digits.labels[:2], score="probability")
    expected = session.attribute(average, samples=7)
    found = session.attribute("noise_tunnel", inner="explanation_vectors", average=average, samples=7)
    torch.testing.assert_close(found.values, expected.values, rtol=1e-4, atol=1e-7)
    assert found.error == pytest.approx(expected.error, rel=1e-3)
    assert found.progress == (7, 7)


def test_a_tunnel_around_input_x_gradient_by_hand():
    # f = Σ x²: input × gradient is 2 x², whose mean over noise of size σ is 2 (x² + σ²)
    x = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    result = attribute(
        lambda x: (x**2).sum(1), x, method="noise_tunnel", inner="input_x_gradient", samples=512, noise=0.2
    )
    torch.testing.assert_close(result.values, 2 * (x**2 + 0.4**2), rtol=0.05, atol=0)
    assert result.error < 0.05


def test_a_tunnel_takes_any_method(digits):
    session = Session(digits.model, digits.images[:2], target=digits.labels[:2])
    assert session.attribute("noise_tunnel", inner="grad_cam", samples=2).values.shape == (2, 1, 8, 8)
    assert session.attribute("noise_tunnel", inner="occlusion", samples=2).values.shape == (2, 1, 8, 8)
    without = session.attribute("noise_tunnel", inner="integrated_gradients", samples=2, noise=0.0)
    torch.testing.assert_close(without.values, session.attribute("integrated_gradients").values, rtol=1e-3, atol=1e-5)


def test_a_tunnel_around_something_unsuitable():
    with pytest.raises(ParameterError) as error:
        attribute(linear, torch.randn(2, 3), target=0, method="noise_tunnel", inner="smothgrad")
    assert "smoothgrad" in error.value.hint
    with pytest.raises(InputError) as error:
        attribute(linear, torch.randn(2, 3), target=0, method="noise_tunnel", inner="grad_cam")
    assert error.value.code == "not_an_image"


# --- moments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "shift", "tolerance"),
    [(torch.float64, 0.0, 1e-12), (torch.float64, 1e6, 1e-6), (torch.float32, 1e4, 1e-3)],
)
def test_moments(dtype, shift, tolerance):
    drawn = torch.randn(200, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = (drawn + shift).to(dtype)
    exact = values.double()
    moments = Moments(order=4)
    assert moments.error_of_mean() is None
    for value in values:
        moments.add(value)
    torch.testing.assert_close(moments.mean.double(), exact.mean(0), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(moments.variance().double(), exact.var(0), rtol=tolerance, atol=0)
    fourth = (exact - exact.mean(0)).pow(4).sum(0)
    torch.testing.assert_close(moments.fourths.double(), fourth, rtol=10 * tolerance, atol=0)
    assert (moments.variance() >= 0).all()
    naive = values.square().mean(0) - values.mean(0).square()
    if dtype == torch.float32:
        assert (naive.double() - exact.var(0)).abs().max() > 1  # what this is for


def test_equal_values_have_no_variance():
    moments = Moments(order=4)
    for _ in range(50):
        moments.add(torch.full((2, 3), 12345.678))
    assert moments.variance().eq(0).all()
    assert moments.error_of_mean() == 0
    assert moments.error_of_variance() == 0
