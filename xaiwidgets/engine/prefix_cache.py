"""Scores of changed texts of a decoder, without computing again what comes before the first change.

A causal decoder's keys and values at a position depend on nothing behind it. Those of the unchanged text are computed once;
a changed text is run from its first change on, with the keys and values of what comes before. Outputs before the change
are those of the unchanged text, so that any target may be asked. Used is what Hugging Face decoders offer for generation
(`past_key_values`, of late `cache`); it is tried once and compared with the whole model. Every other model is run whole.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .batching import Batcher
from .inputs import Inputs
from .layers import unseen
from .problem import Problem
from .state import borrowed, module_of

AGREE = {torch.float64: 1e-8, torch.float32: 1e-4}  # relative, between one way of adding up and another
ALIKE = frozenset({"input_ids", "attention_mask", "position_ids"})  # [rows, tokens]: what may go in
NAMES = ("cache", "past_key_values")  # of the argument, in newer and older versions
LARGEST_CACHE = 256 * 2**20
FEWEST_TOKENS = 4
SHARED_PARTS, WORTH_A_CALL = 8, 256  # parts of a text that are told apart; tokens that make up for a call of the model


def prefix_scores(problem: Problem, points: Tensor, rows: Tensor) -> Tensor:
    """Scores [m, columns] of changed texts [m, tokens], each of the sample `rows` says; as `problem.scores` answers.

    Points are numbers of tokens, or an attention mask if that is what is explained. `problem.evaluations` gets two more
    counts: "tokens" that went through the model, and "tokens_saved" that did not have to. Models and inputs that are not
    supported (see `supported`) are run whole, and nothing is counted.
    """
    cached = _cached(problem)
    if cached is None:
        return problem.scores(points, rows)
    first = cached.first_change(points, rows)
    order = torch.argsort(first, stable=True)  # texts that are run together share as much as they can
    suffixes = cached.problem(problem)
    parts = [
        suffixes.scores(points[order[part]], rows[order[part]])
        for part in _groups(first[order].tolist(), points.shape[1])
    ]
    return torch.cat(parts)[torch.argsort(order)]


def _groups(first: list[int], length: int) -> Iterator[slice]:
    """Texts that are run together, in the order of their first change: those that begin about where the first of them
    does, and enough of them to be worth a call.
    """
    begin = 0
    for index, place in enumerate(first):
        far = (place - first[begin]) * SHARED_PARTS >= length
        if far and (index - begin) * (length - first[begin]) >= WORTH_A_CALL:
            yield slice(begin, index)
            begin = index
    yield slice(begin, len(first))


def supported(problem: Problem) -> bool:
    """Whether `prefix_scores` saves anything: a Hugging Face decoder that is called with numbers of tokens [rows, tokens],
    and with nothing else but an attention mask, positions and plain values, and that answers from a cache as it does whole.
    """
    return _cached(problem) is not None


@dataclass(eq=False)
class _Cached:
    """The unchanged texts, and what the model made of them.

    given     [samples, tokens] the inputs, by their names
    name      of the model's argument that takes a cache
    keys      (and values) of each layer, [samples, heads, tokens, width]
    outputs   [samples, tokens, ...] by the name the model gives them
    explained which of the inputs is changed
    neutral   a number that classifiers look for to find the last token; None for others
    """

    given: dict[str, Tensor]
    name: str
    keys: list[Tensor]
    values: list[Tensor]
    outputs: dict[str, Tensor]
    explained: str
    neutral: int | None
    batcher: Batcher

    def first_change(self, points: Tensor, rows: Tensor) -> Tensor:
        """The first position [m] that is not as it was; the last one where nothing is changed."""
        original = self.given[self.explained][rows]
        length = original.shape[1]
        differs = points.to(original.dtype) != original
        return torch.where(differs.any(1), differs.to(torch.uint8).argmax(1), length - 1)

    def problem(self, whole: Problem) -> Problem:
        """The same question, asked of the suffixes."""
        other = copy.copy(whole)
        other.inputs = _Numbered(whole.inputs.items, whole.inputs.explained, whole.inputs.container, several=False)
        other.batcher, other.hooked = self.batcher, True
        other.call = lambda rows, *given, **named: self.run(whole, rows % whole.samples, given, named)
        return other

    def run(self, whole: Problem, rows: Tensor, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The model's output for changed inputs, computed from the first change on."""
        named = {**({"input_ids": given[0]} if given else {}), **named}
        with unseen():
            start = self._start(named, rows)
            cache = _transformers().DynamicCache()
            for number, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
                cache.update(keys[rows, :, :start], values[rows, :, :start], number)
            short = {
                key: value[:, start:] if key in ("input_ids", "position_ids") else value for key, value in named.items()
            }
            count = named["input_ids"].shape[0]
        output = whole.call(**short, **{self.name: cache}, use_cache=True)
        left = named["input_ids"].shape[1] - start
        for kind, tokens in (("tokens", left), ("tokens_saved", start)):
            whole.evaluations[kind] = whole.evaluations.get(kind, 0) + tokens * count
        for key, before in self.outputs.items():
            after = output[key]
            output[key] = torch.cat([before[rows, :start].to(after), after], 1)
        return output

    def _start(self, named: Mapping[str, Any], rows: Tensor) -> int:
        """Where to begin: at the first change of any, and no later than what a classifier takes for the last token."""
        starts = self.first_change(named[self.explained], rows)
        ids = named["input_ids"]
        if self.neutral is not None:
            places = torch.arange(ids.shape[1], device=ids.device)
            last = torch.where(ids != self.neutral, places, 0).amax(1)
            starts = torch.minimum(starts, last)
        return int(starts.min())


class _Numbered(Inputs):
    """Says beside the inputs which samples they are of."""

    def assemble(self, points: Tensor, rows: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        arguments, keywords = super().assemble(points, rows)
        return (rows, *arguments), keywords


def _cached(problem: Problem) -> _Cached | None:
    if problem.inputs.differentiable or problem.precision != "full":
        return None
    known = problem.memory("prefix cache")
    if "cached" not in known:
        known["cached"] = found = _first_run(problem) if _may(problem) else None
        if found is not None and not _agrees(problem, found):
            known["cached"] = None
        elif found is not None:
            known["held"] = [*found.keys, *found.values, *found.outputs.values()]  # so that the memory knows its size
    cached: _Cached | None = known["cached"]
    return cached


def _may(problem: Problem) -> bool:
    """Whether the model and its inputs look like what can be run from a cache."""
    module, inputs = problem.module, problem.inputs
    config = getattr(module, "config", None)
    if not isinstance(module, nn.Module) or module_of(problem.call) is not module or config is None:
        return False
    if getattr(config, "is_encoder_decoder", False) or not hasattr(_transformers(), "DynamicCache"):
        return False
    takes = inspect.signature(module.forward).parameters
    named = {"input_ids": inputs.leaves[0]} if inputs.container == "tensor" else dict(inputs.items)
    tensors = {str(key): value for key, value in named.items() if isinstance(value, Tensor)}
    plain = all(isinstance(value, Tensor | bool | int | float | None) for value in named.values())
    ids = tensors.get("input_ids")
    return (
        {"use_cache", "input_ids"} <= takes.keys()
        and any(name in takes for name in NAMES)
        and inputs.container != "tuple"
        and not inputs.several
        and not problem.hooked
        and plain
        and tensors.keys() <= ALIKE
        and not named.keys() & {"use_cache", *NAMES}
        and ids is not None
        and all(value.ndim == 2 and value.shape[1] == ids.shape[1] for value in tensors.values())
        and ids.shape[1] >= FEWEST_TOKENS
    )


def _first_run(problem: Problem) -> _Cached | None:
    """Keys, values and outputs of the unchanged texts; None where the model gives no cache that is understood."""
    inputs = problem.inputs
    rows = torch.arange(problem.samples, device=problem.device)
    arguments, keywords = inputs.assemble(problem.points[rows], rows)
    named = {**({"input_ids": arguments[0]} if arguments else {}), **keywords}
    explained = "input_ids" if inputs.container == "tensor" else str(inputs.explained[0])
    tokens = named["input_ids"].shape[1]
    takes = inspect.signature(problem.module.forward).parameters  # type: ignore[union-attr]
    name = next(one for one in NAMES if one in takes)
    cache = _transformers().DynamicCache()
    try:
        with borrowed(problem.module, problem.lock, gradient=False, training=problem.training, device=problem.device):
            output = problem.call(**named, **{name: cache}, use_cache=True)
        keys, values = [layer.keys for layer in cache.layers], [layer.values for layer in cache.layers]
        fits = all(one.ndim == 4 and one.shape[2] == tokens for one in (*keys, *values)) and isinstance(output, Mapping)
    except Exception:  # noqa: BLE001  # whatever the model makes of a cache: run it whole, which says what is wrong
        return None
    size = sum(one.nbytes for one in (*keys, *values)) if fits else 0
    if not fits or not keys or size > LARGEST_CACHE:
        return None
    outputs = {
        str(key): value for key, value in output.items()
        if isinstance(value, Tensor) and value.ndim >= 3 and value.shape[1] == tokens
    }  # fmt: skip
    problem.evaluations["forward"] += len(rows)
    neutral = None if outputs else getattr(problem.module.config, "pad_token_id", None)  # type: ignore[union-attr]
    given = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    return _Cached(given, name, keys, values, outputs, explained, neutral, Batcher(problem.batcher.size))


def _agrees(problem: Problem, cached: _Cached) -> bool:
    """Compare with the whole model where one token in the middle is another one."""
    rows = torch.zeros(1, dtype=torch.long, device=problem.device)
    points = problem.points[:1].clone()
    tokens = points.shape[1]
    different = points[0] != points[0, tokens // 2]
    if cached.explained == "attention_mask":
        points[0, tokens // 2] = 1 - points[0, tokens // 2]
    else:
        points[0, tokens // 2] = points[0, different.nonzero()[0]] if bool(different.any()) else points[0, 0] + 1
    counts = dict(problem.evaluations)
    expected = problem.scores(points, rows)
    try:
        found = cached.problem(problem).scores(points, rows)
    except Exception:  # noqa: BLE001  # as above
        found = torch.full_like(expected, torch.nan)
    for kind in ("tokens", "tokens_saved"):
        problem.evaluations.pop(kind, None)
        problem.evaluations |= {kind: counts[kind]} if kind in counts else {}
    room = AGREE.get(cached.keys[0].dtype, 0.05)
    return torch.allclose(found, expected, rtol=room, atol=room * float(expected.abs().max()))


def _transformers() -> Any:
    """The library, if the caller has loaded it: a model of it cannot exist otherwise."""
    return sys.modules.get("transformers")
