"""docs/metrics lists exactly the metrics there are, as they describe themselves, and the fills and controls."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import xaiwidgets as xw
from xaiwidgets.metrics.fills import FillName
from xaiwidgets.metrics.registry import CONTROLS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "metrics" / "index.md").read_text(encoding="utf-8")


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metric_pages", DOCS / "metric_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours():
    return [metric for metric in xw.metrics() if metric.run.__module__.startswith("xaiwidgets.")]


def test_the_pages_say_of_the_metrics_what_they_say_themselves():
    section = TEXT.partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    listed = re.findall(r"^\| \[[^\]]+\]\((\w+)\.md\) <br> `(\w+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted((metric.name, metric.name) for metric in ours())
    pages = _script().updated()
    assert set(pages) == set((DOCS / "metrics").glob("*.md"))
    stale = [page.name for page, text in pages.items() if page.read_text(encoding="utf-8") != text]
    assert not stale, "run: python docs/metric_pages.py"


def test_every_fill_and_control_is_described():
    section = TEXT.partition("## What is put in place")[2].partition("\n## ")[0]
    missing = [name for name in get_args(FillName) if name != "auto" and f'`"{name}"`' not in section]
    assert not missing
    assert not [name for name in CONTROLS if f'`"{name}"`' not in TEXT]


def test_no_score_is_called_what_it_is_not():
    for metric in ours():
        said = f"{metric.title} {metric.summary} {metric.tells}".lower()
        assert not re.search(r"accura|correctness|quality", said), metric.name


def test_every_metric_says_what_it_cannot_tell_and_where_it_is_from():
    for metric in ours():
        assert metric.tells.endswith("."), metric.name
        assert metric.cannot.endswith("."), metric.name
        assert metric.summary.endswith("."), metric.name
        assert re.search(r"\(\d{4}\)", metric.reference), metric.name
        assert metric.direction in ("higher", "lower", "none")


def test_every_setting_says_what_it_does():
    unsaid = [f"{metric.name} {one.name}" for metric in ours() for one in metric.parameters if not one.help]
    assert not unsaid


def test_the_findings_are_there():
    section = TEXT.partition("<!-- findings -->")[2].partition("<!-- /findings -->")[0]
    assert section.count("**") >= 8, "run: python -m benchmarks.metrics"
    claims = re.findall(r"^\* .*: (-?[\d.]+) \(≤ (-?[\d.]+)\)$", section, re.MULTILINE)
    assert len(claims) >= 8
    assert all(float(found) <= float(limit) for found, limit in claims)
