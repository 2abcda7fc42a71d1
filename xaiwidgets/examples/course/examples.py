"""Lesson 5: which training examples."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.examples.course.verdict import NotYetError, answered, close, exercise, expect, number
from xaiwidgets.training import TrainingIndex

SUSPECTS, NEAREST = 30, 10


@exercise
def product(
    index: TrainingIndex,
    image: Tensor,
    label: Tensor,
    positions: list[int],
    theirs: Callable[[Tensor, Tensor, int], float],
) -> str:
    """`theirs(image, label, position)` is the product of two gradients of the loss, at the model as it is now: that of a query
    (image [1, ...], label [1]) and that of the training example at a position.
    """
    scores = index.influence(image, label, method="gradient_dot", candidates=positions).scores[0]
    said = []
    for position, truth in zip(positions, scores.tolist(), strict=True):
        yours = number(answered(theirs(image, label, position)))
        if not close(yours, truth):
            expect(not close(yours, -truth), "The sign is wrong: a proponent's gradient points where the query's does.")
            hint = "Both are gradients of the cross-entropy, flattened, over all parameters of the network."
            raise NotYetError(f"For training example {position} it is {truth:.3f}, and yours is {yours:.3f}. {hint}")
        said.append(f"{yours:+.2f}")
    return f"Training examples {', '.join(map(str, positions))}: {', '.join(said)}, as the index says."


@exercise
def suspects(planted: Collection[int], count: int, positions: Any) -> str:
    """`positions` are 30 training examples, nine in ten of which have a wrong label."""
    chosen = _positions(positions, SUSPECTS, count)
    known = set(planted)
    share = sum(one in known for one in chosen) / len(chosen)
    expect(share > 0, "None of them is wrong. Are the largest values at the other end?")
    expect(share >= 0.9, f"{share:.0%} of them are wrong; by chance it would be {len(known) / count:.0%}.")
    return f"{share:.0%} of your {len(chosen)} have a wrong label; by chance it would be {len(known) / count:.0%}."


@exercise
def neighbours(images: Tensor, query: Tensor, positions: Any) -> str:
    """`positions` are the ten training images [n, ...] whose pixels are nearest to those of a query [1, ...]."""
    chosen = _positions(positions, NEAREST, len(images))
    distances = torch.cdist(query.flatten(1), images.flatten(1))[0]
    limit = float(distances.topk(NEAREST, largest=False).values[-1]) * (1 + 1e-6)
    farthest = float(distances.topk(NEAREST).values[-1]) * (1 - 1e-6)
    expect(min(distances[one].item() for one in chosen) < farthest, "These are the farthest: largest=False.")
    wrong = [one for one in chosen if distances[one] > limit]
    expect(not wrong, f"{len(wrong)} of them are not among the ten nearest, for example {wrong[:1]}.")
    return f"The nearest is {distances.min():.2f} away, the tenth {limit:.2f}."


def _positions(given: Any, wanted: int, count: int) -> list[int]:
    """As whole numbers, if they are so many different ones in the range."""
    chosen = [int(one) for one in torch.as_tensor(given).flatten().tolist()]
    expect(len(chosen) == wanted, f"{wanted} positions are wanted, and these are {len(chosen)}.")
    expect(len(set(chosen)) == wanted, "Some are named twice.")
    expect(min(chosen) >= 0 and max(chosen) < count, f"Positions go from 0 to {count - 1}.")
    return chosen
