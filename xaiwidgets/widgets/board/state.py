"""The traits of Scoreboard, and what those may hold that belong to the reader. Twin of js/src/board/traits.ts.

| trait | type | meaning |
|---|---|---|
| `medium` | "image" / "text" | how inputs and maps are shown; rows of numbers are shown as texts, a word for each number |
| `rows` | int | how many inputs were measured; the first of them are shown |
| `inputs` | list[{label, target, target_label, probability}] | the shown ones |
| `thumbnails` | bytes | their small pictures in one strip |
| `pictures` | dict "0", "1", … → bytes | their pictures |
| `tokens` | list[list[str]] | of texts: the words of the shown inputs |
| `entries` | list[{key, title, kind, summary, reference, signed, unit, parameters, seconds, evaluations, error}] | rows of the table; kind: "method", "control", "given" |
| `columns` | list[{name, title, family, summary, reference, direction, range, tells, cannot, parameters}] | metrics |
| `cells` | dict entry → column → {value, interval, values, notes, progress, final, seconds, evaluations, error} | what is there so far |
| `curves`, `curve_data` | list[{entry, columns, name, x, x_title, y_title, low, high, ticks, inputs, scale, offset}], bytes | see `pack.pack_curves` |
| `maps`, `map_data` | {shapes, pool, entries: key → {offset, scales}}, bytes | see `pack.pack_maps` |
| `agreement` | {keys, mean, each} | rank correlations of all maps: mean over all inputs, and of each shown one |
| `selection` | list of keys | the picked entries: the Python value |
| `input` | int | the shown input whose maps are on show |
| `tab` | "maps" / "pair" / "curves" / "agreement" | what stands below the table |
| `sort` | {by, reverse} | by a column's name, "title", "seconds", or "" as given |
| `hidden` | {entries, columns} | what is not on show |
| `pair`, `pair_view` | two keys, "side" / "wipe" / "flicker" / "difference" | the two maps that are compared |
| `display` | {scale: "share" / "own" / "value", sign: "both" / "absolute", clip, wipe, underlay} | how maps are drawn |
| `opened` | {entry, column} | the cell whose curves are on show |

From `selection` on they are the reader's. The page sets them on the model; all but `selection` ride along with the next request.
"""

import math
from typing import Any

import traitlets

from xaiwidgets.widgets.base import ExplainWidget

DISPLAY: dict[str, Any] = {"scale": "share", "sign": "both", "clip": 99.5, "wipe": 0.5, "underlay": True}
CHOICES = {"scale": ("share", "own", "value"), "sign": ("both", "absolute"), "underlay": (True, False)}


class BoardState(ExplainWidget):
    """What the page knows."""

    _kind = traitlets.Unicode("scoreboard").tag(sync=True)

    medium = traitlets.Enum(("image", "text"), "image").tag(sync=True)
    rows = traitlets.Int(0).tag(sync=True)
    inputs: Any = traitlets.List().tag(sync=True)
    thumbnails = traitlets.Bytes().tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)
    tokens: Any = traitlets.List().tag(sync=True)
    entries: Any = traitlets.List().tag(sync=True)
    columns: Any = traitlets.List().tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    curves: Any = traitlets.List().tag(sync=True)
    curve_data = traitlets.Bytes().tag(sync=True)
    maps = traitlets.Dict({"shapes": [], "pool": 1, "entries": {}}).tag(sync=True)
    map_data = traitlets.Bytes().tag(sync=True)
    agreement: Any = traitlets.Dict({"keys": [], "mean": [], "each": []}).tag(sync=True)

    selection: Any = traitlets.List().tag(sync=True)
    input = traitlets.Int(0, min=0).tag(sync=True)
    tab = traitlets.Enum(("maps", "pair", "curves", "agreement"), "maps").tag(sync=True)
    sort = traitlets.Dict({"by": "", "reverse": False}).tag(sync=True)
    hidden: Any = traitlets.Dict({"entries": [], "columns": []}).tag(sync=True)
    pair: Any = traitlets.List().tag(sync=True)
    pair_view = traitlets.Enum(("side", "wipe", "flicker", "difference"), "side").tag(sync=True)
    display = traitlets.Dict(dict(DISPLAY)).tag(sync=True)
    opened = traitlets.Dict().tag(sync=True)

    @traitlets.validate("selection")
    def _check_selection(self, proposal: dict[str, Any]) -> list[str]:
        chosen = list(dict.fromkeys(proposal["value"]))
        known = [entry["key"] for entry in self.entries]
        for key in chosen:
            if known and key not in known:
                raise traitlets.TraitError(f"{key!r} is not compared; there are {', '.join(known)}")
        return chosen

    @traitlets.validate("display")
    def _check_display(self, proposal: dict[str, Any]) -> dict[str, Any]:
        for name, value in proposal["value"].items():
            if name not in DISPLAY:
                raise traitlets.TraitError(f"display has no setting {name!r}; it has {', '.join(DISPLAY)}")
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if value not in CHOICES[name] if name in CHOICES else not number:
                raise traitlets.TraitError(f"display[{name!r}] cannot be {value!r}")
        return {**DISPLAY, **proposal["value"]}
