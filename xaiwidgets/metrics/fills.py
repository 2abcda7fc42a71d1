"""What is there when something is taken away: the same vocabulary for every metric that removes units.

A removal is asked for points, or at once for scores; the fill may depend on what else is gone ("neighbours").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Annotated, Literal, Protocol

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import Blur, Constant, Mean
from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.registry import Note

from .case import Case, Measure, generator_of
from .imputation import imputed

SPAN_BYTES = 64 * 2**20  # of points that exist at a time, whatever the number of them that is asked for
NOISE = 0.01  # standard deviation of what is added to imputed values, in shares of the row's range

Kind = Literal["deletion", "insertion"]
FillName = Literal[
    "auto", "zeros", "mean", "blur", "noise", "neighbours", "mask_token", "pad_token", "delete"
]  # fmt: skip
Fill = Annotated[
    FillName | Tensor,
    Note("What is there instead. auto: zeros, a blur where pictures appear; in texts the mask token."),
]
Measures = Annotated[Measure, Note("What is followed: the probability of the target, or the score as asked.")]


class Removal(Protocol):
    """A way of taking units away."""

    def points(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """The points [m, ...] of rows [m] without the chosen units, bool [m, units]."""

    def scores(self, rows: Tensor, chosen: Tensor, measure: Measure) -> Tensor:
        """[m] float64, of these points."""

    def asked(self, rows: Tensor, chosen: Tensor, ask: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `ask(points, rows)` says of them [m, ...], a part at a time."""


@dataclass(frozen=True, eq=False)
class Replacing:
    """Other values in their place.

    fill   [1 or rows, ...] like the points; NaN passes on to the case, which may know what that means
    """

    case: Case
    fill: Tensor

    def points(self, rows: Tensor, chosen: Tensor) -> Tensor:
        fill = self.fill if len(self.fill) == 1 else self.fill[rows.to(self.fill.device)]
        return self.case.replaced(rows, chosen, fill)

    def scores(self, rows: Tensor, chosen: Tensor, measure: Measure) -> Tensor:
        return self.asked(rows, chosen, partial(self.case.scores, measure=measure))

    def asked(self, rows: Tensor, chosen: Tensor, ask: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        point = self.case.problem.points[0]
        span = max(1, SPAN_BYTES // (point.numel() * point.element_size()))
        pairs = zip(rows.split(span), chosen.split(span), strict=True)
        return torch.cat([ask(self.points(some, taken), some) for some, taken in pairs])


@dataclass(frozen=True, eq=False)
class Imputing(Replacing):
    """What the places around say (Rong 2022), and a little noise [rows, ...], the same for whatever else is removed."""

    def points(self, rows: Tensor, chosen: Tensor) -> Tensor:
        noise = self.fill[rows.to(self.fill.device)]
        hole = self.case.taken(rows, chosen)
        images = imputed(self.case.problem.points[rows.to(self.case.problem.device)], hole)
        return torch.where(hole, images + noise, images)


Builder = Callable[[Case, int], Removal]


def removal_by(case: Case, fill: str | Tensor, seed: int, kind: Kind = "deletion") -> Removal:
    """The removal of a name, or with points of one's own [1 or rows, ...]. Raises ParameterError where it has no meaning.

    kind   decides what "auto" is: where things appear, blurred pictures are a better start than black ones, in which every
           shown piece has edges of its own (Petsiuk 2018)
    """
    if isinstance(fill, Tensor):
        points = case.problem.points
        try:
            given = fill.detach().to(points).broadcast_to(points.shape)
        except RuntimeError as error:
            raise ParameterError(
                "fill_shape", f"A fill of shape {list(fill.shape)} does not fit an input of shape {list(points.shape)}"
            ) from error
        return Replacing(case, given)
    known = builders(case)
    name = str(resolved(case, fill, kind))
    if name not in known:
        raise ParameterError(
            "unknown_fill", f"fill={name!r} has no meaning for this input", hint=did_you_mean(name, known)
        )
    return known[name](case, seed)


def resolved(case: Case, fill: str | Tensor, kind: Kind) -> str | Tensor:
    """The fill that "auto" stands for; any other as it is."""
    if isinstance(fill, Tensor) or fill != "auto" or "auto" in builders(case):
        return fill
    return "blur" if kind == "insertion" and case.problem.points.ndim >= 4 else "zeros"


def is_random(fill: str | Tensor) -> bool:
    """Whether other seeds give other fills."""
    return isinstance(fill, str) and fill in RANDOM


def fill_names(case: Case) -> tuple[str, ...]:
    """The fills that fit this input, without "auto"."""
    return tuple(name for name in builders(case) if name != "auto")


def fill_key(fill: str | Tensor) -> str:
    """A name for a fill, to remember by."""
    return digest(fill) if isinstance(fill, Tensor) else fill


def row_range(points: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest value of every row's channels (of the row, where there are none) [rows, ...]."""
    axes = tuple(range(2, points.ndim)) if points.ndim > 2 else tuple(range(1, points.ndim))
    return points.amin(axes, keepdim=True), points.amax(axes, keepdim=True)


# --- the fills of pictures, series and tables ----------------------------------------------------------------------


@singledispatch
def builders(case: Case) -> Mapping[str, Builder]:
    """What makes the removals for this kind of case, by name."""
    places = case.problem.points.ndim > 2 and not case.problem.inputs.several
    return BUILDERS if places else {name: build for name, build in BUILDERS.items() if name not in NEED_PLACES}


def _zeros(case: Case, seed: int) -> Removal:  # noqa: ARG001
    return Replacing(case, Constant().draw(case.problem.points[:1])[0])


def _mean(case: Case, seed: int) -> Removal:  # noqa: ARG001
    return Replacing(case, Mean().draw(case.problem.points)[0])


def _blur(case: Case, seed: int) -> Removal:  # noqa: ARG001
    return Replacing(case, Blur().draw(case.problem.points)[0])


def _noise(case: Case, seed: int) -> Removal:
    points = case.problem.points
    low, high = row_range(points)
    return Replacing(case, low + (high - low) * _drawn(torch.rand, points, seed))


def _neighbours(case: Case, seed: int) -> Removal:
    points = case.problem.points
    axes = tuple(range(1, points.ndim))
    width = points.amax(axes, keepdim=True) - points.amin(axes, keepdim=True)
    return Imputing(case, NOISE * width * _drawn(torch.randn, points, seed))


def _drawn(draw: Callable[..., Tensor], points: Tensor, seed: int) -> Tensor:
    """Noise [rows, ...], each row's from the seed and its number."""
    return torch.stack(
        [
            draw(points.shape[1:], generator=generator_of(seed, row, "fill"), dtype=torch.float64).to(points)
            for row in range(len(points))
        ]
    )


BUILDERS: dict[str, Builder] = {
    "zeros": _zeros,
    "mean": _mean,
    "blur": _blur,
    "noise": _noise,
    "neighbours": _neighbours,
}
RANDOM = ("noise", "neighbours")
NEED_PLACES = ("blur", "neighbours")
