"""The Trust drawer of a widget: tests of the map on show, beside the work that made it. Twin of js/src/widgets/trust.tsx.

Nothing runs before it is asked for. A test has a worker of its own, so that the widget answers other questions meanwhile; it
waits for a map that is still being computed.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Self

import traitlets

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.assets import parts
from xaiwidgets.live.jobs import Gate, LatestJob, State, Token
from xaiwidgets.metrics.result import Result
from xaiwidgets.widgets.base import ExplainWidget
from xaiwidgets.widgets.errors import explain_error
from xaiwidgets.widgets.frontend import core, hot_reload
from xaiwidgets.widgets.questions import keep

from .course import Course
from .figure import figure
from .results import results_of
from .tested import Tested
from .traits import about, found_traits

KIND = "trust"
KEEP_TESTS = 3
"""Tests that are remembered with everything they know."""
LOOK_EVERY = 0.02
"""Seconds between two looks whether a map is finished."""


class TrustDrawer(ExplainWidget):
    """A widget whose map can be tested. Subclasses say in `_tested` what is on show, and publish its `map_key` with it."""

    map_key = traitlets.Unicode().tag(sync=True)
    trust = traitlets.Dict().tag(sync=True)
    trust_data = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._courses: OrderedDict[str, Course] = OrderedDict()
        self._course: Course | None = None
        self._test_gate = Gate()
        self._test_started = 0.0
        super().__init__(**traits)
        self._test_job: LatestJob[Course] = LatestJob(self._test_published, self._test_changed)

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def _tested(self, key: str) -> Tested:
        """The finished map that the page calls `key`, or the one on show where that is empty. Runs on the worker.

        Raises InputError if there is none.
        """
        raise NotImplementedError

    # --- for people -------------------------------------------------------------------------------------------------

    def test(self, *, fill: str = "", measure: str = "") -> Self:
        """Test the map on show in the background: `tested()` waits for what is found.

        fill      what takes the place of parts that are away, one of `trust["choices"]["fill"]`
        measure   "probability", or "logit": the score as it was asked about
        """
        self._test("", {"fill": fill, "measure": measure})
        return self

    def tested(self, timeout: float | None = None) -> dict[str, Result]:
        """Wait for the test (`timeout` in seconds) and return what it found. Raises its error, or TimeoutError."""
        self._test_job.wait(timeout)
        return self.trust_result

    @property
    def trust_result(self) -> dict[str, Result]:
        """What the last test has found so far: results by metric; of a control, by metric and control ("deletion/random")."""
        return {} if self._course is None else results_of(self._course)

    def cancel_test(self) -> None:
        """Stop the test; what it has found stays."""
        self._test_job.cancel()

    # --- the worker's side ------------------------------------------------------------------------------------------

    def _test(self, key: str, settings: dict[str, Any]) -> None:
        self._carry_drawer()
        with self._sync_lock:
            self._course = None
            said = {"status": "running", "progress": _progress(0, 0, "waiting for the map", None), "error": {}}
            self.trust = (
                self.trust if self.trust.get("key") == (key or self.map_key) else {"key": key or self.map_key}
            ) | said
        self._test_job.submit(lambda token: self._run_test(token, key, settings))

    def _run_test(self, token: Token, key: str, settings: dict[str, Any]) -> Iterator[Course]:
        self._test_gate.token = token
        while self._job.busy:
            token.check()
            time.sleep(LOOK_EVERY)
        tested = self._tested(key)
        token.check()
        course = self._courses.get(tested.key)
        if course is None or course.tested.attribution is not tested.attribution:
            course = Course(tested)
        keep(self._courses, tested.key, course, KEEP_TESTS)
        self._course, self._test_started = course, time.monotonic()
        chosen = tested.settings(settings)
        for _ in course.run(chosen, self._test_gate):
            yield course

    def _test_published(self, course: Course, last: bool) -> None:
        with self._sync_lock, self.hold_sync():
            self._show_test(course, {"status": "done" if last else "running", "error": {}})

    def _test_changed(self, state: State, error: BaseException | None) -> None:
        if state in ("running", "done"):
            return
        said = {"status": state, "error": {} if error is None else explain_error(error)}
        with self._sync_lock, self.hold_sync():
            if self._course is not None and self._course.settings is not None:
                self._show_test(self._course, said)
            elif self.trust:
                self.trust = self.trust | said | {"progress": {}}

    def _show_test(self, course: Course, said: dict[str, Any]) -> None:
        settings = course.settings
        assert settings is not None  # noqa: S101 - it has run
        found, data = found_traits(course.findings, course.tested, settings)
        progress = self._test_progress(course) if said["status"] == "running" else {}
        self.trust_data = data
        self.trust = {**about(course.tested, settings), **found, **said, "progress": progress}

    def _test_progress(self, course: Course) -> dict[str, Any]:
        done, total, phase = course.progress
        spent = time.monotonic() - self._test_started
        return _progress(done, total, phase, spent * (total - done) / done if done else None)

    def _forget_tests(self) -> None:
        """The model or the input is another one: what was found is about nothing any more."""
        self._test_job.cancel()
        self._courses.clear()
        self._course = None
        with self._sync_lock, self.hold_sync():
            self.trust, self.trust_data = {}, {}

    # --- the page's side --------------------------------------------------------------------------------------------

    def _message(self, content: dict[str, Any]) -> None:
        kind = content.get("type")
        if kind == "trust":
            settings = content.get("settings")
            self._test(str(content.get("key") or ""), dict(settings) if isinstance(settings, dict) else {})
        elif kind == "trust_cancel":
            self.cancel_test()
        else:
            super()._message(content)

    def _carry_drawer(self) -> None:
        """Bring the drawer's own code to the page, once somebody wants it."""
        if self._core is not None and not self._inline:
            core(KIND)
        elif not hot_reload():
            self._parts = parts(*self._kinds(), KIND)

    def _kinds(self) -> tuple[str, ...]:
        return (*super()._kinds(), KIND) if self.trust else super()._kinds()

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure_of_tests(self) -> str:
        """Script-free HTML of what the last test found, if it is about the map on show."""
        course = self._course
        if course is None or course.settings is None or course.tested.key != self.map_key:
            return ""
        return figure(course.findings, course.tested, course.settings)

    def static_state(self) -> dict[str, Any]:
        """As for every widget; a test that is still running has stopped where it is, for the page."""
        state = super().static_state()
        if state["trust"].get("status") == "running":
            state["trust"] = state["trust"] | {"status": "cancelled", "progress": {}}
        return state

    def _fall_asleep(self) -> None:
        self._test_job.cancel()
        super()._fall_asleep()

    def close(self) -> None:
        """Stop the work and let go of everything."""
        if hasattr(self, "_test_job"):
            self._test_job.close()
            self._courses.clear()
            self._course = None
            self._test_gate.token = None
        super().close()


def nothing_to_test() -> InputError:
    """The error of a widget that shows no map."""
    return InputError(
        "nothing_to_test", "There is no such map to test", hint="Show it first, and wait until it is done."
    )


def model_changed() -> InputError:
    """The error of a widget whose map is another model's."""
    return InputError("model_changed", "The model has changed since this map was made", hint="Run it again, then test.")


def _progress(done: float, total: float, phase: str, left: float | None) -> dict[str, Any]:
    eta = None if left is None else round(left, 1)
    return {"done": round(done), "total": round(total), "phase": phase, "eta_s": eta}
