"""Every widget in every state for readers of all kinds: axe-core, the keyboard, names, narrow pages, forced colours."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.reading import KINDS, Reader, states
from tests.browser.test_lab import AXE

ERROR = {
    "code": "out_of_memory",
    "title": "The model <b>failed</b>",
    "hint": "Take less.",
    "detail": "Traceback\n  line",
}
NOTICE = [{"level": "warning", "code": "training", "text": "The model is in training mode."}]
PROGRESS = {"done": 3, "total": 8, "unit": "steps", "eta_s": 4.0, "phase": "gradients"}
UNKNOWN = {"done": 3, "total": None, "unit": "steps", "eta_s": None, "phase": "gradients"}

REST = {"progress": {}, "error": {}, "notices": []}
STATES: dict[str, dict[str, Any]] = {
    "running": {"status": "running", "progress": UNKNOWN},
    "partial": {"status": "partial", "progress": PROGRESS, "notices": NOTICE},
    "error": {"status": "error", "error": ERROR},
    "stale": {"status": "stale"},
    "cancelled": {"status": "cancelled"},
}
FRAME = ".xw-header, .xw-progress, .xw-error, .xw-notices"

# Opens whatever opens, but for menus, which close one another.
OPEN = """() => {
  for (const one of document.querySelectorAll('.xw-widget details')) one.open = true;
  const closed = [...document.querySelectorAll('.xw-widget button[aria-expanded=false]:enabled')];
  for (const one of closed) if (!['Export', '?'].includes(one.textContent)) one.click();
}"""


@pytest.fixture(scope="module")
def reader(browser) -> Iterator[Reader]:
    context = browser.new_context(viewport={"width": 1000, "height": 1200})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    made = Reader(page, states())
    page.add_script_tag(path=AXE)
    yield made
    context.close()
    assert problems == []


@pytest.fixture(autouse=True)
def as_it_was(reader) -> Iterator[None]:
    yield
    reader.page.set_viewport_size({"width": 1000, "height": 1200})
    reader.page.emulate_media(forced_colors="none", reduced_motion="no-preference")


def opened(reader, name, **how):
    widget = reader.show(name, **how)
    reader.page.evaluate(OPEN)
    reader.settle()
    return widget


@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing(reader, name):
    found = {}
    opened(reader, name)
    found["all open"] = reader.axe()
    reader.change(theme="dark")
    found["all open, dark"] = reader.axe("color-contrast")
    reader.show(name, trust={})
    # the frame, which shows the state, is the same in all widgets: its colours are looked at once
    for theme in ("dark", "light") if name == "generated" else ("light",):
        for state, traits in STATES.items():
            reader.change(theme=theme, **{**REST, **traits})
            found[f"{state}, {theme}"] = reader.axe(within=FRAME)
    for tab in reader.page.get_by_role("tab").all()[1:]:
        tab.click()
        reader.settle()
        found[tab.inner_text()] = reader.axe(within="[role=tabpanel]")
    reader.show(name, live=False)
    found["saved"] = reader.axe()
    assert {state: what for state, what in found.items() if what} == {}


def test_axe_finds_nothing_in_menus_and_drawers(reader):
    found = {}
    for name in KINDS:
        widget = reader.show(name, trust={})
        for button in ("Export", "keys"):
            widget.get_by_role("button", name=button, exact=True).evaluate("one => one.click()")
            reader.settle()
            found[name, button] = reader.axe(within=".xw-menu, .xw-help")
            reader.page.keyboard.press("Escape")
    tests = reader.states["heatmap"]["trust"]
    for status, change in {
        "running": {"progress": PROGRESS},
        "error": {"error": ERROR},
        "done": {"key": "another map"},
    }.items():
        reader.show("heatmap", trust={**tests, "status": status, **change})
        found["tests", status] = reader.axe(within=".xw-trust-drawer")
    # values that came without a model
    reader.show("brought")
    reader.page.evaluate(OPEN)
    reader.settle()
    found["brought"] = reader.axe()
    assert {state: what for state, what in found.items() if what} == {}


def test_axe_finds_nothing_where_nothing_is_computed_yet(reader):
    found = {}
    for kind in ("heatmap", "path", "tokens", "examples", "scoreboard"):
        for status in ("empty", "queued"):
            reader.show("", _kind=kind, status=status)
            found[kind, status] = reader.axe()
    assert {state: what for state, what in found.items() if what} == {}


# --- the keyboard -------------------------------------------------------------------------------------------------------

# What Tab should reach, in the order of the document: of radio buttons with one name the one that is chosen.
REACHABLE = """() => {
  const all = document.querySelectorAll('.xw-widget :is(button, select, input, textarea, summary, a[href], [tabindex])');
  const found = [...all].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }));
  window.reachable = found.filter((one) => {
    if (one.type !== 'radio') return true;
    const alike = found.filter((other) => other.name === one.name);
    return one.checked || (one === alike[0] && !alike.some((other) => other.checked));
  });
  return window.reachable.length;
}"""

# The place of what has the focus among what is reachable, and what is wrong with how it shows.
FOCUSED = """() => {
  const one = document.activeElement;
  if (['before', 'after'].includes(one.id)) return [one.id, []];
  const wrong = [], box = one.getBoundingClientRect(), label = one.getAttribute('aria-label') ?? one.textContent;
  const active = one.getAttribute('aria-activedescendant');
  const marks = [one, one.nextElementSibling, one.closest('label'), active && document.getElementById(active)];
  const outlined = (mark, part) => {
    const style = mark && getComputedStyle(mark, part);
    return style && ((style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) || style.boxShadow.includes('0px 0px 0px'));
  };
  if (!marks.some((mark) => outlined(mark)) && !outlined(one, '::-webkit-slider-thumb')) wrong.push(`no ring: ${label}`);
  if (box.bottom <= 0 || box.top >= innerHeight) wrong.push(`out of sight: ${label}`);
  const x = box.left + Math.min(box.width / 2, 300), y = Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 1);
  const top = document.elementsFromPoint(x, y).find((other) => !getComputedStyle(other).opacity.startsWith('0.0'));
  const around = one.closest('label') ?? one.parentElement;
  if (!top || !(one.contains(top) || around.contains(top))) wrong.push(`covered: ${label} by ${top?.className}`);
  return [window.reachable.indexOf(one), wrong];
}"""

# Everything that takes the pointer but cannot be tabbed to must be a member of something with arrow keys.
MEMBERS = """() => [...document.querySelectorAll(
  '.xw-widget :is(button, select, input, summary, [role=option], [role=gridcell], [role=tab], [role=slider])')]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && !window.reachable.includes(one))
  .filter((one) => !one.closest('[role=radiogroup], [role=tablist], [role=listbox], [role=grid], [role=table], table'))
  .map((one) => one.outerHTML.slice(0, 120))"""


def walk(reader, key: str, start: str) -> tuple[list[int], list[str], str]:
    reader.page.locator(f"#{start}").focus()
    places, wrong = [], []
    for _ in range(150):
        reader.page.keyboard.press(key)
        at, problems = reader.page.evaluate(FOCUSED)
        if isinstance(at, str):
            return places, wrong, at
        places.append(at)
        wrong += [one for one in problems if not (one.startswith("no ring") and _differs_with_focus(reader.page))]
    return places, wrong, "trapped"


def _differs_with_focus(page) -> bool:
    """Whether the focus is drawn: of a slider's thumb no style can be read."""
    focused = page.locator("*:focus")
    with_focus = focused.screenshot()
    handle = focused.element_handle()
    handle.evaluate("one => one.blur()")
    without = handle.screenshot()
    handle.evaluate("one => one.focus({ focusVisible: true })")
    return with_focus != without


@pytest.mark.parametrize("name", KINDS)
def test_the_keyboard_reaches_and_leaves_everything(reader, name):
    reader.show(name)
    count = reader.page.evaluate(REACHABLE)
    assert count > 15
    assert reader.page.evaluate(MEMBERS) == []
    places, wrong, end = walk(reader, "Tab", "before")
    assert (places, wrong, end) == ([*range(count)], [], "after")
    # a card on which the focus was can be judged: there may be more to reach on the way back
    count = reader.page.evaluate(REACHABLE)
    places, wrong, end = walk(reader, "Shift+Tab", "after")
    assert (places, wrong, end) == ([*reversed(range(count))], [], "before")


@pytest.mark.parametrize("name", KINDS)
def test_what_opens_takes_the_focus_and_gives_it_back(reader, name):
    widget = reader.show(name, trust={})
    focused = reader.page.locator("*:focus")
    export = widget.get_by_role("button", name="Export")
    export.focus()
    reader.page.keyboard.press("Enter")
    expect(widget.get_by_role("group", name="export").locator("*:focus")).to_have_count(1)
    reader.page.keyboard.press("Escape")
    expect(export).to_be_focused()
    expect(export).to_have_attribute("aria-expanded", "false")
    reader.page.keyboard.press("Enter")
    for _ in range(20):  # out of the menu, not around in it
        reader.page.keyboard.press("Tab")
        if not focused.evaluate("one => one.closest('.xw-export') !== null"):
            break
    expect(export).to_have_attribute("aria-expanded", "false")
    keys = widget.get_by_role("button", name="keys", exact=True)
    keys.focus()
    reader.page.keyboard.press("Enter")
    expect(widget.get_by_role("dialog", name="keys").get_by_role("button")).to_be_focused()
    reader.page.keyboard.press("Escape")
    expect(keys).to_be_focused()


# --- what a screen reader is told ---------------------------------------------------------------------------------------

NAMED = {
    "button", "checkbox", "combobox", "dialog", "grid", "gridcell", "group", "image", "listbox", "option", "radio", "radiogroup",
    "region", "searchbox", "slider", "spinbutton", "tab", "tablist", "tabpanel", "textbox",
}  # fmt: skip

# Sliders whose value is a number only, names that do not begin with what is seen, and texts that are read unasked.
SAID = """() => {
  const all = (selector) => [...document.querySelectorAll(`.xw-widget ${selector}`)];
  const labelled = all(':is(.xw-field, .xw-segmented-field)').map((field) => {
    const seen = field.querySelector(':scope > .xw-label[aria-hidden]')?.textContent.trim().toLowerCase();
    const control = field.matches('[aria-label]') ? field : field.querySelector('[aria-label]');
    return [seen, control?.getAttribute('aria-label')];
  });
  const radios = all('.xw-segment').map((one) => [one.textContent, one.querySelector('input').getAttribute('aria-label')]);
  return {
    sliders: all(':is([role=slider], input[type=range])').filter((one) => !one.getAttribute('aria-valuetext')).length,
    labels: [...labelled, ...radios].filter(([seen, name]) => seen && !name?.toLowerCase().includes(seen.toLowerCase())),
    live: all(':is(output, [aria-live], [role=status])').filter((one) => !one.matches('.xw-visually-hidden, [role=search] *')).map((one) => one.outerHTML),
  };
}"""


@pytest.mark.parametrize("name", KINDS)
def test_everything_has_a_name_and_only_news_is_read_unasked(reader, name):
    opened(reader, name)
    nodes = reader.tree()
    unnamed = [node["role"] for node in nodes if node["role"] in NAMED and not node["name"]]
    assert unnamed == ["group"] * reader.page.locator(".xw-widget details").count()  # their summaries name them
    assert reader.page.evaluate(SAID) == {"sliders": 0, "labels": [], "live": []}
    widget = next(node for node in nodes if node["role"] == "group")
    assert widget["name"].endswith("?")
    assert len(widget["description"]) > 40
    # news: at most once a second, the newest
    voice = reader.page.locator(".xw-widget > output")
    expect(voice).to_have_text("")
    reader.change(status="running", progress=UNKNOWN)
    expect(voice).to_have_text("computing")
    reader.change(status="ready", progress={})
    expect(voice).to_have_text(re.compile("^ready. "))


# --- narrow, magnified, without colours, without motion -----------------------------------------------------------------

# What stands out of the widget to the left or right, unless it lies in something that scrolls or cuts.
STICKS_OUT = """() => {
  const widget = document.querySelector('.xw-widget'), { left, right } = widget.getBoundingClientRect();
  const inner = (one) => {
    for (let box = one.parentElement; box !== widget; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== 'visible') return true;
    }
    return false;
  };
  return [...widget.querySelectorAll('*')].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (box.right > right + 1 || box.left < left - 1) && !inner(one);
  }).map((one) => `${one.outerHTML.slice(0, 90)}: ${Math.round(one.getBoundingClientRect().right - right)} px`);
}"""

# Controls smaller than 24 × 24 pixels, with their label; words of a text may be as narrow as they are.
SMALL = """() => [...document.querySelectorAll(
  '.xw-widget :is(button, select, input, textarea, summary, [role=slider], [role=gridcell])')].filter((one) => {
    const boxes = [one, one.closest('label')].filter(Boolean).map((box) => box.getBoundingClientRect());
    const room = one.matches('[type=checkbox]') ? 8 : 0; // its margin belongs to its label
    return boxes[0].width && !boxes.some((box) => box.width + room > 23.9 && box.height + room > 23.9);
  }).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_lost_in_a_narrow_page(reader, name):
    found = {}
    display = reader.states[name].get("display", {})
    edge = {"display": {**display, "clip": 100}} if name == "heatmap" else {}  # its handle stands at the very end
    for width in (640, 320):  # 640: a page of 1280 pixels at 200 %
        reader.page.set_viewport_size({"width": width + 16, "height": 1200})
        opened(reader, name, **edge)
        found[width, "out"] = reader.page.evaluate(STICKS_OUT)
        found[width, "small"] = reader.page.evaluate(SMALL)
        found[width, "page"] = reader.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert found == {
        (width, what): 0 if what == "page" else [] for width in (640, 320) for what in ("out", "small", "page")
    }


# Bars and pictures say something by their colours: those the reader's own colours must not replace. What is chosen must
# show by more than a background, which they do replace.
FORCED = """() => {
  const all = (selector) => [...document.querySelectorAll(`.xw-widget ${selector}`)].filter((one) => one.checkVisibility());
  const paper = getComputedStyle(document.body).backgroundColor;
  const gone = (one) => [null, '::after'].every((part) => getComputedStyle(one, part).backgroundColor === paper);
  const plain = (one, other) => ['outlineStyle', 'outlineColor', 'borderBottomColor', 'borderTopColor', 'fontWeight', 'textDecorationLine', 'color', 'forcedColorAdjust']
    .every((name) => getComputedStyle(one)[name] === getComputedStyle(other)[name]);
  const bars = all(':is([class*=bar]:not([class*=bars]), .xw-progress-done)').filter((one) => !one.matches('button, [role], svg *') && one.childElementCount === 0 && !one.textContent);
  const chosen = all(':is([aria-pressed=true], [aria-selected=true]:not([role=option]))').map((one) => {
    const state = one.hasAttribute('aria-pressed') ? 'aria-pressed' : 'aria-selected';
    const other = [...(one.closest('[role]')?.parentElement ?? document).querySelectorAll(`[${state}=false]`)].find((two) => two.className === one.className);
    return [one, other];
  });
  return {
    bars: bars.filter(gone).map((one) => one.className),
    chosen: chosen.filter(([one, other]) => other && plain(one, other)).map(([one]) => one.outerHTML.slice(0, 100)),
  };
}"""


@pytest.mark.parametrize("name", KINDS)
def test_forced_colours_and_still_pages(reader, name):
    reader.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    reader.show(name, status="running", progress=UNKNOWN)
    assert reader.page.evaluate(FORCED) == {"bars": [], "chosen": []}
    assert reader.page.evaluate("document.getAnimations().length") == 0
