"""A gradient of millions of numbers as a few hundred, so that inner products stay what they were on average.

CountSketch puts every coordinate of the gradient into one of `dim` buckets with a random sign. A weight's gradient is
sum_t rows_t ⊗ columns_t; where the bucket of (row, column) is the sum of the row's and the column's, the sketch is a
circular convolution of two short vectors, and the gradient itself is never formed (TensorSketch: Pham and Pagh 2013,
Fast and scalable polynomial kernels via explicit feature maps). Which of the two ways is taken never changes the result
beyond rounding: they are the same linear map, for every use of one parameter and in every process, because buckets and
signs are arithmetic on (seed, checkpoint, parameter name, side, position) and no table is kept or sent.

Parameters and checkpoints add up in one vector: E⟨s, s'⟩ = Σ_checkpoints learning_rate · ⟨gradient, gradient'⟩ when
each checkpoint's sketch is weighted with the root of its learning rate.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from .factors import Gradients
    from .spec import Spec

DEFAULT = {"kind": "tensor_sketch", "dim": 512, "dtype": "int8", "seed": 0}
DTYPES = ("int8", "float16")

# Nanoseconds on one core (measured: 50 rows, dim 512): one bucketed number, one multiply-add of a matrix product, one
# number of a Fourier transform per doubling. Only their ratios matter: they choose the cheaper of two equal ways.
BUCKETED, MULTIPLIED, TRANSFORMED = 1.5, 0.1, 0.22
ROUNDS = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


class TensorSketch:
    """The sketch of one checkpoint's gradients. Every call takes one use of one parameter and returns [B, dim] float32.

    The results of the calls of one row add up to its sketch.
    """

    def __init__(self, dim: int = 512, seed: int = 0, checkpoint: int = 0) -> None:
        self.dim = dim
        self.seed = seed
        self.checkpoint = checkpoint
        self._tables: dict[tuple[str, str, int, torch.device], tuple[Tensor, Tensor]] = {}

    def outer(self, name: str, columns: Tensor, rows: Tensor, *, first_row: int = 0) -> Tensor:
        """The gradient [O, K] = Σ_t rows_t ⊗ columns_t, from its factors.

        columns    [B, T, K] or [B, K]: a layer's inputs, the side of the parameter's dimensions from 1 on
        rows       [B, T, O] or [B, O]: the gradients of the layer's outputs, the side of dimension 0
        first_row  where these rows begin in the parameter, when they are some of it (a group of a convolution)
        """
        columns, rows = (_positions(side) for side in (columns, rows))
        positions, width, height = columns.shape[1], columns.shape[2], rows.shape[2]
        factored = BUCKETED * (width + height) + 2 * TRANSFORMED * self.dim * math.log2(self.dim)
        formed = MULTIPLIED * positions * width * height + BUCKETED * width * height
        if formed < positions * factored:
            return self._buckets(name, rows.transpose(1, 2) @ columns, first_row)
        first = self._side(name, "rows", rows, first_row)
        return self._convolved(first, self._side(name, "columns", columns))

    def outer_ids(self, name: str, ids: Tensor, rows: int, gradients: Tensor) -> Tensor:
        """The gradient [V, D] = Σ_t e(ids_t) ⊗ gradients_t of a lookup: ids [B, T], gradients [B, T, D], V = `rows`."""
        bucket, sign = self._table(name, "rows", rows, ids.device)
        looked_up = bucket[ids]
        signed = gradients.float() * sign[ids].unsqueeze(-1)
        columns, signs = self._table(name, "columns", gradients.shape[2], ids.device)
        index = (looked_up.unsqueeze(-1) + columns) % self.dim
        return self._scattered(index.flatten(1), (signed * signs).flatten(1))

    def dense(self, name: str, gradient: Tensor) -> Tensor:
        """The gradient itself: [B, *shape of the parameter]."""
        if gradient.ndim < 3:
            return self._buckets(name, gradient.reshape(len(gradient), -1, 1).float(), 0)
        return self._buckets(name, gradient.flatten(2).float(), 0)

    def _buckets(self, name: str, gradient: Tensor, first_row: int) -> Tensor:
        """CountSketch of a formed [B, O, K]; the same buckets and signs as through the factors."""
        rows, row_signs = self._table(name, "rows", first_row + gradient.shape[1], gradient.device)
        columns, column_signs = self._table(name, "columns", gradient.shape[2], gradient.device)
        index = ((rows[first_row:, None] + columns) % self.dim).flatten()
        signs = (row_signs[first_row:, None] * column_signs).flatten()
        return self._scattered(index.expand(len(gradient), -1), gradient.flatten(1) * signs)

    def _side(self, name: str, side: str, values: Tensor, first: int = 0) -> Tensor:
        """CountSketch of one factor: [B, T, n] to [B, T, dim]."""
        bucket, sign = self._table(name, side, first + values.shape[2], values.device)
        flat = (values * sign[first:]).flatten(0, 1)
        return self._scattered(bucket[first:].expand(len(flat), -1), flat).reshape(*values.shape[:2], self.dim)

    def _convolved(self, first: Tensor, second: Tensor) -> Tensor:
        spectrum = (torch.fft.rfft(first) * torch.fft.rfft(second)).sum(1)
        summed: Tensor = torch.fft.irfft(spectrum, n=self.dim)
        return summed

    def _scattered(self, index: Tensor, values: Tensor) -> Tensor:
        return values.new_zeros(len(values), self.dim).scatter_add_(1, index, values)

    def _table(self, name: str, side: str, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Buckets and signs of positions 0 … size - 1: the beginning of a longer table is the shorter one."""
        key = (name, side, size, device)
        if key not in self._tables:
            text = f"{self.seed}\0{self.checkpoint}\0{name}\0{side}"
            start = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
            mixed = _mixed(start, size)
            bucket = torch.from_numpy((mixed % np.uint64(self.dim)).astype(np.int64))
            sign = torch.from_numpy(1 - 2 * (mixed >> np.uint64(63)).astype(np.float32))
            self._tables[key] = bucket.to(device), sign.to(device)
        return self._tables[key]


def projection_of(projection: dict[str, Any] | Literal[False] | None) -> dict[str, Any] | None:
    """What the index stores of every gradient: None the default, False nothing, or a dict of what differs from it."""
    if projection is None:
        return dict(DEFAULT)
    if projection is False:
        return None
    if not isinstance(projection, dict):
        raise ParameterError(
            "projection", f"projection={projection!r} is not a projection", hint="Use None, False or a dict."
        )
    for name in projection:
        if name not in DEFAULT:
            raise ParameterError("projection", f"A projection has no {name!r}", hint=did_you_mean(name, DEFAULT))
    chosen = {**DEFAULT, **projection}
    if chosen["kind"] != DEFAULT["kind"]:
        raise ParameterError("projection", f"There is no projection {chosen['kind']!r}", hint="Use 'tensor_sketch'.")
    if chosen["dtype"] not in DTYPES:
        raise ParameterError(
            "projection",
            f"Vectors cannot be stored as {chosen['dtype']!r}",
            hint=did_you_mean(str(chosen["dtype"]), DTYPES),
        )
    for name, low in (("dim", 8), ("seed", 0)):
        if isinstance(chosen[name], bool) or not isinstance(chosen[name], int) or chosen[name] < low:
            raise ParameterError("projection", f"{name}={chosen[name]!r}: a whole number from {low} is expected")
    return chosen


def sketch_of(projection: dict[str, Any], checkpoint: int) -> TensorSketch:
    """The sketch of one checkpoint; checkpoints are hashed apart, so that their products do not mix."""
    return TensorSketch(projection["dim"], projection["seed"], checkpoint)


def query_vectors(spec: Spec, projection: dict[str, Any], per_checkpoint: Iterable[tuple[int, Gradients]]) -> Tensor:
    """Vectors [Q, dim] whose products with the stored ones estimate Σ_c learning_rate_c · ⟨gradient, gradient'⟩."""
    parts = [
        weighted(sketch_of(projection, checkpoint.number), checkpoint.learning_rate, gradients)
        for checkpoint, gradients in ((spec.checkpoints[position], one) for position, one in per_checkpoint)
    ]
    if not parts:
        raise ParameterError("no_checkpoints", "No checkpoint is left to compare gradients at")
    return torch.stack(parts).sum(0)


def weighted(sketch: TensorSketch, learning_rate: float, gradients: Gradients) -> Tensor:
    """One checkpoint's share of the vectors of some rows, [B, dim] float32 on the CPU."""
    return math.sqrt(learning_rate) * gradients.sketch(sketch).float().cpu()


def _positions(side: Tensor) -> Tensor:
    return (side.unsqueeze(1) if side.ndim == 2 else side).float()


def _mixed(start: int, size: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """SplitMix64's output function of a counter (Steele, Lea and Flood 2014): well mixed 64-bit numbers, anywhere."""
    step = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        state = np.uint64(start) + step * np.arange(1, size + 1, dtype=np.uint64)
        for shift, factor in ROUNDS:
            state = (state ^ (state >> shift)) * factor
        return state ^ (state >> np.uint64(31))
