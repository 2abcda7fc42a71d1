"""The traits of ExampleGallery, and what those may hold that belong to the reader. Twin of js/src/gallery/traits.ts."""

from datetime import datetime
from typing import Any

import traitlets

from xaiwidgets.widgets.base import ExplainWidget

from .ranking import MODES

VERDICTS = ("keep", "relabel", "drop", "unsure")
FILTERS: dict[str, Any] = {"given": None, "predicted": None, "wrong": False, "text": "", "cut": None}


class GalleryState(ExplainWidget):
    """What the page knows. Examples go by their position in the data set.

    `score_mode`, `ckpt_mask`, `tab`, `filters`, `sort`, `k`, `selection` and `verdicts` are the reader's.
    """

    _kind = traitlets.Unicode("examples").tag(sync=True)

    medium = traitlets.Enum(("image", "text", "rows"), "image").tag(sync=True)
    names: Any = traitlets.List().tag(sync=True)
    ckpts: Any = traitlets.List().tag(sync=True)
    size = traitlets.Int(0).tag(sync=True)
    inputs: Any = traitlets.List().tag(sync=True)
    classes: Any = traitlets.List().tag(sync=True)
    query = traitlets.Dict().tag(sync=True)
    modes: Any = traitlets.List(["dot"]).tag(sync=True)
    items: Any = traitlets.List().tag(sync=True)
    scores = traitlets.Bytes().tag(sync=True)
    norms = traitlets.Bytes().tag(sync=True)
    query_norms: Any = traitlets.List().tag(sync=True)
    rank = traitlets.Dict().tag(sync=True)
    columns = traitlets.Bytes().tag(sync=True)
    columns_meta = traitlets.Dict().tag(sync=True)
    sprites = traitlets.Dict().tag(sync=True)
    texts = traitlets.Dict().tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    pair = traitlets.Dict().tag(sync=True)
    pair_maps = traitlets.Bytes().tag(sync=True)

    score_mode = traitlets.Enum(MODES, "dot").tag(sync=True)
    ckpt_mask: Any = traitlets.List().tag(sync=True)
    tab = traitlets.Enum(("influence", "triage", "map"), "influence").tag(sync=True)
    filters = traitlets.Dict(dict(FILTERS)).tag(sync=True)
    sort = traitlets.Unicode("self").tag(sync=True)
    k = traitlets.Int(12, min=1).tag(sync=True)
    selection: Any = traitlets.List().tag(sync=True)
    verdicts = traitlets.Dict().tag(sync=True)

    @traitlets.validate("filters")
    def _check_filters(self, proposal: dict[str, Any]) -> dict[str, Any]:
        filters: dict[str, Any] = FILTERS | proposal["value"]
        if filters.keys() != FILTERS.keys():
            raise traitlets.TraitError(f"filters={proposal['value']!r} is not known; it has {', '.join(FILTERS)}")
        return filters

    @traitlets.validate("ckpt_mask")
    def _check_mask(self, proposal: dict[str, Any]) -> list[bool]:
        mask = list(proposal["value"])
        if not all(isinstance(one, bool) for one in mask) or (self.ckpts and len(mask) != len(self.ckpts)):
            raise traitlets.TraitError(f"ckpt_mask={mask!r} is not one true or false for each of {len(self.ckpts)}")
        return mask

    @traitlets.validate("selection")
    def _check_selection(self, proposal: dict[str, Any]) -> list[int]:
        return list(dict.fromkeys(self._position(one) for one in proposal["value"]))

    @traitlets.validate("verdicts")
    def _check_verdicts(self, proposal: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = {}
        for name, given in proposal["value"].items():
            key = str(self._position(int(name) if str(name).isdecimal() else name))
            entry = {"verdict": given} if isinstance(given, str) else dict(given)
            verdict, label = entry.get("verdict"), entry.get("label")
            if verdict not in VERDICTS:
                raise traitlets.TraitError(f"the verdict {verdict!r} is not known; there are {', '.join(VERDICTS)}")
            if label is not None and (isinstance(label, bool) or not isinstance(label, int) or label < 0):
                raise traitlets.TraitError(f"the label {label!r} is no class number")
            time = str(entry.get("time") or datetime.now().astimezone().isoformat(timespec="seconds"))
            found[key] = {"verdict": verdict, "label": label if verdict == "relabel" else None, "time": time}
        return found

    def _position(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < max(self.size, 1):
            raise traitlets.TraitError(f"{value!r} is no training example: they are numbered 0 to {self.size - 1}")
        return value
