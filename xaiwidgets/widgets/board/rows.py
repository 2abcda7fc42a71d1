"""Entries, columns and cells of the table as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from xaiwidgets.engine.registry import METHODS, Method
from xaiwidgets.metrics.evaluation import Evaluation
from xaiwidgets.metrics.registry import CONTROLS
from xaiwidgets.metrics.result import Result
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.summary import UNITS
from xaiwidgets.widgets.words import encodable

KINDS = {"method": "method", "control": "control", "values": "given"}
PLAIN = (bool, int, float, str, type(None))


def entries_of(evaluation: Evaluation, score: str) -> list[dict[str, Any]]:
    """The `entries` trait, in the order of the evaluation."""
    return [_entry(key, entry, score) for key, entry in evaluation.entries.items()]


def _entry(key: str, entry: Any, score: str) -> dict[str, Any]:
    known: Method | None = METHODS.get(entry.method) or CONTROLS.get(entry.method)
    signed = known is not None and known.signed and entry.kind != "control"
    if entry.values is not None:  # a method without signs may be asked for them
        signed = signed or bool((entry.values < 0).any())
    named = key not in (entry.method, entry.title)
    return {
        "key": key, "title": encodable(key if named else entry.title), "kind": KINDS[entry.kind],
        "summary": "" if known is None else known.summary, "reference": "" if known is None else known.reference,
        "signed": signed, "unit": "" if known is None else known.unit.format(score=UNITS.get(score, "score")),
        "parameters": plain(entry.parameters),
        "seconds": None if entry.values is None or not entry.seconds else entry.seconds,
        "evaluations": dict(entry.evaluations or {}), "error": {} if entry.error is None else explain_error(entry.error),
    }  # fmt: skip


def columns_of(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The `columns` trait."""
    names = ("title", "family", "summary", "reference", "direction", "range", "tells", "cannot")
    return [
        {
            "name": name, **{key: about[key] for key in names}, "parameters": plain(about["parameters"]),
        } | ({} if name == about["metric"] else {"title": encodable(f"{about['title']} ({name})")})
        for name, about in evaluation.about.items()
    ]  # fmt: skip


def cells_of(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """The `cells` trait."""
    return {key: {name: _cell(result) for name, result in row.items()} for key, row in evaluation.items()}


def _cell(result: Result) -> dict[str, Any]:
    interval = result.interval
    return {
        "value": number(result), "interval": None if interval is None else [number(end) for end in interval],
        "values": [number(value) for value in result.values.tolist()], "notes": [encodable(note) for note in result.notes],
        "progress": list(result.progress), "final": result.final, "seconds": round(result.seconds, 4),
        "evaluations": result.evaluations, "error": {} if result.error is None else explain_error(result.error),
    }  # fmt: skip


def number(value: float) -> float | None:
    """With the digits that are looked at; None for what is no number."""
    return float(f"{float(value):.6g}") if math.isfinite(value) else None


def plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON holds; of others, the name of their type."""
    return {
        name: value if isinstance(value, PLAIN) else encodable(type(value).__name__)
        for name, value in parameters.items()
    }
