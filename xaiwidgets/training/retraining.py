"""Many small networks trained side by side: what it would have been without these examples, asked hundreds of times.

Networks of linear layers and ReLU, whole-batch gradient descent with momentum, the gradients written out as batched matrix
products. A few networks at a time, so that their data stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.engine.errors import ParameterError

from .losses import margin

TOGETHER = 4  # networks in one product; their rows, activations and gradients are touched again every step


@dataclass(frozen=True)
class Schedule:
    """How each network is trained. `weight_decay` acts on weights and biases, as in torch.optim.SGD."""

    steps: int = 200
    learning_rate: float = 0.5
    momentum: float = 0.9
    weight_decay: float = 0.0


@dataclass(frozen=True, eq=False)
class Networks:
    """M networks of equal shape. weights [M, in, out] and biases [M, 1, out], one of each per layer."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.weights[0])

    def __call__(self, inputs: Tensor) -> Tensor:
        """Outputs [M, Q, classes] for inputs [Q, in]."""
        return self.layers(inputs.expand(len(self), *inputs.shape))[-1]

    def layers(self, rows: Tensor) -> list[Tensor]:
        """The input [M, n, in] of every layer, and the output after the last."""
        values = [rows]
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            output = torch.baddbmm(bias, values[-1], weight)
            values.append(output if place == last else output.relu_())
        return values

    def module(self, position: int) -> nn.Sequential:
        """One of them as a module: Linear and ReLU in turns."""
        modules: list[nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2])
            linear.weight.data = weight[position].T.contiguous()
            linear.bias.data = bias[position, 0].clone()
            modules += [linear, nn.ReLU()]
        return nn.Sequential(*modules[:-1]).eval()


def train_networks(
    inputs: Tensor,
    labels: Tensor,
    kept: Tensor,
    *,
    sizes: Sequence[int],
    seeds: Sequence[int],
    schedule: Schedule | None = None,
    snapshots: Sequence[int] = (),
) -> tuple[Networks, ...]:
    """Train M networks with cross-entropy, each on its own rows.

    inputs     [N, sizes[0]] and labels [N]
    kept       positions [M, n]: the rows of each network, equally many (a row named twice counts twice)
    sizes      of the layers, for example (64, 32, 10)
    seeds      [M] of the first weights, drawn as nn.Linear draws them
    snapshots  numbers of steps after which the networks are kept as well

    Returns the networks at each snapshot and, last, at the end.
    """
    schedule = schedule or Schedule()
    if kept.ndim != 2 or len(seeds) != len(kept):
        raise ParameterError(
            "parameter_shape", f"{len(seeds)} seeds for rows {list(kept.shape)}", hint="kept [M, n] and one seed each."
        )
    targets = functional.one_hot(labels, sizes[-1]).to(inputs.dtype)
    times = [*snapshots, schedule.steps]
    blocks = [
        _train(inputs[rows], targets[rows], _fresh(sizes, own, inputs.dtype), schedule, times)
        for rows, own in zip(kept.split(TOGETHER), _split(seeds), strict=True)
    ]
    return tuple(
        Networks(
            tuple(torch.cat(parts) for parts in zip(*(one.weights for one in moment), strict=True)),
            tuple(torch.cat(parts) for parts in zip(*(one.biases for one in moment), strict=True)),
        )
        for moment in zip(*blocks, strict=True)
    )


def margins(outputs: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of the label, log p/(1−p): outputs [M, Q, classes] and labels [Q] to [M, Q]. Additive where losses saturate."""
    return -margin(outputs.flatten(0, 1), labels.repeat(len(outputs))).view(outputs.shape[:2])


def _split(seeds: Sequence[int]) -> list[Sequence[int]]:
    return [seeds[start : start + TOGETHER] for start in range(0, len(seeds), TOGETHER)]


def _fresh(sizes: Sequence[int], seeds: Sequence[int], dtype: torch.dtype) -> Networks:
    drawn: list[list[Tensor]] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        shapes = [shape for rows, columns in pairwise(sizes) for shape in ((rows, columns), (1, columns))]
        bounds = [rows**-0.5 for rows in sizes[:-1] for _ in range(2)]
        drawn.append([
            (torch.rand(shape, generator=generator, dtype=dtype) * 2 - 1) * bound
            for shape, bound in zip(shapes, bounds, strict=True)
        ])  # fmt: skip
    stacked = [torch.stack(parts) for parts in zip(*drawn, strict=True)]
    return Networks(tuple(stacked[::2]), tuple(stacked[1::2]))


def _train(
    rows: Tensor, targets: Tensor, networks: Networks, schedule: Schedule, times: Sequence[int]
) -> list[Networks]:
    parameters = [*networks.weights, *networks.biases]
    speeds = [torch.zeros_like(parameter) for parameter in parameters]
    kept: list[Networks] = []
    for step in range(schedule.steps + 1):
        kept += [_copy(networks) for time in times if time == step]
        if step == schedule.steps:
            break
        gradients = _gradients(networks, rows, targets)
        for parameter, speed, gradient in zip(parameters, speeds, gradients, strict=True):
            if schedule.weight_decay:
                gradient.add_(parameter, alpha=schedule.weight_decay)
            speed.mul_(schedule.momentum).add_(gradient)
            parameter.sub_(speed, alpha=schedule.learning_rate)
    return kept


def _copy(networks: Networks) -> Networks:
    return Networks(tuple(map(torch.clone, networks.weights)), tuple(map(torch.clone, networks.biases)))


def _gradients(networks: Networks, rows: Tensor, targets: Tensor) -> list[Tensor]:
    """Of the mean loss, for every weight and then every bias."""
    *values, output = networks.layers(rows)
    slope = (output.softmax(-1) - targets).div_(rows.shape[1])
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for place in reversed(range(len(values))):
        weights.append(values[place].mT @ slope)
        biases.append(slope.sum(1, keepdim=True))
        if place:
            slope = (slope @ networks.weights[place].mT).mul_(values[place] > 0)
    return [*reversed(weights), *reversed(biases)]
