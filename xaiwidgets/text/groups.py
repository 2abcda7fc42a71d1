"""Tokens summed into words, sentences or whatever a reader asks for, by their places in the raw text."""

from __future__ import annotations

import bisect
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError, did_you_mean

from .segments import UNITS, starts
from .tokens import Stretch, Tokens

Reduction = Literal["sum", "mean", "largest"]
UNIT_NAMES = ("token", "grapheme", "word", "sentence", "line", "paragraph", "regex")
PATIENCE = 2.0
"""Seconds that a regular expression may take, the start of the process that tries it included."""

_CHILD = """
import json, re, sys
pattern, text = json.load(sys.stdin)
json.dump([match.span() for match in re.finditer(pattern, text)], sys.stdout)
"""


@dataclass(frozen=True)
class Groups:
    """A partition of the tokens.

    of        the number of its group for each token
    spans     the raw text of each group, from its first token to its last; in the order of the text
    """

    of: tuple[int, ...]
    spans: tuple[Stretch, ...]

    def __len__(self) -> int:
        return len(self.spans)

    def reduce(self, values: Tensor, how: Reduction = "sum") -> Tensor:
        """Values [..., tokens] as values [..., groups]; sums and means in float64 wherever the device has it.

        "largest" keeps the value with the largest size, for scores without a sign.
        """
        if values.shape[-1] != len(self.of):
            raise ParameterError(
                "group_tokens", f"{values.shape[-1]} values for {len(self.of)} tokens", hint="Give one for each token."
            )
        if how not in ("sum", "mean", "largest"):
            raise ParameterError("unknown_reduction", f"{how!r} does not join values", hint="sum, mean or largest.")
        index = torch.tensor(self.of, dtype=torch.long, device=values.device)
        if how == "largest":
            return _largest(values, index, len(self))
        wide = values.to(torch.float32 if values.device.type == "mps" else torch.float64)
        total = wide.new_zeros(*values.shape[:-1], len(self)).index_add_(-1, index, wide)
        if how == "mean":
            total = total / torch.bincount(index, minlength=len(self)).to(total)
        return total


def group(tokens: Tokens, unit: str = "word", pattern: str | None = None) -> Groups:
    """Put each token into exactly one group.

    "token"      each by itself
    "grapheme"   parts of the same character together
    "word"       and "sentence", "line", "paragraph": where the token's first visible character lies
    "regex"      tokens that begin in the same match of `pattern` together, all others by themselves

    Tokens that stand for no text (special ones, padding) stay alone. Raises ParameterError for a pattern that is none, or
    that takes longer than two seconds: it runs in a process of its own, which is ended then.
    """
    if unit not in UNIT_NAMES:
        raise ParameterError("unknown_unit", f"There is no unit {unit!r}", hint=did_you_mean(str(unit), UNIT_NAMES))
    if unit == "regex":
        matches = find_all(pattern, tokens.text)
        bounds = sorted({0, *(place for match in matches for place in match)})
        alone = set(bounds) - {start for start, _ in matches}
    elif unit in UNITS:
        bounds, alone = starts(tokens.text, unit), set[int]()
    else:
        bounds, alone = [], set[int]()
    of = [0] * len(tokens)
    spans: list[Stretch] = []
    current: int | None = None
    for members, start, end in _parts(tokens, unit):
        key = None
        if end > start and bounds:
            first = start + len(text) - len(text.lstrip()) if (text := tokens.text[start:end]).strip() else start
            segment = bounds[bisect.bisect_right(bounds, first) - 1]
            key = None if segment in alone else segment
        if key is not None and key == current:
            last = spans[-1]
            spans[-1] = Stretch(last.start, max(last.end, end), last.members + members)
        else:
            spans.append(Stretch(start, end, members))
        current = key
        for member in members:
            of[member] = len(spans) - 1
    return Groups(tuple(of), tuple(spans))


def _parts(tokens: Tokens, unit: str) -> list[tuple[tuple[int, ...], int, int]]:
    """What is never split: single tokens of the unit "token", the parts of a character of any other."""
    if unit == "token":
        return [((place,), token.start, token.end) for place, token in enumerate(tokens.items)]
    return [(one.members, one.start, one.end) for one in tokens.units]


def find_all(pattern: str | None, text: str) -> list[tuple[int, int]]:
    """Spans of all matches that are not empty.

    Some patterns need longer than the universe has, and Python cannot interrupt one: another process tries it.
    """
    if not pattern:
        raise ParameterError("regex_invalid", "A regular expression is missing", hint="Write pattern=, as r'\\w+'.")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ParameterError(
            "regex_invalid", f"{pattern!r} is not a regular expression", f"{str(error).capitalize()}."
        ) from error
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter on our own code
            [sys.executable, "-I", "-S", "-c", _CHILD],
            input=json.dumps([pattern, text]),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ParameterError(
            "regex_slow",
            f"{pattern!r} takes longer than {PATIENCE:g} seconds on this text",
            hint="Repetitions inside repetitions, as in (a+)+, are the usual cause.",
        ) from error
    except subprocess.CalledProcessError as error:
        raise ParameterError("regex_invalid", f"{pattern!r} could not be matched", error.stderr[-200:]) from error
    return [(start, end) for start, end in json.loads(done.stdout) if end > start]


def _largest(values: Tensor, index: Tensor, count: int) -> Tensor:
    columns = []
    for number in range(count):
        own = values[..., index == number]
        columns.append(own.gather(-1, own.abs().argmax(-1, keepdim=True)).squeeze(-1))
    return torch.stack(columns, -1) if columns else values[..., :0]
