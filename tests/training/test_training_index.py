"""Indexes: built, opened, asked, and refused where they are not what they are taken for."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_runs import RATES, small_run
from torch import nn

from xaiwidgets.engine.errors import Cancelled, InputError, ModelError, ParameterError
from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.training.influence import Everything, Leaders, load_influence
from xaiwidgets.training.registry import TRAINING_METHODS, Preparing, Scored, training_method


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """(folder of three checkpoint files, folder of an index of them)."""
    run, folder = small_run(), tmp_path_factory.mktemp("run")
    files = folder / "checkpoints"
    files.mkdir()
    for epoch, state in enumerate(run.checkpoints):
        save_file(state, files / f"epoch-{epoch}.safetensors")
    TrainingIndex.build(
        run.model, run.rows, checkpoints=files, learning_rates=RATES, path=folder / "index", progress=False
    )
    return files, folder / "index"


@cache
def built():
    run = small_run()
    return TrainingIndex.build(run.model, run.rows, checkpoints=run.checkpoints, learning_rates=RATES, progress=False)


# ---- opening ----


def test_opened_it_answers_as_it_was_built(stored):
    run, (_, path) = small_run(), stored
    opened = TrainingIndex.open(path, model=run.model, dataset=run.rows)
    assert opened.checkpoints == ("epoch-0", "epoch-1", "epoch-2")
    assert opened.spec.checkpoints.learning_rates.tolist() == RATES
    assert np.array_equal(opened.influence(run.queries).scores, built().influence(run.queries).scores)
    assert opened.verify() == []


def test_opened_without_the_model_it_has_columns_and_says_what_it_lacks(stored):
    _, path = stored
    with TrainingIndex.open(path) as opened:
        assert len(opened) == 300
        assert opened.column("loss").shape == (300, 3)
        assert opened.column("label").tolist() == small_run().labels.tolist()
        assert np.array_equal(opened.self_influence(), built().self_influence())
        assert opened.dynamics().confidence.shape == (300,)
        assert "without model and data" in repr(opened)
        with pytest.raises(ModelError, match="model=") as caught:
            opened.influence(small_run().queries)
        assert caught.value.code == "no_model"
        with pytest.raises(InputError, match="no column 'lose'"):
            opened.column("lose")


def test_another_model_or_data_set_is_refused(stored):
    run, (_, path) = small_run(), stored
    relabelled, changed = run.labels.clone(), run.images.clone()
    relabelled[17] = (relabelled[17] + 1) % 10
    changed[0, 0, 0, 0] += 1
    for model, rows, code in (
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), run.rows, "other_model"),
        (run.model, (run.images[:299], run.labels[:299]), "other_data"),
        (run.model, (changed, run.labels), "other_data"),
        (run.model, (run.images, relabelled), "data_changed"),
    ):
        with pytest.raises(InputError) as caught:
            TrainingIndex.open(path, model=model, dataset=rows)
        assert caught.value.code == code
        assert caught.value.hint
    with pytest.raises(InputError, match="example 17"):
        TrainingIndex.open(path, model=run.model, dataset=(run.images, relabelled))
    with pytest.raises(InputError, match="cross_entropy, not margin"):
        TrainingIndex.open(path, model=run.model, dataset=run.rows, loss="margin")
    with pytest.raises(InputError) as caught:
        TrainingIndex.open(path / "nothing")
    assert caught.value.code == "not_an_index"


def test_a_folder_of_another_index_is_not_written_over(stored):
    run, (files, path) = small_run(), stored
    relabelled = run.labels.clone()
    relabelled[17] = (relabelled[17] + 1) % 10
    with pytest.raises(InputError, match="learning rates"):
        TrainingIndex.build(run.model, run.rows, checkpoints=files, learning_rates=1.0, path=path, progress=False)
    with pytest.raises(InputError, match=r"example 17 is not the one in the index.*overwrite=True"):
        TrainingIndex.build(
            run.model, (run.images, relabelled), checkpoints=files, learning_rates=RATES, path=path, progress=False
        )


def test_a_checkpoint_that_is_gone_is_named_and_the_rest_answers(stored, tmp_path):
    run, (files, path) = small_run(), stored
    left = [tmp_path / "epoch-0.safetensors", tmp_path / "epoch-1.safetensors", files / "epoch-2.safetensors"]
    left[0].write_bytes((files / "epoch-0.safetensors").read_bytes())
    save_file(run.checkpoints[0] | {"0.bias": torch.zeros(6)}, left[1])  # another one under the old name
    opened = TrainingIndex.open(path, model=run.model, dataset=run.rows, checkpoints=left)
    result = opened.influence(run.queries, [1, 2, 3, 4])
    assert result.checkpoints == ("epoch-0", "epoch-2")
    assert dict(result.missing)["epoch-1"]
    everything = built().influence(run.queries, [1, 2, 3, 4])
    assert np.allclose(result.per_checkpoint, everything.per_checkpoint[:, :, [0, 2]], atol=1e-5)
    few = opened.influence(run.queries, [1, 2, 3, 4], method="tracin_projected")
    assert np.corrcoef(few.scores.ravel(), result.scores.ravel())[0, 1] > 0.8, "the sketches of those that are there"
    with pytest.raises(ModelError) as caught:
        TrainingIndex.open(
            path, model=run.model, dataset=run.rows, checkpoints=[run.model.state_dict() | {"0.bias": torch.ones(6)}]
        )
    assert caught.value.code == "other_checkpoints"


def test_a_missing_checkpoint_while_building_is_said_in_every_result(tmp_path):
    run = small_run()
    (tmp_path / "cut.safetensors").write_bytes(b"\x08")
    given = [tmp_path / "gone.pt", run.checkpoints[0], tmp_path / "cut.safetensors"]
    index = TrainingIndex.build(run.model, (run.images[:40], run.labels[:40]), checkpoints=given, progress=False)
    names = [name for name, _ in index.missing]
    assert names == ["gone", "cut"]
    for method in ("tracin", "gradient_dot", "random"):
        result = index.influence(run.queries, method=method)
        assert [name for name, _ in result.missing] == names
        assert any("learning rates were not given" in note for note in result.notes)
    with pytest.raises(ModelError) as caught:
        TrainingIndex.build(run.model, run.rows, checkpoints=tmp_path / "gone.pt", progress=False)
    assert caught.value.code == "no_checkpoints"


def test_data_that_changed_after_opening_do_not_go_unnoticed():
    run = small_run()
    for change in ("input", "label"):
        images, labels = run.images[:60].clone(), run.labels[:60].clone()
        items = [(images[i], labels[i]) for i in range(60)]
        index = TrainingIndex.build(run.model, items, checkpoints=run.checkpoints[:1], progress=False)
        assert index.influence(run.queries).scores.shape == (4, 60)
        if change == "input":
            images[33] = 1 - images[33]
        else:
            items[33] = (images[33], (labels[33] + 1) % 10)
        with pytest.raises(InputError, match="Training example 33") as caught:
            index.influence(run.queries)
        assert caught.value.code == "data_changed"


# ---- asking ----


def test_k_keeps_the_leaders_of_everything():
    run, index = small_run(), built()
    everything = index.influence(run.queries)
    assert everything.kept is None
    for candidates in ("all", None):
        leaders = index.influence(run.queries, k=4, candidates=candidates)
        for side in ("proponents", "opponents"):
            expected, found = getattr(everything, side)(4), getattr(leaders, side)(4)
            if candidates == "all":
                assert np.array_equal(expected[0], found[0])
            else:  # the sketches may overlook one
                assert np.isin(found[0], expected[0]).mean() >= 0.9
            truth = np.take_along_axis(everything.scores, found[0], 1)
            assert np.allclose(truth, found[1], rtol=1e-4, atol=1e-6)
        assert leaders.scores.shape == (4, 8)
        assert (np.diff(leaders.scores, axis=1) <= 0).all(), "largest first"
        assert np.allclose(leaders.per_checkpoint.sum(2), leaders.scores, rtol=1e-4, atol=1e-6)
        assert leaders.exact, "what is scored is scored exactly"
    exact = index.influence(run.queries, k=4, candidates="all")
    assert exact.approximations == ()
    assert np.allclose(exact.totals.positive, np.maximum(everything.scores, 0).sum(1), rtol=1e-4)
    assert np.allclose(exact.totals.negative, np.minimum(everything.scores, 0).sum(1), rtol=1e-4)
    assert exact.totals.counts.sum() == 4 * 300
    with pytest.raises(ParameterError, match="k=9"):
        exact.proponents(9)


def test_a_shortlist_is_named_and_only_it_is_scored():
    run, index = small_run(), built()
    asked = []
    data = index.spec.data
    original = data.batch
    data.batch = lambda positions: asked.extend(np.asarray(positions).tolist()) or original(positions)
    try:
        pages = list(index.stream(run.queries[:1], k=2))
    finally:
        data.batch = original
    assert not pages[0].exact
    assert "sketched" in pages[0].approximations[0]
    last = pages[-1]
    assert last.exact
    assert "among the 100 examples" in last.approximations[0], "50 at each end"
    assert len(set(asked) - {0}) in (99, 100), "0 is looked at for the form of the data"
    assert last.progress == (300, 300)


@pytest.mark.parametrize("normalise", ["cosine", "relative"])
def test_leaders_by_direction_are_looked_for_by_direction(normalise):
    run, index = small_run(), built()
    exact = index.influence(run.queries, normalise=normalise, k=5, candidates="all")
    found = index.influence(run.queries, normalise=normalise, k=5)
    overlap = [len(set(a) & set(b)) for a, b in zip(exact.proponents(5)[0], found.proponents(5)[0], strict=True)]
    assert sum(overlap) >= 18
    assert len(found.approximations) == 2


def test_without_vectors_k_is_exact_and_projections_are_refused(tmp_path):
    run = small_run()
    rows = run.images[:50], run.labels[:50]
    index = TrainingIndex.build(run.model, rows, checkpoints=run.checkpoints[:1], projection=False, progress=False)
    result = index.influence(run.queries, k=3)
    assert result.approximations == ()
    with pytest.raises(InputError, match="projection"):
        index.influence(run.queries, method="tracin_projected")
    assert "no vectors" in repr(index)


def test_candidates_are_the_only_ones_scored():
    run, index = small_run(), built()
    everything = index.influence(run.queries)
    chosen = [250, 3, 77]
    mask = np.isin(np.arange(300), chosen)
    for candidates in (chosen, mask):
        some = index.influence(run.queries, candidates=candidates)
        assert some.indices.tolist() == [[3, 77, 250]] * 4
        assert np.allclose(some.scores, everything.scores[:, [3, 77, 250]], rtol=1e-4, atol=1e-6)
    few = index.influence(run.queries, candidates=chosen, k=10)
    assert few.scores.shape == (4, 3), "fewer than k on each side"
    assert few.proponents(10)[0].shape == (4, 3)


def test_answers_come_while_there_is_more_to_come():
    run, index = small_run(), built()
    pages = list(index.stream(run.queries, k=3, candidates="all"))
    assert [page.progress for page in pages] == [(256, 300), (300, 300)]
    whole = list(index.stream(run.queries))
    assert whole[0].scores.shape == (4, 256)
    assert whole[-1].scores.shape == (4, 300)
    assert np.array_equal(whole[0].scores, whole[-1].scores[:, :256])


def test_batch_size_changes_nothing_but_rounding():
    run, index = small_run(), built()
    wide, narrow = (index.influence(run.queries, batch_size=size).scores for size in (200, 7))
    assert np.allclose(wide, narrow, rtol=1e-4, atol=1e-5 * np.abs(wide).max())


def test_cancelling_between_two_chunks():
    run, index = small_run(), built()
    calls = []

    def stop():
        calls.append(1)
        if len(calls) > 6:
            raise Cancelled

    for options in ({}, {"k": 3}, {"k": 3, "candidates": "all"}):
        calls.clear()
        with pytest.raises(Cancelled):
            index.influence(run.queries, interrupt=stop, batch_size=10, **options)
    stream = index.stream(run.queries, k=3, candidates="all")
    next(stream)
    stream.close()


def test_saving_and_loading(tmp_path):
    run, index = small_run(), built()
    result = index.influence(run.queries, k=3)
    result.save(tmp_path / "answer.safetensors")
    back = load_influence(tmp_path / "answer.safetensors")
    assert repr(back) == repr(result)
    for name in ("scores", "indices", "per_checkpoint", "labels", "predicted"):
        assert np.array_equal(getattr(back, name), getattr(result, name))
    for name in (
        "checkpoints",
        "learning_rates",
        "parameters",
        "approximations",
        "missing",
        "notes",
        "progress",
        "kept",
    ):
        assert getattr(back, name) == getattr(result, name), name
    assert np.array_equal(back.totals.counts, result.totals.counts)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds no influence"):
        load_influence(tmp_path / "other.safetensors")


def test_a_temporary_folder_goes_with_its_index():
    run = small_run()
    index = TrainingIndex.build(
        run.model, (run.images[:20], run.labels[:20]), checkpoints=run.checkpoints[:1], progress=False
    )
    path = index.path
    assert path.is_dir()
    index.close()
    assert not path.exists()


def test_progress_is_told_or_printed(capsys, monkeypatch):
    monkeypatch.setattr("xaiwidgets.training.preparing.PATIENCE", 0.0)
    run, steps = small_run(), []
    rows = run.images[:20], run.labels[:20]
    TrainingIndex.build(run.model, rows, checkpoints=run.checkpoints[:1], progress=steps.append)
    assert (steps[-1].done, steps[-1].total) == (20, 20)
    TrainingIndex.build(run.model, rows, checkpoints=run.checkpoints[:1])
    assert capsys.readouterr().err.endswith("\n")


def test_layers_leave_the_rest_out_and_say_so():
    run = small_run()
    rows = run.images[:30], run.labels[:30]
    index = TrainingIndex.build(run.model, rows, checkpoints=run.checkpoints[:2], layers=["7"], progress=False)
    last = built().influence(run.queries, method="tracin_last_layer", checkpoints=[0, 1], candidates=range(30))
    found = index.influence(run.queries)
    assert np.allclose(found.per_checkpoint * RATES[:2], last.per_checkpoint, rtol=1e-4, atol=1e-6)
    assert any("0.weight" in note for note in found.notes)


# ---- methods of others ----


@pytest.fixture
def broken_method():
    @training_method(title="Broken", family="control", reference="of this test")
    def broken(question):
        """Prepares, and gives scores that are no numbers."""
        yield Preparing(1, 2, "counting")
        for positions in question.spans():
            scores = torch.arange(float(len(positions))).repeat(len(question), 1)
            scores[:, 0] = torch.nan
            scores[:, -1] = torch.inf
            yield Scored(positions, scores.unsqueeze(2), notes=("residual 0.5",))

    yield broken
    del TRAINING_METHODS["broken"]


def test_scores_that_are_no_numbers_lead_nowhere_and_are_counted(broken_method):
    run, index, phases = small_run(), built(), []
    *_, last = index.stream(run.queries[:1], method="broken", k=2, candidates="all", prepare=phases.append)
    assert phases == [Preparing(1, 2, "counting")]
    assert last.proponents(2)[0].tolist() == [[254, 253]]
    assert last.opponents(1)[0].tolist() == [[1]]
    assert "residual 0.5" in last.notes
    assert "4 examples have no finite score and lead nowhere" in last.notes
    assert last.totals.counts.sum() == 300


def test_leaders_keep_what_a_full_sort_finds():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(3, 1000, 2)).astype(np.float32)
    scores[:, 100:120] = scores[:, :1]  # ties
    leaders, everything = Leaders(3, 30), Everything(3, np.arange(1000))
    for start in range(0, 1000, 170):
        positions = np.arange(start, min(start + 170, 1000))
        for one in (leaders, everything):
            one.add(positions, scores[:, positions])
    sums, indices, _ = leaders.arrays()
    total = everything.arrays()[0]
    order = np.argsort(-total, axis=1, kind="stable")
    assert np.array_equal(indices, np.concatenate([order[:, :30], order[:, -30:]], 1))
    assert np.array_equal(sums, np.take_along_axis(total, indices, 1))


def test_schemas_are_plain_and_complete():
    for method in TRAINING_METHODS.values():
        schema = method.schema()
        assert schema["summary"], method.name
        assert schema["reference"], method.name
        assert all("default" in parameter for parameter in schema["parameters"])
        assert isinstance(method.approximates(method.check({})), tuple)
    assert copy.deepcopy(TRAINING_METHODS["tracin"].schema()) == TRAINING_METHODS["tracin"].schema()
