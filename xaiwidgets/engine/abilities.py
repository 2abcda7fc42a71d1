"""What a model has that some methods need, found out by watching one pass."""

from __future__ import annotations

from typing import Any

import torch

from .chunk import Chunk
from .errors import ExplainError
from .problem import Problem
from .rewrite import Rewrite

# a need of methods, and the operations one of which meets it
OPERATIONS = {
    "relu": frozenset({"relu", "relu6"}),
    "attention": frozenset({"softmax", "scaled_dot_product_attention"}),
}


class _Names(Rewrite):
    """Notes what every operation is called; changes nothing."""

    passes = None

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        self.seen.add(name)
        return super()._apply(name, function, args, kwargs)


def abilities(problem: Problem) -> frozenset[str]:
    """The needs of `OPERATIONS` that the model meets for its first input. None where its operations cannot be seen."""
    seen: set[str] = set()

    def work(chunk: Chunk) -> tuple[torch.Tensor, ...]:
        names = _Names()
        chunk.output(rewrite=names)
        seen.update(names.seen)
        return (chunk.rows,)

    try:
        problem.evaluate(work, problem.points[:1], torch.zeros(1, dtype=torch.long, device=problem.device))
    except ExplainError:
        return frozenset()  # the methods that need them would say so at more length
    return frozenset(need for need, operations in OPERATIONS.items() if operations & seen)
