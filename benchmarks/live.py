"""In a real JupyterLab and Chromium: from a hand's movement to pixels, from a click to a stopped computation.

Times are the page's own clock, or the system's where page and kernel are compared; both run on this machine.
"Redrawn" is when the canvas has its new pixels; "painted" is when the frame that shows them has been produced, so it
includes the wait for the next frame (16.7 ms apart), at whatever moment of it the hand moved.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Skip, percentile

ROOT = Path(__file__).parents[1]
TIMES = 15
FRAME = "() => new Promise(done => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }))"

# Notes when a map's canvas gets pixels, without slowing it down.
WATCH = """(() => {
  window.paints = [];
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    const started = performance.now();
    put.apply(this, given);
    if (!this.canvas.closest('.xw-map-layer')) return;
    const wall = performance.timeOrigin + performance.now();
    window.paints.push({ at: performance.now(), wall, put: performance.now() - started, width: given[0].width });
  };
  const frame = FRAME;
  window.painted = async (before) => {
    const started = performance.now();
    while (window.paints.length === before) {
      if (performance.now() - started > 20000) throw new Error('nothing was drawn');
      await new Promise(done => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); });
    }
    const first = window.paints[before];
    await frame();
    return { ...first, painted: performance.now() };
  };
  window.pause = ms => new Promise(done => setTimeout(done, ms));
})()""".replace("FRAME", FRAME)

# One client-side control moved through values; a range through `input`, a radio button through a click.
MOVE = """async ([selector, values]) => {
  const times = [];
  for (const value of values) {
    await pause(150 + 17 * Math.random());
    const element = document.querySelector(selector.replace('VALUE', value));
    const before = paints.length, started = performance.now();
    if (element.type === 'range') {
      element.value = String(value);
      element.dispatchEvent(new Event('input', { bubbles: true }));
    } else element.click();
    const first = await painted(before);
    times.push([first.at - started, first.painted - started, first.put]);
  }
  return times;
}"""

# A kernel-side slider let go at values whose results the kernel has kept.
SLIDE = """async ([selector, places]) => {
  const times = [];
  for (const place of places) {
    await pause(600);
    const range = document.querySelector(selector);
    const before = paints.length, started = performance.now();
    range.value = String(place);
    range.dispatchEvent(new Event('input', { bubbles: true }));
    range.dispatchEvent(new Event('change', { bubbles: true }));
    const first = await painted(before);
    times.push([first.at - started, first.painted - started]);
    await pause(50);
    while (document.querySelector('.xw-widget').dataset.status !== 'ready') await pause(20);
  }
  return times;
}"""

ASK_NOTHING = """async (times) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel, spent = [];
  for (let time = 0; time < times; time++) {
    await pause(50);
    const started = performance.now();
    await kernel.requestExecute({ code: '', silent: true, store_history: false }).done;
    spent.push(performance.now() - started);
  }
  return spent;
}"""

CLICK_CLASS = """async (place) => {
  const before = paints.length, wall = performance.timeOrigin + performance.now(), started = performance.now();
  document.querySelectorAll('.xw-class')[place].click();
  const first = await painted(before);
  return [first.at - started, wall];
}"""

CANCEL = """async () => {
  const button = [...document.querySelectorAll('.xw-widget button')].find(one => one.textContent === 'Cancel');
  const wall = performance.timeOrigin + performance.now();
  button.click();
  const widget = document.querySelector('.xw-widget');
  while (widget.dataset.status !== 'cancelled') await pause(5);
  return [wall, performance.timeOrigin + performance.now()];
}"""

# The drawing functions alone, from their sources.
DRAW = """async ([side, times]) => {
  const count = side * side, values = Float32Array.from({ length: count }, () => (Math.random() - 0.5) ** 3);
  const ranking = new drawing.Ranking(values), lut = new Uint32Array(256).map((_, i) => i * 0x010101);
  const context = Object.assign(document.createElement('canvas'), { width: side, height: side }).getContext('2d');
  const spent = [];
  for (let time = 0; time < times; time++) {
    const display = { view: 'overlay', clip: 99 + time / 100, gamma: 0.5 + time / 40, sign: 'both', scale_mode: 'own', range: 0 };
    const started = performance.now();
    const { rgba } = drawing.renderMap(values, side, side, display, lut, true, { ranking });
    context.putImageData(new ImageData(rgba, side, side), 0, 0);
    spent.push(performance.now() - started);
    await pause(20);
  }
  return spent;
}"""

SETUP = f"""
import json, pathlib, sys, time
sys.path.insert(0, {str(ROOT)!r})
import torch, xaiwidgets as xw
from torch import nn
from benchmarks.networks import photo, resnet18
torch.manual_seed(0)
small = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.GELU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 5)).eval()
large, picture = resnet18(), photo(224)
calls = []
small.register_forward_pre_hook(lambda *_: calls.append(1))
def tell(**facts):
    pathlib.Path("answer.json").write_text(json.dumps(facts))
"""

STAMPS = """
stamps = []
w.on_msg(lambda _widget, content, _buffers: stamps.append([content.get("type"), time.time()]))
w.observe(lambda change: stamps.append([change["new"], time.time()]), "status")
"""


def rows() -> Iterator[Row]:
    try:
        from tests.browser.lab import Lab, browser
    except ImportError as error:
        raise Skip(f"{error.name} is not installed") from error
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        raise Skip("no Chromium: run `make browser`")
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        lab = Lab(Path(folder))
        try:
            for subject in (controls, cached, first_picture, cancel):
                context = chromium.new_context(viewport={"width": 1280, "height": 1400})
                context.set_default_timeout(90_000)
                context.add_init_script(WATCH)
                yield from subject(lab, context.new_page())
                context.close()
        finally:
            lab.close()


def controls(lab: Any, page: Any) -> Iterator[Row]:
    """Controls that never ask the kernel, on a map of 512 × 512."""
    pixels = "w.display = {**w.display, 'unit': 'pixel'}"
    show(lab, page, "controls", f"w = xw.explain(small, photo(512), steps=17, tolerance=0).wait()\n{pixels}\nw")
    drawing = drawing_functions()
    if drawing is not None:
        page.add_script_tag(content=drawing)
        alone = page.evaluate(DRAW, [512, 2 * TIMES])
        yield Row("drawing 512 × 512 alone, gamma ≠ 1, no value zero, median (9 in 10)", spread(alone))
    page.get_by_role("button", name="Display").click()
    places = {
        "clip": ('.xw-slider:has(input[max="100"][min="90"]) input', [90 + index / 2 for index in range(TIMES)]),
        "gamma": ('.xw-slider:has(input[max="3"]) input', [0.3 + 0.15 * index for index in range(TIMES)]),
        "sign": ('input[value="VALUE"][name$="-sign"]', (["positive", "negative", "absolute", "both"] * TIMES)[:TIMES]),
        "view": ('input[value="VALUE"][name$="-view"]', (["side", "mask", "wipe", "overlay"] * TIMES)[:TIMES]),
    }
    for name, (selector, values) in places.items():
        times = page.evaluate(MOVE, [selector, values])
        redrawn, painted, _put = zip(*times, strict=True)
        yield Row(
            f"{name} → canvas redrawn, 512 × 512, median (9 in 10)",
            spread(redrawn),
            figure=statistics.median(redrawn),
            limit=16,
            unit="ms",
        )
        yield Row(f"  {name} → frame painted", spread(painted))
        if name in ("sign", "view"):
            worst = {
                value: max(one for one, each in zip(redrawn, values, strict=True) if each == value) for value in values
            }
            yield Row(
                f"  {name}, worst redraw of each", ", ".join(f"{value} {most:.0f} ms" for value, most in worst.items())
            )


def cached(lab: Any, page: Any) -> Iterator[Row]:
    """The steps slider back and forth between results that the kernel has kept."""
    for side in (224, 512):
        show(lab, page, f"cached{side}", f"w = xw.explain(small, photo({side}), tolerance=0).wait()\nw")
        bare = page.evaluate(ASK_NOTHING, TIMES)
        selector = '.xw-slider-wide:has(input[max="240"]) input'
        page.evaluate(SLIDE, [selector, [60, 160]])
        run_code(page, "calls.clear()")
        times = page.evaluate(SLIDE, [selector, ([60, 160] * TIMES)[:TIMES]])
        redrawn, painted = zip(*times, strict=True)
        spent = ask(lab, page, "len(calls)")
        yield Row(
            f"slider → kept result of the kernel → redrawn, {side} × {side}, median (9 in 10)",
            spread(redrawn),
            figure=statistics.median(redrawn),
            limit=60,
            unit="ms",
        )
        yield Row("  → frame painted; calls of the model", f"{spread(painted)}; {spent}")
        yield Row("  for comparison: the kernel asked to do nothing, and its answer", spread(bare))


def first_picture(lab: Any, page: Any) -> Iterator[Row]:
    """A ResNet-18 on 224 × 224, with what threads there are; and when the kernel had sent what the page then shows."""
    show(lab, page, "first", f"stamp = time.time()\nw = xw.explain(large, picture)\n{STAMPS}w")
    started = 1000 * ask(lab, page, "stamp")
    first = page.evaluate("paints[0].wall")
    yield Row(
        "ResNet-18: running the cell → first picture; in the kernel",
        f"{first - started:.0f} ms; {sent(lab, page, started)}",
    )
    times, kernel = [], []
    for place in (1, 2, 3):
        run_code(page, "stamps.clear()")
        time, clicked = page.evaluate(CLICK_CLASS, place)
        ready(page)
        times.append(time)
        kernel.append(sent(lab, page, clicked))
    yield Row(
        "ResNet-18: choosing another class → first picture (of 3); in the kernel",
        f"{spread(times)}; {', '.join(kernel)}",
    )
    run_code(
        page,
        "started = time.perf_counter(); xw.attribute(large, picture, target=7, steps=9); spent = time.perf_counter() - started",
    )
    yield Row("  nine gradients without a widget, in the same kernel", f"{1000 * ask(lab, page, 'spent'):.0f} ms")


def sent(lab: Any, page: Any, since: float) -> str:
    """When the kernel sent its first picture."""
    at = next(at for kind, at in ask(lab, page, "stamps") if kind in ("partial", "ready"))
    return f"{1000 * at - since:.0f} ms"


def cancel(lab: Any, page: Any) -> Iterator[Row]:
    """Click Cancel in the middle of a long run; the kernel notes when it has stopped."""
    for name, model, change in (
        ("small network", "small", "'method': 'smoothgrad', 'parameters': {'samples': 512}"),
        ("ResNet-18", "large", "'method': 'smoothgrad', 'parameters': {'samples': 512}"),
        ("ResNet-18", "large", "'method': 'occlusion', 'parameters': {'window': 16, 'stride': 2}"),
    ):
        what = "occlusion" if "occlusion" in change else "SmoothGrad"
        show(
            lab,
            page,
            f"cancel-{model}-{what}",
            f"w = xw.explain({model}, photo({512 if model == 'small' else 224}), steps=9).wait(60)\n{STAMPS}w",
        )
        stopped, shown = [], []
        for turn in range(5):
            run_code(page, f"stamps.clear(); w.params = {{**w.params, 'target': {turn % 5}, {change}}}")
            page.wait_for_selector(".xw-widget[data-status=partial]")
            page.wait_for_timeout(150 + 60 * turn)
            clicked, seen = page.evaluate(CANCEL)
            stamps = ask(lab, page, "stamps")
            ended = next(at for kind, at in stamps if kind == "cancelled")
            stopped.append(1000 * ended - clicked)
            shown.append(seen - clicked)
        yield Row(
            f"click on Cancel → stopped in the kernel, {name}, {what}, median (worst of 5)",
            f"{statistics.median(stopped):.0f} ms ({max(stopped):.0f} ms)",
            figure=statistics.median(stopped),
            limit=300,
            unit="ms",
        )
        yield Row("  → said in the page", f"{statistics.median(shown):.0f} ms ({max(shown):.0f} ms)")


# --- a page and its kernel -------------------------------------------------------------------------------------------


def show(lab: Any, page: Any, name: str, cell: str) -> None:
    from tests.browser.lab import close_notebooks, open_notebook

    close_notebooks(page)
    open_notebook(page, lab.notebook(f"{name}.ipynb", [SETUP, cell]))
    ready(page)
    page.locator(".xw-widget").scroll_into_view_if_needed()
    page.wait_for_timeout(500)


def ready(page: Any) -> None:
    page.wait_for_selector(".xw-widget[data-status=ready]")


def run_code(page: Any, code: str) -> None:
    page.evaluate(
        """async (code) => {
          const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          const reply = await kernel.requestExecute({ code, silent: true, store_history: false }).done;
          if (reply.content.status !== 'ok') throw new Error(reply.content.ename + ': ' + reply.content.evalue);
        }""",
        code,
    )


def ask(lab: Any, page: Any, expression: str) -> Any:
    run_code(page, f"tell(value={expression})")
    return json.loads((lab.root / "answer.json").read_text())["value"]


def drawing_functions() -> str | None:
    """The drawing sources as one script that sets `drawing`; None without esbuild."""
    esbuild = ROOT / "js" / "node_modules" / ".bin" / "esbuild"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # Node may live beside this Python
    if not esbuild.exists() or shutil.which("node", path=path) is None:
        return None
    entry = 'export { renderMap } from "./render"; export { Ranking } from "./ranking";'
    options = ["--bundle", "--minify", "--format=iife", "--global-name=drawing", "--target=es2022"]
    return subprocess.run(
        [esbuild, *options],
        input=entry,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "js" / "src" / "lib",
        env=os.environ | {"PATH": path},
    ).stdout


def spread(times: Any) -> str:
    return f"{statistics.median(times):.1f} ms ({percentile(list(times), 90):.1f} ms)"
