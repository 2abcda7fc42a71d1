"""Gradients of single examples: one forward pass and one backward pass through the activations.

The gradient of a weight is never formed for each example. What a layer was given and the gradient of what it put out are
its factors; every product that training examples are judged by can be had from those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.errors import ModelError, did_you_mean
from xaiwidgets.engine.state import eager
from .called import Called
from .factors import Gradients, Parameter
from .fallback import Fallback
from .layouts import WHOLE, Layout, measured, weights_of
from .products import Formed, Part
from .watching import Key, Use, Watch

Loss = Callable[[Tensor, Tensor], Tensor]
__all__ = ["Gradients", "Loss", "Recorder"]


class Recorder:
    """Records the gradients of a model's losses, a chunk of examples at a time.

    model   a private copy: it is frozen, and stays so
    loss    of (output, labels), one number a row
    layers  names of modules or parameters; None: every parameter that is trained
    call    call(model, inputs) -> output, where inputs are not given by position or keyword

    parameters  those that gradients are recorded for, by name; of tied ones the first name
    left_out    the other parameters' names, and why
    fallback    parameters whose gradients are formed row by row, and why
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        *,
        layers: Sequence[str] | None = None,
        call: Callable[[nn.Module, Any], Any] | None = None,
    ) -> None:
        self.model, self.loss = Called(model, call), loss
        self.parameters, self.left_out = _chosen(model, layers)
        self.fallback: dict[str, str] = {}
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self._loop = Fallback(self.model, loss, self.parameters)
        self._layouts: dict[Key, Layout] = {}
        self._copies: set[Key] = set()

    def record(self, inputs: Any, labels: Tensor) -> Gradients:
        """The gradients of one chunk: inputs a tensor, a tuple (by position) or a dict (by keyword); labels [B, ...]."""
        rows = len(labels)
        with torch.inference_mode(mode=False), torch.enable_grad(), eager(needed=True):
            watch, output, losses = self._watched(inputs, labels)
            self.fallback.update({name: f"used by {what}" for name, what in watch.unknown.items()})
            uses = [use for use in watch.uses if set(use.plan.names) - {""} - set(self.fallback)]
            gradients = self._gradients(uses, losses, rows)
            parts: dict[str, list[Part]] = {}
            for use, gradient in zip(uses, gradients, strict=True):
                if gradient is not None:
                    for name, part in self._built(use, gradient, rows):
                        parts.setdefault(name, []).append(part)
            wanting = [name for name in self.parameters if name in self.fallback]
            if wanting:
                formed = self._loop.gradients(wanting, inputs, labels)
                parts.update({name: [Formed(_wide(values))] for name, values in formed.items()})
        return Gradients(
            _wide(losses.detach()),
            output.detach(),
            {name: Parameter(parts[name], one.shape) for name, one in self.parameters.items() if name in parts},
            {name: parameter.shape for name, parameter in self.parameters.items()},
        )

    def _watched(self, inputs: Any, labels: Tensor) -> tuple[Watch, Tensor, Tensor]:
        names = {id(parameter): name for name, parameter in self.parameters.items() if name not in self.fallback}
        while True:
            watch = Watch(names, self._copies)
            with watch:
                output = self.model(inputs)
            losses = self.loss(output, labels)
            if losses.shape != labels.shape[:1]:
                raise ModelError(
                    "loss_shape",
                    f"The loss has shape {tuple(losses.shape)} for {len(labels)} rows",
                    hint="It must be one number a row: reduction='none'.",
                )
            overwritten = {use.key for use in watch.uses if use.overwritten()}
            if not overwritten:
                return watch, output, losses
            self._copies |= overwritten

    def _gradients(self, uses: list[Use], losses: Tensor, rows: int) -> Sequence[Tensor | None]:
        """Of the outputs of the operations; the first time also where the rows lie in them."""
        if not uses or not losses.requires_grad:
            return [None] * len(uses)
        edges = [use.edge for use in uses]
        new = rows > 1 and any(not self._placed(use, rows) for use in uses)
        gradients = torch.autograd.grad(losses.sum(), edges, allow_unused=True, retain_graph=new)
        if new:
            weights = weights_of(rows, losses)
            weighted = torch.autograd.grad((weights * losses).sum(), edges, allow_unused=True)
            for use, plain, other in zip(uses, gradients, weighted, strict=True):
                if plain is not None and other is not None and not self._placed(use, rows):
                    self._place(use, plain, other, weights)
        return gradients

    def _placed(self, use: Use, rows: int) -> bool:
        layout = self._layouts.get(use.key)
        return layout is not None and layout.fits(use.lead, rows)

    def _place(self, use: Use, plain: Tensor, weighted: Tensor, weights: Tensor) -> None:
        if not bool(weighted.any()):
            return
        layout, misfit = measured(use.lead, len(weights), plain, weighted, weights)
        if layout is not None and misfit < (1e-3 if plain.dtype in (torch.float16, torch.bfloat16) else 1e-6):
            self._layouts[use.key] = layout
        else:
            self.fallback.update(dict.fromkeys(filter(None, use.plan.names), "its rows are not those of the batch"))

    def _built(self, use: Use, gradient: Tensor, rows: int) -> list[tuple[str, Part]]:
        layout = WHOLE if rows == 1 else self._layouts.get(use.key)
        if layout is None:  # every gradient was zero, or the rows are elsewhere
            return []
        depth = len(use.lead)

        def by_row(tensor: Tensor) -> Tensor:
            if rows == 1:
                return tensor.reshape(1, -1, *tensor.shape[depth:])
            return layout.by_row(tensor, depth, rows)

        wide = _wide(gradient)
        built = use.plan.build(wide, lambda tensor: by_row(_wide(tensor)))
        return [(name, part) for name, part in built if name not in self.fallback]


def _chosen(model: nn.Module, layers: Sequence[str] | None) -> tuple[dict[str, nn.Parameter], dict[str, str]]:
    parameters, left_out = {}, {}
    every = dict(model.named_parameters())
    known = {*every, *dict(model.named_modules())} - {""}
    for layer in layers or ():
        if layer not in known:
            raise ModelError("unknown_layer", f"The model has no layer {layer!r}", hint=did_you_mean(layer, known))
    for name, parameter in every.items():
        if layers is not None and not any(name == layer or name.startswith(f"{layer}.") for layer in layers):
            left_out[name] = "not in layers"
        elif layers is None and not parameter.requires_grad:
            left_out[name] = "frozen"
        else:
            parameters[name] = parameter
    if not parameters:
        raise ModelError(
            "no_parameters",
            "There is no parameter to take gradients for",
            hint="Every parameter is frozen: name layers, or set requires_grad.",
        )
    return parameters, left_out


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
