"""Sketches of recorded factors against sketches of the formed gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.test_training_gradients import Words, cross_entropy
from xaiwidgets.training.recorder import Recorder
from xaiwidgets.training.sketch import TensorSketch


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Flatten(), nn.Linear(54, 40), nn.Linear(40, 3)
    )


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(30, 30), nn.Linear(30, 3)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)).mean(1))


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (convolutions, lambda: torch.randn(4, 1, 7, 7)),
        (Tokens, lambda: torch.randn(4, 3, 30)),
        (lambda: Words(tied=True, padding=3), lambda: torch.randint(0, 11, (4, 9))),
    ],
)
def test_factors_are_sketched_like_what_they_stand_for(model, inputs):
    torch.manual_seed(0)
    recorder = Recorder(model(), cross_entropy)
    gradients = recorder.record(inputs(), torch.arange(4) % 3)
    sketch = TensorSketch(dim=64, seed=1)
    formed = sum(sketch.dense(name, one) for name, one in gradients.dense().items())
    torch.testing.assert_close(gradients.sketch(sketch), formed, rtol=1e-4, atol=1e-4)
