"""The table of methods."""

from __future__ import annotations

from .listing import Listing
from .registry import Method


class MethodTable(Listing[Method]):
    """A tuple of methods that shows itself: name, family, what is needed, where it comes from."""

    __slots__ = ()

    columns = ("method", "family", "needs", "reference")
    printed = 4
    widest = 64

    @staticmethod
    def cells(entry: Method) -> tuple[str, ...]:
        return entry.name, entry.family, ", ".join(entry.needs) or "–", entry.reference
