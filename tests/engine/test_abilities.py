"""What a model has that some methods need."""

import pytest
import torch
import zoo
from torch import nn

from xaiwidgets.api import Session
from xaiwidgets.engine.abilities import abilities


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shared_relu", {"relu"}), ("residual", {"relu"}), ("gated_mlp", set()), ("lstm_cell", set()),
        ("vit", {"attention"}), ("bert_sdpa", {"attention"}), ("llama_eager", {"attention"}),
    ],
)  # fmt: skip
@torch.no_grad()
def test_they_are_seen_in_one_pass_and_nothing_is_left(name, expected):
    model, inputs = zoo.make(name)
    problem = Session(model, inputs, target=0).problem.begin()
    assert abilities(problem) == expected
    assert problem.evaluations["forward"] + problem.evaluations["gradient"] == 1


@torch.no_grad()
def test_models_whose_operations_cannot_be_seen_have_none():
    model = torch.jit.trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval(), torch.rand(1, 3))
    assert abilities(Session(model, torch.rand(2, 3), target=0).problem.begin()) == set()
