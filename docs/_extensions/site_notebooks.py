"""The notebooks as pages of the site, as they are in the repository: executed, with static pictures, without a network."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.paths import jupyter_path
from mathml import mathml

from xaiwidgets.live.notebook import convert

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FOLDER = "_notebooks"
FORMULA = re.compile(r"(```.*?```|`[^`]+`)|\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)
LINKS = (
    (re.compile(r'href="([^":]+)\.ipynb"'), r'href="\1.html"'),
    (re.compile(r'href="((?:\.\./)+)docs/([^":]+)\.md'), r'href="\1\2.html'),
)
DARK = "nbconvert/templates/lab/static/theme-dark.css"  # nbconvert writes light pages or dark ones, not both in one
# The site keeps what its reader chose under "theme": light, dark, or auto for the system's.
START = """<script>
const system = matchMedia("(prefers-color-scheme: dark)");
const follow = () => {{
  let chosen = "auto";
  try {{
    chosen = localStorage.getItem("theme") ?? "auto";
  }} catch {{
    // a page that may keep nothing follows the system
  }}
  const dark = chosen === "dark" || (chosen !== "light" && system.matches);
  document.documentElement.dataset.jpThemeLight = document.body.dataset.jpThemeLight = String(!dark);
}};
follow();
system.addEventListener("change", follow);
addEventListener("storage", follow);
</script>
<p style="margin: 1rem"><a href="{name}" download>Download this notebook</a>, to run it and to have its widgets.</p>
<main"""
STYLE = """<style>
{dark}
:root[data-jp-theme-light="false"] {{ color-scheme: dark; }}
body > p {{ color: var(--jp-content-font-color1); }}
body > p > a {{ color: var(--jp-content-link-color); }}
</style>
</head>"""


def for_the_site(notebook: Any, name: str) -> str:
    """A notebook's page with a link to the notebook, light or dark as its reader has the site; links lead to pages of the site."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(_drawn, cell.source)
    html = convert(notebook)
    for written, there in LINKS:
        html = written.sub(there, html)
    dark = next(path for folder in jupyter_path() if (path := Path(folder) / DARK).exists())
    colours = dark.read_text(encoding="utf-8").replace(":root {", ':root[data-jp-theme-light="false"] {')
    head = html.replace("</head>", STYLE.format(dark=colours), 1)
    return head.replace("<main", START.format(name=name), 1)


def _drawn(formula: re.Match[str]) -> str:
    """MathML on one line, which Markdown leaves alone; code stays."""
    code, block, line = formula.groups()
    return code or " ".join(mathml(block or line, block=bool(block)).split())


def _write(app: Any) -> None:
    if app.builder.format != "html":
        return
    for source in sorted(NOTEBOOKS.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in source.parts:
            continue
        page = (Path(app.outdir) / FOLDER / source.relative_to(NOTEBOOKS)).with_suffix(".html")
        if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in (source, Path(__file__))):
            continue
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, page.parent)
        page.write_text(for_the_site(nbformat.read(source, as_version=4), source.name), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
