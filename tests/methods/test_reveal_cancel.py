"""The reveal-cancel rule against the paper's example and its definitions written out neuron by neuron."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.target import Each

ACTIVATIONS = {
    nn.ReLU: lambda z: np.maximum(z, 0),
    nn.Tanh: np.tanh,
    nn.SiLU: lambda z: z / (1 + np.exp(-z)),
    nn.LeakyReLU: lambda z: np.where(z > 0, z, 0.01 * z),
}


def double(*shape: int, seed: int = 0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(*layers: nn.Module) -> nn.Sequential:
    model = nn.Sequential(*layers).double().eval()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = double(*parameter.shape, seed=100 + seed) * 0.7
    return model


def revealed(model, x, baseline, **keywords):
    return attribute(model, x, method="deeplift", rule="reveal_cancel", baseline=baseline, **keywords)


def written_out(model: nn.Sequential, x, x0, target: int) -> np.ndarray:
    """One row through linear layers and activations, by the formulas of the paper's sections 3.5.1 and 3.5.2."""
    value, now = x0.numpy(), x.numpy()
    plus, minus = np.maximum(x.numpy() - value, 0), np.minimum(x.numpy() - value, 0)
    first = plus, minus
    down = []  # per layer: ((m++, m+-), (m-+, m--)) as matrices [inputs, outputs]
    for layer in model:
        if isinstance(layer, nn.Linear):
            w, b = layer.weight.detach().numpy().T, layer.bias.detach().numpy()
            step = (now - value)[:, None]
            up = np.where(step == 0, 0.5 * w, np.where(w * step > 0, w, 0))
            lower = np.where(step == 0, 0.5 * w, np.where(w * step < 0, w, 0))
            down.append(((up, lower), (up, lower)))
            plus, minus = (plus + minus) @ up, (plus + minus) @ lower
            value, now = value @ w + b, now @ w + b
        else:
            f = ACTIVATIONS[type(layer)]
            # A part of nothing has the multiplier of next to nothing.
            plus, minus = np.where(plus == 0, 1e-7, plus), np.where(minus == 0, -1e-7, minus)
            out_plus = 0.5 * (f(value + plus) - f(value)) + 0.5 * (f(value + minus + plus) - f(value + minus))
            out_minus = 0.5 * (f(value + minus) - f(value)) + 0.5 * (f(value + plus + minus) - f(value + plus))
            none = np.zeros((len(value), len(value)))
            down.append(((np.diag(out_plus / plus), none), (none, np.diag(out_minus / minus))))
            plus, minus, value, now = out_plus, out_minus, f(value), f(now)
    of_plus = of_minus = np.eye(len(value))[target]
    for (pp, pm), (mp, mm) in reversed(down):
        of_plus, of_minus = pp @ of_plus + pm @ of_minus, mp @ of_plus + mm @ of_minus
    return first[0] * of_plus + first[1] * of_minus


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_definitions(activation):
    model = seeded(nn.Linear(5, 8), activation(), nn.Linear(8, 7), activation(), nn.Linear(7, 3))
    x, x0 = double(4, 5), double(4, 5, seed=1)
    x[:, 2] = x0[:, 2]  # an input that has not changed
    found = revealed(model, x, x0, target=1)
    for row in range(4):
        np.testing.assert_allclose(found.values[row], written_out(model, x[row], x0[row], 1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.values.sum(1), found.score - found.baseline_score)
    rescale = attribute(model, x, method="deeplift", baseline=x0, target=1).values
    assert float((rescale - found.values).abs().max()) > 0.01  # another method


@pytest.mark.parametrize(("a", "b"), [(2.0, 5.0), (5.0, 2.0), (3.0, 3.0)])
def test_the_smaller_of_two(a, b):
    """The paper's example: min(a, b) = a - relu(a - b). Both inputs take part, whichever is smaller."""

    def model(x):
        return x[:, 0] - functional.relu(x[:, 0] - x[:, 1])

    x = torch.tensor([[a, b]], dtype=torch.float64)
    np.testing.assert_allclose(revealed(model, x, 0.0).values, [[min(a, b) / 2] * 2])
    hidden = attribute(model, x, method="deeplift", baseline=0.0).values
    np.testing.assert_allclose(hidden, [[a, 0.0]] if a <= b else [[0.0, b]], atol=1e-12)


def test_a_linear_model_is_its_weights():
    w = double(5, 1)
    x, x0 = double(3, 5, seed=1), double(3, 5, seed=2)
    for model in (lambda x: (x @ w)[:, 0], lambda x: functional.linear(x, w.T, torch.ones(1).double())[:, 0],
                  lambda x: torch.addmm(torch.ones(1).double(), x, w)[:, 0], lambda x: (1 - x / 2 * -2 * w[:, 0]).sum(1) - 2,
                  lambda x: torch.einsum("bi,ij->b", x, w)):  # fmt: skip
        torch.testing.assert_close(revealed(model, x, x0).values, (x - x0) * w[:, 0])


@pytest.mark.parametrize("name", zoo.RELU)
@pytest.mark.parametrize("batch_size", ["auto", 2])
def test_completeness(name, batch_size):
    """Shared, functional and in-place rectifiers, pooling, batch norm, shortcuts."""
    model, x = zoo.make(name)
    found = revealed(model, x, "uniform", target=Each(1, 2), batch_size=batch_size)
    change = found.score - found.baseline_score
    assert float(found.delta.abs().max()) < 1e-10 * float(change.abs().max())
    alone = revealed(model, x[2:], "uniform", target=1).values
    torch.testing.assert_close(found.values[0, 2:], alone)


def test_operations_that_keep_parts():
    weights = double(4)

    def model(x):
        y = torch.cat([x.flatten(1), -x.flatten(1), torch.ones(len(x), 1, dtype=x.dtype)], 1)
        y = functional.pad(y.roll(1, 1), (0, 1), value=2.0).reshape(len(x), -1)
        out = torch.zeros(len(x), 6, dtype=x.dtype)
        out[:, 2:4] = y[:, 3:5].tanh()
        out[:, 0] = torch.maximum(y[:, 0], y[:, 1]) - y.mean(1) / -3
        out[:, 1] = y.reshape(len(x), 2, -1).amax((1, 2)) + functional.avg_pool1d(y[:, None], 3)[:, 0, 1]
        z = functional.max_pool1d(torch.stack([out, out.abs().mT.mT], 1), 2)
        z -= 0.5
        return (z.clamp(-1, 1).sum(1) * weights[:3]).sum(1) + (x.flatten(1)[:, :4] * weights).sum(1).detach()

    x, x0 = double(3, 2, 3), double(3, 2, 3, seed=1)
    found = revealed(model, x, x0)
    torch.testing.assert_close(found.values.flatten(1).sum(1), model(x) - model(x0))


def test_folding_a_batch_normalisation_changes_nothing():
    model = seeded(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
    model[1].running_mean, model[1].running_var = double(5), double(5).abs() + 0.1
    assert bool((model[1].weight < 0).any())
    folded = copy.deepcopy(model)
    folded[0] = nn.utils.fuse_conv_bn_eval(model[0], model[1])
    folded[1] = nn.Identity()
    folded.eval()
    x, x0 = double(3, 2, 4, 4), double(3, 2, 4, 4, seed=1)
    torch.testing.assert_close(revealed(model, x, x0, target=1).values, revealed(folded, x, x0, target=1).values)


def test_a_convolution_is_a_linear_layer():
    conv = seeded(nn.Conv2d(2, 3, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    x, x0 = double(2, 2, 4, 4), double(2, 2, 4, 4, seed=1)
    columns = torch.eye(32, dtype=torch.float64).reshape(32, 2, 4, 4)
    dense = nn.Linear(32, 12).double()
    with torch.no_grad():
        bias = conv[0](torch.zeros(1, 2, 4, 4).double()).flatten()
        dense.weight.copy_((conv[0](columns).flatten(1) - bias).T)
        dense.bias.copy_(bias)
    flat = nn.Sequential(nn.Flatten(), dense, nn.ReLU(), conv[3]).eval()
    torch.testing.assert_close(revealed(conv, x, x0, target=0).values, revealed(flat, x, x0, target=0).values)


def test_at_a_layer_and_in_single_precision():
    model, x = zoo.make("residual")
    found = revealed(model, x, 0.1, target=1, layer="conv2")
    assert float(found.delta.abs().max()) < 1e-12
    exact = revealed(model, x, 0.1, target=1).values
    single = revealed(model.float(), x.float(), 0.1, target=1).values
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x[:, 0] * x[:, 1], "mul"),
        (lambda x: x[:, 0] / x[:, 1], "div"),
        (lambda x: (x @ x.mT)[:, 0], "matmul"),
        (lambda x: x.softmax(1)[:, 0], "softmax"),
        (lambda x: functional.layer_norm(x, (4,))[:, 0], "layer_norm"),
        (lambda x: functional.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0, 0], "softmax"),
        (lambda x: (x @ torch.ones(4, 1).double()).sqrt()[:, 0], "sqrt"),  # not for the falls alone
    ],
)
def test_what_has_no_parts_is_an_error_that_names_it(function, name):
    x = torch.tensor([[0.5, 8.0, 1.0, 0.5]], dtype=torch.float64)
    x0 = torch.tensor([[5.0, -4.0, 2.0, 0.5]], dtype=torch.float64)
    with pytest.raises(ModelError, match=f"'{name}'") as caught:
        revealed(function, x, x0)
    assert caught.value.code == "uncovered_operation"
    assert "rescale" in caught.value.hint


def test_writing_through_a_view_is_an_error():
    def model(x):
        y = x * 2
        y[:, :2].relu_()
        return y.sum(1)

    with pytest.raises(ModelError, match="view") as caught:
        revealed(model, double(2, 4), 0.0)
    assert caught.value.code == "view_written"
