"""Asking what comes after a layer: the same answers as the whole model, without running what comes before."""

from __future__ import annotations

import pytest
import torch
import zoo
from captum import attr
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from xaiwidgets.api import Each, Session, attribute
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError

LAYERS = {
    "shared_relu": "conv2", "residual": "norm1", "gated_mlp": "norm", "vit": "blocks.0", "lstm_cell": "cell",
    "bert_sdpa": "bert.encoder.layer.0", "gpt2_sdpa": "transformer.h.0", "llama_sdpa": "model.layers.0",
    "vit_eager": ("vit.layers.0", "vit.encoder.layer.0"),  # newer and older transformers
}  # fmt: skip


def layer_of(module, name):
    return next(known for known, _ in module.named_modules() if known.endswith(LAYERS[name]))


def problem_of(name, rows=None):
    model, inputs = zoo.make(name)
    if rows is not None:
        inputs = {key: value[:rows] for key, value in inputs.items()} if isinstance(inputs, dict) else inputs[:rows]
    return model, Session(model, inputs, target=1).problem.begin()


def taped(suffix):
    return suffix.call.prefix.tape is not None


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_scores_and_gradients_are_those_of_the_whole_model(name, rows):
    _model, whole = problem_of(name, rows)
    layer = layer_of(whole.module, name)
    suffix = whole.at(layer)
    activation, gradient, scores = whole.layer_gradients(None, None, layer)
    torch.testing.assert_close(suffix.points, activation)
    found, values = suffix.gradients()
    torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(values, scores)
    # other points of the samples in another order, as methods ask them
    order = torch.tensor([0, rows - 1, 0, rows - 1, 0])
    points = suffix.points[order] * torch.linspace(0.2, 1.4, 5, dtype=torch.float64).reshape(
        -1, *[1] * (suffix.points.ndim - 1)
    )
    here = suffix.values(points, order)
    suffix.call.prefix.tape = None
    torch.testing.assert_close(here, suffix.values(points, order))


@pytest.mark.parametrize("name", sorted(LAYERS))
@torch.no_grad()
def test_what_comes_before_is_not_run_again(name):
    model, whole = problem_of(name)
    assert taped(whole.at(layer_of(model, name)))


@torch.no_grad()
def test_convolutions_before_the_layer_are_not_computed(cifar):
    suffix = Session(cifar.model, cifar.images[:2], target=0, batch_size=2).problem.begin().at("layer3")
    with Convolutions() as rest:
        suffix.values()
    with Convolutions() as whole:
        suffix.whole.values()
    assert (rest.count, whole.count) == (0, 19)


class Convolutions(TorchDispatchMode):
    """Counts those that are really computed."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "convolution" in str(func)
        return func(*args, **(kwargs or {}))


class Mixing(nn.Module):
    """Its operations depend on how many rows there are: no tape fits it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        for _ in range(x.shape[0]):
            x = x * 0.5 * 2
        h = self.first(x)
        return self.second(h.tanh())


@torch.no_grad()
def test_models_that_do_not_repeat_themselves_are_run_whole():
    model = Mixing().double().eval()
    whole = Session(model, torch.rand(2, 4, dtype=torch.float64), target=1).problem.begin()
    suffix = whole.at("first")
    assert not taped(suffix)
    expected = whole.layer_gradients(None, None, "first")[1]
    torch.testing.assert_close(suffix.gradients()[0], expected)


@torch.no_grad()
def test_hooks_added_later_make_it_run_whole(cifar):
    suffix = Session(cifar.model, cifar.images[:2], target=0).problem.begin().at("layer3")
    expected = suffix.values()
    seen = []
    handle = cifar.model.layer1.register_forward_hook(lambda _m, _a, output: seen.append(output.abs().mean()))
    try:
        torch.testing.assert_close(suffix.values(), expected)
    finally:
        handle.remove()
    assert not taped(suffix)
    assert seen


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1)
        return self.second(self.first(x).tanh())


@torch.no_grad()
def test_a_model_that_writes_to_itself_keeps_doing_so():
    model = Stateful().eval()
    suffix = Session(model, torch.rand(1, 4), target=1).problem.begin().at("first")
    assert not taped(suffix)
    before = model.count.clone()
    suffix.values()
    assert model.count > before


@pytest.mark.parametrize("layer", ["layer2", "layer3.1.conv1", "layer1.0"])
def test_captum_agrees_on_layer_integrated_gradients(cifar, layer):
    x, y = cifar.images[:2], cifar.labels[:2]
    module = dict(cifar.model.named_modules())[layer]
    expected = attr.LayerIntegratedGradients(cifar.model, module).attribute(x, target=y, n_steps=12)
    for named in (layer, module):
        found = attribute(cifar.model, x, target=y, layer=named, rule="gauss_legendre", steps=12)
        torch.testing.assert_close(found.values, expected.float(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift"])
def test_completeness_at_a_layer_everything_passes(cifar, method):
    found = attribute(cifar.model, cifar.images[:3], target=cifar.labels[:3], layer="layer2", method=method)
    torch.testing.assert_close(found.values.flatten(1).sum(1), found.score - found.baseline_score, rtol=5e-3, atol=5e-3)


def test_a_layer_in_front_of_an_in_place_operation():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 2)).double().eval()
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    found = attribute(model, x, target=1, layer="0", steps=512, tolerance=0.0005)
    assert found.values.shape == (2, 3, 4, 4)
    torch.testing.assert_close(found.values.flatten(1).sum(1), found.score - found.baseline_score, rtol=1e-3, atol=1e-4)


def test_token_numbers_are_explained_at_their_embedding():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = nn.Embedding(20, 6), nn.Linear(6, 3)

        def forward(self, tokens):
            return self.head(self.words(tokens).tanh().mean(1))

    model, tokens = Classifier().double().eval(), torch.randint(0, 20, (2, 5))
    found = attribute(model, tokens, target=2, layer="words", steps=64)
    assert found.values.shape == (2, 5, 6)
    with torch.no_grad():
        nothing = model.head(torch.zeros(6, dtype=torch.float64))[2]  # tanh(0) = 0: the baseline is a zero embedding
    torch.testing.assert_close(found.baseline_score, nothing.expand(2))
    torch.testing.assert_close(found.values.sum((1, 2)), found.score - found.baseline_score, rtol=1e-4, atol=1e-6)


def test_several_targets_at_a_layer_share_the_prefix(cifar):
    x = cifar.images[:2]
    each = attribute(cifar.model, x, target=Each(3, 5), layer="layer3", method="input_x_gradient")
    assert each.values.shape == (2, 2, 64, 8, 8)
    for place, target in enumerate((3, 5)):
        alone = attribute(cifar.model, x, target=target, layer="layer3", method="input_x_gradient")
        torch.testing.assert_close(each.values[place], alone.values)
        torch.testing.assert_close(each.score[place], alone.score)
    assert each.evaluations["forward"] == 2  # one pass for the layer's output, whatever the targets


def test_raising_the_steps_at_a_layer_pays_for_the_new_ones_only(cifar):
    session = Session(cifar.model, cifar.images[:1], target=int(cifar.labels[0]))
    first = session.attribute(layer="layer3", steps=17, tolerance=0)
    more = session.attribute(layer="layer3", steps=33, tolerance=0)
    assert first.evaluations["gradient"] == 17
    assert more.evaluations["gradient"] == 16
    assert more.evaluations["forward"] == 1  # the baseline up to the layer; the input's prefix is kept


def test_results_say_which_layer_they_are_of(digits):
    found = attribute(digits.model, digits.images[:1], target=0, layer="3", method="saliency")
    assert found.parameters == {"absolute": True, "layer": "3"}
    with pytest.raises(InputError) as caught:
        attribute(digits.model, digits.images[:1], target=0, layer="6", method="occlusion")
    assert caught.value.code == "not_an_image"
    assert "layer's output" in caught.value.detail


def test_unknown_and_unused_layers():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    model, x = Unused().eval(), torch.rand(1, 3)
    with pytest.raises(ParameterError) as caught:
        attribute(model, x, target=0, layer="usde")
    assert caught.value.code == "unknown_layer"
    assert "used" in str(caught.value)
    with pytest.raises(ModelError) as caught:
        attribute(model, x, target=0, layer="idle")
    assert caught.value.code == "layer_not_run"
