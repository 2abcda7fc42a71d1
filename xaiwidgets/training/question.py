"""What a method is asked: queries, candidates, and the gradients of both at every checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaiwidgets.engine.batching import Batcher
from xaiwidgets.engine.errors import InputError, ParameterError

from .data import label_column, like, moved
from .losses import predicted_labels
from .recorder import Gradients, Recorder
from .shards import Shards, no_vectors
from .sketch import query_vectors
from .spec import Spec

FIRST_SPAN, SPAN = 256, 4096
"""Training examples scored at a time: every checkpoint is loaded once for each such block, and memory stays flat."""

Positions = np.ndarray[Any, Any]


class Question:
    """Queries about a spec's training data; all a training method sees.

    inputs        what the model is called with, the batch first: a tensor, a tuple or a dict
    labels        [Q, ...] whose loss is asked about; None: the class predicted by the last of the checkpoints asked
    rows          candidate positions, None for all
    checkpoints   which of the spec's checkpoints, by number; None for all
    batch_size    rows at a time instead of the spec's own chunk; halved for good when memory runs out
    shards        the index's stored vectors and columns, if there is one
    interrupt     called between chunks; it may raise Cancelled

    The working copy of the model belongs to the question: a method may do with it what it likes between two calls.
    """

    def __init__(
        self,
        spec: Spec,
        inputs: Any,
        labels: Any = None,
        *,
        rows: Sequence[int] | Positions | None = None,
        checkpoints: Sequence[int] | None = None,
        batch_size: int | None = None,
        shards: Shards | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.spec = spec
        self.data = spec.data
        self.shards = shards
        self.interrupt = interrupt
        self.checkpoints = _chosen(checkpoints, len(spec.checkpoints))
        self.learning_rates = spec.checkpoints.learning_rates[self.checkpoints]
        self.rows = None if rows is None else _positions(rows, len(spec.data))
        self.batch_size = spec.chunk if batch_size is None else batch_size
        self.model = copy.deepcopy(spec.model)
        self.device = spec.device
        self._recorder = spec.recorder(self.model)
        self._loaded: int | None = None
        self._queries: dict[int, Gradients] = {}
        self._batcher = Batcher(self.batch_size)
        self.inputs = moved(like(inputs, self.data.batch([0])[0]), self.device)
        self.output = self._output()  # [Q, ...] at the last of the checkpoints
        self.labels = self._labels(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def check(self) -> None:
        """Raise Cancelled if nobody waits for the answer any more."""
        if self.interrupt is not None:
            self.interrupt()

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    def at(self, checkpoint: int) -> Recorder:
        """The recorder of the question's copy of the model, with this checkpoint's weights in it."""
        if self._loaded != checkpoint:
            self.check()
            self._loaded = None
            self.spec.checkpoints[checkpoint].load_into(self.model)
            self._loaded = checkpoint
        return self._recorder

    def queries(self, checkpoint: int) -> Gradients:
        """Gradients of the queries' losses; kept, so that every block of training examples meets the same."""
        if checkpoint not in self._queries:
            self._queries[checkpoint] = self.at(checkpoint).record(self.inputs, self.labels)
        return self._queries[checkpoint]

    def gradients(self, checkpoint: int, positions: Positions) -> Iterator[tuple[Positions, Gradients]]:
        """Gradients of training examples, some rows at a time, in order."""
        known = self._known(checkpoint, positions)

        def record(start: int, stop: int) -> tuple[Positions, Gradients]:
            self.check()
            chosen = positions[start:stop]
            inputs, labels = self.data.batch(chosen)
            gradients = self.at(checkpoint).record(moved(inputs, self.device), labels.to(self.device))
            if known is not None:
                self._compare(checkpoint, chosen, labels, gradients.losses, known[start:stop])
            return chosen, gradients

        yield from self._batcher.run(len(positions), record)

    def of_layer(self, layer: str) -> Question:
        """The same question about the parameters of one layer; stored losses still tell changed data."""
        spec = replace(self.spec, layers=(layer,))
        return Question(
            spec, self.inputs, self.labels, rows=self.rows, checkpoints=self.checkpoints, batch_size=self.batch_size,
            shards=self.shards, interrupt=self.interrupt,
        )  # fmt: skip

    def last_linear(self) -> str:
        """The name of the linear layer that is used last."""
        used: list[str] = []
        hooks = [
            module.register_forward_hook(lambda *_, name=name: used.append(name))
            for name, module in self.model.named_modules()
            if isinstance(module, nn.Linear)
        ]
        try:
            self._output()
        finally:
            for hook in hooks:
                hook.remove()
        if not used:
            raise ParameterError("no_linear", "The model uses no torch.nn.Linear", hint="Pass layer=, a layer's name.")
        return used[-1]

    def vectors(self, checkpoints: Sequence[int]) -> Tensor:
        """[Q, dim] the queries as the index stores its examples: several checkpoints in one vector each."""
        projection = self.stored.projection
        if projection is None:
            raise no_vectors()
        return query_vectors(self.spec, projection, ((one, self.queries(one)) for one in checkpoints))

    @property
    def stored(self) -> Shards:
        """The index's vectors and columns."""
        if self.shards is None:
            raise no_vectors()
        return self.shards

    @property
    def left_out(self) -> dict[str, str]:
        """Parameters whose gradients do not count, and why."""
        return self._recorder.left_out

    def narrow(self, rows: Sequence[int] | Positions) -> None:
        """From now on only these are candidates."""
        self.rows = _positions(rows, len(self.data))

    def candidates(self) -> Positions:
        """Every position that is to be scored, in order."""
        return np.arange(len(self.data)) if self.rows is None else self.rows

    def spans(self) -> Iterator[Positions]:
        """The candidates in blocks: a method scores one block at all checkpoints before the next.

        The first blocks are small, so that a first answer is there early.
        """
        candidates = self.candidates()
        start, size = 0, FIRST_SPAN
        while start < len(candidates):
            yield candidates[start : start + size]
            start, size = start + size, min(2 * size, SPAN)

    def _output(self) -> Tensor:
        """The model's output for the queries at the last of the checkpoints."""
        self.at(self.checkpoints[-1])
        with torch.no_grad():
            return self.spec.output(self.model, self.inputs).detach()

    def _labels(self, given: Any) -> Tensor:
        if given is None:
            return predicted_labels(self.output, self.spec.loss)
        _, example = self.data.batch([0])
        try:
            labels = torch.as_tensor(given).to(example.dtype)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError("query_labels", f"{given!r} are no labels", str(error)) from error
        if labels.ndim == 0:
            labels = labels.expand(len(self.output)).clone()
        if labels.shape != (len(self.output), *example.shape[1:]):
            wanted = [len(self.output), *example.shape[1:]]
            raise InputError(
                "query_labels",
                f"Labels of shape {list(labels.shape)} for {len(self.output)} queries",
                hint=f"As the training data have them: {wanted}.",
            )
        labels = labels.to(self.device)
        with torch.no_grad():
            self.spec.loss(self.output, labels)  # says which label does not exist
        return labels

    def _known(self, checkpoint: int, positions: Positions) -> Positions | None:
        """Label and loss of training examples as the index has them, [n, 2]; None without an index."""
        if self.shards is None:
            return None
        losses = self.shards.column("loss", positions)[:, self.spec.checkpoints[checkpoint].number]
        return np.stack([self.shards.column("label", positions).astype(np.float64), losses], 1)

    def _compare(self, checkpoint: int, positions: Positions, labels: Tensor, losses: Tensor, known: Positions) -> None:
        """Data that were changed since the index was built do not go unnoticed."""
        other = known[:, 0] != label_column(labels)
        found = losses.detach().cpu().float().numpy()
        other |= ~np.isclose(found, known[:, 1], rtol=0.05, atol=0.01, equal_nan=True)
        if other.any():
            raise InputError(
                "data_changed",
                f"Training example {positions[other][0]} is not the one the index was built of",
                f"Its label or its loss at checkpoint {self.spec.checkpoints[checkpoint].name} differs "
                f"({int(other.sum())} of {len(other)} here).",
                "Open the index with the data set and model it was built of, or build it again.",
            )


def _chosen(given: Sequence[int] | None, count: int) -> list[int]:
    """Numbers of checkpoints, or a mask over them, as numbers."""
    if given is None:
        return list(range(count))
    mask = len(given) > 0 and all(isinstance(one, bool | np.bool_) for one in given)
    chosen = [number for number, kept in enumerate(given) if kept] if mask else [int(one) for one in given]
    if mask and len(given) != count:
        chosen = []
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= one < count for one in chosen):
        raise ParameterError(
            "unknown_checkpoint",
            f"checkpoints={list(given)} does not choose from {count}",
            hint=f"Numbers 0 to {count - 1}, each once, or a mask of {count} truth values.",
        )
    return chosen


def _positions(given: Sequence[int] | Positions, count: int) -> Positions:
    """Positions, or a mask, in order and each once."""
    array = np.asarray(given)
    if array.dtype == bool and array.shape == (count,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= count:
        raise ParameterError(
            "candidates",
            "candidates= does not choose training examples",
            hint=f'Positions 0 to {count - 1}, a mask of {count} truth values, "all" or None.',
        )
    return np.unique(array.astype(np.int64))
