"""The heatmap in a real JupyterLab: what is seen, what reaches the kernel, what is left behind."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook, save_and_shut_down

ROOT = Path(__file__).parents[2]
AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"

# A small network with fixed weights, whose every forward pass can be made slow or made to fail.
SETUP = """
import gc, json, time, weakref, pathlib, threading
import numpy as np, torch, xaiwidgets as xw
from torch import nn

class Net(nn.Module):
    delay = 0.0
    broken = False
    calls = 0
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.GELU())
        self.head = nn.Linear(8, 4)
    def forward(self, x):
        self.calls += 1
        time.sleep(self.delay)
        if self.broken:
            raise RuntimeError("the network is on holiday")
        return 5 * self.head(self.features(x).mean((2, 3)))

torch.manual_seed(0)
net = Net().eval()
images = torch.rand(3, 3, 32, 24)
def tell(name, **facts):
    pathlib.Path(name).write_text(json.dumps(facts))
"""


def run_code(page, code: str) -> None:
    """Run code in the open notebook's kernel and wait for it; its errors are raised here."""
    page.evaluate(
        """async (code) => {
          const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          const future = kernel.requestExecute({ code, silent: true, store_history: false });
          const reply = await future.done;
          if (reply.content.status !== 'ok') throw new Error(reply.content.ename + ': ' + reply.content.evalue);
        }""",
        code,
    )


def ask(lab, page, expression: str):
    """The value of an expression in the notebook's kernel."""
    run_code(page, f"tell('answer.json', value={expression})")
    return json.loads((lab.root / "answer.json").read_text())["value"]


def becomes(lab, page, expression: str, expected) -> bool:
    """Whether an expression in the kernel has a value before long: the page saves what it knows in its own time."""
    deadline = time.monotonic() + 15
    while (value := ask(lab, page, expression)) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert value == expected
    return True


def ready(page, number: int = 1):
    """The widgets, once `number` of them are ready."""
    expect(page.locator(".xw-widget[data-status=ready]")).to_have_count(number, timeout=120_000)
    return page.locator(".xw-widget").first


def pixels(page, selector: str, index: int = 0) -> np.ndarray:
    """RGBA of a canvas, [height, width, 4], once what has just changed is drawn: out of sight nothing is."""
    canvas = page.locator(selector).nth(index)
    canvas.scroll_into_view_if_needed()
    height, width, values = canvas.evaluate(
        """async canvas => {
          for (let frame = 0; frame < 3; frame++) await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
          const { width, height } = canvas;
          return [height, width, [...canvas.getContext('2d').getImageData(0, 0, width, height).data]]; }"""
    )
    return np.array(values, dtype=np.uint8).reshape(height, width, 4)


def slide(page, label: str, values) -> None:
    """Move a range input through values as a hand would: an input event each, one change at the end."""
    page.locator(".xw-slider", has_text=label).first.locator("input").evaluate(
        """async (range, values) => {
          for (const value of values) {
            range.value = String(value);
            range.dispatchEvent(new Event('input', { bubbles: true }));
            await new Promise(done => setTimeout(done, 10));
          }
          range.dispatchEvent(new Event('change', { bubbles: true }));
        }""",
        list(values),
    )


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_pixels_are_the_reference(lab, page, signed):
    method = "integrated_gradients" if signed else "saliency"
    reference = """
from xaiwidgets.live.colors import table
from xaiwidgets.live.render import render
from xaiwidgets.live.transport import unpack
values = unpack(w.maps, w.map_data)["sum"]
np.save("reference.npy", render(values, table("default", signed=w.maps[0]["signed"]), signed=w.maps[0]["signed"], display=w.display).rgba)
"""
    address = lab.notebook(
        "pixels.ipynb",
        [
            SETUP,
            f"w = xw.explain(net, images[:1], method={method!r}).wait()\nw.display = {{**w.display, 'view': 'side'}}\nw",
        ],
    )
    open_notebook(page, address)
    ready(page)
    run_code(page, reference)
    expected = np.load(lab.root / "reference.npy")
    np.testing.assert_array_equal(pixels(page, ".xw-map-layer canvas"), expected)
    assert len(np.unique(expected.reshape(-1, 4), axis=0)) > 50


def test_steps_refine_and_a_burst_costs_few_runs(lab, page):
    open_notebook(page, lab.notebook("steps.ipynb", [SETUP, "w = xw.explain(net, images[:1], tolerance=1e-4)\nw"]))
    ready(page)
    assert ask(lab, page, "w.quality['steps']") == 63
    before = ask(lab, page, "w._job.started")
    slide(page, "Steps", range(120, 220, 2))  # 50 places of a logarithmic slider
    expect(page.locator(".xw-widget[data-status=ready]")).to_have_count(1)
    assert becomes(lab, page, "w.params['parameters']['steps'] > 300 and not w._job.busy", True)
    assert ask(lab, page, "w.quality['steps']") > 300
    # a busy machine takes longer for the burst, and asks more often meanwhile; never once a place
    assert 1 <= ask(lab, page, "w._job.started") - before <= 15
    # going back costs no model evaluation at all
    slide(page, "Steps", [120])
    assert becomes(lab, page, "w.params['parameters']['steps'] < 100 and not w._job.busy", True)
    assert ask(lab, page, "w.quality['evaluations']['gradient']") == 0


def test_client_controls_do_not_reach_the_model(lab, page):
    open_notebook(page, lab.notebook("client.ipynb", [SETUP, "w = xw.explain(net, images[:1])\nw"]))
    widget = ready(page)
    calls, started = ask(lab, page, "net.calls"), ask(lab, page, "w._job.started")
    first = pixels(page, ".xw-map-layer canvas")
    for name in ("map", "mask", "wipe", "overlay"):
        widget.get_by_text(name, exact=True).first.click()
    widget.locator(".xw-pictures").focus()
    page.keyboard.press("s")
    page.wait_for_timeout(300)
    assert (pixels(page, ".xw-map-layer canvas") != first).any()
    assert (ask(lab, page, "net.calls"), ask(lab, page, "w._job.started")) == (calls, started)
    assert becomes(lab, page, "w.display['sign']", "positive")


def test_cancel_keeps_the_last_picture(lab, page):
    open_notebook(page, lab.notebook("cancel.ipynb", [SETUP, "w = xw.explain(net, images[:1]).wait()\nw"]))
    widget = ready(page)
    first = pixels(page, ".xw-map-layer canvas")
    run_code(page, "net.delay = 0.05; w.params = {**w.params, 'method': 'smoothgrad', 'parameters': {'samples': 256}}")
    widget.get_by_role("button", name="Cancel").click()
    expect(page.locator(".xw-widget[data-status=cancelled]")).to_have_count(1)
    shown = pixels(page, ".xw-map-layer canvas")
    assert shown.shape == first.shape
    assert shown.any()
    run_code(page, "net.delay = 0.0")
    widget.get_by_role("button", name="Run").click()
    ready(page)
    assert ask(lab, page, "w.quality['steps']") == 256


def test_two_views_in_step(lab, page):
    open_notebook(page, lab.notebook("views.ipynb", [SETUP, "w = xw.explain(net, images[:1]).wait()\nw", "w"]))
    ready(page, 2)
    page.locator(".xw-widget").nth(1).get_by_text("map", exact=True).first.click()
    expect(page.locator(".xw-widget").nth(0).locator("input[value=side]")).to_be_checked()
    np.testing.assert_array_equal(pixels(page, ".xw-map-layer canvas", 0), pixels(page, ".xw-map-layer canvas", 1))
    page.locator(".xw-widget").nth(0).locator(".xw-class").nth(1).click()
    expect(page.locator(".xw-widget").nth(1).locator(".xw-class").nth(1)).to_have_attribute("data-role", "explained")


def test_running_again_and_deleting_leave_nothing_behind(lab, page):
    cells = [SETUP, "alive = weakref.WeakSet()", "w = xw.explain(net, images[:1]).wait()\nalive.add(w)\ndisplay(w)"]
    open_notebook(page, lab.notebook("again.ipynb", cells))
    ready(page)
    for _ in range(4):
        page.evaluate("""() => { const app = window.jupyterapp, book = app.shell.currentWidget.content;
            book.activeCellIndex = 2; void app.commands.execute('notebook:run-cell'); }""")
        page.wait_for_timeout(700)
    ready(page)
    page.wait_for_timeout(6_000)
    assert ask(lab, page, "(gc.collect(), len(alive))[1]") == 1
    assert ask(lab, page, "len([t for t in threading.enumerate() if t.name == 'xaiwidgets-job'])") <= 2
    assert page.locator(".xw-root").count() == 1
    page.evaluate("""() => { const app = window.jupyterapp; app.shell.currentWidget.content.activeCellIndex = 2;
        void app.commands.execute('notebook:delete-cell'); }""")
    expect(page.locator(".xw-root")).to_have_count(0)
    page.wait_for_timeout(6_000)
    run_code(page, "del w")
    assert ask(lab, page, "(gc.collect(), len(alive))[1]") == 0
    assert (
        ask(
            lab,
            page,
            "len([m for m in __import__('ipywidgets').widgets.widget._instances.values() if type(m).__name__ == 'HeatmapOverlay'])",
        )
        == 0
    )


def test_a_saved_notebook_lives_without_its_kernel(lab, page):
    open_notebook(page, lab.notebook("saved.ipynb", [SETUP, "w = xw.explain(net, images[:1]).wait()\nw"]))
    ready(page)
    picture = pixels(page, ".xw-map-layer canvas")
    page.wait_for_timeout(500)
    save_and_shut_down(lab, page, "saved.ipynb")
    assert not [kernel for kernel in lab.kernels() if kernel["execution_state"] == "busy"]
    open_notebook(page, lab.address("saved.ipynb"), run=False)
    widget = page.locator(".xw-widget").first
    expect(widget).to_be_visible(timeout=30_000)
    np.testing.assert_array_equal(pixels(page, ".xw-map-layer canvas"), picture)
    expect(widget.get_by_text("read-only: saved result")).to_be_visible(timeout=10_000)
    expect(widget.locator("select[aria-label=method]")).to_be_disabled()
    widget.get_by_text("map", exact=True).first.click()
    page.wait_for_timeout(300)
    assert (pixels(page, ".xw-map-layer canvas")[..., 3] == 255).all()


def test_an_error_is_shown_and_recovered_from(lab, page):
    open_notebook(page, lab.notebook("error.ipynb", [SETUP, "w = xw.explain(net, images[:1]).wait()\nw"]))
    widget = ready(page)
    picture = pixels(page, ".xw-map-layer canvas")
    run_code(page, "net.broken = True")
    widget.locator(".xw-class").nth(1).click()
    expect(widget.get_by_role("alert")).to_contain_text("holiday")
    np.testing.assert_array_equal(pixels(page, ".xw-map-layer canvas"), picture)
    run_code(page, "net.broken = False")
    widget.get_by_role("button", name=re.compile("^Run")).click()
    ready(page)
    expect(widget.get_by_role("alert")).to_have_count(0)
    assert (pixels(page, ".xw-map-layer canvas") != picture).any()


def test_everything_by_keyboard(lab, page):
    open_notebook(page, lab.notebook("keys.ipynb", [SETUP, "w = xw.explain(net, images[:2]).wait()\nw"]))
    widget = ready(page)
    target = ask(lab, page, "w.question['target']")
    widget.locator(".xw-pictures").focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowRight", "End", "n"):
        page.keyboard.press(key)
    expect(widget.locator(".xw-readout")).to_contain_text("row")
    for key in ("Home", "r", "Shift+ArrowRight", "Shift+ArrowDown", "r"):
        page.keyboard.press(key)
    expect(widget.get_by_text(re.compile("% of"))).not_to_have_count(0)
    assert becomes(lab, page, "sorted(w.selection)", ["negative", "positive", "region", "share", "sum"])
    page.keyboard.press("w")
    expect(widget.locator(".xw-whatif")).to_be_visible()
    assert ask(lab, page, "len(w.whatif['after']) > 0")
    page.keyboard.press("2")
    page.wait_for_function("() => document.querySelectorAll('.xw-class')[1].dataset.role === 'explained'")
    run_code(page, "w.wait(20)")
    assert ask(lab, page, "w.question['target']") != target
    page.keyboard.press("Shift+Digit1")
    page.wait_for_function("() => document.querySelectorAll('.xw-class')[0].dataset.role === 'contrast'")
    for key in ("v", "s", "t"):
        page.keyboard.press(key)
    expect(widget.get_by_role("table")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_text("begin and end a region")).to_be_visible()
    page.keyboard.press("Escape")
    # JupyterLab's command mode saw none of it: no cell was deleted, cut or changed
    assert page.locator(".jp-CodeCell").count() == 2


def test_hostile_labels_are_shown_literally(lab, page):
    labels = [
        "<script>document.title='owned'</script>",
        "\"quotes' & <b>bold</b>",
        "\u202eright to left مرحبا",
        "half an emoji \ud83d",
    ]
    setup = SETUP + f"\nlabels = json.loads({json.dumps(labels)!r})"
    open_notebook(
        page, lab.notebook("hostile.ipynb", [setup, "w = xw.explain(net, images[:1], labels=labels).wait()\nw"])
    )
    widget = ready(page)
    shown = "\n".join(widget.locator(".xw-class-name").all_text_contents())
    assert labels[0] in shown
    assert labels[1] in shown
    assert labels[2] in shown
    assert "half an emoji" in shown
    assert page.title() != "owned"
    assert widget.locator("script, b").count() == 0


def test_quickstart_in_light_and_dark_is_accessible(lab, page):
    (lab.root / "quickstart.ipynb").write_text(
        (ROOT / "notebooks/quickstart.ipynb").read_text(encoding="utf-8"), encoding="utf-8"
    )
    open_notebook(page, lab.address("quickstart.ipynb"))
    ready(page, 2)
    page.add_script_tag(path=AXE)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_function(
            f"() => document.body.dataset.jpThemeLight === '{'true' if 'Light' in theme else 'false'}'"
        )
        expect(page.locator(".xw-widget").first).to_have_attribute(
            "data-theme", "light" if "Light" in theme else "dark"
        )
        page.locator(".xw-widget").first.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        found = page.evaluate(
            "async () => (await axe.run({ include: ['.xw-root'] })).violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))])"
        )
        assert found == []


@pytest.mark.parametrize(
    ("title", "check"), [("PNG figure", b"\x89PNG"), ("NumPy array", b"\x93NUMPY"), ("HTML page", b"<!doctype html>")]
)
def test_files_are_downloaded(lab, page, title, check):
    open_notebook(page, lab.notebook("export.ipynb", [SETUP, "w = xw.explain(net, images[:1]).wait()\nw"]))
    widget = ready(page)
    widget.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        widget.get_by_role("button", name=title).click()
    assert Path(download.value.path()).read_bytes().startswith(check)
