"""What an evaluation knows so far, and a file format for it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from xaiwidgets.engine.attribution import decode, encode
from xaiwidgets.engine.errors import ExplainError, InputError, did_you_mean

from .asking import Entry
from .result import Curve, Result
from .table import Table, table_of

FORMAT = "xaiwidgets.evaluation/1"


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
