"""Training dynamics beside their definitions, from a recorder and from columns; variance of gradients."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from xaiwidgets.engine.errors import InputError
from xaiwidgets.training.dynamics import Dynamics, DynamicsRecorder

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
    forgotten = [sum(a and not b for a, b in zip(one[:-1], one[1:], strict=True)) for one in right.T]
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
