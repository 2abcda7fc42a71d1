"""The checks of the exercises in `notebooks/course`, six lessons in explaining a network.

A check computes what it needs from the model it is given, so that it holds for other models and inputs too. It returns a
`Verdict`, which a notebook shows as a sentence: right, or what to look at. Errors in a learner's own code are raised as they are.
"""

from xaiwidgets.examples.course.examples import neighbours, product, suspects
from xaiwidgets.examples.course.forgetting import fooled, forgets, hollow
from xaiwidgets.examples.course.slopes import foretold, quiet, still_read
from xaiwidgets.examples.course.starts import blind, mean_map, only_there, totals
from xaiwidgets.examples.course.sums import constant, straight, without_biases
from xaiwidgets.examples.course.verdict import Verdict
from xaiwidgets.examples.course.words import left_out, rather_than, turned, two_negations

__all__ = [
    "Verdict", "blind", "constant", "fooled", "foretold", "forgets", "hollow", "left_out", "mean_map", "neighbours", "only_there",
    "product", "quiet", "rather_than", "still_read", "straight", "suspects", "totals", "turned", "two_negations", "without_biases",
]  # fmt: skip
