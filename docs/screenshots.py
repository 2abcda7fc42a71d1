"""Take the pictures in docs/images from the notebooks, in a real JupyterLab: `make screenshots`.

python docs/screenshots.py trust tokens   # of these notebooks only
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, expect  # noqa: E402

from tests.browser.lab import Lab, browser, open_notebook  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PICTURES = {
    "quickstart": {0: "digits", 1: "heatmap"},
    "baselines": {5: "path"},
    "tokens": {0: "tokens"},
    "training_examples": {0: "examples"},
    "trust": {0: "trust", 1: "scoreboard"},
}
"""Of a notebook's widgets, in order, those to photograph."""


def take(page: Page, lab: Lab, notebook: str) -> None:
    """Some widgets of a notebook, in the light and the dark theme."""
    shutil.copy(ROOT / "notebooks" / f"{notebook}.ipynb", lab.root)
    open_notebook(page, lab.address(f"{notebook}.ipynb"))
    last = page.locator(".xw-widget").nth(max(PICTURES[notebook]))
    expect(last).to_have_attribute("data-status", "ready", timeout=240_000)
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    for theme in ("Light", "Dark"):
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", f"JupyterLab {theme}"
        )
        expect(page.locator(".xw-widget").first).to_have_attribute("data-theme", theme.lower())
        for place, name in PICTURES[notebook].items():
            widget = page.locator(".xw-widget").nth(place)
            widget.evaluate("one => one.scrollIntoView({ block: 'center' })")
            given_up = widget.get_by_text("read-only: saved result")  # while the kernel was busy with the cells below
            if given_up.count():
                given_up.click()
                expect(given_up).to_have_count(0)
            page.wait_for_timeout(800)
            drawer = widget.locator(".xw-trust-drawer")
            shown = drawer if drawer.count() else widget
            shown.screenshot(path=IMAGES / f"{name}-{theme.lower()}.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        lab = Lab(Path(folder))
        try:
            for notebook in sys.argv[1:] or PICTURES:
                take(chromium.new_page(viewport={"width": 1280, "height": 2200}), lab, notebook)
        finally:
            lab.close()
