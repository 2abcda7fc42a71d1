"""The widgets in marimo."""

from tests.hosts.scenarios import Scenarios
from tests.hosts.servers import Marimo


class TestMarimo(Scenarios):
    host = Marimo
