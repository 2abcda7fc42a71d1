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
    own          of every row, the shares [k of the row] at which it was asked, and the scores [tries, k of the row] there
    done, total  rows of points known, and known at the end
    """

    x: Tensor
    values: Tensor
    own: list[tuple[Tensor, Tensor]]
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

    Each walk has the points of the one before. Where rows have different numbers of units, each row has points and an area
    of its own, and `values` are interpolated at the same shares.
    """
    orders = orders if orders.ndim == 3 else orders.unsqueeze(0)
    fill = resolved(case, fill, kind)
    scores = _Scores(case, orders, kind=kind, fill=fill, measure=measure, seed=seed)
    finest = [_halvings(units, steps) for units in case.counts]
    total = len(orders) * sum(len(_nodes(units, level)) for units, level in zip(case.counts, finest, strict=True))
    for level in range(min(FIRST, max(finest)), max(finest) + 1):
        nodes = [_nodes(units, min(level, most)) for units, most in zip(case.counts, finest, strict=True)]
        rows = torch.cat([torch.full_like(node, row) for row, node in enumerate(nodes)])
        scores.find(rows, torch.cat(nodes))
        done = len(orders) * sum(map(len, nodes))
        yield Walk(*_placed(scores.found, nodes, case.counts, level), done, total)


def area(walk: Walk) -> Tensor:
    """[tries, rows] under each row's own points by the trapezoid rule: the mean score on the way."""
    return torch.stack([torch.trapezoid(scores, shares) for shares, scores in walk.own], 1)


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


def _halvings(units: int, steps: int) -> int:
    """How often the whole way is halved in the end: until every unit is a point, or there are as many as are wanted."""
    every = max(units - 1, 0).bit_length()
    return every if units < steps else min(every, (steps - 1).bit_length() - 1)


def _nodes(units: int, level: int) -> Tensor:
    """The numbers of units, ascending, that are nearest to even shares."""
    halved = torch.arange(2**level + 1)
    nearest: Tensor = torch.unique((2 * halved * units + 2**level) // 2 ** (level + 1))
    return nearest


def _placed(
    found: Tensor, nodes: list[Tensor], counts: tuple[int, ...], level: int
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Shares [k], the scores [tries, rows, k] there, and every row's own."""
    own = [
        (node.double() / max(units, 1), found[:, row, node])
        for row, (node, units) in enumerate(zip(nodes, counts, strict=True))
    ]
    if len(set(counts)) == 1:
        return own[0][0], torch.stack([scores for _, scores in own], 1), own
    common = np.linspace(0, 1, 2**level + 1)
    values = np.array([[np.interp(common, shares, one) for one in scores] for shares, scores in own])
    return torch.from_numpy(common), torch.from_numpy(values).transpose(0, 1), own
