"""Relevance that tokens hand on from one attention map to the next, within a sequence and from one to another.

R[s][x] [n, tokens of s, tokens of x] says how much of sequence x has come into sequence s. Methods differ in one step: what
an attention map adds. Each sequence keeps its versions, because a map may read keys from before a later map wrote to them
(two streams that attend to each other at the same time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.attention_maps import AttentionMap
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.token_streams import Streams, Tokens

State = dict[int, Tensor]
Step = Callable[[AttentionMap, Tensor, State, State, State], State]
"""(the map, its weights A [n, queries, keys], R[queries] so far, as the queries saw it, R[keys] as seen) -> R[queries]"""


class Flow:
    """All R after some maps."""

    def __init__(self, maps: list[AttentionMap], weights: Iterable[Tensor], step: Step, streams: Streams) -> None:
        self._streams = streams
        self._versions: dict[int, list[tuple[int, State]]] = {}
        for number, (one, A) in enumerate(zip(maps, weights, strict=True)):
            queries, keys = self._at(one.queries, one.shape[0], A), self._at(one.keys, one.shape[1], A)
            versions = self._versions[one.queries.stream]
            versions.append((number + 1, step(one, A, versions[-1][1], queries, keys)))

    def between(self, stream: int, source: int) -> Tensor:
        """R[stream][source] in the end."""
        return self._versions[stream][-1][1][source]

    def gained(self, stream: int, source: int) -> Tensor:
        """The same without the 1 that each token started as, if the source is the sequence itself or a part of it."""
        R = self.between(stream, source)
        place = self._streams.place(stream, source, R.shape[-2])
        if place is None:
            return R
        start = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
        return R - functional.pad(start, (0, 0, place.start, R.shape[-2] - place.stop))

    def _at(self, tokens: Tokens, count: int, like: Tensor) -> State:
        versions = self._versions.get(tokens.stream)
        if versions is None:
            versions = self._versions[tokens.stream] = [(0, self._start(tokens.stream, count, like))]
        state = [state for age, state in versions if age <= tokens.age][-1]
        known = state[tokens.stream].shape[-2]
        if known != count:
            raise changed(known, count)
        return state

    def _start(self, stream: int, count: int, like: Tensor) -> State:
        """Every token is itself; in a joined sequence it is also what it was before."""
        state: State = {stream: torch.eye(count, dtype=like.dtype, device=like.device)}
        joined = self._streams.joined.get(stream)
        if joined is None:
            return state
        if joined.length != count:
            raise changed(joined.length, count)
        for tokens, start, stop in joined.parts:
            before = self._at(tokens, stop - start, like)
            state = _plus(state, {x: functional.pad(R, (0, 0, start, count - stop)) for x, R in before.items()})
        return state


def changed(known: int, count: int) -> ModelError:
    return ModelError(
        "attention_tokens",
        f"The number of tokens changes between attention maps, from {known} to {count}",
        "Relevance is followed from token to token, and tokens that are pooled, merged or dropped cannot be.",
        "Use raw_attention or attention_x_gradient with layers='last', which read single maps.",
    )


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
    start = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    total = (R - start).sum(-1, keepdim=True)
    return (R - start) / torch.where(total == 0, 1, total) + start


def _plus(now: State, added: State) -> State:
    return {x: sum(state[x] for state in (now, added) if x in state) for x in {**now, **added}}  # type: ignore[misc]
