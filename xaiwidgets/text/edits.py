"""Texts changed word by word to see what a prediction hangs on: the least that keeps it, and the least that turns it.

Both are generators of steps, each a text the model was really asked about. They stop between any two chunks of passes, by the
session's interrupt, or by being closed; nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError, TargetError
from xaiwidgets.engine.vocabulary import vocabulary as vectors_of

from .changed import Asked
from .embedding import at_embedding, named_token
from .groups import UNIT_NAMES, Groups, group
from .session import TextSession
from .spelling import plain
from .tokenizers import decoded, spelling
from .tokens import Tokens

AT_ONCE = 2**22  # changes looked at together, of places times words


@dataclass(frozen=True)
class Edit:
    """A text on the way, and what the model says of it.

    tokens        as the model reads them; `tokens.text` is the text for people
    prediction    the class with the largest score
    probability   of the class that was predicted before any edit
    places        of the tokens that this step changed, counted in the text before it; empty for the first step
    before        what stood there
    after         what stands there now: "" for words left out
    """

    tokens: Tokens
    prediction: int
    probability: float
    places: tuple[int, ...] = ()
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        return self.tokens.text


def input_reduction(
    session: TextSession,
    *,
    beam: int = 1,
    unit: str = "word",
    importance: Literal["erasure", "gradient"] = "erasure",
    trials: int = 5,
) -> Iterator[Edit]:
    """Leave out one word after the other, the least important first, as long as the prediction stays.

    What is left is often no text that anybody would judge in the same way, however sure the model is.

    beam         texts kept at each step; the surest of them is yielded
    unit         what is left out at once: "word", "token", "sentence", ...
    importance   "erasure" tries every word; "gradient" tries the words with the smallest |gradient · embedding| first,
    trials       so many at a time, and the others only if none of these may go

    Special tokens stay, and at least one word. Of a language model the prediction is its next token. Feng et al. (2018),
    Pathologies of Neural Models Make Interpretations Difficult, arXiv:1804.07781. Raises ParameterError, naming the argument.
    """
    _at_least("beam", beam)
    _at_least("trials", trials)
    if importance not in ("erasure", "gradient"):
        raise ParameterError(
            "unknown_importance", f"importance={importance!r} is not known", hint='"erasure" or "gradient".'
        )
    if unit not in UNIT_NAMES or unit == "regex":
        units = ", ".join(one for one in UNIT_NAMES if one != "regex")
        raise ParameterError("unknown_unit", f"unit={unit!r} is not known", hint=f"Known: {units}.")
    asked = Asked(session, "input_reduction")
    groups = group(session.tokens, unit)
    return _reduced(asked, groups, beam, trials if importance == "gradient" else 0)


def hotflip(
    session: TextSession,
    *,
    towards: int | None = None,
    flips: int = 5,
    candidates: int = 20,
    vocabulary: Sequence[int | str] | None = None,
) -> Iterator[Edit]:
    """Replace one token after the other, each by the one that turns the prediction most, until it changes.

    Which replacement that is, is estimated for all places and words at once from one gradient: to first order, e' instead of
    e changes the score by gradient · (e' - e). The best `candidates` are then tried, and the best of those is taken, if it
    really helps. No place is changed twice.

    towards      the class to reach; None takes any but the one predicted
    flips        how many tokens at most
    vocabulary   token numbers or words that may be put in; None allows all that are written like the one they replace
                 (beginnings of words for beginnings), except special, unknown and masked ones

    Special tokens stay. The model is asked about the tokens; a tokenizer may split the text otherwise. Ebrahimi et al. (2018),
    HotFlip, arXiv:1712.06751. Raises ParameterError or TargetError, naming the argument.
    """
    _at_least("flips", flips)
    _at_least("candidates", candidates)
    asked = Asked(session, "hotflip")
    if towards is not None and (not 0 <= towards < asked.classes or towards == asked.original):
        raise TargetError(
            "towards_class",
            f"towards={towards} is no class to reach",
            f"There are classes 0 to {asked.classes - 1}, and {asked.original} is predicted.",
        )
    allowed = None if vocabulary is None else _numbers(vocabulary, session.tokenizer)
    goal, sign = (asked.original, -1) if towards is None else (towards, 1)
    return _flipped(asked, _Way(goal, sign, candidates, allowed), flips)


# --- leaving out ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Left:
    """Numbers of the groups that are left, and what the model says."""

    groups: tuple[int, ...]
    prediction: int
    probability: float


def _reduced(asked: Asked, groups: Groups, beam: int, trials: int) -> Iterator[Edit]:
    tokens, kept = asked.tokens, asked.kept
    parts = [one.members for one in groups.spans]
    fixed = {number for number, members in enumerate(parts) if any(bool(kept[place]) for place in members)}

    def places(left: Sequence[int]) -> list[int]:
        return sorted(place for number in left for place in parts[number])

    def judged(texts: Sequence[tuple[int, ...]]) -> list[_Left]:
        """Those of them that are still predicted as the whole text is, the surest first."""
        rows = [places(one) for one in texts]
        said = asked.said([asked.ids[row] for row in rows], rows)
        found = [_Left(one, *told) for one, told in zip(texts, said, strict=True)]
        held = [one for one in found if one.prediction == asked.original]
        return sorted(held, key=lambda one: (-one.probability, one.groups))

    everything = tuple(range(len(parts)))
    states = judged([everything])
    yield Edit(tokens, states[0].prediction, states[0].probability)
    shown = everything
    while True:
        found = dict[tuple[int, ...], _Left]()
        for state in states:
            free = [number for number in state.groups if number not in fixed]
            if len(free) < 2:  # the last word stays
                continue
            if trials:
                free = _by_gradient(asked, parts, state.groups, free)
            for start in range(0, len(free), trials or len(free)):
                some = free[start : start + (trials or len(free))]
                shorter = [tuple(one for one in state.groups if one != gone) for gone in some]
                held = judged(list(dict.fromkeys(one for one in shorter if one not in found)))
                found |= {one.groups: one for one in held}
                if held:
                    break
        if not found:
            return
        states = sorted(found.values(), key=lambda one: (-one.probability, one.groups))[:beam]
        best = states[0]
        before = places(shown)
        now = set(places(best.groups))
        gone = [place for place in before if place not in now]
        back = set(best.groups) - set(shown)  # with a beam, the best text may come from another one
        yield Edit(
            _without(tokens, groups, best.groups), best.prediction, best.probability,
            tuple(before.index(place) for place in gone),
            _spelled(groups, tokens, sorted(set(shown) - set(best.groups))), _spelled(groups, tokens, sorted(back)),
        )  # fmt: skip
        shown = best.groups


def _by_gradient(asked: Asked, parts: list[tuple[int, ...]], left: tuple[int, ...], free: list[int]) -> list[int]:
    """Words in the order of |gradient · embedding|, the smallest first."""
    rows = sorted(place for number in left for place in parts[number])
    vectors = at_embedding(asked.problem([asked.ids[rows]], [rows], asked.original))
    gradient, _ = vectors.gradients()
    own = dict(zip(rows, (gradient * vectors.points).sum(-1)[0].tolist(), strict=True))
    return sorted(free, key=lambda number: (abs(sum(own[place] for place in parts[number])), number))


def _spelled(groups: Groups, tokens: Tokens, numbers: Sequence[int]) -> str:
    return " ".join(tokens.slice(groups.spans[number]).strip() for number in numbers)


def _without(tokens: Tokens, groups: Groups, left: Sequence[int]) -> Tokens:
    """The tokens of some groups, and the text without the others and without the blanks that would stand twice."""
    text, stays = tokens.text, [True] * len(tokens.text)
    for number in sorted(set(range(len(groups))) - set(left)):
        start, end = groups.spans[number].start, groups.spans[number].end
        stays[start:end] = [False] * (end - start)
        before = next((place for place in range(start - 1, -1, -1) if stays[place]), None)
        if before is None or text[before].isspace():
            while end < len(text) and text[end].isspace():
                stays[end] = False
                end += 1
    for place in range(len(text) - 1, -1, -1):
        if stays[place] and not text[place].isspace():
            break
        stays[place] = False
    shift = [0]
    for stay in stays:
        shift.append(shift[-1] + stay)
    places = sorted(place for number in left for place in groups.spans[number].members)
    items = tuple(
        replace(one, start=shift[one.start], end=shift[one.end]) for one in (tokens.items[place] for place in places)
    )
    inputs = {name: tuple(numbers[place] for place in places) for name, numbers in tokens.inputs.items()}
    return Tokens("".join(one for one, stay in zip(text, stays, strict=True) if stay), items, inputs)


# --- putting in -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Way:
    """What is wanted: the log-probability of `goal` up (`sign` 1) or down (-1). So many candidates, of the allowed words."""

    goal: int
    sign: int
    candidates: int
    allowed: Tensor | None

    def arrived(self, prediction: int) -> bool:
        return (prediction == self.goal) == (self.sign > 0)


def _flipped(asked: Asked, way: _Way, flips: int) -> Iterator[Edit]:
    tokens, ids = asked.tokens, asked.ids
    everywhere = list(range(len(tokens)))
    open_places = ~asked.kept & _single(tokens)
    (start,) = asked.said([ids], [everywhere])
    yield Edit(tokens, *start)
    reached = asked.chance(ids, way.goal)
    for _ in range(flips):
        changes = _first_order(asked, ids, way, open_places)
        if not changes:
            return
        tried = ids.repeat(len(changes), 1)
        for row, (place, number) in zip(tried, changes, strict=True):
            row[place] = number
        logits = asked.logits(list(tried), [everywhere] * len(changes)).log_softmax(-1)
        gains = way.sign * (logits[:, way.goal] - reached)
        best = int(gains.argmax())
        if float(gains[best]) <= 0:
            return
        place, number = changes[best]
        ids, reached = tried[best], logits[best, way.goal]
        open_places[place] = False
        before = tokens.items[place].surface
        tokens = _replaced(tokens, place, number, asked.tokenizer)
        prediction, probability = int(logits[best].argmax()), float(logits[best, asked.original].exp())
        yield Edit(tokens, prediction, probability, (place,), before, tokens.items[place].surface)
        if way.arrived(prediction):
            return


def _first_order(asked: Asked, ids: Tensor, way: _Way, places: Tensor) -> list[tuple[int, int]]:
    """The most promising changes (place, token number): those with the largest gradient · (e' - e) of the log-probability."""
    problem = at_embedding(asked.problem([ids], [list(range(len(ids)))], way.goal))
    words = vectors_of(problem, "HotFlip").vectors
    gradient = problem.gradients()[0][0].to(words)
    fits = asked.fits(ids, len(words), way.allowed)
    found: list[tuple[float, int, int]] = []
    for part in places.nonzero().flatten().split(max(1, AT_ONCE // len(words))):
        own = gradient[part]
        gains = way.sign * (own @ words.T - (own * words[ids[part].to(words.device)]).sum(-1, keepdim=True))
        gains = gains.masked_fill(~fits[part].to(gains.device), -torch.inf)
        best = gains.flatten().topk(min(way.candidates, gains.numel()))
        found += [
            (value, int(part[index // len(words)]), index % len(words))
            for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if value > -torch.inf
        ]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return [(place, number) for _, place, number in found[: way.candidates]]


def _single(tokens: Tokens) -> Tensor:
    """[tokens] which of them can be replaced alone: not the parts of a character."""
    alone = torch.zeros(len(tokens), dtype=torch.bool)
    for unit in tokens.units:
        alone[list(unit.members)] = len(unit.members) == 1
    return alone


def _replaced(tokens: Tokens, place: int, number: int, tokenizer: Any) -> Tokens:
    """With another token at a place, and its spelling in the text."""
    old = tokens.items[place]
    raw = tokens.text[old.start : old.end]
    lead = raw[: len(raw) - len(raw.lstrip())]
    word = plain(spelling(number, tokenizer) or decoded(number, tokenizer)).strip()
    shift = len(lead) + len(word) - len(raw)
    items = [
        replace(one, start=one.start + shift, end=one.end + shift) if one.start >= old.end and at > place else one
        for at, one in enumerate(tokens.items)
    ]
    items[place] = replace(old, id=number, end=old.end + shift, surface=word)
    ids = tuple(number if at == place else one for at, one in enumerate(tokens.inputs["input_ids"]))
    text = tokens.text[: old.start] + lead + word + tokens.text[old.end :]
    return Tokens(text, tuple(items), tokens.inputs | {"input_ids": ids})


def _numbers(words: Sequence[int | str], tokenizer: Any) -> Tensor:
    """Token numbers of the words that may be put in."""
    numbers = list[int]()
    for word in words:
        try:
            numbers.append(named_token(word, tokenizer) if isinstance(word, str) else int(word))
        except ParameterError as error:
            raise ParameterError("vocabulary_word", f"vocabulary= holds {word!r}, which is not one token") from error
    if not numbers:
        raise ParameterError("vocabulary_empty", "vocabulary= is empty", hint="Pass None for all words.")
    return torch.tensor(sorted(set(numbers)))


def _at_least(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError("parameter_range", f"{name}={value!r} cannot be", hint="A whole number from 1.")
