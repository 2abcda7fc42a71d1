"""A page in which any widget stands in any state, without a notebook: for the tests of what readers need.

The traits are those of real widgets, made once; `Reader.show` draws them with the built front end. A live model answers
"hello" as a kernel does and nothing else, so that a state stays as it was set.
"""

import base64
import json
from typing import Any

import torch
from playwright.sync_api import Locator, Page, expect
from torch import nn

import xaiwidgets as xw
from tests.widgets.texts import Bag, Words, writer
from xaiwidgets.live.assets import asset, parts

PATIENCE = 60
KINDS = ("heatmap", "path", "path of words", "tokens", "generated", "examples", "scoreboard")
NAMES = ["goldfinch", "<b>house</b> finch", "bee eater", "robin"]

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>widgets</title>
<style>body { margin: 8px; font-family: system-ui, sans-serif; background: #fff } body.dark { background: #111 }</style>
</head><body><main><h1>Widgets</h1><button id="before">before</button><div id="place"></div>
<button id="after">after</button></main></body></html>"""

# A model that lives if `live`; `show` draws it in the page anew.
MODEL = """async ({ code, parts }) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const decoded = (value) => {
    if (Array.isArray(value)) return value.map(decoded);
    if (typeof value !== 'object' || value === null) return value;
    if (typeof value.__bytes === 'string') return bytes(value.__bytes);
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, decoded(part)]));
  };
  class Model {
    constructor(state, live) {
      this.values = decoded(state);
      this.isStatic = !live;
      this.heard = new Map();
      this.sent = [];
    }
    get(name) { return this.values[name]; }
    set(name, value) { this.values[name] = value; this.tell(`change:${name}`); }
    save_changes() {}
    send(content) {
      this.sent.push(content.type);
      if (content.type === 'hello') setTimeout(() => this.tell('msg:custom', { type: 'hello', id: content.id }), 0);
    }
    on(event, listener) { this.heard.set(event, (this.heard.get(event) ?? new Set()).add(listener)); }
    off(event, listener) { this.heard.get(event)?.delete(listener); }
    tell(event, ...all) { for (const one of [...(this.heard.get(event) ?? [])]) one(...all); }
  }
  const address = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const { default: assembled } = await import(address);
  const { mount } = assembled.initialize({ model: new Model({ _parts: parts }, false) });
  let end = () => {};
  window.stored = {};
  window.show = (name, change, live) => {
    end();
    const el = document.createElement('div');
    document.querySelector('#place').replaceChildren(el);
    document.body.className = change.theme ?? 'light';
    window.model = new Model({ theme: 'light', ...window.stored[name], ...change }, live);
    end = mount({ model: window.model, el });
  };
}"""

# A widget's headings begin below those of the notebook's text, wherever it stands.
AXE_RUN = """async ([only, within]) => {
  const rules = only.length ? { runOnly: only } : { rules: { 'target-size': { enabled: true },
    'heading-order': { enabled: false } } };
  const { violations } = await axe.run(within, { ...rules, resultTypes: ['violations'], preload: false });
  // a card's text is its content, not a label that someone says to press it
  const named = ({ id }, node) => id === 'label-content-name-mismatch' && node.html.includes('role="gridcell"');
  return violations.flatMap((one) => one.nodes.filter((node) => !named(one, node))
    .map((node) => `${one.id}: ${node.html.slice(0, 160)}`));
}"""


def _encode(value: object) -> dict[str, str]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"__bytes": base64.b64encode(bytes(value)).decode()}
    raise TypeError(type(value).__name__)


def _looking() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4)]
    return nn.Sequential(*layers).eval()


def _index() -> tuple[xw.TrainingIndex, torch.Tensor]:
    torch.manual_seed(0)
    images, labels = torch.rand(40, 3, 8, 8), torch.arange(40) % 4
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    other = {name: value + 0.05 for name, value in net.state_dict().items()}
    index = xw.TrainingIndex.build(net, (images, labels), checkpoints=[net.state_dict(), other], progress=False)
    return index, torch.rand(2, 3, 8, 8)


def states() -> dict[str, dict[str, Any]]:
    """The traits of one widget of each kind, and of what only some have: several inputs, tests, generated text."""
    looking, images = _looking(), torch.rand(2, 3, 20, 28)
    index, queries = _index()
    maps = images.sum(1)[0] - 1.5
    heatmap = xw.explain(looking, images, labels=NAMES).wait(PATIENCE)
    heatmap.test()
    heatmap.tested()
    path = xw.explore_path(looking, images[:1], baselines=("black", "blur"), labels=NAMES, steps=17)
    text = "Not good, but it moved me: a film unlike any other"
    words = text.split()
    numbers = torch.arange(4, 4 + len(words))[None]
    made = {
        "heatmap": heatmap,
        "path": path,
        "path of words": xw.explore_path(Bag(), numbers, tokens=words, target=1, labels=NAMES[:3], steps=17),
        "tokens": xw.explain(Bag(), text, tokenizer=Words(), target=1, labels=NAMES[:3]),
        "generated": xw.explain(writer("gpt2"), "the old film was", tokenizer=Words(), generate=5),
        "examples": xw.trace(index, queries, k=4, labels=NAMES),
        "brought": xw.show({"one": maps, "two": -maps}, image=images[0], title="Two maps", target="goldfinch"),
        "scoreboard": xw.compare(looking, images, ("saliency", "input_x_gradient"), labels=NAMES),
    }
    found = {}
    for name, widget in made.items():
        widget.wait(PATIENCE)
        found[name] = widget.static_state()
        widget.close()
    return found


class Reader:
    """One page; `show` puts a widget into it and waits until it is drawn."""

    def __init__(self, page: Page, made: dict[str, dict[str, Any]]) -> None:
        self.page, self.states = page, made
        page.set_content(PAGE)
        brought = parts(*{str(state["_kind"]) for state in made.values()}, "trust")
        page.evaluate(MODEL, {"code": asset("assemble.js"), "parts": json.loads(json.dumps(brought, default=_encode))})
        page.evaluate("made => Object.assign(window.stored, made)", json.loads(json.dumps(made, default=_encode)))

    def show(self, name: str, *, live: bool = True, theme: str = "light", **change: Any) -> Locator:
        """A widget with some traits changed."""
        self.page.evaluate(
            "([name, change, live]) => show(name, change, live)", [name, {"theme": theme, **change}, live]
        )
        widget = self.page.locator(".xw-widget")
        expect(widget).to_have_attribute("data-theme", theme)
        self.settle()
        return widget

    def change(self, **traits: Any) -> None:
        """Of the widget on show."""
        self.page.evaluate(
            """traits => { for (const [name, value] of Object.entries(traits)) model.set(name, value);
              document.body.className = model.get('theme'); }""",
            traits,
        )
        self.settle()

    def settle(self) -> None:
        """Until nothing more is drawn."""
        self.page.evaluate(
            """async () => {
              const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
              let still = 0;
              const seen = new MutationObserver(() => { still = 0 });
              seen.observe(document.querySelector('#place'), { subtree: true, childList: true, attributes: true });
              for (let count = 0; still < 3 && count < 60; count++) { still++; await frame(); }
              seen.disconnect();
            }"""
        )

    def axe(self, *only: str, within: str = ".xw-widget") -> list[str]:
        """What axe-core finds: `rule: element`."""
        return self.page.evaluate(AXE_RUN, [list(only), within])

    def tree(self) -> list[dict[str, str]]:
        """What Chromium tells assistive software of the widget, in order: role, name and description."""
        session = self.page.context.new_cdp_session(self.page)
        root = session.send("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
        widget = session.send("DOM.querySelector", {"nodeId": root, "selector": ".xw-widget"})["nodeId"]
        found = session.send("Accessibility.queryAXTree", {"nodeId": widget})["nodes"]
        session.detach()
        return [
            {part: str(node.get(part, {}).get("value", "")) for part in ("role", "name", "description")}
            for node in found
            if not node.get("ignored")
        ]
