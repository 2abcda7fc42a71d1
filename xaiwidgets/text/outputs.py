"""Why these words came: any method, about one output token, a span of them, one rather than another, or all at once.

An output token's score is read from one teacher-forced pass over prompt and output. Several tokens are several targets of the
same pass. What comes after a token cannot have caused it, nor can it itself: those places are exactly 0.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.baselines import NAMES
from xaiwidgets.engine.errors import ParameterError, TargetError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Method, find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.engine.target import SCORES, Contrast, Each, Score, unwrap

from .embedding import Reduce, at_embedding, baseline, named_token, per_token, reduction
from .generation import Generated
from .groups import UNIT_NAMES, group
from .session import Asked, TextSession
from .tokens import Tokens

AT_MOST = 0.1
"""Seconds of work between two results of methods with gradients, so that they can be cancelled: about so many targets."""
MOST_TARGETS = 32

Span = int | tuple[int, int]
"""One output token, or the first and the one after the last; counted from 0."""


class OutputScore:
    """A target: the summed scores of some output tokens, or of one token less another's at the same place.

    rows    of the model's output [1, tokens, words], counted from its end
    ids     the token at each; foils  what it is compared with
    """

    def __init__(
        self, rows: Sequence[int], ids: Sequence[int], foils: Sequence[int] | None, score: Score, name: str
    ) -> None:
        self.rows, self.ids, self.foils = list(rows), list(ids), None if foils is None else list(foils)
        self.score, self.__qualname__ = score, name

    def __repr__(self) -> str:
        return self.__qualname__

    def without(self, cut: int, call: dict[str, Any], generated: Generated) -> tuple[Any, Score]:
        """The same target of an output that is `cut` rows shorter, as plain numbers where it asks about one token."""
        rows = [row + cut for row in self.rows]
        if len(rows) > 1:
            return OutputScore(rows, self.ids, self.foils, self.score, self.__qualname__), "logit"
        length = call["decoder_input_ids" if generated.encoder_decoder else next(iter(call))].shape[1]
        place = length + rows[0]
        if self.foils is not None:
            return Contrast((place, self.ids[0]), (place, self.foils[0])), self.score
        return (place, self.ids[0]), self.score

    def __call__(self, output: Any) -> Tensor:
        """[n] for an output of n rows."""
        logits = unwrap(output)[:, self.rows]
        if self.score != "logit":
            logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
            logits = logits.log_softmax(-1) if self.score == "log_probability" else logits.softmax(-1)
        places = torch.arange(len(self.rows), device=logits.device)
        scores = logits[:, places, torch.tensor(self.ids, device=logits.device)]
        if self.foils is not None:
            scores = scores - logits[:, places, torch.tensor(self.foils, device=logits.device)]
        return scores.sum(1)


@dataclass(frozen=True, eq=False)
class Columns:
    """Attributions of several output tokens, as far as they are known.

    values       [output tokens, tokens]: for each asked output token (`positions`) all tokens of prompt and output; NaN where
                 they are still to come, exactly 0 for the token itself and what comes after it
    delta        [output tokens] how far sums are from complete, None where the method promises nothing
    done, total  output tokens
    """

    positions: tuple[int, ...]
    values: Tensor
    delta: Tensor | None
    done: int
    total: int
    evaluations: dict[str, int]
    seconds: float


class OutputSession:
    """Questions about what was generated.

    session   makes the sessions that answer, from (model, inputs, wrt=, target=, **options): xaiwidgets.Session
    score     "logit", "log_probability" or "probability" of each output token
    past      whether earlier output tokens are explained as well as the prompt; if not, no baseline takes them away, and they
              get 0
    unit      what methods that take parts of the text away take away at once
    """

    def __init__(
        self,
        generated: Generated,
        *,
        session: Callable[..., Asked],
        score: Score = "logit",
        past: bool = True,
        unit: str = "token",
        reduce: Reduce | Literal["auto"] = "auto",
        **options: Any,
    ) -> None:
        if score not in SCORES:
            raise TargetError("unknown_score", f"score={score!r} is not known", hint=f"One of {', '.join(SCORES)}.")
        self.generated, self.make, self.score, self.past = generated, session, score, past
        self.unit, self.reduce, self.options = unit, reduce, options

    @property
    def tokens(self) -> Tokens:
        """Prompt and output."""
        return self.generated.tokens

    def target(self, span: Span, foil: int | None = None) -> OutputScore:
        """The score of an output token or a span of them; with a foil, of the token rather than it."""
        generated = self.generated
        first, stop = (span, span + 1) if isinstance(span, int) else span
        if not 0 <= first < stop <= len(generated.output):
            raise TargetError(
                "target_range",
                f"Output tokens {first} to {stop - 1} do not exist",
                hint=f"There are {len(generated.output)}, counted from 0.",
            )
        if foil is not None and stop - first != 1:
            raise TargetError("foil_of_span", "A span has no foil", hint="Choose one output token.")
        positions = range(first, stop)
        words = " ".join(generated.output.items[place].surface for place in positions)
        name = f"{self.score} of output {first}{f'–{stop - 1}' if stop - first > 1 else ''} ({words})"
        name += f" − token {foil}" if foil is not None else ""
        rows = [generated.row(place) for place in positions]
        ids = [generated.output.ids[place] for place in positions]
        return OutputScore(rows, ids, None if foil is None else [foil], self.score, name)

    def stream(
        self, method: str = "integrated_gradients", *, span: Span = 0, foil: int | None = None, **parameters: Any
    ) -> Generator[Attribution]:
        """Attributions of one question with values [1, tokens] over prompt and output, each better than the last."""
        last = span if isinstance(span, int) else span[1] - 1
        yield from self._ask(find_method(method), self.target(span, foil), [last], parameters)

    def attribute(
        self, method: str = "integrated_gradients", *, span: Span = 0, foil: int | None = None, **parameters: Any
    ) -> Attribution:
        """The final attribution."""
        *_, found = self.stream(method, span=span, foil=foil, **parameters)
        return found

    def columns(
        self, method: str = "integrated_gradients", positions: Sequence[int] | None = None, **parameters: Any
    ) -> Generator[Columns]:
        """Every output token's attribution (or that of some), as soon as there is one.

        Methods without gradients answer all tokens from the same passes. The others share one forward pass among as many
        tokens as take about a tenth of a second.
        """
        chosen = find_method(method)
        asked = tuple(range(len(self.generated.output))) if positions is None else tuple(positions)
        values = torch.full((len(asked), len(self.tokens)), torch.nan)
        delta: Tensor | None = None
        spent: dict[str, int] = {}
        seconds, done, count = 0.0, 0, 1 if "gradient" in chosen.needs else len(asked)
        while done < len(asked):
            part = asked[done : done + count]
            started, before, found = time.perf_counter(), seconds, None
            for found in self._ask(chosen, Each(*map(self.target, part)), list(part), parameters):
                if "gradient" in chosen.needs and found.progress[0] < found.progress[1]:
                    continue
                values[done : done + len(part)] = cast("Tensor", found.values)[:, 0].cpu()
                seconds = before + found.seconds
                if found.progress[0] < found.progress[1]:
                    yield Columns(asked, values.clone(), None, done, len(asked), _added(spent, found), seconds)
            assert found is not None  # noqa: S101 - every method yields
            values[done : done + len(part)] = cast("Tensor", found.values)[:, 0].cpu()
            if found.delta is not None:
                delta = torch.full((len(asked),), torch.nan) if delta is None else delta
                delta[done : done + len(part)] = found.delta[:, 0].cpu().to(delta)
            spent, seconds, done = _added(spent, found), before + found.seconds, done + len(part)
            yield Columns(
                asked, values.clone(), None if delta is None else delta.clone(), done, len(asked), spent, seconds
            )
            took = (time.perf_counter() - started) / len(part)
            count = max(1, min(MOST_TARGETS, 2 * count, int(AT_MOST / max(took, 1e-6))))

    # --- one run ----------------------------------------------------------------------------------------------------------

    def _ask(self, method: Method, target: Any, last: list[int], parameters: dict[str, Any]) -> Iterator[Attribution]:
        """Results with values [targets..., 1, tokens]; `last` is the last output token each target asks about."""
        if isinstance(target, Each) and ("attention" in method.needs or "{score}" not in method.unit):
            yield from self._one_by_one(method, target, last, parameters)
            return
        run = self._over_vectors if self._by_vectors(method, parameters) else self._over_numbers
        for found in run(method, target, parameters):
            values = cast("Tensor", found.values).clone()
            each = values if isinstance(target, Each) else values[None]
            for row, place in zip(each, last, strict=True):
                row[..., self.generated.n_prompt + place :] = 0
                if not self.past:
                    row[..., self.generated.n_prompt :] = 0
            yield replace(found, values=values, parameters={**found.parameters, **parameters})

    def _by_vectors(self, method: Method, parameters: dict[str, Any]) -> bool:
        """Whether the model gets vectors: for gradients, and for baselines that are no tokens."""
        if {"attention", "tokens"} & set(method.needs) or not self._takes("inputs_embeds"):
            return False
        kind = parameters.get("baseline", next((one.default for one in method.parameters if one.name == "baseline"), 0))
        number = isinstance(kind, int) or (isinstance(kind, str) and kind not in NAMES)
        return "gradient" in method.needs or not number or self._several

    def _takes(self, name: str) -> bool:
        module = module_of(self.generated.model)
        return module is not None and name in inspect.signature(module.forward).parameters

    @property
    def _several(self) -> bool:
        """Whether tokens of an encoder and of a decoder are explained together."""
        return self.generated.encoder_decoder and self.past

    def _one_by_one(
        self, method: Method, target: Each, last: list[int], parameters: dict[str, Any]
    ) -> Iterator[Attribution]:
        """Attention, and whatever is no share of a score, is about where the text ends: each target has a text of its own."""
        answers = []
        for one, place in zip(target.targets, last, strict=True):
            *_, found = self._ask(method, one, [place], parameters)
            answers.append(found)
        spent: dict[str, int] = {}
        for found in answers:
            spent = _added(spent, found)
        values = torch.stack([cast("Tensor", found.values) for found in answers])
        seconds = sum(found.seconds for found in answers)
        yield replace(answers[-1], values=values, delta=None, evaluations=spent, seconds=seconds, target=target)

    def _over_numbers(self, method: Method, target: Any, parameters: dict[str, Any]) -> Iterator[Attribution]:
        """The model gets token numbers. Of an encoder and a decoder, attention explains both, other methods the encoder's.

        A single target's text ends before its last token: nothing behind matters, and attention is read at the end.
        """
        generated, options = self.generated, self.options
        rows = generated.prompt if generated.encoder_decoder else self.tokens
        call, cut = generated.call, 0
        if isinstance(target, OutputScore):
            cut = -1 - max(target.rows)
            call = _ended(call, cut, "decoder_input_ids" if generated.encoder_decoder else None)
            target, score = target.without(cut, call, generated)
            options = {**options, "score": score}
        if "attention" in method.needs and self._several:
            asked = self.make(generated.model, call, wrt=["input_ids", "decoder_input_ids"], target=target, **options)
            for found in asked.stream(method.name, **parameters):
                parts = cast("dict[str, Tensor]", found.values)
                yield replace(found, values=self._row(parts["input_ids"], parts["decoder_input_ids"]))
            return
        asked = self.make(generated.model, call, wrt=next(iter(call)), target=target, **options)
        kept = None if generated.encoder_decoder else self._fixed[None, : len(rows) - cut]
        if not generated.encoder_decoder and cut:
            rows = replace(rows, items=rows.items[: len(rows) - cut])
        text = TextSession(asked, [rows], generated.tokenizer, unit=self.unit, reduce=self.reduce, kept=kept)
        for found in text.stream(method.name, **parameters):
            values = cast("Tensor", found.values)
            if generated.encoder_decoder:
                values = self._row(values, None)
            elif cut:
                values = functional.pad(values, (0, cut))
            yield replace(found, values=values)

    def _over_vectors(self, method: Method, target: Any, parameters: dict[str, Any]) -> Iterator[Attribution]:
        """The model gets vectors: the prompt's and, of an encoder and a decoder, those of the output so far."""
        generated, leaves = self.generated, self._leaves
        call = {name: value for name, value in generated.call.items() if name not in leaves}
        call |= {leaf.argument: leaf.problem.points for leaf in leaves.values()}
        if self._takes("logits_to_keep") and not generated.encoder_decoder:
            call["logits_to_keep"] = len(generated.output) + 1
        prepared = dict(parameters)
        names = {one.name: one.default for one in method.parameters}
        if "baseline" in names:
            kind = prepared.get("baseline", names["baseline"])
            prepared["baseline"] = self._joined(
                {leaf.argument: leaf.baseline(kind, generated.tokenizer) for leaf in leaves.values()}
            )
        if "regions" in names and prepared.get("regions", self.unit) in UNIT_NAMES:
            regions = self._regions(prepared.get("regions", self.unit))
            prepared["regions"] = self._joined(regions)
        wrt = [leaf.argument for leaf in leaves.values()]
        asked = self.make(generated.model, call, wrt=wrt if len(wrt) > 1 else wrt[0], target=target, **self.options)
        how = reduction(method, self.reduce)
        for found in asked.stream(method.name, **prepared):
            values = found.values if isinstance(found.values, dict) else {wrt[0]: cast("Tensor", found.values)}
            parts = [per_token(values[leaf.argument], ~leaf.padding, how) for leaf in leaves.values()]
            joined = (
                self._row(parts[0], parts[1] if len(parts) > 1 else None) if generated.encoder_decoder else parts[0]
            )
            yield replace(found, values=joined)

    def _joined(self, parts: dict[str, Any]) -> Any:
        return parts if len(parts) > 1 else next(iter(parts.values()))

    def _row(self, source: Tensor, decoder: Tensor | None) -> Tensor:
        """Values of the encoder's tokens and of what the decoder was given as values [..., prompt and output]."""
        rest = source.new_zeros(*source.shape[:-1], len(self.generated.output))
        if decoder is not None:  # it was given what begins its text, and all output tokens but the last
            own = decoder[..., len(self.generated.start) :]
            rest[..., : own.shape[-1]] = own
        return torch.cat([source, rest], -1)

    def _regions(self, unit: str) -> dict[str, Tensor]:
        """Numbers of units for each explained argument; what stays as it is is one unit, which changes nothing."""
        generated = self.generated
        numbers = torch.tensor(group(self.tokens, unit).of) + 1
        if not generated.encoder_decoder:
            return {"inputs_embeds": torch.where(self._leaves["input_ids"].kept[0], 0, numbers)[None, :, None]}
        found = {}
        for name, leaf in self._leaves.items():
            if name == "input_ids":
                own = numbers[: generated.n_prompt]
            else:
                own = torch.cat([numbers.new_zeros(len(generated.start)), numbers[generated.n_prompt : -1]])
            found[leaf.argument] = torch.where(leaf.kept[0], 0, own)[None, :, None]
        return found

    @property
    def _fixed(self) -> Tensor:
        """[tokens] output tokens that are not explained."""
        fixed = torch.zeros(len(self.tokens), dtype=torch.bool)
        fixed[self.generated.n_prompt :] = not self.past
        return fixed

    @cached_property
    def _leaves(self) -> dict[str, _Leaf]:
        generated = self.generated
        prompt = torch.tensor([generated.prompt.words])
        if not generated.encoder_decoder:
            words = torch.tensor([self.tokens.words])
            return {"input_ids": self._leaf("input_ids", "inputs_embeds", ~words | self._fixed)}
        leaves = {"input_ids": self._leaf("input_ids", "inputs_embeds", ~prompt)}
        if self.past:
            words = torch.tensor([[False] * len(generated.start) + generated.output.words[:-1]])
            leaves["decoder_input_ids"] = self._leaf("decoder_input_ids", "decoder_inputs_embeds", ~words)
        return leaves

    def _leaf(self, name: str, argument: str, kept: Tensor) -> _Leaf:
        options = {key: self.options[key] for key in ("forward", "training") if key in self.options}
        whole = Problem(self.generated.model, self.generated.call, wrt=name, target=self.target(0), **options)
        return _Leaf(argument, at_embedding(whole), kept)


@dataclass(frozen=True, eq=False)
class _Leaf:
    """Vectors that are explained: the argument they go to, the question asked at their layer, and what stays as it is."""

    argument: str
    problem: Problem
    kept: Tensor

    @property
    def padding(self) -> Tensor:
        return torch.zeros_like(self.kept)

    def baseline(self, kind: Any, tokenizer: Any) -> Any:
        return baseline(self.problem, kind, self.kept, tokenizer)


def foil_id(word: str, tokenizer: Any) -> int:
    """The number of a token given as a word, for a foil."""
    try:
        return named_token(word, tokenizer)
    except ParameterError as error:
        raise TargetError("foil_unknown", error.title, hint="Choose one of the alternatives.") from error


def _ended(call: dict[str, Any], cut: int, only: str | None) -> dict[str, Any]:
    """The call without the last `cut` tokens (of one argument only)."""
    return {
        name: value[:, : value.shape[1] - cut]
        if isinstance(value, Tensor) and value.ndim == 2 and only in (None, name)
        else value
        for name, value in call.items()
    }


def _added(spent: dict[str, int], found: Attribution) -> dict[str, int]:
    return {name: spent.get(name, 0) + found.evaluations.get(name, 0) for name in {**spent, **found.evaluations}}
