"""The protocols themselves: known answers, and batched retraining beside torch's own optimiser."""

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.training import evaluation
from xaiwidgets.training.retraining import Schedule, margins, train_networks


def data(count: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return torch.randn(count, 5, generator=generator) + labels[:, None], labels


def test_networks_train_as_torch_trains_them():
    inputs, labels = data()
    inputs = inputs.double()
    kept = evaluation.half_subsets(len(inputs), 6)  # more than go together
    schedule = Schedule(steps=12, learning_rate=0.3, momentum=0.9, weight_decay=0.01)
    first, last = train_networks(
        inputs, labels, kept, sizes=(5, 8, 6, 3), seeds=range(6), schedule=schedule, snapshots=(0,)
    )
    for position in (0, 5):
        model = first.module(position)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01)
        rows = kept[position]
        for _ in range(12):
            optimiser.zero_grad()
            functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimiser.step()
        torch.testing.assert_close(last(inputs)[position], model(inputs).detach())
        torch.testing.assert_close(last.module(position)(inputs).detach(), model(inputs).detach())


def test_a_seed_for_each_network():
    inputs, labels = data()
    with pytest.raises(ParameterError, match="2 seeds"):
        train_networks(inputs, labels, evaluation.half_subsets(60, 3), sizes=(5, 3), seeds=[0, 1])


def test_margins():
    outputs = torch.randn(2, 7, 4)
    labels = torch.randint(0, 4, (7,))
    p = outputs.softmax(-1)[:, torch.arange(7), labels]
    torch.testing.assert_close(margins(outputs, labels), (p / (1 - p)).log(), atol=1e-4, rtol=1e-4)


def test_rank_agreement_with_ties():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randint(0, 6, (5, 40), generator=generator).double() for _ in range(2))
    agreement = evaluation.rank_agreement(first, second)
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    torch.testing.assert_close(agreement.each, torch.tensor(expected, dtype=torch.float64))
    assert evaluation.rank_agreement(torch.zeros(1, 4), torch.rand(1, 4)).each.isnan().all()


def test_linear_datamodeling_of_an_additive_truth():
    """Where outputs are sums of the examples' worths, those worths score 1 and their opposite −1."""
    generator = torch.Generator().manual_seed(0)
    worth = torch.randn(3, 30, generator=generator)
    kept = evaluation.half_subsets(30, 20, seed=1)
    assert [len(set(rows.tolist())) for rows in kept] == [15] * 20
    outputs = torch.stack([worth[:, rows].sum(1) for rows in kept])
    assert evaluation.linear_datamodeling(worth, kept, outputs).mean == pytest.approx(1)
    assert evaluation.linear_datamodeling(-worth, kept, outputs).mean == pytest.approx(-1)


def test_removal_and_leaving_out_of_an_additive_truth():
    generator = torch.Generator().manual_seed(0)
    worth = torch.randn(4, 12, generator=generator)

    def retrain(kept: torch.Tensor) -> torch.Tensor:
        return torch.stack([worth[:, rows].sum(1) for rows in kept])

    gone = evaluation.leave_one_out(retrain, [2, 7], 12)
    torch.testing.assert_close(gone, worth[:, [2, 7]], atol=1e-5, rtol=0)
    curve = evaluation.subset_removal(worth, retrain, (1, 3), queries=[0, 3])
    ordered = worth[[0, 3]].sort(dim=1, descending=True).values
    expected = torch.stack([ordered.sum(1), ordered[:, 1:].sum(1), ordered[:, 3:].sum(1)])
    torch.testing.assert_close(curve, expected, atol=1e-5, rtol=0)


def test_wrong_labels():
    wrong = torch.zeros(20, dtype=torch.bool)
    wrong[[3, 8]] = True
    perfect = evaluation.mislabelled(wrong.float(), wrong)
    assert (perfect.auc, perfect.found(0.1), perfect.found(0.05)) == (1, 1, 0.5)
    assert evaluation.mislabelled(-wrong.float(), wrong).auc == 0
    blind = evaluation.mislabelled(torch.zeros(20), wrong)  # equal suspicion: as good as guessing, wherever they stand
    assert blind.auc == 0.5
    assert blind.found(0.2) == pytest.approx(0.2)
    with pytest.raises(InputError, match="0 wrong"):
        evaluation.mislabelled(torch.rand(20), torch.zeros(20, dtype=torch.bool))


def test_the_same_kind():
    scores = torch.tensor([[1.0, 3, 2], [5, 1, 0], [0, 0, 9]])
    labels, asked = torch.tensor([0, 1, 1]), torch.tensor([1, 1, 1])
    assert evaluation.identical_class(scores, labels, asked) == pytest.approx(2 / 3)
    assert evaluation.identical_subclass(scores, labels, asked, torch.tensor([True, False, True])) == 1
    assert evaluation.self_retrieval(scores, torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)


def test_a_randomised_model_has_learnt_nothing():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 3)
            self.scale = nn.Parameter(torch.arange(3.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * self.scale

    model = Scaled()
    state, before = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    blank = evaluation.randomised(model, seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not torch.equal(blank.inner.weight, model.inner.weight)
    assert sorted(blank.scale.tolist()) == [0, 1, 2]
    torch.testing.assert_close(evaluation.randomised(model, seed=1)(torch.ones(1, 4)), blank(torch.ones(1, 4)))
