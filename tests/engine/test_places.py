"""Layers with places are found in convolutional networks and transformers, and read as maps."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.places import place_layer
from xaiwidgets.engine.problem import Problem


class Attention(nn.Module):
    """Self-attention from separate or fused projections, with the map in a module of its own."""

    def __init__(self, width, heads, fused):
        super().__init__()
        self.heads = heads
        if fused:
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.drop = nn.Dropout(0.1)
        self.norm = nn.Identity()
        self.out = nn.Linear(width, width)

    def forward(self, x):
        parts = self.qkv(x).chunk(3, -1) if hasattr(self, "qkv") else (self.query(x), self.key(x), self.value(x))
        q, k, v = (self.norm(part.unflatten(2, (self.heads, -1)).transpose(1, 2)) for part in parts)
        weights = self.drop((q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(-1))
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, width, fused):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 2, fused)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """A vision transformer; `extra` tokens come first, and `pool` is how its output is read."""

    def __init__(self, *, patch=4, size=(16, 16), width=8, extra=1, fused=False, pool="class", conv=True, classes=5):
        super().__init__()
        self.patch, self.pool, self.extra = patch, pool, extra
        grid = size[0] // patch, size[1] // patch
        self.embed = nn.Conv2d(3, width, patch, patch) if conv else nn.Linear(3 * patch * patch, width)
        self.first = nn.Parameter(torch.randn(1, extra, width))
        self.position = nn.Parameter(0.1 * torch.randn(1, grid[0] * grid[1] + extra, width))
        self.drop = nn.Dropout(0.1)
        self.start = nn.Identity()
        self.blocks = nn.Sequential(*(Layer(width, fused) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        if isinstance(self.embed, nn.Conv2d):
            x = self.embed(x).flatten(2).transpose(1, 2)
        else:
            x = self.embed(functional.unfold(x, self.patch, stride=self.patch).transpose(1, 2))
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.position
        x = self.norm(self.blocks(self.start(self.drop(x))))
        return self.head(x[:, 0] if self.pool == "class" else x[:, self.extra :].mean(1))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("extra", [1, 5])
def test_where_the_class_token_is_read_the_last_attentions_input_is_chosen(fused, conv, extra):
    torch.manual_seed(0)
    model = ViT(fused=fused, conv=conv, extra=extra).eval()
    place = place_layer(Problem(model, torch.rand(2, 3, 16, 16), target=1), None)
    assert place.name == "blocks.1.norm1"
    output = torch.rand(2, 16 + extra, 8)
    maps = place.maps(output)
    assert maps.shape == (2, 8, 4, 4)
    assert torch.equal(maps[1, 3], output[1, extra:, 3].reshape(4, 4))


def test_where_the_mean_token_is_read_the_last_norm_is_chosen():
    torch.manual_seed(0)
    problem = Problem(ViT(pool="mean", extra=2).eval(), torch.rand(2, 3, 16, 16), target=1)
    assert place_layer(problem, None).name == "norm"


@pytest.mark.parametrize("conv", [False, True])
def test_images_that_are_not_square(conv):
    torch.manual_seed(0)
    model = ViT(size=(12, 24), conv=conv).eval()
    place = place_layer(Problem(model, torch.rand(1, 3, 12, 24), target=1), None)
    output = torch.rand(1, 19, 8)
    maps = place.maps(output)
    assert maps.shape == (1, 8, 3, 6)
    assert torch.equal(maps[0, 0, 1, 2], output[0, 1 + 6 + 2, 0])


def test_a_fast_path_of_torch_does_not_hide_the_layers():
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 4, 4)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(8, 5)

        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)
            return self.head(self.encoder(torch.cat([x[:, :1], x], 1))[:, 0])

    place = place_layer(Problem(Model().eval(), torch.rand(2, 3, 16, 16), target=1), None)
    assert place.name == "encoder.layers.1.norm1"


def hugging_face(*names):
    """Classes of transformers, which are looked up only when they are asked for."""
    transformers = pytest.importorskip("transformers")
    try:
        return [getattr(transformers, name) for name in names]
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"transformers cannot load its vision models: {error}")


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
PATCHES = SMALL | {"image_size": 32, "patch_size": 8}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}


@pytest.mark.parametrize(
    ("family", "sizes", "layer", "grid"),
    [
        ("ViT", PATCHES | {"intermediate_size": 32}, ".1.layernorm_before", (4, 4)),
        # Its head reads the class token and the mean of the patches, so nothing is lost after the last block.
        ("Dinov2WithRegisters", PATCHES | {"num_register_tokens": 4}, ".layernorm", (4, 4)),
        ("Swin", SWIN, "swin.layernorm", (8, 8)),
    ],
)
def test_hugging_face_models(family, sizes, layer, grid):
    configure, build = hugging_face(f"{family}Config", f"{family}ForImageClassification")
    torch.manual_seed(0)
    model = build(configure(num_labels=5, **sizes)).eval()
    x = torch.rand(2, 3, 32, 32)
    problem = Problem(model, x, target=1)
    place = place_layer(problem, None)
    assert place.name.endswith(layer)
    assert place.maps(problem.layer_outputs(None, None, place.name)).shape == (2, 16, *grid)
    found = attribute(model, x, target=1, method="grad_cam", relu=False)
    assert found.values.shape == (2, 1, 32, 32)
    assert found.values.abs().amax((1, 2, 3)).min() > 0


def test_channels_last_maps_are_recognised():
    class Last(nn.Module):
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 7, 3, 2, 1), Last(), nn.LayerNorm(7), nn.Flatten(), nn.Linear(7 * 64, 5)).eval()
    place = place_layer(Problem(model, torch.rand(2, 3, 16, 16), target=1), None)
    assert place.name == "2"
    output = torch.rand(2, 8, 8, 7)
    assert torch.equal(place.maps(output), output.permute(0, 3, 1, 2))
    assert place.maps(torch.rand(2, 7, 8, 8)).shape == (2, 7, 8, 8)


def test_maps_are_views():
    problem = Problem(nn.Sequential(nn.Conv2d(3, 4, 1)), torch.rand(1, 3, 8, 8))
    place = place_layer(problem, "0")
    for output in (torch.rand(2, 6, 4, 4), torch.rand(2, 4, 4, 6), torch.rand(2, 65, 6)):
        place.maps(output)[:] = 0
        assert output.count_nonzero() == output.numel() // 65 * (output.ndim == 3)


class Side(nn.Module):
    """A head that is not part of the output runs last."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)
        self.side = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.trunk(x)
        return {"out": self.head(x.mean((2, 3))), "side": self.side(x)}


def test_layers_the_output_does_not_depend_on_are_passed_over():
    model = Side().eval()
    assert place_layer(Problem(model, torch.rand(2, 1, 8, 8), target=1), None).name == "trunk"


def test_the_choice_depends_neither_on_the_target_nor_on_saturation(digits):
    names = {
        place_layer(Problem(digits.model, 1e4 * digits.images[:1], target=target, score=score), None).name
        for target in (0, 9)
        for score in ("logit", "probability")
    }
    assert names == {"4"}


def test_models_without_gradients_still_have_a_last_layer(digits):
    def frozen(x):
        with torch.no_grad():
            return digits.model(x)

    problem = Problem(digits.model, digits.images[:2], target=1, forward=frozen)
    assert place_layer(problem, None).name == "4"


def test_one_look_is_enough(digits):
    session = Session(digits.model, digits.images[:2], target=3)
    assert session.attribute("grad_cam").evaluations == {"forward": 0, "gradient": 1 + 2}
    assert session.attribute("grad_cam").evaluations == {"forward": 0, "gradient": 2}
    named = Session(digits.model, digits.images[:2], target=3).attribute("grad_cam", layer="4")
    assert named.evaluations == {"forward": 0, "gradient": 2}


def test_errors_say_what_is_missing(digits):
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, method="grad_cam", layer="6")
    assert caught.value.code == "layer_shape"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).eval()
    with pytest.raises(ModelError) as caught:
        attribute(flat, digits.images[:1], target=0, method="grad_cam")
    assert caught.value.code == "no_layer"
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, method="grad_cam", layer="nowhere")
    assert caught.value.code == "unknown_layer"
    with pytest.raises(ModelError) as caught:
        attribute(partial(digits.model), digits.images[:1], target=0, method="grad_cam")
    assert caught.value.code == "no_layers"


def test_a_layer_read_only_through_its_class_token_is_refused():
    torch.manual_seed(0)
    model = ViT().eval()
    with pytest.raises(ParameterError) as caught:
        attribute(model, torch.rand(2, 3, 16, 16), target=1, method="grad_cam", layer="blocks.1")
    assert caught.value.code == "layer_unread"


def test_the_model_is_left_as_it_was():
    model = ViT().eval()
    place_layer(Problem(model, torch.rand(1, 3, 16, 16), target=1), None)
    assert not any(part._forward_hooks for part in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
