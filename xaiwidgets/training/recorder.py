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

from .audit import unaccounted
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

    model   a private copy: it is frozen, and stays so. Other weights may be loaded into it between two chunks
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
        every = list(model.parameters())
        for parameter in every:
            parameter.requires_grad_(False)
        self._tensors = [*every, *model.buffers()]
        self._loop = Fallback(self.model, loss, self.parameters)
        self._layouts: dict[Key, Layout] = {}
        self._overwritten: set[Key] = set()
        self._shared: set[Key] = set()
        self._audited = 0  # rows of the largest chunk that was audited, as far as two

    def record(self, inputs: Any, labels: Tensor) -> Gradients:
        """The gradients of one chunk: inputs a tensor, a tuple (by position) or a dict (by keyword); labels [B, ...]."""
        with torch.inference_mode(mode=False), torch.enable_grad(), eager(needed=True):
            gradients = self._recorded(inputs, labels)
            if self._audited < min(2, gradients.rows) and bool(gradients.losses.isfinite().all()):
                gradients = self._audit(gradients, inputs, labels)
        return gradients

    def _audit(self, gradients: Gradients, inputs: Any, labels: Tensor) -> Gradients:
        """Once, and once with several rows: what does not add up is formed; what then still does not is an error."""
        question = self.model, self.loss, self.parameters, (inputs, labels)
        wrong = unaccounted(*question, gradients)
        if set(wrong) - set(self.fallback):
            self.fallback.update(dict.fromkeys(wrong, "part of its gradient cannot be seen"))
            gradients = self._recorded(inputs, labels)
            wrong = unaccounted(*question, gradients)
        if wrong:
            raise ModelError(
                "rows_interact",
                f"The gradients of single examples do not add up to the batch's ({wrong[0]})",
                "The loss of an example depends on the rows beside it, or the model draws random numbers.",
                "Put the model into evaluation mode with model.eval(), and let the loss of a row depend on that row only.",
            )
        self._audited = min(2, gradients.rows)
        return gradients

    def _recorded(self, inputs: Any, labels: Tensor) -> Gradients:
        rows = len(labels)
        watch, output, losses, gradients = self._passed(inputs, labels)
        parts: dict[str, list[Part]] = {}
        for use, gradient in zip(watch.uses, gradients, strict=True):
            if gradient is not None:
                for name, part in self._built(use, gradient, rows):
                    parts.setdefault(name, []).append(part)
        for name in [name for name in parts if name in watch.made]:
            for leaf, part in watch.made[name].returned(parts.pop(name)):
                parts.setdefault(leaf, []).append(part)
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

    def _passed(self, inputs: Any, labels: Tensor) -> tuple[Watch, Tensor, Tensor, Sequence[Tensor | None]]:
        """Forward and backward, again as long as something turns out to be otherwise than it was taken for."""
        while True:
            known = len(self._overwritten) + len(self._shared)
            watch, output, losses = self._watched(inputs, labels)
            self.fallback.update({name: f"used by {what}" for name, what in watch.unknown.items()})
            self._overwritten.update(use.key for use in watch.uses if use.overwritten())
            watch.uses = [use for use in watch.uses if watch.parameters_of(use.plan.names) - set(self.fallback)]
            gradients = self._gradients(watch, losses, len(labels))
            if known == len(self._overwritten) + len(self._shared):
                return watch, output, losses, gradients

    def _watched(self, inputs: Any, labels: Tensor) -> tuple[Watch, Tensor, Tensor]:
        wanted = {name: one for name, one in self.parameters.items() if name not in self.fallback}
        watch = Watch(wanted, self._tensors, len(labels), overwritten=self._overwritten, shared=self._shared)
        with watch:
            output = self.model(inputs)
        losses = self.loss(output, labels)
        if losses.shape != labels.shape[:1]:
            raise ModelError(
                "loss_shape",
                f"The loss has shape {tuple(losses.shape)} for {len(labels)} rows",
                hint="It must be one number a row: reduction='none'.",
            )
        return watch, output, losses

    def _gradients(self, watch: Watch, losses: Tensor, rows: int) -> Sequence[Tensor | None]:
        """Of the outputs of the operations; the first time also where the rows lie in them."""
        if not watch.uses or not losses.requires_grad:
            return [None] * len(watch.uses)
        edges = [use.edge for use in watch.uses]
        new = rows > 1 and any(not self._placed(use, rows) for use in watch.uses)
        gradients = torch.autograd.grad(losses.sum(), edges, allow_unused=True, retain_graph=new)
        if new:
            finite = losses.detach().isfinite()
            weights = weights_of(rows, losses) * finite
            weighted = torch.autograd.grad(losses[finite] @ weights[finite], edges, allow_unused=True)
            for use, plain, other in zip(watch.uses, gradients, weighted, strict=True):
                if plain is not None and other is not None and not self._placed(use, rows):
                    self._place(watch, use, plain, other, weights)
        return gradients

    def _placed(self, use: Use, rows: int) -> bool:
        layout = self._layouts.get(use.key)
        return layout is not None and layout.fits(use.lead, rows)

    def _place(self, watch: Watch, use: Use, plain: Tensor, weighted: Tensor, weights: Tensor) -> None:
        plain, weighted = (one.nan_to_num(0, 0, 0) for one in (plain, weighted))  # of rows whose loss is none
        if not bool(weighted.any()):
            return
        layout, misfit = measured(use.lead, len(weights), plain, weighted, weights)
        if layout is not None and misfit < (1e-3 if plain.dtype in (torch.float16, torch.bfloat16) else 1e-4):
            self._layouts[use.key] = layout
        elif use.copied:
            self._shared.add(use.key)
        else:
            why = "its output's rows are not those of the batch"
            self.fallback.update(dict.fromkeys(watch.parameters_of(use.plan.names), why))

    def _built(self, use: Use, gradient: Tensor, rows: int) -> list[tuple[str, Part]]:
        layout = WHOLE if rows == 1 else self._layouts.get(use.key)
        if layout is None:  # every gradient was zero, or the rows are elsewhere
            return []
        depth = len(use.lead)

        def by_row(tensor: Tensor) -> Tensor:
            if rows == 1:
                return _wide(tensor).reshape(1, -1, *tensor.shape[depth:])
            return layout.by_row(_wide(tensor), depth, rows)

        built = use.plan.build(_wide(gradient), by_row)
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
