"""Checkpoints from everywhere: those that cannot be used are named, and the rest goes on."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.training.checkpoints import Checkpoints
from xaiwidgets.training.weights import model_hash


def net(seed: int = 0, width: int = 4) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2)).eval()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


def write(folder):
    """The same weights in every kind of file."""
    state = net(1).state_dict()
    save_file(state, folder / "a.safetensors")
    torch.save(state, folder / "b.pt")
    torch.save({"epoch": 3, "model_state_dict": state, "optimizer": {"step": 1}}, folder / "c.pth")
    save_file({f"module.{name}": value for name, value in state.items()}, folder / "d.safetensors")
    (folder / "e").mkdir()
    save_file(state, folder / "e" / "model.safetensors")
    without = {name: value for name, value in state.items() if "num_batches" not in name}
    save_file(without, folder / "f.safetensors")


@pytest.mark.parametrize("name", ["a.safetensors", "b.pt", "c.pth", "d.safetensors", "e", "f.safetensors"])
def test_files(tmp_path, name):
    write(tmp_path)
    found = Checkpoints([str(tmp_path / name)], net())
    model = net()
    found[0].load_into(model)
    assert same(model, net(1))
    assert found.missing == []
    assert found[0].file == str(tmp_path / name)


def test_modules_dicts_and_functions():
    def in_place(model, number):
        model.load_state_dict(net(number).state_dict())

    given = [
        net(1),
        net(1).state_dict(),
        lambda _: net(1),
        lambda _: net(1).state_dict(),
        lambda model: in_place(model, 1),
    ]
    mine = net()
    found = Checkpoints(given, mine, learning_rates=0.5)
    assert same(mine, net()), "functions are given a copy"
    for one in found:
        model = net()
        one.load_into(model)
        assert same(model, net(1))
    assert len({one.hash for one in found}) == 1
    counted = Checkpoints((in_place, 3), mine)
    assert counted.names == ("checkpoint 0", "checkpoint 1", "checkpoint 2")
    counted[2].load_into(mine)
    assert same(mine, net(2))
    assert len(Checkpoints(net(1), net())) == 1


def test_what_was_passed_may_train_on():
    trained = net(1)
    found = Checkpoints([trained], net())
    with torch.no_grad():
        trained[0].weight.zero_()
    model = net()
    found[0].load_into(model)
    assert same(model, net(1))


def test_unusable_ones_are_named_and_the_others_go_on(tmp_path):
    write(tmp_path)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:200])
    (tmp_path / "rubbish.pt").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("loss")
    torch.save([1, 2], tmp_path / "list.pt")
    broken = net(1).state_dict()
    broken["0.weight"] = broken["0.weight"] * torch.nan
    given = [
        tmp_path / "a.safetensors", tmp_path / "gone.pt", tmp_path / "cut.safetensors", tmp_path / "rubbish.pt",
        tmp_path / "notes.txt", tmp_path / "list.pt", net(width=5), nn.Linear(2, 2), broken, 7, lambda _: 1 / 0, net(2),
    ]  # fmt: skip
    found = Checkpoints(given, net(), learning_rates=[float(n) for n in range(12)])
    assert found.names == ("a", "checkpoint 11")
    assert found.learning_rates.tolist() == [0.0, 11.0], "each keeps its own"
    assert [one.number for one in found] == [0, 1]
    why = dict(found.missing)
    assert why["gone"] == "there is no such file"
    assert "cannot be read" in why["cut"]
    assert "cannot be read" in why["rubbish"]
    assert "not a file of weights" in why["notes"]
    assert "not a state dict" in why["list"]
    assert why["checkpoint 6"] == "it does not fit the model (0.weight is [5, 3] instead of [4, 3])"
    assert "without 0.weight, 0.bias, 1.weight and 5 more; unknown: weight, bias" in why["checkpoint 7"]
    assert "0.weight holds numbers that are not finite" in why["checkpoint 8"]
    assert "int is neither" in why["checkpoint 9"]
    assert why["checkpoint 10"] == "its function failed (ZeroDivisionError: division by zero)"
    assert len(why) == 10


def test_a_pickle_in_a_torch_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save(Evil(), tmp_path / "zipped.pt")
    found = Checkpoints([tmp_path / "evil.pt", tmp_path / "zipped.pt", net()], net())
    assert [name for name, _ in found.missing] == ["evil", "zipped"]
    assert not (tmp_path / "ran").exists()


def test_nothing_usable_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="gone: there is no such file") as caught:
        Checkpoints([tmp_path / "gone.pt"], net())
    assert caught.value.code == "no_checkpoints"
    with pytest.raises(ModelError, match="There are no checkpoints"):
        Checkpoints([], net())


def test_half_precision_files_load_into_a_float32_model(tmp_path):
    save_file({name: value.half() if value.is_floating_point() else value for name, value in net(1).state_dict().items()},
              tmp_path / "half.safetensors")  # fmt: skip
    model = net()
    Checkpoints([tmp_path / "half.safetensors"], model)[0].load_into(model)
    assert model[0].weight.dtype == torch.float32
    assert torch.equal(model[0].weight, net(1)[0].weight.half().float())


def test_one_name_of_tied_weights_is_enough(tmp_path):
    model, other = Tied(), Tied()
    state = {name: value for name, value in other.state_dict().items() if name != "second.weight"}
    save_file(state, tmp_path / "tied.safetensors")
    Checkpoints([tmp_path / "tied.safetensors"], model)[0].load_into(model)
    assert torch.equal(model.second.weight, other.first.weight)
    assert model.second.weight is model.first.weight


def test_folders_in_the_order_people_count(tmp_path):
    for epoch in (10, 2, 1):
        save_file(net(epoch).state_dict(), tmp_path / f"epoch-{epoch}.safetensors")
    assert Checkpoints(tmp_path, net()).names == ("epoch-1", "epoch-2", "epoch-10")
    for step in (100, 20):
        (tmp_path / f"run/checkpoint-{step}").mkdir(parents=True)
        save_file(net(step).state_dict(), tmp_path / f"run/checkpoint-{step}/model.safetensors")
    assert Checkpoints(str(tmp_path / "run"), net()).names == ("checkpoint-20", "checkpoint-100")
    files = sorted(tmp_path.glob("run/*/model.safetensors"))
    assert Checkpoints(files, net()).names == ("checkpoint-100/model", "checkpoint-20/model")


def test_notes():
    model = net()
    live = [model.state_dict(), model.state_dict()]
    assert any("learning rates were not given" in note for note in Checkpoints(live, net()).notes)
    assert any("hold the same weights" in note for note in Checkpoints(live, net(), learning_rates=0.1).notes)
    assert Checkpoints([net(1), net(2)], net(), learning_rates=[0.1, 0.2]).notes == ()


@pytest.mark.parametrize("rates", [[0.1], [0.1, -1.0], [0.1, float("nan")]])
def test_impossible_learning_rates(rates):
    with pytest.raises(ParameterError, match="earning rates"):
        Checkpoints([net(1), net(2)], net(), learning_rates=rates)


def test_a_file_that_goes_away_later(tmp_path):
    save_file(net(1).state_dict(), tmp_path / "a.safetensors")
    found = Checkpoints([tmp_path / "a.safetensors"], net())
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(ModelError, match="Checkpoint a was there"):
        found[0].load_into(net())


def test_the_form_of_a_model_is_known_by_its_hash():
    assert model_hash(net(0)) == model_hash(net(1))
    assert model_hash(net(0)) != model_hash(net(0, width=5))
    assert model_hash(net(0)) != model_hash(copy.deepcopy(net(0)).half())
