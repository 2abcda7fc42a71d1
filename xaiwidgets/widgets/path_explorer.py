"""PathExplorer: how a model gets from a baseline to an input, place by place. Twin of js/src/widgets/path.tsx."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

import traitlets
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import Cancelled, ExplainError, ParameterError
from xaiwidgets.live.colors import table_for
from xaiwidgets.live.frames import unpack_total
from xaiwidgets.live.jobs import Gate, Token
from xaiwidgets.metrics.case import Case
from xaiwidgets.widgets import words
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.path.asks import Ask, View
from xaiwidgets.widgets.path.figure import Shown, figure
from xaiwidgets.widgets.path.gallery import Gallery
from xaiwidgets.widgets.path.kinds import MODES
from xaiwidgets.widgets.path.runs import Effort, Question, Run, Runs, Sight, key_of
from xaiwidgets.widgets.path.state import DISPLAY, PathState
from xaiwidgets.widgets.path.subject import Entry, Subject
from xaiwidgets.widgets.path.traits import (
    PASSING,
    archive_of,
    baseline_data,
    baseline_infos,
    method_title,
    run_traits,
    shown_traits,
    weight,
)
from xaiwidgets.widgets.provenance import provenance
from xaiwidgets.widgets.questions import Questions
from xaiwidgets.widgets.summary import SAVED_BUDGET, UNITS, class_bars
from xaiwidgets.widgets.trust.drawer import model_changed, nothing_to_test
from xaiwidgets.widgets.trust.tested import SCORES, Input, Tested

PROGRESS_EVERY = 0.1
REFINE_NODES = 8
MOST_NODES = 256
"""A person may ask for in one refinement."""


class PathExplorer(PathState):
    """The path from a baseline to an input, with everything needed to judge it. Made by `xaiwidgets.explore_path`.

    `baseline_id` and `mode` choose what is on show; runs that are finished are shown again without computing.
    """

    def __init__(
        self, questions: Questions, subject: Subject, gallery: Gallery, *,
        labels: words.Labels = None, score: str = "logit", **traits: Any,
    ) -> None:  # fmt: skip
        self._questions, self._subject, self._gallery = questions, subject, gallery
        self._labels, self._score = labels, score
        self._runs = Runs(subject)
        self._gate = Gate()
        self._running = ""
        self._published_question: Question | None = None
        self._asking: Question | None = None
        self._following = False
        own = subject.traits()
        self._said = {
            "unit": UNITS.get(score, "score"), "training": questions.in_training, "colours": subject.note, "surfaces": own.get("tokens"),
        }  # fmt: skip
        super().__init__(
            medium=subject.medium,
            kinds=[kind.schema() for kind in subject.kinds.values()],
            baselines=baseline_infos(gallery, {}, ""),
            baseline_data=baseline_data(gallery),
            display=dict(DISPLAY),
            **own,
            **traits,
        )

    # --- for people -------------------------------------------------------------------------------------------------

    @property
    def result(self) -> Attribution | None:
        """The attribution on show; None before the first."""
        return self._results.get("attribution")

    @property
    def results(self) -> dict[str, Attribution]:
        """Of the question on show, every finished attribution: by mode and baseline, like `path/black`."""
        if self._published_question is None or self._closed:
            return {}
        table = self._runs.table(self._published_question)
        return {key: run.sight.attribution for key, run in table.items() if run.ready and run.sight is not None}

    def add_baseline(self, kind: Any, **params: Any) -> str:
        """Add a baseline (or find the same one) and show it; returns its id.

        `kind` is a name with its settings (`"blur", sigma=5`), or whatever `baselines=` of `explore_path` takes.
        Raises ParameterError or InputError.
        """
        with self._sync_lock:
            entry = self._gallery.request(kind, params) if isinstance(kind, str) else self._gallery.add(kind)
            self._show_entry(entry)
        return entry.id

    def refine(self, nodes: int = REFINE_NODES) -> Self:
        """Some more nodes where the path on show fails its own sum most, with one evaluation each."""
        if isinstance(nodes, bool) or not isinstance(nodes, int) or not 1 <= nodes <= MOST_NODES:
            raise ParameterError("parameter_range", f"nodes={nodes!r} does not fit", hint=f"From 1 to {MOST_NODES}.")
        self._job.submit(lambda token: self._refine(token, nodes))
        return self

    def compare(self) -> Self:
        """Compute every baseline that this mode knows and that has no map yet."""
        self._job.submit(self._compare)
        return self

    # --- work: on the worker ----------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[View]:
        yield from self._answer(self._ask(token))

    def _refine(self, token: Token, nodes: int) -> Iterator[View]:
        ask = self._ask(token)
        run = self._runs.of(ask.question, ask.entry, ask.mode)
        if not run.ready:
            yield from self._answer(ask)
        session = self._session(ask)
        yield from self._walked(
            ask, run, self._runs.refine(run, session, ask.effort, nodes), "refining the worst places"
        )

    def _compare(self, token: Token) -> Iterator[View]:
        ask = self._ask(token)
        view = None
        for view in self._answer(ask):
            yield view
        failures = []
        others = [one for one in self._gallery if ask.mode in one.modes and one is not ask.entry]
        for number, entry in enumerate(others):
            other = replace(ask, entry=entry)
            phase = f"{entry.title} ({number + 1} of {len(others)})"
            try:
                for _ in self._answer(other, phase):
                    pass
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001  # one baseline's failure is no reason not to try the others
                failures.append(error)
            with self._sync_lock, self.hold_sync():
                self.archive = self._archived(ask.question)
            if view is not None:
                yield view
        if failures:
            raise failures[0]

    def _answer(self, ask: Ask, phase: str = "") -> Iterator[View]:
        """Views of the run that answers, each better than the last; a finished one at once."""
        run = self._runs.of(ask.question, ask.entry, ask.mode)
        if run.done_for is not None and run.done_for.covers(ask.effort, ask.mode):
            yield self._view(ask, run)
            return
        yield from self._walked(ask, run, self._runs.compute(run, self._session(ask), ask.effort), phase)

    def _walked(self, ask: Ask, run: Run, steps: Iterator[tuple[int, int]], phase: str) -> Iterator[View]:
        """Views of a run while it is computed, progress and state beside them."""
        self._mark(run.key)
        started = reported = time.monotonic()
        first: int | None = None
        try:
            for done, total in steps:
                now = time.monotonic()
                first = done if first is None else first
                if now - reported >= PROGRESS_EVERY:
                    reported = now
                    left = (now - started) * (total - done) / (done - first) if done > first else None
                    self._report(done, total, left, phase or ("first look" if done == first else "more nodes"))
                yield View(ask, run, final=False)
        except Cancelled:
            raise
        except Exception:
            run.failed = True
            raise
        finally:
            self._mark("")
        yield self._view(ask, run)

    def _view(self, ask: Ask, run: Run) -> View:
        """The finished run; the same object as long as it is the same, so that it is not sent twice."""
        shown = self._results.get("shown")
        same = isinstance(shown, View) and shown.final and shown.run is run and shown.ask.question == ask.question
        if isinstance(shown, View) and same and self._results.get("sight") is run.sight:
            return shown
        return View(ask, run, final=True)

    def _ask(self, token: Token) -> Ask:
        """The `params` trait, checked and completed. Raises InputError or ParameterError."""
        self._gate.token = token
        params = dict(self.params)
        if self._questions.changed():
            self._runs.forget()
            self._published_question = None
        outputs = self._questions.outputs(0, self._gate)
        target, foil = (self._questions.check_class(params.get(name), name) for name in ("target", "foil"))
        mode = params.get("mode", "path")
        if mode not in MODES:
            raise ParameterError("unknown_mode", f"mode={mode!r} is not known", hint='"path" or "distribution".')
        effort = Effort.of(params.get("parameters"))
        entry = self._gallery[params.get("baseline", "")]
        if mode not in entry.modes:
            entry = self._other(mode, entry)
        with self._sync_lock, self.hold_sync():
            self.classes = class_bars(outputs, self._labels)
            self._said["training"] = self._questions.in_training
            if params == self.params:  # else a newer question is waiting
                self._list_baselines()  # there may be a new one
                self._follow(entry, mode)
        self._asking = self._questions.settled(0, target, foil)
        return Ask(self._asking, entry, mode, effort)

    def _other(self, mode: str, entry: Entry) -> Entry:
        """A baseline that has a mode, for one that has not: the first there is, or one of the first kind that has it."""
        with self._sync_lock:
            found = self._gallery.with_mode(mode)
            kind = next((one.kind for one in self._subject.kinds.values() if mode in one.modes), None)
            if found is None and kind is None:
                raise ParameterError(
                    "unknown_mode",
                    f"No baseline of this input has mode={mode!r}",
                    f"{entry.title!r} has {', '.join(entry.modes)}.",
                )
            return found or self._gallery.request(kind, {})

    def _session(self, ask: Ask) -> Session:
        return self._questions.session(0, *ask.question, self._gate)

    def _mark(self, running: str) -> None:
        with self._sync_lock:
            self._running = running
            self._list_baselines()

    def _report(self, done: int, total: int, left: float | None, phase: str) -> None:
        with self._sync_lock, self.hold_sync():
            if self.status == "partial" and self._running != self.shown:
                self.status = "running"  # what is on show is finished; others are being computed
            self.progress = {"done": done, "total": total, "unit": "evaluations", "eta_s": left, "phase": phase}

    # --- results to traits ------------------------------------------------------------------------------------------

    def _publish(self, result: View) -> None:
        ask, run = result.ask, result.run
        sight = self._runs.look(run)
        new = ask.question != self._published_question
        if new:
            self.asked += 1
            self._published_question = ask.question
        self.question = self._question(run, ask.question)
        if new or result.final:
            self.archive = self._archived(ask.question)
        if result.final:
            traits = shown_traits(run, sight, self.question, self._said)
            traits["notices"] = traits["notices"] + self._size_notice(traits)
        else:
            traits = run_traits(run, sight, PASSING, self.question, self._said)
        for name, value in traits.items():
            setattr(self, name, value)
        self.shown = run.key
        self.map_key = self._map_key(run)
        self.provenance = provenance(self._questions.model_name, sight.attribution, *ask.question)
        self._results |= {
            "attribution": sight.attribution,
            "sight": sight,
            "pixels": self._gallery.look(ask.entry).pixels,
        }
        self._list_baselines()

    def _archived(self, question: Question) -> dict[str, Any]:
        finished = [run for run in self._runs.table(question).values() if run.ready]
        return archive_of(finished, self._runs.look, lambda run: self._question(run, question), self._said)

    def _question(self, run: Run, question: Question) -> dict[str, Any]:
        target, foil = question
        return {
            "target": target, "foil": foil,
            "target_label": "the model's score" if target is None else words.label(self._labels, target),
            "foil_label": "" if foil is None else words.label(self._labels, foil),
            "baseline_title": run.entry.title, "method_title": method_title(run), "score": self._score,
        }  # fmt: skip

    def _size_notice(self, traits: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [traits, *self.archive.values(), *self.baseline_data.values(), {"x_img": self.x_img}]
        saved = sum(map(weight, parts)) * 4 // 3
        if saved <= SAVED_BUDGET:
            return []
        text = f"A saved notebook grows by {saved / 1e6:.1f} MB with this widget; w.freeze() shows a small picture instead."
        return [{"level": "info", "code": "size", "text": text}]

    def _list_baselines(self) -> None:
        question = self._published_question or self._asking
        table = {} if question is None else self._runs.table(question)
        self.baselines = baseline_infos(self._gallery, table, self._running)
        if len(self.baseline_data) != len(self._gallery):
            self.baseline_data = baseline_data(self._gallery)

    # --- the tests --------------------------------------------------------------------------------------------------

    def _map_key(self, run: Run) -> str:
        return f"{self.asked}/{run.key}"

    def _tested(self, key: str) -> Tested:
        if self._questions.changed():
            self._runs.forget()
            self._published_question = None
            raise model_changed()
        with self._sync_lock:
            question, table = self._published_question, {}
            if question is not None:
                table = {self._map_key(run): run for run in self._runs.table(question).values() if run.ready}
            run = table.get(key or self.map_key)
        if question is None or run is None or run.sight is None:
            raise nothing_to_test()
        attribution, entry, mode, samples = run.sight.attribution, run.entry, run.mode, run.sight.samples
        values = attribution.values
        assert isinstance(values, Tensor)  # noqa: S101 - one image or one text
        asked, subject, questions = self._question(run, question), self._subject, self._questions

        def case(interrupt: Callable[[], None]) -> Case:
            return subject.case(questions.problem(0, *question, interrupt), entry, mode, samples, values)

        classes = question[0] is not None
        return Tested(
            key=self._map_key(run), case=case, attribution=attribution,
            subject=Input("", getattr(subject, "pixels", None), getattr(subject, "to_pixels", None), self.tokens),
            method=f"{asked['method_title']}, baseline: {entry.title}", complete=run.promises, target=asked["target_label"], foil=asked["foil_label"],
            score=SCORES[self._score] if classes else "", classes=classes, fills=subject.fills(),
        )  # fmt: skip

    # --- what is on show, and who says so ---------------------------------------------------------------------------

    def _show_entry(self, entry: Entry) -> None:
        mode = self.mode if self.mode in entry.modes else entry.modes[0]
        with self.hold_sync():
            self._list_baselines()
            self._follow(entry, mode)
        self.run()

    def _follow(self, entry: Entry, mode: str) -> None:
        """Let every trait that names what is on show name this, without asking for it."""
        self._following = True
        try:
            self.baseline_id, self.mode = entry.id, mode
            self.params = self.params | {"baseline": entry.id, "mode": mode}
        finally:
            self._following = False

    @traitlets.observe("params")
    def _params_changed(self, change: dict[str, Any]) -> None:
        if not self._following:
            super()._params_changed(change)

    @traitlets.observe("baseline_id", "mode")
    def _chosen(self, _change: dict[str, Any]) -> None:
        if self._following or not hasattr(self, "_job") or not self.params:
            return
        params = self.params | {"baseline": self.baseline_id, "mode": self.mode}
        if params != self.params:
            self.params = params

    @traitlets.observe("baseline_request")
    def _requested(self, change: dict[str, Any]) -> None:
        request = change["new"]
        if not request:
            return
        try:
            self._show_entry(self._gallery.request(request.get("kind"), request.get("params") or {}))
        except ExplainError as error:
            self.error = explain_error(error)

    def _message(self, content: dict[str, Any]) -> None:
        asks = {"refine": self.refine, "compare": self.compare}
        ask = asks.get(str(content.get("type")))
        if ask is None:
            super()._message(content)
        else:
            ask()

    @traitlets.validate("baseline_id")
    def _known_baseline(self, proposal: dict[str, Any]) -> str:
        name: str = proposal["value"]
        if name not in self._gallery:
            raise traitlets.TraitError(
                f"there is no baseline {name!r}; there are {', '.join(one.id for one in self._gallery)}"
            )
        return name

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure(self) -> str:
        sight: Sight | None = self._results.get("sight")
        pixels = getattr(self._subject, "pixels", None)
        strip = []
        for entry in self._gallery:
            kept = self.archive.get(key_of(self.mode, entry.id))
            values = None if kept is None else unpack_total(kept["total_meta"], kept["total_map"])
            strip.append((entry.title, self._gallery.look(entry).pixels, values))
        return figure(
            Shown(
                mode=self.shown.split("/", 1)[0] or self.mode, caption=self.caption or "Not computed yet.",
                colours=table_for(self.palette, self.lut, diverging=True), warm=self.polarity == "warm",
                clip=float(self.display.get("clip", DISPLAY["clip"])), sight=sight, picture=pixels,
                baseline=self._results.get("pixels"), tokens=self.tokens, strip=strip,
            )
        ) + self._figure_of_tests()  # fmt: skip

    def _title(self) -> str:
        return words.subject(self.question) if self.question else "nothing computed yet"

    def close(self) -> None:
        """Stop the work and let go of the model, the input and the results."""
        super().close()
        if hasattr(self, "_runs"):
            self._runs.forget()
            self._subject.close()
            self._questions.close()
