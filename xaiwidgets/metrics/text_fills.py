"""What stands for absent words: another token's vector, nothing, the mean word, or no token at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from xaiwidgets.text.tokenizers import token_id

from .case import Case, Measure
from .fills import Builder, Removal, Replacing, builders
from .text_case import TextCase

VECTORS = ("mask_token", "pad_token", "zeros", "mean")


@dataclass(frozen=True, eq=False)
class Deleting(Replacing):
    """The text without the words, which makes it shorter. Points, which keep their length, are NaN where nothing is."""

    case: TextCase

    def scores(self, rows: Tensor, chosen: Tensor, measure: Measure) -> Tensor:
        return self.case.without(rows, chosen, measure)


@builders.register(TextCase)
def _(_case: TextCase) -> Mapping[str, Builder]:
    named = {name: partial(_replacing, name=name) for name in VECTORS}
    return {"auto": _auto, **named, "delete": _deleting}


def _auto(case: Case, seed: int) -> Removal:
    """The mask token where the tokenizer has one, else the padding token, else no vector."""
    assert isinstance(case, TextCase)  # noqa: S101  # for the type checker
    known = [name for name in ("mask", "pad") if token_id(case.question.tokenizer, name) is not None]
    return _replacing(case, seed, name=f"{known[0]}_token" if known else "zeros")


def _replacing(case: Case, seed: int, *, name: str) -> Removal:  # noqa: ARG001  # nothing random
    return Replacing(case, case.shared(("text fill", name), lambda: case.baselines(name)[0]))


def _deleting(case: Case, seed: int) -> Removal:  # noqa: ARG001
    assert isinstance(case, TextCase)  # noqa: S101
    return Deleting(case, torch.full_like(case.problem.points[:1, :1, :1], torch.nan))
