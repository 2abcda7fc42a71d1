"""Normalisations: their parameters scale and shift the normalised values, a channel (axis 1) or a feature (the last axes)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from .plans import Built, ByRow, Given, Plan, Watched
from .products import Formed


def layer_norm(watched: Watched, given: Given) -> Plan:
    shape, eps = tuple(given["shape"]), given.get("eps", 1e-5)
    depth = given["input"].ndim - len(shape)
    return _scaled(watched, given, depth, lambda values: functional.layer_norm(values, shape, eps=eps))


def rms_norm(watched: Watched, given: Given) -> Plan:
    shape, eps = tuple(given["shape"]), given.get("eps")
    depth = given["input"].ndim - len(shape)
    return _scaled(watched, given, depth, lambda values: functional.rms_norm(values, shape, eps=eps))


def group_norm(watched: Watched, given: Given) -> Plan:
    groups, eps = given["groups"], given.get("eps", 1e-5)
    return _scaled(watched, given, 1, lambda values: functional.group_norm(values, groups, eps=eps))


def batch_norm(watched: Watched, given: Given) -> Plan | None:
    mean, variance = given["mean"], given["variance"]
    if given["training"] or mean is None or variance is None:
        return None
    centre, scale = mean.clone(), (variance + given["eps"]).rsqrt()

    def normalised(values: Tensor) -> Tensor:
        one_each = [-1, *[1] * (values.ndim - 2)]
        shift, factor = (one.to(values.dtype).view(one_each) for one in (centre, scale))
        scaled: Tensor = (values - shift) * factor
        return scaled

    return _scaled(watched, given, 1, normalised)


def instance_norm(watched: Watched, given: Given) -> Plan | None:
    eps = given["eps"]
    if not given["use_input_stats"]:
        return batch_norm(watched, {**given, "training": False})
    return _scaled(watched, given, 1, lambda values: functional.instance_norm(values, eps=eps))


def prelu(watched: Watched, given: Given) -> Plan | None:
    depth = 1 if given["input"].ndim > 1 else 0
    return _scaled(watched, given, depth, lambda values: values.clamp(max=0))


def _scaled(watched: Watched, given: Given, depth: int, normalised: Callable[[Tensor], Tensor]) -> Plan:
    weight, bias = given.get("weight"), given.get("bias")
    inputs, name, bias_name = watched.keep(given["input"]), watched.name(weight), watched.name(bias)
    shape = next(one.shape for one in (weight, bias) if one is not None)

    def total(values: Tensor) -> Formed:
        """[B, positions, *shape, *more] to [B, *shape]; of one number for all channels, all of it."""
        rows = values.flatten(1 + len(shape) + 1).sum(-1) if values.ndim > 2 + len(shape) else values
        return Formed(rows.sum(1).sum_to_size(len(rows), *shape))

    def build(gradient: Tensor, by_row: ByRow) -> Built:
        if name:
            yield name, total(by_row(gradient * normalised(inputs.to(gradient.dtype))))
        if bias_name:
            yield bias_name, total(by_row(gradient))

    return Plan(depth, (name, bias_name), build)
