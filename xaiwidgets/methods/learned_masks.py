"""Meaningful perturbation: a mask that is learned, taking away as little as possible for as large a change as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

Game = Literal["delete", "preserve"]

PACE = 10  # steps between two partial results
SIDE = 224  # the shorter side, in pixels, that the papers' constants are meant for
# Fong and Vedaldi (2017), section 4.3: cells of a 28 × 28 mask, their blur, jitter, and the λ₂ and β of their smoothness
MASK_BLUR = 5 / 8  # standard deviation, in cells
JITTER = 4  # pixels
SMOOTHNESS, POWER = 1e-2, 3
STEP_SIZE, DECAYS, TINY = 0.1, (0.9, 0.999), 1e-8  # of Adam (Kingma, Ba 2014, arXiv:1412.6980)
MOST_STEPS = 2000


@method(
    family="perturbation",
    title="Meaningful perturbation",
    reference="Fong, Vedaldi (2017), Interpretable Explanations of Black Boxes by Meaningful Perturbation, "
    "arXiv:1704.03296",
    needs=("gradient", "image"),
    signed=False,
    unit="marked pixels",
)
def meaningful_perturbation(
    problem: Problem,
    *,
    steps: Annotated[
        int, Range(10, MOST_STEPS, log=True, help="Gradient steps; more continue where fewer ended.")
    ] = 300,
    game: Annotated[
        Game, Note("Delete: the least whose loss lowers the score. Preserve: the least that keeps the score up.")
    ] = "delete",
    sparsity: Annotated[
        float,
        Range(0.01, 10, log=True, help="Price of marking the whole image, in units of the whole change of score."),
    ] = 1.0,
    cells: Annotated[
        int, Range(2, 56, help="Cells of the mask along the shorter side; never more than half of it.")
    ] = 28,
    baseline: Annotated[BaselineLike, Note("What a deleted place becomes.", kind="baseline")] = "blur",
    seed: Annotated[int, Note("Seed of the jitter.", kind="seed")] = 0,
) -> Iterator[Partial]:
    """The smallest smooth part of the image whose loss takes the score away.

    Values [batch, 1, height, width] from 0 to 1: how far a pixel was marked, that is deleted or, in the other game,
    preserved. With m the marks on a coarse grid and Φ the image with its deleted part replaced by the baseline, Adam
    minimises

        ± f(Φ(m)) / unit + sparsity · mean m + λ₂ Σ |∇m|^β        + to delete, - to preserve

    while the image is moved under the mask by a random pixel or two, so that the mask does not fit artefacts of the model.

    Other than published: the score is divided by the largest distance from f(baseline) seen so far, at first that of f(x),
    so that the prices mean the same for logits as for probabilities; `sparsity` is 1 instead of 0.08, because logits go on
    falling after a probability has reached zero; the start is a half everywhere instead of a disc chosen by search; and the
    constants are scaled to the image's size.
    """
    height, width = problem.points.shape[2:]
    shorter = min(height, width)
    size = max(1, shorter / max(1, min(cells, shorter // 2)))
    rows, columns = (_spread(length, max(1, round(length / size)), problem.points) for length in (height, width))
    smoothness = SMOOTHNESS * min(rows.shape[1], columns.shape[1]) / 28
    references = problem.baselines(baseline)
    weight = 1.0 if game == "delete" else -1.0
    moves = _jitter(round(JITTER * shorter / SIDE), problem.generator(seed))

    def build(marks: Tensor, move: tuple[int, int]) -> tuple[Tensor, Tensor]:
        marked = rows @ marks @ columns.T
        images, blanks = _moved(problem.points, move), _moved(references, move)
        images = blanks + (1 - marked if game == "delete" else marked) * (images - blanks)
        return images, sparsity * marks.mean((1, 2, 3)) + smoothness * _roughness(marks)

    remember = problem.memory(("meaningful_perturbation", digest(references), game, sparsity, cells, seed))
    if "state" not in remember or remember["state"][0].step > steps:
        half = torch.full_like(problem.points[:, :1, :1, :1], 0.5)
        adam = Adam.start(half.repeat(1, 1, rows.shape[1], columns.shape[1]))
        remember["state"] = adam, change_of_score(problem, references)
    adam, scale = remember["state"]
    while True:
        if adam.step and (adam.step % PACE == 0 or adam.step == steps):
            remember["state"] = adam, scale
            values = rows @ adam.values @ columns.T
            yield Partial(values, adam.step, steps, score=scale.score, baseline_score=scale.baseline_score)
        if adam.step == steps:
            return
        gradient, scale = slope(problem, partial(build, move=moves[adam.step]), adam.values, scale, weight)
        adam = adam.next(gradient)


# --- for every learned mask -----------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """What the score changes by: the unit that its share in an objective is measured in."""

    score: Tensor  # [rows], of the input
    baseline_score: Tensor  # [rows], of the baselines, averaged
    unit: Tensor  # [rows], the largest distance from the baseline's score seen so far


def change_of_score(problem: Problem, references: Tensor) -> Scale:
    """From the input to the references [k, rows, ...]; never taken for less than a thousandth of the scores."""
    count, rows = references.shape[:2]
    sample = torch.arange(rows, device=problem.device).repeat(count)
    score = problem.values()
    baseline_score = problem.values(references.flatten(0, 1), sample).reshape(count, rows).mean(0)
    least = 1e-3 * torch.maximum(score.abs(), baseline_score.abs()).clamp(min=1e-12)
    return Scale(score, baseline_score, torch.maximum((score - baseline_score).abs(), least))


def slope(
    problem: Problem, build: Callable[[Tensor], tuple[Tensor, Tensor]], leaf: Tensor, scale: Scale, weight: float
) -> tuple[Tensor, Scale]:
    """Gradient of weight · score / unit + price, `build` making perturbed images and a price [rows] from the leaf.

    The images are [rows, ...] or [k, rows, ...], and then the score is averaged over the k. Two steps: through the model
    in chunks, then through the perturbation. Rows have nothing to do with one another. The second result is the scale
    with what has been seen.
    """
    with torch.enable_grad():
        leaf = leaf.detach().requires_grad_()
        images, price = build(leaf)
    count = images.numel() // problem.points.numel()
    sample = torch.arange(problem.rows, device=problem.device).repeat(count)
    gradients, scores = problem.gradients(images.detach().reshape(-1, *images.shape[-3:]), sample)
    seen = (scores.reshape(count, -1).mean(0) - scale.baseline_score).abs()
    unit = torch.maximum(scale.unit, seen)
    gradients = gradients.reshape(images.shape) * (weight / count / unit).reshape(-1, 1, 1, 1)
    (found,) = torch.autograd.grad((images, price), leaf, (gradients, torch.ones_like(price)))
    return found, scale._replace(unit=unit)


# --- for this one ---------------------------------------------------------------------------------------------------


class Adam(NamedTuple):
    """Adam on values kept within 0..1, as a value itself: a run can stop at any step and go on later."""

    step: int
    values: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def start(cls, values: Tensor) -> Adam:
        return cls(0, values, torch.zeros_like(values), torch.zeros_like(values))

    def next(self, gradient: Tensor) -> Adam:
        step = self.step + 1
        first = torch.lerp(gradient, self.first, DECAYS[0])
        second = torch.lerp(gradient.square(), self.second, DECAYS[1])
        mean, square = first / (1 - DECAYS[0] ** step), second / (1 - DECAYS[1] ** step)
        return Adam(step, (self.values - STEP_SIZE * mean / (square.sqrt() + TINY)).clamp(0, 1), first, second)


def _spread(length: int, cells: int, like: Tensor) -> Tensor:
    """A matrix [length, cells] that enlarges one axis of a mask smoothly: Gaussian weights that sum to one."""
    places = (torch.arange(length, dtype=torch.float64) + 0.5) * cells / length - 0.5
    distances = (places[:, None] - torch.arange(cells)) / MASK_BLUR
    return torch.softmax(-0.5 * distances.square(), dim=1).to(like)


def _jitter(most: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Moves down and to the right, one pair a step; the same for all rows, which must not depend on one another."""
    moves = torch.randint(-most, most + 1, (MOST_STEPS, 2), generator=generator)
    return [(int(down), int(right)) for down, right in moves.tolist()]


def _moved(images: Tensor, move: tuple[int, int]) -> Tensor:
    """Images [..., height, width] moved; the border is repeated into the gap."""
    for axis, shift in zip((-2, -1), move, strict=True):
        if shift:
            length = images.shape[axis]
            places = (torch.arange(length, device=images.device) - shift).clamp(0, length - 1)
            images = images.index_select(axis, places)
    return images


def _roughness(marks: Tensor) -> Tensor:
    """Σ |∇m|^β of every row."""
    return sum((marks.diff(dim=axis).abs().pow(POWER).sum((1, 2, 3)) for axis in (-2, -1)), torch.zeros(()).to(marks))
