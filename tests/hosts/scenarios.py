"""The same scenarios for every widget in every host with a kernel. A subclass names the host; its page is opened once.

They build on each other: the order is that of a reader, and a page is too dear to be opened for each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.hosts.servers import KINDS, PATIENCE, Host


class Handling(NamedTuple):
    """What of a widget is looked at, and how it is handled."""

    shown: str
    """The parts that show the result."""
    handle: str
    """What is dragged: a range, or a handle on its track."""
    place: float
    """Where to, as a share of the track."""
    asked: tuple[str, str]
    """A menu by its label, and the choice that needs the kernel."""
    asked_while_broken: tuple[str, str]
    first: tuple[str, ...] = ()
    """What is clicked before the handle is there."""


SCENARIOS = ("render", "kernel", "drag", "views", "error", "theme", "re-run", "restart")
CLASS = "class to explain"
HANDLING = {
    "heatmap": Handling(".xw-map-layer, .xw-legend", ".xw-clip", 0.7, ("method", "saliency"), (CLASS, "3")),
    "path": Handling(".xw-panel", ".xw-alpha", 0.4, (CLASS, "1"), (CLASS, "3")),
    "tokens": Handling("[role=listbox]", ".xw-slider input", 0.3, ("method", "saliency"), (CLASS, "0")),
    "examples": Handling(
        ".xw-cards", ".xw-slider input", 0.5, ("method", "gradient_dot"), ("method", "gradient_cosine")
    ),
    "scoreboard": Handling(
        ".xw-board-panel",
        ".xw-board-wipe",
        0.2,
        ("", ""),
        ("", ""),
        ("[role=tab] >> nth=1", "label:has(input[value=wipe])"),
    ),
}

# Everything a reader sees of some elements: texts, classes, styles, and the pixels of every canvas.
LOOK = """elements => {
  elements[0]?.scrollIntoView({ block: 'center' }); // what is far from the screen is not drawn anew
  let hash = 7;
  const add = text => { for (let at = 0; at < text.length; at++) hash = (hash * 31 + text.charCodeAt(at)) | 0; };
  for (const element of elements) for (const one of [element, ...element.querySelectorAll('*')]) {
    add(`${one.getAttribute('class')} ${one.getAttribute('data-dim')}`);
    add((one.getAttribute('style') ?? '').replaceAll(/blob:[^"')]*/g, '')); // a view's own copy of a picture
    if (one.children.length === 0) add(one.textContent);
    if (one instanceof HTMLCanvasElement && one.width && one.height) {
      const { data } = one.getContext('2d').getImageData(0, 0, one.width, one.height);
      for (let at = 0; at < data.length; at++) hash = (hash * 31 + data[at]) | 0;
    }
  }
  return hash;
}"""
TRACK = """handle => {
  handle.scrollIntoView({ block: 'center' });
  const box = handle.getBoundingClientRect(), y = box.top + box.height / 2;
  if (handle instanceof HTMLInputElement) {
    const share = (handle.value - handle.min) / (handle.max - handle.min);
    return { from: box.left + 8 + share * (box.width - 16), left: box.left + 8, width: box.width - 16, y };
  }
  const track = handle.parentElement.getBoundingClientRect();
  return { from: box.left + box.width / 2, left: track.left, width: track.width, y };
}"""


class Scenarios:
    """Subclass it as `TestName` with `host`."""

    host: type[Host]
    running: Host
    page: Page

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def opened(cls, browser: Any, tmp_path_factory: Any) -> Any:
        cls.page = None
        cls.running = cls.host(tmp_path_factory.mktemp("host"))
        (cls.running.flags / "broken-scoreboard").touch()
        context = browser.new_context(viewport={"width": 1100, "height": 1000})
        context.set_default_timeout(30_000)
        cls.page = context.new_page()
        cls.errors = []
        cls.page.on("pageerror", lambda error: cls.errors.append(str(error)))
        cls.page.on("console", lambda said: said.type == "error" and cls.errors.append(said.text))
        cls.running.open(cls.page)
        yield
        context.close()
        cls.running.close()

    @pytest.fixture(autouse=True)
    def reported(self, request: Any, record_property: Any) -> None:
        scenario = request.node.originalname.removeprefix("test_").replace("_", "-")
        call = getattr(request.node, "callspec", None)
        if scenario not in SCENARIOS:
            return
        for kind in [call.params["kind"]] if call else KINDS:
            record_property("host", [self.host.name, kind, scenario])

    def views(self, kind: str) -> tuple[Locator, Locator]:
        """Both views of a widget, once every widget has two."""
        every = self.page.locator(".xw-widget")
        expect(every).to_have_count(2 * len(KINDS), timeout=PATIENCE)
        place = 2 * KINDS.index(kind)
        return every.nth(place), every.nth(place + 1)

    def look(self, view: Locator, kind: str) -> int:
        return view.locator(HANDLING[kind].shown).evaluate_all(LOOK)

    def settled(self, view: Locator, kind: str) -> int:
        """How it looks once it has been on the screen for a moment and changes no more."""
        last = None
        while (now := self.look(view, kind)) != last:
            last = now
            self.page.wait_for_timeout(150)
        return now

    def changes(self, view: Locator, kind: str, before: int) -> int:
        """How it looks once it looks different."""
        for _ in range(150):
            if (now := self.look(view, kind)) != before:
                return now
            self.page.wait_for_timeout(100)
        raise AssertionError("it looks as before")

    def alike(self, views: tuple[Locator, Locator], kind: str) -> None:
        for _ in range(150):
            if self.look(views[0], kind) == self.look(views[1], kind):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("the views differ")

    def choose(self, view: Locator, choice: tuple[str, str]) -> None:
        menu, value = choice
        if menu:
            view.locator(f"select[aria-label='{menu}']").select_option(value)
        else:
            view.get_by_role("button", name="Run").click()

    def drag(self, handle: Locator, place: float) -> None:
        at = handle.evaluate(TRACK)
        mouse = self.page.mouse
        mouse.move(at["from"], at["y"])
        mouse.down()
        mouse.move(at["left"] + place * at["width"], at["y"], steps=6)
        mouse.up()

    def gone(self, old: list[Any]) -> None:
        self.page.wait_for_function("all => all.every(one => !one.isConnected)", arg=old, timeout=PATIENCE)

    def is_ready(self, view: Locator) -> None:
        expect(view).to_have_attribute("data-status", "ready", timeout=PATIENCE)
        view.scroll_into_view_if_needed()

    # --- the scenarios, in a reader's order -------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", KINDS)
    def test_render(self, kind, record_property):
        """The scoreboard begins with an error."""
        for view in self.views(kind):
            if kind == "scoreboard":
                record_property("host", [self.host.name, kind, "error"])
                expect(view.get_by_role("alert")).to_contain_text("holiday", timeout=PATIENCE)
            else:
                self.is_ready(view)
                expect(view.locator(HANDLING[kind].shown).first).to_be_visible()
                expect(view.get_by_role("alert")).to_have_count(0)

    @pytest.mark.parametrize("kind", ["scoreboard", *KINDS[:-1]])
    def test_kernel(self, kind):
        views = self.views(kind)
        before = self.settled(views[0], kind)
        (self.running.flags / f"broken-{kind}").unlink(missing_ok=True)
        self.choose(views[0], HANDLING[kind].asked)
        self.changes(views[0], kind, before)
        for view in views:
            self.is_ready(view)
            expect(view.get_by_role("alert")).to_have_count(0)
        self.alike(views, kind)

    @pytest.mark.parametrize("kind", KINDS)
    def test_drag(self, kind):
        views = self.views(kind)
        for click in HANDLING[kind].first:
            views[0].locator(click).click()
        handle = views[0].locator(HANDLING[kind].handle).first
        expect(handle).to_be_visible()
        before = self.settled(views[0], kind)
        self.drag(handle, HANDLING[kind].place)
        self.changes(views[0], kind, before)

    @pytest.mark.parametrize("kind", KINDS)
    def test_views(self, kind):
        """What was dragged in the first view shows in the second."""
        self.alike(self.views(kind), kind)

    @pytest.mark.parametrize("kind", KINDS[:-1])
    def test_error(self, kind):
        view, other = self.views(kind)
        flag = self.running.flags / f"broken-{kind}"
        before = self.settled(view, kind)
        flag.touch()
        self.choose(view, HANDLING[kind].asked_while_broken)
        for one in (view, other):
            expect(one.get_by_role("alert")).to_contain_text("holiday", timeout=PATIENCE)
        assert self.settled(view, kind) == before
        flag.unlink()
        view.get_by_role("button", name="Run").click()
        self.is_ready(view)
        self.changes(view, kind, before)
        expect(other.get_by_role("alert")).to_have_count(0)

    def test_theme(self):
        for shade in ("dark", "light"):
            self.running.shade(self.page, shade)
            expect(self.page.locator(f".xw-widget[data-theme={shade}]")).to_have_count(2 * len(KINDS), timeout=PATIENCE)

    @pytest.mark.parametrize("kind", KINDS)
    def test_re_run(self, kind):
        old = [view.element_handle() for view in self.views(kind)]
        self.running.again(self.page, kind)
        self.gone(old)
        for view in self.views(kind):
            self.is_ready(view)
            expect(view.locator(HANDLING[kind].shown).first).to_be_visible()
