"""What a reader finds who opens a saved notebook in JupyterLab and runs nothing, with and without the widgets' state."""

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from playwright.sync_api import expect

from tests.hosts.saved import notebook
from tests.hosts.scenarios import HANDLING
from tests.hosts.servers import KINDS, PATIENCE, JupyterLab

NAMES = {True: "JupyterLab, saved with widget state", False: "JupyterLab, saved without, from elsewhere"}
"""By whether the state is there."""


class SavedNotebooks(JupyterLab):
    """JupyterLab trusts what was run in it, and shows of what it does not trust the picture alone."""

    def __init__(self, folder, widgets):
        self._widgets = widgets
        super().__init__(folder)

    def prepare(self):
        super().prepare()
        data = self.folder / "data"
        data.mkdir()
        notary = NotebookNotary(data_dir=str(data))
        for state in (True, False):
            book = notebook(self._widgets.values(), state=state)
            nbformat.write(book, self.flags / f"from-elsewhere-{state}.ipynb")
            book.metadata["mine"] = True  # a signature is the text's: one that no other notebook has
            notary.sign(book)
            nbformat.write(book, self.flags / f"trusted-{state}.ipynb")

    def show(self, page, name):
        page.goto(f"{self.url}/lab/tree/{name}.ipynb?reset")
        expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(KINDS), timeout=PATIENCE)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, widgets):
    server = SavedNotebooks(tmp_path_factory.mktemp("saved"), widgets)
    yield server
    server.close()


def test_with_its_state_every_widget_is_drawn_and_moves(lab, page, record_property):
    lab.show(page, "trusted-True")
    every = page.locator(".xw-widget[data-status=ready]")
    expect(every).to_have_count(len(KINDS), timeout=PATIENCE)
    for place, kind in enumerate(KINDS):
        view = every.nth(place)
        view.scroll_into_view_if_needed()
        expect(view.locator(HANDLING[kind].shown).first).to_be_visible()
        expect(view.get_by_text("read-only: saved result")).to_be_visible()
        expect(view.get_by_role("alert")).to_have_count(0)
        record_property("host", [NAMES[True], kind, "render"])
    every.first.get_by_text("map", exact=True).first.click()
    expect(every.first.locator("input[value=side]")).to_be_checked()
    assert not [problem for problem in page.problems if "xaiwidgets" in problem or "anywidget" in problem]


@pytest.mark.parametrize("state", [True, False])
def test_from_elsewhere_its_pictures_are_shown(lab, page, state, record_property):
    """JupyterLab cleans what it does not trust: the words, the pictures and the tables are left."""
    lab.show(page, f"from-elsewhere-{state}")
    figures = page.locator(".jp-OutputArea-output figure")
    expect(figures).to_have_count(len(KINDS), timeout=PATIENCE)
    for place, kind in enumerate(KINDS):
        figure = figures.nth(place)
        figure.scroll_into_view_if_needed()
        expect(figure.locator("figcaption")).to_be_visible()
        expect(figure.locator("table")).not_to_have_count(0)
        assert figure.locator("img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert (kind == "tokens") == (figure.locator("img").count() == 0)
        if not state:
            record_property("host", [NAMES[False], kind, "picture"])


def test_trusted_and_without_its_state_it_needs_its_cells_run(lab, page):
    """JupyterLab says so in its own words, and shows no picture: docs/hosts.md says what helps."""
    lab.show(page, "trusted-False")
    expect(page.get_by_text("Error displaying widget: model not found")).to_have_count(len(KINDS), timeout=PATIENCE)
    expect(page.locator(".jp-OutputArea-output figure")).to_have_count(0)
