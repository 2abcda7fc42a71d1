"""What the tests of removal share: data, a linear model, the last reading of a metric, and imputation by a dense solver."""

import numpy as np
import torch
from torch import nn

from xaiwidgets.metrics.registry import find_metric


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(rows=3, features=12, seed=0):
    """A linear model of a table, in float64, and its exact attribution."""
    model = nn.Linear(features, 1).double().eval()
    with torch.no_grad():
        model.weight.copy_(normal(1, features, seed=seed + 1))
        model.bias.fill_(0.3)
    points = normal(rows, features, seed=seed)
    return model, points, model.weight[0].detach() * points


def last(case, name, **parameters):
    found = find_metric(name)
    *_, reading = found.run(case, **found.check(parameters))
    return reading


def dense(image, hole):
    """The linear system of Rong et al. (2022), written out and solved: image [c, h, w], hole [h, w]."""
    height, width = hole.shape
    holes = [tuple(place) for place in torch.nonzero(hole).tolist()]
    matrix, right = np.zeros((len(holes), len(holes))), np.zeros((len(holes), len(image)))
    for row, (y, x) in enumerate(holes):
        for dy, dx in [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]:
            near = (y + dy, x + dx)
            if not (0 <= near[0] < height and 0 <= near[1] < width):
                continue
            weight = 1 / 6 if 0 in (dy, dx) else 1 / 12
            matrix[row, row] += weight
            if hole[near]:
                matrix[row, holes.index(near)] -= weight
            else:
                right[row] += weight * image[:, near[0], near[1]].numpy()
    solved = image.clone()
    for place, found in zip(holes, np.linalg.solve(matrix, right), strict=True):
        solved[:, place[0], place[1]] = torch.from_numpy(found)
    return solved
