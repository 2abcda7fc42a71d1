"""The table of metrics."""

from __future__ import annotations

from xaiwidgets.engine.listing import Listing

from .registry import Metric

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}


class MetricTable(Listing[Metric]):
    """A tuple of metrics that shows itself: name, direction, family, what is asked for, what it tells and what it cannot."""

    __slots__ = ()

    columns = ("metric", "", "family", "asks", "tells", "cannot tell")
    printed = 5
    widest = 110

    @staticmethod
    def cells(entry: Metric) -> tuple[str, ...]:
        asks = ", ".join(entry.asks) or "–"
        return entry.name, ARROWS[entry.direction], entry.family, asks, entry.tells, entry.cannot

    @staticmethod
    def about(entry: Metric) -> tuple[str, ...]:
        return entry.summary, entry.reference
