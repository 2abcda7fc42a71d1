"""What a user installs: the front end is in the sdist and the wheel, not in git, and builds with no Node on PATH."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "xaiwidgets" / "static"
PARTS = json.loads((STATIC / "parts.json").read_text())


def built(parts: dict[str, list[str]]) -> set[str]:
    """The files of a front end with these parts."""
    names = ["loader.js", "assemble.js", "page.js", "parts.json"], *parts.values()
    return {f"xaiwidgets/static/{name}" for some in names for name in some}


BUILT = built(PARTS)


def build(kind: str, folder: Path) -> Path:
    """Build a distribution from this checkout with the front end that is there."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "XW_SKIP_JS": "1"})
    return next(folder.iterdir())


def test_the_wheel_holds_the_front_end_and_no_sources(tmp_path):
    names = set(zipfile.ZipFile(build("wheel", tmp_path)).namelist())
    assert names >= BUILT | {"xaiwidgets/py.typed", "xaiwidgets/api.py"}
    assert {name for name in names if "/static/" in name} == BUILT
    assert not [name for name in names if name.startswith(("js/", "tests/", "notebooks/"))]


def test_the_sdist_holds_the_front_end_and_its_sources(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= BUILT | {"js/src/index.ts", "js/package-lock.json", "hatch_build.py", "LICENSE"}
    assert not [name for name in names if "node_modules" in name or "/out/" in name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_does_not_hold_what_is_built():
    tracked = subprocess.run(
        ["git", "ls-files", "xaiwidgets/static"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert tracked.stdout == ""


@pytest.mark.parametrize("kind", PARTS)
def test_what_a_widget_loads_is_small(kind):
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes())) for name in ["assemble.js", *PARTS[kind]]}
    assert sum(size for name, size in sizes.items() if name.endswith(".js")) <= 52_000
    assert sum(sizes.values()) <= 60_000


def test_it_installs_with_no_node_on_path(tmp_path):
    """As `pip install .` does it: an isolated build, here from a copy with nothing built or installed."""
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
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    parts = json.loads(wheel.read("xaiwidgets/static/parts.json"))
    assert parts.keys() == {path.stem for path in (ROOT / "js/src/widgets").glob("*.tsx")}
    assert set(wheel.namelist()) >= built(parts)
