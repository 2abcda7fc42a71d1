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


# --- Relevance-CAM ---------------------------------------------------------------------------------------------------


def z_plus(relevance, x, weight):
    """Relevance [n, out] of a linear layer's outputs to its inputs, by what pulls up, without the bias."""
    pulls = (x.unsqueeze(1) * weight).clamp(min=0)  # [n, out, in]
    total = pulls.sum(2, keepdim=True)
    return (pulls / torch.where(total == 0, 1, total) * relevance.unsqueeze(2)).sum(1)


def relevance_by_hand(model, images, target, contrastive):
    activation = model[:5](images)
    hidden = model[:8](images)
    logits = model(images)
    score = logits[:, target].abs()
    start = torch.zeros_like(logits) - contrastive * score.unsqueeze(1) / 4
    start[:, target] = score
    relevance = z_plus(z_plus(start, hidden, model[8].weight), activation.flatten(1), model[6].weight)
    weights = relevance.reshape(activation.shape).sum((2, 3), keepdim=True)
    return (weights * activation).sum(1, keepdim=True)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("contrastive", [True, False])
@torch.no_grad()
def test_relevance_cam_by_hand(model, images, contrastive, relu):
    assert model(images).amax() > 0 > model(images).amin()
    for target in range(4):
        expected = enlarged(relevance_by_hand(model, images, target, contrastive), relu)
        options = {"contrastive": contrastive, "relu": relu}
        found = attribute(model, images, target=target, method="relevance_cam", layer="4", **options)
        # Sums that nearly cancel are kept from zero by 1e-6 in the rule.
        torch.testing.assert_close(found.values, expected, rtol=1e-3, atol=1e-5)
        assert expected.abs().max() > 0.001 or relu


def test_relevance_cam_of_many_targets_runs_the_rest_once(model, images):
    rows = []
    handle = model[0].register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    attribute(model, images, target=Each(0, 1, 2, 3), method="relevance_cam", layer="4", batch_size=64)
    handle.remove()
    assert rows[0] == 3
    assert max(rows) <= 3


# --- LIFT-CAM --------------------------------------------------------------------------------------------------------


def test_lift_cam_is_captums_deeplift_of_the_rest(model, images):
    activation = model[:5](images).detach()
    contributions = attr.DeepLift(model[5:]).attribute(activation, torch.zeros_like(activation), target=2).detach()
    expected = (contributions.sum((2, 3), keepdim=True) * activation).sum(1, keepdim=True)
    for relu in (True, False):
        found = attribute(model, images, target=2, method="lift_cam", layer="4", relu=relu)
        torch.testing.assert_close(found.values, enlarged(expected, relu), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found.score, model(images)[:, 2].detach())
    torch.testing.assert_close(found.baseline_score, model[5:](torch.zeros_like(activation))[:, 2].detach())


def test_lift_cam_weights_are_shapley_values_where_the_rest_is_linear(images):
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4)
    model = nn.Sequential(*layers).double().eval()
    activation = model[:2](images).detach()
    shapley = activation.mean((2, 3)) * model[4].weight[1].detach()  # of an additive game: each channel's own term
    expected = torch.einsum("nk,nkhw->nhw", shapley, activation).unsqueeze(1)
    found = attribute(model, images, target=1, method="lift_cam", relu=False)
    torch.testing.assert_close(found.values, enlarged(expected, False))
    ablation = attribute(model, images, target=1, method="ablation_cam", relu=False)
    torch.testing.assert_close(found.values, ablation.values)
