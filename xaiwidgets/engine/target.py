"""From a model's output to one score per row: unwrapping, targets, logits and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .errors import ModelError, TargetError

Score = Literal["logit", "probability", "log_probability"]
Index = int | tuple[int, ...] | list[int] | Tensor
SCORES: tuple[Score, ...] = ("logit", "probability", "log_probability")


@dataclass(frozen=True, eq=False)
class Contrast:
    """Explain the score of `a` minus the score of `b`: why this class rather than that one."""

    a: Index
    b: Index


@dataclass(frozen=True, eq=False)
class Neuron:
    """Explain what a layer puts out instead of the model's score.

    layer   the layer or its dotted name; of a layer used several times, the last use counts
    index   which number of its output: an integer or a tuple of integers behind the batch axis. Axes that are not
            named are averaged over, so that `Neuron("layer3", 5)` is a whole channel. A function takes the layer's
            output to one number a row.
    """

    layer: nn.Module | str
    index: int | tuple[int, ...] | Callable[[Tensor], Tensor]

    def pick(self, output: Tensor) -> Tensor:
        """One number a row of the layer's output."""
        if callable(self.index):
            return self.index(output)
        index = self.index if isinstance(self.index, tuple) else (self.index,)
        sizes = output.shape[1:]
        if len(index) > len(sizes) or any(not -size <= at < size for at, size in zip(index, sizes, strict=False)):
            raise TargetError(
                "neuron_index",
                f"Neuron {index} does not exist",
                hint=f"The layer puts out [batch, {', '.join(map(str, sizes))}].",
            )
        picked: Tensor = output[(slice(None), *index)]  # type: ignore[index]  # the stub knows no tuple with a star
        return picked.reshape(len(output), -1).mean(1)


class Each:
    """Explain several targets at once: `Each(3, 5)`, `Each(range(10))`, or any mix of targets.

    Values, delta and scores get the targets as their first axis. Methods that only run the model forward ask it once
    for all targets; the others share the forward pass where they can.
    """

    def __init__(self, *targets: Any) -> None:
        if len(targets) == 1 and isinstance(targets[0], range | list | tuple):
            targets = tuple(targets[0])
        if not targets or any(isinstance(one, Each | Neuron) or one is None for one in targets):
            raise TargetError("target_type", f"Each{targets!r} names no targets", hint="Write Each(3, 5).")
        self.targets = targets

    def __repr__(self) -> str:
        return f"Each{self.targets!r}"


Target = None | Index | Contrast | Neuron | Each | Callable[[Any], Tensor]


def scorers_of(target: Target, score: Score, samples: int) -> tuple[Scorer, ...]:
    """One scorer for each target that is asked at once."""
    targets = target.targets if isinstance(target, Each) else (target,)
    return tuple(Scorer(one, score, samples) for one in targets)


def unwrap(output: Any) -> Tensor:
    """The tensor of scores inside a model's output: itself, `.logits`, a known key, or the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    if isinstance(output, Mapping):
        tensors = {key: value for key, value in output.items() if isinstance(value, Tensor)}
        for key in ("logits", "out"):
            if key in tensors:
                return tensors[key]
        if len(tensors) == 1:
            return next(iter(tensors.values()))
        detail = f"A dict with the tensors {sorted(map(str, tensors))}."
    elif isinstance(output, tuple | list):
        first = next((item for item in output if isinstance(item, Tensor)), None)
        if first is not None:
            return first
        detail = f"A {type(output).__name__} without a tensor."
    else:
        detail = f"A {type(output).__name__}."
    raise ModelError(
        "unknown_output",
        "The model's output has no obvious score tensor",
        detail,
        "Pass target=a function of the output returning [batch], or forward=a function returning a tensor.",
    )


class Scorer:
    """Turns outputs into scores [m] for the samples the outputs belong to."""

    def __init__(self, target: Target, score: Score, samples: int) -> None:
        if score not in SCORES:
            raise TargetError("unknown_score", f"score={score!r} is not known", hint=f"One of {', '.join(SCORES)}.")
        if callable(target) and score != "logit":
            raise TargetError(
                "score_of_callable",
                f"score={score!r} has no meaning for a target that is a function",
                hint="Let the function return what is to be explained.",
            )
        self.function = target if callable(target) else None
        self.score = score
        self.terms: list[tuple[float, Tensor | None]]  # what is added up: a sign and an index [samples, depth]
        if isinstance(target, Contrast):
            self.terms = [(1.0, _index(target.a, samples)), (-1.0, _index(target.b, samples))]
        elif target is None or self.function is not None:
            self.terms = [(1.0, None)]
        else:
            self.terms = [(1.0, _index(target, samples))]
        self._checked: torch.Size | None = None

    def __call__(self, output: Any, rows: Tensor) -> Tensor:
        """Scores [len(rows)] of a raw model output."""
        if self.function is not None:
            return self._column(self.function(output), len(rows), "The target function")
        scores = _batched(unwrap(output), len(rows))
        self._check(scores)
        if self.score != "logit":
            scores = _normalise(scores, log=self.score == "log_probability")
        return torch.stack([sign * self._pick(scores, index, rows) for sign, index in self.terms]).sum(0)

    def _pick(self, scores: Tensor, index: Tensor | None, rows: Tensor) -> Tensor:
        if index is None:
            return self._column(scores, len(rows), "The model")
        chosen = index.to(scores.device)[rows.to(scores.device)]
        return scores[(torch.arange(len(rows), device=scores.device), *chosen.unbind(1))]

    def _column(self, scores: Any, rows: int, who: str) -> Tensor:
        if not isinstance(scores, Tensor) or scores.numel() != rows or (scores.ndim and scores.shape[0] != rows):
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise TargetError(
                "target_missing" if who == "The model" else "target_shape",
                f"{who} returns {shape} for {rows} row{'s' * (rows != 1)}, not one number a row",
                hint=f"Name the score to explain, for example target=0{_upper(scores)}.",
            )
        return scores.reshape(rows)

    def _check(self, scores: Tensor) -> None:
        """Compare every index with the output's shape, once a shape."""
        if self._checked == scores.shape[1:]:
            return
        for _, index in self.terms:
            if index is None:
                continue
            if index.shape[1] != scores.ndim - 1:
                raise TargetError(
                    "target_shape",
                    f"{_count(index.shape[1]).capitalize()} as target does not pick one number from an output of shape "
                    f"[batch, {', '.join(map(str, scores.shape[1:]))}]",
                    hint=f"Give {_count(scores.ndim - 1)}, or a function of the output.",
                )
            sizes = torch.tensor(scores.shape[1:])
            wrong = ((index < 0) | (index >= sizes)).any(1)
            if bool(wrong.any()):
                bad = index[wrong][0].tolist()
                size = scores.shape[1] if scores.ndim == 2 else tuple(scores.shape[1:])
                raise TargetError(
                    "target_range",
                    f"Target {bad[0] if len(bad) == 1 else tuple(bad)} does not exist: the model has {size} classes",
                    hint=f"Choose 0 to {scores.shape[1] - 1}."
                    if scores.ndim == 2
                    else "Indices start at 0 on every axis.",
                )
        self._checked = scores.shape[1:]


def _index(target: Any, samples: int) -> Tensor:
    """Any way of naming a target as an index [samples, depth] on the CPU."""
    if isinstance(target, int | np.integer) and not isinstance(target, bool):
        return torch.full((samples, 1), int(target))
    if isinstance(target, tuple) and target and all(isinstance(part, int) for part in target):
        return torch.tensor(target).expand(samples, -1)
    if isinstance(target, list | np.ndarray):
        target = torch.as_tensor(target)
    if not isinstance(target, Tensor) or target.is_floating_point() or target.dtype == torch.bool or target.ndim > 2:
        raise TargetError(
            "target_type",
            f"{target!r} is not a target",
            hint="Use None, an integer, a tuple of integers, a tensor of integers [batch], a Contrast or a function.",
        )
    if target.ndim == 0:
        return torch.full((samples, 1), int(target))
    if target.shape[0] != samples:
        raise TargetError("target_shape", f"{target.shape[0]} targets for {samples} rows", hint="Give one for each.")
    return target.detach().cpu().long().reshape(samples, -1)


def _batched(scores: Tensor, rows: int) -> Tensor:
    """Scores as [rows, classes, ...], or an error when the first axis is not the batch."""
    if scores.ndim == 0 and rows == 1:  # a squeezed output
        scores = scores.reshape(1)
    if scores.ndim == 0 or scores.shape[0] != rows:
        raise ModelError(
            "output_batch",
            f"The model returned shape {tuple(scores.shape)} for {rows} rows",
            hint="Its output must keep the batch as the first axis.",
        )
    return scores.unsqueeze(1) if scores.ndim == 1 else scores


def _normalise(scores: Tensor, *, log: bool) -> Tensor:
    """Probabilities over the classes: the last axis of outputs with up to three axes ([batch, tokens, words]), axis 1
    of deeper ones ([batch, classes, height, width]). A single class is a binary logit: the logistic function.
    """
    axis = -1 if scores.ndim <= 3 else 1
    if scores.shape[axis] == 1:
        return functional.logsigmoid(scores) if log else scores.sigmoid()
    return scores.log_softmax(axis) if log else scores.softmax(axis)


def _count(depth: int) -> str:
    return "one integer" if depth == 1 else f"a tuple of {depth} integers"


def _upper(scores: Any) -> str:
    if isinstance(scores, Tensor) and scores.ndim == 2:
        return f" (it has {scores.shape[1]} classes: 0 to {scores.shape[1] - 1})"
    return ""
