"""What is tested: the map on show, the question it answers, and what the tests need to know of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.metrics.case import Case
from xaiwidgets.text.tokenizers import token_id

from .findings import Settings

USUAL = "auto"
"""Pixels that are deleted become zeros, pixels that are inserted come into a blurred picture."""
OF_IMAGES = {
    USUAL: "usual: zeros, blur",
    "zeros": "zeros",
    "mean": "mean colour",
    "blur": "blur",
    "noise": "noise",
    "neighbours": "neighbouring pixels",
}
OF_TEXTS = {
    "mask_token": "mask token",
    "pad_token": "padding token",
    "delete": "nothing: tokens left out",
    "zeros": "zero vector",
    "mean": "mean of the vocabulary",
}
SCORES = {"logit": "logit", "probability": "probability", "log_probability": "log-probability"}


@dataclass(frozen=True, eq=False)
class Input:
    """The input that is explained, as it is shown.

    `picture` uint8 [h, w, 3] of an image and `pixels`, which makes such pictures of points [channels, height, width]; `tokens`
    the surfaces of a text.
    """

    label: str
    picture: NDArray[np.uint8] | None = None
    pixels: Callable[[Tensor], NDArray[np.uint8]] | None = None
    tokens: Sequence[str] = ()

    @property
    def is_text(self) -> bool:
        return self.picture is None

    @property
    def control(self) -> str:
        """The control that looks like an explanation and knows nothing of the model."""
        return "lengths" if self.is_text else "edges"


@dataclass(frozen=True, eq=False)
class Tested:
    """A map on show.

    key        what the page calls it
    case       makes the case; the interrupt is asked between chunks of the model's work
    method     what made it, in words; `complete`: whether its values should add up
    target, foil   what is explained, in words; foil empty where there is none
    score      what the attribution explains, in words; empty where the target says it all
    classes    whether the score has a probability
    fills      what parts can be replaced by, by name; the first is what is taken if nobody says
    """

    key: str
    case: Callable[[Callable[[], None]], Case]
    attribution: Attribution
    subject: Input
    method: str
    complete: bool
    target: str
    foil: str = ""
    score: str = ""
    classes: bool = True
    fills: dict[str, str] = field(default_factory=dict)
    signed: bool = True

    @property
    def measures(self) -> dict[str, str]:
        """What can be read from the model, by the name of a case's measure; the first if nobody says."""
        both = self.classes and self.score != SCORES["probability"]
        return ({"probability": "probability"} if both else {}) | {"logit": self.score or "score"}

    @property
    def gap(self) -> float | None:
        """By how much the values miss what they should add up to, as a share of it; None where they promise nothing."""
        one = self.attribution
        if not self.complete or one.delta is None or one.score is None or one.baseline_score is None:
            return None
        difference = float((one.score - one.baseline_score)[0])
        return abs(float(one.delta[0]) / difference) if difference else None

    def settings(self, asked: dict[str, Any]) -> Settings:
        """Those asked for, filled up. Raises ParameterError."""
        found = {}
        for name, choices in (("fill", self.fills), ("measure", self.measures)):
            value = str(asked.get(name) or next(iter(choices)))
            if value not in choices:
                raise ParameterError(
                    f"unknown_{name}", f"{name}={value!r} cannot be chosen here", hint=did_you_mean(value, choices)
                )
            found[name] = value
        return Settings(**found)

    def unit(self, settings: Settings) -> str:
        """What the curves' height is."""
        name = self.score if settings.measure == "logit" else settings.measure
        if not name:
            return self.target
        return f"{name} of {self.target}" + (f" less that of {self.foil}" if self.foil else "")


def fills_of_text(tokenizer: Any, *, shorter: bool) -> dict[str, str]:
    """What tokens can be replaced by; the first is the most usual one. `shorter`: whether tokens can be left out."""
    named = {f"{name}_token": token_id(tokenizer, name) is not None for name in ("mask", "pad")}
    return {name: title for name, title in OF_TEXTS.items() if named.get(name, shorter or name != "delete")}


def on_map(values: Tensor) -> NDArray[np.float64]:
    """The values of one row as a map [h, w]: summed over channels, a text as one line."""
    own: NDArray[np.float64] = values.detach()[0].double().cpu().numpy()
    if own.ndim == 3:
        own = own.sum(0)
    return np.atleast_2d(own)
