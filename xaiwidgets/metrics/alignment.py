"""How much a map looks like the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from .case import Case
from .forms import local_map, undefined
from .registry import Note, Reading, metric


@metric(
    family="sanity",
    title="Saliency alignment",
    reference="Etmann, Lunz, Maass, Schönlieb (2019), On the Connection Between Adversarial Robustness and Saliency Map "
    "Interpretability, arXiv:1905.04172",
    direction="none",
    range=(0.0, None),
    tells="High, the map resembles the input itself; gradients of adversarially robust models do more than others.",
    cannot="It says nothing about the model's reasons: a copy of the input resembles it best.",
)
def saliency_alignment(
    case: Case,
    *,
    relative: Annotated[bool, Note("Divide by the size of the input: the absolute cosine, from 0 to 1.")] = False,
) -> Iterator[Reading]:
    """How much of the input lies along the map: the size of the input's projection on it.

        |⟨x, g⟩| / ‖g‖₂

    in units of the input; with `relative` divided by ‖x‖₂. For the gradient of a linear score without a constant it is the
    distance from the input to where the score is 0; a constant shifts that place, and is not seen. Shares of the score are
    turned into sensitivities first (the notes say how). It depends on where the input has its zero. NaN for a map of zeros.
    """
    sensitivities, notes = local_map(case)
    g = sensitivities.flatten(1)
    x = case.problem.points.to(g).flatten(1)
    projection = (x * g).sum(1).abs() / g.norm(dim=1)
    values = (projection / x.norm(dim=1) if relative else projection).double().cpu()
    yield Reading(values, 1, 1, notes=(*notes, *undefined(values, "the map or the input is zero everywhere")))
