"""Many attributions measured by many metrics, each number there as soon as it is known.

r = xaiwidgets.evaluate(model, images, ["saliency", "integrated_gradients"], target=3, controls=True)
r["saliency"]["deletion"]                      # a float with .interval, .curves, .notes
print(r.table())
"""

from __future__ import annotations

import copy
import html
import json
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from xaiwidgets.engine.attribution import decode, encode
from xaiwidgets.engine.errors import Cancelled, ExplainError, InputError, ParameterError, did_you_mean
from xaiwidgets.engine.inputs import Key
from xaiwidgets.engine.target import Score, Target

from .asking import Entry, Measuring, Subject, entries_of, metrics_of, require, subject_of
from .case import mask_of, values_of
from .metric_table import MetricTable
from .registry import METRICS, Reading
from .result import Curve, Result
from .table import Table, table_of

FORMAT = "xaiwidgets.evaluation/1"
DEFAULT = ("deletion", "insertion", "infidelity", "max_sensitivity")
Progress = Callable[[float, int, str], None]


class Evaluation(Mapping[str, Mapping[str, Result]]):
    """Results by the names of attributions and metrics; what is not measured yet is not in it.

    entries     by name: what each attribution is (see `asking.Entry`); `methods` are their names
    about       by name: title, direction, what it tells and cannot tell, and the parameters of each metric; `metrics` are
                their names
    rows        how many inputs
    target      the explained target, as it was given
    scores      [rows] the explained score of the inputs, None before the model was asked
    tokens      of texts, the spelling of every token of every row; None for other inputs
    seconds     spent so far; `progress` is (done, total) in numbers of attributions and results
    final       whether everything is there
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        about: Mapping[str, Mapping[str, Any]],
        results: Mapping[str, Mapping[str, Result]],
        *,
        rows: int,
        target: Any = None,
        scores: Tensor | None = None,
        tokens: list[list[str]] | None = None,
        seconds: float = 0.0,
        progress: tuple[float, int] = (0, 1),
        final: bool = False,
    ) -> None:
        self.entries, self.about = dict(entries), dict(about)
        self._results = {name: dict(row) for name, row in results.items()}
        self.rows, self.target, self.scores, self.tokens = rows, target, scores, tokens
        self.seconds, self.progress, self.final = seconds, progress, final

    def __getitem__(self, name: str) -> Mapping[str, Result]:
        if name not in self.entries:
            raise KeyError(f"{name!r}: {did_you_mean(name, self.entries)}")
        return self._results.get(name, {})

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the attributions, in the order they were asked for; controls last."""
        return tuple(self.entries)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order they were asked for."""
        return tuple(self.about)

    @property
    def maps(self) -> dict[str, Tensor]:
        """The values [rows, ...] of every attribution that is there, on the model's device."""
        return {name: entry.values for name, entry in self.entries.items() if entry.values is not None}

    def table(self) -> Table:
        """Attributions × metrics: means with their intervals, the direction of each, the best marked."""
        return table_of(self.entries, self.about, self._results)

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        """The table and what went wrong or was noted; no script, every text escaped."""
        lines = [
            f"<li><b>{html.escape(name)}</b>, {html.escape(metric)}: {html.escape(text)}</li>"
            for name, row in self.items()
            for metric, result in row.items()
            for text in ([str(result.error)] if result.error is not None else result.notes)
        ]
        notes = f"<details><summary>Notes</summary><ul>{''.join(lines)}</ul></details>" if lines else ""
        return self.table()._repr_html_() + notes

    # --- on disk -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the rest as JSON in its header; nothing in it can execute on loading."""
        tensors: dict[str, Tensor] = {}
        plain = {
            "entries": {name: _plain_entry(entry) for name, entry in self.entries.items()},
            "about": {name: _plain(one) for name, one in self.about.items()},
            "results": {
                name: {metric: _plain_result(result) for metric, result in row.items()}
                for name, row in self._results.items()
            },
            **{
                key: getattr(self, key)
                for key in ("rows", "target", "scores", "tokens", "seconds", "progress", "final")
            },
        }
        header = {key: encode(value, key, tensors) for key, value in plain.items()}
        metadata = {"format": FORMAT, "evaluation": json.dumps(header)}
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what `save` wrote; tensors come back on the CPU, errors as their text."""
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(
                    "not_an_evaluation", f"{path} holds no evaluation", hint="Write one with Evaluation.save(path)."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        try:
            found = {key: decode(value, tensors) for key, value in json.loads(metadata["evaluation"]).items()}
            entries = {name: Entry(**_with_error(entry)) for name, entry in found.pop("entries").items()}
            results = {
                name: {metric: _result(plain) for metric, plain in row.items()}
                for name, row in found.pop("results").items()
            }
            return cls(entries, found.pop("about"), results, **found)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "not_an_evaluation", f"{path} is damaged or of another version", f"{type(error).__name__}: {error}"
            ) from error


def evaluating(
    model: Callable[..., Any],
    inputs: Any,
    attributions: Any,
    *,
    target: Target = None,
    metrics: Any = DEFAULT,
    controls: bool = False,
    baseline: Any = None,
    mask: Any = None,
    regions: Any = "auto",
    tokenizer: Any = None,
    score: Score = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Key | list[Key] | None = None,
    training: bool | None = None,
    batch_size: int | Literal["auto"] = "auto",
    seed: int = 0,
    interrupt: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Generator[Evaluation]:
    """Measure attributions, yielding the evaluation each time there is more in it. Closing the generator is cancelling.

    attributions  a method's name, (name, parameters), an Attribution, a tensor or an array like the input; a list of these, or a
                  dict that gives each a name of its own. "random", "edges" (images) and "lengths" (texts) name maps that explain
                  nothing, and `controls=True` adds those that fit
    metrics       names, (name, parameters), or {name: parameters}; see `xaiwidgets.metrics()`
    baseline      given to every method that has one and is not given its own
    mask          [1 or rows, ...] true where the object is, for metrics that compare with it
    regions       what is taken away at once: "auto" (pixels with their channels, tokens), "block", "superpixel", ids, ...
    tokenizer     the inputs are texts
    seed          of ties, noise, random orders and controls
    interrupt     called between chunks; it may raise Cancelled
    progress      called with (done, total, what is being done)

    The other arguments are those of `xaiwidgets.attribute`. What cannot be asked raises here, before any work is done. Where one
    metric fails about one attribution, its result says so in `.error` and the others go on; a single one raises.
    """
    subject = subject_of(
        model, inputs, tokenizer, target=target, score=score, forward=forward, wrt=wrt, training=training,
        batch_size=batch_size, interrupt=interrupt,
    )  # fmt: skip
    entries = entries_of(attributions, subject, target=target, controls=controls, baseline=baseline, seed=seed)
    measurings = metrics_of(metrics)
    for measuring in measurings.values():
        require(measuring, entries, subject, mask)
    if mask is not None:
        mask_of(subject.points, mask)
    options = {"seed": seed, "mask": mask, "regions": regions}
    return _Work(subject, entries, measurings, options, target, progress or _silent).run()


def evaluate(model: Callable[..., Any], inputs: Any, attributions: Any, **options: Any) -> Evaluation:
    """Measure attributions: `evaluating` to its end, with the same arguments."""
    *_, last = evaluating(model, inputs, attributions, **options)
    return last


def metrics(family: str | None = None) -> MetricTable:
    """The registered metrics, of one family or of all; shows itself as a table."""
    families = {metric.family for metric in METRICS.values()}
    if family is not None and family not in families:
        raise ParameterError(
            "unknown_family", f"There is no family {family!r} of metrics", hint=did_you_mean(family, families)
        )
    return MetricTable(metric for metric in METRICS.values() if family in (None, metric.family))


@dataclass(eq=False)
class _Work:
    """An evaluation on its way."""

    subject: Subject
    entries: dict[str, Entry]
    measurings: dict[str, Measuring]
    options: dict[str, Any]
    target: Any
    report: Progress

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
            assert entry.run is not None  # noqa: S101  # for the type checker
            self.report(self.done, self.total, entry.title)
            problem, run = self.subject.begin()
            seconds = 0.0
            try:
                for partial, spent in _each(run(entry.run, entry.parameters)):
                    seconds += spent
                    self.seconds += spent
                    values = values_of(self.subject.points, partial.values)
                    entry = replace(entry, values=values, evaluations=dict(problem.evaluations), seconds=seconds)
            except Cancelled:
                raise
            except Exception as error:
                if len(self.entries) == 1:
                    raise
                entry = replace(entry, values=None, error=error)
            self.entries[name] = entry
        self.done += 1
        yield self._so_far()

    def _measure(self, entry: Entry, measuring: Measuring) -> Generator[Evaluation]:
        metric, name = measuring.metric, measuring.name
        known: dict[str, Any] = {"metric": name, "direction": metric.direction, "parameters": measuring.parameters}
        missing = torch.full((self.subject.problem.rows,), torch.nan)
        if entry.values is None:
            self.results[entry.name][name] = Result(missing, **known, error=entry.error)
        else:
            phase, seconds = f"{entry.name}: {metric.title}", 0.0
            self.report(self.done, self.total, phase)
            result: Result | None = None
            try:
                case = self.subject.case(
                    entry.values, method=entry.run, parameters=entry.parameters, name=entry.name,
                    others=self._others(entry), memory=self.memory, **self.options,
                )  # fmt: skip
                for reading, spent in _each(metric.run(case, **measuring.parameters)):
                    seconds += spent
                    self.seconds += spent
                    result = _read(reading, known, dict(case.evaluations), seconds, self.subject.problem.rows)
                    self.results[entry.name][name] = result
                    part = self.done + min(1.0, reading.done / max(reading.total, 1))
                    self.report(part, self.total, phase)
                    yield self._so_far(part)
                if result is None:
                    raise RuntimeError(f"{metric.name} measured nothing")  # noqa: TRY301
                self.results[entry.name][name] = _finished(result, seconds)
            except (Cancelled, GeneratorExit):
                raise
            except Exception as error:
                if self.alone:
                    raise
                self.results[entry.name][name] = Result(missing, **known, seconds=seconds, error=error)
        self.done += 1
        self.report(self.done, self.total, f"{entry.name}: {metric.title}")
        yield self._so_far()

    def _others(self, entry: Entry) -> dict[str, Tensor]:
        return {
            name: other.values
            for name, other in self.entries.items()
            if other.values is not None and other.kind != "control" and name != entry.name
        }

    def _so_far(self, done: float | None = None, *, final: bool = False) -> Evaluation:
        return Evaluation(
            self.entries, self.about, self.results, rows=self.subject.problem.rows, target=self.target,
            scores=self.scores, tokens=self.subject.tokens, seconds=self.seconds,
            progress=(self.done if done is None else done, self.total), final=final,
        )  # fmt: skip


def _silent(done: float, total: int, phase: str) -> None:
    """Nobody wants to know."""


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


def _finished(result: Result, seconds: float) -> Result:
    last = copy.copy(result)
    last.final, last.seconds = True, seconds
    return last


# --- as plain values -----------------------------------------------------------------------------------------------------

_ENTRY = ("name", "kind", "title", "method", "parameters", "values", "evaluations", "seconds")
_RESULT = (
    "metric",
    "values",
    "direction",
    "parameters",
    "maps",
    "evaluations",
    "seconds",
    "notes",
    "progress",
    "final",
)
_CURVE = ("x", "values", "x_title", "y_title", "spread", "labels")


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)


def _plain_entry(entry: Entry) -> dict[str, Any]:
    return {**{name: getattr(entry, name) for name in _ENTRY}, "error": _told(entry.error)}


def _plain_result(result: Result) -> dict[str, Any]:
    curves = {name: {key: getattr(curve, key) for key in _CURVE} for name, curve in result.curves.items()}
    return {**{name: getattr(result, name) for name in _RESULT}, "curves": curves, "error": _told(result.error)}


def _told(error: Exception | None) -> list[str] | None:
    if error is None:
        return None
    if isinstance(error, ExplainError):
        return [error.code, error.title, error.detail, error.hint]
    return ["unexpected", type(error).__name__, str(error), ""]


def _with_error(plain: dict[str, Any]) -> dict[str, Any]:
    error = plain.pop("error")
    return {**plain, "error": None if error is None else ExplainError(*error)}


def _result(plain: dict[str, Any]) -> Result:
    found = _with_error(plain)
    curves = {name: Curve(**curve) for name, curve in found.pop("curves").items()}
    return Result(found.pop("values"), curves=curves, **found)
