"""Indexes small enough to be built for a test, of pictures, texts, rows and numbers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from texts import Words
from torch import Tensor, nn

from xaiwidgets.training.index import TrainingIndex

PATIENCE = 60.0
NAMES = [f"digit {number}" for number in range(10)]


class Digits(nn.Module):
    """A small network on 8 × 8 pictures that can be made to wait: `blocked()`."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.body = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
            )
        self.gate = Gate()

    def forward(self, images: Tensor) -> Tensor:
        self.gate.enter()
        return self.body(images)


class Gate:
    """Shared by all copies of a model."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()

    def enter(self) -> None:
        self.entered.set()
        assert self.go.wait(PATIENCE)

    def __deepcopy__(self, _memo: Any) -> "Gate":
        return self

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Passes wait inside; on leaving they go on."""
        self.entered.clear()
        self.go.clear()
        try:
            yield
        finally:
            self.go.set()


def digits(count: int = 240) -> tuple[Tensor, Tensor]:
    """Pictures [count, 1, 8, 8] in 0..1 and labels; the last two are the first two again."""
    bunch = load_digits()
    images = torch.tensor(bunch.images / 16, dtype=torch.float32)[: count - 2, None]
    labels = torch.tensor(bunch.target)[: count - 2]
    return torch.cat([images, images[:2]]), torch.cat([labels, labels[:2]])


def unseen(count: int = 2) -> Tensor:
    """Pictures that no index here is built of."""
    return torch.tensor(load_digits().images[1500 : 1500 + count] / 16, dtype=torch.float32)[:, None]


def trained(
    model: nn.Module, inputs: Tensor, labels: Tensor, loss: Any, *, times: int = 3, rate: float = 0.1
) -> list[dict[str, Tensor]]:
    """Weights after each pass over the data."""
    kept = []
    optimizer = torch.optim.SGD(model.parameters(), rate)
    generator = torch.Generator().manual_seed(0)
    for _ in range(times):
        for batch in torch.randperm(len(inputs), generator=generator).split(32):
            optimizer.zero_grad()
            loss(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
    return kept


def digits_index(count: int = 240, **options: Any) -> TrainingIndex:
    images, labels = digits(count)
    model = Digits()
    checkpoints = trained(model, images, labels, nn.functional.cross_entropy)
    return TrainingIndex.build(
        model.eval(), (images, labels), checkpoints=checkpoints, learning_rates=0.1, progress=False,
        **{"projection": {"dim": 128}} | options,
    )  # fmt: skip


SENTENCES = [
    f"{opening} {thing} was {judgement} {rest}"
    for opening in ("the", "this <b>new</b>", "that old")
    for thing in ("film", "book", "play")
    for judgement, rest in (("good", "at last"), ("bad", "as always"), ("long", "and loud"), ("fine", "for once"))
]
"""36 of them; the label is the judgement."""


class Sorter(nn.Module):
    """Sorts token numbers [rows, tokens] into classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.embed = nn.Embedding(64, 8)
            self.last = nn.Linear(8, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(torch.tanh(self.embed(ids)).sum(1))


def texts_index() -> tuple[TrainingIndex, Words]:
    tokenizer, model = Words(), Sorter(4)
    ids = [tokenizer(text)["input_ids"] for text in SENTENCES]
    longest = max(map(len, ids))
    inputs = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    labels = torch.arange(len(SENTENCES)) % 4
    checkpoints = trained(model, inputs, labels, nn.functional.cross_entropy, times=2, rate=0.01)
    return TrainingIndex.build(
        model.eval(),
        (inputs, labels),
        checkpoints=checkpoints,
        learning_rates=0.01,
        progress=False,
        projection={"dim": 64},
    ), tokenizer


COLUMNS = ["age", "height", "<i>weight</i>"]


def rows_index(*, regression: bool = False, **options: Any) -> TrainingIndex:
    """Three columns; classes from their sum, or the sum itself."""
    rng = np.random.default_rng(0)
    inputs = torch.tensor(rng.normal(size=(60, 3)), dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1 if regression else 2))
    labels = inputs.sum(1, keepdim=True) if regression else (inputs.sum(1) > 0).long()
    loss = nn.functional.mse_loss if regression else nn.functional.cross_entropy
    checkpoints = trained(model, inputs, labels, loss, times=2)
    options = {"loss": "squared_error" if regression else "cross_entropy", "projection": {"dim": 64}} | options
    return TrainingIndex.build(
        model.eval(), (inputs, labels), checkpoints=checkpoints, learning_rates=0.1, progress=False, **options
    )
