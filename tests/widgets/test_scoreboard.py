"""The scoreboard on a small network: what is computed, sent, kept, refused."""

import gc
import json
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from numpy.typing import NDArray
from pages import PATIENCE, Colourful, Elements, RecordingComm, colourful_images, expecting, tell, write
from scipy.stats import spearmanr

import xaiwidgets as xw
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.metrics.registry import METRICS as KNOWN
from xaiwidgets.metrics.result import Curve, Result
from xaiwidgets.widgets.board.agreement import agreement_of
from xaiwidgets.widgets.board.pack import Curves, pack_maps
from xaiwidgets.widgets.compare import compare as compare_methods

Compare = Callable[..., Any]
METHODS = ("saliency", "input_x_gradient")
METRICS = (("deletion", {"steps": 5}), ("insertion", {"steps": 5}))
NAMES = ["cat", "dog", "<b>bird</b>", "fish", "none"]


@pytest.fixture
def compare() -> Iterator[Compare]:
    """`compare` for the test; what it makes is closed afterwards."""
    made = []

    def make(*args: Any, wait: bool = True, **kwargs: Any) -> Any:
        widget = compare_methods(*args, **{"metrics": METRICS, "labels": NAMES, **kwargs})
        made.append(widget)
        return widget.wait(PATIENCE) if wait else widget

    yield make
    for widget in made:
        widget.close()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return colourful_images(3)


def unpacked(widget: Any) -> dict[str, list[NDArray[np.float64]]]:
    """The maps as the page has them."""
    stored = np.frombuffer(zlib.decompress(widget.map_data), np.int8)
    found = {}
    for key, one in widget.maps["entries"].items():
        at, maps = one["offset"], []
        for (height, width), scale in zip(widget.maps["shapes"], one["scales"], strict=True):
            count = height * width
            maps.append(stored[at : at + count].reshape(height, width) * scale)
            at += count
        found[key] = maps
    return found


def lines(widget: Any) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The curves [1 + inputs, points] as the page has them, by entry and name."""
    raw = zlib.decompress(widget.curve_data)
    found = {}
    for info in widget.curves:
        count = (1 + info["inputs"]) * len(info["x"])
        values = np.frombuffer(raw, "<f2", count=count, offset=info["offset"]).astype(np.float64) * info["scale"]
        found[info["entry"], info["name"]] = values.reshape(1 + info["inputs"], -1)
    return found


def test_the_cells_are_what_evaluate_gives(compare: Compare, images: torch.Tensor) -> None:
    model = Colourful()
    widget = compare(model, images, METHODS)
    with torch.no_grad():
        target = model(images).argmax(1)
    expected = xw.evaluate(model, images, METHODS, target=target, metrics=METRICS, controls=True)
    assert list(widget.cells) == ["saliency", "input_x_gradient", "random", "edges"] == list(expected)
    for key, row in expected.items():
        for name, result in row.items():
            cell = widget.cells[key][name]
            assert cell["value"] == pytest.approx(float(result), rel=1e-5)
            assert cell["values"] == pytest.approx(result.values.tolist(), rel=1e-5)
            assert cell["interval"] == pytest.approx(result.interval, rel=1e-5)
            assert cell["final"]
            assert not cell["error"]
    assert [entry["kind"] for entry in widget.entries] == ["method", "method", "control", "control"]
    assert [(one["name"], one["direction"]) for one in widget.columns] == [
        ("deletion", "lower"),
        ("insertion", "higher"),
    ]
    assert all(one["tells"] and one["cannot"] and one["reference"] for one in widget.columns)
    assert [one["target"] for one in widget.inputs] == target.tolist()
    assert {one["target_label"] for one in widget.inputs} <= set(NAMES)
    assert widget.status == "ready"
    assert json.dumps([widget.cells, widget.entries, widget.columns, widget.curves, widget.agreement], allow_nan=False)


def test_the_maps_are_sums_over_channels(compare: Compare, images: torch.Tensor) -> None:
    widget = compare(Colourful(), images, METHODS)
    for key, maps in unpacked(widget).items():
        exact = widget.result.maps[key].double().sum(1).numpy()
        for row, found in enumerate(maps):
            assert np.abs(found - exact[row]).max() <= np.abs(exact[row]).max() / 127 / 2 * 1.001
    assert widget.maps["pool"] == 1
    signed = {entry["key"]: entry["signed"] for entry in widget.entries}
    assert signed == {"saliency": False, "input_x_gradient": True, "random": True, "edges": False}


def test_large_maps_are_pooled_by_sums() -> None:
    values = np.random.default_rng(0).normal(size=(300, 280))
    info, data = pack_maps({str(number): [values] for number in range(40)})
    assert info["pool"] == 3
    height, width = info["shapes"][0]
    assert (height, width) == (100, 94)
    stored = np.frombuffer(zlib.decompress(data), np.int8)[: height * width].reshape(height, width)
    assert stored[3, 5] * info["entries"]["0"]["scales"][0] == pytest.approx(values[9:12, 15:18].sum(), abs=0.1)


def test_curves_are_stored_once_for_all_metrics_that_hold_them(compare: Compare, images: torch.Tensor) -> None:
    fill = {"steps": 5, "fill": "zeros"}
    widget = compare(Colourful(), images, METHODS, controls=False, metrics=(("deletion", fill), ("insertion", fill)))
    assert [(one["entry"], one["name"], one["columns"]) for one in widget.curves] == [
        (key, name, ["deletion", "insertion"]) for key in METHODS for name in ("deletion", "insertion")
    ]
    for (key, name), values in lines(widget).items():
        curve = widget.result[key]["deletion"].curves[name]
        assert values[0] == pytest.approx(curve.mean.numpy(), abs=2e-3)
        assert values[1:] == pytest.approx(curve.values.numpy(), abs=2e-3)
    low, high = widget.result["saliency"]["deletion"].curves["deletion"].band()
    assert widget.curves[0]["low"] == pytest.approx(low.tolist(), rel=1e-4)
    assert widget.curves[0]["high"] == pytest.approx(high.tolist(), rel=1e-4)


def test_packing_again_makes_only_what_is_new(compare: Compare, images: torch.Tensor) -> None:
    result = compare(Colourful(), images, METHODS).result
    curves = Curves(24)
    first = curves.pack(result)
    made = dict(curves._made)
    assert curves.pack(result) == first
    assert all(curves._made[key][1] is one[1] for key, one in made.items())


def test_agreement_is_spearmans() -> None:
    generator = np.random.default_rng(1)
    fields = {key: [np.round(generator.normal(size=(5, 6)), 1) for _ in range(3)] for key in "abc"}
    fields["flat"] = [np.ones((5, 6))] * 3
    found = agreement_of(fields, 2)
    assert found["keys"] == ["a", "b", "c", "flat"]
    assert len(found["each"]) == 2
    exact = [spearmanr(fields["a"][row].ravel(), fields["b"][row].ravel()).statistic for row in range(3)]
    assert [found["each"][row][0][1] for row in range(2)] == pytest.approx(exact[:2], abs=1e-3)
    assert found["mean"][0][1] == found["mean"][1][0] == pytest.approx(np.mean(exact), abs=1e-3)
    assert found["mean"][2][2] == 1.0
    assert found["mean"][3] == [None] * 4


def test_cells_fill_while_it_runs(compare: Compare, images: torch.Tensor) -> None:
    model = Colourful()
    with model.blocked():
        widget = compare(model, images, METHODS, wait=False)
        comm = RecordingComm()
        widget.comm = comm
        assert widget.status in ("queued", "running")
        assert widget.cells == {}
    widget.wait(PATIENCE)
    counts = [sum(map(len, state["cells"].values())) for state in comm.updates() if "cells" in state]
    assert counts == sorted(counts)
    assert counts[-1] == 8
    assert widget.progress == {}
    phases = [state["progress"].get("phase") for state in comm.updates() if state.get("progress")]
    assert all(phases)


def test_cancel_keeps_what_is_there(compare: Compare, images: torch.Tensor) -> None:
    model = Colourful()
    widget = compare(model, images, METHODS)
    assert len(widget.cells["saliency"]) == 2
    before = widget.cells
    with model.blocked():
        widget.run()
        assert model.entered.wait(PATIENCE)
        with expecting(widget, "status", lambda status: status == "cancelled"):
            tell(widget, type="cancel")
            model.go.set()
    assert widget.cells == before
    assert widget.result is not None
    tell(widget, type="run")
    widget.wait(PATIENCE)
    assert widget.status == "ready"


def test_a_failing_method_is_said_in_its_row(compare: Compare, images: torch.Tensor, monkeypatch: Any) -> None:
    broken = torch.full((3, 3, 24, 24), float("nan"))
    with pytest.raises(InputError):
        compare(Colourful(), images, {"mine": broken})
    from xaiwidgets.metrics.registry import METRICS as KNOWN

    def fails(case: Any) -> Iterator[Any]:
        raise RuntimeError(f"no <b>luck</b> with {case.name}")
        yield

    monkeypatch.setitem(vars(KNOWN["sparseness"]), "run", fails)
    widget = compare(Colourful(), images, METHODS, metrics=("sparseness", "complexity"))
    assert widget.status == "ready"
    assert all("luck" in row["sparseness"]["error"]["title"] for row in widget.cells.values())
    assert widget.cells["saliency"]["sparseness"]["value"] is None
    assert widget.cells["saliency"]["complexity"]["value"] > 0
    assert "failed" in [notice["code"] for notice in widget.notices]


def test_what_cannot_be_asked_is_refused_before_any_work(images: torch.Tensor) -> None:
    model = Colourful()
    for change, code in (
        ({"methods": ["salience"]}, "unknown_method"),
        ({"metrics": ["deletions"]}, "unknown_metric"),
        ({"metrics": ["pointing_game"]}, "no_mask"),
        ({"methods": {"mine": images}, "metrics": ["max_sensitivity"]}, None),
    ):
        asked: dict[str, Any] = {"methods": METHODS, **change}
        with pytest.raises((ParameterError, InputError)) as refused:
            compare_methods(model, images, **asked)
        assert code in (None, refused.value.code)
    assert model.rows == 0


def test_the_defaults_are_what_can_be_asked(compare: Compare) -> None:
    model = Colourful()
    image = colourful_images(1)[0]
    widget = compare(model.forward, image, {"mine": torch.rand(1, 1, 24, 24)}, metrics=None)
    assert [one["name"] for one in widget.columns] == ["deletion", "insertion", "infidelity"]
    assert widget.entries[0]["kind"] == "given"
    assert widget.rows == 1
    assert "one_input" in [notice["code"] for notice in widget.notices]
    assert widget.cells["mine"]["deletion"]["interval"] is None


def test_an_evaluation_is_shown_without_its_model(tmp_path: Any, images: torch.Tensor) -> None:
    result = xw.evaluate(Colourful(), images, METHODS, target=1, metrics=METRICS)
    result.save(tmp_path / "board.safetensors")
    widget = xw.Scoreboard(xw.Evaluation.load(tmp_path / "board.safetensors"), inputs=images, labels=NAMES).wait(
        PATIENCE
    )
    assert [one["target_label"] for one in widget.inputs] == ["dog"] * 3
    assert len(widget.pictures) == 3
    assert widget.cells["saliency"]["deletion"]["value"] == pytest.approx(
        float(result["saliency"]["deletion"]), rel=1e-5
    )
    assert widget.frame().loc["saliency", "deletion"] == pytest.approx(float(result["saliency"]["deletion"]))
    widget.close()
    bare = xw.Scoreboard(result).wait(PATIENCE)
    assert bare.pictures == {}
    assert set(unpacked(bare)) == set(METHODS)
    assert bare.inputs[0]["label"] == "input 1"
    bare.close()
    with pytest.raises(InputError, match="no evaluation"):
        xw.Scoreboard()


def test_the_reader_picks_and_the_kernel_checks(compare: Compare, images: torch.Tensor) -> None:
    widget = compare(Colourful(), images, METHODS)
    write(widget, selection=["edges", "saliency", "edges"])
    assert widget.selection == ["edges", "saliency"]
    with pytest.raises(traitlets.TraitError, match="not compared"):
        widget.selection = ["lime"]
    write(widget, display={"scale": "own"}, input=2, tab="curves", sort={"by": "deletion", "reverse": True})
    assert widget.display["sign"] == "both"
    for wrong in ({"scale": "huge"}, {"clip": float("nan")}, {"colour": "red"}):
        with pytest.raises(traitlets.TraitError):
            widget.display = wrong


def test_the_figure_has_no_script_and_no_foreign_markup(compare: Compare, images: torch.Tensor) -> None:
    widget = compare(Colourful(), images, {"<script>alert(1)</script>": "saliency", "plain": "input_x_gradient"})
    figure = widget._figure()
    elements = Elements(figure)
    assert {name for name, _ in elements.elements} <= {
        "figure", "figcaption", "table", "tr", "th", "td", "b", "i", "small", "div", "img", "br", "p",
    }  # fmt: skip
    assert "<script>alert(1)</script>" in elements.text
    assert figure == widget._figure()
    assert sum(name == "img" for name, _ in elements.elements) == 5
    assert "Deletion ↓" in elements.text
    page = widget.to_html()
    assert "<script>alert(1)" not in page
    assert widget.freeze().data == figure
    assert "2 explanations of 3 inputs by 2 tests" in repr(widget)
    assert "Deletion (lower is better)" in widget.caption


def test_a_saved_notebook_stays_small() -> None:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    images = noise(8, 3, 32, 32).float()
    maps = {f"map {number}": torch.randn(8, 3, 32, 32, generator=generator) for number in range(10)}
    measured = xw.evaluate(Colourful(), images, maps, target=0, metrics=("sparseness",), controls=True)
    share = torch.linspace(0, 1, 33)
    results = {}
    for key in measured:
        curves = {name: Curve(share, noise(8, 33), "share", "probability") for name in ("deletion", "insertion")}
        layers = {name: Curve(torch.arange(20.0), noise(8, 20)) for name in ("rank", "rank_absolute", "ssim", "output")}
        results[key] = {
            "deletion": Result(noise(8), metric="deletion", curves=curves),
            "insertion": Result(noise(8), metric="insertion", curves={name: curves[name] for name in reversed(curves)}),
            "model_randomisation": Result(noise(8), metric="model_randomisation", curves=layers),
            **measured[key],
        }
    about = {name: {**KNOWN[name].schema(), "parameters": {}, "metric": name} for name in results["random"]}
    widget = xw.Scoreboard(xw.Evaluation(measured.entries, about, results, rows=8), inputs=images).wait(PATIENCE)
    assert len(widget.curves) == 12 * 6
    state = json.dumps(widget.static_state(), default=lambda value: "x" * (4 * len(value) // 3))
    assert 200_000 < len(state) + len(widget._figure()) < 600_000
    widget.close()


def test_more_inputs_than_are_shown(compare: Compare) -> None:
    images = colourful_images(26, side=8)
    widget = compare(Colourful(), images, METHODS, metrics=(("deletion", {"steps": 5}),), controls=False)
    assert (widget.rows, len(widget.inputs), len(widget.pictures)) == (26, 24, 24)
    assert len(widget.cells["saliency"]["deletion"]["values"]) == 26
    assert len(widget.agreement["each"]) == 24
    assert all(info["inputs"] == 24 for info in widget.curves)
    assert "shown" in [notice["code"] for notice in widget.notices]


def test_rows_of_numbers_are_shown_as_words(compare: Compare) -> None:
    torch.manual_seed(0)
    widget = compare(torch.nn.Linear(4, 2).eval(), torch.rand(3, 4), METHODS, labels=None)
    assert widget.medium == "text"
    assert widget.tokens == [["1", "2", "3", "4"]] * 3
    assert [len(maps) for maps in unpacked(widget).values()] == [3, 3, 3]
    assert widget.maps["shapes"] == [[1, 4]] * 3


def test_closing_lets_go_of_the_model(compare: Compare, images: torch.Tensor) -> None:
    model = Colourful()
    widget = compare(model, images, METHODS)
    gone = weakref.ref(model)
    widget.close()
    del model
    gc.collect()
    assert gone() is None
