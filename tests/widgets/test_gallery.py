"""The gallery on small indexes: what is sent, kept, refused, decided."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from galleries import COLUMNS, NAMES, SENTENCES, digits, digits_index, rows_index, texts_index, unseen
from pages import PATIENCE, RecordingComm, ask, expecting, tell, write

from xaiwidgets.engine.errors import ExplainError, InputError, ParameterError
from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.training.registry import TRAINING_METHODS
from xaiwidgets.widgets.gallery import answers as answers_module
from xaiwidgets.widgets.gallery import hubs as hubs_module
from xaiwidgets.widgets.gallery.pack import unpack_columns, unpack_floats
from xaiwidgets.widgets.gallery.pair import unpack_pair
from xaiwidgets.widgets.heatmap import HeatmapOverlay
from xaiwidgets.widgets.token_strip import TokenStrip
from xaiwidgets.widgets.trace import trace as trace_examples

Trace = Callable[..., Any]


@pytest.fixture(scope="module")
def index() -> Iterator[TrainingIndex]:
    with digits_index() as made:
        yield made


@pytest.fixture
def trace() -> Iterator[Trace]:
    """`trace` for the test; what it makes is closed afterwards."""
    made = []

    def make(*args: Any, wait: bool = True, **kwargs: Any) -> Any:
        widget = trace_examples(*args, **kwargs)
        made.append(widget)
        return widget.wait(PATIENCE) if wait else widget

    yield make
    for widget in made:
        widget.close()


def dots(widget: Any) -> dict[int, float]:
    """Scores of the stored candidates as the page has them."""
    columns = widget.rank["shape"][1]
    return dict(zip([item["id"] for item in widget.items], unpack_floats(widget.scores, columns).sum(1), strict=True))


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_the_page_has_the_index_s_numbers(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1), labels=NAMES)
    wanted = index.influence(unseen(1))
    scores = dict(zip(wanted.indices[0].tolist(), wanted.scores[0].tolist(), strict=True))
    found = dots(widget)
    for position, score in found.items():
        assert score == pytest.approx(scores[position], rel=1e-4, abs=1e-6)
    assert set(wanted.proponents(12)[0][0].tolist()) <= found.keys()
    assert set(wanted.opponents(12)[0][0].tolist()) <= found.keys()
    assert widget.status == "ready"
    assert widget.modes == ["dot", "cosine", "relative"]
    assert widget.rank["totals"]["positive"] == pytest.approx(np.clip(wanted.scores, 0, None).sum(), rel=1e-4)
    assert sum(widget.rank["hist"]["counts"]) == 240
    norms = unpack_floats(widget.norms, 3)
    ids = [item["id"] for item in widget.items]
    np.testing.assert_allclose(norms, index.column("norm")[ids], rtol=1e-5)
    assert (widget.rank["final"], widget.rank["exact"], widget.rank["modes_complete"]) == (True, True, True)
    assert widget.result.method == "tracin"
    best = int(wanted.predicted[0])
    assert widget.question["target_label"] == NAMES[best] == widget.classes[0]["name"]
    assert "Proponents" in widget.caption
    assert widget.query["yhat"] == best
    assert widget.query["training_id"] is None
    assert widget.names == NAMES
    assert widget.provenance["method"] == "tracin"


def test_every_mode_s_leaders_are_stored(index: TrainingIndex, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MOST", 10)
    widget = trace(index, unseen(1))
    contributions = index.influence(unseen(1)).per_checkpoint[0].astype(float)
    norms = index.column("norm").astype(float)
    query = np.array(widget.query_norms)
    stored = {item["id"] for item in widget.items}
    assert len(stored) < 61
    for scores in (
        contributions.sum(1), (contributions / 0.1 / np.sqrt(norms * query)).mean(1), (contributions / np.sqrt(norms)).sum(1),
    ):  # fmt: skip
        order = np.argsort(scores)
        assert {*order[:10].tolist(), *order[-10:].tolist()} <= stored


def test_cards_say_what_the_index_knows(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1))
    images, labels = digits()
    model, last = index.spec.model, index.spec.checkpoints[-1]
    last.load_into(model)
    with torch.no_grad():
        chances = model(images).softmax(1)
    own = index.self_influence()
    for item in widget.items:
        position = item["id"]
        assert item["y"] == int(labels[position])
        assert item["yhat"] == int(chances[position].argmax())
        assert item["conf"] == pytest.approx(float(chances[position].max()), rel=1e-3)
        assert item["self"] == pytest.approx(float(own[position]), rel=1e-5)
        assert 0 <= item["hub"] <= 1
    columns = unpack_columns(widget.columns_meta, widget.columns)
    assert set(columns) == {
        "self",
        "y",
        "yhat",
        "conf",
        "confidence",
        "variability",
        "correctness",
        "forgetting",
        "aum",
    }
    np.testing.assert_allclose(10 ** columns["self"], own, rtol=5e-3)
    np.testing.assert_array_equal(columns["y"], labels)
    assert [one["name"] for one in widget.ckpts] == list(index.checkpoints)
    assert widget.ckpts[0]["loss"] == pytest.approx(float(index.column("loss")[:, 0].mean()), rel=1e-4)


def test_a_training_example_as_the_query(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, {"training": [5, 0]}, label="given", labels=NAMES)
    labels = digits()[1]
    assert widget.query["training_id"] == 5
    assert widget.query["y"] == int(labels[5]) == widget.query["label"]
    assert 5 in dots(widget)  # its card is pinned
    others = np.delete(index.influence(digits()[0][5:6], [int(labels[5])]).scores[0], 5)
    assert widget.rank["totals"]["positive"] == pytest.approx(np.clip(others, 0, None).sum(), rel=1e-4)
    assert "training_query" in {notice["code"] for notice in widget.notices}
    assert "#5:" not in widget._figure()
    ask(widget, input=1)
    assert widget.query["key"] == "q1"
    twin = next(item for item in widget.items if item["id"] == 0)
    assert twin["dup"] == 238  # the first picture is there twice


def test_a_query_that_is_in_the_data_is_noticed(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, digits()[0][9:10])
    assert widget.query["training_id"] == 9
    (notice,) = [one for one in widget.notices if one["code"] == "training_query"]
    assert "looks exactly like" in notice["text"]
    assert trace(index, digits()[0][9]).query["training_id"] == 9  # without a batch dimension


def test_the_label_can_be_another(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(2), label=[3, 4], given=torch.tensor([5, 6]))
    assert widget.query["label"] == 3
    assert widget.query["y"] == 5
    wanted = index.influence(unseen(1), [3])
    assert dots(widget)[int(wanted.indices[0][wanted.scores[0].argmax()])] == pytest.approx(
        wanted.scores.max(), rel=1e-4
    )
    assert widget.query["usual"] == 3
    ask(widget, target=7)
    assert widget.query["label"] == widget.question["target"] == 7
    assert widget.query["usual"] == 3
    ask(widget, target=None, input=1)
    assert widget.query["label"] == widget.query["usual"] == 4
    for wrong in (
        {"target": 99},
        {"target": "x"},
        {"input": 2},
        {"method": "magic"},
        {"parameters": {"normalise": "huge"}},
    ):
        before = widget.scores
        ask(widget, **{"target": None, "input": 0, "method": "tracin", "parameters": {}} | wrong)
        assert widget.status == "error", wrong
        assert widget.error["hint"]
        assert widget.scores == before
    ask(widget, target=1, input=0, method="tracin", parameters={})
    assert widget.status == "ready"


def test_every_offered_method_answers(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1))
    offered = {method["name"]: method for method in widget.methods}
    assert offered.keys() == TRAINING_METHODS.keys()
    for name in ("tracin_last_layer", "gradient_cosine", "tracin_projected", "random"):
        ask(widget, method=name, parameters={})
        assert widget.status == "ready", (name, widget.error)
        assert widget.modes == ["dot"]
        assert widget.norms == b""
        assert widget.rank["per_checkpoint"] == offered[name]["per_checkpoint"]
        assert len(widget.items) == widget.rank["shape"][0] > 20
    assert widget.rank["approximations"] == ["random numbers"]
    assert "approximations" in {notice["code"] for notice in widget.notices}


def test_results_are_kept_for_going_back(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(2))
    shown, result = widget.items, widget.result
    ask(widget, input=1)
    assert widget.items != shown
    ask(widget, input=0)
    assert widget.items == shown
    assert widget.result is result


def test_through_the_index_where_that_is_faster(
    index: TrainingIndex, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "WHOLE", 100)
    monkeypatch.setattr(answers_module, "MOST", 8)
    widget = trace(index, unseen(1))
    assert widget.rank["approximate_totals"]
    assert widget.rank["modes_complete"]
    assert any("leaders looked for" in text for text in widget.rank["approximations"])
    wanted = index.influence(unseen(1))
    exact = dict(zip(wanted.indices[0].tolist(), wanted.scores[0].tolist(), strict=True))
    for position, score in dots(widget).items():
        assert score == pytest.approx(exact[position], rel=1e-4, abs=1e-6)
    assert len(set(wanted.proponents(8)[0][0].tolist()) & dots(widget).keys()) >= 7
    norms, query = index.column("norm").astype(float), np.array(widget.query_norms)
    cosines = (wanted.per_checkpoint[0] / 0.1 / np.sqrt(norms * query)).mean(1)
    assert len(set(np.argsort(-cosines)[:8].tolist()) & dots(widget).keys()) >= 6
    whole = trace(index, unseen(1), everything=True)
    assert not whole.rank["approximate_totals"]


def test_examples_that_lead_everywhere(index: TrainingIndex, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = hubs_module.find_hubs(index.shards)
    assert (found.sample, found.leading) == (64, 12)
    stored = index.shards.vectors(np.arange(240)).numpy()
    chosen = np.sort(np.random.default_rng(0).choice(240, 64, replace=False))
    counts = np.zeros(240)
    for own in chosen:
        scores = stored @ stored[own]
        scores[own] = -np.inf
        counts[np.argsort(-scores)[:12]] += 1
    assert {position: round(share * 64) for position, share in found.shares.items()} == {
        position: int(count) for position, count in enumerate(counts) if count
    }
    monkeypatch.setattr(
        answers_module, "find_hubs", lambda *_args, **_options: hubs_module.Hubs(dict.fromkeys(range(240), 0.9), 64, 12)
    )
    widget = trace(index, unseen(1))
    (notice,) = [one for one in widget.notices if one["code"] == "hubs"]
    assert "12 of 12" in notice["text"]
    assert "cosine" in notice["text"]
    assert len(notice["ids"]) == 12
    assert (widget.rank["hub_sample"], widget.rank["hub_leading"]) == (64, 12)


# --- progress --------------------------------------------------------------------------------------------------------


def test_partial_results_come_first(
    index: TrainingIndex, trace: Trace, recorded: list[RecordingComm], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "PARTIAL_EVERY", 0.0)
    monkeypatch.setattr("xaiwidgets.live.jobs.PUBLISH_EVERY", 0.0)
    monkeypatch.setattr("xaiwidgets.live.jobs.ACKNOWLEDGE_WITHIN", 0.0)
    monkeypatch.setattr("xaiwidgets.training.question.FIRST_SPAN", 50)
    widget = trace(index, unseen(1))
    states = [state for state in widget.comm.updates() if "rank" in state]
    scanned = [state["rank"]["scanned"] for state in states]
    assert scanned == sorted(scanned)
    assert 0 < scanned[0] < 240
    assert not states[0]["rank"]["final"]
    assert "partial" in {notice["code"] for notice in states[0]["notices"]}
    assert states[-1]["rank"]["final"]
    assert widget.status == "ready"
    assert "partial" not in {notice["code"] for notice in widget.notices}


def test_it_stops_when_told(index: TrainingIndex, trace: Trace) -> None:
    gate = index.spec.model.gate
    widget = trace(index, unseen(1))
    items = widget.items
    with gate.blocked():
        write(widget, params=widget.params | {"target": 2}, request_id=5)
        assert gate.entered.wait(PATIENCE)
        with expecting(widget, "status", lambda status: status == "cancelled"):
            tell(widget, type="cancel")
            gate.go.set()
    assert widget.items == items
    widget.run().wait(PATIENCE)
    assert widget.query["label"] == 2


def test_closing_stops_the_work(index: TrainingIndex) -> None:
    gate = index.spec.model.gate
    with gate.blocked():
        widget = trace_examples(index, unseen(1))
        assert gate.entered.wait(PATIENCE)
        thread = widget._job._thread
        widget.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert widget.result is None


def test_the_index_s_model_is_untouched(index: TrainingIndex, trace: Trace) -> None:
    before = {name: value.clone() for name, value in index.spec.model.state_dict().items()}
    trace(index, unseen(1)).compare(3)
    assert all(torch.equal(value, before[name]) for name, value in index.spec.model.state_dict().items())


# --- verdicts, selection, pictures -----------------------------------------------------------------------------------


def test_verdicts_reach_python(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1), labels=NAMES)
    heard: list[tuple[int, Any]] = []
    stop = widget.on_verdict(lambda position, verdict: heard.append((position, verdict and verdict["verdict"])))
    entry = {"verdict": "relabel", "label": 8, "time": "2026-01-01T00:00:00Z"}
    write(widget, verdicts={"4": entry}, selection=[4, 7])
    write(widget, verdicts={"4": entry, "7": {"verdict": "drop", "label": None, "time": "t"}})
    write(widget, verdicts={"7": {"verdict": "drop", "label": None, "time": "t"}})
    assert heard == [(4, "relabel"), (7, "drop"), (4, None)]
    stop()
    widget.verdicts = {"4": "relabel", "7": "drop"} | {"4": {"verdict": "relabel", "label": 8}}
    assert len(heard) == 3
    assert widget.selected_indices == [4, 7]
    widget.selected_indices = np.array([1])
    assert widget.selection == [1]
    table = widget.verdicts_frame()
    assert table.loc[4, "label_name"] == NAMES[8]
    assert table.loc[4, "given"] == int(digits()[1][4])
    images, labels = digits()
    corrected = widget.subset((images, labels))
    assert len(corrected) == 239
    assert int(corrected[4][1]) == 8
    assert torch.equal(corrected[7][0], images[8])


def test_the_page_asks_for_pictures(index: TrainingIndex, trace: Trace, recorded: list[RecordingComm]) -> None:
    widget = trace(index, unseen(1))
    assert {"q0"} <= widget.sprites.keys()
    assert all(data[:4] == b"\x89PNG" for data in widget.sprites.values())
    leaders = sorted(dots(widget).items(), key=lambda one: -one[1])
    assert {str(position) for position, score in [*leaders[:24], *leaders[-24:]] if score} <= widget.sprites.keys()
    suspicious = np.argsort(-index.self_influence())[:24]
    assert {str(position) for position in suspicious} <= widget.sprites.keys()
    tell(widget, type="thumbs", ids=[0, 3, 10**7])
    widget._errands.wait(PATIENCE)
    message, buffers = next((data["content"], parts) for data, parts in widget.comm.sent if data["method"] == "custom")
    assert (message["type"], message["ids"], message["side"], message["failed"]) == ("thumbs", [0, 3], 64, {})
    assert len(buffers) == 1


def test_the_pair_on_one_scale(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1), labels=NAMES)
    pair = widget.compare(6)
    assert pair["id"] == 6
    assert pair["label"]["name"] == NAMES[widget.query["label"]]
    assert pair["shapes"] == [[8, 8], [8, 8]]
    maps = unpack_pair(widget.pair, widget.pair_maps)
    assert max(np.abs(one).max() for one in maps) == pytest.approx(127 * pair["scale"], rel=1e-5)
    for one, gap, chance in zip(maps, pair["gap"], pair["predicted"], strict=True):
        assert np.abs(one).max() > 0
        assert gap < 0.05
        assert 0 < chance < 1
    with expecting(widget, "pair", lambda found: found.get("id") == 9):
        tell(widget, type="open", id=9)
    with expecting(widget, "pair", lambda found: "error" in found):
        tell(widget, type="open", id=10**6)
    ask(widget, target=2)
    assert widget.pair == {}
    overlay = widget.open(6)
    try:
        assert isinstance(overlay, HeatmapOverlay)
        overlay.wait(PATIENCE)
        assert len(overlay.inputs) == 2
        assert overlay.question["target"] == 2
    finally:
        overlay.close()


# --- texts, rows, numbers --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written() -> Iterator[tuple[TrainingIndex, Any]]:
    index, tokenizer = texts_index()
    with index:
        yield index, tokenizer


def test_texts(written: tuple[TrainingIndex, Any], trace: Trace, recorded: list[RecordingComm]) -> None:
    index, tokenizer = written
    widget = trace(
        index, ["the film was good at last", "<b>bad</b>"], tokenizer=tokenizer, texts=SENTENCES, columns=None
    )
    assert widget.medium == "text"
    assert widget.items[0]["text"] == SENTENCES[widget.items[0]["id"]]
    assert [one["label"] for one in widget.inputs] == ["the film was good at last", "<b>bad</b>"]
    assert widget.query["text"] == "the film was good at last"
    assert widget.sprites == {}
    tell(widget, type="texts", ids=[1])
    widget._errands.wait(PATIENCE)
    assert next(data["content"] for data, _ in widget.comm.sent if data["method"] == "custom")["texts"] == {
        "1": SENTENCES[1]
    }
    pair = widget.compare(3)
    assert [len(one) for one in pair["tokens"]] == [shape[0] for shape in pair["shapes"]]
    assert "this &lt;b&gt;new" in widget._figure()
    strip = widget.open(3)
    try:
        assert isinstance(strip, TokenStrip)
        strip.wait(PATIENCE)
        assert len(strip.inputs) == 2
    finally:
        strip.close()
    ask(widget, input=1)
    assert widget.status == "ready"


def test_texts_without_a_tokenizer(written: tuple[TrainingIndex, Any], trace: Trace) -> None:
    index, tokenizer = written
    widget = trace(index, {"training": 2}, texts=lambda position: f"text {position}")
    assert widget.query["text"] == "text 2"
    assert widget.compare(3)["tokens"][0][0].startswith("#")
    decoded = trace(index, {"training": 2}, tokenizer=tokenizer)
    assert decoded.items[0]["text"].startswith("w")
    with pytest.raises(InputError, match="tokenizer"):
        trace(index, "a text", texts=SENTENCES)
    with pytest.raises(InputError, match="which words"):
        trace(index, {"training": 2})


def test_rows_of_numbers(trace: Trace) -> None:
    with rows_index() as index:
        widget = trace(index, torch.tensor([[0.1, -0.25, 2.0]]), columns=COLUMNS, labels={0: "low", 1: "high"})
        assert widget.medium == "rows"
        assert widget.query["cells"] == [["age", "0.1"], ["height", "-0.25"], ["<i>weight</i>", "2"]]
        assert [name for name, _ in widget.items[0]["cells"]] == COLUMNS
        assert widget.names == ["low", "high"]
        pair = widget.compare(3)
        assert pair["tokens"] == [COLUMNS, COLUMNS]
        assert pair["shapes"] == [[3], [3]]
        assert "<i>" not in widget._figure()
        with pytest.raises(InputError):
            widget.open(3)


def test_regressions(trace: Trace) -> None:
    with rows_index(regression=True, projection=False) as index:
        widget = trace(index, {"training": 4}, label="given")
        assert widget.status == "ready"
        assert widget.query["label"] == pytest.approx(widget.query["y"])
        assert widget.names == widget.classes == []
        assert all(item["yhat"] is None and isinstance(item["y"], float) for item in widget.items)
        assert all(item["hub"] is None for item in widget.items)
        assert {"regression", "no_vectors"} <= {notice["code"] for notice in widget.notices}
        assert not {method["name"] for method in widget.methods} & {"tracin_projected"}
        assert widget.compare(2)["label"]["name"] == "the score"
        ask(widget, input=0, target=0.5)
        assert widget.status == "ready"
        predicted = trace(index, torch.zeros(1, 3), wait=False)
        with pytest.raises(ExplainError, match="label"):
            predicted.wait(PATIENCE)
        assert predicted.status == "error"


def test_a_single_logit_is_two_classes(trace: Trace) -> None:
    inputs = torch.tensor(np.random.default_rng(0).normal(size=(40, 3)), dtype=torch.float32)
    labels = (inputs.sum(1, keepdim=True) > 0).float()
    model = torch.nn.Linear(3, 1)
    with TrainingIndex.build(
        model, (inputs, labels), checkpoints=[model], loss="binary_cross_entropy", progress=False
    ) as index:
        widget = trace(index, torch.tensor([[1.0, 2.0, 0.5]]), labels=["no", "yes"])
        chance = float(model(torch.tensor([[1.0, 2.0, 0.5]])).detach().sigmoid())
        assert widget.names == ["no", "yes"]
        assert {one["name"]: one["score"] for one in widget.classes} == pytest.approx(
            {"yes": chance, "no": 1 - chance}, rel=1e-4
        )
        assert widget.query["label"] == widget.query["yhat"] == int(chance > 0.5)
        assert {item["y"] for item in widget.items} == {0, 1}
        assert "regression" not in {notice["code"] for notice in widget.notices}
        assert widget.compare(1)["label"]["name"] == "the score"
        ask(widget, target=0)
        assert widget.question["target_label"] == "no"


def test_one_checkpoint_is_said(trace: Trace) -> None:
    images, labels = digits(60)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with TrainingIndex.build(model, (images, labels), checkpoints=[model], progress=False) as index:
        widget = trace(index, unseen(1))
        codes = {notice["code"] for notice in widget.notices}
        assert "single_checkpoint" in codes
        assert {field["name"] for field in widget.columns_meta["fields"]} & {"variability", "forgetting"} == set()


def test_what_is_missing_is_said(trace: Trace, tmp_path: Any) -> None:
    images, labels = digits(60)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with TrainingIndex.build(
        model, (images, labels), checkpoints=[model.state_dict(), str(tmp_path / "gone.safetensors")], progress=False
    ) as index:
        widget = trace(index, unseen(1))
        assert widget.rank["missing"]
        (notice,) = [one for one in widget.notices if one["code"] == "missing"]
        assert "gone" in notice["text"]


@pytest.mark.parametrize(
    ("query", "options", "error"),
    [
        ({"training": 10**6}, {}, InputError),
        ({"training": []}, {}, InputError),
        (torch.rand(2, 1, 8, 8), {"label": [1]}, InputError),
        (torch.rand(1, 1, 8, 8), {"label": "given"}, InputError),
        ("a text", {}, InputError),
        ([], {}, InputError),
        (torch.rand(1, 1, 8, 8), {"method": "magic"}, ParameterError),
        (torch.rand(1, 1, 8, 8), {"colour": 1}, ParameterError),
        (torch.rand(1, 1, 8, 8), {"checkpoints": [True]}, ParameterError),
        (torch.rand(1, 1, 8, 8), {"image": 3}, InputError),
    ],
)
def test_wrong_questions_are_refused(
    index: TrainingIndex, query: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        trace_examples(index, query, **options)


def test_checkpoints_chosen_at_first(index: TrainingIndex, trace: Trace) -> None:
    widget = trace(index, unseen(1), checkpoints=[False, True, True], k=5)
    assert widget.ckpt_mask == [False, True, True]
    assert widget.k == 5
    assert widget.items == trace(index, unseen(1)).items  # the page leaves out what it likes
