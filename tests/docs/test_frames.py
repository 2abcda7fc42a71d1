"""Frames with widgets are as high as what is in them, and follow the page's theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_site import DOCS, load

pytestmark = pytest.mark.browser
INSIDE = '<!doctype html><body><main><h1>a title</h1><div id="box" style="height: 417px">a widget</div></main></body>'
PAGE = """<!doctype html><body data-theme="light">
<style>body { background: white } body[data-theme=dark] { background: rgb(1, 2, 3) }</style>
<iframe class="live-widget" src="widget.html" style="width: 300px; border: 1px solid"></iframe></body>"""


@pytest.mark.parametrize("first", ["the page's script", "the frame"])
def test_frames_have_the_height_and_the_theme_of_what_is_in_them(tmp_path: Path, first: str) -> None:
    from tests.browser.lab import browser

    framed = load(DOCS / "_extensions" / "live_widgets.py").framed(INSIDE)
    (tmp_path / "widget.html").write_text(framed)
    script = (DOCS / "_static" / "live.js").read_text()
    late = first == "the frame"
    (tmp_path / "page.html").write_text(PAGE if late else PAGE.replace("<iframe", f"<script>{script}</script><iframe"))
    with browser() as chromium:
        page = chromium.new_page()
        page.goto(f"file://{tmp_path}/page.html")
        if late:
            page.add_script_tag(content=script)  # the page is loaded, and the frame with it
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
