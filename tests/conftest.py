"""Models and data shared by the tests: a digits network trained on the spot, and the stored CIFAR-10 ResNet-20."""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

# torchvision's wheel carries its operators for CUDA builds of torch only, and refuses to be imported without them; zennit
# imports it, and transformers does where it is installed. Names without an implementation are enough for both.
if importlib.util.find_spec("torchvision") and torch.version.cuda is None:
    _OPERATORS = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

SHARED = Path(__file__).resolve().parents[2] / "shared"


class Trained(NamedTuple):
    """A trained model in evaluation mode, correctly classified test images and their labels."""

    model: nn.Module
    images: Tensor
    labels: Tensor


def pytest_collection_finish() -> None:
    """What is imported stays: full collections, which some tests ask for, need not look at half a million objects again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Numbers drawn without a generator are the same in every run and in any order of the tests."""
    torch.manual_seed(0)


@pytest.fixture
def shared() -> Path:
    """The folder with stored data and weights."""
    if not SHARED.is_dir():
        pytest.skip(f"no stored data and weights at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def digits() -> Trained:
    """A small convolutional network on scikit-learn's 8 × 8 digits, trained in a few seconds."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(bunch.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(32 * 16, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(6):
            for batch in torch.randperm(1437).split(64):
                optimizer.zero_grad()
                functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
    for parameter in model.parameters():
        parameter.grad = None
    return _correct(model.eval(), images[1437:], labels[1437:], 32, 0.9)


@pytest.fixture(scope="session")
def cifar() -> Trained:
    """The stored ResNet-20 and correctly classified CIFAR-10 test images, normalised as it expects."""
    weights, data = SHARED / "models/cifar10-resnet20.safetensors", SHARED / "data/cifar10_test.npz"
    if not (weights.exists() and data.exists()):
        pytest.skip(f"no stored CIFAR-10 images and ResNet-20 weights at {SHARED}")
    from safetensors.torch import load_file

    model = ResNet20()
    model.load_state_dict(load_file(weights))
    stored = np.load(data)
    pixels = stored["images"][::8]  # the file is sorted by class
    labels = stored["labels"][::8]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = (images - mean[:, None, None]) / deviation[:, None, None]
    return _correct(model.eval(), images.contiguous(), torch.as_tensor(labels).long(), 32, 0.75)


def _correct(model: nn.Module, images: Tensor, labels: Tensor, count: int, accuracy: float) -> Trained:
    with torch.no_grad():
        right = model(images).argmax(1) == labels
    assert right.float().mean() > accuracy
    spread = torch.nonzero(right).flatten()
    chosen = spread[torch.linspace(0, len(spread) - 1, count).long()]
    return Trained(model, images[chosen], labels[chosen])


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.extra = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        y += x
        return functional.relu(y)


class ResNet20(nn.Module):
    """The CIFAR layout of He et al. (2015) with three blocks a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        for number, (inputs, outputs, stride) in enumerate(widths, 1):
            blocks = [Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))
