"""The gallery without a script: the query, those that lead on either side, a bar for each checkpoint, a table.

The same result gives the same text, byte for byte.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xaiwidgets.widgets.words import escaped, percent

from .words import class_name

SIDE, HALF = 72, 12
"""Pixels of a picture, and of the longest bar."""
BAR = "display:block;height:{rest}px;border-{side}:{bar}px solid {colour}"
MOST_TEXT, MOST_CELLS, MOST_VERDICTS = 160, 6, 50
WARM, COOL = "#c44e00", "#0b62b0"


@dataclass(frozen=True, eq=False)
class Shown:
    """What the figure draws.

    query, rows   cards as in the traits; a row's also have "score" and "parts", the contribution of each checkpoint
    sprites, texts, cells   by key, as in the traits
    """

    caption: str
    names: Sequence[str]
    query: Mapping[str, Any]
    proponents: Sequence[Mapping[str, Any]] = ()
    opponents: Sequence[Mapping[str, Any]] = ()
    sprites: Mapping[str, bytes] = field(default_factory=dict)
    checkpoints: Sequence[str] = ()
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warm: bool = True


def figure(shown: Shown) -> str:
    """HTML."""
    largest = max((abs(part) for row in (*shown.proponents, *shown.opponents) for part in row["parts"]), default=0.0)
    query = f"<div>{_card(shown, shown.query, 'query', '')}</div>" if shown.query else ""
    rows = "".join(
        f"<div><b>{title}</b><br>{''.join(_scored(shown, row, largest) for row in chosen) or 'none'}</div>"
        for title, chosen in (
            ("Proponents: they lower the loss", shown.proponents), ("Opponents: they raise it", shown.opponents),
        )
    ) if shown.query else ""  # fmt: skip
    table = _table(shown) if shown.proponents or shown.opponents else ""
    body = query + rows
    return f'<figure style="margin:0">{body}<figcaption>{escaped(shown.caption)}</figcaption>{table}{_verdicts(shown)}</figure>'


def _scored(shown: Shown, row: Mapping[str, Any], largest: float) -> str:
    bars = _bars(shown, row["parts"], largest) if len(row["parts"]) > 1 else ""
    return _card(shown, row, f"#{row['id']}", f"<b>{row['score']:+.3g}</b>{bars}")


def _card(shown: Shown, card: Mapping[str, Any], title: str, below: str) -> str:
    key = card.get("key", str(card.get("id")))
    said = _labels(shown, card)
    name = f"{title}: {said}"
    picture = shown.sprites.get(key)
    if picture:
        kind = "png" if picture[:4] == b"\x89PNG" else "jpeg"
        uri = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
        style = f"width:{SIDE}px;height:{SIDE}px;object-fit:contain;image-rendering:pixelated"
        content = f'<img style="{style}" alt="{escaped(name)}" src="{uri}"><br>'
    elif "text" in card:
        text = card["text"]
        content = f"<q>{escaped(text[:MOST_TEXT])}{'…' if len(text) > MOST_TEXT else ''}</q><br>"
    else:
        cells = card.get("cells", [])
        rest = f"<br>… {len(cells) - MOST_CELLS} more" if len(cells) > MOST_CELLS else ""
        content = "<br>".join(f"{escaped(a)} {escaped(b)}" for a, b in cells[:MOST_CELLS]) + rest + "<br>"
    width = SIDE + 24 if picture else 180
    style = f"display:inline-block;vertical-align:top;width:{width}px;margin:0 6px 6px 0;font-size:85%;overflow-wrap:anywhere"
    return f'<div style="{style}">{content}{escaped(name)}<br>{below}</div>'


def _labels(shown: Shown, card: Mapping[str, Any]) -> str:
    """Given and predicted label, with a sign where they differ."""
    given = class_name(shown.names, card["y"]) if card.get("y") is not None else ""
    if card.get("yhat") is None:
        return given
    sure = f" {percent(card['conf'])}" if card.get("conf") is not None else ""
    predicted = f"predicted {class_name(shown.names, card['yhat'])}{sure}"
    if not given:
        return predicted
    return f"{given}, {predicted}{'' if card['y'] == card['yhat'] else ' ⚠'}"


def _bars(shown: Shown, parts: Sequence[float], largest: float) -> str:
    """One bar a checkpoint, up for proponents and down for opponents, on one scale in the whole figure."""
    columns = []
    for part in parts:
        length = round(abs(part) / (largest or 1.0) * HALF)
        colour = WARM if (part > 0) == shown.warm else COOL
        above, below = (length, 0) if part > 0 else (0, length)
        ends = "".join(
            f'<span style="{BAR.format(rest=HALF - bar, side=side, bar=bar, colour=colour)}"></span>'
            for bar, side in ((above, "bottom"), (below, "top"))
        )
        columns.append(f'<span style="display:inline-block;width:5px;margin-right:1px">{ends}</span>')
    said = ", ".join(f"{name} {part:+.2g}" for name, part in zip(shown.checkpoints, parts, strict=False))
    return f'<div title="{escaped(said)}" style="line-height:0">{"".join(columns)}</div>'


def _table(shown: Shown) -> str:
    several = any(len(row["parts"]) > 1 for row in (*shown.proponents, *shown.opponents))
    checkpoints = "".join(f"<th>{escaped(name)}</th>" for name in shown.checkpoints) if several else ""
    rows = []
    for row in (*shown.proponents, *shown.opponents):
        parts = "".join(f"<td>{part:+.3g}</td>" for part in row["parts"]) if several else ""
        said = escaped(_labels(shown, row))
        rows.append(f"<tr><td>{row['id']}</td><td>{said}</td><td>{row['score']:+.4g}</td>{parts}</tr>")
    ids = ", ".join(str(row["id"]) for row in shown.proponents)
    against = ", ".join(str(row["id"]) for row in shown.opponents)
    return (
        f"<details><summary>Scores</summary><table><tr><th>example</th><th>label</th><th>score</th>{checkpoints}</tr>"
        f"{''.join(rows)}</table><p>Proponents: {ids or 'none'}. Opponents: {against or 'none'}.</p></details>"
    )


def _verdicts(shown: Shown) -> str:
    if not shown.verdicts:
        return ""
    entries = sorted(shown.verdicts.items(), key=lambda one: int(one[0]))
    rows = "".join(
        f"<tr><td>{escaped(key)}</td><td>{escaped(one['verdict'])}</td>"
        f"<td>{'' if one['label'] is None else escaped(class_name(shown.names, one['label']))}</td></tr>"
        for key, one in entries[:MOST_VERDICTS]
    )
    left = len(entries) - MOST_VERDICTS
    more = f"<p>… {left} more</p>" if left > 0 else ""
    return f"<details><summary>Verdicts</summary><table><tr><th>example</th><th>verdict</th><th>label</th></tr>{rows}</table>{more}</details>"
