"""What HeatmapOverlay tells beside its map: what-if, superpixels, notices, captions."""

import builtins
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from pages import PATIENCE, Colourful, ask, colourful_images, expecting, named, shown, tell
from scipy.ndimage import uniform_filter1d
from torch import Tensor

import xaiwidgets as xw
from xaiwidgets.engine.regions import superpixels
from xaiwidgets.live.colors import matplotlib_table
from xaiwidgets.widgets import words
from xaiwidgets.widgets.regions import blur_region

Make = Callable[..., Any]


def blurred(image: Tensor, y0: int, y1: int, x0: int, x1: int) -> Tensor:
    """The image [1, c, h, w] with a rectangle replaced by a box blur, twice along each axis, of the whole image."""
    smooth = image.numpy().astype(np.float64)
    for axis, size in ((2, y1 - y0), (3, x1 - x0)):
        reach = min(max(size // 2, 1), image.shape[axis] - 1)
        for _ in range(2):
            smooth = uniform_filter1d(smooth, 2 * reach + 1, axis=axis, mode="nearest")
    changed = image.clone()
    changed[..., y0:y1, x0:x1] = torch.from_numpy(smooth[..., y0:y1, x0:x1]).float()
    return changed


@pytest.mark.parametrize("rectangle", [(0, 24, 0, 24), (3, 9, 5, 20), (23, 24, 0, 1), (0, 2, 10, 24)])
def test_what_if_asks_the_model_about_the_blurred_image(
    widget: Any, model: Colourful, rectangle: tuple[int, ...]
) -> None:
    y0, y1, x0, x1 = rectangle
    ask(widget, input=1)
    image = colourful_images(2)[1:]
    answer = widget.what_if(x0, y0, x1, y1)
    for bars, shown_image in ((answer["before"], image), (answer["after"], blurred(image, *rectangle))):
        logits = model(shown_image)[0].detach()
        expected = logits.softmax(0)
        assert len(bars) == 5
        for bar in bars:
            assert bar["score"] == pytest.approx(float(expected[bar["id"]]), abs=1e-5)
            assert bar["logit"] == pytest.approx(float(logits[bar["id"]]), abs=1e-4)
    assert widget.whatif == answer
    assert answer["region"] == {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    assert answer["seconds"] >= 0


def test_the_blur_leaves_the_rest_and_a_flat_image_alone() -> None:
    image = colourful_images()
    changed = blur_region(image, (4, 10, 6, 20))
    outside = torch.ones(24, 24, dtype=torch.bool)
    outside[4:10, 6:20] = False
    torch.testing.assert_close(changed[..., outside], image[..., outside], rtol=0, atol=0)
    assert not torch.equal(changed, image)
    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(blur_region(flat, (0, 9, 0, 9)), flat)
    single = torch.rand(1, 1, 1, 1)
    torch.testing.assert_close(blur_region(single, (0, 1, 0, 1)), single)


def test_what_if_by_message(widget: Any) -> None:
    with expecting(widget, "whatif"):
        tell(widget, type="whatif", region={"x0": 2, "y0": 3, "x1": 8, "y1": 9})
    by_message = dict(widget.whatif)
    direct = widget.what_if(2, 3, 8, 9)
    assert {**by_message, "seconds": 0} == {**direct, "seconds": 0}
    ask(widget, input=1)
    assert widget.whatif == {}


def test_a_class_that_drops_out_of_the_top_stays_in_the_answer(make: Make) -> None:
    model = Colourful(classes=40)
    with torch.no_grad():
        model.last.weight.mul_(30)
    widget = make(model, colourful_images())
    answer = widget.what_if(0, 0, 24, 24)
    after = {bar["id"]: bar["score"] for bar in answer["after"]}
    probabilities = model(blurred(colourful_images(), 0, 24, 0, 24))[0].softmax(0).tolist()
    assert {bar["id"] for bar in answer["before"]} <= set(after)
    assert len(after) == len(answer["after"]) > 5
    for index, score in after.items():
        assert score == pytest.approx(probabilities[index], abs=1e-4)


@pytest.mark.parametrize(
    "region",
    [
        {"x0": 5, "y0": 0, "x1": 5, "y1": 9}, {"x0": -1, "y0": 0, "x1": 5, "y1": 9}, {"x0": 0, "y0": 0, "x1": 25, "y1": 9},
        {"x0": 0, "y0": 9, "x1": 3, "y1": 2}, {"x0": 0}, {}, None, [1, 2], "all",
        {"x0": "a", "y0": 0, "x1": 5, "y1": 9}, {"x0": None, "y0": 0, "x1": 5, "y1": 9},
        {"x0": 0, "y0": 0, "x1": float("inf"), "y1": 9}, {"x0": 0, "y0": 0, "x1": float("nan"), "y1": 9},
    ],
    ids=named,
)  # fmt: skip
def test_regions_that_are_none_are_refused(widget: Any, model: Colourful, region: Any) -> None:
    rows, before = model.rows, widget.map_data
    with expecting(widget, "error"):
        tell(widget, type="whatif", region=region)
    assert widget.error["code"] == "region"
    assert widget.whatif == {}
    assert model.rows == rows
    assert widget.map_data == before
    with pytest.raises(xw.ExplainError):
        widget.what_if(5, 5, 5, 9)


def test_what_if_while_a_run_goes_on_disturbs_neither(widget: Any, model: Colourful) -> None:
    expected = widget.what_if(2, 3, 8, 9)["after"]
    with expecting(widget, "whatif", lambda answer: answer.get("seconds") not in (None, widget.whatif.get("never"))):
        with model.blocked():
            ask_later = widget.params | {"target": 3}
            widget.params = ask_later
            assert model.entered.wait(PATIENCE)
            tell(widget, type="whatif", region={"x0": 2, "y0": 3, "x1": 8, "y1": 9})
            tell(widget, type="cancel")
        widget.wait(PATIENCE)
    assert widget.status == "cancelled"
    assert widget.whatif["after"] == expected


def test_different_questions_do_not_push_each_other_out(widget: Any, model: Colourful) -> None:
    with (
        expecting(widget, "whatif"),
        expecting(widget, "segments"),
        expecting(widget, "maps", lambda maps: len(maps) == 3),
        model.blocked(),
    ):
        tell(widget, type="whatif", region={"x0": 2, "y0": 3, "x1": 8, "y1": 9})
        tell(widget, type="segments")
        tell(widget, type="reduction", key="magnitude")
        tell(widget, type="reduction", key="l2")
    assert widget.error == {}


def labels_of(widget: Any) -> np.ndarray:
    return np.frombuffer(zlib.decompress(widget.segments), "<u2").reshape(widget.segments_shape)


def test_superpixels(widget: Any) -> None:
    assert widget.segments == b""
    with expecting(widget, "segments"):
        tell(widget, type="segments")
    labels = labels_of(widget)
    assert labels.shape == (24, 24)
    assert 4 <= labels.max() + 1 <= 60
    assert set(labels.flat) == set(range(labels.max() + 1))
    ask(widget, input=1)
    assert widget.segments == b""
    assert widget.segments_shape == []


def test_superpixels_have_the_maps_shape_not_the_pictures(make: Make, model: Colourful) -> None:
    picture = np.zeros((50, 100, 3), np.uint8)
    picture[:, 50:] = 255
    widget = make(model, colourful_images(), image=picture)
    assert widget.image_size == [100, 50]
    with expecting(widget, "segments"):
        tell(widget, type="segments")
    labels = labels_of(widget)
    assert labels.shape == (24, 24)
    assert not set(labels[:, :10].flat) & set(labels[:, 14:].flat)


def test_superpixels_find_an_edge() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = [255, 120, 0]
    labels = superpixels(picture, (32, 32))
    assert not set(labels[:, :15].flat) & set(labels[:, 17:].flat)


def test_superpixels_without_scikit_image(widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError("No module named 'skimage'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with expecting(widget, "error"):
        tell(widget, type="segments")
    assert widget.error["code"] == "missing_extra"
    assert "xaiwidgets[images]" in widget.error["hint"]
    assert widget.status == "ready"


def notices(widget: Any) -> dict[str, str]:
    return {notice["code"]: notice["text"] for notice in widget.notices}


def test_no_notices_without_a_reason(widget: Any) -> None:
    assert widget.notices == []


def test_a_map_of_zeros_is_announced(make: Make, model: Colourful) -> None:
    widget = make(model, torch.zeros(1, 3, 24, 24), target=1)
    assert "near_zero" in notices(widget)
    assert "Every value is zero" in widget.caption
    assert "nan" not in widget.caption
    assert widget.quality["gap"] is None
    assert not shown(widget).any()
    assert widget._repr_mimebundle_()[0]["text/html"].startswith("<figure")


def test_a_gap_is_announced(widget: Any) -> None:
    ask(widget, target=1, parameters={"rule": "left", "steps": 9})
    assert widget.quality["gap"] > 0.05
    assert words.percent(widget.quality["gap"]) in notices(widget)["gap"]
    assert "Completeness gap" in widget.caption
    ask(widget, target=1, parameters={"rule": "adaptive", "steps": 129})
    assert "gap" not in notices(widget)


def test_guessed_colours_are_announced(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images() * 255, target=1)
    assert "image=" in notices(widget)["colours"]
    sure = make(model, colourful_images() * 255, target=1, image=lambda batch: batch / 255)
    assert sure.notices == []


def test_the_caption_says_where(make: Make) -> None:
    weights = torch.zeros(1, 3, 30, 30)
    weights[..., :10, 20:], weights[..., 20:, :10] = 3.0, -1.0

    def model(images: Tensor) -> Tensor:
        return (images * weights).flatten(1).sum(1)

    widget = make(model, torch.ones(1, 3, 30, 30))
    assert "Largest support: upper right (75 %)." in widget.caption
    assert "25 % of the total opposes." in widget.caption
    assert "Completeness gap 0.0 %." in widget.caption
    assert widget.caption.startswith("Integrated gradients for the model's score, baseline: zeros.")
    ask(widget, method="saliency", parameters={})
    assert "Largest values: upper right (75 %), lower left (25 %)." in widget.caption
    assert "opposes" not in widget.caption
    assert "baseline" not in widget.caption


def test_captions_of_the_smallest_maps() -> None:
    question = {"method_title": "M", "target_label": "t"}
    for shape in ((1, 1), (2, 1), (1, 5), (3, 3)):
        text = words.caption(np.ones(shape), signed=True, question=question, gap=None)
        assert "nan" not in text
        assert "Largest support" in text
    assert (
        words.caption(-np.ones((3, 3)), signed=True, question=question, gap=None)
        == "M for t. 100 % of the total opposes."
    )


@pytest.mark.parametrize(
    ("labels", "index", "expected"),
    [
        (None, 3, "class 3"), (["a", "b"], 1, "b"), (["a", "b"], 2, "class 2"), ({7: "seven"}, 7, "seven"),
        ({7: "seven"}, 1, "class 1"), (("a",), 0, "a"), ([1, 2], 0, "1"), (np.array(["x", "y"]), 1, "y"),
        (["\ud83d!"], 0, "?!"),
    ],
)  # fmt: skip
def test_labels(labels: Any, index: int, expected: str) -> None:
    assert words.label(labels, index) == expected


def test_heavy_results_say_so(make: Make) -> None:
    noise = torch.rand(1, 3, 1200, 1200, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(1, 3, 1200, 1200, generator=torch.Generator().manual_seed(1))
    widget = make(lambda images: (images * weights).flatten(1).sum(1), noise, method="input_x_gradient")
    assert "size" in [notice["code"] for notice in widget.notices]
    small = make(lambda images: images.flatten(1).sum(1), torch.rand(1, 3, 8, 8), method="saliency")
    assert "size" not in [notice["code"] for notice in small.notices]


def test_palettes_of_matplotlib_become_custom_tables(widget: Any) -> None:
    widget.palette = "coolwarm"
    assert widget.palette == "custom"
    assert widget.lut == matplotlib_table("coolwarm").tobytes()
    with pytest.raises(ValueError, match="no palette 'sunny'"):
        widget.palette = "sunny"


def test_the_static_picture_follows_palette_polarity_and_sign(widget: Any) -> None:
    widget.wait(PATIENCE)
    pictures = [widget._figure()]
    for name, value in (
        ("polarity", "cool"),
        ("palette", "red_blue"),
        ("display", {**widget.display, "sign": "absolute"}),
    ):
        setattr(widget, name, value)
        pictures.append(widget._figure())
    assert len(set(pictures)) == 4


@pytest.mark.parametrize("change", [{"clip": "all"}, {"view": "upside down"}, {"glow": 1}, {"gamma": float("nan")}])
def test_display_settings_of_the_wrong_kind_are_refused(widget: Any, change: dict[str, Any]) -> None:
    before = dict(widget.display)
    with pytest.raises(traitlets.TraitError, match=next(iter(change))):
        widget.display = {**before, **change}
    assert widget.display == before


def test_signs_asked_for_are_shown(widget: Any) -> None:
    for absolute in (True, False):
        ask(widget, method="saliency", parameters={"absolute": absolute})
        assert widget.maps[0]["signed"] is not absolute
        assert (shown(widget).min() < 0) is not absolute
