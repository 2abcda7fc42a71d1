"""The package's front door: light to import, its names in place."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import xaiwidgets as xw


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_light() -> None:
    heavy = "torch ipywidgets anywidget matplotlib numpy PIL traitlets IPython sklearn skimage"
    loaded = run(f"import sys, xaiwidgets; print([n for n in {heavy.split()!r} if n in sys.modules])")
    assert loaded.strip() == "[]"


def test_listing_the_names_is_light_too() -> None:
    printed = run("import sys, xaiwidgets; print(*dir(xaiwidgets)); print('torch' in sys.modules)")
    names, torch_loaded = printed.splitlines()
    assert set(xw.__all__) <= set(names.split())
    assert {"explain", "attribute", "stream", "methods", "load", "Contrast", "HeatmapOverlay", "__version__"} <= set(
        names.split()
    )
    assert torch_loaded == "False"


def test_numbers_need_no_widgets() -> None:
    code = """
import sys, torch, xaiwidgets as xw
print(xw.attribute(torch.nn.Linear(3, 1).eval(), torch.ones(1, 3), method="saliency").values.shape)
print([name for name in ("ipywidgets", "anywidget", "traitlets", "matplotlib", "IPython") if name in sys.modules])
"""
    assert run(code).splitlines() == ["torch.Size([1, 3])", "[]"]


def test_no_widget_waits_for_the_compiler() -> None:
    """Importing it takes longer than everything else that a first widget does."""
    code = """
import sys, torch, xaiwidgets as xw
xw.explain(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)).eval(), torch.rand(1, 1, 8, 8)).wait(60)
print("torch._dynamo" in sys.modules)
"""
    assert run(code) == "False\n"


def test_every_public_name_is_there() -> None:
    for name in xw.__all__:
        assert getattr(xw, name) is not None, name
    assert xw.__version__ == version("xaiwidgets")
    assert xw.examples.digits


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        xw.no_such_name  # noqa: B018


def test_methods_stays_the_function() -> None:
    code = """
import xaiwidgets as xw
before = xw.methods
import xaiwidgets.methods.paths
from xaiwidgets.methods import cams
import xaiwidgets.api
import importlib
importlib.reload(importlib.import_module("xaiwidgets.methods"))
from xaiwidgets import methods
print(methods is before is xw.methods, callable(methods), len(methods()) > 3, xw.methods("path")[0].name)
"""
    assert run(code).strip() == "True True True integrated_gradients"
