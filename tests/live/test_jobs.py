"""LatestJob: newest wins, cancel at once, errors kept for whoever waits, results at the page's pace."""

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from xaiwidgets.live import jobs
from xaiwidgets.live.jobs import LatestJob, Token

PATIENCE = 10.0
"""Seconds after which a test that hangs fails; nothing here takes as long."""


class Log:
    """What a LatestJob reported, and the job itself."""

    def __init__(self) -> None:
        self.published: list[tuple[Any, bool]] = []
        self.states: list[str] = []
        self.errors: list[BaseException | None] = []
        self.job: LatestJob[Any] = LatestJob(self._publish, self._changed)

    def _publish(self, result: Any, last: bool) -> None:
        self.published.append((result, last))

    def _changed(self, state: str, error: BaseException | None) -> None:
        self.states.append(state)
        self.errors.append(error)


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.job.close()


class Endless:
    """Work that yields 0, 1, 2, … until it is stopped, and tells when it started and when its `finally` ran."""

    def __init__(self) -> None:
        self.started, self.closed, self.tick = threading.Event(), threading.Event(), threading.Event()

    def yielding(self, _token: Token) -> Iterator[int]:
        """Never looks at the token: only the worker can stop it, by closing it."""
        number = 0
        try:
            while True:
                yield number
                self.started.set()
                number += 1
                self.tick.wait(0.001)
        finally:
            self.closed.set()

    def checking(self, token: Token) -> Iterator[int]:
        """Never yields: only the token can stop it."""
        try:
            while True:
                self.started.set()
                token.check()
                self.tick.wait(0.001)
        finally:
            self.closed.set()
        yield 0  # pragma: no cover


def asleep(job: LatestJob[Any]) -> None:
    """Return when a thread sleeps in `wait`."""
    while not job._condition._waiters:
        threading.Event().wait(0.001)


def test_results_are_published_in_order_and_the_last_as_the_last(log: Log) -> None:
    log.job.submit(lambda _token: iter([1, 2, 3]))
    log.job.wait(PATIENCE)
    assert log.published[-1] == (3, True)
    assert [last for _, last in log.published[:-1]] == [False] * (len(log.published) - 1)
    assert log.states == ["running", "done"]
    assert not log.job.busy


def test_a_burst_runs_the_first_and_the_last_only(log: Log) -> None:
    endless, ran = Endless(), []

    def work(number: int) -> Any:
        def run(_token: Token) -> Iterator[int]:
            ran.append(number)
            yield number

        return run

    log.job.submit(endless.checking)
    assert endless.started.wait(PATIENCE)
    with log.job._condition:  # no job can start during the burst, however the threads are scheduled
        for number in range(50):
            log.job.submit(work(number))
    log.job.wait(PATIENCE)
    assert ran == [49]
    assert log.job.started == 2
    assert log.published == [(49, False), (49, True)]


def test_the_last_of_a_burst_is_always_published(log: Log) -> None:
    endless = Endless()
    log.job.submit(endless.checking)
    assert endless.started.wait(PATIENCE)
    for number in range(50):
        log.job.submit(lambda token, number=number: (token.stop.wait(0.02) and iter([])) or iter([number]))
    log.job.wait(PATIENCE)
    assert log.published[-1] == (49, True)
    assert log.states[-1] == "done"


def test_superseded_jobs_end_silently(log: Log) -> None:
    endless = Endless()
    log.job.submit(endless.checking)
    assert endless.started.wait(PATIENCE)
    log.job.submit(lambda _token: iter(["new"]))
    log.job.wait(PATIENCE)
    assert endless.closed.is_set()
    assert log.states == ["running", "running", "done"]
    assert {result for result, _ in log.published} == {"new"}


def test_the_error_of_a_superseded_job_is_nobodys_business(log: Log) -> None:
    started = threading.Event()

    def failing(token: Token) -> Iterator[int]:
        started.set()
        token.stop.wait(PATIENCE)
        yield from ()
        raise RuntimeError("too late to matter")

    log.job.submit(failing)
    assert started.wait(PATIENCE)
    log.job.submit(lambda _token: iter([1]))
    log.job.wait(PATIENCE)
    assert log.states == ["running", "running", "done"]


@pytest.mark.parametrize("kind", ["checking", "yielding"])
def test_cancel_stops_the_work_within_a_tenth_of_a_second(log: Log, kind: str) -> None:
    endless = Endless()
    log.job.submit(getattr(endless, kind))
    assert endless.started.wait(PATIENCE)
    assert log.job.cancel()
    log.job.wait(0.1)
    assert endless.closed.is_set()
    assert log.states == ["running", "cancelled"]
    assert not any(last for _, last in log.published)


def test_cancel_drops_what_waits(log: Log) -> None:
    endless, ran = Endless(), threading.Event()
    log.job.submit(endless.checking)
    assert endless.started.wait(PATIENCE)
    with log.job._condition:
        log.job.submit(lambda _token: iter([ran.set()]))
        assert log.job.cancel()
    log.job.wait(PATIENCE)
    assert not ran.is_set()
    assert log.states == ["running", "cancelled"]


def test_cancelling_a_job_that_never_started_wakes_those_who_wait(log: Log) -> None:
    log.job._thread = threading.current_thread()  # as if the worker were not scheduled yet
    log.job.submit(lambda _token: iter([1]))
    woken = threading.Event()

    def wait() -> None:
        log.job.wait(PATIENCE)
        woken.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    asleep(log.job)
    assert log.job.cancel()
    assert woken.wait(1)
    assert log.states == ["cancelled"]


def test_cancel_with_nothing_to_do(log: Log) -> None:
    assert not log.job.cancel()
    log.job.submit(lambda _token: iter([1]))
    log.job.wait(PATIENCE)
    assert not log.job.cancel()
    assert log.states == ["running", "done"]


def test_cancelled_work_that_fails_while_stopping_is_still_cancelled(log: Log) -> None:
    started = threading.Event()

    def work(token: Token) -> Iterator[int]:
        started.set()
        token.stop.wait(PATIENCE)
        yield from ()
        raise RuntimeError("the model did not like being interrupted")

    log.job.submit(work)
    assert started.wait(PATIENCE)
    log.job.cancel()
    log.job.wait(PATIENCE)
    assert log.states == ["running", "cancelled"]


def test_wait_raises_the_error_until_the_next_run(log: Log) -> None:
    error = RuntimeError("no")

    def work(_token: Token) -> Iterator[int]:
        yield 1
        raise error

    log.job.submit(work)
    for _ in range(2):
        with pytest.raises(RuntimeError) as caught:
            log.job.wait(PATIENCE)
        assert caught.value is error
    assert log.states == ["running", "error"]
    assert log.errors[-1] is error
    assert log.published == [(1, False)]
    log.job.submit(lambda _token: iter([2]))
    log.job.wait(PATIENCE)
    assert log.published[-1] == (2, True)


def test_an_error_before_the_first_result(log: Log) -> None:
    def work(_token: Token) -> Iterator[int]:
        raise ValueError("at once")

    log.job.submit(work)
    with pytest.raises(ValueError, match="at once"):
        log.job.wait(PATIENCE)
    assert log.states == ["running", "error"]


def test_a_result_that_cannot_be_published_is_an_error() -> None:
    states = []

    def publish(_result: int, _last: bool) -> None:
        raise ValueError("not a number")

    job: LatestJob[int] = LatestJob(publish, lambda state, _error: states.append(state))
    job.submit(lambda _token: iter([1]))
    with pytest.raises(ValueError, match="not a number"):
        job.wait(PATIENCE)
    assert states == ["running", "error"]
    job.close()


def test_wait_times_out_and_the_job_goes_on(log: Log) -> None:
    endless = Endless()
    log.job.submit(endless.checking)
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        log.job.wait(0.01)
    assert log.job.busy
    assert not endless.closed.is_set()


def test_an_interrupt_while_waiting_cancels(log: Log) -> None:
    endless = Endless()

    def work(token: Token) -> Iterator[int]:
        asleep(log.job)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return endless.checking(token)

    # a process started in the background ignores interrupts, and passes that on
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        log.job.submit(work)
        with pytest.raises(KeyboardInterrupt):
            log.job.wait(PATIENCE)
    finally:
        signal.signal(signal.SIGINT, before)
    log.job.wait(PATIENCE)
    assert log.states == ["running", "cancelled"]


def test_wait_before_anything_ran_returns(log: Log) -> None:
    log.job.wait(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that moves only when told."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def results(count: int, seconds: float, clock: SimpleNamespace) -> Any:
    """Work with `count` results, one in `seconds` of the clock."""

    def work(_token: Token) -> Iterator[int]:
        for number in range(count):
            clock.now = 1000 + number * seconds
            yield number

    return work


def test_a_page_that_does_not_answer_gets_a_few_pictures_four_a_second(log: Log, clock: SimpleNamespace) -> None:
    log.job.submit(results(400, 0.01, clock))
    log.job.wait(PATIENCE)
    assert log.published == [*((number, False) for number in (0, 25, 50, 75, 100)), (399, True)]


def test_a_page_that_looks_again_gets_pictures_again(log: Log, clock: SimpleNamespace) -> None:
    def work(token: Token) -> Iterator[int]:
        for number in results(400, 0.01, clock)(token):
            if number == 300:
                log.job.acknowledge()
            yield number

    log.job.submit(work)
    log.job.wait(PATIENCE)
    assert [number for number, _last in log.published] == [0, 25, 50, 75, 100, 300, 325, 350, 375, 399]


def test_a_page_that_keeps_up_gets_twelve_pictures_a_second(clock: SimpleNamespace) -> None:
    published = []

    def publish(result: int, last: bool) -> None:
        published.append((result, last))
        job.acknowledge()

    job: LatestJob[int] = LatestJob(publish, lambda _state, _error: None)
    job.submit(results(400, 0.01, clock))
    job.wait(PATIENCE)
    assert 45 <= len(published) <= 52
    assert published[-1] == (399, True)
    job.close()


def test_slow_results_are_all_shown(log: Log, clock: SimpleNamespace) -> None:
    log.job.submit(results(5, 0.3, clock))
    log.job.wait(PATIENCE)
    assert log.published == [*((number, False) for number in range(5)), (4, True)]


def test_no_result_is_published_after_a_cancel(log: Log) -> None:
    def work(_token: Token) -> Iterator[int]:
        log.job.cancel()
        yield 1

    log.job.submit(work)
    log.job.wait(PATIENCE)
    assert log.published == []
    assert log.states == ["running", "cancelled"]


def test_close_ends_work_and_thread(log: Log) -> None:
    endless = Endless()
    log.job.submit(endless.checking)
    assert endless.started.wait(PATIENCE)
    thread = log.job._thread
    log.job.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert endless.closed.is_set()
    assert log.states == ["running"]
    with pytest.raises(RuntimeError, match="closed"):
        log.job.submit(endless.checking)
    log.job.wait(0)
    log.job.close()


def test_close_ends_an_idle_thread(log: Log) -> None:
    log.job.submit(lambda _token: iter([1]))
    log.job.wait(PATIENCE)
    thread = log.job._thread
    log.job.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_idle_thread_ends_and_the_next_job_gets_another(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "IDLE", 0.01)
    log.job.submit(lambda _token: iter([1]))
    thread = log.job._thread
    thread.join(PATIENCE)
    assert not thread.is_alive()
    log.job.submit(lambda _token: iter([2]))
    log.job.wait(PATIENCE)
    assert log.published[-1] == (2, True)


def test_a_closed_job_keeps_nothing_of_its_error(log: Log) -> None:
    def work(_token: Token) -> Iterator[int]:
        raise ValueError("holds the frames, and these the model")

    log.job.submit(work)
    with pytest.raises(ValueError, match="frames"):
        log.job.wait(PATIENCE)
    log.job.close()
    log.job.wait(0)


def test_no_thread_before_the_first_job(log: Log) -> None:
    assert log.job._thread is None
    assert log.job.started == 0
