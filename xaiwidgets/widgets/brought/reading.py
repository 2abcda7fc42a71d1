"""What a library's result says, as one shape: values, and whatever came with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .arrays import Array

GIVEN = "Given values"


@dataclass(frozen=True, eq=False)
class Reading:
    """One set of values about all inputs.

    values     as they came, whose axes are read once it is known what they are about; a list has one entry an input
    title      what made them, in words
    tokens     of texts, a list for each, where they came with the values
    outputs    of texts that were generated: the tokens that are explained, a list for each text
    pictures   of images, where they came with the values
    targets    what is explained, one for each input: a class's number or its name
    about      in words, where from; empty for bare numbers
    """

    values: Array | list[Array]
    title: str = GIVEN
    tokens: list[list[str]] | None = None
    outputs: list[list[str]] | None = None
    pictures: Any = None
    targets: list[Any] | None = None
    delta: Any = None
    score: Any = None
    baseline_score: Any = None
    error: float | None = None
    signed: bool | None = None
    unit: str = ""
    complete: bool = False
    about: str = ""
    seconds: float = 0.0
    parameters: dict[str, Any] | None = None
    rounding: str = ""

    @property
    def is_text(self) -> bool:
        return self.tokens is not None
