"""What every method can be tried on: a small model that has what it needs, and settings that make it quick."""

from __future__ import annotations

from typing import Any

import torch
import zoo
from torch import Tensor, nn

import xaiwidgets.methods  # noqa: F401  # registers them
from xaiwidgets.engine.registry import METHODS, find_method

LITTLE = {"samples": 8, "steps": 12}
QUADRANTS = torch.tensor([[0, 1], [2, 3]]).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
SIMPLER = {"relu": False, "regions": QUADRANTS, "inner": "saliency"}
EVERY = [name for name, method in METHODS.items() if "tokens" not in method.needs]
"""Every method that explains images; tests/methods/test_tokens.py asks the others the same."""


def quick(name: str) -> dict[str, Any]:
    """Settings of a method that make it do little, and hide nothing."""
    parameters = find_method(name).parameters
    less = {one.name: int(max(one.low or 0, LITTLE[one.name])) for one in parameters if one.name in LITTLE}
    return less | {one.name: SIMPLER[one.name] for one in parameters if one.name in SIMPLER}


def case(name: str, rows: int = 3, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A float32 model in evaluation mode with 4 classes, and images [rows, 2, 8, 8] for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = zoo.VisionTransformer() if "attention" in find_method(name).needs else Pooled()
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        return model.eval(), torch.randn(rows, 2, 8, 8)


class Pooled(nn.Sequential):
    """Convolutions, batch norm, rectifiers, a mean over places and one linear layer."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, zoo.CLASSES),
        )  # fmt: skip
