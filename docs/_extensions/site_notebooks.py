"""The notebooks as pages of the site, as they are in the repository: executed, with static pictures, without a network."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import nbformat

from xaiwidgets.live.notebook import convert

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FOLDER = "_notebooks"
DOWNLOAD = '<p style="margin: 1rem"><a style="color: #0b57d0" href="{name}" download>Download this notebook</a>, to run it and to have its widgets.</p>'


def _write(app: Any) -> None:
    if app.builder.format != "html":
        return
    logging.getLogger("traitlets").setLevel(logging.ERROR)  # nbconvert's advice about plots without a description
    for source in sorted(NOTEBOOKS.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in source.parts:
            continue
        page = (Path(app.outdir) / FOLDER / source.relative_to(NOTEBOOKS)).with_suffix(".html")
        if page.exists() and page.stat().st_mtime > source.stat().st_mtime:
            continue
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, page.parent)
        html = convert(nbformat.read(source, as_version=4))
        page.write_text(html.replace("<main", DOWNLOAD.format(name=source.name) + "\n<main", 1), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
