"""What a user installs: the front end is in the sdist and the wheel, not in git, and builds with no Node on PATH."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "xaiwidgets" / "static"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_front_end_and_no_sources(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= BUILT | {"xaiwidgets/py.typed", "xaiwidgets/api.py"}
    assert {name for name in names if "/static/" in name} == BUILT
    assert not [name for name in names if name.startswith(("js/", "tests/", "notebooks/"))]


def test_the_sdist_holds_the_front_end_and_its_sources(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= BUILT | {"js/src/index.ts", "js/package-lock.json", "hatch_build.py", "LICENSE", "CITATION.cff"}
    assert not [name for name in names if "node_modules" in name or "/out/" in name]


# What a user's first minute asks of an installed package; it prints where that is, and its version.
FIRST_MINUTE = """
import torch, xaiwidgets as xw
model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(280, 3)).eval()
widget = xw.explain(model, torch.rand(1, 3, 12, 16)).wait(60)
page = widget.to_html()
assert "<script" in page and "<img" in page
print(xw.__file__, xw.__version__, sep="\\n")
"""


def test_an_installed_wheel_works_without_the_source_tree(wheel, tmp_path):
    site, pip = tmp_path / "site", [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, capture_output=True)
    # -S: what an editable install adds to the path is not read; the dependencies are this environment's
    path = os.pathsep.join([str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    done = subprocess.run(
        [sys.executable, "-S", "-c", FIRST_MINUTE],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place, number = done.stdout.splitlines()
    assert Path(place) == site / "xaiwidgets" / "__init__.py"
    assert number == PROJECT["version"]


def test_the_release_says_the_same_everywhere():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in cited
    assert f"\nlicense: {PROJECT['license']}\n" in cited
    extras = PROJECT["optional-dependencies"]
    tools = {"all", "demo", "dev", "docs", "test"}
    assert extras["all"] == [f"xaiwidgets[{','.join(name for name in extras if name not in tools)}]"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_does_not_hold_what_is_built():
    tracked = subprocess.run(
        ["git", "ls-files", "xaiwidgets/static"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert tracked.stdout == ""


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
    assert not (tmp_path / "source/js/node_modules/typescript").exists()  # tools of the developers only
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    parts = json.loads(wheel.read("xaiwidgets/static/parts.json"))
    assert parts.keys() == {path.stem for path in (ROOT / "js/src/widgets").glob("*.tsx")}
    assert set(wheel.namelist()) >= built(parts)
