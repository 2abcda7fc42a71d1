"""Conductance, internal influence and neurons: completeness, captum, and what passes through where."""

import pytest
import torch
from captum import attr
from torch import nn

from xaiwidgets.api import Contrast, ModelError, Neuron, ParameterError, Session, attribute, stream


def distance(found, expected):
    found, expected = found.detach(), expected.detach()
    return float((found.double() - expected.double()).abs().sum() / expected.double().abs().sum())


class Residual(nn.Module):
    """What bypasses the layer `inner` is known: the input itself."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.nn.functional.gelu(self.inner(x)) + x)


def gelu_mlp():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(6, 12), nn.GELU(), nn.LayerNorm(12), nn.Linear(12, 8), nn.SiLU(), nn.Linear(8, 3)
        ).eval()


LAYERS = ["0", "1", "3", "6", "7"]  # of the digits network: all of its flow passes through each


@pytest.mark.parametrize("layer", LAYERS)
def test_conductance_is_complete_where_everything_passes(digits, layer):
    session = Session(digits.model, digits.images[:4], target=digits.labels[:4])
    result = session.attribute("conductance", layer=layer, steps=128)
    with torch.no_grad():
        expected = digits.model[: int(layer) + 1](digits.images[:4])
        change = digits.model(digits.images[:4]) - digits.model(torch.zeros_like(digits.images[:4]))
    assert result.values.shape == expected.shape
    change = change.gather(1, digits.labels[:4, None])[:, 0]
    torch.testing.assert_close(result.values.flatten(1).sum(1), change, rtol=0.01, atol=0.01)
    torch.testing.assert_close(result.delta, result.values.flatten(1).sum(1) - change, rtol=1e-3, atol=1e-4)
    assert result.evaluations == {"forward": 0, "gradient": 4 * 129}


def test_conductance_of_the_last_layer_is_its_change(digits):
    # The score is one of its outputs, so the gradient is 1 there: exact with any number of steps.
    result = attribute(digits.model, digits.images[:2], target=3, method="conductance", layer=digits.model[8], steps=4)
    with torch.no_grad():
        change = digits.model(digits.images[:2]) - digits.model(torch.zeros_like(digits.images[:2]))
    torch.testing.assert_close(result.values[:, 3], change[:, 3])
    assert result.values.abs().sum() == result.values[:, 3].abs().sum()


def test_what_bypasses_a_layer_is_the_delta():
    torch.manual_seed(0)
    model, x = Residual().eval(), torch.randn(3, 6)
    result = attribute(model, x, target=1, method="conductance", layer="inner", steps=256)
    bypass = x @ model.head.weight[1]
    torch.testing.assert_close(result.delta, -bypass, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_captum_agrees_on_a_smooth_network(layer):
    model, x = gelu_mlp(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    part = model[int(layer)]
    theirs = attr.LayerConductance(model, part).attribute(x, target=1, n_steps=400)
    found = attribute(model, x, target=1, method="conductance", layer=layer, steps=64)
    assert distance(found.values, theirs) < 0.01
    theirs = attr.InternalInfluence(model, part).attribute(x, target=1, n_steps=20)
    found = attribute(model, x, target=1, method="internal_influence", layer=layer, steps=20, rule="gauss_legendre")
    torch.testing.assert_close(found.values, theirs.detach(), rtol=1e-3, atol=1e-5)


def test_captum_agrees_on_the_influence_inside_a_relu_network(digits):
    x, y = digits.images[:3], digits.labels[:3]
    theirs = attr.InternalInfluence(digits.model, digits.model[3]).attribute(x, x * 0 + 0.1, target=y, n_steps=30)
    found = attribute(
        digits.model, x, target=y, method="internal_influence", layer="3", steps=30, rule="gauss_legendre", baseline=0.1
    )
    assert distance(found.values, theirs.detach()) < 1e-4


@pytest.mark.parametrize("rule", ["gauss_legendre", "midpoint", "trapezoid"])
def test_neuron_conductances_add_up_both_ways(rule):
    model, x = gelu_mlp().double(), torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    session = Session(model, x, target=Contrast(0, 2))
    parts = torch.stack(
        [
            session.attribute("neuron_conductance", layer="3", neuron=one, steps=256, rule=rule).values
            for one in range(8)
        ]
    )
    whole = session.attribute(rule="gauss_legendre", steps=64).values
    torch.testing.assert_close(parts.sum(0), whole, rtol=1e-3, atol=1e-4)  # over neurons: integrated gradients
    neurons = session.attribute("conductance", layer="3", steps=512).values
    torch.testing.assert_close(parts.sum(2).T, neurons, rtol=1e-3, atol=1e-4)  # over inputs: conductance


def test_captum_agrees_on_a_neurons_conductance(digits):
    # Captum's own default rule is biased; with the same Gauss nodes both are the same sum.
    x = digits.images[:2]
    theirs = attr.NeuronConductance(digits.model, digits.model[6]).attribute(
        x, neuron_selector=5, target=1, n_steps=32, method="gausslegendre"
    )
    found = attribute(
        digits.model, x, target=1, method="neuron_conductance", layer="6", neuron=5, steps=32, rule="gauss_legendre"
    )
    torch.testing.assert_close(found.values, theirs.detach(), rtol=1e-3, atol=1e-5)


def test_neuron_integrated_gradients(digits):
    x = digits.images[:2]
    theirs = attr.NeuronIntegratedGradients(digits.model, digits.model[6]).attribute(x, 5, n_steps=40)
    found = attribute(digits.model, x, target=Neuron("6", 5), rule="gauss_legendre", steps=40)
    torch.testing.assert_close(found.values, theirs.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", ["0", "3", "6"])
def test_layer_integrated_gradients(digits, layer):
    x, y = digits.images[:2], digits.labels[:2]
    part = digits.model[int(layer)]
    if layer == "3":  # followed by an in-place ReLU, where Captum's layer version raises: ask it about the rest alone
        before, rest = digits.model[:4], digits.model[4:]
        ends = before(x).detach(), before(x * 0).detach()
        theirs = attr.IntegratedGradients(lambda z: rest(z.clone())).attribute(*ends, target=y, n_steps=50)
    else:
        theirs = attr.LayerIntegratedGradients(digits.model, part).attribute(x, x * 0, target=y, n_steps=50)
    found = attribute(digits.model, x, target=y, layer=layer, rule="gauss_legendre", steps=50)
    assert distance(found.values, theirs.detach()) < 1e-3
    adaptive = attribute(digits.model, x, target=y, layer=part, steps=128)
    assert distance(adaptive.values, theirs.detach()) < 0.05
    assert (adaptive.delta / (adaptive.score - adaptive.baseline_score)).abs().max() < 0.01


def test_baselines_are_averaged(digits):
    session = Session(digits.model, digits.images[:2], target=1)
    for method, parameters in (
        ("conductance", {"layer": "3"}),
        ("internal_influence", {"layer": "3"}),
        ("neuron_conductance", {"layer": "3", "neuron": 2}),
    ):
        both = session.attribute(method, baseline=[0.0, 1.0], steps=16, **parameters).values
        apart = [session.attribute(method, baseline=one, steps=16, **parameters).values for one in (0.0, 1.0)]
        torch.testing.assert_close(both, (apart[0] + apart[1]) / 2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["conductance", "internal_influence", "neuron_conductance"])
def test_neither_the_batch_nor_the_neighbours_matter(digits, method):
    x, y = digits.images[:3], digits.labels[:3]
    parameters = {"method": method, "layer": "3", "steps": 16}
    together = attribute(digits.model, x, target=y, **parameters).values
    for batch_size in (1, 4, 7):
        small = attribute(digits.model, x, target=y, batch_size=batch_size, **parameters).values
        assert distance(small, together) < 1e-4
    alone = attribute(digits.model, x[1:2], target=y[1:2], **parameters).values
    assert distance(alone, together[1:2]) < 1e-4


@pytest.mark.parametrize("method", ["conductance", "internal_influence", "neuron_conductance"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_half_and_double_precision(method, dtype):
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    exact = attribute(gelu_mlp(), x, target=0, method=method, layer="3")
    found = attribute(gelu_mlp().to(dtype), x.to(dtype), target=0, method=method, layer="3")
    assert found.values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert distance(found.values, exact.values) < (1e-4 if dtype == torch.float64 else 0.2)


def test_the_stream_covers_the_path_or_all_of_it(digits):
    walk = list(
        stream(digits.model, digits.images[:4], target=1, method="conductance", layer="3", steps=20, batch_size=32)
    )
    assert [part.progress for part in walk] == [(7, 20), (15, 20), (20, 20)]
    mean = list(
        stream(
            digits.model, digits.images[:4], target=1, method="internal_influence", layer="3", steps=20, batch_size=32
        )
    )
    assert [part.progress for part in mean] == [(8, 20), (16, 20), (20, 20)]
    assert distance(mean[0].values, mean[-1].values) < 0.2


def test_what_cannot_be_looked_into(digits):
    with pytest.raises(ParameterError) as error:
        attribute(digits.model, digits.images[:1], target=1, method="neuron_conductance", layer="6", neuron=64)
    assert error.value.code == "neuron_index"
    with pytest.raises(ModelError) as error:
        attribute(gelu_mlp(), torch.randn(1, 6), target=1, method="conductance")
    assert error.value.code == "no_layer"
    with pytest.raises(ParameterError) as error:
        attribute(digits.model, digits.images[:1], target=1, method="conductance", layer="nowhere")
    assert error.value.code == "unknown_layer"
