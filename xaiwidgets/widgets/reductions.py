"""From attributions [channels, height, width] to the maps a person sees [height, width]."""

from collections.abc import Iterable

import torch
from torch import Tensor

from xaiwidgets.live.transport import Map

REDUCTIONS = {
    "sum": "sum over channels",
    "magnitude": "sum of absolute values over channels",
    "l2": "Euclidean norm over channels",
}


def reduce_channels(values: Tensor, key: str, *, signed: bool, unit: str) -> Map:
    """One map of attributions [c, h, w]. `key`: sum (keeps sign and completeness), magnitude or l2."""
    values = values.detach().to("cpu", torch.float32)
    if key == "sum":
        reduced = values.sum(0)
    elif key == "magnitude":
        reduced = values.abs().sum(0)
    else:
        reduced = values.square().sum(0).sqrt()
    return Map(key, REDUCTIONS[key], reduced.numpy(), signed and key == "sum", unit)


def reduce_all(values: Tensor, keys: Iterable[str], *, signed: bool, unit: str) -> list[Map]:
    """The maps for `keys`, the sum always first. One channel has only the sum: the others would repeat it."""
    wanted = ["sum", *(key for key in REDUCTIONS if key in set(keys) and key != "sum")]
    return [
        reduce_channels(values, key, signed=signed, unit=unit) for key in (wanted if len(values) > 1 else wanted[:1])
    ]
