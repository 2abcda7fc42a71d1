"""Does the explanation change with what changes nothing? The same function of shifted inputs beside the function itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.errors import InputError, ModelError
from xaiwidgets.engine.inputs import Key, require_differentiable
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.suffix import SuffixProblem

from .case import Case
from .registry import Note, Reading, metric
from .reinitialise import copied


@metric(
    family="sanity",
    title="Input invariance",
    reference="Kindermans, Hooker, Adebayo, Alber, Schütt, Dähne, Erhan, Kim (2017), The (Un)reliability of Saliency Methods, "
    "arXiv:1711.00867",
    direction="lower",
    asks=("method", "module"),
    range=(0, None),
    tells="At 0, a shift of the inputs that the model takes back leaves the map as it was.",
    cannot="It cannot tell whether the map is right; a baseline at zero moves against shifted inputs, which is then what is seen.",
)
def input_invariance(
    case: Case,
    *,
    shift: Annotated[
        float, Note("What is added to every value of the input, in its own units, and taken off again.", kind="number")
    ] = 1.0,
) -> Iterator[Reading]:
    """How much the map changes when the inputs are shifted and the model takes the shift back, relative to the map.

    |Φ(g, x + s) - Φ(f, x)| / |Φ(f, x)| in the L2 norm, where g(z) = f(z - s) is the same function of shifted inputs. g is a copy
    of the model that subtracts s before anything else, which is exact where a changed bias is not (padding).
    Kindermans et al. (2017), arXiv:1711.00867. Range 0 to ∞. Lower is better: nothing that the model does has changed.
    """
    values = case.explain(shifted(case, shift))
    own, other = (map_.detach().cpu().double().flatten(1) for map_ in (case.values, values))
    change, size = (other - own).norm(dim=1), own.norm(dim=1)
    found = torch.where(size > 0, change / size.masked_fill(size == 0, 1), torch.nan)
    notes = ("Undefined where the map is zero.",) if bool(found.isnan().any()) else ()
    yield Reading(found, 1, 1, maps={"shifted": values}, notes=notes)


def shifted(case: Case, shift: float) -> Problem:
    """The same question about inputs that are larger by `shift`, to a copy of the model that subtracts it first.

    Raises InputError for texts and whole numbers, which cannot be shifted, and ModelError for functions.
    """
    problem = case.problem
    if isinstance(problem, SuffixProblem):
        raise InputError(
            "not_shifted",
            "Token numbers cannot be shifted, and their vectors are the model's own",
            hint="Input invariance is of images, series and features.",
        )
    require_differentiable(problem.inputs, "Input invariance")
    if not isinstance(problem.call, nn.Module):
        raise ModelError(
            "model_is_a_function",
            "A function that is called instead of the model cannot be given shifted inputs",
            hint="Pass the torch module itself, without forward=.",
        )
    twin = copied(problem.module)
    twin.register_forward_pre_hook(_Back(problem.inputs.explained, shift), prepend=True, with_kwargs=True)
    return case.asked_of(twin).with_points(problem.points + shift)


class _Back:
    """Takes the shift off the explained inputs again, before the model gets them."""

    def __init__(self, explained: tuple[Key, ...], shift: float) -> None:
        self.explained, self.shift = explained, shift

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        back = (self._less(at, value) for at, value in enumerate(args))
        return tuple(back), {name: self._less(name, value) for name, value in kwargs.items()}

    def _less(self, key: Key, value: Any) -> Any:
        return value - self.shift if key in self.explained and isinstance(value, Tensor) else value
