"""PathExplorer: what is computed, when, and what is paid for it; who says what is on show; what a page may ask."""

import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from pages import PATIENCE, Colourful, RecordingComm, ask, colourful_images, expecting, named, tell, write
from torch import nn

import xaiwidgets as xw
from xaiwidgets.examples import Example
from xaiwidgets.live.frames import unpack_frames, unpack_total
from xaiwidgets.methods.path_walk import PathWalk

Explore = Callable[..., Any]


@pytest.fixture
def explorer(explore: Explore, model: Colourful) -> Any:
    """A small colour image, explored from black."""
    return explore(
        model, colourful_images(), target=1, labels=["ant", "bee", "cat", "dog", "eel"], tolerance=0.0, steps=33
    )


@pytest.fixture
def quick(explore: Explore, model: Colourful) -> Any:
    """The same in little time, for what is only refused."""
    return explore(model, colourful_images(), target=1, tolerance=0.0, steps=9, baselines=["black"])


def frames_of(widget: Any, key: str = "") -> np.ndarray:
    """What the page adds up."""
    kept = widget.archive[key] if key else {"inc_meta": widget.inc_meta, "increments": widget.increments}
    return unpack_frames(kept["inc_meta"], kept["increments"])


def status_of(widget: Any, name: str, mode: str = "path") -> str:
    return next(entry["status"][mode] for entry in widget.baselines if entry["id"] == name)


# --- what is computed ------------------------------------------------------------------------------------------------


def test_the_run_on_show_is_the_walk(explorer: Any, model: Colourful) -> None:
    image = colourful_images()
    problem = xw.Session(model, image, target=1).problem
    walk = PathWalk(problem, torch.zeros_like(image))
    for _ in walk.walk(33, 0.0):
        pass
    torch.testing.assert_close(explorer.result.values.double(), walk.values(), rtol=1e-4, atol=1e-5)
    curves = walk.curves()
    np.testing.assert_allclose(explorer.F, curves.F, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(explorer.C, curves.C, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(explorer.prob, curves.prob, rtol=1e-4, atol=1e-5)
    assert explorer.alphas == curves.alphas
    assert explorer.shown == "path/black"
    assert explorer.gaps["end"] == pytest.approx(abs(float(explorer.result.delta)), rel=1e-3, abs=1e-6)
    assert explorer.gaps["difference"] == pytest.approx(explorer.scores[1] - explorer.scores[0])
    assert explorer.result.target == 1
    assert explorer.results.keys() == {"path/black"}


def test_frames_and_total_hold_the_map(explorer: Any) -> None:
    wanted = explorer.result.values[0].sum(0).numpy()
    frames, total = frames_of(explorer), unpack_total(explorer.total_meta, explorer.total_map)
    assert frames.shape == (32, 24, 24)
    limit = np.abs(wanted).max()
    np.testing.assert_allclose(total, wanted, atol=limit / 1000)
    np.testing.assert_allclose(frames.sum(0), wanted, atol=limit / 50)
    edges = explorer.inc_meta["edges"]
    at = np.interp(edges, explorer.alphas, explorer.C)
    np.testing.assert_allclose(np.cumsum(frames.sum((1, 2))), at[1:], atol=0.02 * np.abs(explorer.C).max())
    kept = frames_of(explorer, "path/black")
    np.testing.assert_allclose(kept.sum(0), wanted, atol=limit / 8)
    assert len(kept) == 16


def test_a_linear_model_has_no_gap_at_two_nodes(explore: Explore) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 5)).eval()
    widget = explore(model, colourful_images(), target=2, steps=2, tolerance=0.0)
    assert widget.alphas == [0, 1]
    assert widget.gaps["end"] < 1e-5
    assert widget.gaps["max"] < 1e-5
    assert frames_of(widget).shape[0] == 1


def test_the_real_network_adds_up(explore: Explore, cifar: Any) -> None:
    widget = explore(cifar.model, cifar.images[:1], target=int(cifar.labels[0]))
    gaps = widget.gaps
    wide = max(gaps["end"], gaps["max"]) > 0.05 * abs(gaps["difference"])
    assert wide == ("gap" in {notice["code"] for notice in widget.notices})
    assert widget.result.evaluations["gradient"] == len(widget.alphas)
    again = xw.attribute(
        cifar.model, cifar.images[:1], target=int(cifar.labels[0]), baseline=widget._runs.of(
            widget._published_question, widget._gallery["black"], "path"
        ).walk.start, rule="trapezoid", steps=len(widget.alphas),
    )  # fmt: skip
    torch.testing.assert_close(widget.result.values, again.values, rtol=1e-3, atol=1e-4)
    ask(widget, parameters={"steps": 257, "tolerance": 0.0})
    assert widget.gaps["max"] < gaps["max"]


def test_the_first_picture_costs_nine_evaluations(
    explore: Explore, example: Example, recorded: list[RecordingComm]
) -> None:
    widget = explore(example.model, example.images[:1], batch_size=1, tolerance=0.0)
    line = widget.comm
    first = next(state for state in line.updates() if state.get("alphas"))
    assert first["facts"]["evaluations"]["gradient"] == 9
    assert first["status"] == "partial"
    assert len(first["alphas"]) == 9
    lengths = [len(state["alphas"]) for state in line.updates() if state.get("alphas")]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 65
    assert widget.result.evaluations["gradient"] == 65


def test_more_steps_pay_only_for_the_new_ones(explorer: Any, model: Colourful) -> None:
    rows = model.rows
    ask(explorer, parameters={"steps": 65, "tolerance": 0.0, "samples": 128})
    assert model.rows - rows == 32
    assert len(explorer.alphas) == 65
    rows = model.rows
    ask(explorer, parameters={"steps": 17, "tolerance": 0.0, "samples": 128})
    assert model.rows == rows
    assert explorer.status == "ready"


def test_going_back_costs_nothing(explorer: Any, model: Colourful) -> None:
    first, asked = explorer.increments, explorer.asked
    explorer.baseline_id = "white"
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/white"
    assert explorer.params["baseline"] == "white"
    ask(explorer, target=3)
    assert explorer.asked == asked + 1
    assert explorer.archive.keys() == {"path/white"}
    assert status_of(explorer, "black") == "new"
    rows = model.rows
    ask(explorer, target=1)
    ask(explorer, baseline="black")
    assert model.rows == rows
    assert explorer.increments == first
    assert explorer.archive.keys() == {"path/black", "path/white"}
    assert explorer.asked == asked + 2
    assert status_of(explorer, "black") == status_of(explorer, "white") == "ready"


def test_refining_splits_the_worst_cells(explorer: Any, model: Colourful) -> None:
    before, rows = explorer.gaps, model.rows
    explorer.refine(8).wait(PATIENCE)
    assert len(explorer.alphas) == 41
    assert model.rows - rows == 8
    assert explorer.gaps["local_sum"] < before["local_sum"]
    tell(explorer, type="refine")
    explorer.wait(PATIENCE)
    assert len(explorer.alphas) == 49
    assert explorer.status == "ready"
    with pytest.raises(xw.ExplainError):
        explorer.refine(0)


def test_comparing_computes_the_others_and_goes_on_showing_this_one(
    explorer: Any, recorded: list[RecordingComm]
) -> None:
    seq, shown = explorer.seq, explorer.increments
    tell(explorer, type="compare")
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/black"
    assert explorer.increments == shown
    assert explorer.seq == seq
    assert explorer.status == "ready"
    assert explorer.archive.keys() == {f"path/{entry['id']}" for entry in explorer.baselines}
    assert all(entry["status"]["path"] == "ready" and entry["gap"]["path"] >= 0 for entry in explorer.baselines)
    for key, attribution in explorer.results.items():
        total = unpack_total(explorer.archive[key]["total_meta"], explorer.archive[key]["total_map"])
        wanted = attribution.values[0].sum(0).numpy()
        np.testing.assert_allclose(total, wanted, atol=np.abs(wanted).max() / 100)


def test_cancel_keeps_what_there_is(explore: Explore, model: Colourful) -> None:
    entered, seen = threading.Event(), threading.Semaphore(0)

    def slow(images: torch.Tensor) -> torch.Tensor:
        entered.set()
        assert seen.acquire(timeout=PATIENCE)
        return model(images)

    widget = explore(slow, colourful_images(), target=1, batch_size=1, tolerance=0.0, wait=False)
    with expecting(widget, "alphas", lambda alphas: len(alphas) >= 9):
        seen.release(12)
    widget.cancel()
    seen.release(3)
    widget.wait(PATIENCE)
    assert widget.status == "cancelled"
    drawn = len(widget.alphas)
    assert 9 <= drawn < 65
    assert widget.increments
    assert status_of(widget, "black") == "new"
    assert widget.archive == {}
    seen.release(1000)
    widget.run().wait(PATIENCE)
    assert widget.result.evaluations["gradient"] == len(widget.alphas) == 65
    assert status_of(widget, "black") == "ready"


def test_cancel_takes_less_than_a_third_of_a_second(explore: Explore, model: Colourful) -> None:
    entered = threading.Event()

    def slow(images: torch.Tensor) -> torch.Tensor:
        entered.set()
        time.sleep(0.02 * len(images))
        return model(images)

    widget = explore(slow, colourful_images(), target=1, batch_size=2, steps=1025, tolerance=0.0, wait=False)
    assert entered.wait(PATIENCE)
    started = time.monotonic()
    widget.cancel()
    widget.wait(PATIENCE)
    assert time.monotonic() - started < 0.3
    assert widget.status == "cancelled"


def test_an_error_keeps_every_run(explorer: Any, model: Colourful) -> None:
    before = (explorer.increments, explorer.archive, explorer.seq, explorer.caption)
    model.fail = True
    ask(explorer, baseline="white")
    assert explorer.status == "error"
    assert explorer.error["code"] == "forward_failed"
    assert status_of(explorer, "white") == "failed"
    assert (explorer.increments, explorer.archive, explorer.seq, explorer.caption) == before
    tell(explorer, type="compare")
    with pytest.raises(xw.ExplainError):
        explorer.wait(PATIENCE)
    assert explorer.archive == before[1]
    model.fail = False
    explorer.run().wait(PATIENCE)
    assert explorer.status == "ready"
    assert explorer.error == {}
    assert status_of(explorer, "white") == "ready"


def test_a_model_that_was_trained_on_is_asked_again(explorer: Any, model: Colourful) -> None:
    before, asked = explorer.F, explorer.asked
    with torch.no_grad():
        model.last.weight.mul_(-1.5)
    explorer.run().wait(PATIENCE)
    assert explorer.asked == asked + 1
    assert before != explorer.F
    assert explorer.archive.keys() == {"path/black"}


def test_no_numbers_are_explained(explore: Explore) -> None:
    def endless(images: torch.Tensor) -> torch.Tensor:
        return images.sum((1, 2, 3)) + torch.where(images.mean((1, 2, 3)) < 0.05, torch.inf, 0.0)

    widget = explore(endless, colourful_images(), baselines=["zeros", 0.1], wait=False)
    with pytest.raises(xw.ExplainError, match="NaN or infinite"):
        widget.wait(PATIENCE)
    assert "at a baseline" in widget.error["hint"]
    assert status_of(widget, "zeros") == "failed"
    ask(widget, baseline="0.1")
    assert widget.status == "ready"
    widget.compare()
    with pytest.raises(xw.ExplainError, match="NaN or infinite"):
        widget.wait(PATIENCE)
    assert widget.shown == "path/0.1"


# --- distributions ---------------------------------------------------------------------------------------------------


def test_a_distribution_is_expected_gradients(explore: Explore, model: Colourful) -> None:
    image = colourful_images()
    widget = explore(model, image, target=1, baselines=["uniform"], mode="distribution", samples=48)
    expected = xw.attribute(
        model, image, target=1, method="expected_gradients", baseline=xw.baselines.Uniform(48), samples=48
    )
    torch.testing.assert_close(widget.result.values, expected.values, rtol=1e-4, atol=1e-5)
    assert widget.shown == "distribution/uniform"
    assert widget.gaps["end"] == pytest.approx(abs(float(expected.delta)), abs=1e-3)
    assert widget.alphas == list(range(1, 49))
    assert widget.prob == []
    assert widget.inc_meta["edges"][0] == 0
    assert widget.inc_meta["edges"][-1] == 48
    frames = frames_of(widget)
    total = unpack_total(widget.total_meta, widget.total_map)
    np.testing.assert_allclose(frames.sum(0) / 48, total, atol=np.abs(total).max() / 20)
    assert widget.facts["ref_size"] == [24, 24]
    assert len(widget.facts["ref_alphas"]) == widget.inc_meta["K"]
    rows = model.rows
    ask(widget, parameters={"samples": 16})
    assert model.rows > rows
    assert widget.alphas == list(range(1, 17))


def test_smoothgrad_times_input_promises_no_sum(explore: Explore, model: Colourful) -> None:
    widget = explore(model, colourful_images(), target=1, baselines=["smoothgrad"], mode="distribution", samples=32)
    assert widget.question["method_title"] == "SmoothGrad × input"
    assert widget.result.delta is None
    assert widget.baselines[0]["gap"] == {"distribution": None}
    assert not {notice["code"] for notice in widget.notices} & {"gap", "same_score"}
    assert "Completeness" not in widget.caption


def test_another_mode_finds_a_baseline_that_has_it(explorer: Any) -> None:
    explorer.mode = "distribution"
    explorer.wait(PATIENCE)
    assert explorer.baseline_id == explorer.params["baseline"] == "gaussian"
    assert explorer.shown == "distribution/gaussian"
    with pytest.raises(xw.ExplainError, match="Only a path"):
        explorer.refine().wait(PATIENCE)
    assert explorer.shown == "distribution/gaussian"
    ask(explorer, mode="path", baseline="black")
    assert explorer.mode == "path"
    assert explorer.baseline_id == "black"


def test_a_mode_without_a_baseline_gets_one(explore: Explore, model: Colourful) -> None:
    widget = explore(model, colourful_images(), target=1, baselines=["black"], mode="distribution", samples=16)
    assert widget.shown == "distribution/uniform"
    assert [entry["id"] for entry in widget.baselines] == ["black", "uniform"]


# --- baselines on request --------------------------------------------------------------------------------------------


def test_a_page_adds_a_baseline(explorer: Any) -> None:
    write(explorer, baseline_request={"kind": "blur", "params": {"sigma": 2}, "n": 1})
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/blur:sigma=2"
    assert explorer.baseline_id == explorer.params["baseline"] == "blur:sigma=2"
    assert "image" in explorer.baseline_data["blur:sigma=2"]
    count = len(explorer.baselines)
    write(explorer, baseline_request={"kind": "blur", "params": {"sigma": 2}, "n": 2})
    explorer.wait(PATIENCE)
    assert len(explorer.baselines) == count
    write(explorer, baseline_request={"kind": "pixel", "params": {"x": 3, "y": 5}, "n": 3})
    explorer.wait(PATIENCE)
    start = explorer._runs.of(explorer._published_question, explorer._gallery["pixel:x=3:y=5"], "path").walk.start
    image = colourful_images()
    torch.testing.assert_close(start, image[:, :, 5:6, 3:4].expand_as(image), rtol=0, atol=0)


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "nope"}, {"kind": None}, {"kind": ["blur"]}, {"kind": "dataset"}, {"kind": "image"}, {"kind": "given"},
        {"kind": "mask"}, {"kind": "__class__"},
        {"kind": "blur", "params": {"sigma": 0}}, {"kind": "blur", "params": {"sigma": 1e9}},
        {"kind": "blur", "params": {"sigma": "5"}}, {"kind": "blur", "params": {"sigma": True}},
        {"kind": "blur", "params": {"sgima": 5}}, {"kind": "blur", "params": [5]}, {"kind": "blur", "params": "sigma"},
        {"kind": "gaussian", "params": {"seed": 1.5}}, {"kind": "gaussian", "params": {"seed": -1}},
        {"kind": "colour"}, {"kind": "colour", "params": {"colour": "red"}},
        {"kind": "colour", "params": {"colour": "#12345g"}}, {"kind": "colour", "params": {"colour": 7}},
        {"kind": "colour", "params": {"colour": "#123456\n<script>"}},
        {"kind": "pixel", "params": {"x": 24, "y": 0}}, {"kind": "pixel", "params": {"x": -1, "y": 0}},
        {"n": 5},
    ],
    ids=named,
)  # fmt: skip
def test_requests_that_make_no_sense_are_refused(quick: Any, model: Colourful, request_: dict[str, Any]) -> None:
    before, rows = (quick.baselines, quick.params, quick.increments), model.rows
    write(quick, baseline_request={"n": 1, **request_})
    quick.wait(PATIENCE)
    assert quick.error["code"]
    assert quick.error["hint"]
    assert (quick.baselines, quick.params, quick.increments) == before
    assert model.rows == rows
    quick.run().wait(PATIENCE)
    assert quick.error == {}


def test_an_explorer_does_not_hold_any_number_of_baselines(explorer: Any) -> None:
    for seed in range(18):
        explorer.add_baseline("uniform", seed=seed)
    with pytest.raises(xw.ExplainError, match="holds 24"):
        explorer.add_baseline("uniform", seed=18)
    explorer.cancel()
    explorer.wait(PATIENCE)
    assert len(explorer.baselines) == 24


def test_python_adds_baselines(explorer: Any) -> None:
    assert explorer.add_baseline("colour", colour="#FF0000") == "colour:colour=#ff0000"
    assert explorer.add_baseline(torch.full((3, 24, 24), 0.5)) == "given"
    assert explorer.add_baseline(torch.full((3, 24, 24), 0.25)) == "given-2"
    assert explorer.add_baseline({"kind": "gaussian", "sigma": 0.1, "seed": 4}) == "gaussian:sigma=0.1:seed=4"
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/gaussian:sigma=0.1:seed=4"
    assert explorer.question["baseline_title"] == "Gaussian noise, σ 0.1, seed 4"


# --- what a page may ask ---------------------------------------------------------------------------------------------

GOOD = {"input": 0, "target": 1, "foil": None, "method": "", "mode": "path", "baseline": "black", "parameters": {}}


@pytest.mark.parametrize(
    "bad",
    [
        {"target": 5}, {"target": "1"}, {"target": False}, {"foil": 99}, {"foil": {}},
        {"mode": "teleport"}, {"mode": None}, {"mode": ["path"]}, {"baseline": "nope"}, {"baseline": None}, {"baseline": ["black"]},
        {"parameters": {"steps": 1}}, {"parameters": {"steps": 10**9}}, {"parameters": {"steps": 9.5}},
        {"parameters": {"steps": True}}, {"parameters": {"tolerance": -1}}, {"parameters": {"tolerance": "0"}},
        {"parameters": {"samples": 10**6}}, {"parameters": "steps"}, {"parameters": [1]},
    ],
    ids=named,
)  # fmt: skip
def test_what_a_page_may_not_ask_is_refused(quick: Any, model: Colourful, bad: dict[str, Any]) -> None:
    before, rows = (quick.increments, quick.archive, quick.seq), model.rows
    write(quick, params=GOOD | bad, request_id=1)
    with pytest.raises(xw.ExplainError) as caught:
        quick.wait(PATIENCE)
    assert quick.status == "error"
    assert quick.error["code"] == caught.value.code
    assert quick.result_id == 1
    assert model.rows == rows
    assert (quick.increments, quick.archive, quick.seq) == before
    write(quick, params=GOOD, request_id=2)
    quick.wait(PATIENCE)
    assert quick.status == "ready"


@pytest.mark.parametrize(
    "state",
    [
        {"alpha": -0.1}, {"alpha": 1.5}, {"alpha": float("nan")}, {"window": [0.5, 0.2]}, {"window": [0]},
        {"window": ["a", 1]}, {"window": [0, 2]}, {"frame_scale": "huge"}, {"cumulative": "x"}, {"mode": "teleport"},
        {"baseline_id": "nope"}, {"display": {"clip": 0}}, {"display": {"sign": "neither"}}, {"display": {"blind": 1}},
        {"display": {"evil": 1}}, {"display": {"clip": True}},
    ],
    ids=named,
)  # fmt: skip
def test_settings_are_checked(quick: Any, state: dict[str, Any]) -> None:
    name, value = next(iter(state.items()))
    before = getattr(quick, name)
    with pytest.raises(traitlets.TraitError):
        setattr(quick, name, value)
    assert getattr(quick, name) == before


def test_settings_of_the_reader_cost_nothing_and_ask_nothing(explorer: Any, model: Colourful) -> None:
    rows, started = model.rows, explorer._job.started
    write(
        explorer, alpha=0.25, window=[0.1, 0.6], frame_scale="each", cumulative="running_mean",
        display={"sign": "absolute", "clip": 98, "blind": True, "disagreement": True},
    )  # fmt: skip
    explorer.wait(PATIENCE)
    assert (explorer.alpha, explorer.window, explorer.frame_scale) == (0.25, [0.1, 0.6], "each")
    assert model.rows == rows
    assert explorer._job.started == started


def test_what_rides_along_with_a_request_is_followed(explorer: Any, model: Colourful) -> None:
    """The page shows a finished run by itself, and says so with its next request."""
    explorer.compare().wait(PATIENCE)
    rows = model.rows
    write(explorer, baseline_id="white", params=explorer.params | {"baseline": "white"})
    tell(explorer, type="refine")
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/white"
    assert model.rows - rows == 8
    write(explorer, baseline_id="blur", mode="path")
    explorer.wait(PATIENCE)
    assert explorer.shown == "path/blur"
    assert explorer.params["baseline"] == "blur"
    assert model.rows - rows == 8


def test_a_burst_of_requests_runs_few(explorer: Any, model: Colourful) -> None:
    started = explorer._job.started
    with model.blocked():
        for number in range(30):
            write(explorer, params=explorer.params | {"target": 2 + number % 2}, request_id=number + 1)
        assert model.entered.wait(PATIENCE)
    explorer.wait(PATIENCE)
    assert explorer._job.started - started <= 3
    assert explorer.result_id == 30
    assert explorer.question["target"] == 3


def test_unknown_messages_change_nothing(explorer: Any) -> None:
    before = explorer.get_state()
    for content in ({"type": "exec"}, {}, {"type": ["refine"]}, {"type": "_figure"}):
        tell(explorer, **content)
    assert explorer.get_state() == before


def test_the_walks_of_old_runs_make_room(explore: Explore, model: Colourful, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.path.runs.NODE_BYTES", 2 * 33 * 3 * 24 * 24 * 4)
    widget = explore(model, colourful_images(), target=1, steps=33, tolerance=0.0)
    widget.compare().wait(PATIENCE)
    table = widget._runs.table(widget._published_question)
    assert sum(run.walk is not None for run in table.values()) <= 2
    assert len(widget.results) == len(widget.archive) == 6
    rows, first = model.rows, widget.results["path/black"]
    ask(widget, baseline="black")
    assert model.rows == rows
    assert widget.result is first
    widget.refine(4).wait(PATIENCE)  # its nodes are gone: it is walked again
    assert len(widget.alphas) == 37


def test_masks_say_where_no_credit_can_be(explorer: Any) -> None:
    image = colourful_images()
    for entry in explorer.baselines:
        mask = np.unpackbits(np.frombuffer(zlib.decompress(explorer.baseline_data[entry["id"]]["blind"]), np.uint8))
        mask = mask[: 24 * 24].reshape(24, 24).astype(bool)
        assert entry["blind"] == pytest.approx(mask.mean())
        start = explorer._subject.starts(None, explorer._gallery[entry["id"]], "path", 1)[0]
        span = float(image.max() - image.min())
        np.testing.assert_array_equal(mask, ((image - start).abs().amax(1)[0] < 0.02 * span).numpy())
