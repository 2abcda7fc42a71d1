"""Crops of six colour photographs, a network that tells which photograph they are from, and mosaics of two.

A mosaic has a known answer to "why this photograph rather than that one?": the evidence lies in the half that shows it.
"""

from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from xaiwidgets.examples.example import Example, accuracy, seeded, train
from xaiwidgets.examples.photographs import photographs

SIDE = 96


class ScenesCNN(nn.Module):
    """Four strided convolutions and global average pooling. [n, 3, 96, 96] in 0..1 to logits [n, 6]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, 64)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(widths[-1], 6)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 6]."""
        return self.classifier(self.features(images * 2 - 1).mean((2, 3)))  # type: ignore[no-any-return]  # torch modules return Any


def _to_side(picture: Tensor) -> Tensor:
    """[n, 3, h, w] to [n, 3, 96, 96]; rounding may not leave 0..1."""
    return nn.functional.interpolate(picture, (SIDE, SIDE), mode="bilinear", antialias=True).clamp(0, 1)


def _crops(picture: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Square crops of random place and size (a third of the shorter side to all of it), [count, 3, 96, 96]."""
    height, width = picture.shape[1:]
    rows = []
    for scale, top, left in torch.rand(count, 3, generator=generator).tolist():
        side = int(min(height, width) * (1 / 3 + 2 / 3 * scale))
        y, x = int(top * (height - side)), int(left * (width - side))
        crop = picture[None, :, y : y + side, x : x + side]
        rows.append(_to_side(crop))
    return torch.cat(rows)


@cache
def scenes(*, epochs: int = 6, seed: int = 0) -> Example:
    """Train on the left two thirds of each photograph, test on crops of the right third. A few seconds on a CPU."""
    generator = torch.Generator().manual_seed(seed)
    pictures = {name: torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 for name, pixels in photographs().items()}
    parts: dict[str, list[Tensor]] = {"train": [], "test": []}
    for picture in pictures.values():
        edge = picture.shape[2] * 2 // 3
        parts["train"].append(_crops(picture[:, :, :edge], 96, generator))
        parts["test"].append(_crops(picture[:, :, edge:], 16, generator))
    sets = {
        name: (torch.cat(rows), torch.arange(len(rows)).repeat_interleave(len(rows[0]))) for name, rows in parts.items()
    }
    model = seeded(ScenesCNN, seed)
    checkpoints = train(model, *sets["train"], epochs=epochs, learning_rate=1e-2, seed=seed)
    images, labels = sets["test"]
    return Example(
        model=model, images=images, labels=labels, names=list(pictures), accuracy=accuracy(model, images, labels),
        train_images=sets["train"][0], train_labels=sets["train"][1], checkpoints=checkpoints,
    )  # fmt: skip


def mosaic(left: str, right: str) -> Tensor:
    """Two whole photographs side by side, [1, 3, 96, 192]: the network pools over the whole width."""
    halves = []
    for name in (left, right):
        picture = torch.from_numpy(photographs()[name]).permute(2, 0, 1).float()[None] / 255
        side = min(picture.shape[2:])
        y, x = ((size - side) // 2 for size in picture.shape[2:])
        square = picture[:, :, y : y + side, x : x + side]
        halves.append(_to_side(square))
    return torch.cat(halves, dim=3)
