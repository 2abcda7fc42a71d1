"""Whether a map is the model's or the setting's: the same question with one parameter of the method changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import NAMES
from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.registry import Parameter

from .agreement import spearman, ssim
from .case import Case
from .fills import Fill, Measures, fill_names
from .forms import impossible, undefined
from .registry import Note, Range, Reading, metric
from .removal import area, removal_walk
from .result import Curve

KINDS = ("range", "baseline", "seed", "choice", "switch")  # that can be varied, the first to be looked for first
NOT_HYPER = ("tolerance", "steps")  # how exactly an answer is computed is no setting of the question


@metric(
    family="stability",
    title="Sensitivity to a hyperparameter",
    reference="Bansal, Agarwal, Nguyen (2020), SAM: The Sensitivity of Attribution Methods to Hyperparameters, "
    "arXiv:2003.08754",
    direction="higher",
    asks=("method",),
    range=(-1.0, 1.0),
    tells="Near 1, the map is the same whatever the setting.",
    cannot="Only one parameter and a few settings of it are tried; a map that never changes need not be right.",
)
def sam(
    case: Case,
    *,
    parameter: Annotated[
        Literal["auto"] | str,  # noqa: PYI051 - a choice that takes names, too
        Note("Which parameter of the method to change; auto: the first that can be."),
    ] = "auto",
    settings: Annotated[int, Range(2, 32, help="How many settings, the present one among them.")] = 5,
    spread: Annotated[
        float,
        Range(1.1, 100.0, log=True, help="Numbers go from the present one divided by this to it multiplied by this."),
    ] = 2.0,
    similarity: Annotated[
        Literal["rank", "ssim"], Note("Rank correlation of the units, or structural similarity of images.")
    ] = "rank",
    deletion: Annotated[
        bool, Note("Also how the area under the deletion curve varies; it costs forward passes.")
    ] = True,
    fill: Fill = "auto",
    measure: Measures = "probability",
) -> Iterator[Reading]:
    """How alike a method's maps are when one of its parameters is set otherwise: the mean over all pairs of settings.

        mean_{i < j} sim(Φ_i(x), Φ_j(x))

    with Spearman's rank correlation, or SSIM of the maps summed over channels (images). Settings of numbers are spread
    evenly by ratio around the present one; seeds follow each other; of choices, and of the baselines that fit the input, the
    first `settings` are tried. The curve `deletion` has the area under the deletion curve for every setting, the notes its
    standard deviation; the maps are there by setting. NaN for methods without a parameter that could be changed, and where
    all settings are the same.
    """
    chosen = _parameter(case, parameter)
    if chosen is None:
        yield impossible(case, "the method has no parameter that could be set otherwise")
        return
    if similarity == "ssim" and case.problem.points.ndim != 4:
        raise ParameterError("not_an_image", "SSIM compares images", hint='Use similarity="rank".')
    known = _names(case, chosen)
    values = _settings(chosen, case.parameters.get(chosen.name, chosen.default), settings, spread, known)
    if len(values) < 2:
        yield impossible(
            case, f"there is no other setting of {chosen.name} to compare with, a larger spread= may have one"
        )
        return
    labels = tuple(
        f"{chosen.name}={value:.3g}" if isinstance(value, float) else f"{chosen.name}={value}" for value in values
    )
    maps: list[Tensor] = []
    areas: list[Tensor] = []
    alike: list[Tensor] = []
    for value in values:
        maps.append(case.explain(**{chosen.name: value}))
        alike += [_similarity(case, one, maps[-1], similarity) for one in maps[:-1]]
        if deletion:
            *_, walk = removal_walk(case, case.order(values=maps[-1]), fill=fill, measure=measure, steps=17)
            areas.append(area(walk)[0])
        if alike:
            mean = torch.stack(alike).nanmean(0)
            curve, notes = _of_areas(chosen.name, labels, areas)
            named = dict(zip(labels, maps, strict=False))
            yield Reading(mean, len(maps), len(values), curve, named, (*undefined(mean, "a map is constant"), *notes))


def _of_areas(name: str, labels: tuple[str, ...], areas: list[Tensor]) -> tuple[dict[str, Curve], tuple[str, ...]]:
    """The areas under the deletion curve by setting, and how much they vary."""
    if not areas:
        return {}, ()
    y = torch.stack(areas, dim=1)
    x = torch.arange(y.shape[1], dtype=torch.float64)
    deviation = float(y.std(dim=1).mean())
    note = f"The area under the deletion curve varies by {deviation:.3g} (standard deviation over settings)."
    return {"deletion": Curve(x, y, name, "area under the deletion curve", labels=labels)}, (note,)


def _parameter(case: Case, name: str) -> Parameter | None:
    """The parameter of the method to change; None where "auto" finds none."""
    if case.method is None:
        return None
    known = {one.name: one for one in case.method.parameters if one.kind in KINDS and one.default is not None}
    if name == "auto":
        # A number that is 0 often stands for a default of its own, and has nothing around it.
        numbers = {
            name for name, one in known.items() if one.kind == "range" and not case.parameters.get(name, one.default)
        }
        able = [one for name, one in known.items() if name not in numbers and name not in NOT_HYPER]
        return min(able, key=lambda one: KINDS.index(one.kind), default=None)
    if name not in known:
        raise ParameterError(
            "unknown_parameter",
            f"{case.method.name} has no parameter {name!r} that could be changed",
            hint=did_you_mean(name, known),
        )
    return known[name]


def _names(case: Case, parameter: Parameter) -> tuple[Any, ...]:
    """What could be chosen where there is a choice; a blur only where there are places to blur."""
    if parameter.kind == "baseline":
        return NAMES if "blur" in fill_names(case) else tuple(name for name in NAMES if name != "blur")
    return (False, True) if parameter.kind == "switch" else parameter.choices or ()


def _settings(parameter: Parameter, present: Any, count: int, spread: float, known: tuple[Any, ...] = ()) -> list[Any]:
    """At most `count` different values in their order, the present one among them."""
    if parameter.kind == "range":
        return _numbers(parameter, float(present), count, spread)
    if parameter.kind == "seed":
        return [int(present) + step for step in range(count)]
    is_known = isinstance(present, str | bool) and present in known
    others = [value for value in known if not (is_known and value == present)]
    return [present, *others][:count]


def _numbers(parameter: Parameter, present: float, count: int, spread: float) -> list[Any]:
    """By ratio around the present value; evenly over the whole range where that is zero."""
    low, high = parameter.low or 0.0, parameter.high or 1.0
    if present > 0:
        exponents = torch.linspace(-1, 1, count, dtype=torch.float64)
        middle = exponents.abs().argmin()
        exponents[middle] = 0.0  # of an even number of settings, none lies in the middle by itself
        numbers = (present * spread**exponents).clamp(low, high).tolist()
    else:
        numbers = torch.linspace(low, high, count, dtype=torch.float64).tolist()
    values = {round(number) if parameter.integer else number for number in numbers}
    return sorted(values - {0} if present else values)  # rounded to 0, a number may stand for a default of its own


def _similarity(case: Case, one: Tensor, two: Tensor, name: str) -> Tensor:
    if name == "rank":
        return spearman(case.importance(one), case.importance(two))
    return ssim(one.sum(1), two.sum(1))
