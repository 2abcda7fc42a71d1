"""Scoreboard: explanations of some inputs, measured by some tests. Twin of js/src/widgets/scoreboard.tsx."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.colors import table_for
from xaiwidgets.live.jobs import Gate, Token
from xaiwidgets.metrics.evaluation import Evaluation
from xaiwidgets.widgets import words
from xaiwidgets.widgets.board import words as said
from xaiwidgets.widgets.board.agreement import agreement_of
from xaiwidgets.widgets.board.figure import maps_html, table_html
from xaiwidgets.widgets.board.pack import Curves, fields_of, pack_maps
from xaiwidgets.widgets.board.rows import cells_of, columns_of, entries_of
from xaiwidgets.widgets.board.state import BoardState
from xaiwidgets.widgets.board.subject import MOST, Subject, subject_of
from xaiwidgets.widgets.provenance import versions

PROGRESS_EVERY = 0.1
Fields = dict[str, list[NDArray[np.floating[Any]]]]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What is explained of each input: its class (None where the score is no class) and how probable the model finds it."""

    targets: Sequence[int | None]
    probabilities: Sequence[float | None]


Report = Callable[[float, int, str], None]
Ask = Callable[[Callable[[], None], Report], Iterator[tuple[Evaluation, Predicted | None]]]
"""Evaluations, each with more in it; takes an interrupt and a listener for progress."""


class Scoreboard(BoardState):
    """Explanations against tests, with the maps and curves behind the numbers. Made by `xaiwidgets.compare`.

    `xaiwidgets.Scoreboard(evaluation, inputs=images)` shows what `xaiwidgets.evaluate` found, without the model. `selection`
    holds the names of the picked explanations, also to be set from Python.

    evaluation   an Evaluation
    inputs       what was explained: images [batch, channels, height, width], or texts; without them only the maps are shown
    labels       class names, a list or a dict by class number
    image        as for `xaiwidgets.explain`
    """

    def __init__(
        self, evaluation: Evaluation | None = None, *, inputs: Any = None, labels: words.Labels = None, image: Any = None,
        subject: Subject | None = None, ask: Ask | None = None, about: dict[str, Any] | None = None, score: str = "logit",
        **traits: Any,
    ) -> None:  # fmt: skip
        if evaluation is None and ask is None:
            raise InputError(
                "nothing_to_compare", "There is no evaluation to show",
                hint="Pass what xaiwidgets.evaluate() gave, or call xaiwidgets.compare(model, inputs).",
            )  # fmt: skip
        given = evaluation
        self._ask: Ask | None = ask or (lambda _interrupt, _report: iter([(given, None)]))  # type: ignore[list-item]
        if subject is None:
            texts = evaluation is not None and evaluation.tokens is not None
            subject = subject_of(inputs, image=image, texts=texts and inputs is not None)
        self._subject, self._labels, self._score, self._about = subject, labels, score, dict(about or {})
        self._gate = Gate()
        self._packed: tuple[tuple[int, ...], dict[str, Any]] = ((), {})
        self._curves, self._fields = Curves(MOST), Fields()
        super().__init__(**subject.stored, **traits)
        if evaluation is not None:
            self.run()

    # --- for people -------------------------------------------------------------------------------------------------

    @property
    def result(self) -> Evaluation | None:
        """The evaluation on show; None before there is one. What was cancelled holds what was measured until then."""
        shown = super().result
        return None if shown is None else shown[0]

    def frame(self) -> Any:
        """The table in pandas: a row for each explanation; of each test its mean and both ends of its 95 % interval."""
        import pandas  # noqa: PLC0415, ICN001 - only here

        if self.result is None:
            raise InputError("nothing_computed", "Nothing is computed yet", hint="Call wait() first.")
        return pandas.DataFrame(self.result.table().to_dict()).set_index("attribution")

    # --- work: on the worker ----------------------------------------------------------------------------------------

    def _work(self, token: Token) -> Iterator[tuple[Evaluation, Predicted | None]]:
        self._gate.token = token
        started, reported = time.monotonic(), 0.0

        def report(done: float, total: int, phase: str) -> None:
            nonlocal reported
            now = time.monotonic()
            if now - reported < PROGRESS_EVERY:
                return
            reported = now
            left = (now - started) * (total - done) / done if done else None
            with self._sync_lock:
                self.progress = {"done": int(done), "total": total, "unit": phase, "eta_s": left, "phase": phase}

        if self._ask is not None:
            yield from self._ask(self._gate, report)

    def _publish(self, result: tuple[Evaluation, Predicted | None]) -> None:
        evaluation, predicted = result
        self.rows = evaluation.rows
        self.inputs = self._inputs(evaluation, predicted)
        self.entries, self.columns = entries_of(evaluation, self._score), columns_of(evaluation)
        self.cells = cells_of(evaluation)
        self.curves, self.curve_data = self._curves.pack(evaluation)
        for name, value in self._maps(evaluation).items():
            setattr(self, name, value)
        self.caption = said.caption(self.entries, self.columns, self.cells, self.rows)
        self.notices = said.notices(
            self.cells, rows=self.rows, shown=len(self.inputs), colours=self._subject.note,
            saved=len(self.map_data) + len(self.curve_data) + sum(map(len, self.pictures.values())),
        )  # fmt: skip
        self.provenance = self._about | {
            "inputs": evaluation.rows, "methods": {one["key"]: one["parameters"] for one in self.entries},
            "metrics": {one["name"]: one["parameters"] for one in self.columns}, "seconds": round(evaluation.seconds, 2),
            "versions": versions(),
        }  # fmt: skip

    def _inputs(self, evaluation: Evaluation, predicted: Predicted | None) -> list[dict[str, Any]]:
        shown = min(evaluation.rows, MOST)
        targets = _numbers(evaluation.target, shown) if predicted is None else predicted.targets
        chances = [None] * shown if predicted is None else predicted.probabilities
        return [
            {
                "label": self._subject.title(row), "target": targets[row],
                "target_label": "" if targets[row] is None else words.label(self._labels, targets[row] or 0),
                "probability": chances[row],
            }
            for row in range(shown)
        ]  # fmt: skip

    def _maps(self, evaluation: Evaluation) -> dict[str, Any]:
        """What is made of the maps, made again only when there are others."""
        maps = evaluation.maps
        key = tuple(id(values) for values in maps.values())
        if key == self._packed[0]:
            return self._packed[1]
        tokens = [_unpadded(one) for one in evaluation.tokens or self._subject.tokens]
        lengths = [len(one) for one in tokens] or None
        fields = {name: fields_of(values, lengths, evaluation.rows) for name, values in maps.items()}
        if not all(_drawable(one) for one in fields.values()):
            fields = {}
        self._fields = {name: one[:MOST] for name, one in fields.items()}
        info, data = pack_maps(self._fields)
        traits: dict[str, Any] = {"maps": info, "map_data": data, "agreement": agreement_of(fields, MOST)}
        if tokens:
            traits |= {"medium": "text", "tokens": [list(map(words.encodable, one)) for one in tokens[:MOST]]}
        self._packed = (key, traits)
        return traits

    # --- the ends ---------------------------------------------------------------------------------------------------

    def _figure(self) -> str:
        with self._sync_lock:
            entries, columns, cells, caption, at = self.entries, self.columns, self.cells, self.caption, self.input
            fields, inputs = dict(self._fields), self.inputs
        if not entries:
            return f'<figure style="margin:0"><figcaption>{words.escaped(caption or "Not computed yet.")}</figcaption></figure>'
        at = min(at, max(len(inputs) - 1, 0))
        drawn = [
            (entry["title"], fields[entry["key"]][at], entry["signed"])
            for entry in entries
            if self.medium == "image" and entry["key"] in fields
        ]
        tables = {signed: table_for(self.palette, self.lut, diverging=signed) for signed in (True, False)}
        view = self._subject.views[at] if at < len(self._subject.views) else None
        pictures = maps_html(drawn, view, tables, self.polarity == "warm")
        body = table_html(entries, columns, cells) + pictures
        return f'<figure style="margin:0">{body}<figcaption>{words.escaped(caption)}</figcaption></figure>'

    def _title(self) -> str:
        return said.title(self.entries, self.columns, self.rows) if self.entries else "nothing computed yet"

    def close(self) -> None:
        """Stop the work and let go of the model, the inputs and the results."""
        super().close()
        if hasattr(self, "_gate"):
            self._ask, self._gate.token = None, None
            self._packed, self._fields, self._curves = ((), {}), {}, Curves(MOST)
            self._subject = Subject()


def _numbers(target: Any, rows: int) -> list[int | None]:
    """The class of each input, where the target is one."""
    if isinstance(target, Tensor) and target.ndim == 1 and len(target) >= rows:
        return [int(one) for one in target[:rows]]
    if isinstance(target, int) and not isinstance(target, bool):
        return [target] * rows
    return [None] * rows


def _unpadded(words: Sequence[str]) -> list[str]:
    """Without the padding at the end, which spells nothing."""
    return list(words[: max((place + 1 for place, word in enumerate(words) if word), default=0)])


def _drawable(maps: Sequence[NDArray[np.floating[Any]]]) -> bool:
    return all(one.ndim == 2 and one.size > 0 and bool(np.isfinite(one).all()) for one in maps)
