"""The model behind one argument and one tensor of output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from xaiwidgets.engine.target import unwrap


class Called(nn.Module):
    """A model asked the way its data come; its parameters are called "model.…" here.

    call  how the model is given its inputs where it is not by position or keyword: call(model, inputs)
    """

    def __init__(self, model: nn.Module, call: Callable[[nn.Module, Any], Any] | None = None) -> None:
        super().__init__()
        self.model, self.call = model, call
        self.training = model.training

    def forward(self, inputs: Any) -> Tensor:
        if self.call is not None:
            return unwrap(self.call(self.model, inputs))
        if isinstance(inputs, Mapping):
            return unwrap(self.model(**inputs))
        return unwrap(self.model(*inputs) if isinstance(inputs, tuple | list) else self.model(inputs))
