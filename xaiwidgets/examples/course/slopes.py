"""Lesson 1: what a slope says, and how it wavers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from xaiwidgets.examples.course.verdict import (
    NotYetError,
    alike,
    answered,
    close,
    exercise,
    expect,
    explained,
    number,
    score,
)

AGREE = 0.98  # of two maps whose noise was drawn apart
NOISE = 0.2


@exercise
def foretold(model: nn.Module, image: Tensor, moved: Tensor, target: int, change: float) -> str:
    """`change` is what the slopes at an image foretell of the logit when one pixel, or several, are moved a little."""
    change = number(change)
    slopes, step = explained(model, image, target, method="saliency", absolute=False), moved - image
    foretells = float((slopes * step).sum())
    slope = foretells / float(step.sum())
    truth = score(model, moved, target) - score(model, image, target)
    if not close(change, foretells):
        expect(
            not close(change, slope), "That is the slope, the change per unit of brightness. How far does the pixel go?"
        )
        expect(not close(change, -foretells), "The size is right, the sign is not: keep the sign of the slope.")
        expect(
            not close(change, truth), "That is the change itself. The slope is to foretell it, without asking again."
        )
        raise NotYetError(f"Slope times step would be {foretells:.3f}, and yours is {change:.3f}.")
    return f"Foretold {change:+.4f}; asked again, the network says {truth:+.4f}."


@exercise
def quiet(model: nn.Module, image: Tensor, target: int, samples: int) -> str:
    """`samples`, a power of two, is the least at which two SmoothGrads with noise of their own correlate by 0.98."""
    chosen = int(number(samples))
    powers = [2**power for power in range(1, 8)]
    expect(chosen in powers, f"Choose one of {', '.join(map(str, powers))}.")
    reached = _agreement(model, image, target, chosen)
    expect(reached >= AGREE, f"With {chosen} samples the two maps correlate by {reached:.3f}: more are needed.")
    before = _agreement(model, image, target, chosen // 2) if chosen > powers[0] else 0.0
    expect(before < AGREE, f"With {chosen // 2} samples the two maps already correlate by {before:.3f}: fewer will do.")
    return f"{chosen} samples: two maps, each with noise of its own, correlate by {reached:.3f}."


def _agreement(model: nn.Module, image: Tensor, target: int, samples: int) -> float:
    asked = {"method": "smoothgrad", "samples": samples, "noise": NOISE}
    one, other = (explained(model, image, target, seed=seed, **asked) for seed in (0, 1))
    return alike(one, other)


@exercise
def still_read(model: nn.Module, image: Tensor, target: int, share: Callable[[float], float]) -> str:
    """`share(noise)` is the share of copies with so much Gaussian noise that the network still takes for the target."""
    generator = torch.Generator().manual_seed(1)
    said = []
    for noise in (0.01, 0.3, 1.0):
        draws = torch.randn((400, *image.shape[1:]), generator=generator)
        with torch.no_grad():
            truth = float((model(image + noise * draws).argmax(1) == target).float().mean())
        yours = number(answered(share(noise)))
        expect(0 <= yours <= 1, f"A share lies between 0 and 1; for noise of {noise} yours is {yours:.3g}.")
        hint = "Draw at least 100 copies, add noise × randn, and compare argmax with the class."
        expect(
            abs(yours - truth) < 0.15, f"For noise of {noise} it is about {truth:.2f}, and yours is {yours:.2f}. {hint}"
        )
        said.append(f"{yours:.0%} with noise of {noise}")
    return f"Still read as {target}: {', '.join(said)}."
