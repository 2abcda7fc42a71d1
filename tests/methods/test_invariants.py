"""What every method promises, on every way of writing a network: axioms, asked of all methods at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from cases import quick
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.registry import METHODS, find_method

COMPLETE = [name for name, method in METHODS.items() if method.complete and "tokens" not in method.needs]
FORWARD_ONLY_OR_EXACT = {"deeplift", "deep_shap", "shapley", "shapley_exact", "kernel_shap", "idgi"}
SUMS_UP_SLOWLY = {"expected_gradients"}  # only on average over its samples; tested where it lives
VALUES = ("saliency", "input_x_gradient", "smoothgrad", "integrated_gradients", "idgi", "guided_ig", "smooth_taylor",
          "expected_gradients", "feature_ablation", "shapley", "kernel_shap", "deeplift", "lrp", "attn_lrp")  # fmt: skip
"""Methods whose values belong to single inputs of any shape."""
ROUNDS_TO_FLOAT32 = ("llama_sdpa", "llama_eager", "vit_eager")  # inside, whatever they are given: no differences there


def leaf_of(inputs: Any) -> Tensor:
    if isinstance(inputs, Tensor):
        return inputs
    return next(value for value in inputs.values() if value.is_floating_point())


def settings(method: str, count: int) -> dict[str, Any]:
    """Enough work for the axioms to show: all coalitions of four regions, many steps."""
    names = {parameter.name for parameter in find_method(method).parameters}
    settings: dict[str, Any] = {"steps": 128} if "steps" in names else {}
    if "regions" in names:
        settings["regions"] = torch.arange(count) * 4 // count
    return settings


@pytest.mark.parametrize("name", zoo.ALL)
@pytest.mark.parametrize("method", [name for name in COMPLETE if name not in SUMS_UP_SLOWLY])
def test_completeness(method, name):
    """Values sum to the score minus the baseline's score: exactly, or up to what the quadrature leaves."""
    model, inputs = zoo.make(name)
    leaf = leaf_of(inputs)
    if "image" in find_method(method).needs and leaf.ndim != 4:
        pytest.skip("for images")
    parameters = settings(method, leaf.shape[-1])
    if "baseline" in {parameter.name for parameter in find_method(method).parameters}:
        # not zero, where normalisation by the root mean square has a slope of a thousand
        parameters["baseline"] = leaf.roll(1, 0) / 2
    found = attribute(model, inputs, target=1, method=method, **parameters)
    values = found.values if isinstance(found.values, Tensor) else next(iter(found.values.values()))
    total, change = values.flatten(1).sum(1), found.score - found.baseline_score
    assert float(change.abs().min()) > 1e-3, "nothing to attribute: a poor test"
    torch.testing.assert_close(found.delta, total - change, rtol=1e-6, atol=1e-8)
    room = 1e-8 if method in FORWARD_ONLY_OR_EXACT else 0.1 if method == "guided_ig" else 5e-3
    assert float((total - change).abs().max()) <= room * float(change.abs().max())


class Ignoring(nn.Module):
    """Its score does not depend on the last three of its five inputs, though they go through its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(functional.relu(self.enter(x)))


@pytest.mark.parametrize("method", VALUES)
def test_an_input_without_influence_gets_nothing(method):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = Ignoring().double().eval(), torch.randn(3, 5, dtype=torch.float64)
        with torch.no_grad():
            model.enter.weight[:, 2:] = 0
    parameters = quick(method)
    parameters.pop("regions", None)
    found = attribute(model, x, target=0, method=method, **parameters).values
    assert float(found[:, 2:].abs().max()) < 1e-12
    assert float(found[:, :2].abs().max()) > 0


@pytest.mark.parametrize("method", VALUES)
def test_inputs_that_play_the_same_part_get_the_same(method):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = Ignoring().double().eval(), torch.rand(3, 5, dtype=torch.float64)
        with torch.no_grad():
            model.enter.weight[:, 1] = model.enter.weight[:, 0]
        x[:, 1] = x[:, 0]
    parameters = quick(method) | ({"samples": 64} if method in ("shapley", "kernel_shap") else {})  # all coalitions
    parameters.pop("regions", None)
    if "noise" in {parameter.name for parameter in find_method(method).parameters}:
        parameters["noise"] = 0.0  # noise tells the two apart
    if method == "expected_gradients":
        parameters["baseline"] = "zeros"
    found = attribute(model, x, target=0, method=method, **parameters).values
    torch.testing.assert_close(found[:, 0], found[:, 1], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    "method",
    ["saliency", "input_x_gradient", "smoothgrad", "integrated_gradients", "idgi", "shapley", "occlusion", "rise"],
)
def test_networks_that_compute_the_same_function_are_explained_alike(method):
    """Implementation invariance (Sundararajan et al. 2017): ReLU written as max(x, 0) by absolute values."""

    class Other(zoo.SharedReLU):
        def forward(self, x):
            def rectify(z):
                return (z + z.abs()) / 2

            x = self.pool(rectify(self.conv1(x)))
            x = self.pool(rectify(self.conv2(x))).flatten(1)
            return self.head(rectify(self.twice(rectify(self.twice(x)))))

    model, x = zoo.make("shared_relu")
    other = Other().double().eval()
    other.load_state_dict(model.state_dict())
    one, two = (attribute(net, x, target=2, method=method, **quick(method)).values for net in (model, other))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in ROUNDS_TO_FLOAT32])
@pytest.mark.parametrize("method", ["saliency", "smoothgrad", "input_x_gradient"])
def test_gradients_are_slopes(method, name):
    """The derivative along a direction, by differences (SmoothGrad without noise is the gradient)."""
    model, inputs = zoo.make(name)
    extra = {"saliency": {"absolute": False}, "smoothgrad": {"noise": 0.0, "samples": 2}}.get(method, {})
    found = attribute(model, inputs, target=1, method=method, **extra)
    leaf = leaf_of(inputs)
    direction = (
        leaf
        if method == "input_x_gradient"
        else torch.randn(leaf.shape, generator=torch.Generator().manual_seed(0), dtype=leaf.dtype)
    )
    step = 1e-6

    def score(points):
        given = (
            points
            if isinstance(inputs, Tensor)
            else {key: points if value is leaf else value for key, value in inputs.items()}
        )
        output = model(given) if isinstance(given, Tensor) else model(**given)
        return (output if isinstance(output, Tensor) else output.logits)[:, 1].detach()

    with torch.no_grad():
        slope = (score(leaf + step * direction) - score(leaf - step * direction)) / (2 * step)
    weighted = found.values if method == "input_x_gradient" else found.values * direction
    torch.testing.assert_close(weighted.flatten(1).sum(1), slope, rtol=1e-5, atol=1e-7)
