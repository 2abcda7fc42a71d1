"""The stated error of lowered precision is the one there is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.precision import gradient_error, lowered
from xaiwidgets.engine.problem import Problem

DEVICE = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 3)).eval()


def problem(model: nn.Module, precision, points: Tensor) -> Problem:
    return Problem(model, points, target=1, precision=precision)


def test_only_products_are_lowered():
    model, points = network(), torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    with lowered("bfloat16", DEVICE):
        assert model(points).dtype == torch.bfloat16
    with lowered("full", DEVICE):
        assert model(points).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    assert problem(model, "bfloat16", points).gradients()[0].dtype == torch.float32


def test_the_error_is_that_of_the_first_row():
    model, points = network(), torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    full, low = (problem(model, precision, points) for precision in ("full", "bfloat16"))
    leaf = points[:1].clone().requires_grad_()
    (exact,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    with lowered("bfloat16", DEVICE):
        (found,) = torch.autograd.grad(model(leaf)[:, 1].float().sum(), leaf)
    expected = float((found - exact).abs().sum() / exact.abs().sum())
    assert 1e-4 < expected < 0.05
    assert abs(gradient_error(full, low) - expected) < 1e-6
    assert gradient_error(full, full) == 0


def test_nothing_to_be_relative_to():
    flat, steep = (nn.Linear(6, 3) for _ in range(2))
    nn.init.zeros_(flat.weight)
    points = torch.ones(1, 6)
    nowhere = problem(flat, "full", points)
    assert gradient_error(nowhere, problem(flat, "bfloat16", points)) == 0
    assert gradient_error(nowhere, problem(steep, "full", points)) == float("inf")


def test_results_say_what_lower_precision_costs(cifar):
    x, y = cifar.images[:2], cifar.labels[:2]
    exact = attribute(cifar.model, x, target=y, method="saliency")
    rough = attribute(cifar.model, x, target=y, method="saliency", precision="bfloat16")
    assert exact.rounding is None
    assert rough.values.dtype == torch.float32
    distance = (rough.values - exact.values)[:1].abs().sum() / exact.values[:1].abs().sum()
    assert 0 < rough.rounding < 0.5
    assert rough.rounding == pytest.approx(float(distance), rel=0.3)


def test_precision_has_two_values(cifar):
    with pytest.raises(ParameterError) as caught:
        attribute(cifar.model, cifar.images[:1], target=0, precision="float16")
    assert caught.value.code == "unknown_precision"
