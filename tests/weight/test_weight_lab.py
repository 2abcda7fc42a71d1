"""A cell that is run again a hundred times in JupyterLab leaves nothing, neither in the kernel nor in the page."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.lab import Lab, open_notebook
from tests.browser.lab import browser as chromium
from tests.browser.test_lab import SETUP, ask
from tests.weight.test_weight_page import Gauge

pytestmark = pytest.mark.browser

FIRST, MORE = 10, 100
# JupyterLab and V8 keep something of every run; a widget that stayed would keep hundreds of elements and a megabyte.
# The kernel holds the last few widgets: on show, in IPython's _, __ and ___, and of messages and threads that have just ended.
A_FEW = 3
MOST_NODES_A_RUN = 5
MOST_LISTENERS = 200  # a widget has 133, and the page may still hold one that has gone
MOST_BYTES_A_RUN = 40_000
KEPT = """
import ipywidgets, comm
from collections import Counter
from xaiwidgets.live import jobs
from xaiwidgets.widgets import base
base.ANSWER_WITHIN = jobs.IDLE = 0.5  # a kernel that concludes soon what it otherwise waits seconds for

def kept():
    gc.collect()
    found = [one for one in gc.get_objects() if isinstance(one, (nn.Module, torch.Tensor, ipywidgets.Widget, xw.Session))]
    count = Counter(type(one).__name__ for one in found)
    count["bytes"] = sum(one.nbytes for one in found if isinstance(one, torch.Tensor))
    count["threads"] = threading.active_count()
    count["comms"] = len(comm.get_comm_manager().comms)
    return count
"""
CELL = "w = xw.explain(Net().eval(), images[:1], method='saliency').wait()\nw"
DRAWN = ".xw-widget[data-status=ready]"
# Addresses of blobs that were made and not given back.
COUNT_BLOBS = """
const [make, take] = [URL.createObjectURL, URL.revokeObjectURL];
window.blobs = new Set();
URL.createObjectURL = (blob) => { const made = make.call(URL, blob); blobs.add(made); return made; };
URL.revokeObjectURL = (address) => { blobs.delete(address); take.call(URL, address); };
"""
RUN_AGAIN = """async ([index, times, drawn]) => {
  const app = window.jupyterapp, book = app.shell.currentWidget.content;
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  for (let time = 0; time < times; time++) {
    book.activeCellIndex = index;
    const old = document.querySelector(drawn);
    await app.commands.execute('notebook:run-cell');
    const started = performance.now();
    while (old?.isConnected || !document.querySelector(drawn)) {
      if (performance.now() - started > 10000) throw new Error('the cell shows nothing new');
      await later(10);
    }
  }
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as running:
        context = running.new_context(viewport={"width": 1200, "height": 1000})
        context.add_init_script(COUNT_BLOBS)
        yield context.new_page()
        context.close()


def count(lab: Lab, page: Page, gauge: Gauge) -> dict[str, Any]:
    """What there is in the kernel and in the page, once what has gone has said goodbye."""
    page.wait_for_timeout(2_500)
    in_page = gauge.read() | {"blobs": page.evaluate("blobs.size"), "workers": len(page.workers)}
    return {"kernel": ask(lab, page, "kept()"), "page": in_page}


def test_a_cell_that_is_run_a_hundred_times_leaves_nothing(lab: Lab, page: Page, record_property: Any) -> None:
    open_notebook(page, lab.notebook("again.ipynb", [SETUP + KEPT, CELL]))
    page.wait_for_selector(DRAWN, timeout=60_000)
    gauge = Gauge(page)
    page.evaluate(RUN_AGAIN, [1, FIRST, DRAWN])
    before = count(lab, page, gauge)
    page.evaluate(RUN_AGAIN, [1, MORE, DRAWN])
    after = count(lab, page, gauge)
    grown = {side: {name: after[side][name] - before[side].get(name, 0) for name in after[side]} for side in after}
    record_property("grown", grown)
    print(before, grown)
    kernel = grown["kernel"]
    assert kernel["comms"] == kernel["Core"] == 0
    assert max(kernel["threads"], *(kernel[name] for name in ("HeatmapOverlay", "Net", "Session", "Layout"))) <= A_FEW
    assert kernel["bytes"] <= A_FEW * before["kernel"]["bytes"] / before["kernel"]["Net"]
    assert grown["page"]["blobs"] == grown["page"]["workers"] == 0
    assert grown["page"]["Nodes"] < MORE * MOST_NODES_A_RUN
    assert grown["page"]["JSEventListeners"] < MOST_LISTENERS
    assert grown["page"]["JSHeapUsedSize"] < MORE * MOST_BYTES_A_RUN
