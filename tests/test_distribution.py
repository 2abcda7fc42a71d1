"""What a user installs: the bundle is in the sdist and the wheel, not in git, and builds with no Node on PATH."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = {f"xaiwidgets/static/{name}" for name in ("xaiwidgets.js", "xaiwidgets.css", "loader.js")}


def build(kind: str, folder: Path) -> Path:
    """Build a distribution from this checkout with the bundle that is there."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "XW_SKIP_JS": "1"})
    return next(folder.iterdir())


def test_the_wheel_holds_the_bundle_and_no_sources(tmp_path):
    names = set(zipfile.ZipFile(build("wheel", tmp_path)).namelist())
    assert names >= BUILT | {"xaiwidgets/py.typed", "xaiwidgets/api.py"}
    assert not [name for name in names if name.startswith(("js/", "tests/", "notebooks/"))]


def test_the_sdist_holds_the_bundle_and_its_sources(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= BUILT | {"js/src/index.ts", "js/package-lock.json", "hatch_build.py", "LICENSE"}
    assert not [name for name in names if "node_modules" in name or "/out/" in name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_does_not_hold_the_bundle():
    tracked = subprocess.run(
        ["git", "ls-files", "xaiwidgets/static"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert tracked.stdout == ""


def test_the_bundle_is_small():
    assert len(gzip.compress((ROOT / "xaiwidgets/static/xaiwidgets.js").read_bytes())) <= 45_000


def test_it_installs_with_no_node_on_path(tmp_path):
    """As `pip install .` does it: an isolated build, here from a copy without bundle and packages."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "node_modules", "static", "build", "out", ".*_cache", "__pycache__"
    )
    shutil.copytree(ROOT, tmp_path / "source", ignore=ignored)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "uname", "git"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(tmp_path / "source"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": str(tools)}, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()) >= BUILT
