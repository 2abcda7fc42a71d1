"""Attention maps of a problem's model, seen from its question: which count, and which tokens ask on the score's behalf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from .attention_maps import AttentionMap, Capture, Change
from .chunk import Chunk
from .diagnosis import require_finite
from .errors import ModelError, ParameterError
from .problem import Problem
from .rewrite import Watch
from .token_streams import Streams


class Reading(NamedTuple):
    """The maps of a pass up to the last one that the score depends on."""

    maps: list[AttentionMap]
    explained: list[int]  # the sequence of each explained input
    streams: Streams

    @property
    def last(self) -> AttentionMap:
        """The map whose queries the score is read from."""
        return self.maps[-1]

    def over(self, explained: int) -> list[tuple[int, slice]]:
        """Numbers of the maps whose keys are tokens of an explained input, and which of the keys."""
        places = (
            (number, self.streams.place(one.keys.stream, explained, one.shape[1]))
            for number, one in enumerate(self.maps)
        )
        return [(number, place) for number, place in places if place is not None]


class Over(Watch):
    """Maps are read of a pass that goes on under another rewrite."""

    def __init__(self, capture: Capture, rewrite: Watch) -> None:
        super().__init__()
        self.modes = rewrite, capture

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        for mode in self.modes:
            mode.begin(module, arguments)

    def __enter__(self) -> Self:
        for mode in self.modes:
            mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self.modes):
            mode.__exit__(*error)  # type: ignore[no-untyped-call]

    def end(self, output: Any) -> Any:
        for mode in reversed(self.modes):
            output = mode.end(output)
        return output


def read_maps(
    problem: Problem,
    chunk: Chunk,
    *,
    gradient: bool,
    keep: Callable[[Tensor], Tensor] = lambda weights: weights,
    change: Change | None = None,
    rewrite: Watch | None = None,
) -> tuple[Reading, list[Tensor], Any]:
    """One pass of samples, under another rewrite if there is one: its maps, the scores [n] of each target, the output.

    Every map is a node of the scores' graph, or, without `gradient`, the last one only, so that nothing before it is kept
    for a backward pass. `change` puts other weights in a map's place.
    """
    last = last_map(problem)
    capture = Capture(len(chunk.rows), first_node=0 if gradient else last, keep=keep, change=change)
    mode = capture if rewrite is None else Over(capture, rewrite)
    output = chunk.output(chunk.leaf if gradient else chunk.leaf.detach(), rewrite=mode)
    if len(capture.maps) <= last:
        raise _none("Other samples use more attention than this one.")
    scores = [scorer(output, chunk.rows).to(problem.dtype) for scorer in problem.scorers]
    for one in scores:
        require_finite(one, "score")
        if gradient and not one.requires_grad:
            raise ModelError(
                "not_differentiable",
                "The score does not depend differentiably on any attention map",
                "The graph between them is cut, for example by argmax, rounding, .detach(), .item() or no_grad.",
                "Use raw_attention or attention_rollout, which need no gradients.",
            )
    return Reading(capture.maps[: last + 1], _explained(problem, capture), capture.streams), scores, output


def last_map(problem: Problem) -> int:
    """The number of the last map through which a score depends on the explained input, found once with one row."""
    known = problem.memory("attention")
    if not known:

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            capture = Capture(len(chunk.rows))
            scores = chunk.scores(chunk.output(rewrite=capture))
            reached = _reached(capture, set(_explained(problem, capture)))
            gradients = _of_maps(scores, [capture.maps[index] for index in reached], keep=False)
            alive = [index for index, one in zip(reached, gradients, strict=True) if bool(one.any())]
            known["last"] = (alive or reached)[-1]
            return (chunk.rows,)

        problem.evaluate(work, problem.points[:1], torch.zeros(1, dtype=torch.long, device=problem.device))
    return int(known["last"])


def map_gradients(scores: Tensor, maps: list[AttentionMap]) -> list[Tensor]:
    """Gradients of the summed scores with respect to maps [n, heads, queries, keys], in the dtype of the scores; zero for
    maps that do not matter. The graph is kept.
    """
    gradients = [one.to(scores.dtype) for one in _of_maps(scores, maps, keep=True)]
    for one in gradients:
        require_finite(one, "gradient")
    return gradients


def query_shares(one: AttentionMap, scores: Tensor, query: int) -> Tensor:
    """How the score is read from the queries [n, queries] of the last map; each row sums to 1.

    Equally from all queries whose attention the score depends on: the class token, the last word, or every token where
    their mean is taken. Where no gradient tells, from the last token under a causal mask, and from the first otherwise.
    """
    count = one.shape[0]
    if query >= count:
        raise ParameterError(
            "query_range", f"There is no query {query}", hint=f"The last attention map has queries 0 to {count - 1}."
        )
    if query >= 0:
        return torch.eye(count, dtype=scores.dtype, device=scores.device)[query].expand(len(scores), -1)
    asked = torch.zeros(len(scores), count, dtype=torch.bool, device=scores.device)
    if one.node is not None:
        asked = (_of_maps(scores, [one], keep=True)[0] != 0).any(3).any(1)
    causal = count == one.shape[1] and not bool(one.weights.triu(1).any())
    usual = torch.arange(count, device=scores.device) == (count - 1 if causal else 0)
    asked = torch.where(asked.any(1, keepdim=True), asked, usual).to(scores.dtype)
    return asked / asked.sum(1, keepdim=True)


def _of_maps(scores: Tensor, maps: list[AttentionMap], *, keep: bool) -> list[Tensor]:
    nodes = [one.node for one in maps if one.node is not None]
    if len(nodes) < len(maps) or not scores.requires_grad:
        return [torch.zeros_like(one.weights) for one in maps]
    found = torch.autograd.grad(scores.sum(), nodes, allow_unused=True, retain_graph=keep)
    return [torch.zeros_like(node) if one is None else one for node, one in zip(nodes, found, strict=True)]


def _explained(problem: Problem, capture: Capture) -> list[int]:
    """The sequence of each explained input; where that cannot be followed, the first one that attention reads."""
    if not capture.maps:
        raise _none("No softmax was multiplied into values during the forward pass.")
    found = [capture.stream_of(key) for key in problem.inputs.explained]
    return [capture.maps[0].keys.stream if stream is None else stream for stream in found]


def _reached(capture: Capture, streams: set[int]) -> list[int]:
    """Numbers of the maps that hand on, directly or not, what came from some sequences."""
    numbers: list[int] = []
    for number, one in enumerate(capture.maps):
        if any(capture.streams.place(one.keys.stream, source, one.shape[1]) is not None for source in streams):
            streams.add(one.queries.stream)
            numbers.append(number)
    return numbers


def _none(detail: str) -> ModelError:
    return ModelError(
        "no_attention",
        "The model computes no attention that could be read",
        detail,
        "Use a gradient, path or perturbation method.",
    )
