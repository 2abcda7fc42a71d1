"""Values and masks of any usual shape, as tensors that fit the points of a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem


def values_of(problem: Problem, values: Any) -> Tensor:
    """Values as a tensor [rows, ...] that broadcasts to the points (behind its own axes), where the model is."""
    found = _fitting(problem, values, "Values")
    found = found if found.is_floating_point() else found.to(problem.dtype)
    if found.shape[0] != problem.rows:
        raise InputError(
            "values_shape",
            f"{found.shape[0]} rows of values for {problem.rows} rows of inputs",
            hint="Give one for each.",
        )
    if not bool(torch.isfinite(found).all()):
        raise InputError(
            "non_finite_values", "The values contain NaN or infinity", hint="Nothing can be ranked by them."
        )
    return found


def mask_of(problem: Problem, mask: Any) -> Tensor:
    """Where the object is: bool [1 or rows, ...], broadcastable to the points."""
    found = _fitting(problem, mask, "A mask")
    found = found.reshape(*found.shape, *[1] * (problem.points.ndim - found.ndim))
    if found.shape[0] not in (1, problem.rows):
        raise InputError("mask_shape", f"{found.shape[0]} masks for {problem.rows} rows", hint="Give one for each.")
    return found != 0


def _fitting(problem: Problem, given: Any, what: str) -> Tensor:
    points = problem.points
    if isinstance(given, Mapping):
        given = tuple(given[key] for key in map(str, problem.inputs.explained))
    if isinstance(given, tuple):
        leaves = [torch.as_tensor(leaf).to(points.device) for leaf in given]
        given = problem.inputs.pack(leaves) if problem.inputs.several else leaves[0]
    try:
        values: Tensor = (given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))).detach()
    except (TypeError, ValueError) as error:
        raise InputError(
            "values_shape", f"A {type(given).__name__} holds no numbers for an input", str(error), "Pass a tensor."
        ) from error
    values = values.to(points.device)
    if values.ndim == points.ndim - 1 >= 3 and values.shape[1:] == points.shape[2:]:
        values = values.unsqueeze(1)  # one map for all channels
    wide = (*values.shape[1:], *[1] * (points.ndim - values.ndim))
    fits = values.ndim >= 1 and len(wide) == points.ndim - 1
    if not fits or any(one not in (1, size) for one, size in zip(wide, points.shape[1:], strict=True)):
        raise InputError(
            "values_shape",
            f"{what} of shape {list(values.shape)} do not fit an input of shape {list(points.shape)}",
            hint="Give them like the input; axes of size one are shared.",
        )
    return values
