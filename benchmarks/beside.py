"""One subject and several ways to the same answer, side by side."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.measure import Row, counted, interleaved

REPEATS = 3
KEPT: list[Any] = []
Work = dict[str, Callable[[], Any]]


class Subject(NamedTuple):
    name: str
    model: nn.Module
    image: Tensor
    target: int


def subject(name: str, model: nn.Module, image: Tensor) -> Subject:
    with torch.no_grad():
        return Subject(name, model, image, int(model(image).argmax()))


def compared(what: str, work: Work, *, limit: float | None = None, model: nn.Module | None = None) -> Iterator[Row]:
    """`ours` beside the fastest of the others; evaluations of the model where it is given."""
    seconds = interleaved(work, REPEATS)
    peer = min((name for name in work if name != "ours"), key=lambda name: seconds[name])
    evaluations = {}
    for name in ("ours", peer) if model is not None else ():
        with counted(model) as count:
            work[name]()
        evaluations[name] = f", {count.forward} + {count.gradient}"
    ours, theirs = (f"{seconds[name]:.3g} s{evaluations.get(name, '')}" for name in ("ours", peer))
    counts = " (evaluations forward + gradient)" if evaluations else ""
    yield Row(f"{what}: CPU{counts}; {peer}", ours, theirs, figure=seconds["ours"] / seconds[peer], limit=limit)


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def peers() -> None:
    """zennit, shap and pytorch-grad-cam import torchvision, whose wheels miss two operators beside a torch without CUDA."""
    if installed("torchvision") and torch.version.cuda is None:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(library)  # its definitions live as long as it does
