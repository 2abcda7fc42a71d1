"""Counting, timing and weighing, the same way for both sides of a comparison."""

import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Spinning threads cost more than they compute where cores are shared; and some peers draw a bar for every batch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TQDM_DISABLE", "1")

SHARED = Path(__file__).parents[2] / "shared"
"""Weights and pictures beside the repository; subjects that need them say so and go on without."""


class Skip(Exception):  # noqa: N818  # no error
    """A subject cannot run here; says why."""


@dataclass(frozen=True)
class Row:
    """One line of a table. `figure` is what the budget `limit` holds against: a ratio unless `unit` says otherwise."""

    what: str
    ours: str = ""
    peer: str = ""
    figure: float | None = None
    limit: float | None = None
    unit: str = "×"

    def cells(self) -> tuple[str, ...]:
        figure, limit = (_number(number, self.unit) for number in (self.figure, self.limit))
        verdict = ""
        if self.figure is not None and self.limit is not None:
            verdict = "ok" if self.figure <= self.limit else "OVER"
        return self.what, self.ours, self.peer, figure, f"≤ {limit}" if limit else "", verdict


def table(rows: Iterable[Row]) -> str:
    """Markdown that reads well in a terminal."""
    lines = [("what", "ours", "peer", "figure", "budget", ""), *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _number(number: float | None, unit: str) -> str:
    if number is None:
        return ""
    digits = f"{number:.3g}" if number < 1000 else f"{number:.0f}"
    return f"{digits} {unit}".strip()


# --- counts ----------------------------------------------------------------------------------------------------------


@dataclass
class Count:
    """Rows that went through a model, with autograd recording (`gradient`) and without (`forward`)."""

    forward: int = 0
    gradient: int = 0


@contextmanager
def counted(model: Any) -> Iterator[Count]:
    """Count a model's rows from outside, whoever calls it."""
    import torch

    count = Count()

    def hook(_module: Any, arguments: tuple[Any, ...]) -> None:
        kind = "gradient" if torch.is_grad_enabled() else "forward"
        setattr(count, kind, getattr(count, kind) + len(arguments[0]))

    handle = model.register_forward_pre_hook(hook)
    try:
        yield count
    finally:
        handle.remove()


# --- time ------------------------------------------------------------------------------------------------------------


def interleaved(
    work: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Median seconds of each, run in turns (a different one first each time), so that a busy machine hits all alike."""
    names = list(work)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        shift = turn % len(names)
        for name in (*names[shift:], *names[:shift]):
            started = clock()
            work[name]()
            seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


# --- memory ----------------------------------------------------------------------------------------------------------


def peak_extra(work: Callable[..., Callable[[], Any]], *arguments: Any) -> int:
    """Bytes by which `work(*arguments)()` raises a fresh process's memory at its highest; preparing is not counted."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_peak_extra, args=(sender, work, arguments))
    child.start()
    sender.close()
    try:
        return int(receiver.recv())
    except EOFError:
        raise RuntimeError(f"measuring the memory of {work.__name__}{arguments} failed") from None
    finally:
        child.join()


def _peak_extra(sender: Any, work: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    run = work(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again from here
    before = _status("VmRSS")
    run()
    sender.send(_status("VmHWM") - before)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def weigh(message: Any) -> int:
    """Bytes of a message as it travels: JSON and binary buffers."""
    buffers: list[bytes] = []

    def put_aside(value: object) -> str:
        if isinstance(value, bytes | bytearray | memoryview):
            buffers.append(bytes(value))
            return ""
        return repr(value)

    return len(json.dumps(message, default=put_aside)) + sum(map(len, buffers))
