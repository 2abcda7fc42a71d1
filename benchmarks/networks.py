"""The networks that are measured: a ResNet-18 and a small ViT with random weights, a CIFAR ResNet-20 with real ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measure import SHARED, Skip

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Shortcut = Callable[[Tensor], Tensor]


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, width: int, out: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut = shortcut
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()  # modules, one each: what peers with hooks can see

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """[n, 3, h, w] to logits [n, classes]."""

    def __init__(self, stem: list[nn.Module], stages: list[nn.Sequential], width: int, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.pool = stem
        self.relu = nn.ReLU()
        for number, stage in enumerate(stages, 1):
            setattr(self, f"layer{number}", stage)
        self.stages = len(stages)
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.linear(x.mean((2, 3)))


def resnet18(seed: int = 0) -> ResNet:
    """ResNet-18's shape for ImageNet. Batch-norm statistics are random too: at their defaults the network is degenerate."""
    generator = torch.Generator().manual_seed(seed)
    stages, width = [], 64
    for number, out in enumerate((64, 128, 256, 512)):
        stride = 1 if number == 0 else 2
        project = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        first = Block(width, out, stride, nn.Identity() if stride == 1 else project)
        stages.append(nn.Sequential(first, Block(out, out, 1, nn.Identity())))
        width = out
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1)]
    model = ResNet(stem, stages, 512, 1000)
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            spread = (2 / part.weight[0].numel()) ** 0.5
            part.weight.data = torch.randn(part.weight.shape, generator=generator) * spread
        elif isinstance(part, nn.BatchNorm2d):
            size = len(part.weight)
            part.weight.data = 0.5 + torch.rand(size, generator=generator)
            part.bias.data = 0.2 * torch.randn(size, generator=generator)
            part.running_mean = 0.2 * torch.randn(size, generator=generator)
            part.running_var = 0.5 + torch.rand(size, generator=generator)
    return model.eval()


def resnet20() -> ResNet:
    """He et al. (2015) for CIFAR-10: subsampled shortcuts without weights. Trained weights from outside the repository."""
    from safetensors.torch import load_file

    path = SHARED / "models" / "cifar10-resnet20.safetensors"
    if not path.exists():
        raise Skip("no cifar10-resnet20.safetensors beside the repository")
    stages, width = [], 16
    for number, out in enumerate((16, 32, 64)):
        stride = 1 if number == 0 else 2
        blocks = [Block(width, out, stride, nn.Identity() if stride == 1 else Subsample(out // 4))]
        blocks += [Block(out, out, 1, nn.Identity()) for _ in range(2)]
        stages.append(nn.Sequential(*blocks))
        width = out
    model = ResNet([nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.Identity()], stages, 64, 10)
    model.load_state_dict(load_file(path))
    return model.eval()


class Subsample(nn.Module):
    """Every second pixel, with channels of zeros on both sides."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))


class Attending(nn.Module):
    """A transformer's block, normalised before each part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """[n, 3, 224, 224] to logits [n, 1000]: a vision transformer of "tiny" width, half as deep."""

    def __init__(self, width: int = 192, heads: int = 3, depth: int = 6, patch: int = 16, side: int = 224) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Attending(width, heads) for _ in range(depth)))
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.start.expand(len(x), -1, -1), x], 1) + self.places
        return self.linear(self.norm(self.blocks(x))[:, 0])


def vit(seed: int = 0) -> ViT:
    generator = torch.Generator().manual_seed(seed)
    model = ViT()
    for name, part in model.named_parameters():
        if "norm" not in name:
            spread = 0.5 if part.ndim == 3 else 0.02 if part.ndim == 1 else (1.5 / part[0].numel()) ** 0.5
            part.data = torch.randn(part.shape, generator=generator) * spread
    return model.eval()


def cifar(count: int) -> tuple[Tensor, Tensor]:
    """Normalised test images [n, 3, 32, 32] and labels [n]."""
    import numpy as np

    path = SHARED / "data" / "cifar10_test.npz"
    if not path.exists():
        raise Skip("no cifar10_test.npz beside the repository")
    data = np.load(path)
    images = torch.from_numpy(data["images"][:count]).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std, torch.from_numpy(data["labels"][:count]).long()


def photo(side: int = 224, name: str = "astronaut") -> Tensor:
    """A normalised photograph [1, 3, side, side]."""
    from xaiwidgets.examples import photograph

    pixels = torch.from_numpy(photograph(name)).permute(2, 0, 1).float()[None] / 255
    size = min(pixels.shape[2:])
    square = functional.interpolate(pixels[..., :size, :size], (side, side), mode="bilinear", antialias=True).clamp(
        0, 1
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (square - mean) / std
