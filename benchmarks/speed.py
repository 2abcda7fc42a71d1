"""The same work and the same result beside Captum, on a ResNet-18 for one image of 224 × 224 pixels, with one thread.

Occlusion moves its square of 16 pixels by 16, not 8: a quarter of the windows, each costing the same.
Threads wait for each other on a busy machine, and CPU seconds then count the waiting: hence one thread.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor

import xaiwidgets as xw
from benchmarks.measure import Row, counted, interleaved, peak_extra
from benchmarks.networks import photo, resnet18

REPEATS = 3
STEPS = 50
GAP = 0.005
SIDE = 16
INTERNAL_BATCHES = (None, 4, 10)
REFERENCE = 128


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    model, image = resnet18(), photo()
    target = int(model(image).argmax())
    unit = interleaved({"": lambda: gradient_of_rows(model, image, target, 10)}, REPEATS)[""] / 10
    yield Row("unit: one row forward and backward, of ten at once", f"{unit:.3f} s")
    yield from integrated_gradients(model, image, target, unit)
    yield from occlusion(model, image, target)
    yield from memory()


def integrated_gradients(model: Any, image: Tensor, target: int, unit: float) -> Iterator[Row]:
    peer = IntegratedGradients(model)

    def fixed() -> Tensor:
        return xw.attribute(model, image, target=target, rule="gauss_legendre", steps=STEPS).values

    def theirs(batch: int | None, steps: int = STEPS) -> Tensor:
        return peer.attribute(image, target=target, n_steps=steps, internal_batch_size=batch)

    def adaptive() -> Any:
        return next(result for result in xw.stream(model, image, target=target, steps=512) if gap(result) <= GAP)

    work: dict[str, Callable[[], Any]] = {"fixed": fixed, "adaptive": adaptive}
    work |= {f"peer {batch}": lambda batch=batch: theirs(batch) for batch in INTERNAL_BATCHES}
    seconds = interleaved(work, REPEATS)
    best = min(INTERNAL_BATCHES, key=lambda batch: seconds[f"peer {batch}"])
    peer_seconds = seconds[f"peer {best}"]
    ours, theirs_at_best = fixed(), theirs(best)
    yield Row(
        f"IG-{STEPS}, same rule: CPU (in units); peer's best internal_batch_size: {best}",
        cost(seconds["fixed"], unit), cost(peer_seconds, unit), figure=seconds["fixed"] / peer_seconds, limit=0.75,
    )  # fmt: skip
    yield Row(
        f"IG-{STEPS}: largest difference, of the largest value", f"{largest_difference(ours, theirs_at_best):.1e}"
    )
    yield Row(
        f"IG-{STEPS}: beside the peer's default (all steps at once)",
        cost(seconds["fixed"], unit),
        cost(seconds["peer None"], unit),
        figure=seconds["fixed"] / seconds["peer None"],
    )

    reference = theirs(10, REFERENCE)
    with counted(model) as count:
        result = adaptive()
    reached = reaching(model, image, target, theirs)
    yield Row(
        f"IG to a {GAP:.1%} gap: CPU (in units); peer: its default {STEPS} steps, best batch",
        cost(seconds["adaptive"], unit), cost(peer_seconds, unit), figure=seconds["adaptive"] / peer_seconds, limit=0.35,
    )  # fmt: skip
    yield Row(f"IG to a {GAP:.1%} gap: gradients; peer at its first n", f"{count.gradient}", reached, figure=None)
    yield Row(
        f"IG: gap of the peer's default {STEPS} steps; L1 error of both",
        f"{l1(result.values, reference):.1%}",
        f"{gap_of(model, image, target, theirs_at_best):.2%}; {l1(theirs_at_best, reference):.1%}",
    )
    peer_l1 = l1(theirs_at_best, reference)
    with counted(model) as count:
        for result in xw.stream(model, image, target=target, steps=129, tolerance=0):  # the last counts
            if l1(result.values, reference) <= peer_l1:
                break
    yield Row(
        f"IG to the L1 error of the peer's {STEPS} steps ({peer_l1:.1%}): gradients",
        f"{count.gradient}", f"{STEPS}", figure=count.gradient / STEPS,
    )  # fmt: skip
    with counted(model) as count:
        result = xw.attribute(model, image, target=target)
    yield Row(
        "IG with default settings: gradients, L1 error, own estimate",
        f"{count.gradient}; {l1(result.values, reference):.1%}; {result.error:.1%}",
    )


def reaching(model: Any, image: Tensor, target: int, theirs: Callable[[int, int], Tensor]) -> str:
    for steps in (4, 6, 8, 12, 16, 24, 32, 50, 64):
        if gap_of(model, image, target, theirs(10, steps)) <= GAP:
            return str(steps)
    return "> 64"


def occlusion(model: Any, image: Tensor, target: int) -> Iterator[Row]:
    peer = Occlusion(model)
    session = xw.Session(model, image, target=target)

    def ours() -> Tensor:
        return xw.attribute(model, image, target=target, method="occlusion", window=SIDE, stride=SIDE).values

    def theirs(at_once: int) -> Tensor:
        return peer.attribute(
            image,
            target=target,
            sliding_window_shapes=(3, SIDE, SIDE),
            strides=(3, SIDE, SIDE),
            perturbations_per_eval=at_once,
        )

    session.attribute("occlusion", window=112, stride=112)
    batch = session.problem.batcher.rows
    windows = (image.shape[-1] // SIDE) ** 2
    prepared = image.repeat(batch, 1, 1, 1)

    @torch.no_grad()
    def forward_alone() -> None:
        for begin in range(0, windows, batch):
            model(prepared[: min(batch, windows - begin)])

    work = {"ours": ours, "peer 1": lambda: theirs(1), "peer 16": lambda: theirs(16), "alone": forward_alone}
    seconds = interleaved(work, REPEATS)
    with counted(model) as our_count:
        our_values = ours()
    with counted(model) as peer_count:
        peer_values = theirs(16)
    yield Row(
        "occlusion: model evaluations (a gradient one to size the batch)",
        f"{our_count.forward + our_count.gradient}",
        f"{peer_count.forward}",
    )
    yield Row(
        "occlusion: largest difference, of the largest value",
        f"{largest_difference(our_values, peer_values[:, :1]):.1e}",
    )
    for at_once, limit in ((1, 0.5), (16, None)):
        name = f"peer {at_once}"
        default = " (its default)" if at_once == 1 else ""
        yield Row(
            f"occlusion, {windows} windows: CPU; peer with perturbations_per_eval={at_once}{default}",
            f"{seconds['ours']:.2f} s", f"{seconds[name]:.2f} s", figure=seconds["ours"] / seconds[name], limit=limit,
        )  # fmt: skip
    yield Row(
        f"occlusion beside the forward passes alone, batches of {batch}",
        f"{seconds['ours']:.2f} s", f"{seconds['alone']:.2f} s", figure=seconds["ours"] / seconds["alone"], limit=1.1,
    )  # fmt: skip


# --- memory ----------------------------------------------------------------------------------------------------------


def memory() -> Iterator[Row]:
    model, image = resnet18(), photo()
    session = xw.Session(model, image, target=0)
    session.attribute(steps=9)
    batch = session.problem.batcher.rows
    one = peak_extra(prepare_rows, batch)
    yield Row(
        f"peak memory, one batch of {batch} forward and backward, and four in a row",
        "",
        f"{megabytes(one)}, {megabytes(peak_extra(prepare_rows, batch, 4))}",
    )
    for rule, steps in (("gauss_legendre", 20), ("gauss_legendre", 80), ("adaptive", 64), ("adaptive", 192)):
        ours = peak_extra(prepare_ours, rule, steps)
        yield Row(
            f"peak memory, IG {rule} {steps} beside one batch of {batch} forward and backward",
            megabytes(ours), megabytes(one), figure=ours / one, limit=1.2,
        )  # fmt: skip
    for internal in (None, 10):
        theirs = megabytes(peak_extra(prepare_peer, internal))
        yield Row(f"peak memory of the peer, IG {STEPS}, internal_batch_size={internal}", "", theirs)
    yield Row("peak memory, occlusion", megabytes(peak_extra(prepare_occlusion)), megabytes(one))


def prepare_rows(batch: int, times: int = 1) -> Callable[[], Any]:
    model, image = prepared()
    return lambda: [gradient_of_rows(model, image, 0, batch) for _ in range(times)]


def prepare_ours(rule: str, steps: int) -> Callable[[], Any]:
    model, image = prepared()
    return lambda: xw.attribute(model, image, target=0, rule=rule, steps=steps, tolerance=0)


def prepare_peer(internal: int | None) -> Callable[[], Any]:
    model, image = prepared()
    return lambda: IntegratedGradients(model).attribute(image, target=0, n_steps=STEPS, internal_batch_size=internal)


def prepare_occlusion() -> Callable[[], Any]:
    model, image = prepared()
    return lambda: xw.attribute(model, image, target=0, method="occlusion", window=56)


def prepared() -> tuple[Any, Tensor]:
    """Model and image, with one small gradient done: what libraries allocate once is no part of the method."""
    torch.set_num_threads(1)
    model, image = resnet18(), photo()
    gradient_of_rows(model, image[..., :32, :32], 0, 1)
    xw.attribute(model, image[..., :32, :32], target=0, steps=9)
    return model, image


def gradient_of_rows(model: Any, image: Tensor, target: int, rows: int) -> None:
    """The least a gradient method can do: parameters frozen, one batch."""
    leaf = image.repeat(rows, 1, 1, 1).requires_grad_()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.autograd.grad(model(leaf)[:, target].sum(), leaf)
    for parameter in model.parameters():
        parameter.requires_grad_(True)


# --- judging ---------------------------------------------------------------------------------------------------------


def gap(result: Any) -> float:
    return abs(float(result.delta)) / abs(float(result.score - result.baseline_score))


def gap_of(model: Any, image: Tensor, target: int, values: Tensor) -> float:
    with torch.no_grad():
        start, end = model(torch.cat([torch.zeros_like(image), image]))[:, target].tolist()
    return abs(float(values.double().sum()) - (end - start)) / abs(end - start)


def l1(values: Tensor, reference: Tensor) -> float:
    return float((values - reference).abs().sum() / reference.abs().sum())


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def cost(seconds: float, unit: float) -> str:
    return f"{seconds:.2f} s ({seconds / unit:.0f})"


def megabytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
