"""The widgets in the widget manager that VS Code loads, and in a page whose anywidget is older than the kernel's."""

from playwright.sync_api import expect

from tests.hosts.scenarios import HANDLING, Scenarios
from tests.hosts.servers import KINDS, PATIENCE, VisualStudio


class TestVisualStudio(Scenarios):
    host = VisualStudio

    def test_old_anywidget(self, record_property):
        """One that cannot compose widgets, as on hubs: each widget brings its own code."""
        for kind in KINDS:
            for scenario in ("render", "kernel", "views"):
                record_property("host", ["VS Code's widget manager, anywidget 0.9", kind, scenario])
        live, type(self).page = self.page, self.page.context.new_page()
        try:
            self.running.open(self.page, "?anywidget=old")
            for kind in KINDS:
                views = self.views(kind)
                for view in views:
                    self.is_ready(view)
                    expect(view.locator(HANDLING[kind].shown).first).to_be_visible(timeout=PATIENCE)
                if kind != "scoreboard":
                    before = self.settled(views[0], kind)
                    self.choose(views[0], HANDLING[kind].asked)
                    self.changes(views[0], kind, before)
                self.alike(views, kind)
            loaded = self.page.evaluate(
                "performance.getEntriesByType('resource').map(one => new URL(one.name).pathname)"
            )
            assert "/static/old/index.js" in loaded
            assert "/static/new/index.js" not in loaded
        finally:
            self.page.close()
            type(self).page = live
