"""A strip of values that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xaiwidgets.live.jobs import Token
from xaiwidgets.text.spelling import surface
from xaiwidgets.widgets import words
from xaiwidgets.widgets.provenance import versions
from xaiwidgets.widgets.token_strip import FORGOTTEN, TokenStrip, View
from xaiwidgets.widgets.tokens import words as said
from xaiwidgets.widgets.tokens.answers import LABEL, Matrix
from xaiwidgets.widgets.tokens.asks import Request, Span
from xaiwidgets.widgets.tokens.generating import check_span
from xaiwidgets.widgets.tokens.pack import canonical, pack_matrix, pack_values, text_traits
from xaiwidgets.widgets.tokens.subject import Answer, Change, Notes
from xaiwidgets.widgets.words import encodable

from .arrays import Array
from .shelf import Choice, Shelf, fitting, no_model
from .texts import Text


class Subject:
    """In the place of a text and its model."""

    in_training = False

    def __init__(self, text: Text) -> None:
        self.tokens, self.prompt = text.tokens, text.prompt
        self.notes = Notes(missed=text.tokens.missed)
        self.outputs = text.outputs

    def said(self) -> dict[str, Any]:
        return {"classes": [], "steps": []}


class Texts:
    """In the place of a model's answers."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self._subjects = [Subject(text) for text in texts]
        self.menu = self

    def baselines(self) -> list[dict[str, str]]:
        return []

    def labels(self) -> list[dict[str, str]]:
        texts = [" ".join(one.tokens.text.split()) for one in self._subjects]
        return [{"label": encodable(text[:LABEL] + ("…" if len(text) > LABEL else ""))} for text in texts]

    def subject(self, index: int) -> Subject:
        return self._subjects[index]

    def close(self) -> None:
        self._subjects = []


class BroughtStrip(Shelf, TokenStrip):
    """A TokenStrip without a model. Made by `xaiwidgets.show`."""

    def __init__(
        self, choices: Sequence[Choice], texts: Sequence[Text], *, labels: words.Labels, **traits: Any
    ) -> None:
        self.choices, self.labels = choices, labels
        written = any(text.outputs for text in texts)
        super().__init__(
            Texts(texts), labels=labels,  # type: ignore[arg-type]  # what it is asked of them, they answer
            task="generate" if written else "classify",
            methods=[one.schema() for one in choices],
            params={
                "input": 0, "target": None, "foil": None, "method": choices[0].name, "baseline": "", "span": None,
                "foil_token": None, "parameters": {},
            },
            **traits,
        )  # fmt: skip
        self._heavy = self.fill(self._input_traits, self._first_traits)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _answered(self, token: Token) -> Iterator[View]:  # noqa: ARG002 - nothing takes long
        with self._sync_lock:
            params, edits, self._edits = dict(self.params), self._edits, {}
        if edits:
            raise no_model()
        self._columns_of = ""
        choice, index = self.choice(params)
        subject = self._answers.subject(index)
        self._present(subject, params)
        span = self._span(params.get("span"), subject)
        values = self._of(choice, index, span)
        request = Request(_key(params), index, choice.name, "", {}, None, None, span)
        answer = Answer(
            request,
            choice.attribution(index, values),
            self._asked(choice, index, span),
            final=True,
            signed=choice.signed,
        )
        yield View(answer, self._matrix(choice, index, request.asked))

    def _publish(self, result: View) -> None:
        request = result.answer.request
        choice, index = self.choice({"input": request.input, "method": request.method})
        self._show_text(self._answers.subject(index))
        self._results["answer"] = result.answer
        for name, value in self._answer_traits(choice, index, request.span, request.asked).items():
            setattr(self, name, value)
        self._sum_selection()

    def _first_traits(self, choice: Choice, index: int) -> dict[str, Any]:
        params = self.params | {"input": index, "method": choice.name}
        return self._answer_traits(choice, index, self._span(None, self._answers.subject(index)), _key(params))

    def _answer_traits(self, choice: Choice, index: int, span: Span | None, asked: str) -> dict[str, Any]:
        tokens = self._answers.subject(index).tokens
        values, facts = self._of(choice, index, span), choice.quality(index)
        question = self._asked(choice, index, span)
        found = said.notices(
            values, facts, self._answers.subject(index).notes, signed=choice.signed, training=False, length=len(tokens),
            saved=getattr(self, "_heavy", 0),
        )  # fmt: skip
        if choice.note:
            found.append({"level": "info", "code": "note", "text": choice.note})
        matrix = self._matrix(choice, index, asked)
        data, scale = (b"", 1.0) if matrix is None else pack_matrix(matrix.values)
        return {
            "values": pack_values(values),
            "values_meta": {
                "length": len(values), "unsigned": not choice.signed, "unit": choice.unit, "key": asked,
                "span": None if span is None else list(span), "foil_token": None, "target": question["target"], "foil": None,
            },
            "matrix": data,
            "matrix_meta": {} if matrix is None else {
                "rows": len(matrix.values), "columns": matrix.values.shape[1], "scale": scale, "have": sorted(matrix.have), "key": asked,
            },
            "quality": facts, "question": question, "map_key": asked, "notices": fitting(found, facts),
            "caption": said.caption(values, tokens, question, signed=choice.signed, gap=facts["gap"]),
            "provenance": {
                "model": "not given", "method": question["method_title"], "parameters": {}, "target": question["target_label"],
                "foil": None, "versions": versions(),
            },
        }  # fmt: skip

    def _input_traits(self, index: int) -> dict[str, Any]:
        text = self._answers.subject(index)
        return FORGOTTEN | text_traits(text.tokens, text.prompt)

    def _of(self, choice: Choice, index: int, span: Span | None) -> Array:
        """The values of one text, [tokens]; those of several output tokens added up."""
        values = choice.rows[index].values
        if span is None:
            return values
        found: Array = np.nan_to_num(values[span[0] : span[1] + 1]).sum(0)
        return found if span[0] < span[1] else values[span[0]]

    def _matrix(self, choice: Choice, index: int, asked: str) -> Matrix | None:
        values = choice.rows[index].values
        if values.ndim == 1:
            return None
        return Matrix(asked, asked, values, frozenset(range(len(values))))

    def _span(self, asked: Any, subject: Any) -> Span | None:
        """Which output tokens are explained; the first where nobody said. Raises InputError."""
        return check_span(asked, subject.outputs) if subject.outputs else None

    def _asked(self, choice: Choice, index: int, span: Span | None) -> dict[str, Any]:
        question = choice.question(index, self.labels)
        if span is None:
            return question
        subject: Any = self._answers.subject(index)  # of texts that were brought: it knows its outputs
        tokens = subject.tokens
        first = len(tokens) - subject.outputs
        own = tokens.items[first + span[0] : first + span[1] + 1]
        text = tokens.text[own[0].start : own[-1].end].strip() or own[0].surface
        return question | {"target": None, "target_label": f'"{encodable(surface(text))}"'}

    # --- what needs a model -----------------------------------------------------------------------------------------

    def _what_if(self, subject: Any, change: Change) -> dict[str, Any]:  # noqa: ARG002
        raise no_model()


def _key(params: dict[str, Any]) -> str:
    """What a page finds the answer by."""
    return canonical(params)
