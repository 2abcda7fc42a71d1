"""Does the explanation change with what the model has learned? Maps of the model beside maps of a model that knows less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.suffix import SuffixProblem

from .case import Case
from .likeness import Mask, likeness, places_of
from .registry import Note, Range, Reading, metric
from .reinitialise import Kind, layers_of, reinitialised, stages
from .result import Curve

Masked = Annotated[
    Mask, Note('Where maps are compared: "auto" leaves out constant background, which would flatter; "none" does not.')
]
KEPT = 64 * 2**20
"""Bytes of randomised models' maps that a result carries; beyond, only the last one."""


@dataclass(frozen=True, eq=False)
class LayerStep:
    """The map of a model of which one more layer was drawn anew, beside the map of the model itself.

    name     of the layer; of the last one where a step draws several, `layers` has all
    values   [rows, ...] the method's map of the changed model
    rank, rank_absolute, ssim, hog   [rows] how alike it is, see `likeness`; the last two are None but for images
    output   [rows] how far the model's output moved: |new - old| / (|new| + |old|), 0 for not at all, at most 1
    """

    name: str
    layers: tuple[str, ...]
    done: int
    total: int
    values: Tensor
    rank: Tensor
    rank_absolute: Tensor
    output: Tensor
    ssim: Tensor | None = None
    hog: Tensor | None = None
    names: tuple[str, ...] = field(default=())  # of all steps, in their order


def randomising(
    case: Case, *, kind: Kind = "cascading", mask: Mask = "auto", steps: int | None = None
) -> Iterator[LayerStep]:
    """The method's maps while the model forgets, layer by layer; see `reinitialised` for kind and steps. The seed is the case's."""
    question = whole(case.problem)
    layers = layers_of(question)
    names = tuple(layers[places[-1]].name for places in stages(layers, kind, steps))
    places, before = places_of(case, mask), case.shared("outputs at the inputs", case.outputs)
    for step in reinitialised(question, kind=kind, seed=case.seed, steps=steps):
        asked = case.asked_of(step.module)
        values = case.explain(asked)
        moved = case.shared(("output moved", kind, case.seed, steps, step.done), partial(_moved, before, asked))
        yield LayerStep(
            step.name, step.layers, step.done, step.total, values,
            output=moved, names=names, **likeness(case, case.values, values, places),
        )  # fmt: skip


@metric(
    family="sanity",
    title="Model randomisation",
    reference="Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim (2018), Sanity Checks for Saliency Maps, arXiv:1810.03292",
    direction="lower",
    asks=("method", "module"),
    range=(0, 1),
    tells="Near 0, the map changes when the model forgets what it learned: it depends on the weights.",
    cannot="It cannot tell whether the map is right: noise passes as well, and a map of a model whose untrained layers already "
    "do much may rightly stay the same.",
)
def model_randomisation(
    case: Case,
    *,
    kind: Annotated[
        Kind,
        Note('"cascading" from the output down, "bottom_up" from the input up, "independent" one layer at a time.'),
    ] = "cascading",
    steps: Annotated[
        int, Range(1, 256, log=True, help="Steps at most; deeper models draw several neighbouring layers in one.")
    ] = 16,
    mask: Masked = "auto",
) -> Iterator[Reading]:
    """How alike the map stays while the model's layers are drawn anew: the mean rank correlation over the steps.

    mean over steps of max(0, ρ(map of the model, map of the model with the layers so far drawn anew)), ρ Spearman's correlation
    with signs, over units that are not constant background; a map that is turned round is no better than one that has nothing
    in common with the first. Layers come in the order of a forward pass; `reset_parameters` draws
    them where there is one (running statistics of normalisations start again as well), else a normal distribution with the
    parameter's own mean and spread. The copy forgets; the user's model is not written to.
    Curves over layers: "rank", "rank_absolute" (of sizes: what many papers report, higher where zeros are shared), "ssim" and
    "hog" of images, "output" (how far the model's output moved, 0 to 1). Maps by the layers' names.
    Adebayo et al. (2018), arXiv:1810.03292. Range 0 to 1. Lower is more sensitive to the weights.
    """
    found: list[LayerStep] = []
    maps: dict[str, Tensor] = {}
    for step in randomising(case, kind=kind, mask=mask, steps=steps):
        found.append(step)
        small = step.values.detach().float().cpu()
        small = small.sum(1, keepdim=True) if case.problem.points.ndim == 4 else small
        maps = {**maps, step.name: small} if small.nbytes * step.total <= KEPT else {step.name: small}
        curves = _curves(found, case.rows)
        yield Reading(
            curves["rank"].values.clamp(min=0).nanmean(1),
            step.done,
            step.total,
            curves=curves,
            maps=dict(maps),
            notes=_undefined(found),
        )


@metric(
    family="sanity",
    title="Data randomisation",
    reference="Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim (2018), Sanity Checks for Saliency Maps, arXiv:1810.03292",
    direction="lower",
    asks=("method", "module", "model_trained_otherwise"),
    range=(-1, 1),
    tells="Near 0 or below, the map depends on the relation of inputs and labels that the model has learned.",
    cannot="It cannot tell whether the map is right, nor anything if the other model learned features that are alike.",
)
def data_randomisation(
    case: Case,
    *,
    other: Annotated[
        nn.Module | None, Note("A model of the same shape, trained on labels in random order.", kind="layer")
    ] = None,
    mask: Masked = "auto",
) -> Iterator[Reading]:
    """How alike the map is to that of a model trained on random labels: their rank correlation.

    ρ(map of the model, map of `other`), Spearman's correlation with signs, over units that are not constant background.
    Adebayo et al. (2018), arXiv:1810.03292. Range -1 to 1. Lower is more sensitive to what was learned.
    """
    if not isinstance(other, nn.Module):
        raise ParameterError(
            "no_other_model",
            "Data randomisation compares with a model trained on random labels, and none was passed",
            hint='metrics={"data_randomisation": {"other": that_model}}.',
        )
    values = case.explain(case.asked_of(other))
    alike = likeness(case, case.values, values, places_of(case, mask))
    notes = ("Undefined where a map is the same everywhere.",) if bool(alike["rank"].isnan().any()) else ()
    yield Reading(alike["rank"], 1, 1, maps={"trained on random labels": values}, notes=notes)


@metric(
    family="sanity",
    title="Random class",
    reference="Sixt, Granz, Landgraf (2020), When Explanations Lie: Why Many Modified BP Attributions Fail, arXiv:1912.09818",
    direction="lower",
    asks=("method",),
    range=(-1, 1),
    tells="Near 0 or below, the map says why this class and not just that something is there.",
    cannot="It cannot tell whether the map is right; for classes that really share their evidence it may rightly be high.",
)
def random_logit(
    case: Case,
    *,
    classes: Annotated[int, Range(1, 64, log=True, help="Other classes to compare with, drawn for each row.")] = 3,
    mask: Masked = "auto",
) -> Iterator[Reading]:
    """How alike the map is to those of other classes: the mean rank correlation with maps of classes drawn at random.

    mean over classes c ≠ target of ρ(map of the target, map of c), Spearman's correlation with signs, over units that are not
    constant background. The target must be one class a row.
    Sixt et al. (2020), arXiv:1912.09818. Range -1 to 1. Lower is more specific to the class.
    """
    drawn = _other_classes(case, classes)
    places = places_of(case, mask)
    found: list[Tensor] = []
    for column in drawn.unbind(1):
        values = case.explain(case.asking(column))
        found.append(likeness(case, case.values, values, places)["rank"])
        alike = torch.stack(found)
        notes = ("Undefined where a map is the same everywhere.",) if bool(alike.isnan().any()) else ()
        yield Reading(alike.nanmean(0), len(found), drawn.shape[1], maps={"another class": values}, notes=notes)


def whole(problem: Problem) -> Problem:
    """The question at the model's own inputs, where it is asked at a layer."""
    return problem.whole if isinstance(problem, SuffixProblem) else problem


def _moved(before: Tensor, asked: Problem) -> Tensor:
    """[rows] |new - old| / (|new| + |old|) of the outputs, 0 where both are zero."""
    old, new = (output.double().cpu().flatten(1) for output in (before, asked.outputs()))
    size: Tensor = old.norm(dim=1) + new.norm(dim=1)
    distance: Tensor = (new - old).norm(dim=1)
    return distance / size.masked_fill(size == 0, 1)


def _curves(steps: list[LayerStep], rows: int) -> Mapping[str, Curve]:
    """One curve a measure over all steps there will be, NaN where they are still to come."""
    names = steps[-1].names
    titles = {
        "rank": "rank correlation with the model's map",
        "rank_absolute": "rank correlation of sizes",
        "ssim": "structural similarity",
        "hog": "likeness of gradient directions",
        "output": "how far the output moved",
    }
    curves = {}
    for name, title in titles.items():
        columns = [getattr(step, name) for step in steps]
        if columns[0] is None:
            continue
        values = torch.full((rows, len(names)), torch.nan, dtype=torch.float64)
        values[:, : len(columns)] = torch.stack(columns, dim=1)
        curves[name] = Curve(
            torch.arange(len(names), dtype=torch.float64), values, "layers drawn anew", title, labels=names
        )
    return curves


def _undefined(steps: list[LayerStep]) -> tuple[str, ...]:
    names = [step.name for step in steps if bool(step.rank.isnan().any())]
    return (f"Undefined for some rows, whose map is the same everywhere: {', '.join(names)}.",) if names else ()


def _other_classes(case: Case, count: int) -> Tensor:
    """[rows, count] classes that are not the target, no two alike."""
    scorer = case.problem.scorers[0]
    outputs = case.shared("outputs at the inputs", case.outputs)
    if scorer.function is not None or len(scorer.terms) != 1 or scorer.terms[0][1] is None or outputs.ndim != 2:
        raise ParameterError(
            "no_other_class",
            "The random class test needs a model with several classes and one of them as target",
            f"The output has shape {list(outputs.shape)}.",
            "Pass target= an integer, or one for each row; for two classes compare with the other one by hand.",
        )
    own = scorer.terms[0][1].expand(case.rows, 1)
    if outputs.shape[1] < 2:
        raise ParameterError("no_other_class", "The model has only one output", hint="Leave this metric out.")
    rows = []
    for row in range(case.rows):
        order = torch.randperm(outputs.shape[1], generator=case.generator(row, "classes"))
        rows.append(order[order != own[row]][:count])
    return torch.stack(rows)
