"""The traits of TokenStrip, and what those may hold that belong to the reader. Twin of js/src/tokens/traits.ts."""

from typing import Any

import traitlets

from xaiwidgets.widgets.trust.drawer import TrustDrawer

MODES = ("token", "word", "sentence", "line", "paragraph", "regex")


class TokenState(TrustDrawer):
    """What the page knows. Places in a text count UTF-16 code units, as JavaScript does.

    `granularity`, `agg`, `show`, `specials`, `k`, `scale_mode`, `selection`, `selection_sum` and `view` are the reader's.
    """

    _kind = traitlets.Unicode("tokens").tag(sync=True)

    task = traitlets.Enum(("classify", "generate"), "classify").tag(sync=True)
    inputs: Any = traitlets.List().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    n_prompt = traitlets.Int(0).tag(sync=True)
    prompt_end = traitlets.Int(0).tag(sync=True)
    tokens: Any = traitlets.List().tag(sync=True)
    strip: Any = traitlets.List().tag(sync=True)
    boundaries = traitlets.Dict().tag(sync=True)
    baselines: Any = traitlets.List().tag(sync=True)
    classes: Any = traitlets.List().tag(sync=True)
    steps: Any = traitlets.List().tag(sync=True)
    values = traitlets.Bytes().tag(sync=True)
    values_meta = traitlets.Dict().tag(sync=True)
    matrix = traitlets.Bytes().tag(sync=True)
    matrix_meta = traitlets.Dict().tag(sync=True)
    archive = traitlets.Dict().tag(sync=True)
    quality = traitlets.Dict().tag(sync=True)
    whatif = traitlets.Dict().tag(sync=True)
    edited_text = traitlets.Unicode().tag(sync=True)

    granularity = traitlets.Dict({"mode": "token", "regex": ""}).tag(sync=True)
    agg = traitlets.Enum(("sum", "max"), "sum").tag(sync=True)
    show = traitlets.Enum(("bars", "tint", "underline"), "bars").tag(sync=True)
    specials = traitlets.Bool(True).tag(sync=True)
    k = traitlets.Int(0, min=0).tag(sync=True)
    scale_mode = traitlets.Enum(("target", "all", "fixed"), "target").tag(sync=True)
    selection: Any = traitlets.List().tag(sync=True)
    selection_sum = traitlets.Dict().tag(sync=True)
    view = traitlets.Enum(("strip", "matrix"), "strip").tag(sync=True)

    @traitlets.validate("granularity")
    def _check_granularity(self, proposal: dict[str, Any]) -> dict[str, Any]:
        value: dict[str, Any] = {"mode": "token", "regex": ""} | proposal["value"]
        if value["mode"] not in MODES or not isinstance(value["regex"], str):
            raise traitlets.TraitError(f"granularity={proposal['value']!r} is not known; mode is one of {MODES}")
        return value

    @traitlets.validate("selection")
    def _check_selection(self, proposal: dict[str, Any]) -> list[list[int]]:
        pairs = [list(pair) for pair in proposal["value"]]
        whole = all(len(pair) == 2 and all(isinstance(end, int) for end in pair) for pair in pairs)
        if not whole or any(not 0 <= start <= end for start, end in pairs):
            raise traitlets.TraitError(f"selection={proposal['value']!r} is no list of [start, end]")
        return pairs
