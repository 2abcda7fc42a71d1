"""The notebooks on the site: light or dark as its reader has it, formulas without a network, links inside, every picture described."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from test_site import DOCS, PAGES, ROOT, load, names_of

EXTENSIONS = DOCS / "_extensions"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=\n"
TEXT = "Half, $\\tfrac12 x$, costs `$5`: [on](2-b.ipynb), [more](../../docs/metrics/index.md#findings), [away](https://a.org/b.ipynb)"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    pytest.importorskip("nbconvert", reason="the demo extra is not installed")
    sys.path.insert(0, str(EXTENSIONS))
    try:
        return load(EXTENSIONS / "site_notebooks.py")
    finally:
        sys.path.remove(str(EXTENSIONS))


@pytest.fixture(scope="module")
def page(pages: ModuleType) -> str:
    plot = nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
    cells = [
        nbformat.v4.new_markdown_cell(TEXT),
        nbformat.v4.new_code_cell("1 + 1", outputs=[plot], metadata={"alt": 'A line "rises" & falls.'}),
    ]
    html: str = pages.for_the_site(nbformat.v4.new_notebook(cells=cells), "1-a.ipynb")
    return html


def test_what_is_on_a_page(page: str) -> None:
    assert "<math" in page
    assert "tfrac" not in page
    assert "<code>$5</code>" in page
    assert re.findall(r'href="([^"#]+)', page) == [
        "1-a.ipynb", "2-b.html", "../../metrics/index.html", "https://a.org/b.ipynb",
    ]  # fmt: skip
    assert re.search(r"""<img[^>]* alt='A line "rises" &amp; falls.'""", page)
    assert "No description" not in page
    assert not re.findall(r'<(?:script|link)[^>]* (?:src|href)="http', page)


@pytest.mark.browser
def test_a_page_is_light_or_dark_as_the_reader_has_the_site(page: str, tmp_path: Path) -> None:
    from tests.browser.lab import browser

    (tmp_path / "a.html").write_text(page)
    colours = (
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('main p')).color]"
    )
    with browser() as chromium:
        reader = chromium.new_page(color_scheme="light")
        reader.goto(f"file://{tmp_path}/a.html")

        def shown() -> tuple[bool, bool]:
            """Whether the ground and the text are dark, far enough apart to read."""
            ground, text = (sum(map(int, re.findall(r"\d+", one)[:3])) / 3 for one in reader.evaluate(colours))
            assert abs(ground - text) > 128
            return ground < 128, text < 128

        assert shown() == (False, True)
        reader.emulate_media(color_scheme="dark")
        reader.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
        assert shown() == (True, False)
        for chosen, dark in (("light", False), ("dark", True), ("auto", True)):
            reader.evaluate(f"localStorage.setItem('theme', '{chosen}')")
            reader.reload()
            assert shown() == (dark, not dark)
        reader.emulate_media(color_scheme="light")
        reader.wait_for_function("document.body.dataset.jpThemeLight === 'true'")
        assert shown() == (False, True)
        reader.close()


# --- pictures and their descriptions ----------------------------------------------------------------------------------


def test_every_picture_in_a_notebook_says_what_is_seen() -> None:
    cells = [
        (source.stem, cell)
        for source in (ROOT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in source.parts
        for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    assert cells
    for name, cell in cells:
        assert re.fullmatch(r".{60,}\.", cell["metadata"].get("alt", "")), f'{name}, {cell["id"]}: metadata "alt"'


@pytest.mark.parametrize("page", PAGES, ids=names_of)
def test_every_picture_on_a_page_says_what_is_seen(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for alt in re.findall(r"!\[([^\]]*)\]\(", text):
        assert len(alt.split()) > 4, alt
