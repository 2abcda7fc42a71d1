"""What the tests say, in words with their numbers in them, and what each cannot tell.

"watch" marks what should make a reader doubt the map; where that begins stands in the constants below.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xaiwidgets.widgets.summary import WIDE_GAP
from xaiwidgets.widgets.words import percent

from .findings import Control, Findings, Line, Settings
from .tested import USUAL, Tested

SHARE = 0.2
"""Of the input, in the sentences about curves."""
SURVIVES = 0.5
"""A rank correlation from which a map counts as much the same."""
STILL = 0.1
"""Share of a curve's range that its ends must be apart."""
CANNOT = {
    "sum": "A map can add up and still have put everything in the wrong place.",
    "curves": "An input with parts missing is unlike anything the model has seen: some of the change may come from the gaps "
    "themselves. With another fill the order of two maps can change.",
    "random": "Doing better than chance does not say that the map is complete, or that no other map does better.",
    "edges": "A map may follow the edges because the model does; likeness alone is no fault.",
    "lengths": "Long words may matter to the model because they say more; likeness alone is no fault.",
    "randomisation": "A map that changes with the weights need not be true of them; one that does not change cannot be about "
    "what the model has learnt. Places where the input is empty are left out of the comparison.",
}


def sentences(found: Findings, tested: Tested, settings: Settings) -> list[dict[str, str]]:
    """The `sentences` of the trait, as far as there is something to say."""
    said = [_sum(tested)]
    deletion, insertion = found.curves["deletion"], found.curves["insertion"]
    if "map" in deletion and "map" in insertion:
        said.append(_curves(deletion, insertion, tested, settings))
        if "random" in deletion and "random" in insertion:
            said.append(_random(deletion, insertion))
    control = tested.subject.control
    held = found.control(control)
    if held is not None:
        said.append(_control(control, held, deletion, insertion))
    said += _randomisation(found)
    return [one for one in said if one]


def _said(test: str, text: str, *, watch: bool) -> dict[str, str]:
    return {"test": test, "level": "watch" if watch else "plain", "text": text, "cannot": CANNOT[test]}


def _sum(tested: Tested) -> dict[str, str]:
    if not tested.complete:
        text = f"{tested.method} does not promise that its values add up to the score: only their order and their signs count."
        return _said("sum", text, watch=False)
    if tested.gap is None:
        return {}
    text = f"The values add up to the change of the score from the baseline; they miss {percent(tested.gap)} of it."
    return _said("sum", text, watch=tested.gap > WIDE_GAP)


def _curves(
    deletion: dict[str, Line], insertion: dict[str, Line], tested: Tested, settings: Settings
) -> dict[str, str]:
    own, back = deletion["map"], insertion["map"]
    unit, share = tested.unit(settings), percent(SHARE)
    by = "" if settings.fill == USUAL else f" (in their place: {tested.fills[settings.fill]})"
    text = (
        f"Without the {share} that this map ranks first{by} the {unit} goes from {_number(own.y[0])} to "
        f"{_number(own.at(SHARE)[0])}{_at_random(deletion)}. With nothing but that {share} it is "
        f"{_number(back.at(SHARE)[0])}{_at_random(insertion)}."
    )
    still = abs(own.y[0] - own.y[-1]) <= STILL * float(np.ptp(own.tries) or 1.0)
    if still:
        text += f" With everything gone it is {_number(own.y[-1])}, as if nothing were: this fill is no absence to the model."
    return _said("curves", text, watch=still)


def _at_random(lines: dict[str, Line]) -> str:
    return f" (at random: {_number(lines['random'].at(SHARE).mean())})" if "random" in lines else ""


def _random(deletion: dict[str, Line], insertion: dict[str, Line]) -> dict[str, str]:
    gone, back = _beats(deletion, "deletion"), _beats(insertion, "insertion")
    verdict = {
        (True, True): "this map finds what the score hangs on better than chance, in both.",
        (True, False): "better than chance when parts are taken away, not when they are put back.",
        (False, True): "better than chance when parts are put back, not when they are taken away.",
        (False, False): "no better than chance.",
    }[gone, back]
    text = (
        f"Area under the deletion curve (smaller is better) {_areas(deletion)}; under the insertion curve (larger is better) "
        f"{_areas(insertion)}: {verdict}"
    )
    return _said("random", text, watch=not (gone and back))


def _areas(lines: dict[str, Line]) -> str:
    low, high = lines["random"].area_ends
    tries = len(lines["random"].tries)
    return f"{_number(lines['map'].areas[0])}, of {tries} random orders {_number(low)} to {_number(high)}"


def _beats(lines: dict[str, Line], kind: str) -> bool:
    low, high = lines["random"].area_ends
    own = float(lines["map"].areas[0])
    return bool(own < low if kind == "deletion" else own > high)


def _control(name: str, held: Control, deletion: dict[str, Line], insertion: dict[str, Line]) -> dict[str, str]:
    what = "the edges of the picture" if name == "edges" else "the lengths of the words"
    alike = held.rank_absolute
    text = f"Rank correlation of this map, without signs, with {what}, found without asking the model: {_rank(alike)}."
    as_good = []
    if name in deletion and name in insertion:
        areas = [(float(lines[name].areas[0]), float(lines["map"].areas[0])) for lines in (deletion, insertion)]
        (gone, own_gone), (back, own_back) = areas
        text += (
            f" In their order the areas are {_number(gone)} (deletion; this map {_number(own_gone)}) and {_number(back)} "
            f"(insertion; this map {_number(own_back)})."
        )
        as_good = [gone <= own_gone, back >= own_back]
    if any(as_good):
        tests = " and ".join(kind for kind, good in zip(("deletion", "insertion"), as_good, strict=True) if good)
        text += f" In {tests} they do no worse than this map."
    watch = any(as_good) or (alike is not None and alike >= SURVIVES)
    return _said(name, text, watch=watch)


def _randomisation(found: Findings) -> list[dict[str, str]]:
    missing = found.missing.get("randomisation")
    if missing:
        return [_said("randomisation", f"The model could not be made random: {missing}", watch=True)]
    layers = found.layers
    if layers is None or not layers.rank:
        return []
    count, total = len(layers.rank), len(layers.names)
    how = "all its layers" if layers.finished else f"the last {count} of its {total} layers"
    rank, absolute = layers.rank[-1], layers.rank_absolute[-1]
    text = (
        f"With {how} made random the model says something else, and the map keeps a rank correlation of {_rank(rank)} with "
        f"what it was ({_rank(absolute)} without signs)."
    )
    survives = layers.finished and any(math.isfinite(one) and abs(one) >= SURVIVES for one in (rank, absolute))
    if survives:
        text += " Much of it does not depend on what the model has learnt."
    return [_said("randomisation", text, watch=survives)]


def _rank(value: float | None) -> str:
    return "not defined" if value is None or not math.isfinite(value) else f"{value:.2f}".replace("-", "−")


def _number(value: Any) -> str:
    """With the digits that are looked at, and no exponent."""
    value = float(value)
    if abs(value) < 5e-5:
        return "almost 0" if value else "0"
    return (
        f"{value:.2f}"
        if 0.095 <= abs(value) < 100
        else f"{value:.4f}".rstrip("0")
        if abs(value) < 1
        else f"{value:.0f}"
    )
