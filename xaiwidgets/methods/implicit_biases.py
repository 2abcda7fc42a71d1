"""What of a score comes from constants: every operation as a linear map of its inputs and a bias of its own.

An operation y = f(x) is y = J x + b with its Jacobian J at x and what that leaves, b = f(x) − J x: the bias of a layer, the
shift of a batch normalisation (β − μ γ / √(σ² + ε)), an added constant, the implicit bias of a nonlinearity. Gradients go
through J, so the score is Σ x ∂f/∂x + Σ b ∂f/∂b exactly, whatever the model is composed of (Srinivas, Fleuret 2019,
arXiv:1905.00780, propositions 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.rewrite import (
    ELEMENTWISE,
    LINEAR,
    PRODUCT,
    SELECTING,
    STRUCTURAL,
    WRITING,
    Rewrite,
    active,
    mapped,
    tensors_in,
)
from xaiwidgets.engine.tape import QUESTIONS, Call

# Linear apart from the constants among their arguments.
ADDITIVE = frozenset(
    "add sub rsub cat concat concatenate stack hstack vstack dstack where masked_fill masked_scatter pad constant_pad_nd "
    "scatter index_put index_copy index_fill slice_scatter select_scatter diagonal_scatter lerp fill_ zero_ batch_norm".split()
) | (WRITING - {"copy_", "index_add_", "scatter_add_"})
# f(λ x) = λ f(x) for λ > 0: nothing is left.
HOMOGENEOUS = SELECTING | {"relu", "leaky_relu", "rrelu", "prelu", "abs"}
HUGE = torch.finfo(torch.float32).max / 4
# What they put out lies where their input lies, so that four axes are maps of an image.
IN_PLACE_OF_IMAGES = ELEMENTWISE | LINEAR | ADDITIVE | {"layer_norm", "group_norm", "instance_norm", "rms_norm"}


class Biases(Rewrite):
    """Collects b ∂f/∂b of every operation, when the gradient is taken."""

    title = "Full-gradients"
    passes: ClassVar[frozenset[str]] = STRUCTURAL

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[int, Tensor] = {}  # in the order of the forward pass
        self.images: set[int] = set()
        self.count = 0

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if name in QUESTIONS or not any(map(active, tensors_in((args, kwargs)))):
            return function(*args, **kwargs)
        call = Call(name, function, tuple(args), kwargs)
        if name in WRITING:
            bias = self._bias(call)  # before anything is written
            result = call.run()
            self.note(args[0], bias, image=name in IN_PLACE_OF_IMAGES)
            return result
        result = call.run()
        if any(map(active, tensors_in(result))):
            self.note(result, self._bias(call), image=name in IN_PLACE_OF_IMAGES)
        return result

    def note(self, tensor: Any, bias: Tensor | None, *, image: bool) -> None:
        """Multiply a bias with the gradient that arrives where it was added."""
        if bias is None or not active(tensor):
            return
        self.count += 1
        number = self.count
        if not bool(bias.any()):
            return

        def hook(gradient: Tensor) -> None:
            self.terms[number] = torch.where(gradient == 0, 0, gradient * bias)  # an infinite mask counts for nothing
            if image and gradient.ndim == 4:
                self.images.add(number)

        tensor.register_hook(hook)

    def _bias(self, call: Call) -> Tensor | None:
        factors = len(call.active())
        if call.name == "batch_norm" and call.args[5]:
            raise ModelError("batch_statistics", "Rows depend on each other in a batch normalisation that is training",
                             hint="Call model.eval(), or pass training=False.")  # fmt: skip
        if call.name in LINEAR and call.name.startswith(("linear", "conv")) and call.active() == [0]:
            return _of_layer(call)
        if call.name in ADDITIVE or (call.name in LINEAR and factors == 1):
            return _at_zero(call)
        if (
            call.name in STRUCTURAL
            or (call.name in HOMOGENEOUS and not with_constant(call))
            or (call.name in PRODUCT | {"div"} and factors == 1 and _first(call))
        ):
            return None
        return self._left(call)

    def _left(self, call: Call) -> Tensor:
        """f(x) − J x, by forward-mode differentiation."""
        depending = [tensor.detach() for tensor in tensors_in((call.args, call.kwargs)) if tensor.requires_grad]

        def function(*values: Tensor) -> Tensor:
            following: Iterator[Tensor] = iter(values)
            return replaced(call, lambda _: next(following)).run()  # type: ignore[no-any-return]

        # Where an input is infinite or nearly so (a mask before a softmax), nothing depends on it.
        along = tuple(one.masked_fill(~(one.abs() < HUGE), 0) for one in depending)
        try:
            value, slope = torch.func.jvp(function, tuple(depending), along)[:2]
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise self.uncovered(call.name, f"Its linear part cannot be told: {error}") from error
        return value - slope  # type: ignore[no-any-return]


def with_constant(call: Call) -> bool:
    """Whether the larger or smaller of two is one of a tensor and a constant."""
    tensors = list(tensors_in((call.args, call.kwargs)))
    return call.name in SELECTING and len(tensors) == 2 and not all(map(active, tensors))


def replaced(call: Call, function: Callable[[Tensor], Any]) -> Call:
    """The call with what depends on the input replaced."""

    def put(value: Any) -> Any:
        return function(value) if active(value) else value

    return replace(call, args=mapped(call.args, put), kwargs=mapped(call.kwargs, put))


def _first(call: Call) -> bool:
    """Whether a product or quotient depends on the input through a factor or the dividend."""
    return call.name != "div" or call.active() == [0]


def _of_layer(call: Call) -> Tensor | None:
    bias = call.given(2, "bias")
    if bias is None or call.name == "linear":
        return bias  # type: ignore[no-any-return]
    return bias.reshape(-1, *(1,) * (call.args[1].ndim - 2))  # type: ignore[no-any-return]


def _at_zero(call: Call) -> Tensor:
    """What comes out when everything that depends on the input is zero."""
    zeros = replaced(call, torch.zeros_like)
    if call.name not in WRITING:
        return zeros.run()  # type: ignore[no-any-return]
    target = zeros.args[0].clone()
    replace(zeros, args=(target, *zeros.args[1:])).run()
    return target  # type: ignore[no-any-return]
