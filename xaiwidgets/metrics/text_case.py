"""Texts as metrics see them: units are tokens or words, points are the vectors that the tokens become.

Absent words are other vectors in their places, or are really left out, which makes the text shorter.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.inputs import Inputs
from xaiwidgets.engine.memory import Memory
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Method, Partial, find_method
from xaiwidgets.engine.suffix import SuffixProblem
from xaiwidgets.engine.target import Target, scorers_of
from xaiwidgets.text.embedding import at_embedding, per_token, reduction
from xaiwidgets.text.embedding import baseline as absent_text
from xaiwidgets.text.groups import UNIT_NAMES, group
from xaiwidgets.text.session import TextSession, text_session
from xaiwidgets.text.tokenizers import Text, token_id
from xaiwidgets.text.tokens import Tokens

from .case import Case, Measure, asked_of, bare_values, explained, measured
from .controls import length_map
from .shapes import values_of

TOKENS = ("mask", "pad", "unk", "eos", "bos")
"""What stands for absent words, the most neutral first."""
PER_WORD = tuple(name for name in UNIT_NAMES if name != "regex")


class Question:
    """The least that a TextSession can wrap: one problem, asked with any method."""

    def __init__(self, problem: Problem, target: Any = None) -> None:
        self.problem, self.target = problem, target

    @property
    def interrupt(self) -> Callable[[], None] | None:
        return self.problem.interrupt

    @interrupt.setter
    def interrupt(self, interrupt: Callable[[], None] | None) -> None:
        self.problem.interrupt = interrupt

    def stream(self, method: str = "integrated_gradients", **parameters: Any) -> Generator[Attribution]:
        """Attributions of the token numbers, or of a layer's output, each better than the last."""
        run = self.problem.begin()
        for partial in explained(run, find_method(method), parameters):
            yield Attribution(
                values=partial.values, delta=partial.delta, error=partial.error, evaluations=dict(run.evaluations),
                method=method, parameters=parameters, target=self.target, seconds=0.0,
                progress=(partial.done, partial.total), score=partial.score, baseline_score=partial.baseline_score,
            )  # fmt: skip

    def predict(self) -> Tensor:
        """The model's output for the texts, detached."""
        return self.problem.begin().outputs()

    def forget(self) -> None:
        """Drop what is remembered."""
        self.problem.remembered.forget()


def text_question(
    model: Any, texts: Text | Sequence[Text] | Tokens, tokenizer: Any, *, unit: str = "token", **options: Any
) -> TextSession:
    """A question about texts (as `xaiwidgets.text.session.text_session` takes them); `options` are those of a Problem."""

    def session(called: Any, inputs: Any, **rest: Any) -> Question:
        return Question(Problem(called, inputs, **rest), rest.get("target"))

    return text_session(model, texts, tokenizer, session=session, unit=unit, **options)


def explain_text(question: TextSession, method: Method, parameters: Mapping[str, Any]) -> Generator[Partial]:
    """A method's (or a control's) partial results about texts, with values [rows, tokens]."""
    return _explained(question, question.vectors, method, parameters)


class TextCase(Case):
    """One attribution [rows, tokens] about texts.

    question   what is asked; `problem` is the same at the embedding, with points [rows, tokens, width]

    The other arguments are those of `Case`. Special tokens and padding belong to no unit.
    """

    problem: SuffixProblem

    def __init__(self, question: TextSession, values: Any, **options: Any) -> None:
        self.question = question
        super().__init__(at_embedding(question.problem), values, **options)
        whole = question.problem.begin()
        whole.evaluations = self.problem.evaluations  # one count, wherever the model is asked
        self.problem.whole = whole

    def units(self, regions: Any) -> tuple[Tensor, tuple[int, ...]]:
        """`ids` [rows, tokens, 1] and `counts` of "token" (or "auto"), "word", "sentence", ..., or a tensor [rows, tokens]."""
        kept, rows = self.question.kept, self.question.rows
        if isinstance(regions, Tensor):
            ids = regions.cpu().long().expand(kept.shape)
        elif regions in ("auto", "token"):
            ids = torch.arange(kept.shape[1]).expand(kept.shape)
        elif regions in PER_WORD:
            ids = torch.tensor([group(row, regions).of for row in rows])
        else:
            raise ParameterError(
                "unknown_regions", f"Texts have no regions {regions!r}", hint=did_you_mean(str(regions), PER_WORD)
            )
        found, counts = torch.full(kept.shape, -1), []
        for row, (own, keep) in enumerate(zip(ids, kept, strict=True)):
            names, found[row, ~keep] = torch.unique(own[~keep], return_inverse=True)
            counts.append(len(names))
        return found[..., None], tuple(counts)

    def explain(self, problem: Problem | None = None, **overrides: Any) -> Tensor:
        """See `Case.explain`. Methods about token numbers cannot be asked between tokens: ParameterError."""
        if self.method is None:
            raise bare_values("This")
        asked = self.problem if problem is None else problem
        assert isinstance(asked, SuffixProblem)  # noqa: S101  # for the type checker
        own = self.question
        question = TextSession(
            Question(asked.whole), own.rows, own.tokenizer, unit=own.unit, reduce=own.reduce, kept=own.kept
        )
        *_, last = _explained(question, asked, self.method, {**self.parameters, **overrides})
        return values_of(self.problem, last.values)

    def asked_of(self, module: nn.Module) -> Problem:
        """The same question to another module of the same shape, at its own embedding."""
        return at_embedding(asked_of(self.problem.whole, module))

    def asking(self, target: Target) -> Problem:
        """The same question about another target."""
        whole = copy.copy(self.problem.whole)
        whole.scorers = scorers_of(target, whole.scorers[0].score, self.rows)
        whole.remembered = Memory()
        return at_embedding(whole)

    def baselines(self, baseline: Any) -> Tensor:
        """Any way of naming an absent text as vectors [k, rows, tokens, width]; special tokens keep their own.

        "auto" is the mask token, or the next best that the tokenizer has, as for methods about token numbers.
        """
        tokenizer = self.question.tokenizer
        if baseline == "auto":
            baseline = next((name for name in TOKENS if token_id(tokenizer, name) is not None), "zeros")
        return absent_text(self.problem, baseline, self.question.kept, tokenizer).points

    def absent(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """[m, tokens] bool: which tokens of the rows [m] are in the chosen [m, units] units."""
        ids = self.ids[rows.cpu(), :, 0]
        return chosen.cpu().gather(1, ids.clamp(min=0)) & (ids >= 0)

    def without(self, rows: Tensor, chosen: Tensor, measure: Measure = "logit") -> Tensor:
        """[m] float64: the scores of the texts that are left without the chosen units, each asked as the shorter text it is.

        Raises ParameterError where nothing would be left, and for scores at a place of the output, which would move.
        """
        whole = measured(self.problem.whole, measure)
        if any(index is not None and index.shape[1] > 1 for scorer in whole.scorers for _, index in scorer.terms):
            raise ParameterError(
                "places_move",
                "Deleting words moves the place that the score is read from",
                hint='Use fill="mask_token" or "zeros".',
            )
        left = self.question.shown[rows.cpu()] & ~self.absent(rows, chosen)
        lengths = left.sum(1)
        if not bool(lengths.all()):
            raise ParameterError(
                "nothing_left", "A text without any token cannot be asked", hint='Use fill="mask_token" or "zeros".'
            )
        shorter = copy.copy(whole)
        shorter.inputs = _Left.of(whole.inputs, tuple(self.question.rows[0].inputs))
        shorter.remembered = Memory()
        found = torch.empty(len(rows), dtype=torch.float64)
        for length in lengths.unique().tolist():
            here = (lengths == length).nonzero().flatten()
            places = left[here].nonzero()[:, 1].reshape(len(here), length)
            found[here] = shorter.values(places.to(whole.device), rows[here]).cpu().double()
        return found


class _Left(Inputs):
    """Texts of which only some tokens are left: points are their places [m, length]."""

    per_token: tuple[str, ...]

    @classmethod
    def of(cls, inputs: Inputs, per_token: tuple[str, ...]) -> _Left:
        """`per_token` names the inputs that are as long as the text, besides the token numbers."""
        found = cls(**{field.name: getattr(inputs, field.name) for field in fields(inputs)})
        object.__setattr__(found, "per_token", per_token)
        return found

    def assemble(self, points: Tensor, rows: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        _, call = super().assemble(self.leaves[0][rows], rows)
        places = points.long()
        names = {*self.per_token, *map(str, self.explained)}
        return (), {name: value.gather(1, places) if name in names else value for name, value in call.items()}


def _explained(
    question: TextSession, problem: SuffixProblem | Problem, method: Method, parameters: Mapping[str, Any]
) -> Generator[Partial]:
    """`problem` is the question at the embedding, maybe at other points."""
    if method.name == "lengths":
        yield Partial(length_map(question.rows).to(problem.points), 1, 1)
        return
    own = question.vectors
    moved = problem.points is not own.points and not torch.equal(problem.points, own.points)
    question.vectors = problem  # baselines leave special tokens as they are there
    asked = question.prepared(method, dict(parameters))
    at_vectors = asked.get("layer") == question.layer or method.family == "control"
    if at_vectors:
        asked.pop("layer", None)
    elif moved:
        raise ParameterError(
            "between_tokens",
            f"{method.title} is about token numbers and cannot be asked between tokens",
            hint="Choose a method with gradients, or a metric that takes words away.",
        )
    shown = question.shown
    if any(parameter.name == "baseline" for parameter in method.parameters):
        shown = shown & ~question.kept
    how = reduction(method, question.reduce)
    for partial in explained(problem if at_vectors else question.problem, method, method.check(asked)):
        values = partial.values
        found = per_token(values, shown, how) if values.ndim > 2 else torch.where(shown.to(values.device), values, 0)
        yield replace(partial, values=found)
