"""The walked path: completeness at every node, what it costs, and that nothing known is lost."""

import itertools

import pytest
import torch
import zoo
from torch import nn

from xaiwidgets.api import Cancelled, Contrast, Each, ExplainError, attribute
from xaiwidgets.engine.problem import Problem
from xaiwidgets.methods.path_walk import PathWalk


def plane(maps):
    """[1, c, h, w] to [h, w]."""
    return maps[0].sum(0)


def walked(problem, start, steps=65, tolerance=0.0):
    walk = PathWalk(problem, start)
    for _ in walk.walk(steps, tolerance):
        pass
    return walk


def one_row(name):
    """A zoo model and the first row of its inputs."""
    model, inputs = zoo.make(name)
    if isinstance(inputs, dict):
        return model, {key: value[:1] for key, value in inputs.items()}
    return model, inputs[:1]


class Counting:
    """A function of the inputs that counts the rows it is asked about; memory for `room` of them at once."""

    def __init__(self, function, room=10**9):
        self.function, self.room, self.rows = function, room, 0

    def __call__(self, x):
        if len(x) > self.room:
            raise RuntimeError("out of memory")
        self.rows += len(x)
        return self.function(x)


@pytest.fixture
def vit():
    model, x = one_row("vit")
    return Problem(model, x, target=1, batch_size=4), torch.zeros_like(x)


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 9, 33])
def test_a_linear_model_has_no_gap(steps):
    x, start, weights = torch.randn(1, 5), torch.randn(1, 5), torch.randn(5)
    walk = walked(Problem(lambda x: x @ weights + 3, x), start, steps)
    assert [node.alpha for node in walk.nodes] == [index / (steps - 1) for index in range(steps)]
    gaps = walk.curves().gaps
    assert max(gaps.end, gaps.max, gaps.local_sum) < 2e-5
    torch.testing.assert_close(walk.values().float(), (x - start) * weights)


@pytest.mark.parametrize("name", [name for name in zoo.SMOOTH if not name.endswith("_eager")])
def test_what_accumulates_is_what_the_score_does(name):
    model, inputs = one_row(name)
    problem = Problem(model, inputs, target=1)
    start = torch.randn(problem.points.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    walk = walked(problem, start)
    curves = walk.curves()
    size = max(map(abs, curves.F))
    assert curves.F[0] == curves.C[0] == 0
    for change, accumulated in zip(curves.F, curves.C, strict=True):
        assert abs(change - accumulated) < 5e-3 * size
    before = curves.gaps
    for _ in walk.walk(129, 0.0):
        pass
    assert walk.curves().gaps.local_sum < before.local_sum / 2  # a quarter, but for kinks
    assert before.difference == pytest.approx(curves.scores[1] - curves.scores[0])
    distances = {alpha: abs(f - c) for alpha, f, c in zip(curves.alphas, curves.F, curves.C, strict=True)}
    assert before.max == max(distances.values()) == distances[before.at]
    assert before.end == distances[1.0]


def test_the_end_is_the_textbooks_trapezoid(vit):
    problem, start = vit
    walk = walked(problem, start, 33)
    theirs = attribute(problem.module, problem.points, target=1, rule="trapezoid", steps=33)
    ours = walk.attribution(parameters={"steps": 33}, target=1)
    for name in ("values", "delta", "score", "baseline_score"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    assert walk.curves().gaps.end == pytest.approx(abs(float(theirs.delta)))
    assert ours.evaluations == {"forward": 0, "gradient": 33}
    assert ours.progress == (33, 33)
    assert ours.parameters == {"steps": 33}
    assert ours.target == 1
    assert 0 < ours.seconds == walk.seconds


def test_gaps_where_both_ends_score_the_same(vit):
    problem, start = vit
    still = walked(problem, problem.points, 65, 0.01)
    assert still.curves().gaps.difference == pytest.approx(0)
    assert not still.curves().gaps.relative
    assert still.values().abs().max() == 0
    assert (still.stopped, len(still.nodes)) == ("tolerance", 17)  # nothing to wait for
    back = walked(Problem(lambda x: torch.sin(2 * torch.pi * x).sum(1) + 5, torch.ones(1, 2)), torch.zeros(1, 2))
    assert not back.curves().gaps.relative
    assert back.curves().gaps.local_sum > 0.001
    assert walked(problem, start, 9).curves().gaps.relative


# --- what is shown, and what it costs --------------------------------------------------------------------------------


def test_every_node_is_paid_once(digits):
    model = Counting(digits.model)
    walk = PathWalk(Problem(model, digits.images[:1], target=3, batch_size=8), torch.zeros(1, 1, 8, 8))
    seen = []
    for _ in walk.walk(65, 0.0):
        seen.append(len(walk.nodes))
        assert walk.evaluations == {"forward": 0, "gradient": seen[-1]}
        assert walk.curves().alphas == [node.alpha for node in walk.nodes]
    assert seen == [9, 17, 25, 33, 41, 49, 57, 65]
    assert walk.stopped == "steps"
    assert model.rows == 65
    assert list(walk.walk(65, 0.0)) == list(walk.walk(9, 0.0)) == []  # nothing new
    for _ in walk.walk(140, 0.0):
        pass
    assert len(walk.nodes) == model.rows == walk.evaluations["gradient"] == 129


def test_what_is_known_of_a_doubling_is_fair(digits):
    walk = PathWalk(Problem(digits.model, digits.images[:1], target=3, batch_size=4), torch.zeros(1, 1, 8, 8))
    for _ in walk.walk(65, 0.0):
        if len(walk.nodes) > 33:
            new = [node.alpha for node in walk.nodes if (node.alpha * 64) % 2 == 1]
            spread = [sum(low <= alpha < low + 0.25 for alpha in new) for low in (0, 0.25, 0.5, 0.75)]
            assert max(spread) - min(spread) <= 2


def test_the_walk_stops_when_no_gap_is_left(vit):
    problem, start = vit
    walk = PathWalk(problem, start)
    for _ in walk.walk(65, 0.01):
        assert walk.stopped == ""
    assert (len(walk.nodes), walk.stopped) == (17, "tolerance")
    gaps = walk.curves().gaps
    assert gaps.max <= 0.01 * abs(gaps.difference)
    for _ in walk.walk(65, 0.003):
        pass
    assert (len(walk.nodes), walk.stopped, walk.evaluations["gradient"]) == (33, "tolerance", 33)
    assert (
        walked(Problem(lambda x: x.sum(1), torch.ones(1, 2)), torch.zeros(1, 2), 65, 0.1).evaluations["gradient"] == 17
    )


def test_refining_halves_what_fails_most(digits):
    model = Counting(digits.model)
    walk = walked(Problem(model, digits.images[:1], target=3, batch_size=8), torch.zeros(1, 1, 8, 8), 9)
    for count in range(10, 26):
        nodes, curves = walk.nodes, walk.curves()
        residuals = [
            abs((curves.C[k + 1] - curves.C[k]) - (curves.F[k + 1] - curves.F[k])) for k in range(len(nodes) - 1)
        ]
        worst = max(range(len(residuals)), key=residuals.__getitem__)
        assert len([*walk.refine(1)]) == 1
        (new,) = {node.alpha for node in walk.nodes} - {node.alpha for node in nodes}
        assert new == (nodes[worst].alpha + nodes[worst + 1].alpha) / 2
        assert model.rows == walk.evaluations["gradient"] == count
    known = {node.alpha for node in walk.nodes}
    for _ in walk.walk(65, 0.0):
        pass
    assert model.rows == len({index / 64 for index in range(65)} | known)  # a later doubling uses them


def test_refining_ends_where_nothing_fails():
    flat = walked(Problem(lambda x: 0 * x.sum(1), torch.ones(1, 2)), torch.zeros(1, 2), 9)
    assert list(flat.refine(5)) == []
    jump = walked(Problem(lambda x: (x > 0.3).float().sum(1) + 0 * x.sum(1), torch.ones(1, 1)), torch.zeros(1, 1), 9)
    assert len(list(jump.refine(100))) == 13  # down to the narrowest cell
    assert jump.curves().gaps.end == 1  # said, not hidden


# --- frames ----------------------------------------------------------------------------------------------------------


def test_frames_are_the_attribution_cut_at_nodes(vit):
    walk = walked(*vit, 17)
    for _ in walk.refine(6):
        pass
    curves = walk.curves()
    for most in (1, 5, 22, 1000):
        edges, frames = walk.increments(most, plane)
        assert frames.shape == (min(most, 22), 8, 8)
        assert edges[0] == 0
        assert edges[-1] == 1
        torch.testing.assert_close(frames.sum(0), plane(walk.values()))
        sums = frames.sum((1, 2)).cumsum(0).tolist()
        for edge, total in zip(edges[1:], sums, strict=True):
            assert total == pytest.approx(curves.C[curves.alphas.index(edge)])


def test_frames_are_where_nodes_are():
    walk = walked(Problem(lambda x: torch.sigmoid(200 * (x - 0.3)).sum(1), torch.ones(1, 1)), torch.zeros(1, 1), 9)
    for _ in walk.refine(24):
        pass
    edges, _frames = walk.increments(8, lambda maps: maps)
    widths = [high - low for low, high in itertools.pairwise(edges)]
    assert len(widths) == 8
    assert sum(edge < 0.4 and edge > 0.2 for edge in edges) >= 4


# --- robustness ------------------------------------------------------------------------------------------------------


def test_a_cancel_loses_nothing():
    model, x = one_row("vit")
    expected = walked(Problem(model, x, target=1, batch_size=4), torch.zeros_like(x))
    calls = iter(range(1000))
    problem = Problem(model, x, target=1, batch_size=4)

    def interrupt():
        if next(calls) in (0, 1, 9, 13):
            raise Cancelled

    problem.interrupt = interrupt
    walk, seen = PathWalk(problem, torch.zeros_like(x)), []
    for _ in range(5):
        try:
            for _ in walk.walk(65, 0.0):
                pass
        except Cancelled:
            seen.append(len(walk.nodes))
            assert walk.stopped == ""
            if walk.ready:  # in the middle of a doubling
                curves, (edges, frames) = walk.curves(), walk.increments(32, plane)
                torch.testing.assert_close(frames.sum(0), plane(walk.values()))
                assert curves.gaps.end == pytest.approx(abs(float(walk.attribution().delta)))
                assert curves.gaps.max < 0.05 * abs(curves.gaps.difference)
                assert edges == sorted(edges)
    assert seen == [0, 0, 25, 37]
    assert walk.evaluations == {"forward": 0, "gradient": 65}
    torch.testing.assert_close(walk.values(), expected.values())
    assert walk.stopped == "steps"


def test_cancelling_before_both_ends_are_known():
    calls = iter(range(1000))
    model, x = one_row("gated_mlp")
    problem = Problem(model, x, target=1, batch_size=1)
    walk = PathWalk(problem, torch.zeros_like(x))

    def interrupt():
        if next(calls) == 1:
            raise Cancelled

    problem.interrupt = interrupt
    with pytest.raises(Cancelled):
        next(walk.walk(65, 0.0))
    assert len(walk.nodes) == 1
    assert not walk.ready
    with pytest.raises(ExplainError, match="Nothing is known"):
        walk.curves()
    problem.interrupt = None
    next(walk.walk(65, 0.0))
    assert walk.evaluations["gradient"] == 9


def test_running_out_of_memory_keeps_nodes(digits):
    model = Counting(digits.model, room=5)
    walk = walked(Problem(model, digits.images[:1], target=3, batch_size=16), torch.zeros(1, 1, 8, 8))
    assert model.rows == walk.evaluations["gradient"] == len(walk.nodes) == 65
    model.room = 0
    with pytest.raises(ExplainError, match="single row"):
        list(walk.walk(129, 0.0))
    assert len(walk.nodes) == 65
    model.room = 3
    problem = Problem(model, digits.images[:1], target=3, batch_size=4)
    half = PathWalk(problem, torch.zeros(1, 1, 8, 8))

    def interrupt():  # between the two halves of a chunk that did not fit
        if len(half.nodes) == 2:
            raise Cancelled

    problem.interrupt = interrupt
    with pytest.raises(Cancelled):
        list(half.walk(9, 0.0))
    assert len(half.nodes) == half.evaluations["gradient"] == 2


def test_neither_batch_size_nor_repetition_matter(digits):
    x, start = digits.images[:1], torch.zeros(1, 1, 8, 8)
    walks = [walked(Problem(digits.model, x, target=3, batch_size=size), start, 33) for size in (7, 7, 1, "auto")]
    assert torch.equal(walks[0].values(), walks[1].values())
    assert walks[0].curves() == walks[1].curves()
    for other in walks[2:]:
        torch.testing.assert_close(other.values(), walks[0].values(), rtol=1e-3, atol=1e-5)
        assert pytest.approx(walks[0].curves().F, abs=1e-4) == other.curves().F


def test_the_model_is_left_as_it_was():
    model, x = one_row("residual")
    model.conv1.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    walk = PathWalk(Problem(model, x, target=1), torch.zeros_like(x))
    for _ in walk.walk(17, 0.0):
        assert torch.is_grad_enabled()
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(one.grad is None for one in model.parameters())
        assert [name for name, one in model.named_parameters() if not one.requires_grad] == ["conv1.weight"]
        assert not any(part._forward_hooks or part._backward_hooks for part in model.modules())
    assert not any(node.integrand.requires_grad for node in walk.nodes)


def test_another_model_is_another_walk():
    model, x = one_row("gated_mlp")
    walk = walked(Problem(model, x, target=1), torch.zeros_like(x), 17)
    with torch.no_grad():
        model.head.weight.mul_(2)
    for _ in walk.walk(9, 0.0):
        pass
    assert len(walk.nodes) == 9
    theirs = attribute(model, x, target=1, rule="trapezoid", steps=9)
    torch.testing.assert_close(walk.attribution().values, theirs.values)
    with torch.no_grad():
        model.head.weight.mul_(2)
    with pytest.raises(ExplainError, match="Nothing is known"):
        list(walk.refine(1))
    model.train()
    with pytest.raises(ExplainError, match="training"):
        list(walk.walk(9, 0.0))


def test_whatever_mode_the_consumer_is_in():
    model, x = one_row("gated_mlp")
    expected = walked(Problem(model, x, target=1), torch.zeros_like(x), 17)
    with torch.inference_mode():
        walk = walked(Problem(model, x, target=1), torch.zeros(1, 5, dtype=torch.float64), 17)
        values = walk.values()
    assert not values.is_inference()
    torch.testing.assert_close(values, expected.values())


# --- questions -------------------------------------------------------------------------------------------------------


def test_probabilities_come_with_the_scores(vit):
    problem, start = vit
    model = problem.module
    walk = walked(problem, start, 17)
    for node in walk.nodes:
        with torch.no_grad():
            output = model(start + node.alpha * (problem.points - start))
        assert node.probability == pytest.approx(float(output.softmax(1)[0, 1]))
        assert node.score == pytest.approx(float(output[0, 1]))
    assert walk.curves().prob == [node.probability for node in walk.nodes]
    for target, score in ((Contrast(1, 3), "logit"), (1, "probability"), (1, "log_probability")):
        other = walked(Problem(model, problem.points, target=target, score=score), start, 17)
        assert other.curves().prob == pytest.approx(walk.curves().prob)
        assert other.curves().gaps.max < 0.1 * other.curves().size
    assert other.curves().F[-1] == pytest.approx(
        torch.tensor(walk.curves().prob).log().diff(dim=0).sum().item(), rel=1e-4
    )


def test_where_there_are_no_probabilities(vit):
    problem, start = vit
    model, x = problem.module, problem.points
    for problem in (
        Problem(model, x, target=lambda output: output[:, 1] - output[:, 2]),
        Problem(lambda x: model(x)[:, 0], x),
        Problem(lambda x: model(x)[:, :1], x, target=0),
    ):
        assert walked(problem, start, 9).curves().prob == []


def test_text_from_its_embeddings():
    model, inputs = one_row("bert_sdpa")
    ids = {"input_ids": torch.tensor([[1, 5, 9, 2, 7, 3]]), "attention_mask": inputs["attention_mask"]}
    problem = Problem(model, ids, target=2, wrt="input_ids").at("bert.embeddings.word_embeddings")
    walk = walked(problem, torch.zeros_like(problem.points))
    theirs = attribute(
        model, ids, target=2, wrt="input_ids", layer="bert.embeddings.word_embeddings",
        rule="trapezoid", steps=65, baseline=torch.zeros_like(problem.points),
    )  # fmt: skip
    torch.testing.assert_close(walk.attribution().values, theirs.values)
    edges, frames = walk.increments(8, lambda maps: maps.sum(2))
    assert frames.shape == (8, 1, 6)
    assert len(edges) == 9
    assert walk.curves().gaps.max < 1e-2 * abs(walk.curves().gaps.difference)
    assert len(walk.curves().prob) == 65


def test_half_precision_and_several_inputs():
    class Sum(nn.Module):
        def forward(self, a, b):
            return torch.stack([(a * a).sum(1), b.flatten(1).prod(1)], 1)

    a, b = torch.rand(1, 3), torch.rand(1, 2, 2)
    problem = Problem(Sum().eval(), {"a": a, "b": b}, target=0, wrt=["a", "b"])
    values = walked(problem, torch.zeros_like(problem.points), 9).attribution().values
    torch.testing.assert_close(values["a"], a * a)
    assert values["b"].abs().max() == 0
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).bfloat16().eval()
    problem = Problem(net, torch.rand(1, 4).bfloat16(), target=0)
    walk = walked(problem, torch.zeros(1, 4), 17)
    assert walk.nodes[0].integrand.dtype == walk.attribution().values.dtype == torch.float32


def test_what_cannot_be_walked(vit):
    problem, start = vit
    model, x = problem.module, problem.points
    for other in (Problem(model, x.repeat(2, 1, 1, 1), target=1), Problem(model, x, target=Each(0, 1))):
        with pytest.raises(ExplainError, match="one row and one target"):
            PathWalk(other, other.points)
    with pytest.raises(ExplainError, match="does not fit"):
        PathWalk(problem, start[0])
    with pytest.raises(ExplainError, match="leaves out an end"):
        PathWalk(problem, start).walk(1, 0.0)
    walk = PathWalk(problem, start)
    for ask in (
        walk.curves,
        walk.values,
        walk.attribution,
        lambda: walk.increments(3, plane),
        lambda: next(walk.refine(1)),
    ):
        with pytest.raises(ExplainError, match="Walk first"):
            ask()
