"""What is asked of an explorer, and what goes on show for it."""

from dataclasses import dataclass

from .runs import Effort, Question, Run
from .subject import Entry


@dataclass(frozen=True)
class Ask:
    """What is asked for: the `params` trait, checked."""

    question: Question
    entry: Entry
    mode: str
    effort: Effort


@dataclass(frozen=True, eq=False)
class View:
    """A run to put on show, as it stands when it is published."""

    ask: Ask
    run: Run
    final: bool
