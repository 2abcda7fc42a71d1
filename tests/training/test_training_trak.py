"""TRAK against the formula written out with the same sketches."""

from __future__ import annotations

import pytest
import torch
from curvature_parts import answer, answers, blobs, every_step, fitted, jacobian, seeded, small_network, spec_of
from torch import nn

from xaiwidgets.engine.errors import Cancelled, ParameterError
from xaiwidgets.training.losses import loss_of, margin
from xaiwidgets.training.methods import trak as module
from xaiwidgets.training.recorder import Recorder
from xaiwidgets.training.registry import Preparing
from xaiwidgets.training.sketch import TensorSketch


def expected(models, data, queries, dim, damping, *, sketched=True):
    """[Q, N] from per-example margins, one model after the other."""
    kernels, unsure = [], []
    for number, model in enumerate(models):
        sketch = TensorSketch(dim, 0, number)
        spec = spec_of(model, data)
        if sketched:
            recorder = Recorder(spec.model, loss_of("margin"), layers=["0", "2"])
            rows, asked = (recorder.record(*part).sketch(sketch).double() for part in (data, queries))
        else:
            rows, asked = (
                jacobian(spec, lambda out, part=part: margin(out, part[1]), part[0]) for part in (data, queries)
            )
        moments = rows.T @ rows / len(rows)
        moments += damping * moments.diagonal().mean() * torch.eye(len(moments))
        kernels.append(asked @ torch.linalg.solve(moments, rows.T))
        p = model(data[0]).softmax(1)[torch.arange(len(rows)), data[1]]
        unsure.append((1 - p).detach())
    return torch.stack(kernels).mean(0) * torch.stack(unsure).mean(0)


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "computed twice"])
def test_scores_are_the_formula(monkeypatch, keep):
    monkeypatch.setattr(module, "KEPT", 2**29 if keep else 0)
    data, queries = blobs(50), blobs(4, seed=5)
    models = [small_network(seed) for seed in range(3)]
    spec = spec_of(models[-1], data, checkpoints=models, chunk=16)
    found = answer(spec, queries, "trak", dim=64, damping=0.1)
    wanted = expected(models, data, queries, 64, 0.1)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-3


def test_the_last_model_alone():
    data, queries = blobs(40), blobs(3, seed=5)
    models = [small_network(seed) for seed in range(2)]
    both = spec_of(models[-1], data, checkpoints=models)
    found = answer(both, queries, "trak", models="last", dim=64, damping=0.1)
    # The sketch belongs to the checkpoint, so that its place decides which one it is.
    wanted = answer(both, queries, "trak", dim=64, damping=0.1)
    assert not torch.allclose(found, wanted)
    alone = expected([*models], data, queries, 64, 0.1)
    first = expected(models[:1], data, queries, 64, 0.1)
    p = [(1 - model(data[0]).softmax(1)[torch.arange(40), data[1]]).detach() for model in models]
    kernels = 2 * alone / torch.stack(p).mean(0) - first / p[0]
    assert torch.allclose(found.double(), kernels * p[1], rtol=1e-2, atol=1e-3 * float(found.abs().max()))


def test_a_wide_sketch_comes_near_the_gradients_themselves():
    data, queries = blobs(60), blobs(4, seed=5)
    model = fitted(small_network(), data, decay=1e-2)
    found = answer(spec_of(model, data), queries, "trak", dim=2048, damping=0.3)
    wanted = expected([model], data, queries, 2048, 0.3 * 115 / 2048, sketched=False)
    scale = torch.corrcoef(torch.stack([found.flatten().double(), wanted.flatten()]))[0, 1]
    assert scale > 0.95


def test_positive_is_what_raises_the_margin_of_the_label():
    data = blobs(60)
    scores = answer(spec_of(fitted(small_network(), data, decay=1e-2), data), data, "trak", dim=256)
    assert bool((scores.diagonal() > 0).all())


def test_surer_examples_weigh_less():
    data = blobs(60)
    model = fitted(small_network(), data, decay=3e-2)
    scores = answer(spec_of(model, data), data, "trak", dim=256)
    p = model(data[0]).softmax(1)[torch.arange(60), data[1]]
    order = p.argsort()
    assert float(scores[:, order[-15:]].abs().mean()) < float(scores[:, order[:15]].abs().mean())


def test_batches_do_not_change_it_and_seeds_do():
    data, queries = blobs(50), blobs(3, seed=5)
    small, whole = (answer(spec_of(small_network(), data, chunk=chunk), queries, "trak", dim=128) for chunk in (7, 50))
    assert torch.allclose(small, whole, rtol=1e-2, atol=1e-3 * float(whole.abs().max()))
    assert not torch.allclose(answer(spec_of(small_network(), data), queries, "trak", dim=128, seed=1), whole)


def test_progress_and_cancelling():
    spec, queries = spec_of(small_network(), blobs(50), chunk=10), blobs(2, seed=5)
    done = [step.done for step in every_step(spec, queries, "trak", dim=64) if isinstance(step, Preparing)]
    assert done == [10, 20, 30, 40, 50]
    calls = []

    def interrupt():
        calls.append(0)
        if len(calls) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        answers(spec, queries, "trak", dim=64, interrupt=interrupt)
    assert len(calls) == 4


def test_singular_moments_are_an_error_with_a_way_out():
    model = seeded(lambda: nn.Linear(10, 3))
    with pytest.raises(ParameterError, match=r"singular.*Raise damping"):
        answer(spec_of(model, blobs(20)), blobs(2, seed=5), "trak", dim=128, damping=0.0)
