"""Prototypes and criticisms beside the definitions, tried over every choice."""

import pytest
import torch

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.training.prototypes import prototypes


def clusters() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0], [6, 0], [0, 6]]).repeat_interleave(12, 0)
    return torch.cat([centres + 0.5 * torch.randn(36, 2, generator=generator), torch.tensor([[9.0, 9]])])


def kernel(rows: torch.Tensor, gamma: float) -> torch.Tensor:
    return (-gamma * (rows[:, None] - rows[None]).double().square().sum(2)).exp()


def discrepancy(values: torch.Tensor, chosen: list[int]) -> float:
    return float(values.mean() - 2 * values[:, chosen].mean() + values[chosen][:, chosen].mean())


def test_each_choice_is_the_best_there_is():
    rows = clusters()
    found = prototypes(rows, 5, criticisms=4, gamma=0.3)
    values, chosen = kernel(rows, 0.3), found.prototypes.tolist()
    for size in range(1, 6):
        best = min(
            discrepancy(values, [*chosen[: size - 1], one]) for one in range(37) if one not in chosen[: size - 1]
        )
        assert discrepancy(values, chosen[:size]) == pytest.approx(best, abs=1e-6)
        assert float(found.discrepancy[size - 1]) == pytest.approx(best, abs=1e-6)
    unlike = (values.mean(1) - values[:, chosen].mean(1)).abs()
    critics = found.criticisms.tolist()
    for size in range(1, 5):
        free = set(range(37)) - set(chosen) - set(critics[: size - 1])

        def worth(some: list[int]) -> float:
            return float(unlike[some].sum() + torch.logdet(values[some][:, some]))

        best = max(worth([*critics[: size - 1], one]) for one in free)
        assert worth(critics[:size]) == pytest.approx(best, abs=1e-5)


def test_a_prototype_for_each_cluster(monkeypatch):
    rows = clusters()
    found = prototypes(rows, 3, criticisms=1)
    assert sorted((found.prototypes // 12).tolist()) == [0, 1, 2]
    fourth = torch.cat([rows[:36], rows[36:] + 0.3 * torch.randn(8, 2, generator=torch.Generator().manual_seed(1))])
    assert prototypes(fourth, 3, criticisms=1, gamma=0.3).criticisms >= 36  # what no prototype stands for
    monkeypatch.setattr("xaiwidgets.training.prototypes.BLOCK", 1)
    assert torch.equal(prototypes(rows, 3, criticisms=1).prototypes, found.prototypes)


def test_copies_are_not_chosen_twice():
    rows = torch.zeros(6, 3)
    found = prototypes(rows, 3, criticisms=3, gamma=1.0)
    assert sorted([*found.prototypes.tolist(), *found.criticisms.tolist()]) == list(range(6))


def test_no_more_than_there_are():
    with pytest.raises(ParameterError, match="4 prototypes and 3 criticisms of 6"):
        prototypes(torch.randn(6, 2), 4, criticisms=3)
    with pytest.raises(ParameterError, match="gamma=0"):
        prototypes(torch.randn(6, 2), 2, gamma=0)
