"""Walked samples: the same values as the methods', what every few of them added, and that nothing known is lost."""

import pytest
import torch
import zoo

from xaiwidgets.api import Cancelled, ExplainError, attribute, baselines
from xaiwidgets.engine.problem import Problem
from xaiwidgets.methods.sample_walk import SampleWalk, noisy_copies


def plane(maps):
    return maps[0].sum(0)


@pytest.fixture
def problem():
    model, x = zoo.make("residual")
    return Problem(model, x[:1], target=1, batch_size=8)


def walk_of(problem, references, samples=27, kind="expected_gradients", seed=3):
    walk = SampleWalk(problem, references, samples=samples, seed=seed, kind=kind)
    for _ in walk.walk():
        pass
    return walk


NAMES = ("values", "delta", "score", "baseline_score")


@pytest.mark.parametrize(("samples", "count"), [(6, 20), (27, 1), (40, 8)])
def test_expected_gradients_as_the_method_gives_them(problem, samples, count):
    references = baselines.Uniform(count)
    walk = walk_of(problem, problem.baselines(references), samples)
    theirs = attribute(
        problem.module, problem.points, target=1, batch_size=8,
        method="expected_gradients", baseline=references, samples=samples, seed=3,
    )  # fmt: skip
    ours = walk.attribution(parameters={"samples": samples}, target=1)
    for name in NAMES:
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    assert ours.error == pytest.approx(theirs.error)
    assert ours.evaluations == theirs.evaluations == {"forward": 1 + count, "gradient": samples}
    assert ours.progress == theirs.progress
    assert ours.method == theirs.method
    torch.testing.assert_close(walk.values(), theirs.values)


def test_smoothgrad_times_input_as_the_noise_tunnel_gives_it(problem):
    references = noisy_copies(problem, 12, noise=0.2, seed=5)
    walk = walk_of(problem, references, 200, "smoothgrad_x_input")
    theirs = attribute(
        problem.module, problem.points, target=1,
        method="noise_tunnel", inner="input_x_gradient", samples=12, noise=0.2, seed=5,
    )  # fmt: skip
    torch.testing.assert_close(walk.values(), theirs.values)
    assert walk.evaluations == {"forward": 2, "gradient": 12}
    ours = walk.attribution()
    assert (ours.delta, ours.error, ours.baseline_score) == (None, None, None)
    assert ours.progress == (12, 12)
    chosen, alphas = walk.references_of([0, 4, 12])
    torch.testing.assert_close(chosen, references[[3, 11], 0])
    assert alphas == [0, 0]
    curves = walk.curves()
    with torch.no_grad():
        scores = problem.module(torch.cat([0 * problem.points, problem.points]))[:, 1].tolist()
    assert list(curves.scores) == pytest.approx(scores)
    assert pytest.approx([scores[1] - scores[0]] * 12) == curves.F


def test_curves_of_a_running_mean(problem):
    references = problem.baselines(baselines.Gaussian(0.5, 5))
    walk = walk_of(problem, references, 20)
    curves = walk.curves()
    assert curves.alphas == list(range(1, 21))
    assert curves.prob == []
    with torch.no_grad():
        starts = problem.module(references[:, 0])[:, 1]
        score = float(problem.module(problem.points)[0, 1])
    assert curves.scores == pytest.approx((float(starts.mean()), score))
    assert curves.F[-1] == pytest.approx(score - float(starts.mean()))  # whole turns
    chosen, _ = walk.references_of([0, 1, 2, 3])
    with torch.no_grad():
        used = problem.module(chosen)[:, 1].tolist()
    assert curves.F[2] == pytest.approx(score - sum(used) / 3)
    assert curves.C[-1] == pytest.approx(float(walk.values().sum()))
    gaps = curves.gaps
    assert gaps.end == pytest.approx(abs(float(walk.attribution().delta)))
    assert gaps.max == max(abs(f - c) for f, c in zip(curves.F[10:], curves.C[10:], strict=True))
    assert gaps.at > 10
    assert gaps.local_sum >= gaps.end


def test_frames_are_what_consecutive_samples_added(problem):
    references = problem.baselines(baselines.Uniform(7))
    walk = walk_of(problem, references, 70)  # three samples to a sum
    C = walk.curves().C
    for most in (1, 5, 24, 100):
        edges, frames = walk.increments(most, plane)
        assert frames.shape == (min(most, 24), 8, 8)
        assert edges[0] == 0
        assert edges[-1] == 70
        torch.testing.assert_close(frames.sum(0) / 70, plane(walk.values()))
        for edge, total in zip(edges[1:], frames.sum((1, 2)).cumsum(0).tolist(), strict=True):
            assert total / edge == pytest.approx(C[int(edge) - 1])
        chosen, alphas = walk.references_of(edges)
        assert chosen.shape == (len(frames), *problem.points.shape[1:])
        assert all(0 <= alpha < 1 for alpha in alphas)
    step = problem.points - chosen[-1]  # the last sample is the last reference's
    gradient, _ = problem.gradients(chosen[-1:] + alphas[-1] * step)
    without = walk_of(problem, references, 69).values() * 69
    torch.testing.assert_close(gradient * step, walk.values() * 70 - without)


@pytest.mark.parametrize("kind", ["expected_gradients", "smoothgrad_x_input"])
def test_a_cancel_loses_nothing(problem, kind):
    references = noisy_copies(problem, 40)
    expected = walk_of(problem, references, 40, kind)
    calls, seen = iter(range(1000)), []

    def interrupt():
        if next(calls) % 3 == 2:
            raise Cancelled

    problem.interrupt = interrupt
    walk = SampleWalk(problem, references, samples=40, seed=3, kind=kind)
    while True:
        try:
            for _ in walk.walk():
                assert walk.ready
            break
        except Cancelled:
            seen.append(walk.done)
            if walk.ready:
                edges, frames = walk.increments(32, plane)
                torch.testing.assert_close(frames.sum(0) / walk.done, plane(walk.values()))
                assert edges[-1] == walk.done == len(walk.curves().C)
    assert len(seen) > 1
    assert walk.evaluations == expected.evaluations
    torch.testing.assert_close(walk.values(), expected.values())
    assert walk.curves() == expected.curves()
    problem.interrupt = None
    assert list(walk.walk()) == []


def test_running_out_of_memory_keeps_samples(problem):
    model, room, rows = problem.module, 3, 0

    def small(x):
        nonlocal rows
        if len(x) > room:
            raise RuntimeError("out of memory")
        rows += len(x)
        return model(x)

    references = problem.baselines(baselines.Uniform(4))
    walk = SampleWalk(
        Problem(small, problem.points, target=1, batch_size=8),
        references,
        samples=20,
        seed=3,
        kind="expected_gradients",
    )
    walks = walk.walk()
    next(walks)
    room = 0
    with pytest.raises(ExplainError, match="single row"):
        list(walks)
    assert walk.done > 0
    room = 2
    assert list(walk.walk())
    assert rows == sum(walk.evaluations.values()) == 20 + 5
    torch.testing.assert_close(walk.values(), walk_of(problem, references, 20).values())


def test_neither_batch_size_nor_repetition_matter(problem):
    references = problem.baselines("uniform")
    walks = [
        walk_of(Problem(problem.module, problem.points, target=1, batch_size=size), references)
        for size in (8, 8, 1, 5, "auto")
    ]
    assert torch.equal(walks[0].values(), walks[1].values())
    assert walks[0].curves() == walks[1].curves()
    for other in walks[2:]:
        torch.testing.assert_close(other.values(), walks[0].values())
    assert not torch.equal(walk_of(problem, references, seed=4).values(), walks[0].values())


def test_another_model_is_another_walk(problem):
    references = problem.baselines("uniform")
    walk = walk_of(problem, references)
    before = {name: value.clone() for name, value in problem.module.state_dict().items()}
    again = walk_of(problem, references)
    assert all(torch.equal(value, before[name]) for name, value in problem.module.state_dict().items())
    with torch.no_grad():
        problem.module.head.weight.mul_(2)
    for _ in walk.walk():
        pass
    torch.testing.assert_close(walk.values(), 2 * again.values())


def test_text_from_its_embeddings():
    model, inputs = zoo.make("bert_sdpa")
    ids = {"input_ids": torch.tensor([[1, 5, 9, 2, 7, 3]]), "attention_mask": inputs["attention_mask"][:1]}
    problem = Problem(model, ids, target=2, wrt="input_ids").at("bert.embeddings.word_embeddings")
    start = 0 * problem.points
    walk = walk_of(problem, torch.stack([start, start + 1]), 12)
    theirs = attribute(
        model, ids, target=2, wrt="input_ids", layer="bert.embeddings.word_embeddings", method="expected_gradients",
        samples=12, seed=3, baseline=[start, start + 1],
    )  # fmt: skip
    torch.testing.assert_close(walk.attribution().values, theirs.values)
    assert walk.increments(4, lambda maps: maps.sum(2))[1].shape == (4, 1, 6)


def test_what_cannot_be_walked(problem):
    for references, samples, match in (
        (problem.points, 3, "do not fit"),
        (torch.zeros(0, *problem.points.shape), 3, "do not fit"),
        (problem.points.unsqueeze(0), 0, "too few"),
    ):
        with pytest.raises(ExplainError, match=match):
            SampleWalk(problem, references, samples=samples, seed=0, kind="expected_gradients")
    walk = SampleWalk(problem, problem.points.unsqueeze(0), samples=3, seed=0, kind="expected_gradients")
    for ask in (walk.curves, walk.values, walk.attribution, lambda: walk.increments(3, plane)):
        with pytest.raises(ExplainError, match="Walk first"):
            ask()
