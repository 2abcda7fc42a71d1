"""Building: what is stored is right, whatever the blocks; whatever ends a build, the next one goes on from it."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from kill_parts import ROWS
from torch.nn import functional
from training_parts import PROJECTION, contents, digits, environment, finished, network, spec_of, steps

from xaiwidgets.engine.errors import Cancelled, InputError, ModelError, ParameterError
from xaiwidgets.training import build as building
from xaiwidgets.training import indexer as indexing
from xaiwidgets.training.recorder import Recorder
from xaiwidgets.training.shards import Shard, Shards
from xaiwidgets.training.sketch import query_vectors, sketch_of

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(building, "SMALLEST", 20)


# --- what is stored --------------------------------------------------------------------------------------------------


def test_columns_and_vectors_are_those_of_single_examples(tmp_path):
    spec = spec_of(45)
    index = finished(spec, tmp_path)
    images, labels = digits(45)
    assert index.column("label").tolist() == labels.tolist()
    expected = torch.zeros(45, 64)
    for number, rate in enumerate((0.1, 0.4)):
        model = network(number)
        logits = model(images)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        gradients = [torch.autograd.grad(loss, list(model.parameters()), retain_graph=True) for loss in losses]
        norms = [sum(float(part.square().sum()) for part in parts) for parts in gradients]
        probabilities = logits.detach().softmax(1)
        np.testing.assert_allclose(index.column("norm")[:, number], norms, rtol=1e-4)
        np.testing.assert_allclose(index.column("loss")[:, number], losses.detach(), rtol=1e-5)
        np.testing.assert_allclose(index.column("confidence")[:, number], probabilities[range(45), labels], rtol=1e-4)
        np.testing.assert_array_equal(index.column("predicted")[:, number], logits.argmax(1))
        sketch = sketch_of(index.projection, number)
        for name, parts in zip(dict(model.named_parameters()), zip(*gradients, strict=True), strict=True):
            expected += rate**0.5 * sketch.dense(name, torch.stack(parts))
    close = (index.vectors(np.arange(45)) - expected).abs().amax(1) / expected.abs().amax(1)
    assert close.max() < 1 / 200  # half a step of int8


def test_questions_get_the_vectors_the_rows_have(tmp_path):
    spec = spec_of(20)
    index = finished(spec, tmp_path, projection={"dim": 64, "dtype": "float16"})
    images, labels = digits(20)
    asked = [(number, spec.recorder(network(number)).record(images[5:8], labels[5:8])) for number in range(2)]
    vectors = query_vectors(spec, index.projection, asked)
    torch.testing.assert_close(vectors, index.vectors(np.arange(5, 8)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("chunk", "smallest"), [(7, 20), (130, 20), (10, 130), (1, 20)])
def test_neither_batches_nor_blocks_change_what_is_stored(monkeypatch, tmp_path, chunk, smallest):
    reference = finished(spec_of(), tmp_path / "reference")
    monkeypatch.setattr(building, "SMALLEST", smallest)
    index = finished(spec_of(chunk=chunk), tmp_path / "index")
    assert len(index.blocks) == -(-130 // (chunk * -(-smallest // chunk)))
    for name in ("norm", "loss", "margin", "el2n"):
        np.testing.assert_allclose(index.column(name), reference.column(name), rtol=2e-4, atol=1e-5)
    everyone = np.arange(130)
    first, second = index.vectors(everyone), reference.vectors(everyone)
    assert ((first - second).abs().amax(1) <= 1.01 * second.abs().amax(1) / 127).all()  # rounding may fall either way


def test_the_number_of_threads_changes_nothing(tmp_path):
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            finished(spec_of(40), tmp_path / str(number))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_regression_labels_are_kept_as_numbers(tmp_path):
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.rand(20, 10, generator=torch.Generator().manual_seed(1))
    index = finished(spec_of((images, targets), loss="squared_error"), tmp_path)
    assert index.column("predicted").max() == -1
    assert np.isnan(index.column("confidence")).all()
    assert index.column("label").dtype == np.int64  # a checksum of several numbers


def test_a_gradient_that_is_not_finite_is_stored_as_zeros_and_its_norm_says_so(tmp_path):
    images, labels = digits(20)
    images[3] = torch.inf
    index = finished(spec_of((images, labels)), tmp_path)
    assert not index.vectors(np.array([3])).any()
    assert not np.isfinite(index.column("norm")[3]).any()
    assert np.isfinite(index.column("norm")[4]).all()


def test_the_users_model_and_random_numbers_stay_as_they_are(tmp_path):
    spec = spec_of(20)
    before = {name: value.clone() for name, value in spec.model.state_dict().items()}
    state = torch.random.get_rng_state()
    finished(spec, tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in spec.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in spec.model.parameters())


# --- what ends a build -----------------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path):
    reference = contents(finished(spec_of(ROWS), tmp_path / "reference").path)
    moments = 13
    died = subprocess.run(
        [sys.executable, HERE / "kill_parts.py", tmp_path, str(moments)],
        env=environment(), capture_output=True, text=True, check=True, timeout=300,
    ).stdout.split()  # fmt: skip
    assert died == [str(int(signal.SIGKILL))] * moments
    found = []
    for number in range(moments):
        folder = tmp_path / str(number)
        there = {file: file.stat().st_mtime_ns for file in folder.glob("row-*.npy")}
        found.append(len(there))
        index = finished(spec_of(ROWS), folder)
        assert contents(folder) == reference
        assert index.verify() == []
        assert [file for file, time_ns in there.items() if file.stat().st_mtime_ns != time_ns] == []  # none made twice
        assert not list(folder.glob(".*"))  # nothing half-written stays
    assert found[0] == 0
    assert max(found) == len(reference) // 2  # the last moments come after the last block


def test_killed_from_outside_it_goes_on(tmp_path):
    code = (
        "import sys, pathlib, training_parts as parts; parts.small_blocks();"
        "[print(step.done, flush=True) for step in"
        " parts.building.build(parts.spec_of(700), path=pathlib.Path(sys.argv[1]), projection=parts.PROJECTION)]"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert any(int(line) >= 100 for line in child.stdout)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    first = next(building.build(spec_of(700), path=tmp_path, projection=PROJECTION))
    assert first.done == 0
    resumed = steps(spec_of(700), tmp_path)
    assert 80 <= resumed[1].done < 700
    assert resumed[-1].done == 700


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 1, 6, 9])
def test_a_full_disk_is_said_and_what_is_written_stays(monkeypatch, tmp_path, code, after):
    reference = contents(finished(spec_of(), tmp_path / "reference").path)
    fsync, calls = os.fsync, iter(range(1000))

    def full(descriptor):
        if next(calls) >= after:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"No space is left.*Free space and build again") as caught:
            steps(spec_of(), tmp_path / "index")
    assert caught.value.code == "disk_full"
    assert not list((tmp_path / "index").glob(".*"))
    kept = contents(tmp_path / "index")
    assert all(reference[name] == data for name, data in kept.items())
    assert (len(kept) > 0) == (after >= 6)
    finished(spec_of(), tmp_path / "index")
    assert contents(tmp_path / "index") == reference


def test_too_little_space_is_said_before_hours_of_work(monkeypatch, tmp_path):
    monkeypatch.setattr(building.shutil, "disk_usage", lambda path: SimpleNamespace(free=4000))
    with pytest.raises(InputError, match=r"needs 17\.\d kB more.*4 kB are free"):
        steps(spec_of(), tmp_path)
    assert not contents(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        steps(spec_of(20), tmp_path / "file" / "index")
    assert caught.value.code == "cannot_write"


def test_an_interrupt_leaves_whole_blocks(tmp_path):
    def interrupt():
        if len(contents(tmp_path)) >= 6:
            raise Cancelled

    with pytest.raises(Cancelled):
        steps(spec_of(), tmp_path, interrupt=interrupt)
    assert len(contents(tmp_path)) == 6
    resumed = steps(spec_of(), tmp_path)
    assert resumed[1].done == 60
    assert resumed[-1].done == 130


def test_closing_the_generator_leaves_an_index_that_can_be_read(tmp_path):
    build = building.build(spec_of(), path=tmp_path, projection=PROJECTION)
    for step in build:
        if step.done > 60:
            break
    build.close()
    partial = Shards(tmp_path)
    assert len(partial) == 60
    assert not partial.complete
    assert partial.column("norm").shape == (60, 2)


def test_damaged_blocks_are_made_anew_and_no_others(tmp_path):
    reference = contents(finished(spec_of(), tmp_path).path)
    cut, changed = Shard(tmp_path, 20).rows, Shard(tmp_path, 60).vectors
    cut.write_bytes(cut.read_bytes()[:-1])
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x55")
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in reference}
    resumed = steps(spec_of(), tmp_path)
    assert resumed[1].done == 90
    assert contents(tmp_path) == reference
    renewed = {name[4:12] for name in reference if (tmp_path / name).stat().st_mtime_ns != before[name]}
    assert renewed == {"00000020", "00000060"}


def test_running_out_of_memory_takes_fewer_rows_at_a_time(monkeypatch, tmp_path):
    reference = finished(spec_of(40), tmp_path / "reference")
    _out_of_memory_above(monkeypatch, 3)
    index = finished(spec_of(40), tmp_path / "index")
    np.testing.assert_allclose(index.column("norm"), reference.column("norm"), rtol=2e-4)
    np.testing.assert_allclose(index.vectors(np.arange(40)), reference.vectors(np.arange(40)), atol=1e-2)


def test_a_row_that_does_not_fit_is_said(monkeypatch, tmp_path):
    _out_of_memory_above(monkeypatch, 0)
    with pytest.raises(ModelError) as caught:
        steps(spec_of(20), tmp_path)
    assert caught.value.code == "out_of_memory"


def _out_of_memory_above(monkeypatch, most):
    record = Recorder.record

    def limited(self, inputs, labels):
        if len(labels) > most:
            raise RuntimeError("out of memory")
        return record(self, inputs, labels)

    monkeypatch.setattr(Recorder, "record", limited)


# --- whose index is in the folder ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "arguments", "named"),
    [
        ({"seed": 5}, {}, "checkpoints"),
        ({"data": 120}, {}, "data set"),
        ({"loss": "margin"}, {}, "the loss \\('cross_entropy' there, 'margin' here\\)"),
        ({"layers": ("3",)}, {}, "layers"),
        ({}, {"projection": {"dim": 32}}, "projection"),
        ({}, {"projection": False}, "projection"),
    ],
)
def test_another_index_in_the_folder_is_named_and_kept(tmp_path, other, arguments, named):
    before = contents(finished(spec_of(), tmp_path).path)
    with pytest.raises(InputError, match=f"differs in .*{named}.*overwrite=True") as caught:
        steps(spec_of(**other), tmp_path, **arguments)
    assert caught.value.code == "other_index"
    assert contents(tmp_path) == before


def test_overwrite_deletes_the_index_and_nothing_else(tmp_path):
    finished(spec_of(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    index = finished(spec_of(40), tmp_path, overwrite=True)
    assert len(index) == 40
    assert len(contents(tmp_path)) == 4
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_blocks_without_a_manifest_are_nobodys(tmp_path):
    finished(spec_of(20), tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="without a manifest"):
        steps(spec_of(20), tmp_path)


def test_another_batch_size_goes_on_with_the_same_blocks(tmp_path):
    reference = finished(spec_of(), tmp_path)
    Shard(tmp_path, 40).rows.unlink()
    resumed = finished(spec_of(chunk=3), tmp_path)
    assert [block["start"] for block in resumed.blocks] == [block["start"] for block in reference.blocks]


def test_an_unknown_engine_is_said(tmp_path):
    with pytest.raises(ParameterError, match="local"):
        steps(spec_of(20), tmp_path, engine="locale")
    with pytest.raises(ParameterError, match="Dask client"):
        steps(spec_of(20), tmp_path, engine=3)


# --- how far it is ---------------------------------------------------------------------------------------------------


def test_progress_moves_inside_blocks_and_says_how_long(monkeypatch, tmp_path):
    monkeypatch.setattr(indexing.Indexer, "_load", _slow(indexing.Indexer._load))
    taken = steps(spec_of(), tmp_path)
    done = [step.done for step in taken]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 130
    assert len(set(done)) > 13  # seven blocks, two checkpoints, two chunks each
    halfway = next(step for step in taken if step.done >= 60)
    assert halfway.seconds_left == pytest.approx((130 - halfway.done) / halfway.rows_per_second, rel=0.1)
    assert taken[-1].phase == "done"
    assert taken[-1].seconds_left == 0
    assert taken[-1].bytes == Shards(tmp_path).nbytes


def _slow(load):
    def slow(self, number):
        time.sleep(0.002)
        load(self, number)

    return slow


@pytest.mark.parametrize(
    ("total", "chunk", "size"), [(100, 50, 300), (67_000, 50, 550), (10**6, 64, 4096), (5, 1000, 1000)]
)
def test_blocks_are_whole_chunks_and_neither_tiny_nor_huge(monkeypatch, total, chunk, size):
    monkeypatch.setattr(building, "SMALLEST", 256)
    assert building.block_size(total, chunk) == size
