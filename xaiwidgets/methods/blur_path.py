"""Integrated gradients over scale: from a blurred image to the image itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Partial, Range, method

from .curves import Curve
from .paths import Rules, Steps, Tolerance, integral


@method(
    family="path",
    title="Blur integrated gradients",
    reference="Xu, Venugopalan, Sundararajan (2020), Attribution in Scale and Space, arXiv:2004.03383",
    needs=("gradient", "image"),
    complete=True,
)
def blur_ig(
    problem: Problem,
    *,
    sigma: Annotated[
        float, Range(0.0, 100.0, help="Width of the widest blur in pixels; 0 takes a fifth of the longer side.")
    ] = 0.0,
    steps: Steps = 64,
    tolerance: Tolerance = 0.002,
    rule: Rules = "adaptive",
) -> Iterator[Partial]:
    """The change of the score from a blurred image to the image, divided among the pixels.

    Values [batch, channels, height, width] in units of the score; they sum to score - baseline_score up to `delta`, the
    baseline being the widest blur. The path goes through all blurs in between, so no colour has to stand for absence.
    `steps`, `tolerance`, `rule` and `error` as for integrated gradients.
    """
    width = sigma or max(1.0, max(problem.points.shape[2:]) / 5)
    curves: list[Curve] = [
        Blurring(row, Spectrum.of(image.to(problem.sum_dtype)), width, problem.dtype)
        for row, image in enumerate(problem.points)
    ]
    yield from integral(problem, curves, steps, tolerance, rule, key=("blur", width))


@dataclass(frozen=True, eq=False)
class Blurring:
    """From a blur of width `sigma` to the image, the width shrinking quadratically.

    The blur is heat that spreads over the pixels and stays inside the edges for a time σ²/2: the discrete Gaussian of
    Lindeberg (1990). It stays in the image's range and never adds detail, and its derivative needs no difference: with
    A the sum of the differences to the four neighbours, dx/dσ = σ A x exactly.
    """

    row: int
    spectrum: Spectrum
    sigma: float
    dtype: torch.dtype

    def at(self, alpha: float) -> Tensor:
        return self.spectrum.blurred(self.sigma * (1 - alpha) ** 2).to(self.dtype)

    def velocity(self, alpha: float) -> Tensor:
        sigma, slope = self.sigma * (1 - alpha) ** 2, -2 * self.sigma * (1 - alpha)
        return self.spectrum.slope(sigma).mul_(slope).to(self.dtype)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An image [channels, height, width] as cosines, in which blurring is a multiplication."""

    cosines: tuple[Tensor, Tensor]  # of the rows and of the columns, orthonormal
    decay: Tensor  # [height, width] eigenvalues of -A
    content: Tensor  # [channels, height, width]

    @staticmethod
    def of(image: Tensor) -> Spectrum:
        rows, columns = (_cosines(length, image) for length in image.shape[1:])
        decay = _eigenvalues(image.shape[1], image)[:, None] + _eigenvalues(image.shape[2], image)
        return Spectrum((rows, columns), decay, rows @ image @ columns.T)

    def blurred(self, sigma: float) -> Tensor:
        return self._image(torch.exp(-(sigma**2) / 2 * self.decay))

    def slope(self, sigma: float) -> Tensor:
        """How fast the blurred image changes with sigma."""
        return self._image(-sigma * self.decay * torch.exp(-(sigma**2) / 2 * self.decay))

    def _image(self, factors: Tensor) -> Tensor:
        rows, columns = self.cosines
        return rows.T @ (self.content * factors) @ columns


def _cosines(length: int, like: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform (type 2), whose waves meet the edges level."""
    waves = torch.arange(length, dtype=torch.float64)[:, None]
    places = torch.arange(length, dtype=torch.float64)[None, :] + 0.5
    matrix = torch.cos(math.pi / length * waves * places) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like)


def _eigenvalues(length: int, like: Tensor) -> Tensor:
    return (2 - 2 * torch.cos(math.pi / length * torch.arange(length, dtype=torch.float64))).to(like)
