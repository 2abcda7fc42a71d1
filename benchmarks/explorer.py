"""The path explorer on a ResNet-18 with six baselines: evaluations, bytes, and a hand on the slider in a real JupyterLab."""

import base64
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.live import ask, run_code, show, spread
from benchmarks.measure import Row, Skip

PLACES = [index / 40 for index in range(41)]
ALPHA = ".xw-alpha"

# From the event to the last of the panels' canvases, in the same task or after it; messages to the kernel are counted.
WATCH = """(() => {
  window.paints = 0;
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    put.apply(this, given);
    if (this.canvas.closest('.xw-panel')) window.paints += 1;
  };
  window.pause = ms => new Promise(done => setTimeout(done, ms));
})()"""
LISTEN = """() => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  window.sent = 0;
  kernel.anyMessage.connect((_, { direction, msg }) => {
    if (direction === 'send' && msg.header.msg_type.startsWith('comm')) window.sent += 1;
  });
}"""
SCRUB = """async ([selector, values]) => {
  const range = document.querySelector(selector), times = [];
  for (const value of values) {
    await pause(60);
    const before = paints, started = performance.now();
    range.value = String(value);
    range.dispatchEvent(new Event('input', { bubbles: true }));
    let last = paints, at = performance.now();
    for (let turn = 0; turn < 40 && paints < before + 3; turn++) {
      await new Promise(done => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); });
      if (paints !== last) [last, at] = [paints, performance.now()];
    }
    if (last > before) times.push(at - started);
  }
  return times;
}"""
SWITCH = """async (turns) => {
  const choices = [...document.querySelectorAll('.xw-baseline input[type=radio]')], times = [];
  for (let turn = 0; turn < turns; turn++) {
    await pause(150);
    const before = paints, started = performance.now();
    choices[turn % choices.length].click();
    while (paints === before && performance.now() - started < 2000) await pause(0);
    times.push(performance.now() - started);
  }
  return times;
}"""


def rows() -> Iterator[Row]:
    yield from evaluations()
    yield from weights()
    yield from page()


def explorer(**options: Any) -> Any:
    import xaiwidgets as xw  # slow
    from benchmarks.networks import photo, resnet18

    return xw.explore_path(resnet18(), photo(224), **options)


def evaluations() -> Iterator[Row]:
    """Gradients until the first picture and until the last one; raised steps pay for the new nodes."""
    first: list[int] = []
    widget = explorer(tolerance=0)
    widget.observe(lambda _change: first.append(sum(widget.facts["evaluations"].values())), "seq")
    widget.wait()
    told = dict(widget.result.evaluations)
    yield Row("gradients until the first picture", str(first[0]), figure=first[0], limit=9, unit="gradients")
    yield Row("65 nodes", f"{told['gradient']} gradients, {told['forward']} forward")
    widget.params = {**widget.params, "parameters": {**widget.params["parameters"], "steps": 129}}
    widget.wait()
    more = widget.result.evaluations["gradient"] - told["gradient"]
    yield Row("raised from 65 to 129 nodes", f"{more} more gradients", figure=more, limit=64, unit="gradients")
    widget.close()


def weights() -> Iterator[Row]:
    """Bytes of the state with all six baselines computed."""
    widget = explorer()
    widget.wait()
    widget.compare().wait()
    state = widget.static_state()
    live = sum(_size(value) for value in state.values())
    saved = sum(_size(value, encoded=True) for value in state.values())
    largest = max(_size(value) for value in state.values())
    yield Row("224 × 224, six baselines: live state", f"{live / 1e6:.2f} MB", figure=live / 1e6, limit=4, unit="MB")
    yield Row("  saved state, base64 included", f"{saved / 1e6:.2f} MB", figure=saved / 1e6, limit=1, unit="MB")
    yield Row("  largest trait, which is the largest update", f"{largest / 1e6:.2f} MB")
    html = len(widget.to_html().encode())
    yield Row("  exported page, code included", f"{html / 1e6:.2f} MB")
    widget.close()


def _size(value: Any, *, encoded: bool = False) -> int:
    """Bytes of a trait; encoded: as JSON with base64, as a notebook holds it."""
    if isinstance(value, bytes):
        return len(base64.b64encode(value)) if encoded else len(value)
    if isinstance(value, dict):
        return sum(len(json.dumps(str(key))) + _size(one, encoded=encoded) for key, one in value.items())
    if isinstance(value, list):
        return sum(2 + _size(one, encoded=encoded) for one in value)
    return len(json.dumps(value))


def page() -> Iterator[Row]:
    """The slider and the choice of a baseline, in JupyterLab."""
    try:
        from tests.browser.lab import Lab, browser  # the test extra
    except ImportError as error:
        raise Skip(f"{error.name} is not installed") from error
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        raise Skip("no Chromium: run `make browser`")
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        lab = Lab(Path(folder))
        try:
            opened = chromium.new_page(viewport={"width": 1280, "height": 1400})
            opened.set_default_timeout(180_000)
            opened.add_init_script(WATCH)
            yield from hands(lab, opened)
        finally:
            lab.close()


def hands(lab: Any, opened: Any) -> Iterator[Row]:
    cell = "w = xw.explore_path(large, picture, tolerance=0).wait()\nw.compare().wait()\nw"
    show(lab, opened, "explorer", cell)
    frames = ask(lab, opened, "[w.inc_meta['K'], w.inc_meta['shape']]")
    opened.wait_for_timeout(2000)
    opened.evaluate(LISTEN)
    opened.evaluate(SCRUB, [ALPHA, PLACES])  # warm
    times = opened.evaluate(SCRUB, [ALPHA, PLACES])
    yield Row(
        f"α → three panels redrawn, {frames[0]} frames of {frames[1][0]} × {frames[1][1]} on 224 × 224, median (9 in 10)",
        spread(times),
        figure=statistics.median(times),
        limit=16,
        unit="ms",
    )
    switched = opened.evaluate(SWITCH, 12)
    yield Row("a computed baseline → panels redrawn, median (9 in 10)", spread(switched))
    yield Row("messages to the kernel meanwhile", str(opened.evaluate("window.sent")), figure=opened.evaluate("window.sent"), limit=0, unit="")  # fmt: skip
    run_code(opened, "w.close()")
