"""Remove and debias: what is taken away is put there again from what is left around it (`imputation`).

A black hole tells the model where something has been taken away, and its very shape can tell the class; what the surroundings
say cannot. All rows, shares and both orders are imputed together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.registry import Note, Range

from .case import Case
from .fills import Fill, Removal, removal_by
from .registry import Reading, metric
from .result import Curve

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
TITLES = {
    "probability": "probability of the target",
    "logit": "score of the target",
    "unchanged": "share of rows with the same largest output",
}
Followed = Annotated[
    Literal["probability", "logit", "unchanged"],
    Note("What is followed: probability or score of the target, or whether the largest output stays the same."),
]
Tries = Annotated[int, Range(1, 32, help="Times it is done, with ties broken and noise drawn anew; the mean counts.")]


@metric(
    family="removal",
    title="ROAD",
    reference="Rong, Leemann, Borisov, Kasneci, Kasneci (2022), A Consistent and Efficient Evaluation Strategy for Attribution "
    "Methods, arXiv:2202.00449",
    direction="higher",
    tells="The map tells units that carry the score from units that do not, and not by the shape of the holes.",
    cannot="What is put into large holes is smooth, which is not what the model has learned from either; and it says nothing "
    "of how much more important one unit is than another.",
)
def road(
    case: Case, *, measure: Followed = "probability", fill: Fill = "neighbours", tries: Tries = 1
) -> Iterator[Reading]:
    """How much longer the score lasts when the least important units go first than when the most important do.

    Mean over the shares 0.1, 0.2, 0.3, 0.4, 0.5, 0.7 and 0.9 (rounded down to whole units) of f(without the least important
    share) − f(without the most important share); 0 for a random map on average. What is gone is imputed linearly from its
    neighbours, with noise of 0.01 of the row's range, the same at every share. With "unchanged" f is 1 where the largest output
    is that of the whole input: the reference's share of right answers, for rows the model gets right. Both curves are there as
    "morf" and "lerf". "neighbours" needs places next to each other: tables and texts take another fill.
    """
    total: dict[str, Tensor] = {}
    for number in range(tries):
        removal = removal_by(case, fill, case.seed + number)
        order = case.order(seed=case.seed + number)
        for name, found in zip(("morf", "lerf"), _followed(case, order, removal, measure), strict=True):
            total[name] = total.get(name, 0) + found
        curves = {
            name: Curve(
                torch.tensor(SHARES, dtype=torch.float64), found / (number + 1), "share taken away", TITLES[measure]
            )
            for name, found in total.items()
        }
        yield Reading((curves["lerf"].values - curves["morf"].values).mean(1), number + 1, tries, curves)


def _followed(case: Case, order: Tensor, removal: Removal, measure: str) -> Tensor:
    """[2, rows, shares] without the most and without the least important units, all at once."""
    units = torch.tensor(case.counts)
    counts = (torch.tensor(SHARES, dtype=torch.float64) * units[:, None] + 1e-9).floor()[..., None]
    place = order.argsort(1)[:, None]
    last = (units[:, None, None] - 1) - place
    chosen = torch.stack([place < counts, (last >= 0) & (last < counts)])
    rows = torch.arange(case.rows)[None, :, None].expand(chosen.shape[:3])
    asked = rows.flatten(), chosen.flatten(0, 2)
    if measure == "unchanged":
        before = _largest(case.outputs())
        after = removal.asked(*asked, lambda points, some: _largest(case.outputs(points, some)))
        return (after == before[asked[0]]).double().reshape(rows.shape)
    return removal.scores(*asked, "probability" if measure == "probability" else "logit").reshape(rows.shape)


def _largest(outputs: Tensor) -> Tensor:
    """Which of the outputs is the largest [m]; of a single one, its sign."""
    flat = outputs.flatten(1).cpu()
    return flat.argmax(1) if flat.shape[1] > 1 else (flat[:, 0] > 0).long()
