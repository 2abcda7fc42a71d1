"""DeepLIFT and DeepSHAP: differences from references instead of derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike, Dataset
from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.tape import Taped, same_random_numbers

from .deeplift_rules import DeepLift
from .moments import Moments
from .reveal_cancel import RevealCancel

LARGE = 0.01  # a delta, relative to what is explained, that people should know of
HALF = (torch.float16, torch.bfloat16)  # of which no better is expected
Rules = Annotated[
    Literal["rescale", "reveal_cancel"],
    Note(
        "Whether a unit's rises and falls are taken together or followed separately (linear layers and nonlinearities)."
    ),
]


@method(
    family="propagation",
    title="DeepLIFT",
    reference="Shrikumar, Greenside, Kundaje (2017), Learning Important Features Through Propagating Activation Differences, "
    "arXiv:1704.02685",
    needs=("gradient",),
    complete=True,
)
def deeplift(
    problem: Problem,
    *,
    baseline: Annotated[BaselineLike, Note("What stands for an absent input.", kind="baseline")] = "zeros",
    rule: Rules = "rescale",
) -> Iterator[Partial]:
    """The difference of the score from a baseline, handed down operation by operation in proportion to differences.

    Values [batch, ...] like the input, in units of the score; they sum to score - baseline_score up to `delta`, which is
    rounding: 1e-14 or so in float64, 1e-6 in float32, some per cent in half precision. Several baselines are averaged.
    Two forward passes and one backward pass for each baseline. "reveal_cancel" follows what raises and what lowers a unit
    separately, so that neither hides where they cancel; it is defined for linear layers, functions of single numbers and
    pooling, and anything else is an error.
    """
    baselines = problem.baselines(baseline)
    for partial in _averaged(problem, iter(baselines), len(baselines), rule):
        yield Partial(**{**vars(partial), "error": None})  # a list of baselines is no sample of anything


@method(
    family="propagation",
    title="DeepSHAP",
    reference="Lundberg, Lee (2017), A Unified Approach to Interpreting Model Predictions, arXiv:1705.07874",
    needs=("gradient",),
    complete=True,
)
def deep_shap(
    problem: Problem,
    *,
    baseline: Annotated[
        BaselineLike,
        Note("The background: a tensor of samples, a Dataset, a random baseline, or a list of these.", kind="baseline"),
    ] = "uniform",
    rule: Rules = "rescale",
) -> Iterator[Partial]:
    """DeepLIFT averaged over a background of references, as an approximation of Shapley values.

    Values [batch, ...] like the input, in units of the score; they sum to the score less the mean score of the background,
    up to `delta`. A tensor is a set of references [samples, ...], each of which serves every row. `error` is the standard
    error of the mean, summed over the input and relative to the summed size of the values, for the worst row: what another
    background of that size would change. Memory is that of one batch, whatever the background.
    """
    members = list(_members(problem, baseline))
    references = (one for member in members for one in problem.baselines(member))
    total = sum(1 if isinstance(member, Tensor) else len(problem.baselines(member)) for member in members)
    yield from _averaged(problem, references, total, rule)


def _members(problem: Problem, background: Any) -> Iterator[Any]:
    """A background as baselines that are small by themselves."""
    if isinstance(background, list):
        for member in background:
            yield from _members(problem, member)
    elif isinstance(background, Dataset):
        order = torch.randperm(len(background.data), generator=problem.generator(background.seed))
        yield from background.data[order[: background.samples].to(background.data.device)]
    elif isinstance(background, Tensor) and background.ndim in _axes(problem):
        yield from background
    else:
        yield background


def _axes(problem: Problem) -> set[int]:
    """How many axes samples may have: like the points or, where those are a layer's output, like the inputs."""
    return {problem.points.ndim, problem.inputs.leaves[0].ndim, getattr(problem, "whole", problem).points.ndim}


def _averaged(problem: Problem, references: Iterator[Tensor], total: int, rule: str) -> Iterator[Partial]:
    """The mean over references [rows, ...], better with every batch of them."""
    passes = PASSES[rule]
    moments, reference_scores, done = Moments(), Moments(), 0
    while batch := list(islice(references, max(1, problem.chunk_rows // problem.rows))):
        rows = torch.arange(problem.rows, device=problem.device).repeat(len(batch))
        values, scores, others = problem.evaluate(passes, (problem.points[rows], torch.cat(batch)), rows)
        done += len(batch)
        for value, other in zip(values.split(problem.rows), others.split(problem.rows), strict=True):
            moments.add(value.to(problem.sum_dtype))
            reference_scores.add(other.to(problem.sum_dtype))
        score = scores[: problem.rows]
        change = score.to(problem.sum_dtype) - reference_scores.mean
        delta = moments.mean.flatten(1).sum(1) - change
        partial = Partial(
            moments.mean.to(problem.dtype),
            done,
            total,
            delta=delta.to(problem.dtype),
            error=moments.error_of_mean(),
            score=score,
            baseline_score=reference_scores.mean.to(problem.dtype),
        )
        if done == total:
            _warn(problem, partial, moments.mean.abs().flatten(1).sum(1))
        yield partial


def _warn(problem: Problem, partial: Partial, size: Tensor) -> None:
    """Say so where the values do not sum to the change of the score, by more than its own rounding."""
    assert partial.delta is not None and partial.score is not None and partial.baseline_score is not None  # noqa: PT018, S101
    change, scale = (partial.score - partial.baseline_score).abs(), partial.score.abs() + partial.baseline_score.abs()
    room = change + 1e-3 * size + torch.finfo(problem.dtype).eps ** 0.5 * scale
    relative = float((partial.delta.abs() / room.clamp(min=1e-30)).max())
    dtype = problem.inputs.leaves[0].dtype
    if relative > LARGE and dtype not in HALF:
        single = dtype != torch.float64
        way_out = " In float64 it would be less: model.double() and inputs.double()." if single else ""
        warnings.warn(f"DeepLIFT's values miss the change of the score by {relative:.1%}.{way_out}", stacklevel=2)


# --- one chunk -------------------------------------------------------------------------------------------------------


def _rescaled(chunk: Chunk) -> tuple[Tensor, ...]:
    """Values, scores and reference scores of points and their references."""
    mode = DeepLift()
    scores, reference_scores = _both_passes(chunk, mode)
    (multipliers,) = chunk.differentiate(scores, chunk.leaf)
    point, reference = (leaf.detach() for leaf in chunk.leaves)
    return multipliers * (point - reference), scores.detach(), reference_scores


def _revealed(chunk: Chunk) -> tuple[Tensor, ...]:
    """The same with the rises and falls of every unit followed separately."""
    point, reference = (leaf.detach() for leaf in chunk.leaves)
    rises, falls = ((point - reference).clamp(**side).requires_grad_() for side in ({"min": 0}, {"max": 0}))
    mode = RevealCancel([chunk.problem.inputs.assemble(part, chunk.rows) for part in (rises, falls)])
    scores, reference_scores = _both_passes(chunk, mode)
    multipliers = chunk.differentiate(sum(mode.parts[scores], torch.zeros_like(scores)), rises, falls)
    values = multipliers[0] * rises.detach() + multipliers[1] * falls.detach()
    return values, scores.detach(), reference_scores


def _both_passes(chunk: Chunk, mode: Taped) -> tuple[Tensor, Tensor]:
    """Scores at the reference, written down, and at the points, compared."""
    with same_random_numbers(chunk.leaf.device):
        reference_scores = chunk.scores(chunk.output(chunk.leaves[1], rewrite=mode), mode).detach()
    mode.turn()
    scores = chunk.scores(chunk.output(rewrite=mode), mode)
    mode.finish()
    return scores, reference_scores


PASSES: dict[str, Callable[[Chunk], tuple[Tensor, ...]]] = {"rescale": _rescaled, "reveal_cancel": _revealed}
