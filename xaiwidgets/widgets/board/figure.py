"""The scoreboard without a script: the table, and the maps of one input on one scale.

The same result gives the same text, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.colors import Table
from xaiwidgets.live.pictures import data_uri
from xaiwidgets.live.render import clip_range, compose, render
from xaiwidgets.widgets.words import escaped

from .words import BETTER

WIDTH = 72
ARROWS = {"lower": " ↓", "higher": " ↑", "none": ""}
CELL = 'style="text-align:right;padding:0 8px"'
Numbers = NDArray[np.floating[Any]]


def table_html(
    entries: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], cells: Mapping[str, Mapping[str, Any]]
) -> str:
    """Methods, then controls; the best method of a column in bold."""
    heads = "".join(
        f'<th {CELL} title="{escaped(BETTER[one["direction"]])}. {escaped(one["tells"])}">'
        f"{escaped(one['title'])}{ARROWS[one['direction']]}</th>"
        for one in columns
    )
    best = {column["name"]: _best(entries, column, cells) for column in columns}
    rows = []
    for entry in sorted(entries, key=lambda one: one["kind"] == "control"):
        name = escaped(entry["title"])
        row = [f'<th style="text-align:left">{f"<i>{name}</i>" if entry["kind"] == "control" else name}</th>']
        for column in columns:
            text = _cell(cells.get(entry["key"], {}).get(column["name"]))
            row.append(f"<td {CELL}>{f'<b>{text}</b>' if entry['key'] in best[column['name']] else text}</td>")
        rows.append(f"<tr>{''.join(row)}</tr>")
    return f'<table><tr><th style="text-align:left">method</th>{heads}</tr>{"".join(rows)}</table>'


def maps_html(
    maps: Sequence[tuple[str, Numbers, bool]], picture: NDArray[np.uint8] | None, tables: Mapping[bool, Table], warm: bool
) -> str:  # fmt: skip
    """Maps [height, width] with titles and whether they have signs, each as a share of its Σ|a|, on one scale.

    `tables`: the colours of maps with signs (True) and without.
    """
    shares = [(title, values / (np.abs(values).sum() or 1.0), signed) for title, values, signed in maps]
    if not shares:
        return ""
    shared = clip_range(np.concatenate([values.ravel() for _, values, _ in shares]), 99.5)
    images = [_image(picture, "input")] if picture is not None else []
    for title, values, signed in shares:
        settings = {"scale_mode": "shared", "sign": "both" if signed else "absolute"}
        drawn = render(values, tables[signed], signed=signed, display=settings, warm_supports=warm, shared_range=shared)
        under = np.full((*values.shape, 3), 255, np.uint8) if picture is None else picture
        images.append(_image(compose(under, drawn, opacity=1.0, fade=1.0), title))
    note = "Maps of one input, one scale: shares of each map's own sum of magnitudes."
    return f"<div>{''.join(images)}</div><p><small>{note}</small></p>"


def _best(
    entries: Sequence[Mapping[str, Any]], column: Mapping[str, Any], cells: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    values = {
        entry["key"]: cell["value"]
        for entry in entries
        if entry["kind"] != "control"
        and (cell := cells.get(entry["key"], {}).get(column["name"])) is not None
        and cell["value"] is not None
    }
    if column["direction"] == "none" or len(values) < 2:
        return set()
    top = (max if column["direction"] == "higher" else min)(values.values())
    return {key for key, value in values.items() if value == top}


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "–"
    if cell["error"]:
        return "failed"
    if cell["value"] is None:
        return "n/a"
    interval = cell["interval"]
    beside = f" <small>{interval[0]:.3g} to {interval[1]:.3g}</small>" if interval else ""
    return f"{cell['value']:.3g}{beside}{'' if cell['final'] else ' …'}"


def _image(pixels: NDArray[np.uint8], title: str) -> str:
    style = f"display:inline-block;vertical-align:top;width:{WIDTH + 12}px;font-size:75%;overflow-wrap:anywhere"
    name = escaped(title)
    return f'<div style="{style}"><img width="{WIDTH}" alt="{name}" src="{data_uri(pixels, WIDTH)}"><br>{name}</div>'
