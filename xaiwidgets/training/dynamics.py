"""What each training example went through while the model was trained, and what that says about it.

From the columns of an index (one value a checkpoint), or from a recorder fed with the logits of every batch while training.
High is not wrong: hard, rare and mislabelled examples look alike here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.errors import InputError, did_you_mean

from .losses import cross_entropy, outcomes

Floats = NDArray[np.float32]

COLUMNS = ("confidence", "margin", "el2n", "loss")


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Every array is [N, times]; not a number where an example was not seen. Times are checkpoints or epochs, in order."""

    probabilities: Floats
    """Of the label."""
    margins: Floats
    """Logit of the label minus the largest other logit: above 0 the example is right."""
    errors: Floats
    """Length of softmax(logits) − onehot(label)."""
    losses: Floats
    norms: Floats | None = None
    """Squared lengths of the loss gradients; only an index knows them."""

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]]) -> Dynamics:
        """From an index's columns: confidence, margin, el2n, loss and perhaps norm, each [N, C].

        Raises InputError where the labels are no classes.
        """
        for name in COLUMNS:
            if name not in columns:
                raise InputError("missing_column", f"There is no column {name!r}", hint=did_you_mean(name, columns))
        if np.isnan(columns["margin"]).all():
            raise InputError(
                "no_classes",
                "Training dynamics need class labels",
                hint='For regression look at column("loss") and self_influence().',
            )
        probabilities, margins, errors, losses = (columns[name] for name in COLUMNS)
        return cls(probabilities, margins, errors, losses, columns.get("norm"))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the prediction was the label [N, times]."""
        return self.margins > 0

    @property
    def confidence(self) -> Floats:
        """Mean probability of the label [N] (Swayamdipta et al. 2020, arXiv:2009.10795)."""
        return _over_times(np.nanmean, self.probabilities)

    @property
    def variability(self) -> Floats:
        """Standard deviation of the probability of the label [N]; the other axis of the data map."""
        return _over_times(np.nanstd, self.probabilities)

    @property
    def correctness(self) -> Floats:
        """Share of the times [N] at which the prediction was the label."""
        return _over_times(np.nanmean, np.where(self._seen, self.correct, np.nan))

    @property
    def forgetting(self) -> NDArray[np.int32]:
        """How often [N] an example that was right became wrong (Toneva et al. 2019, arXiv:1812.05159)."""
        right = self._seen_in_order()
        events: NDArray[np.int32] = (right[:, :-1] & ~right[:, 1:] & self._followed()).sum(1, dtype=np.int32)
        return events

    @property
    def never_learnt(self) -> NDArray[np.bool_]:
        """Examples [N] that were never right: forgetting counts none of their mistakes."""
        return np.logical_not(self.correct.any(1))

    @property
    def aum(self) -> Floats:
        """Area under the margin [N]: its mean over time (Pleiss et al. 2020, arXiv:2001.10528). Low is suspicious."""
        return _over_times(np.nanmean, self.margins)

    @property
    def loss(self) -> Floats:
        """Mean loss [N]."""
        return _over_times(np.nanmean, self.losses)

    def el2n(self, first: int | None = None) -> Floats:
        """Mean length of the error [N] over the `first` times (Paul et al. 2021, arXiv:2107.07075: the first epochs)."""
        return _over_times(np.nanmean, self.errors[:, :first])

    def grand(self, first: int | None = None) -> Floats:
        """Mean length of the loss gradient [N] over the `first` times (GraNd, the same paper).

        Raises InputError where gradients were not recorded.
        """
        if self.norms is None:
            raise InputError(
                "missing_column",
                "GraNd needs the lengths of gradients",
                hint="An index records them: TrainingIndex.build(...).dynamics().",
            )
        return _over_times(np.nanmean, np.sqrt(self.norms[:, :first]))

    def aum_threshold(self, strangers: NDArray[Any], percentile: float = 99.0) -> float:
        """AUM below which an example is suspected (the paper's rule).

        strangers  positions of examples that were trained under a class of their own, one more than there are: their
                   labels are wrong for certain, and the threshold is the `percentile` of their AUM
        """
        return float(np.percentile(self.aum[strangers], percentile))

    def suspicion(self) -> dict[str, Floats]:
        """Every score [N] turned so that larger means harder or more likely wrong; forgetting counts never learnt as most."""
        most = self.margins.shape[1]
        scores = {
            "aum": -self.aum,
            "confidence": 1 - self.confidence,
            "correctness": 1 - self.correctness,
            "el2n": self.el2n(),
            "forgetting": np.where(self.never_learnt, most, self.forgetting).astype(np.float32),
            "loss": self.loss,
            "variability": self.variability,
        }
        return scores if self.norms is None else scores | {"grand": self.grand()}

    @property
    def _seen(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.losses)

    def _seen_in_order(self) -> NDArray[np.bool_]:
        """`correct` with the times at which an example was not seen moved to the end."""
        order = np.argsort(~self._seen, axis=1, kind="stable")
        return np.asarray(np.take_along_axis(self.correct, order, axis=1))

    def _followed(self) -> NDArray[np.bool_]:
        """Whether a time, in that order, has a seen one after it."""
        times = np.arange(1, self.losses.shape[1])
        followed: NDArray[np.bool_] = times < self._seen.sum(1, keepdims=True)
        return followed


class DynamicsRecorder:
    """Keeps what `Dynamics` needs while a model is trained: call `see` for every batch.

        recorder = DynamicsRecorder(len(dataset))
        for positions, images, labels in loader:
            logits = model(images)
            recorder.see(positions, logits, labels)

    An example's first presentation is its time 0, its second time 1, and so on: 16 bytes an example and epoch.
    """

    def __init__(self, examples: int) -> None:
        self._seen = np.zeros(examples, dtype=np.int64)  # presentations so far
        self._times: list[Floats] = []

    def see(self, positions: Tensor | NDArray[Any], output: Tensor, labels: Tensor) -> None:
        """Take positions [B] in the data set, and output and labels as the loss takes them.

        An example that is there twice counts once. Nothing of the graph is kept. Raises InputError where output and labels do not fit.
        """
        rows = torch.as_tensor(positions).cpu().numpy()
        labels = labels.to(output.device)
        loss, said = cross_entropy(output.detach().float(), labels), outcomes(output.detach(), labels)
        values = torch.stack([said.confidence, said.margin, said.el2n, loss], 1).cpu().numpy()
        for time in np.unique(self._seen[rows]):
            if time == len(self._times):
                self._times.append(np.full((len(self._seen), len(COLUMNS)), np.nan, dtype=np.float32))
            now = self._seen[rows] == time
            self._times[time][rows[now]] = values[now]
        self._seen[rows] += 1

    def dynamics(self) -> Dynamics:
        """So far. Raises InputError before anything was seen."""
        if not self._times:
            raise InputError("nothing_seen", "No batch was recorded", hint="Call see(positions, output, labels).")
        return Dynamics.of(dict(zip(COLUMNS, np.stack(self._times, 1).transpose(2, 0, 1), strict=True)))


def _over_times(reduce: Any, values: NDArray[Any]) -> Floats:
    """Along the last axis in float64; not a number where nothing was seen, without numpy's warning about it."""
    seen = ~np.isnan(values).all(1)
    result = np.full(len(values), np.nan, dtype=np.float32)
    if seen.any():
        result[seen] = reduce(values[seen].astype(np.float64), axis=1)
    return result
