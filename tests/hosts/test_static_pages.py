"""Pages without a kernel: ours under a strict Content-Security-Policy, and nbconvert's with and without saved state."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.hosts.saved import notebook
from tests.hosts.servers import KINDS

PACKAGES = Path(__file__).parents[2] / "build" / "static-hosts"
BROUGHT = {
    "require.js": ("requirejs@2.3.8", "package/require.js"),
    "embed-amd.js": ("@jupyter-widgets/html-manager@1.0.15", "package/dist/embed-amd.js"),
}
ANYWIDGET = Path(sys.prefix) / "share/jupyter/nbextensions/anywidget/index.js"
ADDRESS = "https://pages.test/page.html"


@pytest.fixture
def page(page):
    """A page that reaches nothing but what a test answers."""
    page.context.route("**/*", lambda route: route.abort())
    return page


def answer(page, text: str, policy: str = "") -> None:
    headers = {"content-type": "text/html; charset=utf-8"} | ({"content-security-policy": policy} if policy else {})
    page.context.route(ADDRESS, lambda route: route.fulfill(body=text, headers=headers))
    page.goto(ADDRESS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_lives_under_a_policy_that_names_its_script(page, widgets, kind, record_property):
    record_property("host", ["exported page, strict policy", kind, "render"])
    text = widgets[kind].to_html()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}' blob:; style-src 'unsafe-inline'; img-src data: blob:"
    answer(page, text, policy)
    expect(page.locator(".xw-widget")).to_have_attribute("data-status", "ready")
    expect(page.locator(".xw-widget").get_by_role("button", name="Export")).to_be_visible()
    assert page.problems == []


def test_a_page_whose_scripts_are_forbidden_shows_its_picture(page, widgets):
    answer(page, widgets["heatmap"].to_html(), "script-src 'none'")
    expect(page.locator(".xaiwidget img").first).to_be_visible()
    expect(page.locator(".xaiwidget table")).to_have_count(1)
    expect(page.locator(".xw-widget")).to_have_count(0)


def brought(name: str) -> Path:
    """A file of Jupyter's own widget manager from the npm registry; skips where that is out of reach."""
    package, inside = BROUGHT[name]
    file = PACKAGES / name
    if not file.exists():
        PACKAGES.mkdir(parents=True, exist_ok=True)
        path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        try:
            packed = subprocess.run(
                ["npm", "pack", "--silent", "--fetch-retries=1", "--fetch-timeout=30000", package],
                cwd=PACKAGES, env=os.environ | path, capture_output=True, text=True, check=True, timeout=120,
            ).stdout.split()[-1]  # fmt: skip
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot bring {package}: {getattr(error, 'stderr', None) or error}")
        with tarfile.open(PACKAGES / packed) as archive:
            file.write_bytes(archive.extractfile(inside).read())
    return file


def test_nbconvert_with_jupyters_own_manager(page, widgets, record_property):
    def give(route, *, body):
        route.fulfill(body=body, headers={"content-type": "text/javascript", "access-control-allow-origin": "*"})

    files = {
        r"/require(\.min)?\.js$": brought("require.js"),
        r"/embed-amd\.js$": brought("embed-amd.js"),
        r"/anywidget@[^/]*/dist/index\.js$": ANYWIDGET,
    }
    for pattern, file in files.items():
        page.context.route(re.compile(pattern), partial(give, body=file.read_bytes()))
    text, _resources = HTMLExporter().from_notebook_node(notebook(widgets.values()))
    answer(page, text)
    expect(page.locator(".xw-widget[data-status=ready]")).to_have_count(len(KINDS))
    for kind in KINDS:
        record_property("host", ["nbconvert", kind, "render"])
    heatmap = page.locator(".xw-widget").first
    heatmap.get_by_text("map", exact=True).first.click()
    expect(heatmap.locator("input[value=side]")).to_be_checked()
    assert not [problem for problem in page.problems if "xaiwidgets" in problem or "anywidget" in problem]


def test_a_notebook_saved_without_state_shows_pictures(page, widgets):
    text, _resources = HTMLExporter().from_notebook_node(notebook(widgets.values(), state=False))
    answer(page, text)
    expect(page.locator(".jp-OutputArea-output figure")).to_have_count(len(KINDS))
    expect(page.locator(".jp-OutputArea-output img").first).to_be_visible()
