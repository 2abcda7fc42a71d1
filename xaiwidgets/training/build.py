"""Building an index: what is there stays, what is missing is made, and how long that will take is said from the start."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xaiwidgets.engine.errors import InputError

from . import manifest as manifests
from .engines import Block, run
from .indexer import Interrupt, Task, label_type
from .shards import Shard, cannot_write, load, row_type
from .sketch import projection_of
from .spec import Spec

BLOCKS, SMALLEST, LARGEST = 128, 256, 4096
"""About so many blocks of so many examples: what a killed worker loses, and how finely work is shared out."""
SAVE_EVERY = 2.0
"""Seconds between two manifests. Blocks that are not in it yet are found by their files."""


@dataclass(frozen=True)
class Progress:
    """How far a build is.

    done, total       training examples; those found in the folder count as done
    rows_per_second   of this run, None until something has been computed
    seconds_left      at that speed
    bytes             on the disk so far
    """

    done: int
    total: int
    phase: str
    rows_per_second: float | None
    seconds_left: float | None
    bytes: int


def build(
    spec: Spec,
    *,
    path: Path,
    projection: dict[str, Any] | Literal[False] | None = None,
    engine: Any = "local",
    overwrite: bool = False,
    interrupt: Interrupt = None,
) -> Iterator[Progress]:
    """Write the index of `spec` into the folder `path`, or the rest of it if it was begun; the last item has done == total.

    Raises InputError: `other_index` where another one is in the folder (unless `overwrite`, which deletes it),
    `disk_full`, `cannot_write`. Whatever ends a build, whole blocks stay and the next build goes on from them.
    """
    path = Path(path)
    projection = projection_of(projection)
    manifest = _begun(spec, path, projection, overwrite)
    blocks = _blocks(len(spec.data), manifest["block"])
    yield Progress(0, len(spec.data), "looking at what is there", None, None, 0)
    done = _whole(path, manifest, blocks, interrupt)
    for start in done:
        rows = load(Shard(path, start).rows)
        spec.data.compare_labels(rows["id"], rows["label"])
    account = _Account(manifest, path, done)
    try:
        account.save()
        yield account.progress()
        missing = [block for block in blocks if block[0] not in done]
        if missing:
            account.check_space(missing)
            task = Task(spec, path.absolute(), projection)
            for step in run(engine, task, missing, interrupt):
                account.add(step)
                yield account.progress()
    finally:
        account.save()


class _Account:
    """Rows of the blocks that are done, the speed, and the manifest that says so."""

    def __init__(self, manifest: dict[str, Any], path: Path, done: dict[int, dict[str, Any]]) -> None:
        self.manifest = manifest
        self.path = path
        self.done = done
        self.row_bytes = _row_bytes(manifest)
        self.began = time.perf_counter()
        self.found = self.finished = sum(row["n"] for row in done.values())
        self.inside = 0.0
        self.saved = 0.0

    def add(self, step: float | dict[str, Any]) -> None:
        if isinstance(step, dict):
            self.done[step["start"]] = step
            self.finished += step["n"]
            self.inside = 0.0
            if time.perf_counter() - self.saved > SAVE_EVERY:
                self.save()
        else:
            self.inside = step

    def save(self) -> None:
        shards = [self.done[start] for start in sorted(self.done)]
        try:
            manifests.write(self.path, {**self.manifest, "shards": shards})
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.saved = time.perf_counter()

    def check_space(self, missing: list[Block]) -> None:
        """Say before hours of work that the result will not fit."""
        needed = sum(n for _, n in missing) * self.row_bytes
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise InputError(
                "disk_full",
                f"The index needs {_readable(needed)} more in {self.path}, and {_readable(free)} are free",
                hint="Free space, pass another path=, or store less: projection={'dim': 256} halves the vectors.",
            )

    def progress(self) -> Progress:
        total = self.manifest["rows"]
        computed = self.finished - self.found + self.inside
        speed = computed / (time.perf_counter() - self.began) if computed else None
        left = (total - self.found - computed) / speed if speed else None
        done = min(self.finished + int(self.inside), total)
        phase = "done" if self.finished == total else "recording gradients"
        return Progress(done, total, phase, speed, 0.0 if done == total else left, self.finished * self.row_bytes)


def _begun(spec: Spec, path: Path, projection: dict[str, Any] | None, overwrite: bool) -> dict[str, Any]:
    """The manifest to go on with: the one in the folder if it is of the same index, else a new one."""
    new = _new(spec, projection)
    old = None
    if overwrite:
        _clear(path)
    else:
        old = manifests.read(path)
        if old is None and any(path.glob("row-*.npy")):
            raise _other(path, "files of an index without a manifest")
        differing = manifests.differences(old, new) if old is not None else []
        if differing:
            raise _other(path, f"an index that differs in {', '.join(differing)}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        for left_over in path.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return new if old is None else {**new, "block": old["block"], "shards": old["shards"]}


def _new(spec: Spec, projection: dict[str, Any] | None) -> dict[str, Any]:
    total = len(spec.data)
    recorder = spec.recorder(copy.deepcopy(spec.model))
    return {
        "format": manifests.FORMAT,
        "rows": total,
        "block": block_size(total, spec.chunk),
        "label": label_type(spec),
        "checkpoints": [{"name": one.name, "learning_rate": one.learning_rate} for one in spec.checkpoints],
        "projection": projection,
        "parameters": list(recorder.parameters),
        "left_out": recorder.left_out,
        "fingerprints": spec.fingerprints(),
        "facts": spec.facts(),
        "shards": [],
    }


def block_size(total: int, chunk: int) -> int:
    """Examples a block: whole chunks, so that the same rows are computed together whoever writes the block."""
    wanted = min(max(math.ceil(total / BLOCKS), SMALLEST), LARGEST)
    return chunk * math.ceil(wanted / chunk)


def _blocks(total: int, size: int) -> list[Block]:
    return [(start, min(size, total - start)) for start in range(0, total, size)]


def _whole(
    path: Path, manifest: dict[str, Any], blocks: list[Block], interrupt: Interrupt
) -> dict[int, dict[str, Any]]:
    """The blocks whose files are there and are as they were written; others are deleted, to be made anew."""
    recorded = {row["start"]: row for row in manifest["shards"]}
    done = {}
    for start, n in blocks:
        if interrupt is not None:
            interrupt()
        shard = Shard(path, start)
        row = shard.described(n, manifest["projection"])
        if row is not None and row["sum"] == recorded.get(start, row)["sum"]:
            done[start] = recorded.get(start, row)
        else:
            shard.rows.unlink(missing_ok=True)  # first: without it the block is not there
            shard.vectors.unlink(missing_ok=True)
    return done


def _clear(path: Path) -> None:
    """Delete an index, and nothing else that is in its folder."""
    for pattern in ("row-*.npy", "vec-*.npy", manifests.NAME, ".*.tmp"):
        for file in path.glob(pattern):
            file.unlink(missing_ok=True)


def _other(path: Path, what: str) -> InputError:
    return InputError(
        "other_index",
        f"{path} holds {what}",
        hint="Pass another path=, or overwrite=True to delete it and begin anew.",
    )


def _row_bytes(manifest: dict[str, Any]) -> int:
    projection = manifest["projection"]
    width = projection["dim"] * np.dtype(projection["dtype"]).itemsize if projection else 0
    return int(width + row_type(len(manifest["checkpoints"]), label=manifest["label"]).itemsize)


def _readable(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
