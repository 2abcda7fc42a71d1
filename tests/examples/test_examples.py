"""The examples: good models from their own seeds, real pictures, nothing global touched."""

import importlib

import numpy as np
import pytest
import torch

from xaiwidgets.examples import Example, digits, mosaic, photograph, photographs, scenes
from xaiwidgets.examples import example as example_module


def check(example: Example, channels: int, side: int, accuracy: float) -> None:
    assert example.accuracy >= accuracy
    assert not example.model.training
    assert example.images.shape[1:] == (channels, side, side)
    assert example.images.min() >= 0
    assert example.images.max() <= 1
    assert example.labels.max() < len(example.names)
    assert len(example.labels) == len(example.images)
    assert len(example.train_images) == len(example.train_labels)
    with torch.no_grad():
        right = example.model(example.images).argmax(1) == example.labels
    assert float(right.float().mean()) == pytest.approx(example.accuracy)
    last = example.model.state_dict()
    assert example.checkpoints[-1].keys() == last.keys()
    for name, value in example.checkpoints[-1].items():
        torch.testing.assert_close(value, last[name], rtol=0, atol=0)
    first = example.checkpoints[0]
    assert any(not torch.equal(first[name], last[name]) for name in last)


def test_digits() -> None:
    example = digits(epochs=3)
    check(example, 1, 8, 0.9)
    assert example.names == list("0123456789")
    assert len(example.images) + len(example.train_images) == 1797
    assert len(example.checkpoints) == 3
    assert digits(epochs=3) is example


def test_digits_with_planted_labels() -> None:
    clean, noisy = digits(epochs=1), digits(epochs=1, wrong=0.1)
    assert clean.wrong == []
    assert len(noisy.wrong) == round(0.1 * len(clean.train_labels))
    assert noisy.wrong == (noisy.train_labels != clean.train_labels).nonzero().flatten().tolist()
    assert torch.equal(noisy.labels, clean.labels)
    assert int(noisy.train_labels.min()) >= 0
    assert int(noisy.train_labels.max()) < 10


def test_scenes_and_mosaic() -> None:
    state = torch.get_rng_state()
    example = scenes(epochs=3)
    assert torch.equal(torch.get_rng_state(), state)
    check(example, 3, 96, 0.5)  # of six classes after three epochs; how much more depends on the processor's rounding
    assert example.names == list(photographs())
    pair = mosaic("cat", "flower")
    assert pair.shape == (1, 3, 96, 192)
    flipped = mosaic("flower", "cat")
    torch.testing.assert_close(pair[..., :96], flipped[..., 96:])
    assert example.model(pair).shape == (1, 6)


def test_training_depends_on_its_seed_alone() -> None:
    state = torch.get_rng_state()
    again = [digits.__wrapped__(epochs=1, seed=seed) for seed in (4, 4, 5)]
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.cat([value.flatten() for value in one.model.state_dict().values()]) for one in again]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[0], weights[2])


def test_the_test_images_were_not_trained_on() -> None:
    example = digits(epochs=3)
    seen = {image.numpy().tobytes() for image in example.train_images}
    assert not any(image.numpy().tobytes() in seen for image in example.images)


def test_photographs() -> None:
    pictures = photographs()
    assert set(pictures) == {"china", "flower", "astronaut", "cat", "coffee", "rocket"}
    for name, picture in pictures.items():
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.std() > 20
        np.testing.assert_array_equal(picture, photograph(name))
        picture[:] = 0
        assert photograph(name).any()


def test_unknown_photographs() -> None:
    with pytest.raises(ValueError, match="astronaut"):
        photograph("dog")


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"xaiwidgets\[demo\]"):
        example_module.require("sklearn.datasets")
