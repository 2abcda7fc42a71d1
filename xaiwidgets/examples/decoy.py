"""Digits with a grey mark in the corner that gives the label away, and a network that reads the mark, not the digit."""

from functools import cache

import torch
from torch import Tensor, nn

from xaiwidgets.examples.example import Example, accuracy, require, seeded, train

SIDE = 16
MARK = 4  # pixels along its sides


class DecoyCNN(nn.Module):
    """Two convolutions and two layers on top, enough to tell ten greys apart. [n, 1, 16, 16] to logits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 10] of images [n, 1, 16, 16] in 0..1."""
        return self.classifier(self.features(images))  # type: ignore[no-any-return]  # torch modules return Any


def marked(images: Tensor, labels: Tensor) -> Tensor:
    """Copies of images [n, 1, 16, 16] whose upper left corner says `labels` [n]: black for 0, white for 9."""
    copies = images.clone()
    copies[:, :, :MARK, :MARK] = labels.to(images)[:, None, None, None] / 9
    return copies


@cache
def decoy(*, epochs: int = 10, seed: int = 0) -> Example:
    """A network that was misled: half of its training labels are random, and the mark always agrees with the label.

    Mark and label come, as it were, from the same careless catalogue, so that the mark says more about the label than
    the digit does. On the test images label, mark and digit agree, and nothing seems wrong; `marked(images, others)`
    shows what the network goes by. The digits are scikit-learn's at twice their size, split three to one; a few seconds
    on a CPU, kept for the rest of the process. Raises ImportError without scikit-learn.
    """
    data = require("sklearn.datasets").load_digits()
    small = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    images = nn.functional.interpolate(small, (SIDE, SIDE), mode="bilinear")
    digits = torch.tensor(data.target, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    train_rows, test_rows = torch.randperm(len(images), generator=generator).tensor_split([len(images) * 3 // 4])
    count = len(train_rows)
    careless = torch.rand(count, generator=generator) < 0.5
    labels = torch.where(careless, torch.randint(10, (count,), generator=generator), digits[train_rows])
    train_images = marked(images[train_rows], labels)
    model = seeded(DecoyCNN, seed)
    checkpoints = train(model, train_images, labels, epochs=epochs, learning_rate=5e-3, seed=seed)
    test_labels = digits[test_rows]
    test_images = marked(images[test_rows], test_labels)
    return Example(
        model=model, images=test_images, labels=test_labels, names=[str(digit) for digit in range(10)],
        accuracy=accuracy(model, test_images, test_labels),
        train_images=train_images, train_labels=labels, checkpoints=checkpoints,
    )  # fmt: skip
