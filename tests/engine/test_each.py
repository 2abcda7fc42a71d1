"""Several targets at once, and neurons as targets."""

from __future__ import annotations

import pytest
import torch
from captum import attr

from xaiwidgets.api import Contrast, Each, Neuron, Session, attribute, load, stream
from xaiwidgets.engine.errors import ParameterError, TargetError

TARGETS = (3, Contrast(1, 2), lambda output: output[:, 5] * 2)


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("method", ["saliency", "smoothgrad", "integrated_gradients", "occlusion", "grad_cam"])
def test_each_target_gets_what_it_would_get_alone(digits, method, score):
    targets = TARGETS if score == "logit" else TARGETS[:2]
    quick = {"smoothgrad": {"samples": 4}, "integrated_gradients": {"steps": 17}}.get(method, {})
    x = digits.images[:2]
    each = attribute(digits.model, x, target=Each(*targets), method=method, score=score, **quick)
    assert each.values.shape[:2] == (len(targets), 2)
    for place, target in enumerate(targets):
        alone = attribute(digits.model, x, target=target, method=method, score=score, **quick)
        torch.testing.assert_close(each.values[place], alone.values, rtol=1e-4, atol=1e-6)
        for name in ("score", "delta", "baseline_score"):
            one, other = getattr(each, name), getattr(alone, name)
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one[place], other, rtol=1e-4, atol=1e-5)


def test_forward_passes_are_shared(digits):
    x = digits.images[:2]
    one, ten = (attribute(digits.model, x, target=t, method="occlusion", batch_size=64) for t in (3, Each(range(10))))
    assert ten.evaluations == one.evaluations
    one, ten = (attribute(digits.model, x, target=t, method="saliency", batch_size=64) for t in (3, Each(range(10))))
    assert ten.evaluations == {"forward": 0, "gradient": 20}
    assert one.evaluations == {"forward": 0, "gradient": 2}


def test_inputs_that_come_as_a_dict_keep_their_container():
    def model(a, b):
        return torch.stack([(a * b).sum(1), (a + 2 * b).sum(1)], 1)

    x = {"a": torch.rand(3, 4), "b": torch.rand(3, 4)}
    found = attribute(model, x, target=Each(0, 1), wrt=["a", "b"], method="saliency")
    assert set(found.values) == {"a", "b"}
    torch.testing.assert_close(found.values["a"], torch.stack([x["b"], torch.ones(3, 4)]))
    torch.testing.assert_close(found.values["b"], torch.stack([x["a"], 2 * torch.ones(3, 4)]))


def test_targets_of_each_row():
    x = torch.rand(3, 4)
    found = attribute(lambda v: v * torch.arange(1, 5), x, target=Each(torch.tensor([0, 1, 2]), 3), method="saliency")
    expected = torch.stack(
        [torch.diag_embed(torch.arange(1.0, 5))[[0, 1, 2]], torch.diag_embed(torch.arange(1.0, 5))[[3, 3, 3]]]
    )
    torch.testing.assert_close(found.values, expected)


def test_results_with_several_targets_can_be_saved(digits, tmp_path):
    found = attribute(digits.model, digits.images[:1], target=Each(1, 2), method="saliency")
    found.save(tmp_path / "each.safetensors")
    again = load(tmp_path / "each.safetensors")
    torch.testing.assert_close(again.values, found.values)


def test_memory_of_several_targets_is_kept(digits):
    session = Session(digits.model, digits.images[:1], target=Each(3, 5))
    session.attribute(steps=17, tolerance=0)
    assert session.attribute(steps=33, tolerance=0).evaluations["gradient"] == 2 * 16


@pytest.mark.parametrize("bad", [(), (Each(1),), (None,), (Neuron("0", 1),)])
def test_what_is_no_list_of_targets(bad):
    with pytest.raises(TargetError) as caught:
        Each(*bad)
    assert caught.value.code == "target_type"


def test_neurons_agree_with_captum(cifar):
    x = cifar.images[:2]
    layer = cifar.model.layer2
    gradient = attribute(cifar.model, x, target=Neuron("layer2", (4, 3, 2)), method="saliency", absolute=False)
    expected = attr.NeuronGradient(cifar.model, layer).attribute(x, (4, 3, 2))
    torch.testing.assert_close(gradient.values, expected)
    integrated = attribute(cifar.model, x, target=Neuron(layer, (4, 3, 2)), rule="gauss_legendre", steps=12)
    expected = attr.NeuronIntegratedGradients(cifar.model, layer).attribute(
        x, (4, 3, 2), n_steps=12, method="gausslegendre"
    )
    torch.testing.assert_close(integrated.values, expected, rtol=1e-3, atol=1e-5)


def test_a_channel_is_the_mean_of_its_neurons(digits):
    x = digits.images[:2]
    whole = attribute(digits.model, x, target=Neuron("0", 7), method="saliency", absolute=False)
    function = attribute(
        digits.model, x, target=Neuron("0", lambda out: out[:, 7].mean((1, 2))), method="saliency", absolute=False
    )
    torch.testing.assert_close(whole.values, function.values)
    with torch.no_grad():
        torch.testing.assert_close(whole.score, digits.model[0](x)[:, 7].mean((1, 2)))


@pytest.mark.parametrize("index", [99, (1, 99, 0), (0, 0, 0, 0)])
def test_neurons_that_do_not_exist(digits, index):
    with pytest.raises(TargetError) as caught:
        attribute(digits.model, digits.images[:1], target=Neuron("0", index), method="saliency")
    assert caught.value.code == "neuron_index"
    assert "[batch, 16, 8, 8]" in str(caught.value)


def test_the_layer_of_a_neuron_must_exist(digits):
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=Neuron("nowhere", 0), method="saliency")
    assert caught.value.code == "unknown_layer"


def test_streams_are_shaped_too(digits):
    for partial in stream(digits.model, digits.images[:2], target=Each(1, 2), steps=17):
        assert partial.values.shape == (2, 2, 1, 8, 8)
