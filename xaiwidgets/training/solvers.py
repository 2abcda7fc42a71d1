"""From a question to the inverse of its curvature: which examples it is the mean of, and how it is inverted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError

from .curvature import Batch, Curvature, Kind, Objective, root_of_loss
from .data import moved
from .ekfac import EkFac
from .factors import Gradients
from .inverse import Arnoldi, ConjugateGradient, Exact, Inverse, LiSSA, Progress
from .question import Question
from .recorder import Recorder
from .registry import Preparing

Solver = Literal["exact", "conjugate_gradient", "lissa", "arnoldi", "ekfac"]


@dataclass(frozen=True)
class Inversion:
    """How a damped curvature is inverted; a field's meaning is that of the parameter of `influence_function`."""

    solver: Solver = "conjugate_gradient"
    hessian: Kind = "gauss_newton"
    damping: float | None = None
    iterations: int = 100
    tolerance: float = 1e-3
    depth: int = 1000
    repeats: int = 1
    rank: int = 50
    examples: int | None = None
    seed: int = 0

    def of(self, question: Question, checkpoint: int) -> Inverse:
        """The inverse at one checkpoint, not yet prepared. Raises ParameterError where the two do not go together."""
        if self.damping is not None and self.damping < 0:
            raise ParameterError("parameter_range", f"damping={self.damping:g} is negative", hint="From 0, or None.")
        data = Examples(question, checkpoint, self.examples, self.seed)
        if self.solver == "ekfac":
            if self.hessian == "hessian":
                raise ParameterError(
                    "parameter_choice",
                    "EK-FAC does not know the Hessian",
                    hint='Use hessian="gauss_newton" or "fisher", or another solver.',
                )
            passes = data.own if self.hessian == "fisher" else partial(data.pseudo, self.seed)
            layout = Objective(question.at(checkpoint)).layout
            return EkFac(passes, len(data.positions), layout, self.damping)
        curvature = Curvature(
            Objective(question.at(checkpoint)), self.hessian, data.read, len(data.positions), question.check
        )
        build: dict[str, Callable[[], Inverse]] = {
            "exact": lambda: Exact(curvature, self.damping, self.seed),
            "conjugate_gradient": lambda: ConjugateGradient(
                curvature, self.damping, tolerance=self.tolerance, iterations=self.iterations, seed=self.seed
            ),
            "lissa": lambda: LiSSA(curvature, self.damping, depth=self.depth, repeats=self.repeats, seed=self.seed),
            "arnoldi": lambda: Arnoldi(
                curvature, self.damping, iterations=self.iterations, rank=self.rank, seed=self.seed
            ),
        }
        return build[self.solver]()


class Examples:
    """The training examples a curvature is the mean of: all, or some drawn without replacement; in random order."""

    def __init__(self, question: Question, checkpoint: int, examples: int | None, seed: int) -> None:
        self.question, self.checkpoint = question, checkpoint
        order = torch.randperm(len(question.data), generator=question.generator(seed))
        self.positions = order[:examples].numpy()

    def read(self, rows: slice) -> Batch:
        inputs, labels = self.question.data.batch(self.positions[rows])
        return moved(inputs, self.question.device), labels.to(self.question.device)

    def own(self) -> Iterator[Gradients]:
        """Gradients of the examples' own losses."""
        for _, gradients in self.question.gradients(self.checkpoint, self.positions):
            yield gradients

    def pseudo(self, seed: int) -> Iterator[Gradients]:
        """Gradients with the Gauss–Newton matrix for covariance, the same each time."""
        question, generator = self.question, self.question.generator(seed)
        recorder = question.at(self.checkpoint)
        linear = Recorder(question.model, _along, layers=list(recorder.parameters), call=question.spec.forward)
        for start in range(0, len(self.positions), question.batch_size):
            question.check()
            inputs, labels = self.read(slice(start, start + question.batch_size))
            with torch.no_grad():
                output = recorder.model(inputs)
            yield linear.record(inputs, root_of_loss(recorder.loss, output, labels, generator))


def shown(
    work: Generator[Progress, None, Tensor] | Iterator[Progress], phase: str
) -> Generator[Preparing, None, Tensor]:
    """Progress as steps of a method; returns what the work returns."""
    while True:
        try:
            done, total = next(work)
        except StopIteration as stop:
            answer: Tensor = stop.value
            return answer
        yield Preparing(done, total, phase)


def _along(output: Tensor, slopes: Tensor) -> Tensor:
    """A loss [B] whose derivative with respect to the output is given."""
    return (output * slopes).flatten(1).sum(1)
