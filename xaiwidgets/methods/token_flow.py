"""Relevance that tokens hand on from one attention map to the next, within a sequence and from one to another.

R[s][x] [n, tokens of s, tokens of x] says how much of sequence x has come into sequence s. Methods differ in one step: what
an attention map adds. Each sequence keeps its versions, because a map may read keys from before a later map wrote to them
(two streams that attend to each other at the same time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from xaiwidgets.engine.attention_maps import AttentionMap
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.token_streams import Tokens

State = dict[int, Tensor]
Step = Callable[[AttentionMap, Tensor, State, State, State], State]
"""(the map, its weights A [n, queries, keys], R[queries] so far, as the queries saw it, R[keys] as seen) -> R[queries]"""


class Flow:
    """All R after some maps."""

    def __init__(self, maps: list[AttentionMap], weights: Iterable[Tensor], step: Step) -> None:
        self._versions: dict[int, list[tuple[int, State]]] = {}
        for number, (one, A) in enumerate(zip(maps, weights, strict=True)):
            queries, keys = self._at(one.queries, one.shape[0], A), self._at(one.keys, one.shape[1], A)
            versions = self._versions[one.queries.stream]
            versions.append((number + 1, step(one, A, versions[-1][1], queries, keys)))

    def between(self, stream: int, source: int) -> Tensor:
        """R[stream][source] in the end."""
        return self._versions[stream][-1][1][source]

    def _at(self, tokens: Tokens, count: int, like: Tensor) -> State:
        start: State = {tokens.stream: torch.eye(count, dtype=like.dtype, device=like.device)}
        versions = self._versions.setdefault(tokens.stream, [(0, start)])
        state = [state for age, state in versions if age <= tokens.age][-1]
        known = state[tokens.stream].shape[-2]
        if known != count:
            raise ModelError(
                "attention_tokens",
                f"The number of tokens changes between attention maps, from {known} to {count}",
                "Relevance is followed from token to token, and tokens that are pooled, merged or dropped cannot be.",
                "Use raw_attention or attention_x_gradient, which read single maps.",
            )
        return state


def rolled(_map: AttentionMap, A: Tensor, now: State, _queries: State, keys: State) -> State:
    """R <- (A + I) R with rows that sum to 1 (Abnar and Zuidema 2020): half of a token is itself, half what it attends to.

    Across sequences in the same way: A R[keys] + R[queries], so that each row still sums to 1 over all sequences.
    """
    total = A.sum(2, keepdim=True) + 1
    return {source: value / total for source, value in _plus(now, {x: A @ R for x, R in keys.items()}).items()}


def gathered(one: AttentionMap, A: Tensor, now: State, queries: State, keys: State) -> State:
    """Rules 6, 7, 10 and 11 of Chefer, Gur and Wolf (2021), numbered as there.

    Within a sequence R[s][x] += A R[s][x]. From keys q to queries s: R[s][q] += norm(R[s][s])ᵀ A norm(R[q][q]), and
    R[s][x] += A R[q][x] for every other x.
    """
    added = {x: A @ R for x, R in keys.items()}
    s, q = one.queries.stream, one.keys.stream
    if not one.within:
        added[q] = without_excess(queries[s]).mT @ A @ without_excess(keys[q])
    return _plus(now, added)


def without_excess(R: Tensor) -> Tensor:
    """Rules 8 and 9: what a token has gathered sums to 1 beside the 1 it started as; nothing where it gathered nothing."""
    gathered_part = gained(R)
    total = gathered_part.sum(-1, keepdim=True)
    start = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    return gathered_part / torch.where(total == 0, 1, total) + start


def gained(R: Tensor) -> Tensor:
    """R[s][s] without the 1 that each token started as."""
    return R - torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)


def _plus(now: State, added: State) -> State:
    return {x: sum(state[x] for state in (now, added) if x in state) for x in {**now, **added}}  # type: ignore[misc]
