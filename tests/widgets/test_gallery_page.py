"""What travels to the page and what a saved page keeps: messages, sizes, exports."""

import base64
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from galleries import NAMES, digits, digits_index, unseen
from pages import PATIENCE, Elements, RecordingComm, ask, tell, write
from torch import nn

from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.widgets.gallery import answers as answers_module
from xaiwidgets.widgets.gallery.pack import unpack_columns
from xaiwidgets.widgets.trace import trace

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\ud83d half", *NAMES[3:]]
READER = ("score_mode", "ckpt_mask", "tab", "filters", "sort", "k", "selection", "verdicts")


@pytest.fixture(scope="module")
def index() -> Iterator[TrainingIndex]:
    with digits_index(120) as made:
        yield made


@pytest.fixture
def widget(index: TrainingIndex, recorded: list[RecordingComm]) -> Iterator[Any]:
    made = trace(index, unseen(2), labels=HOSTILE)
    yield made.wait(PATIENCE)
    made.close()


def test_one_update_for_each_result(widget: Any) -> None:
    line = widget.comm
    ask(widget, input=1)
    results = [state for state in line.updates() if "seq" in state]
    assert [state["seq"] for state in results] == list(range(1, widget.seq + 1))
    assert {"items", "rank", "query", "caption", "query_norms"} <= set(results[0])  # the bytes travel beside
    assert all("rank" in state for state in results)
    ready = [state for state in line.updates() if state.get("status") == "ready"]
    assert len(ready) == 2
    assert len(line.sent) < 10 * 2 + 3 * widget.seq
    assert max(line.sizes()) < 1_000_000


def test_what_the_reader_does_asks_nothing(widget: Any) -> None:
    line, started = widget.comm, widget._job.started
    line.sent.clear()
    write(widget, tab="triage", score_mode="cosine", sort="aum", k=5, ckpt_mask=[True, False, True])
    write(widget, filters={"given": None, "predicted": 3, "wrong": True, "text": "x", "cut": 0.5})
    write(widget, selection=[3, 4], verdicts={"3": {"verdict": "drop", "label": None, "time": "t"}})
    widget.wait(PATIENCE)
    assert widget._job.started == started
    assert all(set(state) <= set(READER) for state in line.updates())  # at most an echo of what the page said
    assert widget.verdicts["3"]["verdict"] == "drop"
    assert widget.filters["predicted"] == 3


def test_the_figure_follows_what_the_reader_looks_at(widget: Any) -> None:
    dot = widget._figure()
    write(widget, score_mode="cosine")
    assert widget._figure() != dot
    write(widget, score_mode="dot", ckpt_mask=[True, False, False])
    assert widget._figure() != dot
    write(widget, ckpt_mask=[False, False, False])
    assert widget._figure() == dot  # nothing is left to rank by
    assert "verdict" not in dot
    write(widget, verdicts={"3": {"verdict": "relabel", "label": 4, "time": "t"}})
    assert NAMES[4] in widget._figure()
    assert len(re.findall("<img", dot)) == 17


def test_the_state_is_plain_json_and_bytes(widget: Any) -> None:
    widget.compare(3)

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                assert isinstance(key, str)
                check(one)
        elif not isinstance(value, bytes):
            json.dumps(value, allow_nan=False)

    for name, value in widget.get_state().items():
        check(value)
        assert name.startswith("_") or name in widget.traits()


def test_the_exported_page_has_everything_that_is_stored(widget: Any) -> None:
    text = widget.to_html()
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    state = json.loads(found[1])
    assert state["_kind"] == "examples"
    for name in ("scores", "norms", "columns"):
        assert base64.b64decode(state[name]["__bytes"]) == getattr(widget, name)
    assert state["sprites"].keys() == widget.sprites.keys()
    assert [one["id"] for one in state["items"]] == [one["id"] for one in widget.items]
    assert all("parameters" in method for method in state["methods"])
    page = Elements(text)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "alert(1)" in page.text
    assert "<script>alert" not in widget._figure()


def test_the_page_downloads_scores(widget: Any) -> None:
    line = widget.comm
    line.sent.clear()
    tell(widget, type="export", kind="npy", id="a")
    widget._downloads._job.wait(PATIENCE)
    (message, buffers) = next((data["content"], parts) for data, parts in line.sent if data["method"] == "custom")
    assert message["mime"] == "application/octet-stream"
    found = np.load(io.BytesIO(buffers[0]), allow_pickle=False)
    np.testing.assert_array_equal(found, widget.result.scores)


def test_a_closed_gallery_lets_go(index: TrainingIndex) -> None:
    made = trace(index, unseen(1)).wait(PATIENCE)
    made.close()
    assert made.result is None
    assert not hasattr(made._answers, "_index")
    assert not hasattr(made._answers.album, "_read")


def test_the_same_answer_gives_the_same_figure(index: TrainingIndex) -> None:
    figures = set()
    for _ in range(2):
        with trace(index, unseen(1)) as made:
            figures.add(made.wait(PATIENCE)._figure())
    assert len(figures) == 1


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heavy() -> Iterator[Any]:
    """10,000 noisy pictures of 32 × 32 pixels, of which 100 on either side are stored for each of three ways to rank."""
    images = torch.rand(10_000, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = [nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10)) for _ in range(4)]
    labels = torch.randint(0, 10, (10_000,), generator=torch.Generator().manual_seed(1))
    with TrainingIndex.build(
        models[0],
        (images, labels),
        checkpoints=models,
        learning_rates=0.1,
        progress=False,
        projection={"dim": 64},
        batch_size=1000,
    ) as index:
        made = trace(index, {"training": 3}, labels=[f"a class with a name {number}" for number in range(10)])
        yield made.wait(4 * PATIENCE)
        made.close()


def weight(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if isinstance(value, dict):
        return sum(len(key) + weight(one) for key, one in value.items())
    return len(json.dumps(value))


def test_a_saved_gallery_fits_its_budget(heavy: Any, record_property: Callable[..., None]) -> None:
    weights = {
        name: weight(value) for name, value in heavy.get_state().items() if name not in ("_esm", "_css", "_parts")
    }
    saved = len(json.dumps(ipywidgets.Widget.get_manager_state(widgets=[heavy, heavy.layout])))
    record_property("saved_bytes", saved)
    assert len(heavy.items) >= 200
    assert len(heavy.sprites) >= 50
    assert saved <= 1_000_000, weights
    assert "size" not in {notice["code"] for notice in heavy.notices}
    assert heavy._weight({name: getattr(heavy, name) for name in ("scores", "norms", "items")}) == pytest.approx(
        sum(weights[name] for name in ("scores", "norms", "items", "columns", "sprites")), rel=0.25
    )


def test_the_columns_of_all_examples_travel(heavy: Any) -> None:
    columns = unpack_columns(heavy.columns_meta, heavy.columns)
    assert heavy.columns_meta["n"] == heavy.size == 10_000
    assert len(zlib.decompress(heavy.columns)) <= 12 * 10_000
    own = heavy._answers.facts.own
    assert np.abs(10 ** columns["self"] / own - 1).max() < 5e-3


def test_the_size_is_said(index: TrainingIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.gallery.words.SAVED_BUDGET", 1000)
    with trace(index, unseen(1)) as made:
        assert "size" in {notice["code"] for notice in made.wait(PATIENCE).notices}


def test_broken_examples_break_only_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits(40)

    class Rotting(torch.utils.data.Dataset[Any]):
        rotten = False

        def __len__(self) -> int:
            return 40

        def __getitem__(self, position: int) -> Any:
            if self.rotten and position == 7:
                raise OSError("cannot read example 7")
            return images[position], labels[position]

    data = Rotting()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    monkeypatch.setattr(answers_module, "WHOLE", 1000)
    with (
        TrainingIndex.build(model, data, checkpoints=[model], progress=False) as index,
        trace(index, unseen(1)) as made,
    ):
        made.wait(PATIENCE)
        items = made.items
        data.rotten = True
        pair = made.compare(7)
        assert "cannot read" in pair["error"]["title"]
        made._keepsakes._pictures.clear()
        ask(made, target=5)
        assert made.status == "error"
        assert made.items == items
        data.rotten = False
        ask(made, target=6)
        assert made.status == "ready"
