"""Shapley values and Kernel SHAP against all coalitions, beside the peers' with as many passes or as little error."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from captum import attr
from torch import Tensor

import xaiwidgets as xw
from benchmarks.beside import Subject, Work, compared, installed
from benchmarks.measure import Row

GRID = (16, 24, 34, 50, 75, 100, 125, 150, 200, 300, 500, 1000)
SEEDS = range(4)


def squares(rows: int, columns: int, side: int) -> Tensor:
    """Numbers [side, side] of equal parts; `rows` and `columns` divide `side`, or nearly."""
    places = torch.arange(side)
    return places[:, None] * rows // side * columns + places * columns // side


class Game:
    """Regions of a few images, a model's favourite classes, and the exact answer."""

    def __init__(self, one: Subject, images: Tensor, rows: int, columns: int) -> None:
        self.name, self.model, self.images = one.name, one.model, images
        with torch.no_grad():
            self.labels = one.model(images).argmax(1)
        self.players = rows * columns
        self.regions = squares(rows, columns, images.shape[-1])
        self.sizes = torch.bincount(self.regions.flatten())[self.regions]
        self.exact = self.ours("shapley_exact")

    def ours(self, method: str, **parameters: Any) -> Tensor:
        asked = {"method": method, "regions": self.regions, **parameters}
        return xw.attribute(self.model, self.images, target=self.labels, **asked).values

    def theirs(self, peer: type, samples: int, seed: int) -> Tensor:
        torch.manual_seed(seed)
        found = peer(self.model).attribute(
            self.images,
            target=self.labels,
            feature_mask=self.regions[None, None],
            n_samples=samples,
            perturbations_per_eval=16,
        )
        return found[:, :1] / self.sizes  # it shows a region's value at every pixel

    def shaps(self, samples: int, seed: int = 0) -> Tensor:
        import numpy as np
        import shap

        np.random.seed(seed)  # noqa: NPY002  # what shap draws from
        found = []
        for image, label in zip(self.images, self.labels.tolist(), strict=True):

            @torch.no_grad()
            def play(coalitions: Any, image: Tensor = image, label: int = label) -> Any:
                kept = torch.from_numpy(coalitions).float()[:, None, self.regions]
                return torch.cat([self.model(image * some) for some in kept.split(16)])[:, label].numpy()

            explainer = shap.KernelExplainer(play, np.zeros((1, self.players)))
            values = explainer.shap_values(np.ones((1, self.players)), nsamples=samples, silent=True, l1_reg=False)[0]
            found.append(torch.from_numpy(values).float()[self.regions][None] / self.sizes)
        return torch.stack(found)

    def error(self, values: Callable[[int], Tensor]) -> float:
        """Mean over images and seeds of the L1 error relative to the exact values."""
        errors = []
        for seed in SEEDS:
            distance = (values(seed) - self.exact).abs().sum((1, 2, 3))
            errors.append(float((distance / self.exact.abs().sum((1, 2, 3))).mean()))
        return sum(errors) / len(errors)


def kernel_shap(game: Game, limit: float | None = None) -> Iterator[Row]:
    """As few samples as give the error of the peer's 500."""
    wanted = game.error(lambda seed: game.theirs(attr.KernelShap, 500, seed))
    enough = next(
        n for n in GRID if game.error(lambda seed, n=n: game.ours("kernel_shap", samples=n, seed=seed)) <= wanted
    )
    work: Work = {
        "ours": lambda: game.ours("kernel_shap", samples=enough, seed=0),
        "captum, 500 samples": lambda: game.theirs(attr.KernelShap, 500, 0),
    }
    yield from compared(
        f"{game.name}, {game.players} squares: Kernel SHAP to captum's L1 error ({wanted:.1%}), {enough} samples",
        work, limit=limit, model=game.model,
    )  # fmt: skip


def beside_shap(game: Game) -> Iterator[Row]:
    """The same number of samples; shap pairs coalitions too."""
    if not installed("shap"):
        yield Row("shap skipped: not installed")
        return
    work = {
        "ours": lambda: game.ours("kernel_shap", samples=500, seed=0),
        "shap's KernelExplainer": lambda: game.shaps(500),
    }
    yield from compared(f"{game.name}, {game.players} squares: Kernel SHAP, 500 samples", work, model=game.model)
    ours = game.error(lambda seed: game.ours("kernel_shap", samples=500, seed=seed))
    theirs = game.error(lambda seed: game.shaps(500, seed))
    yield Row("  L1 error", f"{ours:.1%}", f"{theirs:.1%}", figure=ours / theirs)


def shapley(game: Game, limit: float | None = None, ratio: float | None = None) -> Iterator[Row]:
    """512 passes a row, for everyone."""
    name = f"{game.name}, {game.players} squares, 512 passes: L1 error of Shapley values"
    ours = game.error(lambda seed: game.ours("shapley", samples=512, seed=seed))
    yield Row(name, f"{ours:.1%}", figure=ours, limit=limit, unit="")
    kernel = game.error(lambda seed: game.theirs(attr.KernelShap, 512, seed))
    sampled = game.error(lambda seed: game.theirs(attr.ShapleyValueSampling, 512 // game.players, seed))
    yield Row("  beside captum's KernelShap", f"{ours:.1%}", f"{kernel:.1%}", figure=ours / kernel, limit=ratio)
    yield Row("  beside captum's ShapleyValueSampling", f"{ours:.1%}", f"{sampled:.1%}", figure=ours / sampled)
