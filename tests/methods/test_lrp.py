"""LRP against zennit and captum, its conservation, and what must not change it."""

import copy
from dataclasses import replace

import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from xaiwidgets.api import Contrast, Each, ModelError, ParameterError, attribute
from xaiwidgets.methods.lrp import composites
from xaiwidgets.methods.lrp_mode import Composite, Relevance
from xaiwidgets.methods.lrp_rules import alpha_beta, epsilon, flat, gamma, w_squared, z_box, z_plus

PROPORTIONAL = ("epsilon", "epsilon_plus", "epsilon_alpha2_beta1", "gamma", "alpha_beta", "z_plus")
FIRST = ("epsilon_plus_flat", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box", "deep_taylor")


def plain(bias=True, norm=True, eps=1e-5, seed=0):
    """Convolutions with batch norm, pooling and dense layers, one module each: what zennit and captum can do."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        norms = [nn.BatchNorm2d(6, eps), nn.BatchNorm2d(8, eps), nn.BatchNorm1d(16, eps)]
        norms = norms if norm else [nn.Identity() for _ in norms]
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1, bias=bias), norms[0], nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1, bias=bias), norms[1], nn.ReLU(), nn.Flatten(),
            nn.Linear(128, 16, bias=bias), norms[2], nn.ReLU(), nn.Linear(16, 4, bias=bias),
        )  # fmt: skip
        for part in model.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.weight.data.uniform_(-1.5, 1.5)  # negative ones turn the signs of the weights around
                part.bias.data.normal_()
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
        return model.double().eval(), torch.randn(3, 2, 8, 8, dtype=torch.float64)


def relevance(model, x, composite="epsilon_plus", **parameters):
    return attribute(model, x, target=parameters.pop("target", 1), method="lrp", composite=composite, **parameters)


def with_zennit(model, x, composite):
    pytest.importorskip("zennit", reason="zennit is not installed")
    from zennit.attribution import Gradient

    model = copy.deepcopy(model)
    chosen = torch.nn.functional.one_hot(torch.ones(len(x), dtype=torch.long), 4).double()
    with Gradient(model=model, composite=composite, attr_output=lambda output: output * chosen) as attributor:
        return attributor(x)[1]


PRESETS = [
    ("epsilon_plus", "EpsilonPlus", {}),
    ("epsilon_plus_flat", "EpsilonPlusFlat", {"epsilon": 0.1}),
    ("epsilon_alpha2_beta1", "EpsilonAlpha2Beta1", {"epsilon": 0.3}),
    ("epsilon_alpha2_beta1_flat", "EpsilonAlpha2Beta1Flat", {}),
    ("epsilon_gamma_box", "EpsilonGammaBox", {"low": -4.0, "high": 5.0}),
    ("epsilon_gamma_box", "EpsilonGammaBox", {"gamma": 2.0, "low": -9.0, "high": 9.0}),
]


def fused(model):
    """The same network with batch norm merged into the layers by torch."""
    parts = list(model)
    for at, part in enumerate(parts):
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            fuse = fuse_conv_bn_eval if isinstance(part, nn.BatchNorm2d) else fuse_linear_bn_eval
            parts[at - 1], parts[at] = fuse(parts[at - 1], part), nn.Identity()
    return nn.Sequential(*parts).eval()


@pytest.mark.parametrize("merging", ["nothing to merge", "zennit", "torch"])
@pytest.mark.parametrize(("name", "preset", "options"), PRESETS)
def test_zennit_agrees(name, preset, options, merging):
    zennit = pytest.importorskip("zennit", reason="zennit is not installed")
    from zennit.canonizers import SequentialMergeBatchNorm

    # zennit's merging leaves eps in the emptied batch norm
    model, x = plain(norm=merging != "nothing to merge", eps=0.0 if merging == "zennit" else 0.1)
    canonizers = [SequentialMergeBatchNorm()] if merging == "zennit" else []
    composite = getattr(zennit.composites, preset)(canonizers=canonizers, **options)
    expected = with_zennit(fused(model) if merging == "torch" else model, x, composite)
    values = relevance(model, x, name, **options).values
    assert float(expected.abs().max()) > 1e-4
    torch.testing.assert_close(values, expected, rtol=1e-7, atol=1e-7 * float(expected.abs().max()))


def test_zennit_agrees_on_other_layers():
    zennit = pytest.importorskip("zennit", reason="zennit is not installed")
    from zennit import rules

    model, x = plain(norm=False)
    pairs = [
        ("4", gamma(0.7), rules.Gamma(0.7)),
        ("8", alpha_beta(3), rules.AlphaBeta(3, 2)),
        ("11", epsilon(0.5), rules.Epsilon(0.5)),
        ("0", z_box(-5, 4), rules.ZBox(-5, 4)),
    ]
    theirs = zennit.composites.NameMapComposite([([name], rule) for name, _, rule in pairs])
    ours = Composite(layers={name: rule for name, rule, _ in pairs})
    torch.testing.assert_close(relevance(model, x, ours).values, with_zennit(model, x, theirs), rtol=1e-7, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("name", ["epsilon", "z_plus", "gamma"])
def test_captum_agrees(name):
    from captum import attr
    from captum.attr._utils import lrp_rules as captum

    ours, theirs = {
        "epsilon": (epsilon(1e-9), captum.EpsilonRule),
        "z_plus": (z_plus(bias=False), lambda: captum.Alpha1_Beta0_Rule(set_bias_to_zero=True)),
        "gamma": (gamma(0.25), captum.GammaRule),
    }[name]
    # its rules suppose positive inputs and, for gamma, no biases and a positive score
    model, x = plain(norm=False, bias=name == "epsilon")
    x, model = x.abs(), nn.Sequential(*(part for part in model if not isinstance(part, nn.Identity))).eval()
    target = model(x).argmax(1)
    ours = replace(ours, stabilizer=1e-9)  # the constant it adds
    values = relevance(model, x, Composite(ours, ours), target=target).values
    for part in model:
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Flatten):
            part.rule = captum.EpsilonRule() if isinstance(part, nn.Flatten) else theirs()
    expected = attr.LRP(model).attribute(x, target=target).detach()
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


# --- conservation ----------------------------------------------------------------------------------------------------


def without_bias(name):
    model, x = zoo.make(name)
    for part in model.modules():
        if getattr(part, "bias", None) is not None:
            part.bias.data.zero_()
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.zero_()
    return model, x


def exact(rule):
    return replace(rule, stabilizer=1e-14)


# A sign rule has nobody to hand relevance to where nothing pulls a unit to that side: units that shortcuts are added to may
# be on the other side themselves.
CONSERVING = [
    ("shared_relu", epsilon()), ("shared_relu", gamma()), ("shared_relu", z_plus()), ("residual", epsilon()),
    ("residual", gamma()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rule"), CONSERVING)
@pytest.mark.parametrize("first", [None, flat(), w_squared(), z_box()], ids=str)
def test_networks_without_biases_conserve(name, rule, first):
    """Shortcuts, pooling and layers used twice included."""
    model, x = without_bias(name)
    composite = Composite(exact(rule), exact(epsilon()), exact(first) if first else None)
    result = relevance(model, x, composite)
    assert float(result.score.abs().max()) > 0.1
    torch.testing.assert_close(result.values.flatten(1).sum(1), result.score, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(result.delta, torch.zeros_like(result.delta), rtol=0, atol=1e-9)


class BiasesFromInput(nn.Module):
    """The same network without biases: each layer sees another input, always one, whose weights are the biases."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, x, one):
        for part in self.parts:
            if isinstance(part, nn.Conv2d):
                centre = torch.zeros_like(part.weight[:, :1])
                centre[:, 0, 1, 1] = part.bias
                more = torch.cat([x, one[..., None, None].expand(-1, 1, *x.shape[2:])], 1)
                x = functional.conv2d(more, torch.cat([part.weight, centre], 1), padding=1)
            elif isinstance(part, nn.Linear):
                x = functional.linear(torch.cat([x, one], 1), torch.cat([part.weight, part.bias[:, None]], 1))
            else:
                x = part(x)
        return x


@pytest.mark.parametrize("rule", [epsilon(), gamma(), z_plus(), alpha_beta(2)], ids=str)
def test_inputs_and_biases_conserve(rule):
    model, x = plain(norm=False)
    composite = Composite(exact(rule), exact(epsilon()))
    ones = torch.ones(len(x), 1, dtype=x.dtype)
    both = relevance(BiasesFromInput(model).eval(), (x, ones), composite, wrt=[0, 1])
    alone = relevance(model, x, composite)
    torch.testing.assert_close(alone.values, both.values[0], rtol=1e-8, atol=1e-12)
    of_biases = both.values[1].squeeze(1)
    assert float(of_biases.abs().min()) > 1e-3
    torch.testing.assert_close(alone.values.flatten(1).sum(1) + of_biases, alone.score, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(alone.delta, -of_biases, rtol=1e-6, atol=1e-10)


# --- what must not change anything -----------------------------------------------------------------------------------


class Functional(nn.Module):
    """`plain` written with functions, in place, with one rectifier and a product instead of the last layer."""

    def __init__(self, parts):
        super().__init__()
        self.parts, self.relu = parts, nn.ReLU(inplace=True)

    def forward(self, x):
        conv1, norm1, _, _, conv2, norm2, _, _, dense, norm3, _, last = self.parts
        x = conv1(x)
        x = functional.relu_(norm1(x))
        x = functional.max_pool2d(x, 2)
        x = functional.conv2d(x, conv2.weight, conv2.bias, 1, 1)
        x = functional.batch_norm(x, norm2.running_mean, norm2.running_var, norm2.weight, norm2.bias, eps=norm2.eps)
        x = self.relu(x).flatten(1)
        x = self.relu(norm3(dense(x)))
        return torch.addmm(last.bias, x, last.weight.t())


@pytest.mark.parametrize("name", [*PROPORTIONAL, *FIRST])
def test_functions_modules_and_places_are_the_same(name):
    model, x = plain()
    shared = nn.Sequential(*model)
    shared[2] = shared[6] = shared[10] = nn.ReLU(inplace=True)
    expected = relevance(model, x, name).values
    for other in (Functional(model).eval(), shared.eval()):
        torch.testing.assert_close(relevance(other, x, name).values, expected, rtol=1e-10, atol=1e-14)


class Prepared(nn.Module):
    """Moves, shifts and scales its input before the first layer: what that layer sees is what the rule is about."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        x = x.permute(0, 3, 1, 2).contiguous().sub_(0.5) / 0.25
        return self.model(torch.stack([x[:, 0], x[:, 1]], 1).clone())


@pytest.mark.parametrize("name", FIRST)
def test_the_first_layer_is_found_behind_preparations(name):
    model, x = plain()
    raw = (x * 0.25 + 0.5).permute(0, 2, 3, 1)
    options = {"low": -4.0, "high": 5.0} if name == "epsilon_gamma_box" else {}
    expected = relevance(model, x, name, **options).values.permute(0, 2, 3, 1)
    torch.testing.assert_close(relevance(Prepared(model).eval(), raw, name, **options).values, expected)
    if options:
        with pytest.raises(ParameterError, match="outside the box"):
            relevance(Prepared(model).eval(), raw, name, low=0.0, high=1.0)


def test_an_input_may_be_written_to():
    """A part that is overwritten gets nothing, also where something has read it before."""
    model, x = plain(norm=False)

    class Occluding(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            before = x.sum((1, 2, 3)) * 0  # reads it
            x[:, :, :2].zero_()
            x[:, :, :, 0] = 0.5
            return self.model(x) + before[:, None]

    written = x.clone()
    written[:, :, :2], written[:, :, :, 0] = 0, 0.5
    expected = relevance(model, written, "epsilon_plus_flat").values
    found = relevance(Occluding().eval(), x, "epsilon_plus_flat").values
    assert float(found[:, :, :2].abs().max()) == float(found[:, :, :, 0].abs().max()) == 0
    torch.testing.assert_close(found[:, :, 2:, 1:], expected[:, :, 2:, 1:])


def test_an_input_of_zeros_still_gets_relevance_from_the_first_layer():
    model, x = plain(norm=False)
    x[:, :, :4] = 0
    assert float(relevance(model, x, "epsilon_plus_flat").values[:, :, :3].abs().min()) > 0
    assert float(relevance(model, x, "epsilon_plus").values[:, :, :4].abs().max()) == 0


@pytest.mark.parametrize("name", zoo.ALL)
def test_any_network(name):
    """The model and its score are as they were, each row stands alone, batches and several targets change nothing."""
    model, inputs = zoo.make(name)
    composite = "epsilon" if "_" in name and name not in zoo.RELU else "epsilon_alpha2_beta1"
    options = {"wrt": next(iter(inputs))} if isinstance(inputs, dict) else {}
    state = copy.deepcopy(model.state_dict())
    hooks = [(len(part._forward_hooks), len(part._backward_hooks)) for part in model.modules()]
    result = relevance(model, inputs, composite, **options)
    values = result.values
    assert bool(torch.isfinite(values).all())
    assert float(values.abs().max()) > 1e-4
    plain_score = attribute(model, inputs, target=1, method="saliency", **options).score
    torch.testing.assert_close(result.score, plain_score, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(result.delta, values.flatten(1).sum(1) - result.score)
    single = relevance(model, inputs, composite, batch_size=1, **options).values
    # some of Hugging Face's layers compute in single precision whatever they are given
    torch.testing.assert_close(single, values, rtol=1e-4, atol=1e-6)
    each = relevance(model, inputs, composite, target=Each(0, 1, Contrast(1, 0)), **options).values
    torch.testing.assert_close(each[1], values, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(each[2], each[1] - each[0], rtol=1e-4, atol=1e-6)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert hooks == [(len(part._forward_hooks), len(part._backward_hooks)) for part in model.modules()]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_probabilities_are_expanded_around_the_outputs():
    model, x = plain()
    output = model(x).detach().requires_grad_()
    output.softmax(1)[:, 1].sum().backward()
    expected = sum(
        relevance(model, x, target=k).values * (output.grad[:, k])[:, None, None, None] for k in range(4)
    )  # fmt: skip
    found = attribute(model, x, target=1, method="lrp", score="probability")
    torch.testing.assert_close(found.values, expected)
    torch.testing.assert_close(found.score, output.softmax(1)[:, 1].detach())


# --- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1"])
def test_relevance_at_a_layer(composite):
    """What a layer's outputs have is what the rest of the network hands down, by rules that are not the first layer's."""
    model, x = plain()
    inner = relevance(model, x, composite, layer="3")
    rest = relevance(model[4:].eval(), model[:4](x).detach(), composite.removesuffix("_flat"))
    torch.testing.assert_close(inner.values, rest.values, rtol=1e-10, atol=1e-14)
    assert inner.values.shape == (3, 6, 4, 4)
    if composite == "epsilon":  # of a map that conserves: all of it comes from there
        model, x = plain(bias=False, norm=False)
        whole, inner = (relevance(model, x, exact_composite(), **at) for at in ({}, {"layer": "3"}))
        torch.testing.assert_close(whole.values.flatten(1).sum(1), inner.values.flatten(1).sum(1))


def exact_composite():
    return Composite(exact(epsilon()), exact(epsilon()))


def test_rules_by_name():
    model, x = plain(norm=False)
    every = relevance(model, x, Composite(layers={"*": gamma(0.5)})).values
    torch.testing.assert_close(every, relevance(model, x, "gamma", gamma=0.5).values)
    some = Composite(z_plus(), layers={"[04]": epsilon(0.1), "11": epsilon(0.5)})
    assert not torch.allclose(relevance(model, x, some).values, relevance(model, x, Composite(z_plus())).values)
    only_conv = Composite(layers={"0": z_plus(), "4": z_plus()})
    torch.testing.assert_close(relevance(model, x, only_conv).values, relevance(model, x, "epsilon_plus").values)


# --- operations ------------------------------------------------------------------------------------------------------


def hand_down(function, x, composite=None):
    """Gradient × input under the mode, without the rest of the library."""
    x = x.clone().requires_grad_()
    mode = Relevance(composite or exact_composite())
    mode.begin(None, x)
    with mode:
        output = function(x)
    output = mode.end(output)
    return (torch.autograd.grad(output.sum(), x)[0] * x).detach(), output.detach()


POSITIVE = torch.tensor([[0.3, 1.7, 2.2, 0.9]], dtype=torch.float64)
CONSERVED = {
    "gelu": functional.gelu,
    "gelu, tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "softplus": functional.softplus,
    "hardswish": functional.hardswish,
    "leaky_relu": functional.leaky_relu,
    "clamp": lambda x: x.clamp(0.5, 2),
    "pow": lambda x: x**3,
    "two to the power": lambda x: 2**x,
    "square root": torch.sqrt,
    "product": lambda x: x * x.flip(1),
    "matmul": lambda x: x @ x.T,
    "bmm": lambda x: torch.bmm(x[None], x[None].mT),
    "einsum": lambda x: torch.einsum("bi,bi->b", x, x.flip(1)),
    "in place": lambda x: x.clone().mul_(x.sigmoid()).add_(x),
    "weights made from the input": lambda x: functional.linear(x, x.mT @ x),
    "kernels made from the input": lambda x: functional.conv1d(x[None], x[None, :, :2]),
    "a bias made from the input": lambda x: functional.linear(x, torch.eye(4, dtype=x.dtype), x[0] * x[0]),
    "addmm of the input": lambda x: torch.addmm(x, x @ x.mT, x, beta=2.0, alpha=-0.25),
    "baddbmm of the input": lambda x: torch.baddbmm(x[None], x[None] @ x[None].mT, x[None]),
    "division": lambda x: x / (1 + x.abs().sum()),
    "rms norm": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "rms norm, power": lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).pow(-0.5),
    "rms norm, division": lambda x: x / torch.sqrt(x.pow(2).mean(-1, keepdim=True)),
    "rms norm of torch": lambda x: functional.rms_norm(x, normalized_shape=(4,)),
    "normalize": functional.normalize,
    "lerp": lambda x: torch.lerp(x, x.flip(1), x.sigmoid()),
    "max pool": lambda x: functional.max_pool1d(x[:, None], 2),
    "mean pool": lambda x: functional.avg_pool1d(x[:, None], 2),
    "winner": lambda x: x.amax(1) + torch.maximum(x, x.flip(1)).sum(1) + x.topk(2).values.sum(1),
    "cat, pad, roll": lambda x: functional.pad(torch.cat([x, x.roll(1, 1)], 1), (1, 1)),
    "written into": lambda x: (
        torch.zeros_like(x).index_put((torch.tensor([0]),), x[0]) + x.clone().masked_fill_(x > 9, 0)
    ),
}


@pytest.mark.parametrize("name", CONSERVED)
def test_operations_conserve(name):
    relevances, output = hand_down(CONSERVED[name], POSITIVE)
    # functions that are not zero at zero are stabilized
    torch.testing.assert_close(relevances.sum(), output.sum(), rtol=2e-5, atol=0)


@pytest.mark.parametrize(
    "pair",
    [
        (lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3))),
         lambda x: functional.gelu(x, approximate="tanh")),
        (lambda x: x * torch.sigmoid(x), functional.silu),
        (lambda x: x * 0.5 * (1.0 + torch.erf(x / 2**0.5)), functional.gelu),
        (lambda x: x * torch.tanh(functional.softplus(x)), functional.mish),
    ],
)  # fmt: skip
def test_activations_written_out_are_what_torch_has(pair):
    written, of_torch = pair
    x = torch.linspace(-3, 3, 31, dtype=torch.float64).reshape(1, -1)
    expected, output = hand_down(of_torch, x)
    torch.testing.assert_close(hand_down(written, x)[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(expected, output)


def test_a_bias_is_no_activation():
    """Something added to a unit keeps its relevance, whatever is multiplied later."""
    relevances, output = hand_down(lambda x: (x + 1) * torch.sigmoid(x + 1), POSITIVE)
    torch.testing.assert_close(relevances, output * POSITIVE / (POSITIVE + 1), rtol=1e-5, atol=0)


def test_values_near_zero_stay_finite():
    x = torch.tensor([[0.0, 1e-300, -1e-20, 1e-8]], dtype=torch.float64)
    for function in (torch.sigmoid, torch.exp, torch.cos, functional.gelu, torch.tanh, functional.softplus):
        relevances, _ = hand_down(function, x)
        assert bool(torch.isfinite(relevances).all())
        assert float(relevances[0, 0]) == 0
    # Two that almost cancel: what each gets is bounded by the stabilizer, or by the slope of functions through zero.
    x = torch.tensor([[1.0, 1.0 - 1e-12]], dtype=torch.float64)
    for function, bound in ((torch.sigmoid, 1e6), (torch.exp, 2e6), (functional.gelu, 1), (torch.tanh, 2)):
        relevances, _ = hand_down(lambda x, function=function: function(x[:, 0] - x[:, 1]), x)
        assert float(relevances.abs().max()) < bound


def test_reciprocals_are_constants():
    size = POSITIVE.pow(2).mean()
    for inverse in (torch.rsqrt, lambda s: s.pow(-0.5), lambda s: s**-0.5, lambda s: 1 / s.sqrt(),
                    lambda s: s.sqrt().reciprocal(), lambda s: torch.div(1.0, s.sqrt())):  # fmt: skip
        relevances, _ = hand_down(lambda x, inverse=inverse: x[:, 0] * inverse(x.pow(2).mean()), POSITIVE)
        expected = torch.zeros_like(POSITIVE)
        expected[0, 0] = POSITIVE[0, 0] * size.rsqrt()
        torch.testing.assert_close(relevances, expected)


def test_norms_are_constants():
    x = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.linspace(-1, 2, 6, dtype=torch.float64)

    def by_hand(x, axes, scale):
        deviation = torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + 1e-5)
        return (x - x.mean(axes, keepdim=True)) / deviation, scale

    def check(function, axes, scale, grouped=lambda x: x):
        found, _ = hand_down(lambda x: function(x).square().sum((1, 2)), x)
        leaf = x.clone().requires_grad_()
        inner = grouped(leaf)
        deviation = torch.sqrt(inner.var(axes, unbiased=False, keepdim=True) + 1e-5).detach()
        normal = ((inner - inner.mean(axes, keepdim=True)) / deviation).reshape(x.shape) * scale
        value = normal.detach() * normal  # x² hands down x² / x
        torch.testing.assert_close(
            found, (torch.autograd.grad(value.sum(), leaf)[0] * x), rtol=2e-5, atol=2e-5 * float(found.abs().max())
        )

    channels = weight[:, None]
    check(lambda x: functional.layer_norm(x, normalized_shape=(6, 5)), (1, 2), 1)
    check(lambda x: functional.group_norm(x, 3, weight), 2, channels, lambda x: x.reshape(2, 3, -1))
    check(lambda x: functional.instance_norm(x, weight=weight), 2, channels)
    check(lambda x: (x - x.mean((1, 2), keepdim=True)) / torch.sqrt(x.var((1, 2), unbiased=False, keepdim=True) + 1e-5),
          (1, 2), 1)  # fmt: skip


def test_batch_norm_elsewhere_is_a_scale_and_a_shift():
    _, x = plain()
    norm = nn.BatchNorm2d(2).double().eval().requires_grad_(requires_grad=False)
    norm.weight.data.copy_(torch.tensor([-2.0, 0.5]))
    norm.bias.data.fill_(3.0)
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None].detach()
    torch.testing.assert_close(hand_down(lambda x: norm(x).relu(), x)[0], x * scale * (norm(x) > 0))
    with pytest.raises(ModelError, match="from the batch"):
        attribute(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).double(), x, target=(0, 0, 0), method="lrp",
                  training=True)  # fmt: skip


LSTM = nn.LSTM(4, 3).double().requires_grad_(requires_grad=False)
REFUSED = {
    "fft": lambda x: torch.fft.fft(x).abs().sum(1),
    "cdist": lambda x: torch.cdist(x, x + 1).sum(1),
    "rounding": lambda x: torch.div(x, 2 * x, rounding_mode="trunc").sum(1),
    "two arguments": lambda x: torch.pow(x, x).sum(1),
    "a fused recurrence": lambda x: LSTM(x[None])[0].sum((0, 2)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_rule_covers_is_an_error(name):
    with pytest.raises(ModelError, match=r"no rule|fused"):
        attribute(REFUSED[name], POSITIVE, method="lrp")


def test_what_a_composite_does_not_fit_is_an_error():
    constants = torch.ones(4, 4, dtype=torch.float64), torch.ones(4, 4, dtype=torch.float64)
    with pytest.raises(ModelError, match="several constant factors"):
        attribute(
            lambda x: torch.einsum("bi,ij,jk->bk", x, *constants), POSITIVE, target=0, method="lrp", composite="gamma"
        )
    with pytest.raises(ModelError, match="no layer does"):
        attribute(lambda x: x.sin().sum(1), POSITIVE, method="lrp", composite="epsilon_plus_flat")
    with pytest.raises(ModelError, match="into the input"):
        attribute(_writes_into_its_input, POSITIVE, method="lrp", composite="epsilon_plus_flat")


def _writes_into_its_input(x):
    x[:, 0] = x[:, 1].sin()
    return x.sum(1)


@pytest.mark.parametrize(
    ("domain", "rule"), [("box", z_box()), ("real", w_squared()), ("positive", z_plus(bias=False))]
)
def test_deep_taylor(domain, rule):
    model, x = plain()
    x = x.abs()
    result = attribute(model, x, target=2, method="deep_taylor", domain=domain)
    hidden = z_plus(bias=False)
    expected = relevance(model, x, Composite(hidden, hidden, rule), target=2)
    assert torch.equal(result.values, expected.values)
    sign = torch.sign(result.score)[:, None, None, None]
    assert float((result.values * sign).min()) >= 0
    torch.testing.assert_close(result.values.flatten(1).sum(1), result.score, rtol=1e-4, atol=0)
    if domain == "box":
        same = relevance(model, x, "deep_taylor", target=2).values
        assert torch.equal(result.values, same)


def test_named_composites_are_choices():
    from xaiwidgets.api import methods

    (method,) = (one for one in methods() if one.name == "lrp")
    choices = next(one for one in method.parameters if one.name == "composite").choices
    assert set(choices) == set(composites())
    with pytest.raises(ParameterError, match="not a choice"):
        relevance(*plain(), "epsilon_plu")


@pytest.mark.parametrize("name", ["deep_taylor", "excitation_backprop", "attn_lrp"])
def test_single_precision_is_enough(name, digits):
    images = digits.images[:4]
    low = attribute(digits.model, images, target=digits.labels[:4], method=name).values
    high = attribute(
        copy.deepcopy(digits.model).double(), images.double(), target=digits.labels[:4], method=name
    ).values
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.double(), high, rtol=1e-3, atol=1e-4 * float(high.abs().max()))
