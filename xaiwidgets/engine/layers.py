"""Layers of the user's model: finding them by name or by shape, and watching what comes out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ModelError, ParameterError, did_you_mean

LayerLike = nn.Module | str | None


def open_module(module: nn.Module | None) -> nn.Module:
    """The module, if its layers can be watched."""
    if module is None:
        raise ModelError(
            "no_layers", "The model is a plain function, so it has no layers", hint="Pass the torch module itself."
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "no_layers",
            "The layers of a scripted or traced model cannot be watched",
            hint="Pass the module it was made from, or use a method that needs no layer.",
        )
    return module


def find_layer(module: nn.Module | None, layer: nn.Module | str) -> tuple[str, nn.Module]:
    """The dotted name and the module of a layer given as either."""
    named = dict(open_module(module).named_modules())
    if isinstance(layer, str):
        name = layer.removeprefix("_orig_mod.")
        if name in named:
            return name, named[name]
        raise ParameterError(
            "unknown_layer", f"The model has no layer {layer!r}", hint=did_you_mean(layer, filter(None, named))
        )
    layer = getattr(layer, "_orig_mod", layer)
    for name, part in named.items():
        if part is layer:
            return name, part
    raise ParameterError(
        "unknown_layer",
        f"The layer {type(layer).__name__} is not part of this model",
        hint=did_you_mean("", filter(None, named)),
    )


def unseen() -> AbstractContextManager[None]:
    """What is done inside is hidden from every `TorchFunctionMode`: it is ours, not the model's."""
    return torch._C.DisableTorchFunction()  # noqa: SLF001  # has no public name


def first_tensor(output: Any) -> Tensor | None:
    """What a layer puts out: a tensor, or the first of a tuple."""
    first = output[0] if isinstance(output, tuple) and output else output
    return first if isinstance(first, Tensor) else None


@contextmanager
def tapped(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what the layer puts out, one tensor a call, still attached to the graph.

    The model goes on with a copy: an in-place operation after the layer would otherwise overwrite what was collected
    (and move its gradient to the other side of that operation).
    """
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _arguments: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            seen.append(output)
            return output.clone()
        if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
            seen.append(output[0])
            rest = (output[0].clone(), *output[1:])
            return type(output)(*rest) if hasattr(output, "_fields") else rest
        return output

    handle = layer.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def call_order(module: nn.Module, accept: Callable[[Tensor], bool]) -> Iterator[list[str]]:
    """Names of the layers whose output is accepted, in the order in which they finished."""
    order: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor) and accept(output):
                order.append(name)

        return hook

    handles = [part.register_forward_hook(watch(name)) for name, part in module.named_modules() if name]
    try:
        yield order
    finally:
        for handle in handles:
            handle.remove()
