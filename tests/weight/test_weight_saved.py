"""What a notebook with widgets of every kind weighs when it is saved."""

import json
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest
import torch
from torch.nn import functional

import xaiwidgets as xw
from tests.widgets.texts import Bag, Words
from xaiwidgets.examples import photographs
from xaiwidgets.widgets import frontend

PATIENCE = 120
BUDGET = 1_000_000
LABELS = [f"a class with a name {number}" for number in range(100)]
TEXT = "Not good, but it moved me: a film unlike any other that I have seen this year."
PIXELS = 32


def crops(count: int) -> torch.Tensor:
    """Crops of the photographs, [count, 3, 32, 32]."""
    found = []
    for number in range(count):
        pictures = list(photographs().values())
        picture = torch.from_numpy(pictures[number % len(pictures)]).permute(2, 0, 1)[None].float() / 255
        side = min(picture.shape[2:]) - 20 * (number // len(pictures))
        found.append(functional.interpolate(picture[..., :side, :side], (PIXELS, PIXELS), mode="area")[0])
    return torch.stack(found)


def noisy() -> torch.nn.Module:
    """A seeded network whose maps are as noisy as those of large ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 16, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 5, stride=2)]
        head = [torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, len(LABELS))]
        return torch.nn.Sequential(*layers, *head).eval()


@pytest.fixture
def widgets() -> Iterator[dict[str, Any]]:
    """Ten, two of each kind; the first is tested, one path has been compared with all of its baselines."""
    model, images = noisy(), crops(40)
    index = xw.TrainingIndex.build(
        model, (images, torch.arange(40)), checkpoints=[model.state_dict()], projection={"dim": 32}, progress=False
    )
    few = [("deletion", {"steps": 8}), ("insertion", {"steps": 8})]
    frontend.core().close()  # one that carries these kinds alone, as a new kernel's would
    made = {
        "heatmap, tested": xw.explain(model, images[:1], labels=LABELS),
        "heatmap": xw.explain(model, images[1:2], labels=LABELS, method="saliency"),
        "path": xw.explore_path(model, images[:1], labels=LABELS, steps=33),
        "path, compared": xw.explore_path(model, images[1:2], labels=LABELS, steps=33),
        "tokens": xw.explain(Bag(), TEXT, tokenizer=Words(), target=1),
        "more tokens": xw.explain(Bag(), 3 * TEXT, tokenizer=Words(), target=0),
        "examples": xw.trace(index, images[:1], labels=LABELS),
        "more examples": xw.trace(index, images[1:2], labels=LABELS),
        "scoreboard": xw.compare(model, images[:4], ["saliency", "smoothgrad"], metrics=few, labels=LABELS),
        "another scoreboard": xw.compare(model, images[4:8], ["input_x_gradient"], metrics=few, labels=LABELS),
    }
    for widget in made.values():
        widget.wait(PATIENCE)
    made["heatmap, tested"].test()
    made["heatmap, tested"].tested(PATIENCE)
    made["path, compared"].compare().wait(PATIENCE)
    yield made
    for widget in made.values():
        widget.close()


def test_ten_widgets_of_all_kinds_save_less_than_a_megabyte(widgets: dict[str, Any], record_property: Any) -> None:
    core = frontend.core()
    models = [*widgets.values(), *(widget.layout for widget in widgets.values()), core, core.layout]
    state = len(json.dumps(ipywidgets.Widget.get_manager_state(widgets=models)))
    weights = {"code": len(json.dumps(ipywidgets.Widget.get_manager_state(widgets=[core])))}
    pictures = 0
    for name, widget in widgets.items():
        picture = len(json.dumps(widget._repr_mimebundle_()[0]))
        pictures += picture
        weights[name] = len(json.dumps(ipywidgets.Widget.get_manager_state(widgets=[widget]))) + picture
    total = state + pictures
    record_property("saved_bytes", total)
    print(total, weights)
    assert len(widgets["path, compared"].archive) == 6
    assert widgets["heatmap, tested"].trust["status"] == "done"
    assert total <= BUDGET, weights
