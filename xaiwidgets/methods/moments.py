"""Mean, variance and their standard errors in one pass over a stream of maps."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Central moments without the cancellation of E[x²] - E[x]² (Welford 1962; Pébay 2008 for orders 3 and 4)."""

    def __init__(self, order: int = 2) -> None:
        self.order = order
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = self.cubes = self.fourths = torch.zeros(())  # sums of powers of the distance from the mean

    def add(self, value: Tensor) -> None:
        self.count += 1
        n = self.count
        difference = value - self.mean
        step = difference / n
        squared = difference * step * (n - 1)
        if self.order == 4:
            self.fourths = (
                self.fourths
                + squared * step**2 * (n * n - 3 * n + 3)
                + 6 * step**2 * self.squares
                - 4 * step * self.cubes
            )
            self.cubes = self.cubes + squared * step * (n - 2) - 3 * step * self.squares
        self.mean = self.mean + step
        self.squares = self.squares + squared

    def variance(self) -> Tensor:
        """Unbiased variance of the values added; needs two of them."""
        return self.squares / (self.count - 1)

    def error_of_mean(self) -> float | None:
        """Standard errors of the mean, summed and relative to its summed size, of the worst row; None before two."""
        if self.count < 2:
            return None
        return _relative((self.variance() / self.count).sqrt(), self.mean)

    def error_of_variance(self) -> float | None:
        """The same of the variance, from the fourth moment; None before four values."""
        n = self.count
        if n < 4:
            return None
        variance = self.variance()
        of_variance = (self.fourths / n - variance**2 * (n - 3) / (n - 1)) / n
        return _relative(of_variance.clamp(min=0).sqrt(), variance)


def _relative(errors: Tensor, values: Tensor) -> float:
    summed, sizes = (one.abs().flatten(1).sum(1) for one in (errors, values))
    return float(torch.where(summed > 0, summed / sizes, 0.0).max())
