"""The model at several moments of its training: weights from files, modules, state dicts or a function."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from xaiwidgets.engine.errors import ModelError, ParameterError

State = dict[str, Tensor]

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.pt")
"""File names looked for inside a folder that is a checkpoint."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts put the weights beside the optimiser's state."""
PREFIXES = ("module.", "_orig_mod.")
"""What nn.DataParallel and torch.compile put before every name."""


class _Unusable(Exception):  # noqa: N818 - becomes an entry of `missing`, or a ModelError
    """Why one checkpoint cannot be used."""


@dataclass(frozen=True)
class _File:
    path: Path

    def state(self, _: nn.Module) -> State:
        weights = _weights(self.path)
        if weights is None:
            raise _Unusable("there is no such file" if not self.path.exists() else "it is not a file of weights")
        try:
            if weights.suffix == ".safetensors":
                return load_file(weights)
            return _unwrapped(torch.load(weights, map_location="cpu", weights_only=True))
        except _Unusable:
            raise
        except Exception as error:  # each reader has errors of its own for a file it cannot read
            raise _Unusable(
                f"it cannot be read ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
            ) from error


@dataclass(frozen=True, eq=False)
class _Held:
    weights: State

    def state(self, _: nn.Module) -> State:
        return self.weights


@dataclass(frozen=True, eq=False)
class _Made:
    function: Callable[..., Any]
    number: int | None = None

    def state(self, model: nn.Module) -> State:
        made = self.function(model) if self.number is None else self.function(model, self.number)
        return (
            _tensors(made if isinstance(made, nn.Module) else model)
            if not isinstance(made, Mapping)
            else _unwrapped(made)
        )


Source = _File | _Held | _Made


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One set of weights; `hash` is of its contents, `number` its column in an index."""

    name: str
    number: int
    learning_rate: float
    hash: str
    source: Source = field(repr=False)

    @property
    def file(self) -> str | None:
        """Where the weights are, if they are in a file."""
        return str(self.source.path.absolute()) if isinstance(self.source, _File) else None

    def load_into(self, model: nn.Module) -> None:
        """Put the weights into a model of the same form, in place, in the model's own precision."""
        try:
            state = self.source.state(model)
            with torch.no_grad():
                for name, tensor in _fitted(model, state).items():
                    tensor.copy_(state[name])
        except _Unusable as why:
            raise ModelError(
                "checkpoint_gone", f"Checkpoint {self.name} was there and is no longer usable", str(why)
            ) from why


class Checkpoints(Sequence[Checkpoint]):
    """Those that fit the model; `missing` names the others and says why.

    given           a list of: paths of state dicts (.safetensors, or torch files, which are read with weights_only=True),
                    folders holding one, modules, state dicts, functions of the model. Or one of these; a folder of
                    checkpoint files; or (function, count) for `function(model, number)`. A function returns a state dict
                    or a module, or changes the model it is given and returns None.
    learning_rates  what each step was multiplied by when the checkpoint was taken: None (1 each), one, or one for each

    Modules and state dicts are copied: training on does not change what was passed. `notes` says what the caller should know.
    Raises ModelError if nothing is usable, ParameterError for impossible learning rates.
    """

    def __init__(self, given: Any, model: nn.Module, *, learning_rates: float | Sequence[float] | None = None) -> None:
        sources = _sources(given)
        rates = _rates(learning_rates, len(sources))
        self.missing: list[tuple[str, str]] = []
        self._all: list[Checkpoint] = []
        for (name, given_as), rate in zip(sources, rates, strict=True):
            try:
                source = _source(given_as)
                state = source.state(copy.deepcopy(model) if isinstance(source, _Made) else model)
                fitted = _fitted(model, state)
                self._all.append(Checkpoint(name, len(self._all), rate, _hash(state, fitted), source))
            except _Unusable as why:
                self.missing.append((name, str(why)))
        if not self._all:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.missing)
            raise ModelError(
                "no_checkpoints",
                "None of the checkpoints can be used" if self.missing else "There are no checkpoints",
                reasons,
                "Pass state dicts of this very model: files, modules or dicts.",
            )
        self.notes = tuple(_notes(self._all, learning_rates))

    def indexed(self, rows: Sequence[Sequence[Any]], missing: Sequence[Sequence[str]]) -> Checkpoints:
        """Those an index was built of, under its names, numbers and learning rates.

        rows      name, hash and learning rate of each in the index; `missing` what it was built without, and why

        What the index has and these have not, and the other way round, is missing too. Raises ModelError if none is left.
        """
        known = {one.hash: one for one in self}
        chosen = [
            replace(known[content], name=name, number=number, learning_rate=rate)
            for number, (name, content, rate) in enumerate(rows)
            if content in known
        ]
        used = {one.hash for one in chosen}
        gone = [name for name, content, _ in rows if content not in used]
        said = dict(self.missing)
        if not chosen:
            why = "; ".join(f"{name}: {said.get(name, 'not passed')}" for name in gone)
            raise ModelError(
                "other_checkpoints",
                "The index was built of other checkpoints",
                why,
                "Pass the checkpoints it was built of, or build it again.",
            )
        result = copy.copy(self)
        result._take(chosen)  # noqa: SLF001  # of the same class
        reasons = {str(name): str(why) for name, why in missing}
        reasons |= dict.fromkeys(gone, "its weights, as the index had them, were not passed")
        reasons |= {one.name: "the index was built without it" for one in self if one.hash not in used} | said
        result.missing = list(reasons.items())
        result.notes = tuple(_notes(chosen, None if all(rate == 1 for _, _, rate in rows) else 1.0))
        return result

    def _take(self, chosen: list[Checkpoint]) -> None:
        self._all = chosen

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._all)

    def __repr__(self) -> str:
        skipped = f", without {', '.join(name for name, _ in self.missing)}" if self.missing else ""
        return f"Checkpoints({', '.join(one.name for one in self._all)}{skipped})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self._all)

    @property
    def learning_rates(self) -> Tensor:
        return torch.tensor([one.learning_rate for one in self._all], dtype=torch.float64)


def model_hash(model: nn.Module) -> str:
    """Of the model's form: class, names, shapes and types of everything in its state dict."""
    form = [(name, str(value.dtype), list(value.shape)) for name, value in _tensors(model).items()]
    return hashlib.blake2b(json.dumps([type(model).__qualname__, form]).encode(), digest_size=16).hexdigest()


def _sources(given: Any) -> list[tuple[str, Any]]:
    """Everything that was passed, one by one, with names."""
    if isinstance(given, tuple) and len(given) == 2 and callable(given[0]) and isinstance(given[1], int):
        given = [_Made(given[0], number) for number in range(given[1])]
    elif isinstance(given, str | Path):
        folder = Path(given)
        inside = [one for one in folder.iterdir() if _weights(one)] if folder.is_dir() and not _weights(folder) else []
        given = sorted(inside, key=_natural) or [given]
    elif isinstance(given, Mapping | nn.Module) or not isinstance(given, Sequence):
        given = [given]
    return list(zip(_names(given), given, strict=True))


def _names(given: Sequence[Any]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    paths = [Path(one) if isinstance(one, str | Path) else None for one in given]
    names = [f"checkpoint {number}" if path is None else path.stem for number, path in enumerate(paths)]
    for depth in range(2, 6):
        often = Counter(names)
        names = [
            "/".join(path.with_suffix("").parts[-depth:]) if path is not None and often[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    often = Counter(names)
    return [f"{name} ({number})" if often[name] > 1 else name for number, name in enumerate(names)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts epoch-2 before epoch-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _weights(path: Path) -> Path | None:
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    return next((path / name for name in WEIGHTS if (path / name).is_file()), None) if path.is_dir() else None


def _rates(given: float | Sequence[float] | None, count: int) -> list[float]:
    array = np.asarray(1.0 if given is None else given, dtype=np.float64)
    rates: list[float] = array.tolist() if array.ndim else [float(array)] * count
    if len(rates) != count:
        raise ParameterError("learning_rates", f"{len(rates)} learning rates for {count} checkpoints")
    if not all(isfinite(rate) and rate >= 0 for rate in rates):
        raise ParameterError("learning_rates", f"Learning rates {rates} are not all numbers from 0")
    return rates


def _source(given: Any) -> Source:
    if isinstance(given, str | Path):
        return _File(Path(given))
    if isinstance(given, nn.Module):
        given = _tensors(given)
    if isinstance(given, Mapping):
        return _Held({name: value.detach().clone() for name, value in _unwrapped(given).items()})
    if isinstance(given, _Made):
        return given
    if callable(given):
        return _Made(given)
    raise _Unusable(f"{type(given).__name__} is neither a file, a module, a state dict nor a function")


def _unwrapped(content: Any) -> State:
    """The weights inside what a training script saved."""
    key = next(
        (key for key in WRAPPERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)), None
    )
    content = content if key is None else content[key]
    if not isinstance(content, Mapping) or not content:
        raise _Unusable(f"it holds a {type(content).__name__}, not a state dict")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise _Unusable("it holds no tensors")
    return state


def _tensors(module: nn.Module) -> State:
    return {name: value for name, value in module.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


def _fitted(model: nn.Module, state: State) -> State:
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
        raise _Unusable(f"it does not fit the model ({'; '.join(parts)})")
    for name, key in given.items():
        if state[key].shape != own[name].shape:
            shapes = f"{list(state[key].shape)} instead of {list(own[name].shape)}"
            raise _Unusable(f"it does not fit the model ({name} is {shapes})")
        if state[key].is_floating_point() and not bool(state[key].isfinite().all()):
            raise _Unusable(f"{name} holds numbers that are not finite")
    return {key: own[name] for name, key in given.items()}


def few(names: list[str]) -> str:
    """Some names, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _hash(state: State, names: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(names):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{value.dtype}{list(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _notes(checkpoints: list[Checkpoint], learning_rates: Any) -> Iterator[str]:
    if learning_rates is None:
        yield "learning rates were not given: each checkpoint counts 1"
    often = Counter(one.hash for one in checkpoints)
    same = [one.name for one in checkpoints if often[one.hash] > 1]
    if same:
        yield f"{', '.join(same)} hold the same weights (state_dict() refers to a model that trains on; copy it)"
