"""The hosts under test: each starts its own server, shows one widget of each kind twice, and is asked the same things."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page

from tests.browser.lab import PRIVATE_FOLDERS, RUN_ALL
from tests.kernels import forked

KINDS = ("heatmap", "path", "tokens", "examples", "scoreboard")
PATIENCE = 120_000
RUN_CELL = """index => { const app = window.jupyterapp; app.shell.currentWidget.content.activeCellIndex = index;
  void app.commands.execute('notebook:run-cell'); }"""
RESTART = """async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"""
JUPYTER = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--IdentityProvider.token="]


class Host(ABC):
    """A server in a folder of its own. `flags` is the folder where `broken-KIND` makes a model fail."""

    name: str
    health = "/api"

    def __init__(self, folder: Path) -> None:
        self.folder, self.flags = folder, folder / "notebooks"
        self.flags.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        private = {name: str(folder / sub) for name, sub in PRIVATE_FOLDERS.items()}
        here = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
        env = {**os.environ, **private, "OMP_WAIT_POLICY": "passive", "PYTHONPATH": os.pathsep.join(here)} | forked()
        self.environment: dict[str, str] = {}
        self.prepare()
        self._log = folder / "server.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.command()],
                cwd=self.flags, env=env | self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._wait_until_up()

    def prepare(self) -> None:
        """Write what the server reads."""
        config = self.folder / "config/labconfig/page_config.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbformat.v4.new_code_cell(cell) for cell in self.cells()]
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), self.flags / "widgets.ipynb"
        )

    def cells(self) -> list[str]:
        """The first makes ready; then a cell a kind."""
        folder = str(self.flags)
        return ["import specimens", *(f"w = specimens.make({kind!r}, {folder!r})\ndisplay(w, w)" for kind in KINDS)]

    @abstractmethod
    def command(self) -> list[str]:
        """What starts the server: a module and its arguments."""

    @abstractmethod
    def open(self, page: Page) -> None:
        """Show the notebook and run all its cells."""

    def again(self, page: Page, kind: str) -> None:
        """Run the cell that made this widget once more."""
        raise NotImplementedError(f"{self.name} shows no cells")  # Voilà

    @abstractmethod
    def shade(self, page: Page, shade: str) -> None:
        """Switch the host's own theme."""

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(self.url + self.health, timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text()[-2000:]}")


class JupyterLab(Host):
    name = "JupyterLab"
    module, path = "jupyterlab", "/lab/tree/widgets.ipynb?reset"
    exposed = ("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly")

    def command(self) -> list[str]:
        return [
            self.module,
            *JUPYTER,
            f"--port={self.port}",
            "--PasswordIdentityProvider.hashed_password=",
            *self.exposed,
        ]

    def open(self, page: Page) -> None:
        page.goto(self.url + self.path)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE)
        page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.sessionContext !== undefined", timeout=PATIENCE
        )
        page.evaluate(RUN_ALL)

    def again(self, page: Page, kind: str) -> None:
        page.evaluate(RUN_CELL, 1 + KINDS.index(kind))

    def shade(self, page: Page, shade: str) -> None:
        theme = f"JupyterLab {shade.title()}"
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)

    def restart(self, page: Page) -> None:
        """Another process in the kernel's place, which knows of no widget."""
        page.evaluate(RESTART)


class Notebook(JupyterLab):
    name = "Notebook 7"
    module, path = "notebook", "/notebooks/widgets.ipynb"
    exposed = ("--JupyterNotebookApp.expose_app_in_browser=True",)


class Voila(Host):
    """Has no cells to run again and no switch of themes: its page is loaded anew, dark by its address."""

    name, health = "Voilà", "/voila/static/voila.js"

    def command(self) -> list[str]:
        return ["voila", "widgets.ipynb", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={self.port}"]

    def open(self, page: Page) -> None:
        page.goto(self.url, timeout=PATIENCE)

    def shade(self, page: Page, shade: str) -> None:
        page.goto(f"{self.url}/?theme={shade}", timeout=PATIENCE)


MARIMO = """import marimo

app = marimo.App()

@app.cell
def _():
    import marimo as mo
    import specimens
    return mo, specimens

"""
MARIMO_KIND = """@app.cell
def _(mo):
    again_{kind} = mo.ui.button(label="again {kind}", value=0, on_click=lambda count: count + 1)
    again_{kind}
    return (again_{kind},)

@app.cell
def _(mo, specimens, again_{kind}):
    again_{kind}.value
    made_{kind} = mo.ui.anywidget(specimens.make({kind!r}, {folder!r}))
    made_{kind}
    return (made_{kind},)

@app.cell
def _(made_{kind}):
    made_{kind}
    return

"""


class Marimo(Host):
    """Shows each widget inside a shadow root; a button runs the cell that makes it again."""

    name, health = "marimo", "/health"

    def prepare(self) -> None:
        made = [MARIMO_KIND.format(kind=kind, folder=str(self.flags)) for kind in KINDS]
        (self.flags / "app.py").write_text(MARIMO + "".join(made) + 'if __name__ == "__main__":\n    app.run()\n')
        settings = self.folder / "xdg" / "marimo" / "marimo.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text('[display]\ntheme = "system"\n')
        self.environment = {"XDG_CONFIG_HOME": str(self.folder / "xdg")}

    def command(self) -> list[str]:
        return ["marimo", "run", "app.py", "--headless", "--no-token", "--host=127.0.0.1", f"--port={self.port}"]

    def open(self, page: Page) -> None:
        page.goto(self.url, timeout=PATIENCE)

    def again(self, page: Page, kind: str) -> None:
        page.get_by_role("button", name=f"again {kind}").click()

    def shade(self, page: Page, shade: Any) -> None:
        page.emulate_media(color_scheme=shade)


class VisualStudio(Host):
    """VS Code's own widget manager (npm's @vscode/jupyter-ipywidgets8) in a page that is not VS Code, with a real kernel."""

    name = "VS Code's widget manager"

    def prepare(self) -> None:
        from tests.hosts.vscode import brought

        self.static = brought()

    def command(self) -> list[str]:
        static = f"--ServerApp.extra_static_paths={self.static}"
        return ["jupyter_server", *JUPYTER, f"--port={self.port}", "--ServerApp.disable_check_xsrf=True", static]

    def open(self, page: Page, query: str = "") -> None:
        page.goto(f"{self.url}/static/vscode.html{query}")
        page.wait_for_function("window.host?.ready", timeout=PATIENCE)
        for number, code in enumerate(self.cells()):
            page.evaluate("([number, code]) => { window.host.run(number, code); }", [number, code])

    def again(self, page: Page, kind: str) -> None:
        number = 1 + KINDS.index(kind)
        page.evaluate("([number, code]) => { window.host.run(number, code); }", [number, self.cells()[number]])

    def shade(self, page: Page, shade: str) -> None:
        page.evaluate("shade => window.host.theme(shade)", shade)
