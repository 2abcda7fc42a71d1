"""Whether a metric can be asked here: what it needs, and the way out where that is missing. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xaiwidgets.engine.errors import ExplainError, InputError, ParameterError
from xaiwidgets.engine.inputs import require_differentiable

from .asking import Entry, Measuring
from .case import asked_of, bare_values
from .subject import Subject, Texts


def require(measuring: Measuring, entries: Mapping[str, Entry], subject: Subject, mask: Any) -> None:
    """Raise for a metric that cannot be asked here."""
    name, metric = measuring.name, measuring.metric
    for ask in metric.asks:
        try:
            CHECKS[ask](measuring, entries, subject, mask)
        except ExplainError as error:
            raise ParameterError(
                error.code,
                f"{name} ({metric.title}): {error.title[:1].lower()}{error.title[1:]}",
                error.detail,
                error.hint,
            ) from error


def _method(_: Measuring, entries: Mapping[str, Entry], *__: Any) -> None:
    for entry in entries.values():
        if entry.run is None:
            raise bare_values("It", entry.name)


def _image(_: Measuring, __: Any, subject: Subject, ___: Any) -> None:
    if isinstance(subject, Texts) or subject.problem.points.ndim != 4:
        raise InputError(
            "not_an_image",
            "It is about images [batch, channels, height, width]",
            "This is a text."
            if isinstance(subject, Texts)
            else f"The input has shape {list(subject.problem.points.shape)}.",
            "Leave this metric out.",
        )


def _text(_: Measuring, __: Any, subject: Subject, ___: Any) -> None:
    if not isinstance(subject, Texts):
        raise InputError("not_a_text", "It is about texts", hint="Pass texts and tokenizer=.")


def _mask(_: Measuring, __: Any, ___: Subject, mask: Any) -> None:
    if mask is None:
        raise ParameterError(
            "no_mask",
            "It compares with where the object is",
            hint="Pass mask=, true on the object, shaped like the input.",
        )


def _module(_: Measuring, __: Any, subject: Subject, ___: Any) -> None:
    module = subject.problem.module
    if module is None:
        raise ParameterError(
            "model_is_a_function", "It changes a copy of the model, and this model is a function",
            hint="Pass the torch module itself.",
        )  # fmt: skip
    asked_of(subject.problem, module)


def _gradient(measuring: Measuring, _: Any, subject: Subject, __: Any) -> None:
    if not isinstance(subject, Texts):
        require_differentiable(subject.problem.inputs, measuring.metric.title)


def _others(_: Measuring, entries: Mapping[str, Entry], *__: Any) -> None:
    if sum(entry.kind != "control" for entry in entries.values()) < 2:
        raise ParameterError(
            "one_attribution", "It compares with other attributions, and there is one", hint="Name two methods or more."
        )


def _trained_otherwise(measuring: Measuring, *_: Any) -> None:
    if measuring.parameters.get("other") is None:
        raise ParameterError(
            "no_other_model", "It compares with a model that was trained otherwise",
            hint=f"Pass it: metrics=[({measuring.metric.name!r}, {{'other': model}})].",
        )  # fmt: skip


CHECKS: dict[str, Callable[[Measuring, Mapping[str, Entry], Subject, Any], None]] = {
    "method": _method,
    "image": _image,
    "text": _text,
    "mask": _mask,
    "module": _module,
    "gradient": _gradient,
    "others": _others,
    "model_trained_otherwise": _trained_otherwise,
}
