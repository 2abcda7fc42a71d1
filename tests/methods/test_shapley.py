"""Shapley values against enumeration written out here, captum, axioms, and how near 512 coalitions come."""

from itertools import combinations

import numpy as np
import pytest
import torch
from captum import attr
from games import QUARTERS, enumerated, random_table, table_game
from hypothesis import given, settings
from hypothesis import strategies as st

from xaiwidgets.api import Session, attribute, stream
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.target import Each
from xaiwidgets.methods.orders import balanced_order, imbalance, pairs


@pytest.mark.parametrize("players", [1, 2, 3, 6])
@pytest.mark.parametrize("method", ["shapley_exact", "shapley"])
def test_enumeration_is_exact_on_any_game(players, method):
    table = random_table(players)
    model, x = table_game(table)
    found = attribute(model, x, method=method)
    np.testing.assert_allclose(found.values[0], enumerated(table), rtol=0, atol=1e-12)
    assert found.error == 0
    assert found.evaluations == {"forward": 2**players, "gradient": 0}
    assert abs(float(found.delta)) < 1e-12


def test_captum_agrees(digits):
    regions = torch.arange(8)[:, None] // 3 * 2 + torch.arange(8) // 4  # six parts
    x, y = digits.images[:2], digits.labels[:2]
    expected = attr.ShapleyValues(digits.model).attribute(
        x, target=y, baselines=0.2, feature_mask=regions[None, None], perturbations_per_eval=64
    )
    found = attribute(digits.model, x, target=y, method="shapley", regions=regions, baseline=0.2)
    sizes = torch.bincount(regions.flatten())[regions]  # captum shows a region's value at every pixel
    torch.testing.assert_close(found.values * sizes, expected, rtol=1e-4, atol=1e-5)
    assert found.evaluations["forward"] == 2 * 2**6


@given(st.integers(2, 12), st.integers(0, 10**6), st.integers(16, 200))
@settings(max_examples=25, deadline=None)
def test_axioms(players, seed, samples):
    generator = np.random.default_rng(seed)
    weights, pairwise = generator.normal(size=players), generator.normal(size=(players, players))
    weights[0] = pairwise[0] = pairwise[:, 0] = 0  # a dummy
    w, m = torch.from_numpy(weights), torch.from_numpy(pairwise)

    def model(x):
        return x @ w + ((x @ m) * x).sum(1) - x[:, 1:].prod(1)

    x = torch.ones(1, players, dtype=torch.float64)
    *_, last = parts = list(stream(model, x, method="shapley", samples=samples, seed=seed % 97))
    assert abs(float(last.values[0, 0])) < 1e-12
    for part in parts:  # efficiency, whatever has been asked so far
        if part.error != 0:
            torch.testing.assert_close(part.values.sum(1), part.score - part.baseline_score)
        assert abs(float(part.delta)) < 1e-9
    # Additivity: the same coalitions are asked of both games.
    first, second = (attribute(f, x, method="shapley", samples=samples, seed=seed % 97).values
                     for f in (lambda x: x @ w, lambda x: model(x) - x @ w))  # fmt: skip
    torch.testing.assert_close(first + second, last.values)


def test_symmetry_when_exact():
    found = attribute(lambda x: torch.relu(x[:, 0] + x[:, 1] - x[:, 2]), torch.ones(1, 3), method="shapley")
    torch.testing.assert_close(found.values[0, 0], found.values[0, 1])


def test_one_pair_is_exact_for_pairwise_interactions():
    matrix = torch.randn(30, 30, dtype=torch.float64)
    x = torch.randn(2, 30, dtype=torch.float64)
    found = attribute(lambda x: ((x @ matrix) * x).sum(1), x, method="shapley", samples=16)
    expected = x * (x @ (matrix + matrix.T)) / 2
    torch.testing.assert_close(found.values, expected)
    assert found.evaluations["forward"] == 2 * (2 * 29 + 2)
    assert found.error is None  # one pair has no spread


def test_unbiased_and_an_honest_error():
    table = random_table(11, 3)
    model, x = table_game(table)
    exact = enumerated(table)
    session = Session(model, x)
    runs = [session.attribute("shapley", samples=400, seed=seed) for seed in range(60)]
    values = np.stack([run.values[0].numpy() for run in runs])
    standard_error = values.std(0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(values.mean(0) - exact) / standard_error).max() < 4
    true = np.abs(values - exact).sum(1) / np.abs(values).sum(1)
    ratios = true / np.array([run.error for run in runs])
    assert 0.3 < ratios.mean() < 0.9  # 0.8 for independent pairs; these are better than that


def exact_of_digits(digits, count):
    session = Session(digits.model, digits.images[:count], target=digits.labels[:count], batch_size=4096)
    return session.attribute("shapley_exact", regions=QUARTERS)


def test_512_coalitions_of_16_regions(digits):
    exact = exact_of_digits(digits, 2)
    session = Session(digits.model, digits.images[:2], target=digits.labels[:2])
    errors = []
    for seed in range(8):
        session.forget()
        found = session.attribute("shapley", regions=QUARTERS, samples=512, seed=seed)
        assert found.evaluations["forward"] <= 2 * 512
        errors.append((found.values - exact.values).abs().sum((1, 2, 3)) / exact.values.abs().sum((1, 2, 3)))
    assert torch.stack(errors).mean() < 0.03
    torch.testing.assert_close(exact.values.sum((1, 2, 3)), exact.score - exact.baseline_score, rtol=1e-4, atol=1e-4)


def test_more_samples_pay_only_for_the_new_ones(digits):
    session = Session(digits.model, digits.images[:2], target=3)
    small = session.attribute("shapley", regions=QUARTERS, samples=128)
    large = session.attribute("shapley", regions=QUARTERS, samples=512)
    assert small.evaluations["forward"] + large.evaluations["forward"] <= 2 * 512
    again = session.attribute("shapley", regions=QUARTERS, samples=128)
    assert again.evaluations["forward"] == 0
    assert torch.equal(again.values, small.values)
    fresh = attribute(digits.model, digits.images[:2], target=3, method="shapley", regions=QUARTERS, samples=512)
    torch.testing.assert_close(large.values, fresh.values, rtol=1e-4, atol=1e-5)


def test_no_coalition_is_asked_twice():
    seen = []

    def model(x):
        seen.extend(map(tuple, x.tolist()))
        return x.prod(1) + x[:, 0] * x[:, 3]

    attribute(model, torch.ones(1, 8), method="shapley", samples=200)
    assert len(set(seen)) == len(seen) <= 200


def test_neither_neighbours_nor_chunks_matter(digits):
    x = digits.images[:3]
    mask = torch.stack([QUARTERS, QUARTERS // 2, QUARTERS])[:, None]
    asks = {"target": 3, "method": "shapley", "samples": 100, "baseline": [0.0, 1.0]}
    together = attribute(digits.model, x, regions=mask, batch_size=17, **asks)
    for row in range(3):
        alone = attribute(digits.model, x[row : row + 1], regions=mask[row : row + 1], **asks)
        torch.testing.assert_close(together.values[row : row + 1], alone.values, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(attribute(digits.model, x, regions=mask, seed=1, **asks).values, together.values)
    assert torch.equal(attribute(digits.model, x, regions=mask, batch_size=17, **asks).values, together.values)
    assert together.delta.abs().max() < 1e-4


def test_several_targets_cost_one_run(digits):
    found = attribute(digits.model, digits.images[:2], target=Each(3, 5), method="shapley", regions=QUARTERS)
    for index, target in enumerate((3, 5)):
        one = attribute(digits.model, digits.images[:2], target=target, method="shapley", regions=QUARTERS)
        torch.testing.assert_close(found.values.reshape(2, 2, 1, 8, 8)[index], one.values, rtol=1e-3, atol=1e-5)
        assert one.evaluations == found.evaluations


def test_several_baselines_are_averaged(digits):
    asks = {"target": 3, "method": "shapley", "regions": QUARTERS // 2}
    both, zero, one = (
        attribute(digits.model, digits.images[:1], baseline=b, **asks).values for b in ([0.0, 1.0], 0.0, 1.0)
    )
    torch.testing.assert_close(both, (zero + one) / 2, rtol=1e-3, atol=1e-5)


def test_too_many_to_enumerate():
    with pytest.raises(ParameterError) as caught:
        attribute(lambda x: x.sum(1), torch.rand(1, 21), method="shapley_exact", regions="pixel")
    assert caught.value.code == "too_many_regions"


# --- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("players", [1, 2, 5, 16])
def test_a_block_of_orders_is_a_latin_square(players):
    source = pairs(players, torch.Generator().manual_seed(4))
    block = torch.stack([next(source) for _ in range(players)])
    assert torch.equal(block[:, 0], block[:, 1].flip(1))
    for orders in (block[:, 0], block[:, 0].T):
        assert torch.equal(orders.sort(1).values, torch.arange(players).expand(players, -1))


def test_imbalance_is_what_it_says():
    order = np.random.default_rng(0).permutation(7)
    translates = [(order + shift) % 7 for shift in range(7)]
    counts = {}
    for players in combinations(range(7), 3):
        for translate in translates:
            middle = [player for player in translate if player in players][1]
            counts[players, middle] = counts.get((players, middle), 0) + 1
    shares = [counts.get((players, one), 0) / 7 for players in combinations(range(7), 3) for one in players]
    assert imbalance(order) == pytest.approx(np.mean((np.array(shares) - 1 / 3) ** 2))


def test_base_orders_are_balanced():
    random = np.random.default_rng(0)
    for players in (8, 16, 40):
        typical = np.mean([imbalance(random.permutation(players)) for _ in range(20)])
        assert imbalance(balanced_order(players)) < 0.7 * typical
        assert sorted(balanced_order(players)) == list(range(players))
