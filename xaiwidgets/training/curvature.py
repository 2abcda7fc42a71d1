"""Products with the curvature of the training loss; the matrix itself, P × P numbers, is formed only where it is small.

Three curvatures, each a mean over training examples, for outputs o, losses l(o, y) and the Jacobian J = ∂o/∂θ:

    "gauss_newton"   J' (∂²l/∂o²) J: positive semi-definite for convex losses, the usual choice away from a minimum.
                     Schraudolph (2002), Fast curvature matrix-vector products for second-order gradient descent
    "hessian"        ∂²l/∂θ²: what the theory names; indefinite away from a minimum.
                     Pearlmutter (1994), Fast exact multiplication by the Hessian
    "fisher"         Σ g g' over the gradients g of the examples' own losses (the empirical Fisher matrix). It is neither of
                     the others: Kunstner, Hennig & Balles (2019), Limitations of the empirical Fisher, arXiv:1905.12558

Every product is linear and symmetric in its vector and is made of reverse passes only: the derivative of a reverse pass is
a forward derivative, so that whatever can be differentiated twice works, and the first pass is shared by all vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from xaiwidgets.engine.batching import Batcher, counted_bytes
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.state import eager

from .losses import IGNORED
from .recorder import Loss, Recorder

Kind = Literal["gauss_newton", "hessian", "fisher"]
Batch = tuple[Any, Tensor]
Linear = Callable[[dict[str, Tensor]], dict[str, Tensor]]

BUDGET = 96 * 2**20  # bytes of activations of one chunk of examples, times the vectors that go through it together
COPIES = 3  # of them that a product keeps: the pass itself, and forward and back for each vector
KEPT_BATCHES = 256 * 2**20  # bytes of data that are read only once
KEPT_LINEAR = 128 * 2**20  # bytes of activations below which the passes themselves are made only once
LARGEST_OUTPUT = 1_024


class Layout:
    """Parameters by name as one flat vector, and back."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        self.sizes = {name: parameter.numel() for name, parameter in parameters.items()}
        self.total = sum(self.sizes.values())

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """[V, P] of name -> [V, *shape]."""
        return torch.cat([tensors[name].flatten(1) for name in self.shapes], dim=1)

    def split(self, vectors: Tensor) -> dict[str, Tensor]:
        """By name [V, *shape] of [V, P], without a copy."""
        parts = vectors.split(list(self.sizes.values()), dim=1)
        return {
            name: part.unflatten(1, shape) if shape else part.squeeze(1)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


class Objective:
    """The losses of a recorder's model as a function of the values of the recorded parameters; nothing is written into it."""

    def __init__(self, recorder: Recorder) -> None:
        self.model, self.loss = recorder.model, recorder.loss
        self.values = {name: parameter.detach() for name, parameter in recorder.parameters.items()}
        self.layout = Layout(self.values)
        self.like = next(iter(self.values.values()))

    def output(self, values: Mapping[str, Tensor], inputs: Any) -> Tensor:
        named = {f"model.{name}": value for name, value in values.items()}
        output: Tensor = torch.func.functional_call(self.model, named, (inputs,))
        return output

    def losses(self, values: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """The losses [B] of a batch."""
        inputs, labels = batch
        return self.loss(self.output(values, inputs), labels)

    def bytes_kept(self, batch: Batch) -> int:
        """What autograd keeps of a pass over the batch, the weights aside."""
        values = {name: value.detach().requires_grad_() for name, value in self.values.items()}
        with torch.enable_grad(), eager(needed=True), counted_bytes(self.model) as counted:
            self.losses(values, batch)
            return counted()


class Curvature:
    """The mean curvature over a set of examples as a linear map.

    read    gives the batch of some of the examples, which are numbered from 0 to `rows`
    check   called between chunks: raises where the work is no longer wanted
    """

    def __init__(
        self,
        objective: Objective,
        kind: Kind,
        read: Callable[[slice], Batch],
        rows: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.objective, self.kind, self.rows, self.check = objective, kind, rows, check
        self.layout = objective.layout
        self._read = read
        self._kept: dict[int, Batch] = {}
        self._room = KEPT_BATCHES
        self._linear: dict[int, Linear] = {}
        first = read(slice(0, min(4, rows)))
        per_row = max(1, objective.bytes_kept(first) // len(first[1]))
        fitting = BUDGET // (COPIES * per_row)
        self.batches = -(-rows // max(8, min(256, fitting // 8)))  # how many the examples are read in
        self._vectors = Batcher(max(1, fitting * self.batches // rows))
        self._keeps_linear = COPIES * per_row * rows <= KEPT_LINEAR

    def batch(self, number: int) -> Batch:
        """One of them, from memory where there is room."""
        if number in self._kept:
            return self._kept[number]
        start, stop = (at * self.rows // self.batches for at in (number, number + 1))  # of one size, as far as can be
        batch = self._read(slice(start, stop))
        self._room -= _bytes(batch)
        if self._room >= 0:
            self._kept[number] = batch
        return batch

    def product(self, vectors: Tensor) -> Tensor:
        """The curvature times each of the vectors [V, P]: [V, P] in float64."""
        total = torch.zeros_like(vectors, dtype=torch.float64)
        for number in range(self.batches):
            total += self.of_batch(number, vectors)
        return total / self.rows

    def size(self, number: int) -> int:
        """How many examples a batch has."""
        return (number + 1) * self.rows // self.batches - number * self.rows // self.batches

    def of_batch(self, number: int, vectors: Tensor) -> Tensor:
        """The sum over a batch's examples of their curvature times each of the vectors [V, P]: [V, P]."""
        # The fused attention kernels have no second derivative.
        with sdpa_kernel(SDPBackend.MATH), torch.enable_grad(), eager(needed=True):
            linear = self._linear.get(number)
            if linear is None:
                self.check()
                linear = torch.func.vmap(_LINEAR[self.kind](self.objective, self.batch(number)))
                if self._keeps_linear:
                    self._linear[number] = linear

            def some(start: int, stop: int) -> Tensor:
                self.check()
                named = self.layout.split(vectors[start:stop].to(self.objective.like))
                return self.layout.flatten(linear(named)).detach()

            return torch.cat(list(self._vectors.run(len(vectors), some))).to(vectors.dtype)

    def matrix(self) -> Iterator[tuple[int, int, Tensor]]:
        """The matrix [P, P] in float64, filled in by blocks of columns: (columns done, of P, the matrix so far)."""
        size = self.layout.total
        device = self.objective.like.device
        matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
        for start in range(0, size, 128):
            block = torch.zeros(min(128, size - start), size, dtype=torch.float64, device=device)
            block[:, start : start + len(block)].fill_diagonal_(1)
            matrix[start : start + len(block)] = self.product(block)
            yield start + len(block), size, matrix
        matrix.copy_((matrix + matrix.T) / 2)

    def mean_eigenvalue(self, seed: int, probes: int = 8) -> float:
        """An estimate of trace / P from products with random signs. Hutchinson (1990), doi:10.1080/03610919008812866."""
        signs = random_signs(probes, self.layout.total, seed).to(self.objective.like.device)
        mean = float((signs * self.product(signs)).mean())
        if not mean > 0:
            raise ModelError(
                "curvature",
                "The curvature of the loss is not positive on average",
                f"Its mean eigenvalue is about {mean:.3g}.",
                'Use hessian="gauss_newton", or pass damping= larger than the most negative eigenvalue.',
            )
        return mean


def root_of_loss(loss: Loss, output: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Random r like `output` with E[r r'] = ∂²l/∂o² of every row, so that J' r has the Gauss–Newton matrix for covariance.

    A square root of the second derivative times random signs: it varies far less than the gradient of a label drawn from the
    prediction, which has the same covariance but of a sure prediction is almost always almost zero.
    """
    signs = (torch.randint(0, 2, output.shape, generator=generator) * 2 - 1).to(output)
    if getattr(loss, "name", "") == "cross_entropy":
        return _root_of_cross_entropy(output, labels, signs)
    flat = output.flatten(1)
    if flat.shape[1] > LARGEST_OUTPUT:
        raise ModelError(
            "output_size",
            f"The second derivative of a loss of {flat.shape[1]:,} numbers is too large",
            hint='Use loss="cross_entropy", hessian="fisher", or another solver.',
        )

    def of_row(row: Tensor, label: Tensor) -> Tensor:
        return loss(row.reshape(1, *output.shape[1:]), label.unsqueeze(0)).sum()

    values, vectors = torch.linalg.eigh(torch.func.vmap(torch.func.hessian(of_row))(flat, labels))
    root: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(1)) @ signs.flatten(1).unsqueeze(2)
    return root.reshape(output.shape)


def _root_of_cross_entropy(output: Tensor, labels: Tensor, signs: Tensor) -> Tensor:
    """diag(p) − p p' = B B' with B = diag(√p) − p √p'; of several places each by itself, as the loss is their mean."""
    classes = -1 if output.shape[:-1] == labels.shape and output.ndim > 1 else 1
    probabilities = output.softmax(classes)
    along = probabilities.sqrt() * signs
    root = along - probabilities * along.sum(classes, keepdim=True)
    if output.ndim == 2:
        return root
    counted = labels != IGNORED
    each = counted.flatten(1).sum(1).clamp(min=1).reshape(-1, *[1] * (counted.ndim - 1))
    return root * (counted / each.sqrt()).unsqueeze(classes)


def random_signs(rows: int, size: int, seed: int) -> Tensor:
    """±1 with equal probability, [rows, size] in float64, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (rows, size), generator=generator).double() * 2 - 1


def _gauss_newton(objective: Objective, batch: Batch) -> Linear:
    inputs, labels = batch
    output, forward, pull = _derivatives(lambda values: objective.output(values, inputs), objective.values)

    def total(output: Tensor) -> Tensor:
        return objective.loss(output, labels).sum()

    bend = torch.func.vjp(torch.func.grad(total), output.detach())[1]
    return lambda vector: pull(bend(forward(vector))[0])


def _fisher(objective: Objective, batch: Batch) -> Linear:
    _, forward, pull = _derivatives(lambda values: objective.losses(values, batch), objective.values)
    return lambda vector: pull(forward(vector))


def _hessian(objective: Objective, batch: Batch) -> Linear:
    def total(values: dict[str, Tensor]) -> Tensor:
        return objective.losses(values, batch).sum()

    pull = torch.func.vjp(torch.func.grad(total), objective.values)[1]
    return lambda vector: pull(vector)[0]


_LINEAR = {"gauss_newton": _gauss_newton, "hessian": _hessian, "fisher": _fisher}


def _derivatives(
    function: Callable[[dict[str, Tensor]], Tensor], values: dict[str, Tensor]
) -> tuple[Tensor, Callable[[dict[str, Tensor]], Tensor], Callable[[Tensor], dict[str, Tensor]]]:
    """A function's output o, v -> J v and w -> J' w."""
    output, pull, *_ = torch.func.vjp(function, values)
    # J' w is linear in w, so its derivative at any w, here 0, is J.
    forward = torch.func.vjp(lambda weights: pull(weights)[0], torch.zeros_like(output))[1]
    return output, lambda vector: forward(vector)[0], lambda weights: pull(weights)[0]


def _bytes(batch: Any) -> int:
    if isinstance(batch, Tensor):
        return batch.nbytes
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    return sum(map(_bytes, parts))
