"""Work that keeps up with a person: the newest request wins, older ones stop, anything can be cancelled.

Observers and message handlers only call `submit` and return at once. One worker thread walks the newest job's
iterator of partial results. Between two results, and wherever the work itself calls `token.check`, a job that is no
longer the newest or was cancelled stops; its generator is closed, so every `finally` in it runs.

Results are published no faster than the page paints them: a partial result waits until the last one was acknowledged
(`acknowledge`) or a quarter of a second has passed, and is dropped if a better one comes first. A page that stays
silent (hidden, closed) gets no more of them until it acknowledges. The last one is always published, as the last, even
if it was shown as a partial result before.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from xaiwidgets.engine.errors import Cancelled

log = logging.getLogger(__name__)
Result = TypeVar("Result")
State = Literal["idle", "running", "done", "cancelled", "error"]

PUBLISH_EVERY = 0.08
"""Seconds between two partial results when the page keeps up."""
IDLE = 5.0
"""Seconds after which a thread without work ends."""
ACKNOWLEDGE_WITHIN = 0.25
"""Seconds to wait for the page before a partial result is sent all the same."""
MOST_UNSEEN = 4
"""Partial results sent all the same: who answers none of them does not look."""


@dataclass
class Token:
    """Tells a job whether it is still wanted."""

    stop: threading.Event = field(default_factory=threading.Event)
    by_person: bool = False

    def check(self) -> None:
        """Raise `Cancelled` if a newer job was submitted or the job was cancelled."""
        if self.stop.is_set():
            raise Cancelled


class Gate:
    """An interrupt for sessions that outlive a job: asks the token of the newest."""

    token: Token | None = None

    def __call__(self) -> None:
        if self.token is not None:
            self.token.check()


Work = Callable[[Token], Iterator[Result]]


def threads_are_seen() -> bool:
    """Whether what a thread sends reaches the page."""
    return "google.colab" not in sys.modules


class LatestJob(Generic[Result]):
    """Runs the newest submitted job on a worker thread of its own.

    `publish(result, last)` is called on the worker for each result worth showing. `changed(state, error)` is called
    when a job starts ("running") and when it ends ("done", "cancelled" or "error"). Superseded jobs end silently.
    Both run under no lock of this class.
    """

    def __init__(
        self, publish: Callable[[Result, bool], None], changed: Callable[[State, BaseException | None], None]
    ) -> None:
        self._publish, self._changed = publish, changed
        self._condition = threading.Condition()
        self._pending: tuple[Work[Result], Token] | None = None
        self._running: Token | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._acknowledged = threading.Event()
        self._error: BaseException | None = None
        self.started = 0
        """How many jobs were started: superseded ones that never started do not count."""

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._condition:
            return self._running is not None or self._pending is not None

    def submit(self, work: Work[Result]) -> None:
        """Run `work` as soon as the one before has stopped; whatever waited is dropped."""
        with self._condition:
            if self._closed:
                raise RuntimeError("this widget is closed")
            self._pending = (work, Token())
            self._error = None
            if self._running is not None:
                self._running.stop.set()
            at_once = self._running is None and not threads_are_seen()
            if self._thread is None and threads_are_seen():
                self._thread = threading.Thread(target=self._loop, name="xaiwidgets-job", daemon=True)
                self._thread.start()
            self._condition.notify_all()
        while at_once and self._pending is not None:
            self._take()

    def cancel(self) -> bool:
        """Stop the running job and drop the waiting one. True if there was one."""
        with self._condition:
            waiting, self._pending = self._pending, None
            if self._running is not None:
                self._running.by_person = True
                self._running.stop.set()
            elif waiting is None:
                return False
            running = self._running is not None
            self._condition.notify_all()
        if not running:
            self._changed("cancelled", None)
        return True

    def acknowledge(self) -> None:
        """The page has painted the last published result."""
        self._acknowledged.set()

    def wait(self, timeout: float | None = None) -> None:
        """Block until nothing runs or waits. Raises TimeoutError, or the error the last job ended with.

        An interrupt (Ctrl-C, the notebook's stop button) cancels the job before it is raised.
        """
        with self._condition:
            try:
                idle = self._condition.wait_for(lambda: self._running is None and self._pending is None, timeout)
            except KeyboardInterrupt:
                self.cancel()
                raise
            error = self._error
        if not idle:
            raise TimeoutError(f"still running after {timeout} s; call wait() with a longer timeout, or cancel()")
        if error is not None:
            raise error

    def close(self) -> None:
        """Cancel everything and let the thread end."""
        with self._condition:
            self._closed, self._pending, self._error = True, None, None
            if self._running is not None:
                self._running.stop.set()
            self._condition.notify_all()

    def _loop(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending is not None or self._closed, IDLE)
                if self._pending is None:
                    self._thread = None  # the next submit starts another
                    return
            self._take()

    def _take(self) -> None:
        """Run the job that waits, if it was not cancelled meanwhile."""
        with self._condition:
            if self._pending is None:
                return
            (work, token), self._pending = self._pending, None
            self._running = token
            self.started += 1
        error: BaseException | None = None
        try:
            error = self._run(work, token)
        except KeyboardInterrupt:
            self._changed("cancelled", None)
            raise
        finally:
            with self._condition:
                superseded = self._pending is not None or self._closed
                self._running = None
                self._error = None if superseded or token.stop.is_set() else error
                self._condition.notify_all()

    def _run(self, work: Work[Result], token: Token) -> BaseException | None:
        try:
            self._changed("running", None)
            self._walk(work(token), token)
        except Cancelled:
            if token.by_person:
                self._changed("cancelled", None)
        except Exception as error:  # shown in the widget and raised again by wait()
            if token.by_person:
                self._changed("cancelled", None)
            elif not token.stop.is_set():
                log.debug("job failed", exc_info=True)
                self._changed("error", error)
            return error
        else:
            self._changed("done", None)
        return None

    def _walk(self, results: Iterator[Result], token: Token) -> None:
        """Publish partial results at the page's pace, and the last one always."""
        latest: list[Result] = []
        published_at, unseen = -PUBLISH_EVERY, 0
        self._acknowledged.set()
        try:
            for result in results:
                token.check()
                latest[:] = [result]
                waited = time.monotonic() - published_at
                seen = self._acknowledged.is_set()
                if waited >= PUBLISH_EVERY if seen else waited >= ACKNOWLEDGE_WITHIN and unseen < MOST_UNSEEN:
                    unseen = 0 if seen else unseen + 1
                    self._acknowledged.clear()
                    published_at = time.monotonic()
                    self._publish(result, False)
            token.check()
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
        if latest:
            self._publish(latest[0], True)
