"""The reference renderer against matplotlib's normalisations and colour look-ups."""

import json
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from numpy.typing import NDArray
from skimage.color import rgb2lab
from write_render_fixtures import FIXTURES, fixtures

from xaiwidgets.live.colors import table
from xaiwidgets.live.render import DISPLAY, Rendered, clip_range, compose, keep_sign, render, underlay

DIVERGING, SEQUENTIAL = table("default", signed=True), table("default", signed=False)


def expected(
    values: NDArray[np.float32], colours: NDArray[np.uint8], *, signed: bool, display: dict[str, Any], warm: bool = True
) -> tuple[NDArray[np.uint8], float]:
    """The same picture from matplotlib's parts."""
    settings = DISPLAY | display
    values = values.astype(np.float64)
    limit = settings["range"] if settings["scale_mode"] == "fixed" else percentile(values, settings["clip"])
    sign = settings["sign"]
    shown = {
        "both": values,
        "positive": np.where(values > 0, values, 0),
        "negative": np.where(values < 0, values, 0),
        "absolute": np.abs(values),
    }[sign]
    strength = np.asarray(PowerNorm(settings["gamma"], 0, limit, clip=True)(np.abs(shown)))
    colormap = ListedColormap(colours / 255)
    if signed and sign != "absolute":
        directed = np.sign(shown) * strength * (1 if warm else -1)
        level = np.asarray(Normalize(-1, 1)(directed)) * 255
    else:
        level = strength * 255
    index = np.floor(level + 0.5).clip(0, 255).astype(int)
    rgba = colormap(index, bytes=True)
    if settings["view"] != "side":
        rgba[..., 3] = np.floor(np.sqrt(strength) * 255 + 0.5)
    return rgba, limit


def percentile(values: NDArray[np.float64], clip: float) -> float:
    """Nearest rank is numpy's inverted_cdf."""
    return float(np.percentile(np.abs(values), clip, method="inverted_cdf"))


@pytest.fixture(scope="module")
def values() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_t(2, size=(23, 31)).astype(np.float32)


@pytest.mark.parametrize(
    "display",
    [
        {}, {"clip": 90}, {"clip": 97.3}, {"clip": 100}, {"gamma": 0.25}, {"gamma": 0.5}, {"gamma": 3}, {"view": "side"},
        {"sign": "positive"}, {"sign": "negative"}, {"sign": "negative", "gamma": 2, "view": "side"},
        {"scale_mode": "fixed", "range": 0.7}, {"scale_mode": "fixed", "range": 100.0},
    ],
)  # fmt: skip
@pytest.mark.parametrize("warm", [True, False])
def test_signed_maps(values: NDArray[np.float32], display: dict[str, Any], warm: bool) -> None:
    drawn = render(values, DIVERGING, signed=True, display=display, warm_supports=warm)
    rgba, limit = expected(values, DIVERGING, signed=True, display=display, warm=warm)
    np.testing.assert_array_equal(drawn.rgba, rgba)
    assert drawn.range == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize("display", [{}, {"clip": 95, "gamma": 0.6}, {"view": "side"}, {"sign": "absolute"}])
def test_unsigned_maps_and_absolute_values(values: NDArray[np.float32], display: dict[str, Any]) -> None:
    signed = display.get("sign") == "absolute"
    shown = values if signed else np.abs(values)
    drawn = render(shown, SEQUENTIAL, signed=signed, display=display)
    rgba, _ = expected(shown, SEQUENTIAL, signed=signed, display=display)
    np.testing.assert_array_equal(drawn.rgba, rgba)


@pytest.mark.parametrize("clip", [0, 1, 50, 90, 99, 99.5, 100])
@pytest.mark.parametrize("count", [1, 2, 7, 200, 201])
def test_the_range_is_the_nearest_rank(clip: float, count: int) -> None:
    magnitudes = np.arange(1, count + 1, dtype=np.float32)
    values = np.random.default_rng(count).permutation(magnitudes) * np.where(magnitudes % 2, 1, -1)
    assert clip_range(values[None], clip) == max(math.ceil(clip / 100 * count), 1)


def test_a_percentile_of_zero_takes_the_largest() -> None:
    values = np.zeros((10, 100), np.float32)
    values[3, 3] = -2.5
    assert clip_range(values, 99.5) == 2.5
    drawn = render(values, DIVERGING, signed=True)
    np.testing.assert_array_equal(drawn.rgba[3, 3], [*DIVERGING[0], 255])


@pytest.mark.parametrize("signed", [True, False])
def test_an_all_zero_map_lets_the_picture_through(signed: bool) -> None:
    drawn = render(np.zeros((4, 4)), DIVERGING if signed else SEQUENTIAL, signed=signed)
    assert drawn.range == 0
    assert not drawn.rgba[..., 3].any()
    assert (drawn.rgba[..., :3] == (DIVERGING[128] if signed else SEQUENTIAL[0])).all()
    image = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(compose(image, drawn, fade=0), image)


def test_a_fixed_range_of_zero_is_no_range(values: NDArray[np.float32]) -> None:
    drawn = render(values, DIVERGING, signed=True, display={"scale_mode": "fixed", "range": 0.0})
    assert drawn.range == clip_range(values, 99.5)


def test_the_shared_range(values: NDArray[np.float32]) -> None:
    shared = render(values, DIVERGING, signed=True, display={"scale_mode": "shared"}, shared_range=1.5)
    fixed = render(values, DIVERGING, signed=True, display={"scale_mode": "fixed", "range": 1.5})
    np.testing.assert_array_equal(shared.rgba, fixed.rgba)
    unknown = render(values, DIVERGING, signed=True, display={"scale_mode": "shared"})
    assert unknown.range == clip_range(values, 99.5)


def test_sign_modes_partition_the_values(values: NDArray[np.float32]) -> None:
    positive, negative = keep_sign(values, "positive"), keep_sign(values, "negative")
    np.testing.assert_array_equal(positive + negative, values)
    assert positive.min() == 0 == negative.max()
    np.testing.assert_array_equal(keep_sign(values, "both"), values)


def test_negation_mirrors_the_table(values: NDArray[np.float32]) -> None:
    mirrored = render(values, DIVERGING, signed=True, warm_supports=False)
    np.testing.assert_array_equal(mirrored.rgba, render(-values, DIVERGING, signed=True).rgba)


def lightness_spread(fade: float, theme: str) -> float:
    """How much a mid-scale viridis value at half opacity changes between a black and a white pixel below it."""
    image = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    rgba = np.full((1, 2, 4), 255, np.uint8)
    rgba[..., :3] = table("viridis", signed=False)[128]
    lightness = rgb2lab(compose(image, Rendered(rgba, 1.0), opacity=0.5, fade=fade, theme=theme))[0, :, 0]
    return float(lightness[1] - lightness[0])


def test_the_fade_keeps_the_photo_out_of_the_colours() -> None:
    assert lightness_spread(0, "light") > 40
    assert 0 < lightness_spread(1, "light") <= 10
    assert 0 < lightness_spread(1, "dark") <= 15


def test_the_fade_is_grey_and_in_its_range() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    light, dark = underlay(image, 1), underlay(image, 1, "dark")
    for faded in (light, dark):
        assert (faded == faded[..., :1]).all()
    assert light.min() >= 217
    assert dark.max() <= 51
    np.testing.assert_array_equal(underlay(image, 0), image)


def test_compose_repeats_whole_pixels() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    opaque = np.full((4, 6, 4), 255, np.uint8)
    opaque[..., 0] = np.arange(24).reshape(4, 6)
    composed = compose(image, Rendered(opaque, 1.0), opacity=1.0)
    np.testing.assert_array_equal(composed, opaque[..., :3])
    clear = compose(image, Rendered(np.zeros((4, 6, 4), np.uint8), 1.0), fade=0)
    np.testing.assert_array_equal(clear, image.repeat(2, 0).repeat(3, 1))


def test_the_front_ends_fixtures_are_current() -> None:
    if not FIXTURES.parents[2].is_dir():
        pytest.skip("no front-end sources beside an installed package")
    assert json.loads(FIXTURES.read_text(encoding="utf-8")) == fixtures(), (
        "run: python -m tests.live.write_render_fixtures"
    )
