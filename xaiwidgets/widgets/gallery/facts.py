"""What an index knows of every training example, whatever the query: for cards, the triage and the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pack import finite, pack_columns

MOST = 200_000
"""Of larger data sets a page gets the columns of those with the largest self-influence only."""
KEPT = 100_000
SMALLEST = 1e-30


@dataclass(frozen=True, eq=False)
class Facts:
    """Columns [N] by position; `losses` [C] means at each checkpoint.

    y         the given labels: classes or numbers; None for labels that are neither
    yhat      the class predicted at the last checkpoint; None where the model predicts none
    conf      its probability
    own       self-influence: learning rate × squared length of the gradient, over the checkpoints
    loss      at the last checkpoint
    norms     [N, C] squared lengths of the gradients
    dynamics  columns of the data map, by name
    """

    own: NDArray[np.float32]
    loss: NDArray[np.float32]
    losses: NDArray[np.float64]
    norms: NDArray[np.float32]
    y: NDArray[Any] | None
    yhat: NDArray[np.int32] | None
    conf: NDArray[np.float32]
    dynamics: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, index: Any, label_kind: str) -> Facts:
        """Read from an index. `label_kind`: "class", "number" or "other"."""
        losses, norms = index.column("loss"), index.column("norm")
        yhat = index.column("predicted")[:, -1]
        y = None if label_kind == "other" else index.column("label")
        classes = y is not None and bool((yhat >= 0).all() and (y == y.astype(np.int64)).all())
        margin = index.column("margin")[:, -1]
        # the probability of the label is the softmax of its logit: the largest other one differs by the margin
        conf = index.column("confidence")[:, -1] * np.exp(np.clip(-margin, 0, 80))
        return cls(
            own=index.self_influence(),
            loss=losses[:, -1],
            losses=losses.mean(0, dtype=np.float64),
            norms=norms,
            y=y.astype(np.int64) if y is not None and classes else y,
            yhat=yhat if classes else None,
            conf=np.minimum(conf, 1.0).astype(np.float32),
            dynamics=_dynamics(index) if classes else {},
        )

    def __len__(self) -> int:
        return len(self.own)

    def card(self, position: int) -> dict[str, Any]:
        """Of one example, as JSON values."""
        y = None if self.y is None else self.y[position].item()
        return {
            "y": y if y is None or isinstance(y, int) else finite(y),
            "yhat": None if self.yhat is None else int(self.yhat[position]),
            "conf": finite(self.conf[position]),
            "self": finite(self.own[position]),
            "loss": finite(self.loss[position]),
        }

    def suspicious(self, count: int) -> list[int]:
        """Positions of the largest self-influence, the largest first."""
        return [int(one) for one in np.argsort(-self.own, kind="stable")[:count]]

    def packed(self) -> tuple[dict[str, Any], bytes]:
        """`columns_meta` and `columns`."""
        fields: dict[str, NDArray[Any]] = {"self": np.log10(np.maximum(self.own.astype(np.float64), SMALLEST))}
        if self.y is not None:
            fields["y"] = self.y
        if self.yhat is not None:
            fields |= {"yhat": self.yhat, "conf": self.conf}
        fields |= self.dynamics
        total = len(self)
        if total > MOST:
            chosen = np.sort(np.argpartition(-self.own, KEPT - 1)[:KEPT])
            fields = {"ids": chosen.astype(np.int64)} | {name: values[chosen] for name, values in fields.items()}
        return pack_columns(fields, total)


def _dynamics(index: Any) -> dict[str, NDArray[Any]]:
    found = index.dynamics()
    names = ["confidence", "correctness", "aum"]
    if found.margins.shape[1] > 1:  # one moment says nothing of change
        names += ["variability", "forgetting"]
    return {name: getattr(found, name) for name in names}
