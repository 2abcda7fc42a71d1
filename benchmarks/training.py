"""Training examples: exact scores beside captum and dattri, the floor, the index, and memory."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import training_scan
from benchmarks.beside import installed
from benchmarks.measure import Row, interleaved, peak_extra

TRAIN, QUERIES, CHECKPOINTS, CHUNK = 5_000, 10, 5, 50
RATE = 0.01
K = 10
REPEATS = 3


class Network(nn.Module):
    """Two convolutions and two fully connected layers: 105,866 parameters. [n, 1, 28, 28] to [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(32 * 7 * 7, 64), nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.conv1(images).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc2(self.fc1(x.flatten(1)).relu())


def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ten blurred patterns in noise: what a network learns within an epoch."""
    shapes = torch.Generator().manual_seed(7)
    patterns = nn.functional.interpolate(torch.randn(10, 1, 7, 7, generator=shapes), size=28, mode="bilinear")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return patterns[labels] + 1.5 * torch.randn(count, 1, 28, 28, generator=generator), labels


def trained(folder: Path) -> tuple[Network, list[str]]:
    """Five checkpoints as files, which every library can read."""
    torch.manual_seed(0)
    model, (images, labels), paths = Network(), data(TRAIN, 1), []
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9)
    for epoch in range(CHECKPOINTS):
        for rows in torch.randperm(TRAIN).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
        paths.append(str(folder / f"checkpoint-{epoch}.pt"))
        torch.save(model.state_dict(), paths[-1])
    return model.eval(), paths


# --- the ways to the same answer: each prepares, and returns what is measured -------------------------------------------------


def ours(folder: str, count: int = TRAIN, method: str = "tracin", **options: Any) -> Callable[[], Any]:
    torch.set_num_threads(1)
    index = indexed(
        folder,
        count,
        method != "tracin_projected" and options.get("candidates") in (None, "all") and "k" not in options,
    )
    queries = data(QUERIES, 2)
    return partial(index.influence, *queries, method=method, batch_size=CHUNK, **options)


def indexed(folder: str, count: int, bare: bool = False) -> Any:
    """The index in this folder, built where it is not there yet; without vectors where none are asked for."""
    from xaiwidgets.training.index import TrainingIndex

    place = Path(folder) / f"index-{count}{'-bare' if bare else ''}"
    paths = checkpoints(folder)
    known = {"model": Network().eval(), "dataset": data(count, 1), "checkpoints": paths}
    if place.exists():
        return TrainingIndex.open(place, **known)
    return TrainingIndex.build(
        **known,
        path=place,
        learning_rates=RATE,
        batch_size=CHUNK,
        progress=False,
        **({"projection": False} if bare else {}),
    )


def build(folder: str) -> Callable[[], Any]:
    torch.set_num_threads(1)
    from xaiwidgets.training.index import TrainingIndex

    known = {"model": Network().eval(), "dataset": data(TRAIN, 1), "checkpoints": checkpoints(folder)}
    return lambda: TrainingIndex.build(**known, learning_rates=RATE, batch_size=CHUNK, progress=False).close()


def floor(folder: str) -> Callable[[], Any]:
    """The least that any exact method must do: a forward pass and the backward pass of the activations alone."""
    torch.set_num_threads(1)
    model, (images, labels) = Network().eval().requires_grad_(False), data(TRAIN, 1)
    paths = checkpoints(folder)

    def run() -> None:
        for path in paths:
            model.load_state_dict(torch.load(path, weights_only=True))
            for start in range(0, TRAIN, CHUNK):
                first = model.conv1(images[start : start + CHUNK]).requires_grad_()
                x = nn.functional.max_pool2d(first.relu(), 2)
                x = nn.functional.max_pool2d(model.conv2(x).relu(), 2)
                output = model.fc2(model.fc1(x.flatten(1)).relu())
                loss = nn.functional.cross_entropy(output, labels[start : start + CHUNK], reduction="sum")
                torch.autograd.grad(loss, first)

    return run


def captum(folder: str, fast: bool = False) -> Callable[[], Any]:
    torch.set_num_threads(1)
    from captum.influence import TracInCP, TracInCPFast

    model, queries = Network().eval(), data(QUERIES, 2)

    def load(net: nn.Module, path: str) -> float:
        net.load_state_dict(torch.load(path, weights_only=True))
        return RATE

    known = {
        "model": model, "train_dataset": torch.utils.data.TensorDataset(*data(TRAIN, 1)), "checkpoints": checkpoints(folder),
        "checkpoints_load_func": load, "batch_size": CHUNK, "loss_fn": nn.CrossEntropyLoss(reduction="sum"),
    }  # fmt: skip
    influence = (
        TracInCPFast(final_fc_layer=model.fc2, **known) if fast else TracInCP(sample_wise_grads_per_batch=True, **known)
    )
    return lambda: influence.influence(queries, show_progress=False)


def dattri(folder: str, projected: bool = False) -> Callable[[], Any]:
    torch.set_num_threads(1)
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    model = Network().eval()

    def loss(parameters: dict[str, Tensor], example: tuple[Tensor, Tensor]) -> Tensor:
        image, label = example
        return nn.functional.cross_entropy(torch.func.functional_call(model, parameters, image[None]), label[None])

    states = [torch.load(path, weights_only=True) for path in checkpoints(folder)]
    task = AttributionTask(loss_func=loss, model=model, checkpoints=states)
    attributor = TracInAttributor(task, torch.full((CHECKPOINTS,), RATE), normalized_grad=False)
    if not projected:
        attributor.projector_kwargs = None  # by default it projects to 512 dimensions, which costs both time and truth
    train, test = (
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data(*part)), batch_size=CHUNK)
        for part in ((TRAIN, 1), (QUERIES, 2))
    )
    return lambda: attributor.attribute(train, test).T


def checkpoints(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).glob("checkpoint-*.pt"))


# --- the table ---------------------------------------------------------------------------------------------------------------


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        trained(Path(folder))
        yield from exact(folder)
        yield from from_index(folder)
        yield from memory(folder)
    yield from training_scan.rows()


def exact(folder: str) -> Iterator[Row]:
    """The full matrix [10, 5,000] over five checkpoints, one thread."""
    work = {"ours": ours(folder), "floor": floor(folder), "captum": captum(folder)}
    if installed("dattri"):
        work["dattri"] = dattri(folder)
    seconds = interleaved(work, REPEATS)
    truth = work["ours"]().scores
    for peer, limit in (("captum", 0.5), ("dattri", None)):
        if peer in work:
            error = relative_error(truth, work[peer]())
            yield Row(
                f"all parameters, {QUERIES} × {TRAIN:,} × {CHECKPOINTS} checkpoints: CPU; {peer} (differs {error:.0e})",
                f"{seconds['ours']:.2f} s", f"{seconds[peer]:.2f} s", seconds["ours"] / seconds[peer], limit,
            )  # fmt: skip
    yield Row(
        "  beside the floor: a forward pass and the backward pass of activations alone", f"{seconds['ours']:.2f} s",
        f"{seconds['floor']:.2f} s", seconds["ours"] / seconds["floor"], 1.3,
    )  # fmt: skip
    last = {"ours": ours(folder, method="tracin_last_layer"), "captum": captum(folder, True)}
    seconds = interleaved(last, REPEATS)
    yield Row(
        "last layer, ours with its bias: CPU; captum TracInCPFast, without",
        f"{seconds['ours']:.2f} s", f"{seconds['captum']:.2f} s", seconds["ours"] / seconds["captum"],
    )  # fmt: skip


def from_index(folder: str) -> Iterator[Row]:
    """What a question costs once the index is there."""
    started = time.process_time()
    index = indexed(folder, TRAIN)
    yield Row(
        "index of 512 int8 an example, all checkpoints in one vector: built",
        f"{time.process_time() - started:.2f} s CPU",
    )
    whole = index.influence(*data(QUERIES, 2), batch_size=CHUNK)
    work = {
        "all": ours(folder), "ranked": ours(folder, k=K), "sketch": ours(folder, method="tracin_projected", k=K),
    }  # fmt: skip
    seconds = interleaved(work, REPEATS)
    for name, what, limit in (("ranked", "exact scores of a shortlist", 0.1), ("sketch", "approximate scores", 0.01)):
        found = work[name]()
        shared = overlap(whole.proponents(K)[0], found.proponents(K)[0])
        yield Row(
            f"{QUERIES} queries answered from the index, {what} ({100 * shared:.0f} % of the true first {K}); beside recomputing",
            f"{seconds[name]:.3f} s", f"{seconds['all']:.2f} s", seconds[name] / seconds["all"], limit,
        )  # fmt: skip
    sketch = index.influence(*data(QUERIES, 2), method="tracin_projected", batch_size=CHUNK)
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(as_numpy(sketch.scores), as_numpy(whole.scores), strict=True)]
    yield Row("  correlation of approximate and exact scores, mean over queries", f"{statistics.mean(pearson):.3f}")


def memory(folder: str) -> Iterator[Row]:
    """Bytes over what was there before, in a fresh process each."""
    peaks = {"ours": peak_extra(ours, folder), "captum": peak_extra(captum, folder)}
    if installed("dattri"):
        peaks["dattri"] = peak_extra(dattri, folder)
    for peer, limit in (("captum", 0.25), ("dattri", None)):
        if peer in peaks:
            yield Row(
                f"all parameters: peak memory; {peer}", f"{peaks['ours'] / 1e6:.0f} MB", f"{peaks[peer] / 1e6:.0f} MB",
                peaks["ours"] / peaks[peer], limit,
            )  # fmt: skip
    yield Row("  building an index: peak memory", f"{peak_extra(build, folder) / 1e6:.0f} MB")
    small, large = (peak_extra(top_of_all, folder, count) for count in (TRAIN, 4 * TRAIN))
    yield Row(
        f"first {K} of every example, exact, no index: peak memory at {4 * TRAIN:,} examples, and at {TRAIN:,}",
        f"{large / 1e6:.0f} MB", f"{small / 1e6:.0f} MB", large / small, 1.2,
    )  # fmt: skip


def top_of_all(folder: str, count: int) -> Callable[[], Any]:
    return ours(folder, count, k=K, candidates="all")


def as_numpy(scores: Any) -> np.ndarray[Any, Any]:
    return scores.numpy() if isinstance(scores, Tensor) else np.asarray(scores)


def relative_error(truth: Any, found: Any) -> float:
    """The largest difference, over the largest score."""
    ours, theirs = as_numpy(truth), as_numpy(found)
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


def overlap(first: Any, second: Any) -> float:
    """The share of indices that two lists [queries, k] have in common."""
    pairs = zip(as_numpy(first), as_numpy(second), strict=True)
    return statistics.mean(len(set(a.tolist()) & set(b.tolist())) / len(a) for a, b in pairs)
