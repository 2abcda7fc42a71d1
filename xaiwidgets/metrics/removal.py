"""Taking units away in the order of their importance, and putting them back: curves of the score.

Beneath the metrics lies `removal_walk`, which follows any orders of the units (of an attribution, drawn at random, of an edge
map). It starts with five points and halves the gaps between them; what was evaluated once is kept for the evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.memory import digest

from .case import Case, Measure
from .fills import SPAN_BYTES, Kind, Removal, fill_key, is_random, removal_by, resolved

FIRST = 2  # halvings before the first result: five points


class Walk(NamedTuple):
    """Scores along orders of the units.

    x            [k] shares of the units, 0 to 1 with both ends
    values       [tries, rows, k] float64
    done, total  rows of points known, and known at the end
    """

    x: Tensor
    values: Tensor
    done: int
    total: int


def removal_walk(
    case: Case,
    orders: Tensor,
    *,
    kind: Kind = "deletion",
    fill: str | Tensor = "auto",
    measure: Measure = "probability",
    steps: int = 33,
    seed: int = 0,
) -> Iterator[Walk]:
    """The score while units are taken away ("deletion") or shown ("insertion") in given orders, the first ones first.

    orders   [tries, rows, units] or [rows, units], like `case.order()`: several tries go through the model together
    fill     what is there instead, see `fills.removal_by`; random ones are drawn anew for each try, from `seed` on
    steps    most points; every unit is a point where there are fewer. Points are spread evenly over the shares, and
             shares are rounded to whole units

    Each walk has the points of the one before. Where rows have different numbers of units, their scores are
    interpolated at the same shares.
    """
    orders = orders if orders.ndim == 3 else orders.unsqueeze(0)
    fill = resolved(case, fill, kind)
    scores = _Scores(case, orders, kind=kind, fill=fill, measure=measure, seed=seed)
    levels = _levels(case.count, steps)
    total = len(orders) * sum(len(_nodes(units, levels[-1])) for units in case.counts)
    for level in levels:
        nodes = [_nodes(units, level) for units in case.counts]
        rows = torch.cat([torch.full_like(node, row) for row, node in enumerate(nodes)])
        scores.find(rows, torch.cat(nodes))
        done = len(orders) * sum(map(len, nodes))
        yield Walk(*_placed(scores.found, nodes, case.counts, level), done, total)


def area(walk: Walk) -> Tensor:
    """[tries, rows] under the walk by the trapezoid rule: the mean score on the way."""
    return torch.trapezoid(walk.values, walk.x, dim=2)


class _Scores:
    """What is known of some orders: `found` [tries, rows, units + 1] by the number of units, NaN where not asked yet."""

    def __init__(
        self, case: Case, orders: Tensor, *, kind: Kind, fill: str | Tensor, measure: Measure, seed: int
    ) -> None:
        self.case, self.kind, self.measure = case, kind, measure
        self.places = orders.argsort(2)
        # One removal for all tries, so that they go through the model together, unless each draws its own.
        random = is_random(fill)
        groups = [[number] for number in range(len(orders))] if random else [list(range(len(orders)))]
        self.groups = [(torch.tensor(group), removal_by(case, fill, seed + group[0])) for group in groups]
        self.key = (fill_key(fill), measure, seed if random else 0)
        shape = (len(orders), case.rows, case.count + 1)
        self.found = case.shared(
            ("removal", kind, digest(orders), *self.key), lambda: torch.full(shape, torch.nan, dtype=torch.float64)
        )
        self._ends()

    def find(self, rows: Tensor, counts: Tensor) -> None:
        """Ask for the scores of rows [m] with so many units [m] gone or shown, where they are not known yet."""
        for tries, removal in self.groups:
            new = torch.nonzero(self.found[tries[0], rows, counts].isnan()).flatten()
            span = max(1, SPAN_BYTES // (self.case.count * len(tries)))
            for start in range(0, len(new), span):
                row, count = rows[new[start : start + span]], counts[new[start : start + span]]
                chosen = self._chosen(tries, row, count).flatten(0, 1)
                scores = removal.scores(row.repeat(len(tries)), chosen, self.measure)
                self.found[tries[:, None], row, count] = scores.reshape(len(tries), -1)

    def _chosen(self, tries: Tensor, rows: Tensor, counts: Tensor) -> Tensor:
        """[tries, m, units] what is taken away."""
        first = self.places[tries[:, None], rows] < counts[:, None]
        return first if self.kind == "deletion" else ~first

    def _ends(self) -> None:
        """All of the input and none of it: the same for every order, so asked once an evaluation."""
        case, rows, last = self.case, torch.arange(self.case.rows), torch.tensor(self.case.counts)
        full = case.shared(("all units", self.measure), lambda: case.scores(case.problem.points, rows, self.measure))
        everything = torch.ones(case.rows, case.count, dtype=torch.bool)
        for tries, removal in self.groups:

            def without(removal: Removal = removal) -> Tensor:
                return removal.scores(rows, everything, self.measure)

            empty = case.shared(("no unit", *self.key, int(tries[0])), without)
            first, final = (full, empty) if self.kind == "deletion" else (empty, full)
            self.found[tries, :, 0] = first
            self.found[tries[:, None], rows, last] = final


def _levels(units: int, steps: int) -> range:
    """How often the whole way is halved, in each refinement: no more often than units can be told apart."""
    every = max(units - 1, 0).bit_length()
    most = every if units < steps else min(every, (steps - 1).bit_length() - 1)
    return range(min(FIRST, most), most + 1)


def _nodes(units: int, level: int) -> Tensor:
    """The numbers of units, ascending, that are nearest to even shares."""
    halved = torch.arange(2**level + 1)
    nearest = (2 * halved * units + 2**level) // 2 ** (level + 1)
    distinct: Tensor = torch.unique(nearest)
    return distinct


def _placed(found: Tensor, nodes: list[Tensor], counts: tuple[int, ...], level: int) -> tuple[Tensor, Tensor]:
    """Shares [k] and the scores [tries, rows, k] there."""
    if len(set(counts)) == 1:
        return nodes[0].double() / max(counts[0], 1), found[:, :, nodes[0]]
    shares = torch.linspace(0, 1, 2**level + 1, dtype=torch.float64)
    rows = [
        [np.interp(shares, node / max(units, 1), tried[row, node]) for row, (node, units) in enumerate(known)]
        for tried, known in ((tried, zip(nodes, counts, strict=True)) for tried in found)
    ]
    return shares, torch.from_numpy(np.array(rows))
