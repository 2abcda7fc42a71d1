"""Whether a map adds up to what the score did: at the end, and all along the way from the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.methods.curves import Bundle, scattered
from xaiwidgets.methods.walk import SAME

from .case import Case
from .forms import impossible, own_baseline, undefined
from .registry import Note, Range, Reading, metric
from .result import Curve

STRAIGHT = ("integrated_gradients", "idgi")  # methods whose path is the straight line from the baseline
FIRST_CELLS = 8

_SAME = "the score changes by less than a thousandth of itself, nothing to divide by"
Relative = Annotated[bool, Note("Divide by the change of the score.")]
Own = Annotated[
    BaselineLike | None,
    Note("What the input is compared with; None takes the baseline of the method.", kind="baseline"),
]


@metric(
    family="fidelity",
    title="Completeness",
    reference="Sundararajan, Taly, Yan (2017), Axiomatic Attribution for Deep Networks, arXiv:1703.01365",
    direction="lower",
    range=(0.0, None),
    tells="At 0, the values sum to the score of the input minus the score of the baseline.",
    cannot="Only the sum is looked at: values in the wrong places add up just as well.",
)
def completeness(case: Case, *, baseline: Own = None, relative: Relative = True) -> Iterator[Reading]:
    """How far the sum of a map is from the change of the score between baseline and input.

        |Σ Φ - (f(x) - f(x'))| / |f(x) - f(x')|

    Scores of several baselines are averaged, as methods average their maps. NaN for bare values and methods without a
    baseline, unless one is given, and (if `relative`) where the score hardly changes: by less than a thousandth of itself.
    """
    chosen = own_baseline(case) if baseline is None else baseline
    if chosen is None:
        yield impossible(case, "there is no baseline that the sum could be compared with; name one with baseline=")
        return
    notes: tuple[str, ...] = ()
    if case.method is not None and not case.method.complete:
        notes = (f"{case.method.title} does not promise to add up.",)
    starts = case.baselines(chosen)
    rows = torch.arange(case.rows)
    after = case.scores(case.problem.points, rows)
    before = case.scores(starts.flatten(0, 1), rows.repeat(len(starts))).reshape(len(starts), -1).mean(0)
    values = (case.values.double().flatten(1).sum(1).cpu() - (after - before)).abs()
    if relative:
        values = values / _divisor(after, before)
    yield Reading(values, 1, 1, notes=(*notes, *undefined(values, _SAME)))


@metric(
    family="fidelity",
    title="Gap along the path",
    reference="Sturmfels, Lundberg, Lee (2020), Visualizing the Impact of Feature Attribution Baselines, "
    "doi:10.23915/distill.00022",
    direction="lower",
    asks=("method", "gradient"),
    range=(0.0, None),
    tells="Near 0, what has accumulated equals what the score has done everywhere on the path: steps enough.",
    cannot="It judges the quadrature, not the baseline or the path: a meaningless path can be walked without a gap.",
)
def pathwise_gap(
    case: Case,
    *,
    baseline: Own = None,
    steps: Annotated[int, Range(9, 1025, log=True, help="Nodes on the path; rounded down to 2^k + 1.")] = 33,
    relative: Relative = True,
) -> Iterator[Reading]:
    """The largest distance, anywhere on the straight path, between accumulated gradients and the change of the score.

        max_α |C(α) - (f(x_α) - f(x'))| / |f(x) - f(x')|,   C(α) = ∫₀^α ∇f(x_a) · (x - x') da

    by the trapezoid rule on nested nodes (9, 17, 33, ...), whatever rule the method itself uses: it shows how many nodes
    this path needs. At α = 1 it is the completeness of plain integrated gradients. The largest over several baselines. The
    curves `accumulated` and `score` are those of the first. NaN for methods that walk another path, and (if `relative`)
    where the score hardly changes.
    """
    if case.method is None or case.method.name not in STRAIGHT:
        yield impossible(case, f"not a method that follows the straight path ({', '.join(STRAIGHT)})")
        return
    bundle = Bundle(case.problem, case.baselines(own_baseline(case) if baseline is None else baseline))
    finest = 1 << ((steps - 1).bit_length() - 1)
    known: dict[float, tuple[Tensor, Tensor]] = {}  # slope and score [k, rows] of each node
    cells = FIRST_CELLS
    while cells <= finest:
        missing = [place / cells for place in (0, cells, *(1 + one for one in scattered(cells - 1)))]
        missing = [alpha for alpha in missing if alpha not in known]
        for span in bundle.spans(len(missing)):
            known.update(_visited(bundle, [missing[place] for place in span]))
        yield _gap(known, finest + 1, relative)
        cells *= 2


def _visited(bundle: Bundle, alphas: list[float]) -> dict[float, tuple[Tensor, Tensor]]:
    points, rows = bundle.at(alphas)
    gradients, scores = bundle.problem.gradients(points, rows)
    steps = bundle.step.repeat(len(alphas), *[1] * (bundle.step.ndim - 1))
    slopes = (gradients * steps).flatten(1).sum(1, dtype=bundle.problem.sum_dtype)
    placed = (bundle.placed(one).double().cpu() for one in (slopes, scores))
    return dict(zip(alphas, zip(*placed, strict=True), strict=True))


def _gap(known: dict[float, tuple[Tensor, Tensor]], total: int, relative: bool) -> Reading:
    """From all nodes there are."""
    alphas = sorted(known)
    x = torch.tensor(alphas, dtype=torch.float64)
    slopes, scores = (torch.stack([known[alpha][part] for alpha in alphas]) for part in (0, 1))  # [nodes, k, rows]
    accumulated = torch.zeros_like(slopes)
    accumulated[1:] = torch.cumulative_trapezoid(slopes, x, dim=0)
    change = scores - scores[0]
    gaps = (accumulated - change).abs().amax(0)
    values = (gaps / _divisor(scores[-1], scores[0]) if relative else gaps).amax(0)  # NaN if any baseline gives one
    curves = {
        name: Curve(x, one[:, 0].T, "share of the way from the baseline", "change of the score")
        for name, one in (("accumulated", accumulated), ("score", change))
    }
    return Reading(values, len(alphas), total, curves=curves, notes=undefined(values, _SAME))


def _divisor(after: Tensor, before: Tensor) -> Tensor:
    """|after - before|, NaN where it is nothing beside the scores themselves."""
    change = (after - before).abs()
    enough = (change > 0) & (change >= SAME * torch.maximum(after.abs(), before.abs()))
    return torch.where(enough, change, torch.nan)
