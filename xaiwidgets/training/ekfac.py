"""The curvature as a Kronecker product for each layer, with its eigenvalues measured: EK-FAC.

George et al. (2018), Fast approximate natural gradient descent in a Kronecker-factored eigenbasis, arXiv:1806.03884;
for influence: Grosse et al. (2023), Studying large language model generalization with influence functions, arXiv:2308.03296.

A weight's gradient is Σ_t g_t a_t' (outputs' gradients g, inputs a; a bias is one more input, always 1). With the
eigenvectors Q_S of E[g g'] and Q_A of E[a a'], the layer's curvature is taken to be diagonal in the basis Q_S ⊗ Q_A:

    (H + λI)⁻¹ V  ≈  Q_S [(Q_S' V Q_A) / (Λ + λ)] Q_A',    Λ = E[(Q_S' ∇ Q_A)²]

Gradients are random ones whose covariance is the Gauss–Newton matrix, which for the usual losses is the Fisher matrix (drawn
as in `curvature.root_of_loss`, not as labels: measured, one draw is then worth more than eight), or those of the data
(empirical Fisher). Different layers are taken to be independent. Parameters that are no
weight: up to 1,024 numbers by their full matrix, others by their diagonal; the rows of an embedding by their diagonal too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping

import torch
from torch import Tensor

from .curvature import Layout
from .factors import Gradients, Parameter
from .inverse import RELATIVE_DAMPING, Progress
from .products import Looked, Outer, blocks

LARGEST_SIDE = 4_096  # numbers: the eigenvectors of a larger side of a layer cost more than they bring
LARGEST_FULL = 1_024

Passes = Callable[[], Iterator[Gradients]]
Pair = tuple[Tensor, Tensor]


class EkFac:
    """(H + λI)⁻¹ by EK-FAC; an `Inverse`.

    passes    gives the gradients of all examples anew, chunk by chunk, the same each time
    rows      how many examples they are
    damping   λ for every layer, or None: 0.1 × the mean of its own eigenvalues (Grosse et al.)
    """

    def __init__(self, passes: Passes, rows: int, layout: Layout, damping: float | None) -> None:
        self.passes, self.rows, self.layout, self.given = passes, rows, layout, damping
        self.blocks: list[Block] = []
        self.damping = 0.0
        self.notes: tuple[str, ...] = ()

    def prepare(self) -> Iterator[Progress]:
        done, total = 0, 2 * self.rows
        for gradients in self.passes():
            self.blocks = self.blocks or blocks_of(gradients)
            for block in self.blocks:
                block.add_covariances(gradients)
            done += gradients.rows
            yield done, total
        for block in self.blocks:
            block.rotate()
        for gradients in self.passes():
            for block in self.blocks:
                block.add_values(gradients)
            done += gradients.rows
            yield done, total
        for block in self.blocks:
            block.values /= self.rows
            block.damping = RELATIVE_DAMPING * float(block.values.mean()) if self.given is None else self.given
        self.damping = sum(block.damping * block.values.numel() for block in self.blocks) / self.layout.total

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        named = self.layout.split(vectors)
        solved: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks):
            solved |= block.solve(named)
            yield number + 1, len(self.blocks)
        return self.layout.flatten(solved)

    def quadratic(self, gradients: Gradients, power: int) -> Tensor:
        """[B] g' (H + λI)^−power g of each of the gradients."""
        return torch.stack([block.energies(gradients, power) for block in self.blocks]).sum(0)


class Block:
    """The curvature of some parameters, seen as [height, width] numbers; here: of a formed gradient, [numbers, 1].

    left, right   covariances [height, height] and [width, width], then their eigenvectors in columns; None: the axes themselves
    values        Λ [height, width]
    """

    def __init__(self, name: str, height: int, width: int, device: torch.device) -> None:
        self.name, self.height, self.width = name, height, width
        self.left = _square(height, LARGEST_FULL, device)
        self.right: Tensor | None = None
        self.values = torch.zeros(height, width, dtype=torch.float64, device=device)
        self.damping = 0.0

    def pairs(self, gradients: Gradients) -> Iterator[Pair]:
        """Slopes [B, T, height] and inputs [B, T, width] whose products, summed over T, are the gradients."""
        one = gradients.parameters.get(self.name)
        if one is None:
            return
        for rows in blocks(gradients.rows, self.height):
            formed = one.formed(rows).unsqueeze(1)
            yield formed, formed.new_ones(len(formed), 1, 1)

    def add_covariances(self, gradients: Gradients) -> None:
        for pair in self.pairs(gradients):
            for side, total in zip(pair, (self.left, self.right), strict=True):
                if total is not None:
                    flat = side.flatten(0, 1)
                    total.add_(flat.T @ flat)

    def rotate(self) -> None:
        """From covariances to their eigenvectors."""
        self.left, self.right = (None if one is None else torch.linalg.eigh(one)[1] for one in (self.left, self.right))

    def add_values(self, gradients: Gradients) -> None:
        for slopes, inputs in self._rotated(gradients):
            if inputs.shape[1] == 1:
                self.values += slopes[:, 0].square().T @ inputs[:, 0].square()
            else:
                self.values += (slopes.mT @ inputs).square().sum(0)

    def energies(self, gradients: Gradients, power: int) -> Tensor:
        """[B] g' (H + λI)^−power g."""
        weights = (1 / (self.values + self.damping) ** power).to(gradients.losses.dtype)
        parts = [gradients.losses.new_zeros(0)]
        for slopes, inputs in self._rotated(gradients):
            if inputs.shape[1] == 1:
                parts.append(((slopes[:, 0].square() @ weights) * inputs[:, 0].square()).sum(1))
            else:
                parts.append(((slopes.mT @ inputs).square() * weights).sum((1, 2)))
        return torch.cat(parts) if len(parts) > 1 else torch.zeros_like(gradients.losses)

    def solve(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By name [V, *shape] in and out, of this block's parameters."""
        vectors = self.joined(named)
        scaled = _turned(vectors, self.left, self.right) / (self.values + self.damping).to(vectors.dtype)
        back = _turned(scaled, *(None if one is None else one.T for one in (self.left, self.right)))
        return self.parted(back, named)

    def joined(self, named: Mapping[str, Tensor]) -> Tensor:
        """[V, height, width]."""
        return named[self.name].reshape(-1, self.height, self.width)

    def parted(self, vectors: Tensor, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {self.name: vectors.reshape(named[self.name].shape)}

    def _rotated(self, gradients: Gradients) -> Iterator[Pair]:
        for slopes, inputs in self.pairs(gradients):
            yield _times(slopes, self.left), _times(inputs, self.right)


class Weight(Block):
    """A weight [height, width] by its factors, its bias as one more column."""

    def __init__(self, name: str, bias: str, height: int, width: int, device: torch.device) -> None:
        super().__init__(name, height, width + bool(bias), device)
        self.bias = bias
        self.left = _square(self.height, LARGEST_SIDE, device)
        self.right = _square(self.width, LARGEST_SIDE, device)

    def pairs(self, gradients: Gradients) -> Iterator[Pair]:
        one = gradients.parameters.get(self.name)
        if one is None:
            return
        part = _factored(one)
        numbers = self.height * self.width if part is None or part.positions > 1 else self.height + self.width
        for rows in blocks(gradients.rows, numbers):
            if part is not None:
                slopes, inputs = (side.squeeze(1) for side in part.sides(rows))
                yield slopes, torch.cat([inputs, torch.ones_like(inputs[..., :1])], 2) if self.bias else inputs
                continue
            formed = one.formed(rows).reshape(-1, self.height, self.width - bool(self.bias))
            if self.bias:
                formed = torch.cat([formed, gradients.parameters[self.bias].formed(rows).unsqueeze(2)], 2)
            # Formed after all: with unit vectors as slopes, the rows of the gradient are the inputs.
            yield torch.eye(self.height, dtype=formed.dtype, device=formed.device).expand(len(formed), -1, -1), formed

    def joined(self, named: Mapping[str, Tensor]) -> Tensor:
        weight = named[self.name].flatten(1).unflatten(1, (self.height, -1))
        return torch.cat([weight, named[self.bias].unsqueeze(2)], 2) if self.bias else weight

    def parted(self, vectors: Tensor, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.bias:
            return super().parted(vectors, named)
        weight, bias = vectors.split([self.width - 1, 1], 2)
        return {self.name: weight.reshape(named[self.name].shape), self.bias: bias.squeeze(2)}


class Lookup(Block):
    """An embedding [height, width]: its rows apart, as no gradient has many of them, each in the basis of the columns."""

    def __init__(self, name: str, height: int, width: int, device: torch.device) -> None:
        super().__init__(name, height, width, device)
        self.left, self.right = None, _square(width, LARGEST_SIDE, device)

    def add_covariances(self, gradients: Gradients) -> None:
        summed = self._summed(gradients)[2]
        if self.right is not None:
            self.right += summed.T @ summed

    def add_values(self, gradients: Gradients) -> None:
        _, ids, summed = self._summed(gradients)
        self.values.index_add_(0, ids, _times(summed, self.right).square().double())

    def energies(self, gradients: Gradients, power: int) -> Tensor:
        examples, ids, summed = self._summed(gradients)
        weights = (1 / (self.values[ids] + self.damping) ** power).to(summed.dtype)
        products = (_times(summed, self.right).square() * weights).sum(1)
        return torch.zeros_like(gradients.losses).index_add_(0, examples, products)

    def _summed(self, gradients: Gradients) -> tuple[Tensor, Tensor, Tensor]:
        """Examples [n], ids [n], and the sum of the gradients of that id in that example [n, width]."""
        one = gradients.parameters.get(self.name)
        part = None if one is None else one.parts[0]
        if not isinstance(part, Looked):
            none = torch.zeros(0, dtype=torch.int64, device=gradients.losses.device)
            return none, none, gradients.losses.new_zeros(0, self.width)
        examples = torch.arange(part.rows, device=part.ids.device)[:, None].expand_as(part.ids)
        pairs, which = torch.stack([examples, part.ids]).flatten(1).unique(dim=1, return_inverse=True)
        summed = part.gradients.new_zeros(pairs.shape[1], self.width)
        return pairs[0], pairs[1], summed.index_add_(0, which, part.gradients.flatten(0, 1))


def blocks_of(gradients: Gradients) -> list[Block]:
    """One block for each layer: read from the first chunk what is a weight, and which bias goes with it."""
    shapes, device = gradients.shapes, gradients.losses.device
    found: dict[str, Block] = {}
    biases: set[str] = set()
    for name, shape in shapes.items():
        one = gradients.parameters.get(name)
        part = None if one is None else _factored(one)
        if part is not None:
            bias = _bias_of(name, part, gradients)
            biases |= {bias} - {""}
            found[name] = Weight(name, bias, part.height, part.width, device)
        elif one is not None and len(one.parts) == 1 and isinstance(one.parts[0], Looked):
            found[name] = Lookup(name, shape[0], shape[1], device)
        else:
            found[name] = Block(name, shape.numel(), 1, device)
    return [block for name, block in found.items() if name not in biases]


def _bias_of(name: str, part: Outer, gradients: Gradients) -> str:
    """The parameter next to a weight whose gradient is the sum of the weight's slopes; empty if there is none."""
    bias = f"{name.rpartition('.')[0]}.bias".lstrip(".")
    one = gradients.parameters.get(bias)
    if one is None or one.shape != (part.height,) or len(one.parts) != 1:
        return ""
    summed = part.sides()[0].sum((1, 2))
    return bias if torch.allclose(one.formed(), summed, rtol=1e-4, atol=1e-5 * float(summed.abs().max())) else ""


def _factored(one: Parameter) -> Outer | None:
    part = one.parts[0]
    return part if len(one.parts) == 1 and isinstance(part, Outer) and part.groups == 1 else None


def _square(size: int, largest: int, device: torch.device) -> Tensor | None:
    return torch.zeros(size, size, dtype=torch.float64, device=device) if size <= largest else None


def _times(rows: Tensor, basis: Tensor | None) -> Tensor:
    return rows if basis is None else rows @ basis.to(rows.dtype)


def _turned(vectors: Tensor, left: Tensor | None, right: Tensor | None) -> Tensor:
    """The products left' V right of each [height, width]."""
    turned = _times(vectors, right)
    return turned if left is None else left.T.to(turned.dtype) @ turned
