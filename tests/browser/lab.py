"""A real JupyterLab with private settings, and a real Chromium looking at it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

from tests.kernels import forked

CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PRIVATE_FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_DATA_DIR": "data",
    "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
}  # fmt: skip

# Running right after the kernel first says "idle" sometimes never executes: wait for every part to be ready.
RUN_ALL = """async () => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  await app.restored; await panel.context.ready; await panel.sessionContext.ready;
  const kernel = () => panel.sessionContext.session?.kernel;
  const started = performance.now();
  while (!(kernel()?.connectionStatus === 'connected' && kernel().status === 'idle')) {
    if (performance.now() - started > 60000) throw new Error('the kernel does not become idle');
    await new Promise(done => setTimeout(done, 50));
  }
  void app.commands.execute('notebook:run-all-cells');
}"""


_running: list[Browser] = []


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless: one for a process, which can drive no second one meanwhile."""
    if _running:
        yield _running[0]
        return
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("no Chromium on PATH: run `make browser`, or install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        _running.append(playwright.chromium.launch(executable_path=path, args=CHROMIUM))
        try:
            yield _running[0]
        finally:
            _running.clear()


class Lab:
    """A running server. `root` is its folder of notebooks."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "notebooks"
        self.root.mkdir(parents=True)
        self._environment = {**os.environ, **{name: str(folder / sub) for name, sub in PRIVATE_FOLDERS.items()}}
        self._environment |= {"OMP_WAIT_POLICY": "passive"} | forked()
        self._write(
            folder / "config/labconfig/page_config.json",
            {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
        )
        # reopened notebooks show their widgets only if their state was saved
        self._write(
            folder / "settings/@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings", {"saveState": True}
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        options = [
            "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
            "--PasswordIdentityProvider.hashed_password=", "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
        ]  # fmt: skip
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                cwd=self.root,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_up()

    def notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook of code cells; its address."""
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=metadata)
        nbformat.write(book, self.root / name)
        return self.address(name)

    def address(self, name: str) -> str:
        return f"{self.url}/lab/tree/{name}?reset"

    def kernels(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/kernels", timeout=10) as answer:
            return json.loads(answer.read())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=2).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read_text()[-2000:]}")


# Loading JupyterLab takes as long as ten tests' own work: a notebook to be run is opened in the page that has it already.
OPEN = """async path => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
  app.shell.activateById(panel.id);
}"""
CLOSE = """async () => {
  const app = window.jupyterapp;
  for (const one of [...app.shell.widgets('main')]) if (one.context) one.dispose();
  await app.serviceManager.sessions.shutdownAll();
  const light = { theme: 'JupyterLab Light' };
  if (document.body.dataset.jpThemeLight !== 'true') await app.commands.execute('apputils:change-theme', light);
}"""


def close_notebooks(page: Page) -> None:
    """What a test leaves open in JupyterLab, with its kernels; a page somewhere else stays as it is."""
    if page.evaluate("window.jupyterapp?.shell !== undefined"):
        page.evaluate(CLOSE)


def open_notebook(page: Page, address: str, *, run: bool = True) -> None:
    """Open a notebook in JupyterLab and run all its cells; one that is not run is shown by a page that knows nothing of it."""
    front, _, path = address.removesuffix("?reset").partition("/lab/tree/")
    if run and page.url.startswith(f"{front}/lab"):
        page.evaluate(OPEN, path)
    else:
        page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext !== undefined", timeout=60_000)
    if run:
        page.evaluate(RUN_ALL)


def save_and_shut_down(lab: Lab, page: Page, name: str) -> None:
    """Save the notebook on show, with the state of every widget on show, and end its kernel.

    Jupyter saves the state of widgets whose kernel answers, and of no others: what was not saved now is lost.
    """
    page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
    book = json.loads((lab.root / name).read_text())
    states = [model for saved in book["metadata"].get("widgets", {}).values() for model in saved["state"]]
    views = "application/vnd.jupyter.widget-view+json"
    outputs = [output.get("data", {}) for cell in book["cells"] for output in cell["outputs"]]
    shown = [output[views]["model_id"] for output in outputs if views in output]
    assert shown, f"{name} was saved without its outputs"
    assert set(shown) <= set(states), f"{name} was saved without the state of its widgets"
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
