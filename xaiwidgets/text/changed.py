"""A session's model asked about other tokens than the session's: fewer of them, or others in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.target import unwrap

from .session import TextSession
from .spelling import plain
from .tokenizers import special_ids, spelling, token_id

MARKS = ("##", "Ġ", "▁")  # how vocabularies tell beginnings of words from the rest
NEVER = -2  # instead of a mark's number: tokens that are no text


class Asked:
    """The session's model, asked about other tokens than the session's."""

    def __init__(self, session: TextSession, name: str) -> None:
        if len(session.rows) != 1:
            raise InputError("one_row", f"{name}() changes one text, not {len(session.rows)}", hint="Pass one of them.")
        self._session, self._whole, self.tokenizer = session, session.problem, session.tokenizer
        self.tokens, self.kept = session.tokens, session.kept[0]
        inputs = self._whole.inputs
        self._own = inputs.explained[0]
        self.ids: Tensor = inputs.leaves[0][0].cpu()
        self._marks: Tensor | None = None
        first = self.logits([self.ids], [list(range(len(self.ids)))])
        self.original, self.classes = int(first[0].argmax()), first.shape[1]

    def problem(self, ids: Sequence[Tensor], places: Sequence[Sequence[int]], target: int | None = None) -> Problem:
        """A question about texts of one length: their token numbers, and which places of the first text they had.

        target   the log-probability of this class is its score
        """
        whole, columns = self._whole, torch.tensor([list(one) for one in places])
        call: dict[Any, Any] = {}
        for key, value in whole.inputs.items.items():
            if key == self._own:
                call[key] = torch.stack(list(ids)).to(value)
            elif key in self.tokens.inputs and isinstance(value, Tensor):
                call[key] = value[0][columns.to(value.device)]
            else:
                call[key] = value
        keyed: Mapping[Any, Any] | tuple[Any, ...] = (
            call if whole.inputs.container == "dict" else tuple(call[key] for key in sorted(call))
        )
        found = Problem(
            whole.module if whole.module is not None else whole.call, keyed, forward=whole.call, wrt=self._own,
            target=None if target is None else lambda output: _last(unwrap(output)).log_softmax(-1)[:, target],
            training=whole.training, interrupt=self._session.interrupt,
        )  # fmt: skip
        found.batcher = whole.batcher
        return found

    def logits(self, ids: Sequence[Tensor], places: Sequence[Sequence[int]]) -> Tensor:
        """Scores [texts, classes]; texts of one length."""
        return _last(self.problem(ids, places).outputs()).float().cpu()

    def said(self, ids: Sequence[Tensor], places: Sequence[Sequence[int]]) -> list[tuple[int, float]]:
        """The prediction, and the probability of the first one, for texts of any lengths."""
        found: list[tuple[int, float]] = [(0, 0.0)] * len(ids)
        for length in sorted({len(one) for one in ids}):
            rows = [row for row, one in enumerate(ids) if len(one) == length]
            logits = self.logits([ids[row] for row in rows], [places[row] for row in rows])
            chances = logits.softmax(-1)[:, self.original]
            for row, scores, chance in zip(rows, logits, chances.tolist(), strict=True):
                found[row] = (int(scores.argmax()), float(chance))
        return found

    def chance(self, ids: Tensor, which: int) -> Tensor:
        """The log-probability of a class."""
        return self.logits([ids], [list(range(len(ids)))]).log_softmax(-1)[0, which]

    def fits(self, ids: Tensor, count: int, allowed: Tensor | None) -> Tensor:
        """[tokens, words] what may be put where: no special token, nothing written otherwise, and never the same again."""
        if self._marks is None:
            known = min(count, len(self.tokenizer)) if hasattr(self.tokenizer, "__len__") else count
            spelled = [spelling(number, self.tokenizer) if number < known else None for number in range(count)]
            marks = [MARKS.index(mark) if (mark := _mark(one)) else -1 for one in spelled]
            never = special_ids(self.tokenizer) | {token_id(self.tokenizer, name) for name in ("unk", "mask")}
            for number, one in enumerate(spelled):
                if number in never or not plain(one or "").strip() or "\ufffd" in (one or ""):
                    marks[number] = NEVER
            self._marks = torch.tensor(marks)
        possible = self._marks != NEVER
        fits = (self._marks[ids].clamp(min=-1)[:, None] == self._marks) & possible
        if allowed is not None:
            if not 0 <= int(allowed.min()) <= int(allowed.max()) < count:
                raise ParameterError(
                    "token_range", f"vocabulary= holds tokens that do not exist, of {count}", hint="Numbers start at 0."
                )
            chosen = torch.zeros(count, dtype=torch.bool)
            chosen[allowed] = True
            fits = (chosen & possible).expand_as(fits).clone()
        fits[torch.arange(len(ids)), ids] = False
        return fits


def _last(output: Tensor) -> Tensor:
    """Scores [rows, classes]: a classifier's own, or of a language model those of the next token."""
    found = output[:, -1] if output.ndim == 3 else output
    if found.ndim != 2 or found.shape[1] < 2:
        raise ModelError(
            "not_a_classifier",
            f"The model puts out shape {list(output.shape)}",
            hint="Edits follow a prediction, so that there must be scores of two classes at least.",
        )
    return found


def _mark(spelled: str | None) -> str:
    return next((mark for mark in MARKS if (spelled or "").startswith(mark)), "")
