"""The index of a million rows: seconds to the first page and to the last, bytes of memory; what building it adds to the
gradients, and what few numbers of few bits cost the ranking.

Run alone: `python -m benchmarks.training_scan [rows] [dim]` (a gigabyte of random float16 in a temporary directory).
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, Skip, interleaved, peak_extra, percentile, table

ROWS, DIM = 1_000_000, 512
KINDS = ("float16", "int8")
FIRST_PAGE, K = 0.3, 10


def rows(count: int = ROWS, dim: int = DIM) -> Iterator[Row]:
    yield from overhead()
    yield from ranking()
    yield from scanning(count, dim)


def scanning(count: int = ROWS, dim: int = DIM) -> Iterator[Row]:
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


# --- what the index adds, and what it keeps --------------------------------------------------------------------------


def convolutional(examples: int = 1000, checkpoints: int = 2) -> Any:
    """A small network (conv 16, conv 32, fc 64, fc 10 on 28 × 28) with random weights and pictures."""
    import torch
    from torch import nn

    from xaiwidgets.training.checkpoints import Checkpoints
    from xaiwidgets.training.data import TrainingData
    from xaiwidgets.training.losses import loss_of
    from xaiwidgets.training.spec import Spec

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
        ).eval()  # fmt: skip

    model = network(0)
    data = TrainingData((torch.rand(examples, 1, 28, 28), torch.randint(10, (examples,))))
    states = Checkpoints([network(seed) for seed in range(checkpoints)], model)
    return Spec(model, data, states, loss_of("cross_entropy"), None, None, 50)


def overhead(repeats: int = 3) -> Iterator[Row]:
    """CPU seconds of one thread: gradients as factors, with their lengths, and the whole build."""
    import copy

    import numpy as np
    import torch

    from xaiwidgets.training.build import build

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spec = convolutional()
    model = copy.deepcopy(spec.model)
    recorder = spec.recorder(model)

    def gradients(*, norms: bool) -> None:
        for checkpoint in spec.checkpoints:
            checkpoint.load_into(model)
            for start in range(0, len(spec.data), spec.chunk):
                recorded = recorder.record(*spec.data.batch(np.arange(start, start + spec.chunk)))
                if norms:
                    recorded.squared_norms()

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for _ in build(spec, path=Path(folder) / "index"):
                pass

    seconds = interleaved(
        {"gradients": lambda: gradients(norms=False), "norms": lambda: gradients(norms=True), "build": whole}, repeats
    )
    torch.set_num_threads(threads)
    for what, name in (("gradients and their lengths", "norms"), ("whole build (512 × int8)", "build")):
        yield Row(
            f"{what}, beside gradients as factors alone",
            f"{seconds[name]:.2f} s", f"{seconds['gradients']:.2f} s", seconds[name] / seconds["gradients"],
        )  # fmt: skip


def ranking(questions: int = 100) -> Iterator[Row]:
    """Digits, a trained network of 2 layers, 5 checkpoints: products of stored vectors beside exact TracIn."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.nn import functional

    from xaiwidgets.training.build import build
    from xaiwidgets.training.checkpoints import Checkpoints
    from xaiwidgets.training.data import TrainingData
    from xaiwidgets.training.losses import loss_of
    from xaiwidgets.training.scan import scores
    from xaiwidgets.training.shards import Shards
    from xaiwidgets.training.sketch import query_vectors
    from xaiwidgets.training.spec import Spec

    bunch = load_digits()
    images, labels = torch.tensor(bunch.data / 16, dtype=torch.float32), torch.tensor(bunch.target)
    train, asked = slice(0, -questions), slice(-questions, None)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser, states = torch.optim.SGD(model.parameters(), lr=0.5), []
    for step in range(200):
        optimiser.zero_grad()
        functional.cross_entropy(model(images[train]), labels[train]).backward()
        optimiser.step()
        if step % 40 == 39:
            states.append({name: value.clone() for name, value in model.state_dict().items()})
    checkpoints = Checkpoints(states, model, learning_rates=0.5)
    data = TrainingData((images[train], labels[train]))
    spec = Spec(model, data, checkpoints, loss_of("cross_entropy"), None, None, 50)
    exact, recorded = 0, []
    for number, checkpoint in enumerate(checkpoints):
        copied = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        checkpoint.load_into(copied)
        recorder = spec.recorder(copied)
        recorded.append((number, recorder.record(images[asked], labels[asked])))
        exact = exact + 0.5 * recorded[-1][1].dot(recorder.record(images[train], labels[train]))
    for dim in (128, 256, 512, 1024):
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                for _ in build(spec, path=Path(folder), projection={"dim": dim, "dtype": kind}):
                    pass
                index = Shards(Path(folder))
                vectors = query_vectors(spec, index.projection, recorded)
                estimate = torch.cat([scored for _, scored in scores(vectors, index)], 1)
                best = exact.topk(10).indices
                shares = [
                    (best[:, :, None] == estimate.topk(shortlist).indices[:, None]).any(2).float().mean()
                    for shortlist in (10, 50)
                ]
                both = torch.corrcoef(torch.stack([estimate.flatten(), exact.flatten()]))[0, 1]
                yield Row(
                    f"digits, {dim} × {kind}: correlation with exact TracIn; exact ten best among its 10, 50 best",
                    f"{both:.4f}; {shares[0]:.3f}, {shares[1]:.3f}",
                )


if __name__ == "__main__":
    print(table(list(rows(*map(int, sys.argv[1:])))))
