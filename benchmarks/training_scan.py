"""Searching an index of a million rows: seconds to the first page and to the last, bytes of memory.

Run alone: `python -m benchmarks.training_scan [rows] [dim]` (a gigabyte of random float16 in a temporary directory).
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Skip, peak_extra, percentile, table

ROWS, DIM = 1_000_000, 512
KINDS = ("float16", "int8")
FIRST_PAGE, K = 0.3, 10


def rows(count: int = ROWS, dim: int = DIM) -> Iterator[Row]:
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="xaiwidgets-scan-") as folder:
            needed = count * dim * (2 if kind == "float16" else 1)
            if shutil.disk_usage(folder).free < 1.2 * needed:
                raise Skip(f"{needed / 1e9:.1f} GB of disk are needed")
            write(Path(folder), count, dim, kind)
            for questions in (1, 10):
                seconds = [timed(folder, questions) for _ in range(3)]
                first, last = (percentile([one[part] for one in seconds], 50) for part in (0, 1))
                memory = peak_extra(prepared, folder, questions)
                what = f"{count} × {dim} {kind}, {questions} question{'s' * (questions > 1)}"
                yield Row(f"{what}: first page", f"{first * 1e3:.0f} ms", figure=first, limit=FIRST_PAGE, unit="s")
                yield Row(f"{what}: last page, peak memory", f"{last:.2f} s, {memory / 1e6:.0f} MB")


def write(folder: Path, count: int, dim: int, kind: str, block: int = 4096) -> None:
    """An index of random vectors, as `build` would leave it."""
    import numpy as np
    import torch

    from xaiwidgets.training import manifest, shards

    projection = {"kind": "tensor_sketch", "dim": dim, "dtype": kind, "seed": 0}
    numbers, written = np.random.default_rng(0), []
    for start in range(0, count, block):
        n = min(block, count - start)
        rows = np.zeros(n, shards.row_type(1))
        rows["id"] = np.arange(start, start + n)
        vectors = torch.from_numpy(numbers.standard_normal((n, dim), dtype=np.float32))
        stored, rows["scale"] = shards.quantised(vectors, kind)
        checksum = shards.Shard(folder, start).write(rows, stored)
        written.append(shards.row_of(start, n, projection, checksum, 0.0))
    manifest.write(
        folder,
        {
            "format": manifest.FORMAT, "rows": count, "block": block, "label": "<i8", "projection": projection,
            "checkpoints": [{"name": "random", "learning_rate": 1.0}], "shards": written,
        },
    )  # fmt: skip


def prepared(folder: str, questions: int) -> Any:
    """A scan of the whole index, ready to run; it returns the seconds to the first page and to the last."""
    import torch

    from xaiwidgets.training.scan import top
    from xaiwidgets.training.shards import Shards

    torch.set_num_threads(1)
    vectors = torch.randn(questions, Shards(Path(folder)).projection["dim"], generator=torch.Generator().manual_seed(1))

    def run() -> tuple[float, float]:
        began = time.perf_counter()
        pages = top(vectors, Shards(Path(folder)), K)  # opening the index is part of the answer
        next(pages)
        first = time.perf_counter() - began
        for _ in pages:
            pass
        return first, time.perf_counter() - began

    return run


def timed(folder: str, questions: int) -> tuple[float, float]:
    return prepared(folder, questions)()


if __name__ == "__main__":
    print(table(rows(*map(int, sys.argv[1:]))))
