"""Frames with widgets are as high as what is in them, and follow the page's theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_site import DOCS, load

pytestmark = pytest.mark.browser
INSIDE = '<!doctype html><body><main><h1>a title</h1><div id="box" style="height: 417px">a widget</div></main></body>'
PAGE = """<!doctype html><body data-theme="light"><script src="live.js" defer></script>
<style>body { background: white } body[data-theme=dark] { background: rgb(1, 2, 3) }</style>
<iframe class="live-widget" src="widget.html" style="width: 300px; border: 1px solid"></iframe></body>"""


def test_frames_have_the_height_and_the_theme_of_what_is_in_them(tmp_path: Path) -> None:
    from tests.browser.lab import browser

    framed = load(DOCS / "_extensions" / "live_widgets.py").framed(INSIDE)
    (tmp_path / "widget.html").write_text(framed)
    (tmp_path / "live.js").write_text((DOCS / "_static" / "live.js").read_text())
    (tmp_path / "page.html").write_text(PAGE)
    with browser() as chromium:
        page = chromium.new_page()
        page.goto(f"file://{tmp_path}/page.html")
        height = "document.querySelector('iframe').clientHeight"
        page.wait_for_function(f"{height} === 417 + 16")  # the title is hidden; padding above and below
        inside = page.frames[1]
        inside.evaluate("document.querySelector('#box').style.height = '200px'")
        page.wait_for_function(f"{height} === 216")
        inside.wait_for_function("document.documentElement.dataset.theme === 'light'")
        page.evaluate("document.body.dataset.theme = 'dark'")
        inside.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        inside.wait_for_function("getComputedStyle(document.body).backgroundColor === 'rgb(1, 2, 3)'")
        page.emulate_media(color_scheme="light")
        page.evaluate("document.body.dataset.theme = 'auto'")
        inside.wait_for_function("document.documentElement.dataset.theme === 'light'")
        page.emulate_media(color_scheme="dark")
        inside.wait_for_function("document.documentElement.dataset.theme === 'dark'")
