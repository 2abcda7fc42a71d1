"""A few points on their way through the model: what the lowest level of a method works with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .batching import is_out_of_memory
from .diagnosis import diagnose, diagnose_backward, require_finite, require_graph
from .errors import Cancelled, ExplainError
from .precision import lowered
from .state import eager

if TYPE_CHECKING:
    from .problem import Problem
    from .rewrite import Watch

Work = Callable[["Chunk"], tuple[Tensor, ...]]


@dataclass
class Chunk:
    """Points [n, ...] that fit in memory together, the samples they belong to, and the model.

    Between its creation and its end the model is borrowed: parameters frozen, gradient mode set, random state kept.
    """

    problem: Problem
    leaves: tuple[Tensor, ...]
    rows: Tensor
    gradient: bool
    watched: bool  # something must see every operation, so compiled code must not run
    evaluations: dict[str, int] = field(default_factory=lambda: {"forward": 0, "gradient": 0})

    @property
    def leaf(self) -> Tensor:
        """The points, requiring gradients if the chunk was asked for with gradients."""
        return self.leaves[0]

    def output(self, leaf: Tensor | None = None, *, rewrite: Watch | None = None, hooked: bool = False) -> Any:
        """The model's raw output for the chunk's points, or for others of the same rows.

        `rewrite` is a mode the forward pass runs under; `hooked` says that the caller watches layers.
        """
        problem = self.problem
        leaf = self.leaf if leaf is None else leaf

        def forward(count: int | None = None) -> Any:
            # A copy, because a model may begin with an in-place operation, and a leaf must not be overwritten.
            arguments, keywords = problem.inputs.assemble(leaf[:count].clone(), self.rows[:count])
            if rewrite is None:
                return problem.call(*arguments, **keywords)
            rewrite.begin(problem.module, (arguments, keywords))
            with rewrite:
                output = problem.call(*arguments, **keywords)
            return rewrite.end(output)

        plain = rewrite is None and not hooked and not problem.hooked
        self.evaluations["gradient" if self.gradient and leaf.requires_grad else "forward"] += len(self.rows)
        with eager(self.watched or not plain), lowered(problem.precision, problem.device):
            try:
                return problem.fusion.call(forward) if plain else forward()
            except (ExplainError, Cancelled):
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                if rewrite is not None and rewrite.refusal is not None:
                    raise rewrite.refusal from error
                raise diagnose(error, problem.module, problem.inputs.leaves[0]) from error

    def scores(self, output: Any, rewrite: Watch | None = None) -> Tensor:
        """The explained score [n] of a raw output; under `rewrite` where the score is part of what is rewritten."""
        with rewrite or nullcontext():
            scores = self.problem.pick(output, self.rows).to(self.problem.dtype)
        require_finite(scores, "score")
        return scores

    def differentiate(self, scores: Tensor, *tensors: Tensor, keep: bool = False) -> tuple[Tensor, ...]:
        """Gradients of the summed scores, each in the problem's dtype; `keep` allows another call on the same graph."""
        found: tuple[Tensor | None, ...] = (None,) * len(tensors)
        if scores.requires_grad:
            try:
                found = torch.autograd.grad(scores.sum(), tensors, allow_unused=True, retain_graph=keep)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise diagnose_backward(error) from error
        gradients = tuple(require_graph(one).to(self.problem.dtype) for one in found)
        for one in gradients:
            require_finite(one, "gradient")
        return gradients
