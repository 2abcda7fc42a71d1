"""Vectors times the inverse of a damped curvature, (H + λI)⁻¹ v, in five ways that share one face.

`prepare()` does what does not depend on the vectors, `solve(vectors)` the rest. Both are generators of (done, total), so that
work can be shown and given up between two steps; `solve` returns its answer. Vectors are rows: [V, P] in, [V, P] out, float64.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ModelError, ParameterError

from .curvature import Curvature, Layout, random_signs
from .factors import Gradients

Progress = tuple[int, int]
LARGEST_MATRIX = 6_000  # parameters; the matrix takes 8 bytes × P², and so does its factor
RELATIVE_DAMPING = 0.1


class Inverse(Protocol):
    """(H + λI)⁻¹ as a linear map.

    layout   of the vectors
    damping  λ, known after `prepare`
    notes    how well it went, in plain words, known after the last `solve`
    """

    layout: Layout
    damping: float
    notes: tuple[str, ...]

    def prepare(self) -> Iterator[Progress]: ...

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]: ...

    def quadratic(self, gradients: Gradients, power: int) -> Tensor:
        """[B] g' (H + λI)^−power g of each of the gradients, power 1 or 2."""


def damping_of(curvature: Curvature, damping: float | None, seed: int) -> float:
    """λ as given, or a tenth of the mean eigenvalue: the rule of Grosse et al. (2023), arXiv:2308.03296, for all layers at once."""
    return RELATIVE_DAMPING * curvature.mean_eigenvalue(seed) if damping is None else damping


class OneByOne:
    """What all but EK-FAC share: a curvature, its damping and, where nothing is cheaper, a solution for every gradient."""

    def __init__(self, curvature: Curvature, damping: float | None, seed: int) -> None:
        self.curvature, self.given, self.seed = curvature, damping, seed
        self.layout = curvature.layout
        self.damping = 0.0
        self.notes: tuple[str, ...] = ()

    def quadratic(self, gradients: Gradients, power: int) -> Tensor:
        vectors = self.layout.flatten(gradients.dense()).double()
        solution = finished(self.solve(vectors))
        return (solution * (vectors if power == 1 else solution)).sum(1)

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        raise NotImplementedError


class Exact(OneByOne):
    """The matrix, formed and factorised in float64: P products, 16 P² bytes."""

    def __init__(self, curvature: Curvature, damping: float | None, seed: int = 0) -> None:
        super().__init__(curvature, damping, seed)
        size = curvature.layout.total
        if size > LARGEST_MATRIX:
            raise ParameterError(
                "too_many_parameters",
                f"The curvature of {size:,} parameters is too large to be inverted",
                f"Its matrix would take {8 * size**2 / 2**30:,.1f} GiB; the limit is {LARGEST_MATRIX:,} parameters.",
                'Use solver="ekfac" or "conjugate_gradient", or build the index with layers= of the last layers.',
            )

    def prepare(self) -> Iterator[Progress]:
        matrix = torch.empty(0)
        for done, total, matrix in self.curvature.matrix():  # noqa: B007
            yield done, total
        self.damping = damping_of(self.curvature, self.given, self.seed)
        matrix.diagonal().add_(self.damping)
        self._factors, pivots, info = torch.linalg.ldl_factor_ex(matrix)
        self._pivots = pivots
        if info:
            raise singular(self.damping)

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        solution: Tensor = torch.linalg.ldl_solve(self._factors, self._pivots, vectors.double().T).T
        if not solution.isfinite().all():
            raise singular(self.damping)
        yield 1, 1
        return solution


class ConjugateGradient(OneByOne):
    """Conjugate gradients for all vectors at once, each with its own steps. Hestenes & Stiefel (1952).

    Stops where every residual is below `tolerance` × ‖v‖, or after `iterations` products. A vector that meets negative
    curvature keeps its solution so far, and it is said.
    """

    def __init__(
        self, curvature: Curvature, damping: float | None, *, tolerance: float, iterations: int, seed: int = 0
    ) -> None:
        super().__init__(curvature, damping, seed)
        self.tolerance, self.iterations = tolerance, iterations
        self.residual = 0.0  # the largest ‖v − (H + λI) x‖ / ‖v‖ of all solutions
        self._negative = False

    def prepare(self) -> Iterator[Progress]:
        self.damping = damping_of(self.curvature, self.given, self.seed)
        yield 1, 1

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        vectors = vectors.double()
        solution, residual = torch.zeros_like(vectors), vectors.clone()
        direction = residual.clone()
        size = residual.square().sum(1)
        goal = size * self.tolerance**2
        active = size > goal
        for step in range(self.iterations):
            if not active.any():
                break
            along = direction[active]
            curved = self.curvature.product(along) + self.damping * along
            bend = (along * curved).sum(1)
            downhill = bend > 0
            self._negative |= not bool(downhill.all())
            length = torch.where(downhill, size[active] / bend, 0.0)[:, None]
            solution[active] += length * along
            residual[active] -= length * curved
            before = size[active]
            size[active] = residual[active].square().sum(1)
            direction[active] = residual[active] + (size[active] / before)[:, None] * along
            going = active.clone()
            going[active] = downhill
            active = going & (size > goal)
            yield step + 1, self.iterations
        norms = vectors.square().sum(1)
        relative = torch.where(norms > 0, size / norms, 0.0).max().sqrt()
        self.residual = max(self.residual, float(relative))
        self._note()
        return solution

    def _note(self) -> None:
        notes = []
        if self.residual > self.tolerance:
            notes.append(f"conjugate gradients stopped at a relative residual of {self.residual:.1e}")
        if self._negative:
            notes.append("directions of negative curvature were left out of the solution")
        self.notes = tuple(notes)


class LiSSA(OneByOne):
    """A Neumann series over products with random batches. Agarwal, Bullins & Hazan (2017), arXiv:1602.03943.

    x ← v + (I − (H_batch + λI) / s) x, `depth` times from x = v; the answer is the mean of `repeats` runs of x / s. It
    converges where s is larger than the largest eigenvalue of the batches' curvature, which is measured, with a margin.
    The batches are the same for all vectors and fixed by the seed.
    """

    def __init__(self, curvature: Curvature, damping: float | None, *, depth: int, repeats: int, seed: int = 0) -> None:
        super().__init__(curvature, damping, seed)
        self.depth, self.repeats = depth, repeats
        self.scale = 0.0

    def prepare(self) -> Iterator[Progress]:
        self.damping = damping_of(self.curvature, self.given, self.seed)
        steps, largest, norm = 10, 0.0, 0.0
        vector = random_signs(1, self.curvature.layout.total, self.seed + 1).to(_device(self.curvature))
        for step in range(steps):
            # A few power iterations for each of some batches in turn: the largest value of any of them, from below.
            for _ in range(3):
                vector = self._product(step % self.curvature.batches, vector / vector.norm())
                norm = float(vector.norm())
            largest = max(largest, norm)
            yield step + 1, steps
        self.scale = 1.2 * largest + self.damping

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        vectors = vectors.double()
        total = torch.zeros_like(vectors)
        norms = vectors.norm(dim=1)
        generator = torch.Generator().manual_seed(self.seed)
        count = self.curvature.batches
        for run in range(self.repeats):
            solution = vectors
            for step in range(self.depth):
                if step % count == 0:
                    order = torch.randperm(count, generator=generator).tolist()
                curved = self._product(order[step % count], solution)
                solution = vectors + solution - (curved + self.damping * solution) / self.scale
                # With eigenvalues from 0 to 2 s, no step adds more than v.
                if not bool((solution.norm(dim=1) <= 2 * (step + 2) * norms).all()):
                    raise ModelError(
                        "diverged",
                        "LiSSA does not converge",
                        f"After {step + 1} steps the solution is larger than it can be.",
                        'Raise damping=, use hessian="gauss_newton", or solver="conjugate_gradient".',
                    )
                yield run * self.depth + step + 1, self.repeats * self.depth
            total += solution / self.scale
        short = (1 - self.damping / self.scale) ** self.depth
        if short > 0.05:
            self.notes = (
                f"LiSSA stopped after {self.depth} steps: directions without curvature are {short:.0%} short of their limit",
            )
        return total / self.repeats

    def _product(self, number: int, vectors: Tensor) -> Tensor:
        return self.curvature.of_batch(number, vectors) / self.curvature.size(number)


class Arnoldi(OneByOne):
    """The curvature's largest eigenpairs only. Schioppa et al. (2022), Scaling up influence functions, arXiv:2112.03052.

    `iterations` products from a random vector, every new direction made orthogonal to all before; of the eigenpairs of the
    small matrix the `rank` with the largest absolute values are kept, and what a vector has outside them is dropped, as the
    authors do. Eigenvalues in the kept set that are too small to be told from zero are left out too.
    """

    def __init__(
        self, curvature: Curvature, damping: float | None, *, iterations: int, rank: int, seed: int = 0
    ) -> None:
        super().__init__(curvature, damping, seed)
        self.iterations = min(iterations, curvature.layout.total)
        self.rank = min(rank, self.iterations)
        self.values, self.basis = torch.empty(0), torch.empty(0)  # eigenvalues with λ [R]; their vectors [R, P]

    def prepare(self) -> Iterator[Progress]:
        self.damping = damping_of(self.curvature, self.given, self.seed)
        size = self.curvature.layout.total
        generator = torch.Generator().manual_seed(self.seed)
        start = torch.randn(1, size, dtype=torch.float64, generator=generator).to(_device(self.curvature))
        basis = start / start.norm()
        small = torch.zeros(self.iterations, self.iterations, dtype=torch.float64, device=start.device)
        for step in range(self.iterations):
            image = self.curvature.product(basis[step : step + 1])
            small[: len(basis), step] = (basis @ image.T)[:, 0]
            yield step + 1, self.iterations
            length = image.norm()
            for _ in range(2):  # twice is enough, Giraud et al. (2005)
                image = image - (image @ basis.T) @ basis
            if step + 1 == self.iterations or image.norm() <= 1e-9 * length:
                break
            basis = torch.cat([basis, image / image.norm()])
        found = len(basis)
        values, rotation = torch.linalg.eigh((small.triu() + small.triu(1).T)[:found, :found])
        kept = values.abs().argsort(descending=True)[: self.rank]
        kept = kept[(values[kept] + self.damping).abs() > 1e-9 * values.abs().max()]
        self.values, self.basis = values[kept] + self.damping, rotation[:, kept].T @ basis
        if len(kept) < size:
            self.notes = (f"inverse on the {len(kept)} largest eigenvalues of {size:,}; the rest is dropped",)

    def solve(self, vectors: Tensor) -> Generator[Progress, None, Tensor]:
        yield 1, 1
        return (vectors.double() @ self.basis.T / self.values) @ self.basis

    def quadratic(self, gradients: Gradients, power: int) -> Tensor:
        named = self.layout.split(self.basis.to(gradients.losses.dtype))
        return (gradients.dot_vectors(named).double().square() / self.values**power).sum(1)


def finished(work: Generator[Progress, None, Tensor]) -> Tensor:
    """What a `solve` returns, its progress unseen."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            answer: Tensor = stop.value
            return answer


def singular(damping: float) -> ModelError:
    return ModelError(
        "singular_curvature",
        "The curvature cannot be inverted",
        f"It is singular with damping {damping:g}.",
        "Pass a larger damping=.",
    )


def _device(curvature: Curvature) -> torch.device:
    return curvature.objective.like.device
