"""Baselines: their values against closed forms, their ranges, and every way of naming them."""

import pytest
import torch

from xaiwidgets.api import attribute, baselines
from xaiwidgets.engine.baselines import NAMES, Blur, Constant, Dataset, Gaussian, MaxDistance, Mean, Uniform, resolve
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.inputs import read_inputs

IMAGES = (
    torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0])[:, None, None, None]
)
INPUTS = read_inputs(IMAGES)
LOW, HIGH = IMAGES.flatten(1).amin(1)[:, None, None, None], IMAGES.flatten(1).amax(1)[:, None, None, None]


def test_every_name_resolves_to_alternatives_of_the_input():
    for name in NAMES:
        drawn = resolve(name, INPUTS)
        assert drawn.shape[1:] == IMAGES.shape
        assert drawn.dtype == torch.float32
        if name != "zeros":
            assert (drawn >= LOW - 1e-5).all()
            assert (drawn <= HIGH + 1e-5).all()


def test_closed_forms():
    assert torch.equal(resolve(0.5, INPUTS), torch.full((1, *IMAGES.shape), 0.5))
    torch.testing.assert_close(resolve("mean", INPUTS)[0, 1, 2, 3, 4], IMAGES[1, 2].mean())
    far = resolve(MaxDistance(), INPUTS)[0]
    torch.testing.assert_close((far - IMAGES).abs(), torch.maximum(IMAGES - LOW, HIGH - IMAGES))
    table = read_inputs(torch.tensor([[1.0, 3.0], [0.0, 8.0]]))
    assert resolve(Mean(), table)[0].tolist() == [[2, 2], [4, 4]]


def test_a_blur_keeps_constants_and_spreads_a_point_like_a_gaussian():
    flat = read_inputs(torch.full((1, 1, 9, 7), 3.0))
    torch.testing.assert_close(resolve("blur", flat)[0], flat.points)
    point = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    point[0, 0, 15, 15] = 1
    spread = resolve(Blur(2.0), read_inputs(point))[0, 0, 0]
    distance = torch.arange(-15, 16, dtype=torch.float64)
    torch.testing.assert_close(spread.sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(
        (spread.sum(0) * distance**2).sum(), torch.tensor(4.0, dtype=torch.float64), rtol=5e-3, atol=0
    )
    assert torch.equal(resolve(Blur(0.0), INPUTS)[0], IMAGES)


def test_random_baselines_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    for kind in (Uniform, Gaussian):
        one = resolve(kind(samples=3, seed=1), INPUTS)
        assert one.shape[0] == 3
        assert torch.equal(one, resolve(kind(samples=3, seed=1), INPUTS))
        assert not torch.equal(one, resolve(kind(samples=3, seed=2), INPUTS))
        alone = resolve(kind(samples=3, seed=1), read_inputs(IMAGES[1:]))
        assert torch.equal(one[:, 1:], alone)
    assert torch.equal(torch.get_rng_state(), state)
    assert resolve(Gaussian(sigma=0.0), INPUTS)[0].equal(IMAGES)


def test_a_data_set_is_drawn_from_without_repetition():
    data = torch.arange(10.0)[:, None, None, None].expand(10, 3, 12, 10)
    drawn = resolve(Dataset(data, samples=10, seed=3), INPUTS)
    assert sorted(drawn[:, 0, 0, 0, 0].tolist()) == list(range(10))
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    assert "10, 3, 12, 10" in repr(Dataset(data))


def test_lists_are_joined_and_tensors_broadcast():
    drawn = resolve(["zeros", 1.0, IMAGES[:1], torch.rand(3, 1, 1), Constant(2.0)], INPUTS)
    assert drawn.shape == (5, *IMAGES.shape)
    assert drawn[4].eq(2).all()
    assert drawn[2].equal(IMAGES[:1].expand_as(IMAGES))
    assert resolve(IMAGES.numpy(), INPUTS)[0].equal(IMAGES)


def test_each_of_several_inputs_has_its_own():
    inputs = read_inputs({"a": torch.rand(2, 3), "b": torch.rand(2, 1)}, wrt=["a", "b"])
    assert resolve({"a": 1.0, "b": 2.0}, inputs)[0, 0].tolist() == [1, 1, 1, 2]
    assert resolve((1.0, Uniform(samples=4)), inputs).shape == (4, 2, 4)
    with pytest.raises(ParameterError):
        resolve((Uniform(samples=3), Uniform(samples=4)), inputs)


def test_several_baselines_are_averaged():
    def model(x):
        return (x**2).flatten(1).sum(1)

    both, zero, one = (attribute(model, IMAGES, baseline=b).values for b in (["zeros", 1.0], "zeros", 1.0))
    torch.testing.assert_close(both, (zero + one) / 2)
    assert baselines.Uniform is Uniform


@pytest.mark.parametrize(
    ("baseline", "code"),
    [
        ("dataset", "baseline_needs_data"),
        ("mask_token", "baseline_needs_tokens"),
        ("pad_token", "baseline_needs_tokens"),
        ("black", "unknown_baseline"),
        (None, "unknown_baseline"),
        (True, "unknown_baseline"),
        ([], "unknown_baseline"),
        (object(), "unknown_baseline"),
        (torch.rand(5, 5), "baseline_shape"),
        (Dataset(torch.rand(3, 1, 12, 10)), "baseline_shape"),
        (float("nan"), "non_finite_baseline"),
    ],
)
def test_bad_baselines(baseline, code):
    with pytest.raises(ParameterError) as caught:
        resolve(baseline, INPUTS)
    assert caught.value.code == code


def test_a_blur_needs_places():
    with pytest.raises(ParameterError) as caught:
        resolve("blur", read_inputs(torch.rand(2, 5)))
    assert caught.value.code == "baseline_shape"
