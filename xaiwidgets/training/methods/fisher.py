"""Fisher kernels: how alike two examples are to the model, with the Fisher matrix as the measure, and examples that stand in.

Khanna et al. (2019), Interpreting black box predictions using Fisher kernels, arXiv:1810.10118. With g the gradients of the
losses (of minus the log-likelihood) at the last of the checkpoints and F = mean g g' over the training data (empirical Fisher),

    score(example, query) = g_query' (F + λI)⁻¹ g_example

which for the log-likelihood is the influence function with the Fisher matrix in place of the Hessian. Positive: a step on the
example lowers the query's loss.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.registry import Note, Range
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, Scored, Step, training_method
from xaiwidgets.training.sketch import TensorSketch

from .influence_functions import SOLVERS, Damping, ExampleCount, Iterations, Rank, Seed, Tolerance, influence_function

KHANNA = "Khanna et al. 2019, Interpreting black box predictions using Fisher kernels, arXiv:1810.10118"


def _approximations(parameters: dict[str, Any]) -> tuple[str, ...]:
    solver, examples = parameters["solver"], parameters["examples"]
    some = () if examples is None else (f"Fisher matrix of at most {examples:,} examples drawn at random",)
    if solver == "sketch":
        return (f"gradients and Fisher matrix sketched to {parameters['dim']} numbers", *some)
    return (*SOLVERS[solver], *some)


@training_method(title="Fisher kernel", family="curvature", reference=KHANNA, approximations=_approximations)
def fisher_kernel(
    question: Question,
    *,
    solver: Annotated[
        Literal["sketch", "exact", "conjugate_gradient", "arnoldi", "ekfac"],
        Note("sketch: everything in a few hundred numbers, one pass. The others as of the influence function"),
    ] = "sketch",
    dim: Annotated[int, Range(64, 4096, log=True, help="Numbers a gradient is sketched to (sketch)")] = 1024,
    damping: Damping = None,
    iterations: Iterations = 100,
    tolerance: Tolerance = 1e-3,
    rank: Rank = 50,
    examples: ExampleCount = None,
    seed: Seed = 0,
) -> Iterator[Step]:
    """The product of the gradients through the inverse of the empirical Fisher matrix.

    Khanna et al. 2019, arXiv:1810.10118. λ: a tenth of the mean eigenvalue where damping is None. With "sketch" the gradients
    are replaced by their TensorSketch, and F by the sketches' second moments.
    """
    if solver == "sketch":
        return _sketched(question, TensorSketch(dim, seed, question.checkpoints[-1]), damping, examples, seed)
    return influence_function(
        question, solver=solver, hessian="fisher", damping=damping, iterations=iterations, tolerance=tolerance, rank=rank,
        examples=examples, seed=seed,
    )  # fmt: skip


def sequential_quadrature(features: Tensor, goal: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Training examples that together stand in for the queries: sequential Bayesian quadrature, greedily.

    features   [N, d] of training examples, with features @ features' their kernel (of Fisher: whitened sketches)
    goal       [d] the mean of the queries' features
    count      how many to choose

    Returns their positions [count], in the order chosen, and the weights [count] with which the chosen features come nearest
    to the goal. Each step takes the example that lowers the squared distance ‖goal − Σ w features‖² the most, weights
    fitted anew: Khanna et al. 2019, arXiv:1810.10118, algorithm 1, whose objective z' K⁻¹ z this distance completes.
    Time and memory N · d · count; raises ParameterError if count exceeds the rank of the features.
    """
    if not 1 <= count <= min(features.shape):
        raise ParameterError(
            "parameter_range", f"count={count} is not possible", hint=f"From 1 to {min(features.shape)}."
        )
    rest, missing = features.double().clone(), goal.double().clone()
    smallest = 1e-10 * float(rest.square().sum(1).max())
    chosen: list[int] = []
    for _ in range(count):
        sizes = rest.square().sum(1)
        gains = torch.where(sizes > smallest, (rest @ missing).square() / sizes, -1.0)
        best = int(gains.argmax())
        if gains[best] < 0:
            raise ParameterError(
                "parameter_range", f"The features have rank {len(chosen)}", hint=f"At most {len(chosen)} examples."
            )
        chosen.append(best)
        direction = rest[best] / rest[best].norm()
        # What is left of every example, and of the goal, beside those chosen: a Gram–Schmidt step.
        rest -= torch.outer(rest @ direction, direction)
        missing -= (missing @ direction) * direction
    kept = features[chosen].double()
    weights = torch.linalg.lstsq(kept.T, goal.double().unsqueeze(1)).solution[:, 0]
    return torch.tensor(chosen), weights


def whitened(
    question: Question, *, dim: int = 1024, damping: float | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Sketches of the candidates [N, dim] and of the queries [Q, dim] whose products are the sketched Fisher kernel.

    What `sequential_quadrature` chooses from: N × dim numbers in memory.
    """
    sketch, last = TensorSketch(dim, seed, question.checkpoints[-1]), question.checkpoints[-1]
    every = _finished(_moments(question, sketch, None, seed))
    factor = torch.linalg.cholesky(_damped(every, damping))
    rows = [part.sketch(sketch).double().cpu() for _, part in question.gradients(last, question.candidates())]
    both = (torch.cat(rows), question.queries(last).sketch(sketch).double().cpu())
    candidates, queries = (torch.linalg.solve_triangular(factor, one.T, upper=False).T for one in both)
    return candidates, queries


def _sketched(
    question: Question, sketch: TensorSketch, damping: float | None, examples: int | None, seed: int
) -> Iterator[Step]:
    last = question.checkpoints[-1]
    moments = _damped((yield from _moments(question, sketch, examples, seed)), damping)
    queries = question.queries(last).sketch(sketch).double().cpu()
    solved = torch.linalg.solve(moments, queries.T).T.float()
    for positions in question.spans():
        parts = [solved @ part.sketch(sketch).float().cpu().T for _, part in question.gradients(last, positions)]
        yield Scored(positions, torch.cat(parts, 1).unsqueeze(2))


def _moments(
    question: Question, sketch: TensorSketch, examples: int | None, seed: int
) -> Generator[Preparing, None, Tensor]:
    """The mean of s s' over the training data [dim, dim]."""
    order = torch.randperm(len(question.data), generator=question.generator(seed))[:examples].numpy()
    moments = torch.zeros(sketch.dim, sketch.dim, dtype=torch.float64)
    done = 0
    for _, part in question.gradients(question.checkpoints[-1], order):
        sketches = part.sketch(sketch).double().cpu()
        moments += sketches.T @ sketches
        done += len(sketches)
        yield Preparing(done, len(order), "sketching")
    return moments / len(order)


def _damped(moments: Tensor, damping: float | None) -> Tensor:
    mean = float(moments.diagonal().mean())
    return moments + (0.1 * mean if damping is None else damping) * torch.eye(len(moments), dtype=moments.dtype)


def _finished(work: Generator[Preparing, None, Tensor]) -> Tensor:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            answer: Tensor = stop.value
            return answer
