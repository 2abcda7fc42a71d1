"""Docstrings are plain text; here they become paragraphs, lists and code for the reference.

What they are made of: paragraphs, `names` in single backquotes, sections such as "Args:" with `name: text` below, aligned
tables ("name   text"), and indented code. Everything else is text and stays as it is written, stars and underscores included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SECTION = re.compile(r"^(Args|Raises|Returns|Yields):$")
ENTRY = re.compile(r"^ {4}(\*{0,2}[\w., ]+?): (.*)$")
ROW = re.compile(r"^(\S(?:.*?\S)?) {2,}(\S.*)$")
MARKED = re.compile(r"([\\*_|`])")


def escaped(text: str) -> str:
    """A line of text for reStructuredText: `code` between backquotes, nothing else with a meaning."""
    parts = re.split(r"`([^`]+)`", text)
    shown = []
    for place, part in enumerate(parts):
        if place % 2:
            before = "" if not parts[place - 1] or parts[place - 1][-1] in ' ("' else "\\ "
            after = "" if not parts[place + 1] or parts[place + 1][0] in ' .,:;)?!"' else "\\ "
            shown.append(f"{before}``{part}``{after}")
        else:
            shown.append(MARKED.sub(r"\\\1", part))
    return "".join(shown)


def converted(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    out: list[str] = []
    for block in _blocks(lines):
        out += [*_of(block), ""]
    return out


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines without an empty one between them; a section goes on as long as its lines are indented."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            if block and SECTION.match(line):
                yield block
                block = []
            block.append(line.rstrip())
        elif block:
            yield block
            block = []


def _of(block: list[str]) -> list[str]:
    if section := SECTION.match(block[0]):
        return [f"**{section[1]}**", "", *_items(_entries(block[1:]))]
    if all(line.startswith(" ") for line in block):
        return ["::", "", *(f"    {line}" for line in block)]
    rows = list(_rows(block))
    if rows:
        return _items(rows)
    return _paragraph(block)


def _paragraph(block: list[str]) -> list[str]:
    """Text, and what is indented below it as code."""
    text = [line for line in block if not line.startswith(" ")]
    code = [line for line in block if line.startswith(" ")]
    if code and block[-len(code) :] == code:
        return [escaped(" ".join(text)), "", "::", "", *(f"    {line}" for line in code)]
    return [escaped(" ".join(line.strip() for line in block))]


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`name: text` with its further lines."""
    name, text = "", ""
    for line in lines:
        if entry := ENTRY.match(line):
            if name or text:
                yield name, text
            name, text = entry[1], entry[2]
        else:
            text = f"{text} {line.strip()}".strip()
    yield name, text


def _rows(block: list[str]) -> Iterator[tuple[str, str]]:
    """The rows of an aligned table, or nothing where the block is none."""
    rows: list[tuple[str, str]] = []
    column = None
    for line in block:
        row = ROW.match(line)
        if row and (column is None or row.start(2) == column) and len(row[1]) < 30:
            rows.append((row[1], row[2]))
            column = row.start(2)
        elif rows and column is not None and line.startswith(" " * column):
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
        else:
            return
    yield from rows


def _items(entries: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    items = []
    for name, text in entries:
        code = "" if not name else f"``{name.strip('`')}``: "
        items.append(f"* {code}{escaped(text)}")
    return items


def _process(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
