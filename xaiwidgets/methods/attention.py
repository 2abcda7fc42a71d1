"""Attention as an explanation: the maps themselves, multiplied along the layers, and with their gradients.

All methods read the maps that the model uses, of any attention it is written with, and answer with one number a token.
Which token's row is read, of the last map that the score depends on, is settled by that dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.attention_maps import AttentionMap
from xaiwidgets.engine.attention_reading import Reading, map_gradients, query_shares, read_maps
from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.diagnosis import require_graph
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.inputs import require_differentiable
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.target import unwrap

from .lrp_mode import Composite, Relevance
from .lrp_rules import stabilized, z_plus
from .token_flow import Flow, changed, gathered, rolled
from .tokens import like_input

Heads = Annotated[Literal["mean", "max", "min"], Note("How the heads of a layer become one.")]
Query = Annotated[int, Note("Token whose attention is read; -1 reads those that the score is computed from.")]

Explained = Callable[[Tensor], list[Tensor]]
"""from the scores [n] of one target to relevances [n, tokens] of each explained input"""

FUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda weights: weights.mean(1),
    "max": lambda weights: weights.amax(1),
    "min": lambda weights: weights.amin(1),
}


@method(
    family="attention",
    title="Raw attention",
    reference="Bahdanau, Cho, Bengio (2014), Neural Machine Translation by Jointly Learning to Align and Translate, "
    "arXiv:1409.0473",
    needs=("attention",),
    signed=False,
    unit="share of the attention",
)
def raw_attention(
    problem: Problem,
    *,
    layer: Annotated[
        int, Note("Which attention layer, from 0; negative ones count from the last.", kind="number")
    ] = -1,
    head: Annotated[int, Note("Which head, from 0; -1 takes all of them together.")] = -1,
    heads: Heads = "mean",
    query: Query = -1,
) -> Iterator[Partial]:
    """What the token that is scored attends to in one layer.

    Values [batch, tokens], for images [batch, 1, height, width]: attention weights, which sum to 1 over all tokens, class
    token included. In encoder–decoders the layers are those in which the scored sequence attends to the explained one.
    """

    def explain(reading: Reading, _chunk: Chunk) -> Explained:
        read = [_layer(_direct(reading, explained), layer) for explained in reading.explained]
        fused = [fuse(one.weights, heads, head).to(problem.dtype)[..., place] for one, place in read]
        return _rows(reading, fused, query)

    yield _answer(problem, explain, gradient=False)


@method(
    family="attention",
    title="Attention rollout",
    reference="Abnar, Zuidema (2020), Quantifying Attention Flow in Transformers, arXiv:2005.00928",
    needs=("attention",),
    signed=False,
    unit="share of the attention",
)
def attention_rollout(problem: Problem, *, heads: Heads = "mean", query: Query = -1) -> Iterator[Partial]:
    """Attention multiplied along the layers: which input tokens a token is mixed from, half of it being itself each time.

    Values [batch, tokens], for images [batch, 1, height, width]: shares that sum to 1 over all tokens of all inputs, class
    token included; the product of (A + I) / 2 over the layers. The same for every target that is read from the same
    token. Between sequences, (A R_keys + R_queries) / 2 carries the idea on.
    """

    def keep(weights: Tensor) -> Tensor:
        return FUSED[heads](weights).to(problem.dtype)

    def explain(reading: Reading, _chunk: Chunk) -> Explained:
        flow = Flow(reading.maps, [one.weights for one in reading.maps], rolled, reading.streams)
        asked = reading.last.queries.stream
        return _rows(reading, [flow.between(asked, explained) for explained in reading.explained], query)

    yield _answer(problem, explain, gradient=False, keep=keep)


@method(
    family="attention",
    title="Attention × gradient",
    reference="Barkan, Hauon, Caciularu, Katz, Malkiel, Armstrong, Koenigstein (2021), Grad-SAM, arXiv:2204.11073",
    needs=("gradient", "attention"),
)
def attention_x_gradient(
    problem: Problem,
    *,
    layers: Annotated[Literal["all", "last"], Note("Mean over all layers, or the last one only.")] = "all",
    relu: Annotated[bool, Note("Keep only attention that speaks for the score, as Grad-SAM does.")] = False,
) -> Iterator[Partial]:
    """Attention weights times their gradients, summed over heads and over all tokens that attend.

    Values [batch, tokens], for images [batch, 1, height, width], in units of score: to first order, by how much the score
    drops when a token is attended to no more in one layer, and nothing else changes. The mean over the layers that
    attend to the explained input. Grad-SAM is the same with relu, up to its division by the numbers of heads and tokens.
    """

    def explain(reading: Reading, _chunk: Chunk) -> Explained:
        read = [
            reading.over(explained)[slice(-1, None) if layers == "last" else slice(None)]
            for explained in reading.explained
        ]

        def weigh(scores: Tensor) -> list[Tensor]:
            gradients = [one.relu() if relu else one for one in map_gradients(scores, reading.maps)]
            pairs = zip(reading.maps, gradients, strict=True)
            products = [(one.weights.to(gradient.dtype) * gradient).sum((1, 2)) for one, gradient in pairs]
            return [_mean([products[number][:, place] for number, place in places]) for places in read]

        return weigh

    yield _answer(problem, explain)


@method(
    family="attention",
    title="Chefer relevance",
    reference="Chefer, Gur, Wolf (2021), Generic Attention-model Explainability, arXiv:2103.15679",
    needs=("gradient", "attention"),
    signed=False,
    unit="relevance",
)
def chefer(problem: Problem, *, query: Query = -1) -> Iterator[Partial]:
    """Attention that speaks for the score, collected along the layers and between sequences.

    Values [batch, tokens], for images [batch, 1, height, width]. Each map counts as A = mean over heads of its positive
    gradient × attention; within a sequence R grows by A R, between sequences by the paper's rules 10 and 11. Shown is the
    row of R − I of the token that is scored: what it has gathered, without the 1 it started as.
    """

    def explain(reading: Reading, _chunk: Chunk) -> Explained:
        def gather(scores: Tensor) -> list[Tensor]:
            pairs = zip(reading.maps, map_gradients(scores, reading.maps), strict=True)
            weights = [(one.weights.to(gradient.dtype) * gradient).relu().mean(1) for one, gradient in pairs]
            return _gathered(reading, weights, scores, query)

        return gather

    yield _answer(problem, explain)


@method(
    family="attention",
    title="Transformer attribution",
    reference="Chefer, Gur, Wolf (2021), Transformer Interpretability Beyond Attention Visualization, arXiv:2012.09838",
    needs=("gradient", "attention"),
    signed=False,
    unit="relevance",
)
def transformer_attribution(problem: Problem, *, query: Query = -1) -> Iterator[Partial]:
    """Relevance of the attention weights (LRP) times their gradient, where positive, collected along the layers.

    Values [batch, tokens], for images [batch, 1, height, width]. Each map counts as A = mean over heads of its positive
    gradient × relevance, and R grows by A R; between sequences by the rules of `chefer`. As in the paper relevance starts
    as 1 at the scored output, linear layers hand it to what pulls them up, and products give each factor half; sums and
    norms follow `lrp`, whose patent claim is about this too. Shown is the row of R − I of the token that is scored.
    """
    require_differentiable(problem.inputs, "Transformer attribution")
    linear = z_plus(bias=False)

    def explain(reading: Reading, chunk: Chunk) -> Explained:
        below, scores_below, output = read_maps(
            problem, chunk, gradient=True, rewrite=Relevance(Composite(linear, linear))
        )
        chunk.evaluations["gradient"] += len(chunk.rows) * (len(scores_below) - 1)
        relevances = iter([_relevance(below.maps, one, unwrap(output)) for one in scores_below])

        def gather(scores: Tensor) -> list[Tensor]:
            gradients = map_gradients(scores, reading.maps)
            pairs = zip(gradients, next(relevances), strict=True)
            return _gathered(reading, [(gradient * one).relu().mean(1) for gradient, one in pairs], scores, query)

        return gather

    yield _answer(problem, explain)


# --- asking the model ------------------------------------------------------------------------------------------------


def _answer(
    problem: Problem,
    explain: Callable[[Reading, Chunk], Explained],
    *,
    gradient: bool = True,
    keep: Callable[[Tensor], Tensor] = lambda weights: weights,
) -> Partial:
    """One pass a sample, whatever the number of targets."""

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        reading, scores, _ = read_maps(problem, chunk, gradient=gradient, keep=keep)
        one_target = explain(reading, chunk)
        answers = zip(*map(one_target, scores), strict=True)
        if gradient:
            chunk.evaluations["gradient"] += len(chunk.rows) * (len(scores) - 1)
        return *(torch.stack(targets, dim=1) for targets in answers), torch.stack(scores, dim=1).detach()

    found = problem.evaluate(work, problem.points[: problem.samples])
    *parts, scores = (one.transpose(0, 1).flatten(0, 1) for one in found)  # the targets first
    return Partial(like_input(problem, parts), done=1, total=1, score=scores)


# --- reading the maps ------------------------------------------------------------------------------------------------


def fuse(weights: Tensor, heads: str, head: int) -> Tensor:
    """Weights [n, heads, queries, keys] of one head, or of all together: [n, queries, keys]."""
    if head >= weights.shape[1]:
        raise ParameterError(
            "head_range", f"There is no head {head}", hint=f"The layer has heads 0 to {weights.shape[1] - 1}."
        )
    return weights[:, head] if head >= 0 else FUSED[heads](weights)


def _direct(reading: Reading, explained: int) -> list[tuple[AttentionMap, slice]]:
    """The maps in which the scored sequence attends to an explained one, and which of their keys that is."""
    asked = reading.last.queries.stream
    found = [(reading.maps[number], place) for number, place in reading.over(explained)]
    found = [(one, place) for one, place in found if one.queries.stream == asked]
    if not found:
        raise ModelError(
            "no_attention",
            "What is scored attends to the explained input only by way of other tokens",
            hint="Use attention_rollout or chefer, which follow attention from one sequence to the next.",
        )
    return found


def _layer(maps: list[tuple[AttentionMap, slice]], layer: int) -> tuple[AttentionMap, slice]:
    if not -len(maps) <= layer < len(maps):
        raise ParameterError(
            "attention_layer",
            f"There is no attention layer {layer}",
            hint=f"The model has {len(maps)}: 0 to {len(maps) - 1}.",
        )
    return maps[layer]


def _rows(reading: Reading, matrices: list[Tensor], query: int) -> Explained:
    """The rows of the queries that are scored, from matrices [n, queries, tokens]."""

    def read(scores: Tensor) -> list[Tensor]:
        shares = query_shares(reading.last, scores, query).unsqueeze(1)
        for matrix in matrices:
            if matrix.shape[-2] != shares.shape[2]:
                raise changed(matrix.shape[-2], shares.shape[2])
        return [(shares @ matrix).squeeze(1) for matrix in matrices]

    return read


def _gathered(reading: Reading, weights: list[Tensor], scores: Tensor, query: int) -> list[Tensor]:
    """What the scored queries have gathered of each explained input, if maps count as `weights` [n, queries, keys]."""
    flow, asked = Flow(reading.maps, weights, gathered, reading.streams), reading.last.queries.stream
    return _rows(reading, [flow.gained(asked, explained) for explained in reading.explained], query)(scores)


def _relevance(maps: list[AttentionMap], scores: Tensor, output: Tensor) -> list[Tensor]:
    """Relevance of attention weights, from a pass under `Relevance`: 1 where the score is the output itself."""
    (start,) = torch.autograd.grad(scores.sum(), output, retain_graph=True, allow_unused=True)
    start = require_graph(start) / stabilized(output.detach(), torch.finfo(output.dtype).eps)
    nodes = [one.node for one in maps if one.node is not None]
    found = torch.autograd.grad(output, nodes, start, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(node) if one is None else (node * one).detach() for node, one in zip(nodes, found, strict=True)
    ]


def _mean(values: list[Tensor]) -> Tensor:
    for one in values:
        if one.shape != values[0].shape:
            raise changed(values[0].shape[1], one.shape[1])
    return torch.stack(values).mean(0)
