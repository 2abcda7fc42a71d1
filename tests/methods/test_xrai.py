"""XRAI: regions of known value, the ranking by brute force, and sums that stay those of integrated gradients."""

import sys

import numpy as np
import pytest
import torch
from skimage import morphology
from skimage.segmentation import felzenszwalb
from skimage.transform import resize

from xaiwidgets.api import Each, ExplainError, Session, attribute, stream
from xaiwidgets.examples import photograph
from xaiwidgets.methods import xrai


def quarters(rows=1):
    """Images of 32 × 32 in four flat colours, and the four masks."""
    colours = torch.tensor([[0.0, 0.2, 0.9], [1.0, 0.1, 0.3], [0.2, 0.8, 0.4], [0.7, 0.7, 1.0]])
    masks = torch.zeros(4, 32, 32, dtype=torch.bool)
    for number, (top, left) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
        masks[number, top : top + 16, left : left + 16] = True
    image = sum(colour[:, None, None] * mask for colour, mask in zip(colours, masks, strict=True))
    return torch.stack([image.roll(16 * row, 2) for row in range(rows)]), masks


def linear(channels=3, side=32, seed=0):
    weights = torch.randn(channels, side, side, generator=torch.Generator().manual_seed(seed)) / side
    return lambda x: (x * weights).flatten(1).sum(1), weights


def test_flat_quarters_get_the_mean_of_their_own(monkeypatch):
    monkeypatch.setattr(xrai, "DILATION", 0)
    images, masks = quarters()
    model, weights = linear()
    # From black and from white, the mean of w (x - 0) and w (x - 1).
    exact = (weights * (images[0] - 0.5)).sum(0)
    found = attribute(model, images, method="xrai")
    for mask in masks:
        torch.testing.assert_close(found.values[0, 0][mask], exact[mask].mean().expand(256), rtol=1e-3, atol=1e-5)
    assert found.values.sum().item() == pytest.approx(exact.sum().item(), abs=1e-3)
    assert found.delta.abs().max() < 1e-3
    assert found.baseline_score.item() == pytest.approx(model(torch.ones(1, 3, 32, 32)).item() / 2, abs=1e-4)


def test_the_sum_is_that_of_integrated_gradients(cifar):
    x, y = cifar.images[:2], cifar.labels[:2]
    found = attribute(cifar.model, x, target=y, method="xrai", steps=9)
    assert found.values.shape == (2, 1, 32, 32)
    change = found.score - found.baseline_score
    torch.testing.assert_close(found.values.flatten(1).sum(1), change + found.delta, rtol=1e-3, atol=1e-3)
    for row in range(2):
        low, high = x[row].min().item(), x[row].max().item()
        pixels = attribute(
            cifar.model, x[row : row + 1], target=y[row : row + 1], baseline=[low, high], steps=9
        ).values.sum(1)
        expected = by_brute_force(pixels[0].double(), xrai.segments(x[row]))
        torch.testing.assert_close(found.values[row, 0], expected.float(), rtol=1e-3, atol=1e-4)


def by_brute_force(values, masks):
    """Every gain computed anew in every round."""
    least = max(1, round(50 * values.numel() / 224**2))
    flat, segments = values.flatten().numpy(), masks.flatten(0, 1).T.numpy()
    result, left = np.zeros_like(flat), np.ones(len(flat), dtype=bool)
    while True:
        counts = [int((segment & left).sum()) for segment in segments]
        gains = [
            flat[segment & left].mean() if count >= least else -np.inf
            for segment, count in zip(segments, counts, strict=True)
        ]
        best = int(np.argmax(gains))
        if gains[best] == -np.inf:
            break
        result[segments[best] & left] = gains[best]
        left &= ~segments[best]
    if left.any():
        result[left] = flat[left].mean()
    return torch.from_numpy(result).reshape(values.shape)


def test_the_ranking_by_brute_force():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(40, 50, dtype=torch.float64, generator=generator)
    masks = torch.zeros(40, 50, 25, dtype=torch.bool)
    for number in range(25):
        top, left = (int(torch.randint(length, (), generator=generator)) for length in (30, 40))
        masks[top : top + 12, left : left + 9, number] = True
    found = xrai.gather(values, masks)
    torch.testing.assert_close(found, by_brute_force(values, masks))
    assert found.sum().item() == pytest.approx(values.sum().item())
    uncovered = ~masks.any(-1)
    torch.testing.assert_close(found[uncovered], values[uncovered].mean().expand(int(uncovered.sum())))


def test_a_region_that_adds_too_little_is_passed_over():
    values = torch.zeros(224, 224, dtype=torch.float64)
    values[0, :49] = 100.0  # one pixel short of what a region must add
    masks = torch.zeros(224, 224, 2, dtype=torch.bool)
    masks[0, :49, 0] = True
    masks[:, :, 1] = True
    found = xrai.gather(values, masks)
    torch.testing.assert_close(found, torch.full_like(values, 4900 / 224**2))
    values[0, 49], masks[0, 49, 0] = 100.0, True
    assert xrai.gather(values, masks)[0, 0] == 100


def test_segments_are_felzenszwalbs_widened():
    picture = resize(photograph("cat"), (224, 224), anti_aliasing=True)
    image = torch.from_numpy(picture).permute(2, 0, 1).float() * 8 - 3  # any range: it is rescaled
    found = xrai.segments(image)
    scaled = (picture - picture.min()) / (picture.max() - picture.min())
    expected = []
    for scale in (50, 100, 150, 250, 500, 1200):
        labels = felzenszwalb(scaled.astype("float32"), scale=scale, sigma=0.8, min_size=150)
        expected += [morphology.dilation(labels == label, morphology.disk(5)) for label in range(labels.max() + 1)]
    assert found.shape == (224, 224, len(expected))
    same = sum(bool((found[..., number].numpy() == mask).all()) for number, mask in enumerate(expected))
    assert same > 0.95 * len(expected)  # up to the rounding of the pixels


@pytest.mark.parametrize("side", [32, 96])
def test_an_image_has_about_as_many_regions_at_any_size(side):
    counts = []
    for length in (side, 224):
        picture = resize(photograph("flower"), (length, length), anti_aliasing=True)
        counts.append(xrai.segments(torch.from_numpy(picture).permute(2, 0, 1)).shape[-1])
    assert 0.5 < counts[0] / counts[1] < 3.5


def test_pixels_first_then_the_regions_of_row_after_row():
    images, _ = quarters(2)
    model, _ = linear()
    parts = list(stream(lambda x: model(x) + 0.1 * model(x).square(), images, method="xrai", steps=33, tolerance=0.0))
    assert parts[0].progress == (9, 35)
    assert [part.progress for part in parts[-3:]] == [(33, 35), (34, 35), (35, 35)]
    pixels, one, both = (part.values for part in parts[-3:])
    kinds = [[len(torch.unique(values[row])) for row in range(2)] for values in (pixels, one, both)]
    assert min(kinds[0]) > 500
    assert kinds[1][0] < 50
    assert kinds[1][1] == kinds[0][1]
    assert max(kinds[2]) < 50
    torch.testing.assert_close(both.sum((1, 2, 3)), pixels.sum((1, 2, 3)), rtol=1e-4, atol=1e-4)


def test_rows_targets_and_batches(digits):
    x = digits.images[:3]
    both = attribute(digits.model, x, target=Each(3, 5), method="xrai", steps=9)
    assert both.values.shape == (2, 3, 1, 8, 8)
    for index, target in enumerate((3, 5)):
        alone = attribute(digits.model, x[1:2], target=target, method="xrai", steps=9, batch_size=2)
        torch.testing.assert_close(both.values[index, 1:2], alone.values, rtol=1e-3, atol=1e-4)


def test_asked_again_it_costs_nothing(digits):
    session = Session(digits.model, digits.images[:2], target=3)
    first = session.attribute("xrai", steps=17, tolerance=0.0)
    again = session.attribute("xrai", steps=17, tolerance=0.0)
    assert first.evaluations["gradient"] == 2 * 2 * 17
    assert again.evaluations == {"forward": 0, "gradient": 0}
    assert torch.equal(again.values, first.values)


def test_a_flat_image_is_one_region():
    found = attribute(lambda x: x.flatten(1).sum(1), torch.full((1, 1, 16, 16), 0.3), method="xrai")
    assert found.values.abs().max() < 1e-6


def test_without_scikit_image_it_says_what_to_install(monkeypatch, digits):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    results = stream(digits.model, digits.images[:1], target=3, method="xrai", steps=9)
    with pytest.raises(ExplainError, match="needs scikit-image") as caught:
        next(results)  # before anything is computed
    assert caught.value.code == "missing_extra"
    assert "xaiwidgets[images]" in caught.value.hint
    with pytest.raises(ExplainError, match="explains images"):
        attribute(lambda x: x.sum(1), torch.rand(1, 5), method="xrai")
