"""Blur integrated gradients: the blur against brute force and SciPy, and completeness."""

import pytest
import torch
from scipy import ndimage

from xaiwidgets.api import InputError, Session, attribute
from xaiwidgets.methods.blur_path import Blurring, Spectrum


def image(*shape):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def heated(x, sigma, parts=4000):
    """Heat that spreads over the pixels for a time σ²/2, in small steps; nothing passes the edges."""
    time = sigma**2 / 2
    for _ in range(parts):
        padded = torch.nn.functional.pad(x[None], (1, 1, 1, 1), mode="replicate")[0]
        neighbours = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
        x = x + time / parts * (neighbours - 4 * x)
    return x


def test_the_blur_is_heat():
    x = image(2, 7, 10)
    spectrum = Spectrum.of(x)
    torch.testing.assert_close(spectrum.blurred(0.0), x)
    torch.testing.assert_close(spectrum.blurred(1.3), heated(x, 1.3), atol=1e-3, rtol=0)
    twice = Spectrum.of(spectrum.blurred(1.2)).blurred(0.9)  # variances add up
    torch.testing.assert_close(twice, spectrum.blurred((1.2**2 + 0.9**2) ** 0.5))
    torch.testing.assert_close(spectrum.blurred(1e3), x.mean((1, 2), keepdim=True).expand_as(x))
    assert spectrum.blurred(0.4).min() >= x.min()
    assert spectrum.blurred(0.4).max() <= x.max()


def test_wide_blurs_are_scipys_gaussian_with_reflected_edges():
    x = image(1, 40, 31)
    expected = torch.from_numpy(ndimage.gaussian_filter(x[0].numpy(), 4.0, mode="reflect", truncate=8))
    error = (Spectrum.of(x).blurred(4.0)[0] - expected).abs().max()
    assert error < 0.02 * (expected.max() - expected.min())


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_the_velocity_is_the_derivative(alpha):
    curve = Blurring(0, Spectrum.of(image(3, 9, 8)), 2.5, torch.float64)
    difference = (curve.at(alpha + 1e-6) - curve.at(alpha - 1e-6)) / 2e-6
    torch.testing.assert_close(curve.velocity(alpha), difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", ["adaptive", "midpoint", "gauss_legendre"])
def test_it_is_complete(digits, rule):
    session = Session(digits.model, digits.images[:6], target=digits.labels[:6])
    result = session.attribute("blur_ig", rule=rule, steps=128)
    change = result.score - result.baseline_score
    assert (result.delta / change).abs().max() < 0.02
    blurred = torch.stack([Spectrum.of(one.double()).blurred(8 / 5).float() for one in digits.images[:6]])
    with torch.no_grad():
        expected = digits.model(blurred).gather(1, digits.labels[:6, None])[:, 0]
    torch.testing.assert_close(result.baseline_score, expected, rtol=1e-4, atol=1e-5)


def test_the_rules_agree(digits):
    session = Session(digits.model, digits.images[:4], target=digits.labels[:4])
    exact = session.attribute("blur_ig", rule="midpoint", steps=512).values
    found = session.attribute("blur_ig", steps=65)
    assert (found.values - exact).abs().sum() < 0.02 * exact.abs().sum()
    assert session.attribute("blur_ig", steps=33).evaluations["gradient"] == 0  # a prefix of what is known


def test_a_linear_model_is_exact():
    x, weights = image(2, 1, 6, 6), image(6, 6) - 0.5
    result = attribute(lambda x: (x[:, 0] * weights).sum((1, 2)), x, method="blur_ig", sigma=2.0, rule="gauss_legendre")
    blurred = torch.stack([Spectrum.of(one).blurred(2.0) for one in x])
    torch.testing.assert_close(result.values, (x - blurred) * weights, rtol=1e-6, atol=1e-9)
    assert result.values.dtype == torch.float64


def test_an_even_image_has_nothing_to_blur(digits):
    result = attribute(digits.model, torch.full((1, 1, 8, 8), 0.3), target=0, method="blur_ig")
    assert result.values.abs().max() < 1e-5
    with pytest.raises(InputError):
        attribute(lambda x: x.sum(1), torch.randn(2, 5), method="blur_ig")


def test_neither_the_batch_nor_the_neighbours_matter(digits):
    x, y = digits.images[:3], digits.labels[:3]
    together = attribute(digits.model, x, target=y, method="blur_ig", steps=33).values
    small = attribute(digits.model, x, target=y, method="blur_ig", steps=33, batch_size=4).values
    alone = attribute(digits.model, x[1:2], target=y[1:2], method="blur_ig", steps=33).values
    torch.testing.assert_close(small, together, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(alone, together[1:2], rtol=1e-3, atol=1e-4)


def test_half_precision():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(64, 2))
    x = torch.rand(2, 1, 6, 6)
    exact = attribute(model.eval(), x, target=0, method="blur_ig").values
    found = attribute(model.bfloat16(), x.bfloat16(), target=0, method="blur_ig").values
    assert found.dtype == torch.float32
    assert (found - exact).abs().sum() < 0.1 * exact.abs().sum()
