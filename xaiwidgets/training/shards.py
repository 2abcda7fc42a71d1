"""An index on disk: one pair of plain .npy files for every block of training examples, and a manifest beside them.

vec-00000000.npy   int8 or float16 [n, dim]: every example's sketched gradient, divided by the example's `scale`
row-00000000.npy   structured [n]: what else is known of the example (`row_type`)

A file appears in one step and the row file after the vectors, so a block is there when its row file is: nothing else
has to be written for a build to be taken up again. Numbers are in the file's name because files, not their order, are
what workers share. Nothing in these files can execute when they are read.
"""

from __future__ import annotations

import errno
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, did_you_mean

from . import manifest as manifests

Array = np.ndarray[Any, Any]
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}

COLUMNS = {
    "loss": "<f4",
    "norm": "<f4",  # squared length of the gradient: the example's influence on itself
    "predicted": "<i4",
    "confidence": "<f4",  # probability of the label
    "margin": "<f4",  # logit of the label minus the largest other
    "el2n": "<f4",
}
"""What is kept of every example at every checkpoint."""


def row_type(checkpoints: int, *, label: str = "<i8") -> np.dtype[Any]:
    """One row: the example's position, its label, the scale of its vector, and COLUMNS at every checkpoint."""
    fixed = [("id", "<i8"), ("label", label), ("scale", "<f4")]
    return np.dtype([*fixed, *((name, kind, (checkpoints,)) for name, kind in COLUMNS.items())])


def quantised(vectors: Tensor, kind: str) -> tuple[Array, Array]:
    """Vectors as they are stored, and the scale that brings each back; one that is not finite is stored as zeros."""
    finite = vectors.isfinite().all(1, keepdim=True)
    vectors = torch.where(finite, vectors, 0.0)
    steps = 127.0 if kind == "int8" else 1.0
    scale = vectors.abs().amax(1) / steps
    unit = vectors / torch.where(scale > 0, scale, 1.0)[:, None]
    stored = unit.round().to(torch.int8) if kind == "int8" else unit.half()
    return stored.numpy(), scale.numpy()


@dataclass(frozen=True)
class Shard:
    """The files of one block of training examples."""

    folder: Path
    start: int

    @property
    def vectors(self) -> Path:
        return self.folder / f"vec-{self.start:08d}.npy"

    @property
    def rows(self) -> Path:
        return self.folder / f"row-{self.start:08d}.npy"

    def write(self, rows: Array, vectors: Array | None) -> int:
        """Put the block there, its rows last. Returns the checksum."""
        parts = [] if vectors is None else [(self.vectors, _npy(vectors))]
        parts.append((self.rows, _npy(rows)))
        try:
            for file, data in parts:
                manifests.replace(file, data)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return _checksum(data for _, data in parts)

    def described(self, n: int, projection: dict[str, Any] | None) -> dict[str, Any] | None:
        """The block's manifest row if its files are there and have the right shapes, else None."""
        try:
            rows = load(self.rows)
            whole = rows.shape == (n,)
            if projection is not None:
                vectors = load(self.vectors)
                whole = whole and vectors.shape == (n, projection["dim"]) and vectors.dtype == projection["dtype"]
        except InputError:
            return None
        return row_of(self.start, n, projection, self.checksum(projection), 0.0) if whole else None

    def checksum(self, projection: dict[str, Any] | None) -> int:
        files = [self.rows] if projection is None else [self.vectors, self.rows]
        return _checksum(file.read_bytes() for file in files)


def row_of(start: int, n: int, projection: dict[str, Any] | None, checksum: int, seconds: float) -> dict[str, Any]:
    """What a worker says of a block it has written, and what the manifest keeps of it."""
    dim = projection["dim"] if projection else 0
    return {"start": start, "n": n, "dim": dim, "sum": checksum, "seconds": round(seconds, 3)}


class Shards:
    """The blocks of an index, read as columns and vectors without ever loading all of it.

    Raises InputError where `path` holds no index. An unfinished one can be read as far as it goes (`complete` says so).
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        manifest = manifests.read(self.path)
        if manifest is None:
            raise InputError(
                "not_an_index", f"There is no training index in {self.path}", hint="Build one with TrainingIndex.build."
            )
        self.manifest: dict[str, Any] = manifest
        self.projection: dict[str, Any] | None = manifest["projection"]
        self.blocks = sorted(manifest["shards"], key=lambda block: int(block["start"]))
        self.starts = np.array([block["start"] for block in self.blocks], dtype=np.int64)
        self._length: int = sum(block["n"] for block in self.blocks)

    @property
    def complete(self) -> bool:
        return bool(self._length == self.manifest["rows"])

    def __len__(self) -> int:
        """Training examples that are there."""
        return self._length

    def __repr__(self) -> str:
        return f"Shards({self._length} of {self.manifest['rows']} examples in {len(self.blocks)} files, {self.path})"

    @property
    def nbytes(self) -> int:
        """Bytes on disk, from the shapes."""
        projection = self.projection
        width: int = projection["dim"] * np.dtype(projection["dtype"]).itemsize if projection else 0
        return self._length * (width + self._row_type.itemsize)

    def column(self, name: str, positions: Array | None = None) -> Array:
        """[N] of `id`, `label`, `scale`, or [N, checkpoints] of `loss`, `norm`, `predicted`, `confidence`, … (COLUMNS).

        positions   training examples, in any order; None: all that are there, in order
        """
        kind = self._row_type
        if name not in (kind.names or ()):
            raise InputError(
                "unknown_column", f"The index has no column {name!r}", hint=did_you_mean(name, kind.names or ())
            )
        field = kind[name]
        length = self._length if positions is None else len(positions)
        column = np.empty((length, *field.shape), field.base)
        if positions is None:
            at = 0
            for block in self.blocks:
                column[at : at + block["n"]] = self._rows(block)[name]
                at += block["n"]
        else:
            for block, here, inside in self._grouped(positions):
                column[here] = self._rows(block)[name][inside]
        return column

    def vectors(self, positions: Array) -> Tensor:
        """float32 [n, dim]: the sketched gradients of some examples, as near as they are stored."""
        if self.projection is None:
            raise no_vectors()
        vectors = torch.empty(len(positions), self.projection["dim"])
        for block, here, inside in self._grouped(positions):
            stored, scale = self.stored(block)
            vectors[torch.from_numpy(here)] = torch.from_numpy(stored[inside]).float() * torch.from_numpy(
                scale[inside]
            ).unsqueeze(1)
        return vectors

    def stored(self, block: dict[str, Any]) -> tuple[Array, Array]:
        """A block's vectors as they lie in the file (not read yet), and their scales."""
        return self._checked(Shard(self.path, block["start"]).vectors, block), np.array(self._rows(block)["scale"])

    def verify(self) -> list[str]:
        """Read everything again. Names of the damaged or missing blocks, none if all is as it was written."""
        damaged = []
        for block in self.blocks:
            shard = Shard(self.path, block["start"])
            try:
                whole = shard.checksum(self.projection) == block["sum"]
            except OSError:
                whole = False
            if not whole:
                damaged.append(shard.rows.name)
        return damaged

    def close(self) -> None:
        """Nothing stays open between two calls; here so that whoever holds an index can say that it is done."""

    @property
    def _row_type(self) -> np.dtype[Any]:
        return row_type(len(self.manifest["checkpoints"]), label=self.manifest["label"])

    def _rows(self, block: dict[str, Any]) -> Array:
        return self._checked(Shard(self.path, block["start"]).rows, block)

    def _checked(self, file: Path, block: dict[str, Any]) -> Array:
        array = load(file)
        if len(array) != block["n"]:
            raise _damaged(file, f"{len(array)} rows instead of {block['n']}")
        return array

    def _grouped(self, positions: Array) -> Iterator[tuple[dict[str, Any], Array, Array]]:
        """For every block concerned: where its examples are in `positions`, and in the block."""
        positions = np.asarray(positions, dtype=np.int64)
        owners = np.searchsorted(self.starts, positions, side="right") - 1
        for owner in np.unique(owners):
            here = np.flatnonzero(owners == owner)
            block = self.blocks[owner]
            inside = positions[here] - block["start"]
            if owner < 0 or inside.max(initial=0) >= block["n"]:
                wrong = positions[here][0 if owner < 0 else int(inside.argmax())]
                raise InputError("position_range", f"The index has no training example {wrong}")
            yield block, here, inside


def load(file: Path) -> Array:
    """A file as an array whose pages are read when they are looked at. Never unpickles."""
    try:
        return np.asarray(np.load(file, mmap_mode="c", allow_pickle=False))
    except FileNotFoundError:
        raise _damaged(file, "it is missing") from None
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(file, str(error)) from error


def cannot_write(folder: Path, error: OSError) -> InputError:
    if error.errno in FULL:
        return InputError(
            "disk_full",
            f"No space is left in {folder}",
            "The blocks that are written are whole and stay.",
            "Free space and build again with the same arguments: it goes on where it stopped. "
            "projection={'dim': 256} halves what is stored, projection=False stores no vectors.",
        )
    return InputError("cannot_write", f"{folder} cannot be written", str(error), "Pass another path=.")


def no_vectors() -> InputError:
    return InputError(
        "no_vectors",
        "The index holds no vectors to search",
        hint="Build it without projection=False, or ask with k=None for exact scores.",
    )


def _damaged(file: Path, why: str) -> InputError:
    return InputError(
        "damaged_index",
        f"{file} cannot be used: {why}",
        hint="Build again with the same arguments and path: only what is damaged is made anew.",
    )


def _npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _checksum(parts: Iterable[bytes]) -> int:
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return total
