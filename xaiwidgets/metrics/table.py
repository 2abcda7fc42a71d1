"""Attributions × metrics, to read and to take elsewhere. Numbers of different metrics are never added up."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .metric_table import ARROWS
from .result import Result

LEGEND = (
    "↓ lower, ↑ higher values speak for an explanation. [ ]: 95 % interval of the mean over rows. "
    "*: best of its column. ( ): a control, which explains nothing."
)
_LATEX = {"\\": r"\textbackslash{}", **{char: "\\" + char for char in "&%$#_{}"}, "~": r"\~{}", "^": r"\^{}"}
_HEADS = {"↓": r" $\downarrow$", "↑": r" $\uparrow$"}


@dataclass(frozen=True)
class Column:
    """A metric: its name, title, direction ("higher", "lower", "none"), and sentences on what it tells and cannot tell."""

    name: str
    title: str = ""
    direction: str = "none"
    tells: str = ""
    cannot: str = ""

    @property
    def head(self) -> str:
        """The name and its arrow."""
        return f"{self.name} {ARROWS[self.direction]}".rstrip()


@dataclass(frozen=True)
class Row:
    """An attribution: its name, whether it is a control, and its results by the names of metrics."""

    name: str
    control: bool
    results: Mapping[str, Result]


@dataclass(frozen=True)
class Table:
    """Columns are metrics, rows attributions; `str()`, a notebook, and `to_...` show the same numbers."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def best(self, column: Column) -> frozenset[str]:
        """Names of the rows with the best value, controls left out; none where the metric has no direction or one row."""
        known = {
            row.name: float(row.results[column.name])
            for row in self.rows
            if not row.control and column.name in row.results and not math.isnan(row.results[column.name])
        }
        if column.direction == "none" or len(known) < 2:
            return frozenset()
        top = (max if column.direction == "higher" else min)(known.values())
        return frozenset(name for name, value in known.items() if value == top)

    def __str__(self) -> str:
        lines = self._lines(lambda text, best: text + ("*" if best else ""), lambda text: text)
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        lines.insert(1, ["─" * width for width in widths])
        aligned = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*aligned, "", LEGEND])

    def _repr_html_(self) -> str:
        """Without a script, every text escaped."""
        left, right = "style='text-align:left'", "style='text-align:right;white-space:nowrap'"
        head = f"<th {left}>attribution</th>" + "".join(
            f"<th {right} title='{html.escape(f'{column.title}. {column.tells} {column.cannot}', quote=True)}'>"
            f"{html.escape(column.head)}</th>"
            for column in self.columns
        )
        body = []
        for row in self.rows:
            name = html.escape(row.name)
            cells = [f"<th {left} scope='row'>{f'({name})' if row.control else name}</th>"]
            for column in self.columns:
                text = html.escape(_cell(row.results.get(column.name)))
                cells.append(f"<td {right}>{f'<b>{text}*</b>' if row.name in self.best(column) else text}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>")
        return (
            f"<table><caption style='caption-side:bottom'><small>{LEGEND}</small></caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        )

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns of equal length: the attribution, and of each metric the mean and the ends of its interval (None where
        there is none). `pandas.DataFrame(table.to_dict())` takes it.
        """
        found: dict[str, list[Any]] = {"attribution": [row.name for row in self.rows]}
        for column in self.columns:
            results = [row.results.get(column.name) for row in self.rows]
            intervals = [None if result is None else result.interval for result in results]
            found[column.name] = [None if one is None or math.isnan(one) else float(one) for one in results]
            found[f"{column.name}_low"] = [None if one is None else one[0] for one in intervals]
            found[f"{column.name}_high"] = [None if one is None else one[1] for one in intervals]
        return found

    def to_csv(self) -> str:
        """The columns of `to_dict`, all digits, nothing where there is no number."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.to_dict()
        writer.writerow(_harmless(name) for name in columns)
        for cells in zip(*columns.values(), strict=True):
            writer.writerow(
                "" if cell is None else _harmless(cell) if isinstance(cell, str) else repr(cell) for cell in cells
            )
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table with the best values in bold."""

        def escape(text: str) -> str:
            return html.escape(text, quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")

        head, *lines = self._lines(lambda text, best: f"**{escape(text)}**" if best else escape(text), escape)
        rule = [":---", *["---:"] * len(self.columns)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines)) + "\n"

    def to_latex(self) -> str:
        """A `tabular` with the best values in bold; it needs the package booktabs."""

        def escape(text: str) -> str:
            plain = "".join(_LATEX.get(char, char) for char in text)
            for arrow, sign in _HEADS.items():
                plain = plain.replace(f" {arrow}", sign)
            return plain.replace("–", "--").replace("…", r"\dots")

        head, *lines = self._lines(lambda text, best: rf"\textbf{{{escape(text)}}}" if best else escape(text), escape)
        body = "\n".join(" & ".join(line) + r" \\" for line in lines)
        return (
            f"\\begin{{tabular}}{{l{'r' * len(self.columns)}}}\n\\toprule\n{' & '.join(head)} \\\\\n\\midrule\n"
            f"{body}\n\\bottomrule\n\\end{{tabular}}\n"
        )

    def _lines(self, cell: Callable[[str, bool], str], name: Callable[[str], str]) -> list[list[str]]:
        best = {column.name: self.best(column) for column in self.columns}
        return [
            [name("attribution"), *(name(column.head) for column in self.columns)],
            *(
                [
                    name(f"({row.name})" if row.control else row.name),
                    *(
                        cell(_cell(row.results.get(column.name)), row.name in best[column.name])
                        for column in self.columns
                    ),
                ]
                for row in self.rows
            ),
        ]


def table_of(
    entries: Mapping[str, Any], about: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Result]]
) -> Table:
    """The table of an evaluation's parts."""
    columns = tuple(
        Column(name, one["title"], one["direction"], one["tells"], one["cannot"]) for name, one in about.items()
    )
    ordered = sorted(entries.values(), key=lambda entry: entry.kind == "control")
    return Table(columns, tuple(Row(one.name, one.kind == "control", results.get(one.name, {})) for one in ordered))


def _cell(result: Result | None) -> str:
    """A number with its interval; "failed", "undefined", or a dash for what is not there yet."""
    if result is None:
        return "–"
    if result.error is not None:
        return "failed"
    if math.isnan(result):
        return "undefined"
    interval = "" if result.interval is None else f" [{result.interval[0]:.3g}, {result.interval[1]:.3g}]"
    return f"{float(result):.3g}{interval}{'' if result.final else ' …'}"


def _harmless(text: str) -> str:
    """Spreadsheets run what begins like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
