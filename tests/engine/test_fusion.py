"""Passes by plan give what the model itself gives, or the model itself is asked."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import xaiwidgets as xw
from xaiwidgets.engine import course
from xaiwidgets.engine.fusion import Fusion
from xaiwidgets.engine.stem import strided, suits


@pytest.fixture(autouse=True)
def small_networks_too(monkeypatch):
    monkeypatch.setattr(course, "LEAST_WORK", 0)


def randomised(model: nn.Module) -> nn.Module:
    """Statistics at their defaults would hide a wrong fold."""
    generator = torch.Generator().manual_seed(3)
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            size = part.num_features
            part.running_mean = 0.3 * torch.randn(size, generator=generator)
            part.running_var = 0.5 + torch.rand(size, generator=generator)
            if part.affine:
                part.weight.data = 0.5 + torch.rand(size, generator=generator)
                part.bias.data = 0.3 * torch.randn(size, generator=generator)
    return model.eval().requires_grad_(False)


class Residual(nn.Module):
    """Functional, shared and in-place ReLUs, a stem, a skip, a normalisation used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8, affine=False)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.BatchNorm2d(8)
        self.again = nn.Conv2d(8, 8, 1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.act(self.bn0(self.stem(x))), 2)
        y = functional.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)) + x)
        y = functional.relu(self.bn2(self.again(y)))
        return self.linear(y.mean((2, 3)))


def residual(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return randomised(Residual()).to(dtype)


def pictures(rows: int = 3, dtype: torch.dtype = torch.float64, size: int = 33) -> Tensor:
    return torch.randn(rows, 3, size, size - 1, generator=torch.Generator().manual_seed(1), dtype=dtype)


def passed(model, points: Tensor, fusion: Fusion | None = None):
    """Output and gradient of its sum of squares, through a fusion or the model's own."""
    leaf = points.clone().requires_grad_()

    def forward(count: int | None = None):
        return model(leaf[:count].clone())

    output = fusion.call(forward) if fusion is not None else forward()
    first = output[0] if isinstance(output, tuple) else output
    return first, torch.autograd.grad(first.square().sum(), leaf)[0]


def warmed(model: nn.Module, points: Tensor) -> Fusion:
    """A fusion that has had its first pass, and its second, which makes the plan."""
    fusion = Fusion(model)
    for _ in range(2):
        passed(model, points, fusion)
    return fusion


def folds(fusion: Fusion) -> int:
    return sum(step.folded for step in fusion._plan or () if step.kind == "normalisation")


def assert_same(model: nn.Module, points: Tensor, fusion: Fusion, room: float = 1e-10) -> None:
    for found, expected in zip(passed(model, points, fusion), passed(model, points), strict=True):
        assert float((found - expected).detach().abs().max()) <= room * float(expected.detach().abs().max())


def test_outputs_and_gradients_are_the_models_own():
    model = residual()
    before = copy.deepcopy(model.state_dict())
    fusion = warmed(model, pictures())
    assert folds(fusion) == 4
    assert sum(step.in_place for step in fusion._plan) == 3
    for points in (pictures(), pictures(7), 2 * pictures(2, size=40)):
        assert_same(model, points, fusion, 1e-12)
    assert folds(fusion) == 4  # other shapes are no other course
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("dtype", "room"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_single_and_half_precision_agree_as_far_as_they_go(dtype, room):
    model = residual(dtype)
    fusion = warmed(model, pictures(dtype=dtype))
    assert folds(fusion) == 4
    assert any(
        step.weights[0].is_contiguous(memory_format=torch.channels_last)
        for step in fusion._plan
        if step.kind == "convolution" and step.weights[0].shape[2] > 1
    )
    with torch.no_grad():
        found, expected = (one.call(lambda _: model(pictures(dtype=dtype))) for one in (fusion, Fusion(None)))
    assert float((found - expected).detach().abs().max()) <= room * float(expected.detach().abs().max())


def test_one_and_three_dimensional_convolutions_fold():
    torch.manual_seed(0)
    for convolution, normalisation, points in (
        (nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), torch.randn(3, 2, 9)),
        (nn.Conv3d(2, 4, 2, bias=False), nn.BatchNorm3d(4), torch.randn(3, 2, 4, 5, 4)),
    ):
        model = randomised(nn.Sequential(convolution, normalisation, nn.ReLU(), nn.Flatten())).double()
        fusion = warmed(model, points.double())
        assert folds(fusion) == 1
        assert_same(model, points.double(), fusion, 1e-12)


def test_changed_weights_are_folded_again():
    model = residual()
    fusion = warmed(model, pictures())
    with torch.no_grad():
        model.conv1.weight.mul_(-2)
        model.bn2.running_mean.add_(1)
    for _ in range(3):
        assert_same(model, pictures(), fusion)
    assert folds(fusion) == 4


class Branching(nn.Module):
    """Another course for other inputs, after writing over its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.other = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        y = self.conv(x)
        if x.sum() > 0:
            try:
                return self.other(y)
            except Exception:
                return y
        return self.bn(y)


def test_another_course_is_run_as_it_is():
    torch.manual_seed(0)
    model = randomised(Branching()).double()
    low, high = pictures() - 5, pictures() + 5
    fusion = warmed(model, low)
    assert folds(fusion) == 1
    assert_same(model, low, fusion)
    assert_same(model, high, fusion)
    assert_same(model, low, fusion)
    assert fusion._plan is None  # and not tried again


class Reading(nn.Module):
    """A convolution's own output is read by more than its normalisation."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.bn, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)
        self.how = how
        self.kept = None

    def forward(self, x: Tensor):
        y = self.conv(x)
        z = self.last(functional.relu(self.bn(y)))
        if self.how == "returned":
            return z, {"features": [y]}
        if self.how == "kept":
            self.kept = y
        if self.how == "viewed":
            self.kept = y.detach()
        return z + y.mean() if self.how == "added" else z


@pytest.mark.parametrize("how", ["returned", "kept", "viewed", "added"])
def test_what_others_read_is_not_folded(how):
    torch.manual_seed(0)
    model = randomised(Reading(how)).double()
    fusion = warmed(model, pictures())
    assert folds(fusion) == 0
    passed(model, pictures(), fusion)
    seen = model.kept if how in ("kept", "viewed") else None
    assert_same(model, pictures(), fusion)
    if seen is not None:
        assert torch.equal(seen, model.conv(pictures()))


def test_a_watched_model_is_not_fused():
    model = residual()
    fusion = warmed(model, pictures())
    seen: list[Tensor] = []
    handle = model.bn1.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    passed(model, pictures(), fusion)
    handle.remove()
    normalised = model.bn1(seen[0])
    passed(model, pictures(), fusion)
    expected: list[Tensor] = []
    with model.bn1.register_forward_hook(lambda _module, _given, output: expected.append(output)):
        passed(model, pictures())
    assert torch.allclose(normalised, expected[0])


def test_batch_statistics_are_not_folded():
    model = residual()
    model.bn1 = nn.BatchNorm2d(8, track_running_stats=False).double()
    one = pictures(1)
    fusion = warmed(model, one)
    assert folds(fusion) == 3
    assert_same(model, one, fusion)
    assert_same(model, pictures(), fusion)
    assert folds(warmed(model, pictures())) == 0  # a row alone is another result then: nothing to compare with


def test_a_view_that_needs_the_common_layout_costs_only_the_layout():
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.next = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.next(self.bn(self.conv(x)))
            return y.view(len(x), -1)

    torch.manual_seed(0)
    model = randomised(Viewing())
    fusion = warmed(model, pictures(dtype=torch.float32))
    assert folds(fusion) == 1
    assert_same(model, pictures(dtype=torch.float32), fusion, 1e-5)


def test_checkpointed_parts_find_what_they_kept():
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.part = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), residual()

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.part, self.bn(self.conv(x)), use_reentrant=False)

    torch.manual_seed(0)
    model = randomised(Checkpointed()).double()
    assert_same(model, pictures(), warmed(model, pictures()))


def test_weights_made_on_the_way_are_left_alone():
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.weight - self.weight.mean(), self.bias)

    torch.manual_seed(0)
    model = randomised(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3))).double()
    fusion = warmed(model, pictures())
    assert folds(fusion) == 0
    assert_same(model, pictures(), fusion)


def test_a_model_that_fails_fails_as_itself():
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part, self.fails = residual(), False

        def forward(self, x: Tensor) -> Tensor:
            output = self.part(x)
            if self.fails:
                raise ValueError("mine")
            return output

    model = Failing()
    fusion = warmed(model, pictures())
    model.fails = True
    with pytest.raises(ValueError, match="mine"):
        passed(model, pictures(), fusion)


def test_small_networks_and_compiled_ones_are_left_alone(monkeypatch):
    monkeypatch.setattr(course, "LEAST_WORK", 10**9)
    assert warmed(residual(), pictures())._plan is None
    model = residual()
    model._orig_mod = nn.Identity()
    assert Fusion(model).module is None


def test_explanations_do_not_change_with_the_batch(monkeypatch):
    model, points = residual(), pictures(3)
    fused = [
        xw.attribute(model, points, target=1, batch_size=size, steps=17, tolerance=0).values for size in (1, 2, 64)
    ]
    calls: list[int] = []
    monkeypatch.setattr(Fusion, "call", lambda _self, forward: calls.append(1) or forward(None))
    plain = xw.attribute(model, points, target=1, steps=17, tolerance=0).values
    assert calls
    for values in fused:
        assert torch.allclose(values, plain, rtol=0, atol=1e-10 * float(plain.abs().max()))


def test_a_session_follows_its_model():
    model = residual()
    session = xw.Session(model, pictures(2), target=0)
    for _ in range(2):
        session.attribute("saliency")
        with torch.no_grad():
            model.bn0.weight.mul_(1.5)
        leaf = pictures(2).requires_grad_()
        expected = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)[0]
        assert torch.allclose(session.attribute("input_x_gradient").values, expected * leaf.detach(), atol=1e-12)


# --- the stem ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [4, 7, 11])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("size", [(23, 32), (24, 31)])
def test_phases_add_up_to_the_gradient(kernel, stride, padding, size):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, kernel, kernel, generator=generator, dtype=torch.float64)
    picture = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64).requires_grad_()
    assert suits(weight, (stride, stride), (padding, padding), (1, 1), 1)
    expected = functional.conv2d(picture, weight, None, stride, padding)
    found = strided(picture, weight, None, (stride, stride), padding)
    assert torch.equal(found, expected)
    outer = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    (there,), (here,) = (torch.autograd.grad(output, picture, outer) for output in (expected, found))
    assert torch.allclose(here, there, rtol=0, atol=1e-12 * float(there.abs().max()))


def test_patches_alone_are_worth_a_plan():
    torch.manual_seed(0)
    model = randomised(nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.Flatten(2), nn.GELU(), nn.Flatten())).double()
    fusion = warmed(model, pictures())
    assert [step.stem for step in fusion._plan] == [True]
    assert_same(model, pictures(), fusion, 1e-12)


def test_the_gradient_of_a_stem_has_a_gradient():
    weight = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    picture = torch.randn(1, 1, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: strided(x, weight, None, 2, 1).pow(3), picture)


@pytest.mark.parametrize(
    "options",
    [{"stride": 1}, {"stride": (2, 1)}, {"stride": 2, "padding": "valid"}, {"stride": 2, "dilation": 2},
     {"stride": 8}, {"stride": 2, "groups": 3}],
)  # fmt: skip
def test_other_convolutions_are_torchs(options):
    assert not suits(torch.zeros(3, 3, 7, 7), **options)


def test_forgetting_drops_the_folded_weights():
    model = randomised(
        nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    )
    inputs = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    session = xw.Session(model, inputs, target=1)
    before = session.attribute("saliency").values
    model[0].weight.data.mul_(2)  # leaves no trace
    session.forget()
    after = session.attribute("saliency").values
    torch.testing.assert_close(after, 2 * before)
