"""A training run of a second: a small network on some digits, with three checkpoints."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

RATES = [0.3, 0.1, 0.05]


class Run(NamedTuple):
    """Model in evaluation mode, state dicts from early to late, training rows, and images it was not trained on."""

    model: nn.Module
    checkpoints: list[dict[str, Tensor]]
    images: Tensor
    labels: Tensor
    queries: Tensor
    query_labels: Tensor

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        return self.images, self.labels


@cache
def small_run(examples: int = 300) -> Run:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(bunch.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        checkpoints = []
        for _ in RATES:
            for _ in range(12):
                optimizer.zero_grad()
                functional.cross_entropy(model(images[:examples]), labels[:examples]).backward()
                optimizer.step()
            checkpoints.append({name: value.detach().clone() for name, value in model.state_dict().items()})
    model.zero_grad(set_to_none=True)
    queries = slice(1500, 1504)
    return Run(model.eval(), checkpoints, images[:examples], labels[:examples], images[queries], labels[queries])
