"""Representer points: the last layer's logits as a sum over training examples, each with a weight of its own.

With an L2 penalty λ‖W‖² on the last layer (bias included, as the weight of a constant feature) the mean loss is stationary at
W = Σ α_i f_i', α_i = −(1 / 2λn) ∂loss_i/∂logits, so that the logits of a query are exactly Σ α_i (f_i · f).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import Note, Range
from xaiwidgets.training.features import Features
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, Scored, Step, training_method

STEPS = 2000
STATIONARY = 1e-6
"""Largest slope of the objective, in units of the weight decay, at which the last layer counts as fitted."""


@dataclass(frozen=True, eq=False)
class Refit:
    """A last layer where its penalised loss is stationary, in float64.

    weights   [classes, d + 1], the last column for the constant feature
    alphas    [classes, n] what each training example weighs in each logit
    slope     the largest that is left
    """

    weights: Tensor
    alphas: Tensor
    slope: float


@training_method(
    title="Representer points", family="representer",
    reference="Yeh et al. 2018, Representer point selection for explaining deep neural networks, arXiv:1811.09720",
    approximations=("explains a last layer fitted anew, with weight decay, to the features of the one before",),
)  # fmt: skip
def representer_points(
    question: Question,
    *,
    weight_decay: Annotated[
        float, Range(1e-4, 1, log=True, help="Penalty λ‖W‖² on the refitted last layer; small keeps it near the model.")
    ] = 3e-3,
    fit_to: Annotated[
        Literal["model", "labels"], Note("What the last layer is fitted to: the model's probabilities or the labels.")
    ] = "model",
) -> Iterator[Step]:
    """What each training example adds to the logit of the query's label.

    The features of all training examples are in memory at once.
    """
    features = Features(question)
    queries, logits = features.of(question.inputs)
    if logits.ndim != 2 or logits.shape[1] < 2 or question.data.label_kind != "class":
        raise InputError(
            "classes_needed",
            "Representer points need logits [batch, classes] and a class as label",
            f"The output is {list(logits.shape)}; labels: {question.data.label_kind}.",
        )
    rows, outputs, labels = [], [], []
    every = np.arange(len(question.data))  # the fit is of all, whoever is asked about
    for chosen, found, output, own in features.training(every):
        rows.append(found)
        outputs.append(output)
        labels.append(own.flatten())
        yield Preparing(int(chosen[-1]) + 1, len(every), "features")
    known = torch.cat(outputs)
    targets = known.softmax(1) if fit_to == "model" else functional.one_hot(torch.cat(labels), logits.shape[1])
    constant = functional.pad(torch.cat(rows), (0, 1), value=1.0)
    asked = functional.pad(queries, (0, 1), value=1.0).double()
    yield Preparing(0, 1, "last layer")
    refit = fit_last_layer(constant, targets, weight_decay, question.check)
    weights = refit.alphas[question.labels.flatten()]  # [Q, n]
    notes = (_residual(refit, asked, constant, logits),)
    for span in question.spans():
        alike = asked @ constant[span].double().T
        yield Scored(span, (weights[:, span] * alike).float().unsqueeze(2).cpu(), notes)


def fit_last_layer(
    features: Tensor, targets: Tensor, weight_decay: float, check: Callable[[], None] = lambda: None
) -> Refit:
    """Minimise mean cross-entropy + weight_decay · ‖W‖² over W [classes, d], by L-BFGS in float64.

    features [n, d] (with their constant), targets [n, classes] probabilities. Convex: where it starts decides nothing.
    """
    features, targets = features.double(), targets.double()
    weights = torch.zeros(targets.shape[1], features.shape[1], dtype=torch.float64, device=features.device)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=STEPS, max_eval=2 * STEPS, tolerance_grad=STATIONARY * weight_decay, tolerance_change=0,
        history_size=20, line_search_fn="strong_wolfe",
    )  # fmt: skip
    errors = targets

    def objective() -> Tensor:
        nonlocal errors
        check()
        log_odds = (features @ weights.T).log_softmax(1)
        errors = log_odds.exp() - targets
        weights.grad = errors.T @ features / len(features) + 2 * weight_decay * weights
        return -(targets * log_odds).sum(1).mean() + weight_decay * weights.square().sum()

    with torch.no_grad():
        optimiser.step(objective)
        objective()  # the line search may have looked elsewhere last
    slope = float(weights.grad.abs().max()) if weights.grad is not None else 0.0
    return Refit(weights, -errors.T / (2 * weight_decay * len(features)), slope)


def _residual(refit: Refit, asked: Tensor, constant: Tensor, logits: Tensor) -> str:
    """How far the sums of the values are from the logits of the refit, and these from the model's."""
    fitted = asked @ refit.weights.T
    sums = asked @ (refit.alphas @ constant.double()).T
    apart, moved = float((sums - fitted).abs().max()), float((fitted - logits).abs().max())
    return (
        f"the values add up to the refitted logits within {apart:.1g} (slope left: {refit.slope:.1g}); "
        f"these differ from the model's by up to {moved:.2g}"
    )
