"""Whether a map foretells what the score does when the input is changed at random.

What the score did is measured once an evaluation and shared by all attributions: ten maps cost as much as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Annotated, Literal, Protocol

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.memory import digest

from .agreement import pearson
from .case import Case, Measure
from .fills import Fill, Measures, fill_key, removal_by
from .forms import form_of, local_map, undefined
from .registry import Note, Range, Reading, metric

FIRST = 8  # changes behind the first answer
EQUAL = 1e-12  # sums of a map that differ by less, relative to the largest, are equal
ROUNDED = 8  # steps of the score's precision that its changes may differ by and still be equal

Perturbation = Literal["auto", "gaussian", "noisy_baseline", "square", "zero_units"]
Samples = Annotated[int, Range(2, 4096, log=True, help="Random changes of each input; one forward pass for each.")]


class Changes(Protocol):
    """Random changes of the inputs, numbered; the same numbers are the same changes."""

    def expected(self, sample: int) -> Tensor:
        """What the map foretells: the loss of score [rows]."""

    def scores(self, samples: list[int]) -> Tensor:
        """Scores [samples, rows] after these changes."""


@metric(
    family="fidelity",
    title="Infidelity",
    reference="Yeh, Hsieh, Suggala, Inouye, Ravikumar (2019), On the (In)fidelity and Sensitivity of Explanations, "
    "arXiv:1901.09392",
    direction="lower",
    range=(0.0, None),
    tells="Near 0, the map foretells how the score reacts to this kind of change.",
    cannot="It judges reactions to one kind of random change, and a map can be best for one and worst for another.",
)
def infidelity(
    case: Case,
    *,
    perturbation: Annotated[
        Perturbation,
        Note(
            "gaussian: noise on every value; noisy_baseline: the whole input replaced by noise around a baseline; square: a "
            "random square of pixels taken away; zero_units: random units taken away. auto: squares in images, else units."
        ),
    ] = "auto",
    samples: Samples = 64,
    noise: Annotated[
        float, Range(1e-4, 10.0, log=True, help="Standard deviation of noise, as a share of the input's range.")
    ] = 0.1,
    size: Annotated[
        float,
        Range(0.01, 1.0, step=0.01, help="Side of a square in shares of the shorter side, or the share of units."),
    ] = 0.25,
    fill: Fill = "auto",
    baseline: Annotated[BaselineLike, Note("What noise is put around, for noisy_baseline.", kind="baseline")] = "zeros",
    measure: Measures = "logit",
    scaled: Annotated[
        bool, Note("Scale the map as it fits best, so that its unit and size do not matter (β of Yeh et al.).")
    ] = True,
    relative: Annotated[
        bool, Note("Divide by the mean square of the score's change: 1 is a map that foretells nothing.")
    ] = False,
) -> Iterator[Reading]:
    """How far what the map foretells is from what the score does when the input changes at random: a mean square.

        E_I[(β Iᵀ Φ(x) - (f(x) - f(x - I)))²]        β = E[Iᵀ Φ Δ] / E[(Iᵀ Φ)²],   Δ = f(x) - f(x - I)

    in squared units of the score. With β the best scale (`scaled`, as in the authors' own code) 0 takes no more than the right
    proportions, and a map with all signs turned scores the same; without it, β = 1 and the unit of the map counts.

    I is a change of input values where noise is added, and Φ then the map as a sensitivity: shares of the score, as
    integrated gradients or input × gradient give them, are divided by input - baseline first (the notes say so). Where
    units are taken away, Iᵀ Φ is the sum of their shares, or of sensitivities times the change.
    """
    kind = perturbation_of(case, perturbation)
    key: Hashable
    changes: Changes
    if kind in ("gaussian", "noisy_baseline"):
        start = case.baselines(baseline) if kind == "noisy_baseline" else None
        moves = Moves(case, noise, start, measure)
        changes, notes, key = moves, moves.notes, (kind, noise, None if start is None else digest(start))
    else:
        draw = squares if kind == "square" else shares
        changes = Removals(case, fill, measure, lambda row, sample: draw(case, row, sample, size))
        notes, key = (), (kind, size, fill_key(fill))
    for expected, lost in _measured(case, changes, samples, measure, key):
        scale = (expected * lost).sum(0) / expected.square().sum(0) if scaled else torch.ones(case.rows)
        errors = (scale.nan_to_num(0) * expected - lost).square().mean(0)
        change = lost.square().mean(0)
        values = errors / torch.where(change > 0, change, torch.nan) if relative else errors
        yield Reading(
            values, len(lost), samples, notes=(*notes, *undefined(values, "no change of the input changed the score"))
        )


@metric(
    family="fidelity",
    title="Faithfulness correlation",
    reference="Bhatt, Weller, Moura (2020), Evaluating and Aggregating Feature-based Model Explanations, arXiv:2005.00631",
    direction="higher",
    range=(-1.0, 1.0),
    tells="At 1, the units that lose most score when taken away together are those the map gives most.",
    cannot="It only knows groups of one size; inputs without so many units are unlike any the model was made for.",
)
def faithfulness_correlation(
    case: Case,
    *,
    samples: Samples = 100,
    size: Annotated[
        float, Range(0.01, 0.99, step=0.01, help="Share of the units that are taken away together.")
    ] = 0.25,
    fill: Fill = "auto",
    measure: Measures = "logit",
) -> Iterator[Reading]:
    """How well the sums of the map over random groups of units go with what the score loses without these groups.

        corr_S(Σ_{u ∈ S} Φ_u, f(x) - f(x without S)),   |S| = size · units

    Pearson's correlation over groups of one size, for each input. Sensitivities are multiplied with the change of the
    input. NaN where the map is constant over the groups, or the score is.
    """
    changes = Removals(case, fill, measure, lambda row, sample: shares(case, row, sample, size))
    rounding = ROUNDED * torch.finfo(case.problem.dtype).eps * _score(case, measure).abs()
    for expected, lost in _measured(case, changes, samples, measure, ("zero_units", size, fill_key(fill))):
        values = _correlation(expected, lost, rounding)
        yield Reading(
            values, len(lost), samples, notes=undefined(values, "all groups have the same sum, or lose the same score")
        )


def perturbation_of(case: Case, name: Perturbation) -> Perturbation:
    """What "auto" is here: squares where units are the pixels of an image. Raises ParameterError for squares elsewhere."""
    points = case.problem.points
    pixels = points.ndim == 4 and case.ids.shape[1] == 1 and all(count == points[0, 0].numel() for count in case.counts)
    if name == "square" and not pixels:
        raise ParameterError(
            "no_squares",
            "Squares are of pixels, and the units here are not the pixels of an image",
            hint='Use perturbation="zero_units", or regions="pixel" for images.',
        )
    return name if name != "auto" else "square" if pixels else "zero_units"


class Moves:
    """Noise on every value, or the whole input replaced by noise around one of several starts [k, rows, ...]."""

    def __init__(self, case: Case, noise: float, starts: Tensor | None, measure: Measure) -> None:
        self.case, self.starts, self.measure = case, starts, measure
        self.map, self.notes = local_map(case)
        low, high = case.problem.points.flatten(1).aminmax(dim=1)
        self.scale = noise * (high - low).double().cpu().reshape(-1, *[1] * (self.map.ndim - 1))

    def expected(self, sample: int) -> Tensor:
        moved = self.case.problem.points - self._moved(sample)
        return (moved.to(self.map) * self.map).flatten(1).sum(1).double().cpu()

    def scores(self, samples: list[int]) -> Tensor:
        points = torch.cat([self._moved(sample) for sample in samples])
        rows = torch.arange(self.case.rows).repeat(len(samples))
        return self.case.scores(points, rows, self.measure).reshape(len(samples), -1)

    def _moved(self, sample: int) -> Tensor:
        """The inputs after the change [rows, ...]: what x - I really is in the model's numbers."""
        case, points = self.case, self.case.problem.points
        start = points if self.starts is None else self.starts[sample % len(self.starts)]
        drawn = [
            torch.randn(points.shape[1:], generator=case.generator(row, "noise", sample), dtype=torch.float64)
            for row in range(case.rows)
        ]
        return start + (torch.stack(drawn) * self.scale).to(points)


class Removals:
    """Units taken away: `draw` says which of a row's [units] it is for a sample."""

    def __init__(self, case: Case, fill: Fill, measure: Measure, draw: Callable[[int, int], Tensor]) -> None:
        self.case, self.measure, self.draw = case, measure, draw
        self.removal = removal_by(case, fill, case.seed)
        self.importance = case.importance().nan_to_num(0)
        self.local = form_of(case) == "per_unit"
        self.rows = torch.arange(case.rows)

    def expected(self, sample: int) -> Tensor:
        chosen = self._chosen(sample)
        if not self.local:
            return (chosen * self.importance).sum(1)
        change = (self.case.problem.points - self.removal.points(self.rows, chosen)).double()
        return (change * self.case.values.double()).flatten(1).sum(1).cpu()

    def scores(self, samples: list[int]) -> Tensor:
        chosen = torch.cat([self._chosen(sample) for sample in samples])
        return self.removal.scores(self.rows.repeat(len(samples)), chosen, self.measure).reshape(len(samples), -1)

    def _chosen(self, sample: int) -> Tensor:
        return torch.stack([self.draw(row, sample) for row in range(self.case.rows)])


def shares(case: Case, row: int, sample: int, size: float) -> Tensor:
    """A random `size` of the units of a row, at least one: bool [units]."""
    count = case.counts[row]
    order = torch.randperm(count, generator=case.generator(row, "units", sample))
    chosen = torch.zeros(case.count, dtype=torch.bool)
    chosen[order[: max(1, round(size * count))]] = True
    return chosen


def squares(case: Case, row: int, sample: int, size: float) -> Tensor:
    """A square of pixels that lies wholly in the image, anywhere with equal chances: bool [units]."""
    height, width = case.problem.points.shape[2:]
    side = max(1, round(size * min(height, width)))
    generator = case.generator(row, "square", sample)
    top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in (height, width))
    pixels = torch.zeros(height, width, dtype=torch.bool)
    pixels[top : top + side, left : left + side] = True
    ids = case.ids[row if len(case.ids) > 1 else 0].flatten()
    return torch.zeros(case.count, dtype=torch.bool).scatter(0, ids, pixels.flatten())


def _measured(
    case: Case, changes: Changes, samples: int, measure: Measure, key: Hashable
) -> Iterator[tuple[Tensor, Tensor]]:
    """What the map foretells and what the score lost, both [samples so far, rows], twice as many each time."""
    before = _score(case, measure)
    known: dict[int, Tensor] = case.shared(("after changes", case.seed, key, measure), dict)
    expected: list[Tensor] = []
    while len(expected) < samples:
        group = range(len(expected), min(samples, max(FIRST, 2 * len(expected))))
        missing = [sample for sample in group if sample not in known]
        size = max(1, case.problem.chunk_rows // case.rows)
        for first in range(0, len(missing), size):
            part = missing[first : first + size]
            known.update(zip(part, changes.scores(part), strict=True))
        expected += [changes.expected(sample) for sample in group]
        yield torch.stack(expected), before - torch.stack([known[sample] for sample in range(len(expected))])


def _score(case: Case, measure: Measure) -> Tensor:
    """[rows] of the inputs as they are."""
    rows = torch.arange(case.rows)
    return case.shared(("all units", measure), lambda: case.scores(case.problem.points, rows, measure))


def _correlation(expected: Tensor, lost: Tensor, least: Tensor) -> Tensor:
    """Pearson's [rows] over the first axis; NaN where the map's sums are all equal, or losses differ by `least` [rows] at most."""
    spread = [one.amax(0) - one.amin(0) for one in (expected, lost)]
    varies = (spread[0] > EQUAL * expected.abs().amax(0)) & (spread[1] > least)
    values = pearson(expected.T, lost.T)
    return torch.where(varies, values, torch.nan)
