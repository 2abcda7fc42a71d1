"""Inputs: which tensors are explained, and how they are taken apart and put together."""

from collections import UserDict
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.inputs import read_inputs, rows_of

ROWS = torch.tensor([2, 0, 2])


class State(NamedTuple):
    h: Tensor
    c: Tensor


def test_a_tensor_is_one_positional_argument():
    x = torch.arange(12.0).reshape(3, 4)
    inputs = read_inputs(x)
    arguments, keywords = inputs.assemble(x[ROWS], ROWS)
    assert torch.equal(arguments[0], x[ROWS])
    assert keywords == {}


def test_companions_follow_their_rows_and_the_rest_passes_through():
    inputs = read_inputs(
        {
            "ids": torch.tensor([[1], [2], [3]]),
            "x": torch.rand(3, 2),
            "shared": torch.tensor([[7, 8]]),
            "scalar": torch.tensor(5),
            "state": (State(torch.tensor([1, 2, 3]), torch.tensor([4])), [torch.tensor([9, 8, 7])]),
            "flag": True,
            "nothing": None,
            "mode": "fast",
        }
    )
    assert inputs.explained == ("x",)
    arguments, call = inputs.assemble(torch.zeros(3, 2), ROWS)
    assert arguments == ()
    assert list(call) == ["ids", "x", "shared", "scalar", "state", "flag", "nothing", "mode"]
    assert call["ids"].tolist() == [[3], [1], [3]]
    assert call["shared"].tolist() == [[7, 8]] * 3
    assert call["scalar"].item() == 5
    assert isinstance(call["state"][0], State)
    assert call["state"][0].h.tolist() == [3, 1, 3]
    assert call["state"][0].c.tolist() == [4, 4, 4]
    assert call["state"][1][0].tolist() == [7, 9, 7]
    assert (call["flag"], call["nothing"], call["mode"]) == (True, None, "fast")


def test_several_leaves_are_packed_and_unpacked():
    a, b = torch.rand(3, 2, 2), torch.rand(3, 5, dtype=torch.float16)
    inputs = read_inputs({"a": a, "b": b, "k": torch.ones(3)}, wrt=["b", "a"])
    assert inputs.points.shape == (3, 9)
    assert inputs.points.dtype == torch.float32
    _, call = inputs.assemble(inputs.points[ROWS], ROWS)
    assert torch.equal(call["a"], a[ROWS])
    assert torch.equal(call["b"], b[ROWS])
    assert call["b"].dtype == torch.float16
    unpacked = inputs.unpack(inputs.points)
    assert isinstance(unpacked, dict)
    assert list(unpacked) == ["b", "a"]
    assert unpacked["a"].shape == a.shape
    assert isinstance(read_inputs((a, a), wrt=[0, 1]).unpack(torch.zeros(3, 8)), tuple)


def test_the_same_tensor_twice_counts_as_two_inputs():
    x = torch.rand(2, 3)
    result = attribute(lambda a, b: (2 * a + 5 * b).sum(1), (x, x), wrt=[0, 1], method="input_x_gradient")
    torch.testing.assert_close(result.values[0], 2 * x)
    torch.testing.assert_close(result.values[1], 5 * x)


def test_any_mapping_is_keyword_arguments_and_numpy_is_understood():
    result = attribute(lambda x, scale: (x * scale).sum(1), UserDict(x=np.ones((2, 3), np.float32), scale=3.0))
    torch.testing.assert_close(result.values, torch.full((2, 3), 3.0))


def test_the_session_has_its_own_copy():
    x = torch.rand(2, 3)
    session = Session(lambda x: x.sum(1), x)
    before = x.clone()
    x.zero_()
    torch.testing.assert_close(session.attribute("input_x_gradient").values, before)


@pytest.mark.parametrize(
    ("inputs", "wrt", "code"),
    [
        ((torch.zeros(2, 3).long(), torch.ones(2, 3).long()), None, "ambiguous_leaf"),
        (torch.zeros(2, 3, dtype=torch.complex64), 0, "complex_input"),
        ((torch.rand(2, 3), torch.rand(2, 3)), None, "ambiguous_leaf"),
        ({"a": torch.rand(2)}, "b", "unknown_leaf"),
        ({"a": torch.rand(2)}, [], "unknown_leaf"),
        ({"a": torch.rand(2)}, ["a", "a"], "unknown_leaf"),
        ((torch.rand(2, 3), "text"), 1, "unknown_leaf"),
        (torch.rand(0, 3), None, "empty_batch"),
        (torch.tensor(1.0), None, "empty_batch"),
        (torch.tensor([[1.0, float("nan")]]), None, "non_finite_input"),
        (torch.tensor([[float("inf")]]), None, "non_finite_input"),
        ((torch.rand(4, 2), torch.zeros(3).long()), None, "batch_mismatch"),
        ((torch.rand(4, 2), torch.rand(3, 2)), [0, 1], "batch_mismatch"),
        (None, None, "no_tensor"),
        ({}, None, "no_tensor"),
    ],
)
def test_bad_inputs_have_a_code_and_a_way_out(inputs, wrt, code):
    with pytest.raises(InputError) as caught:
        read_inputs(inputs, wrt)
    assert caught.value.code == code


def test_ambiguity_names_the_candidates():
    with pytest.raises(InputError, match=r"'a', 'b'.*wrt='a'"):
        read_inputs({"a": torch.rand(2, 1), "b": torch.rand(2, 1)})


def test_rows_of_keeps_the_container_and_what_is_shared():
    x = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(rows_of(x, [1]), x[1:2])
    taken = rows_of({"x": x, "mask": torch.ones(1, 2), "n": None}, [2, 0])
    assert torch.equal(taken["x"], x[[2, 0]])
    assert taken["mask"].shape == (1, 2)
    assert taken["n"] is None
    assert rows_of((x[:1], torch.ones(1)), [0])[1].shape == (1,)


def test_one_tensor_passed_twice_is_two_inputs():
    x = torch.rand(2, 3)
    found = attribute(lambda a, b: (a * b * b).sum(1), (x, x), wrt=[0, 1], method="saliency", absolute=False)
    torch.testing.assert_close(found.values, (x * x, 2 * x * x))


def test_integers_and_booleans_can_be_taken_away_but_not_differentiated():
    def model(counts, flags):
        return (counts * torch.tensor([1, 10, 100])).sum(1).float() + flags.float() @ torch.tensor([1000.0, 2000.0])

    inputs = (torch.tensor([[1, 2, 3]]), torch.tensor([[True, False]]))
    found = attribute(model, inputs, wrt=[0, 1], method="feature_ablation")
    assert found.values[0].tolist() == [[1, 20, 300]]
    assert found.values[1].tolist() == [[1000, 0]]
    with pytest.raises(InputError) as caught:
        attribute(model, inputs, wrt=[0, 1], method="saliency")
    assert caught.value.code == "integer_input"
    assert "embedding" in caught.value.hint
