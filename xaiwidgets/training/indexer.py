"""The whole of a worker: it holds a model, writes its own block of the index, and says so in five numbers."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.batching import is_out_of_memory
from xaiwidgets.engine.errors import ModelError

from .data import label_column, moved
from .losses import outcomes
from .recorder import Gradients
from .shards import Array, Shard, quantised, row_of, row_type
from .sketch import sketch_of, weighted
from .spec import Spec

Interrupt = Callable[[], None] | None


@dataclass(frozen=True)
class Task:
    """What every worker is given once: what to index, where to write it, and how."""

    spec: Spec
    folder: Path
    projection: dict[str, Any] | None

    def portable(self) -> Task:
        """The same with the model on the CPU: a copy that another process can open whatever devices it has."""
        device = _device(self.spec.model)
        if device.type == "cpu":
            return self
        return replace(self, spec=replace(self.spec, model=copy.deepcopy(self.spec.model).to("cpu")))


class Indexer:
    """Writes blocks. Not to be shared by threads: it loads one checkpoint after the other into one model.

    device      where to run; None: where the model is
    """

    def __init__(self, task: Task, *, device: torch.device | str | None = None) -> None:
        self.task = task
        self.spec = task.spec
        self.model = copy.deepcopy(self.spec.model)
        if device is not None:
            self.model.to(device)
        self.device = _device(self.model)
        self.recorder = self.spec.recorder(self.model)
        count = len(self.spec.checkpoints)
        self.sketches = [sketch_of(task.projection, number) for number in range(count)] if task.projection else []
        self.row_type = row_type(count, label=label_type(self.spec))
        self.rows_at_once = self.spec.chunk
        self._loaded: int | None = None

    def block(self, start: int, n: int) -> dict[str, Any]:
        """Write the files of examples `start` to `start + n`, unless they are there; returns {start, n, dim, sum, seconds}."""
        *_, last = self.steps(start, n)
        assert isinstance(last, dict)  # noqa: S101 - steps() ends with it
        return last

    def steps(self, start: int, n: int) -> Iterator[float | dict[str, Any]]:
        """The same in pieces: examples' worth of work done so far after each chunk, and the row at the end."""
        shard = Shard(self.task.folder, start)
        there = shard.described(n, self.task.projection)
        if there is not None:
            yield there
            return
        began = time.perf_counter()
        rows = np.zeros(n, self.row_type)
        rows["id"] = np.arange(start, start + n)
        vectors = torch.zeros(n, self.task.projection["dim"]) if self.task.projection else None
        count = len(self.spec.checkpoints)
        for number in range(count):
            self._load(number)
            at = 0
            while at < n:
                stop = min(at + self.rows_at_once, n)
                piece = slice(at, stop)
                failure = self._record(number, rows[piece], None if vectors is None else vectors[piece])
                if failure is not None:
                    self._shrink(stop - at, failure)
                    continue
                at = stop
                yield (number * n + at) / count
        stored = None
        if vectors is not None and self.task.projection is not None:
            stored, rows["scale"] = quantised(vectors, self.task.projection["dtype"])
        checksum = shard.write(rows, stored)
        yield row_of(start, n, self.task.projection, checksum, time.perf_counter() - began)

    def _record(self, number: int, rows: Array, vectors: Tensor | None) -> str | None:
        """Fill in some rows (and vectors) of the block at one checkpoint; the message if memory ran out."""
        inputs, labels = self.spec.data.batch(rows["id"].copy())
        try:
            labels = labels.to(self.device)
            gradients = self.recorder.record(moved(inputs, self.device), labels)
            self._note(rows, number, gradients, labels)
            if vectors is not None:
                rate = self.spec.checkpoints[number].learning_rate
                vectors += weighted(self.sketches[number], rate, gradients)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return str(error)
        return None

    def _note(self, rows: Array, number: int, gradients: Gradients, labels: Tensor) -> None:
        rows["label"] = label_column(labels)
        rows["loss"][:, number] = _array(gradients.losses)
        rows["norm"][:, number] = _array(gradients.squared_norms())
        read = outcomes(gradients.output, labels, self.spec.loss)
        for name in ("predicted", "confidence", "margin", "el2n"):
            rows[name][:, number] = _array(getattr(read, name))

    def _load(self, number: int) -> None:
        if self._loaded != number:
            self.spec.checkpoints[number].load_into(self.model)
            self._loaded = number

    def _shrink(self, rows: int, message: str) -> None:
        if rows == 1:
            raise ModelError(
                "out_of_memory",
                "The gradients of a single example do not fit in memory",
                message,
                "Choose fewer layers=, or free memory on the device.",
            )
        self.rows_at_once = max(1, rows // 2)


def label_type(spec: Spec) -> str:
    """How a label is kept: a number as float32, a class or a checksum as int64."""
    return "<f4" if spec.data.label_kind == "number" else "<i8"


def _device(model: torch.nn.Module) -> torch.device:
    return next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))


def _array(values: Tensor) -> Array:
    return np.asarray(
        values.detach().cpu().numpy() if values.dtype == torch.int32 else values.detach().cpu().float().numpy()
    )
