"""The path explorer in a real JupyterLab: what moves without the kernel, what asks it, what stays when it is gone."""

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook, save_and_shut_down
from tests.browser.test_lab import SETUP, ask, becomes, pixels, ready, run_code

EXPLORE = "w = xw.explore_path(net, images[:1], target=1, tolerance=0)\nw"
BASELINES = '.xw-baseline input[type="radio"]'

# Counts every message on a comm from this page to the kernel.
LISTEN = """() => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  window.sent = [];
  kernel.anyMessage.connect((_, { direction, msg }) => {
    if (direction === 'send' && msg.header.msg_type.startsWith('comm')) window.sent.push(msg.content);
  });
}"""

# What the panels show at several places, in a few digits each.
SCRUB = """async (values) => {
  const range = document.querySelector('.xw-alpha'), canvas = document.querySelectorAll('.xw-panel canvas');
  const seen = [];
  for (const value of values) {
    range.value = String(value);
    range.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    seen.push([...canvas].map(one => [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data].reduce((a, b, i) => (a * 31 + b * (i + 1)) % 1000003, 0)).join());
  }
  return seen;
}"""

# Where alpha is soon after the start of the play, and later, before it is paused; all in the page, whose clock it follows.
PLAY = """async () => {
  const range = document.querySelector('.xw-alpha'), button = document.querySelector('.xw-play');
  const later = ms => new Promise(done => setTimeout(done, ms));
  range.value = '0.1';
  range.dispatchEvent(new Event('input', { bubbles: true }));
  await later(50);
  button.click();
  await later(100);
  const first = Number(range.value);
  await later(400);
  button.click();
  await later(50);
  const paused = Number(range.value);
  await later(300);
  if (Number(range.value) !== paused) throw new Error('it plays on');
  return [first, paused];
}"""


def explorer(lab, page, name: str, code: str = EXPLORE):
    open_notebook(page, lab.notebook(name, [SETUP, code]))
    widget = ready(page)
    expect(widget.locator(".xw-alpha")).to_be_visible()
    return widget


def alpha(widget, value: float) -> None:
    widget.locator(".xw-alpha").evaluate(
        "(range, value) => { range.value = String(value); range.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def test_what_the_page_has_never_asks_the_kernel(lab, page):
    widget = explorer(lab, page, "quiet.ipynb", EXPLORE.replace("\nw", "\nw.wait(); w.compare(); w.wait()\nw"))
    page.wait_for_timeout(1500)  # the greeting and the acknowledgements of the first pictures
    page.evaluate(LISTEN)
    seen = page.evaluate(SCRUB, [0, 0.1, 0.33, 0.5, 0.77, 1])
    assert len(set(seen)) == 6
    widget.locator(".xw-alpha").focus()
    for key in ("ArrowLeft", "PageDown", "Home", "End", ",", ".", "<", ">", "x", "d", "s", "t", "b", "B", "2"):
        page.keyboard.press(key)
    widget.get_by_label("rescale each frame").check()
    widget.get_by_text("running mean", exact=True).click()
    for choice in widget.locator(BASELINES).all():
        choice.check(force=True)
        page.wait_for_timeout(60)
    passed = page.evaluate(PLAY)
    assert passed[0] < passed[1] < 1
    page.wait_for_timeout(1200)  # whatever is saved late would have been sent by now
    assert page.evaluate("window.sent") == []
    # the next request takes along what the reader had chosen
    widget.get_by_text("Refine there").click()
    assert becomes(lab, page, "w.frame_scale", "each")


def test_panels_show_the_numbers_of_the_kernel(lab, page):
    widget = explorer(lab, page, "numbers.ipynb")
    spoken = widget.locator(".xw-alpha").get_attribute("aria-valuetext")
    assert spoken.startswith("alpha 1")
    assert "100 percent" in spoken
    run_code(page, "tell('run.json', alphas=w.alphas, F=w.F, C=w.C, delta=float(w.result.delta[0]), gap=w.gaps['end'])")
    told = json.loads((lab.root / "run.json").read_text())
    assert told["gap"] == pytest.approx(abs(told["delta"]), abs=1e-6)
    assert len(told["alphas"]) == 65
    page.keyboard.press("t") if widget.locator(".xw-alpha").focus() is None else None
    rows = widget.locator("table tbody tr")
    expect(rows).to_have_count(11)
    number = float(rows.last.locator("td").first.text_content().replace("−", "-").split()[0])
    assert number == pytest.approx(told["F"][-1], rel=0.01)
    alpha(widget, 0)
    page.wait_for_timeout(100)
    black = pixels(page, ".xw-panel canvas")
    assert (black[..., :3] == 0).all()


def test_adding_and_picking_baselines(lab, page):
    widget = explorer(lab, page, "add.ipynb")
    before = widget.locator(BASELINES).count()
    widget.get_by_role("button", name="Add").click()
    widget.get_by_role("button", name="from the image").click()
    pick = widget.locator(".xw-pick")
    box = pick.bounding_box()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"])
    expect(widget.locator(BASELINES)).to_have_count(before + 1)
    ready(page)
    assert becomes(lab, page, "w.shown.startswith('path/pixel')", True)
    at = ask(lab, page, "[w.baselines[-1]['params']['x'], w.baselines[-1]['params']['y']]")
    assert abs(at[0] - 0.3 * 24) <= 1
    assert abs(at[1] - 0.7 * 32) <= 1
    # by keyboard, another one
    widget.get_by_role("button", name="Add").click()
    widget.get_by_role("button", name="from the image").press("Enter")
    expect(widget.locator(".xw-pick")).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    expect(widget.locator(BASELINES)).to_have_count(before + 2)
    ready(page)
    # a computed one comes back at once; one without a result is computed when it is chosen
    widget.locator(BASELINES).first.check(force=True)
    ready(page)
    evaluations = ask(lab, page, "net.calls")
    widget.locator(BASELINES).nth(1).check(force=True)
    assert becomes(lab, page, "w.shown", "path/white")
    assert ask(lab, page, "net.calls") > evaluations


def test_cancelling_keeps_what_there_is(lab, page):
    widget = explorer(lab, page, "cancel.ipynb")
    run_code(page, "net.delay = 0.25")
    widget.locator(BASELINES).nth(2).check(force=True)
    expect(widget).to_have_attribute("data-status", "partial")
    assert becomes(lab, page, "9 <= len(w.alphas) < 65 and w.shown.startswith('path/mean')", True)
    page.keyboard.press("Escape")
    expect(widget).to_have_attribute("data-status", "cancelled")
    nodes = ask(lab, page, "len(w.alphas)")
    assert 9 <= nodes < 65
    alpha(widget, 0.5)
    expect(widget.locator(".xw-panel canvas").first).to_be_visible()
    run_code(page, "net.delay = 0.0; before = net.calls")
    widget.locator(".xw-alpha").focus()
    page.keyboard.press("Enter")
    ready(page)
    assert ask(lab, page, "len(w.alphas)") == 65


def test_an_error_says_what_to_do_and_loses_nothing(lab, page):
    widget = explorer(lab, page, "error.ipynb")
    run_code(page, "net.broken = True")
    widget.locator(BASELINES).nth(1).check(force=True)
    expect(widget).to_have_attribute("data-status", "error")
    expect(widget).to_contain_text("the network is on holiday")
    widget.locator(BASELINES).first.check(force=True)
    assert len(set(page.evaluate(SCRUB, [0, 0.5, 1]))) == 3
    run_code(page, "net.broken = False")


def test_a_saved_notebook_still_scrubs(lab, page):
    explorer(lab, page, "saved.ipynb", EXPLORE.replace("\nw", "\nw.wait(); w.compare(); w.wait()\nw"))
    save_and_shut_down(lab, page, "saved.ipynb")
    open_notebook(page, lab.address("saved.ipynb"), run=False)
    expect(page.locator(".xw-widget")).to_have_count(1, timeout=60_000)
    widget = page.locator(".xw-widget")
    expect(widget.locator(".xw-status")).to_contain_text("read-only", timeout=30_000)
    assert len(set(page.evaluate(SCRUB, [0, 0.25, 0.6, 1]))) == 4
    widget.locator(BASELINES).nth(4).check(force=True)
    page.wait_for_timeout(300)
    assert len(set(page.evaluate(SCRUB, [0, 0.25, 0.6, 1]))) == 4
    expect(widget.get_by_role("button", name="Add")).to_be_disabled()


def test_the_picture_follows_the_path(lab, page):
    widget = explorer(lab, page, "blend.ipynb")
    alpha(widget, 1)
    page.wait_for_timeout(100)
    whole = pixels(page, ".xw-panel canvas")[..., :3].astype(int)
    alpha(widget, 0.5)
    page.wait_for_timeout(100)
    half = pixels(page, ".xw-panel canvas")[..., :3].astype(int)
    assert np.abs(half - whole / 2).max() <= 1
