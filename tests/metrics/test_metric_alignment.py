"""Saliency alignment in closed form, and maps turned into sensitivities."""

import pytest
import torch
from torch import nn

from xaiwidgets.api import InputError, attribute
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method
from xaiwidgets.metrics.alignment import saliency_alignment
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.forms import form_of, local_map

W = torch.tensor([3.0, -4.0, 12.0])
X = torch.tensor([[1.0, 2.0, 2.0], [3.0, -4.0, 12.0]])


def linear(x):
    return x @ W + 7


def case(method, model=linear, x=X, **parameters):
    values = attribute(model, x, method=method, **parameters).values
    return Case(Problem(model, x), values, method=find_method(method), parameters=find_method(method).check(parameters))


def aligned(found, **parameters):
    (reading,) = saliency_alignment(found, **parameters)
    return reading


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("saliency", {"absolute": False}), ("input_x_gradient", {}), ("integrated_gradients", {"baseline": -1.5})],
)
def test_a_linear_model(method, parameters):
    found = case(method, **parameters)
    values = aligned(found).values
    torch.testing.assert_close(values, torch.tensor([19 / 13, 13.0], dtype=torch.float64))
    cosine = aligned(found, relative=True).values
    torch.testing.assert_close(cosine, torch.tensor([19 / 39, 1.0], dtype=torch.float64))


def test_shares_become_sensitivities():
    found = case("input_x_gradient")
    assert form_of(found) == "share"
    local, notes = local_map(found)
    torch.testing.assert_close(local, W.double().expand(2, 3))
    assert "minus zero" in notes[0]
    assert form_of(case("saliency")) == "per_unit"
    assert local_map(case("saliency"))[1] == ()


def test_where_nothing_can_be_divided():
    x = torch.tensor([[0.0, 2.0, 2.0]])
    local, notes = local_map(case("input_x_gradient", x=x))
    assert local.tolist() == [[0.0, -4.0, 12.0]]
    assert "33%" in notes[1]


def test_several_baselines_divide_by_their_mean():
    local, notes = local_map(case("integrated_gradients", baseline=[0.0, -2.0]))
    torch.testing.assert_close(local, W.double().expand(2, 3))
    assert "the mean of its baselines" in notes[0]


def test_bare_values_are_taken_for_shares():
    found = Case(Problem(linear, X), X * W)
    local, notes = local_map(found)
    torch.testing.assert_close(local, W.double().expand(2, 3))
    assert "taken for shares" in notes[0]


def test_maps_of_places_and_of_tokens():
    images = torch.rand(2, 3, 4, 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).eval()
    place = Case(Problem(model, images, target=0), torch.rand(2, 1, 4, 4))
    local, notes = local_map(place)
    assert form_of(place) == "place"
    assert local.shape == images.shape
    assert notes == ()
    tokens = Case(Problem(lambda x: x.sum((1, 2)), torch.rand(2, 5, 3)), torch.rand(2, 5))
    with pytest.raises(InputError) as caught:
        local_map(tokens)
    assert caught.value.code == "map_of_tokens"
    assert "zero_units" in caught.value.hint


def test_an_empty_map():
    reading = aligned(Case(Problem(linear, X), X * 0))
    assert reading.values.isnan().all()
    assert "2 of 2" in reading.notes[-1]
