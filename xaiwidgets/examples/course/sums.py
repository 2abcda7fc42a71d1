"""Lesson 3: what adding up proves."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from xaiwidgets.examples.course.verdict import (
    NotYetError,
    alike,
    answered,
    apart,
    exercise,
    expect,
    explained,
    like,
    score,
)


@exercise
def straight(model: nn.Module, image: Tensor, target: int, method: Callable[..., Tensor]) -> str:
    """`method(model, image, target, steps)` is integrated gradients from black, by a sum over so many steps."""
    truth = explained(model, image, target, steps=257, tolerance=0)
    few, many = 8, 64
    coarse = like(answered(method(model, image, target, few)), image, "A map")
    fine = like(answered(method(model, image, target, many)), image, "A map")
    away = apart(fine, truth)
    if away >= 0.05:
        at_end = explained(model, image, target, method="input_x_gradient")
        hint = "Is the gradient taken on the way, at α times the image, and not always at the image?"
        expect(
            apart(fine * image, truth) >= 0.05, "That is the mean gradient. Each is multiplied by image minus baseline."
        )
        expect(apart(fine / many, truth) >= 0.05, "That grows with the number of steps: divide by it.")
        expect(apart(-fine, truth) >= 0.05, "The sign is wrong.")
        expect(apart(fine, at_end) >= 0.01, f"That is the gradient at the image, times the image. {hint}")
        raise NotYetError(f"With {many} steps it is {away:.0%} away from a map with 257. {hint}")
    return f"{apart(coarse, truth):.1%} away from a much finer map with {few} steps, {away:.1%} with {many}."


@exercise
def without_biases(model: nn.Module, image: Tensor, target: int, copy: nn.Module) -> str:
    """`copy` is the same network with every bias at zero; the network itself is as it was."""
    expect(isinstance(copy, nn.Module), "A model is wanted.")
    expect(copy is not model, "That is the network itself. Make a copy: copy.deepcopy.")
    before, after = dict(model.named_parameters()), dict(copy.named_parameters())
    biases = [name for name in before if name.endswith("bias")]
    expect(any(bool(before[name].any()) for name in biases), "The network itself has lost its biases: make it again.")
    left = [name for name in after if name.endswith("bias") and bool(after[name].any())]
    expect(not left, f"There are still biases: {', '.join(left)}.")
    expect(before.keys() == after.keys(), "The copy has other parameters than the network.")
    changed = [name for name in before if name not in biases and not torch.equal(before[name], after[name])]
    expect(not changed, f"These are no biases, and have changed: {', '.join(changed)}.")
    total = float(explained(copy, image, target, method="input_x_gradient").sum())
    return f"Input × gradient now adds up to {total:.4f}, and the score is {score(copy, image, target):.4f}."


@exercise
def constant(model: nn.Module, image: Tensor, target: int, values: Tensor) -> str:
    """`values` is a map that adds up to the change of the score from black, and has nothing to do with the network."""
    yours = like(values, image, "A map")
    change = score(model, image, target) - score(model, torch.zeros_like(image), target)
    total = float(yours.sum())
    expect(abs(total - change) <= 1e-3 * abs(change), f"It adds up to {total:.3f}, and should to {change:.3f}.")
    found = explained(model, image, target)
    same = alike(yours, found)
    expect(abs(same) < 0.3, f"It correlates with integrated gradients by {same:.2f}: that knows too much.")
    return f"It adds up to {total:.3f}, exactly, and correlates with integrated gradients by {same:.2f}."
