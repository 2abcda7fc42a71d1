"""Maps beside masks: brute force, scikit-learn and, where it is right, Quantus."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.localisation import TOLERANCE
from xaiwidgets.metrics.registry import METRICS

NAMES = ["pointing_game", "relevance_rank", "top_k_intersection", "relevance_mass", "auc"]


def summed(points):
    return points.flatten(1).sum(1)


def case(values, mask, points=None):
    points = torch.rand(values.shape) if points is None else points
    return Case(Problem(summed, points), values, mask=mask)


def read(name, values, mask, points=None, **parameters):
    metric = METRICS[name]
    (reading,) = metric.run(case(values, mask, points), **metric.check(parameters))
    assert reading.values.dtype == torch.float64
    return reading


def value(name, *arguments, **parameters):
    return read(name, *arguments, **parameters).values


def squares(rows=6, side=12, seed=0):
    """Maps, and a square mask for each."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(rows, 1, side, side, generator=generator)
    masks = torch.zeros(rows, 1, side, side, dtype=torch.bool)
    for row in range(rows):
        masks[row, :, row : row + 4, 2 : 5 + row % 3] = True
    return maps, masks


def test_a_map_that_is_the_mask_is_perfect_and_its_opposite_is_not():
    _, masks = squares()
    for name in NAMES:
        expected = torch.ones(6, dtype=torch.float64)
        if name == "top_k_intersection":
            expected = masks.flatten(1).sum(1).double().clamp(max=14) / 14
        torch.testing.assert_close(value(name, masks.float(), masks), expected)
        opposite = value(name, (~masks).float(), masks, **({"tolerance": 0.0} if name == "pointing_game" else {}))
        assert opposite.max() < (0.3 if name == "top_k_intersection" else 1e-12)


def test_a_constant_map_scores_what_chance_does():
    _, masks = squares()
    shares = masks.flatten(1).double().mean(1)
    flat = torch.ones(6, 1, 12, 12)
    for name in ("relevance_rank", "top_k_intersection", "relevance_mass"):
        torch.testing.assert_close(value(name, flat, masks), shares)
    torch.testing.assert_close(value("pointing_game", flat, masks, tolerance=0.0), shares)
    torch.testing.assert_close(value("auc", flat, masks), torch.full((6,), 0.5, dtype=torch.float64))


def test_ties_count_for_their_chance():
    maps = torch.tensor([[3.0, 3.0, 2.0, 2.0, 2.0, 0.0]])
    mask = torch.tensor([[True, False, True, True, False, False]])
    assert value("pointing_game", maps, mask).tolist() == [0.5]
    assert value("relevance_rank", maps, mask).tolist() == pytest.approx([(1 + 2 / 3) / 3])
    assert value("top_k_intersection", maps, mask, share=0.5).tolist() == pytest.approx([(1 + 2 / 3) / 3])
    assert value("relevance_mass", maps, mask).tolist() == pytest.approx([7 / 12])


def test_ranks_and_masses_by_brute_force():
    maps, masks = squares()
    flat, inside = maps.flatten(1).numpy(), masks.flatten(1).numpy()
    for row in range(6):
        size = inside[row].sum()
        top = np.argsort(-flat[row])
        one = (maps[row : row + 1], masks[row : row + 1])
        assert value("relevance_rank", *one).item() == pytest.approx(inside[row][top[:size]].mean())
        assert value("top_k_intersection", *one, share=0.2).item() == pytest.approx(inside[row][top[:29]].mean())
        positive = flat[row].clip(0)
        assert value("relevance_mass", *one).item() == pytest.approx(positive[inside[row]].sum() / positive.sum())
        assert value("auc", *one).item() == pytest.approx(roc_auc_score(inside[row], flat[row]))
        coarse = one[0].round()
        assert value("auc", coarse, one[1]).item() == pytest.approx(
            roc_auc_score(inside[row], coarse.flatten().numpy())
        )


def test_a_hit_may_lie_beside_the_object():
    masks = torch.zeros(1, 1, 224, 224, dtype=torch.bool)
    masks[..., 100:110, 100:110] = True
    for across, down, hit in ((114, 105, 1), (124, 109, 1), (125, 109, 0), (118, 121, 1), (120, 121, 0)):
        maps = torch.zeros(1, 1, 224, 224)
        maps[..., down, across] = 1
        near = min((x - across) ** 2 + (y - down) ** 2 for x in range(100, 110) for y in range(100, 110)) ** 0.5
        assert (near <= 15) == bool(hit)
        assert value("pointing_game", maps, masks).item() == hit
        assert value("pointing_game", maps, masks, tolerance=0.0).item() == 0
    small = torch.zeros(1, 1, 8, 8)
    small[..., 0, 1] = 1
    assert TOLERANCE * 8 < 1
    assert value("pointing_game", small, torch.eye(8, dtype=torch.bool)[None, None]).item() == 0


def test_quantus_agrees_where_it_is_right():
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")

    maps, masks = squares(8)
    maps = maps.abs()
    kinds = {
        "pointing_game": (quantus.PointingGame, {}, {"tolerance": 0.0}),
        "relevance_rank": (quantus.RelevanceRankAccuracy, {}, {}),
        "relevance_mass": (quantus.RelevanceMassAccuracy, {}, {}),  # of maps without a sign: theirs leaves 0..1 else
        "top_k_intersection": (quantus.TopKIntersection, {"k": 14}, {"share": 14 / 144}),
        "auc": (quantus.AUC, {}, {}),
    }
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 2))
    for name, (kind, theirs_given, ours_given) in kinds.items():
        metric = kind(abs=False, normalise=False, disable_warnings=True, **theirs_given)
        theirs = metric(
            model=model, x_batch=maps.numpy(), y_batch=np.zeros(8, int), a_batch=maps.numpy(), s_batch=masks.numpy()
        )
        assert value(name, maps, masks, **ours_given).tolist() == pytest.approx([float(one) for one in theirs])


def test_where_quantus_leaves_its_range_or_lets_ties_hit():
    """Ours by hand: a share of what is positive, and half a hit where one of two highest places lies inside."""
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")

    maps = torch.tensor([[[[3.0, -2.0], [3.0, -3.0]]]])
    masks = torch.tensor([[[[True, False], [False, False]]]])
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    given = {"model": model, "x_batch": maps.numpy(), "y_batch": np.zeros(1, int), "a_batch": maps.numpy()}
    options = {"abs": False, "normalise": False, "disable_warnings": True}
    assert quantus.RelevanceMassAccuracy(**options)(**given, s_batch=masks.numpy())[0] == pytest.approx(3)
    assert value("relevance_mass", maps, masks).tolist() == [0.5]
    assert quantus.PointingGame(**options)(**given, s_batch=masks.numpy())[0] == 1
    assert value("pointing_game", maps, masks).tolist() == [0.5]


def test_channels_are_summed_and_sizes_only_count_if_asked():
    maps = torch.zeros(1, 2, 1, 4)
    maps[0, :, 0, 0] = torch.tensor([5.0, -5.0])
    maps[0, :, 0, 1] = torch.tensor([1.0, 0.0])
    maps[0, :, 0, 2] = torch.tensor([-1.0, -2.0])
    mask = torch.tensor([False, True, False, False]).reshape(1, 1, 1, 4)
    assert value("pointing_game", maps, mask).item() == 1
    assert value("relevance_mass", maps, mask).item() == 1
    assert value("pointing_game", maps, mask, absolute=True).item() == 0
    assert value("relevance_mass", maps, mask, absolute=True).item() == 0.25


def test_masks_of_any_fitting_shape():
    maps, masks = squares()
    first = masks[:1]
    for name in NAMES:
        expected = value(name, maps, first.expand(6, 1, 12, 12))
        for mask in (first, first.long(), first[:, 0].expand(6, 12, 12), first.expand(1, 1, 12, 12).numpy()):
            assert torch.equal(value(name, maps, mask), expected)
    wide = masks.expand(6, 3, 12, 12)
    assert torch.equal(
        value("auc", maps, wide, torch.rand(6, 3, 12, 12)), value("auc", maps, masks, torch.rand(6, 3, 12, 12))
    )
    with pytest.raises(InputError, match="not fit"):
        case(maps, torch.ones(6, 1, 11, 12, dtype=torch.bool))
    with pytest.raises(InputError, match="mask="):
        read("auc", maps, None)


def test_tokens_have_one_place_each():
    maps = torch.tensor([[0.0, 3.0, 1.0]])
    mask = torch.tensor([[False, True, False]])
    assert value("auc", maps, mask, torch.rand(1, 3, 7)).item() == 1
    assert value("pointing_game", maps, mask, torch.rand(1, 3, 7)).item() == 1


def test_an_empty_mask_is_undefined_and_says_so():
    maps, masks = squares()
    masks = masks.clone()
    masks[2] = False
    for name in NAMES:
        reading = read(name, maps, masks)
        assert reading.values.isnan().tolist() == [False, False, True, False, False, False]
        assert "empty" in reading.notes[0]
    assert read("auc", maps, torch.ones(1, 1, 12, 12)).values.isnan().all()
    assert read("relevance_mass", -maps.abs(), masks).values.isnan().all()
    assert not read("relevance_mass", maps, squares()[1]).notes


def test_rows_do_not_depend_on_each_other():
    maps, masks = squares()
    for name in NAMES:
        together = value(name, maps, masks)
        alone = [value(name, maps[row : row + 1], masks[row : row + 1]).item() for row in range(6)]
        assert together.tolist() == alone
