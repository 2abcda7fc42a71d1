"""What PathExplorer leaves in a notebook and sends to a page: picture, saved state, traffic, and nothing else."""

import base64
import gc
import io
import json
import re
import weakref
import zlib
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from pages import PATIENCE, Colourful, Elements, RecordingComm, ask, colourful_images, tell, write
from PIL import Image
from test_page import HOSTILE, exported, noisy_model, photograph, state_of

import xaiwidgets as xw
from xaiwidgets.examples import Example
from xaiwidgets.live.frames import (
    Detail,
    pack_frames,
    pack_mask,
    pack_total,
    pooled,
    sprite,
    unpack_frames,
    unpack_total,
)

Explore = Callable[..., Any]


def html_of(widget: Any) -> str:
    text: str = widget._repr_mimebundle_()[0]["text/html"]
    return text


# --- the static picture ----------------------------------------------------------------------------------------------


def test_the_static_picture_is_deterministic(explore: Explore) -> None:
    texts = set()
    for _ in range(2):
        widget = explore(Colourful(), colourful_images(), target=1, steps=17).compare().wait(PATIENCE)
        texts |= {html_of(widget), html_of(widget)}
        assert repr(widget) == "PathExplorer(Integrated gradients for class 1, baseline: black)"
    assert len(texts) == 1


def test_the_static_picture_is_script_free_and_complete(explore: Explore, model: Colourful) -> None:
    widget = explore(model, colourful_images(), target=0, labels=HOSTILE, steps=17).compare().wait(PATIENCE)
    ask(widget, foil=1)
    widget.compare().wait(PATIENCE)
    read = Elements(html_of(widget))
    assert {tag for tag, _ in read.elements} == {
        "figure", "img", "figcaption", "details", "summary", "table", "tr", "th", "td", "br", "div",
    }  # fmt: skip
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    pictures = [attributes for tag, attributes in read.elements if tag == "img"]
    assert len(pictures) == 5 * 2 + 1 + 6 * 2  # places with their maps, the curves, baselines with their maps
    assert all(re.match(r"data:image/(png|jpeg);base64,", attributes["src"] or "") for attributes in pictures)
    assert all(attributes["alt"] for attributes in pictures)
    assert f"{HOSTILE[0]} rather than {HOSTILE[1]}" in read.text
    assert sum(tag == "tr" for tag, _ in read.elements) == 2 + 12
    for entry in widget.baselines:
        assert entry["title"] in read.text


def test_the_places_show_what_has_accumulated(explore: Explore, model: Colourful) -> None:
    widget = explore(model, colourful_images(), target=1, baselines=["black"], steps=9)
    read = Elements(html_of(widget))
    maps = [
        attributes["src"]
        for tag, attributes in read.elements
        if (attributes.get("alt") or "").startswith("accumulated")
    ]
    pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(src.split(",")[1]))).convert("RGB")) for src in maps]
    assert [one.shape for one in pixels] == [(24, 24, 3)] * 5
    assert len(np.unique(pixels[0].reshape(-1, 3), axis=0)) == 1  # nothing yet
    assert len(set(maps)) == 5


@pytest.mark.parametrize("mode", ["path", "distribution"])
def test_before_and_after_the_first_result(explore: Explore, model: Colourful, mode: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.base.WAIT_FOR_PICTURE", 0.01)
    with model.blocked():
        widget = explore(model, colourful_images(), target=1, mode=mode, samples=16, wait=False)
        assert widget.result is None
        assert widget.results == {}
        assert "Not computed yet" in html_of(widget)
    widget.wait(PATIENCE)
    text = Elements(html_of(widget)).text
    assert ("16 samples" if mode == "distribution" else "α = 0.50") in text


def test_an_error_at_the_first_run(explore: Explore, model: Colourful) -> None:
    model.fail = True
    widget = explore(model, colourful_images(), target=1, wait=False)
    with pytest.raises(xw.ExplainError, match="broke"):
        widget.wait(PATIENCE)
    assert widget.status == "error"
    assert widget.result is None
    assert "Not computed yet" in html_of(widget)
    widget.to_html()


# --- what remains ----------------------------------------------------------------------------------------------------


def test_close_frees_the_model_and_the_thread() -> None:
    made = Colourful()
    reference = weakref.ref(made)
    widget = xw.explore_path(made, colourful_images(), forward=made.forward, steps=17).compare().wait(PATIENCE)
    widget.refine(2).wait(PATIENCE)
    thread = widget._job._thread
    widget.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    del made
    gc.collect()
    assert reference() is None
    assert widget.result is None
    assert widget.results == {}
    with pytest.raises(RuntimeError, match="closed"):
        widget.run()
    widget.close()


def test_close_frees_a_text_model() -> None:
    made = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(8, 2)).eval()
    reference = weakref.ref(made)
    widget = xw.explore_path(made, torch.tensor([[3, 4]]), tokens=["a", "b"], steps=9).wait(PATIENCE)
    thread = widget._job._thread
    widget.close()
    thread.join(PATIENCE)
    del made
    gc.collect()
    assert reference() is None


def test_close_stops_what_runs(model: Colourful) -> None:
    with model.blocked():
        widget = xw.explore_path(model, colourful_images(), target=1)
        assert model.entered.wait(PATIENCE)
        thread = widget._job._thread
        widget.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert widget.result is None


def test_the_model_is_untouched(explore: Explore) -> None:
    model = Colourful()
    model.norm = torch.nn.BatchNorm2d(3)
    model.forward = lambda images, forward=model.forward: forward(model.norm(images))
    model.train()
    model.last.bias.requires_grad_(False)
    before = state_of(model)
    widget = explore(model, colourful_images(), target=1, training=False, steps=17, samples=16)
    ask(widget, mode="distribution", baseline="gaussian")
    assert state_of(model) == before
    model.fail = True
    ask(widget, target=3)
    assert widget.status == "error"
    assert state_of(model) == before


# --- traffic and size ------------------------------------------------------------------------------------------------


def test_one_update_for_each_picture(explore: Explore, model: Colourful, recorded: list[RecordingComm]) -> None:
    widget = explore(model, colourful_images(), target=1, tolerance=0.0)
    line = widget.comm
    ask(widget, baseline="white")
    pictures = [state for state in line.updates() if "seq" in state]
    assert [state["seq"] for state in pictures] == list(range(1, widget.seq + 1))
    assert all({"alphas", "inc_meta", "gaps", "status"} <= set(state) for state in pictures)
    finals = [state for state in line.updates() if state.get("status") == "ready"]
    assert len(finals) == 2
    assert len(line.sent) < 10 * 2 + 3 * widget.seq


def test_moving_sends_nothing_back(explore: Explore, model: Colourful, recorded: list[RecordingComm]) -> None:
    widget = explore(model, colourful_images(), target=1, steps=17).compare().wait(PATIENCE)
    line, rows = widget.comm, model.rows
    line.sent.clear()
    for step in range(20):
        write(widget, alpha=step / 20, window=[0, 1 - step / 40])
    widget.wait(PATIENCE)
    states = line.updates()
    assert all(set(state) <= {"alpha", "window"} for state in states)  # at most an echo of what the page said
    assert model.rows == rows


@pytest.fixture(scope="module")
def heavy() -> Any:
    """A photograph, explored from six baselines with a network whose maps are as noisy as those of large ones."""
    widget = xw.explore_path(
        noisy_model(),
        photograph(0),
        labels=[f"a class with a name {index}" for index in range(1000)],
        steps=33,
        tolerance=0.0,
    )
    widget.wait(PATIENCE).compare().wait(4 * PATIENCE)
    yield widget
    widget.close()


def weight(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + weight(one) for key, one in value.items())
    return len(json.dumps(value))


def test_six_baselines_fit_the_budgets(heavy: Any, record_property: Callable[..., None]) -> None:
    state = {name: value for name, value in heavy.get_state().items() if name not in ("_esm", "_css")}
    weights = {name: weight(value) for name, value in state.items()}
    record_property("live_bytes", sum(weights.values()))
    assert sum(weights.values()) <= 4_000_000, weights
    saved = len(json.dumps(ipywidgets.Widget.get_manager_state(widgets=[heavy, heavy.layout])))
    record_property("saved_bytes", saved)
    assert saved <= 1_000_000, weights
    assert len(heavy.archive) == 6
    assert heavy.inc_meta["K"] == 32
    assert heavy.inc_meta["shape"] == [112, 112]
    assert len(html_of(heavy)) <= 60_000


def test_what_is_kept_is_coarse_but_true(heavy: Any) -> None:
    for key, kept in heavy.archive.items():
        wanted = heavy.results[key].values[0].sum(0).numpy()
        frames = unpack_frames(kept["inc_meta"], kept["increments"])
        small = pooled(wanted, 64)[0]
        assert frames.shape == (kept["inc_meta"]["K"], *small.shape)
        assert kept["inc_meta"]["pool"] == 4
        np.testing.assert_allclose(frames.sum(0), small, atol=np.abs(small).max() / 10)
        assert float(frames.sum()) == pytest.approx(float(wanted.sum()), abs=0.02 * float(np.abs(small).sum()))


def test_the_size_is_said(explore: Explore, model: Colourful, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.path_explorer.SAVED_BUDGET", 1000)
    widget = explore(model, colourful_images(), target=1, steps=9)
    assert "size" in {notice["code"] for notice in widget.notices}


def test_updates_are_small(explore: Explore, recorded: list[RecordingComm]) -> None:
    widget = explore(noisy_model(), photograph(1), baselines=["black", "gaussian"], steps=33)
    line = widget.comm
    ask(widget, baseline="gaussian")
    assert max(line.sizes()) < 1_000_000


def test_the_state_is_plain_json_and_bytes(explore: Explore, example: Example) -> None:
    widget = explore(example.model, example.images[:1], labels=example.names, samples=16, steps=17)
    ask(widget, mode="distribution", baseline="gaussian")

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for one in value.values():
                check(one)
        elif not isinstance(value, bytes):
            json.dumps(value, allow_nan=False)

    for name, value in widget.get_state().items():
        check(value)
        assert name.startswith("_") or name in widget.traits()
    assert widget.refs


def test_the_exported_page_holds_every_run(explore: Explore, model: Colourful) -> None:
    widget = explore(model, colourful_images(), target=1, steps=17, labels=HOSTILE).compare().wait(PATIENCE)
    text = widget.to_html()
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    state = json.loads(found[1])
    assert state["_kind"] == "path"
    assert state["archive"].keys() == widget.archive.keys()
    for key, kept in widget.archive.items():
        assert base64.b64decode(state["archive"][key]["increments"]["__bytes"]) == kept["increments"]
    for name, data in widget.baseline_data.items():
        assert base64.b64decode(state["baseline_data"][name]["blind"]["__bytes"]) == data["blind"]
    page = Elements(text)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_the_page_downloads_what_the_kernel_makes(
    explore: Explore, model: Colourful, recorded: list[RecordingComm]
) -> None:
    widget = explore(model, colourful_images(), target=1, steps=9)
    message, page = exported(widget, "html")
    assert message["mime"] == "text/html"
    assert page.decode() == widget.to_html()
    _message, array = exported(widget, "npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(array), allow_pickle=False), widget.result.to_numpy())
    tell(widget, type="hello", id="7")
    assert widget.comm.sent[-1][0]["content"] == {"type": "hello", "id": "7"}


# --- the bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (31, 40), (1, 70)])
@pytest.mark.parametrize("levels", [127, 31])
def test_frames_come_back(shape: tuple[int, int], levels: int) -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(20, *shape)) * np.logspace(-6, 3, 20)[:, None, None]
    frames[3] = 0
    edges = np.linspace(0, 1, 21).tolist()
    meta, data = pack_frames(edges, frames, Detail(20, 1000, levels, 1000))
    found = unpack_frames(meta, data)
    limits = np.abs(frames).max((1, 2))
    assert (np.abs(found - frames).max((1, 2)) <= 0.51 * limits / levels + 1e-12).all()
    assert meta["pool"] == 1
    assert len(zlib.decompress(data)) == 20 * shape[0] * shape[1]

    meta, data = pack_frames(edges, frames, Detail(7, 16, 127, 16))
    found = unpack_frames(meta, data)
    assert meta["K"] == 7
    assert max(meta["shape"]) <= 16
    assert meta["edges"][0] == 0
    assert meta["edges"][-1] == 1
    assert float(found.sum()) == pytest.approx(float(frames.sum()), abs=0.03 * np.abs(frames).sum())


@pytest.mark.parametrize("largest", [0.0, 1e-30, 1.0, 1e6])
@pytest.mark.parametrize("side", [20, 200])
def test_totals_come_back(largest: float, side: int) -> None:
    total = np.random.default_rng(0).uniform(-1, 1, (side, side)) * largest
    meta, data = pack_total(total, Detail(32, 128, 127, 256))
    assert meta["dtype"] == ("float16" if side == 20 else "int8")
    np.testing.assert_allclose(unpack_total(meta, data), total, atol=largest / 200)


def test_masks_and_sprites() -> None:
    mask = np.random.default_rng(0).uniform(size=(5, 7)) < 0.3
    bits = np.unpackbits(np.frombuffer(zlib.decompress(pack_mask(mask)), np.uint8))
    np.testing.assert_array_equal(bits[:35].reshape(5, 7), mask)
    pictures = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, -1).repeat(2, 1).repeat(2, 2) * 20
    strip = np.asarray(Image.open(io.BytesIO(sprite(pictures, 5))))
    assert strip.shape == (2, 10, 3)
    np.testing.assert_array_equal(strip[0, ::2, 0], [20, 60, 100, 140, 180])  # the last of each pair


def test_nothing_runs_before_the_page_can_be_told(
    explore: Explore, model: Colourful, recorded: list[RecordingComm]
) -> None:
    widget = explore(model, colourful_images(), target=1, steps=9)
    assert widget._job.started == 1
    told = {name for state in recorded[-1].updates() for name in state}
    assert {"classes", "question", "alphas", "status"} <= told
