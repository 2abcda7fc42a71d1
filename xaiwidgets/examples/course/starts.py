"""Lesson 2: what is explained is a change, and a change has a beginning."""

import torch
from torch import Tensor, nn

from xaiwidgets.examples.course.verdict import (
    NotYetError,
    alike,
    apart,
    close,
    exercise,
    expect,
    explained,
    like,
    number,
    score,
)


@exercise
def totals(model: nn.Module, image: Tensor, target: int, starts: dict[str, Tensor], sums: dict[str, float]) -> str:
    """`sums` names what the values of integrated gradients must add up to from each of some baselines."""
    expect(isinstance(sums, dict), "A dictionary is wanted, with a number for each name.")
    missing = [name for name in starts if name not in sums]
    expect(not missing, f"There is no sum for {', '.join(missing)}.")
    end = score(model, image, target)
    for name, start in starts.items():
        change, yours = end - score(model, start, target), number(sums[name])
        if not close(yours, change, 1e-2):
            expect(not close(yours, end), f"For {name}, {yours:.2f} is the score of the image. Compared with what?")
            expect(not close(yours, -change), f"For {name} the sign is wrong: image minus baseline.")
            raise NotYetError(f"For {name} the score changes by another amount than {yours:.2f}.")
    first, start = next(iter(starts.items()))
    found = explained(model, image, target, baseline=start).sum()
    return f"From {first}, integrated gradients add up to {found:.2f}, as you said."


@exercise
def blind(image: Tensor, start: Tensor, places: Tensor) -> str:
    """`places` marks, True or False, the pixels that get nothing from this baseline, whatever the network is."""
    expect(isinstance(places, Tensor) and places.dtype == torch.bool, "A tensor of True and False is wanted.")
    expect(places.shape == image.shape, f"It has the shape of the image, {list(image.shape)}.")
    truth = (image == start).expand_as(image)
    expect(not torch.equal(places, ~truth), "It is the other way round: these are the pixels that can get something.")
    wrong = int((places != truth).sum())
    expect(
        not wrong, f"{wrong} pixels are marked wrongly. A value is multiplied by image minus baseline: when is that 0?"
    )
    return f"{int(truth.sum())} of {truth.numel()} pixels cannot get anything, whatever the network does with them."


@exercise
def only_there(model: nn.Module, image: Tensor, target: int, region: Tensor, start: Tensor) -> str:
    """`start` is a baseline from which pixels of a region get all there is, and pixels elsewhere exactly nothing."""
    numbers = like(start, image, "A baseline")
    outside = int(((numbers != image.double()) & ~region).sum())
    expect(not outside, f"Outside the region {outside} pixels differ from the image, and so they may get something.")
    same = int(((numbers == image.double()) & region).sum())
    expect(not same, f"Inside the region {same} pixels are those of the image: nothing is left to explain there.")
    values = explained(model, image, target, baseline=numbers.float())
    inside, rest = float(values[region].sum()), float(values[~region].abs().max())
    return f"The region gets {inside:.1f}, and no pixel elsewhere more than {rest:.1f}."


@exercise
def mean_map(model: nn.Module, image: Tensor, target: int, references: Tensor, values: Tensor) -> str:
    """`values` is the mean of the maps from each of the references."""
    yours = like(values, image, "A map")
    maps = [explained(model, image, target, baseline=one[None]) for one in references]
    truth = torch.stack(maps).mean(0)
    away = apart(yours, truth)
    if away >= 0.02:
        of_mean = explained(model, image, target, baseline=references.mean(0, keepdim=True))
        hint = (
            "That is the map from the mean of the references, one picture of its own. Wanted is the mean of the maps."
        )
        expect(apart(yours, of_mean) >= 0.02, hint)
        expect(apart(yours, len(maps) * truth) >= 0.02, "That is the sum of the maps. Divide by how many there are.")
        raise NotYetError(f"Not the mean of the maps: {away:.0%} away from it, correlation {alike(yours, truth):.2f}.")
    change = score(model, image, target) - sum(score(model, one[None], target) for one in references) / len(references)
    return f"It adds up to {yours.sum():.2f}; the score of the image minus the mean score of the references is {change:.2f}."
