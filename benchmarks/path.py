"""Integrated gradients: how many gradients until the result is good, here and in Captum."""

import statistics
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

import xaiwidgets as xw
from benchmarks.measure import Row, Skip, counted, percentile
from benchmarks.networks import cifar, resnet20

GAP = 0.01
PEER_STEPS = (3, 4, 5, 6, 8, 10, 12, 14, 20, 24, 28, 40, 50, 80, 100, 160, 200, 256)
LANDMARKS = (9, 17, 33, 65, 129)
REFERENCE = 512


class Point(NamedTuple):
    """A result on the way: what it cost, what completeness says of it, how far it is from the reference.

    `estimate` is the error the library itself states.
    """

    evaluations: int
    gap: float
    l1: float
    estimate: float | None = None


def rows() -> Iterator[Row]:
    from xaiwidgets.examples import digits

    example = digits()
    right = example.model(example.images).argmax(1) == example.labels
    yield from network("digits CNN", example.model, example.images[right][:16], example.labels[right][:16])
    yield from nesting("digits CNN", example.model, example.images[:1], int(example.labels[0]))
    try:
        model = resnet20()
        images, labels = cifar(12)
    except Skip as reason:
        yield Row(f"ResNet-20 skipped: {reason}")
        return
    right = model(images).argmax(1) == labels
    yield from network("ResNet-20", model, images[right][:6], labels[right][:6])
    yield from nesting("ResNet-20", model, images[:1], int(labels[0]))


def network(name: str, model: nn.Module, images: Tensor, labels: Tensor) -> Iterator[Row]:
    """Each image by itself, then the median over the images."""
    ours, peer = [], []
    own_stop = []
    for image, label in zip(images.split(1), labels.tolist(), strict=True):
        reference, change = peer_result(model, image, label, REFERENCE)
        judge = partial(judged, reference, change)
        ours.append(our_curve(model, image, label, judge))
        peer.append(peer_curve(model, image, label, judge))
        own_stop.append(stopped(model, image, label, judge))

    reaching = (
        ("1 % completeness, for the first time", "gap", first_below, 0.5),
        ("1 % completeness, and stay there", "gap", last_below, 0.5),
        (f"1 % L1 from Gauss–Legendre {REFERENCE}, and stay there", "l1", last_below, None),
    )
    for words, what, find, limit in reaching:
        counts = [[find(curve, what, GAP) for curve in curves] for curves in (ours, peer)]
        medians = [statistics.median(one) for one in counts]
        yield Row(
            f"{name}: gradients to {words}, median (9 in 10)",
            *(f"{median:.0f} ({percentile(one, 90):.0f})" for median, one in zip(medians, counts, strict=True)),
            figure=medians[0] / medians[1],
            limit=limit,
        )
    evaluations, error, estimate = (median_of(own_stop, what) for what in ("evaluations", "l1", "estimate"))
    yield Row(f"{name}: gradients used with steps=64, tolerance=0.01", f"{evaluations:.0f}")
    yield Row(f"{name}: L1 error there, as estimated and true", f"{estimate:.1%}, {error:.1%}", figure=estimate / error)
    first_picture = max(curve[0].evaluations for curve in ours)
    yield Row(f"{name}: gradients to the first picture", f"{first_picture}", figure=first_picture, limit=9, unit="")
    for landmark in LANDMARKS:
        ours_l1, peer_l1 = (statistics.median(error_at(curve, landmark) for curve in curves) for curves in (ours, peer))
        yield Row(
            f"{name}: median L1 error with {landmark} gradients",
            f"{ours_l1:.2%}",
            f"{peer_l1:.2%}",
            figure=ours_l1 / peer_l1,
        )


def nesting(name: str, model: nn.Module, image: Tensor, label: int) -> Iterator[Row]:
    """What moving the slider costs; a peer without memory pays all of it again."""
    session = xw.Session(model, image, target=label)
    session.attribute(steps=64, tolerance=0)
    with counted(model) as up:
        session.attribute(steps=128, tolerance=0)
    with counted(model) as down:
        session.attribute(steps=64, tolerance=0)
    yield Row(f"{name}: steps 64 → 128, new gradients", f"{up.gradient}", "128", figure=up.gradient, limit=64, unit="")
    yield Row(
        f"{name}: steps 128 → 64, new gradients",
        f"{down.gradient}",
        "64",
        figure=down.gradient + down.forward,
        limit=0,
        unit="",
    )


def our_curve(model: nn.Module, image: Tensor, label: int, judge: partial[Point]) -> list[Point]:
    with counted(model) as count:
        return [
            judge(count.gradient, result.values)
            for result in xw.stream(model, image, target=label, steps=161, tolerance=0)
        ]


def stopped(model: nn.Module, image: Tensor, label: int, judge: partial[Point]) -> Point:
    with counted(model) as count:
        result = xw.attribute(model, image, target=label, tolerance=GAP)
    return judge(count.gradient, result.values)._replace(estimate=result.error)


def peer_curve(model: nn.Module, image: Tensor, label: int, judge: partial[Point]) -> list[Point]:
    curve = []
    for steps in sorted({*PEER_STEPS, *LANDMARKS}):
        with counted(model) as count:
            values, _ = peer_result(model, image, label, steps)
        curve.append(judge(count.gradient, values))
        if curve[-1].gap <= GAP and curve[-1].l1 <= GAP and steps >= LANDMARKS[-1]:
            break
    return curve


def peer_result(model: nn.Module, image: Tensor, label: int, steps: int) -> tuple[Tensor, float]:
    values = IntegratedGradients(model).attribute(image, target=label, n_steps=steps, internal_batch_size=64)
    with torch.no_grad():
        ends = model(torch.cat([torch.zeros_like(image), image]))[:, label]
    return values, float(ends[1] - ends[0])


def judged(reference: Tensor, change: float, evaluations: int, values: Tensor) -> Point:
    gap = abs(float(values.double().sum()) - change) / abs(change)
    return Point(evaluations, gap, float((values - reference).abs().sum() / reference.abs().sum()))


def first_below(curve: list[Point], what: str, bar: float) -> float:
    return next((point.evaluations for point in curve if getattr(point, what) <= bar), 2.0 * curve[-1].evaluations)


def last_below(curve: list[Point], what: str, bar: float) -> float:
    """The cost from which on the curve stays below the bar: a crossing by luck does not count."""
    above = [index for index, point in enumerate(curve) if getattr(point, what) > bar]
    return first_below(curve[above[-1] + 1 :] or curve[-1:], what, bar) if above else curve[0].evaluations


def error_at(curve: list[Point], evaluations: int) -> float:
    return [point.l1 for point in curve if point.evaluations <= evaluations][-1]


def median_of(points: list[Point], what: str) -> float:
    return statistics.median(getattr(point, what) for point in points)
