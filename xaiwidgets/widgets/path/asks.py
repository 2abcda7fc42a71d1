"""What is asked of an explorer, what goes on show for it, and what can stop it."""

from dataclasses import dataclass

from xaiwidgets.live.jobs import Token

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


class Gate:
    """The interrupt of every session: the newest job's."""

    token: Token | None = None

    def __call__(self) -> None:
        if self.token is not None:
            self.token.check()
