"""Training dynamics beside their definitions, from a recorder and from columns; variance of gradients."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.training.dynamics import Dynamics, DynamicsRecorder
from xaiwidgets.training.vog import variance_of_gradients

EPOCHS, COUNT, CLASSES = 7, 40, 4


def run(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(EPOCHS, COUNT, CLASSES, generator=generator)
    return logits, torch.randint(0, CLASSES, (COUNT,), generator=generator)


def recorded(logits: torch.Tensor, labels: torch.Tensor, seed: int = 0) -> Dynamics:
    recorder = DynamicsRecorder(COUNT)
    generator = torch.Generator().manual_seed(seed)
    for epoch in logits:
        for positions in torch.randperm(COUNT, generator=generator).split(9):
            recorder.see(positions, epoch[positions].requires_grad_(), labels[positions])
    return recorder.dynamics()


def test_what_the_papers_define():
    logits, labels = run()
    dynamics = recorded(logits, labels)
    of_label = logits.softmax(2)[:, torch.arange(COUNT), labels].numpy()
    np.testing.assert_allclose(dynamics.confidence, of_label.mean(0), rtol=1e-5)
    np.testing.assert_allclose(dynamics.variability, of_label.std(0), rtol=1e-4)
    right = (logits.argmax(2) == labels).numpy()
    np.testing.assert_allclose(dynamics.correctness, right.mean(0))
    forgotten = [sum(a and not b for a, b in pairwise(one)) for one in right.T]
    np.testing.assert_array_equal(dynamics.forgetting, forgotten)
    np.testing.assert_array_equal(dynamics.never_learnt, ~right.any(0))
    margin = [
        np.mean([row[one, label] - max(np.delete(row[one], label)) for row in logits.numpy()])
        for one, label in enumerate(labels)
    ]
    np.testing.assert_allclose(dynamics.aum, margin, rtol=1e-4, atol=1e-6)
    error = (logits.softmax(2) - functional.one_hot(labels, CLASSES)).norm(dim=2).numpy()
    np.testing.assert_allclose(dynamics.el2n(), error.mean(0), rtol=1e-5)
    np.testing.assert_allclose(dynamics.el2n(first=2), error[:2].mean(0), rtol=1e-5)
    loss = functional.cross_entropy(logits.transpose(1, 2), labels.expand(EPOCHS, -1), reduction="none")
    np.testing.assert_allclose(dynamics.loss, loss.mean(0).numpy(), rtol=1e-5)


def test_suspicion_points_one_way():
    """An example that is always right and one that never is: every score but variability tells them apart alike."""
    logits = torch.zeros(EPOCHS, COUNT, CLASSES)
    logits[..., 0] = 5
    labels = torch.zeros(COUNT, dtype=torch.int64)
    labels[7] = 1
    scores = recorded(logits, labels).suspicion()
    assert set(scores) == {"aum", "confidence", "correctness", "el2n", "forgetting", "loss", "variability"}
    for name, values in scores.items():
        assert name == "variability" or values.argmax() == 7, name
    assert scores["forgetting"][7] == EPOCHS


def test_unseen_times_are_left_out():
    """A subset seen more often, an example never seen: each by its own presentations."""
    logits, labels = run()
    recorder = DynamicsRecorder(COUNT + 1)
    for time, epoch in enumerate(logits):
        positions = torch.arange(COUNT if time < 3 else COUNT // 2)
        recorder.see(positions, epoch[positions], labels[positions])
    dynamics, whole = recorder.dynamics(), recorded(logits, labels)
    half, brief = slice(COUNT // 2), slice(COUNT // 2, COUNT)
    np.testing.assert_array_equal(dynamics.forgetting[half], whole.forgetting[half])
    short = recorded(logits[:3], labels)
    for name in ("confidence", "variability", "correctness", "aum", "forgetting"):
        np.testing.assert_allclose(getattr(dynamics, name)[brief], getattr(short, name)[brief], rtol=1e-6)
    assert np.isnan(dynamics.confidence[COUNT])
    assert np.isnan(dynamics.correctness[COUNT])
    assert dynamics.forgetting[COUNT] == 0


def test_an_example_twice_in_a_batch_counts_once():
    logits, labels = run()
    recorder = DynamicsRecorder(COUNT)
    for epoch in logits:
        positions = torch.arange(COUNT).repeat(2)
        recorder.see(positions, epoch[positions], labels[positions])
    np.testing.assert_array_equal(recorder.dynamics().margins, recorded(logits, labels).margins)


def test_threshold_of_strangers():
    """Examples trained under a class of their own mark how low a margin can be by mere disagreement."""
    logits, labels = run()
    dynamics = recorded(logits, labels)
    strangers = np.array([1, 4, 9])
    assert dynamics.aum_threshold(strangers, percentile=100) == pytest.approx(dynamics.aum[strangers].max())


def test_columns_of_an_index():
    logits, labels = run()
    one = recorded(logits, labels)
    columns = {"confidence": one.probabilities, "margin": one.margins, "el2n": one.errors, "loss": one.losses}
    again = Dynamics.of(columns | {"norm": np.full((COUNT, EPOCHS), 4.0, dtype=np.float32)})
    np.testing.assert_array_equal(again.aum, one.aum)
    np.testing.assert_array_equal(again.grand(), np.full(COUNT, 2.0))
    assert "grand" in again.suspicion()
    with pytest.raises(InputError, match="gradients"):
        one.grand()
    with pytest.raises(InputError, match="'el2n'"):
        Dynamics.of({name: columns[name] for name in ("confidence", "margin", "loss")})
    with pytest.raises(InputError, match="class labels"):
        Dynamics.of(columns | {"margin": np.full((COUNT, EPOCHS), np.nan)})


def test_misfits_are_named():
    recorder = DynamicsRecorder(4)
    with pytest.raises(InputError, match="No batch"):
        recorder.dynamics()
    with pytest.raises(InputError, match="do not fit"):
        recorder.see(torch.arange(3), torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64))


# --- variance of gradients -------------------------------------------------------------------------------------------


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).eval()


def test_variance_of_gradients(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(30, 6, generator=generator), torch.randint(0, 3, (30,), generator=generator)
    models = [network(seed) for seed in range(4)]
    slopes = []
    for model in models:
        points = inputs.clone().requires_grad_()
        slopes.append(torch.autograd.grad(model(points)[torch.arange(30), labels].sum(), points)[0])
    expected = torch.stack(slopes).std(0, correction=0).mean(1).numpy()
    mine = network(9).requires_grad_()
    plain = variance_of_gradients(mine, (inputs, labels), models, per_class=False)
    np.testing.assert_allclose(plain, expected, rtol=1e-4)
    assert all(parameter.requires_grad for parameter in mine.parameters())
    monkeypatch.setattr("xaiwidgets.training.vog.SPAN", 11)
    by_class = variance_of_gradients(mine, (inputs, labels), models, batch_size=4)
    for label in range(3):
        own = expected[labels == label]
        np.testing.assert_allclose(by_class[labels == label], (own - own.mean()) / own.std(), rtol=1e-3, atol=1e-3)
    hidden = variance_of_gradients(mine, (inputs, labels), models, per_class=False, layer="2")
    np.testing.assert_allclose(hidden, 0, atol=1e-7)  # of the logits themselves the slope is always one


def test_variance_of_gradients_of_tokens():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(ids).tanh().mean(1))

    data = {"ids": torch.randint(0, 9, (12, 5)), "label": torch.arange(12) % 2}
    models = [Words() for _ in range(3)]
    with pytest.raises(InputError, match="layer="):
        variance_of_gradients(models[0], data, models)
    values = variance_of_gradients(models[0], data, models, layer="embedding", per_class=False)
    assert values.shape == (12,)
    assert (values > 0).all()


def test_variance_of_gradients_refuses():
    model, inputs = network(0), torch.randn(4, 6)
    with pytest.raises(ParameterError, match="single checkpoint"):
        variance_of_gradients(model, (inputs, torch.zeros(4, dtype=torch.int64)), [model])
    with pytest.raises(InputError, match="class labels"):
        variance_of_gradients(model, (inputs, torch.zeros(4)), [model, model])
    with pytest.raises(ParameterError, match="nowhere"):
        variance_of_gradients(model, (inputs, torch.zeros(4, dtype=torch.int64)), [model, model], layer="nowhere")
