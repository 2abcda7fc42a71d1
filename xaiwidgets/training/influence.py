"""Answers: how much each training example spoke for or against a query, whole or only its leaders."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from xaiwidgets.engine.errors import InputError, ParameterError

from .scan import Totals

Array = np.ndarray[Any, Any]
FORMAT = "xaiwidgets.influence/1"


@dataclass(frozen=True, eq=False)
class Influence:
    """What a training method answered. Positive: a proponent, a gradient step on it lowers the query's loss.

    scores           float32 [Q, N] over the candidates; with k: [Q, n ≤ 2k] of the kept, largest first
    indices          int64 like `scores`: positions in the training data
    per_checkpoint   float32 [Q, N or n, C] whose sum over C is `scores`; C is 1 for methods without checkpoints
    checkpoints      names of the checkpoints asked, `learning_rates` theirs
    labels           what the queries' losses were taken on; `predicted` the class each query is taken for (-1: none)
    exact            whether the scores are what the method defines; `approximations` says in words what they are not
    missing          checkpoints that could not be used, and why; `notes` what else is worth knowing
    progress         (scored, all) training examples: a partial answer has seen only some
    kept             k, None where all scores are there
    """

    scores: Array
    indices: Array
    per_checkpoint: Array
    checkpoints: tuple[str, ...]
    learning_rates: tuple[float, ...]
    labels: Array
    predicted: Array
    method: str
    parameters: dict[str, Any]
    exact: bool
    approximations: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    seconds: float
    progress: tuple[int, int]
    totals: Totals
    kept: int | None = None

    def proponents(self, k: int = 10) -> tuple[Array, Array]:
        """Positions [Q, k] and scores [Q, k] of the largest scores, largest first."""
        return self._ends(k, largest=True)

    def opponents(self, k: int = 10) -> tuple[Array, Array]:
        """Positions [Q, k] and scores [Q, k] of the smallest scores, most negative first."""
        return self._ends(k, largest=False)

    def to_numpy(self) -> Array:
        """The scores."""
        return self.scores

    def _ends(self, k: int, *, largest: bool) -> tuple[Array, Array]:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ParameterError("parameter_range", f"k={k!r} is not a number of examples", hint="An integer from 1.")
        if self.kept is not None and k > self.kept and self.scores.shape[1] < self.progress[1]:
            raise ParameterError(
                "not_kept", f"Only {self.kept} at each end were kept", hint=f"Ask influence(..., k={k}) or k=None."
            )
        keys = _ascending(-self.scores if largest else self.scores)
        order = np.argsort(keys, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.indices, order, 1), np.take_along_axis(self.scores, order, 1)

    def __repr__(self) -> str:
        queries, kept = self.scores.shape
        done, total = self.progress
        part = "" if done == total else f", {done:,} of {total:,} scored"
        quality = "exact" if self.exact else f"approximate: {'; '.join(self.approximations)}"
        return f"Influence({self.method}: {queries} × {kept:,}{part}, {quality})"

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the rest as JSON in its header; nothing in it can execute on loading."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {f"totals.{one.name}": getattr(self.totals, one.name) for one in fields(Totals)}
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in (*ARRAYS, "totals")}
        header = {"format": FORMAT, "influence": json.dumps(plain, default=_described)}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, header)


ARRAYS = ("scores", "indices", "per_checkpoint", "labels", "predicted")


def load_influence(path: str | Path) -> Influence:
    """Read an answer written by `Influence.save`. Raises InputError for other files."""
    with safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise InputError("not_an_influence", f"{path} holds no influence", hint="Write one with Influence.save.")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    try:
        plain = json.loads(metadata["influence"])
        for name in ("checkpoints", "learning_rates", "approximations", "notes", "progress"):
            plain[name] = tuple(plain[name])
        plain["missing"] = tuple((name, why) for name, why in plain["missing"])
        totals = Totals(**{one.name: arrays.pop(f"totals.{one.name}") for one in fields(Totals)})
        return Influence(**plain, **arrays, totals=totals)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("not_an_influence", f"{path} is damaged or of another version", str(error)) from error


class Everything:
    """Collects the scores of all candidates."""

    kept: int | None = None

    def __init__(self, queries: int, candidates: Array) -> None:
        self.candidates = candidates
        self.queries = queries
        self.parts: list[Array] = []

    def add(self, _: Array, scores: Array) -> None:
        self.parts.append(scores)

    def arrays(self) -> tuple[Array, Array, Array]:
        """Scores, indices and contributions of what has come so far."""
        together = np.concatenate(self.parts, 1) if self.parts else np.zeros((self.queries, 0, 1), np.float32)
        self.parts = [together]
        indices = np.broadcast_to(self.candidates[: together.shape[1]], together.shape[:2])
        return _summed(together), indices, together


class Leaders:
    """Keeps the k largest and the k smallest, so that memory does not grow with the training data."""

    def __init__(self, queries: int, k: int) -> None:
        self.kept: int | None = k
        self.k = k
        self.indices = np.zeros((queries, 0), dtype=np.int64)
        self.contributions: Array | None = None

    def add(self, positions: Array, scores: Array) -> None:
        """Scores [Q, n, C]; of equal ones the earlier example leads."""
        indices = np.concatenate([self.indices, np.broadcast_to(positions, scores.shape[:2])], 1)
        together = scores if self.contributions is None else np.concatenate([self.contributions, scores], 1)
        sums = _summed(together)
        order = np.lexsort((indices, _ascending(-sums)), axis=1)
        finite = np.isfinite(sums).sum(1).min()
        count = order.shape[1]
        if count > 2 * self.k and finite == count:
            order = np.concatenate([order[:, : self.k], order[:, count - self.k :]], 1)
        elif count > 2 * self.k:
            order = np.stack([_two_ends(row, sums[query], self.k) for query, row in enumerate(order)])
        self.indices = np.take_along_axis(indices, order, 1)
        self.contributions = np.take_along_axis(together, order[:, :, None], 1)

    def arrays(self) -> tuple[Array, Array, Array]:
        contributions = (
            np.zeros((*self.indices.shape, 1), np.float32) if self.contributions is None else self.contributions
        )
        return _summed(contributions), self.indices, contributions


def _two_ends(order: Array, sums: Array, k: int) -> Array:
    """The two ends of one query's order; what is not finite stands at its very end and leads nowhere."""
    good = order[np.isfinite(sums[order])]
    bad = order[~np.isfinite(sums[order])]
    ends = np.concatenate([good[:k], good[max(k, len(good) - k) :]])
    return np.concatenate([ends, bad])[: 2 * k]


def _ascending(scores: Array) -> Array:
    """Sort keys: what is not finite comes last."""
    return np.where(np.isfinite(scores), scores, np.inf)


def _summed(contributions: Array) -> Array:
    return np.asarray(contributions.sum(2, dtype=np.float64).astype(np.float32))


def _described(value: Any) -> str:
    return str(getattr(value, "__qualname__", None) or type(value).__name__)
