"""How much a map changes when the input changes a little, measured by making it again.

Every metric here is the largest of some ratio over random neighbours of the input: a lower bound of the true maximum, which
more neighbours can only raise. Neighbours are drawn for every row from the evaluation's seed, and metrics with the same
neighbours share them and their maps. A method's own randomness keeps its seed, so that only the input differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from .case import Case
from .forms import undefined
from .registry import Note, Range, Reading, metric

LEAST = 1e-6  # no relative change of the input or the output counts as smaller
LOWEST = 2.0**-54  # below every random number but zero
KEPT_BYTES = 16 * 2**20  # of neighbours' maps that other metrics of the same attribution find again

Samples = Annotated[int, Range(1, 1000, log=True, help="Neighbours of each input; the method runs once for each.")]
Radius = Annotated[float, Range(1e-4, 10.0, log=True, help="How far neighbours are away, in the unit below.")]
Unit = Annotated[
    Literal["range", "absolute"], Note("Of the radius: a share of each input's range (max - min), or input units.")
]
Ball = Annotated[
    Literal["box", "gaussian"],
    Note("Neighbours evenly from the box of that radius (L∞), or normal with it as standard deviation."),
]


class Around(NamedTuple):
    """Where neighbours are."""

    radius: float
    unit: str
    ball: str


class Neighbour(NamedTuple):
    """Points near the inputs, and the map there; all [rows, ...]."""

    key: tuple[int, Around]
    points: Tensor
    shift: Tensor
    values: Tensor


@metric(
    family="stability",
    title="Max-sensitivity",
    reference="Yeh, Hsieh, Suggala, Inouye, Ravikumar (2019), On the (In)fidelity and Sensitivity of Explanations, "
    "arXiv:1901.09392",
    direction="lower",
    asks=("method",),
    range=(0.0, None),
    tells="Near 0, inputs that look the same get the same map.",
    cannot="A map that never changes at all scores best: 0 says nothing about whether it is right.",
)
def max_sensitivity(
    case: Case,
    *,
    samples: Samples = 10,
    radius: Radius = 0.02,
    unit: Unit = "range",
    ball: Ball = "box",
    relative: Annotated[bool, Note("Divide by the size of the map, so that its unit does not matter.")] = True,
) -> Iterator[Reading]:
    """The largest change of the map among neighbours of the input, relative to the map.

        max_δ ‖Φ(x + δ) - Φ(x)‖₂ / ‖Φ(x)‖₂,   ‖δ‖∞ ≤ radius

    The true maximum over the neighbours is taken, and divided once. NaN for a map of zeros if `relative`.
    """
    size = _norm(case.values) if relative else torch.ones(case.rows, dtype=torch.float64)

    def ratio(near: Neighbour) -> Tensor:
        return _norm(near.values - case.values) / torch.where(size > 0, size, torch.nan)

    yield from _largest(case, samples, Around(radius, unit, ball), ratio, "the map is zero everywhere")


@metric(
    family="stability",
    title="Local Lipschitz",
    reference="Alvarez-Melis, Jaakkola (2018), On the Robustness of Interpretability Methods, arXiv:1806.08049",
    direction="lower",
    asks=("method",),
    range=(0.0, None),
    tells="Small, the map changes slowly with the input.",
    cannot="It has the unit of the map per unit of input, so that maps with different units cannot be compared by it.",
)
def local_lipschitz(
    case: Case, *, samples: Samples = 10, radius: Radius = 0.02, unit: Unit = "range", ball: Ball = "box"
) -> Iterator[Reading]:
    """How fast the map changes with the input, at its fastest among neighbours.

        max_δ ‖Φ(x + δ) - Φ(x)‖₂ / ‖δ‖₂

    For the gradient of a quadratic score it is at most the largest curvature. NaN where no neighbour differs from the
    input (a constant input, with the radius as a share of its range).
    """

    def ratio(near: Neighbour) -> Tensor:
        moved = _norm(near.shift)
        return _norm(near.values - case.values) / torch.where(moved > 0, moved, torch.nan)

    yield from _largest(
        case, samples, Around(radius, unit, ball), ratio, "the input is constant: no neighbour differs from it"
    )


@metric(
    family="stability",
    title="Relative input stability",
    reference="Agarwal, Johnson, Pawelczyk, Krishna, Saxena, Zitnik, Lakkaraju (2022), Rethinking Stability for "
    "Attribution-based Explanations, arXiv:2203.06877",
    direction="lower",
    asks=("method",),
    range=(0.0, None),
    tells="Small, the map changes by no larger a share than the input does.",
    cannot="Shares are taken value by value, so values near zero decide it; a map that never changes scores best.",
)
def relative_input_stability(
    case: Case, *, samples: Samples = 10, radius: Radius = 0.02, unit: Unit = "range", ball: Ball = "box"
) -> Iterator[Reading]:
    """The largest change of the map in shares of itself, beside the change of the input in shares of itself.

        max_x′ ‖(Φ(x) - Φ(x′)) / Φ(x)‖₂ / max(‖(x - x′) / x‖₂, 1e-6)

    over neighbours x′ of the same class. Values of the map, and of the input, that are exactly zero have no relative change
    and are left out of the norms. NaN where the map or the input is zero everywhere, or no neighbour keeps the class.
    """
    points = case.problem.points

    def ratio(near: Neighbour) -> Tensor:
        return _share(near.values, case.values) / _share(near.points, points).clamp(min=LEAST)

    yield from _largest(case, samples, Around(radius, unit, ball), _of_same_class(case, ratio), _NO_SHARE)


@metric(
    family="stability",
    title="Relative output stability",
    reference="Agarwal, Johnson, Pawelczyk, Krishna, Saxena, Zitnik, Lakkaraju (2022), Rethinking Stability for "
    "Attribution-based Explanations, arXiv:2203.06877",
    direction="lower",
    asks=("method",),
    range=(0.0, None),
    tells="Small, the map changes no more than the model's output does.",
    cannot="Shares are taken value by value, so values near zero decide it; a map that never changes scores best.",
)
def relative_output_stability(
    case: Case, *, samples: Samples = 10, radius: Radius = 0.02, unit: Unit = "range", ball: Ball = "box"
) -> Iterator[Reading]:
    """The largest change of the map in shares of itself, beside the change of the model's output.

        max_x′ ‖(Φ(x) - Φ(x′)) / Φ(x)‖₂ / max(‖h(x) - h(x′)‖₂, 1e-6)

    over neighbours x′ of the same class, h being all outputs (logits). Values of the map that are exactly zero are left
    out. NaN where the map is zero everywhere, or no neighbour keeps the class.
    """
    output = case.shared("outputs", case.outputs)

    def ratio(near: Neighbour) -> Tensor:
        change = _norm(_outputs(case, near) - output)
        return _share(near.values, case.values) / change.clamp(min=LEAST)

    yield from _largest(case, samples, Around(radius, unit, ball), _of_same_class(case, ratio), _NO_SHARE)


_NO_SHARE = "the map or the input is zero everywhere, or no neighbour keeps the class"


def neighbours(case: Case, samples: int, around: Around) -> Iterator[Neighbour]:
    """Points near the inputs and the maps there, one for every row at a time."""
    points = case.problem.points
    movable = (case.ids >= 0).to(points.device)  # padding and special tokens belong to no unit, and stay
    reach = torch.full((case.rows,), around.radius, dtype=torch.float64)
    if around.unit == "range":
        low = points.masked_fill(~movable, torch.inf).flatten(1).amin(1)
        high = points.masked_fill(~movable, -torch.inf).flatten(1).amax(1)
        reach = reach * (high - low).double().cpu()
    made: dict[int, Tensor] = case.own(("neighbours", case.seed, around), dict)
    for sample in range(samples):
        drawn = torch.stack(
            [
                _draw(case.generator(row, "neighbour", around.ball, sample), points[row], around.ball)
                for row in range(case.rows)
            ]
        )
        moved = points + (drawn * reach.reshape(-1, *[1] * (points.ndim - 1))).to(points) * movable
        values = made.get(sample)
        if values is None:
            values = case.explain(case.problem.with_points(moved))
            if values.nbytes * (sample + 1) <= KEPT_BYTES:
                made[sample] = values
        yield Neighbour((sample, around), moved, moved - points, values)


def _draw(generator: torch.Generator, like: Tensor, ball: str) -> Tensor:
    """Number after number, so that the first ones do not depend on how many there are: texts are padded."""
    drawn = torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return torch.special.ndtri(drawn.clamp(min=LOWEST)) if ball == "gaussian" else 2 * drawn - 1


def _largest(
    case: Case, samples: int, around: Around, ratio: Callable[[Neighbour], Tensor], why: str
) -> Iterator[Reading]:
    """The largest ratio [rows] so far, after every neighbour; one without a ratio counts for nothing."""
    largest = torch.full((case.rows,), torch.nan, dtype=torch.float64)
    for done, near in enumerate(neighbours(case, samples, around), 1):
        largest = torch.fmax(largest, ratio(near))
        yield Reading(largest, done, samples, notes=undefined(largest, why))


def _of_same_class(case: Case, ratio: Callable[[Neighbour], Tensor]) -> Callable[[Neighbour], Tensor]:
    """NaN for neighbours that the model puts into another class than the input; a single output has no classes."""
    output = case.shared("outputs", case.outputs)
    axis = -1 if output.ndim <= 3 else 1
    classes = output.ndim > 1 and output.shape[axis] > 1

    def checked(near: Neighbour) -> Tensor:
        found = ratio(near)
        if not classes:
            return found
        same = (_outputs(case, near).argmax(axis) == output.argmax(axis)).reshape(case.rows, -1).all(1)
        return torch.where(same.cpu(), found, torch.nan)

    return checked


def _outputs(case: Case, near: Neighbour) -> Tensor:
    """The model's outputs there, the same for all attributions."""
    key = ("outputs of neighbours", case.seed, *near.key)
    return case.shared(key, lambda: case.outputs(near.points, torch.arange(case.rows)))


def _norm(values: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(values.double().reshape(len(values), -1), dim=1)
    return norms.cpu()


def _share(changed: Tensor, values: Tensor) -> Tensor:
    """‖(changed - values) / values‖₂ [rows] over the values that are not zero; NaN where all are."""
    there = values != 0
    shares = torch.where(there, (changed - values) / torch.where(there, values, 1), 0)
    return torch.where(there.flatten(1).any(1).cpu(), _norm(shares), torch.nan)
