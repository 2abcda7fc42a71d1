"""Which picture stands for a model's input, and when the widget admits that it guessed."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.pictures import THUMBNAIL, data_uri, encode, thumbnails
from xaiwidgets.widgets.images import IMAGENET_MEAN, IMAGENET_STD, as_pixels, pictures

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
PHOTO[0, :2] = [[0, 0, 0], [255, 255, 255]]
UNIT = torch.from_numpy(PHOTO).permute(2, 0, 1)[None].float() / 255


def guessed(inputs: Tensor) -> tuple[np.ndarray, str]:
    views, note = pictures(inputs)
    assert len(views) == len(inputs)
    return views[0], note


def test_values_in_the_unit_interval_are_taken_as_they_are() -> None:
    view, note = guessed(UNIT)
    np.testing.assert_array_equal(view, PHOTO)
    assert note == ""


def test_one_channel_is_grey() -> None:
    view, note = guessed(UNIT[:, :1])
    np.testing.assert_array_equal(view, PHOTO[..., :1].repeat(3, -1))
    assert note == ""


def test_byte_ranges_are_stretched_and_it_says_so() -> None:
    view, note = guessed(UNIT * 255)
    np.testing.assert_array_equal(view, PHOTO)
    assert "0..255" in note
    assert "image=" in note


def test_imagenet_normalisation_is_undone_and_it_says_so() -> None:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    view, note = guessed((UNIT - mean) / std)
    np.testing.assert_array_equal(view, PHOTO)
    assert "ImageNet" in note
    assert "image=" in note


@pytest.mark.parametrize("channels", [1, 3])
def test_minus_one_to_one(channels: int) -> None:
    view, note = guessed(UNIT[:, :channels] * 2 - 1)
    np.testing.assert_array_equal(view, PHOTO if channels == 3 else PHOTO[..., :1].repeat(3, -1))
    assert "-1..1" in note


def test_minus_one_to_one_keeps_the_greys_of_a_flat_image() -> None:
    view, _ = guessed(torch.full((1, 3, 4, 4), -0.5))
    assert (abs(view.astype(int) - 64) <= 1).all()


def test_many_channels_show_their_mean() -> None:
    many = torch.rand(2, 7, 5, 4)
    view, note = guessed(many)
    np.testing.assert_allclose(view[..., 0] / 255, many[0].mean(0), atol=1 / 255)
    assert "7 channels" in note


def test_odd_values_are_stretched() -> None:
    view, note = guessed(torch.linspace(-50, 1000, 48).reshape(1, 3, 4, 4))
    assert view.min() == 0
    assert view.max() == 255
    assert "stretched" in note
    flat, _ = guessed(torch.full((1, 3, 2, 2), 300.0))
    assert (flat == flat[0, 0]).all()


def test_half_precision_and_gradients() -> None:
    view, _ = guessed(UNIT.half().requires_grad_())
    assert np.abs(view.astype(int) - PHOTO).max() <= 1


@pytest.mark.parametrize(
    "picture",
    [
        PHOTO, Image.fromarray(PHOTO), PHOTO / 255, (PHOTO / 255).astype(np.float32), UNIT[0], UNIT[0].double(),
        torch.from_numpy(PHOTO).permute(2, 0, 1), np.concatenate([PHOTO, PHOTO[..., :1]], -1),
        [PHOTO], (PHOTO,), PHOTO[:, ::-1][:, ::-1],
    ],
    ids=["uint8", "PIL", "float64", "float32", "tensor", "double", "uint8-tensor", "rgba", "list", "tuple", "strided"],
)  # fmt: skip
def test_given_pictures(picture: Any) -> None:
    views, note = pictures(torch.randn(1, 3, 12, 10) * 9, picture)
    np.testing.assert_array_equal(views[0], PHOTO)
    assert views[0].flags.c_contiguous
    assert note == ""


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGBA", "CMYK"])
def test_pil_modes_show_what_pil_shows(mode: str) -> None:
    picture = Image.fromarray(PHOTO).convert(mode)
    np.testing.assert_array_equal(as_pixels(picture), np.asarray(picture.convert("RGB")))


def test_grey_pictures() -> None:
    for grey in (PHOTO[..., 0], PHOTO[..., :1], torch.from_numpy(PHOTO[..., 0]), torch.from_numpy(PHOTO[..., 0])[None]):
        np.testing.assert_array_equal(as_pixels(grey), PHOTO[..., :1].repeat(3, -1))


def test_a_callable_undoes_the_normalisation() -> None:
    views, note = pictures(torch.cat([UNIT, UNIT.flip(-1)]) * 4 - 2, lambda batch: (batch + 2) / 4)
    np.testing.assert_array_equal(views[0], PHOTO)
    np.testing.assert_array_equal(views[1], PHOTO[:, ::-1])
    assert note == ""


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (np.zeros((3, 4, 5)), "image_shape"), (np.zeros(4), "image_shape"), (np.zeros((1, 2, 3, 4)), "image_shape"),
        (torch.zeros(12, 10, 3), "image_shape"), (np.full((2, 2, 3), 1.5), "image_range"),
        (np.full((2, 2, 3), -1.0), "image_range"), (np.full((2, 2, 3), np.nan), "image_range"),
        ([PHOTO, PHOTO], "image_count"), ([], "image_count"), (lambda batch: batch * 300, "image_range"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(picture: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        pictures(UNIT, picture)
    assert caught.value.code == code
    assert caught.value.hint


def test_small_pictures_are_stored_exactly() -> None:
    import io

    data = encode(PHOTO)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), PHOTO)
    photo = np.kron(PHOTO, np.ones((30, 30, 1), np.uint8))
    large = encode(photo)
    assert large[:2] == b"\xff\xd8"
    assert np.abs(np.asarray(Image.open(io.BytesIO(large))).astype(int) - photo).mean() < 8


def test_thumbnails_are_squares_side_by_side() -> None:
    import io

    tall = np.zeros((200, 100, 3), np.uint8)
    tall[50:150] = [255, 0, 0]
    strip = np.asarray(Image.open(io.BytesIO(thumbnails([PHOTO, tall]))))
    assert strip.shape == (THUMBNAIL, 2 * THUMBNAIL, 3)
    assert strip[32, 96, 0] > 240  # the middle of the tall picture


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (400, 3), (3, 400), (224, 224)])
def test_data_uris_have_the_width_asked_for(shape: tuple[int, int]) -> None:
    import base64
    import io

    head, _, data = data_uri(np.zeros((*shape, 3), np.uint8), 168).partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.width == 168
    assert picture.height == max(round(shape[0] * 168 / shape[1]), 1)
    assert head == f"data:image/{picture.format.lower()};base64"
