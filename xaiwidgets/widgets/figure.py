"""The figure beside a widget: pictures, caption and table as plain HTML without any script.

Shown where a widget cannot run: a notebook on a code host, an export, a reader without a kernel. The same result gives
the same text, byte for byte, so that notebooks can be compared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.colors import Table
from xaiwidgets.live.pictures import data_uri
from xaiwidgets.live.render import compose, render
from xaiwidgets.widgets.words import escaped, percent

WIDTH = 144
_ROWS = 8


def figure(
    picture: NDArray[np.uint8], values: NDArray[np.floating[Any]] | None, *, signed: bool, display: dict[str, Any],
    colors: Table, warm_supports: bool, title: str, caption: str, table_rows: Sequence[tuple[str, str, str]],
) -> str:  # fmt: skip
    """HTML of the input and, where there is one, of its map [height, width] in `colors` (see `render`)."""
    images = [_image(picture, f"input: {title}")]
    if values is not None:
        drawn = render(values, colors, signed=signed, display=display, warm_supports=warm_supports)
        images.append(_image(compose(picture, drawn, opacity=display["opacity"], fade=display["underlay"]), title))
    rows = "".join(
        f"<tr><td>{escaped(a)}</td><td>{escaped(b)}</td><td>{escaped(c)}</td></tr>" for a, b, c in table_rows
    )
    body = (
        f"<details><summary>Strongest areas</summary><table><tr><th>area</th><th>sum</th><th>share</th></tr>{rows}</table></details>"
        if rows
        else ""
    )
    return f'<figure style="margin:0">{"".join(images)}<figcaption>{escaped(caption)}</figcaption>{body}</figure>'


def strongest(values: NDArray[np.floating[Any]], unit: str) -> list[tuple[str, str, str]]:
    """The strongest areas of a 14 × 14 grid (or of the pixels, where there are fewer): place, sum and share of |total|."""
    bands = [
        np.array_split(band, min(14, values.shape[1]), axis=1)
        for band in np.array_split(values, min(14, values.shape[0]), axis=0)
    ]
    sums = np.array([[cell.sum() for cell in band] for band in bands])
    total = float(np.abs(sums).sum()) or 1.0
    order = np.argsort(-np.abs(sums), axis=None, kind="stable")[:_ROWS]
    return [
        (
            f"row {row + 1}, column {column + 1}",
            f"{sums[row, column]:+.3g} {unit}",
            percent(abs(float(sums[row, column])) / total),
        )
        for row, column in (np.unravel_index(index, sums.shape) for index in order)
    ]


def _image(pixels: NDArray[np.uint8], alternative: str) -> str:
    return (
        f'<img width="{WIDTH}" style="margin-right:8px" alt="{escaped(alternative)}" src="{data_uri(pixels, WIDTH)}">'
    )
