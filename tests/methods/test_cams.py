"""Grad-CAM against its definition and captum."""

import pytest
import torch
from captum import attr
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ModelError, ParameterError


@pytest.mark.parametrize("relu", [True, False])
def test_captum_agrees(cifar, relu):
    x, y = cifar.images[:8], cifar.labels[:8]
    maps = attr.LayerGradCam(cifar.model, cifar.model.layer3).attribute(x, target=y, relu_attributions=relu)
    expected = functional.interpolate(maps, (32, 32), mode="bilinear").detach()
    found = attribute(cifar.model, x, target=y, method="grad_cam", relu=relu)  # layer3 is the last with places
    assert found.values.shape == (8, 1, 32, 32)
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-5)


def test_the_last_layer_with_places_is_found(cifar, digits):
    for model, images, labels, layer in ((*cifar, "layer3"), (*digits, "4")):
        chosen = attribute(model, images[:2], target=labels[:2], method="grad_cam")
        named = attribute(model, images[:2], target=labels[:2], method="grad_cam", layer=layer)
        torch.testing.assert_close(chosen.values, named.values)
        assert chosen.evaluations == {"forward": 1, "gradient": 2}


def test_mean_pooling_and_a_linear_head_have_a_closed_form():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    x = torch.rand(3, 1, 6, 6)
    activation = model[0](x).detach()
    expected = torch.einsum("k,nkhw->nhw", model[3].weight[1], activation).detach() / 36
    found = attribute(model, x, target=1, method="grad_cam", layer="0", relu=False)
    torch.testing.assert_close(found.values[:, 0], expected)
    # Summed over the map: the logit without its bias.
    torch.testing.assert_close(found.values.sum((1, 2, 3)) + model[3].bias[1], found.score)


def test_layers_that_have_no_places(digits):
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, method="grad_cam", layer="6")
    assert caught.value.code == "layer_shape"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    with pytest.raises(ModelError) as caught:
        attribute(flat, digits.images[:1], target=0, method="grad_cam")
    assert caught.value.code == "no_layer"
