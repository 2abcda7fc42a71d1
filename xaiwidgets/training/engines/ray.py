"""Blocks by a pool of Ray actors: on this machine, or on a cluster whose nodes see the index's folder.

Ray gives every actor a GPU of its own where the model is on one, moves a dead actor's block to another, and grows and
shrinks the pool with what the cluster has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from xaiwidgets.engine.errors import ExplainError, InputError, ModelError, ParameterError, TargetError
from xaiwidgets.training.indexer import Indexer, Interrupt, Task

from . import Block

try:
    import ray
    import ray.data
except ImportError as error:
    raise InputError(
        "missing_package", 'engine="ray" needs Ray', str(error), "Install it: pip install 'xaiwidgets[ray]'."
    ) from error

KINDS = {kind.__name__: kind for kind in (InputError, ModelError, ParameterError, TargetError)}
"""A row has no place for an exception, so it carries the name and the words of one."""
STORE = 200 * 2**20
"""Bytes of shared memory for a Ray of our own: rows of five numbers need little, the model and the data set the rest."""


def run_ray(task: Task, blocks: Sequence[Block], interrupt: Interrupt = None) -> Iterator[dict[str, Any]]:
    """See `run`. Uses the Ray that is running (`ray.init(address=...)`), else starts one on this machine for this run."""
    own = not ray.is_initialized()
    if own:
        ray.init(include_dashboard=False, object_store_memory=STORE, log_to_driver=False)
    try:
        yield from _rows(task, blocks, interrupt)
    finally:
        if own:
            ray.shutdown()


def _rows(task: Task, blocks: Sequence[Block], interrupt: Interrupt) -> Iterator[dict[str, Any]]:
    device = next((tensor.device.type for tensor in task.spec.model.state_dict().values()), "cpu")
    gpus = 1 if device == "cuda" else 0
    available = ray.cluster_resources()
    actors = max(1, min(len(blocks), int(available.get("GPU" if gpus else "CPU", 1))))
    held = ray.put(task.portable())  # once, however many actors there are
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = (
        ray.data.from_items([{"start": start, "n": n} for start, n in blocks], override_num_blocks=len(blocks))
        .map_batches(
            _Writer,
            fn_constructor_kwargs={
                "held": [held],
                "device": device,
            },  # in a list: Ray would open it for each actor itself
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
            num_cpus=1,
            num_gpus=gpus,
        )
        .iter_rows()
    )
    for row in rows:
        if interrupt is not None:
            interrupt()
        if row["error"]:
            kind, *arguments = json.loads(row["error"])
            raise KINDS.get(kind, ExplainError)(*arguments)
        yield {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in row if name != "error"}


class _Writer:
    """One actor."""

    def __init__(self, held: list[Any], device: str) -> None:
        torch.set_num_threads(1)
        self.indexer = Indexer(ray.get(held[0]), device=device)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        start, n = int(batch["start"][0]), int(batch["n"][0])
        row: dict[str, Any] = {"start": start, "n": n, "dim": 0, "sum": 0, "seconds": 0.0}
        failed = ""
        try:
            row = self.indexer.block(start, n)
        except ExplainError as error:
            failed = json.dumps([type(error).__name__, *error.args])
        return {**{name: [value] for name, value in row.items()}, "error": [failed]}
