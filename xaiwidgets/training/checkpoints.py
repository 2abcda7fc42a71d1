"""The model at several moments of its training: weights from files, modules, state dicts or a function."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaiwidgets.engine.errors import ModelError, ParameterError

from .weights import File, Made, Source, Unusable, fitted, hash_of, source_of, weights_file


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
        return str(self.source.path.absolute()) if isinstance(self.source, File) else None

    def load_into(self, model: nn.Module) -> None:
        """Put the weights into a model of the same form, in place, in the model's own precision."""
        try:
            state = self.source.state(model)
            with torch.no_grad():
                for name, tensor in fitted(model, state).items():
                    tensor.copy_(state[name])
        except Unusable as why:
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
                source = source_of(given_as)
                state = source.state(copy.deepcopy(model) if isinstance(source, Made) else model)
                names = fitted(model, state)
                self._all.append(Checkpoint(name, len(self._all), rate, hash_of(state, names), source))
            except Unusable as why:
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


def _sources(given: Any) -> list[tuple[str, Any]]:
    """Everything that was passed, one by one, with names."""
    if isinstance(given, tuple) and len(given) == 2 and callable(given[0]) and isinstance(given[1], int):
        given = [Made(given[0], number) for number in range(given[1])]
    elif isinstance(given, str | Path):
        folder = Path(given)
        inside = (
            [one for one in folder.iterdir() if weights_file(one)]
            if folder.is_dir() and not weights_file(folder)
            else []
        )
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


def _rates(given: float | Sequence[float] | None, count: int) -> list[float]:
    array = np.asarray(1.0 if given is None else given, dtype=np.float64)
    rates: list[float] = array.tolist() if array.ndim else [float(array)] * count
    if len(rates) != count:
        raise ParameterError("learning_rates", f"{len(rates)} learning rates for {count} checkpoints")
    if not all(isfinite(rate) and rate >= 0 for rate in rates):
        raise ParameterError("learning_rates", f"Learning rates {rates} are not all numbers from 0")
    return rates


def _notes(checkpoints: list[Checkpoint], learning_rates: Any) -> Iterator[str]:
    if learning_rates is None:
        yield "learning rates were not given: each checkpoint counts 1"
    often = Counter(one.hash for one in checkpoints)
    same = [one.name for one in checkpoints if often[one.hash] > 1]
    if same:
        yield f"{', '.join(same)} hold the same weights (state_dict() refers to a model that trains on; copy it)"
