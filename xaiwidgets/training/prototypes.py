"""Examples that stand for all the others, and those that these fail to stand for (MMD-critic)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError

BLOCK = 64 * 2**20  # bytes of kernel values at a time: all of them at once would be N × N
SAMPLED = 500  # examples whose distances set the width of the kernel


@dataclass(frozen=True, eq=False)
class Prototypes:
    """positions of prototypes and of criticisms, in the order of choice.

    discrepancy   [prototypes] squared maximum mean discrepancy between the data and the prototypes so far
    gamma         of the kernel exp(−gamma · squared distance)
    """

    prototypes: Tensor
    criticisms: Tensor
    discrepancy: Tensor
    gamma: float


def prototypes(
    features: Tensor, count: int, *, criticisms: int = 0, gamma: float | None = None, seed: int = 0
) -> Prototypes:
    """Choose `count` prototypes and then some criticisms among rows of numbers [N, ...]: of inputs, or of a layer.

    Prototypes: one after the other, the example that brings the chosen ones' distribution closest to that of all.
    Criticisms: where the two differ most, far from each other (the determinant of their kernel). Greedy, as by Kim,
    Khanna & Koyejo 2016, Examples are not enough, learn to criticize! Memory grows with N · (prototypes + criticisms).

    gamma   of the kernel; None: one over the median squared distance of examples drawn with `seed`

    Raises ParameterError for more than there are, or a kernel without width.
    """
    rows = torch.as_tensor(features).flatten(1).float()
    if not (count > 0 and criticisms >= 0 and count + criticisms <= len(rows)):
        raise ParameterError(
            "parameter_range", f"{count} prototypes and {criticisms} criticisms of {len(rows)} examples"
        )
    gamma = _gamma(rows, seed) if gamma is None else gamma
    if not gamma > 0:
        raise ParameterError("parameter_range", f"gamma={gamma:g} is out of range", hint="Allowed: above 0.")
    near = _mean_kernel(rows, gamma)
    everything = float(near.mean())
    to_chosen = torch.zeros(len(rows), dtype=torch.float64)
    chosen: list[int] = []
    gaps: list[float] = []
    for size in range(1, count + 1):
        inner, outer = float(to_chosen[chosen].sum()), float(near[chosen].sum())
        closer = 2 * (outer + near) / size - (inner + 2 * to_chosen + 1) / size**2
        closer[chosen] = -torch.inf
        chosen.append(int(closer.argmax()))
        gaps.append(everything - float(closer[chosen[-1]]))
        to_chosen += _kernel(rows[chosen[-1] :][:1], rows, gamma)[0].double()
    found = torch.tensor(chosen)
    unlike = (near - to_chosen / count).abs()
    return Prototypes(found, _criticisms(rows, unlike, found, criticisms, gamma), torch.tensor(gaps), gamma)


def _criticisms(rows: Tensor, unlike: Tensor, taken: Tensor, count: int, gamma: float) -> Tensor:
    """Largest sum of what is unlike plus log-determinant of the kernel; each adds the log of what the others leave of it."""
    left = torch.ones(len(rows), dtype=torch.float64)
    factors = torch.zeros(0, len(rows), dtype=torch.float64)
    free = torch.ones(len(rows), dtype=torch.bool)
    free[taken] = False
    chosen: list[int] = []
    for _ in range(count):
        gain = torch.where(free, unlike + left.clamp(min=1e-12).log(), -torch.inf)
        one = int(gain.argmax())
        chosen.append(one)
        free[one] = False
        row = _kernel(rows[one : one + 1], rows, gamma)[0].double() - factors[:, one] @ factors
        factors = torch.cat([factors, (row / left[one].clamp(min=1e-12).sqrt())[None]])
        left = left - factors[-1].square()
    return torch.tensor(chosen, dtype=torch.int64)


def _kernel(some: Tensor, rows: Tensor, gamma: float) -> Tensor:
    distances = torch.cdist(some, rows, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.square().mul_(-gamma).exp_()


def _mean_kernel(rows: Tensor, gamma: float) -> Tensor:
    """[N] of each example to all."""
    step = max(1, BLOCK // (4 * len(rows)))
    return torch.cat([_kernel(part, rows, gamma).double().mean(1) for part in rows.split(step)])


def _gamma(rows: Tensor, seed: int) -> float:
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:SAMPLED]
    return 1 / max(float(torch.pdist(rows[drawn]).square().median()), 1e-30) if len(rows) > 1 else 1.0
