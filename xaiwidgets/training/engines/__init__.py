"""Where an index is built: in this process, or by workers of Dask or Ray. All write the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.training.indexer import Interrupt, Task

ENGINES = ("local", "dask", "ray")

Block = tuple[int, int]
"""First example and number of examples."""


def run(
    engine: Any, task: Task, blocks: Sequence[Block], interrupt: Interrupt = None
) -> Iterator[float | dict[str, Any]]:
    """Have every block written; yields the manifest row of each as it is done, in any order.

    engine      "local"; "dask" or a `distributed.Client`; "ray". Numbers in between are examples' worth of work inside
                the block being written, from engines that know
    interrupt   called often; what it raises ends the run, and work that has not begun is withdrawn
    """
    if engine == "local":
        from .local import run_local  # noqa: PLC0415 - only what is asked for

        return run_local(task, blocks, interrupt)
    if engine == "dask" or _is_client(engine):
        from .dask import run_dask  # noqa: PLC0415 - an extra

        return run_dask(None if engine == "dask" else engine, task, blocks, interrupt)
    if engine == "ray":
        from .ray import run_ray  # noqa: PLC0415 - an extra

        return run_ray(task, blocks, interrupt)
    hint = did_you_mean(engine, ENGINES) if isinstance(engine, str) else 'Use "local", "dask", "ray" or a Dask client.'
    raise ParameterError("unknown_engine", f"There is no engine {engine!r}", hint=hint)


def _is_client(engine: Any) -> bool:
    return any(kind.__module__.startswith("distributed") and kind.__name__ == "Client" for kind in type(engine).__mro__)
