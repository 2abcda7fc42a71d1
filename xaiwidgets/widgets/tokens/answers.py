"""The texts of a strip and the results about them, kept for going back without computing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.text_case import TextCase
from xaiwidgets.text.embedding import reduction
from xaiwidgets.widgets.explanations import KEEP_RESULTS
from xaiwidgets.widgets.questions import keep, whole
from xaiwidgets.widgets.words import encodable

from .asks import Menu, Request
from .changes import part_sizes
from .classified import Classified
from .generating import Generating
from .reading import Read, read
from .subject import Answer, Interrupt, Options

KEEP_TEXTS = 4
"""A text's sessions keep the gradients of their paths, so only a few."""
LABEL = 60
"""Characters of a text in the menu of texts."""


@dataclass(eq=False)
class Matrix:
    """Attributions of all output tokens [T_out, T_in] in one setting; NaN where they are not known."""

    settings: str
    asked: str
    values: NDArray[np.float32]
    have: frozenset[int] = frozenset()

    def missing(self) -> list[int]:
        return [row for row in range(len(self.values)) if row not in self.have]


class Answers:
    """What is known about some texts and one model."""

    def __init__(
        self, model: Any, texts: list[Read], tokenizer: Any, menu: Menu, options: Options, *, task: str
    ) -> None:
        self._model, self.tokenizer, self.menu, self._options = model, tokenizer, menu, options
        self.model_name = type(model).__name__
        self._texts = list(texts)
        self._task = task
        self._subjects: OrderedDict[int, Classified | Generating] = OrderedDict()
        self._results: OrderedDict[str, Answer] = OrderedDict()
        self._matrices: OrderedDict[str, Matrix] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def labels(self) -> list[dict[str, str]]:
        """The `inputs` trait."""
        texts = [" ".join(one.tokens.text.split()) for one in self._texts]
        return [{"label": encodable(text[:LABEL] + ("…" if len(text) > LABEL else ""))} for text in texts]

    def subject(self, index: int) -> Classified | Generating:
        """A text. Raises InputError if there is none of that number."""
        index = whole(index, "input", len(self._texts))
        subject = self._subjects.get(index)
        if subject is None:
            make = Classified if self._task == "classify" else Generating
            subject = make(self._model, self._texts[index], self.tokenizer, self._options)
        keep(self._subjects, index, subject, KEEP_TEXTS)
        return subject

    def edit(self, index: int, text: str) -> None:
        """Another text in the place of one. Raises InputError."""
        self._texts[index] = read(text, self.tokenizer, self._model, self._options)
        self._forget(index)

    def refresh(self, index: int) -> bool:
        """Forget what is known if the model is another one by now; whether it is."""
        changed = self.subject(index).changed()
        if changed:
            for number in range(len(self._texts)):
                self._forget(number)
        return changed

    def explain(self, request: Request, interrupt: Interrupt, question: dict[str, Any]) -> Iterator[Answer]:
        """Results for a settled request, each better than the last; a finished one is given again without computing."""
        known = self._results.get(request.key)
        if known is not None:
            self._results.move_to_end(request.key)
            yield known if known.request.asked == request.asked else replace(known, request=request)
            return
        answer = None
        for attribution in self.subject(request.input).stream(request, self.menu.arguments(request), interrupt):
            answer = Answer(request, attribution, question)
            if attribution.progress[0] < attribution.progress[1]:
                yield answer
        if answer is not None:
            final = replace(answer, final=True)
            keep(self._results, request.key, final, KEEP_RESULTS)
            self._into_matrix(final)
            yield final

    def matrix(self, request: Request) -> Matrix | None:
        """What is known of all output tokens, in a request's settings; None for a text that is not generated."""
        subject = self.subject(request.input)
        if not isinstance(subject, Generating) or subject.generated is None:
            return None
        found = self._matrices.get(request.settings)
        if found is None:
            shape = (len(subject.generated.output), len(subject.tokens))
            found = Matrix(request.settings, request.asked, np.full(shape, np.nan, np.float32))
            keep(self._matrices, request.settings, found, 2)
        return found

    def columns(self, request: Request, interrupt: Interrupt) -> Iterator[Matrix]:
        """The matrix as it fills, row after row."""
        subject, matrix = self.subject(request.input), self.matrix(request)
        if matrix is None or not isinstance(subject, Generating):
            raise InputError("nothing_generated", "Only generated texts have output tokens", hint="Pass generate=40.")
        missing = matrix.missing()
        if not missing:
            yield matrix
            return
        for found in subject.columns(request, missing, self.menu.arguments(request), interrupt):
            done = found.positions[: found.done]
            matrix.values[list(found.positions)] = np.where(
                np.isnan(found.values.numpy()), matrix.values[list(found.positions)], found.values.numpy()
            )
            matrix.have = matrix.have | frozenset(done)
            yield matrix

    def known(self, key: str, shown: Answer) -> Answer | None:
        """The finished answer that a page calls `key`: the request's params, and `#row` for a row of the matrix."""
        name, mark, row = key.rpartition("#")
        if mark and row.isdecimal() and name == shown.request.asked:
            return self._row_of_matrix(shown, int(row))
        found = [one for one in self._results.values() if one.request.asked == key]
        return found[-1] if found else None

    def case(self, answer: Answer, interrupt: Interrupt) -> TextCase:
        """An answer as the metrics see it."""
        request, subject = answer.request, self.subject(answer.request.input)
        sizes = part_sizes(subject.tokens, request)  # as the method gave them: whole parts, not their tokens' shares
        values = torch.from_numpy(row_of(answer))[None] * (1 if sizes is None else sizes)
        return subject.case(request, values, self.menu.arguments(request), interrupt)

    def _row_of_matrix(self, shown: Answer, row: int) -> Answer | None:
        matrix = self.matrix(shown.request)
        if matrix is None or row not in matrix.have:
            return None
        values = torch.from_numpy(np.nan_to_num(matrix.values[row]))[None]
        attribution = replace(shown.attribution, values=values, delta=None, score=None, baseline_score=None)
        request = replace(shown.request, span=(row, row), foil_token=None, asked=f"{shown.request.asked}#{row}")
        question = self.subject(request.input).question(request)
        return Answer(request, attribution, shown.question | question, final=True)

    def close(self) -> None:
        """Let go of the model and of everything computed."""
        for subject in self._subjects.values():
            subject.close()
        for store in (self._subjects, self._results, self._matrices):
            store.clear()
        self._texts = []
        self.__dict__.pop("_model", None)
        self._options = Options()

    def _into_matrix(self, answer: Answer) -> None:
        request = answer.request
        one = request.span is not None and request.span[0] == request.span[1] and request.foil_token is None
        matrix = self.matrix(request) if one else None
        if matrix is not None and request.span is not None:
            matrix.values[request.span[0]] = row_of(answer)
            matrix.have = matrix.have | {request.span[0]}

    def _forget(self, index: int) -> None:
        self._subjects.pop(index, None)
        for store in (self._results, self._matrices):
            store.clear()


def row_of(answer: Answer) -> NDArray[np.float32]:
    """The values of the one text, [T]."""
    values = answer.attribution.values
    assert isinstance(values, torch.Tensor)  # noqa: S101 - texts are one tensor
    found: NDArray[np.float32] = values[0].detach().float().cpu().numpy()
    return found


def is_signed(answer: Answer) -> bool:
    """Whether the sign of its values means something: the length of a vector of slopes has none."""
    if answer.signed is not None:
        return answer.signed
    method = find_method(answer.request.method)
    if bool((row_of(answer) < 0).any()):
        return True  # a method without signs may be asked for them
    return method.signed and reduction(method, "auto") == "sum"
