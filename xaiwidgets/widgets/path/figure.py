"""The explorer without a script: five places on the path, the curves, the baselines side by side, a table.

The same run gives the same text, byte for byte.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from xaiwidgets.live.colors import Table
from xaiwidgets.live.frames import pooled
from xaiwidgets.live.pictures import data_uri
from xaiwidgets.live.render import render
from xaiwidgets.methods.walk import Curves
from xaiwidgets.widgets.words import escaped, percent

from .kinds import DISTRIBUTION
from .runs import Sight

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE, SMALL, BLOCKS = 96, 48, 32
FRAME = "outline:1px solid #8888"
CHART = (320, 150)
SMOOTH = 3
"""A chart is drawn this many times larger and shrunk."""
MOST_TOKENS = 40
ROWS = 11


@dataclass(frozen=True, eq=False)
class Shown:
    """What the figure draws. Pictures are uint8 [h, w, 3], maps [h, w]; `tokens` of a text, which has no pictures."""

    mode: str
    caption: str
    colours: Table
    warm: bool
    clip: float
    sight: Sight | None = None
    picture: NDArray[np.uint8] | None = None
    baseline: NDArray[np.uint8] | None = None
    tokens: Sequence[str] = ()
    strip: Sequence[tuple[str, NDArray[np.uint8] | None, NDArray[np.floating[Any]] | None]] = field(
        default_factory=list
    )


def figure(shown: Shown) -> str:
    """HTML."""
    sight = shown.sight
    if sight is None:
        pictures = "" if shown.picture is None else _image(shown.picture, SIDE, "input")
        return _framed(pictures + " ".join(map(escaped, shown.tokens)), shown.caption)
    parts = [_tokens(shown, sight) if shown.tokens else _pictures(shown, sight), _chart(sight.curves, shown.mode)]
    if not shown.tokens:
        parts.append(_strip(shown))
    return _framed("".join(parts), shown.caption, _table(sight.curves, shown.mode))


def accumulated(sight: Sight, places: Sequence[float], mode: str) -> NDArray[np.float64]:
    """What has come together at places 0..1 of the path (of the samples: their running mean), [places, h', w']."""
    edges = np.array(sight.edges)
    sums = np.concatenate([np.zeros((1, *sight.frames.shape[1:])), np.cumsum(sight.frames.astype(np.float64), axis=0)])
    found = []
    for place in np.array(places) * edges[-1]:
        frame = int(np.clip(np.searchsorted(edges, place, side="right") - 1, 0, len(edges) - 2))
        part = (place - edges[frame]) / (edges[frame + 1] - edges[frame])
        total = sums[frame] + part * (sums[frame + 1] - sums[frame])
        found.append(total / max(place, 1.0) if mode == DISTRIBUTION else total)
    return np.stack(found)


def _pictures(shown: Shown, sight: Sight) -> str:
    maps = pooled(accumulated(sight, PLACES, shown.mode), BLOCKS)[0]
    limit = _limit(maps[-1], shown.clip)
    cells = []
    for place, values in zip(PLACES, maps, strict=True):
        name = f"{round(place * sight.edges[-1])} samples" if shown.mode == DISTRIBUTION else f"α = {place:.2f}"
        pictures = [_map(values, shown, limit, SIDE, f"accumulated, {name}")]
        if shown.picture is not None and shown.baseline is not None and shown.mode != DISTRIBUTION:
            blend = shown.baseline + place * (shown.picture.astype(np.float64) - shown.baseline)
            pictures.insert(0, _image(np.round(blend).astype(np.uint8), SIDE, f"interpolated, {name}"))
        cells.append(f'<td style="padding:0 4px 0 0">{"<br>".join(pictures)}<br>{escaped(name)}</td>')
    return f"<table><tr>{''.join(cells)}</tr></table>"


def _strip(shown: Shown) -> str:
    cells = []
    for title, picture, values in shown.strip:
        pictures = [_image(picture, SMALL, f"baseline: {title}")] if picture is not None else []
        if values is not None:
            blocks = pooled(values, BLOCKS)[0]
            pictures.append(_map(blocks, shown, _limit(blocks, shown.clip), SMALL, f"map from {title}"))
        style = f"padding:0 4px 0 0;vertical-align:top;width:{SMALL + 24}px"
        cells.append(f'<td style="{style}">{"<br>".join(pictures)}<br>{escaped(title)}</td>')
    return f"<table><tr>{''.join(cells)}</tr></table>" if cells else ""


def _tokens(shown: Shown, sight: Sight) -> str:
    """What every token has accumulated at the places, the strongest tokens of a long text only."""
    values = accumulated(sight, PLACES, shown.mode)[:, 0]
    chosen = np.sort(np.argsort(-np.abs(values[-1]), kind="stable")[:MOST_TOKENS])
    head = "".join(f"<th>α = {place:.2f}</th>" for place in PLACES)
    rows = "".join(
        f"<tr><td>{escaped(shown.tokens[index])}</td>{''.join(f'<td>{_signed(value)}</td>' for value in values[:, index])}</tr>"
        for index in chosen
    )
    return f"<table><tr><th>token</th>{head}</tr>{rows}</table>"


def _chart(curves: Curves, mode: str) -> str:
    """The score's change (dark) and what has accumulated (orange), with the gap between them shaded."""
    width, height = (SMOOTH * extent for extent in CHART)
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    x, values = np.array(curves.alphas), np.array([curves.F, curves.C])
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    span = (high - low) or 1.0
    margin = 4 * SMOOTH

    def points(line: NDArray[np.float64]) -> list[tuple[float, float]]:
        along = margin + (width - 2 * margin) * (x - x[0]) / ((x[-1] - x[0]) or 1.0)
        up = height - margin - (height - 2 * margin) * (line - low) / span
        return list(zip(along.tolist(), up.tolist(), strict=True))

    change, sums = points(values[0]), points(values[1])
    zero = points(np.zeros(len(x)))
    if len(x) > 1:
        draw.polygon([*change, *reversed(sums)], fill="#f3d9c4")
        draw.line([zero[0], zero[-1]], fill="#bbbbbb", width=SMOOTH)
        draw.line(sums, fill="#c44e00", width=2 * SMOOTH)
        draw.line(change, fill="#123a63", width=2 * SMOOTH)
    picture = picture.resize(CHART, Image.Resampling.LANCZOS).quantize(32)
    along = "number of samples" if mode == DISTRIBUTION else "α"
    name = (
        f"Change of the score (dark) and accumulated attribution (orange) over {along}, from {low:.3g} to {high:.3g}."
    )
    return f"<div>{_image(np.asarray(picture.convert('RGB')), CHART[0], name)}<br>{escaped(name)}</div>"


def _table(curves: Curves, mode: str) -> str:
    ends = curves.alphas[-1] if mode == DISTRIBUTION else 1.0
    places = np.linspace(curves.alphas[0] if mode == DISTRIBUTION else 0.0, ends, ROWS)
    columns = [np.interp(places, curves.alphas, line) for line in (curves.F, curves.C)]
    prob = np.interp(places, curves.alphas, curves.prob) if curves.prob else None
    rows = "".join(
        f"<tr><td>{place:.3g}</td><td>{columns[0][row]:.4g}</td><td>{columns[1][row]:.4g}</td>"
        f"{'' if prob is None else f'<td>{percent(float(prob[row]))}</td>'}</tr>"
        for row, place in enumerate(places)
    )
    first = "samples" if mode == DISTRIBUTION else "α"
    head = f"<tr><th>{first}</th><th>change of the score</th><th>accumulated</th>{'' if prob is None else '<th>probability</th>'}</tr>"
    return f"<details><summary>Along the path</summary><table>{head}{rows}</table></details>"


def _map(values: NDArray[np.floating[Any]], shown: Shown, limit: float, width: int, alternative: str) -> str:
    """A map as it is: a few blocks, enlarged by the page. Each is a sum, and easier to judge than noisy pixels."""
    display = {"view": "side", "scale_mode": "fixed", "range": limit}
    drawn = render(values, shown.colours, signed=True, display=display, warm_supports=shown.warm)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(drawn.rgba[..., :3])).quantize(64).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    style = f"{FRAME};height:{round(width * values.shape[0] / values.shape[1])}px;image-rendering:pixelated"
    return f'<img width="{width}" style="{style}" alt="{escaped(alternative)}" src="data:image/png;base64,{data}">'


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _limit(values: NDArray[np.floating[Any]], clip: float) -> float:
    magnitudes = np.abs(values)
    return float(np.percentile(magnitudes, clip)) or float(magnitudes.max()) or 1.0


def _image(pixels: NDArray[np.uint8], width: int, alternative: str) -> str:
    uri = data_uri(pixels, width)
    return f'<img width="{width}" style="{FRAME}" alt="{escaped(alternative)}" src="{uri}">'


def _framed(body: str, caption: str, details: str = "") -> str:
    return f'<figure style="margin:0">{body}<figcaption>{escaped(caption)}</figcaption>{details}</figure>'
