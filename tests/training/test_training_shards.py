"""The files of an index: read as they were written, never unpickled, damage named."""

import json
import pickle

import numpy as np
import pytest
import torch
from training_parts import finished, spec_of

from xaiwidgets.engine.errors import InputError
from xaiwidgets.training import build as building
from xaiwidgets.training.shards import COLUMNS, Shard, Shards, quantised


@pytest.fixture
def index(monkeypatch, tmp_path):
    monkeypatch.setattr(building, "SMALLEST", 20)
    return finished(spec_of(50), tmp_path / "index")


@pytest.mark.parametrize(("kind", "error"), [("int8", 1 / 250), ("float16", 1 / 2000)])
def test_quantised_vectors_come_back(kind, error):
    vectors = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)) * torch.logspace(-30, 30, 20)[:, None]
    stored, scale = quantised(vectors, kind)
    back = torch.from_numpy(stored).float() * torch.from_numpy(scale)[:, None]
    assert stored.dtype == kind
    assert ((back - vectors).abs().amax(1) <= error * vectors.abs().amax(1)).all()


def test_a_vector_of_zeros_and_one_that_is_not_finite_are_stored_as_zeros():
    vectors = torch.tensor([[0.0, 0.0], [1.0, torch.nan], [torch.inf, 2.0], [1.0, -2.0]])
    stored, scale = quantised(vectors, "int8")
    assert stored.tolist() == [[0, 0], [0, 0], [0, 0], [64, -127]]
    assert scale.tolist() == pytest.approx([0, 0, 0, 2 / 127])


def test_columns_and_vectors_are_read_in_any_order(index):
    positions = np.array([49, 3, 20, 3])
    for name in ("id", "label", "scale", *COLUMNS):
        whole = index.column(name)
        assert whole.shape == ((50, 2) if name in COLUMNS else (50,))
        np.testing.assert_array_equal(index.column(name, positions), whole[positions])
    assert index.column("id").tolist() == list(range(50))
    torch.testing.assert_close(index.vectors(positions), index.vectors(np.arange(50))[positions])
    assert len(index) == 50
    assert index.complete
    assert index.nbytes == sum(len(np.load(file).tobytes()) for file in index.path.glob("*.npy"))


def test_wrong_names_and_positions_are_said(index):
    with pytest.raises(InputError, match="margin"):
        index.column("margins")
    for position in (50, -1):
        with pytest.raises(InputError, match=str(position)):
            index.column("loss", np.array([0, position]))
    with pytest.raises(InputError, match="no training index"):
        Shards(index.path / "elsewhere")


def test_verify_names_what_is_damaged_or_missing(index):
    assert index.verify() == []
    damaged, missing = Shard(index.path, 0).vectors, Shard(index.path, 40).rows
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    missing.unlink()
    assert index.verify() == ["row-00000000.npy", "row-00000040.npy"]
    with pytest.raises(InputError, match=r"row-00000040\.npy.*missing.*Build again"):
        index.column("loss")


def test_a_cut_file_is_an_error_and_not_a_wrong_answer(index):
    file = Shard(index.path, 20).vectors
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="vec-00000020"):
        index.vectors(np.array([25]))


def test_nothing_in_the_files_is_unpickled(index, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.save(Shard(index.path, 0).rows, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="row-00000000"):
        index.column("loss")
    Shard(index.path, 0).rows.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="row-00000000"):
        index.column("loss")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "something/2"}'])
def test_a_manifest_that_cannot_be_read_is_said(index, text):
    (index.path / "manifest.json").write_text(text)
    with pytest.raises(InputError) as caught:
        Shards(index.path)
    assert caught.value.code == "not_an_index"


def test_an_index_without_vectors_has_columns_and_says_so(tmp_path):
    index = finished(spec_of(20), tmp_path / "index", projection=False)
    assert index.projection is None
    assert index.column("norm").min() > 0
    assert index.verify() == []
    with pytest.raises(InputError, match="no vectors"):
        index.vectors(np.array([0]))


def test_the_manifest_is_plain_json_with_what_was_left_out(index):
    manifest = json.loads((index.path / "manifest.json").read_text())
    assert [block["n"] for block in manifest["shards"]] == [20, 20, 10]
    assert set(manifest["shards"][0]) == {"start", "n", "dim", "sum", "seconds"}
    assert manifest["checkpoints"][1]["learning_rate"] == 0.4
    assert manifest["left_out"] == {}
