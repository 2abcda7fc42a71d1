"""The colour tables: lightness, symmetry, and what readers with a colour-vision deficiency can tell apart."""

import base64
import re

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab

from xaiwidgets.live import colors
from xaiwidgets.live.colors import palettes, table, typescript

THEMES = ("light", "dark")
# Machado, Oliveira, Fernandes (2009), severity 1, for linear RGB
DEFICIENCIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
HALF = 64
"""Entries 64 and 191 are drawn at half strength: 1 - 2 · 64 / 255 ≈ 0.5."""


def simulate(rgb: NDArray[np.float64], deficiency: str) -> NDArray[np.float64]:
    """sRGB colours in 0..1 as a reader with the deficiency sees them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DEFICIENCIES[deficiency]).T, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def lab(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    return rgb2lab(colours.astype(np.float64) / 255)


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE76."""
    return np.linalg.norm(rgb2lab(one) - rgb2lab(other), axis=-1)


def test_our_lab_is_the_standards() -> None:
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 6)] * 3, indexing="ij"), -1)
    np.testing.assert_allclose(colors.lab_to_rgb(rgb2lab(grid)), grid, atol=2e-3)


@pytest.mark.parametrize("theme", THEMES)
def test_default_diverging_lightness_is_monotone_from_the_centre(theme: str) -> None:
    lightness = lab(table("default", signed=True, theme=theme))[:, 0]
    direction = -1 if theme == "light" else 1
    away = direction * np.stack([np.diff(lightness[128:]), np.diff(lightness[127::-1])])
    assert (away > -0.05).all()
    assert abs(lightness[255] - lightness[128]) > 40


@pytest.mark.parametrize("theme", THEMES)
def test_default_diverging_is_symmetric_in_lightness(theme: str) -> None:
    lightness = lab(table("default", signed=True, theme=theme))[:, 0]
    assert np.abs(lightness - lightness[::-1]).max() <= 3


@pytest.mark.parametrize("theme", THEMES)
def test_default_diverging_has_a_neutral_middle(theme: str) -> None:
    middle = lab(table("default", signed=True, theme=theme)[127:129])
    assert np.abs(middle[:, 1:]).max() < 2


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_signs_can_be_told_apart_from_half_strength_on(theme: str, deficiency: str) -> None:
    seen = simulate(table("default", signed=True, theme=theme) / 255, deficiency)
    apart = difference(seen[: HALF + 1], seen[: -HALF - 2 : -1])
    assert apart.min() >= 20


def test_the_simulation_finds_a_bad_pair() -> None:
    """LIT's signed pair, which protanopes can hardly tell apart: the check above can fail."""
    pair = np.array([[0x52, 0xA6, 0xB3], [0xEF, 0x7C, 0xA1]]) / 255
    seen = simulate(pair, "protan")
    assert difference(seen[0], seen[1]) < 10
    assert difference(pair[0], pair[1]) > 60


def test_positive_is_warm() -> None:
    for theme in THEMES:
        colours = lab(table("default", signed=True, theme=theme))
        assert colours[255, 2] > 30
        assert colours[0, 2] < -30


@pytest.mark.parametrize("theme", THEMES)
def test_default_sequential_lightness_is_monotone(theme: str) -> None:
    lightness = lab(table("default", signed=False, theme=theme))[:, 0]
    direction = -1 if theme == "light" else 1
    assert (direction * np.diff(lightness) > -0.3).all()
    assert direction * (lightness[-1] - lightness[0]) > 80


def test_tables_have_256_colours_for_both_themes() -> None:
    for palette in palettes().values():
        for colours in (palette.light, palette.dark):
            assert colours.shape == (256, 3)
            assert colours.dtype == np.uint8
    assert list(palettes())[:2] == ["default_diverging", "default_sequential"]


def test_matplotlib_names_work_beyond_the_named_palettes() -> None:
    expected = np.round(mpl.colormaps["inferno"](np.arange(256))[:, :3] * 255)
    np.testing.assert_array_equal(table("inferno", signed=False), expected)
    np.testing.assert_array_equal(
        table("viridis", signed=False), np.round(mpl.colormaps["viridis"](range(256))[:, :3] * 255)
    )
    with pytest.raises(ValueError, match="no_such_palette"):
        table("no_such_palette", signed=True)


def test_the_typescript_holds_the_same_bytes() -> None:
    rows = re.findall(r'^  (\w+): \{.*light: "([^"]*)", dark: "([^"]*)" \},$', typescript(), re.MULTILINE)
    assert [name for name, *_ in rows] == list(palettes())

    def decoded(text: str) -> NDArray[np.uint8]:
        steps = np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 3)
        return np.cumsum(steps, axis=0, dtype=np.uint8)

    for name, light, dark in rows:
        np.testing.assert_array_equal(decoded(light), palettes()[name].light)
        np.testing.assert_array_equal(decoded(dark or light), palettes()[name].dark)


def test_the_front_end_has_the_current_palettes() -> None:
    if not colors.TYPESCRIPT.parent.is_dir():
        pytest.skip("no front-end sources beside an installed package")
    assert colors.TYPESCRIPT.read_text(encoding="utf-8") == typescript()
