"""The example gallery in a real JupyterLab: what moves without the kernel, what it gives back, 100,000 candidates."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook
from tests.browser.test_lab import ask, becomes, ready, run_code
from tests.browser.test_path import LISTEN
from tests.browser.test_strip import HELPERS

# Points of three clouds drawn as pictures, a tenth of them wrongly labelled; two checkpoints of a small network.
SETUP = f"""
import copy, json, pathlib, sys, time
sys.path[:0] = [{str(HELPERS.parent)!r}]
import conftest
import numpy as np, torch, xaiwidgets as xw
from torch import nn

def tell(name, **facts):
    pathlib.Path(name).write_text(json.dumps(facts))

def pictures(count, seed):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=draw)
    images = 0.2 * torch.rand(count, 3, 8, 8, generator=draw)
    images[torch.arange(count), labels] += 0.6
    return images, labels

torch.manual_seed(0)
images, truth = pictures(120, 0)
labels = truth.clone()
labels[::10] = (labels[::10] + 1) % 3
net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
checkpoints = []
for step in range(40):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(images), labels).backward()
    optimizer.step()
    if step % 20 == 19:
        checkpoints.append(copy.deepcopy(net.state_dict()))
net.eval()
delay = [0.0]
net.register_forward_pre_hook(lambda *_: time.sleep(delay[0]))
names = ['<b>red</b>', 'green', 'blue']
def build(data, **options):
    return xw.TrainingIndex.build(net, data, checkpoints=checkpoints, progress=False, **options)
"""
OPEN = "index = build((images, labels))\nw = xw.trace(index, pictures(2, 1)[0], k=6, labels=names)\nw"
MANY = "index = build(pictures(100_000, 2), batch_size=500)\nw = xw.trace(index, pictures(1, 1)[0], labels=names)\nw"
CARDS = "[role=gridcell]"

# Milliseconds of the longest task, and cards in the page, while the queue of all examples is scrolled through.
SCROLL = """async () => {
  const box = [...document.querySelectorAll('.xw-widget *')].find(one => one.scrollHeight > one.clientHeight + 10_000);
  const tasks = [], cards = [];
  const seen = new PerformanceObserver(list => tasks.push(...list.getEntries().map(one => one.duration)));
  seen.observe({ entryTypes: ['longtask'] });
  const most = box.scrollHeight - box.clientHeight;
  for (let step = 0; step <= 40; step++) {
    box.scrollTop = most * step / 40;
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 10)));
    cards.push(box.querySelectorAll('[role=gridcell]').length);
  }
  return { most, cards: Math.max(...cards), longest: Math.max(0, ...tasks) };
}"""


def gallery(lab, page, name: str, code: str = OPEN):
    open_notebook(page, lab.notebook(name, [SETUP, code]))
    widget = ready(page)
    expect(widget.locator(CARDS).first).to_be_visible()
    return widget


def labels_of(widget) -> list[str]:
    return [card.get_attribute("aria-label") for card in widget.locator(CARDS).all()]


def test_what_the_page_has_never_asks(lab, page):
    widget = gallery(lab, page, "ranks.ipynb")
    rows = widget.get_by_role("grid")
    expect(rows).to_have_count(2)
    assert widget.locator(CARDS).count() == 12
    assert "<b>red</b>" in " ".join(labels_of(widget))
    assert widget.locator("b").count() == 0
    page.wait_for_timeout(1500)
    page.evaluate(LISTEN)
    orders = []
    for mode in ("cosine", "relative", "dot"):
        widget.locator(f'input[value="{mode}"]').first.check(force=True)
        page.wait_for_timeout(80)
        orders.append(labels_of(widget))
    assert orders[0] != orders[2]
    rows.first.focus()
    for tab in ("Triage", "Data map", "Influence"):
        page.keyboard.press("m")
        expect(widget.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        # what has the focus goes away with its tab; the notebook's own keys would cut cells
        page.wait_for_function("document.activeElement.closest('.xw-gallery-main')")
    for key in ("ArrowRight", "End", "Home", "Shift+ArrowRight", "s", "s", "s", "w", "w", "t", "t"):
        page.keyboard.press(key)
    page.wait_for_timeout(1000)
    asked = page.evaluate('window.sent.filter(one => /params|"run"/.test(JSON.stringify(one))).length')
    assert asked == 0


def test_verdicts_and_selections_reach_python(lab, page):
    widget = gallery(lab, page, "judge.ipynb")
    run_code(page, "seen = []; w.on_verdict(lambda *facts: seen.append(facts))")
    widget.get_by_role("tab", name="Triage").click()
    expect(widget.get_by_role("grid")).to_have_count(1)
    grid = widget.get_by_role("grid")
    grid.focus()
    page.keyboard.press("x")  # nothing is meant yet, and the notebook's own x would cut the cell
    for key in ("Home", "x", "ArrowRight", "x"):
        page.keyboard.press(key)
    assert becomes(lab, page, "len(w.selected_indices)", 2)
    widget.get_by_role("button", name="clear").click()
    for key in ("2", "3", "4"):
        grid.press(key)
    assert becomes(lab, page, "sorted(one['verdict'] for one in w.verdicts.values())", ["drop", "relabel", "unsure"])
    assert ask(lab, page, "len(seen)") == 3
    grid.press("u")
    assert becomes(lab, page, "sorted(one['verdict'] for one in w.verdicts.values())", ["drop", "relabel"])
    assert ask(lab, page, "len(w.subset((images, labels)))") == 119
    # the queue begins with what was planted
    wrong = ask(lab, page, "[int(one) for one in np.argsort(-index.self_influence())[:6]]")
    assert sum(one % 10 == 0 for one in wrong) >= 4


def test_an_example_opens_beside_the_query_and_another_label_asks(lab, page):
    widget = gallery(lab, page, "open.ipynb")
    widget.locator(CARDS).first.click()
    expect(widget.locator("canvas.xw-pair-map")).to_have_count(2)
    assert becomes(
        lab, page, "w.pair['id'] == w.items[0]['id'] or w.pair['id'] in [one['id'] for one in w.items]", True
    )
    before = ask(lab, page, "w.query['label']")
    run_code(page, f"w.params = {{**w.params, 'target': {(before + 1) % 3}}}")
    assert becomes(lab, page, "[w.query['label'], w.status]", [(before + 1) % 3, "ready"])
    expect(widget).to_have_attribute("data-status", "ready")


def test_a_scan_is_cancelled(lab, page):
    widget = gallery(lab, page, "cancel.ipynb")
    run_code(page, "delay[0] = 0.05; w.params = {**w.params, 'method': 'influence_function', 'parameters': {}}")
    widget.get_by_role("button", name="Cancel").click()
    expect(widget).to_have_attribute("data-status", "cancelled")
    expect(widget.locator(CARDS).first).to_be_visible()


def test_a_hundred_thousand_candidates_scroll(lab, page):
    widget = gallery(lab, page, "many.ipynb", MANY)
    widget.get_by_role("tab", name="Triage").click()
    expect(widget.locator(CARDS).first).to_be_visible()
    found = page.evaluate(SCROLL)
    assert found["most"] > 100_000
    assert found["cards"] < 300
    print(f"100,000 examples: {found['cards']} cards in the page, longest task {found['longest']:.0f} ms")
    widget.get_by_role("tab", name="Data map").click()
    expect(widget.locator("canvas").first).to_be_visible()


@pytest.mark.parametrize("width", [1200, 420], ids=["wide", "narrow"])
def test_a_page_without_a_kernel_keeps_the_answer(lab, page, browser, width):
    gallery(lab, page, f"page{width}.ipynb")
    run_code(page, "tell('answer.json', value=bool(w.to_html('page.html')))")
    offline = browser.new_page(viewport={"width": width, "height": 900})
    offline.route("http*://**", lambda route: route.abort())
    offline.goto((lab.root / "page.html").as_uri())
    widget = offline.locator(".xw-widget")
    expect(widget.locator(CARDS).first).to_be_visible()
    before = labels_of(widget)
    widget.locator('input[value="cosine"]').first.check(force=True)
    offline.wait_for_timeout(200)
    assert labels_of(widget) != before
    assert widget.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    offline.close()
