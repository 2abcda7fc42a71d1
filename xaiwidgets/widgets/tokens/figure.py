"""The strip without a script: words over and under which bars stand, caption, and a table that survives into LaTeX.

The same result gives the same text, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.live.colors import Table
from xaiwidgets.text.groups import Groups, group
from xaiwidgets.text.spelling import surface
from xaiwidgets.text.tokens import Stretch, Tokens
from xaiwidgets.widgets.words import escaped, percent

HEIGHT = 18
"""Pixels of the longest bar."""
MOST = 300
"""Words that are drawn and listed."""
BAR = "display:block;height:{rest}px;border-{side}:{bar}px solid {colour}"


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the figure shows: values [T] of some tokens, in groups. `target`: the positions that are explained."""

    tokens: Tokens
    groups: Groups
    sums: NDArray[np.floating[Any]] | None
    signed: bool
    unit: str
    colours: Table
    warm: bool
    caption: str
    n_prompt: int
    target: Sequence[int] = ()


def grouped(tokens: Tokens, n_prompt: int, unit: str) -> Groups:
    """Tokens in units of the text; what was generated is never in one with what was not."""
    parts = [tokens.items[:n_prompt], tokens.items[n_prompt:]]
    of: list[int] = []
    spans: list[Stretch] = []
    for items in filter(None, parts):
        shift, first = len(spans), len(of)
        own = group(replace(tokens, items=items), unit)
        of += [number + shift for number in own.of]
        spans += [replace(span, members=tuple(place + first for place in span.members)) for span in own.spans]
    return Groups(tuple(of), tuple(spans))


def figure(drawn: Drawn) -> str:
    """HTML."""
    prompt = [place for place, span in enumerate(drawn.groups.spans) if span.members[0] < drawn.n_prompt]
    output = list(range(len(prompt), len(drawn.groups)))
    rows = [_strip(drawn, prompt), _strip(drawn, output)] if output else [_strip(drawn, prompt)]
    table = _table(drawn) if drawn.sums is not None else ""
    return f'<figure style="margin:0">{"".join(rows)}<figcaption>{escaped(drawn.caption)}</figcaption>{table}</figure>'


def _strip(drawn: Drawn, places: Sequence[int]) -> str:
    largest = 1.0 if drawn.sums is None else float(np.abs(drawn.sums).max(initial=0.0)) or 1.0
    words = []
    for place in places[:MOST]:
        value = 0.0 if drawn.sums is None else float(drawn.sums[place])
        words.append(_word(drawn, place, value / largest))
    left = len(places) - MOST
    more = f" … {left} more" if left > 0 else ""
    return f'<div dir="auto" style="line-height:1.3">{"".join(words)}{more}</div>'


def _word(drawn: Drawn, place: int, size: float) -> str:
    up = size > 0 or not drawn.signed
    length = round(abs(size) * HEIGHT)
    warm = up if drawn.warm else not up
    red, green, blue = drawn.colours[-1 if warm or not drawn.signed else 0]
    colour = f"#{red:02x}{green:02x}{blue:02x}"
    above, below = (length, 0) if up else (0, length)
    bars = [
        f'<span style="{BAR.format(rest=HEIGHT - bar, side=side, bar=bar, colour=colour)}"></span>'
        for bar, side in ((above, "bottom"), (below, "top"))
    ]
    text = escaped(_text(drawn, place))
    if set(drawn.groups.spans[place].members) & set(drawn.target):
        text = f"<b><u>{text}</u></b>"
    bottom = bars[1] if drawn.signed else ""
    return (
        '<span style="display:inline-block;text-align:center;margin:0 2px">'
        f"{bars[0]}<span>{text}</span>{bottom}</span> "
    )


def _table(drawn: Drawn) -> str:
    assert drawn.sums is not None  # noqa: S101 - figure() looked
    total = float(np.abs(drawn.sums).sum()) or 1.0
    rows = "".join(
        f"<tr><td>{escaped(_text(drawn, place))}</td><td>{float(value):+.4g}</td><td>{percent(abs(float(value)) / total)}</td></tr>"
        for place, value in enumerate(drawn.sums[:MOST])
    )
    return f"<details><summary>Values ({escaped(drawn.unit)})</summary><table><tr><th>text</th><th>value</th><th>share</th></tr>{rows}</table></details>"


def _text(drawn: Drawn, place: int) -> str:
    """A group's own text on one line; what stands for no text by its surface."""
    span = drawn.groups.spans[place]
    text = drawn.tokens.slice(span)
    if not text:
        return drawn.tokens.items[span.members[0]].surface
    return surface(text.strip(" ") or text)
