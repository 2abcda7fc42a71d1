"""What a metric answers: a number that still knows the rows, curves and costs it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True, eq=False)
class Curve:
    """Something measured at several places.

    x        [k] ascending: shares taken away, numbers of layers, ...
    values   [rows, k] float64; NaN where a row has none
    labels   names of the places, of all there will be; empty where x says it
    spread   [tries, k] other tries with one row, what the band is then made of; None where there was one try
    """

    x: Tensor
    values: Tensor
    x_title: str = ""
    y_title: str = ""
    spread: Tensor | None = None
    labels: tuple[str, ...] = ()

    @property
    def mean(self) -> Tensor:
        """[k] over the rows that have a value."""
        return self.values.nanmean(0)

    def band(self) -> tuple[Tensor, Tensor]:
        """Low and high [k], 95 %: of the tries where there were several, else of the mean over rows by bootstrap.

        Both are the curve itself where there is only one row and one try.
        """
        if self.spread is not None and len(self.spread) > 1:
            return _quantiles(self.spread)
        return bootstrap(self.values)

    def area(self) -> Tensor:
        """[rows] under the curve by the trapezoid rule, divided by its length: the mean height."""
        length = float(self.x[-1] - self.x[0])
        if length == 0:
            return self.values.mean(1)
        return torch.trapezoid(self.values, self.x.to(self.values), dim=1) / length


class Result(float):
    """The answer of one metric about one attribution: the mean over the rows that have a value.

    values        [rows] float64, NaN where undefined (the notes say why)
    interval      (low, high) of the mean over rows, 95 %, by a seeded bootstrap; None for fewer than two rows
    direction     whether "higher" or "lower" speaks for the explanation, or "none"
    curves, maps  by name, what was measured on the way
    evaluations   rows evaluated by the model for it: {"forward": int, "gradient": int}
    progress      (done, total); `final` once there is no better one to come
    error         what went wrong instead, None where nothing did; the number is then NaN
    """

    values: Tensor

    def __new__(cls, values: Tensor, *, error: Exception | None = None, **_: Any) -> Self:
        known = error is None and len(values) > 0
        return super().__new__(cls, float(values.detach().cpu().double().nanmean()) if known else float("nan"))

    def __init__(
        self,
        values: Tensor,
        *,
        metric: str,
        direction: str = "none",
        parameters: Mapping[str, Any] | None = None,
        curves: Mapping[str, Curve] | None = None,
        maps: Mapping[str, Tensor] | None = None,
        evaluations: Mapping[str, int] | None = None,
        seconds: float = 0.0,
        notes: tuple[str, ...] = (),
        progress: tuple[int, int] = (1, 1),
        final: bool = True,
        error: Exception | None = None,
    ) -> None:
        self.metric = metric
        self.values = values.detach().cpu().double()
        self.direction = direction
        self.parameters = dict(parameters or {})
        self.curves = dict(curves or {})
        self.maps = dict(maps or {})
        self.evaluations = dict(evaluations or {})
        self.seconds = seconds
        self.notes = notes
        self.progress = progress
        self.final = final
        self.error = error

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % of the means over rows drawn again with repetition."""
        known = self.values[~self.values.isnan()]
        if len(known) < 2:
            return None
        low, high = bootstrap(known[:, None])
        return float(low), float(high)

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Result({self.metric}: {self.error})"
        spread = "" if self.interval is None else f", 95 % {self.interval[0]:.4g} to {self.interval[1]:.4g}"
        return f"Result({self.metric}={float(self):.4g}{spread}, {len(self.values)} rows)"

    __hash__ = float.__hash__

    def __reduce__(self) -> Any:
        return _restored, (self.values, {name: value for name, value in vars(self).items() if name in _KEPT})


_KEPT = (
    "metric", "direction", "parameters", "curves", "maps", "evaluations", "seconds", "notes", "progress", "final", "error",
)  # fmt: skip


def _restored(values: Tensor, rest: dict[str, Any]) -> Result:
    return Result(values, **rest)


def bootstrap(values: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high [...] of the mean over the first axis of [rows, ...], 95 %; rows are drawn again, always in the same way."""
    if len(values) < 2:
        mean = values.nanmean(0)
        return mean, mean
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randint(len(values), (RESAMPLES, len(values)), generator=generator)
    weights = torch.zeros(RESAMPLES, len(values), dtype=torch.float64)
    weights.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    flat = values.detach().cpu().double().flatten(1)
    known = ~flat.isnan()
    means = (weights @ flat.nan_to_num(0)) / (weights @ known.double())
    low, high = _quantiles(means)
    return low.reshape(values.shape[1:]), high.reshape(values.shape[1:])


def _quantiles(samples: Tensor) -> tuple[Tensor, Tensor]:
    tail = (1 - LEVEL) / 2
    low, high = samples.cpu().double().nanquantile(torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
    return low, high
