"""Ranking, packing, pictures, verdicts: what the gallery is made of, without a widget."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from traitlets import TraitError

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.jobs import Token
from xaiwidgets.widgets.gallery import errands as errands_module
from xaiwidgets.widgets.gallery import facts as facts_module
from xaiwidgets.widgets.gallery.errands import Errands
from xaiwidgets.widgets.gallery.facts import Facts
from xaiwidgets.widgets.gallery.figure import Shown, figure
from xaiwidgets.widgets.gallery.hubs import find_duplicates
from xaiwidgets.widgets.gallery.media import Album, ImageMedia, RowsMedia, TextMedia, media_of, square
from xaiwidgets.widgets.gallery.pack import pack_columns, pack_floats, unpack_columns, unpack_floats
from xaiwidgets.widgets.gallery.ranking import MODES, Scored, histogram, leading, stored, totals, without
from xaiwidgets.widgets.gallery.state import GalleryState
from xaiwidgets.widgets.gallery.verdicts import Corrected, frame

RATES = np.array([0.5, 0.1, 0.02])


def scored(count: int = 500) -> tuple[Scored, NDArray[Any], NDArray[Any]]:
    """Random gradients of three checkpoints, and the products TracIn makes of them."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(count, 3, 5)) * rng.lognormal(sigma=2, size=(count, 1, 1))
    query = rng.normal(size=(3, 5))
    gradients[7] = 0
    parts = (gradients * query).sum(2) * RATES
    found = Scored(
        np.arange(count) * 3, parts.astype(np.float32), (gradients**2).sum(2).astype(np.float32), (query**2).sum(1), RATES
    )  # fmt: skip
    return found, gradients, query


# --- ranking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, [True, False, True], [False, True, False]])
def test_three_ways_to_rank(mask: list[bool] | None) -> None:
    found, gradients, query = scored(40)
    chosen = [place for place in range(3) if mask is None or mask[place]]
    for mode in MODES:
        wanted = np.zeros(40)
        for row in range(40):
            for c in chosen:
                product, length = gradients[row, c] @ query[c], np.linalg.norm(gradients[row, c])
                if mode == "dot":
                    wanted[row] += RATES[c] * product
                elif length > 0 and mode == "cosine":
                    wanted[row] += product / length / np.linalg.norm(query[c]) / len(chosen)
                elif length > 0:
                    wanted[row] += RATES[c] * product / length
        np.testing.assert_allclose(found.by(mode, mask), wanted, rtol=1e-4, atol=1e-6)
    assert (found.by("dot", [False] * 3) == 0).all()


def test_leaders_have_the_sign_of_their_side() -> None:
    scores = np.array([0.0, 3, -1, 3, 0, -2, 1e-9])
    proponents, opponents = leading(scores, 10)
    assert proponents.tolist() == [1, 3, 6]
    assert opponents.tolist() == [5, 2]
    assert leading(scores, 1)[0].tolist() in ([1], [3])
    assert not any(map(len, leading(np.zeros(4), 2)))


def test_what_is_stored_leads_in_some_mode() -> None:
    found, _, _ = scored()
    kept = stored(found, 20, always=[21])
    assert 21 in kept.ids
    assert len(kept.ids) == len(set(kept.ids))
    for mode in MODES:
        scores = found.by(mode)
        for side in (np.argsort(-scores), np.argsort(scores)):
            assert set(found.ids[side[:20]]) <= set(kept.ids)
    dot = np.abs(kept.by("dot"))
    assert (np.diff(dot) <= 0).all()
    only = Scored(found.ids, found.parts[:, :1])
    assert only.modes == ("dot",)
    assert len(stored(only, 20)) == 40
    assert 21 not in without(found, 21).ids


def test_totals_and_histogram_count_everything() -> None:
    scores = np.random.default_rng(1).normal(size=1000)
    sums = totals(scores)
    assert sums["positive"] + sums["negative"] == pytest.approx(scores.sum())
    found = histogram(scores)
    assert sum(found["counts"]) == 1000
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert found["edges"][0] == -found["edges"][-1]
    assert sum(histogram(np.zeros(3))["counts"]) == 3


# --- packing ---------------------------------------------------------------------------------------------------------


def test_columns_come_back() -> None:
    rng = np.random.default_rng(0)
    fields = {
        "self": rng.normal(size=999) * 4, "y": rng.integers(0, 10, 999), "yhat": rng.integers(0, 300, 999).astype(np.int32),
        "conf": rng.uniform(size=999).astype(np.float32), "variability": rng.uniform(size=999) * 0.4,
        "forgetting": rng.integers(0, 5, 999), "aum": rng.normal(size=999) * 20, "ids": rng.integers(0, 10**6, 999),
    }  # fmt: skip
    meta, data = pack_columns(fields, 12_345)
    found = unpack_columns(meta, data)
    assert (meta["n"], meta["total"]) == (999, 12_345)
    kinds = {field["name"]: field["dtype"] for field in meta["fields"]}
    assert kinds == {
        "self": "f16", "y": "u8", "yhat": "u16", "conf": "u8", "variability": "u8", "forgetting": "u8", "aum": "f16",
        "ids": "i32",
    }  # fmt: skip
    for name in ("y", "yhat", "forgetting", "ids"):
        np.testing.assert_array_equal(found[name], fields[name])
    np.testing.assert_allclose(found["conf"], fields["conf"], atol=0.003)
    np.testing.assert_allclose(found["variability"], fields["variability"], atol=0.001)
    np.testing.assert_allclose(found["self"], fields["self"], rtol=1e-3)


def test_odd_columns_come_back() -> None:
    fields = {
        "y": np.array([-3, 5]),
        "yhat": np.array([1.5, np.nan]),
        "conf": np.array([np.nan, 0.5]),
        "aum": np.array([1e9, -np.inf]),
    }
    found = unpack_columns(*pack_columns(fields, 2))
    assert found["y"].tolist() == [-3, 5]
    assert found["yhat"][0] == 1.5
    assert np.isnan([found["yhat"][1], found["conf"][0]]).all()
    assert np.isfinite(found["aum"]).all()
    assert pack_columns({}, 0)[0]["n"] == 0
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(unpack_floats(pack_floats(values), 3), values)
    assert unpack_floats(b"", 3).shape == (0, 3)


def facts(count: int, **columns: Any) -> Facts:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {
        "own": rng.lognormal(size=count).astype(np.float32), "loss": rng.uniform(0.1, 1, count).astype(np.float32),
        "losses": np.ones(2), "norms": rng.lognormal(size=(count, 2)).astype(np.float32), "y": rng.integers(0, 3, count),
        "yhat": rng.integers(0, 3, count).astype(np.int32), "conf": np.full(count, 0.5, np.float32), "dynamics": {},
    }  # fmt: skip
    return Facts(**found | columns)


def test_large_data_sets_keep_the_columns_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "MOST", 100)
    monkeypatch.setattr(facts_module, "KEPT", 40)
    some = facts(101)
    meta, data = some.packed()
    found = unpack_columns(meta, data)
    assert (meta["n"], meta["total"], meta["fields"][0]["name"]) == (40, 101, "ids")
    ids = found["ids"].astype(int)
    assert set(ids) == set(np.argsort(-some.own)[:40])
    np.testing.assert_allclose(10 ** found["self"], some.own[ids], rtol=2e-3)
    assert "ids" not in [field["name"] for field in facts(100).packed()[0]["fields"]]


def test_the_same_inputs_are_found() -> None:
    some = facts(50)
    inputs = torch.arange(50.0)[:, None]
    for one, other in ((3, 40), (5, 41)):
        some.loss[other] = some.loss[one]
        some.norms[other] = some.norms[one]
        some.y[other] = some.y[one]
    inputs[40] = inputs[3]  # 41 has the loss and the gradient of 5, and other numbers
    found = find_duplicates([3, 5, 6], some, lambda position: inputs[position : position + 1])
    assert found == {3: 40, 40: 3}


# --- what examples look like -----------------------------------------------------------------------------------------


def test_pictures_are_small_and_read_alike() -> None:
    images = torch.rand(8, 3, 200, 100, generator=torch.Generator().manual_seed(0)) * 4 - 2
    media = media_of([images[:4], images[4:]])
    assert isinstance(media, ImageMedia)
    assert "stretched" in media.note
    album = Album(media, lambda position: images[position : position + 1])
    sprite = Image.open(io.BytesIO(album.sprite(3)))
    assert sprite.size == (48, 96)
    # one example alone would be stretched by its own range
    pixels = album.pixels(0)
    np.testing.assert_allclose(pixels[..., 0], ((images[0, 0] + 2) / 4 * 255).numpy(), atol=2)
    framed = square(pixels, 64)
    assert framed.shape == (64, 64, 3)
    assert (framed[:, :15] == 128).all()
    assert square(np.full((8, 8, 3), 200, np.uint8), 64).min() == 200


def test_own_ways_to_look() -> None:
    with pytest.raises(InputError, match="function"):
        media_of([torch.rand(1, 3, 8, 8)], image=torch.rand(3, 8, 8))
    media = media_of([torch.rand(1, 3, 8, 8)], image=lambda batch: batch * 0)
    assert media.note == ""
    assert media.pixels(torch.rand(1, 3, 8, 8)).max() == 0
    ids = torch.tensor([[1, 2, 3]])
    with pytest.raises(InputError, match="which words"):
        media_of([ids])
    given = media_of([ids], texts=["a", "b"])
    assert isinstance(given, TextMedia)
    assert given.card(ids, 1) == {"text": "b"}
    assert media_of([ids], texts=lambda position: f"t{position}").card(ids, 5) == {"text": "t5"}
    rows = media_of([torch.tensor([[1.0, 2.5]])], columns=["a", "b"])
    assert isinstance(rows, RowsMedia)
    assert rows.card(torch.tensor([[1.0, 2.54321]]), None) == {"cells": [["a", "1"], ["b", "2.543"]]}
    with pytest.raises(InputError, match="3"):
        media_of([torch.rand(1, 3)], columns=["a"])


class Slow:
    """An album whose pictures come one by one."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def pixels(self, position: int) -> NDArray[np.uint8]:
        self.read.append(position)
        if position == 13:
            raise OSError("the disk <b>is</b> gone")
        return np.full((8, 8, 3), position, np.uint8)

    def card(self, position: int, *, whole: bool = False) -> dict[str, Any]:
        return {"text": f"text {position} {whole}"}


def test_pictures_come_newest_first_and_none_is_lost() -> None:
    album, sent = Slow(), []
    errands = Errands(album, 1000, lambda message, buffers: sent.append((message, buffers)))  # type: ignore[arg-type]
    errands._job.submit = lambda work: None  # type: ignore[method-assign]  # nothing runs yet
    errands.ask("thumbs", list(range(60)))
    errands.ask("thumbs", [100, 5, 10**9, -1, "x", True])
    for _ in errands._work(Token()):
        pass
    ids = [one for message, _ in sent for one in message["ids"]]
    assert ids[:2] == [100, 5]
    assert sorted(ids) == sorted({*range(60), 100} - {13})
    assert [failed for message, _ in sent for failed in message["failed"]] == ["13"]
    assert all(len(message["ids"]) <= errands_module.TOGETHER for message, _ in sent)
    strip = np.asarray(Image.open(io.BytesIO(sent[0][1][0])).convert("RGB"))
    assert strip.shape == (64, 64 * len(sent[0][0]["ids"]), 3)
    assert abs(int(strip[32, 32, 0]) - 100) < 3
    errands.ask("texts", [3])
    for _ in errands._work(Token()):
        pass
    assert sent[-1][0]["texts"] == {"3": "text 3 True"}


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands_module, "WAITING", 50)
    album = Slow()
    errands = Errands(album, 1000, lambda message, buffers: None)  # type: ignore[arg-type]
    errands._job.submit = lambda work: None  # type: ignore[method-assign]
    errands.ask("thumbs", list(range(200, 260)))
    errands.ask("thumbs", [1])
    for _ in errands._work(Token()):
        pass
    assert len(album.read) == 50
    assert 1 in album.read


# --- verdicts --------------------------------------------------------------------------------------------------------

VERDICTS = {
    "1": {"verdict": "drop", "label": None, "time": "t"}, "2": {"verdict": "relabel", "label": 7, "time": "t"},
    "0": {"verdict": "keep", "label": None, "time": "t"}, "3": {"verdict": "relabel", "label": None, "time": "t"},
}  # fmt: skip
INPUTS, LABELS = torch.arange(5.0)[:, None], torch.arange(5)
PAIRS = [(INPUTS[row], LABELS[row]) for row in range(5)]


@pytest.mark.parametrize("dataset", [
    (INPUTS, LABELS), PAIRS, TensorDataset(INPUTS, LABELS), [(1.0, 0), (1.0, 1), (1.0, 2), (1.0, 3), (1.0, 4)],
    [{"text": "a", "label": row} for row in range(5)], DataLoader(TensorDataset(INPUTS, LABELS), shuffle=True),
    {"input_ids": INPUTS, "labels": LABELS},
], ids=["tensors", "list", "dataset", "numbers", "dicts", "loader", "columns"])  # fmt: skip
def test_verdicts_are_carried_out(dataset: Any) -> None:
    found = Corrected(dataset, VERDICTS)
    assert found.positions == [0, 2, 3, 4]
    assert len(found) == 4
    labels = [
        int(next(item[key] for key in ("label", "labels") if key in item) if isinstance(item, dict) else item[-1])
        for item in map(found.__getitem__, range(4))
    ]
    assert labels == [0, 7, 3, 4]


def test_another_data_set_is_refused() -> None:
    with pytest.raises(InputError, match="data set has 2"):
        Corrected(PAIRS[:2], VERDICTS)
    with pytest.raises(InputError, match="length"):
        Corrected((one for one in PAIRS), VERDICTS)


def test_verdicts_as_a_table() -> None:
    table = frame(VERDICTS, ["zero", "one", "two", "three"], {1: {"y": 1, "yhat": 2, "self": 0.5}})
    assert table.index.tolist() == [0, 1, 2, 3]
    assert table.loc[1, "given_name"] == "one"
    assert table.loc[1, "self_influence"] == 0.5
    assert table.loc[2, "label"] == 7
    assert table.verdict.tolist() == ["keep", "drop", "relabel", "relabel"]
    assert len(frame({}, [], {})) == 0
    numbers = frame({"0": VERDICTS["1"]}, [], {0: {"y": 1.5}})
    assert numbers.loc[0, "given"] == 1.5


def test_what_readers_may_write() -> None:
    widget = GalleryState(size=10, ckpts=[{}, {}])
    widget.verdicts = {"3": "drop", "4": {"verdict": "relabel", "label": 2}}
    assert widget.verdicts["3"]["verdict"] == "drop"
    assert "T" in widget.verdicts["3"]["time"]
    widget.selection = [3, 1, 3]
    assert widget.selection == [3, 1]
    for name, value in {
        "verdicts": {"3": "burn"}, "selection": [10], "ckpt_mask": [True], "filters": {"colour": 1}, "score_mode": "x", "k": 0,
    }.items():  # fmt: skip
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    with pytest.raises(TraitError):
        widget.verdicts = {"10": "drop"}
    with pytest.raises(TraitError):
        widget.verdicts = {"1": {"verdict": "relabel", "label": "<script>"}}
    widget.filters = {"wrong": True}
    assert widget.filters["given"] is None
    widget.close()


def test_the_figure_escapes_everything() -> None:
    hostile = "<script>alert(1)</script>"
    row = {"id": 1, "y": 0, "yhat": 1, "conf": 0.5, "score": 1.0, "parts": [1.0, -0.5], "text": hostile * 20}
    text = figure(Shown(
        hostile, [hostile, "b"], {"key": "q0", "y": None, "yhat": 0, "conf": None, "cells": [[hostile, hostile]]}, [row], [row],
        checkpoints=[hostile, "c"], verdicts={"1": {"verdict": "relabel", "label": 0}},
    ))  # fmt: skip
    assert "<script" not in text
    assert text.count("border-bottom:12px") == 2
    assert (
        figure(Shown("Not computed yet.", [], {}))
        == '<figure style="margin:0"><figcaption>Not computed yet.</figcaption></figure>'
    )


def test_facts_of_regressions_have_no_classes() -> None:
    columns = {
        "loss": np.ones((4, 2), np.float32), "norm": np.ones((4, 2), np.float32), "predicted": np.full((4, 2), -1, np.int32),
        "margin": np.full((4, 2), np.nan, np.float32), "confidence": np.full((4, 2), np.nan, np.float32),
        "label": np.array([0.5, 1, 2, np.nan], np.float32),
    }  # fmt: skip
    index = SimpleNamespace(column=columns.__getitem__, self_influence=lambda: np.ones(4, np.float32))
    found = Facts.of(index, "number")
    assert found.card(0) == {"y": 0.5, "yhat": None, "conf": None, "self": 1.0, "loss": 1.0}
    assert found.card(3)["y"] is None
    assert [field["name"] for field in found.packed()[0]["fields"]] == ["self", "y"]
