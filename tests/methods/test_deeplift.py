"""DeepLIFT against closed forms, difference quotients written out, captum where captum is right, and its own promise."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import zoo
from captum import attr
from torch import nn
from torch.nn import functional

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.target import Contrast, Each, Neuron


def double(*shape: int, seed: int = 0, scale: float = 1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def lifted(model, x, baseline, **keywords):
    return attribute(model, x, method="deeplift", baseline=baseline, **keywords)


def seeded(*layers: nn.Module) -> nn.Sequential:
    """Weights drawn from a seed, in float64."""
    model = nn.Sequential(*layers).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5
    return model


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("name", zoo.ALL)
def test_values_sum_to_the_change_of_the_score(name, score):
    model, inputs = zoo.make(name)
    for baseline in ("zeros", "uniform"):
        found = lifted(model, inputs, baseline, target=1, score=score)
        values = found.values if isinstance(found.values, torch.Tensor) else next(iter(found.values.values()))
        change = found.score - found.baseline_score
        assert float(change.abs().min()) > 1e-4
        assert float((values.flatten(1).sum(1) - change).abs().max()) <= 1e-8 * float(change.abs().max())
        assert float(found.delta.abs().max()) <= 1e-8 * float(change.abs().max())
        # Nothing explodes to cancel again: shares stay within reach of what is shared.
        assert float(values.abs().max()) < 100 * float(change.abs().max())


def stable_softmax(x):
    e = (x - x.max(1, keepdim=True)[0].detach()).exp()
    return (e / e.sum(1, keepdim=True))[:, 0]


def written_in_place(x):
    y = x * 1
    y.sin_().mul_(2).add_(x).div_(1 + x.abs())
    y *= x
    y[:, :4].relu_()
    y **= 2
    return y.sum(1)


def into_a_buffer(x):
    out = torch.zeros(len(x), 4, dtype=x.dtype)
    out[:, 1:3] = x[:, :2].sin()
    out[:, 0] = x[:, 3] * x[:, 4]
    return out.square().sum(1)


def grid(x, function):
    return function(x.reshape(-1, 1, 2, 4).repeat(1, 2, 2, 1)).flatten(1).sum(1)


SCALES = double(2).abs() + 0.5
OPERATIONS = {
    "operators": lambda x: ((1 - x).square() + 2 / (3 + x.abs()) + 2.0**x - (-x) ** 3 + abs(x)).sum(1),
    "power_of_each": lambda x: torch.pow(x.abs() + 1, torch.arange(8.0, dtype=torch.float64)).sum(1),
    "einsum": lambda x: torch.einsum("bi,bj->bij", [x, x.cos()]).sum((1, 2)),
    "matmul": lambda x: (x.reshape(-1, 2, 4) @ x.reshape(-1, 4, 2).sin()).sum((1, 2)),
    "addmm": lambda x: torch.addmm(x[:, :2], x[:, :4], double(4, 2)).square().sum(1),
    "bilinear": lambda x: functional.bilinear(x[:, :6], x[:, 2:], double(1, 6, 6)).sum(1),
    "logsumexp": lambda x: torch.logsumexp(x.reshape(-1, 2, 4) * 30, (1, 2)),
    "logaddexp": lambda x: torch.logaddexp(x[:, 0], x[:, 1] * 3),
    "log_softmax": lambda x: functional.log_softmax(x * 50, 1)[:, 2],
    "softmin": lambda x: (functional.softmin(x, 1) * torch.arange(8)).sum(1),
    "softmax_by_hand": stable_softmax,
    "hidden_by_infinity": lambda x: x.masked_fill(torch.arange(8) > 4, -math.inf).softmax(1)[:, 2],
    "max": lambda x: x.max(1)[0] + x.min(1, keepdim=True).values[:, 0] + x.reshape(-1, 2, 4).amax((1, 2)) - x.amin(1),
    "max_of_two": lambda x: (torch.max(x[:, :4], x[:, 4:]) + torch.minimum(x[:, :4], x[:, 4:] * 2)).sum(1),
    "where": lambda x: torch.where(x > 0, x, 0.01 * x).sum(1) + x.where(x > 0.2, x.square()).sum(1),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.0).sum(1),
    "mask": lambda x: (x * (x > 0)).sin().sum(1),
    "in_place": written_in_place,
    "buffer": into_a_buffer,
    "rms_norm": lambda x: functional.rms_norm(x, (8,)).sigmoid().sum(1),
    "group_norm": lambda x: grid(x, lambda y: functional.group_norm(y, 1, SCALES, SCALES).sin()),
    "instance_norm": lambda x: grid(x, lambda y: functional.instance_norm(y, weight=SCALES).relu()),
    "local_response_norm": lambda x: grid(x, lambda y: functional.local_response_norm(y, 2)),
    "cosine": lambda x: functional.cosine_similarity(x[:, :4], x[:, 4:], 1) + functional.normalize(x, dim=1)[:, 0],
    "moments": lambda x: x.std(1) * x.var(1, unbiased=False) + x.norm(dim=1) + x.norm(p=1, dim=1),
    "max_pool1d": lambda x: functional.max_pool1d(x[:, None], 3, 2, 1).square().sum((1, 2)),
    "max_pool2d": lambda x: grid(x, lambda y: functional.max_pool2d(y, 2, return_indices=True)[0].square()),
    "max_pool3d": lambda x: functional.max_pool3d(x.reshape(-1, 1, 2, 2, 2), 2).flatten(1).sum(1),
    "adaptive_max_pool": lambda x: functional.adaptive_max_pool1d(x[:, None], 3).sum((1, 2))
    + grid(x, lambda y: functional.adaptive_max_pool2d(y, 2)),
    "prelu": lambda x: grid(x, lambda y: functional.prelu(y, SCALES)),
    "activations": lambda x: (functional.softsign(x) + functional.mish(x) + functional.hardswish(4 * x)
                              + functional.tanhshrink(x) + functional.softplus(x, 2.0) + (3 * x).round()).sum(1),
    "gates": lambda x: (functional.glu(x, 1) + torch.lerp(x[:, :4], x[:, 4:], x[:, :4].sigmoid())).sum(1),
    "root_at_zero": lambda x: x.relu().sqrt().sum(1),
    "causal_attention": lambda x: functional.scaled_dot_product_attention(*[x.reshape(-1, 1, 2, 4)] * 3,
                                                                          is_causal=True).flatten(1).sum(1),
    "interpolate": lambda x: grid(x, lambda y: functional.interpolate(y, scale_factor=2, mode="bilinear").sin()),
    "reading_for_a_log": lambda x: x.sum(1) + 0 * float(x.detach().numpy().sum() > math.inf),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    function = OPERATIONS[name]
    x, x0 = double(3, 8, scale=0.8), double(3, 8, seed=1, scale=0.8)
    found = lifted(function, x, x0)
    torch.testing.assert_close(found.score, function(x))
    torch.testing.assert_close(found.baseline_score, function(x0))
    torch.testing.assert_close(found.values.sum(1), function(x) - function(x0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sharp_logits_neither_overflow_nor_lose_completeness(dtype):
    x, x0 = double(4, 6).to(dtype), double(4, 6, seed=1).to(dtype)
    for function in (lambda x: (x * 1e4).softmax(1)[:, 1], lambda x: (x * 1e4).log_softmax(1)[:, 1],
                     lambda x: (x * 200).logsumexp(1)):  # fmt: skip
        found = lifted(function, x, x0)
        assert bool(torch.isfinite(found.values).all())
        torch.testing.assert_close(found.values.sum(1), found.score - found.baseline_score, rtol=1e-5, atol=1e-5)


def test_a_constant_input_to_a_normalisation():
    """Layer norm of nothing is 0 / √ε: in float32 the halves of c · 1/σ would be hundreds that have to cancel."""
    x = double(3, 8).float()
    found = lifted(lambda x: functional.layer_norm(x, (8,)).relu().square().sum(1), x, 0.7)
    change = found.score - found.baseline_score
    assert float(found.delta.abs().max()) < 1e-5 * float(change.abs().max())
    assert float(found.values.abs().max()) < 10 * float(change.abs().max())


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_a_linear_model_and_one_nonlinearity():
    w = double(5)
    x, x0 = double(4, 5, seed=1), double(4, 5, seed=2)
    for function in (torch.relu, functional.gelu, functional.silu, torch.tanh, functional.elu, torch.exp):
        z, z0 = x @ w, x0 @ w
        expected = (x - x0) * w * ((function(z) - function(z0)) / (z - z0))[:, None]
        torch.testing.assert_close(lifted(lambda x, f=function: f(x @ w), x, x0).values, expected)


def test_a_network_written_out():
    """The chain rule for multipliers, one matrix after the other."""
    model = seeded(nn.Linear(4, 7), nn.GELU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3))
    x, x0 = double(5, 4, seed=3), double(5, 4, seed=4)
    a, a0 = [x], [x0]
    for layer in model:
        a.append(layer(a[-1]).detach())
        a0.append(layer(a0[-1]).detach())
    multiplier = model[4].weight[2].expand(5, -1)
    for index in (3, 2, 1, 0):
        if index % 2:
            multiplier = multiplier * (a[index + 1] - a0[index + 1]) / (a[index] - a0[index])
        else:
            multiplier = multiplier @ model[index].weight
    torch.testing.assert_close(lifted(model, x, x0, target=2).values, (multiplier * (x - x0)).detach())


def test_factors_share_what_they_do_together():
    x, x0 = double(6, 2), double(6, 2, seed=1)
    (a, b), (a0, b0) = x.T, x0.T
    expected = torch.stack([(a - a0) * (b + b0) / 2, (b - b0) * (a + a0) / 2], 1)
    for function in (
        lambda x: x[:, 0] * x[:, 1],
        lambda x: torch.einsum("b,b->b", x[:, 0], x[:, 1]),
        lambda x: (x[:, :1, None] @ x[:, 1:, None]).flatten(),
    ):
        torch.testing.assert_close(lifted(function, x, x0).values, expected)
    quotient = lifted(lambda x: x[:, 0] / (4 + x[:, 1]), x, x0).values
    r, r0 = 1 / (4 + b), 1 / (4 + b0)
    torch.testing.assert_close(quotient, torch.stack([(a - a0) * (r + r0) / 2, (r - r0) * (a + a0) / 2], 1))


def test_the_winners_share_a_maximum():
    # From 5 at place 0 to 7 at place 1: what is above the old maximum goes to the new winner, nothing to the old one.
    found = lifted(lambda x: x.max(1)[0], torch.tensor([[1.0, 7.0, 2.0]]), torch.tensor([[5.0, 0.0, 2.0]]))
    assert found.values.tolist() == [[0.0, 2.0, 0.0]]
    # From 7 at place 1 down to 5 at place 0: the fall is the old winner's.
    found = lifted(lambda x: x.amax(1), torch.tensor([[5.0, 0.0, 2.0]]), torch.tensor([[1.0, 7.0, 2.0]]))
    assert found.values.tolist() == [[0.0, -2.0, 0.0]]
    pooled = lifted(
        lambda x: functional.max_pool1d(x[:, None], 3).flatten(), *map(torch.tensor, ([[5.0, 0, 2]], [[1.0, 7, 2]]))
    )
    assert pooled.values.tolist() == [[0.0, -2.0, 0.0]]


@pytest.mark.parametrize("distance", [0.0, 1e-300, 1e-12, 1e-8, 1e-5, 1e-3])
def test_small_differences_have_the_derivatives_multipliers(distance):
    model, x = zoo.make("gated_mlp")
    x0 = x - distance * double(*x.shape, seed=5)
    found = lifted(model, x, x0, target=0)
    gradient = attribute(model, (x + x0) / 2, target=0, method="saliency", absolute=False).values
    torch.testing.assert_close(
        found.values, gradient * (x - x0), rtol=1e-4 if distance < 1e-4 else 0.05, atol=distance * 1e-5
    )


# --- what other libraries get wrong ----------------------------------------------------------------------------------


class Plain(nn.Module):
    """Convolution, rectifier and pooling, written in the five ways there are."""

    def __init__(self, style: str, activation: str = "relu"):
        super().__init__()
        self.style = style
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(16, 3)
        self.first, self.second = nn.ReLU(), nn.ReLU()
        self.shared, self.inplace, self.pool = nn.ReLU(), nn.ReLU(inplace=True), nn.MaxPool2d(2)

    def activate(self, x, first):
        return {
            "modules": lambda: (self.first if first else self.second)(x), "functional": lambda: functional.relu(x),
            "shared": lambda: self.shared(x), "in_place": lambda: self.inplace(x), "method": lambda: x.clamp(min=0),
        }[self.style]()  # fmt: skip

    def forward(self, x):
        x = self.pool(self.activate(self.conv1(x), True))
        return self.head(self.pool(self.activate(self.conv2(x), False)).flatten(1))


@pytest.mark.parametrize("style", ["modules", "functional", "shared", "in_place", "method"])
def test_the_commonest_block_however_it_is_written(style):
    """Conv-ReLU-MaxPool by the definitions, unit by unit."""
    model = Plain(style).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5
    x, x0 = double(2, 1, 8, 8), double(2, 1, 8, 8, seed=1)
    found = lifted(model, x, x0, target=1)
    torch.testing.assert_close(found.values.flatten(1).sum(1), (model(x) - model(x0))[:, 1].detach())

    def multiplied(after, after0, before, before0, m):
        return m * (torch.relu(before) - torch.relu(before0)) / (before - before0)

    def unpooled(z, z0, m):
        """Multipliers below a 2 × 2 maximum, window by window."""
        below = torch.zeros_like(z)
        for n, c, i, j in torch.cartesian_prod(*map(torch.arange, m.shape)).tolist():
            place = (n, c, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
            now, then = z[place].flatten(), z0[place].flatten()
            top = max(now.max(), then.max())
            for winner, rise in ((int(now.argmax()), top - then.max()), (int(then.argmax()), now.max() - top)):
                step = now[winner] - then[winner]
                if step != 0:
                    below[n, c, 2 * i + winner // 2, 2 * j + winner % 2] += m[n, c, i, j] * rise / step
        return below

    with torch.no_grad():
        u, u0 = model.conv1(x), model.conv1(x0)
        p, p0 = model.pool(u.relu()), model.pool(u0.relu())
        v, v0 = model.conv2(p), model.conv2(p0)
        m = model.head.weight[1].reshape(1, 4, 2, 2).expand(2, -1, -1, -1)
        m = multiplied(None, None, v, v0, unpooled(v.relu(), v0.relu(), m))
        m = functional.conv_transpose2d(m, model.conv2.weight, padding=1)
        m = multiplied(None, None, u, u0, unpooled(u.relu(), u0.relu(), m))
        m = functional.conv_transpose2d(m, model.conv1.weight, padding=1)
    torch.testing.assert_close(found.values, m * (x - x0))


def test_captum_agrees_where_it_is_right():
    model = seeded(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, stride=2), nn.Sigmoid(), nn.Flatten(), nn.Linear(24, 4),
                   nn.Tanh(), nn.Linear(4, 3))  # fmt: skip
    x, x0 = double(3, 2, 8, 8), double(3, 2, 8, 8, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = attr.DeepLift(model).attribute(x, baselines=x0, target=2)
    torch.testing.assert_close(lifted(model, x, x0, target=2).values, expected.detach())


def test_a_row_does_not_depend_on_its_neighbours():
    model, x = zoo.make("vit")
    together = lifted(model, x, 0.3, target=1, score="probability").values
    for row in range(3):
        alone = lifted(model, x[row : row + 1], 0.3, target=1, score="probability").values
        torch.testing.assert_close(alone[0], together[row])
    torch.testing.assert_close(lifted(model, x, 0.3, target=1, score="probability", batch_size=2).values, together)


# --- ways of asking --------------------------------------------------------------------------------------------------


def test_several_baselines_are_averaged():
    model, x = zoo.make("residual")
    many = [double(*x.shape, seed=seed) for seed in range(3)]
    each = [lifted(model, x, one, target=1) for one in many]
    found = lifted(model, x, many, target=1)
    torch.testing.assert_close(found.values, sum(one.values for one in each) / 3)
    torch.testing.assert_close(found.baseline_score, sum(one.baseline_score for one in each) / 3)
    assert found.error is None
    assert float(found.delta.abs().max()) < 1e-12
    assert found.evaluations == {"forward": 0, "gradient": 2 * 3 * 3}


def test_targets():
    model, x = zoo.make("shared_relu")
    each = lifted(model, x, "mean", target=Each(0, Contrast(1, 2)))
    assert each.values.shape == (2, *x.shape)
    one, other, rest = (lifted(model, x, "mean", target=target) for target in (0, 1, 2))
    torch.testing.assert_close(each.values[0], one.values)
    torch.testing.assert_close(each.values[1], other.values - rest.values)
    neuron = lifted(model, x, "mean", target=Neuron("conv2", 3))
    torch.testing.assert_close(neuron.values.flatten(1).sum(1), neuron.score - neuron.baseline_score)
    function = lifted(model, x, "mean", target=lambda output: output[:, 0].sigmoid() * output[:, 1])
    assert float(function.delta.abs().max()) < 1e-12


@pytest.mark.parametrize(("name", "layer"), [("shared_relu", "conv2"), ("vit", "blocks.0"), ("residual", "norm0")])
def test_at_a_layer(name, layer):
    model, x = zoo.make(name)
    found = lifted(model, x, 0.2, target=1, layer=layer)
    assert float(found.delta.abs().max()) < 1e-10
    whole = lifted(model, x, 0.2, target=1)
    torch.testing.assert_close(found.values.flatten(1).sum(1), whole.values.flatten(1).sum(1))  # the same change
    torch.testing.assert_close(found.score, whole.score)
    torch.testing.assert_close(found.baseline_score, whole.baseline_score)
    own = lifted(model, x, torch.zeros(found.values.shape[1:]), target=1, layer=layer)
    assert float(own.delta.abs().max()) < 1e-10


def test_precisions():
    model, x = zoo.make("vit")
    exact = lifted(model, x, "mean", target=1).values
    single = lifted(model.float(), x.float(), "mean", target=1)
    torch.testing.assert_close(single.values.double(), exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = lifted(model.bfloat16(), x.bfloat16(), "mean", target=1)
    assert half.values.dtype == torch.float32
    assert float((half.values.double() - exact).abs().mean()) < 0.2 * float(exact.abs().mean())


def test_precision_that_does_not_suffice_is_said():
    x = double(2, 5).float()
    with pytest.warns(UserWarning, match="float64"):
        lifted(lambda x: ((x + 1e6) - 1e6).sum(1), x, 0.0)


def test_random_numbers_are_the_same_in_both_passes():
    model = seeded(nn.Linear(5, 30), nn.Dropout(0.5), nn.ReLU(), nn.Linear(30, 2)).train()
    before = torch.get_rng_state()
    found = lifted(model, double(3, 5), 0.0, target=1, training=True)
    assert float(found.delta.abs().max()) < 1e-12
    assert torch.equal(before, torch.get_rng_state())


# --- refusals --------------------------------------------------------------------------------------------------------


class Branching(nn.Module):
    """Which layer comes next depends on the data, and both are called the same."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.up(x) if x.sum() > 0 else self.down(x)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Branching().double().eval(), "linear, with other arguments"),
        (lambda x: (x.sin() if x.sum() > 0 else x.cos())[:, :2], "sin, instead of cos|instead of"),
        (lambda x: x[:, :2] * x.max().item(), "mul, with other arguments"),
        (lambda x: x[torch.arange(len(x)), x.argmax(1)].unsqueeze(1).repeat(1, 2), "__getitem__, takes a tensor"),
        (lambda x: (x + (x > 0))[:, :2], "add, takes a tensor"),
        (lambda x: x[x > 0].sum().reshape(1, 1).repeat(1, 2), "__getitem__"),
        (
            lambda x: torch.stack([x[:, 0], *([x[:, 1].sin()] if x.sum() > 0 else [x[:, 1]])], 1),
            "of|after|After|instead",
        ),
    ],
)
def test_what_follows_the_data_is_no_difference(model, said):
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    x0 = torch.tensor([[-2.0, -1.0, -4.0, -3.0]], dtype=torch.float64)
    with pytest.raises(ModelError, match=said) as caught:
        lifted(model, x, x0, target=1)
    assert caught.value.code == "not_repeatable"


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.pow(x.abs(), x).sum(1), "pow"),
        (lambda x: x.topk(2, 1)[0].sum(1), "topk"),
        (lambda x: x.prod(1), "prod"),
        (lambda x: (x % 2).sum(1), "remainder"),
        (lambda x: torch.einsum("bi,bi,bi->b", x, x, x), "einsum"),
        (lambda x: torch.clamp(x, min=x.cos()).sum(1), "clamp"),
        (lambda x: torch.div(x, 1 + x.abs(), rounding_mode="floor").sum(1), "div"),
    ],
)
def test_operations_without_a_rule_are_named(function, name):
    with pytest.raises(ModelError, match=name) as caught:
        lifted(function, double(2, 4), 0.5)
    assert caught.value.code == "uncovered_operation"


def test_batch_statistics_are_refused():
    model = seeded(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 2)).train()
    with pytest.raises(ModelError, match="batch normalisation") as caught:
        lifted(model, double(2, 1, 8, 8), 0.0, target=0, training=True)
    assert caught.value.code == "batch_statistics"
