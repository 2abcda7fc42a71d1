"""Methods about token numbers: a token is erased, or many are replaced by other words, and the score is asked again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.memory import Memory
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import RegionsLike
from xaiwidgets.engine.registry import Note, Partial, Range, method
from xaiwidgets.engine.state import borrowed, lock_of
from xaiwidgets.engine.target import unwrap
from xaiwidgets.engine.vocabulary import absent_tokens, input_vectors, token_numbers

from .coalitions import play
from .noise import Seed
from .perturbation import one_by_one
from .word_paths import AbsentTokens, nearest_words

MASK = "attention_mask"


@method(
    family="perturbation",
    title="Token erasure",
    reference="Li, Monroe, Jurafsky (2016), Understanding Neural Networks through Representation Erasure, arXiv:1612.08220",
    needs=("tokens",),
)
def token_erasure(
    problem: Problem,
    *,
    regions: Annotated[RegionsLike, Note("Tokens that are erased together.", kind="regions")] = "token",
    baseline: AbsentTokens = "auto",
    removal: Annotated[
        Literal["replace", "attention_mask"], Note("Put the baseline's token there, or hide the token from attention.")
    ] = "replace",
) -> Iterator[Partial]:
    """How far the score drops when one token, or the tokens of one word, are erased.

    Values [batch, tokens] in units of the score; every token shows the drop of its region, and there is no sum to keep.
    "replace" puts the baseline's token there: the first that the model's configuration names of mask, padding, unknown,
    end and start, or a number, or numbers like the input's. "attention_mask" hides the token instead: it keeps its place,
    and no other attends to it. In Hugging Face decoders what comes before the first erased token is not computed again
    (`evaluations` then says how many "tokens" were, and "tokens_saved"); all other models are run whole.
    """
    ids = token_numbers(problem, "Token erasure")
    if removal == "replace":
        absent = absent_tokens(problem, ids, baseline).to(problem.dtype)[None]
        yield from play(problem, regions, absent, lambda game: one_by_one(game, torch.sub))
    else:
        masked = _masked(problem)
        yield from play(
            masked, regions, torch.zeros_like(masked.points)[None], lambda game: one_by_one(game, torch.sub)
        )


@method(
    family="perturbation",
    title="ReAGent",
    reference="Zhao, Shan (2024), ReAGent: A Model-agnostic Feature Attribution Method for Generative Language Models, "
    "arXiv:2402.00794",
    needs=("tokens",),
    signed=False,
    unit="share of the importance",
)
def reagent(
    problem: Problem,
    *,
    samples: Annotated[int, Range(1, 64, log=True, help="Searches from different random numbers, averaged.")] = 8,
    steps: Annotated[int, Range(1, 256, log=True, help="Most replacements tried in a search.")] = 32,
    replaced: Annotated[float, Range(0.05, 0.95, step=0.05, help="Share of the tokens replaced at a time.")] = 0.3,
    keep: Annotated[
        float, Range(0.05, 0.95, step=0.05, help="Share of the tokens that must be enough for a search to end.")
    ] = 0.3,
    rank: Annotated[int, Range(1, 100, log=True, help="Enough: the target is among so many first.")] = 3,
    replacements: Annotated[
        Literal["neighbours", "vocabulary"] | nn.Module,
        Note("Words with similar embeddings, any words, or a masked language model's guesses."),
    ] = "neighbours",
    neighbours: Annotated[int, Range(1, 500, log=True, help="Most similar words to draw from.")] = 20,
    seed: Seed = 0,
) -> Iterator[Partial]:
    """Which tokens it takes for the target to stay probable while others are replaced by plausible ones.

    Values [batch, tokens]: shares that sum to 1. A search replaces random tokens again and again; d being how far the
    target's probability falls, those replaced gain logit((1 + d) / 2) and all others lose as much. It ends when the most
    important tokens, with all others replaced, keep the target among the first `rank` (of few classes: the first half);
    importance is the softmax of what was gained. A masked language model of the same vocabulary may be given as a module:
    it is called with the token numbers, and draws follow its probabilities. The authors take RoBERTa's guesses and add to
    a random start; here the default is a word near in the model's own embedding, searches start from zero, and their
    mean is shown. A target that is a function must return a probability, and its searches take all steps. Tokens hidden by
    an attention mask get nothing. Use `score` as you like: the probability decides.
    """
    ids = token_numbers(problem, "ReAGent")
    search = _Search(problem, _Replacer(problem, ids, replacements, neighbours), keep, rank)
    generator = problem.generator(seed)
    score = problem.scores().T.flatten()
    for step in range(steps):
        chance, first, second = torch.rand((3, samples, ids.shape[1]), generator=generator)
        search.update(chance.to(ids.device) < replaced, first, second)
        done = samples * steps if search.over else samples * (step + 1)
        yield Partial(search.values(), done, samples * steps, score=score)
        if search.over:
            return


def _masked(problem: Problem) -> Problem:
    """The same question, about the attention mask."""
    inputs = problem.inputs
    if inputs.container != "dict" or (MASK in inputs.items and not isinstance(inputs.items[MASK], Tensor)):
        raise InputError(
            "no_attention_mask",
            "Tokens are hidden by an attention mask, and the inputs are no dict that could have one",
            hint='Pass {"input_ids": ids, "attention_mask": mask}, or use removal="replace".',
        )
    ids = inputs.leaves[0]
    mask = inputs.items.get(MASK, torch.ones_like(ids))
    if mask.ndim != 2 or mask.shape[1] != ids.shape[1]:
        raise InputError(
            "no_attention_mask", f"The attention mask has shape {list(mask.shape)}", hint="Pass [batch, tokens]."
        )
    mask = mask.expand(ids.shape).clone()
    other = copy.copy(problem)
    other.inputs = replace(inputs, items={**inputs.items, MASK: mask}, explained=(MASK,))
    other.points = other.inputs.points
    other.remembered = problem.memory("attention mask").setdefault("memory", Memory())
    return other


# --- searches --------------------------------------------------------------------------------------------------------


class _Replacer:
    """Draws words in place of the tokens of a text."""

    def __init__(self, problem: Problem, ids: Tensor, how: str | nn.Module, neighbours: int) -> None:
        self.ids = ids
        self.words = torch.zeros(0)  # [rows, tokens, choices], all equally probable
        self.chances = torch.zeros(0)  # or [rows, tokens, words], summed up along the words
        if isinstance(how, nn.Module):
            self.chances = _guesses(problem, how, ids)
        else:
            vectors = input_vectors(problem, ids)
            if how == "neighbours":
                kinds, back = torch.unique(ids, return_inverse=True)
                count = max(1, min(neighbours, len(vectors) - 1))
                self.words = nearest_words(vectors, kinds, count)[back]
            else:
                self.words = torch.arange(len(vectors), device=ids.device).expand(*ids.shape, -1)

    def draw(self, chance: Tensor) -> Tensor:
        """Words [samples, rows, tokens] for random numbers [samples, tokens] from 0 to 1, the same for every row."""
        chance = chance.to(self.ids.device)[:, None].expand(-1, *self.ids.shape)
        if self.words.numel():
            place = (chance * self.words.shape[-1]).long().clamp(max=self.words.shape[-1] - 1)
            return self.words.expand(len(chance), -1, -1, -1).gather(3, place[..., None]).squeeze(3)
        found = torch.searchsorted(self.chances, chance.permute(1, 2, 0).to(self.chances).contiguous(), right=True)
        return found.clamp(max=self.chances.shape[-1] - 1).permute(2, 0, 1)


def _guesses(problem: Problem, model: nn.Module, ids: Tensor) -> Tensor:
    """A masked language model's probabilities [rows, tokens, words] of other words, summed up along the words."""
    mask = problem.inputs.items.get(MASK)
    named = {MASK: mask.expand(ids.shape)} if isinstance(mask, Tensor) and mask.ndim == 2 else {}
    with borrowed(model, lock_of(model), gradient=False, training=False, device=problem.device):
        guesses = unwrap(model(ids, **named)).to(problem.sum_dtype)
    if guesses.shape[:2] != ids.shape or guesses.ndim != 3 or guesses.shape[2] <= int(ids.max()):
        raise ParameterError(
            "masked_lm",
            f"The masked language model puts out shape {list(guesses.shape)} for tokens {list(ids.shape)}",
            hint="It must guess each token of the same vocabulary: [batch, tokens, words].",
        )
    chances = guesses.scatter(2, ids[..., None], -torch.inf).softmax(2)
    return chances.cumsum(2)


class _Search:
    """Searches [targets, samples, rows] side by side."""

    def __init__(self, problem: Problem, replacer: _Replacer, keep: float, rank: int) -> None:
        self.problem, self.replacer, self.rank = _of_probability(problem), replacer, rank
        self.ids = replacer.ids
        mask = problem.inputs.items.get(MASK)
        real = mask.expand(self.ids.shape) != 0 if isinstance(mask, Tensor) and mask.ndim == 2 else self.ids == self.ids
        self.real = real.to(self.ids.device)
        self.kept = (keep * self.real.sum(1)).ceil()  # of each row
        self.before = self.problem.scores().to(problem.sum_dtype)
        self.gained = torch.zeros(0)
        # a difference of two probabilities falls by up to 2
        self.most = self.before.new_tensor([len(scorer.terms) for scorer in problem.scorers])[:, None, None]
        if any(scorer.function for scorer in problem.scorers) and not bool(
            ((self.before >= 0) & (self.before <= 1)).all()
        ):
            raise ParameterError(
                "not_a_probability",
                "ReAGent compares probabilities, and the target function gives other numbers",
                hint="Return a probability, for example output.softmax(-1)[:, 3], or name the target by its number.",
            )
        self.active = torch.zeros(0, dtype=torch.bool)

    @property
    def over(self) -> bool:
        return not bool(self.active.any())

    def values(self) -> Tensor:
        """[targets * rows, tokens], the mean over the searches."""
        shares = self.gained.masked_fill(~self.real, -torch.inf).softmax(-1).mean(1)
        return shares.flatten(0, 1).to(self.problem.dtype)

    def update(self, chosen: Tensor, first: Tensor, second: Tensor) -> None:
        """One replacement of the tokens chosen [samples, tokens], and a look whether the most important are enough."""
        samples, (rows, tokens) = len(chosen), self.ids.shape
        if not self.gained.numel():
            self.gained = self.before.new_zeros(self.problem.columns, samples, rows, tokens)
            self.active = torch.ones(self.gained.shape[:3], dtype=torch.bool, device=self.ids.device)
        chosen = chosen[:, None] & self.real
        texts = torch.where(chosen, self.replacer.draw(first), self.ids)
        after = self.before.T[:, None].repeat(1, samples, 1)
        going = torch.nonzero(self.active.any(0).flatten()).flatten()
        after.flatten(1)[:, going] = self._ask(texts.flatten(0, 1)[going], going % rows).T
        fall = torch.where(self.active, self.before.T[:, None] - after, 0) / self.most
        change = torch.logit((1 + fall[..., None] * torch.where(chosen, 1, -1)) / 2, eps=1e-6)
        self.gained = self.gained + change
        self._look(self.replacer.draw(second))

    def _look(self, others: Tensor) -> None:
        """End the searches whose most important tokens are enough."""
        scores = self.gained.masked_fill(~self.real, -torch.inf)
        place = scores.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
        texts = torch.where((place < self.kept[:, None]) | ~self.real, self.ids, others)
        for column, scorer in enumerate(self.problem.scorers):
            index = scorer.terms[0][1]
            which = torch.nonzero(self.active[column].flatten()).flatten()
            if index is None or not len(which):
                continue
            row = which % len(self.ids)
            ahead, classes = self._ahead(texts[column].flatten(0, 1)[which], row, index)
            self.active[column].view(-1)[which] = ahead >= max(1, min(self.rank, classes // 2))

    def _ask(self, texts: Tensor, rows: Tensor) -> Tensor:
        return self.problem.scores(texts.to(self.problem.dtype), rows).to(self.before.dtype)

    def _ahead(self, texts: Tensor, rows: Tensor, index: Tensor) -> tuple[Tensor, int]:
        """How many classes are more probable than the target, and how many there are."""
        sizes: list[int] = []

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            output = unwrap(chunk.output()).detach()
            *place, word = index.to(output.device)[chunk.rows.to(output.device)].unbind(1)
            classes = output[(torch.arange(len(output), device=output.device), *place)]
            sizes.append(classes.shape[1])
            return ((classes > classes.gather(1, word[:, None])).sum(1).to(chunk.rows.device),)

        (ahead,) = self.problem.evaluate(work, texts.to(self.problem.dtype), rows, gradient=False)
        return ahead, sizes[0]


def _of_probability(problem: Problem) -> Problem:
    """The same question, about the target's probability."""
    other = copy.copy(problem)
    other.scorers = tuple(copy.copy(scorer) for scorer in problem.scorers)
    for scorer in other.scorers:
        scorer.score = "logit" if scorer.function is not None else "probability"
    return other
