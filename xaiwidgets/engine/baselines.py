"""What "absent" means: the inputs that attributions are measured from.

A baseline draws one or several alternatives [k, rows, ...] for an input [rows, ...]; results are averaged over them.
Random ones stay in the range of each row's own values and depend on their seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .errors import ParameterError, did_you_mean
from .inputs import Inputs

NAMES = ("zeros", "mean", "blur", "uniform", "gaussian", "max_distance")
_TEXT = ("mask_token", "pad_token")


@runtime_checkable
class Baseline(Protocol):
    """Anything that draws alternatives for an input."""

    def draw(self, inputs: Tensor) -> Tensor:
        """[k, rows, ...] for inputs [rows, ...]."""


BaselineLike = str | float | Tensor | Baseline | list[Any] | tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True)
class Constant:
    """The same number everywhere."""

    value: float = 0.0

    def draw(self, inputs: Tensor) -> Tensor:
        return torch.full_like(inputs, self.value).unsqueeze(0)


@dataclass(frozen=True)
class Mean:
    """Each row's own mean; of every channel separately where there are axes behind the channels."""

    def draw(self, inputs: Tensor) -> Tensor:
        axes = tuple(range(2, inputs.ndim)) if inputs.ndim > 2 else tuple(range(1, inputs.ndim))
        mean = inputs.mean(axes, keepdim=True) if axes else inputs
        return mean.expand_as(inputs).clone().unsqueeze(0)


@dataclass(frozen=True)
class Blur:
    """The input without its detail: a Gaussian blur over the spatial axes, `sigma` in pixels, edges reflected.

    `sigma=None` takes an eighth of the shorter side.
    """

    sigma: float | None = None

    def draw(self, inputs: Tensor) -> Tensor:
        if inputs.ndim < 3:
            raise ParameterError(
                "baseline_shape",
                f"A blur needs spatial axes; the input has shape {list(inputs.shape)}",
                hint='Use "zeros", "mean" or a tensor.',
            )
        sigma = self.sigma if self.sigma is not None else max(1.0, min(inputs.shape[2:]) / 8)
        blurred = inputs
        for axis in range(2, inputs.ndim):
            blurred = _blur_axis(blurred, axis, sigma)
        return blurred.unsqueeze(0)


@dataclass(frozen=True)
class Uniform:
    """Every value drawn evenly from the row's own range."""

    samples: int = 8
    seed: int = 0

    def draw(self, inputs: Tensor) -> Tensor:
        low, high = _range(inputs)
        noise = _random(inputs, self.samples, self.seed, torch.rand)
        return low + (high - low) * noise


@dataclass(frozen=True)
class Gaussian:
    """The input with noise; `sigma` is a fraction of the row's range, and the result stays in that range."""

    sigma: float = 0.5
    samples: int = 8
    seed: int = 0

    def draw(self, inputs: Tensor) -> Tensor:
        low, high = _range(inputs)
        noise = _random(inputs, self.samples, self.seed, torch.randn)
        return torch.minimum(torch.maximum(inputs + self.sigma * (high - low) * noise, low), high)


@dataclass(frozen=True)
class MaxDistance:
    """The farthest input in the row's range: every value goes to the end of the range that is farther away."""

    def draw(self, inputs: Tensor) -> Tensor:
        low, high = _range(inputs)
        return torch.where(inputs - low > high - inputs, low, high).unsqueeze(0)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows of a data set [N, ...], `samples` of them drawn without repetition."""

    data: Tensor
    samples: int = 8
    seed: int = 0

    def __repr__(self) -> str:
        return f"Dataset(data={list(self.data.shape)}, samples={self.samples}, seed={self.seed})"

    def draw(self, inputs: Tensor) -> Tensor:
        if self.data.shape[1:] != inputs.shape[1:]:
            raise ParameterError(
                "baseline_shape",
                f"The data set has rows of shape {list(self.data.shape[1:])}, the input {list(inputs.shape[1:])}",
            )
        order = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(self.seed))
        chosen = self.data[order[: self.samples].to(self.data.device)].to(inputs)
        return chosen.unsqueeze(1).expand(-1, len(inputs), *inputs.shape[1:])


_NAMED: dict[str, Baseline] = {
    "zeros": Constant(),
    "mean": Mean(),
    "blur": Blur(),
    "uniform": Uniform(),
    "gaussian": Gaussian(),
    "max_distance": MaxDistance(),
}


def resolve(baseline: Any, inputs: Inputs) -> Tensor:
    """Any way of naming a baseline as points [k, rows, ...] of the explained input.

    A list averages over its members. With several explained inputs, a dict or tuple gives each its own baseline.
    """
    if isinstance(baseline, list):
        if not baseline:
            raise ParameterError("unknown_baseline", "An empty list is not a baseline")
        return torch.cat([resolve(member, inputs) for member in baseline])
    if isinstance(baseline, Mapping):
        parts = [baseline.get(str(key), baseline.get(key, "zeros")) for key in inputs.explained]
    elif isinstance(baseline, tuple) and len(baseline) == len(inputs.explained):
        parts = list(baseline)
    else:
        parts = [baseline] * len(inputs.explained)
    drawn = [_draw(part, leaf.to(inputs.dtype)) for part, leaf in zip(parts, inputs.leaves, strict=True)]
    count = max(len(one) for one in drawn)
    if any(len(one) not in (1, count) for one in drawn):
        raise ParameterError("baseline_shape", "The inputs' baselines have different numbers of samples")
    return torch.stack([inputs.pack([one[min(k, len(one) - 1)] for one in drawn]) for k in range(count)])


def _draw(baseline: Any, leaf: Tensor) -> Tensor:
    if isinstance(baseline, str):
        baseline = _named(baseline)
    if isinstance(baseline, int | float) and not isinstance(baseline, bool):
        baseline = Constant(float(baseline))
    if isinstance(baseline, np.ndarray):
        baseline = torch.from_numpy(baseline)
    if isinstance(baseline, Tensor):
        drawn = _broadcast(baseline, leaf).unsqueeze(0)
    elif isinstance(baseline, Baseline):
        drawn = baseline.draw(leaf)
    else:
        raise ParameterError(
            "unknown_baseline",
            f"{baseline!r} is not a baseline",
            hint="Use a number, a tensor, a name, an object from xaiwidgets.baselines, or a list of these.",
        )
    if drawn.shape[1:] != leaf.shape or not len(drawn):
        raise ParameterError(
            "baseline_shape", f"The baseline has shape {list(drawn.shape)}, expected [k, {_listed(leaf)}]"
        )
    if not bool(torch.isfinite(drawn).all()):
        raise ParameterError("non_finite_baseline", "The baseline contains NaN or infinity")
    return drawn.to(leaf)


def _named(name: str) -> Baseline:
    if name in _NAMED:
        return _NAMED[name]
    if name == "dataset":
        raise ParameterError(
            "baseline_needs_data",
            'The "dataset" baseline needs the data',
            hint="Write baseline=xaiwidgets.baselines.Dataset(data, samples=8).",
        )
    if name in _TEXT:
        raise ParameterError(
            "baseline_needs_tokens",
            f"The {name!r} baseline is for token inputs, and this input is numeric",
            hint='Use "zeros" or a tensor.',
        )
    raise ParameterError(
        "unknown_baseline", f"There is no baseline {name!r}", hint=did_you_mean(name, (*NAMES, "dataset"))
    )


def _broadcast(baseline: Tensor, leaf: Tensor) -> Tensor:
    try:
        return baseline.detach().to(leaf).broadcast_to(leaf.shape)
    except RuntimeError as error:
        raise ParameterError(
            "baseline_shape",
            f"A baseline of shape {list(baseline.shape)} does not fit an input of shape {list(leaf.shape)}",
        ) from error


def _range(inputs: Tensor) -> tuple[Tensor, Tensor]:
    shape = (-1, *([1] * (inputs.ndim - 1)))
    flat = inputs.flatten(1) if inputs.ndim > 1 else inputs.unsqueeze(1)
    return flat.amin(1).reshape(shape), flat.amax(1).reshape(shape)


def _random(inputs: Tensor, samples: int, seed: int, draw: Any) -> Tensor:
    """Noise [samples, rows, ...], the same for every row: what a row gets does not depend on its neighbours."""
    generator = torch.Generator().manual_seed(seed)
    noise: Tensor = draw((samples, 1, *inputs.shape[1:]), generator=generator, dtype=torch.float64)
    return noise.to(inputs).expand(-1, len(inputs), *inputs.shape[1:])


def _blur_axis(images: Tensor, axis: int, sigma: float) -> Tensor:
    """Convolve one axis with a Gaussian cut at 4 σ; the kernel is no longer than reflection allows."""
    length = images.shape[axis]
    radius = min(int(4 * sigma + 0.5), length - 1)
    if radius < 1 or sigma <= 0:
        return images
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(images)
    rows = images.movedim(axis, -1)
    padded = functional.pad(rows.reshape(-1, 1, length), (radius, radius), mode="reflect")
    return functional.conv1d(padded, kernel.reshape(1, 1, -1)).reshape(rows.shape).movedim(-1, axis)


def _listed(leaf: Tensor) -> str:
    return ", ".join(map(str, leaf.shape))
