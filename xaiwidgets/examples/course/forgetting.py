"""Lesson 4: networks that forget, and maps that do not care."""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from xaiwidgets.examples.course.verdict import NotYetError, alike, answered, exercise, expect, explained, like

SAME = 0.3  # a correlation from which one map is still seen in the other


@exercise
def forgets(model: nn.Module, layer: str, forget: Callable[[nn.Module, str], nn.Module]) -> str:
    """`forget(model, layer)` is a copy whose layer has new random weights; all else, and the model, are as they were."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    made = answered(forget(model, layer))
    now = model.state_dict()
    harmed = [name for name, value in before.items() if not torch.equal(value, now[name])]
    model.load_state_dict(before)
    expect(not harmed, f"The network itself has lost {', '.join(harmed)} (given back). Work on a copy: copy.deepcopy.")
    expect(isinstance(made, nn.Module), "A model is wanted.")
    after = made.state_dict()
    expect(after.keys() == before.keys(), "The copy has other layers than the network.")
    inside = [name for name in before if name.startswith(f"{layer}.")]
    kept = [name for name in inside if torch.equal(before[name], after[name])]
    expect(not kept, f"{', '.join(kept)} did not change. A layer's reset_parameters() draws new weights.")
    others = [name for name in before if name not in inside and not torch.equal(before[name], after[name])]
    expect(not others, f"{', '.join(others)} changed too. Only {layer} should.")
    empty = [name for name in inside if name.endswith("weight") and after[name].std() < before[name].std() / 1e3]
    expect(not empty, f"{', '.join(empty)} has one value throughout; random weights are wanted.")
    return f"{' and '.join(inside)} are new, the rest is as it was."


@exercise
def fooled(agreement: Mapping[str, float], names: Collection[str]) -> str:
    """`names` are the methods whose map is still seen (0.3 or more) in that of a network that has forgotten everything."""
    expect(not isinstance(names, str), 'A set is wanted, even of one name: {"saliency"}.')
    yours, truth = set(names), {name for name, value in agreement.items() if value >= SAME}
    unknown = yours - set(agreement)
    expect(not unknown, f"There is no {', '.join(sorted(unknown))} in the table.")
    changed = sorted(yours - truth)
    expect(not changed, f"The map of {', '.join(changed)} did change: by the table it is below {SAME}.")
    expect(yours == truth, "One at least is missing. Look at the last column.")
    return f"{', '.join(sorted(truth)) or 'None'}, by this table."


@exercise
def hollow(model: nn.Module, blank: nn.Module, images: Tensor, explain: Callable[[nn.Module, Tensor], Tensor]) -> str:
    """`explain(model, images)` passes the test and explains nothing: other weights, another map; the same ones, the same;
    and no more like integrated gradients than chance is.
    """
    maps = like(answered(explain(model, images)), images, "A map an image")
    again = like(answered(explain(model, images)), images, "A map an image")
    expect(
        torch.equal(maps, again), "Asked twice, it says two things. Let the weights decide: seed with a sum of them."
    )
    if not maps.std() > 0:
        raise NotYetError("It is flat: the same value everywhere.")
    forgotten = like(answered(explain(blank, images)), images, "A map an image")
    moved = alike(maps, forgotten)
    expect(moved < SAME, f"Its maps of an untrained network correlate with these by {moved:.2f}: it fails the test.")
    classes = model(images).argmax(1)
    found = explained(model, images, classes)
    knows = abs(alike(maps, found))
    expect(knows < 0.2, f"It correlates with integrated gradients by {knows:.2f}: that explains something.")
    return f"Correlation after forgetting {moved:.2f}, so it passes; with integrated gradients {knows:.2f}, so it says nothing."
