"""Excitation backprop against its formula, written out in numpy, and against zennit."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import zoo
from test_lrp import plain
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Contrast, Each, ModelError, attribute


def explain(model, x, target=1, **parameters):
    return attribute(model, x, target=target, method="excitation_backprop", **parameters)


def dense(widths, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        parts = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
        return nn.Sequential(*parts).double().eval(), torch.rand(3, widths[0], dtype=torch.float64)


def winning(activations, weights, probability):
    """P(a_j) = Σ_i a_j w_ij⁺ / Σ_k a_k w_ik⁺ P(a_i)."""
    excited = activations * np.maximum(weights, 0)  # [outputs, inputs]
    return (excited / (excited.sum(1, keepdims=True) + 1e-6) * probability[:, None]).sum(0)


def by_hand(model, x, target, contrastive):
    layers = [part for part in model if isinstance(part, nn.Linear)]
    weights = [layer.weight.detach().numpy() for layer in layers]
    activations = [x]
    for layer in layers[:-1]:
        z = layer.weight.detach().numpy() @ activations[-1] + layer.bias.detach().numpy()
        activations.append(np.maximum(z, 0))
    start = np.eye(len(weights[-1]))[target]
    probability = winning(activations[-1], weights[-1], start)
    if contrastive:
        probability = probability - winning(activations[-1], -weights[-1], start)
    for activation, weight in zip(activations[-2::-1], weights[-2::-1], strict=True):
        probability = winning(activation, weight, probability)
    return probability


@pytest.mark.parametrize("contrastive", [False, True])
def test_the_formula(contrastive):
    model, x = dense([5, 8, 7, 4])
    result = explain(model, x, target=Each(0, 1, 2, 3), contrastive=contrastive)
    for target in range(4):
        for row in range(3):
            expected = by_hand(model, x[row].numpy(), target, contrastive)
            np.testing.assert_allclose(result.values[target, row].numpy(), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result.score, model(x).T)
    assert result.delta is None


def test_zennit_agrees():
    pytest.importorskip("zennit", reason="zennit is not installed")
    from zennit.attribution import Gradient
    from zennit.composites import ExcitationBackprop

    model, x = plain(norm=False)
    start = torch.eye(4, dtype=torch.float64)[[2, 2, 2]]
    with Gradient(model=model, composite=ExcitationBackprop(zero_params="bias"), attr_output=start) as attributor:
        expected = attributor(x)[1]
    torch.testing.assert_close(explain(model, x, 2).values, expected, rtol=1e-7, atol=1e-10)


def test_probabilities():
    """Not negative, and with a sum of one; of classes against each other as many as they win."""
    model, x = plain()
    found = explain(model, x).values
    assert float(found.min()) >= 0
    torch.testing.assert_close(found.flatten(1).sum(1), torch.ones(3, dtype=x.dtype), rtol=1e-3, atol=0)
    contrast = explain(model, x, Contrast(1, 2)).values
    torch.testing.assert_close(contrast, found - explain(model, x, 2).values)
    both = explain(model, x, contrastive=True).values
    assert float(both.min()) < 0 < float(both.max())
    torch.testing.assert_close(both.flatten(1).sum(1), torch.zeros(3, dtype=x.dtype), rtol=0, atol=1e-3)


def test_at_a_layer():
    model, x = plain()
    inner = explain(model, x, layer="6")
    assert inner.values.shape == (3, 8, 4, 4)
    assert float(inner.values.min()) >= 0
    rest = explain(model[7:].eval(), model[:7](x).detach())
    torch.testing.assert_close(inner.values, rest.values, rtol=1e-9, atol=1e-14)
    both = explain(model, x, layer="6", contrastive=True).values
    rest = explain(model[7:].eval(), model[:7](x).detach(), contrastive=True).values
    torch.testing.assert_close(both, rest, rtol=1e-9, atol=1e-14)


class Heads(nn.Module):
    """Two outputs of different depths, in an object; the pooled convolution is the last linear map of the second."""

    def __init__(self, wrap):
        super().__init__()
        self.conv, self.map, self.dense = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 4, 1), nn.Linear(4, 4)
        self.wrap = wrap

    def forward(self, x):
        second = functional.relu(self.map(functional.relu(self.conv(x)))).mean((2, 3))
        return self.wrap(self.dense(second), second)


class Result:
    def __init__(self, logits, other):
        self.logits, self.other = logits, other


def test_outputs_of_any_kind_start_the_walk():
    _, x = plain()
    models = []
    for wrap in (Result, lambda a, b: (a, b), lambda a, b: {"logits": a, "other": b}, lambda a, _: a):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            models.append(Heads(wrap).double().eval())
    for contrastive in (False, True):
        expected = explain(models[3], x, contrastive=contrastive).values
        for model in models[:3]:
            found = explain(model, x, contrastive=contrastive).values
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)
    pooled = explain(models[0], x, target=lambda output: output.other[:, 2])
    torch.testing.assert_close(pooled.values.flatten(1).sum(1), torch.ones(3, dtype=x.dtype), rtol=1e-3, atol=0)


def test_rows_and_batches():
    model, x = zoo.make("shared_relu")
    for contrastive in (False, True):
        whole = explain(model, x, contrastive=contrastive).values
        single = explain(model, x, contrastive=contrastive, batch_size=1).values
        torch.testing.assert_close(single, whole, rtol=1e-9, atol=1e-14)
        other = torch.cat([x[:1], -x[1:]])
        torch.testing.assert_close(explain(model, other, contrastive=contrastive).values[0], whole[0])


def test_layers_used_twice_are_contrasted_only_where_they_end():
    """The last layer is the last use of a module, not the module."""
    model, x = dense([5, 5, 5])
    twice = nn.Sequential(model[0], nn.ReLU(), model[0]).eval()
    model[2].load_state_dict(model[0].state_dict())
    torch.testing.assert_close(explain(twice, x, contrastive=True).values, explain(model, x, contrastive=True).values)


def test_what_does_not_fit_is_an_error():
    model, x = plain()
    with pytest.raises(ModelError, match="excitatory"):
        explain(nn.Sequential(*model, nn.Softmax(1)).eval(), x)
    with pytest.raises(ModelError, match="to contrast"):
        explain(lambda x: x.relu().sum((1, 2, 3)), x, None, contrastive=True)
