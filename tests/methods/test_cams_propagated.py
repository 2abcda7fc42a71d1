"""Maps that combine a layer's activation with guided backpropagation, relevance or DeepLIFT."""

import pytest
import torch
from captum import attr
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.target import Each


@pytest.fixture
def model():
    torch.manual_seed(0)
    convolutions = nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 9, 3, padding=1), nn.ReLU()
    head = nn.Flatten(), nn.Linear(9 * 16, 12), nn.ReLU(), nn.Linear(12, 4)
    return nn.Sequential(*convolutions, *head).double().eval()


@pytest.fixture
def images():
    return torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def enlarged(maps, relu):
    return functional.interpolate(maps.relu() if relu else maps, (8, 8), mode="bilinear")


def test_guided_grad_cam_is_captums(model, images):
    oracle = attr.GuidedGradCam(model, model[4])
    expected = oracle.attribute(images, target=2, interpolate_mode="bilinear").detach()
    found = attribute(model, images, target=2, method="guided_grad_cam", layer="4")
    assert found.values.shape == images.shape
    torch.testing.assert_close(found.values, expected)


def test_guided_grad_cam_is_a_product(model, images):
    for relu in (True, False):
        found = attribute(model, images, target=Each(0, 2), method="guided_grad_cam", relu=relu)
        where = attribute(model, images, target=Each(0, 2), method="grad_cam", relu=relu)
        edges = attribute(model, images, target=Each(0, 2), method="guided_backprop")
        torch.testing.assert_close(found.values, where.values * edges.values)
    assert found.evaluations == {"forward": 0, "gradient": 1 + 2 * 3 + 2 * 3}


def test_guided_grad_cam_needs_a_rectifier(images):
    torch.manual_seed(0)
    smooth = nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()
    with pytest.raises(ModelError) as caught:
        attribute(smooth, images, target=0, method="guided_grad_cam")
    assert caught.value.code == "no_rectifier"
