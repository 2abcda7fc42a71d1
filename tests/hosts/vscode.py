"""Brings what VS Code's Jupyter extension loads into its page, from the npm registry, into build/hosts; skips without it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "hosts"
# The manager's own dependencies cannot be installed (one is not published): its file is taken out of the package.
PACKED = {
    "ipywidgets.js": ("@vscode/jupyter-ipywidgets8@1.0.9", "dist/ipywidgets.js"),
    "old/index.js": ("anywidget@0.9.18", "dist/index.js"),
}
INSTALLED = ("@jupyterlab/services@7.6.6", "requirejs@2.3.8")


NODE = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "NODE_PATH": str(CACHE / "node_modules"),
}


def _npm(*arguments: str) -> None:
    """Skips what needs it if it fails: the registry may be out of reach."""
    command = ["npm", *arguments, "--fetch-retries=1", "--fetch-timeout=30000"]
    try:
        subprocess.run(
            command, cwd=CACHE, env=os.environ | NODE, capture_output=True, text=True, check=True, timeout=180
        )
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot bring VS Code's widget manager: {getattr(error, 'stderr', None) or error}")


def brought() -> Path:
    """The folder to serve."""
    static = CACHE / "static"
    static.mkdir(parents=True, exist_ok=True)
    if not (CACHE / "node_modules" / "requirejs").exists():
        (CACHE / "package.json").write_text('{"private": true}')
        _npm("install", "--no-audit", "--no-fund", "--ignore-scripts", *INSTALLED)
    for name, (package, file) in PACKED.items():
        if not (static / name).exists():
            folder = CACHE / name.split("/")[0].removesuffix(".js")
            folder.mkdir(exist_ok=True)
            _npm("pack", package, "--pack-destination", str(folder))
            archive = next(folder.glob("*.tgz"))
            shutil.unpack_archive(archive, folder, filter="data")
            (static / name).parent.mkdir(exist_ok=True)
            shutil.copy(folder / "package" / file, static / name)
    shutil.copytree(Path(sys.prefix) / "share/jupyter/nbextensions/anywidget", static / "new", dirs_exist_ok=True)
    shutil.copy(CACHE / "node_modules/requirejs/require.js", static / "require.js")
    shutil.copy(Path(__file__).parent / "vscode.html", static / "vscode.html")
    subprocess.run(
        [ROOT / "js/node_modules/.bin/esbuild", Path(__file__).parent / "vscode_page.js", "--bundle", "--format=esm",
         "--log-level=warning", "--external:/static/*", f"--outfile={static / 'page.js'}"],
        env=os.environ | NODE,
        check=True,
    )  # fmt: skip
    return static
