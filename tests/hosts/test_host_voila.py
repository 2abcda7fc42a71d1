"""The widgets in Voilà."""

import pytest
from playwright.sync_api import expect

from tests.hosts.scenarios import HANDLING, Scenarios
from tests.hosts.servers import KINDS, PATIENCE, Voila


class TestVoila(Scenarios):
    """No cell can be run again and no theme be switched: the page is loaded anew, dark by its address, with a new kernel."""

    host = Voila

    def test_theme(self):
        self.running.shade(self.page, "dark")
        expect(self.page.locator(".xw-widget[data-theme=dark]")).to_have_count(2 * len(KINDS), timeout=PATIENCE)

    @pytest.mark.parametrize("kind", KINDS)
    def test_re_run(self, kind):
        for view in self.views(kind):
            self.is_ready(view)
            expect(view.locator(HANDLING[kind].shown).first).to_be_visible()
