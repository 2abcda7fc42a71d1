"""Numbers that know their rows: means, intervals, curves."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

from xaiwidgets.metrics.result import Curve, Result, bootstrap


def test_a_result_is_its_mean() -> None:
    found = Result(torch.tensor([1.0, 2.0, math.nan, 6.0]), metric="deletion")
    assert found == 3.0
    assert found + 1 == 4.0
    assert sorted([found, 1.0]) == [1.0, found]
    assert f"{found:.1f}" == "3.0"
    assert found.values.dtype == torch.float64
    assert "4 rows" in repr(found)


def test_nothing_known_is_not_a_number() -> None:
    assert math.isnan(Result(torch.full((2,), math.nan), metric="x"))
    assert Result(torch.full((2,), math.nan), metric="x").interval is None
    assert Result(torch.tensor([1.0, math.nan]), metric="x").interval is None


def test_the_interval_is_that_of_the_mean() -> None:
    values = torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 5
    interval = Result(values, metric="x").interval
    assert interval is not None
    half = 1.96 * float(values.std()) / math.sqrt(200)
    np.testing.assert_allclose(interval, [float(values.mean()) - half, float(values.mean()) + half], atol=0.2 * half)
    assert Result(values, metric="x").interval == interval, "seeded"
    state = torch.get_rng_state()
    bootstrap(values[:, None])
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_without_a_value_do_not_move_the_band() -> None:
    values = torch.rand(30, 4, dtype=torch.float64)
    gaps = torch.cat([values, torch.full((5, 4), math.nan, dtype=torch.float64)])
    (low, high), (low_gaps, high_gaps) = bootstrap(values), bootstrap(gaps)
    assert bool((low < high).all())
    torch.testing.assert_close(low_gaps, low, atol=0.05, rtol=0)
    torch.testing.assert_close(high_gaps, high, atol=0.05, rtol=0)


def test_a_result_survives_copying() -> None:
    found = Result(
        torch.tensor([1.0, 2.0]), metric="x", direction="lower", notes=("n",), final=False, progress=(1, 3),
        curves={"c": Curve(torch.tensor([0.0, 1.0]), torch.ones(2, 2))},
    )  # fmt: skip
    for other in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other == 1.5
        assert (other.direction, other.notes, other.final, other.progress) == ("lower", ("n",), False, (1, 3))
        assert torch.equal(other.curves["c"].values, torch.ones(2, 2))


def test_what_went_wrong_has_no_number() -> None:
    found = Result(torch.tensor([1.0, 2.0]), metric="x", error=ValueError("no"))
    assert math.isnan(found)
    assert str(pickle.loads(pickle.dumps(found)).error) == "no"
    assert "no" in repr(found)


def test_area_is_the_mean_height() -> None:
    x = torch.tensor([0.0, 0.25, 1.0])
    curve = Curve(x, torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.25, 1.0], [0.0, 0.5, 2.0]], dtype=torch.float64))
    torch.testing.assert_close(curve.area(), torch.tensor([1.0, 0.5, 1.0], dtype=torch.float64))
    assert Curve(x[:1], torch.tensor([[3.0]])).area().tolist() == [3.0]
    stretched = Curve(x * 4, curve.values)
    torch.testing.assert_close(stretched.area(), curve.area())
    expected = trapezoid(curve.values.numpy(), x.numpy(), axis=1)
    np.testing.assert_allclose(curve.area(), expected)


def test_bands() -> None:
    x = torch.linspace(0, 1, 3)
    one = Curve(x, torch.tensor([[1.0, 2.0, 3.0]]))
    for side in one.band():
        assert side.tolist() == [1.0, 2.0, 3.0]
    tries = torch.arange(101.0)[:, None].expand(-1, 3)
    low, high = Curve(x, one.values, spread=tries).band()
    torch.testing.assert_close(low, torch.full((3,), 2.5, dtype=torch.float64))
    torch.testing.assert_close(high, torch.full((3,), 97.5, dtype=torch.float64))
    several = Curve(x, torch.rand(9, 3))
    low, high = several.band()
    assert bool(((low <= several.mean) & (several.mean <= high)).all())


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    assert Result(torch.zeros(rows), metric="x").interval is None
