"""The tests of a map in a real JupyterLab: one click, the first points, stopping, another map, a saved notebook, a page."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import open_notebook, save_and_shut_down
from tests.browser.test_lab import AXE, SETUP, ask, becomes, ready, run_code
from tests.browser.test_offline_pages import explained, offline  # noqa: F401  # a fixture
from tests.browser.test_strip import CLASSIFY
from tests.browser.test_strip import SETUP as TEXT_SETUP

IMAGE = "w = xw.explain(net, images[:1])\nw"
DRAWER = ".xw-trust-drawer"
LINES = f"{DRAWER} .xw-plot-line"


def test_one_click_tests_the_map_and_draws_what_comes(lab, page):
    open_notebook(page, lab.notebook("tested.ipynb", [SETUP, IMAGE]))
    widget = ready(page)
    assert ask(lab, page, "[w.trust, 'trust' in str(list((w._core or w)._parts))]") == [{}, False]
    widget.get_by_role("button", name="Test this map").click()
    expect(page.locator(LINES).first).to_be_attached()
    assert becomes(lab, page, "w.trust.get('status')", "done")
    expect(page.locator(f"{DRAWER} .xw-finding").first).to_be_visible()
    # map, chance and edges; removed and shown; two measures of likeness
    expect(page.locator(LINES)).to_have_count(8)
    expect(page.locator(f"{DRAWER} .xw-trust-controls canvas")).to_have_count(4)
    expect(page.locator(f"{DRAWER} .xw-frame canvas")).to_have_count(12)
    plot = page.locator(f"{DRAWER} .xw-plot").first
    before = plot.get_attribute("aria-valuetext")
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(plot).not_to_have_attribute("aria-valuetext", before)
    page.add_script_tag(path=AXE)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_timeout(500)
        found = page.evaluate(
            "async () => (await axe.run('.xw-widget')).violations.map(one => [one.id, one.nodes[0].html])"
        )
        assert found == []
    page.locator(f"{DRAWER} select[aria-label='filled with']").select_option("blur")
    assert becomes(lab, page, "[w.trust['settings']['fill'], w.trust['status']]", ["blur", "done"])
    # another map is another question
    run_code(page, "w.params = {**w.params, 'method': 'saliency'}")
    expect(page.locator(DRAWER)).to_have_attribute("data-stale", "true")
    page.get_by_role("button", name="Test the one on show").click()
    expect(page.locator(DRAWER)).to_have_attribute("data-stale", "false")
    assert becomes(lab, page, "[w.trust['key'] == w.map_key, w.trust['status']]", [True, "done"])


def test_a_test_stops_and_is_saved_with_the_notebook(lab, page):
    open_notebook(page, lab.notebook("stopped.ipynb", [SETUP, IMAGE]))
    widget = ready(page)
    run_code(page, "net.delay = 0.05")
    widget.get_by_role("button", name="Test this map").click()
    expect(page.locator(LINES).first).to_be_attached()
    page.locator(DRAWER).get_by_role("button", name="Cancel").click()
    expect(page.locator(f"{DRAWER} .xw-chip").first).to_contain_text("cancelled")
    assert ask(lab, page, "w.status") == "ready"
    run_code(page, "net.delay = 0.0")
    page.get_by_role("button", name="Test again").click()
    assert becomes(lab, page, "w.trust['status']", "done")
    page.wait_for_timeout(500)
    save_and_shut_down(lab, page, "stopped.ipynb")
    open_notebook(page, lab.address("stopped.ipynb"), run=False)
    expect(page.locator(f"{DRAWER} .xw-finding").first).to_be_visible(timeout=30_000)
    expect(page.locator(LINES)).to_have_count(8)


@pytest.mark.parametrize(
    ("setup", "code"),
    [(TEXT_SETUP, CLASSIFY), (SETUP, "w = xw.explore_path(net, images[:1], baselines=('black', 'white'))\nw")],
    ids=["text", "path"],
)
def test_the_other_widgets_have_it_too(lab, page, setup, code):
    open_notebook(page, lab.notebook("others.ipynb", [setup, code]))
    widget = ready(page)
    widget.get_by_role("button", name="Test this map").click()
    expect(page.locator(LINES).first).to_be_attached()
    assert becomes(lab, page, "w.trust.get('status')", "done")
    expect(page.locator(DRAWER)).to_have_attribute("data-stale", "false")


def test_a_page_shows_what_was_tested(offline, tmp_path):  # noqa: F811
    widget = explained()
    widget.test()
    widget.tested()
    widget.to_html(tmp_path / "tested.html")
    offline.goto((tmp_path / "tested.html").as_uri())
    expect(offline.locator(f"{DRAWER} .xw-finding").first).to_be_visible()
    expect(offline.locator(f"{DRAWER} select").first).to_be_disabled()
    offline.locator(f"{DRAWER} .xw-frame").nth(3).click()
    expect(offline.locator(f"{DRAWER} .xw-plot").first).to_have_attribute("aria-valuenow", "0.6")
    assert offline.problems == []
