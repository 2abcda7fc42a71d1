"""Whether recorded gradients are all there: their weighted sum against one ordinary backward pass.

An operation that nothing can see (a custom autograd function, a scripted module) leaves a gradient out, and a loss that
depends on other rows makes it wrong; both show in the sum, in which every row has another weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .factors import Gradients
from .layouts import weights_of

TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-3}
LOW_PRECISION = 0.1
ACCELERATED = 10
"""Devices multiply with fewer digits (TF32), and not in the same order twice."""


def unaccounted(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    parameters: Mapping[str, nn.Parameter],
    batch: tuple[Any, Tensor],
    gradients: Gradients,
) -> list[str]:
    """The parameters whose gradients do not add up."""
    weights = weights_of(gradients.rows, gradients.losses)
    with trained(parameters.values()):
        losses = loss(model(batch[0]), batch[1])
        if not losses.requires_grad:
            return []
        total = torch.autograd.grad(
            (weights.to(losses.dtype) * losses).sum(), list(parameters.values()), allow_unused=True
        )
    expected = dict(zip(parameters, total, strict=True))
    scale = max((float(one.double().norm()) for one in expected.values() if one is not None), default=0.0)
    found = gradients.total(weights)
    wrong = []
    for name, one in expected.items():
        difference = found[name].double() if one is None else found[name].double() - one.double()
        size = 0.0 if one is None else float(one.double().norm())
        tolerance = TOLERANCE.get(parameters[name].dtype, LOW_PRECISION)
        if found[name].device.type != "cpu":
            tolerance *= ACCELERATED
        if not float(difference.norm()) <= tolerance * (size + 0.01 * scale):
            wrong.append(name)
    return wrong


@contextmanager
def trained(parameters: Any) -> Iterator[None]:
    """Parameters that want gradients, for a while."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
