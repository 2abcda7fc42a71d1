"""Training data as whoever trained the model has it: any data set that can be asked for one example, cut into batches."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from xaiwidgets.engine.errors import InputError

LABEL_KEYS = ("labels", "label", "target", "targets", "y")
SAMPLED = 64
"""Examples whose content tells one data set from another."""

LabelKind = Literal["class", "number", "other"]
Positions = Sequence[int] | np.ndarray[Any, Any]


class TrainingData:
    """Examples with labels, by position.

    dataset   a map-style data set or a DataLoader of one (its order is ignored, its `collate_fn` used); items are
              (input, label), (several inputs …, label), or dicts with a label under one of LABEL_KEYS. Or everything at
              once: (inputs, labels) with the examples along the first axis, or a dict of such tensors.
    collate   makes a batch of a list of items, as in a DataLoader; what it returns is read like an item

    Texts inside dict items are left out: no model reads them. Raises InputError for data without labels, without a
    length, without examples, or of items that change from one reading to the next.
    """

    def __init__(self, dataset: Any, *, collate: Callable[[list[Any]], Any] | None = None) -> None:
        if isinstance(dataset, DataLoader):
            own = getattr(dataset.collate_fn, "__module__", "") == default_collate.__module__
            collate = collate or (None if own else dataset.collate_fn)
            dataset = dataset.dataset
        self.dataset = dataset
        self.collate = collate
        self._columns = None if collate is not None else _columns(dataset)
        self._length = self._measured(dataset)
        self.label_kind: LabelKind = _kind(self.batch([0])[1])

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"TrainingData({self._length} examples, labels: {self.label_kind})"

    def batch(self, positions: Positions) -> tuple[Any, Tensor]:
        """Inputs with the batch first (a tensor, a tuple of them or a dict of them) and labels, on the CPU."""
        index = np.asarray(positions, dtype=np.int64)
        if len(index) and (index.min() < 0 or index.max() >= self._length):
            raise InputError(
                "position_range",
                f"There is no training example {int(index.max() if index.min() >= 0 else index.min())}",
                hint=f"Positions are 0 to {self._length - 1}.",
            )
        if self._columns is not None:
            rows = torch.from_numpy(index)
            return _mapped(self._columns[0], lambda column: column[rows]), self._columns[1][rows]
        items = [self.dataset[int(position)] for position in index]
        if self.collate is not None:
            inputs, labels = split(self.collate(items))
        else:
            parts = [split(item) for item in items]
            inputs, labels = _stack([part[0] for part in parts]), _stack([part[1] for part in parts])
        if not isinstance(labels, Tensor):
            labels = torch.as_tensor(labels)
        if labels.ndim == 0 or len(labels) != len(index):
            raise InputError(
                "label_shape",
                f"Labels of shape {list(labels.shape)} for {len(index)} examples",
                hint="A label for each example, the batch first.",
            )
        return inputs, labels

    def item(self, position: int) -> tuple[Any, Any]:
        """Input and label of one example as the data set gives them, without a batch axis."""
        if self._columns is None:
            return split(self.dataset[int(position)])
        inputs, labels = self.batch([position])
        return _mapped(inputs, lambda column: column[0]), labels[0]

    def labels(self) -> Tensor:
        """All labels. Reads every example, unless the data are tensors already."""
        if self._columns is not None:
            return self._columns[1]
        return torch.cat([self.batch(range(at, min(at + 256, len(self))))[1] for at in range(0, len(self), 256)])

    @cached_property
    def _fingerprint(self) -> str:
        chosen = np.unique(np.linspace(0, len(self) - 1, min(SAMPLED, len(self))).round().astype(np.int64))
        digest = hashlib.blake2b(str(len(self)).encode(), digest_size=16)
        first = self._digest(0)
        if first != self._digest(0):
            raise InputError(
                "random_items",
                "The data set gives another example each time it is asked for the same one",
                hint="Pass it without random augmentation.",
            )
        for position in chosen:
            digest.update(self._digest(int(position)))
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Tells this data set from others by its length and 64 evenly spaced examples with their labels."""
        return self._fingerprint

    def compare_labels(self, positions: np.ndarray[Any, Any], stored: np.ndarray[Any, Any]) -> None:
        """Raise InputError if a label is not the stored one. Looks only where that does not mean reading every example."""
        if self._columns is None:
            return
        changed = positions[label_column(self._columns[1][torch.from_numpy(positions.copy())]) != stored]
        if len(changed):
            raise InputError(
                "data_changed",
                f"The label of training example {changed[0]} is not the one in the index",
                f"{len(changed):,} of {len(positions):,} labels differ.",
                "Build an index of the data as they are now: overwrite=True, or another path=.",
            )

    def _digest(self, position: int) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for part in self.batch([position]):
            _feed(digest, part)
        return digest.digest()

    def _measured(self, dataset: Any) -> int:
        if self._columns is not None:
            return len(self._columns[1])
        if (
            isinstance(dataset, IterableDataset)
            or not hasattr(dataset, "__len__")
            or not hasattr(dataset, "__getitem__")
        ):
            raise InputError(
                "iterable_data",
                f"{type(dataset).__name__} cannot be asked for one example by its number",
                hint="Pass a data set with __len__ and __getitem__, or list(dataset) if it fits in memory.",
            )
        if isinstance(dataset, Tensor | np.ndarray):
            raise _no_labels(dataset)
        if len(dataset) == 0:
            raise InputError("empty_data", "The data set has no examples")
        return len(dataset)


def split(item: Any) -> tuple[Any, Any]:
    """Inputs and label of an item or of a batch."""
    if isinstance(item, Mapping):
        key = next((key for key in LABEL_KEYS if item.get(key) is not None), None)
        if key is None:
            raise _no_labels(item)
        return {name: value for name, value in item.items() if name != key and not _text(value)}, item[key]
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise _no_labels(item)
    *inputs, label = item
    return (inputs[0] if len(inputs) == 1 else tuple(inputs)), label


def moved(batch: Any, device: torch.device) -> Any:
    """The same tensors on another device, in the same container."""
    return _mapped(batch, lambda tensor: tensor.to(device))


def like(inputs: Any, batch: Any) -> Any:
    """Queries in the form a batch of training inputs has; arrays become tensors, float64 what the training data are.

    Raises InputError for another container or for tensors without a batch axis.
    """
    if isinstance(batch, Mapping):
        if not isinstance(inputs, Mapping):
            raise _unlike(inputs, "a dict")
        found = {key: value for key, value in inputs.items() if not _text(value)}
        return {key: like(value, batch[key]) if key in batch else value for key, value in found.items()}
    if isinstance(batch, tuple):
        if not isinstance(inputs, tuple | list) or len(inputs) != len(batch):
            raise _unlike(inputs, f"{len(batch)} inputs")
        return tuple(like(value, part) for value, part in zip(inputs, batch, strict=True))
    if not isinstance(inputs, Tensor | np.ndarray):
        raise _unlike(inputs, "a tensor")
    tensor = torch.as_tensor(inputs)
    if tensor.ndim != batch.ndim:
        raise InputError(
            "query_shape",
            f"A query of shape {list(tensor.shape)}, where training batches have {list(batch.shape)}",
            hint="Queries come with the batch first: inputs[None] for a single one."
            if tensor.ndim == batch.ndim - 1
            else "Pass them in the shape the model was trained with.",
        )
    return tensor.to(batch.dtype) if tensor.is_floating_point() and batch.is_floating_point() else tensor


def label_column(labels: Tensor) -> np.ndarray[Any, Any]:
    """One number an example, to be kept beside it: the class, the number, or a checksum of anything else."""
    labels = _flat(labels.detach().cpu())
    if labels.ndim == 1:
        return np.asarray(labels.float().numpy() if labels.is_floating_point() else labels.long().numpy())
    rows = labels.contiguous().numpy()
    return np.array([zlib.crc32(row.tobytes()) for row in rows], dtype=np.int64)


def _kind(labels: Tensor) -> LabelKind:
    labels = _flat(labels)
    if labels.ndim > 1:
        return "other"
    return "number" if labels.is_floating_point() else "class"


def _flat(labels: Tensor) -> Tensor:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _columns(dataset: Any) -> tuple[Any, Tensor] | None:
    """Inputs and labels, if all of them are tensors in memory."""
    if type(dataset) is TensorDataset:
        dataset = tuple(dataset.tensors)
        if len(dataset) < 2:
            raise _no_labels(dataset)
    elif isinstance(dataset, Mapping):
        if not all(isinstance(value, Tensor | np.ndarray) or _text(value) for value in dataset.values()):
            return None
    elif not (isinstance(dataset, tuple) and len(dataset) == 2 and isinstance(dataset[1], Tensor | np.ndarray)):
        return None
    inputs, labels = split(dataset)
    inputs, labels = _mapped(inputs, torch.as_tensor), torch.as_tensor(labels)
    sizes = {len(column) if column.ndim else 0 for column in [*_leaves(inputs), labels]}
    if len(sizes) != 1 or not _leaves(inputs):
        raise InputError(
            "data_sizes",
            f"Inputs and labels of different lengths: {sorted(sizes)}",
            hint="Pass (inputs, labels) with one label for each input.",
        )
    if sizes == {0}:
        raise InputError("empty_data", "The data set has no examples")
    return inputs, labels


def _leaves(inputs: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _mapped(inputs, lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
    return found


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(part, function) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_mapped(part, function) for part in value)
    return function(value) if isinstance(value, Tensor | np.ndarray) else value


def _stack(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _stack([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stack(list(part)) for part in zip(*values, strict=True))
    try:
        return torch.stack([torch.as_tensor(value) for value in values])
    except (RuntimeError, TypeError, ValueError) as error:
        shapes = sorted({str(list(value.shape)) for value in values if hasattr(value, "shape")})
        raise InputError(
            "items_do_not_stack",
            f"Examples of type {type(first).__name__} cannot be put into one batch",
            f"Shapes: {', '.join(shapes)}." if shapes else str(error),
            "Pass collate=, the function your DataLoader uses, or a data set of tensors of one shape.",
        ) from error


def _text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(one, str) for one in value)
    )


def _feed(digest: Any, value: Any) -> None:
    """Names, types, shapes and contents, in order."""
    if isinstance(value, Mapping):
        for key in value:
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, tuple | list):
        for part in value:
            _feed(digest, part)
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    else:
        digest.update(repr(value).encode())


def _unlike(inputs: Any, wanted: str) -> InputError:
    return InputError(
        "query_form",
        f"A query of type {type(inputs).__name__}, where the training data give {wanted}",
        hint="Pass inputs in the form the data set has them, without the label and with the batch first.",
    )


def _no_labels(item: Any) -> InputError:
    keys = f" with the keys {sorted(map(str, item))}" if isinstance(item, Mapping) else ""
    return InputError(
        "no_labels",
        "The data set has no labels",
        f"Its items are of type {type(item).__name__}{keys}.",
        f"Items are (input, label), or dicts with one of {', '.join(LABEL_KEYS)}. "
        "Pass collate= to make such pairs of others.",
    )
