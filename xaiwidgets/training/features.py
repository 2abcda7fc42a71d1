"""What a layer makes of the queries and of the training examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.batching import Batcher
from xaiwidgets.engine.errors import InputError, ModelError
from xaiwidgets.engine.layers import LayerLike, find_layer, tapped

from .data import moved
from .question import Positions, Question

INPUT = "input"


class Features:
    """Rows of numbers of examples, at the last checkpoint asked.

    layer   whose output; None: what the last linear layer is given; "input": the inputs themselves

    Every example's output is flattened. Raises ParameterError for an unknown layer, ModelError where the layer does not run
    or gives no numbers, InputError where examples give numbers of different shapes (texts of different lengths).
    """

    def __init__(self, question: Question, layer: LayerLike = None) -> None:
        self.question = question
        self.layer = layer
        self._last = question.last_linear() if layer is None else ""
        if layer is not None and layer != INPUT:
            find_layer(question.model, layer)  # now, not after the first block
        self._shape: torch.Size | None = None

    def of(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """Features [n, d], float32, and the model's output for inputs on its device."""
        question = self.question
        question.at(question.checkpoints[-1])
        with torch.no_grad(), self._watched(question.model) as seen:
            output = question.spec.output(question.model, inputs)
        found = inputs if self.layer == INPUT else seen[-1] if seen else None
        if not isinstance(found, Tensor) or not found.is_floating_point() or len(found) != len(output):
            raise ModelError(
                "no_features",
                "There is no row of numbers for each example here",
                f"Layer: {self.layer if self.layer is not None else 'what the last nn.Linear is given'}.",
                "Pass layer=, the name of a module whose output has the batch first.",
            )
        self._shape = self._shape or found.shape[1:]
        if found.shape[1:] != self._shape:
            raise InputError(
                "features_shape",
                f"Features of shapes {list(self._shape)} and {list(found.shape[1:])} cannot be compared",
                hint="Pass layer=, a module that gives the same shape for every example.",
            )
        return found.flatten(1).float(), output

    def queries(self) -> Tensor:
        """[Q, d]"""
        return self.of(self.question.inputs)[0]

    def training(self, positions: Positions) -> Iterator[tuple[Positions, Tensor, Tensor, Tensor]]:
        """Positions, features [n, d], outputs [n, ...] and labels [n, ...], some examples at a time."""
        question = self.question

        def read(start: int, stop: int) -> tuple[Positions, Tensor, Tensor, Tensor]:
            question.check()
            chosen = positions[start:stop]
            inputs, labels = question.data.batch(chosen)
            return chosen, *self.of(moved(inputs, question.device)), labels.to(question.device)

        yield from Batcher(question.batch_size).run(len(positions), read)

    @contextmanager
    def _watched(self, model: nn.Module) -> Iterator[list[Tensor]]:
        if self.layer == INPUT:
            yield []
        elif self.layer is not None:
            with tapped(find_layer(model, self.layer)[1]) as seen:
                yield seen
        else:
            given: list[Tensor] = []
            last = model.get_submodule(self._last)
            handle = last.register_forward_pre_hook(lambda _module, arguments: given.append(arguments[0].clone()))
            try:
                yield given
            finally:
                handle.remove()
