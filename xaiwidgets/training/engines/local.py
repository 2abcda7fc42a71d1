"""One block after the other, in this process.

With one thread of PyTorch's: sums are cut up by their number, so their last bits depend on it, and the files are to be
the same whichever machine wrote them. All cores at work is what engine="dask" is for: one worker, one block a core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from xaiwidgets.training.indexer import Indexer, Interrupt, Task

from . import Block


def run_local(task: Task, blocks: Sequence[Block], interrupt: Interrupt = None) -> Iterator[float | dict[str, Any]]:
    """See `run`. Tells of every chunk, so that progress moves and an interrupt is heard inside a block too."""
    indexer = Indexer(task)
    for start, n in blocks:
        steps = indexer.steps(start, n)
        while True:
            if interrupt is not None:
                interrupt()
            with _one_thread():  # between two steps the caller has all of them
                step = next(steps, None)
            if step is None:
                break
            yield step


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
