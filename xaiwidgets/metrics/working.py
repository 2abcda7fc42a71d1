"""An evaluation on its way: every attribution first, then metric by metric, one thing failing not stopping the others."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.errors import Cancelled

from .answer import Evaluation
from .asking import Entry, Measuring
from .registry import Reading
from .result import Result
from .shapes import values_of
from .subject import Subject

Progress = Callable[[float, int, str], None]


@dataclass(eq=False)
class Work:
    """An evaluation on its way."""

    subject: Subject
    entries: dict[str, Entry]
    measurings: dict[str, Measuring]
    options: dict[str, Any]
    target: Any
    progress: Progress | None

    def __post_init__(self) -> None:
        self.results: dict[str, dict[str, Result]] = {name: {} for name in self.entries}
        self.about = {
            name: {**one.metric.schema(), "parameters": one.parameters, "metric": one.metric.name}
            for name, one in self.measurings.items()
        }
        self.total = len(self.entries) * (len(self.measurings) + 1)
        self.alone = len(self.entries) * len(self.measurings) == 1
        self.done, self.seconds = 0, 0.0
        self.scores: Tensor | None = None
        self.memory: dict[Hashable, Any] = {}

    def run(self) -> Generator[Evaluation]:
        """First every attribution, then metric by metric, so that the first column is complete first."""
        self.scores, spent = _timed(lambda: self.subject.problem.begin().values().cpu())  # a wrong target raises here
        self.seconds += spent
        for name in self.entries:
            yield from self._explain(name)
        for measuring in self.measurings.values():
            for name in self.entries:
                yield from self._measure(self.entries[name], measuring)
        yield self._so_far(final=True)

    def _explain(self, name: str) -> Generator[Evaluation]:
        entry = self.entries[name]
        if entry.values is None:
            self.report(self.done, entry.title)
            self.entries[name] = self._explained(entry)
        self.done += 1
        yield self._so_far()

    def _explained(self, entry: Entry) -> Entry:
        """The entry with its values, or with what went wrong."""
        assert entry.run is not None  # noqa: S101  # for the type checker
        problem, run = self.subject.begin()
        try:
            for partial, spent in _each(run(entry.run, entry.parameters)):
                self.seconds += spent
                values = values_of(self.subject.points, partial.values)
                entry = replace(
                    entry, values=values, evaluations=dict(problem.evaluations), seconds=entry.seconds + spent
                )
        except Cancelled:
            raise
        except Exception as error:
            if len(self.entries) == 1:
                raise
            return replace(entry, values=None, error=error)
        return entry

    def _measure(self, entry: Entry, measuring: Measuring) -> Generator[Evaluation]:
        phase, row = f"{entry.name}: {measuring.metric.title}", self.results[entry.name]
        self.report(self.done, phase)
        for result in self._results(entry, measuring):
            row[measuring.name] = result
            done, total = result.progress
            if not result.final:
                part = self.done + min(1.0, done / max(total, 1))
                self.report(part, phase)
                yield self._so_far(part)
        self.done += 1
        self.report(self.done, phase)
        yield self._so_far()

    def _results(self, entry: Entry, measuring: Measuring) -> Generator[Result]:
        """The result so far, again and again, at last the final one: it says what went wrong, where something did."""
        metric, rows = measuring.metric, self.subject.problem.rows
        known: dict[str, Any] = {
            "metric": measuring.name, "direction": metric.direction, "parameters": measuring.parameters,
        }  # fmt: skip
        missing = torch.full((rows,), torch.nan)
        if entry.values is None:
            yield Result(missing, **known, error=entry.error)
            return
        result: Result | None = None
        seconds = 0.0
        try:
            case = self.subject.case(
                entry.values, method=entry.run, parameters=entry.parameters, name=entry.name,
                others=self._others(entry), memory=self.memory, **self.options,
            )  # fmt: skip
            for reading, spent in _each(metric.run(case, **measuring.parameters)):
                seconds += spent
                self.seconds += spent
                result = _read(reading, known, dict(case.evaluations), seconds, rows)
                yield result
            if result is None:
                raise RuntimeError(f"{metric.name} measured nothing")  # noqa: TRY301
        except Cancelled:
            raise
        except Exception as error:
            if self.alone:
                raise
            yield Result(missing, **known, seconds=seconds, error=error)
            return
        yield _finished(result)

    def _others(self, entry: Entry) -> dict[str, Tensor]:
        return {
            name: other.values
            for name, other in self.entries.items()
            if other.values is not None and other.kind != "control" and name != entry.name
        }

    def report(self, done: float, phase: str) -> None:
        """Tell whoever wants to know."""
        if self.progress is not None:
            self.progress(done, self.total, phase)

    def _so_far(self, done: float | None = None, *, final: bool = False) -> Evaluation:
        return Evaluation(
            self.entries, self.about, self.results, rows=self.subject.problem.rows, target=self.target,
            scores=self.scores, tokens=self.subject.tokens, seconds=self.seconds,
            progress=(self.done if done is None else done, self.total), final=final,
        )  # fmt: skip


def _timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def _each(items: Iterator[Any]) -> Generator[tuple[Any, float]]:
    """Every item with the seconds it took, made in no mode of the consumer's; closes what it reads."""
    try:
        while True:
            started = time.perf_counter()
            with torch.inference_mode(mode=False), torch.no_grad():
                item = next(items, None)
            if item is None:
                return
            yield item, time.perf_counter() - started
    finally:
        items.close()  # type: ignore[attr-defined] # methods and metrics are generator functions


def _read(
    reading: Reading, known: Mapping[str, Any], evaluations: Mapping[str, int], seconds: float, rows: int
) -> Result:
    if reading.values.shape != (rows,):
        raise ValueError(f"{known['metric']} gives {list(reading.values.shape)} numbers for {rows} rows")
    return Result(
        reading.values, **known, curves=reading.curves, maps=reading.maps, evaluations=evaluations, seconds=seconds,
        notes=reading.notes, progress=(reading.done, reading.total), final=False,
    )  # fmt: skip


def _finished(result: Result) -> Result:
    last = copy.copy(result)
    last.final = True
    return last
