"""Gradient-weighted class activation maps against their definitions and captum."""

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute, stream
from xaiwidgets.engine.registry import METHODS
from xaiwidgets.engine.target import Contrast, Each

WEIGHTED = ("grad_cam", "hires_cam", "grad_cam_pp", "xgrad_cam", "layer_cam")


class Net(nn.Module):
    """Functional and in-place operations around a rectified last convolution, means over places, one linear layer."""

    def __init__(self, classes=4):
        super().__init__()
        self.first = nn.Conv2d(2, 5, 3, padding=1)
        self.last = nn.Sequential(nn.Conv2d(5, 6, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        x = self.last(functional.relu(self.first(x)))
        return self.head(x.mean((2, 3)))


class Deep(Net):
    """The same with more after the last maps, so that gradients differ from place to place."""

    def __init__(self, classes=4):
        super().__init__()
        self.inner = nn.Linear(6 * 16, 12)
        self.head = nn.Linear(12, classes)

    def forward(self, x):
        x = self.last(functional.relu(self.first(x))).mul_(1.5)
        return self.head(torch.tanh(self.inner(x.flatten(1))))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def deep():
    torch.manual_seed(0)
    return Deep().double().eval()


@pytest.fixture
def images():
    return torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def tapped(model, layer, x):
    """Activation of a layer and the scores, in one graph."""
    seen = []
    handle = layer.register_forward_hook(lambda _m, _i, output: (seen.append(output), output.clone())[1])
    scores = model(x)
    handle.remove()
    return seen[0], scores


def by_hand(name, activation, gradient):
    """The papers' formulas, channel by channel and place by place."""
    a, g = activation.detach().numpy(), gradient.numpy()
    rows, channels, height, width = a.shape
    maps = torch.zeros(rows, 1, height, width, dtype=activation.dtype)
    for n in range(rows):
        for k in range(channels):
            for i in range(height):
                for j in range(width):
                    weight = {
                        "grad_cam": lambda n, k, _i, _j: g[n, k].sum() / (height * width),
                        "hires_cam": lambda n, k, i, j: g[n, k, i, j],
                        "xgrad_cam": lambda n, k, _i, _j: sum(
                            a[n, k, p, q] / a[n, k].sum() * g[n, k, p, q]
                            for p, q in np.ndindex(height, width)
                            if a[n, k].any()
                        ),
                        "layer_cam": lambda n, k, i, j: max(g[n, k, i, j], 0),
                    }[name](n, k, i, j)
                    maps[n, 0, i, j] += float(weight * a[n, k, i, j])
    return maps


def enlarged(maps, relu, size=(8, 8)):
    return functional.interpolate(maps.relu() if relu else maps, size, mode="bilinear")


@pytest.mark.parametrize("relu", [True, False])
def test_captum_agrees(cifar, relu):
    x, y = cifar.images[:8], cifar.labels[:8]
    maps = attr.LayerGradCam(cifar.model, cifar.model.layer3).attribute(x, target=y, relu_attributions=relu)
    found = attribute(cifar.model, x, target=y, method="grad_cam", relu=relu)  # layer3 is the last with places
    assert found.values.shape == (8, 1, 32, 32)
    torch.testing.assert_close(found.values, enlarged(maps.detach(), False, (32, 32)), rtol=1e-4, atol=1e-5)


def test_the_last_layer_with_places_is_found(cifar):
    x, y = cifar.images[:2], cifar.labels[:2]
    chosen = attribute(cifar.model, x, target=y, method="grad_cam")
    for layer in ("layer3", cifar.model.layer3):
        named = attribute(cifar.model, x, target=y, method="grad_cam", layer=layer)
        torch.testing.assert_close(chosen.values, named.values)
        assert named.evaluations == {"forward": 0, "gradient": 2}
    assert chosen.evaluations == {"forward": 0, "gradient": 1 + 2}


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("name", ["grad_cam", "hires_cam", "xgrad_cam", "layer_cam"])
def test_the_papers_formulas_agree(deep, images, name, relu):
    x = images.double()
    activation, scores = tapped(deep, deep.last, x)
    (gradient,) = torch.autograd.grad(scores[:, 2].sum(), activation)
    found = attribute(deep, x, target=2, method=name, relu=relu)
    torch.testing.assert_close(found.values, enlarged(by_hand(name, activation, gradient), relu))
    torch.testing.assert_close(found.score, scores[:, 2].detach())
    assert (found.values.amin() >= 0) == relu or name == "layer_cam"


def test_grad_cam_pp_is_made_of_derivatives_of_exp_of_the_score(images):
    """Second and third derivatives by differentiating three times, not as powers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double().eval()
    x = images[:1].double()
    activation = model[:2](x).detach().requires_grad_()
    score = model[2:](activation)[0, 1]
    y = score.exp()
    (first,) = torch.autograd.grad(y, activation, create_graph=True)
    second, third = torch.zeros_like(first), torch.zeros_like(first)
    for index in range(first.numel()):
        (along,) = torch.autograd.grad(first.flatten()[index], activation, create_graph=True)
        second.view(-1)[index] = along.flatten()[index]
        third.view(-1)[index] = torch.autograd.grad(along.flatten()[index], activation, retain_graph=True)[0].flatten()[
            index
        ]
    alpha = second / (2 * second + activation.sum((2, 3), keepdim=True) * third)
    weights = (alpha * first.relu()).sum((2, 3), keepdim=True) / y  # in units of score, not of exp(score)
    maps = (weights * activation).sum(1, keepdim=True).detach()
    for relu in (True, False):
        found = attribute(model, x, target=1, method="grad_cam_pp", layer="1", relu=relu)
        torch.testing.assert_close(found.values, enlarged(maps, relu))


def test_grad_cam_pp_stands_zero_gradients_and_signed_activations(images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Flatten(), nn.Linear(6 * 36, 2, bias=False)).eval()
    with torch.no_grad():
        model[2].weight[:, :36] = 0  # nothing depends on the first channel
        model[2].weight *= 40  # a pole of the unguarded formula lies at g ΣA = -2
    values = attribute(model, images, target=0, method="grad_cam_pp", layer="0", relu=False).values
    activation = model[0](images)
    gradient = model[2].weight[0].reshape(1, 6, 6, 6).relu()
    assert values.isfinite().all()
    # The weight of a channel is at most half the sum of its positive gradients.
    bound = (gradient.sum((2, 3), keepdim=True) / 2 * activation.abs()).sum(1)
    assert (values.abs().amax((1, 2, 3)) <= bound.amax((1, 2))).all()


def test_mean_pooling_and_a_linear_head_have_a_closed_form(net, images):
    activation = net.last(functional.relu(net.first(images))).detach()
    expected = torch.einsum("k,nkhw->nhw", net.head.weight[1], activation).detach().unsqueeze(1) / 16
    for name in ("grad_cam", "hires_cam", "xgrad_cam"):  # gradients are the same everywhere
        found = attribute(net, images, target=1, method=name, relu=False)
        torch.testing.assert_close(found.values, enlarged(expected, False))
        # Enlarged by a whole factor, bilinear maps keep their sum: the logit without its bias.
        total = found.values.sum((1, 2, 3)) / 4
        torch.testing.assert_close(total + net.head.bias[1], found.score, rtol=1e-4, atol=1e-5)


def test_hires_cam_sums_to_the_logit_where_a_linear_layer_follows(images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()
    activation = model[:2](images.double()).detach()
    expected = (activation * model[3].weight[2].reshape(4, 6, 6)).sum(1, keepdim=True).detach()
    found = attribute(model, images.double(), target=2, method="hires_cam", layer="1")
    torch.testing.assert_close(found.values, enlarged(expected, False))
    torch.testing.assert_close(expected.sum((1, 2, 3)) + model[3].bias[2], found.score)
    averaged = attribute(model, images.double(), target=2, method="grad_cam", layer="1", relu=False)
    assert (averaged.values - found.values).abs().max() > 0.01  # which Grad-CAM does not


def test_xgrad_cam_keeps_the_sum_and_silent_channels_stay_silent(deep, images):
    x = images.double()
    with torch.no_grad():
        deep.last[0].weight[0], deep.last[0].bias[0] = 0, -1  # never active
    activation, scores = tapped(deep, deep.last, x)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), activation)
    found = attribute(deep, x, target=1, method="xgrad_cam", relu=False)
    torch.testing.assert_close(found.values.sum((1, 2, 3)) / 4, (gradient * activation).sum((1, 2, 3)).detach())


def test_layer_cam_sharpens_early_layers(net, images):
    early = attribute(net, images, target=1, method="layer_cam", layer="first", relu=False)
    activation, scores = tapped(net, net.first, images)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), activation)
    torch.testing.assert_close(early.values, (activation * gradient.relu()).sum(1, keepdim=True).detach())


# --- Smooth Grad-CAM++ -----------------------------------------------------------------------------------------------


def test_smooth_grad_cam_pp_without_noise_is_grad_cam_pp(deep, images):
    x = images.double()
    smooth = attribute(deep, x, target=1, method="smooth_grad_cam_pp", noise=0.0, samples=3)
    torch.testing.assert_close(smooth.values, attribute(deep, x, target=1, method="grad_cam_pp").values)


def test_smooth_grad_cam_pp_averages_powers_of_noisy_gradients(deep, images):
    x = images[:2].double()
    width = x.flatten(1).amax(1) - x.flatten(1).amin(1)
    generator = torch.Generator().manual_seed(7)
    gradients = []
    for _ in range(3):
        shift = torch.randn(1, 2, 8, 8, generator=generator, dtype=torch.float64) * 0.3 * width.reshape(2, 1, 1, 1)
        for sign in (1, -1):
            activation, scores = tapped(deep, deep.last, x + sign * shift)
            gradients.append(torch.autograd.grad(scores[:, 1].sum(), activation)[0])
    first, second, third = (torch.stack([g**power for g in gradients]).mean(0) for power in (1, 2, 3))
    activation = tapped(deep, deep.last, x)[0].detach()
    denominator = 2 * second + third.clamp(min=0) * activation.sum((2, 3), keepdim=True)
    weights = (second / denominator * first.clamp(min=0)).sum((2, 3), keepdim=True)
    maps = (weights * activation).sum(1, keepdim=True)
    parts = list(
        stream(deep, x, target=1, method="smooth_grad_cam_pp", samples=6, noise=0.3, seed=7, relu=False, batch_size=4)
    )
    torch.testing.assert_close(parts[-1].values, enlarged(maps, False))
    assert [part.progress for part in parts] == [(2, 6), (4, 6), (6, 6)]
    assert parts[-1].evaluations == {"forward": 2, "gradient": 1 + 2 * 6}


def test_the_seed_alone_decides_the_noise(deep, images):
    def run(seed):
        return attribute(deep, images.double(), target=1, method="smooth_grad_cam_pp", samples=4, seed=seed).values

    state = torch.get_rng_state()
    first = run(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, run(0))
    assert not torch.equal(first, run(1))


# --- the whole family ------------------------------------------------------------------------------------------------

FAMILY = sorted(one.name for one in METHODS.values() if one.family == "cam")


@pytest.mark.parametrize("name", FAMILY)
def test_rows_are_independent_of_their_neighbours_and_of_the_batch(net, images, name):
    target = torch.tensor([0, 3, 1])
    together = attribute(net, images, target=target, method=name)
    one_by_one = attribute(net, images, target=target, method=name, batch_size=1)
    torch.testing.assert_close(one_by_one.values, together.values, rtol=1e-4, atol=1e-6)
    alone = attribute(net, images[1:2], target=3, method=name)
    torch.testing.assert_close(alone.values, together.values[1:2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FAMILY)
def test_several_targets_at_once(net, images, name):
    targets = (3, 1, Contrast(0, 2))
    found = attribute(net, images, target=Each(*targets), method=name)
    alone = [attribute(net, images, target=target, method=name) for target in targets]
    torch.testing.assert_close(found.values, torch.stack([one.values for one in alone]), rtol=1e-4, atol=1e-6)
    if alone[0].score is not None:
        torch.testing.assert_close(found.score, torch.stack([one.score for one in alone]))


def test_several_targets_share_the_forward_pass(deep, images):
    passes = []
    handle = deep.first.register_forward_hook(lambda _m, inputs, _o: passes.append(len(inputs[0])))
    for name in WEIGHTED:
        passes.clear()
        found = attribute(
            deep, images.double(), target=Each(0, 1, 2), method=name, layer="last", batch_size=16, relu=False
        )
        assert passes == [3]
        assert found.evaluations == {"forward": 0, "gradient": 9}
    handle.remove()


@pytest.mark.parametrize("name", sorted({*FAMILY} - {"guided_grad_cam"}))  # which is edges, signed in any case
def test_signed_maps_are_available_in_half_precision_too(net, images, name):
    net, images = net.bfloat16(), images.bfloat16()
    signed = attribute(net, images, target=1, method=name, relu=False)
    assert signed.values.dtype == torch.float32
    assert signed.values.isfinite().all()
    rectified = attribute(net, images, target=1, method=name, relu=True)
    assert rectified.values.amin() >= 0
