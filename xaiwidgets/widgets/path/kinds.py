"""Kinds of baselines, as a table: what they are called, what can be set, and in which mode they make sense."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.widgets.words import encodable

PATH, DISTRIBUTION = "path", "distribution"
"""One baseline and the straight line from it; many baselines, averaged over."""
BOTH = (PATH, DISTRIBUTION)
MODES = BOTH

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Setting:
    """A number that belongs to a kind."""

    name: str
    title: str
    low: float
    high: float
    step: float
    default: float
    integer: bool = False

    def check(self, value: Any, kind: str) -> float:
        """The number a page or a person gave. Raises ParameterError."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = number and math.isfinite(value) and self.low <= value <= self.high
        if not fits or (self.integer and value != int(value)):
            what = "a whole number" if self.integer else "a number"
            raise ParameterError(
                "parameter_range",
                f"{self.name}={value!r} does not fit the {kind!r} baseline",
                hint=f"Choose {what} from {self.low:g} to {self.high:g}.",
            )
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Kind:
    """A kind of baseline. `words`: settings that are text, each required."""

    kind: str
    title: str
    params: tuple[Setting, ...] = ()
    modes: tuple[str, ...] = (PATH,)
    words: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """For the page."""
        return {
            "kind": self.kind,
            "title": self.title,
            "params": [
                asdict(setting) for setting in (*self.params, *(Setting(word, word, 0, 0, 0, 0) for word in self.words))
            ],
            "modes": list(self.modes),
        }

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, defaults filled in. Raises ParameterError for unknown names and values that do not fit."""
        names = [*(setting.name for setting in self.params), *self.words]
        for name in given:
            if name not in names:
                hint = did_you_mean(str(name), names) if names else "It has no settings."
                raise ParameterError("unknown_parameter", f"The {self.kind!r} baseline has no {name!r}", hint=hint)
        checked = {one.name: one.check(given.get(one.name, one.default), self.kind) for one in self.params}
        return checked | {word: _WORDS[word](given.get(word)) for word in self.words}

    def identify(self, params: Mapping[str, Any]) -> str:
        """A name for the baseline: the kind alone where every setting is at its default."""
        defaults = {setting.name: setting.default for setting in self.params}
        set_to = [f"{name}={_short(value)}" for name, value in params.items() if value != defaults.get(name)]
        return ":".join([self.kind, *set_to])

    def describe(self, params: Mapping[str, Any]) -> str:
        """A title with the settings in it."""
        parts = [form.format(_short(params[name])) for name, form in _SAID.items() if name in params]
        if self.kind == "pixel":
            parts = [f"at ({params['x']}, {params['y']})"]
        return ", ".join([self.title, *parts])


_SAID = {"sigma": "σ {}", "seed": "seed {}", "colour": "{}", "token": "{}", "index": "no. {}"}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _colour(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ParameterError(
            "colour", f"colour={value!r} is no colour", hint='Write it as "#rrggbb", for example "#808080".'
        )
    return value.lower()


def _token(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 100:
        raise ParameterError("token", f"token={value!r} is no token", hint="Give one token of the model's vocabulary.")
    return encodable(value)


_WORDS = {"colour": _colour, "token": _token}


def _seed(title: str = "seed") -> Setting:
    return Setting("seed", title, 0, LARGEST_SEED, 1, 0, integer=True)


def image_kinds(width: int, height: int, rows: int) -> dict[str, Kind]:
    """For images; `rows` of a data set, 0 without one."""
    side = min(width, height)
    blur = Setting("sigma", "σ in pixels", 0.5, max(1.0, float(side)), 0.5, max(1.0, side / 8))
    noise = Setting("sigma", "σ as a share of the range", 0.05, 2.0, 0.05, 0.5)
    kinds = [
        Kind("black", "black"),
        Kind("white", "white"),
        Kind("mean", "mean colour"),
        Kind("blur", "blurred", (blur,)),
        Kind("uniform", "uniform noise", (_seed(),), BOTH),
        Kind("gaussian", "Gaussian noise", (noise, _seed()), BOTH),
        Kind("max_distance", "most distant image"),
        Kind("colour", "colour", words=("colour",)),
        Kind(
            "pixel",
            "colour of the image",
            (
                Setting("x", "column", 0, width - 1, 1, width // 2, integer=True),
                Setting("y", "row", 0, height - 1, 1, height // 2, integer=True),
            ),
        ),
        Kind("zeros", "zeros"),
        Kind("smoothgrad", "SmoothGrad × input", (noise, _seed()), (DISTRIBUTION,)),
    ]
    if rows:
        index = Setting("index", "number", 0, rows - 1, 1, 0, integer=True)
        kinds.append(Kind("dataset", "data set", (index, _seed("seed of the draws")), BOTH))
    return {kind.kind: kind for kind in kinds}


def text_kinds(*, mask: bool, pad: bool, tokens: bool) -> dict[str, Kind]:
    """For texts: what the vocabulary has."""
    kinds = [Kind("zeros", "zero embedding"), Kind("mean", "mean embedding")]
    kinds += [Kind("mask", "mask token")] if mask else []
    kinds += [Kind("pad", "padding token")] if pad else []
    kinds += [Kind("token", "token", words=("token",))] if tokens else []
    return {kind.kind: kind for kind in kinds}
