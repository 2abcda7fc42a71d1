"""TokenStrip: why these words, for classifiers and for language models. Twin of js/src/widgets/tokens.tsx."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import traitlets
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import Cancelled, InputError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.live.colors import table_for
from xaiwidgets.live.jobs import Gate, LatestJob, State, Token
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.widgets import words
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.explanations import KEEP_RESULTS
from xaiwidgets.widgets.provenance import provenance
from xaiwidgets.widgets.summary import UNITS, quality
from xaiwidgets.widgets.tokens import words as said
from xaiwidgets.widgets.tokens.answers import Answers, Matrix, is_signed, row_of
from xaiwidgets.widgets.tokens.asks import Request
from xaiwidgets.widgets.tokens.figure import Drawn, figure, grouped
from xaiwidgets.widgets.tokens.pack import characters, pack_matrix, pack_values, text_traits
from xaiwidgets.widgets.tokens.selection import same_sum, summed
from xaiwidgets.widgets.tokens.state import TokenState
from xaiwidgets.widgets.tokens.subject import Answer, Change
from xaiwidgets.widgets.trust.drawer import model_changed, nothing_to_test
from xaiwidgets.widgets.trust.tested import SCORES, Input, Tested, fills_of_text
from xaiwidgets.widgets.words import encodable

PROGRESS_EVERY = 0.1
FORGOTTEN: dict[str, Any] = {
    "archive": {}, "matrix": b"", "matrix_meta": {}, "whatif": {}, "values": b"", "values_meta": {}, "selection": [],
    "selection_sum": {}, "quality": {}, "question": {}, "caption": "", "notices": [],
}  # fmt: skip
"""What is said about one text and not about another."""


@dataclass(frozen=True, eq=False)
class View:
    """What goes on show: an answer and, once they were asked for, the attributions of all output tokens so far."""

    answer: Answer
    matrix: Matrix | None = None
    rows: int = 0


class TokenStrip(TokenState):
    """A text and how much each of its words did for what the model said. Made by `xaiwidgets.explain`."""

    def __init__(self, answers: Answers, *, labels: words.Labels = None, score: str = "logit", **traits: Any) -> None:
        self._answers, self._labels, self._score = answers, labels, score
        self._gate = Gate()
        self._columns_of = ""
        self._shown_text: Any = None
        self._tokens = Tokens("", ())
        self._edits: dict[int, str] = {}
        self._following = False
        self._tested_text: tuple[int, Any] | None = None
        self._whatif: LatestJob[tuple[Any, dict[str, Any]]] = LatestJob(self._aside_done, self._aside_changed)
        super().__init__(inputs=answers.labels(), baselines=answers.menu.baselines(), **traits)
        self._show_text(answers.subject(int(self.params.get("input", 0))))

    # --- for people -------------------------------------------------------------------------------------------------

    @property
    def result(self) -> Attribution | None:
        """The attribution on show, values [1, T]; None before the first."""
        shown = super().result
        return None if shown is None else shown.answer.attribution

    def cancel(self) -> None:
        """Stop what is running, and the attribution of every output token with it; what is on show stays."""
        self._columns_of = ""
        super().cancel()

    def columns(self) -> Self:
        """Attribute every output token with the method on show; the matrix fills row after row."""
        self._columns_of = "next"
        return self.run()

    def attribution_matrix(self) -> Tensor:
        """[T_out, T_in] every output token's attribution with the method on show: computed now, where it is missing."""
        self.wait()
        self.columns().wait()
        shown = super().result
        if shown is None or shown.matrix is None:
            raise InputError("nothing_generated", "Only generated texts have output tokens", hint="Pass generate=40.")
        return torch.from_numpy(shown.matrix.values.copy())

    def what_if(self, text: str | None = None, *, mask: tuple[int, int] | None = None) -> dict[str, Any]:
        """Predict again for another text (of a language model: another prompt), or with some words hidden.

        mask   [start, end) characters of `text`, as Python counts them

        Returns the classes before and after; of a language model the probability of the tokens on show.
        """
        if (text is None) == (mask is None):
            raise InputError("nothing_masked", "Pass text= or mask=", hint="One of them.")
        subject = self._shown_text
        changes = self._what_if(subject, Change(text, mask))
        self._aside_done((subject, changes), last=True)
        return dict(changes["whatif"])

    # --- work: on the worker ----------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[View]:
        self._gate.token = token
        try:
            yield from self._answered(token)
        except Cancelled:
            raise
        except Exception:
            self._columns_of = ""
            raise

    def _answered(self, token: Token) -> Iterator[View]:
        with self._sync_lock:
            params, edits, self._edits = dict(self.params), self._edits, {}
        request = self._answers.menu.request(params)
        for index, text in edits.items():
            self._answers.edit(index, text)
        self._answers.refresh(request.input)
        subject = self._answers.subject(request.input)
        self._present(subject, params)
        subject.prepare(token.check, self._report_generated)
        request = subject.settled(request, params)
        self._present(subject, params)
        methods = self._answers.menu.offer(subject.problem(request), subject.task)
        with self._sync_lock, self.hold_sync():
            self.methods, self.inputs = methods, self._answers.labels()
        question = self._question(request, subject.question(request))
        if self._columns_of == "next":
            self._columns_of = request.settings
        wanted = self._columns_of == request.settings
        self._columns_of = request.settings if wanted else ""
        matrix = self._answers.matrix(request) if wanted else None
        view = None
        started = reported = time.monotonic()
        for answer in self._answers.explain(request, token.check, question):
            now = time.monotonic()
            if now - reported >= PROGRESS_EVERY:
                reported = now
                self._report(*answer.attribution.progress, now - started, "refining", "evaluations")
            view = View(answer, matrix, len(matrix.have) if matrix else 0)
            if not answer.final or not wanted:
                yield self._same(view)
        if wanted and view is not None:
            yield from self._all_columns(view, request, token)

    def _all_columns(self, view: View, request: Request, token: Token) -> Iterator[View]:
        yield view
        started = time.monotonic()
        for matrix in self._answers.columns(request, token.check):
            total = len(matrix.values)
            self._report(len(matrix.have), total, time.monotonic() - started, "every output token", "output tokens")
            yield View(view.answer, matrix, len(matrix.have))
        self._columns_of = ""

    def _present(self, subject: Any, params: dict[str, Any]) -> None:
        """Show a text before anything is known about its words, unless another one was asked for by now."""
        with self._sync_lock, self.hold_sync():
            if params.get("input") == self.params.get("input"):
                self._show_text(subject)

    def _same(self, view: View) -> View:
        """The view on show, if that is what it is: then it is not sent twice."""
        shown = super().result
        if isinstance(shown, View) and shown.answer is view.answer and shown.rows == view.rows:
            return shown
        return view

    def _report_generated(self, done: int, total: int) -> None:
        self._report(done, total, None, "generating", "tokens")

    def _report(self, done: int, total: int, seconds: float | None, phase: str, unit: str) -> None:
        left = seconds * (total - done) / done if seconds is not None and total and done else None
        with self._sync_lock:
            self.progress = {"done": done, "total": total, "unit": unit, "eta_s": left, "phase": phase}

    # --- results to traits ------------------------------------------------------------------------------------------

    def _publish(self, result: View) -> None:
        if result.answer is not self._results.get("answer"):
            self._results["answer"] = result.answer
            self._publish_answer(result.answer)
        if result.matrix is not None:
            self._publish_matrix(result.matrix, result.answer.request)

    def _publish_answer(self, answer: Answer) -> None:
        request, attribution = answer.request, answer.attribution
        self._show_text(self._answers.subject(request.input))
        tokens, values = self._tokens, row_of(answer)
        signed = is_signed(answer)
        facts = quality(attribution)
        self.values, self.values_meta = pack_values(values), {
            "length": len(values), "unsigned": not signed,
            "unit": find_method(request.method).unit.format(score=UNITS.get(self._score, "score")),
            "key": request.asked, "span": None if request.span is None else list(request.span),
            "foil_token": request.foil_token, "target": request.target, "foil": request.foil,
        }  # fmt: skip
        self.quality, self.question, self.map_key = facts, answer.question, request.asked
        self.caption = said.caption(values, tokens, answer.question, signed=signed, gap=facts["gap"])
        self.notices = said.notices(
            values, facts, self._shown_text.notes, signed=signed, training=self._shown_text.in_training,
            length=len(tokens), saved=self._weight(),
        )  # fmt: skip
        self.provenance = provenance(self._answers.model_name, attribution, request.target, request.foil)
        if answer.final:
            self._archive(request.asked)
        self._sum_selection()

    def _archive(self, key: str) -> None:
        names = ("values", "values_meta", "question", "quality", "notices", "caption")
        kept = {name: entry for name, entry in self.archive.items() if name != key}
        kept[key] = {name: getattr(self, name) for name in names}
        self.archive = dict(list(kept.items())[-KEEP_RESULTS:])

    def _publish_matrix(self, matrix: Matrix, request: Request) -> None:
        data, scale = pack_matrix(matrix.values)
        rows, columns = matrix.values.shape
        self.matrix = data
        self.matrix_meta = {
            "rows": rows, "columns": columns, "scale": scale, "have": sorted(matrix.have), "key": request.asked,
        }  # fmt: skip

    def _weight(self) -> int:
        numbers = sum(len(entry["values"]) for entry in self.archive.values()) + len(self.values) + len(self.matrix)
        return len(self.text) + 24 * len(self.tokens) + numbers * 4 // 3

    def _question(self, request: Request, named: dict[str, Any]) -> dict[str, Any]:
        return {
            "target": request.target, "foil": request.foil, **named,
            "baseline_title": self._answers.menu.title(request.baseline) if request.baseline else "",
            "method_title": find_method(request.method).title, "score": self._score,
        }  # fmt: skip

    def _show_text(self, subject: Any) -> None:
        """Put a text on show; nothing that was said about another stays."""
        if subject is not self._shown_text or len(self._tokens) != len(subject.tokens):
            self._shown_text, self._tokens = subject, subject.tokens
            for name, value in (text_traits(subject.tokens, subject.prompt) | FORGOTTEN).items():
                setattr(self, name, value)
            self._results.pop("answer", None)
            if (
                self._tested_text is not None
                and self._answers.subject(self._tested_text[0]) is not self._tested_text[1]
            ):
                self._tested_text = None
                self._forget_tests()
        for name, value in subject.said().items():
            setattr(self, name, value)

    # --- the tests --------------------------------------------------------------------------------------------------

    def _tested(self, key: str) -> Tested:
        with self._sync_lock:
            shown: Answer | None = self._results.get("answer")
            answer = shown
            if shown is not None and key not in ("", shown.request.asked):
                answer = self._answers.known(key, shown)
        if answer is None or not answer.final:
            raise nothing_to_test()
        request, found, answers = answer.request, answer, self._answers
        if answers.refresh(request.input):
            raise model_changed()
        subject = answers.subject(request.input)
        self._tested_text = (request.input, subject)
        classes = request.target is not None
        return Tested(
            key=request.asked, case=lambda interrupt: answers.case(found, interrupt), attribution=found.attribution,
            subject=Input(answers.labels()[request.input]["label"], tokens=[encodable(one.surface) for one in subject.source.items]),
            method=found.question["method_title"], complete=find_method(request.method).complete,
            target=found.question["target_label"], foil=found.question["foil_label"],
            score=SCORES[self._score] if classes or request.span is not None else "", classes=classes,
            fills=fills_of_text(answers.tokenizer, shorter=True), signed=is_signed(found),
        )  # fmt: skip

    # --- what a page asks for ---------------------------------------------------------------------------------------

    def _message(self, content: dict[str, Any]) -> None:
        kind = str(content.get("type"))
        if kind == "columns":
            self.columns()
        elif kind == "whatif":
            subject = self._shown_text
            change = self._change(content)
            self._whatif.submit(lambda _token: iter([(subject, self._what_if(subject, change))]))
        else:
            super()._message(content)

    def _change(self, content: dict[str, Any]) -> Change:
        mask = content.get("mask")
        if mask is None:
            return Change(text=str(content.get("text", "")))
        start, end = (characters(self._tokens.text, int(place)) for place in mask)
        return Change(mask=(start, end))

    def _what_if(self, subject: Any, change: Change) -> dict[str, Any]:
        started = time.monotonic()
        shown = self._results.get("answer")
        found = subject.what_if(change, None if shown is None else shown.request)
        return {"whatif": {**found, "seconds": time.monotonic() - started}}

    def _aside_done(self, answer: tuple[Any, dict[str, Any]], last: bool) -> None:
        subject, changes = answer
        with self._sync_lock, self.hold_sync():
            if last and subject is self._shown_text:
                for name, value in changes.items():
                    setattr(self, name, value)

    def _aside_changed(self, _state: State, error: BaseException | None) -> None:
        if error is not None:
            with self._sync_lock:
                self.error = explain_error(error)

    @traitlets.observe("edited_text")
    def _edited(self, change: dict[str, Any]) -> None:
        if not hasattr(self, "_job") or not change["new"]:
            return
        self._edits[int(self.params.get("input", 0))] = change["new"]
        self._following = True
        try:
            self.params = self.params | {"span": None, "foil_token": None}
        finally:
            self._following = False
        self.run()

    @traitlets.observe("params")
    def _params_changed(self, change: dict[str, Any]) -> None:
        if not self._following:
            super()._params_changed(change)

    @traitlets.observe("selection")
    def _selected(self, _change: dict[str, Any]) -> None:
        if getattr(self, "_shown_text", None) is not None:
            self._sum_selection()

    def _sum_selection(self) -> None:
        answer = self._results.get("answer")
        found = {} if answer is None else summed(row_of(answer), self._tokens, self.selection)
        if not same_sum(found, self.selection_sum):
            self.selection_sum = found

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure(self) -> str:
        with self._sync_lock:
            tokens, answer = self._tokens, self._results.get("answer")
        mode = self.granularity["mode"]
        groups = grouped(tokens, self.n_prompt, "word" if mode in ("token", "regex") else mode)
        sums, signed, target = None, True, []
        if answer is not None:
            signed = is_signed(answer)
            values = torch.from_numpy(np.nan_to_num(row_of(answer)))
            sums = groups.reduce(values, "sum" if self.agg == "sum" else "largest").numpy()
            if answer.request.span is not None:
                first, last = answer.request.span
                target = list(range(self.n_prompt + first, self.n_prompt + last + 1))
        return figure(Drawn(
            tokens, groups, sums, signed, str(self.values_meta.get("unit", "")),
            table_for(self.palette, self.lut, diverging=signed), self.polarity == "warm",
            self.caption or "Not computed yet.", self.n_prompt, target,
        )) + self._figure_of_tests()  # fmt: skip

    def _title(self) -> str:
        return words.subject(self.question) if self.question else "nothing computed yet"

    def close(self) -> None:
        """Stop the work and let go of the model, the texts and the results."""
        if hasattr(self, "_whatif"):
            self._whatif.close()
            self._answers.close()
            self._gate.token = self._shown_text = None
        super().close()
