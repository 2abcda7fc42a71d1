"""The gradient itself, of the score or of the class probability, and the gradient times the input."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated

from xaiwidgets.engine.errors import TargetError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.target import Scorer


@method(
    family="gradient",
    title="Saliency",
    reference="Simonyan, Vedaldi, Zisserman (2013), Deep Inside Convolutional Networks, arXiv:1312.6034",
    needs=("gradient",),
    signed=False,
    unit="{score} per unit of input",
)
def saliency(
    problem: Problem,
    *,
    absolute: Annotated[bool, Note("Show the size of the gradient only, not its sign.")] = True,
) -> Iterator[Partial]:
    """How fast the score changes with each input value.

    Values [batch, ...] like the input, in score per unit of input. Simonyan et al. take the absolute value.
    """
    gradients, scores = problem.gradients()
    yield Partial(gradients.abs() if absolute else gradients, done=1, total=1, score=scores)


@method(
    family="gradient",
    title="Explanation vectors",
    reference="Baehrens, Schroeter, Harmeling, Kawanabe, Hansen, Müller (2009), How to Explain Individual "
    "Classification Decisions, arXiv:0912.1128",
    needs=("gradient",),
    unit="{score} per unit of input",
)
def explanation_vectors(problem: Problem) -> Iterator[Partial]:
    """How fast the probability of the class changes with each input value.

    Values [batch, ...] like the input, in probability per unit of input, whatever score is explained otherwise. A
    positive value means that more of the input makes the class more probable. Baehrens et al. differentiate the
    probability of any *other* class, so theirs point away from the class: the same numbers with the opposite sign.
    """
    gradients, probabilities = _of_probability(problem).gradients()
    yield Partial(gradients, done=1, total=1, score=probabilities)


@method(
    family="gradient",
    title="Input × gradient",
    reference="Shrikumar, Greenside, Shcherbina, Kundaje (2016), Not Just a Black Box, arXiv:1605.01713",
    needs=("gradient",),
)
def input_x_gradient(problem: Problem) -> Iterator[Partial]:
    """The gradient times the input: each value's share of a linear model's score.

    Values [batch, ...] like the input, in units of the score. They sum to score minus bias for linear and to the score
    for bias-free ReLU models; elsewhere the sum means nothing, so no delta is given.
    """
    gradients, scores = problem.gradients()
    yield Partial(gradients * problem.points, done=1, total=1, score=scores)


def _of_probability(problem: Problem) -> Problem:
    other = copy.copy(problem)
    other.scorers = tuple(_probability(scorer) for scorer in problem.scorers)
    return other


def _probability(scorer: Scorer) -> Scorer:
    if scorer.function is not None:
        raise TargetError(
            "score_of_callable",
            "Explanation vectors need a class, and the target is a function or a neuron",
            hint="Name the class, for example target=0, or use saliency with absolute=False.",
        )
    scorer = copy.copy(scorer)
    scorer.score = "probability"
    return scorer
