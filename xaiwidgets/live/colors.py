"""Colour tables: 256 RGB entries each, the same bytes in the browser and in the static pictures.

Signed values take a diverging table with zero at its neutral middle, unsigned ones a sequential table whose lightness
is monotone. The default pair is safe for readers with a colour-vision deficiency (checked in the tests with the
simulation of Machado, Oliveira and Fernandes 2009) and has a version of its own for dark themes: a dark neutral with
lighter ends, not an inverted table. The other tables are matplotlib's.

`python -m xaiwidgets.live.colors` writes the tables as TypeScript, so that the browser shows exactly these bytes.
"""

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.uint8]
Kind = Literal["diverging", "sequential"]
Theme = Literal["light", "dark"]

# CIE L*a*b* of the default pair. The hues are those of #0B62B0 and #C44E00, moved to one lightness.
_OPPOSES, _SUPPORTS = (2.0, -48.0), (42.0, 56.0)  # (a*, b*)
_DIVERGING = {"light": (98.0, 45.0), "dark": (20.0, 70.0)}  # L* of (the neutral, the ends)
_CHROMA = {"light": 1.0, "dark": 0.85}


@dataclass(frozen=True)
class Palette:
    """A colour table for each theme."""

    name: str
    title: str
    kind: Kind
    light: Table
    dark: Table


def lab_to_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) to sRGB in 0..1, clipped to the gamut. Shape [..., 3] both."""
    f = np.stack(
        [
            (lab[..., 0] + 16) / 116 + lab[..., 1] / 500,
            (lab[..., 0] + 16) / 116,
            (lab[..., 0] + 16) / 116 - lab[..., 2] / 200,
        ],
        -1,
    )
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * np.array([0.95047, 1.0, 1.08883])
    matrix = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
    )
    linear = np.clip(xyz @ matrix.T, 0, 1)
    encoded: NDArray[np.float64] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded


def _default_diverging(theme: Theme) -> Table:
    neutral, end = _DIVERGING[theme]
    signed = np.linspace(-1, 1, 256)
    strength = np.abs(signed)[:, None]
    hue = np.where(signed[:, None] < 0, _OPPOSES, _SUPPORTS) * _CHROMA[theme]
    lab = np.concatenate([neutral + (end - neutral) * strength, hue * strength], axis=1)
    return np.round(lab_to_rgb(lab) * 255).astype(np.uint8)


def matplotlib_table(name: str) -> Table:
    """The 256 colours of a matplotlib colour map, [256, 3]. Raises ValueError for a name matplotlib does not know."""
    import matplotlib as mpl  # noqa: PLC0415  # slow to import, and only needed for names outside the table

    try:
        colours = mpl.colormaps[name]
    except KeyError as error:
        raise ValueError(f"there is no palette {name!r}") from error
    return np.round(colours(np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)


_MATPLOTLIB: tuple[tuple[str, str, Kind, str, str], ...] = (
    ("default_sequential", "Magma", "sequential", "magma_r", "magma"),
    ("red_blue", "Red–blue", "diverging", "RdBu_r", "RdBu_r"),
    ("purple_orange", "Purple–orange", "diverging", "PuOr_r", "PuOr_r"),
    ("viridis", "Viridis", "sequential", "viridis", "viridis"),
    ("cividis", "Cividis", "sequential", "cividis", "cividis"),
    ("gray", "Grey", "sequential", "gray_r", "gray"),
)


@cache
def palettes() -> dict[str, Palette]:
    """Every named palette, the default pair first."""
    default = Palette(
        "default_diverging", "Blue–orange", "diverging", _default_diverging("light"), _default_diverging("dark")
    )
    others = (
        Palette(name, title, kind, matplotlib_table(light), matplotlib_table(dark))
        for name, title, kind, light, dark in _MATPLOTLIB
    )
    return {palette.name: palette for palette in (default, *others)}


def table(name: str, *, signed: bool, theme: Theme = "light") -> Table:
    """The table for a map: `"default"` is the default of its kind."""
    if name == "default":
        name = "default_diverging" if signed else "default_sequential"
    palette = palettes().get(name)
    if palette is None:
        return matplotlib_table(name)
    return palette.light if theme == "light" else palette.dark


def table_for(name: str, custom: bytes, *, diverging: bool) -> Table:
    """The light table a widget draws with: its own 768 bytes, its palette, or the default where that does not suit."""
    if name == "custom" and len(custom) == 768:
        return np.frombuffer(custom, np.uint8).reshape(256, 3)
    chosen = palettes().get(name)
    suits = chosen is not None and (chosen.kind == "diverging") == diverging
    return table(name if suits else "default", signed=diverging)


def typescript() -> str:
    """The palettes as a TypeScript module. Colours next to each other differ little: differences deflate to a fifth."""

    def encoded(rgb: Table) -> str:
        return base64.b64encode(np.diff(rgb.astype(np.int16), axis=0, prepend=0).astype(np.uint8).tobytes()).decode()

    rows = []
    for palette in palettes().values():
        light, dark = (encoded(rgb) for rgb in (palette.light, palette.dark))
        same = light == dark
        rows.append(
            f'  {palette.name}: {{ title: "{palette.title}", kind: "{palette.kind}", light: "{light}", dark: "{"" if same else dark}" }},'
        )
    return (
        "// Written by `python -m xaiwidgets.live.colors`: 256 RGB entries in base64, each\n"
        "// as its difference from the one before, modulo 256; an empty `dark` means `light`.\n"
        "export interface Palette {\n  title: string;\n  kind: 'diverging' | 'sequential';\n  light: string;\n  dark: string;\n}\n"
        "export const PALETTES: Record<string, Palette> = {\n" + "\n".join(rows) + "\n};\n"
    )


TYPESCRIPT = Path(__file__).parents[2] / "js" / "src" / "lib" / "palettes.gen.ts"

if __name__ == "__main__":
    TYPESCRIPT.write_text(typescript(), encoding="utf-8")
