"""A small index for the tests of the store: untrained weights and digits, the same in every process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xaiwidgets.training import build as building
from xaiwidgets.training.build import Progress
from xaiwidgets.training.checkpoints import Checkpoints
from xaiwidgets.training.data import TrainingData
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.shards import Shards
from xaiwidgets.training.spec import Spec

PROJECTION = {"dim": 64}


class Slow:
    """Digits from a folder of nowhere: each takes a moment, and says in `folder` which process asked for it."""

    def __init__(self, rows: int, folder: Path, *, seconds: float = 0.0, deadly: int = -1) -> None:
        self.images, self.labels = digits(rows)
        self.folder, self.seconds, self.deadly, self.here = folder, seconds, deadly, os.getpid()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        if os.getpid() != self.here:
            (self.folder / str(os.getpid())).touch()
            time.sleep(self.seconds)
            if position == self.deadly:
                os._exit(1)
        return self.images[position], self.labels[position]


def network(seed: int = 0, hidden: int = 12) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, hidden), nn.Linear(hidden, 10))


def digits(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits  # two seconds that the workers of a cluster can do without

    bunch = load_digits()
    return torch.tensor(bunch.images[:rows] / 16, dtype=torch.float32).unsqueeze(1), torch.tensor(bunch.target[:rows])


def spec_of(data: Any = 130, *, chunk: int = 10, seed: int = 0, loss: str = "cross_entropy", **others: Any) -> Spec:
    """Two checkpoints; `data` is a number of digits or a data set."""
    model = network(seed).eval()
    data = digits(data) if isinstance(data, int) else data
    checkpoints = Checkpoints([network(seed), network(seed + 1)], model, learning_rates=[0.1, 0.4])
    return Spec(model, TrainingData(data), checkpoints, loss_of(loss), others.get("layers"), None, chunk)


def small_blocks(size: int = 20) -> None:
    """Many blocks of few rows. For child processes; tests use `monkeypatch`."""
    building.SMALLEST = size


def finished(spec: Spec, path: Path, **arguments: Any) -> Shards:
    *_, last = steps(spec, path, **arguments)
    assert last.done == last.total
    return Shards(path)


def steps(spec: Spec, path: Path, **arguments: Any) -> list[Progress]:
    return list(building.build(spec, path=path, **{"projection": PROJECTION, **arguments}))


def contents(path: Path) -> dict[str, bytes]:
    """The bytes of every block."""
    return {file.name: file.read_bytes() for file in sorted(path.glob("*-*.npy"))}


def environment() -> dict[str, str]:
    """For a child process that imports this file."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
