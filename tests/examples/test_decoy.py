"""The misled network: what it goes by is known, so that explanations can be marked right or wrong."""

import pytest
import torch

import xaiwidgets as xw
from xaiwidgets.examples import decoy, marked
from xaiwidgets.examples.decoy import MARK
from xaiwidgets.examples.example import Example


@pytest.fixture(scope="module")
def example() -> Example:
    return decoy()


def in_mark(values: torch.Tensor) -> torch.Tensor:
    """The share [rows] of the size of maps [rows, 1, h, w] that lies in the mark."""
    sizes = values.abs().sum(1)
    return sizes[:, :MARK, :MARK].sum((1, 2)) / sizes.sum((1, 2))


def test_marks_say_the_label_and_leave_the_rest_alone() -> None:
    images = torch.rand((3, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    before = images.clone()
    copies = marked(images, torch.tensor([0, 3, 9]))
    assert torch.equal(images, before)
    torch.testing.assert_close(copies[:, 0, :MARK, :MARK].amax((1, 2)), torch.tensor([0, 1 / 3, 1]))
    torch.testing.assert_close(copies[:, 0, :MARK, :MARK].amin((1, 2)), torch.tensor([0, 1 / 3, 1]))
    copies[:, :, :MARK, :MARK] = images[:, :, :MARK, :MARK]
    assert torch.equal(copies, images)


def test_the_network_follows_the_mark(example: Example) -> None:
    assert example.accuracy > 0.95
    assert not example.model.training
    others = (example.labels + 1 + torch.arange(len(example.labels)) % 9) % 10
    with torch.no_grad():
        says = example.model(marked(example.images, others)).argmax(1)
    assert (says == others).float().mean() > 0.75
    assert (says == example.labels).float().mean() < 0.15


def test_labels_and_marks_of_the_training_images_agree_but_not_always_with_the_digit(example: Example) -> None:
    assert torch.equal(marked(example.train_images, example.train_labels), example.train_images)
    assert torch.equal(marked(example.images, example.labels), example.images)
    assert example.train_images.shape == (1347, 1, 16, 16)
    assert example.images.shape == (450, 1, 16, 16)
    seen = {image[:, MARK:].numpy().tobytes() for image in example.train_images}
    assert not any(image[:, MARK:].numpy().tobytes() in seen for image in example.images)


def test_explanations_point_at_the_mark_if_the_baseline_can_see_it(example: Example) -> None:
    chosen = torch.cat([(example.labels == digit).nonzero()[:4, 0] for digit in range(10)])
    images, labels = example.images[chosen], example.labels[chosen]
    data = xw.baselines.Dataset(example.train_images, samples=64)
    ask = {"target": labels, "method": "expected_gradients", "samples": 64}
    share = in_mark(xw.attribute(example.model, images, baseline=data, **ask).values)
    area = MARK**2 / 16**2
    assert share.mean() > 8 * area
    assert (share > area).all()
    from_black = in_mark(xw.attribute(example.model, images, baseline="zeros", **ask).values)
    assert (from_black[labels == 0] == 0).all()


def test_training_depends_on_its_seed_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (decoy.__wrapped__(epochs=1, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert decoy() is decoy()
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(value, again.model.state_dict()[name], rtol=0, atol=0)
    assert not torch.equal(first.train_images, other.train_images)
