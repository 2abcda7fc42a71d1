"""What an index is of: everything a worker needs to write its share of it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .called import Called
from .checkpoints import Checkpoints
from .data import TrainingData
from .losses import Checked
from .recorder import Recorder
from .weights import model_hash


@dataclass(frozen=True, eq=False)
class Spec:
    """A private model, the data, the checkpoints, the loss and the layers; `chunk` rows are recorded at a time.

    forward   called as forward(model, inputs) instead of the model itself, `inputs` in the container the data give
    """

    model: nn.Module
    data: TrainingData
    checkpoints: Checkpoints
    loss: Checked
    layers: tuple[str, ...] | None
    forward: Callable[[nn.Module, Any], Any] | None
    chunk: int

    def recorder(self, model: nn.Module) -> Recorder:
        """A recorder of a copy of the model."""
        return Recorder(model, self.loss, layers=self.layers, call=self.forward)

    def output(self, model: nn.Module, inputs: Any) -> Tensor:
        """The scores a copy of the model gives for inputs in any container."""
        scores: Tensor = Called(model, self.forward)(inputs)
        return scores

    @property
    def device(self) -> torch.device:
        return next((tensor.device for tensor in self.model.state_dict().values()), torch.device("cpu"))

    def fingerprints(self) -> dict[str, Any]:
        """What must agree for two indexes to be the same one, as plain JSON values."""
        return {
            "model": model_hash(self.model),
            "data": self.data.fingerprint(),
            "checkpoints": [[one.name, one.hash, one.learning_rate] for one in self.checkpoints],
            "loss": self.loss.name,
            "layers": None if self.layers is None else list(self.layers),
        }

    def facts(self) -> dict[str, Any]:
        """What is worth knowing of an index besides, as plain JSON values."""
        return {
            "examples": len(self.data),
            "labels": self.data.label_kind,
            "missing": [list(one) for one in self.checkpoints.missing],
            "notes": list(self.checkpoints.notes),
            "files": [one.file for one in self.checkpoints],
            "chunk": self.chunk,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
