"""The result of explaining: values with their scale, their error and their cost, and a file format for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from . import baselines
from .errors import InputError
from .inputs import Values
from .target import Contrast

FORMAT = "xaiwidgets.attribution/1"


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method answered.

    values           like the explained input: a tensor, or the same tuple or dict of tensors; one channel at the
                     input's height and width for methods that explain places. In units of the score.
    delta            [batch] sum(values) - (score - baseline_score), None where the method promises no such sum
    error            estimate of the remaining relative error, None where there is none
    evaluations      rows evaluated by the model: {"forward": int, "gradient": int}
    progress         (done, total) in the method's own unit of work
    score            [batch] the explained score of the inputs, None where the method does not need it
    baseline_score   [batch] the score of the baseline, averaged over several, None where there is none
    rounding         what lowered precision costs: relative L1 distance of the first row's gradient from the exact one
    """

    values: Values
    delta: Tensor | None
    error: float | None
    evaluations: dict[str, int]
    method: str
    parameters: dict[str, Any]
    target: Any
    seconds: float
    progress: tuple[int, int]
    score: Tensor | None = None
    baseline_score: Tensor | None = None
    rounding: float | None = None

    def to_numpy(self) -> Any:
        """The values as NumPy arrays in the same container."""
        if isinstance(self.values, dict):
            return {key: _array(value) for key, value in self.values.items()}
        if isinstance(self.values, tuple):
            return tuple(_array(value) for value in self.values)
        return _array(self.values)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the rest as JSON in its header; nothing in it can execute on loading.

        Targets and parameters that are functions or modules are written as their description.
        """
        tensors: dict[str, Tensor] = {}
        header = {field.name: encode(getattr(self, field.name), field.name, tensors) for field in fields(self)}
        metadata = {"format": FORMAT, "attribution": json.dumps(header)}
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)


def load(path: str | Path) -> Attribution:
    """Read an attribution written by `Attribution.save`; tensors come back on the CPU."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise InputError(
                "not_an_attribution", f"{path} holds no attribution", hint="Write one with Attribution.save(path)."
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    try:
        header = {name: decode(value, tensors) for name, value in json.loads(metadata["attribution"]).items()}
        return Attribution(**header)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "not_an_attribution", f"{path} is damaged or of another version", f"{type(error).__name__}: {error}"
        ) from error


def _array(values: Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(values.detach().cpu().numpy())


def encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON; tensors are put aside under their path and referred to."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor):
        tensors[name] = value.clone()  # safetensors refuses tensors that share memory
        return {"$tensor": name}
    if isinstance(value, tuple | list):
        items = [encode(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, Mapping):
        return {"$dict": [[key, encode(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    known = _known_types().get(type(value).__name__)
    if known is type(value) and is_dataclass(value):
        content = {
            field.name: encode(getattr(value, field.name), f"{name}.{field.name}", tensors) for field in fields(value)
        }
        return {"$object": type(value).__name__, "fields": content}
    return {"$described": _describe(value)}


def decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$tuple" in value:
        return tuple(decode(item, tensors) for item in value["$tuple"])
    if "$dict" in value:
        return {key: decode(item, tensors) for key, item in value["$dict"]}
    if "$object" in value:
        content = {key: decode(item, tensors) for key, item in value["fields"].items()}
        return _known_types()[value["$object"]](**content)
    return value["$described"]


def _known_types() -> dict[str, Any]:
    """The only classes a file can bring back: plain data of this package."""
    kinds = (
        baselines.Constant,
        baselines.Mean,
        baselines.Blur,
        baselines.Uniform,
        baselines.Gaussian,
        baselines.MaxDistance,
        baselines.Dataset,
        Contrast,
    )
    return {kind.__name__: kind for kind in kinds}


def _describe(value: Any) -> str:
    if isinstance(value, nn.Module):
        return type(value).__name__
    return str(getattr(value, "__qualname__", None) or type(value).__name__)
