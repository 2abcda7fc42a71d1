"""One block after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xaiwidgets.training.indexer import Indexer, Interrupt, Task

from . import Block


def run_local(task: Task, blocks: Sequence[Block], interrupt: Interrupt = None) -> Iterator[float | dict[str, Any]]:
    """See `run`. Tells of every chunk, so that progress moves and an interrupt is heard inside a block too."""
    indexer = Indexer(task)
    for start, n in blocks:
        for step in indexer.steps(start, n):
            if interrupt is not None:
                interrupt()
            yield step
