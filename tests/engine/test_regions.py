"""Regions: named ones by shape, the caller's masks, and how several inputs join."""

import builtins

import pytest
import torch

from xaiwidgets.engine.errors import ExplainError, ParameterError
from xaiwidgets.engine.inputs import read_inputs
from xaiwidgets.engine.regions import NAMES, resolve


def regions(kind, inputs, wrt=None):
    return resolve(kind, read_inputs(inputs, wrt))


@pytest.mark.parametrize(
    ("kind", "shape", "ids", "count"),
    [
        ("pixel", (2, 3, 4, 5), (1, 1, 4, 5), 20),
        ("pixel", (2, 3, 4, 5, 6), (1, 1, 4, 5, 6), 120),
        ("pixel", (2, 3, 4), (1, 3, 4), 12),
        ("pixel", (2, 7), (1, 7), 7),
        ("block", (2, 3, 32, 32), (1, 1, 32, 32), 64),
        ("block", (1, 3, 224, 224), (1, 1, 224, 224), 196),
        ("block", (1, 3, 32, 64), (1, 1, 32, 64), 128),
        ("block", (1, 3, 4, 5), (1, 1, 4, 5), 20),
        ("block", (1, 2, 16, 16, 8), (1, 1, 16, 16, 8), 16 * 16 * 8),
        ("block", (1, 2, 80), (1, 1, 80), 8),
        ("block", (1, 16), (1, 16), 8),
        ("token", (2, 5, 8), (1, 5, 1), 5),
        ("token", (2, 5), (1, 5), 5),
        ("coarse", (2, 3, 32, 20), (1, 1, 32, 20), 9),
        ("coarse", (2, 3, 2, 20), (1, 1, 2, 20), 6),
        ("coarse", (2, 3, 4, 5, 6), (1, 1, 4, 5, 6), 8),
        ("coarse", (2, 40, 6), (1, 40, 1), 9),
        ("coarse", (2, 5), (1, 5), 5),
        ("coarse", (2,), (1,), 1),
        ("auto", (2, 3, 32, 32), (1, 1, 32, 32), 64),
        ("auto", (2, 5, 8), (1, 5, 1), 5),
        ("auto", (2, 5), (1, 5), 5),
        ("auto", (2,), (1,), 1),
    ],
)
def test_named_regions(kind, shape, ids, count):
    found = regions(kind, torch.rand(shape))
    assert found.ids.shape == ids
    assert found.counts == (count,)
    assert sorted(set(found.ids.flatten().tolist())) == list(range(count))


def test_blocks_are_squares_in_reading_order():
    found = regions("block", torch.rand(1, 1, 32, 40)).ids[0, 0]
    assert torch.equal(found, torch.arange(32)[:, None] // 4 * 10 + torch.arange(40) // 4)


def test_superpixels_are_each_rows_own():
    halves = torch.zeros(1, 3, 24, 24)
    halves[..., 12:] = 1
    noise = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    both = regions("superpixel", torch.cat([halves, noise]))
    alone = regions("superpixel", halves)
    assert both.ids.shape == (2, 1, 24, 24)
    assert torch.equal(both.ids[:1], alone.ids)
    assert both.counts[0] == alone.counts[0]
    left, right = alone.ids[0, 0, :, :12].unique(), alone.ids[0, 0, :, 12:].unique()
    assert not set(left.tolist()) & set(right.tolist())  # no region crosses the edge
    grey = regions("superpixel", halves[:, :1])
    assert torch.equal(grey.ids, alone.ids)  # whatever the number of channels and the range
    assert torch.equal(regions("superpixel", halves * 7 - 3).ids, alone.ids)


def test_superpixels_without_scikit_image(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.startswith("skimage"):
            raise ImportError("no skimage")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ExplainError) as caught:
        regions("superpixel", torch.rand(1, 3, 8, 8))
    assert caught.value.code == "missing_extra"


def test_masks_are_numbered_and_shared():
    image = torch.rand(3, 2, 2, 3)
    mask = torch.tensor([[7, 7, -1], [7, 40, -1]])
    found = regions(mask, image)
    assert found.ids.tolist() == [[[[1, 1, 0], [1, 2, 0]]]]
    assert found.counts == (3,)
    assert torch.equal(regions(mask.numpy(), image).ids, found.ids)
    assert torch.equal(regions(mask.expand(3, 1, 2, 3), image).ids, found.ids)  # equal rows are kept once
    assert regions(torch.arange(2).reshape(2, 1, 1), image).ids.shape == (1, 2, 1, 1)  # channels
    assert regions(mask > 0, image).counts == (2,)


def test_masks_of_rows():
    mask = torch.tensor([[0, 0, 1, 2], [5, 5, 9, 9]])
    found = regions(mask, torch.rand(2, 4))
    assert found.ids.tolist() == [[0, 0, 1, 2], [0, 0, 1, 1]]
    assert found.counts == (3, 2)


def test_equal_ids_join_inputs_and_names_stay_apart():
    inputs = {"a": torch.rand(2, 3), "b": torch.rand(2, 2, 2), "c": torch.rand(2, 2)}
    masks = {"a": torch.tensor([0, 1, 1]), "b": torch.tensor([[1], [4]]), "c": "pixel"}
    found = regions(masks, inputs, ["a", "b", "c"])
    assert found.ids.tolist() == [[0, 1, 1, 1, 1, 2, 2, 3, 4]]
    assert torch.equal(regions(tuple(masks.values()), tuple(inputs.values()), [0, 1, 2]).ids, found.ids)
    assert regions("pixel", inputs, ["a", "b", "c"]).counts == (9,)
    assert regions({"a": masks["a"]}, inputs, ["a", "c"]).ids.tolist() == [[0, 1, 1, 2, 3]]  # "auto" for the rest
    rows = torch.tensor([[0, 0, 1], [1, 1, 1]])
    assert regions({"a": rows}, inputs, ["a", "c"]).ids.tolist() == [[0, 0, 1, 2, 3], [0, 0, 0, 1, 2]]


@pytest.mark.parametrize(
    ("kind", "shape", "code"),
    [
        ("pixels", (1, 4), "unknown_regions"),
        (3, (1, 4), "unknown_regions"),
        (None, (1, 4), "unknown_regions"),
        ({"b": "pixel"}, (1, 4), "unknown_regions"),
        (torch.rand(4), (1, 4), "regions_type"),
        (torch.arange(3), (1, 4), "regions_shape"),
        (torch.zeros(2, 4).long(), (3, 4), "regions_shape"),
        (torch.zeros(1, 1, 4).long(), (1, 4), "regions_shape"),
        ("token", (1, 3, 4, 4), "regions_shape"),
        ("superpixel", (1, 4), "regions_shape"),
    ],
)
def test_what_names_no_regions(kind, shape, code):
    with pytest.raises(ParameterError) as caught:
        regions(kind, torch.rand(shape))
    assert caught.value.code == code
    assert caught.value.hint


def test_one_for_each_input():
    with pytest.raises(ParameterError) as caught:
        regions(("pixel",), (torch.rand(1, 2), torch.rand(1, 2)), [0, 1])
    assert caught.value.code == "regions_shape"


def test_names_are_what_can_be_asked():
    assert all(regions(name, torch.rand(1, 3, 8, 8)).counts for name in NAMES if name != "token")
