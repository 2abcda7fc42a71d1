"""The quadrature on integrals with known values, one component at a time."""

import numpy as np
import pytest

from xaiwidgets.methods.quadrature import FIRST, common_correction, fixed_rule, measure, worst


def integrate(integrand, antiderivative, nodes):
    """The rule on a vector integrand whose components sum to the derivative of `antiderivative`'s sum."""
    used = list(FIRST)

    def piece(low, high):
        values = [integrand(alpha) for alpha in (low, (low + high) / 2, high)]
        change = float((antiderivative(high) - antiderivative(low)).sum())
        bend = float(np.abs(values[0] - 2 * values[1] + values[2]).sum())
        return measure(low, high, [float(value.sum()) for value in values], change, bend)

    pieces = [piece(low, high) for low, high in zip(FIRST[:-2:2], FIRST[2::2], strict=True)]
    while True:
        chosen = worst(pieces)[: (nodes - len(used)) // 2]
        if not chosen:
            break
        for one in chosen:
            pieces.remove(one)
            low, middle, high = one.nodes
            pieces += [piece(low, middle), piece(middle, high)]
            used += [(low + middle) / 2, (middle + high) / 2]
    factor = common_correction(pieces)
    total = sum(
        (weight + factor * tilt) * integrand(alpha)
        for one in pieces
        for alpha, weight, tilt in zip(one.nodes, one.weights, one.tilt, strict=True)
    )
    return total, sum(max(abs(one.missing), one.bound) for one in pieces), used


CASES = {
    "constant": (lambda a: np.array([2.0, -1.0]), lambda a: np.array([2.0, -1.0]) * a),
    "linear": (lambda a: np.array([2 * a, 1.0]), lambda a: np.array([a**2, a])),
    "cubic": (lambda a: np.array([4 * a**3, 3 * a**2]), lambda a: np.array([a**4, a**3])),
    "wave": (lambda a: np.array([np.cos(9 * a), np.exp(a)]), lambda a: np.array([np.sin(9 * a) / 9, np.exp(a)])),
    "step": (
        lambda a: np.array([1.0 * (a > 0.3), 2.0 * (a < 0.7)]),
        lambda a: np.array([max(a - 0.3, 0), 2 * min(a, 0.7)]),
    ),
    "point": (lambda a: np.array([5.0 * (a == 0) + 1, 1.0]), lambda a: np.array([a, a])),  # odd only at the baseline
}


@pytest.mark.parametrize(
    ("case", "nodes", "tolerance"),
    [
        ("constant", 9, 1e-12),
        ("linear", 9, 1e-12),
        ("cubic", 9, 0.003),
        ("cubic", 33, 2e-5),
        ("wave", 33, 2e-3),
        ("wave", 65, 2e-4),
        ("step", 9, 0.2),
        ("step", 33, 0.002),
        ("step", 65, 1e-4),
        ("point", 33, 0.01),
    ],
)
def test_known_integrals(case, nodes, tolerance):
    integrand, antiderivative = CASES[case]
    exact = antiderivative(1.0) - antiderivative(0.0)
    found, bound, used = integrate(integrand, antiderivative, nodes)
    error = float(np.abs(found - exact).sum())
    assert error <= tolerance
    assert error <= bound + 1e-12  # the estimate is on the safe side
    assert len(used) <= nodes
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("case", CASES)
def test_a_shorter_run_is_a_prefix_of_a_longer_one(case):
    *_, longest = integrate(*CASES[case], 129)
    for nodes in (9, 12, 17, 30, 64, 128):
        *_, used = integrate(*CASES[case], nodes)
        assert used == longest[: len(used)]
        assert len(used) >= min(nodes - 1, len(longest))


def test_weights_of_every_piece_sum_to_its_width():
    piece = measure(0.25, 0.5, [1.0, 4.0, 2.0], 0.7, 5.0)
    assert sum(piece.weights) == pytest.approx(0.25)
    assert sum(piece.tilt) == pytest.approx(0)
    assert 0 <= piece.theta <= 1 / 3


def test_no_weight_ever_goes_beyond_the_midpoint_rule():
    pieces = [measure(0.0, 0.5, [0.0, 1.0, 0.0], 100.0, 2.0), measure(0.5, 1.0, [0.0, 0.1, 0.0], 3.0, 0.2)]
    factor = common_correction(pieces)
    for piece in pieces:
        assert all(weight + factor * tilt >= -1e-12 for weight, tilt in zip(piece.weights, piece.tilt, strict=True))
    assert common_correction([measure(0.0, 1.0, [1.0, 1.0, 1.0], 1.0, 0.0)]) == 0


@pytest.mark.parametrize("count", [9, 10, 64])
@pytest.mark.parametrize(
    ("rule", "order"), [("gauss_legendre", 17), ("trapezoid", 1), ("midpoint", 1), ("left", 0), ("right", 0)]
)
def test_fixed_rules_integrate_polynomials_of_their_order(rule, order, count):
    nodes, weights = fixed_rule(rule, count)
    assert len(nodes) == len(weights) == count
    for degree in range(order + 1):
        assert np.dot(weights, np.power(nodes, degree)) == pytest.approx(1 / (degree + 1), abs=1e-12)
