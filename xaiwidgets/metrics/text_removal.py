"""Metrics of texts: what the prediction loses without the words said to matter most, and what these are worth alone.

Every metric of `removal` works on texts as well; those here are the ones that the literature on texts reports. Words are really
left out (fill="delete"), unless asked otherwise: the model reads the shorter text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.registry import Range

from .case import Case
from .fills import Fill, Measures, removal_by
from .registry import Reading, metric
from .result import Curve

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
ERASER = "DeYoung, Jain, Rajani, Lehman, Xiong, Socher, Wallace (2020), ERASER, arXiv:1911.03429"


@metric(
    family="text",
    title="Comprehensiveness",
    reference=ERASER,
    direction="higher",
    asks=("text",),
    range=(-1.0, 1.0),
    tells="The prediction falls when the words with the largest values are left out.",
    cannot="Whether it falls for want of these words, or because what is left is like no text the model was trained on.",
)
def comprehensiveness(case: Case, *, fill: Fill = "delete") -> Iterator[Reading]:
    """How much probability the target loses without its most important words.

        mean over q of p(x) - p(x without the first q of its units),   q = 1, 5, 10, 20, 50 %

    Of q of n units ⌈q·n⌉ are taken, at least one; ties are broken at random by the seed.
    """
    yield from _average_over_shares(case, fill, keep=False)


@metric(
    family="text",
    title="Sufficiency",
    reference=ERASER,
    direction="lower",
    asks=("text",),
    range=(-1.0, 1.0),
    tells="Near 0 (or below), the words with the largest values are enough for the prediction.",
    cannot="Whether other words were enough as well; a few words alone are like no text the model was trained on.",
)
def sufficiency(case: Case, *, fill: Fill = "delete") -> Iterator[Reading]:
    """How much probability the target loses when only its most important words are left.

        mean over q of p(x) - p(the first q of its units alone),   q = 1, 5, 10, 20, 50 %

    Special tokens stay. Of q of n units ⌈q·n⌉ are taken, at least one; ties are broken at random by the seed. Below 0 the words
    alone convince more than the text.
    """
    yield from _average_over_shares(case, fill, keep=True)


@metric(
    family="text",
    title="Log-odds",
    reference="Shrikumar, Greenside, Kundaje (2017), DeepLIFT, arXiv:1704.02685; for texts Sanyal, Ren (2021), "
    "Discretized Integrated Gradients, arXiv:2108.13654",
    direction="lower",
    asks=("text",),
    tells="The more negative, the more of the probability goes with the words that have the largest values.",
    cannot="Whether other words would have taken it as well; one sure text with a great fall outweighs many others.",
)
def log_odds(
    case: Case,
    *,
    share: Annotated[float, Range(0.01, 1.0, step=0.01, help="Of each row's units, rounded up.")] = 0.2,
    fill: Fill = "auto",
) -> Iterator[Reading]:
    """How the logarithm of the target's probability changes when its most important words are replaced.

        log p(x with the first ⌈share·n⌉ units replaced) - log p(x)

    In nats.
    """
    removal = removal_by(case, fill, case.seed)
    rows = torch.arange(case.rows)
    before, after = (
        removal.scores(rows, chosen, "probability").clamp(min=torch.finfo(torch.float32).tiny).log()
        for chosen in (torch.zeros_like(case.present), first(case, share))
    )
    curve = Curve(
        torch.tensor([0.0, share], dtype=torch.float64), torch.stack([before, after], 1), "share replaced",
        "log-probability",
    )  # fmt: skip
    yield Reading(after - before, 1, 1, {"log_odds": curve})


@metric(
    family="text",
    title="Faithfulness violation",
    reference="Liu, Li, Guo, Kong, Li, Wang (2022), Rethinking Attention-Model Explainability through Faithfulness Violation "
    "Test, arXiv:2201.12114",
    direction="lower",
    range=(0.0, 1.0),
    tells="Near 0, what is said to speak for the prediction does so when it is taken away, and what speaks against it likewise.",
    cannot="Whether the sizes are right, and anything about all other units; a unit whose absence changes nothing is never wrong, "
    "so that chance is one half at most.",
)
def faithfulness_violation(
    case: Case,
    *,
    top: Annotated[int, Range(1, 100, log=True, help="How many units of each row, by the size of their values.")] = 1,
    fill: Fill = "auto",
    measure: Measures = "probability",
) -> Iterator[Reading]:
    """How often the sign of the largest values is not that of what taking the unit away does.

        mean over the `top` units u with the largest |value| of [value(u) · (f(x) - f(x without u)) < 0]

    Values of 0 are left out; NaN for a row that has nothing else. A change of exactly 0 is no violation. For all inputs, not only
    texts.
    """
    removal = removal_by(case, fill, case.seed)
    importance, order = case.importance(), case.order(absolute=True)
    rows, none = torch.arange(case.rows), torch.zeros_like(case.present)
    before = removal.scores(rows, none, measure)
    wrong, counted = torch.zeros(case.rows, dtype=torch.float64), torch.zeros(case.rows, dtype=torch.float64)
    total = min(top, case.count)
    for place in range(total):
        unit = order[:, place : place + 1]
        value = importance.gather(1, unit)[:, 0].nan_to_num(0)  # beyond a row's own units
        here = value.nonzero()[:, 0]
        if len(here):
            fall = before[here] - removal.scores(here, none[here].scatter(1, unit[here], value=True), measure)
            wrong[here] += (value[here] * fall < 0).double()
            counted[here] += 1
        empty = int((counted == 0).sum())
        notes = (f"{empty} of {case.rows} rows have no value but 0",) if empty else ()
        yield Reading(torch.where(counted > 0, wrong / counted, torch.nan), place + 1, total, notes=notes)


def first(case: Case, share: float) -> Tensor:
    """[rows, units] bool: of each row's units the share with the largest values, rounded up, and at least one."""
    most = (torch.tensor(case.counts) * share - 1e-9).ceil().clamp(min=1)
    return (case.order().argsort(1) < most[:, None]) & case.present


def _average_over_shares(case: Case, fill: str | Tensor, *, keep: bool) -> Iterator[Reading]:
    removal = removal_by(case, fill, case.seed)
    rows = torch.arange(case.rows)
    found = [removal.scores(rows, torch.zeros_like(case.present), "probability")]
    for done, share in enumerate(SHARES, start=1):
        chosen = first(case, share)
        found.append(removal.scores(rows, case.present & ~chosen if keep else chosen, "probability"))
        after = torch.stack(found[1:], 1)
        title = "share of the units " + ("shown alone" if keep else "left out")
        curve = Curve(torch.tensor(SHARES[:done], dtype=torch.float64), after, title, "probability")
        name = "sufficiency" if keep else "comprehensiveness"
        yield Reading((found[0][:, None] - after).mean(1), done, len(SHARES), {name: curve})
