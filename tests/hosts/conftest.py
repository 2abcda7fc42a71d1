"""One Chromium for the hosts; each test says which host, widget and scenario it stands for, docs/host_table.py reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import lab as labs
from tests.hosts.servers import KINDS
from tests.hosts.specimens import make

expect.set_options(timeout=15_000)
FAILURES = Path(__file__).parents[2] / "build" / "failures"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    page = getattr(getattr(item, "cls", None), "page", None)
    if report.failed and page is not None and call.when == "call":
        FAILURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=FAILURES / f"{item.cls.__name__}-{item.name}.png", full_page=True)
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with labs.browser() as running:
        yield running


@pytest.fixture
def page(browser):
    """A page of its own for a test; `problems` is what it complains of."""
    context = browser.new_context(viewport={"width": 1100, "height": 1000})
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("console", lambda message: message.type == "error" and opened.problems.append(message.text))
    yield opened
    context.close()


@pytest.fixture(scope="module")
def widgets(tmp_path_factory) -> Iterator[dict[str, Any]]:
    """One of each kind, with its result."""
    folder = tmp_path_factory.mktemp("specimens")
    made = {kind: make(kind, folder).wait(60) for kind in KINDS}
    yield made
    for widget in made.values():
        widget.close()
