"""Relatives of integrated gradients for text: paths from word to word, and one path for each word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method
from xaiwidgets.engine.vocabulary import TokensLike, Vocabulary, absent_tokens, vocabulary

from .quadrature import fixed_rule

AbsentTokens = Annotated[TokensLike, Note("Token that stands for an absent one.", kind="baseline")]
Strategy = Literal["greedy", "maxcount"]
AT_ONCE = 2**23  # numbers of candidate vectors looked at together


@method(
    family="path",
    title="Discretized integrated gradients",
    reference="Sanyal, Ren (2021), Discretized Integrated Gradients for Explaining Language Models, arXiv:2108.13654",
    needs=("gradient", "tokens"),
    complete=True,
)
def discretized_ig(
    problem: Problem,
    *,
    baseline: AbsentTokens = "auto",
    steps: Annotated[int, Range(2, 128, log=True, help="Words on the way of each token.")] = 30,
    strategy: Annotated[
        Strategy, Note("Next word: the least bent towards the path, or the one with most values on it.")
    ] = "greedy",
    neighbours: Annotated[int, Range(2, 500, log=True, help="Nearest words among which the next one is chosen.")] = 50,
    halvings: Annotated[
        int, Range(0, 4, help="How often places in between are added; each time doubles the cost.")
    ] = 1,
    rule: Annotated[
        Literal["trapezoid", "left"], Note("Gradients at both ends of a step, or at the one nearer the baseline.")
    ] = "trapezoid",
) -> Iterator[Partial]:
    """The change of the score from a baseline to the text, along paths that stay near real words.

    Values [batch, tokens, width] like the embedding layer's output, in units of the score; they sum to score -
    baseline_score up to `delta`. Give layer= the embedding layer. Each token goes from word to word towards the baseline,
    never twice to the same: among the nearest words, the one that needs the smallest change ("greedy") or has most of its
    values between here and the baseline ("maxcount"). Values that are not between are set there, a part 1/steps of the
    way on, so that every value goes one way only. All tokens move together. Tokens that equal the baseline stay: give
    `baseline` token numbers like the input's to keep special ones. Where no unused neighbour is left, and after the last
    step, a token goes to the baseline at once. The authors take gradients at one end of each step (`rule="left"`); with
    both ends the sums are far closer.
    """
    words = vocabulary(problem, "Discretized integrated gradients")
    absent = absent_tokens(problem, words.ids, baseline)
    _check_words(absent, words)
    path = _halved(_Walk(words.vectors, steps, strategy, neighbours).points(words.ids, absent), halvings).to(
        problem.dtype
    )
    score, baseline_score = problem.values(), problem.values(path[0])
    total = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    rows, done = torch.arange(problem.rows, device=problem.device), 0
    moves = path[1:] - path[:-1]
    while done < len(path):
        part = slice(done, min(done + max(1, problem.chunk_rows // problem.rows), len(path)))
        gradients, _ = problem.gradients(path[part].flatten(0, 1), rows.repeat(part.stop - part.start))
        for index, gradient in zip(range(part.start, part.stop), gradients.split(problem.rows), strict=True):
            total += gradient * _step(moves, index, rule)
        done = part.stop
        delta = total.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(
            total.to(problem.dtype),
            done,
            len(path),
            delta=delta.to(problem.dtype),
            score=score,
            baseline_score=baseline_score,
        )


@method(
    family="path",
    title="Sequential integrated gradients",
    reference="Enguehard (2023), Sequential Integrated Gradients: A Simple but Effective Method for Explaining Language "
    "Models, arXiv:2305.15853",
    needs=("gradient", "tokens"),
)
def sequential_ig(
    problem: Problem,
    *,
    baseline: AbsentTokens = "auto",
    steps: Annotated[int, Range(2, 128, log=True, help="Gradient evaluations for each token of a row.")] = 16,
    rule: Annotated[
        Literal["gauss_legendre", "trapezoid", "midpoint", "left", "right"], Note("How points on a path are chosen.")
    ] = "gauss_legendre",
) -> Iterator[Partial]:
    """Integrated gradients of each token on a path of its own, all others staying as they are.

    Values [batch, tokens, width] like the embedding layer's output, in units of the score; each token's values sum to the
    score minus the score with that token replaced by the baseline, what `token_erasure` gives, so that there is no sum
    over all. Give layer= the embedding layer. Tokens that equal the baseline are zero and cost nothing. `error` is the
    largest miss of a token's sum, relative to the size of all values of its row. Partial results cover the tokens done.
    """
    words = vocabulary(problem, "Sequential integrated gradients")
    absent = absent_tokens(problem, words.ids, baseline)
    _check_words(absent, words)
    nodes, weights = fixed_rule(rule, steps)
    row, token = torch.nonzero(absent != words.ids).unbind(1)
    start = words.vectors[absent].to(problem.dtype)
    move = problem.points - start
    values = torch.zeros_like(problem.points, dtype=problem.sum_dtype)
    score = problem.values()
    replaced = torch.zeros(words.ids.shape, dtype=problem.dtype, device=problem.device)
    pairs, done = len(row), 0
    while done < pairs:
        part = slice(done, min(done + max(1, problem.chunk_rows // steps), pairs))
        r, t = row[part], token[part]
        count = torch.arange(len(r), device=problem.device)
        points = problem.points[r].clone()
        points[count, t] = start[r, t]
        replaced[r, t] = problem.values(points, r)
        ahead = torch.stack([points] * steps)
        for place, alpha in zip(ahead, nodes, strict=True):
            place[count, t] = start[r, t] + alpha * move[r, t]
        gradients, _ = problem.gradients(ahead.flatten(0, 1), r.repeat(steps))
        own = gradients.reshape(ahead.shape)[:, count, t].to(problem.sum_dtype)
        weighed = own * torch.tensor(weights, dtype=own.dtype, device=own.device)[:, None, None]
        values[r, t] = weighed.sum(0) * move[r, t]
        done = part.stop
        if done < pairs:
            yield Partial(values.to(problem.dtype), done, pairs, score=score)
    changes = torch.where(absent != words.ids, score[:, None] - replaced, 0)
    size = values.abs().flatten(1).sum(1).clamp(min=torch.finfo(values.dtype).tiny)
    error = float(((values.sum(2) - changes).abs().amax(1) / size).max())
    yield Partial(values.to(problem.dtype), max(1, pairs), max(1, pairs), error=error, score=score)


# --- paths of words --------------------------------------------------------------------------------------------------


def _check_words(absent: Tensor, words: Vocabulary) -> None:
    if int(absent.max()) >= len(words.vectors):
        raise ParameterError(
            "token_range",
            f"Token {int(absent.max())} does not exist",
            hint=f"The embedding has tokens 0 to {len(words.vectors) - 1}.",
        )


class _Walk:
    """Ways from words to baselines over the words of an embedding, `steps` on each."""

    def __init__(self, vectors: Tensor, steps: int, strategy: Strategy, neighbours: int) -> None:
        self.vectors, self.steps, self.strategy = vectors, steps, strategy
        self.neighbours = max(1, min(neighbours, len(vectors) - 1))

    def points(self, ids: Tensor, absent: Tensor) -> Tensor:
        """Points [steps + 2, rows, tokens, width] from the baseline's vectors to the input's, one way in every value."""
        pairs, back = torch.unique(torch.stack([ids.flatten(), absent.flatten()], 1), dim=0, return_inverse=True)
        room = max(1, AT_ONCE // max(self.neighbours * self.vectors.shape[1], len(self.vectors)))
        found = [self._path(*part.unbind(1)) for part in pairs.split(room)]
        return torch.cat(found, dim=1)[:, back].reshape(self.steps + 2, *ids.shape, -1)

    def _path(self, here: Tensor, ends: Tensor) -> Tensor:
        """Points [steps + 2, pairs, width] from baselines to words."""
        end, used, points = self.vectors[ends], [here], [self.vectors[here]]
        for _ in range(self.steps):
            here = self._next(here, ends, torch.stack(used, 1))
            points.append(_between(points[-1], self.vectors[here], end, self.steps))
            used.append(here)
        return torch.stack([end, *points[::-1]])

    def _next(self, here: Tensor, ends: Tensor, used: Tensor) -> Tensor:
        """The next word of each pair; the baseline where nothing else is left."""
        near = nearest_words(self.vectors, here, self.neighbours)
        candidates, start, end = (self.vectors[words] for words in (near, here[:, None], ends[:, None]))
        if self.strategy == "greedy":
            cost = (candidates - _between(start, candidates, end, self.steps)).norm(dim=2)
        else:
            cost = (~_within(start, candidates, end)).sum(2).to(candidates.dtype)
        refused = (near == ends[:, None]) | (near[:, :, None] == used[:, None]).any(2)
        cost = cost.masked_fill(refused, torch.inf)
        best = cost.argmin(1, keepdim=True)
        stop = cost.gather(1, best).isinf().squeeze(1) | (here == ends)
        return torch.where(stop, ends, near.gather(1, best).squeeze(1))


def nearest_words(vectors: Tensor, words: Tensor, count: int) -> Tensor:
    """The `count` words nearest to each of `words` [n], itself excepted, nearest first: [n, count]."""
    distances = vectors.square().sum(1) - 2 * vectors[words] @ vectors.T  # squares, up to a constant
    distances.scatter_(1, words[:, None], torch.inf)
    return distances.topk(count, dim=1, largest=False).indices


def _within(start: Tensor, vector: Tensor, end: Tensor) -> Tensor:
    """Which values lie between those of the start and those of the end."""
    return (torch.minimum(start, end) <= vector) & (vector <= torch.maximum(start, end))


def _between(start: Tensor, vector: Tensor, end: Tensor, steps: int) -> Tensor:
    """The vector, its values that do not lie between replaced by some that do."""
    return torch.where(_within(start, vector, end), vector, start + (end - start) / steps)


def _halved(points: Tensor, times: int) -> Tensor:
    """With a place halfway between any two, so many times over."""
    for _ in range(times):
        middle = (points[:-1] + points[1:]) / 2
        both = torch.stack([points[:-1], middle], 1).flatten(0, 1)
        points = torch.cat([both, points[-1:]])
    return points


def _step(moves: Tensor, index: int, rule: str) -> Tensor:
    """What the gradient at a place is multiplied with."""
    after = moves[index] if index < len(moves) else torch.zeros_like(moves[0])
    if rule == "left":
        return after
    before = moves[index - 1] if index else torch.zeros_like(moves[0])
    return (before + after) / 2
