"""The gradients of the losses of B rows, as factors, and the products that training examples are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .products import Formed, Looked, Outer, Part, added, blocks, joined, merged, own, pairwise, with_vectors

if TYPE_CHECKING:
    from .sketch import TensorSketch

KEPT_FORMED = 2**27
"""Numbers of the formed gradients of queries that are kept for the next chunk of training examples."""


class Parameter:
    """The gradients of one parameter: the sum of its uses."""

    def __init__(self, parts: Sequence[Part], shape: Sequence[int]) -> None:
        self.kept: Tensor | None = None
        self.parts = merged(parts)
        self.shape = tuple(shape)
        self.rows = self.parts[0].rows
        self.numel = torch.Size(self.shape).numel()
        if len(self.parts) > 1 and any(isinstance(part, Formed) for part in self.parts):
            self.parts = [Formed(self.formed().reshape(self.rows, *self.shape))]

    def formed(self, rows: slice = slice(None)) -> Tensor:
        """[rows, numbers of the parameter]."""
        return self.kept[rows] if self.kept is not None else added(part.formed(rows) for part in self.parts)

    def through_factors(self, other: Parameter) -> bool:
        """Whether the sum over pairs of positions is cheaper than forming this parameter's gradients."""
        if any(isinstance(part, Looked) for part in (*self.parts, *other.parts)):
            return True
        if any(isinstance(part, Formed) for part in (*self.parts, *other.parts)):
            return False
        ours, theirs = ([part for part in one.parts if isinstance(part, Outer)] for one in (self, other))
        groups, sides = ours[0].groups, ours[0].height + ours[0].width
        pairs = sum(part.positions for part in ours) * sum(part.positions for part in theirs)
        forming = sum(part.form_cost() for part in ours)
        return other.rows * groups * pairs * sides < forming + other.rows * self.numel

    def dot(self, other: Parameter, *, keep: bool) -> Tensor:
        """[rows, other's rows]; `keep` the other's formed gradients for the next time."""
        if self.through_factors(other):
            return added(pairwise(one, two) for one in self.parts for two in other.parts)
        theirs = other.formed()
        if keep:
            other.kept = theirs
        return (
            self.kept @ theirs.T if self.kept is not None else added(with_vectors(part, theirs) for part in self.parts)
        )

    def squared_norms(self) -> Tensor:
        outers = [part for part in self.parts if isinstance(part, Outer)]
        positions = sum(part.positions for part in self.parts if not isinstance(part, Formed))
        pairs = sum(one.groups * positions**2 * (one.height + one.width) for one in outers[:1])
        looked = any(isinstance(part, Looked) for part in self.parts)
        if looked or pairs < sum(part.form_cost() for part in outers):
            both = [(one, two) for one in self.parts for two in self.parts]
            return joined([added(own(*two, rows) for two in both) for rows in blocks(self.rows, positions**2)])
        return joined([self.formed(rows).square().sum(1) for rows in blocks(self.rows, self.numel)])

    def dot_vectors(self, vectors: Tensor) -> Tensor:
        """[rows, V] with vectors [V, *shape]."""
        return added(with_vectors(part, vectors.reshape(len(vectors), -1)) for part in self.parts)

    def total(self, weights: Tensor) -> Tensor:
        """Σ_rows weight · gradient."""
        total = weights.new_zeros(self.numel)
        for part in self.parts:
            if isinstance(part, Looked):
                scaled = part.gradients * weights[:, None, None]
                total.view(self.shape).index_add_(0, part.ids.flatten(), scaled.flatten(0, 1))
            elif isinstance(part, Outer) and part.groups == 1 and not part.small:
                left, right = part.sides()
                scaled = (left * weights[:, None, None, None]).flatten(0, 2)
                total += (scaled.T @ right.flatten(0, 2)).flatten()
            else:
                total += added(weights[rows] @ part.formed(rows) for rows in blocks(self.rows, self.numel))
        return total.reshape(self.shape)

    def sketch(self, name: str, sketch: TensorSketch) -> Tensor:
        return added(self._sketch(part, name, sketch) for part in self.parts)

    def _sketch(self, part: Part, name: str, sketch: TensorSketch) -> Tensor:
        if isinstance(part, Looked):
            return sketch.outer_ids(name, part.ids, self.shape[0], part.gradients)
        if not isinstance(part, Outer) or part.groups > 1 or part.small:
            steps = blocks(self.rows, self.numel)
            return joined([sketch.dense(name, part.formed(rows).reshape(-1, *self.shape)) for rows in steps])
        steps = blocks(self.rows, part.positions * (part.height + part.width))
        sides = ((side.squeeze(1) for side in part.sides(rows)) for rows in steps)
        return joined([sketch.outer(name, right, left) for left, right in sides])


class Gradients:
    """Gradients of the losses of B rows with respect to each parameter.

    rows     B
    losses   [B]
    output   the model's output [B, ...]
    """

    def __init__(
        self, losses: Tensor, output: Tensor, parameters: Mapping[str, Parameter], shapes: Mapping[str, torch.Size]
    ) -> None:
        self.rows = len(losses)
        self.losses, self.output = losses, output
        self.parameters = dict(parameters)  # those without a gradient at all are missing
        self.shapes = dict(shapes)

    def dot(self, other: Gradients) -> Tensor:
        """Inner products [B, B'] over all parameters, exact. Formed gradients of `other` are kept for the next call."""
        products = []
        room = KEPT_FORMED - sum(one.kept.numel() for one in other.parameters.values() if one.kept is not None)
        for name, ours in self.parameters.items():
            theirs = other.parameters.get(name)
            if theirs is not None:
                fits = theirs.kept is None and theirs.rows * theirs.numel <= room
                products.append(ours.dot(theirs, keep=fits))
                room -= theirs.kept.numel() if fits and theirs.kept is not None else 0
        return self._sum(products, self.rows, other.rows)

    def squared_norms(self) -> Tensor:
        """[B]."""
        return self._sum((one.squared_norms() for one in self.parameters.values()), self.rows)

    def dot_vectors(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """[B, V] with vectors[name] [V, *shape]; parameters that are not named count as zero."""
        products = (one.dot_vectors(vectors[name]) for name, one in self.parameters.items() if name in vectors)
        return self._sum(products, self.rows, len(next(iter(vectors.values()))))

    def dense(self) -> dict[str, Tensor]:
        """Name -> [B, *shape]."""
        return {
            name: self.parameters[name].formed().reshape(self.rows, *shape)
            if name in self.parameters
            else self._zeros(self.rows, *shape)
            for name, shape in self.shapes.items()
        }

    def total(self, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Name -> Σ_b weight_b · gradient_b; weights [B], one where not given."""
        weights = torch.ones_like(self.losses) if weights is None else weights.to(self.losses)
        return {
            name: self.parameters[name].total(weights) if name in self.parameters else self._zeros(*shape)
            for name, shape in self.shapes.items()
        }

    def sketch(self, sketch: TensorSketch) -> Tensor:
        """[B, dim]."""
        return self._sum((one.sketch(name, sketch) for name, one in self.parameters.items()), self.rows, sketch.dim)

    def factors(self) -> dict[str, tuple[Tensor, Tensor] | None]:
        """Name -> (columns [B, T, K], rows [B, T, O]) of weights whose gradient, as [O, K], is Σ_t rows_t ⊗ columns_t.

        O is the parameter's first axis: of a layer that is called as x @ weight, the columns are the gradients of the
        outputs. None: another kind of parameter.
        """
        result: dict[str, tuple[Tensor, Tensor] | None] = dict.fromkeys(self.shapes)
        for name, one in self.parameters.items():
            part = one.parts[0]
            if len(one.parts) == 1 and isinstance(part, Outer) and part.groups == 1:
                left, right = (side.squeeze(1) for side in part.sides())
                result[name] = right, left
        return result

    def _sum(self, terms: Iterable[Tensor], *shape: int) -> Tensor:
        total = self.losses.new_zeros(shape, dtype=torch.float64)
        for term in terms:
            total += term
        return total.to(self.losses.dtype)

    def _zeros(self, *shape: int) -> Tensor:
        return self.losses.new_zeros(shape)
