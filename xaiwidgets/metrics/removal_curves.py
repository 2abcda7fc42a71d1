"""Deletion and insertion, most and least relevant first: areas of the curves of `removal`.

With one fill, showing the most important units first passes through the very points of taking the least important ones away
first, backwards. So one pair of curves answers all five metrics, and asking for several of them costs nothing more.

Blocks, superpixels or tokens in place of pixels are the evaluation's `regions=`: with "block" and fill="noise", `morf` is the
region perturbation of Samek et al. (2017), and with "block" `deletion` is the selectivity of Montavon et al. (2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from xaiwidgets.engine.registry import Range

from .case import Case, Measure
from .fills import Fill, Kind, Measures, is_random, resolved
from .registry import Reading, metric
from .removal import Walk, area, removal_walk
from .result import Curve

Steps = Annotated[int, Range(5, 1025, log=True, help="Most points of a curve: 5, 9, 17, … come one after another.")]
Tries = Annotated[int, Range(1, 32, help="Times it is done, ties broken and random fills drawn anew; the mean counts.")]

PETSIUK = (
    "Petsiuk, Das, Saenko (2018), RISE: Randomized Input Sampling for Explanation of Black-box Models, arXiv:1806.07421"
)
SAMEK = "Samek, Binder, Montavon, Lapuschkin, Müller (2017), Evaluating the Visualization of What a DNN Has Learned, arXiv:1509.06321"
ACHTIBAT = "Achtibat et al. (2024), AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for Transformers, arXiv:2402.05602"
UNSEEN = (
    "A picture with holes is not one the model has learned from: a score can fall because of the holes rather than of what is "
    "missing, and another fill can order methods otherwise."
)


@metric(
    family="removal",
    title="Deletion",
    reference=PETSIUK,
    direction="lower",
    tells="The score falls as soon as the units that the map calls important are gone.",
    cannot=UNSEEN,
)
def deletion(
    case: Case, *, fill: Fill = "auto", measure: Measures = "probability", steps: Steps = 33, tries: Tries = 1
) -> Iterator[Reading]:
    """How soon the score falls when the most important units are taken away first.

    Area under s ↦ f(x without its share s of most important units), s from 0 to 1, both ends included, by the trapezoid rule:
    the mean score on the way, in units of the probability (or of the score). "auto" fills with zeros, texts with the mask
    token. Ties are broken at random. The insertion curve with the same fill is always there, too.
    """
    yield from _areas(case, "deletion", ("deletion", "insertion"), Settings(fill, measure, steps, tries))


@metric(
    family="removal",
    title="Insertion",
    reference=PETSIUK,
    direction="higher",
    tells="The units that the map calls important are enough for the score.",
    cannot=UNSEEN,
)
def insertion(
    case: Case, *, fill: Fill = "auto", measure: Measures = "probability", steps: Steps = 33, tries: Tries = 1
) -> Iterator[Reading]:
    """How soon the score is there when the most important units are shown first.

    Area under s ↦ f(fill with the share s of most important units of x), like `deletion`. "auto" starts from a
    blurred picture, with σ an eighth of its shorter side (the reference: 5 of 224 pixels); from zeros for other inputs, from
    mask tokens for texts. The deletion curve with the same fill is always there, too.
    """
    yield from _areas(case, "insertion", ("insertion", "deletion"), Settings(fill, measure, steps, tries))


@metric(
    family="removal",
    title="Most relevant first",
    reference=SAMEK,
    direction="lower",
    tells="The score falls as soon as the units that the map calls important are gone.",
    cannot=UNSEEN,
)
def morf(
    case: Case, *, fill: Fill = "auto", measure: Measures = "logit", steps: Steps = 33, tries: Tries = 1
) -> Iterator[Reading]:
    """The mean score while units are taken away, the most relevant first.

    Like `deletion`, of the score as it was asked about (a logit) rather than its probability: what saturates neither at 0 nor at
    1. The reference's AOPC is f(x) minus this.
    """
    yield from _areas(case, "deletion", ("morf", "lerf"), Settings(fill, measure, steps, tries))


@metric(
    family="removal",
    title="Least relevant first",
    reference=SAMEK,
    direction="higher",
    tells="The score stays while the units that the map calls unimportant go.",
    cannot=UNSEEN,
)
def lerf(
    case: Case, *, fill: Fill = "auto", measure: Measures = "logit", steps: Steps = 33, tries: Tries = 1
) -> Iterator[Reading]:
    """The mean score while units are taken away, the least relevant first.

    The area of `morf` in the opposite order: units that speak against the target go first, so it can rise above f(x).
    """
    yield from _areas(case, "deletion", ("lerf", "morf"), Settings(fill, measure, steps, tries))


@metric(
    family="removal",
    title="Area between the curves",
    reference=ACHTIBAT,
    direction="higher",
    tells="The map tells units that carry the score from units that do not.",
    cannot=UNSEEN,
)
def abpc(
    case: Case, *, fill: Fill = "auto", measure: Measures = "logit", steps: Steps = 33, tries: Tries = 1
) -> Iterator[Reading]:
    """How far apart the curves of least and of most relevant first are.

    lerf − morf, in units of the score. 0 for a random map on average, negative for a map that is upside down. What a fill does to the model by itself weighs on both curves alike and partly cancels.
    """
    yield from _areas(case, "deletion", ("lerf", "morf"), Settings(fill, measure, steps, tries), difference=True)


class Settings(NamedTuple):
    """How units are removed, and how often that is looked at."""

    fill: str | Tensor
    measure: Measure
    steps: int
    tries: int


def both_walks(case: Case, kind: Kind, given: Settings) -> Iterator[tuple[Walk, Walk]]:
    """Deletion and insertion of the case's values, with one fill for both: if it is "auto", that of `kind`."""
    fill = resolved(case, given.fill, kind)
    orders = torch.stack([case.order(seed=case.seed + number) for number in range(given.tries)])
    if not is_random(fill) and bool((orders == orders[:1]).all()):
        orders = orders[:1]  # without ties, every try would be the same
    options: dict[str, Any] = {"fill": fill, "measure": given.measure, "steps": given.steps, "seed": case.seed}
    deleted = removal_walk(case, orders, kind="deletion", **options)
    yield from zip(deleted, removal_walk(case, orders, kind="insertion", **options), strict=True)


def _areas(
    case: Case, kind: Kind, names: tuple[str, str], given: Settings, *, difference: bool = False
) -> Iterator[Reading]:
    """Readings whose value is the area of the first of two named curves, or what it has more than the second."""
    for deleted, inserted in both_walks(case, kind, given):
        walks = {"deletion": deleted, "insertion": inserted, "morf": deleted, "lerf": _backwards(inserted)}
        shares = {"insertion": "share shown"}
        curves = {name: curve_of(walks[name], shares.get(name, "share taken away"), given.measure) for name in names}
        areas = [area(walks[name]).mean(0) for name in names]
        values = areas[0] - areas[1] if difference else areas[0]
        yield Reading(values, deleted.done + inserted.done, deleted.total + inserted.total, curves)


def curve_of(walk: Walk, x_title: str, measure: Measure) -> Curve:
    """The mean of the tries; with one row, the tries are the curve's spread."""
    tries, rows, _ = walk.values.shape
    spread = walk.values[:, 0] if tries > 1 and rows == 1 else None
    title = "probability of the target" if measure == "probability" else "score of the target"
    return Curve(walk.x, walk.values.mean(0), x_title, title, spread)


def _backwards(walk: Walk) -> Walk:
    own = [(1 - shares.flip(0), scores.flip(1)) for shares, scores in walk.own]
    return walk._replace(x=1 - walk.x.flip(0), values=walk.values.flip(2), own=own)
