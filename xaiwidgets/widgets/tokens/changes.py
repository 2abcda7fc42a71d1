"""A text with some of its tokens hidden, and what it did to the score dealt out to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError
from xaiwidgets.text.groups import group
from xaiwidgets.text.tokenizers import spelling, token_id
from xaiwidgets.text.tokens import Tokens

from .asks import PER_TOKEN, UNITS, Request

HIDING = ("mask", "unk")
"""Tokens that say "some word". Where a vocabulary has neither, the hidden tokens are left out."""


@dataclass(frozen=True)
class Masked:
    """What is left. `gone`: places of the tokens that were hidden; `tokens` without them where nothing could hide them."""

    tokens: Tokens
    text: str
    gone: tuple[int, ...]


def masked(tokens: Tokens, places: tuple[int, int], tokenizer: Any, *, whole: bool = False) -> Masked:
    """Hide every token that has a character in `places` [start, end), counted as Python does. Raises InputError.

    whole   whether all of them may go
    """
    start, end = places
    gone = tuple(
        place for place, one in enumerate(tokens.items) if not one.special and one.start < end and one.end > start
    )
    if not gone:
        raise InputError("nothing_masked", "There is no word at that place", hint="Select some words.")
    number = next((found for name in HIDING if (found := token_id(tokenizer, name)) is not None), None)
    low = min(tokens.items[place].start for place in gone)
    high = max(tokens.items[place].end for place in gone)
    if number is None:
        left = [place for place in range(len(tokens)) if place not in gone]
        if not whole and not any(tokens.words[place] for place in left):
            raise InputError("only_special", "Nothing of the text would be left", hint="Select fewer words.")
        inputs = {name: tuple(numbers[place] for place in left) for name, numbers in tokens.inputs.items()}
        items = tuple(tokens.items[place] for place in left)
        return Masked(replace(tokens, items=items, inputs=inputs), tokens.text[:low] + tokens.text[high:], gone)
    ids = [number if place in gone else one for place, one in enumerate(tokens.inputs["input_ids"])]
    items = tuple(replace(one, id=number) if place in gone else one for place, one in enumerate(tokens.items))
    changed = replace(tokens, items=items, inputs=tokens.inputs | {"input_ids": tuple(ids)})
    return Masked(changed, tokens.text[:low] + (spelling(number, tokenizer) or "…") + tokens.text[high:], gone)


def shared_out(found: Iterator[Attribution], tokens: Tokens, request: Request) -> Iterator[Attribution]:
    """Attributions in which each token has its share of what its part did, so that sums over tokens are the parts' own."""
    sizes = part_sizes(tokens, request)
    for one in found:
        yield (
            one
            if sizes is None
            else replace(one, values=cast("Tensor", one.values) / sizes.to(cast("Tensor", one.values)))
        )


def part_sizes(tokens: Tokens, request: Request) -> Tensor | None:
    """[T] of how many tokens each one's part is made; None where values are single tokens' own.

    Methods that take a part away give the whole drop to each of its tokens.
    """
    unit = request.parameters.get("regions")
    if request.method not in PER_TOKEN or unit not in UNITS or unit == "token":
        return None
    parts, counted = torch.tensor(group(tokens, str(unit)).of), torch.tensor(tokens.words)
    return torch.bincount(parts[counted], minlength=int(parts.max()) + 1)[parts].clamp(min=1)
