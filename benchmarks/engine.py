"""Every family of methods beside its peers: the same model, the same work, in one run, with one thread.

`speed` has integrated gradients and occlusion on the ResNet-18 in more detail; what is here has the budgets of the engine.
Peers that are not installed are left out with a word. With a GPU, what runs there is measured too.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from captum import attr
from torch import Tensor, nn

import xaiwidgets as xw
from benchmarks import coalitions, families, path, speed
from benchmarks.beside import REPEATS, Subject, Work, compared, peers, subject
from benchmarks.gpu import on_gpu
from benchmarks.measure import Row, Skip, interleaved, peak_extra, percentile
from benchmarks.networks import cifar, photo, resnet18, resnet20, vit
from xaiwidgets.engine.precision import gradient_error, lowered
from xaiwidgets.examples import digits

STEPS = 50
MIB = 2**20


def rows() -> Iterator[Row]:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # the peers' hooks, kept gradients and slow fits
    peers()
    subjects = [subject("ResNet-18", resnet18(), photo()), subject("ViT", vit(), photo())]
    resnet, transformer = subjects
    try:
        small = subject("ResNet-20", resnet20(), cifar(1)[0])
        subjects.append(small)
    except Skip as reason:
        small = None
        yield Row(f"ResNet-20 skipped: {reason}")
    for one in subjects[1:]:
        yield from integrated(one)
    yield from speed.integrated_gradients(resnet.model, resnet.image, resnet.target, gradient_seconds(resnet))
    yield from speed.occlusion(resnet.model, resnet.image, resnet.target)
    yield from layers(resnet)
    yield from families.propagation(resnet)
    yield from families.transformers(transformer)
    yield from families.cams(resnet)
    yield from families.forward_only(resnet)
    yield from coalitions.kernel_shap(coalitions.Game(resnet, resnet.image, 3, 4), limit=0.3)
    example = digits()
    right = example.model(example.images).argmax(1) == example.labels
    images, labels = example.images[right][:16], example.labels[right][:16]
    game = coalitions.Game(subject("digits CNN", example.model, images[:1]), images[:4], 4, 4)
    yield from coalitions.shapley(game, limit=0.03, ratio=0.5)
    if small is not None:
        game = coalitions.Game(small, cifar(2)[0], 4, 4)
        yield from coalitions.kernel_shap(game)
        yield from coalitions.beside_shap(game)
        yield from coalitions.shapley(game)
        yield from families.many_targets(small)
    yield from probability(example.model, images, labels)
    yield from precision(resnet)
    yield from memory()
    yield from on_gpu(subjects)


def gradient_seconds(one: Subject) -> float:
    work = {"": lambda: speed.gradient_of_rows(one.model, one.image, one.target, 10)}
    return interleaved(work, REPEATS)[""] / 10


# --- paths and layers ------------------------------------------------------------------------------------------------


def integrated(one: Subject) -> Iterator[Row]:
    _, model, image, target = one
    peer = attr.IntegratedGradients(model)
    work: Work = {"ours": lambda: xw.attribute(model, image, target=target, rule="gauss_legendre", steps=STEPS).values}
    for batch in (4, 10, 25):
        name = f"captum, its best batch: {batch}"
        work[name] = lambda batch=batch: peer.attribute(image, target=target, n_steps=STEPS, internal_batch_size=batch)
    yield from compared(f"{one.name}: IG-{STEPS}, same rule", work, model=model)
    difference = speed.l1(work["ours"](), work["captum, its best batch: 10"]().float())
    yield Row(f"{one.name}: IG-{STEPS}, L1 difference", f"{difference:.1e}")


def layers(one: Subject) -> Iterator[Row]:
    _, model, image, target = one
    peer = attr.LayerIntegratedGradients(model, model.layer4)

    def ours() -> Tensor:
        return xw.attribute(model, image, target=target, layer="layer4", rule="gauss_legendre", steps=STEPS).values

    def theirs() -> Tensor:
        return peer.attribute(image, target=target, n_steps=STEPS, internal_batch_size=10)

    yield from compared(
        f"layer IG-{STEPS} at the last stage", {"ours": ours, "captum, batch 10": theirs}, limit=0.1, model=model
    )
    yield Row("layer IG at the last stage: L1 difference", f"{speed.l1(ours(), theirs().detach()):.1e}")


# --- error at equal cost, precision, memory --------------------------------------------------------------------------


def probability(network: nn.Module, images: Tensor, labels: Tensor) -> Iterator[Row]:
    """Each image by itself; what nine in ten need to come below 1 % L1 and stay there."""
    model = nn.Sequential(network, nn.Softmax(1)).eval()
    counts: list[list[float]] = [[], []]
    for image, label in zip(images.split(1), labels.tolist(), strict=True):
        reference, change = path.peer_result(model, image, label, path.REFERENCE)
        judge = path.partial(path.judged, reference, change)
        for found, curve in zip(counts, (path.our_curve, path.peer_curve), strict=True):
            found.append(path.last_below(curve(model, image, label, judge), "l1", path.GAP))
    ours, theirs = (percentile(found, 90) for found in counts)
    yield Row(
        "probability of a ReLU CNN (digits): IG gradients to 1 % L1 for 9 images in 10; captum",
        f"{ours:.0f}", f"{theirs:.0f}", figure=ours, limit=40, unit="",
    )  # fmt: skip


def precision(one: Subject) -> Iterator[Row]:
    """Its time only where the processor multiplies bfloat16; without, a pass takes twenty times as long."""
    _, model, image, target = one

    def low(x: Tensor) -> Tensor:
        with lowered("bfloat16", x.device):
            return model(x)

    full, half = (xw.Session(model, image, target=target, forward=forward).problem for forward in (None, low))
    yield Row("bfloat16 on request: relative L1 error of the gradient", f"{gradient_error(full, half):.1%}")
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        yield Row("bfloat16 on request, CPU skipped: this processor has none")
        return

    def result(forward: Any = None) -> Tensor:
        asked = {"rule": "gauss_legendre", "steps": STEPS}
        return xw.attribute(model, image, target=target, forward=forward, **asked).values

    yield from compared(f"bfloat16 on request, IG-{STEPS}", {"ours": lambda: result(low), "float32": result})


def memory() -> Iterator[Row]:
    ours = peak_extra(speed.prepare_ours, "gauss_legendre", STEPS)
    best, default = (peak_extra(speed.prepare_peer, batch) for batch in (10, None))
    yield Row(
        f"ResNet-18: peak memory of IG-{STEPS}; captum with batches of 10, by default",
        f"{ours / MIB:.0f} MiB", f"{best / MIB:.0f} MiB, {default / MIB:.0f} MiB",
        figure=ours / MIB, limit=250 * 1e6 / MIB, unit="MiB",
    )  # fmt: skip
