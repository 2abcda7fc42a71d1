"""How many rows go through the model at once: from memory, never from timing, so that runs are repeatable.

The first row runs alone while the tensors kept for the backward pass are counted; the batch is what fits the budget.
When memory runs out all the same, the batch is halved and the work goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from .errors import ModelError, ParameterError

LARGEST = 256
REGROW_AFTER = 16
# On a CPU larger batches are slower, because activations leave the cache; but a few rows share the cost of reading the
# weights. Measured: ResNet-20 at 32 × 32 is fastest at 25 to 40 rows (1.5 MB each), ResNet-18 at 224 × 224 at 4 (33 MB).
CPU_BUDGET = 48 * 2**20
CPU_FEW_ROWS, CPU_FEW_ROWS_BUDGET = 4, 160 * 2**20
DEVICE_BUDGET = 8 * 2**30

T = TypeVar("T")


class Batcher:
    """Cuts work into chunks of rows and survives running out of memory."""

    def __init__(self, size: int | Literal["auto"] = "auto") -> None:
        if size != "auto" and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ParameterError(
                "parameter_range", f"batch_size={size!r} is not a batch size", hint='Use "auto" or an integer from 1.'
            )
        self.size = size
        self.limit: int | None = None if size == "auto" else size  # None until the first row has been measured
        self.rows = 1 if size == "auto" else size
        self.successes = 0

    def run(self, total: int, evaluate: Callable[[int, int], T]) -> Iterator[T]:
        """Call `evaluate(start, stop)` over consecutive chunks that cover `range(total)`."""
        start = 0
        while start < total:
            stop = min(start + self.rows, total)
            result = _attempt(evaluate, start, stop)
            # The retry happens here, outside any `except`: a live traceback would pin the very tensors to be freed.
            if isinstance(result, str):
                self._shrink(stop - start, result)
                continue
            self._grow()
            start = stop
            yield result

    @property
    def unmeasured(self) -> bool:
        return self.limit is None

    def measured(self, bytes_per_row: int, device: torch.device) -> None:
        """Fix the batch from what the first row kept in memory."""
        bytes_per_row = max(bytes_per_row, 1)
        fitting = budget(device) // bytes_per_row
        if device.type == "cpu":
            fitting = max(fitting, min(CPU_FEW_ROWS, CPU_FEW_ROWS_BUDGET // bytes_per_row))
        self.limit = max(1, min(LARGEST, fitting))
        self.rows = self.limit

    def _shrink(self, rows: int, message: str) -> None:
        if rows == 1:
            raise ModelError(
                "out_of_memory",
                "A single row does not fit in memory",
                message,
                "Explain a smaller input, use a half-precision model, or free memory on the device.",
            )
        self.rows = max(1, rows // 2)
        self.successes = 0

    def _grow(self) -> None:
        self.successes += 1
        if self.limit is not None and self.rows < self.limit and self.successes >= REGROW_AFTER:
            self.rows = min(self.limit, self.rows * 2)
            self.successes = 0


def budget(device: torch.device) -> int:
    """Bytes one chunk may keep alive: fixed on a CPU, a quarter of the device otherwise."""
    if device.type == "cpu":
        return CPU_BUDGET
    if device.type == "cuda":
        return min(DEVICE_BUDGET, torch.cuda.get_device_properties(device).total_memory // 4)
    if device.type == "xpu":
        return min(DEVICE_BUDGET, torch.xpu.get_device_properties(device).total_memory // 4)
    if device.type == "mps":
        return min(DEVICE_BUDGET, torch.mps.recommended_max_memory() // 4)
    return CPU_BUDGET


@contextmanager
def counted_bytes(module: nn.Module | None) -> Iterator[Callable[[], int]]:
    """Count the bytes autograd keeps during the block; weights are not counted, they do not grow with the batch."""
    weights = {tensor.data_ptr() for tensor in module.parameters()} if module is not None else set()
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        pointer = tensor.data_ptr()
        if pointer not in weights:
            kept[pointer] = max(kept.get(pointer, 0), tensor.nbytes)
        # the tensor itself would hold the node that keeps it: a graph without a backward pass would never be freed
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield lambda: sum(kept.values())


def _attempt(evaluate: Callable[[int, int], T], start: int, stop: int) -> T | str:
    """The chunk's result, or the message of the allocation that failed."""
    try:
        return evaluate(start, stop)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has its own class; CPU and MPS allocators raise a RuntimeError known only by its text."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text
    )
