"""Variance of gradients: examples whose explanation keeps changing while the model learns are hard ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.engine.batching import Batcher
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.layers import find_layer

from .checkpoints import Checkpoints
from .data import TrainingData, moved
from .losses import loss_of
from .spec import Spec

SPAN = 4096
"""Examples whose two moments are in memory at once; each checkpoint is loaded once for each such block."""


def variance_of_gradients(
    model: nn.Module,
    dataset: Any,
    checkpoints: Any,
    *,
    layer: str | None = None,
    per_class: bool = True,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    batch_size: int | Literal["auto"] = "auto",
    interrupt: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """How much the gradient of the label's logit varies over the checkpoints: [N], larger = harder.

    The standard deviation over checkpoints for each number of the input, averaged over the input (Agarwal et al. 2020,
    arXiv:2008.11600). Memory does not grow with the number of examples.

    layer      differentiate by this module's output instead of by the input: the embedding, where inputs are tokens
    per_class  as in the paper: less the mean of the label's class, in its standard deviations
    forward    called as forward(model, inputs) instead of the model itself
    interrupt  called between chunks; it may raise

    dataset, collate and checkpoints as in TrainingIndex.build. The model is copied. Raises ParameterError for fewer than
    two checkpoints or an unknown layer, InputError for inputs that cannot be differentiated or labels that are no classes.
    """
    model = copy.deepcopy(model).eval()
    data = dataset if isinstance(dataset, TrainingData) else TrainingData(dataset, collate=collate)
    moments = checkpoints if isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints, model)
    if len(moments) < 2:
        raise ParameterError("one_checkpoint", "Nothing varies over a single checkpoint", hint="Pass two or more.")
    if data.label_kind != "class":
        raise InputError("no_classes", "The variance of gradients needs class labels")
    slope = _Slope(Spec(model, data, moments, loss_of("cross_entropy"), None, forward, 64), layer)
    batcher = Batcher(slope.spec.chunk if batch_size == "auto" else batch_size)
    values: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    for start in range(0, len(data), SPAN):
        rows = np.arange(start, min(start + SPAN, len(data)))
        mean = squares = torch.zeros(())
        for seen, checkpoint in enumerate(moments, start=1):
            checkpoint.load_into(model)
            parts = []
            for gradients, own in batcher.run(len(rows), lambda low, high, rows=rows: slope(rows[low:high])):  # type: ignore[misc]
                interrupt()
                parts.append(gradients)
                labels += [own] if seen == 1 else []
            now = torch.cat(parts)
            step = now - mean  # Welford: the two moments without a difference of large numbers
            mean = mean + step / seen
            squares = squares + step * (now - mean)
        values.append((squares / len(moments)).sqrt().mean(1).double().numpy())
    result = np.concatenate(values)
    return (_standardised(result, np.concatenate(labels)) if per_class else result).astype(np.float32)


class _Slope:
    """Gradients of the labels' logits by the input or by a module's output."""

    def __init__(self, spec: Spec, layer: str | None) -> None:
        spec.model.requires_grad_(requires_grad=False)
        self.spec = spec
        self.module = None if layer is None else find_layer(spec.model, layer)[1]

    def __call__(self, rows: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
        inputs, labels = self.spec.data.batch(rows)
        inputs, own = moved(inputs, self.spec.device), labels.to(self.spec.device)
        with torch.enable_grad(), self._point(inputs) as points:
            logits = self.spec.output(self.spec.model, points[0] if points else inputs)
            if logits.ndim != 2 or logits.shape[1] < 2 or own.shape != logits.shape[:1]:
                raise InputError(
                    "label_shape",
                    f"Labels of shape {list(own.shape)} do not name one logit each of an output {list(logits.shape)}",
                    hint="Pass forward=, a function returning logits [batch, classes].",
                )
            score = logits.gather(1, own[:, None].long()).sum()
            if not score.requires_grad:
                raise ModelError("no_gradient", "The output does not depend on what it is differentiated by")
            gradients = torch.autograd.grad(score, points, materialize_grads=True)
        return torch.cat([gradient.flatten(1).float().cpu() for gradient in gradients], 1), labels.numpy()

    @contextmanager
    def _point(self, inputs: Any) -> Iterator[list[Tensor]]:
        """What is differentiated by: in the list at once, or as soon as the layer has run."""
        if self.module is None:
            if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
                raise InputError(
                    "not_differentiable",
                    "The inputs are no single tensor of real numbers",
                    hint="Pass layer=, the name of the module whose output to differentiate by: the embedding, say.",
                )
            yield [inputs.detach().requires_grad_()]
            return
        points: list[Tensor] = []

        def replace(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor):
                raise ModelError(
                    "layer_output", f"The output of {type(output).__name__} is no tensor", hint="Name a module inside."
                )
            points.append(output.detach().requires_grad_())
            return points[-1]

        handle = self.module.register_forward_hook(replace)
        try:
            yield points
        finally:
            handle.remove()


def _standardised(values: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Less the class's mean, in its standard deviations; 0 where a class does not vary."""
    result = np.zeros_like(values)
    for label in np.unique(labels):
        own = values[labels == label]
        if own.std() > 0:
            result[labels == label] = (own - own.mean()) / own.std()
    return result
