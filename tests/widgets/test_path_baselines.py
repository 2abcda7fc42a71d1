"""Where a path starts: colours in the space of the model's inputs, kinds and their settings, pictures, data sets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pages import named
from PIL import Image
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.engine.inputs import read_inputs
from xaiwidgets.widgets.colours import fit_colours, parse_colour, write_colour
from xaiwidgets.widgets.images import IMAGENET_MEAN, IMAGENET_STD, pictures
from xaiwidgets.widgets.path.gallery import Gallery
from xaiwidgets.widgets.path.image import ImageSubject
from xaiwidgets.widgets.path.kinds import image_kinds

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(20, 236, (12, 10, 3), dtype=np.uint8)
UNIT = torch.from_numpy(PHOTO).permute(2, 0, 1).float() / 255
MEAN, STD = (torch.tensor(one)[:, None, None] for one in (IMAGENET_MEAN, IMAGENET_STD))
OWN_MEAN, OWN_STD = torch.tensor([0.1, 0.5, 0.9])[:, None, None], torch.tensor([0.5, 0.1, 2.0])[:, None, None]
NORMALISED = {
    "unit": (UNIT, lambda unit: unit),
    "signed": (UNIT * 2 - 1, lambda unit: unit * 2 - 1),
    "bytes": (UNIT * 255, lambda unit: unit * 255),
    "imagenet": ((UNIT - MEAN) / STD, lambda unit: (unit - MEAN) / STD),
    "its own": ((UNIT - OWN_MEAN) / OWN_STD, lambda unit: (unit - OWN_MEAN) / OWN_STD),
    "inverted": (1 - UNIT, lambda unit: 1 - unit),
}


def subject(image: Tensor, **more: Any) -> ImageSubject:
    return ImageSubject(read_inputs(image[None]), **more)


def start(about: ImageSubject, asked: Any) -> Tensor:
    entry = Gallery(about).add(asked)
    return about.starts(None, entry, "path", 1)[0, 0]  # type: ignore[arg-type]  # only noisy copies ask the problem


# --- colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NORMALISED)
def test_colours_become_what_the_model_gets(name: str) -> None:
    values, normalise = NORMALISED[name]
    found = fit_colours(PHOTO, values)
    assert found.note == ""
    for colour in ("#000000", "#ffffff", "#8040c0"):
        pixel = parse_colour(colour)
        wanted = normalise(torch.from_numpy(pixel).float()[:, None, None] / 255)[:, 0, 0]
        span = float(values.max() - values.min())
        torch.testing.assert_close(found.to_input(pixel, 3).float(), wanted, rtol=0, atol=0.004 * span)
        assert write_colour(pixel) == colour
    np.testing.assert_array_equal(found.to_pixels(values), PHOTO)


def test_known_normalisations_are_exact() -> None:
    black = fit_colours(PHOTO, NORMALISED["imagenet"][0]).to_input(parse_colour("#000000"), 3)
    torch.testing.assert_close(black.float(), (-MEAN / STD)[:, 0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_an_image_of_one_colour_is_recognised_by_its_normalisation(level: int) -> None:
    flat = np.full((6, 6, 3), level, np.uint8)
    unit = torch.full((3, 6, 6), level / 255)
    for values, black in ((unit, torch.zeros(3)), ((unit - MEAN) / STD, (-MEAN / STD)[:, 0, 0])):
        found = fit_colours(flat, values)
        assert found.note == ""
        torch.testing.assert_close(found.to_input(parse_colour("#000000"), 3).float(), black, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "values",
    [UNIT.square(), UNIT.flip(0), torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(1)), torch.full((3, 12, 10), 4.0)],
    ids=["gamma", "bgr", "another image", "one value"],
)  # fmt: skip
def test_what_is_no_line_falls_back_to_the_input_s_own_range(values: Tensor) -> None:
    found = fit_colours(PHOTO, values)
    assert "image=" in found.note
    low, high = (float(found.to_input(parse_colour(colour), 3)[0]) for colour in ("#000000", "#ffffff"))
    assert low == pytest.approx(float(values.min()))
    assert high == pytest.approx(
        max(float(values.max()), low + 1) if values.min() == values.max() else float(values.max())
    )


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_take_the_brightness(channels: int) -> None:
    values = torch.rand(channels, 9, 9, generator=torch.Generator().manual_seed(0))
    (view,), _note = pictures(values[None])
    found = fit_colours(view, values)
    assert found.note == ""
    assert found.to_input(parse_colour("#ffffff"), channels).shape == (channels,)
    np.testing.assert_allclose(found.to_pixels(values).astype(int), view.astype(int), atol=1)


# --- kinds -----------------------------------------------------------------------------------------------------------


def test_every_kind_gives_a_baseline() -> None:
    about = subject(NORMALISED["imagenet"][0], dataset=torch.rand(4, 3, 12, 10))
    x = about.points[0]
    words = {"colour": {"colour": "#102030"}}
    drawn = {kind: start(about, {"kind": kind, **words.get(kind, {})}) for kind in about.kinds if kind != "smoothgrad"}
    for baseline in drawn.values():
        assert baseline.shape == x.shape
        assert baseline.dtype == x.dtype
    torch.testing.assert_close(drawn["black"], (-MEAN / STD).expand_as(x))
    torch.testing.assert_close(drawn["white"], ((1 - MEAN) / STD).expand_as(x))
    torch.testing.assert_close(drawn["mean"], x.mean((1, 2), keepdim=True).expand_as(x))
    torch.testing.assert_close(drawn["pixel"], x[:, 6:7, 5:6].expand_as(x), rtol=0, atol=0)
    assert not drawn["zeros"].any()
    middle = (x.min() + x.max()) / 2
    torch.testing.assert_close(drawn["max_distance"], torch.where(x > middle, x.min(), x.max()))


def test_seeds_and_widths_matter_and_repeat() -> None:
    about = subject(UNIT)
    one, same, other = (start(about, {"kind": "gaussian", "sigma": 0.3, "seed": seed}) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert start(about, {"kind": "blur", "sigma": 6}).std() < start(about, {"kind": "blur", "sigma": 1}).std()


def test_equal_requests_are_one_baseline() -> None:
    gallery = Gallery(subject(UNIT))
    assert gallery.request("blur", {}) is gallery.add("blur")
    assert gallery.request("blur", {"sigma": 3}) is gallery.add({"kind": "blur", "sigma": 3.0})
    assert gallery.request("colour", {"colour": "#ABCDEF"}) is gallery.request("colour", {"colour": "#abcdef"})
    assert [entry.id for entry in gallery] == ["blur", "blur:sigma=3", "colour:colour=#abcdef"]
    assert [entry.title for entry in gallery] == ["blurred, σ 1.25", "blurred, σ 3", "colour, #abcdef"]


def test_what_python_may_pass() -> None:
    about = subject(NORMALISED["imagenet"][0])
    gallery = Gallery(about)
    other = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    wanted = (torch.from_numpy(other).permute(2, 0, 1).float() / 255 - MEAN) / STD
    for asked in (other, Image.fromarray(other), torch.from_numpy(other).permute(2, 0, 1), other / 255):
        torch.testing.assert_close(start(about, asked), wanted, rtol=0, atol=1e-5)
    assert torch.equal(start(about, 0.5), torch.full((3, 12, 10), 0.5))
    assert torch.equal(
        start(about, torch.arange(3.0)[:, None, None]), torch.arange(3.0)[:, None, None].expand(3, 12, 10)
    )
    blur = xw.baselines.Blur(2.0)
    assert torch.equal(start(about, blur), blur.draw(about.points)[0, 0])
    assert gallery.add(xw.baselines.Uniform(4)).modes == ("path", "distribution")
    assert gallery.add(xw.baselines.Constant(1.0)).modes == ("path",)
    assert [entry.id for entry in gallery] == ["given", "given-2"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("grey", "unknown_baseline"),
        ("dataset", "unknown_baseline"),
        ({"sigma": 3}, "unknown_baseline"),
        (object(), "unknown_baseline"),
        (None, "unknown_baseline"),
        (True, "unknown_baseline"),
        (["black", "white"], "unknown_baseline"),
        (torch.zeros(3, 5, 5), "baseline_shape"),
        (torch.full((3, 12, 10), float("nan")), "non_finite_baseline"),
        (float("inf"), "non_finite_baseline"),
        (np.zeros((5, 5, 3), np.uint8), "picture_size"),
        (Image.new("RGB", (12, 10)), "picture_size"),
        ({"kind": "blur", "sigma": -1}, "parameter_range"),
        ({"kind": "colour", "colour": "grey"}, "colour"),
        ({"kind": "black", "sigma": 1}, "unknown_parameter"),
    ],
    ids=named,
)
def test_what_is_no_baseline_is_refused(asked: Any, code: str) -> None:
    with pytest.raises(xw.ExplainError) as caught:
        Gallery(subject(UNIT)).add(asked)
    assert caught.value.code == code
    assert caught.value.hint or code == "non_finite_baseline"


def test_a_data_set_is_asked_for_by_name() -> None:
    with pytest.raises(xw.ExplainError, match="dataset="):
        Gallery(subject(UNIT)).add("dataset")


@pytest.mark.parametrize("form", ["tensor", "list", "labelled"])
def test_rows_of_a_data_set(form: str) -> None:
    rows = torch.rand(5, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    dataset: Any = {"tensor": rows, "list": list(rows), "labelled": [(row, 3) for row in rows]}[form]
    about = subject(UNIT, dataset=dataset)
    assert torch.equal(start(about, {"kind": "dataset", "index": 3}), rows[3])
    entry = Gallery(about).request("dataset", {"seed": 2})
    drawn = about.starts(None, entry, "distribution", 4)  # type: ignore[arg-type]
    assert torch.equal(drawn, xw.baselines.Dataset(rows, 4, 2).draw(about.points))
    assert about.kinds["dataset"].params[0].high == 4
    with pytest.raises(xw.ExplainError, match="index=5"):
        Gallery(about).request("dataset", {"index": 5})


@pytest.mark.parametrize("rows", [torch.rand(2, 3, 5, 5), torch.zeros(2, 3, 12, 10, dtype=torch.uint8)])
def test_a_data_set_of_other_rows_is_refused(rows: Tensor) -> None:
    with pytest.raises(xw.ExplainError, match="dataset="):
        subject(UNIT, dataset=rows)


def test_the_picture_must_have_the_input_s_size() -> None:
    with pytest.raises(xw.ExplainError, match="10 × 12"):
        subject(UNIT, picture=np.zeros((24, 20, 3), np.uint8))


def test_baselines_of_one_colour_are_a_colour() -> None:
    about = subject(NORMALISED["imagenet"][0])
    gallery = Gallery(about)
    looks = {kind: gallery.look(gallery.add(kind)) for kind in ("black", "white", "mean", "zeros", "pixel", "blur")}
    assert looks["black"].colour == "#000000"
    assert looks["white"].colour == "#ffffff"
    assert looks["zeros"].colour == write_colour(np.round(255 * np.array(IMAGENET_MEAN)).astype(np.uint8))
    assert looks["pixel"].colour == write_colour(PHOTO[6, 5])
    assert looks["blur"].colour == ""
    assert looks["blur"].image
    assert not any(looks[kind].image for kind in ("black", "white", "mean", "zeros", "pixel"))


def test_a_flat_image_is_blind_where_nothing_differs() -> None:
    about = subject(torch.full((3, 12, 10), 0.5))
    gallery = Gallery(about)
    assert gallery.look(gallery.add("mean")).share == 1
    assert gallery.look(gallery.add("black")).share == 0


def test_kinds_describe_themselves() -> None:
    for kind in image_kinds(30, 20, 7).values():
        schema = kind.schema()
        assert schema["title"]
        for setting in kind.params:
            assert setting.low <= setting.default <= setting.high
            assert kind.check({})[setting.name] == setting.default if not kind.words else True
    assert {kind.kind for kind in image_kinds(30, 20, 7).values() if "distribution" in kind.modes} == {
        "uniform", "gaussian", "smoothgrad", "dataset",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        (torch.rand(2, 3, 12, 10), "one_row"),
        (torch.rand(1, 7), "not_an_image"),
        (torch.zeros(1, 3, 12, 10, dtype=torch.uint8), "integer_input"),
        ("a text", "no_tokenizer"),
        (torch.full((1, 3, 12, 10), float("nan")), "non_finite_input"),
    ],
    ids=named,
)
def test_inputs_that_are_neither_are_refused(explore: Callable[..., Any], inputs: Any, code: str) -> None:
    with pytest.raises(xw.ExplainError) as caught:
        explore(nn.Flatten(), inputs)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "teleport"}, {"steps": 1}, {"samples": 0}, {"tolerance": 2.0}, {"baselines": []}, {"baselines": ["nope"]},
        {"score": "odds"},
    ],
    ids=named,
)  # fmt: skip
def test_wrong_arguments_are_refused_at_once(explore: Callable[..., Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(xw.ExplainError):
        explore(nn.Flatten(), UNIT[None], **arguments)
