"""One text and what it is asked: the sessions behind a strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.problem import Problem
from xaiwidgets.metrics.text_case import TextCase
from xaiwidgets.text.tokens import Tokens

from .asks import Request

Interrupt = Callable[[], None]
Progress = Callable[[int, int], None]
LONG = 512
"""Tokens from which one row is enough for a pass: more gain nothing, and nobody could stop between them."""


@dataclass(frozen=True)
class Options:
    """How the model is asked, the same for all texts.

    score, forward, batch_size, training   as for a Session
    target      what classification explains if nobody says
    generate    how many tokens a language model goes on with, at most; None if nobody said
    continuation, sample, temperature, seed   as for `generate`
    max_length, special   as for `tokenize`
    numbers     what the token numbers are called among the model's inputs
    """

    score: str = "logit"
    forward: Any = None
    batch_size: Any = "auto"
    training: bool | None = None
    target: Any = None
    labels: Any = None
    generate: int | None = None
    continuation: Any = None
    sample: bool = False
    temperature: float = 1.0
    seed: int = 0
    max_length: int | None = None
    special: bool = True
    numbers: str = "input_ids"

    def session(self, length: int) -> dict[str, Any]:
        """Arguments of the sessions about a text of so many tokens."""
        size = 1 if self.batch_size == "auto" and length >= LONG else self.batch_size
        return {"forward": self.forward, "batch_size": size, "training": self.training}


@dataclass(frozen=True, eq=False)
class Answer:
    """A result: the request with everything filled in, the attribution with values [1, T].

    signed   whether the sign of the values means something, where no method says so
    """

    request: Request
    attribution: Attribution
    question: dict[str, Any]
    final: bool = False
    signed: bool | None = None


@dataclass(frozen=True)
class Change:
    """A text that was changed to see what the model says then: a new one, or places [start, end) masked."""

    text: str | None = None
    mask: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Notes:
    """What a reader should know about the text itself.

    cut       its end was cut off
    missed    tokens whose place is guessed
    stopped   tokens after which the model was stopped; 0 if it came to an end by itself
    """

    cut: bool = False
    missed: int = 0
    stopped: int = 0


class Subject(Protocol):
    """One text."""

    task: str
    notes: Notes
    prompt: Tokens | None
    """The part that was not generated; None for a text without such parts."""

    @property
    def tokens(self) -> Tokens:
        """All of it; generated ones too, once there are any."""

    @property
    def source(self) -> Tokens:
        """Those that tests can take away: what the model is given, but for what a decoder is."""

    def prepare(self, interrupt: Interrupt, progress: Progress) -> None:
        """What must be known before anything can be asked: the model's prediction, or what it goes on with."""

    def said(self) -> dict[str, Any]:
        """The traits of what the model says to it."""

    def problem(self, request: Request) -> Problem:
        """For looking at the model."""

    def settled(self, request: Request, params: dict[str, Any]) -> Request:
        """With the target filled in. Raises InputError or TargetError."""

    def question(self, request: Request) -> dict[str, Any]:
        """The parts of the `question` trait that name what is explained."""

    def stream(self, request: Request, arguments: dict[str, Any], interrupt: Interrupt) -> Iterator[Attribution]:
        """Attributions with values [1, T], each better than the last."""

    def case(self, request: Request, values: Tensor, arguments: dict[str, Any], interrupt: Interrupt) -> TextCase:
        """Values [1, T] of a settled request as the metrics see them; of some texts only the first tokens."""

    def what_if(self, change: Change, shown: Request | None) -> dict[str, Any]:
        """The `whatif` trait but for the seconds."""

    def changed(self) -> bool:
        """Whether the model is another one since last asked."""

    def close(self) -> None:
        """Let go of the model."""
