"""What probably went wrong in a model, said in terms of what the caller can change."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .errors import ModelError

_FINITE = {
    "score": (
        "non_finite_score",
        "The model's score is NaN or infinite",
        "Check the input's scaling and the weights; a log-probability may be infinite at a baseline.",
    ),
    "gradient": (
        "non_finite_gradient",
        "The gradient of the score is NaN or infinite",
        "Look for a division, root or logarithm at zero in the model; half precision may overflow.",
    ),
}


def diagnose(error: Exception, module: nn.Module | None, leaf: Tensor) -> ModelError:
    """Name the usual reasons why a forward pass fails; the model's own words stay in the detail."""
    said = f"{type(error).__name__}: {error}"
    weight = next(module.parameters(), None) if module is not None else None
    if weight is not None and weight.device != leaf.device:
        return ModelError(
            "device_mismatch",
            f"The model is on {weight.device}, the input on {leaf.device}",
            said,
            f"Move the input: inputs.to({str(weight.device)!r}).",
        )
    if weight is not None and weight.is_floating_point() and weight.dtype != leaf.dtype:
        return ModelError(
            "dtype_mismatch",
            f"The model computes in {weight.dtype}, the input is {leaf.dtype}",
            said,
            f"Convert the input: inputs.to({weight.dtype}).",
        )
    return ModelError(
        "forward_failed",
        f"The model's forward pass failed on an input of shape {list(leaf.shape)}",
        said,
        "Check that model(inputs) runs on its own, with the batch as the first axis; pass a dict for keyword "
        "arguments, a tuple for several.",
    )


def diagnose_backward(error: Exception) -> ModelError:
    """The same of a backward pass."""
    said = f"{type(error).__name__}: {error}"
    if "checkpoint" in said:
        return ModelError(
            "checkpointing",
            "Activation checkpointing stands in the way of this gradient",
            said,
            "Switch it off for the explanation, for example with model.gradient_checkpointing_disable(), or use "
            "torch.utils.checkpoint with use_reentrant=False.",
        )
    if "inplace operation" in said:
        return ModelError(
            "overwritten",
            "The model overwrites in place what its own gradient needs",
            said,
            "Let it work out of place there, or use a method that needs no gradient, such as occlusion.",
        )
    return ModelError(
        "backward_failed",
        "The model cannot be differentiated",
        said,
        "Check that model(inputs).sum().backward() runs on its own, or use a method that needs no gradient.",
    )


def require_finite(tensor: Tensor, what: Literal["score", "gradient"]) -> None:
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        code, title, hint = _FINITE[what]
        raise ModelError(code, title, f"{int((~finite).sum())} of {tensor.numel()} values are", hint)


def require_graph(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise ModelError(
            "not_differentiable",
            "The score does not depend differentiably on the explained tensor",
            "The graph between them is cut, for example by argmax, rounding, .detach(), .item() or no_grad.",
            "Use a perturbation method such as occlusion, or explain a differentiable score.",
        )
    return gradient
