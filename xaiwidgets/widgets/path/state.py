"""The traits of PathExplorer, and what those may hold that belong to the reader. Twin of js/src/path/traits.ts."""

import math
from typing import Any

import traitlets

from xaiwidgets.widgets.trust.drawer import TrustDrawer

from .kinds import MODES

DISPLAY: dict[str, Any] = {"sign": "both", "clip": 99.5, "blind": False, "disagreement": False}


class PathState(TrustDrawer):
    """What the page knows. `alpha`, `window`, `frame_scale`, `cumulative` and `display` are the reader's."""

    _kind = traitlets.Unicode("path").tag(sync=True)

    medium = traitlets.Enum(("image", "text"), "image").tag(sync=True)
    x_img = traitlets.Bytes().tag(sync=True)
    image_size: Any = traitlets.List().tag(sync=True)
    tokens: Any = traitlets.List().tag(sync=True)
    classes: Any = traitlets.List().tag(sync=True)
    baselines: Any = traitlets.List().tag(sync=True)
    baseline_data = traitlets.Dict().tag(sync=True)
    kinds: Any = traitlets.List().tag(sync=True)
    baseline_id = traitlets.Unicode().tag(sync=True)
    mode = traitlets.Enum(MODES, "path").tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)
    alphas: Any = traitlets.List().tag(sync=True)
    F: Any = traitlets.List().tag(sync=True)
    C: Any = traitlets.List().tag(sync=True)
    prob: Any = traitlets.List().tag(sync=True)
    scores: Any = traitlets.List().tag(sync=True)
    gaps = traitlets.Dict().tag(sync=True)
    inc_meta = traitlets.Dict().tag(sync=True)
    increments = traitlets.Bytes().tag(sync=True)
    total_meta = traitlets.Dict().tag(sync=True)
    total_map = traitlets.Bytes().tag(sync=True)
    facts = traitlets.Dict().tag(sync=True)
    refs = traitlets.Bytes().tag(sync=True)
    archive = traitlets.Dict().tag(sync=True)
    alpha = traitlets.Float(1.0).tag(sync=True)
    window: Any = traitlets.List([0.0, 1.0]).tag(sync=True)
    frame_scale = traitlets.Enum(("shared", "each"), "shared").tag(sync=True)
    cumulative = traitlets.Enum(("integral", "running_mean"), "integral").tag(sync=True)
    baseline_request = traitlets.Dict().tag(sync=True)

    @traitlets.validate("alpha")
    def _check_alpha(self, proposal: dict[str, Any]) -> float:
        return _share(proposal["value"], "alpha")

    @traitlets.validate("window")
    def _check_window(self, proposal: dict[str, Any]) -> list[float]:
        value = proposal["value"]
        if len(value) != 2 or not all(isinstance(end, (int, float)) for end in value):
            raise traitlets.TraitError(f"window={value!r} is no pair of places")
        low, high = (_share(end, "window") for end in value)
        if low > high:
            raise traitlets.TraitError(f"window={value!r} ends before it begins")
        return [low, high]

    @traitlets.validate("display")
    def _check_display(self, proposal: dict[str, Any]) -> dict[str, Any]:
        display: dict[str, Any] = DISPLAY | proposal["value"]
        unknown = display.keys() - DISPLAY.keys()
        clip = display["clip"]
        if unknown or display["sign"] not in ("both", "absolute"):
            raise traitlets.TraitError(f"display={proposal['value']!r} is not known; it has {', '.join(DISPLAY)}")
        if isinstance(clip, bool) or not isinstance(clip, (int, float)) or not 0 < clip <= 100:
            raise traitlets.TraitError(f"display['clip'] is {clip!r}, not a percentile in 0..100")
        if not all(isinstance(display[name], bool) for name in ("blind", "disagreement")):
            raise traitlets.TraitError("display['blind'] and display['disagreement'] are true or false")
        return display


def _share(value: Any, name: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not 0 <= value <= 1
    ):
        raise traitlets.TraitError(f"{name}={value!r} does not lie in 0..1")
    return float(value)
