"""How the browser gets the bundle.

Saved notebooks keep a copy of a widget's code for every widget. So one hidden widget, the core, carries the bundle and
the style sheet, and every visible widget a few hundred bytes that ask the core to draw. Where the host cannot compose
widgets (an older anywidget in the page, marimo), or with XAIWIDGETS_INLINE=1, each widget carries the bundle itself.
With ANYWIDGET_HMR=1 the bundle is watched and reloaded while you edit it.
"""

import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from xaiwidgets.engine.registry import METHODS

STATIC = Path(__file__).parents[1] / "static"


@cache
def asset(name: str) -> str:
    """A built file's text. Raises RuntimeError if the front end was not built."""
    path = STATIC / name
    if not path.exists():
        raise RuntimeError(
            f"{path} is missing: the front end is not built. Run `make build`, or reinstall with `pip install -e .`"
        )
    return path.read_text(encoding="utf-8")


def hot_reload() -> bool:
    """Whether the bundle is being edited (anywidget's own switch)."""
    return os.environ.get("ANYWIDGET_HMR") == "1"


def composes() -> bool:
    """Whether visible widgets may lean on the core: not in marimo, which closes it with the cell that made it."""
    return not (hot_reload() or os.environ.get("XAIWIDGETS_INLINE") == "1" or "marimo" in sys.modules)


class Core(anywidget.AnyWidget):
    """Carries the bundle and what is the same for all widgets; never shown."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    _kind = traitlets.Unicode("core").tag(sync=True)
    methods: Any = traitlets.List().tag(sync=True)

    def __repr__(self) -> str:
        return "Core()"


_lock = threading.Lock()
_core: Core | None = None


def core() -> Core:
    """The kernel's one core, made again if it was closed (`Widget.close_all()`)."""
    global _core  # noqa: PLW0603  # one for the process
    with _lock:
        if _core is None or _core.comm is None:
            _core = Core(_esm=asset("xaiwidgets.js"), _css=asset("xaiwidgets.css"))
        if len(_core.methods) != len(METHODS):
            _core.methods = [method.schema() for method in METHODS.values()]
        return _core
