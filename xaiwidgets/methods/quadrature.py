"""Where to look next along a path: a nested, adaptive quadrature that knows its own error.

The integral of the gradient along a straight path is approximated from nodes that are never thrown away. Each piece of
the path is a pair of equal panels (low, middle, high). With w its half width and a the integrand,

    coarse = w (a_low + a_high),   fine = w/2 (a_low + 2 a_middle + a_high),   value = fine + θ (fine - coarse).

θ = 1/3 is Simpson's rule. But here the integral's *sum* is known exactly: the score at `high` minus the score at `low`,
which came with the gradients. So θ is whatever makes the piece sum to that, within ±1/2: Simpson where the integrand is
smooth, harmless where it jumps (along a straight path the gradient of a ReLU network is a step function).
What θ cannot mend is the residual; how much the two rules differ bounds a single jump hidden inside the piece. Pieces
with the largest sum of both are halved, some at a time. The order of nodes never depends on how many are allowed, so a
shorter run is a prefix of a longer one.

This file holds no tensors: it turns sums and distances of node values into weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FIRST = tuple(index / 8 for index in range(9))
PIECES_A_ROUND = 4  # each adds two nodes; more at a time costs no accuracy and fills batches better
SHALLOWEST = 2.0**-16  # below this width float32 scores cannot tell the ends of a piece apart
LARGEST_CORRECTION = 0.5


@dataclass(frozen=True)
class Piece:
    """A stretch of the path with three nodes, and what is known of the integral over it."""

    low: float
    middle: float
    high: float
    weights: tuple[float, float, float]
    residual: float  # what the sum of the approximation misses, exactly
    bound: float  # how far the vector may be off

    @property
    def badness(self) -> float:
        return abs(self.residual) + self.bound


@dataclass(frozen=True)
class Node:
    """The integrand at one point of the path, reduced to numbers."""

    total: float  # sum of the integrand's components
    score: float


def measure(low: float, high: float, nodes: dict[float, Node], distance: Callable[..., float]) -> Piece:
    """Weigh a piece; `distance(low, middle, high)` is the L1 norm of a_low - 2 a_middle + a_high."""
    middle = (low + high) / 2
    half = (high - low) / 2
    ends = nodes[low].total + nodes[high].total
    fine = half / 2 * (ends + 2 * nodes[middle].total)
    correction = fine - half * ends
    missing = nodes[high].score - nodes[low].score - fine
    theta = 0.0
    if abs(missing) > LARGEST_CORRECTION * abs(correction):
        theta = float(np.copysign(LARGEST_CORRECTION, missing * correction)) if correction else 0.0
    elif correction:
        theta = missing / correction
    edge = half / 2 * (1 - theta)
    return Piece(
        low,
        middle,
        high,
        weights=(edge, half * (1 + theta), edge),
        residual=theta * correction - missing,
        bound=half / 2 * distance(low, middle, high),
    )


def worst(pieces: list[Piece]) -> list[Piece]:
    """The pieces to halve next, worst first; ties go to the one that comes first on the path."""
    candidates = [piece for piece in pieces if piece.badness > 0 and piece.high - piece.low > SHALLOWEST]
    return sorted(candidates, key=lambda piece: (-piece.badness, piece.low))[:PIECES_A_ROUND]


def fixed_rule(name: str, count: int) -> tuple[list[float], list[float]]:
    """Nodes and weights on [0, 1] of a textbook rule; the weights of every rule sum to one."""
    steps = np.arange(count)
    if name == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return list((nodes + 1) / 2), list(weights / 2)
    if name == "trapezoid":
        weights = np.full(count, 1 / (count - 1))
        weights[[0, -1]] /= 2
        return list(steps / (count - 1)), list(weights)
    shift = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[name]
    return list((steps + shift) / count), [1 / count] * count
