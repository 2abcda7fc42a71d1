"""A prompt, and what a language model goes on with."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.memory import model_stamp
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.metrics.text_case import Question, TextCase
from xaiwidgets.text.generation import Generated, generate
from xaiwidgets.text.outputs import Columns, OutputSession
from xaiwidgets.text.session import TextSession
from xaiwidgets.text.spelling import surface
from xaiwidgets.text.tokenizers import decoded, token_id
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets.words import encodable

from .asks import Request, Span
from .changes import masked, part_sizes, shared_out
from .reading import Read, limit, read
from .subject import Change, Interrupt, Notes, Options, Progress

GENERATED = 20
"""Tokens that a language model goes on with if nobody says how many."""
SHOWN_WORDS = 6
"""Output tokens that a title names."""


class Generating:
    """A prompt; `generated` once the model was asked."""

    task = "generate"

    def __init__(self, model: Any, found: Read, tokenizer: Any, options: Options) -> None:
        self._model, self._tokenizer, self._options = model, tokenizer, options
        self.prompt: Tokens | None = found.tokens
        self._prompt = found.tokens
        self._session: OutputSession | None = None
        self._gate: Interrupt | None = None
        self._stamp = model_stamp(module_of(model))
        self.generated: Generated | None = None
        self.notes = Notes(cut=found.cut, missed=found.tokens.missed)
        if not any(self._prompt.words):
            raise InputError("only_special", "A prompt holds nothing but special tokens", hint="Pass some words.")

    @property
    def tokens(self) -> Tokens:
        return self._prompt if self.generated is None else self.generated.tokens

    @property
    def source(self) -> Tokens:
        paired = self.generated is not None and self.generated.encoder_decoder
        return self._prompt if paired else self.tokens

    def prepare(self, interrupt: Interrupt, progress: Progress) -> None:
        if self.generated is not None:
            return
        options = self._options
        room = limit(self._model, self._tokenizer) - len(self._prompt)
        if room < 1:
            raise InputError("text_too_long", "The prompt leaves no room for an answer", hint="Pass a shorter one.")
        most = min(options.generate or GENERATED, room)

        def told(count: int) -> None:
            interrupt()
            progress(count, most)

        self.generated = generate(
            self._model, self._prompt, self._tokenizer, tokens=most, continuation=options.continuation,
            sample=options.sample, temperature=options.temperature, seed=options.seed, training=options.training,
            progress=told,
        )  # fmt: skip
        output = self.generated.output
        ended = output.ids[-1] == token_id(self._tokenizer, "eos")
        stopped = len(output) if options.continuation is None and len(output) >= most and not ended else 0
        self.notes = replace(self.notes, missed=self._prompt.missed + output.missed, stopped=stopped)

    def said(self) -> dict[str, Any]:
        return {"classes": [], "steps": self._steps()}

    def problem(self, request: Request) -> Problem:  # noqa: ARG002 - the model is the same for every token
        generated = self._done
        return Problem(
            self._model, generated.call, wrt=next(iter(generated.call)), target=self._outputs(None).target(0),
            forward=self._options.forward, training=self._options.training,
        )  # fmt: skip

    def settled(self, request: Request, params: dict[str, Any]) -> Request:
        span = check_span(params.get("span"), len(self._done.output))
        foil = params.get("foil_token")
        if foil is not None and (isinstance(foil, bool) or not isinstance(foil, int) or not 0 <= foil < self._words):
            raise InputError("out_of_range", f"foil_token={foil!r} is no token", hint="Choose one of the alternatives.")
        if foil == self._done.output.ids[span[1]]:
            foil = None
        if foil is not None:
            span = (span[1], span[1])  # what comes before is the same with either word, and cancels out
        return replace(request, span=span, foil_token=foil)

    def question(self, request: Request) -> dict[str, Any]:
        assert request.span is not None  # noqa: S101 - settled
        first, last = request.span
        foil = request.foil_token
        return {
            "target_label": self._quoted(first, last),
            "foil_label": "" if foil is None else f'"{encodable(surface(decoded(foil, self._tokenizer)).strip())}"',
        }

    def stream(self, request: Request, arguments: dict[str, Any], interrupt: Interrupt) -> Iterator[Attribution]:
        assert request.span is not None  # noqa: S101 - settled
        first, last = request.span
        session = self._asked(interrupt)
        found = session.stream(request.method, span=(first, last + 1), foil=request.foil_token, **arguments)
        return shared_out(found, self.tokens, request)

    def case(self, request: Request, values: Tensor, arguments: dict[str, Any], interrupt: Interrupt) -> TextCase:
        """What is explained and what comes after it stays as it is; of an encoder and a decoder, all that was put out."""
        assert request.span is not None  # noqa: S101 - settled
        (first, last), generated = request.span, self._done
        rows = self.source
        kept = torch.zeros(1, len(rows), dtype=torch.bool)
        kept[:, generated.n_prompt + last :] = True
        problem = Problem(
            self._model, generated.call, wrt=next(iter(generated.call)), interrupt=interrupt,
            target=self._asked(interrupt).target((first, last + 1), request.foil_token),
            **self._options.session(len(self.tokens)),
        )  # fmt: skip
        question = TextSession(Question(problem), [rows], generated.tokenizer, kept=kept)
        method = find_method(request.method)
        return TextCase(question, values[:, : len(rows)], method=method, parameters=arguments, name="map")

    def columns(
        self, request: Request, positions: list[int], arguments: dict[str, Any], interrupt: Interrupt
    ) -> Generator[Columns]:
        """The attributions of many output tokens."""
        sizes = part_sizes(self.tokens, request)
        for found in self._asked(interrupt).columns(request.method, positions, **arguments):
            yield found if sizes is None else replace(found, values=found.values / sizes)

    def what_if(self, change: Change, shown: Request | None) -> dict[str, Any]:
        """The probability of the span on show after another prompt, or without some words before it."""
        generated = self._done
        first, last = shown.span if shown is not None and shown.span is not None else (0, 0)
        if change.text is not None:
            prompt = read(change.text, self._tokenizer, self._model, self._options).tokens
            past, text = self._part(range(last + 1)), change.text + generated.output.text
        else:
            assert change.mask is not None  # noqa: S101 - it is one or the other
            prompt, past, text = self._masked(change.mask, first, last)
        before = replace_output(generated, generated.prompt, self._part(range(last + 1)))
        after = replace_output(generated, prompt, past)
        ids = generated.output.ids[first : last + 1]
        return {
            "text": encodable(text), "before": [], "after": [],
            "p_before": _probability(before, ids), "p_after": _probability(after, ids),
        }  # fmt: skip

    def changed(self) -> bool:
        stamp = model_stamp(module_of(self._model))
        same, self._stamp = stamp == self._stamp, stamp
        if not same:
            self.generated = self._session = None
        return not same

    @property
    def in_training(self) -> bool:
        module = module_of(self._model)
        return self._options.training is True and module is not None and any(one.training for one in module.modules())

    def close(self) -> None:
        self.generated = self._session = self._gate = None
        self.__dict__.pop("_model", None)

    # --- inside -----------------------------------------------------------------------------------------------------------

    @property
    def _done(self) -> Generated:
        if self.generated is None:
            raise InputError("nothing_generated", "The model has not gone on with the prompt yet", hint="Run it first.")
        return self.generated

    @property
    def _words(self) -> int:
        """Size of the vocabulary that is put out."""
        return int(self._done.logits.shape[-1])

    def _asked(self, interrupt: Interrupt) -> OutputSession:
        """The session that answers; what it has found out about the embedding is kept."""
        if self._session is None:
            self._session = self._outputs(lambda: self._gate() if self._gate is not None else None)
        self._gate = interrupt
        return self._session

    def _outputs(self, interrupt: Interrupt | None) -> OutputSession:
        score: Any = self._options.score
        return OutputSession(
            self._done, session=Session, score=score, interrupt=interrupt, **self._options.session(len(self.tokens))
        )

    def _steps(self) -> list[dict[str, Any]]:
        if self.generated is None:
            return []
        return [
            {
                "p": step.probability, "logit": step.logit, "entropy": step.entropy, "rank": step.rank,
                "topk": [
                    {"id": one.id, "text": encodable(one.text), "p": one.probability, "logit": one.logit}
                    for one in step.top
                ],
            }
            for step in self.generated.steps
        ]  # fmt: skip

    def _quoted(self, first: int, last: int) -> str:
        output = self._done.output
        start, items = output.items[first].start, output.items[first : min(last + 1, first + SHOWN_WORDS)]
        text = output.text[start : max(one.end for one in items)] or items[0].surface
        return f'"{surface(encodable(text.strip() or text))}{"…" if last - first >= SHOWN_WORDS else ""}"'

    def _part(self, places: Any) -> Tokens:
        """Some of the output's tokens."""
        output, places = self._done.output, list(places)
        inputs = {name: tuple(numbers[place] for place in places) for name, numbers in output.inputs.items()}
        return replace(output, items=tuple(output.items[place] for place in places), inputs=inputs)

    def _masked(self, places: tuple[int, int], first: int, last: int) -> tuple[Tokens, Tokens, str]:
        """The prompt and the output up to the span with some tokens hidden. What is explained itself stays."""
        generated = self._done
        start, end = places
        edge = len(generated.prompt.text)
        prompt, past = generated.prompt, self._part(range(first))
        text = generated.tokens.text
        if start < edge:
            found = masked(prompt, (start, min(end, edge)), self._tokenizer)
            prompt, text = found.tokens, found.text + generated.output.text
        elif first == 0 or start - edge >= max(one.end for one in past.items):
            raise InputError(
                "nothing_masked", "What comes after a token did not cause it", hint="Select what is before it."
            )
        if end > edge and first > 0:
            own = (max(0, start - edge), end - edge)
            if start >= edge or any(one.start < own[1] and one.end > own[0] for one in past.items):
                found = masked(past, own, self._tokenizer, whole=True)
                past = found.tokens
                text = prompt.text + found.text
        own_span = self._part(range(first, last + 1))
        items = past.items + own_span.items
        inputs = {name: past.inputs[name] + own_span.inputs[name] for name in past.inputs}
        return prompt, replace(generated.output, items=items, inputs=inputs), text


def replace_output(generated: Generated, prompt: Tokens, output: Tokens) -> Generated:
    """The same question about another text."""
    return Generated(
        generated.model, generated.tokenizer, prompt, output, generated.encoder_decoder, generated.start, 1
    )


def _probability(generated: Generated, ids: list[int]) -> float:
    """Of the last tokens, all together."""
    log = generated.logits[-len(ids) :].log_softmax(-1)
    return float(sum(row[number] for row, number in zip(log, ids, strict=True)).exp())


def check_span(value: Any, count: int) -> Span:
    """First and last output token that a page names, of `count`; the first one where it names none. Raises InputError."""
    if value is None:
        return (0, 0)
    whole = isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(one, int) for one in value)
    if not whole or not 0 <= value[0] <= value[1] < count:
        raise InputError("out_of_range", f"span={value!r} is out of range", hint=f"[first, last] in 0..{count - 1}.")
    return int(value[0]), int(value[1])
