"""Propagation, class activation maps and methods without gradients, beside their peers."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from captum import attr
from torch import Tensor, nn

import xaiwidgets as xw
from benchmarks import speed
from benchmarks.beside import REPEATS, Subject, Work, compared, installed
from benchmarks.measure import Row, counted, interleaved

STEPS = 50


# --- propagation -----------------------------------------------------------------------------------------------------


def propagation(one: Subject) -> Iterator[Row]:
    """Each beside one forward and backward pass of one row, and beside the peer, whose results differ where noted."""
    _, model, image, target = one

    def ours(method: str, **parameters: Any) -> Callable[[], Any]:
        return lambda: xw.attribute(model, image, target=target, method=method, **parameters)

    work: Work = {
        "alone": lambda: speed.gradient_of_rows(model, image, target, 1),
        "LRP (epsilon_plus)": ours("lrp", composite="epsilon_plus"),
        "DeepLIFT": ours("deeplift"),
        "guided backprop": ours("guided_backprop"),
        "captum DeepLIFT": lambda: attr.DeepLift(model).attribute(image.clone().requires_grad_(), target=target),
        "captum guided backprop": lambda: attr.GuidedBackprop(model).attribute(
            image.clone().requires_grad_(), target=target
        ),
    }
    if installed("zennit"):
        work["zennit LRP (epsilon_plus)"] = lambda: zennit_lrp(model, image, target)
    seconds = interleaved(work, 2 * REPEATS + 1)
    for name in ("LRP (epsilon_plus)", "DeepLIFT", "guided backprop"):
        yield Row(
            f"{name} beside one forward and backward pass: CPU",
            f"{seconds[name]:.3f} s", f"{seconds['alone']:.3f} s", figure=seconds[name] / seconds["alone"], limit=3,
        )  # fmt: skip
    pairs = {"DeepLIFT": ("captum DeepLIFT", 0.5), "guided backprop": ("captum guided backprop", None)}
    pairs["LRP (epsilon_plus)"] = ("zennit LRP (epsilon_plus)", None)
    for name, (peer, limit) in pairs.items():
        if peer not in seconds:
            yield Row(f"{peer} skipped: not installed")
            continue
        yield Row(
            f"{name}: CPU; {peer}",
            f"{seconds[name]:.3f} s", f"{seconds[peer]:.3f} s", figure=seconds[name] / seconds[peer], limit=limit,
        )  # fmt: skip
    result = work["DeepLIFT"]()
    theirs = speed.gap_of(model, image, target, work["captum DeepLIFT"]().detach())
    yield Row(
        "DeepLIFT: completeness gap, of f(x) - f(0)",
        f"{speed.gap(result):.1e}", f"{theirs:.1%}", figure=speed.gap(result), limit=1e-4, unit="",
    )  # fmt: skip


def zennit_lrp(model: nn.Module, image: Tensor, target: int) -> Tensor:
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlus

    with Gradient(model=model, composite=EpsilonPlus()) as attributor:
        return attributor(image, torch.eye(1000)[[target]])[1]


def transformers(one: Subject) -> Iterator[Row]:
    _, model, image, target = one
    work: Work = {"alone": lambda: speed.gradient_of_rows(model, image, target, 1)}
    limits = {"attn_lrp": 3, "deeplift": 3, "chefer": None}
    for method in limits:
        work[method] = lambda method=method: xw.attribute(model, image, target=target, method=method)
    seconds = interleaved(work, 2 * REPEATS + 1)
    for name, limit in limits.items():
        yield Row(
            f"ViT: {name} beside one forward and backward pass: CPU",
            f"{seconds[name]:.3f} s", f"{seconds['alone']:.3f} s", figure=seconds[name] / seconds["alone"], limit=limit,
        )  # fmt: skip


def cams(one: Subject) -> Iterator[Row]:
    _, model, image, target = one
    peer = attr.LayerGradCam(model, model.layer4)
    work: Work = {
        "ours": lambda: xw.attribute(model, image, target=target, method="grad_cam", layer="layer4").values,
        "captum": lambda: peer.attribute(image, target=target, relu_attributions=True),
    }
    yield from compared("Grad-CAM, last stage", work, model=model)
    if not installed("pytorch_grad_cam"):
        yield Row("Grad-CAM of pytorch-grad-cam skipped: not installed")
        return
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    cam = GradCAM(model=model, target_layers=[model.layer4])
    work = {
        "ours": work["ours"],
        "pytorch-grad-cam": lambda: cam(input_tensor=image, targets=[ClassifierOutputTarget(target)]),
    }
    yield from compared("Grad-CAM, last stage", work, model=model)
    cam.activations_and_grads.release()


# --- without gradients -----------------------------------------------------------------------------------------------


def forward_only(one: Subject) -> Iterator[Row]:
    """Beside the model's own passes alone, as many and in the same batches."""
    _, model, image, target = one
    count = 100
    session = xw.Session(model, image, target=target)
    session.attribute("occlusion", window=112, stride=112)
    batch = session.problem.batcher.rows
    prepared = image.repeat(batch, 1, 1, 1)

    @torch.no_grad()
    def alone() -> None:
        for begin in range(0, count, batch):
            model(prepared[: min(batch, count - begin)])

    work: Work = {"alone": alone}
    for method in ("rise", "kernel_shap", "lime", "shapley"):
        work[method] = lambda method=method: xw.attribute(model, image, target=target, method=method, samples=count)
    seconds = interleaved(work, REPEATS)
    for name in list(work)[1:]:
        with counted(model) as found:
            work[name]()
        each = seconds[name] / (found.forward + found.gradient)
        yield Row(
            f"{name} beside the forward passes alone, batches of {batch}: CPU a pass",
            f"{each:.3f} s", f"{seconds['alone'] / count:.3f} s", figure=each * count / seconds["alone"], limit=1.1,
        )  # fmt: skip


def many_targets(one: Subject) -> Iterator[Row]:
    """Ten classes at once beside one after the other."""
    _, model, image, _ = one
    for method, parameters in (
        ("occlusion", {"window": 4, "stride": 4}),
        ("shapley", {"samples": 512}),
        ("saliency", {}),
        ("integrated_gradients", {"rule": "gauss_legendre", "steps": STEPS}),
    ):
        work: Work = {
            "ours": lambda: xw.attribute(model, image, target=xw.Each(range(10)), method=method, **parameters),  # noqa: B023
            "a loop over classes": lambda: [
                xw.attribute(model, image, target=target, method=method, **parameters)  # noqa: B023
                for target in range(10)
            ],
        }
        yield from compared(f"ResNet-20: {method} of ten classes", work, model=model)
