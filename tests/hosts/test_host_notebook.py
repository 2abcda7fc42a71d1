"""The widgets in Notebook 7."""

from tests.hosts.scenarios import Scenarios
from tests.hosts.servers import Notebook


class TestNotebook(Scenarios):
    host = Notebook
