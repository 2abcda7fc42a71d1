"""What a widget costs in the page: nothing stays when it is drawn again and again, nothing is drawn while nobody looks."""

from typing import Any

import pytest

import xaiwidgets as xw
from tests.browser.lab import browser as chromium
from tests.browser.reading import PATIENCE, Reader, states
from tests.widgets.texts import Bag, Words

TIMES = 30
# V8 keeps something for later (1 to 5 kB measured): a widget that stayed would keep its elements and listeners too.
MOST_BYTES_A_TIME = 10_000
AGAIN = """async ([kind, times]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
  for (let time = 0; time < times; time++) { show(kind, {}, true); await frame(); }
}"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reader():
    with chromium() as running:
        context = running.new_context(viewport={"width": 1000, "height": 1000})
        page = context.new_page()
        yield Reader(page, {**states(), "long text": long_text()})
        context.close()


def long_text() -> dict[str, Any]:
    """The traits of a strip that has a minimap."""
    with xw.explain(Bag(), "not good but it moved me " * 80, tokenizer=Words(), target=1, method="saliency") as widget:
        return widget.wait(PATIENCE).static_state()


class Gauge:
    """Chromium's own counts, after a garbage collection."""

    def __init__(self, page) -> None:
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("Performance.enable")

    def read(self) -> dict[str, int]:
        for _ in range(3):
            self.devtools.send("HeapProfiler.collectGarbage")
        found = {one["name"]: int(one["value"]) for one in self.devtools.send("Performance.getMetrics")["metrics"]}
        return {name: found[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}


@pytest.mark.parametrize("kind", ["heatmap", "path", "tokens", "examples", "scoreboard"])
def test_a_widget_that_is_drawn_again_leaves_nothing(reader, kind, record_property):
    def draw() -> dict[str, int]:
        reader.page.evaluate(AGAIN, [kind, TIMES])
        # a view says goodbye a second after it has gone
        reader.page.wait_for_timeout(1200)
        return gauge.read()

    gauge = Gauge(reader.page)
    reader.show(kind)
    before = draw()  # by now the code is compiled, which takes room once
    after = draw()
    grown = {name: after[name] - before[name] for name in after}
    record_property("grown", grown)
    print(kind, before, grown)
    assert grown["Nodes"] < TIMES
    assert grown["JSEventListeners"] < TIMES
    assert grown["JSHeapUsedSize"] < TIMES * MOST_BYTES_A_TIME


COUNT_DRAWINGS = """() => {
  window.drawings = 0;
  for (const name of ['putImageData', 'fillRect', 'drawImage']) {
    const real = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...all) { window.drawings++; return real.apply(this, all); };
  }
}"""
SCROLL = """async (far) => {
  document.querySelector('#place').style.marginTop = far ? '5000px' : '';
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)));
  window.drawings = 0;
}"""


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("heatmap", {"polarity": "cool"}),
        ("path", {"alpha": 0.4}),
        ("long text", {"polarity": "cool"}),
        ("examples", {"tab": "map", "selection": [3]}),
        ("scoreboard", {"polarity": "cool"}),
    ],
)
def test_a_widget_out_of_sight_draws_nothing(reader, kind, change):
    page = reader.page
    if not page.evaluate("'drawings' in window"):
        page.evaluate(COUNT_DRAWINGS)
    reader.show(kind)
    page.evaluate(SCROLL, True)
    reader.change(**change)
    assert page.evaluate("drawings") == 0
    page.evaluate("document.querySelector('#place').style.marginTop = ''")
    reader.settle()
    page.wait_for_function("drawings > 0")
    page.evaluate(SCROLL, True)
    page.evaluate(SCROLL, False)
    reader.settle()
    assert page.evaluate("drawings") == 0  # nothing has changed meanwhile
