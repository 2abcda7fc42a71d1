"""What a number of a map means, and the map in the form that a formula demands.

Maps come in two forms. Sensitivities say how much the score changes per unit of input; shares say how much of the score a
value accounts for, which is a sensitivity times how far the value is from what it is compared with. Formulas in which a
map is multiplied with a change of the input demand the first.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError

from .case import Case
from .registry import Reading

Form = Literal["per_unit", "share", "place"]

SMALLEST = 1e-6  # of the largest distance in a row: nearer values are as good as not moved


def form_of(case: Case) -> Form:
    """What a number of the map means.

    "per_unit"  score per unit of input, as gradients are
    "share"     part of the score, as of integrated gradients or input × gradient; bare values are taken for this
    "place"     importance of a place or token, or something without a unit: nothing that could be converted
    """
    method = case.method
    if case.values.shape != case.problem.points.shape or (method is not None and method.family == "cam"):
        return "place"
    if method is None or method.unit == "{score}":
        return "share"
    return "per_unit" if "per unit of input" in method.unit else "place"


def local_map(case: Case) -> tuple[Tensor, tuple[str, ...]]:
    """The map as sensitivities [rows, ...] like the points, in the dtype of long sums, and notes on what was done to it.

    Shares are divided by input - baseline, the baseline being the method's own, zero for methods without one and the mean
    of several. Where both are equal a share says nothing about a sensitivity, and 0 is put there. Maps of places are taken
    as they are, for all channels alike. Raises InputError for maps of tokens: they have no directions.
    """
    points = case.problem.points.to(case.problem.sum_dtype)
    values = case.values.to(points)
    if values.ndim != points.ndim:
        raise InputError(
            "map_of_tokens",
            f"A map of shape {list(values.shape)} has no value for every number of an input of shape "
            f"{list(points.shape)}, so that it cannot be multiplied with a change of them",
            hint='Use what takes whole units away, for example infidelity with perturbation="zero_units".',
        )
    if form_of(case) != "share":
        return values.expand_as(points), ()
    reference, name = _reference(case)
    distance = points - reference
    moved = distance.abs() > SMALLEST * distance.abs().flatten(1).amax(1).reshape(-1, *[1] * (points.ndim - 1))
    local = torch.where(moved, values / torch.where(moved, distance, 1.0), 0.0)
    notes = [f"The values were divided by the input minus {name}: they are taken for shares of the score."]
    if blind := float((~moved).double().mean()):
        notes.append(
            f"At {blind:.0%} of the input nothing could be divided (input equal to {name}), and 0 was put there."
        )
    return local, tuple(notes)


def undefined(values: Tensor, why: str) -> tuple[str, ...]:
    """The note on rows without a value, if there are any."""
    rows = int(values.isnan().sum())
    return (f"Undefined for {rows} of {len(values)} rows: {why}.",) if rows else ()


def impossible(case: Case, why: str) -> Reading:
    """No row has a value."""
    values = torch.full((case.rows,), torch.nan, dtype=torch.float64)
    return Reading(values, 1, 1, notes=undefined(values, why))


def own_baseline(case: Case) -> Any:
    """The baseline parameter the method ran with, None for bare values and methods that have none."""
    if case.method is None:
        return None
    default = {one.name: one.default for one in case.method.parameters if one.name == "baseline"}
    return {**default, **{name: case.parameters[name] for name in default if name in case.parameters}}.get("baseline")


def _reference(case: Case) -> tuple[Tensor | float, str]:
    baseline = own_baseline(case)
    if baseline is None:
        return 0.0, "zero"
    drawn = case.baselines(baseline).to(case.problem.sum_dtype)
    return drawn.mean(0), "its baseline" if len(drawn) == 1 else "the mean of its baselines"
