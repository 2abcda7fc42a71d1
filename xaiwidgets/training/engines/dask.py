"""Blocks by the workers of a Dask cluster: on this machine, or on any that see the index's folder.

The model and the data set travel once, as a plugin that the scheduler also gives to every worker that joins later: one
that is started in place of a dead one has what it needs. A worker is one process with one thread of computation; what it
had begun when it died is begun again by another, and lands in the same files.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch

from xaiwidgets.engine.errors import ExplainError, InputError, ModelError
from xaiwidgets.training.indexer import Indexer, Interrupt, Task

from . import Block

try:
    from distributed import Client, KilledWorker, LocalCluster, Worker, as_completed, default_client, get_worker
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as error:
    raise InputError(
        "missing_package", 'engine="dask" needs Dask', str(error), "Install it: pip install 'xaiwidgets[scale]'."
    ) from error

RETRIES = 3
"""Times a block is tried again when it fails, as when a shared folder hiccups. Deaths of workers are Dask's own count."""
LISTEN = 0.05
"""Seconds between two questions whether to stop."""


def run_dask(
    client: Client | None, task: Task, blocks: Sequence[Block], interrupt: Interrupt = None
) -> Iterator[dict[str, Any]]:
    """See `run`. `client` None: the one that is open already, else a cluster of one worker a core for this run.

    Raises ModelError if a block keeps killing its workers (memory, most often). With more threads a worker blocks wait
    for each other; start the cluster with threads_per_worker=1.
    """
    with _client(client) as used:
        plugin = f"xaiwidgets-{uuid.uuid4().hex}"
        _send(used, plugin, task)
        futures = [
            used.submit(_write, plugin, start, n, key=f"{plugin}-{start}", retries=RETRIES) for start, n in blocks
        ]
        try:
            yield from _rows(futures, interrupt)
        finally:
            used.cancel(futures, force=True)
            used.unregister_worker_plugin(plugin)


def _rows(futures: list[Any], interrupt: Interrupt) -> Iterator[dict[str, Any]]:
    waiting = as_completed(futures)
    while not waiting.is_empty():
        if interrupt is not None:
            interrupt()
        if not waiting.has_ready():
            time.sleep(LISTEN)
            continue
        try:
            row = next(waiting).result()
        except KilledWorker as error:
            raise ModelError(
                "worker_died",
                "A block of training examples killed every worker that tried it",
                str(error),
                "It may not fit in a worker's memory: give workers more, or pass a smaller batch_size.",
            ) from error
        if isinstance(row, ExplainError):
            raise row
        yield row


def _send(client: Client, name: str, task: Task) -> None:
    try:
        client.register_plugin(_Holder(task.portable(), str(_device(task))), name=name)
    except (TypeError, AttributeError, ValueError) as error:  # what cloudpickle raises for what it cannot carry
        raise InputError(
            "not_portable",
            "The model or the data set cannot be sent to a worker",
            str(error),
            "Open files and connections cannot travel: open them in __getitem__, or build with engine='local'.",
        ) from error


class _Holder(WorkerPlugin):
    """A worker's copy of the task. The indexer is made when the first block comes."""

    def __init__(self, task: Task, device: str) -> None:
        self.task = task
        self.device = device

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        self.indexer: Indexer | None = None
        self.turn = threading.Lock()

    def write(self, start: int, n: int) -> dict[str, Any]:
        with self.turn:  # in a worker of several threads too, one model has one set of weights at a time
            if self.indexer is None:
                torch.set_num_threads(1)  # one block a core, and the same sums on every machine
                self.indexer = Indexer(self.task, device=self.device)
            return self.indexer.block(start, n)


def _write(plugin: str, start: int, n: int) -> dict[str, Any] | ExplainError:
    """What runs on a worker. An error the user can mend comes back at once instead of being tried again."""
    holder: Any = get_worker().plugins[plugin]
    try:
        return cast("dict[str, Any]", holder.write(start, n))
    except ExplainError as error:
        return error


@contextmanager
def _client(client: Client | None) -> Iterator[Client]:
    if client is None:
        try:
            client = default_client()
        except ValueError:
            with (
                LocalCluster(
                    n_workers=os.cpu_count() or 1, threads_per_worker=1, processes=True, dashboard_address=None
                ) as cluster,
                Client(cluster) as own,
            ):
                yield own
            return
    if client.asynchronous:
        raise InputError(
            "asynchronous_client", "The Dask client is asynchronous", hint="Pass Client(..., asynchronous=False)."
        )
    yield client


def _device(task: Task) -> torch.device:
    """Without a number: every worker's own first device of the kind."""
    return torch.device(next((tensor.device.type for tensor in task.spec.model.state_dict().values()), "cpu"))
