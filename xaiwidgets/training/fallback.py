"""Exact gradients of single examples for parameters that no rule knows: all rows at once, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.rewrite import mapped

from .called import Called


class Fallback:
    """Gradients of some parameters of a frozen model, formed.

    refused  why the rows cannot go at once; empty while they can
    """

    def __init__(
        self, model: Called, loss: Callable[[Tensor, Tensor], Tensor], parameters: Mapping[str, nn.Parameter]
    ) -> None:
        self.model, self.loss, self.parameters = model, loss, parameters
        self.refused = ""

    def gradients(self, names: Sequence[str], inputs: Any, labels: Tensor) -> dict[str, Tensor]:
        """Name -> [B, *shape]."""
        if not self.refused:
            try:
                return self._at_once(names, inputs, labels)
            except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError) as error:
                # what torch.func cannot do it says in many ways; the loop below fails for what is wrong in itself
                self.refused = f"{type(error).__name__}: {error}"
        return self._one_by_one(names, inputs, labels)

    def _at_once(self, names: Sequence[str], inputs: Any, labels: Tensor) -> dict[str, Tensor]:
        rows = len(labels)

        def loss_of_row(values: dict[str, Tensor], label: Tensor, *tensors: Tensor) -> Tensor:
            row = _filled(inputs, rows, iter([tensor.unsqueeze(0) for tensor in tensors]))
            output = torch.func.functional_call(self.model, values, (row,))
            return self.loss(output, label.unsqueeze(0)).sum()

        values = {f"model.{name}": self.parameters[name].detach() for name in names}
        tensors = _batched(inputs, rows)
        over = (None, *[0] * (1 + len(tensors)))
        gradients = torch.func.vmap(torch.func.grad(loss_of_row), in_dims=over, randomness="different")(
            values, labels, *tensors
        )
        return {name: gradients[f"model.{name}"].detach() for name in names}

    def _one_by_one(self, names: Sequence[str], inputs: Any, labels: Tensor) -> dict[str, Tensor]:
        rows = len(labels)
        chosen = [self.parameters[name] for name in names]
        tensors = _batched(inputs, rows)
        collected: dict[str, list[Tensor]] = {name: [] for name in names}
        for parameter in chosen:
            parameter.requires_grad_(True)
        try:
            for at in range(rows):
                row = _filled(inputs, rows, iter([tensor[at : at + 1] for tensor in tensors]))
                losses = self.loss(self.model(row), labels[at : at + 1])
                gradients = torch.autograd.grad(losses.sum(), chosen, allow_unused=True)
                for name, parameter, gradient in zip(names, chosen, gradients, strict=True):
                    collected[name].append(torch.zeros_like(parameter) if gradient is None else gradient)
        finally:
            for parameter in chosen:
                parameter.requires_grad_(False)
        return {name: torch.stack(gradients).detach() for name, gradients in collected.items()}


def _batched(inputs: Any, rows: int) -> list[Tensor]:
    """The tensors among the inputs that have a row for each example."""
    found: list[Tensor] = []
    mapped(inputs, lambda value: found.append(value) if _has_rows(value, rows) else None)
    return found


def _filled(inputs: Any, rows: int, tensors: Any) -> Any:
    return mapped(inputs, lambda value: next(tensors) if _has_rows(value, rows) else value)


def _has_rows(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == rows
