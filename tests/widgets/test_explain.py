"""xaiwidgets.explain end to end: a model, an image, a page that asks."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from pages import PATIENCE, Colourful, ask, colourful_images, expecting, named, shown, tell, write

import xaiwidgets as xw
from xaiwidgets.examples import Example
from xaiwidgets.widgets.base import described

Make = Callable[..., Any]


def assert_shows(widget: Any, values: torch.Tensor) -> None:
    """The page's numbers are these attributions [1, channels, height, width], summed, within half a step."""
    expected = values[0].sum(0).numpy()
    scale = widget.maps[0]["scale"]
    np.testing.assert_allclose(shown(widget), expected, rtol=0, atol=scale * 0.501)
    assert scale == pytest.approx(np.abs(expected).max() / 127, rel=1e-5)


def test_digits_end_to_end(make: Make, example: Example) -> None:
    widget = make(example.model, example.images[:1], labels=example.names)
    predicted = int(example.model(example.images[:1]).argmax())
    assert widget.status == "ready"
    assert widget.seq >= 1
    assert widget.result.method == "integrated_gradients"
    assert widget.question["target"] == predicted
    assert widget.question["target_label"] == str(predicted)
    assert widget.image_size == [8, 8]
    assert [entry["key"] for entry in widget.maps] == ["sum"]
    assert widget.reductions == []
    assert_shows(widget, xw.attribute(example.model, example.images[:1], target=predicted).values)
    assert widget.error == {}
    assert widget.progress == {}
    assert widget.provenance["model"] == "DigitsCNN"
    assert widget.provenance["target"] == predicted
    json.dumps(
        {name: value for name, value in widget.get_state().items() if not isinstance(value, bytes)}, allow_nan=False
    )


def test_class_bars_are_the_models_probabilities(widget: Any, model: Colourful) -> None:
    logits = model(colourful_images(2)[:1])[0]
    order = logits.argsort(descending=True).tolist()
    assert [bar["id"] for bar in widget.classes] == order[:5]
    assert [bar["name"] for bar in widget.classes] == [
        ["ant", "bee", "cat", "dog", "eel"][index] for index in order[:5]
    ]
    np.testing.assert_allclose(
        [bar["score"] for bar in widget.classes], logits.softmax(0)[order[:5]].tolist(), rtol=1e-5
    )
    np.testing.assert_allclose([bar["logit"] for bar in widget.classes], logits[order[:5]].tolist(), rtol=1e-5)


def test_quality_adds_up(widget: Any) -> None:
    quality = widget.quality
    assert quality["complete"]
    assert quality["gap"] == pytest.approx(abs(quality["delta"] / quality["difference"]))
    total = float(widget.result.values.sum())
    assert total - quality["difference"] == pytest.approx(quality["delta"], abs=1e-4)
    assert quality["evaluations"]["gradient"] == widget.result.evaluations["gradient"] > 0


def test_the_status_goes_from_empty_to_ready(make: Make, model: Colourful) -> None:
    with model.blocked():
        widget = make(model, colourful_images(), target=1, wait=False)
        seen = [widget.status]
        widget.observe(lambda change: seen.append(change["new"]), "status")
        assert model.entered.wait(PATIENCE)
    widget.wait(PATIENCE)
    assert seen[0] in ("queued", "running")
    assert seen[-2:] == ["partial", "ready"]
    assert set(seen) <= {"queued", "running", "partial", "ready"}


def test_params_from_the_page_give_a_new_result(widget: Any, model: Colourful) -> None:
    before, first = widget.map_data, widget.seq
    ask(widget, target=4, parameters={"steps": 16, "tolerance": 0.0, "rule": "midpoint"})
    assert widget.status == "ready"
    assert widget.result_id == widget.request_id == 1
    assert widget.seq > first
    assert widget.map_data != before
    assert widget.question["target_label"] == "eel"
    assert widget.result.parameters["steps"] == 16
    assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=4, steps=16, rule="midpoint").values)


def test_params_from_python_give_a_new_result(widget: Any) -> None:
    widget.params = widget.params | {"target": 3}
    widget.wait(PATIENCE)
    assert widget.question["target_label"] == "dog"
    assert widget.status == "ready"


def test_contrast(widget: Any, model: Colourful) -> None:
    ask(widget, target=0, foil=2)
    assert (widget.question["target_label"], widget.question["foil_label"]) == ("ant", "cat")
    assert "ant rather than cat" in widget.caption
    assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=xw.Contrast(0, 2)).values)


def test_a_class_is_not_contrasted_with_itself(widget: Any, model: Colourful) -> None:
    predicted = int(model(colourful_images(2)[:1]).argmax())
    for target in (None, predicted):
        ask(widget, target=target, foil=predicted)
        assert widget.question["foil_label"] == ""
        assert np.abs(shown(widget)).max() > 0


def test_contrast_from_python(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=xw.Contrast(1, 3))
    assert (widget.params["target"], widget.params["foil"]) == (1, 3)
    assert_shows(widget, xw.attribute(model, colourful_images(), target=xw.Contrast(1, 3)).values)


@pytest.mark.parametrize("target", [torch.tensor([3, 1]), [3, 1], np.array([3, 1])])
def test_a_class_for_each_input(make: Make, model: Colourful, target: Any) -> None:
    widget = make(model, colourful_images(2), target=target)
    assert widget.question["target_label"] == "class 3"
    assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=3).values)
    ask(widget, input=1)
    assert widget.question["target_label"] == "class 1"
    assert_shows(widget, xw.attribute(model, colourful_images(2)[1:], target=1).values)


@pytest.mark.parametrize("target", [torch.tensor(3), np.int64(3)])
def test_one_class_in_any_form(make: Make, model: Colourful, target: Any) -> None:
    widget = make(model, colourful_images(2), target=target)
    assert widget.question["target_label"] == "class 3"
    assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=3).values)


def test_a_function_of_the_output_as_target(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=lambda output: output.square().sum(1))
    assert widget.question["target_label"] == "the model's score"
    assert widget.classes
    ask(widget, target=2)
    assert widget.question["target_label"] == "class 2"
    ask(widget, target=None, foil=2)
    assert widget.question["foil_label"] == ""
    expected = xw.attribute(model, colourful_images(), target=lambda output: output.square().sum(1))
    assert_shows(widget, expected.values)


def test_a_model_with_one_score(make: Make) -> None:
    widget = make(Colourful(classes=1), colourful_images())
    assert widget.classes == []
    assert widget.question["target"] is None
    assert widget.status == "ready"


@pytest.mark.parametrize("score", ["probability", "log_probability"])
def test_scores(make: Make, model: Colourful, score: str) -> None:
    widget = make(model, colourful_images(), target=1, score=score)
    assert widget.question["score"] == score
    assert widget.maps[0]["unit"] == {"probability": "probability", "log_probability": "nats"}[score]
    assert_shows(widget, xw.attribute(model, colourful_images(), target=1, score=score).values)


def test_the_baseline_menu(widget: Any, model: Colourful) -> None:
    names = [entry["name"] for entry in widget.baselines]
    assert names[0] == "zeros"
    assert "given" not in names
    maps = set()
    for name in names:
        ask(widget, baseline=name, parameters={"steps": 9}, target=1)
        assert widget.status == "ready"
        assert widget.question["baseline_title"] in widget.caption
        assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=1, steps=9, baseline=name).values)
        maps.add(widget.map_data)
    assert len(maps) == len(names)


@pytest.mark.parametrize(
    "baseline",
    [0.5, 1, torch.full((1, 3, 24, 24), 0.3), xw.baselines.Blur(sigma=2.0), ["zeros", 0.5], xw.baselines.Uniform(samples=3)],
    ids=["float", "int", "tensor", "blur", "list", "uniform"],
)  # fmt: skip
def test_given_baselines(make: Make, model: Colourful, baseline: Any) -> None:
    images = colourful_images()
    widget = make(model, images, target=1, baseline=baseline, steps=16)
    assert widget.params["baseline"] == "given"
    assert widget.baselines[0] == {"name": "given", "title": "as given"}
    given = xw.attribute(model, images, target=1, baseline=baseline, steps=16).values
    assert_shows(widget, given)
    ask(widget, baseline="mean")
    assert_shows(widget, xw.attribute(model, images, target=1, baseline="mean", steps=16).values)
    ask(widget, baseline="given")
    assert_shows(widget, given)


def test_a_given_baseline_for_each_input(make: Make, model: Colourful) -> None:
    images = colourful_images(2)
    baseline = images.flip(-1)
    widget = make(model, images, target=1, baseline=baseline)
    ask(widget, input=1)
    assert widget.status == "ready"
    assert_shows(widget, xw.attribute(model, images[1:], target=1, baseline=baseline[1:]).values)


@pytest.mark.parametrize("baseline", ["zero", "dataset", torch.zeros(1, 2, 24, 24), object(), float("nan")])
def test_baselines_that_do_not_fit_are_refused_at_once(make: Make, model: Colourful, baseline: Any) -> None:
    with pytest.raises(xw.ExplainError):
        make(model, colourful_images(), target=1, baseline=baseline)


def test_the_menu_offers_attention_where_there_is_some_and_layers_that_exist(make: Make) -> None:
    model = zoo.VisionTransformer().eval()
    widget = make(model, torch.randn(1, 2, 8, 8), target=1, method="saliency")
    widget.wait(PATIENCE)
    assert {"attention_rollout", "chefer"} <= set(widget.methods)
    assert "guided_backprop" not in widget.methods  # it has no ReLU
    assert "blocks.1" in widget.layers
    ask(widget, method="grad_cam", parameters={"layer": "blocks.0"})
    assert widget.result.parameters["layer"] == "blocks.0"
    ask(widget, method="grad_cam", parameters={"layer": ""})
    assert widget.result.parameters["layer"] is None
    ask(widget, method="grad_cam", parameters={"layer": "nowhere"})
    assert widget.error["code"] == "unknown_layer"


def test_values_that_are_no_scores_say_their_unit(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=1, method="saliency")
    widget.wait(PATIENCE)
    assert widget.maps[0]["unit"] == "logit per unit of input"
    ask(widget, method="input_x_gradient")
    assert widget.maps[0]["unit"] == "logit"


def test_every_method_of_the_menu_works_with_its_defaults(make: Make, example: Example, model: Colourful) -> None:
    for widget in (make(example.model, example.images[:1]), make(model, colourful_images())):
        fitting = [
            one.name for one in xw.methods() if one.shape == "input" and not {"attention", "tokens"} & set(one.needs)
        ]
        assert widget.methods == fitting
        for entry in described(widget.methods):
            defaults = {
                control["name"]: control["default"]
                for control in entry["parameters"]
                if control["kind"] not in ("baseline", "layer", "regions")
            }
            ask(widget, method=entry["name"], parameters=defaults)
            if entry["name"] == "cam" and widget.status == "error":  # neither of the models ends in a mean over places
                assert widget.error["code"] == "cam_head"
                continue
            assert widget.status == "ready", (entry["name"], widget.error)
            assert widget.result.method == entry["name"]
            assert widget.maps[0]["signed"] == entry["signed"]
            assert widget.maps[0]["shape"] == widget.image_size[::-1]
            assert np.isfinite(shown(widget)).all()
            assert np.abs(shown(widget)).max() > 0 or any(
                one["name"] == "relu" for one in entry["parameters"]
            )  # which may leave nothing
            assert widget.question["method_title"] == entry["title"]
            assert bool(widget.question["baseline_title"]) == any(c["kind"] == "baseline" for c in entry["parameters"])


def test_several_inputs(widget: Any, model: Colourful) -> None:
    images = colourful_images(2)
    assert [entry["label"] for entry in widget.inputs] == ["input 1", "input 2"]
    assert widget.thumbnails
    first_image, first_scale = widget.image, widget.shared_scale
    ask(widget, input=1)
    second = int(model(images[1:]).argmax())
    assert widget.question["target"] == second
    assert widget.image != first_image
    assert_shows(widget, xw.attribute(model, images[1:], target=second).values)
    own = float(np.sort(np.abs(widget.result.values[0].sum(0).numpy()), axis=None)[int(np.ceil(0.995 * 576)) - 1])
    assert widget.shared_scale["pixel"] == pytest.approx(max(own, first_scale["pixel"]), rel=1e-5)
    ask(widget, input=0)
    assert widget.image == first_image


def test_one_image_may_come_without_its_batch(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images()[0], target=1)
    assert len(widget.inputs) == 1
    assert widget.thumbnails == b""
    assert_shows(widget, xw.attribute(model, colourful_images(), target=1).values)


def test_dicts_and_tuples_of_inputs(make: Make, model: Colourful) -> None:
    def scaled(images: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return model(images) * scale[:, None]

    images, scale = colourful_images(2), torch.tensor([1.0, 2.0])
    for inputs in ((images, scale), {"images": images, "scale": scale}):
        wrt = 0 if isinstance(inputs, tuple) else "images"
        widget = make(scaled, inputs, wrt=wrt, target=1, method="saliency")
        ask(widget, input=1)
        assert_shows(widget, 2 * xw.attribute(model, images[1:], target=1, method="saliency").values)


def test_going_back_costs_nothing(widget: Any, model: Colourful) -> None:
    first = widget.map_data
    ask(widget, target=3)
    ask(widget, method="saliency")
    rows = model.rows
    for target, method in ((3, "integrated_gradients"), (3, "saliency"), (None, "integrated_gradients")):
        ask(widget, target=target, method=method, parameters={})
        assert widget.result.method == method
        assert widget.status == "ready"
    assert model.rows == rows
    assert widget.map_data == first


def test_more_steps_cost_only_the_new_ones(widget: Any, model: Colourful) -> None:
    ask(widget, target=1, parameters={"steps": 33, "tolerance": 0.0})
    rows = model.rows
    ask(widget, target=1, parameters={"steps": 65, "tolerance": 0.0})
    assert 0 < model.rows - rows <= 33
    rows = model.rows
    ask(widget, target=1, parameters={"steps": 17, "tolerance": 0.0})
    assert model.rows == rows


def test_cancel_keeps_the_last_picture(widget: Any, model: Colourful) -> None:
    shown_before = (
        widget.maps,
        widget.map_data,
        widget.image,
        widget.classes,
        widget.seq,
        widget.caption,
        widget.quality,
    )
    with model.blocked():
        write(widget, params=widget.params | {"input": 1, "target": 3}, request_id=1)
        assert model.entered.wait(PATIENCE)
        tell(widget, type="cancel")
    widget.wait(PATIENCE)
    assert widget.status == "cancelled"
    assert widget.progress == {}
    assert widget.error == {}
    assert widget.result_id == widget.request_id == 1
    assert shown_before == (
        widget.maps, widget.map_data, widget.image, widget.classes, widget.seq, widget.caption, widget.quality,
    )  # fmt: skip
    tell(widget, type="run")
    widget.wait(PATIENCE)
    assert widget.status == "ready"
    assert_shows(widget, xw.attribute(model, colourful_images(2)[1:], target=3).values)


def test_an_error_keeps_the_last_picture_and_says_what_to_do(widget: Any, model: Colourful) -> None:
    shown_before = (widget.maps, widget.map_data, widget.image, widget.classes, widget.seq, widget.question)
    model.fail = True
    ask(widget, input=1, target=3)
    assert widget.status == "error"
    assert widget.error["code"] == "forward_failed"
    assert widget.error["hint"]
    assert "the model <b>broke</b>" in widget.error["detail"]
    assert shown_before == (widget.maps, widget.map_data, widget.image, widget.classes, widget.seq, widget.question)
    with pytest.raises(xw.ExplainError, match="broke"):
        widget.wait(PATIENCE)
    model.fail = False
    widget.run().wait(PATIENCE)
    assert widget.status == "ready"
    assert widget.error == {}
    assert widget.question["target_label"] == "dog"


def test_an_error_at_the_first_run(make: Make, model: Colourful) -> None:
    model.fail = True
    widget = make(model, colourful_images(), target=1, wait=False)
    with pytest.raises(xw.ExplainError, match="broke"):
        widget.wait(PATIENCE)
    assert widget.status == "error"
    assert widget.result is None
    assert "Not computed yet" in widget._repr_mimebundle_()[0]["text/html"]


def test_an_error_that_is_not_ours(make: Make, model: Colourful) -> None:
    def target(output: torch.Tensor) -> torch.Tensor:
        raise KeyError("no <such> key")

    widget = make(model, colourful_images(), target=target, wait=False)
    with pytest.raises(KeyError):
        widget.wait(PATIENCE)
    assert widget.status == "error"
    assert widget.error["code"] == "unexpected"
    assert "KeyError" in widget.error["title"]
    assert "line" in widget.error["hint"]


GOOD = {"input": 0, "target": 1, "foil": None, "method": "integrated_gradients", "baseline": "zeros", "parameters": {}}


@pytest.mark.parametrize(
    "bad",
    [
        {"input": 2}, {"input": -1}, {"input": "0"}, {"input": 0.0}, {"input": True}, {"input": None}, {"input": [0]},
        {"target": 5}, {"target": -1}, {"target": "1"}, {"target": 1.0}, {"target": False}, {"target": {}},
        {"foil": 99}, {"foil": "ant"},
        {"method": "nope"}, {"method": None}, {"method": ["saliency"]}, {"method": "__class__"}, {"method": 3},
        {"baseline": "given"}, {"baseline": "dataset"}, {"baseline": 0.5}, {"baseline": ["zeros"]},
        {"parameters": {"steps": "64"}}, {"parameters": {"steps": 8}}, {"parameters": {"steps": 10**9}},
        {"parameters": {"steps": 10**400}}, {"parameters": {"steps": 12.5}}, {"parameters": {"steps": None}},
        {"parameters": {"steps": True}}, {"parameters": {"rule": "worst"}}, {"parameters": {"rule": ["left"]}},
        {"parameters": {"tolerance": 0.2}}, {"parameters": {"tolerance": [0.01]}}, {"parameters": 5},
        {"parameters": [["steps"]]}, {"parameters": "steps"},
        {"method": "grad_cam", "parameters": {"layer": 5}}, {"method": "grad_cam", "parameters": {"layer": "nope"}},
        {"method": "grad_cam", "parameters": {"relu": "yes"}},
        {"method": "smoothgrad", "parameters": {"seed": 1.5}}, {"method": "smoothgrad", "parameters": {"seed": -1}},
    ],
    ids=named,
)  # fmt: skip
def test_what_a_page_may_not_ask_is_refused(widget: Any, model: Colourful, bad: dict[str, Any]) -> None:
    before, rows = (widget.map_data, widget.image, widget.seq), model.rows
    write(widget, params=GOOD | bad, request_id=1)
    with pytest.raises(Exception):  # noqa: B017  # which, is in the state
        widget.wait(PATIENCE)
    assert widget.status == "error"
    assert widget.error["code"]
    assert widget.error["title"]
    assert widget.result_id == 1
    allowed = 1 if bad.get("method") == "grad_cam" else 0  # a layer is looked up in the model, but nothing is explained
    assert model.rows - rows <= allowed
    assert (widget.map_data, widget.image, widget.seq) == before
    write(widget, params=GOOD | {"target": 2}, request_id=2)
    widget.wait(PATIENCE)
    assert widget.status == "ready"


def test_parameters_of_other_methods_are_left_out(widget: Any) -> None:
    ask(widget, method="saliency", parameters={"absolute": False, "steps": 3, "__class__": "x", "baseline": "evil"})
    assert widget.status == "ready"
    assert widget.result.parameters == {"absolute": False}


@pytest.mark.parametrize("params", [[], "saliency", None, 3])
def test_params_that_are_no_dict_change_nothing(widget: Any, params: Any) -> None:
    before = (widget.params, widget.map_data, widget.status)
    write(widget, params=params)
    widget.wait(PATIENCE)
    assert (widget.params, widget.map_data, widget.status) == before


def test_unknown_messages_change_nothing(widget: Any) -> None:
    before = widget.get_state()
    for content in ({"type": "exec"}, {}, {"type": None}, {"type": "_figure"}, {"type": ["run"]}):
        tell(widget, **content)
    assert widget.get_state() == before


def test_hello_is_answered(widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    monkeypatch.setattr(widget, "send", answers.append)
    tell(widget, type="hello", id="abc")
    assert answers == [{"type": "hello", "id": "abc"}]


def test_a_burst_of_params_runs_few(widget: Any, model: Colourful) -> None:
    started = widget._job.started
    with model.blocked():
        for step in range(50):
            write(widget, params=widget.params | {"target": 1, "parameters": {"steps": 9 + step}}, request_id=step + 1)
        assert model.entered.wait(PATIENCE)
    widget.wait(PATIENCE)
    assert widget._job.started - started <= 3
    assert widget.result.parameters["steps"] == 58
    assert widget.result_id == widget.request_id == 50
    assert widget.status == "ready"


def test_reductions_on_request(widget: Any) -> None:
    values = widget.result.values[0]
    with expecting(widget, "maps", lambda maps: len(maps) == 3):
        tell(widget, type="reduction", key="l2")
        tell(widget, type="reduction", key="magnitude")
    assert [(entry["key"], entry["signed"]) for entry in widget.maps] == [
        ("sum", True), ("magnitude", False), ("l2", False),
    ]  # fmt: skip
    for key, expected in (("sum", values.sum(0)), ("magnitude", values.abs().sum(0)), ("l2", values.norm(dim=0))):
        np.testing.assert_allclose(shown(widget, key), expected.numpy(), rtol=0, atol=float(expected.abs().max()) / 250)
    ask(widget, target=3)
    assert len(widget.maps) == 3
    before = widget.maps
    with expecting(widget, "seq"):
        tell(widget, type="reduction", key="../../evil")
    assert widget.maps == before


def test_one_channel_has_one_reduction(make: Make, example: Example) -> None:
    widget = make(example.model, example.images[:1])
    with expecting(widget, "seq"):
        tell(widget, type="reduction", key="l2")
    assert [entry["key"] for entry in widget.maps] == ["sum"]


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        (torch.rand(2, 7), "not_an_image"),
        (torch.zeros(1, 3, 24, 24, dtype=torch.uint8), "integer_input"),
        (torch.full((1, 3, 24, 24), float("nan")), "non_finite_input"),
        (torch.zeros(0, 3, 24, 24), "empty_batch"),
        ("cat.jpg", "no_tokenizer"),
    ],
)
def test_inputs_that_are_no_images_are_refused_at_once(make: Make, model: Colourful, inputs: Any, code: str) -> None:
    with pytest.raises(xw.ExplainError) as caught:
        make(model, inputs)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"method": "integrated_gradient"}, "unknown_method"),
        ({"stepps": 3}, "unknown_parameter"),
        ({"steps": 0}, "parameter_range"),
        ({"score": "odds"}, "unknown_score"),
        ({"image": np.zeros((2, 2, 7))}, "image_shape"),
        ({"image": [np.zeros((2, 2, 3))] * 2}, "image_count"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    make: Make, model: Colourful, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(xw.ExplainError) as caught:
        make(model, colourful_images(), **arguments)
    assert caught.value.code == code


def test_a_model_in_training_mode_is_refused(make: Make, model: Colourful) -> None:
    model.train()
    widget = make(model, colourful_images(), target=1, wait=False)
    with pytest.raises(xw.ExplainError, match="training"):
        widget.wait(PATIENCE)
    assert widget.error["code"] == "training_mode"
    again = make(model, colourful_images(), target=1, training=False)
    assert again.status == "ready"
    assert model.training


def test_a_class_that_does_not_exist(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=5, wait=False)
    with pytest.raises(xw.ExplainError, match="out of range"):
        widget.wait(PATIENCE)
    assert "0..4" in widget.error["hint"]


def test_a_model_that_was_trained_on_is_asked_again(widget: Any, model: Colourful) -> None:
    ask(widget, target=1)
    before, bars = shown(widget).copy(), widget.classes
    with torch.no_grad():
        model.last.weight.mul_(-1.5)
    widget.run().wait(PATIENCE)
    assert widget.classes != bars
    assert_shows(widget, xw.attribute(model, colourful_images(2)[:1], target=1).values)
    assert np.abs(shown(widget) - before).max() > 0
