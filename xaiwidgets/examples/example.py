"""What an example is made of, and how its model is trained."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Example:
    """A trained model with the images it was not trained on.

    `images`: float tensor [n, channels, height, width] in 0..1, `labels`: int64 [n], `names`: a name a class,
    `accuracy`: on these images, 0..1. `train_images` and `train_labels` are what the model saw; `checkpoints` are its
    state dicts after each epoch, the last one equal to `model`'s. `wrong`: the positions of training images whose label was
    planted, in increasing order; none unless that was asked for.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    names: list[str]
    accuracy: float
    train_images: Tensor
    train_labels: Tensor
    checkpoints: list[dict[str, Tensor]] = field(repr=False)
    wrong: list[int] = field(default_factory=list, repr=False)


def require(module: str) -> ModuleType:
    """Import a module of the `demo` extra, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"xaiwidgets.examples needs {module}: pip install 'xaiwidgets[demo]'") from error


def mislabelled(labels: Tensor, share: float, classes: int, seed: int) -> tuple[Tensor, list[int]]:
    """Labels [n] of which a share is replaced by one of the other classes, each as likely; and where, in increasing order."""
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))].sort().values
    shifts = torch.randint(1, classes, (len(wrong),), generator=generator)
    labels = labels.clone()
    labels[wrong] = (labels[wrong] + shifts) % classes
    return labels, wrong.tolist()


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Shuffled row numbers, `size` at a time."""
    yield from torch.split(torch.randperm(count, generator=generator), size)


def train(
    model: nn.Module, images: Tensor, labels: Tensor, *, epochs: int, learning_rate: float, seed: int
) -> list[dict[str, Tensor]]:
    """Adam with a one-cycle schedule on cross-entropy; the model ends in eval mode. A state dict an epoch.

    Dropout draws from the seed too; the global random state stays as it was.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    steps = epochs * -(-len(images) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    checkpoints = []
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(epochs):
            for rows in batches(len(images), 32, generator):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimizer.step()
                schedule.step()
            checkpoints.append({name: value.detach().clone() for name, value in model.state_dict().items()})
    model.eval()
    return checkpoints


def seeded(build: type[nn.Module], seed: int) -> nn.Module:
    """A model with weights from its own seed; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images classified as labelled."""
    return float((model(images).argmax(1) == labels).float().mean())
