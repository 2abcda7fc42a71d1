"""Methods that only ask what happens to the score when part of the input is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from xaiwidgets.engine.baselines import BaselineLike, resolve
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method


@method(
    family="perturbation",
    title="Occlusion",
    reference="Zeiler, Fergus (2013), Visualizing and Understanding Convolutional Networks, arXiv:1311.2901",
    needs=("image",),
)
def occlusion(
    problem: Problem,
    *,
    window: Annotated[
        int, Range(0, 128, help="Side of the covering square in pixels; 0 takes an eighth of the shorter side.")
    ] = 0,
    stride: Annotated[int, Range(0, 128, help="Pixels between two squares; 0 takes half the window.")] = 0,
    baseline: Annotated[BaselineLike, Note("What the square is filled with.", kind="baseline")] = "zeros",
) -> Iterator[Partial]:
    """How far the score drops when a square of the image is covered.

    Values [batch, 1, height, width] in units of the score: the drop, averaged over the squares that cover a pixel.
    Squares come in a scattered order, so that early results already cover the whole image.
    """
    height, width = problem.points.shape[2:]
    side = min(window or max(1, min(height, width) // 8), height, width)
    corners = _corners(height, width, side, min(stride or max(1, side // 2), side))
    order = torch.randperm(len(corners), generator=problem.generator(0)).tolist()
    baselines = resolve(baseline, problem.inputs)
    count, rows = baselines.shape[:2]
    score = problem.values()
    drops = torch.zeros((rows, height, width), dtype=problem.sum_dtype, device=problem.device)
    covered = torch.zeros((height, width), dtype=problem.sum_dtype, device=problem.device)
    group = max(1, problem.chunk_rows // (count * rows))
    for begin in range(0, len(order), group):
        places = [corners[index] for index in order[begin : begin + group]]
        masks = _squares(places, height, width, side, problem.device)
        # [squares, baselines, rows, channels, height, width]
        points = torch.where(masks[:, None, None, None], baselines, problem.points)
        sample = torch.arange(rows, device=problem.device).repeat(len(places) * count)
        scores = problem.values(points.flatten(0, 2), sample).reshape(len(places), count, rows).mean(1)
        weights = masks.to(problem.sum_dtype).flatten(1)
        drops += ((score - scores).T.to(problem.sum_dtype) @ weights).reshape(rows, height, width)
        covered += weights.sum(0).reshape(height, width)
        values = (drops / covered.clamp(min=1)).unsqueeze(1)
        yield Partial(values.to(problem.dtype), begin + len(places), len(order), score=score)


def _corners(height: int, width: int, side: int, stride: int) -> list[tuple[int, int]]:
    """Upper left corners of squares that cover every pixel; the last ones may reach over the edge."""
    rows, columns = (range(0, max(length - side, 0) + stride, stride) for length in (height, width))
    return [(top, left) for top in rows for left in columns]


def _squares(corners: list[tuple[int, int]], height: int, width: int, side: int, device: torch.device) -> Tensor:
    """Masks [squares, height, width], true inside."""
    top, left = torch.tensor(corners, device=device).unsqueeze(-1).unbind(1)
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    inside_rows = (y >= top) & (y < top + side)
    inside_columns = (x >= left) & (x < left + side)
    return inside_rows[:, :, None] & inside_columns[:, None, :]
