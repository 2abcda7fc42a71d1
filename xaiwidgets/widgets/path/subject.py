"""What an explorer is about, as far as it matters to the rest: an image or a text."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.case import Case

from .kinds import Kind

DISTRIBUTION_DRAWS = 64
"""Baselines drawn for a distribution, at most: a score of each is needed, and each is kept."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A baseline in the row of baselines. `given`: what was passed from Python and cannot be named."""

    id: str
    kind: str
    title: str
    params: dict[str, Any]
    modes: tuple[str, ...]
    given: Any = None


@dataclass(frozen=True, eq=False)
class Look:
    """What is shown of a baseline: `image` (a picture file, empty where `colour` says it all) or the `surfaces` of a text.

    `blind` [h, w]: where it is the same as the input, so that nothing there can get credit.
    """

    blind: NDArray[np.bool_]
    image: bytes = b""
    colour: str = ""
    surfaces: list[str] = field(default_factory=list)
    pixels: NDArray[np.uint8] | None = None

    @property
    def share(self) -> float:
        """Of the input that cannot get credit."""
        return float(self.blind.mean())


class Subject(Protocol):
    """An image or a text that is explained."""

    medium: str
    kinds: dict[str, Kind]
    note: str
    """What was guessed about it, for a notice; empty where nothing was."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its maps."""

    def problem(self, session: Session) -> Problem:
        """The session's question, asked where a path can run."""

    def reduce(self, values: Tensor) -> Tensor:
        """Attributions [1, ...] of the problem as a map [h, w]: a signed sum."""

    def starts(self, problem: Problem, entry: Entry, mode: str, samples: int) -> Tensor:
        """The baseline as points [k, 1, ...] of the problem: one for a path, several for a distribution."""

    def case(self, problem: Problem, entry: Entry, mode: str, samples: int, values: Tensor) -> Case:
        """A run's values [1, ...] as the metrics see them. `problem`: the question at the model's own inputs."""

    def fills(self) -> dict[str, str]:
        """What parts of the input can be replaced by in tests."""

    def look(self, entry: Entry) -> Look:
        """What is shown of a baseline; asks no model."""

    def thumbnails(self, points: Tensor, side: int) -> NDArray[np.uint8] | None:
        """Points [K, 1, ...] as pictures [K, h, w, 3] with `side` pixels on the longer side; None of a text."""

    def entry(self, asked: Any) -> Entry | None:
        """A baseline passed from Python that is no name of a kind; None for what is no baseline. `id` may be taken."""

    def traits(self) -> dict[str, Any]:
        """What the page shows of the input itself."""

    def close(self) -> None:
        """Let go of the model, where it is held."""
