"""The widgets in JupyterLab, and what is left of them when their kernel is restarted."""

from playwright.sync_api import expect

from tests.browser.lab import RUN_ALL
from tests.hosts.scenarios import HANDLING, Scenarios
from tests.hosts.servers import KINDS, JupyterLab


class TestLab(Scenarios):
    host = JupyterLab

    def test_restart(self):
        """The pictures outlive the kernel; running all cells gives widgets that live."""
        views = {kind: self.views(kind) for kind in KINDS}
        before = {kind: self.settled(views[kind][0], kind) for kind in KINDS}
        old = [view.element_handle() for both in views.values() for view in both]
        self.running.restart(self.page)
        assert {kind: self.settled(views[kind][0], kind) for kind in KINDS} == before
        self.page.evaluate(RUN_ALL)
        self.gone(old)
        for kind in KINDS:
            for view in self.views(kind):
                self.is_ready(view)
        view = self.views("tokens")[0]
        shown = self.settled(view, "tokens")
        self.choose(view, HANDLING["tokens"].asked)
        self.changes(view, "tokens", shown)
        self.is_ready(view)
        expect(self.page.get_by_role("alert").locator("visible=true")).to_have_count(0)
