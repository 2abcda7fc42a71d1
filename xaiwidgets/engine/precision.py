"""Half the precision for more speed, on request only, and what it costs in accuracy.

Under torch's autocast, convolutions and matrix products work with bfloat16 while weights, sums, scores and attributions stay
as they are. It pays where the hardware multiplies bfloat16: GPUs since Ampere, CPUs with AVX-512 BF16 or AMX. On others it
takes twenty times as long, and it is never what an explanation should rest on without its error being known: hence `gradient_error`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from .problem import Problem

Precision = Literal["full", "bfloat16"]


@contextmanager
def lowered(precision: Precision, device: torch.device) -> Iterator[None]:
    """Around a forward pass; what is differentiated afterwards goes back the way it came."""
    if precision == "full":
        yield
        return
    # Without the cache, which would keep copies of weights that the next chunk may find changed.
    with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
        yield


def gradient_error(full: Problem, low: Problem) -> float:
    """Relative L1 distance of the first row's input gradient in `low`, the same question, from the one in `full`.

    Infinite where the full gradient is zero and the other is not.
    """
    row = torch.zeros(1, dtype=torch.long, device=full.device)
    exact, found = (one.gradients(one.points[:1], row)[0].double() for one in (full, low))
    distance, size = float((found - exact).abs().sum()), float(exact.abs().sum())
    if size == 0:
        return 0.0 if distance == 0 else float("inf")
    return distance / size
