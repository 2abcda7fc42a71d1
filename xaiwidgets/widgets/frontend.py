"""Who carries the front end to the browser.

Saved notebooks keep a copy of a widget's code for every widget. So one hidden widget, the core, carries the parts for the
kinds of widgets in use, and every visible widget a few hundred bytes that ask the core to draw. Where the host cannot
compose widgets (an older anywidget in the page, marimo), or with XAIWIDGETS_INLINE=1, each widget carries its parts
itself. With ANYWIDGET_HMR=1 all of it is one module (`npm run dev`), watched and reloaded while you edit it.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from xaiwidgets.engine.registry import METHODS
from xaiwidgets.live.assets import STATIC, asset, parts


def hot_reload() -> bool:
    """Whether the front end is being edited (anywidget's own switch)."""
    return os.environ.get("ANYWIDGET_HMR") == "1"


def development(name: str) -> Path:
    """A file of `npm run dev`. Raises RuntimeError if that does not run."""
    path = STATIC / name
    if not path.exists():
        raise RuntimeError(f"ANYWIDGET_HMR=1 watches {path}, which is missing: start `npm --prefix js run dev` first")
    return path


def composes() -> bool:
    """Whether visible widgets may lean on the core: not in marimo, which closes it with the cell that made it."""
    return not (hot_reload() or os.environ.get("XAIWIDGETS_INLINE") == "1" or "marimo" in sys.modules)


class Core(anywidget.AnyWidget):
    """Carries the front end and what is the same for all widgets; never shown."""

    _esm = traitlets.Unicode().tag(sync=True)
    _kind = traitlets.Unicode("core").tag(sync=True)
    _parts: Any = traitlets.Dict().tag(sync=True)
    methods: Any = traitlets.List().tag(sync=True)

    def carry(self, *kinds: str) -> None:
        """Add what is missing to draw these kinds."""
        needed = parts(*kinds)
        if not needed.keys() <= self._parts.keys():
            self._parts = self._parts | needed

    def __repr__(self) -> str:
        return "Core()"


_lock = threading.Lock()
_core: Core | None = None


def core(*kinds: str) -> Core:
    """The kernel's one core, able to draw these kinds; made again if it was closed (`Widget.close_all()`)."""
    global _core  # noqa: PLW0603  # one for the process
    with _lock:
        if _core is None or _core.comm is None:
            _core = Core(_esm=asset("assemble.js"), _parts=parts(*kinds))
        _core.carry(*kinds)
        if len(_core.methods) != len(METHODS):
            _core.methods = [method.schema() for method in METHODS.values()]
        return _core
