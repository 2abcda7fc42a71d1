"""What is registered, as a table: printed in a terminal, drawn in a notebook."""

from __future__ import annotations

import html
from typing import ClassVar, Protocol, TypeVar


class Registered(Protocol):
    """What entries have in common."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...


Entry = TypeVar("Entry", bound=Registered)


class Listing(tuple[Entry, ...]):
    """A tuple of entries that shows itself. Subclasses say what stands in the columns, names first."""

    __slots__ = ()

    columns: ClassVar[tuple[str, ...]]
    printed: ClassVar[int]
    """How many of the columns fit a terminal."""
    widest: ClassVar[int]
    """Characters of a column in a terminal; what is longer is cut."""

    @staticmethod
    def cells(entry: Entry) -> tuple[str, ...]:
        """The texts of a row."""
        raise NotImplementedError

    @staticmethod
    def about(entry: Entry) -> tuple[str, ...]:
        """What a notebook has room for below the name."""
        return (entry.summary,)

    def __repr__(self) -> str:
        lines = [tuple(shortened(cell, self.widest) for cell in self.cells(entry)[: self.printed]) for entry in self]
        lines.insert(0, self.columns[: self.printed])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, tuple("─" * width for width in widths))
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        """Every text is escaped, and whole."""
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in self.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in self._html_cells(entry)) + "</tr>"
            for entry in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _html_cells(self, entry: Entry) -> tuple[str, ...]:
        name, *rest = map(html.escape, self.cells(entry))
        about = "<br>".join(map(html.escape, self.about(entry)))
        return (f"<code>{name}</code><br><small>{about}</small>", *rest)


def shortened(text: str, widest: int) -> str:
    """A text, or its beginning."""
    return text if len(text) <= widest else text[: widest - 1] + "…"
