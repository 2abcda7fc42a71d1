"""Every metric's own page says the same things in the same order, and its example by hand is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import xaiwidgets as xw

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "metrics"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_by_hand_holds(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["How it is computed", "By hand", "Reading it"]
    example = text.partition("## By hand")[2].partition("## Reading it")[0]
    (code,) = re.findall(r"```python\n(.*?)```", example, re.DOTALL)
    assert "assert " in code
    assert page.stem in code
    exec(compile(code, page.name, "exec"), {"xw": xw, "torch": torch, "nn": nn})
