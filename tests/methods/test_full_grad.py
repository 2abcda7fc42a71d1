"""FullGrad and bias attribution against their identities, gradients of the biases themselves, and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import InputError, ModelError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.target import Contrast, Each
from xaiwidgets.methods.full_grad import contributions, spread_out


def double(*shape: int, seed: int = 0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(*layers: nn.Module) -> nn.Sequential:
    model = nn.Sequential(*layers).double().eval()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = double(*parameter.shape, seed=100 + seed) * 0.7
    return model


def decomposed(model, x, **keywords):
    """Σ input × gradient, Σ bias × gradient of each row, the score."""
    problem = Problem(model, x, **keywords)

    def work(chunk):
        product, terms, scores = contributions(chunk)
        biases = sum((term.flatten(1).sum(1) for term, _ in terms), torch.zeros_like(scores))
        return product.flatten(1).sum(1), biases, scores

    return problem.evaluate(work)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("name", zoo.ALL)
def test_input_and_biases_make_up_the_score(name, score):
    model, inputs = zoo.make(name)
    of_input, of_biases, scores = decomposed(model, inputs, target=1, score=score)
    room = 1e-12 if name in zoo.RELU else 2e-6  # some of the others compute in single precision by themselves
    torch.testing.assert_close(of_input + of_biases, scores, rtol=room, atol=room)
    assert float(of_biases.abs().max()) > 1e-3


@pytest.mark.parametrize("name", zoo.RELU)
def test_the_biases_own_gradients(name):
    """Of a network of rectifiers Σ b ∂f/∂b is what autograd says of its biases, batch normalisations as shifts included."""
    model, x = zoo.make(name)
    _, of_biases, _ = decomposed(model, x, target=2)
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    for row in range(len(x)):
        expected = 0.0
        for norm in norms:
            norm.register_parameter("shift", nn.Parameter(torch.zeros_like(norm.running_mean)))
        hooks = [norm.register_forward_hook(lambda part, _i, out: out + part.shift[:, None, None]) for norm in norms]
        score = model(x[row : row + 1])[0, 2]
        plain = [p for key, p in model.named_parameters() if key.endswith("bias") and key.split(".")[0] not in
                 {"norm0", "norm1", "norm2"} and "project" not in key]  # fmt: skip
        shifts = [norm.shift for norm in norms]
        for value, gradient in zip(
            [*plain, *(n.bias - n.running_mean * n.weight / (n.running_var + n.eps).sqrt() for n in norms)],
            torch.autograd.grad(score, [*plain, *shifts]), strict=True):  # fmt: skip
            expected += float((value * gradient).sum().detach())
        for hook in hooks:
            hook.remove()
        assert float(of_biases[row]) == pytest.approx(expected, rel=1e-9)


def test_the_papers_picture():
    """|·| from 0 to 1 for each row over all channels, enlarged, added up over channels and layers."""
    model = seeded(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU(),
                   nn.Flatten(), nn.Linear(16, 3))  # fmt: skip
    model[1].running_mean, model[1].running_var = double(3), double(3).abs() + 0.5
    x = double(2, 2, 8, 8)
    found = attribute(model, x, method="full_grad", target=1)

    leaf = x.clone().requires_grad_()
    places = [model[0](leaf)]
    places.append(model[1](places[0]))
    places.append(model[4](model[3](model[2](places[1]))))
    score = model[7](model[6](model[5](places[2])))[:, 1].sum()
    norm = model[1]
    biases = [
        model[0].bias,
        norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt(),
        model[4].bias,
    ]
    gradients = torch.autograd.grad(score, [leaf, *places])
    maps = [x * gradients[0], *(b[:, None, None] * g for b, g in zip(biases, gradients[1:], strict=True))]
    expected = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    for one in maps:
        size = one.detach().abs().flatten(1)
        low, high = size.min(1, keepdim=True)[0], size.max(1, keepdim=True)[0]
        scaled = ((size - low) / (high - low)).reshape(one.shape)
        expected += functional.interpolate(scaled, (8, 8), mode="bilinear", align_corners=False).sum(1, keepdim=True)
    torch.testing.assert_close(found.values, expected)
    assert found.delta is None


@pytest.mark.parametrize("name", ["shared_relu", "residual", "vit", "vit_sdpa"])
def test_raw_values_sum_to_the_score(name):
    model, inputs = zoo.make(name)
    found = attribute(model, inputs, method="full_grad", raw=True, target=Each(0, Contrast(1, 2)))
    values = found.values if isinstance(found.values, torch.Tensor) else next(iter(found.values.values()))
    assert values.shape == (2, 3, 1, 8, 8)
    torch.testing.assert_close(values.flatten(2).sum(2), found.score)
    assert float(found.delta.abs().max()) < 1e-10
    assert float(found.baseline_score.abs().max()) == 0


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", ["shared_relu", "vit"])
def test_rows_are_independent(name, raw):
    model, x = zoo.make(name)
    found = attribute(model, x, method="full_grad", raw=raw, target=1).values
    for rows in (1, 2, 8):
        torch.testing.assert_close(
            attribute(model, x, method="full_grad", raw=raw, target=1, batch_size=rows).values, found
        )
    torch.testing.assert_close(attribute(model, x[1:2], method="full_grad", raw=raw, target=1).values, found[1:2])


def test_a_sequence_first_model_with_as_many_rows_as_tokens():
    """[tokens, rows, width] with as many of both: which row a bias belongs to cannot be read off a shape."""
    model = zoo.VisionTransformer(batch_first=False).double().eval()

    class SequenceFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            tokens = x.flatten(2).permute(2, 0, 1).repeat(1, 1, 8)[:3]
            return self.inner.head(self.inner.blocks[0](tokens).mean(0))

    x = double(3, 2, 2, 2)
    for row_by_row in (1, "auto"):
        found = attribute(SequenceFirst().eval(), x, method="full_grad", raw=True, target=0, batch_size=row_by_row)
        torch.testing.assert_close(found.values.flatten(1).sum(1), found.score)


def test_constants_of_every_kind():
    """Added, concatenated, padded, masked and written ones, upper ends of clipped activations, infinite masks."""

    def model(x):
        y = functional.pad(1 - x.flatten(1), (1, 0), value=0.5)
        y = torch.cat([y, torch.full((len(x), 2), 0.3, dtype=x.dtype)], 1)
        out = torch.full((len(x), 4), 0.7, dtype=x.dtype)
        out[:, 1:3] = functional.relu6(4 * y[:, 2:4])
        y = torch.where(y > 0.2, y, -0.4).masked_fill(y > 1, 0.9)
        weights = y.masked_fill(torch.arange(y.shape[1]) == 2, -torch.inf).softmax(1)
        y = torch.maximum(y, torch.tensor(0.1, dtype=x.dtype)).clamp(-0.5, 0.8) * weights
        y = y - 0.1
        y += 0.2
        return (y.sum(1) + out.square().sum(1) / (1 + out[:, 1])).sigmoid()

    of_input, of_biases, scores = decomposed(model, double(3, 1, 2, 2))
    torch.testing.assert_close(of_input + of_biases, scores)


def test_spreading_keeps_sums():
    for size in ((2, 4), (3, 3), (1, 1), (8, 8), (11, 13)):
        coarse = double(2, 1, *size)
        fine = spread_out(coarse, 8, 8)
        torch.testing.assert_close(fine.sum((2, 3)), coarse.sum((2, 3)))
    assert spread_out(torch.tensor([[[[4.0, 8.0]]]]), 2, 4).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_other_inputs_are_refused():
    model, x = zoo.make("gated_mlp")
    with pytest.raises(InputError, match="images"):
        attribute(model, x, method="full_grad", target=0)


# --- biases handed back ----------------------------------------------------------------------------------------------


def written_out(model: nn.Sequential, x: np.ndarray, target: int) -> np.ndarray:
    """One row: every bias b ∂f/∂b, dealt out layer by layer in proportion to |w x|."""
    values, gradient = [x], None
    for layer in model:
        last = values[-1]
        if isinstance(layer, nn.Linear):
            values.append(last @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
        else:
            values.append(np.maximum(last, 0))
    gradient, gathered = np.eye(len(values[-1]))[target], np.zeros(len(values[-1]))
    for layer, last in zip(reversed(model), reversed(values[:-1]), strict=True):
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach().numpy()
            gathered = gathered + layer.bias.detach().numpy() * gradient
            sent = np.abs(weight * last)
            none = sent.sum(1, keepdims=True) == 0
            fractions = np.where(none, 1 / len(last), sent / np.where(none, 1, sent.sum(1, keepdims=True)))
            gradient, gathered = gradient @ weight, gathered @ fractions
        else:
            gradient = gradient * (last > 0)
    return gathered


@pytest.mark.parametrize("zero", [False, True])
def test_bias_attribution_written_out(zero):
    model = seeded(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3))
    x = double(3, 5) * (not zero)
    found = attribute(model, x, method="bias_attribution", target=1).values
    for row in range(3):
        np.testing.assert_allclose(found[row], written_out(model, x[row].numpy(), 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", zoo.RELU)
@pytest.mark.parametrize("batch_size", ["auto", 2])
def test_bias_attribution_completes_input_times_gradient(name, batch_size):
    model, x = zoo.make(name)
    of_biases = attribute(model, x, method="bias_attribution", target=Each(1, 3), batch_size=batch_size)
    product = attribute(model, x, method="input_x_gradient", target=Each(1, 3))
    torch.testing.assert_close((of_biases.values + product.values).flatten(2).sum(2), of_biases.score)
    torch.testing.assert_close(
        attribute(model, x[2:], method="bias_attribution", target=1).values, of_biases.values[0, 2:]
    )


def test_bias_attribution_through_moves_pools_and_other_activations():
    def model(x):
        y = functional.silu(functional.conv1d(x, WEIGHT, BIAS, padding=1)) - 0.3
        y = functional.max_pool1d(y, 2, return_indices=True)[0].flip(2)
        y = torch.cat([-y, y.mean(2, keepdim=True), 0.5 - y], 2) * 1.5
        out = torch.zeros(len(x), 3, 2, dtype=x.dtype)
        out[:, :, 0], out[:, :, 1] = y.amax(2), functional.hardtanh(y[:, :, 0] / 0.7)
        out = torch.minimum(out, torch.tensor(0.4, dtype=x.dtype))
        return out.sum((1, 2))

    WEIGHT, BIAS = double(3, 2, 3), double(3, seed=1)
    x = double(4, 2, 6, seed=2)
    found = attribute(model, x, method="bias_attribution")
    product = attribute(model, x, method="input_x_gradient")
    torch.testing.assert_close((found.values + product.values).flatten(1).sum(1), model(x))


def test_a_model_without_biases_has_nothing_to_deal_out():
    model = seeded(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    assert float(attribute(model, double(2, 4), method="bias_attribution", target=1).values.abs().max()) == 0


@pytest.mark.parametrize("name", ["vit", "lstm_cell", "llama_sdpa"])
def test_products_of_what_depends_on_the_input_are_refused(name):
    model, inputs = zoo.make(name)
    with pytest.raises(ModelError) as caught:
        attribute(model, inputs, method="bias_attribution", target=1)
    assert caught.value.code == "uncovered_operation"
