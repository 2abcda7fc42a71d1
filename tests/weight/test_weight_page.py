"""What stays in the page when a widget is drawn again and again: no element, no listener, hardly a byte."""

import pytest

from tests.browser.lab import browser as chromium
from tests.browser.reading import Reader, states

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
        yield Reader(page, states())
        context.close()


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
