"""Occlusion against brute force and captum."""

import pytest
import torch
from captum import attr

from xaiwidgets.api import attribute, stream


def brute_force(model, image, *, target, window, stride, fill):
    _, height, width = image.shape
    total, covered = torch.zeros(height, width), torch.zeros(height, width)
    score = model(image[None])[0, target]
    top = 0
    while True:
        left = 0
        while True:
            masked = image.clone()
            masked[:, top : top + window, left : left + window] = fill
            total[top : top + window, left : left + window] += score - model(masked[None])[0, target]
            covered[top : top + window, left : left + window] += 1
            if left + window >= width:
                break
            left += stride
        if top + window >= height:
            break
        top += stride
    return total / covered


@pytest.mark.parametrize(("window", "stride"), [(2, 1), (3, 2), (3, 3), (5, 4), (8, 1), (1, 1)])
def test_brute_force_agrees(digits, window, stride):
    with torch.no_grad():
        expected = brute_force(digits.model, digits.images[0], target=3, window=window, stride=stride, fill=0.5)
    found = attribute(
        digits.model, digits.images[:1], target=3, method="occlusion", window=window, stride=stride, baseline=0.5
    )
    torch.testing.assert_close(found.values[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_captum_agrees(cifar):
    x, y = cifar.images[:2], cifar.labels[:2]
    with torch.no_grad():
        expected = attr.Occlusion(cifar.model).attribute(
            x, (3, 8, 8), strides=(3, 4, 4), target=y, perturbations_per_eval=16
        )
    found = attribute(cifar.model, x, target=y, method="occlusion", window=8, stride=4)
    torch.testing.assert_close(found.values.expand(-1, 3, -1, -1), expected, rtol=1e-3, atol=1e-4)


def test_a_linear_model_drops_by_what_is_covered():
    weights = torch.randn(1, 6, 6)
    x = torch.rand(2, 1, 6, 6)
    found = attribute(lambda x: (x * weights).flatten(1).sum(1), x, method="occlusion", window=1, stride=1)
    torch.testing.assert_close(found.values, x * weights, rtol=1e-4, atol=1e-5)
    assert found.evaluations == {"forward": 2 + 2 * 36, "gradient": 0}


def test_defaults_are_an_eighth_and_half_of_it():
    image = torch.rand(1, 1, 32, 48)
    found = attribute(lambda x: x.flatten(1).sum(1), image, method="occlusion")
    same = attribute(lambda x: x.flatten(1).sum(1), image, method="occlusion", window=4, stride=2)
    assert torch.equal(found.values, same.values)
    assert found.progress == (15 * 23, 15 * 23)
    tiny = attribute(lambda x: x.flatten(1).sum(1), image[..., :3, :3], method="occlusion")
    torch.testing.assert_close(tiny.values, image[..., :3, :3])


def test_a_stride_beyond_the_window_still_covers_every_pixel():
    image = torch.rand(1, 1, 9, 9)
    found = attribute(lambda x: x.flatten(1).sum(1), image, method="occlusion", window=2, stride=7)
    assert (found.values > 0).all()


def test_early_pictures_cover_the_image(digits):
    parts = list(
        stream(digits.model, digits.images[:1], target=3, method="occlusion", window=2, stride=1, batch_size=7)
    )
    assert [part.progress[0] for part in parts] == list(range(7, 50, 7))
    rows, columns = torch.nonzero(parts[1].values[0, 0], as_tuple=True)
    assert rows.max() - rows.min() >= 6
    assert columns.max() - columns.min() >= 6


def test_several_baselines_are_averaged(digits):
    both, zero, one = (
        attribute(digits.model, digits.images[:2], target=3, method="occlusion", baseline=baseline).values
        for baseline in ([0.0, 1.0], 0.0, 1.0)
    )
    torch.testing.assert_close(both, (zero + one) / 2, rtol=1e-4, atol=1e-5)
