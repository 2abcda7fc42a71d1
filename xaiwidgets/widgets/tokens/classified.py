"""A text that a model sorts into classes, or gives a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.text_case import Question, TextCase
from xaiwidgets.text.session import TextSession, call_of
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets import words
from xaiwidgets.widgets.questions import Questions
from xaiwidgets.widgets.summary import class_bars

from .asks import Request
from .changes import masked, shared_out
from .reading import Read, read
from .subject import Change, Interrupt, Notes, Options, Progress


class Classified:
    """One row of token numbers. Its sessions are kept for going back."""

    task = "classify"

    def __init__(self, model: Any, found: Read, tokenizer: Any, options: Options) -> None:
        self._model, self._tokenizer, self._options, self._more = model, tokenizer, options, found.more
        self.tokens: Tokens = found.tokens
        self.prompt: Tokens | None = None
        self._asked = False
        self.notes = Notes(cut=found.cut, missed=found.tokens.missed)
        if not any(self.tokens.words):
            raise InputError("only_special", "A text holds nothing but special tokens", hint="Pass some words.")
        call, own = call_of(model, [self.tokens], self._more)
        self._questions = Questions(
            model, call, wrt=own, target=options.target, score=options.score, **options.session(len(self.tokens))
        )  # fmt: skip

    @property
    def source(self) -> Tokens:
        return self.tokens

    def prepare(self, interrupt: Interrupt, progress: Progress) -> None:  # noqa: ARG002 - one pass has no progress
        self._questions.outputs(0, interrupt)
        self._asked = True

    def said(self) -> dict[str, Any]:
        return {"classes": self._classes() if self._asked else [], "steps": []}

    def problem(self, request: Request) -> Problem:
        return self._questions.session(0, request.target, request.foil, None).problem.begin()

    def settled(self, request: Request, params: dict[str, Any]) -> Request:
        target, foil = (self._questions.check_class(params.get(name), name) for name in ("target", "foil"))
        target, foil = self._questions.settled(0, target, foil)
        return replace(request, target=target, foil=foil)

    def question(self, request: Request) -> dict[str, Any]:
        target, foil = request.target, request.foil
        return {
            "target_label": "the model's score" if target is None else words.label(self._options.labels, target),
            "foil_label": "" if foil is None else words.label(self._options.labels, foil),
        }

    def stream(self, request: Request, arguments: dict[str, Any], interrupt: Interrupt) -> Iterator[Attribution]:
        session = self._questions.session(0, request.target, request.foil, interrupt)
        found = TextSession(session, [self.tokens], self._tokenizer).stream(request.method, **arguments)
        return shared_out(found, self.tokens, request)

    def case(self, request: Request, values: Tensor, arguments: dict[str, Any], interrupt: Interrupt) -> TextCase:
        problem = self._questions.problem(0, request.target, request.foil, interrupt)
        question = TextSession(Question(problem), [self.tokens], self._tokenizer)
        return TextCase(question, values, method=find_method(request.method), parameters=arguments, name="map")

    def what_if(self, change: Change, shown: Request | None) -> dict[str, Any]:  # noqa: ARG002 - all classes are told
        if change.text is not None:
            tokens = read(change.text, self._tokenizer, self._model, self._options).tokens
            text = change.text
        else:
            assert change.mask is not None  # noqa: S101 - it is one or the other
            found = masked(self.tokens, change.mask, self._tokenizer)
            tokens, text = found.tokens, found.text
        call, own = call_of(self._model, [tokens], self._more)
        outputs = Session(self._model, call, wrt=own, **self._options.session(len(self.tokens))).predict()[0]
        before = self._classes()
        after = class_bars(outputs.detach().cpu().float(), self._options.labels, also=[bar["id"] for bar in before])
        return {"text": words.encodable(text), "before": before, "after": after}

    def changed(self) -> bool:
        return self._questions.changed()

    @property
    def in_training(self) -> bool:
        return self._questions.in_training

    def _classes(self) -> list[dict[str, Any]]:
        return class_bars(self._questions.outputs(0), self._options.labels)

    def close(self) -> None:
        self._questions.close()
        self.__dict__.pop("_model", None)
