"""The loss of each example: what influence is measured on, and what else its output says about the example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError, did_you_mean

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100
"""The label of a position that does not count, as in PyTorch."""


def cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    """[B] of logits [B, V] and classes [B] or probabilities [B, V]; of deeper outputs the mean over labelled places.

    Deeper: [B, T, V] with labels [B, T], or [B, V, ...] with labels [B, ...]; a label of -100 does not count.
    """
    if labels.is_floating_point():
        _same_shape(output, labels, "cross_entropy")
        return -(labels * output.log_softmax(1)).sum(1)
    logits, labels = _classes_last(output, labels)
    _check_range(logits, labels)
    losses = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return _mean_over_places(losses.reshape(labels.shape), labels != IGNORED)


def margin(output: Tensor, labels: Tensor) -> Tensor:
    """[B] −log(p / (1 − p)) of the label's probability p: its logit against all others together."""
    if output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1):
        logit = output.reshape(len(output))
        return -logit * (2 * labels.reshape(len(output)).to(logit.dtype) - 1)
    logits, labels = _classes_last(output, labels)
    _check_range(logits, labels)
    valid = labels != IGNORED
    index = labels.clamp(min=0).unsqueeze(-1)
    chosen = logits.gather(-1, index).squeeze(-1)
    others = logits.scatter(-1, index, -torch.inf).logsumexp(-1)
    return _mean_over_places(torch.where(valid, others - chosen, torch.zeros_like(chosen)), valid)


def binary_cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    """[B] of logits and labels in 0..1, both [B], [B, 1] or [B, outputs]; the mean over several outputs."""
    output, labels = output.flatten(1) if output.ndim > 1 else output[:, None], labels.to(output.dtype)
    labels = labels.flatten(1) if labels.ndim > 1 else labels[:, None]
    _same_shape(output, labels, "binary_cross_entropy")
    return functional.binary_cross_entropy_with_logits(output, labels, reduction="none").mean(1)


def squared_error(output: Tensor, labels: Tensor) -> Tensor:
    """[B] of outputs and numbers of the same shape; the mean over several outputs."""
    output, labels = output.flatten(1) if output.ndim > 1 else output[:, None], labels.to(output.dtype)
    labels = labels.flatten(1) if labels.ndim > 1 else labels[:, None]
    _same_shape(output, labels, "squared_error")
    return (output - labels).square().mean(1)


NAMED: dict[str, Loss] = {
    function.__name__: function for function in (cross_entropy, binary_cross_entropy, squared_error, margin)
}


@dataclass(frozen=True)
class Checked:
    """A loss that makes sure of one number a row."""

    function: Loss
    name: str

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        losses = self.function(output, labels)
        if not isinstance(losses, Tensor) or losses.shape != output.shape[:1]:
            found = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise ModelError(
                "loss_shape",
                f"The loss {self.name} gave {found} for {output.shape[0]} rows",
                hint="Return one number for each row, before any mean: reduction='none'.",
            )
        return losses


def loss_of(loss: str | Loss) -> Checked:
    """A loss by name, or a function of (output, labels) that returns [B]; the result checks that it does."""
    if isinstance(loss, Checked):
        return loss
    if isinstance(loss, str):
        if loss not in NAMED:
            raise ParameterError("unknown_loss", f"There is no loss {loss!r}", hint=did_you_mean(loss, NAMED))
        return Checked(NAMED[loss], loss)
    if not callable(loss):
        raise ParameterError(
            "unknown_loss", f"{loss!r} is not a loss", hint=f"One of {', '.join(NAMED)}, or a function."
        )
    return Checked(loss, _name_of(loss))


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What an output says about its example, one number each: NaN (predicted: -1) where it has no meaning.

    predicted    int32 [B] the class with the largest logit
    confidence   float32 [B] probability of the label
    margin       float32 [B] logit of the label minus the largest other
    el2n         float32 [B] distance of the probabilities from the label's (Paul et al. 2021)
    Of outputs with several labelled places: the mean over them, and no predicted class.
    """

    predicted: Tensor
    confidence: Tensor
    margin: Tensor
    el2n: Tensor


@torch.no_grad()
def outcomes(output: Tensor, labels: Tensor, loss: str | Loss = "cross_entropy") -> Outcomes:
    """Read an output [B, ...] under its loss; regression has no classes, so nothing to say."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", "")
    rows = len(output)
    nothing = output.new_full((rows,), torch.nan, dtype=torch.float32)
    if output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1):
        if name not in ("binary_cross_entropy", "margin"):
            return Outcomes(output.new_full((rows,), -1, dtype=torch.int32), nothing, nothing, nothing)
        single = output.reshape(rows)
        output = torch.stack([torch.zeros_like(single), single], 1)
        labels = (labels.reshape(rows) > 0.5).long()
    if labels.is_floating_point() and labels.shape == output.shape and name == "cross_entropy":
        labels = labels.argmax(1)
    try:
        logits, labels = _classes_last(output, labels)
    except InputError:
        labels = labels.float()
    if labels.is_floating_point() or name == "squared_error":
        return Outcomes(output.new_full((rows,), -1, dtype=torch.int32), nothing, nothing, nothing)
    logits = logits.float()
    valid, index = labels != IGNORED, labels.clamp(min=0).unsqueeze(-1)
    probabilities = logits.softmax(-1)
    confidence = probabilities.gather(-1, index).squeeze(-1)
    others = logits.scatter(-1, index, -torch.inf).amax(-1)
    gap = logits.gather(-1, index).squeeze(-1) - others
    distance = probabilities.scatter_add(-1, index, -torch.ones_like(index, dtype=probabilities.dtype)).norm(dim=-1)
    predicted = logits.argmax(-1).int() if labels.ndim == 1 else labels.new_full((rows,), -1, dtype=torch.int32)
    return Outcomes(predicted, *(_mean_over_places(values, valid) for values in (confidence, gap, distance)))


def predicted_labels(output: Tensor, loss: str | Loss) -> Tensor:
    """The class each row is taken for: the label to ask about where none was given."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", "")
    if name in ("binary_cross_entropy", "margin") and (output.ndim == 1 or output.shape[1:] == (1,)):
        return (output > 0).to(torch.int64 if name == "margin" else output.dtype)
    if output.ndim != 2 or output.shape[1] < 2 or name in ("binary_cross_entropy", "squared_error"):
        raise InputError(
            "labels_needed",
            f"An output of shape {list(output.shape)} with the loss {name} predicts no class",
            hint="Pass labels=, in the form the training labels have.",
        )
    return output.argmax(1)


def _classes_last(output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, ..., V] and labels [B, ...]."""
    if labels.ndim == 2 and labels.shape[1] == 1 and output.ndim == 2:
        labels = labels[:, 0]
    if output.ndim >= 2 and output.shape[:-1] == labels.shape:
        return output, labels
    if output.ndim >= 3 and (output.shape[0], *output.shape[2:]) == tuple(labels.shape):
        return output.movedim(1, -1), labels
    raise InputError(
        "label_shape",
        f"Labels of shape {list(labels.shape)} do not fit an output of shape {list(output.shape)}",
        hint="Logits [batch, classes] go with classes [batch]; [batch, tokens, words] with [batch, tokens].",
    )


def _mean_over_places(values: Tensor, valid: Tensor) -> Tensor:
    if values.ndim == 1:
        return values
    values, valid = values.flatten(1), valid.flatten(1)
    return (values * valid).sum(1) / valid.sum(1).clamp(min=1)


def _same_shape(output: Tensor, labels: Tensor, name: str) -> None:
    if output.shape != labels.shape:
        raise InputError(
            "label_shape",
            f"{name}: labels of shape {list(labels.shape)} do not fit an output of shape {list(output.shape)}",
        )


def _check_range(logits: Tensor, labels: Tensor) -> None:
    """On a device an index out of range would end the process's use of it; under vmap nothing can be asked."""
    if torch._C._functorch.is_functorch_wrapped_tensor(labels):  # noqa: SLF001  # torch has no public word for it
        return
    wrong = labels[((labels < 0) & (labels != IGNORED)) | (labels >= logits.shape[-1])]
    if len(wrong):
        raise InputError(
            "label_range",
            f"Label {int(wrong[0])} does not exist: the model has {logits.shape[-1]} classes",
            hint=f"Labels are 0 to {logits.shape[-1] - 1}.",
        )


def _name_of(loss: Any) -> str:
    if isinstance(loss, nn.Module):
        return repr(loss)
    module, name = getattr(loss, "__module__", ""), getattr(loss, "__qualname__", type(loss).__name__)
    return f"{module}.{name}" if module else name
