"""The gradient and its plain relatives against closed forms, captum and finite differences."""

import pytest
import torch
from captum import attr

from xaiwidgets.api import Contrast, TargetError, attribute

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


def test_captum_agrees(digits, cifar):
    for model, images, labels in (digits, cifar):
        x, y = images[:8].clone().requires_grad_(), labels[:8]
        expected = attr.Saliency(model).attribute(x, target=y)
        torch.testing.assert_close(attribute(model, images[:8], target=y, method="saliency").values, expected)
        expected = attr.InputXGradient(model).attribute(x, target=y).detach()
        torch.testing.assert_close(attribute(model, images[:8], target=y, method="input_x_gradient").values, expected)


def test_explanation_vectors_of_a_softmax():
    # ∂p_c/∂x = p_c (w_c - Σ_k p_k w_k), positive where more of the input makes the class more probable
    x = torch.randn(5, 3)
    p = linear(x).softmax(1)
    expected = p[:, :1] * (WEIGHTS[0] - p @ WEIGHTS)
    for score in ("logit", "probability", "log_probability"):
        found = attribute(linear, x, target=0, score=score, method="explanation_vectors")
        torch.testing.assert_close(found.values, expected)
        torch.testing.assert_close(found.score, p[:, 0])


def test_explanation_vectors_of_one_logit_and_of_two_classes():
    x = torch.randn(5, 3)
    p = linear(x)[:, 0].sigmoid()
    found = attribute(lambda x: linear(x)[:, 0], x, method="explanation_vectors")
    torch.testing.assert_close(found.values, (p * (1 - p))[:, None] * WEIGHTS[0])
    against = attribute(linear, x, target=1, method="explanation_vectors")
    torch.testing.assert_close(
        attribute(linear, x, target=0, method="explanation_vectors").values, -against.values, atol=1e-6, rtol=1e-5
    )
    contrast = attribute(linear, x, target=Contrast(0, 1), method="explanation_vectors")
    torch.testing.assert_close(contrast.values, -2 * against.values, atol=1e-6, rtol=1e-5)


def test_explanation_vectors_by_finite_differences(digits):
    model, x = digits.model.double(), digits.images[:1].double()
    try:
        found = attribute(model, x, target=3, method="explanation_vectors").values
        assert found.dtype == torch.float64
        for place in (11, 20, 35):
            shift = torch.zeros(64, dtype=torch.float64)
            shift[place] = 1e-5
            shift = shift.reshape(x.shape)
            with torch.no_grad():
                ends = model(torch.cat([x - shift, x + shift])).softmax(1)[:, 3]
            assert float(found.flatten()[place]) == pytest.approx(float((ends[1] - ends[0]) / 2e-5), rel=1e-4, abs=1e-9)
    finally:
        digits.model.float()


def test_explanation_vectors_need_a_class():
    with pytest.raises(TargetError) as error:
        attribute(linear, torch.randn(2, 3), target=lambda y: y.sum(1), method="explanation_vectors")
    assert error.value.code == "score_of_callable"
