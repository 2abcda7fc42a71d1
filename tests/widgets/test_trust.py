"""The Trust drawer of a heatmap: what arrives in which order, what it says, and how it is stopped."""

import io
import json
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pages import PATIENCE, Colourful, RecordingComm, ask, colourful_images, expecting, tell, write
from PIL import Image
from scipy.integrate import trapezoid
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.live.assets import parts
from xaiwidgets.live.notebook import convert
from xaiwidgets.widgets.frontend import core

Make = Callable[..., Any]
TARGET = 1
LABELS = ["ant", "<b>bee</b>", "cat"]


def plain(side: int = 8) -> nn.Module:
    """A small seeded network that can be copied."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * side * side, 3)
        ).eval()  # fmt: skip


def plain_images(count: int = 1, side: int = 8) -> Tensor:
    return colourful_images(count, side)


@pytest.fixture
def tested(make: Make) -> Any:
    """One small image, explained and tested."""
    widget = make(plain(), plain_images(), labels=LABELS, method="input_x_gradient", target=TARGET)
    widget.test().tested(PATIENCE)
    return widget


def curve_by_hand(model: nn.Module, image: Tensor, order: list[int], kind: str, fill: Tensor) -> list[float]:
    """The probability with the first k of all pixels gone, or with nothing else there, for k = 0, 1, …, all."""
    found = []
    for count in range(len(order) + 1):
        gone = torch.zeros(image[0, 0].numel(), dtype=torch.bool)
        gone[order[:count] if kind == "deletion" else order[count:]] = True
        points = torch.where(gone.reshape(image.shape[2:]), fill, image)
        found.append(float(model(points).softmax(1)[0, TARGET].detach()))
    return found


def test_the_curves_are_those_of_a_loop(tested: Any) -> None:
    model, image = plain(), plain_images()
    importance = tested.result.values[0].sum(0).flatten()
    order = importance.argsort(descending=True).tolist()
    blur = xw.baselines.Blur().draw(image)[0]
    for kind, fill in (("deletion", torch.zeros_like(image)), ("insertion", blur)):
        line = tested.trust["curves"][kind]["map"]
        whole = curve_by_hand(model, image, order, kind, fill)
        places = np.array(line["x"]) * 64
        assert places == pytest.approx(np.round(places))
        assert len(places) == 33
        assert line["y"] == pytest.approx([whole[round(place)] for place in places], abs=2e-5)
        assert line["area"] == pytest.approx(float(trapezoid(line["y"], line["x"])), abs=1e-4)
        assert (line["low"], line["high"], line["areas"], line["tries"]) == ([], [], None, 1)


def test_random_orders_make_a_band_and_an_edge_detector_is_held_against_the_map(tested: Any) -> None:
    for kind in ("deletion", "insertion"):
        lines = tested.trust["curves"][kind]
        random = lines["random"]
        assert random["tries"] == 16
        assert len(random["x"]) == 17
        low, y, high = (np.array(random[name]) for name in ("low", "y", "high"))
        assert (low <= y + 1e-6).all()
        assert (y <= high + 1e-6).all()
        assert (low < high)[1:-1].all()
        assert low[[0, -1]] == pytest.approx(high[[0, -1]], abs=1e-6)  # the ends are the same for all orders
        assert random["areas"][0] < random["area"] < random["areas"][1]
        assert lines["map"]["y"][0] == pytest.approx(random["y"][0], abs=1e-6)
        assert lines["edges"]["tries"] == 1
    image = plain_images()
    controls = {one["key"]: one for one in tested.trust["controls"]}
    assert list(controls) == ["map", "random", "edges", "randomised"]
    own = tested.result.values[0].sum(0).flatten().double()
    drawn = maps_of(tested.trust["controls"], tested.trust_data["maps"])
    assert drawn["map"] == pytest.approx(own.reshape(8, 8).numpy(), abs=float(own.abs().max()) / 200)
    for name, values in drawn.items():  # on one scale
        assert np.abs(values).sum() == pytest.approx(float(own.abs().sum()), rel=0.02), name
    (edge,) = xw.evaluate(plain(), image, "edges", target=0, metrics=("sparseness",)).maps.values()
    shape = np.abs(drawn["edges"] / np.abs(drawn["edges"]).max() - (edge[0, 0] / edge.max()).numpy())
    assert shape.max() < 0.01
    assert not controls["edges"]["signed"]
    assert controls["map"]["rank"] is None
    assert all(-1 <= controls[name]["rank"] <= 1 for name in ("random", "edges", "randomised"))


def maps_of(controls: list[dict[str, Any]], data: bytes) -> dict[str, np.ndarray]:
    """The maps of the controls as the page reads them."""
    raw, place, found = np.frombuffer(zlib.decompress(data), np.int8), 0, {}
    for one in controls:
        size = int(np.prod(one["shape"]))
        found[one["key"]] = raw[place : place + size].reshape(one["shape"]) * one["scale"]
        place += size
    assert place == len(raw)
    return found


def test_the_model_is_made_random_from_its_end_and_stays_as_it_was(make: Make) -> None:
    model, image = plain(), plain_images()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    widget = make(model, image, method="input_x_gradient")
    widget.test().tested(PATIENCE)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert all(one.requires_grad and one.grad is None for one in model.parameters())
    layers = widget.trust["layers"]
    assert layers["names"] == ["3", "0"]
    for name in ("rank", "rank_absolute", "ssim", "output"):
        assert len(layers[name]) == 2
    assert all(0 < moved <= 1 for moved in layers["output"])
    assert layers["shown"] == [0, 1]
    raw = zlib.decompress(widget.trust_data["layers"])
    assert len(raw) == 2 * 8 * 8
    assert layers["shape"] == [8, 8]
    assert len(layers["scales"]) == 2
    last = maps_of(widget.trust["controls"], widget.trust_data["maps"])["randomised"]
    assert np.frombuffer(raw, np.int8)[64:].reshape(8, 8) * layers["scales"][1] == pytest.approx(last, abs=1e-6)
    whole = xw.evaluate(
        model, image, "input_x_gradient", target=widget.question["target"], metrics=("model_randomisation",)
    )
    (result,) = whole["input_x_gradient"].values()
    assert widget.trust_result["model_randomisation"] == pytest.approx(float(result), abs=1e-6)


def test_the_pictures_lose_the_strongest_pixels_first(tested: Any) -> None:
    frames = tested.trust["frames"]
    assert frames == {"side": [8, 8], "shares": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}
    image = plain_images()[0]
    order = tested.result.values[0].sum(0).flatten().argsort(descending=True)
    pictures = {}
    for kind in ("deletion", "insertion"):
        strip = np.asarray(Image.open(io.BytesIO(tested.trust_data[kind])).convert("RGB"), np.int64)
        assert strip.shape == (8, 6 * 8, 3)
        pictures[kind] = strip.reshape(8, 6, 8, 3).transpose(1, 0, 2, 3)
    own = (image.permute(1, 2, 0) * 255).round().long().numpy()
    for kind, whole in (("deletion", 0), ("insertion", 5)):
        assert np.abs(pictures[kind][whole] - own).max() <= 1
    for place, share in enumerate(frames["shares"]):
        gone = order[: round(share * 64)]
        assert (pictures["deletion"][place].reshape(64, 3)[gone] == 0).all()
        kept = pictures["insertion"][place].reshape(64, 3)[gone]
        assert np.abs(kept - own.reshape(64, 3)[gone]).max(initial=0) <= 1


def test_what_comes_first_and_what_is_sent(make: Make, recorded: list[RecordingComm]) -> None:
    """Before a test nothing is sent of it; the map's own curves come first, the layers last."""
    widget = make(plain(), plain_images(), labels=LABELS)
    channel = next(one for one in recorded if one is widget.comm)
    assert not any("trust" in state for state in channel.updates())
    assert (widget.trust, widget.trust_data) == ({}, {})
    sent = len(channel.sent)
    tell(widget, type="trust", key=widget.map_key)
    widget.tested(PATIENCE)
    states = [
        state["trust"]
        for state in (data["state"] for data, _ in channel.sent[sent:] if data["method"] == "update")
        if "trust" in state
    ]
    assert states[0]["status"] == "running"
    assert states[0]["key"] == widget.map_key
    first = next(state for state in states if "curves" in state)
    assert len(first["curves"]["deletion"]["map"]["x"]) == 5 == len(first["curves"]["insertion"]["map"]["x"])
    assert "random" not in first["curves"]["deletion"]
    assert "layers" not in first
    assert "controls" not in first
    assert first["frames"]
    assert first["progress"]["total"] > 0
    last = states[-1]
    assert (last["status"], last["progress"], last["error"]) == ("done", {}, {})
    assert last == widget.trust
    json.dumps(last, allow_nan=False)
    about = last["about"]
    assert (about["medium"], about["width"], about["height"]) == ("image", 8, 8)
    assert about["target_label"] == LABELS[widget.question["target"]]
    assert last["unit"] == f"probability of {about['target_label']}"
    assert last["settings"] == {"fill": "auto", "measure": "probability"}
    assert next(name for name, _ in last["choices"]["fill"]) == "auto"
    assert last["cost"]["forward"] > 500
    assert last["cost"]["gradient"] > 0
    tests = [one["test"] for one in last["sentences"]]
    assert tests == ["sum", "curves", "random", "edges", "randomisation"]
    assert all(one["cannot"] for one in last["sentences"])


def test_the_main_work_is_left_alone(make: Make) -> None:
    """A test beside another question: both are answered, and the test is about the map it began with."""
    widget = make(plain(), plain_images(2))
    key = widget.map_key
    widget.test()
    ask(widget, input=1)
    widget.tested(PATIENCE)
    assert widget.status == "ready"
    assert widget.trust["key"] in {key, widget.map_key}
    ask(widget, input=0)
    assert widget.map_key == key


def test_a_test_waits_for_the_map_and_names_it(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    with model.blocked():
        write(widget, params=widget.params | {"target": 1}, request_id=1)
        assert model.entered.wait(PATIENCE)
        tell(widget, type="trust", key=widget.map_key)
        assert widget.trust["progress"]["phase"] == "waiting for the map"
        assert widget.trust["status"] == "running"
    widget.tested(PATIENCE)
    assert widget.trust["key"] == widget.map_key
    assert widget.trust["about"]["target_label"] == "class 1"


def test_another_map_has_another_key_and_going_back_finds_the_test(make: Make) -> None:
    widget = make(plain(), plain_images())
    widget.test().tested(PATIENCE)
    first = widget.trust
    ask(widget, method="saliency", parameters={})
    assert widget.map_key != first["key"] == widget.trust["key"]  # the page says that it is about another map
    widget.test().tested(PATIENCE)
    assert widget.trust["key"] == widget.map_key
    ask(widget, method="integrated_gradients", parameters={})
    assert widget.map_key == first["key"]
    widget.test().tested(PATIENCE)
    assert widget.trust == first  # down to the seconds: nothing was computed


def test_other_settings_pay_for_their_curves_only(make: Make) -> None:
    widget = make(plain(), plain_images())
    widget.test().tested(PATIENCE)
    before = widget.trust
    tell(widget, type="trust", key=widget.map_key, settings={"fill": "mean", "measure": "logit"})
    widget.tested(PATIENCE)
    after = widget.trust
    assert after["settings"] == {"fill": "mean", "measure": "logit"}
    assert after["unit"].startswith("logit of ")
    assert after["cost"]["gradient"] == before["cost"]["gradient"]
    assert (after["layers"], after["controls"]) == (before["layers"], before["controls"])
    model, image = plain(), plain_images()
    mean = image.mean((2, 3), keepdim=True).expand_as(image)
    target = widget.question["target"]
    ends = [float(model(points)[0, target].detach()) for points in (image, mean)]
    line = after["curves"]["deletion"]["map"]
    assert [line["y"][0], line["y"][-1]] == pytest.approx(ends, abs=1e-4)
    assert after["curves"]["insertion"]["map"]["y"][0] == pytest.approx(ends[1], abs=1e-4)
    with pytest.raises(ParameterError, match="cannot be chosen"):
        widget.test(fill="glitter").tested(PATIENCE)
    assert widget.trust["status"] == "error"
    assert "zeros" in json.dumps(widget.trust.get("choices", widget.trust["error"])) or widget.trust["error"]["title"]


@pytest.mark.parametrize("fill", ["blur", "noise", "neighbours"])
def test_every_fill_is_taken(make: Make, fill: str) -> None:
    widget = make(plain(), plain_images(), method="saliency")
    found = widget.test(fill=fill).tested(PATIENCE)
    assert 0 <= found["deletion"] <= 1
    assert found["deletion"].parameters["fill"] == fill
    assert widget.trust["settings"]["fill"] == fill


def test_results_for_python(tested: Any) -> None:
    found = tested.trust_result
    assert list(found) == [
        "deletion", "deletion/random", "deletion/edges", "insertion", "insertion/random", "insertion/edges",
        "model_randomisation",
    ]  # fmt: skip
    line = tested.trust["curves"]["deletion"]["map"]
    assert found["deletion"] == pytest.approx(line["area"], abs=1e-5)
    assert found["deletion"].direction == "lower"
    assert found["insertion"].direction == "higher"
    assert found["deletion/random"].curves["deletion"].spread.shape == (16, 17)
    other = xw.evaluate(
        plain(), plain_images(), "input_x_gradient", target=tested.question["target"],
        metrics={"deletion": {"steps": 33, "measure": "probability", "fill": "zeros"}},
    )  # fmt: skip
    assert found["deletion"] == pytest.approx(float(other["input_x_gradient"]["deletion"]), abs=1e-6)


def when(widget: Any, line: str, then: Callable[[], None]) -> None:
    """Do something on the worker, before it goes on, as soon as there is such a line."""

    def look(change: dict[str, Any]) -> None:
        if line in change["new"].get("curves", {}).get("deletion", {}):
            then()

    widget.observe(look, "trust")


def test_cancel_keeps_what_is_there_and_it_goes_on_from_it(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    when(widget, "map", model.go.clear)
    with expecting(widget, "trust", lambda trust: "map" in trust.get("curves", {}).get("deletion", {})):
        widget.test()
    widget.unobserve_all("trust")
    tell(widget, type="trust_cancel")
    model.go.set()
    widget._test_job.wait(PATIENCE)
    stopped = widget.trust
    assert (stopped["status"], stopped["progress"], stopped["error"]) == ("cancelled", {}, {})
    assert stopped["key"] == widget.map_key
    assert len(stopped["curves"]["deletion"]["map"]["x"]) == 5
    assert "edges" not in stopped["curves"]["deletion"]
    assert "layers" not in stopped
    widget.test().tested(PATIENCE)
    assert widget.trust["status"] == "done"
    assert len(widget.trust["curves"]["deletion"]["map"]["x"]) == 33


def test_cancel_before_anything_is_known(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    with model.blocked():
        widget.test()
        assert model.entered.wait(PATIENCE)
        widget.cancel_test()
    widget._test_job.wait(PATIENCE)
    assert widget.trust["status"] == "cancelled"
    assert "curves" not in widget.trust or not widget.trust["curves"]["deletion"]


def test_an_error_is_shown_in_place_with_what_was_found(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    when(widget, "map", lambda: setattr(model, "fail", True))
    with pytest.raises(Exception, match="broke"):
        widget.test().tested(PATIENCE)
    assert widget.trust["status"] == "error"
    assert len(widget.trust["curves"]["deletion"]["map"]["x"]) == 5
    assert "broke" in json.dumps(widget.trust["error"])
    assert (widget.status, widget.error) == ("ready", {})
    widget.unobserve_all("trust")
    model.fail = False
    widget.test().tested(PATIENCE)
    assert (widget.trust["status"], widget.trust["error"]) == ("done", {})


def test_a_model_that_cannot_be_copied_keeps_the_other_tests(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    found = widget.test().tested(PATIENCE)
    assert "model_randomisation" not in found
    assert "insertion/edges" in found
    assert "layers" not in widget.trust
    (said,) = [one for one in widget.trust["sentences"] if one["test"] == "randomisation"]
    assert said["level"] == "watch"
    assert "cannot be copied" in said["text"]


def test_a_score_that_is_no_class_has_no_probability(make: Make) -> None:
    widget = make(plain(), plain_images(), target=lambda output: output[:, 0] - output[:, 1])
    widget.test().tested(PATIENCE)
    assert widget.trust["unit"] == "the model's score"
    assert [name for name, _ in widget.trust["choices"]["measure"]] == ["logit"]


def test_a_class_rather_than_another(make: Make) -> None:
    model, image = plain(), plain_images()
    widget = make(model, image, labels=LABELS, target=xw.Contrast(0, 1))
    widget.test().tested(PATIENCE)
    assert widget.trust["unit"] == f"probability of {LABELS[0]} less that of {LABELS[1]}"
    chances = model(image).softmax(1)[0].detach()
    y = widget.trust["curves"]["deletion"]["map"]["y"]
    assert y[0] == pytest.approx(float(chances[0] - chances[1]), abs=1e-5)


def test_a_page_made_meanwhile_holds_a_test_that_has_stopped(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images())
    with model.blocked():
        widget.test()
        assert model.entered.wait(PATIENCE)
        assert widget.static_state()["trust"]["status"] == "cancelled"
        assert widget.trust["status"] == "running"
    widget.tested(PATIENCE)


def test_a_map_of_a_model_that_changed_is_not_tested(make: Make) -> None:
    model = plain()
    widget = make(model, plain_images())
    key = widget.map_key
    with torch.no_grad():
        model[3].weight.mul_(2)
    with pytest.raises(InputError, match="changed"):
        widget.test().tested(PATIENCE)
    assert widget.trust["error"]["code"] == "model_changed"
    widget.run().wait(PATIENCE)
    assert widget.map_key != key
    widget.test().tested(PATIENCE)
    assert widget.trust["key"] == widget.map_key


def test_nothing_on_show_and_closed_widgets(make: Make, model: Colourful) -> None:
    with model.blocked():
        widget = make(model, colourful_images(), wait=False)
        widget.test()
        widget.cancel()
    with pytest.raises(InputError, match="no such map"):
        widget.tested(PATIENCE)
    assert widget.trust["error"]["code"] == "nothing_to_test"
    with model.blocked():
        widget.run().test()
        widget.close()
    assert widget.trust_result == {}
    for thread in [one for one in threading.enumerate() if one.name == "xaiwidgets-job"]:
        thread.join(PATIENCE)
    with pytest.raises(RuntimeError, match="closed"):
        widget.test()


def test_the_code_comes_when_it_is_asked_for_and_leaves_with_the_results(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not parts("trust"):
        pytest.skip("the drawer's front end is not built")
    core().close()
    widget = make(plain(), plain_images())
    name = next(iter(parts("trust")))
    assert name not in core()._parts
    assert name not in widget.to_html()
    widget.test().tested(PATIENCE)
    assert parts("trust").items() <= core()._parts.items()
    assert name in widget.to_html()
    write(widget, _inline=True)
    assert name in widget._parts
    monkeypatch.setenv("XAIWIDGETS_INLINE", "1")
    inline = make(plain(), plain_images())
    assert name not in inline._parts
    tell(inline, type="trust", key=inline.map_key)
    assert name in inline._parts  # before there is anything to draw
    inline.tested(PATIENCE)


def test_a_notebook_page_carries_the_drawer_where_it_is_needed(make: Make) -> None:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbconvert")
    if not parts("trust"):
        pytest.skip("the drawer's front end is not built")
    name = next(iter(parts("trust")))
    widget = make(plain(), plain_images(), method="saliency")
    for expected in (False, True):
        state = {name: value for name, value in widget.get_state().items() if not isinstance(value, bytes)}
        state |= {"trust_data": {}, "_core": None, "methods": [], "_parts": {}, "layout": None}
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("w")])
        view = {"application/vnd.jupyter.widget-view+json": {"model_id": "one"}, "text/html": "<p>static</p>"}
        notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data=view)]
        model = {"state": state, "model_module": "anywidget", "model_name": "AnyModel"}
        notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"one": model}}}
        assert (name in convert(notebook)) is expected
        widget.test().tested(PATIENCE)


def test_a_tested_photo_is_light_to_save(make: Make) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 5)
    )
    generator = torch.Generator().manual_seed(0)
    coarse = nn.functional.interpolate(torch.rand(1, 3, 14, 14, generator=generator), (96, 96), mode="bicubic")
    photo = (coarse + 0.08 * torch.randn(coarse.shape, generator=generator)).clamp(0, 1)
    widget = make(model.eval(), photo, method="saliency")
    widget.test().tested(60)
    data = sum(len(part) for part in widget.trust_data.values()) * 4 / 3
    words = len(json.dumps(widget.trust))
    assert data + words < 60_000
    assert widget.trust["controls"][0]["shape"] == [48, 48]


def test_the_static_picture_has_the_tests_of_its_map(make: Make) -> None:
    widget = make(plain(), plain_images(), labels=LABELS, target=1)
    before = widget._figure()
    widget.test().tested(PATIENCE)
    after = widget._figure()
    assert after.startswith(before)
    added = after.removeprefix(before)
    assert added.count("data:image/svg+xml;base64,") == 2
    assert "<script" not in added
    assert "<b>bee" not in added
    assert "&lt;b&gt;bee" in added
    assert all(one["text"].split(" ")[0] in added for one in widget.trust["sentences"])
    assert widget.freeze().data == after == widget._figure()
    ask(widget, target=0)
    assert "svg" not in widget._figure()  # the tests were about another map


def test_stopping_takes_less_than_a_third_of_a_second(make: Make) -> None:
    """Measured loosely: nothing but a chunk of the model's work stands between a word and its effect."""
    widget = make(plain(24), plain_images(1, 24))
    with expecting(widget, "trust", lambda trust: "curves" in trust):
        widget.test()
    started = time.monotonic()
    widget.cancel_test()
    widget._test_job.wait(PATIENCE)
    assert time.monotonic() - started < 3
    assert widget.trust["status"] in ("cancelled", "done")
