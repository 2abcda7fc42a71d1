"""Guided integrated gradients against the published algorithm, written out as a loop over one row."""

import math

import pytest
import torch

from xaiwidgets.api import Session, attribute, stream


def reference(gradient, x, start, steps, *, fraction, max_dist):
    """Algorithm 1 of Kapishnikov et al. (2021) with anchors at every step, one row, one group at a time.

    The path is theirs; what is summed along it is the mean of the gradients at both ends of a step.
    """
    position, total = start.clone(), torch.zeros_like(x)
    way = (x - start).abs().sum()
    for index in range(1, steps):
        slopes = gradient(position)
        alpha = index / (steps - 1)
        old = position.clone()
        rear = start + max(alpha - max_dist, 0.0) * (x - start)
        front = start + min(alpha + max_dist, 1.0) * (x - start)
        for i in range(len(x)):
            if (position[i] - rear[i]) * (x[i] - start[i]) < 0:
                position[i] = rear[i]
        waiting = sorted((i for i in range(len(x)) if position[i] != front[i]), key=lambda i: abs(float(slopes[i])))
        size = math.ceil(fraction * len(x))
        while waiting:
            too_far = (x - position).abs().sum() - way * (1 - alpha)
            if too_far <= 0:
                break
            group, waiting = waiting[:size], waiting[size:]
            room = sum((front[i] - position[i]).abs() for i in group)
            share = min(1.0, float(too_far / room))
            for i in group:
                position[i] = position[i] + share * (front[i] - position[i])
        total += (position - old) * (slopes + gradient(position)) / 2
    return total, position


@pytest.mark.parametrize(("fraction", "max_dist"), [(0.25, 0.02), (0.1, 0.3), (1.0, 0.1), (0.3, 1.0)])
def test_the_published_algorithm(fraction, max_dist):
    generator = torch.Generator().manual_seed(0)
    x, start = (torch.randn(3, 11, generator=generator, dtype=torch.float64) for _ in range(2))
    first, second = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((11, 7), (7,)))

    def model(x):
        return torch.tanh(x @ first) @ second

    found = attribute(
        model, x, method="guided_ig", baseline=start, steps=24, fraction=fraction, max_dist=max_dist
    ).values
    for row in range(3):

        def gradient(position):
            leaf = position.clone()[None].requires_grad_()
            with torch.enable_grad():
                (slopes,) = torch.autograd.grad(model(leaf).sum(), leaf)
            return slopes[0]

        expected, end = reference(gradient, x[row], start[row], 24, fraction=fraction, max_dist=max_dist)
        torch.testing.assert_close(end, x[row])
        torch.testing.assert_close(found[row], expected)


def test_a_corridor_without_width_is_the_straight_path(digits):
    # ... and the trapezoid rule on it.
    session = Session(digits.model, digits.images[:3], target=digits.labels[:3])
    guided = session.attribute("guided_ig", steps=32, max_dist=0.0)
    straight = session.attribute(rule="trapezoid", steps=32)
    torch.testing.assert_close(guided.values, straight.values, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(guided.baseline_score, straight.baseline_score)


def test_it_is_complete_up_to_the_steps(digits):
    session = Session(digits.model, digits.images[:6], target=digits.labels[:6])
    gaps = [
        float((result.delta / (result.score - result.baseline_score)).abs().mean())
        for result in (session.attribute("guided_ig", steps=steps) for steps in (16, 64, 256))
    ]
    assert gaps[2] < 0.02
    assert gaps[2] < gaps[1] < gaps[0]


def test_a_linear_model_is_exact():
    x, start, weights = torch.randn(2, 9), torch.randn(2, 9), torch.randn(9)
    result = attribute(lambda x: x @ weights, x, method="guided_ig", baseline=start, steps=16)
    torch.testing.assert_close(result.values, (x - start) * weights, rtol=1e-4, atol=1e-5)
    assert result.delta.abs().max() < 1e-4


def test_it_goes_where_the_gradient_is_small():
    # f = a b: from (0, 0) both gradients grow alike on the straight path; with room, one input moves while its gradient,
    # the other input, is still zero, and the other gets everything.
    x = torch.tensor([[1.0, 1.0]])
    straight = attribute(lambda x: x[:, 0] * x[:, 1], x, method="guided_ig", max_dist=0.0, steps=256)
    guided = attribute(lambda x: x[:, 0] * x[:, 1], x, method="guided_ig", max_dist=1.0, fraction=0.5, steps=256)
    assert abs(float(straight.values[0, 0] - 0.5)) < 0.01
    assert guided.values.min() < 0.01
    assert guided.values.max() > 0.98


def test_rows_move_together_and_the_stream_is_a_walk(digits):
    parts = list(stream(digits.model, digits.images[:3], target=1, method="guided_ig", steps=8))
    assert [part.progress for part in parts] == [(n, 8) for n in range(1, 9)]
    assert parts[-1].evaluations == {"forward": 3, "gradient": 24}
    still = attribute(
        digits.model, digits.images[:1], target=1, method="guided_ig", baseline=digits.images[:1], steps=8
    )
    assert still.values.eq(0).all()
