"""The prettier map is wrong: a network that reads the mark in the corner, asked with methods and controls.

The figure of decoy MNIST in Sturmfels, Lundberg, Lee (2020), Visualizing the Impact of Feature Attribution Baselines, as
numbers: an edge detector draws the digit the network does not look at, expected gradients draw the mark it goes by.
"""

import pytest
import torch
from torch import Tensor

import xaiwidgets as xw
from xaiwidgets.examples import decoy
from xaiwidgets.examples.decoy import MARK
from xaiwidgets.examples.example import Example

ROWS = 24


def decoy_experiment(example: Example) -> dict[str, dict[str, float]]:
    """For every map how well it finds the mark, how well the strokes of the digit, and whether it changes with the model."""
    images = example.images[:ROWS]
    mark = torch.zeros(1, 1, *images.shape[2:], dtype=torch.bool)
    mark[..., :MARK, :MARK] = True
    asked = {
        "expected_gradients": ("expected_gradients", {"baseline": xw.baselines.Dataset(example.train_images[:64])}),
        "edges": "edges",
        "random": "random",
    }
    found: dict[str, dict[str, float]] = {name: {} for name in asked}

    def ask(title: str, metric: str, mask: Tensor | None = None, **parameters: object) -> None:
        evaluation = xw.evaluate(
            example.model, images, asked, target=example.labels[:ROWS], metrics={metric: parameters}, mask=mask
        )
        for name in asked:
            found[name][title] = float(evaluation[name][metric])

    ask("mark", "auc", mark, absolute=True)
    ask("digit", "auc", (images > 0.3) & ~mark, absolute=True)
    ask("randomised", "model_randomisation", None, steps=2)
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    return decoy_experiment(decoy())


def test_the_explanation_finds_the_mark(found: dict[str, dict[str, float]]) -> None:
    assert found["expected_gradients"]["mark"] > 0.9
    assert found["edges"]["mark"] < 0.5
    assert found["random"]["mark"] == pytest.approx(0.5, abs=0.06)


def test_the_edges_draw_the_digit_better(found: dict[str, dict[str, float]]) -> None:
    assert found["edges"]["digit"] > found["expected_gradients"]["digit"] + 0.05


def test_the_edges_do_not_notice_that_the_model_forgets(found: dict[str, dict[str, float]]) -> None:
    assert found["edges"]["randomised"] == pytest.approx(1)
    assert found["random"]["randomised"] == pytest.approx(1)
    assert found["expected_gradients"]["randomised"] < 0.5
