"""Widgets on the pages, live with no kernel: what `to_html()` writes, in a frame as high as what is in it.

    ```{live} heatmap
    :alt: what is to be seen, for readers without the frame
    ```

shows the widget that the function `heatmap` in docs/live.py makes. Pages do not say it this way: a picture after a comment
`<!-- live: heatmap -->` becomes it (`site_pages.py`). Widgets are made once, and not again until the package changes.
`-D live_widgets=0` leaves the pictures in place of the widgets.
"""

from __future__ import annotations

import hashlib
import html
import importlib
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

DOCS = Path(__file__).resolve().parents[1]
FOLDER = "_widgets"

# The frame tells its height and asks for the theme; the page answers (docs/_static/live.js).
FRAMED = """<style>
body { margin: 0; overflow: hidden; } main { padding: 0.5rem; } main > h1 { display: none; }
</style>
<script>
const main = document.querySelector("main");
const tellHeight = () =>
  parent.postMessage({ xaiwidgets: "height", height: Math.ceil(main.getBoundingClientRect().height) }, "*");
new ResizeObserver(tellHeight).observe(main);
addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.xaiwidgets !== "theme") return;
  document.documentElement.dataset.theme = data.shade === "dark" ? "dark" : "light";
  document.documentElement.style.colorScheme = document.documentElement.dataset.theme;
  document.body.style.background = data.background;
  tellHeight(); // the page may not have listened before
});
parent.postMessage({ xaiwidgets: "ready" }, "*");
</script>
</body>"""


class Frame(nodes.General, nodes.Element):
    """A widget in a frame."""


class Live(SphinxDirective):
    """A live widget."""

    required_arguments = 1
    option_spec: ClassVar = {"alt": directives.unchanged_required, "picture": directives.uri}

    def run(self) -> list[nodes.Node]:
        """The frame, or the picture where no widgets are wanted."""
        alt = self.options.get("alt", "")
        if not self.config.live_widgets:
            return [nodes.image(uri=self.options["picture"], alt=alt)] if "picture" in self.options else []
        return [Frame(name=self.arguments[0], title=alt, page=self.env.docname)]


def _write(app: Any) -> None:
    """The widgets' pages, unless those made by the same code are there."""
    if app.builder.format != "html" or not app.config.live_widgets:
        return
    folder = Path(app.outdir) / FOLDER
    stamp = folder / "made-by.txt"
    code = _fingerprint()
    if stamp.exists() and stamp.read_text() == code:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in importlib.import_module("live").WIDGETS.items():
        (folder / f"{name}.html").write_text(framed(make().to_html()), encoding="utf-8")
    stamp.write_text(code)


def framed(page: str) -> str:
    """A widget's page, fit for a frame."""
    return page.replace("</body>", FRAMED, 1)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted([DOCS / "live.py", Path(__file__), *(DOCS.parent / "xaiwidgets").rglob("*.*")]):
        if path.suffix in (".py", ".json", ".js", ".css", ".html"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _visit(translator: Any, node: Frame) -> None:
    builder = translator.builder
    here = builder.get_target_uri(node["page"])
    address = relative_uri(here, f"{FOLDER}/{node['name']}.html")
    title = html.escape(node["title"])
    translator.body.append(
        f'<iframe class="live-widget" src="{address}" title="{title}" loading="lazy"></iframe>\n'
        f'<p class="live-note">Live, without a kernel: what needs the model is greyed out. '
        f'<a href="{address}">On a page of its own</a>.</p>\n'
    )
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_config_value("live_widgets", default=True, rebuild="env", types=[bool, str])
    app.add_node(Frame, html=(_visit, None))
    app.add_directive("live", Live)
    app.connect("builder-inited", _write)
    app.add_js_file("live.js", loading_method="defer")
    app.add_css_file("site.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
