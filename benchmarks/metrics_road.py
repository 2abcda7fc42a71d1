"""ROAD beside Quantus on the same images and maps; and how soon the curves of taking away have their first points.

Quantus solves one sparse system an image and share. It fails on colour and knows one order of the units, so images are grey,
and our metric does twice the work: most and least relevant first. In the whole metric both wait for the same model. Both
are checked to see the same: imputed values, and the share of images that keep their class, without noise.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import xaiwidgets as xw
from benchmarks.beside import installed, peers
from benchmarks.measure import Row, Skip, interleaved
from benchmarks.networks import cifar, resnet18, resnet20
from xaiwidgets.engine.problem import Problem
from xaiwidgets.examples import digits
from xaiwidgets.metrics import fills
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.imputation import imputed
from xaiwidgets.metrics.removal import removal_walk
from xaiwidgets.metrics.road import SHARES

REPEATS = 3
IMAGES = 8
LIMIT = 0.1  # of the time of Quantus


class Grey(nn.Module):
    """A network for colours that is shown the same picture in all three."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.expand(-1, 3, -1, -1))


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    peers()
    images, _ = cifar(IMAGES)
    if installed("quantus"):
        grey = images.mean(1, keepdim=True)
        example = digits()
        yield from road("digits, 8 × 8", example.model, example.images[:64])
        large = functional.interpolate(grey[:2], size=(224, 224), mode="bicubic")
        yield from road("ResNet-20, 32 × 32", Grey(resnet20()).eval(), grey)
        yield from road("ResNet-18, 224 × 224", Grey(resnet18()).eval(), large)
    else:
        yield Row("Quantus is not installed")
    yield from first_points(images)


def road(name: str, model: nn.Module, images: Tensor) -> Iterator[Row]:
    """The imputation alone, and the whole metric with the model's share in it."""
    import quantus
    from quantus.functions.perturb_func import noisy_linear_imputation

    with torch.no_grad():
        labels = model(images).argmax(1)
    values = Problem(model, images, target=labels).gradients()[0]
    pixels = values[0].numel()
    holes = [order[: int(share * pixels)] for order in (-values.flatten(1)).argsort(1) for share in SHARES]
    hole = torch.zeros(len(holes), pixels, dtype=torch.bool)
    for mask, places in zip(hole, holes, strict=True):
        mask[places] = True
    pictures = images.repeat_interleave(len(SHARES), 0)
    hole = hole.reshape(pictures.shape)
    arrays = pictures.numpy()

    def theirs() -> np.ndarray:
        pairs = zip(arrays, holes, strict=True)
        return np.stack([noisy_linear_imputation(one, places.numpy(), noise=0.0) for one, places in pairs])

    difference = float((imputed(pictures, hole) - torch.from_numpy(theirs())).abs().max())
    work = {"ours": lambda: imputed(pictures, hole), "quantus": theirs}
    yield timed(f"{name}: {len(holes)} imputations (largest difference {difference:.0e})", work, LIMIT)

    metric = quantus.ROAD(
        percentages=[100 * share for share in SHARES], noise=0.0, normalise=False, disable_warnings=True
    )
    given = {"x_batch": images.numpy(), "y_batch": labels.numpy(), "a_batch": values.numpy()}

    def whole() -> np.ndarray:
        found = metric(model=model, device="cpu", batch_size=len(images), **given)
        return np.array(list(found.values()) if isinstance(found, dict) else found).reshape(-1)

    def ours() -> xw.Evaluation:
        return xw.evaluate(model, images, {"map": values}, target=labels, metrics={"road": {"measure": "unchanged"}})

    noise, fills.NOISE = fills.NOISE, 0.0
    try:
        curve = ours()["map"]["road"].curves["morf"].mean.numpy()
        same = float(np.abs(curve - whole()).max())
    finally:
        fills.NOISE = noise
    yield timed(
        f"{name}: ROAD of {len(images)} images, both orders (largest difference {same:.0e})",
        {"ours": ours, "quantus": whole},
    )


def timed(what: str, work: dict[str, Callable[[], object]], limit: float | None = None) -> Row:
    seconds = interleaved(work, REPEATS)
    ours, theirs = seconds["ours"], seconds["quantus"]
    faster = f"{theirs:.3g} s; {theirs / ours:.1f} × faster"
    return Row(f"{what}; quantus", f"{ours:.3g} s", faster, figure=ours / theirs, limit=limit)


def first_points(images: Tensor) -> Iterator[Row]:
    """Wall-clock seconds from a fresh case to five points of both curves, of one image in colour."""
    import time

    try:
        model = resnet20()
    except Skip as reason:
        yield Row(f"first points skipped: {reason}")
        return
    with torch.no_grad():
        label = int(model(images[:1]).argmax())
    seconds = []
    for _ in range(REPEATS):
        problem = Problem(model, images[:1], target=label)
        values = problem.gradients()[0]
        started = time.perf_counter()
        case = Case(problem, values)
        for kind in ("deletion", "insertion"):
            next(removal_walk(case, case.order()[None], kind=kind))
        seconds.append(time.perf_counter() - started)
    worst = sorted(seconds)[len(seconds) // 2]
    yield Row(
        "ResNet-20: first five points of both curves, median", f"{1000 * worst:.0f} ms", figure=worst, limit=1, unit="s"
    )
