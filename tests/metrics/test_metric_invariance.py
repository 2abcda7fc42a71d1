"""The same function of shifted inputs: the same output everywhere, and which maps are the same."""

import pytest
import torch
from torch import nn

from xaiwidgets.engine.errors import InputError, ModelError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.case import Case, explained
from xaiwidgets.metrics.invariance import shifted
from xaiwidgets.metrics.registry import METRICS


def case(asked, name, **parameters):
    method = find_method(name)
    checked = method.check(parameters)
    *_, last = explained(asked.begin(), method, checked)
    return Case(asked, last.values, method=method, parameters=checked, name=name)


def read(about, **parameters):
    metric = METRICS["input_invariance"]
    (reading,) = metric.run(about, **metric.check(parameters))
    return reading


def convolutions():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(256, 3),
        ).eval()


def test_the_shift_is_taken_back_exactly_padding_or_not():
    about = case(Problem(convolutions().double(), torch.rand(3, 2, 8, 8, dtype=torch.float64), target=1), "saliency")
    moved = shifted(about, 2.5)
    torch.testing.assert_close(moved.points, about.problem.points + 2.5)
    torch.testing.assert_close(moved.outputs(), about.outputs())


def test_gradients_do_not_notice_and_products_with_the_input_do():
    model = convolutions()
    asked = Problem(model, torch.rand(3, 2, 8, 8), target=1)
    for name in ("saliency", "smoothgrad", "guided_backprop"):
        assert read(case(asked, name)).values.max() < 1e-5
    assert read(case(asked, "input_x_gradient")).values.min() > 0.1
    assert read(case(asked, "integrated_gradients", baseline="zeros")).values.min() > 0.1
    assert read(case(asked, "integrated_gradients", baseline="mean")).values.max() < 1e-4
    assert not model._forward_pre_hooks


def test_a_linear_model_in_closed_form():
    """Φ = w·x moves by w·s: the change is |w| s / |w·x|."""
    model, inputs = nn.Linear(5, 2).double().eval(), torch.randn(4, 5, dtype=torch.float64)
    reading = read(case(Problem(model, inputs, target=1), "input_x_gradient"), shift=-0.7)
    weight = model.weight[1].detach()
    expected = (0.7 * weight).norm() / (weight * inputs).norm(dim=1)
    torch.testing.assert_close(reading.values, expected)
    torch.testing.assert_close(reading.maps["shifted"], weight * (inputs - 0.7))


def test_only_the_explained_input_is_shifted():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, *, x, scale):
            return self.layer(x) * scale

    inputs = {"x": torch.randn(3, 4), "scale": torch.rand(3, 1) + 1}
    asked = Problem(Two().eval(), inputs, target=0, wrt="x")
    about = case(asked, "saliency")
    torch.testing.assert_close(shifted(about, 1.0).outputs(), about.outputs())
    assert read(about).values.max() < 1e-6


def test_rows_do_not_matter():
    model, images = convolutions(), torch.rand(4, 2, 8, 8)
    together = read(case(Problem(model, images, target=0, batch_size=3), "input_x_gradient")).values
    alone = read(case(Problem(model, images[2:3], target=0), "input_x_gradient")).values
    torch.testing.assert_close(together[2:3], alone, rtol=1e-5, atol=1e-6)


def test_a_zero_map_is_undefined():
    about = Case(
        Problem(nn.Linear(3, 2).eval(), torch.rand(1, 3), target=0), torch.zeros(1, 3), method=find_method("saliency")
    )
    reading = read(about)
    assert reading.values.isnan().all()
    assert reading.notes


def test_what_cannot_be_shifted_is_refused():
    numbers = Problem(nn.Linear(3, 2).eval(), torch.ones(1, 3, dtype=torch.long), target=0, forward=lambda x: x.float())
    with pytest.raises(InputError):
        shifted(Case(numbers, torch.ones(1, 3)), 1.0)
    model = nn.Linear(3, 2).eval()
    function = Problem(model, torch.ones(1, 3), target=0, forward=lambda x: 2 * model(x))
    with pytest.raises(ModelError, match="forward="):
        shifted(Case(function, torch.ones(1, 3)), 1.0)
    at_layer = Problem(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).eval(), torch.ones(1, 3), target=0).at("0")
    with pytest.raises(InputError, match="vectors"):
        shifted(Case(at_layer, torch.ones(1, 3)), 1.0)
