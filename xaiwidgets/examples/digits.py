"""Handwritten digits, 8 × 8 pixels, and a convolutional network that learns them in seconds."""

from functools import cache

import torch
from torch import Tensor, nn

from xaiwidgets.examples.example import Example, accuracy, mislabelled, require, seeded, train


class DigitsCNN(nn.Module):
    """Two convolutions at full size, one at half, global average pooling. [n, 1, 8, 8] to logits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 4 * 4, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 10] of images [n, 1, 8, 8] in 0..1."""
        return self.classifier(self.features(images))  # type: ignore[no-any-return]  # torch modules return Any


@cache
def digits(*, epochs: int = 12, seed: int = 0, wrong: float = 0.0) -> Example:
    """Train on three quarters of scikit-learn's 1,797 digits (UCI, Alpaydin and Kaynak 1998); test on the rest.

    `wrong` plants a share (0 to 1) of wrong labels among those trained on. Takes a few seconds on a CPU and is kept for the rest of the process. Raises ImportError without scikit-learn.
    """
    data = require("sklearn.datasets").load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(data.target, dtype=torch.int64)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    split = len(images) * 3 // 4
    train_rows, test_rows = order[:split], order[split:]
    model = seeded(DigitsCNN, seed)
    train_labels, planted = mislabelled(labels[train_rows], wrong, 10, seed)
    checkpoints = train(model, images[train_rows], train_labels, epochs=epochs, learning_rate=5e-3, seed=seed)
    test_images, test_labels = images[test_rows], labels[test_rows]
    return Example(
        model=model, images=test_images, labels=test_labels, names=[str(digit) for digit in range(10)],
        accuracy=accuracy(model, test_images, test_labels),
        train_images=images[train_rows], train_labels=train_labels, checkpoints=checkpoints, wrong=planted,
    )  # fmt: skip
