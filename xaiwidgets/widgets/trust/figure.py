"""The tests without a script: the curves as a picture, the sentences, the numbers.

The same findings give the same text, byte for byte.
"""

from __future__ import annotations

import base64

import numpy as np

from xaiwidgets.widgets.words import escaped

from .findings import KINDS, Findings, Line, Settings
from .tested import Tested
from .words import CANNOT, sentences

WIDTH, HEIGHT, MARGIN = 220, 120, 18
COLOURS = {"map": "#123a63", "random": "#8a8a8a"}
OTHER = "#c44e00"
"""Of the controls' lines."""
NAMES = {
    "map": "this map",
    "random": "random orders",
    "edges": "edges",
    "lengths": "lengths of words",
}


def figure(found: Findings, tested: Tested, settings: Settings) -> str:
    """HTML."""
    said = "".join(
        f"<li>{escaped(one['text'])} <i>{escaped(CANNOT[one['test']])}</i></li>"
        for one in sentences(found, tested, settings)
    )
    unit = tested.unit(settings)
    charts = "".join(_chart(kind, found.curves[kind], unit) for kind in KINDS if "map" in found.curves[kind])
    return f"<details open><summary>Tests of this map</summary><div>{charts}</div>{_legend(found)}<ul>{said}</ul>{_table(found)}</details>"


def _chart(kind: str, lines: dict[str, Line], unit: str) -> str:
    """The lines in one picture: SVG in an `img`, which hosts that clean HTML leave alone."""
    ends = np.concatenate([np.concatenate([line.y, *(line.band or ())]) for line in lines.values()])
    low, high = min(0.0, float(ends.min())), max(0.0, float(ends.max()))
    span = (high - low) or 1.0

    def points(x: np.ndarray, y: np.ndarray) -> str:
        across = MARGIN + (WIDTH - 2 * MARGIN) * x
        up = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (y - low) / span
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))

    drawn = []
    for name, line in sorted(lines.items(), key=lambda item: item[0] == "map"):
        colour = COLOURS.get(name, OTHER)
        if line.band is not None:
            ring = np.concatenate([line.band[0], line.band[1][::-1]])
            around = points(np.concatenate([line.x, line.x[::-1]]), ring)
            drawn.append(f'<polygon points="{around}" fill="{colour}" fill-opacity=".25"/>')
        width = 2 if name == "map" else 1
        drawn.append(
            f'<polyline points="{points(line.x, line.y)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        )
    base = points(np.array([0.0, 1.0]), np.zeros(2))
    share = "share taken away" if kind == "deletion" else "share shown"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="10">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><polyline points="{base}" stroke="#bbb"/>{"".join(drawn)}'
        f'<text x="{MARGIN}" y="12">{kind}: {_short(low)} to {_short(high)}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 4}" text-anchor="end">{share}, 0 to 1</text></svg>'
    )
    data = base64.b64encode(svg.encode()).decode()
    names = ", ".join(NAMES[name] for name in lines)
    alternative = f"{kind}: {unit} over the {share}; {names}"
    return f'<img width="{WIDTH}" alt="{escaped(alternative)}" src="data:image/svg+xml;base64,{data}">'


def _legend(found: Findings) -> str:
    names = [name for name in ("map", "edges", "lengths", "random") if name in found.curves["deletion"]]
    lines = [
        f'<span style="color:{COLOURS.get(name, OTHER)};background:#fff"> — </span> {NAMES[name]}' for name in names
    ]
    band = " (band: the middle 95 %)" if "random" in names else ""
    return f"<div>{' &nbsp; '.join(lines)}{band}</div>"


def _table(found: Findings) -> str:
    rows = []
    for kind in KINDS:
        for name, line in found.curves[kind].items():
            areas = line.areas
            low, high = line.area_ends
            spread = "" if len(areas) == 1 else f" ({low:.3g} to {high:.3g}: the middle 95 % of {len(areas)})"
            rows.append(f"<tr><td>{kind}, {NAMES[name]}</td><td>{areas.mean():.3g}{spread}</td></tr>")
    if found.layers is not None and found.layers.rank:
        count = f"{len(found.layers.rank)} of {len(found.layers.names)} layers random"
        rows.append(f"<tr><td>rank correlation, {count}</td><td>{found.layers.rank[-1]:.2f}</td></tr>")
    return f"<table><tr><th>area under the curve</th><th>value</th></tr>{''.join(rows)}</table>" if rows else ""


def _short(value: float) -> str:
    return f"{value:.3g}"
