"""What a reader decided about training examples, as data: a table, and the data set with the decisions carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from xaiwidgets.engine.errors import InputError
from xaiwidgets.training.data import LABEL_KEYS


class Corrected(Dataset[Any]):
    """A data set without the dropped examples and with the new labels.

    positions   where each of its examples is in the original
    """

    def __init__(self, dataset: Any, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        self._items = _items(dataset)
        dropped = {int(key) for key, one in verdicts.items() if one["verdict"] == "drop"}
        self._labels = {
            int(key): int(one["label"])
            for key, one in verdicts.items()
            if one["verdict"] == "relabel" and one["label"] is not None
        }
        count = len(self._items)
        beyond = sorted(number for number in dropped | self._labels.keys() if number >= count)
        if beyond:
            raise InputError(
                "other_dataset",
                f"There are verdicts about example {beyond[0]}, and the data set has {count}",
                hint="Pass the data set that the index was built from.",
            )
        self.positions = [number for number in range(count) if number not in dropped]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Any:
        position = self.positions[index]
        item = self._items[position]
        return item if position not in self._labels else _relabelled(item, self._labels[position])


def frame(
    verdicts: Mapping[str, Mapping[str, Any]], names: Sequence[str], facts: Mapping[int, Mapping[str, Any]]
) -> Any:
    """A pandas table: one row for each verdict. `facts`: what else is known of an example, by its position."""
    try:
        import pandas as pd  # noqa: PLC0415 - the only thing that needs it
    except ImportError as error:
        raise InputError(
            "no_pandas", "A table of verdicts needs pandas", hint="pip install pandas, or use w.verdicts."
        ) from error

    def named(label: Any) -> str | None:
        return names[label] if isinstance(label, int) and label < len(names) else None

    rows = []
    for key, one in sorted(verdicts.items(), key=lambda pair: int(pair[0])):
        known = facts.get(int(key), {})
        rows.append({
            "id": int(key), "verdict": one["verdict"], "label": one["label"], "label_name": named(one["label"]),
            "given": known.get("y"), "given_name": named(known.get("y")), "predicted": known.get("yhat"),
            "self_influence": known.get("self"), "time": one["time"],
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=[
        "id", "verdict", "label", "label_name", "given", "given_name", "predicted", "self_influence", "time",
    ])  # fmt: skip
    numbers = ("label", "given", "predicted")
    return table.astype(dict.fromkeys(numbers, "Int64") if _whole(rows, numbers) else {}).set_index("id")


def _whole(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bool:
    return all(isinstance(row[name], (int, type(None))) for row in rows for name in names)


class _Columns:
    """Items of data that lie in columns, the examples along their first axis: (inputs, labels), or columns by name."""

    def __init__(self, columns: Any) -> None:
        self._columns = columns

    def __len__(self) -> int:
        named = isinstance(self._columns, Mapping)
        return len(next(iter(self._columns.values())) if named else self._columns[0])

    def __getitem__(self, position: int) -> Any:
        if isinstance(self._columns, Mapping):
            return {name: column[position] for name, column in self._columns.items()}
        return tuple(column[position] for column in self._columns)


def _items(dataset: Any) -> Any:
    """The data set item by item, whichever of the forms it has that an index can be built of."""
    if isinstance(dataset, DataLoader):
        dataset = dataset.dataset
    pair = isinstance(dataset, tuple) and len(dataset) == 2 and isinstance(dataset[1], (Tensor, np.ndarray))
    if pair or isinstance(dataset, Mapping):
        return _Columns(dataset)
    if not hasattr(dataset, "__len__"):
        raise InputError(
            "dataset_length",
            f"A {type(dataset).__name__} has no length",
            hint="Pass a data set whose items are numbered.",
        )
    return dataset


def _relabelled(item: Any, label: int) -> Any:
    """The item with another label, of the old one's type."""
    if isinstance(item, Mapping):
        name = next((key for key in LABEL_KEYS if key in item), None)
        if name is None:
            raise InputError("no_label", f"The item has no label among {', '.join(map(str, item))}")
        return {**item, name: _like(item[name], label)}
    parts = list(item)
    parts[-1] = _like(parts[-1], label)
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*parts)
    return type(item)(parts) if isinstance(item, (tuple, list)) else tuple(parts)


def _like(old: Any, label: int) -> Any:
    return torch.full_like(old, label) if isinstance(old, Tensor) else type(old)(label)
