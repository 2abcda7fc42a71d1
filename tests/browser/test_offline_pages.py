"""Exported pages, opened from disk without a network."""

import nbformat
import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from torch import nn

import xaiwidgets as xw
from tests.browser.test_lab import pixels
from xaiwidgets.live.colors import table
from xaiwidgets.live.notebook import convert, execute
from xaiwidgets.live.render import render
from xaiwidgets.live.transport import unpack

POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:\">"


@pytest.fixture
def offline(browser):
    context = browser.new_context(viewport={"width": 1000, "height": 1000}, offline=True)
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith("http") and page.problems.append(request.url))
    yield page
    context.close()


def explained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4)).eval()
    labels = [
        "plain",
        "</script><script>document.title = 'owned'</script>",
        "<!-- never closed",
        "<img src=x onerror=alert(1)>",
    ]
    return xw.explain(model, torch.rand(1, 3, 20, 28), labels=labels).wait(60)


def test_a_page_shows_the_same_pixels_and_keeps_its_controls(offline, tmp_path):
    widget = explained()
    widget.display = {**widget.display, "view": "side"}
    text = widget.to_html(tmp_path / "why.html")
    (tmp_path / "strict.html").write_text(text.replace("<head>", "<head>" + POLICY, 1), encoding="utf-8")
    for name in ("why.html", "strict.html"):
        offline.goto((tmp_path / name).as_uri())
        expect(offline.locator(".xw-widget")).to_be_visible()
        values = unpack(widget.maps, widget.map_data)["sum"]
        expected = render(values, table("default", signed=True), signed=True, display=widget.display).rgba
        np.testing.assert_array_equal(pixels(offline, ".xw-map-layer canvas"), expected)
        offline.locator(".xw-pictures").focus()
        offline.keyboard.press("s")
        offline.wait_for_timeout(200)
        assert (pixels(offline, ".xw-map-layer canvas") != expected).any()
        expect(offline.locator("select[aria-label=method]")).to_be_disabled()
        assert offline.title() != "owned"
    assert offline.problems == []
    widget.close()


def test_a_notebook_becomes_a_page_whose_widgets_work(offline, tmp_path):
    code = (
        "import torch, xaiwidgets as xw\nfrom torch import nn\ntorch.manual_seed(0)\n"
        "model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()\n"
        "w = xw.explain(model, torch.rand(2, 1, 8, 8)).wait()\nw"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("w")])
    execute(notebook, tmp_path)
    (tmp_path / "book.html").write_text(convert(notebook), encoding="utf-8")
    offline.goto((tmp_path / "book.html").as_uri())
    expect(offline.locator(".xw-widget")).to_have_count(2)
    expect(offline.locator("select[aria-label=method] option").first).to_have_text("Saliency")
    before = pixels(offline, ".xw-map-layer canvas")
    offline.locator(".xw-widget").first.get_by_text("map", exact=True).first.click()
    offline.wait_for_timeout(200)
    assert (pixels(offline, ".xw-map-layer canvas")[..., 3] == 255).all()
    assert (before[..., 3] < 255).any()
    assert offline.problems == []
