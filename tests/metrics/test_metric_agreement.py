"""How alike maps are, against scipy, scikit-image and counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.metrics.agreement import (
    chance_of_top,
    cosine,
    disagreement,
    hog_similarity,
    pearson,
    ranks,
    sign_agreement,
    spearman,
    ssim,
    topk_overlap,
)

MEASURES = [spearman, pearson, cosine, topk_overlap, sign_agreement, ssim, hog_similarity]


def maps(seed: int, *shape: int, ties: bool = False) -> Tensor:
    found = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found.round(decimals=1) if ties else found


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_and_their_correlation(ties: bool) -> None:
    first, second = maps(0, 4, 8, 9, ties=ties), maps(1, 4, 8, 9, ties=ties)
    for row in range(4):
        np.testing.assert_allclose(ranks(first)[row], scipy.stats.rankdata(first[row].flatten()))
        expected = scipy.stats.spearmanr(first[row].flatten(), second[row].flatten()).statistic
        assert float(spearman(first, second)[row]) == pytest.approx(expected, abs=1e-12)
        expected = scipy.stats.pearsonr(first[row].flatten(), second[row].flatten()).statistic
        assert float(pearson(first, second)[row]) == pytest.approx(expected, abs=1e-12)


def test_masked_places_are_as_if_they_were_not_there() -> None:
    first, second = maps(0, 2, 30, ties=True), maps(1, 2, 30, ties=True)
    masked = first.clone()
    masked[0, ::3] = math.nan
    other = second.clone()
    other[1, ::4] = math.nan
    kept = [torch.arange(30) % 3 > 0, torch.arange(30) % 4 > 0]
    for measure in (spearman, pearson, cosine, sign_agreement, topk_overlap):
        found = measure(masked, other)
        for row in range(2):
            alone = measure(first[row : row + 1, kept[row]], second[row : row + 1, kept[row]])
            torch.testing.assert_close(found[row : row + 1], alone)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_map_is_like_itself(measure: object) -> None:
    one = maps(0, 3, 16, 16)
    torch.testing.assert_close(measure(one, one), torch.ones(3, dtype=torch.float64))  # type: ignore[operator]


@pytest.mark.parametrize("measure", MEASURES)
def test_rows_do_not_know_of_each_other(measure: object) -> None:
    first, second = maps(0, 3, 16, 16, ties=True), maps(1, 3, 16, 16, ties=True)
    torch.testing.assert_close(measure(first, second)[1:2], measure(first[1:2], second[1:2]))  # type: ignore[operator]


def test_what_does_not_change_ranks() -> None:
    first, second = maps(0, 3, 50), maps(1, 3, 50)
    torch.testing.assert_close(spearman(first.exp(), second * 3 - 1), spearman(first, second))
    torch.testing.assert_close(spearman(-first, second), -spearman(first, second))
    shuffled = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(spearman(first[:, shuffled], second[:, shuffled]), spearman(first, second))


def test_constant_maps_have_no_correlation() -> None:
    flat = torch.full((2, 40), 0.1)  # its mean is not exactly 0.1
    assert spearman(flat, maps(0, 2, 40)).isnan().all()
    assert pearson(flat, maps(0, 2, 40)).isnan().all()
    assert cosine(torch.zeros(2, 40), maps(0, 2, 40)).isnan().all()
    assert sign_agreement(torch.zeros(2, 40), maps(0, 2, 40)).isnan().all()


def test_the_overlap_of_the_top() -> None:
    first, second = maps(0, 5, 40), maps(1, 5, 40)
    for row, found in enumerate(topk_overlap(first, second, 0.25)):
        tops = [set(one[row].argsort(descending=True)[:10].tolist()) for one in (first, second)]
        assert float(found) == pytest.approx(len(tops[0] & tops[1]) / 10)
    # All equal: any 3 of 10 are the top, so that 3 · 3/10 of them are expected to be shared.
    assert float(topk_overlap(torch.zeros(1, 10), torch.arange(10.0)[None], 0.3)) == pytest.approx(0.3)
    chances = chance_of_top(torch.tensor([[5.0, 2, 2, 1], [1, 2, 3, 4]]), torch.tensor([0.5, 0.25]))
    assert chances.tolist() == [[1, 0.5, 0.5, 0], [0, 0, 0, 1]]


def test_signs() -> None:
    first = torch.tensor([[1.0, -1.0, 0.0, 2.0, 3.0]])
    second = torch.tensor([[2.0, 1.0, 5.0, 1.0, 0.0]])
    assert float(sign_agreement(first, second)) == pytest.approx(2 / 3)


def scaled(picture: Tensor) -> np.ndarray:
    return ((picture - picture.min()) / (picture.max() - picture.min())).numpy()


@pytest.mark.parametrize(("height", "width"), [(16, 12), (8, 8), (5, 9)])
def test_structural_similarity(height: int, width: int) -> None:
    from skimage.metrics import structural_similarity

    first = maps(0, 3, height, width)
    second = first + 0.4 * maps(1, 3, height, width)
    size = min(7, height if height % 2 else height - 1)
    for row in range(3):
        expected, whole = structural_similarity(
            scaled(first[row]), scaled(second[row]), data_range=1, win_size=size, full=True
        )
        assert float(ssim(first, second)[row]) == pytest.approx(expected, abs=1e-12)
        mask = torch.rand(height, width) > 0.4
        inside = mask.numpy().copy()
        edge = size // 2
        inside[:edge], inside[-edge:], inside[:, :edge], inside[:, -edge:] = False, False, False, False
        found = ssim(first[row : row + 1], second[row : row + 1], mask[None])
        if inside.any():
            assert float(found) == pytest.approx(whole[inside].mean(), abs=1e-12)
        else:
            assert found.isnan().all()


def test_histograms_of_gradients() -> None:
    from skimage.feature import hog

    first, second = maps(0, 2, 24, 16), maps(1, 2, 24, 16)
    for row, found in enumerate(hog_similarity(first, second)):
        known = [hog(one[row].numpy(), 9, (8, 8), (1, 1), block_norm="L2") for one in (first, second)]
        assert float(found) == pytest.approx(np.corrcoef(*known)[0, 1], abs=1e-5)


def test_pictures_only() -> None:
    with pytest.raises(xw.ExplainError) as error:
        ssim(maps(0, 2, 9), maps(1, 2, 9))
    assert error.value.code == "not_an_image"
    assert ssim(maps(0, 1, 2, 2), maps(1, 1, 2, 2)).isnan().all(), "too small for a window"


def test_disagreement() -> None:
    one = torch.zeros(2, 1, 2, 2)
    one[:, :, 0, 0] = 5
    two = torch.zeros(2, 3, 2, 2)
    two[:, :, 1, 1] = -1
    found = disagreement({"one": one, "two": two})
    # Of masses +1 here and 0 there, and 0 here and -1 there, the standard deviation is a half.
    assert found.squeeze(1).tolist() == [[[0.5, 0.0], [0.0, 0.5]]] * 2
    assert not disagreement({"one": one, "tripled": one * 3}).any(), "scale says nothing"
    assert not disagreement({"none": one * 0, "nothing": one * 0}).any()
    with pytest.raises(xw.ExplainError) as error:
        disagreement({"one": one})
    assert error.value.code == "one_map"


def test_the_metric_leaves_controls_out() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(32, 3)).eval()
    images = torch.rand(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    found = xw.evaluate(
        model, images, {"a": "saliency", "b": "input_x_gradient", "c": "saliency"},
        target=0, metrics="method_agreement", controls=True,
    )  # fmt: skip
    importance = {name: values.sum(1).flatten(1) for name, values in found.maps.items()}
    with_b = spearman(importance["a"], importance["b"])
    torch.testing.assert_close(found["a"]["method_agreement"].values, (with_b + 1) / 2)
    torch.testing.assert_close(found["b"]["method_agreement"].values, with_b)
    random = (2 * spearman(importance["random"], importance["a"]) + spearman(importance["random"], importance["b"])) / 3
    torch.testing.assert_close(found["random"]["method_agreement"].values, random)
    assert found["a"]["method_agreement"].direction == "none"
