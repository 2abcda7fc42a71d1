"""What a rule says of an operation that a parameter takes part in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .products import Part

ByRow = Callable[[Tensor], Tensor]
"""Puts a tensor [*positions, ...] into the order [B, positions of a row, ...]."""
Built = Iterator[tuple[str, Part]]
Given = Mapping[str, Any]
"""An operation's arguments by name."""


class Watched(Protocol):
    """What a rule may ask of the pass that it is part of."""

    def name(self, value: Any) -> str:
        """The name of a parameter, or of what was made of parameters alone; empty for everything else."""

    def keep(self, value: Tensor) -> Tensor:
        """A tensor as it is now, however the model goes on to change it."""


@dataclass(frozen=True)
class Plan:
    """How the gradients of an operation's parameters follow from the gradient of its output.

    depth  how many of the output's leading axes are positions
    names  the parameters that are accounted for; empty names are nobody's
    build  of the output's gradient
    """

    depth: int
    names: tuple[str, ...]
    build: Callable[[Tensor, ByRow], Built]


Rule = Callable[[Watched, Given], Plan | None]
"""None: not called this way."""
