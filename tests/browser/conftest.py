"""One server, one browser and one page for all browser tests; the page is photographed, and a new one, if a test fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import lab as labs
from tests.browser.lab import close_notebooks

expect.set_options(timeout=15_000)
FAILURES = Path(__file__).parents[2] / "build" / "failures"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with labs.browser() as running:
        yield running


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[labs.Lab]:
    server = labs.Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """The page in use, if there is one."""
    return []


@pytest.fixture
def page(browser, pages, request) -> Iterator[Page]:
    if not pages:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        context.set_default_timeout(20_000)
        pages.append(context.new_page())
    opened, errors = pages[0], []

    def failed(error):
        errors.append(str(error))

    def said(message):
        if message.type == "error":
            errors.append(message.text)

    opened.on("pageerror", failed)
    opened.on("console", said)
    yield opened
    if getattr(request.node, "failed", False):
        FAILURES.mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=FAILURES / f"{request.node.name}.png")
        print("the page said:", *errors, sep="\n  ")
        opened.context.close()
        pages.clear()
    else:
        close_notebooks(opened)
        opened.remove_listener("pageerror", failed)
        opened.remove_listener("console", said)
    assert not [error for error in errors if "xaiwidgets" in error or "anywidget" in error], errors
