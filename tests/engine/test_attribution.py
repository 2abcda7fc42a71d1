"""Results: written and read back without executing anything."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xaiwidgets.api import Attribution, Contrast, attribute, baselines, load
from xaiwidgets.engine.errors import InputError


def same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return type(one) is type(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and same(vars(one), vars(other))
    return one == other and type(one) is type(other)


CASES = {
    "tensor": {"inputs": torch.rand(2, 3), "target": 1},
    "per row": {"inputs": torch.rand(2, 3), "target": torch.tensor([1, 0])},
    "contrast": {"inputs": torch.rand(2, 3), "target": Contrast(1, torch.tensor([0, 2]))},
    "tensor baseline": {"inputs": torch.rand(2, 3), "target": (1,), "baseline": torch.rand(3)},
    "object baseline": {
        "inputs": torch.rand(2, 3),
        "target": 1,
        "baseline": [baselines.Uniform(2, seed=5), 0.5, baselines.Dataset(torch.rand(4, 3), samples=2)],
    },
    "dict": {"inputs": {"x": torch.rand(2, 3)}, "target": 1, "wrt": ["x"]},
    "tuple": {"inputs": (torch.rand(2, 3).double(),), "target": 0, "wrt": [0]},
    "no delta": {"inputs": torch.rand(2, 3), "target": 1, "method": "saliency"},
}


@pytest.mark.parametrize("case", CASES)
def test_round_trip(tmp_path, case):
    result = attribute(lambda x: x * torch.arange(3), **CASES[case])
    path = tmp_path / "result.safetensors"
    result.save(path)
    assert same(result, load(path))


def test_callables_and_modules_are_described(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()

    def mean(output):
        return output.mean((1, 2, 3))

    result = attribute(model, torch.rand(1, 1, 5, 5), target=mean, method="grad_cam", layer=model[0])
    result.save(tmp_path / "a")
    loaded = load(tmp_path / "a")
    assert loaded.target.endswith("mean")
    assert loaded.parameters["layer"] == "Conv2d"


def test_files_of_others_are_refused(tmp_path):
    save_file({"values": torch.zeros(1)}, tmp_path / "a")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a")
    assert caught.value.code == "not_an_attribution"


def test_unknown_objects_in_a_file_are_not_built(tmp_path):
    header = {"method": {"$object": "Popen", "fields": {"args": "true"}}}
    save_file({}, tmp_path / "a", {"format": "xaiwidgets.attribution/1", "attribution": json.dumps(header)})
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a")
    assert caught.value.code == "not_an_attribution"


def test_numpy():
    one = attribute(lambda x: x.sum(1), torch.rand(2, 3), method="saliency")
    assert isinstance(one.to_numpy(), np.ndarray)
    two = attribute(lambda x: x.sum(1), {"x": torch.rand(2, 3)}, wrt=["x"], method="saliency")
    assert two.to_numpy()["x"].tolist() == [[1, 1, 1]] * 2
    three = attribute(lambda x: x.sum(1), (torch.rand(2, 3),), wrt=[0], method="saliency")
    assert three.to_numpy()[0].shape == (2, 3)


def test_results_are_frozen():
    result = attribute(lambda x: x.sum(1), torch.rand(2, 3), method="saliency")
    assert isinstance(result, Attribution)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.values = None
