"""Weights from files, modules, state dicts or functions, and whether they fit a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

State = dict[str, Tensor]

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.pt")
"""File names looked for inside a folder that is a checkpoint."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts put the weights beside the optimiser's state."""
PREFIXES = ("module.", "_orig_mod.")
"""What nn.DataParallel and torch.compile put before every name."""


class Unusable(Exception):  # noqa: N818 - becomes an entry of `missing`, or a ModelError
    """Why one checkpoint cannot be used."""


@dataclass(frozen=True)
class File:
    """A file of weights, or a folder that holds one; read anew each time."""

    path: Path

    def state(self, _: nn.Module) -> State:
        weights = weights_file(self.path)
        if weights is None:
            raise Unusable("there is no such file" if not self.path.exists() else "it is not a file of weights")
        try:
            if weights.suffix == ".safetensors":
                return load_file(weights)
            return _unwrapped(torch.load(weights, map_location="cpu", weights_only=True))
        except Unusable:
            raise
        except Exception as error:  # each reader has errors of its own for a file it cannot read
            raise Unusable(f"it cannot be read ({type(error).__name__}: {str(error).partition(chr(10))[0]})") from error


@dataclass(frozen=True, eq=False)
class Held:
    """Weights in memory."""

    weights: State

    def state(self, _: nn.Module) -> State:
        return self.weights


@dataclass(frozen=True, eq=False)
class Made:
    """What a function of the model (and a number) returns, or makes of the model it is given."""

    function: Callable[..., Any]
    number: int | None = None

    def state(self, model: nn.Module) -> State:
        try:
            made = self.function(model) if self.number is None else self.function(model, self.number)
        except Exception as error:  # the user's function may fail in any way; the other checkpoints go on
            raise Unusable(f"its function failed ({type(error).__name__}: {error})") from error
        if isinstance(made, Mapping):
            return _unwrapped(made)
        return _tensors(made if isinstance(made, nn.Module) else model)


Source = File | Held | Made


def source_of(given: Any) -> Source:
    """How to get at the weights of what the caller passed; modules and state dicts are copied."""
    if isinstance(given, str | Path):
        return File(Path(given))
    if isinstance(given, nn.Module):
        given = _tensors(given)
    if isinstance(given, Mapping):
        return Held({name: value.detach().clone() for name, value in _unwrapped(given).items()})
    if isinstance(given, Made):
        return given
    if callable(given):
        return Made(given)
    raise Unusable(f"{type(given).__name__} is neither a file, a module, a state dict nor a function")


def weights_file(path: Path) -> Path | None:
    """The file itself, or the one inside a folder; None if there is none."""
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    return next((path / name for name in WEIGHTS if (path / name).is_file()), None) if path.is_dir() else None


def _unwrapped(content: Any) -> State:
    """The weights inside what a training script saved."""
    key = next(
        (key for key in WRAPPERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)), None
    )
    content = content if key is None else content[key]
    if not isinstance(content, Mapping) or not content:
        raise Unusable(f"it holds a {type(content).__name__}, not a state dict")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise Unusable("it holds no tensors")
    return state


def _tensors(module: nn.Module) -> State:
    return {name: value for name, value in module.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


def fitted(model: nn.Module, state: State) -> State:
    """The model's tensors by the names the weights have in `state`; raises if they do not belong together.

    One name of tied weights is enough, as safetensors files have it, and batch norm's counters may be absent.
    """
    own = _tensors(model)
    prefix = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in state)), "")
    given = {name.removeprefix(prefix): name for name in state}
    there = {id(own[name]) for name in given if name in own}
    absent = [
        name for name, value in own.items()
        if name not in given and id(value) not in there and not name.endswith("num_batches_tracked")
    ]  # fmt: skip
    unknown = [name for name in given if name not in own]
    if absent or unknown:
        parts = [f"{what} {few(names)}" for what, names in (("without", absent), ("unknown:", unknown)) if names]
        raise Unusable(f"it does not fit the model ({'; '.join(parts)})")
    for name, key in given.items():
        if state[key].shape != own[name].shape:
            shapes = f"{list(state[key].shape)} instead of {list(own[name].shape)}"
            raise Unusable(f"it does not fit the model ({name} is {shapes})")
        if state[key].is_floating_point() and not bool(state[key].isfinite().all()):
            raise Unusable(f"{name} holds numbers that are not finite")
    return {key: own[name] for name, key in given.items()}


def few(names: list[str]) -> str:
    """Some names, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def hash_of(state: State, names: Iterable[str]) -> str:
    """Of names, types, shapes and contents."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(names):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{value.dtype}{list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def model_hash(model: nn.Module) -> str:
    """Of the model's form: class, names, shapes and types of everything in its state dict."""
    form = [(name, str(value.dtype), list(value.shape)) for name, value in _tensors(model).items()]
    return hashlib.blake2b(json.dumps([type(model).__qualname__, form]).encode(), digest_size=16).hexdigest()
