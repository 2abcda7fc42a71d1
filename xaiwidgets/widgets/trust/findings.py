"""What the tests of one map have found so far: filled in by `course`, read by the page, the words and the figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xaiwidgets.metrics.fills import Kind

Numbers = NDArray[np.float64]
KINDS: tuple[Kind, ...] = ("deletion", "insertion")
ALIKE = ("rank", "rank_absolute", "ssim")
"""How two maps are compared."""
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Where the ablated inputs are shown."""
MIDDLE = (0.025, 0.975)
"""Of the random orders: those between the ends of the band."""


@dataclass(frozen=True)
class Settings:
    """What parts are replaced by, and what is read from the model."""

    fill: str
    measure: str


@dataclass(frozen=True, eq=False)
class Line:
    """A curve of one map, or of several random orders. `x` [k] shares; `tries` [tries, k] scores."""

    x: Numbers
    tries: Numbers

    @property
    def y(self) -> Numbers:
        """[k] the mean of the tries."""
        found: Numbers = self.tries.mean(0)
        return found

    @property
    def band(self) -> tuple[Numbers, Numbers] | None:
        """[k] twice: where the middle 95 % of the tries lie; None of a single one."""
        if len(self.tries) == 1:
            return None
        low, high = np.quantile(self.tries, MIDDLE, axis=0)
        return low, high

    @property
    def areas(self) -> Numbers:
        """[tries] under each try, as a share of the axis."""
        middles = (self.tries[:, 1:] + self.tries[:, :-1]) / 2
        found: Numbers = middles @ np.diff(self.x) / (self.x[-1] - self.x[0])  # np.trapezoid is NumPy 2's
        return found

    @property
    def area_ends(self) -> tuple[float, float]:
        """Between which the middle 95 % of the areas lie."""
        low, high = np.quantile(self.areas, MIDDLE)
        return float(low), float(high)

    def at(self, share: float) -> Numbers:
        """[tries] the score at a share of the axis."""
        return np.array([np.interp(share, self.x, one) for one in self.tries])


@dataclass(frozen=True, eq=False)
class Control:
    """A map to hold the tested one against, [h, w] at its scale. `rank` and the rest compare the two; None of itself."""

    key: str
    title: str
    values: NDArray[np.floating]
    signed: bool
    rank: float | None = None
    rank_absolute: float | None = None
    ssim: float | None = None


@dataclass
class Layers:
    """The model made random from its output downwards, layer by layer. NaN where a number is not defined.

    `names` of all layers; the others of those that are done. `maps` [h, w] by the layer's place, of some of them.
    """

    names: Sequence[str]
    rank: list[float] = field(default_factory=list)
    rank_absolute: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    output: list[float] = field(default_factory=list)
    maps: dict[int, NDArray[np.floating]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether every layer is random."""
        return len(self.rank) == len(self.names) > 0


@dataclass
class Findings:
    """`curves` by kind, then by map ("map", "random", "edges" or "lengths").

    `frames` the input with parts replaced, by kind: uint8 [6, h, w, 3] of images; of texts, [6, T] which tokens are there.
    `missing` tests that cannot be made here, and why.
    """

    curves: dict[str, dict[str, Line]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    controls: list[Control] = field(default_factory=list)
    layers: Layers | None = None
    frames: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def control(self, key: str) -> Control | None:
        """A control's map, if it is there."""
        return next((one for one in self.controls if one.key == key), None)
