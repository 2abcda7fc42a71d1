"""Methods that add up gradients along a path from a baseline to the input."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Annotated, Literal

from xaiwidgets.engine.baselines import BaselineLike
from xaiwidgets.engine.memory import digest
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method

from .curves import Curve, integrate_by_rule, lines
from .path_integral import integrate

Rule = Literal["adaptive", "gauss_legendre", "trapezoid", "midpoint", "left", "right"]
Baselines = Annotated[BaselineLike, Note("What stands for an absent input.", kind="baseline")]
Steps = Annotated[int, Range(9, 512, log=True, help="Most gradient evaluations for each row and baseline.")]
Tolerance = Annotated[
    float, Range(0.0, 0.1, step=0.0005, help="Stop a row early once its estimated relative error is below this.")
]
Rules = Annotated[Rule, Note("How points on the path are chosen; adaptive is the most accurate for its cost.")]


@method(
    family="path",
    title="Integrated gradients",
    reference="Sundararajan, Taly, Yan (2017), Axiomatic Attribution for Deep Networks, arXiv:1703.01365",
    needs=("gradient",),
    complete=True,
)
def integrated_gradients(
    problem: Problem,
    *,
    baseline: Baselines = "zeros",
    steps: Steps = 64,
    tolerance: Tolerance = 0.002,
    rule: Rules = "adaptive",
) -> Iterator[Partial]:
    """The change of the score from a baseline to the input, divided among the input's values.

    Values [batch, ...] like the input, in units of the score; they sum to score - baseline_score up to `delta`.
    Several baselines are averaged, each along its own path. The adaptive rule looks where the integral is least
    certain and keeps every gradient it has: more steps cost only the new ones, fewer cost nothing. It corrects its sum,
    so a small delta proves little; `error` estimates what is left in the whole map, relative and of the worst row, from
    how far the map has moved since half as many steps (measured: about twice the true error). The other rules are the
    textbook's, for comparison: they always take all steps and estimate no error.
    """
    baselines = problem.baselines(baseline)
    yield from integral(problem, lines(problem, baselines), steps, tolerance, rule, key=digest(baselines))


def integral(
    problem: Problem, curves: Sequence[Curve], steps: int, tolerance: float, rule: Rule, *, key: Hashable
) -> Iterator[Partial]:
    """The gradient integrated along curves [k * rows], averaged over the k; `key` says which curves they are."""
    if rule == "adaptive":
        return integrate(problem, curves, steps, tolerance, key)
    return integrate_by_rule(problem, curves, steps, rule)
