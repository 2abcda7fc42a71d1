"""One source for two readers: Markdown as a code host shows it becomes what the site needs.

On a code host a page is Markdown with pictures; in the site the same lines are a live widget, contents, an anchor, a link to a page.
So the pages, but for the contents in index.md and the reference in api.md, are not written in the site's own dialect, and every link
works in both places.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from myst_parser.slugs import github_slugify

LIVE = re.compile(r"<!-- live: (\w+) -->\n!\[([^\]]*)\]\(([^)]+)\)")
BELOW = "<!-- the other pages of this folder -->"
ANCHOR = re.compile(r'^### <a id="(\w+)"></a>(.*)$', re.MULTILINE)
OUTSIDE = {"../CONTRIBUTING.md": "contributing.md", "../CHANGELOG.md": "changelog.md", "../README.md": "index.md"}
NOTEBOOK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+notebooks/([\w/-]+)\.ipynb\)")
NAMED = re.compile(r" · (\w+)$")


def slug(title: str) -> str:
    """The anchor of a heading: a method's name where it ends with one ("Saliency · saliency"), else as code hosts make it."""
    named = NAMED.search(title)
    return named[1] if named else github_slugify(title)


def for_the_site(text: str, depth: int) -> str:
    """A page's Markdown with live widgets for pictures, and links that lead inside. `depth`: folders below docs/."""
    text = LIVE.sub(r"```{live} \1\n:alt: \2\n:picture: \3\n```", text)
    text = text.replace(BELOW, "```{toctree}\n:hidden:\n:glob:\n\n*\n```")
    text = ANCHOR.sub(r"## \2", text)  # below the title; `slug` makes the anchor
    text = NOTEBOOK.sub(
        rf'<a href="{"../" * depth}_notebooks/\2.html">\1</a>', text
    )  # as site_notebooks.py writes them
    for there, here in OUTSIDE.items():
        text = text.replace(f"]({'../' * depth}{there}", f"]({'../' * depth}{here}")
    return text


def _read(app: Any, name: str, source: list[str]) -> None:
    if Path(app.env.doc2path(name)).suffix == ".md":
        source[0] = for_the_site(source[0], name.count("/"))


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
