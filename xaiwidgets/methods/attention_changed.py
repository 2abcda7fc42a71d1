"""Attention as an explanation: what happens when it is changed, a value taken away or all weights scaled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.attention_blocks import Block, blocks, outputs_changed
from xaiwidgets.engine.attention_maps import Capture, Change
from xaiwidgets.engine.attention_reading import map_gradients, query_shares, read_maps
from xaiwidgets.engine.chunk import Chunk, Work
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .attention import Query
from .quadrature import fixed_rule
from .token_flow import changed
from .tokens import like_input

Layers = Literal["all", "last"]


@method(
    family="attention",
    title="Value zeroing",
    reference="Mohebbi, Zuidema, Chrupała, Alishahi (2023), Quantifying Context Mixing in Transformers, arXiv:2301.12971",
    needs=("attention",),
    signed=False,
    unit="share of the mixture",
)
def value_zeroing(
    problem: Problem,
    *,
    layers: Annotated[Layers, Note("Multiplied along all layers, or the last one only.")] = "all",
    query: Query = -1,
) -> Iterator[Partial]:
    """How much a layer's output for a token turns when another token's value is zero, multiplied along the layers.

    Values [batch, tokens], for images [batch, 1, height, width]: shares that sum to 1 over all tokens, class token
    included. In each layer, given what it is really given, the value vector of one token is zero in every head and the
    attention weights stay as they are; C_ij is the cosine distance between the layer's outputs for token i without and
    with the value of token j, each row divided by its sum. The layer's output includes the skip connection and the MLP,
    so that the maps are multiplied as they are. The same for every target that is read from the same token. One pass with
    a row for each token answers for all layers, because every layer is given the true output of the one before.
    """
    around = blocks(problem)
    outputs, shares, scores = _as_they_are(problem, around, query)
    tokens = outputs[0].shape[1]
    for one in outputs:
        if one.shape[1] != tokens:
            raise changed(tokens, one.shape[1])
    total, done = problem.samples * tokens, 0
    maps = torch.zeros((len(around), problem.samples, tokens, tokens), dtype=problem.sum_dtype, device=problem.device)
    while done < total:
        index = torch.arange(done, min(done + problem.chunk_rows, total), device=problem.device)
        sample, token = index // tokens, index % tokens
        maps[:, sample, :, token] = _turned(problem, around, outputs, sample, token)
        done += len(index)
        values = _mixture(problem, maps if layers == "all" else maps[-1:], shares)
        yield Partial(values, done, total, score=scores.T.flatten())


@method(
    family="attention",
    title="Self-attention attribution",
    reference="Hao, Dong, Wei, Xu (2021), Self-Attention Attribution: Interpreting Information Interactions Inside "
    "Transformer, arXiv:2004.11207",
    needs=("gradient", "attention"),
)
def attattr(
    problem: Problem,
    *,
    layers: Annotated[Layers, Note("Mean over all layers, or the last one only.")] = "all",
    steps: Annotated[int, Range(2, 128, log=True, help="Gradient evaluations for each row and layer.")] = 16,
) -> Iterator[Partial]:
    """Attention weights times their gradients, integrated while one layer's weights grow from zero.

    Values [batch, tokens], for images [batch, 1, height, width], in units of score: A ∫ ∂f(αA)/∂A dα, summed over heads
    and over all tokens that attend; the mean over the layers that attend to the explained input. All weights of one layer
    grow together, the other layers answer as they do. Each layer's whole map sums to the score minus the score without
    any attention in that layer; `error` is the largest miss of these sums, relative to the size of the map. The paper
    adds gradients at the right ends of equal steps; here they are taken at the nodes of Gauss and Legendre. It reads trees
    off the maps; here they are summed, as for `attention_x_gradient`, which is the same with one step at the end.
    """
    nodes, weights = fixed_rule("gauss_legendre", steps)
    full, over = _plain(problem)
    over = [places[slice(-1, None) if layers == "last" else slice(None)] for places in over]
    numbers = sorted({number for places in over for number, _ in places})
    samples, device = problem.samples, problem.device
    layer = torch.tensor(numbers, device=device).repeat_interleave(steps * samples)
    alpha = torch.tensor(nodes, dtype=problem.dtype, device=device).repeat_interleave(samples).repeat(len(numbers))
    weight = (
        torch.tensor(weights, dtype=problem.sum_dtype, device=device).repeat_interleave(samples).repeat(len(numbers))
    )
    sample = torch.arange(samples, device=device).repeat(len(numbers) * steps)
    sums = _Sums(problem, over, numbers)
    done = 0
    while done < len(layer):
        part = slice(done, min(done + problem.chunk_rows, len(layer)))
        points = problem.points[sample[part]], alpha[part], layer[part]
        found = problem.evaluate(_scaled(problem, over), points, sample[part])
        sums.add(found, weight[part], layer[part], sample[part])
        done = part.stop
        if done < len(layer):
            yield Partial(sums.values(), done, len(layer))
    empty = _without(problem, numbers)
    yield Partial(sums.values(), done, done, error=sums.miss(full - empty), score=full.T.flatten().to(problem.dtype))


# --- value zeroing ---------------------------------------------------------------------------------------------------


def _as_they_are(problem: Problem, around: list[Block], query: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Outputs [samples, tokens, width] of all blocks; shares [samples, columns, tokens] and scores [samples, columns]."""

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        outputs: list[Tensor] = []
        with outputs_changed(problem.module, around, lambda _number, output: outputs.append(output.detach().clone())):
            reading, scores, _ = read_maps(problem, chunk, gradient=False, keep=_one_head)
        shares = torch.stack([query_shares(reading.last, one, query) for one in scores], dim=1)
        return *outputs, shares.detach(), torch.stack(scores, dim=1).detach()

    *outputs, shares, scores = problem.evaluate(work, problem.points[: problem.samples])
    return outputs, shares, scores


def _turned(problem: Problem, around: list[Block], outputs: list[Tensor], sample: Tensor, token: Tensor) -> Tensor:
    """Cosine distances [m, blocks, tokens] between a block's outputs with and without the value of one token."""

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        hidden = chunk.leaves[1].detach().long()
        kept: list[Tensor] = []

        def change(
            _number: int, weights: Tensor
        ) -> Tensor:  # a value of zero and a weight of zero are the same product
            keys = torch.arange(weights.shape[-1], device=weights.device)
            return weights.masked_fill((keys == hidden[:, None])[:, None, None], 0)

        def compare(number: int, output: Tensor) -> None:
            true = outputs[number][chunk.rows]
            kept.append(_cosine_distance(output.to(problem.sum_dtype), true.to(problem.sum_dtype)))
            output.copy_(true)  # the next block is given what it is really given

        capture = Capture(len(chunk.rows), first_node=None, keep=_little, change=change)
        with outputs_changed(problem.module, around, compare):
            chunk.output(chunk.leaf.detach(), rewrite=capture, hooked=True)
        return (torch.stack(kept, dim=1),)

    points = problem.points[sample], token.to(problem.dtype)
    return problem.evaluate(work, points, sample, gradient=False)[0]


def _cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cos over the last axis, by way of the difference: what is nearly parallel is not lost to rounding."""
    tiny = torch.finfo(one.dtype).tiny
    first, second = (tensor / tensor.norm(dim=-1, keepdim=True).clamp(min=tiny) for tensor in (one, other))
    distance: Tensor = (first - second).square().sum(-1) / 2
    return distance


def _mixture(problem: Problem, maps: Tensor, shares: Tensor) -> Tensor:
    """The scored tokens' rows of the maps' product, [columns * samples, tokens] as values of the input.

    A token that no value matters to stays what it was.
    """
    sums = maps.sum(-1, keepdim=True)
    start = torch.eye(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    mixing = torch.where(sums > 0, maps / torch.where(sums > 0, sums, 1), start)
    rows = shares.to(maps.dtype)
    for one in mixing.flip(0):
        rows = rows @ one
    return like_input(problem, [rows.transpose(0, 1).flatten(0, 1).to(problem.dtype)])


# --- self-attention attribution --------------------------------------------------------------------------------------

Places = list[tuple[int, slice]]
"""Numbers of the maps that read an explained input, and which of their keys that is."""


class _Sums:
    """Integrals over the layers' maps, as they are added up."""

    def __init__(self, problem: Problem, over: list[Places], numbers: list[int]) -> None:
        self.problem, self.over, self.numbers = problem, over, numbers
        self.parts: list[Tensor] = []  # [layers, samples, columns, tokens] of each explained input
        self.whole = self.size = torch.zeros(())  # [layers, samples, columns] sums over the whole map, and of its sizes

    def add(self, found: tuple[Tensor, ...], weight: Tensor, layer: Tensor, sample: Tensor) -> None:
        places = torch.searchsorted(torch.tensor(self.numbers, device=layer.device), layer)
        *parts, whole, size = (one.to(weight.dtype) * weight.reshape(-1, *[1] * (one.ndim - 1)) for one in found)
        if not self.parts:
            lead = len(self.numbers), self.problem.samples
            self.parts = [one.new_zeros(*lead, *one.shape[1:]) for one in parts]
            self.whole, self.size = (whole.new_zeros(*lead, *whole.shape[1:]) for _ in range(2))
        for total, one in zip([*self.parts, self.whole, self.size], [*parts, whole, size], strict=True):
            total.index_put_((places, sample), one, accumulate=True)

    def values(self) -> Tensor:
        """The mean over the layers that read an input, for each target."""
        means = [
            part.sum(0).transpose(0, 1).flatten(0, 1) / len(places)
            for part, places in zip(self.parts, self.over, strict=True)
        ]
        return like_input(self.problem, [one.to(self.problem.dtype) for one in means])

    def miss(self, changes: Tensor) -> float:
        """How far the sums are from the changes [layers, samples, columns] of the score, relative to the maps' size."""
        return float(((self.whole - changes).abs() / self.size.clamp(min=torch.finfo(self.size.dtype).tiny)).max())


def _plain(problem: Problem) -> tuple[Tensor, list[Places]]:
    """Scores [samples, columns] with attention as it is, and where each explained input is read."""
    over: list[list[Places]] = []

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        reading, scores, _ = read_maps(problem, chunk, gradient=False, keep=_little)
        over.append([reading.over(explained) for explained in reading.explained])
        return (torch.stack(scores, dim=1).detach(),)

    (scores,) = problem.evaluate(work, problem.points[: problem.samples], gradient=False)
    return scores.to(problem.sum_dtype), over[0]


def _without(problem: Problem, numbers: list[int]) -> Tensor:
    """Scores [layers, samples, columns] with no attention in one layer."""
    layer = torch.tensor(numbers, device=problem.device).repeat_interleave(problem.samples)
    sample = torch.arange(problem.samples, device=problem.device).repeat(len(numbers))

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        change = _times(*chunk.leaves[1:])
        capture = Capture(len(chunk.rows), first_node=None, keep=_little, change=change)
        output = chunk.output(chunk.leaf.detach(), rewrite=capture)
        return (torch.stack([scorer(output, chunk.rows) for scorer in problem.scorers], dim=1).detach(),)

    parts = []
    for part in torch.arange(len(layer), device=problem.device).split(problem.chunk_rows):
        points = problem.points[sample[part]], torch.zeros(len(part), device=problem.device), layer[part]
        parts.append(problem.evaluate(work, points, sample[part], gradient=False)[0])
    scores = torch.cat(parts).to(problem.sum_dtype)
    return scores.reshape(len(numbers), problem.samples, -1)


def _scaled(problem: Problem, over: list[Places]) -> Work:
    """For points with (alpha, layer): A ∂f/∂A of that layer's map with all its weights times alpha, for each target."""

    def work(chunk: Chunk) -> tuple[Tensor, ...]:
        alpha, layer = (one.detach() for one in chunk.leaves[1:])
        reading, scores, _ = read_maps(problem, chunk, gradient=True, change=_times(alpha, layer))
        chunk.evaluations["gradient"] += len(chunk.rows) * (len(scores) - 1)
        answers = []
        for one in scores:
            pairs = zip(reading.maps, map_gradients(one, reading.maps), strict=True)
            products = [a.weights.to(gradient.dtype) * gradient for a, gradient in pairs]
            own = [(layer == number).to(one.dtype) for number in range(len(products))]
            parts = [_only(products, own, places) for places in over]
            whole, size = (
                torch.stack([mine * map_.sum((1, 2, 3)) for mine, map_ in zip(own, maps, strict=True)]).sum(0)
                for maps in (products, [product.abs() for product in products])
            )
            answers.append((*parts, whole, size))
        return tuple(torch.stack(column, dim=1) for column in zip(*answers, strict=True))

    return work


def _only(products: list[Tensor], own: list[Tensor], places: Places) -> Tensor:
    """Sums over heads and queries [n, tokens], of each row's own layer."""
    found = [own[number][:, None] * products[number].sum((1, 2))[:, place] for number, place in places]
    for one in found:
        if one.shape != found[0].shape:
            raise changed(found[0].shape[1], one.shape[1])
    return torch.stack(found).sum(0)


def _times(alpha: Tensor, layer: Tensor) -> Change:
    """Each row's map of its own layer, times its alpha."""
    alpha, layer = alpha.detach(), layer.detach()

    def change(number: int, weights: Tensor) -> Tensor:
        factor = torch.where(layer == number, alpha, 1).to(weights.dtype)
        return weights * factor[:, None, None, None]

    return change


def _one_head(weights: Tensor) -> Tensor:
    """Enough of a map to see whether tokens look ahead."""
    return weights[:, :1].clone()


def _little(weights: Tensor) -> Tensor:
    """Of maps that nobody reads."""
    return weights[:, :1, :1, :1].clone()
