"""What is done once, before an index is built or asked: a copy of the model, the size of a chunk, a line of progress."""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from xaiwidgets.engine.batching import CPU_FEW_ROWS, CPU_FEW_ROWS_BUDGET, LARGEST, Batcher, budget, counted_bytes
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.state import lock_of, module_of

from .build import Progress
from .data import moved
from .spec import Spec

CPU_LARGEST = 50
"""Rows at a time on a CPU: more are slower, because what they keep leaves the cache (measured on a small CNN: 250 → 50)."""
PATIENCE, WRITE_EVERY = 2.0, 0.25
"""Seconds before the line of progress is first written, and between two writings."""


def private_copy(model: Any) -> nn.Module:
    """The model as it is now, for us to load checkpoints into: in evaluation mode and without gradients."""
    module = module_of(model)
    if module is None or module is not getattr(model, "_orig_mod", model):
        raise ModelError(
            "no_module",
            f"{type(model).__name__} is not a torch module",
            hint="Gradients are taken of a module's parameters; pass the module, and forward= to call it another way.",
        )
    try:
        with lock_of(module):
            copied = copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise ModelError("not_copied", f"{type(module).__name__} cannot be copied", str(error)) from error
    copied.zero_grad(set_to_none=True)
    return copied.eval()


def chunk_of(spec: Spec, batch_size: int | Literal["auto"]) -> Spec:
    """The spec with its chunk: as given, or what fits, from the memory one example's gradients keep."""
    if batch_size != "auto":
        return replace(spec, chunk=Batcher(batch_size).rows)
    model = copy.deepcopy(spec.model)
    spec.checkpoints[0].load_into(model)
    recorder = spec.recorder(model)
    inputs, labels = spec.data.batch([0])
    with counted_bytes(model) as count:
        recorder.record(moved(inputs, spec.device), labels.to(spec.device))
        kept = max(count(), 1)
    fitting = budget(spec.device) // kept
    if spec.device.type == "cpu":
        fitting = min(CPU_LARGEST, max(fitting, min(CPU_FEW_ROWS, CPU_FEW_ROWS_BUDGET // kept)))
    return replace(spec, chunk=max(1, min(LARGEST, fitting)))


class Line:
    """One line of text that is written over and over, and not more often than can be read; nothing if it is soon done."""

    def __init__(self) -> None:
        self.due = time.perf_counter() + PATIENCE
        self.written = False

    def __call__(self, progress: Progress) -> None:
        done, now = progress.phase == "done", time.perf_counter()
        if not self.written if done else now < self.due:
            return
        self.due, self.written = now + WRITE_EVERY, True
        speed = "" if progress.rows_per_second is None else f", {progress.rows_per_second:,.0f} a second"
        left = "" if not progress.seconds_left else f", {_span(progress.seconds_left)} left"
        text = f"{progress.phase}: {progress.done:,} of {progress.total:,} examples{speed}{left}"
        sys.stderr.write(f"\r{text:<90}" + "\n" * done)
        sys.stderr.flush()


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
