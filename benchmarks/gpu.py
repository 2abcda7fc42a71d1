"""The same on a GPU, where there is one."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from captum import attr
from torch import Tensor, nn

import xaiwidgets as xw
from benchmarks import speed
from benchmarks.beside import REPEATS, Subject, Work
from benchmarks.measure import Row, interleaved
from xaiwidgets.engine.precision import lowered

STEPS = 50
MIB = 2**20


def on_gpu(subjects: list[Subject]) -> Iterator[Row]:
    """Wall seconds after warming up, and the most memory the device's allocator held beyond model and image."""
    if not torch.cuda.is_available():
        yield Row("CUDA skipped: there is no GPU")
        return
    for name, cpu_model, cpu_image, target in subjects:
        model, image = cpu_model.cuda(), cpu_image.cuda()
        peer = attr.IntegratedGradients(model)

        def low(x: Tensor, model: nn.Module = model) -> Tensor:
            with lowered("bfloat16", x.device):
                return model(x)

        def ours(forward: Any = None, model: nn.Module = model, image: Tensor = image, target: int = target) -> Tensor:
            asked = {"rule": "gauss_legendre", "steps": STEPS, "forward": forward}
            return xw.attribute(model, image, target=target, **asked).values

        def theirs(peer: Any = peer, image: Tensor = image, target: int = target) -> Tensor:
            return peer.attribute(image, target=target, n_steps=STEPS)

        work: Work = {"float32": ours, "bfloat16": lambda: ours(low), "captum": theirs}
        used = {key: synchronised(one) for key, one in work.items()}
        seconds = {key: value[0] for key, value in used.items()}
        for key in ("float32", "bfloat16"):
            yield Row(
                f"{name} on {torch.cuda.get_device_name()}: IG-{STEPS} in {key}; captum",
                f"{seconds[key] * 1e3:.1f} ms, {used[key][1] / MIB:.0f} MiB",
                f"{seconds['captum'] * 1e3:.1f} ms, {used['captum'][1] / MIB:.0f} MiB",
                figure=seconds[key] / seconds["captum"],
            )
        yield Row(f"  L1 difference of bfloat16, {name}", f"{speed.l1(ours(low), ours()):.1%}")
        model.cpu()


def synchronised(work: Callable[[], Any]) -> tuple[float, int]:
    def run() -> None:
        work()
        torch.cuda.synchronize()

    run()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    seconds = interleaved({"": run}, 2 * REPEATS + 1, time.perf_counter)[""]
    return seconds, torch.cuda.max_memory_allocated() - held
