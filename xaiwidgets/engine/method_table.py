"""Methods as a table: printed in a terminal, drawn in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator

from .registry import Method

COLUMNS = ("method", "family", "needs", "reference")
REFERENCE_WIDTH = 64


class MethodTable(tuple[Method, ...]):
    """A tuple of methods that shows itself: name, family, what is needed, where it comes from."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [COLUMNS, *(self._cells(method) for method in self)]
        widths = [max(len(line[place]) for line in lines) for place in range(3)]
        lines.insert(1, tuple("─" * width for width in (*widths, REFERENCE_WIDTH)))
        return "\n".join("  ".join([*self._padded(line, widths), _shortened(line[3])]).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """The whole reference and the summary of each; every text is escaped."""
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in COLUMNS)
        rows = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in self._html_cells(method)) + "</tr>"
            for method in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    @staticmethod
    def _cells(method: Method) -> tuple[str, ...]:
        return method.name, method.family, ", ".join(method.needs) or "–", method.reference

    def _html_cells(self, method: Method) -> Iterator[str]:
        name, *rest = self._cells(method)
        yield f"<code>{html.escape(name)}</code><br><small>{html.escape(method.summary)}</small>"
        yield from map(html.escape, rest)

    @staticmethod
    def _padded(line: tuple[str, ...], widths: list[int]) -> list[str]:
        return [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]


def _shortened(text: str) -> str:
    return text if len(text) <= REFERENCE_WIDTH else text[: REFERENCE_WIDTH - 1] + "…"
