"""The token strip in a real JupyterLab: the text itself, what moves without the kernel, what asks it, long texts."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook
from tests.browser.test_lab import ask, becomes, ready, run_code
from tests.browser.test_path import LISTEN

HELPERS = Path(__file__).parents[1] / "widgets"
TEXT = "Not good, but 👍🏽 moved me: مرحبا 你好 <script>alert(1)</script> café"

SETUP = f"""
import json, pathlib, sys, time
sys.path[:0] = [{str(HELPERS.parent)!r}, {str(HELPERS)!r}]
import conftest
import torch, xaiwidgets as xw
from texts import Bag, Words, writer

net = Bag()
delay = [0.0]
net.register_forward_pre_hook(lambda *_: time.sleep(delay[0]))
text = {TEXT!r}
def tell(name, **facts):
    pathlib.Path(name).write_text(json.dumps(facts))
"""
UNITS = ".xw-unit[role=option]"
CLASSIFY = "w = xw.explain(net, text, tokenizer=Words(), target=1, labels=['ant', 'bee', 'cat'])\nw"
GENERATE = "w = xw.explain(writer('gpt2'), 'the old film was', tokenizer=Words(), generate=6)\nw"

# The text as the page shows it: text nodes only, in order, without what stands in for whitespace.
SHOWN = """() => [...document.querySelectorAll('.xw-widget [role=listbox]')].map(list =>
  [...list.querySelectorAll('.xw-unit-text, .xw-between')].map(one => one.textContent).join('')).join('')"""

# Milliseconds of the longest task while a long text is scrolled through.
SCROLL = """async () => {
  const box = document.querySelector('.xw-scroll'), tasks = [];
  const seen = new PerformanceObserver(list => tasks.push(...list.getEntries().map(one => one.duration)));
  seen.observe({ entryTypes: ['longtask'] });
  const most = box.scrollHeight - box.clientHeight, nodes = [];
  for (let step = 0; step <= 30; step++) {
    box.scrollTop = most * step / 30;
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 10)));
    nodes.push(box.querySelectorAll('.xw-unit').length);
  }
  return { most, nodes: Math.max(...nodes), longest: Math.max(0, ...tasks) };
}"""


def strip(lab, page, name: str, code: str):
    open_notebook(page, lab.notebook(name, [SETUP, code]))
    widget = ready(page)
    expect(widget.get_by_role("listbox").first).to_be_visible()
    return widget


def test_the_strip_is_the_text_and_what_the_page_has_never_asks(lab, page):
    widget = strip(lab, page, "words.ipynb", CLASSIFY)
    assert page.evaluate(SHOWN) == TEXT
    assert page.title() != "1"
    page.wait_for_timeout(1500)
    page.evaluate(LISTEN)
    options = widget.locator(UNITS)
    tokens = options.count()
    assert "rank" in options.first.get_attribute("aria-label")
    for unit in ("word", "sentence", "line", "token"):
        widget.locator(f'input[value="{unit}"]').first.check(force=True)
        page.wait_for_timeout(80)
        assert page.evaluate(SHOWN) == TEXT
    assert options.count() == tokens
    options.first.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "s", "g", "x", "x", "t", "]", "[", ",", "Home", "End"):
        page.keyboard.press(key)
    expect(widget.locator(".xw-units, table").first).to_be_visible()
    page.wait_for_timeout(1000)
    assert page.evaluate("window.sent.filter(one => JSON.stringify(one).includes('params')).length") == 0


def test_a_class_an_edit_and_a_mask_ask_the_model(lab, page):
    widget = strip(lab, page, "edit.ipynb", CLASSIFY)
    widget.get_by_role("button", name="cat").first.click()
    assert becomes(lab, page, "[w.question['target'], w.status]", [2, "ready"])
    total = ask(lab, page, "round(float(w.result.values.sum()), 4)")
    assert total == pytest.approx(
        ask(lab, page, "float((w.result.score - w.result.baseline_score)[0])"), abs=1e-2 + 0.02 * abs(total)
    )
    widget.get_by_role("button", name="Edit").click()
    field = widget.locator("textarea.xw-edit-text")
    field.fill("good film")
    expect(widget.get_by_role("group", name="what if")).to_be_visible()
    assert becomes(lab, page, "w.whatif.get('text')", "good film")
    widget.get_by_role("button", name="Explain this text").click()
    assert becomes(lab, page, "[w.text, w.status]", ["good film", "ready"])
    assert page.evaluate(SHOWN) == "good film"


def test_generated_tokens_candidates_and_the_matrix(lab, page):
    widget = strip(lab, page, "write.ipynb", GENERATE)
    outputs = widget.get_by_role("listbox").nth(1).locator(UNITS)
    expect(outputs).to_have_count(ask(lab, page, "len(w.tokens) - w.n_prompt"))
    outputs.nth(1).click()
    assert becomes(lab, page, "[w.values_meta['span'], w.status]", [[1, 1], "ready"])
    widget.locator(".xw-candidates button.xw-class").nth(2).click()
    assert becomes(lab, page, "w.values_meta['foil_token'] is not None and w.status == 'ready'", True)
    widget.locator('input[value="matrix"]').first.check(force=True)
    attribute = widget.locator(".xw-matrix-progress button")
    if attribute.count():
        attribute.click()
    assert becomes(lab, page, "len(w.matrix_meta.get('have', [])) == len(w.tokens) - w.n_prompt", True)
    expect(widget.get_by_role("grid")).to_be_visible()


def test_a_long_text_scrolls_and_can_be_stopped(lab, page):
    code = "w = xw.explain(net, ' '.join(f'word{i} and more.' for i in range(1000)), tokenizer=Words(), target=0, method='saliency')\nw"
    widget = strip(lab, page, "long.ipynb", code)
    assert ask(lab, page, "len(w.tokens)") == 4000
    found = page.evaluate(SCROLL)
    assert found["most"] > 1000
    assert found["nodes"] < 1000
    print(f"4,000 tokens: {found['nodes']} in the page, longest task {found['longest']:.0f} ms")
    run_code(page, "delay[0] = 0.3; w.params = {**w.params, 'method': 'smoothgrad', 'parameters': {'samples': 128}}")
    expect(widget).to_have_attribute("data-status", "partial")
    widget.get_by_role("button", name="Cancel").click()
    expect(widget).to_have_attribute("data-status", "cancelled")
    run_code(page, "delay[0] = 0.0")
