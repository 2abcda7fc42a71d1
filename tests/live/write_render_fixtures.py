"""Maps, settings and the pixels they must give, for the tests of js/src/lib/render.ts.

`python -m tests.live.write_render_fixtures` writes js/tests/fixtures/render.json from xaiwidgets.live.render, which
test_render.py checks against matplotlib. The file:

    {"maps": {name: {width, height, values}},            float32 values in C order
     "luts": {name: base64 of 768 RGB bytes},
     "cases": [{map, lut, signed, polarity, shared_range, display, range, rgba: base64}],
     "underlays": [{width, height, rgb: base64, fade, theme, expected: base64 of RGB}]}

`display` holds every setting. No expected number lies so close to a rounding boundary that another order of the same
operations could change it.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from xaiwidgets.live.colors import table
from xaiwidgets.live.render import DISPLAY, clip_range, render, underlay

FIXTURES = Path(__file__).parents[2] / "js" / "tests" / "fixtures" / "render.json"
_MARGIN = 1e-9


def maps() -> dict[str, np.ndarray]:
    """Small maps: noise with an outlier, a ramp through zero, mostly zero, all zero, tiny, unsigned."""
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(6, 5))
    noise[2, 3] = 40
    sparse = np.zeros((8, 8))
    sparse[1, 2], sparse[5, 5] = 0.75, -3
    return {
        "noise": noise,
        "ramp": np.linspace(-1, 1, 35).reshape(5, 7),
        "sparse": sparse,
        "zero": np.zeros((2, 3)),
        "tiny": rng.normal(size=(3, 4)) * 1e-12,
        "unsigned": np.abs(rng.normal(size=(4, 6))),
        "one": np.array([[-2.5]]),
    }


def _cases() -> list[dict[str, Any]]:
    """Which map is drawn how: settings that differ from the defaults."""
    plain = [("noise", {}), ("ramp", {}), ("sparse", {}), ("zero", {}), ("tiny", {}), ("one", {}), ("unsigned", {})]
    settings = [
        {"clip": 90}, {"clip": 100}, {"gamma": 0.5}, {"gamma": 2.2}, {"view": "side"}, {"view": "wipe"},
        {"sign": "positive"}, {"sign": "negative"}, {"sign": "absolute"}, {"sign": "positive", "view": "side"},
        {"scale_mode": "fixed", "range": 0.4}, {"scale_mode": "fixed", "range": 5.0, "gamma": 0.7},
        {"scale_mode": "fixed", "range": 0.0}, {"scale_mode": "shared"},
    ]  # fmt: skip
    drawn = [*plain, *(("noise", one) for one in settings), ("unsigned", {"gamma": 1.7, "clip": 95})]
    cases = [
        {"map": name, "display": display, "theme": theme, "polarity": "warm", "shared_range": 2.0 if display.get("scale_mode") == "shared" else 0.0}
        for name, display in drawn
        for theme in ("light", "dark")
    ]  # fmt: skip
    return [*cases, *({**case, "polarity": "cool"} for case in cases if case["map"] in ("ramp", "sparse"))]


def fixtures() -> dict[str, Any]:
    """The content of the file."""
    stored = {name: values.astype(np.float32) for name, values in maps().items()}
    luts = {
        f"{kind}_{theme}": table("default", signed=kind == "diverging", theme=theme)
        for kind in ("diverging", "sequential")
        for theme in ("light", "dark")
    }
    cases = []
    for case in _cases():
        values, display = stored[case["map"]], DISPLAY | case["display"]
        signed = case["map"] != "unsigned"
        lut = f"{'diverging' if signed and display['sign'] != 'absolute' else 'sequential'}_{case['theme']}"
        drawn = render(
            values, luts[lut], signed=signed, display=display,
            warm_supports=case["polarity"] == "warm", shared_range=case["shared_range"],
        )  # fmt: skip
        _check_margins(values, display, drawn.range, signed)
        cases.append({
            "map": case["map"], "lut": lut, "signed": signed, "polarity": case["polarity"],
            "shared_range": case["shared_range"], "display": display, "range": drawn.range, "rgba": _base64(drawn.rgba),
        })  # fmt: skip
    return {
        "maps": {
            name: {"width": values.shape[1], "height": values.shape[0], "values": [float(v) for v in values.flat]}
            for name, values in stored.items()
        },
        "luts": {name: _base64(colours) for name, colours in luts.items()},
        "cases": cases,
        "underlays": _underlays(),
    }


def _underlays() -> list[dict[str, Any]]:
    image = np.random.default_rng(3).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    image[0, :2] = [[0, 0, 0], [255, 255, 255]]
    return [
        {"width": 4, "height": 5, "rgb": _base64(image), "fade": fade, "theme": theme, "expected": _base64(underlay(image, fade, theme))}
        for fade in (0.0, 0.3, 1.0)
        for theme in ("light", "dark")
    ]  # fmt: skip


def _check_margins(values: np.ndarray, display: dict[str, Any], limit: float, signed: bool) -> None:
    """Powers may differ in their last bit between languages: keep away from where that shows."""
    if display["gamma"] == 1 or limit == 0:
        return  # only operations that are correctly rounded everywhere
    strength = np.minimum(np.abs(values.astype(np.float64)) / limit, 1) ** display["gamma"]
    strength = strength[(strength > 0) & (strength < 1)]
    for drawn in ([127.5 + 127.5 * strength, 127.5 - 127.5 * strength] if signed else [255 * strength]) + [
        255 * np.sqrt(strength)
    ]:
        assert np.abs(np.mod(drawn, 1) - 0.5).min() > _MARGIN


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def text() -> str:
    """The file's text."""
    assert all(clip_range(values, 99.5) >= 0 for values in maps().values())
    return json.dumps(fixtures(), indent=1) + "\n"


if __name__ == "__main__":
    FIXTURES.parent.mkdir(parents=True, exist_ok=True)
    FIXTURES.write_text(text(), encoding="utf-8")
