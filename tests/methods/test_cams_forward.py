"""Class activation maps from masks, ablations, components and the head's weights: brute force, NumPy, closed forms."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute, stream
from xaiwidgets.engine.errors import ModelError, TargetError
from xaiwidgets.engine.target import Contrast, Each


@pytest.fixture
def model():
    torch.manual_seed(0)
    convolutions = nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 9, 3, padding=1)
    return nn.Sequential(*convolutions, nn.ReLU(), nn.Flatten(), nn.Linear(9 * 16, 4)).double().eval()


@pytest.fixture
def images():
    return torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def pooled():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)
    return nn.Sequential(*layers, nn.Linear(6, 4)).double().eval()


def enlarged(maps, relu, size=(8, 8)):
    return functional.interpolate(maps.relu() if relu else maps, size, mode="bilinear")


# --- Score-CAM -------------------------------------------------------------------------------------------------------


def score_cam_by_hand(model, activation, image, target, baseline):
    """One channel after another, with the score of a baseline taken away as in the paper."""
    masks = functional.interpolate(activation.unsqueeze(1), image.shape[1:], mode="bilinear")[:, 0]
    kept = [k for k in range(len(masks)) if masks[k].max() > masks[k].min()]
    scores = []
    for k in kept:
        mask = (masks[k] - masks[k].min()) / (masks[k].max() - masks[k].min())
        scores.append(model((image * mask)[None])[0, target] - model(baseline[None])[0, target])
    weights = torch.stack(scores).softmax(0)
    return sum(weight * activation[k] for weight, k in zip(weights, kept, strict=True))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", ["3", "4"])
@torch.no_grad()
def test_score_cam_by_brute_force(model, images, relu, layer):
    activation = model[: int(layer) + 1](images)
    maps = torch.stack(
        [score_cam_by_hand(model, activation[n], images[n], 2, torch.zeros_like(images[n])) for n in range(3)]
    )
    found = attribute(model, images, target=2, method="score_cam", layer=layer, relu=relu)
    torch.testing.assert_close(found.values, enlarged(maps.unsqueeze(1), relu))
    torch.testing.assert_close(found.score, model(images)[:, 2])


@torch.no_grad()
def test_the_baseline_of_score_cam_cancels(model, images):
    activation = model[:5](images)
    found = attribute(model, images, target=2, method="score_cam", layer="4", relu=False)
    other = score_cam_by_hand(model, activation[0], images[0], 2, images[1])
    torch.testing.assert_close(found.values[:1], enlarged(other[None, None], False))


@torch.no_grad()
def test_channels_without_contrast_are_left_out_and_cost_nothing(model, images):
    model[3].weight[[0, 5]], model[3].bias[0], model[3].bias[5] = 0, -1, 2  # silent, and the same everywhere
    activation = model[:5](images)
    kept = (activation.flatten(2).amax(2) > activation.flatten(2).amin(2)).sum()
    assert kept <= 7 * 3
    found = attribute(model, images, target=2, method="score_cam", layer="4")
    assert found.values.isfinite().all()
    assert found.evaluations == {"forward": 3 + 3 + kept, "gradient": 0}
    hand = score_cam_by_hand(model, activation[1], images[1], 2, images[0])
    torch.testing.assert_close(found.values[1:2], enlarged(hand[None, None], True))


@pytest.mark.parametrize("method", ["score_cam", "ablation_cam"])
def test_a_layer_that_shows_nothing_gives_an_empty_map(model, images, method):
    with torch.no_grad():
        model[3].weight[:], model[3].bias[:] = 0, -1
    found = attribute(model, images, target=2, method=method, layer="4", relu=False)
    assert torch.equal(found.values, torch.zeros(3, 1, 8, 8, dtype=torch.float64))
    assert found.progress == (1, 1)


def test_score_cam_streams_the_most_active_channels_first_in_small_batches(model, images):
    sizes = []
    handle = model[0].register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    parts = list(stream(model, images[:2], target=2, method="score_cam", layer="3", batch_size=4, relu=False))
    handle.remove()
    assert max(sizes) == 4
    assert [part.progress for part in parts] == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    activation = model[:4](images[:2]).detach()
    for row in range(2):
        order = activation[row].abs().sum((1, 2)).argsort(descending=True)[:2]
        some = torch.zeros_like(activation[row])
        some[order] = activation[row, order]  # the others have no contrast
        with torch.no_grad():
            hand = score_cam_by_hand(model, some, images[row], 2, images[0])
        torch.testing.assert_close(parts[0].values[row : row + 1], enlarged(hand[None, None], False))


# --- Ablation-CAM ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", ["1", "4"])
@torch.no_grad()
def test_ablation_cam_by_brute_force(model, images, relu, layer):
    split = int(layer) + 1
    activation = model[:split](images)
    score = model(images)[:, 2]
    maps = torch.zeros_like(activation[:, :1])
    for k in range(activation.shape[1]):
        without = activation.clone()
        without[:, k] = 0
        maps[:, 0] += (score - model[split:](without)[:, 2]).reshape(3, 1, 1) * activation[:, k]
    found = attribute(model, images, target=2, method="ablation_cam", layer=layer, relu=relu)
    torch.testing.assert_close(found.values, enlarged(maps, relu))
    torch.testing.assert_close(found.score, score)


@torch.no_grad()
def test_ablation_cam_of_a_linear_head_weighs_channels_by_their_share(pooled, images):
    activation = pooled[:2](images)
    shares = activation.mean((2, 3)) * pooled[5].weight[1]
    expected = torch.einsum("nk,nkhw->nhw", shares, activation).unsqueeze(1)
    found = attribute(pooled, images, target=1, method="ablation_cam", relu=False)
    torch.testing.assert_close(found.values, expected)  # the map has the image's size


def test_ablation_cam_skips_silent_channels_and_runs_only_the_rest(model, images):
    with torch.no_grad():
        model[3].weight[:4], model[3].bias[:4] = 0, -1
    rows = []
    handle = model[6].register_forward_hook(lambda _m, inputs, _o: rows.append(len(inputs[0])))
    parts = list(stream(model, images, target=2, method="ablation_cam", layer="4", batch_size=6))
    handle.remove()
    active = int(model[:5](images).flatten(2).any(2).sum())
    assert active <= 15
    # The layer's output, its own score, and every active channel once.
    assert parts[-1].evaluations == {"forward": 3 + 3 + active, "gradient": 0}
    assert parts[-1].progress == (5, 5)
    assert max(rows) == 6


# --- Eigen-CAM -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["0", "3", "4"])
def test_eigen_cam_is_numpys_first_component(model, images, layer):
    activation = model[: int(layer) + 1](images).detach()
    found = attribute(model, images, target=2, method="eigen_cam", layer=layer)
    for row in range(3):
        matrix = activation[row].flatten(1).T.numpy()  # places by channels
        first = np.linalg.svd(matrix)[2][0]
        component = torch.from_numpy((matrix @ first).reshape(1, 1, *activation.shape[2:]))
        component *= component.sum().sign()
        torch.testing.assert_close(found.values[row : row + 1], enlarged(component, False), rtol=1e-6, atol=1e-8)
    assert found.evaluations == {"forward": 3, "gradient": 0}


def test_eigen_cam_is_the_same_for_every_target(model, images):
    found = attribute(model, images, target=Each(0, 3), method="eigen_cam")
    assert found.values.shape == (2, 3, 1, 8, 8)
    assert torch.equal(found.values[0], found.values[1])


# --- CAM -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [1, Contrast(0, 3)])
def test_cam_weighs_maps_by_the_heads_weights(pooled, images, target):
    weight, bias = pooled[5].weight, pooled[5].bias
    row, constant = (weight[1], bias[1]) if target == 1 else (weight[0] - weight[3], bias[0] - bias[3])
    expected = torch.einsum("k,nkhw->nhw", row, pooled[:2](images)).detach().unsqueeze(1)
    found = attribute(pooled, images, target=target, method="cam")
    torch.testing.assert_close(found.values, expected)
    torch.testing.assert_close(found.values.mean((1, 2, 3)) + constant.detach(), found.score)
    grad_cam = attribute(pooled, images, target=target, method="grad_cam", relu=False)
    torch.testing.assert_close(found.values, 64 * grad_cam.values)
    assert torch.equal(attribute(pooled, images, target=target, method="cam", relu=True).values, found.values.relu())
    assert found.evaluations == {"forward": 1, "gradient": 3}


def test_cam_finds_functional_pooling_and_convolutional_heads(cifar):
    x, y = cifar.images[:2], cifar.labels[:2]
    found = attribute(cifar.model, x, target=y, method="cam")
    same = attribute(cifar.model, x, target=y, method="grad_cam", layer="layer3", relu=False)
    torch.testing.assert_close(found.values, 64 * same.values, rtol=1e-4, atol=1e-4)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(5, 4, 1), nn.Flatten())
    found = attribute(model.eval(), x, target=1, method="cam")
    maps = torch.einsum("k,nkhw->nhw", model[3].weight[1, :, 0, 0], model[:2](x)).detach()
    torch.testing.assert_close(found.values, enlarged(maps.unsqueeze(1), False, (32, 32)), rtol=1e-4, atol=1e-5)


class Rectified(nn.Module):
    """What is pooled never leaves a layer: it is rectified in place after the convolution."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(2, 6, 3), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(functional.relu_(self.convolution(x)).mean((2, 3)))


def test_cam_refuses_models_without_such_a_head(model, images):
    torch.manual_seed(0)
    deep = nn.Sequential(nn.Conv2d(2, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.Linear(5, 4))
    largest = nn.Sequential(nn.Conv2d(2, 6, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    soft = nn.Sequential(nn.Conv2d(2, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4), nn.Softmax(1))
    for wrong in (model, deep, largest, soft, Rectified()):
        with pytest.raises(ModelError) as caught:
            attribute(wrong.double().eval(), images, target=1, method="cam")
        assert caught.value.code == "cam_head"


def test_cam_checks_a_named_layer(pooled, images):
    found = attribute(pooled, images, target=1, method="cam")
    for layer in ("1", pooled[1]):
        assert torch.equal(attribute(pooled, images, target=1, method="cam", layer=layer).values, found.values)
    for layer in ("0", "2"):
        with pytest.raises(ModelError) as caught:
            attribute(pooled, images, target=1, method="cam", layer=layer)
        assert caught.value.code == "cam_head"


def test_cam_refuses_scores_that_are_no_logits(pooled, images):
    for question in ({"target": 1, "score": "probability"}, {"target": lambda output: output[:, 0] ** 2}):
        with pytest.raises(TargetError) as caught:
            attribute(pooled, images, method="cam", **question)
        assert caught.value.code == "cam_target"


# --- transformers ----------------------------------------------------------------------------------------------------


class Tokens(nn.Module):
    """A class token that attends to patches once."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(2, 6, 2, 2)
        self.first = nn.Parameter(torch.randn(1, 1, 6))
        self.norm = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 4)

    def rest(self, x):
        return self.head(self.attention(x, x, x, need_weights=False)[0][:, 0])

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        return self.rest(self.norm(torch.cat([self.first.expand(len(x), -1, -1), x], 1)))


@torch.no_grad()
def test_ablating_channels_of_tokens_leaves_the_class_token_alone(images):
    torch.manual_seed(0)
    model = Tokens().double().eval()
    tokens = torch.cat([model.first.expand(3, -1, -1), model.embed(images).flatten(2).transpose(1, 2)], 1)
    tokens = model.norm(tokens)
    maps = torch.zeros(3, 16, dtype=torch.float64)
    for k in range(6):
        without = tokens.clone()
        without[:, 1:, k] = 0
        maps += (model(images)[:, 1] - model.rest(without)[:, 1]).unsqueeze(1) * tokens[:, 1:, k]
    found = attribute(model, images, target=1, method="ablation_cam", relu=False)
    torch.testing.assert_close(found.values, enlarged(maps.reshape(3, 1, 4, 4), False))


@pytest.mark.parametrize("method", ["score_cam", "eigen_cam", "ablation_cam"])
def test_forward_methods_keep_all_targets(model, images, method):
    found = attribute(model, images, target=Each(0, 1, 2, 3), method=method)
    alone = attribute(model, images, target=3, method=method)
    assert found.values.shape == (4, 3, 1, 8, 8)
    torch.testing.assert_close(found.values[3], alone.values)
    assert found.evaluations == alone.evaluations
