"""How far an attribution to training examples can be believed: the protocols, each a number with its spread.

Scores are [queries, training examples], positive = proponent. What happens without some examples is asked through a
`Retrain`: positions kept [M, n] to what the M networks trained on them say about every query [M, queries], larger meaning
surer of the query's label (`retraining.margins`). `retraining.train_networks` is one way to write it.
Scores, labels and masks are tensors or arrays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.engine.errors import InputError

Values = Tensor | NDArray[np.generic]
Retrain = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Rank correlation of two scorings, query by query."""

    each: Tensor
    """[queries], float64. Not a number where one of the two is constant."""

    @property
    def mean(self) -> float:
        return float(self.each.nanmean())

    @property
    def error(self) -> float:
        """Standard error of the mean over the queries (the drawn subsets, which all of them share, vary too)."""
        known = self.each[~self.each.isnan()]
        return float(known.std() / len(known) ** 0.5)

    def __repr__(self) -> str:
        return f"Agreement({self.mean:.3f} ± {self.error:.3f} over {len(self.each)} queries)"


@dataclass(frozen=True, eq=False)
class Detection:
    """Wrong labels found by looking at the most suspicious examples first."""

    auc: float
    """Chance that a wrong label is more suspicious than a right one; 0.5 is guessing."""
    curve: Tensor
    """[N + 1]: share of the wrong labels among the first i examples."""

    def found(self, share: float) -> float:
        """Share of the wrong labels among the most suspicious `share` (0..1) of the examples."""
        return float(self.curve[round(share * (len(self.curve) - 1))])

    def __repr__(self) -> str:
        return f"Detection(auc {self.auc:.3f}, found {self.found(0.1):.0%} in 10 %, {self.found(0.2):.0%} in 20 %)"


# --- against retraining ----------------------------------------------------------------------------------------------


def half_subsets(examples: int, count: int, *, share: float = 0.5, seed: int = 0) -> Tensor:
    """Positions [count, share · examples] drawn without replacement, each row in order."""
    generator = torch.Generator().manual_seed(seed)
    size = round(share * examples)
    return torch.stack([torch.randperm(examples, generator=generator)[:size].sort().values for _ in range(count)])


def linear_datamodeling(scores: Values, kept: Values, outputs: Values) -> Agreement:
    """Linear datamodeling score (Park et al. 2023, arXiv:2303.14186).

    The sum of the scores of the examples kept [S, n] should order the S retrained models as their outputs [S, queries] do.
    """
    scores = torch.as_tensor(scores)
    sums = [scores[:, rows].double().sum(1) for rows in torch.as_tensor(kept)]
    return rank_agreement(torch.stack(sums, 1), torch.as_tensor(outputs).T)


def leave_one_out(retrain: Retrain, positions: Sequence[int], examples: int) -> Tensor:
    """What each example is worth to each query: output with all examples minus output without this one.

    [queries, positions], to be compared with scores[:, positions] by `rank_agreement`.
    """
    every = torch.arange(examples)
    without = torch.stack([every[every != position] for position in positions])
    return (retrain(every[None]) - retrain(without)).T


def subset_removal(
    scores: Values, retrain: Retrain, sizes: Sequence[int], queries: Sequence[int] | None = None
) -> Tensor:
    """Output of each query after retraining without its `size` strongest proponents: [sizes + 1, queries], first with all.

    A faithful scoring makes it fall faster than a random one does. Queries: positions (rows of scores), all by default.
    """
    scores = torch.as_tensor(scores)
    chosen = torch.arange(len(scores)) if queries is None else torch.as_tensor(queries)
    order = scores[chosen].argsort(dim=1, descending=True, stable=True)
    rows = [retrain(torch.arange(scores.shape[1])[None])[0, chosen]]
    for size in sizes:
        outputs = retrain(order[:, size:].sort(dim=1).values)  # one network a query, asked about all of them
        rows.append(outputs[torch.arange(len(chosen)), chosen])
    return torch.stack(rows)


# --- wrong labels ----------------------------------------------------------------------------------------------------


def mislabelled(suspicion: Values, wrong: Values) -> Detection:
    """How soon the wrong labels (bool [N]) are found by suspicion [N], largest first.

    Examples of equal suspicion share their finds evenly: the order of the data set decides nothing.
    """
    doubt, bad = torch.as_tensor(suspicion).double(), torch.as_tensor(wrong).bool()
    count, rest = int(bad.sum()), int((~bad).sum())
    if not count or not rest or doubt.shape != bad.shape:
        raise InputError(
            "labels_shape",
            f"{count} wrong and {rest} right labels for {doubt.numel()} suspicions",
            hint="Some of each.",
        )
    auc = (float(ranks(doubt)[bad].sum()) - count * (count + 1) / 2) / (count * rest)
    _, group, size = torch.unique(-doubt, return_inverse=True, return_counts=True)
    rate = torch.zeros(len(size), dtype=torch.float64).index_add_(0, group, bad.double()) / size
    found = rate.repeat_interleave(size).cumsum(0) / count
    return Detection(auc, torch.cat([torch.zeros(1, dtype=torch.float64), found]))


# --- the same kind of thing ------------------------------------------------------------------------------------------


def identical_class(scores: Values, labels: Values, query_labels: Values) -> float:
    """Share of queries whose strongest proponent is of the query's class (Hanawa et al. 2021, arXiv:2006.04528)."""
    leading = torch.as_tensor(scores).argmax(1)
    return float((torch.as_tensor(labels)[leading] == torch.as_tensor(query_labels)).double().mean())


def identical_subclass(scores: Values, subclasses: Values, query_subclasses: Values, right: Values) -> float:
    """The same with finer classes than those the model was trained on, over the queries it gets `right` (bool)."""
    right = torch.as_tensor(right)
    return identical_class(torch.as_tensor(scores)[right], subclasses, torch.as_tensor(query_subclasses)[right])


def self_retrieval(scores: Values, positions: Values) -> float:
    """Share of training examples, asked as queries, that are their own strongest proponent."""
    return float((torch.as_tensor(scores).argmax(1) == torch.as_tensor(positions)).double().mean())


# --- stability -------------------------------------------------------------------------------------------------------


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy that has learnt nothing: every module drawn anew, parameters of a module that cannot be are shuffled.

    Scores that hardly change (`rank_agreement` near 1) explain the data and not the model.
    """
    blank = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in blank.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                continue
            for parameter in module.parameters(recurse=False):
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return blank


def rank_agreement(first: Values, second: Values) -> Agreement:
    """Spearman correlation of each row of two [queries, n].

    With leave-one-out values: near 1 is good. Two seeds of training: near 1 is stable. A randomised model: near 0.
    """
    left, right = (ranks(torch.as_tensor(values).double()) for values in (first, second))
    left, right = left - left.mean(-1, keepdim=True), right - right.mean(-1, keepdim=True)
    return Agreement((left * right).sum(-1) / (left.norm(dim=-1) * right.norm(dim=-1)))


def ranks(values: Tensor) -> Tensor:
    """Ranks 1..n along the last axis, float64, the mean rank where values are equal."""
    ordered = values.sort(dim=-1).values.contiguous()
    low = torch.searchsorted(ordered, values.contiguous())
    high = torch.searchsorted(ordered, values.contiguous(), right=True)
    return (low + high + 1).double() / 2
