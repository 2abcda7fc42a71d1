"""How the query's loss would change if the model were trained again without an example, to first order.

With H the mean curvature over the training data (plus λI) and g the gradients of the losses at the last of the checkpoints,

    score(example, query) = g_query' H⁻¹ g_example

Koh & Liang (2017) write the same with a minus sign, as the effect of giving the example more weight on the query's loss.
Here a positive score is a proponent's. Score / N estimates by how much the query's loss rises when the example is left out
of N and the model is trained to the minimum again. The estimate supposes that the checkpoint is a minimum and the loss
convex around it; for deep networks it is closer to the effect on a model that is kept near this one (Bae et al. 2022, If
influence functions are the answer, then what is the question? arXiv:2209.05364).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import Note, Range
from xaiwidgets.training.curvature import Kind
from xaiwidgets.training.inverse import Inverse
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, Scored, Step, training_method
from xaiwidgets.training.solvers import Inversion, Solver, shown

SolverChoice = Annotated[
    Solver,
    Note(
        "exact: the matrix itself, for up to 6,000 parameters. conjugate_gradient: to a tolerance. lissa: random batches. "
        "arnoldi: the largest eigenvalues only. ekfac: layers apart, for large models"
    ),
]
HessianChoice = Annotated[
    Kind,
    Note("gauss_newton: never negative. hessian: what the theory names. fisher: of the gradients of the data"),
]
Damping = Annotated[
    float | None, Note("λ, added to every eigenvalue; None: a tenth of their mean", "number", "Damping λ")
]
Iterations = Annotated[int, Range(5, 2000, log=True, help="Products with the curvature (conjugate gradient, Arnoldi)")]
Tolerance = Annotated[float, Range(1e-8, 0.1, log=True, help="Largest relative residual (conjugate gradient)")]
Depth = Annotated[int, Range(10, 100_000, log=True, help="Steps of the series (LiSSA)")]
Repeats = Annotated[int, Range(1, 32, help="Series averaged (LiSSA)")]
Rank = Annotated[int, Range(1, 2000, log=True, help="Eigenvalues kept (Arnoldi)")]
ExampleCount = Annotated[
    int | None, Note("Training examples the curvature is the mean of, drawn at random; None: all", "number")
]
Seed = Annotated[int, Note("Of everything random", "seed")]

SOLVERS = {
    "exact": (),
    "conjugate_gradient": ("inverse by conjugate gradients, to a tolerance",),
    "lissa": ("inverse by a truncated series over random batches (LiSSA)",),
    "arnoldi": ("inverse on the largest eigenvalues only (Arnoldi)",),
    "ekfac": ("curvature by EK-FAC: layers apart, each a Kronecker product with measured eigenvalues",),
}
HESSIANS = {
    "gauss_newton": ("Gauss–Newton matrix in place of the Hessian",),
    "hessian": (),
    "fisher": ("empirical Fisher matrix in place of the Hessian",),
}


def approximations_of(parameters: dict[str, Any]) -> tuple[str, ...]:
    """What makes the scores differ from g' (H + λI)⁻¹ g with the Hessian of all examples."""
    examples = parameters["examples"]
    some = () if examples is None else (f"curvature of at most {examples:,} examples drawn at random",)
    return (*HESSIANS[parameters["hessian"]], *SOLVERS[parameters["solver"]], *some)


@training_method(
    title="Influence function",
    family="curvature",
    reference="Koh & Liang 2017, Understanding black-box predictions via influence functions, arXiv:1703.04730",
    approximations=approximations_of,
)
def influence_function(
    question: Question,
    *,
    solver: SolverChoice = "conjugate_gradient",
    hessian: HessianChoice = "gauss_newton",
    damping: Damping = None,
    iterations: Iterations = 100,
    tolerance: Tolerance = 1e-3,
    depth: Depth = 1000,
    repeats: Repeats = 1,
    rank: Rank = 50,
    examples: ExampleCount = None,
    seed: Seed = 0,
) -> Iterator[Step]:
    """The product of the gradients through the inverse curvature at the last of the checkpoints.

    Equals N times the first-order change of the query's loss when the example is left out. H⁻¹ is applied to the queries,
    once; training examples are scored by inner products with the result, so that each costs what it costs in TracIn.
    Solvers: CG as in Koh & Liang; LiSSA, Agarwal et al. 2017, arXiv:1602.03943; Arnoldi, Schioppa et al. 2022,
    arXiv:2112.03052; EK-FAC, Grosse et al. 2023, arXiv:2308.03296.
    """
    inversion = Inversion(solver, hessian, damping, iterations, tolerance, depth, repeats, rank, examples, seed)
    inverse, named = yield from _solved(question, inversion)
    for positions in question.spans():
        parts = [chunk.dot_vectors(named).T for _, chunk in question.gradients(question.checkpoints[-1], positions)]
        yield Scored(positions, _scores(parts), notes_of(inverse))


@training_method(
    title="RelatIF",
    family="curvature",
    reference="Barshan et al. 2020, RelatIF: identifying explanatory training examples via relative influence, arXiv:2003.11630",
    approximations=approximations_of,
)
def relatif(
    question: Question,
    *,
    relative_to: Annotated[
        Literal["theta", "loss"],
        Note("theta: ÷ how far the example moves the parameters. loss: ÷ how much it changes its own loss, root of"),
    ] = "theta",
    solver: SolverChoice = "ekfac",
    hessian: HessianChoice = "gauss_newton",
    damping: Damping = None,
    iterations: Iterations = 100,
    tolerance: Tolerance = 1e-3,
    depth: Depth = 1000,
    repeats: Repeats = 1,
    rank: Rank = 50,
    examples: ExampleCount = None,
    seed: Seed = 0,
) -> Iterator[Step]:
    """Influence relative to how much an example changes the model at all: outliers do not lead everywhere.

    theta: influence / ‖H⁻¹ g_example‖; loss: influence / √(g_example' H⁻¹ g_example). With EK-FAC and Arnoldi the lengths come
    from the same pass as the scores; with the other solvers every training example is solved for, which is dear.
    """
    inversion = Inversion(solver, hessian, damping, iterations, tolerance, depth, repeats, rank, examples, seed)
    inverse, named = yield from _solved(question, inversion)
    power = 2 if relative_to == "theta" else 1
    for positions in question.spans():
        parts = []
        for _, chunk in question.gradients(question.checkpoints[-1], positions):
            lengths = inverse.quadratic(chunk, power).clamp(min=0).sqrt().to(chunk.losses.dtype)
            products = chunk.dot_vectors(named)
            parts.append(torch.where(lengths > 0, products.T / lengths, torch.zeros_like(products.T)))
        yield Scored(positions, _scores(parts), notes_of(inverse))


def group_influence(scores: Any, groups: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The first-order effect of leaving out whole groups: the sums of their members' scores, [Q, groups] in float64.

    scores   [Q, N] of all training examples
    groups   of each group the positions of its members, or a mask [N]

    Koh et al. 2019, On the accuracy of influence functions for measuring group effects, arXiv:1905.13289: sums correlate with
    the effect of training again without the group and underestimate it, as members that stand in for each other are summed
    as if each were alone. As a change of the loss: divide by N.
    """
    scores = np.asarray(scores, dtype=np.float64)
    sums = np.empty((len(scores), len(groups)))
    for number, members in enumerate(groups):
        chosen = np.asarray(members)
        inside = chosen.dtype == bool and chosen.shape == scores.shape[1:]
        if (
            not inside
            and len(chosen)
            and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= scores.shape[1])
        ):
            raise InputError(
                "group",
                f"Group {number} does not choose from {scores.shape[1]} training examples",
                hint="Positions, or a mask of one truth value for each.",
            )
        sums[:, number] = scores[:, chosen if inside else np.unique(chosen).astype(np.int64)].sum(1)
    return sums


def notes_of(inverse: Inverse) -> tuple[str, ...]:
    return (f"damping λ = {inverse.damping:.3g}", *inverse.notes)


def _solved(question: Question, inversion: Inversion) -> Generator[Preparing, None, tuple[Inverse, dict[str, Tensor]]]:
    """The prepared inverse, and H⁻¹ times the gradients of the queries by name [Q, *shape]."""
    last = question.checkpoints[-1]
    inverse = inversion.of(question, last)
    yield from shown(inverse.prepare(), "curvature")
    gradients = question.queries(last)
    solution = yield from shown(inverse.solve(inverse.layout.flatten(gradients.dense())), "solving for the queries")
    return inverse, inverse.layout.split(solution.to(gradients.losses.dtype))


def _scores(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, 1).float().cpu().unsqueeze(2)
