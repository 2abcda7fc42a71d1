"""Who carries the front end into a page: the core for all kinds, a widget for itself, an exported page; real hosts."""

import base64
import json

import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook, save_and_shut_down
from tests.browser.test_lab import SETUP, pixels, ready, run_code
from tests.browser.test_offline_pages import POLICY, explained, offline  # noqa: F401  # a fixture
from xaiwidgets.live.assets import asset, parts
from xaiwidgets.live.export import embed, runtime

# A second kind of widget, small, that imports what the heatmap's chunk holds.
OTHER = """
import traitlets, xaiwidgets.live.assets as assets, xaiwidgets.widgets.base as base
names = list(assets.all_kinds()["heatmap"])
chunk = next((name for name in names if name.startswith("chunk-")), names[0])
code = 'import"./' + chunk + '";export const mount=(model,el)=>{el.replaceChildren("the other kind: "+model.get("caption"))};'
assets.all_kinds()["other"] = {"other-0TH3R.js": code} | {name: assets.asset(name) for name in names if name != names[0]}

class Other(base.ExplainWidget):
    _kind = traitlets.Unicode("other").tag(sync=True)
    def _figure(self):
        return "<p>a picture</p>"
"""
IN_PAGE = """() => {
  const { addresses, kinds } = globalThis[Symbol.for("xaiwidgets.assembled")];
  const ours = document.adoptedStyleSheets.filter((sheet) => [...sheet.cssRules].some((rule) => rule.cssText.includes(".xw-")));
  return { addresses: [...addresses.keys()], kinds: kinds.size, sheets: ours.length };
}"""


def test_two_kinds_share_parts_and_a_saved_notebook_holds_both(lab, page):
    page.goto("about:blank")  # what is in JupyterLab's page already is not carried there again
    cells = [SETUP, "w = xw.explain(net, images[:1]).wait()\nw", "w", OTHER, "Other(caption='hello')"]
    open_notebook(page, lab.notebook("kinds.ipynb", cells))
    ready(page, 2)
    expect(page.get_by_text("the other kind: hello")).to_be_visible()
    found = page.evaluate(IN_PAGE)
    code = {name for name in parts("heatmap") if name.endswith(".js")}
    assert sorted(found["addresses"]) == sorted(code | {"other-0TH3R.js"})
    assert found["kinds"] == 2
    assert found["sheets"] == sum(name.endswith(".css") for name in parts("heatmap"))
    save_and_shut_down(lab, page, "kinds.ipynb")
    states = json.loads((lab.root / "kinds.ipynb").read_text())["metadata"]["widgets"]
    states = next(iter(states.values()))["state"].values()
    held = [buffer["path"][-1] for model in states for buffer in model.get("buffers", [])]
    assert sorted(set(held) & set(parts("heatmap"))) == sorted(parts("heatmap"))
    assert all(held.count(name) == 1 for name in parts("heatmap"))
    open_notebook(page, lab.address("kinds.ipynb"), run=False)
    expect(page.locator(".xw-widget")).to_have_count(2, timeout=30_000)
    expect(page.get_by_text("the other kind: hello")).to_be_visible()


@pytest.mark.parametrize("why", ["asked to", "without a core"])
def test_a_widget_draws_itself_with_its_own_parts(lab, page, why):
    first = "import os; os.environ['XAIWIDGETS_INLINE'] = '1'" if why == "asked to" else "pass"
    last = "pass" if why == "asked to" else "w._core.close()"
    page.goto("about:blank")
    cells = [SETUP, first, "w = xw.explain(net, images[:1]).wait()", f"{last}\nw"]
    open_notebook(page, lab.notebook(f"{why.replace(' ', '-')}.ipynb", cells))
    widget = ready(page)
    run_code(page, "assert w._parts and all(isinstance(method, dict) for method in w.methods)")
    assert len(widget.locator("select[aria-label=method] option").all_text_contents()) > 3
    assert pixels(page, ".xw-map-layer canvas").any()


# marimo shows a widget inside a shadow root, where the page's styles do not reach
IN_A_SHADOW = """async ({ script, state }) => {
  const blob = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const { default: widget } = await import(blob(script));
  const bytes = (value) => new DataView(Uint8Array.from(atob(value), (one) => one.charCodeAt(0)).buffer);
  const decoded = JSON.parse(state, (_, value) => value?.__bytes === undefined ? value : bytes(value.__bytes));
  const root = document.body.appendChild(document.createElement("div")).attachShadow({ mode: "open" });
  const model = { get: (name) => decoded[name], set() {}, save_changes() {}, send() {}, on() {}, off() {} };
  const el = document.createElement("div");
  widget.render({ model, el });
  root.append(el);
}"""


def test_a_widget_in_a_shadow_root_has_its_styles_there(page):
    widget = explained()
    carried = {name: {"__bytes": base64.b64encode(data).decode()} for name, data in parts("heatmap").items()}
    state = {
        name: {"__bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in widget.static_state().items()
    }
    page.goto("about:blank")
    page.evaluate(IN_A_SHADOW, {"script": asset("assemble.js"), "state": json.dumps(state | {"_parts": carried})})
    expect(page.locator(".xw-widget")).to_be_visible()
    assert page.locator(".xw-body").first.evaluate("body => getComputedStyle(body).display") in ("grid", "flex")
    assert page.evaluate("document.adoptedStyleSheets.length") == 0
    widget.close()


def test_an_exported_page_keeps_its_picture_where_code_is_missing(offline, tmp_path):  # noqa: F811
    widget = explained()
    unknown = embed(widget.static_state() | {"_kind": "unknown"}, "<p>a picture</p>")
    known = embed(widget.static_state(), "<p>another picture</p>")
    text = f"<!doctype html><head>{POLICY}</head>{known}{unknown}{runtime(asset('page.js'), parts('heatmap'))}"
    (tmp_path / "two.html").write_text(text, encoding="utf-8")
    offline.goto((tmp_path / "two.html").as_uri())
    expect(offline.locator(".xw-widget")).to_have_count(1)
    expect(offline.get_by_text("another picture")).to_have_count(0)
    expect(
        offline.get_by_text("cannot draw the widget “unknown”: its code is missing. Run its cell again")
    ).to_be_visible()
    expect(offline.get_by_text("a picture", exact=True)).to_be_visible()
    assert offline.problems == []
    widget.close()
