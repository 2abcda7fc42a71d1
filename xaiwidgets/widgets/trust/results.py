"""Findings as results of metrics, for Python."""

from __future__ import annotations

import torch

from xaiwidgets.metrics.result import Curve, Result

from .course import Course
from .findings import Layers, Line

DIRECTIONS = {"deletion": "lower", "insertion": "higher"}


def results_of(course: Course) -> dict[str, Result]:
    """Areas by kind of curve and map, and how like itself the map stays when the model is made random."""
    found, settings = course.findings, course.settings
    if settings is None:
        return {}
    asked = course.tested.unit(settings)
    results = {}
    for kind, lines in found.curves.items():
        given = {"fill": settings.fill, "measure": settings.measure}
        for name, line in lines.items():
            key = kind if name == "map" else f"{kind}/{name}"
            results[key] = _area(kind, line, asked, given)
    if found.layers is not None and found.layers.rank:
        results["model_randomisation"] = _randomised(found.layers)
    return results


def _area(kind: str, line: Line, unit: str, given: dict[str, str]) -> Result:
    title = "share taken away" if kind == "deletion" else "share shown"
    tries = torch.from_numpy(line.tries)
    spread = tries if len(tries) > 1 else None
    curve = Curve(torch.from_numpy(line.x), torch.from_numpy(line.y)[None], title, unit, spread=spread)
    return Result(
        curve.area(), metric=kind, direction=DIRECTIONS[kind], curves={kind: curve}, parameters=given,
        evaluations={"forward": tries.numel(), "gradient": 0},
    )  # fmt: skip


def _randomised(layers: Layers) -> Result:
    count = len(layers.rank)
    curves = {
        name: Curve(
            torch.arange(1, count + 1).double(),
            torch.tensor([getattr(layers, name)]).double(),
            "layers made random",
            name,
        )
        for name in ("rank", "rank_absolute", "ssim", "output")
    }
    return Result(
        curves["rank"].values.clamp(min=0).nanmean(1), metric="model_randomisation", direction="lower", curves=curves,
        progress=(count, len(layers.names)), final=layers.finished,
    )  # fmt: skip
