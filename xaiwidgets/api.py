"""The library without widgets: explain a model's score, once or as it gets better."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from torch import Tensor

import xaiwidgets.methods  # noqa: F401 - importing the families registers their methods
from xaiwidgets.engine import baselines
from xaiwidgets.engine.attribution import Attribution, load
from xaiwidgets.engine.errors import (
    Cancelled,
    ExplainError,
    InputError,
    ModelError,
    ParameterError,
    TargetError,
    did_you_mean,
)
from xaiwidgets.engine.inputs import Key, Values, require_differentiable
from xaiwidgets.engine.layers import LayerLike
from xaiwidgets.engine.method_table import MethodTable
from xaiwidgets.engine.precision import Precision
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import METHODS, Method, Parameter, Partial, find_method
from xaiwidgets.engine.target import Contrast, Each, Neuron, Score, Target
from xaiwidgets.methods.captum_backend import captum_run
from xaiwidgets.text.session import TextSession, text_session

Backend = Literal["native", "captum"]

__all__ = [
    "Attribution",
    "Cancelled",
    "Contrast",
    "Each",
    "ExplainError",
    "InputError",
    "Method",
    "ModelError",
    "Neuron",
    "Parameter",
    "ParameterError",
    "Session",
    "TargetError",
    "attribute",
    "baselines",
    "load",
    "methods",
    "stream",
]


class Session:
    """One model, one input, one question; asked repeatedly, it pays only for what is new.

    model       a torch module (compiled or not) or any function of the inputs
    inputs      a batch-first tensor; a tuple of positional or a dict of keyword arguments
    target      None for a model with one score a row, an integer, a tuple of integers for deeper outputs, a tensor of
                integers [batch], Contrast(a, b), Neuron(layer, index), Each(targets) for several at once, or a function
                of the model's raw output that returns [batch]
    score       "logit" (the model's output as it is), "probability" or "log_probability"
    forward     called instead of the model, in the same way
    wrt         which input to explain: a key or a position, or a list of them to be explained together
    batch_size  rows at a time; "auto" measures what fits
    training    None refuses models in training mode, False explains as in evaluation mode, True as it is
    precision   "full", or "bfloat16" for passes under autocast: faster where the hardware has it, and every result says what it
                costs in `rounding`
    interrupt   called between chunks; it may raise Cancelled

    Between partial results and after errors the model is exactly as it was. For texts, see `Session.of_text`.
    """

    @classmethod
    def of_text(cls, model: Callable[..., Any], text: Any, tokenizer: Any, **options: Any) -> TextSession:
        """The same about a text, a tuple of two that are read together, or a list of texts: values are [texts, tokens].

        options   as above, and those of `xaiwidgets.text.session.text_session`: unit, reduce, max_length, special, inputs
        """
        return text_session(model, text, tokenizer, session=cls, **options)

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any,
        *,
        target: Target = None,
        score: Score = "logit",
        forward: Callable[..., Any] | None = None,
        wrt: Key | list[Key] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        training: bool | None = None,
        precision: Precision = "full",
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        self.target = target
        self.problem = Problem(
            model,
            inputs,
            target=target,
            score=score,
            forward=forward,
            wrt=wrt,
            batch_size=batch_size,
            training=training,
            precision=precision,
            interrupt=interrupt,
        )

    @property
    def interrupt(self) -> Callable[[], None] | None:
        """Called between chunks of the runs that start from now on; it may raise Cancelled."""
        return self.problem.interrupt

    @interrupt.setter
    def interrupt(self, interrupt: Callable[[], None] | None) -> None:
        self.problem.interrupt = interrupt

    def stream(
        self, method: str = "integrated_gradients", *, backend: Backend = "native", **parameters: Any
    ) -> Generator[Attribution]:
        """Attributions, each better than the last. Wrong names and values raise here, before any work is done.

        `layer=` a module or its name attributes to that layer's output instead of the input, with any method that does
        not read a layer itself; values then have the layer's shape. `backend="captum"` lets Captum answer, for the methods
        it has.
        """
        chosen = find_method(method)
        own_layer = any(parameter.name == "layer" for parameter in chosen.parameters)
        layer = None if own_layer else parameters.pop("layer", None)
        checked = chosen.check(parameters)
        if backend not in ("native", "captum"):
            raise ParameterError("unknown_backend", f"backend={backend!r} is not known", hint='"native" or "captum".')
        run = chosen.run if backend == "native" else captum_run(chosen)
        if "gradient" in chosen.needs and "attention" not in chosen.needs and layer is None:
            require_differentiable(self.problem.inputs, chosen.title)
        if layer is None:
            _require_image(chosen, self.problem.points, "input")
        return self._run(replace(chosen, run=run), checked, layer, backend)

    def attribute(
        self, method: str = "integrated_gradients", *, backend: Backend = "native", **parameters: Any
    ) -> Attribution:
        """The final attribution."""
        *_, last = self.stream(method, backend=backend, **parameters)
        return last

    def predict(self) -> Tensor:
        """The model's output for the inputs: the tensor of scores, detached."""
        return self.problem.begin().outputs()

    def forget(self) -> None:
        """Drop what is remembered. Needed only after changing weights through `.data`, which leaves no trace."""
        self.problem.remembered.forget()
        self.problem.fusion.forget()

    def _run(
        self, method: Method, parameters: dict[str, Any], layer: LayerLike, backend: Backend
    ) -> Generator[Attribution]:
        run = self.problem.begin()
        elsewhere = {"layer": layer} if layer is not None else {}
        otherwise = {"backend": backend} if backend != "native" else {}
        partials: Iterator[Partial] | None = None
        seconds, rounding = 0.0, None
        try:
            while True:
                started = time.perf_counter()
                with torch.inference_mode(mode=False), torch.no_grad():  # whatever mode the consumer is in
                    if partials is None:
                        rounding = run.rounding()
                        asked = run.expanded() if "gradient" in method.needs else run
                        if layer is not None:
                            asked = asked.at(layer)
                            _require_image(method, asked.points, "layer's output")
                        partials = method.run(asked, **parameters)
                    partial = next(partials, None)
                seconds += time.perf_counter() - started  # the method's time, not its consumer's
                if partial is None:
                    return
                yield Attribution(
                    values=self._shaped(partial.values, run, layer),
                    delta=self._by_target(partial.delta),
                    error=partial.error,
                    evaluations=dict(run.evaluations),
                    method=method.name,
                    parameters={**parameters, **elsewhere, **otherwise},
                    target=self.target,
                    seconds=seconds,
                    progress=(partial.done, partial.total),
                    score=self._by_target(partial.score),
                    baseline_score=self._by_target(partial.baseline_score),
                    rounding=rounding,
                )
        finally:
            if partials is not None:
                partials.close()  # type: ignore[attr-defined] # methods are generator functions

    def _by_target(self, numbers: Tensor | None) -> Tensor | None:
        """Numbers [targets * rows, ...] with the targets as their own axis, where several were asked for."""
        if numbers is None or not isinstance(self.target, Each):
            return numbers
        return numbers.reshape(len(self.target.targets), -1, *numbers.shape[1:])

    def _shaped(self, values: Tensor, run: Problem, layer: LayerLike) -> Values:
        """Values in the container of the inputs, if they are of the inputs' shape."""
        parts: Values = values
        if layer is None and values.shape[1:] == run.points.shape[1:]:
            parts = run.inputs.unpack(values)
        if isinstance(parts, dict):
            return {key: cast("Tensor", self._by_target(part)) for key, part in parts.items()}
        if isinstance(parts, tuple):
            return tuple(cast("Tensor", self._by_target(part)) for part in parts)
        return cast("Tensor", self._by_target(parts))


def _require_image(method: Method, points: Tensor, what: str) -> None:
    if "image" in method.needs and points.ndim != 4:
        fitting = [one.name for one in METHODS.values() if "image" not in one.needs]
        raise InputError(
            "not_an_image",
            f"{method.title} explains images [batch, channels, height, width]",
            f"The {what} has shape {list(points.shape)}.",
            f"For other inputs: {', '.join(sorted(fitting))}.",
        )


def attribute(
    model: Callable[..., Any],
    inputs: Any,
    *,
    target: Target = None,
    method: str = "integrated_gradients",
    score: Score = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Key | list[Key] | None = None,
    batch_size: int | Literal["auto"] = "auto",
    training: bool | None = None,
    precision: Precision = "full",
    interrupt: Callable[[], None] | None = None,
    tokenizer: Any = None,
    **parameters: Any,
) -> Attribution:
    """Explain a score of a model once; see `Session` for the arguments, `methods()` for methods and parameters.

    With a `tokenizer`, the inputs are a text (or a list of texts) and the values are [texts, tokens].
    """
    *_, last = stream(
        model,
        inputs,
        target=target,
        method=method,
        score=score,
        forward=forward,
        wrt=wrt,
        batch_size=batch_size,
        training=training,
        precision=precision,
        interrupt=interrupt,
        tokenizer=tokenizer,
        **parameters,
    )
    return last


def stream(
    model: Callable[..., Any],
    inputs: Any,
    *,
    target: Target = None,
    method: str = "integrated_gradients",
    score: Score = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Key | list[Key] | None = None,
    batch_size: int | Literal["auto"] = "auto",
    training: bool | None = None,
    precision: Precision = "full",
    interrupt: Callable[[], None] | None = None,
    tokenizer: Any = None,
    **parameters: Any,
) -> Generator[Attribution]:
    """Explain a score of a model, yielding each attribution as soon as it is better than the one before.

    Closing the generator is cancelling: nothing runs between two results.
    """
    options: dict[str, Any] = {
        "target": target, "score": score, "forward": forward, "batch_size": batch_size, "training": training,
        "precision": precision, "interrupt": interrupt,
    }  # fmt: skip
    if tokenizer is not None:
        return Session.of_text(model, inputs, tokenizer, **options).stream(method, **parameters)
    return Session(model, inputs, wrt=wrt, **options).stream(method, **parameters)


def methods(family: str | None = None) -> MethodTable:
    """The registered methods, of one family or of all; shows itself as a table."""
    families = {method.family for method in METHODS.values()}
    if family is not None and family not in families:
        raise ParameterError(
            "unknown_family", f"There is no family {family!r} of methods", hint=did_you_mean(family, families)
        )
    return MethodTable(method for method in METHODS.values() if family in (None, method.family))
