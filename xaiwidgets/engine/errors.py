"""Errors a person can act on: a code for programs, a title, what happened, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ExplainError(ValueError):
    """Something the caller can put right.

    `code` is stable and machine-readable, `title` one line, `detail` the facts, `hint` the way out.
    """

    def __init__(self, code: str, title: str, detail: str = "", hint: str = "") -> None:
        self.code = code
        self.title = title
        self.detail = detail
        self.hint = hint
        super().__init__(code, title, detail, hint)

    def __str__(self) -> str:
        return " ".join(part for part in (_sentence(self.title), _sentence(self.detail), self.hint) if part)


class InputError(ExplainError):
    """The inputs cannot be explained as they are."""


class ModelError(ExplainError):
    """The model cannot be run or differentiated as asked."""


class TargetError(ExplainError):
    """The target does not name one number per row of the model's output."""


class ParameterError(ExplainError):
    """An unknown method, an unknown parameter, or a value out of its range."""


class Cancelled(Exception):  # noqa: N818 - a request that was honoured, not an error
    """Raised between two chunks when the running explanation is no longer wanted."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint listing the known names, the closest one first if there is a close one."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names) if names else 'none'}."


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", ":")) else f"{text}."
