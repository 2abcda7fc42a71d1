"""A site made by Sphinx with the documentation's own extension, opened from disk without a network."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.hosts.scenarios import HANDLING, LOOK, TRACK
from tests.hosts.servers import KINDS

ROOT = Path(__file__).parents[2]
NAME = "Sphinx page, offline"
CONFIGURATION = f"""import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "docs" / "_extensions")!r}, {{here!r}}]
project = "widgets"
extensions = ["myst_parser", "live_widgets"]
html_theme = "furo"
html_static_path = [{str(ROOT / "docs" / "_static")!r}]
"""
WIDGETS = f"""from functools import partial
from tests.hosts.specimens import make
WIDGETS = {{kind: partial(lambda kind: make(kind, {{here!r}}).wait(60), kind) for kind in {KINDS!r}}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("furo", reason="the docs extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    frames = "\n".join(f"```{{live}} {kind}\n:alt: the specimen of {kind}\n```\n" for kind in KINDS)
    (folder / "index.md").write_text(f"# Widgets\n\n{frames}")
    (folder / "conf.py").write_text(CONFIGURATION.replace("{here!r}", repr(str(folder))))
    (folder / "live.py").write_text(WIDGETS.replace("{here!r}", repr(str(folder))))
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", folder, folder / "built"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder / "built" / "index.html"


@pytest.fixture(scope="module")
def page(browser, site):
    context = browser.new_context(viewport={"width": 1300, "height": 1000}, offline=True, color_scheme="light")
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("request", lambda asked: asked.url.startswith("http") and opened.problems.append(asked.url))
    opened.goto(site.as_uri())
    opened.add_style_tag(content="html { scroll-behavior: auto !important; }")  # a mouse cannot hit what moves
    yield opened
    context.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_widget_on_a_page(page, kind, record_property):
    """It is drawn whole, moves, and follows the site's switch."""
    frame = page.locator("iframe.live-widget").nth(KINDS.index(kind))
    frame.scroll_into_view_if_needed()
    view = frame.content_frame.locator(".xw-widget")
    expect(view).to_have_attribute("data-status", "ready")
    for _ in range(50):
        inside = view.evaluate("one => one.getBoundingClientRect().height")
        if 0 <= frame.evaluate("one => one.clientHeight") - inside < 40:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("the frame is not as high as what is in it")
    shown = view.locator(HANDLING[kind].shown)
    expect(shown.first).to_be_visible()
    record_property("host", [NAME, kind, "render"])

    for click in HANDLING[kind].first:
        view.locator(click).click()
    handle = view.locator(HANDLING[kind].handle).first
    handle.evaluate(TRACK)
    page.wait_for_timeout(300)  # what was far from the screen is drawn anew
    before = shown.evaluate_all(LOOK)
    at, around = handle.evaluate(TRACK), frame.bounding_box()
    page.mouse.move(around["x"] + at["from"], around["y"] + at["y"])
    page.mouse.down()
    page.mouse.move(around["x"] + at["left"] + HANDLING[kind].place * at["width"], around["y"] + at["y"], steps=6)
    page.mouse.up()
    for _ in range(50):
        if shown.evaluate_all(LOOK) != before:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("it looks as before")
    record_property("host", [NAME, kind, "drag"])

    for shade in ("dark", "light"):
        page.evaluate("shade => { document.body.dataset.theme = shade; }", shade)
        expect(view).to_have_attribute("data-theme", shade)
    record_property("host", [NAME, kind, "theme"])
    assert page.problems == []
