"""Metrics as a table: printed in a terminal, drawn in a notebook."""

from __future__ import annotations

import html

from .registry import Metric

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
COLUMNS = ("metric", "", "family", "asks", "tells", "cannot tell")


class MetricTable(tuple[Metric, ...]):
    """A tuple of metrics that shows itself: name, direction, family, what is asked for, what it tells and what it cannot."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [COLUMNS[:5], *(self._cells(metric)[:5] for metric in self)]
        widths = [max(len(line[place]) for line in lines) for place in range(5)]
        lines.insert(1, tuple("─" * width for width in widths))
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        """The reference and the summary of each too; every text is escaped."""
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in self._html_cells(metric)) + "</tr>"
            for metric in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    @staticmethod
    def _cells(metric: Metric) -> tuple[str, ...]:
        asks = ", ".join(metric.asks) or "–"
        return metric.name, ARROWS[metric.direction], metric.family, asks, metric.tells, metric.cannot

    def _html_cells(self, metric: Metric) -> tuple[str, ...]:
        name, *rest = map(html.escape, self._cells(metric))
        about = f"{html.escape(metric.summary)}<br>{html.escape(metric.reference)}"
        return (f"<code>{name}</code><br><small>{about}</small>", *rest)
