"""What an evaluation is about: tensors or texts, and what runs a method on them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.inputs import require_differentiable
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Method, Partial
from xaiwidgets.text.session import TextSession

from .case import Case, explained
from .text_case import Question, TextCase, explain_text, text_question


class Subject:
    """What is explained: tensors."""

    tokens: list[list[str]] | None = None
    controls: tuple[str, ...] = ("random", "edges")

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        if problem.points.ndim != 4:
            self.controls = ("random",)
        if problem.columns > 1:
            raise InputError(
                "several_targets", "A metric is about one target at a time", hint="Evaluate the targets one by one."
            )

    @property
    def points(self) -> Problem:
        """The question as metrics see it."""
        return self.problem

    @property
    def defaults(self) -> dict[str, Any]:
        """Parameters that metrics have here unless told otherwise: a target that names no class has no probability."""
        classless = any(index is None for scorer in self.problem.scorers for _, index in scorer.terms)
        return {"measure": "logit"} if classless else {}

    def begin(self) -> tuple[Problem, Callable[[Method, dict[str, Any]], Generator[Partial]]]:
        """A question with its own count of evaluations, and what runs a method on it."""
        run = self.problem.begin()
        return run, lambda method, parameters: explained(run, method, parameters)

    def case(self, values: Tensor, **options: Any) -> Case:
        """One attribution of it."""
        return Case(self.problem, values, **options)

    def fits(self, method: Method) -> None:
        """Refuse a method that these inputs are not made for."""
        if "text" in method.needs:
            raise InputError("not_a_text", f"{method.title} is about texts", hint="Pass texts and tokenizer=.")
        if "image" in method.needs and self.problem.points.ndim != 4:
            raise InputError(
                "not_an_image",
                f"{method.title} explains images [batch, channels, height, width]",
                f"The input has shape {list(self.problem.points.shape)}.",
                "Choose another method.",
            )
        if "gradient" in method.needs and "attention" not in method.needs:
            require_differentiable(self.problem.inputs, method.title)


class Texts(Subject):
    """What is explained: texts; values are [texts, tokens]."""

    controls = ("random", "lengths")

    def __init__(self, question: TextSession) -> None:
        super().__init__(question.problem)
        self.controls = Texts.controls
        self.question = question
        self.tokens = [[token.surface for token in row.items] for row in question.rows]

    @property
    def points(self) -> Problem:
        """The question at the embedding."""
        return self.question.vectors

    def begin(self) -> tuple[Problem, Callable[[Method, dict[str, Any]], Generator[Partial]]]:
        """See `Subject.begin`."""
        run, own = self.question.problem.begin(), self.question
        asked = TextSession(
            Question(run, own.target), own.rows, own.tokenizer, unit=own.unit, reduce=own.reduce, kept=own.kept
        )
        return run, lambda method, parameters: explain_text(asked, method, parameters)

    def case(self, values: Tensor, **options: Any) -> Case:
        """See `Subject.case`."""
        return TextCase(self.question, values, **options)

    def fits(self, method: Method) -> None:
        """See `Subject.fits`."""
        if "image" in method.needs:
            raise InputError("not_an_image", f"{method.title} explains images, and this is a text")


def subject_of(model: Callable[..., Any], inputs: Any, tokenizer: Any, **options: Any) -> Subject:
    """Tensors, or texts where a tokenizer is given."""
    if tokenizer is None:
        return Subject(Problem(model, inputs, **options))
    options.pop("wrt", None)
    return Texts(text_question(model, inputs, tokenizer, **options))
