"""What a scoreboard says in words: its caption, and what a reader should know before believing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xaiwidgets.widgets.summary import SAVED_BUDGET
from xaiwidgets.widgets.words import encodable

BETTER = {"lower": "lower is better", "higher": "higher is better", "none": "neither end is better"}


def count(number: int, one: str) -> str:
    """A number of things."""
    return f"{number} {one}{'' if number == 1 else 's'}"


def title(entries: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], rows: int) -> str:
    """What is shown, in a few words."""
    methods = sum(entry["kind"] != "control" for entry in entries)
    return f"{count(methods, 'explanation')} of {count(rows, 'input')} by {count(len(columns), 'test')}"


def caption(
    entries: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], cells: Mapping[str, Mapping[str, Any]], rows: int
) -> str:  # fmt: skip
    """A text alternative: for each column its best method, and what the controls have."""
    said = [title(entries, columns, rows)[:1].upper() + title(entries, columns, rows)[1:] + "."]
    for column in columns:
        values = [(entry, (cells.get(entry["key"], {}).get(column["name"]) or {}).get("value")) for entry in entries]
        known = [(entry, value) for entry, value in values if value is not None]
        methods = [pair for pair in known if pair[0]["kind"] != "control"]
        if not methods:
            continue
        head = f"{column['title']} ({BETTER[column['direction']]})"
        ends = sorted(methods, key=lambda pair: pair[1], reverse=column["direction"] != "lower")
        texts = [f"{entry['title']} {value:.3g}" for entry, value in (ends if len(ends) < 2 else (ends[0], ends[-1]))]
        controls = [f"{entry['title']} {value:.3g}" for entry, value in known if entry["kind"] == "control"]
        beside = f"; controls: {', '.join(controls)}" if controls else ""
        said.append(f"{head}: {' to '.join(texts)}{beside}.")
    return encodable(" ".join(said))


def notices(
    cells: Mapping[str, Mapping[str, Any]], *, rows: int, shown: int, colours: str, saved: int
) -> list[dict[str, str]]:
    """What a reader should know first. `saved`: bytes in a saved notebook."""
    found = []
    failed = sum(bool(cell["error"]) for row in cells.values() for cell in row.values())
    if failed:
        found.append(_note("warning", "failed", f"{count(failed, 'cell')} could not be computed: a click says why."))
    if rows == 1:
        found.append(
            _note("info", "one_input", "One input: there are no intervals, and another input may rank otherwise.")
        )
    if shown < rows:
        found.append(_note("info", "shown", f"All {rows} inputs are measured; the first {shown} are shown."))
    if colours:
        found.append(_note("info", "colours", colours))
    if saved > SAVED_BUDGET:
        text = f"A saved notebook grows by {saved / 1e6:.1f} MB with this widget; w.freeze() shows a small picture instead."
        found.append(_note("info", "size", text))
    return found


def _note(level: str, code: str, text: str) -> dict[str, str]:
    return {"level": level, "code": code, "text": text}
