"""What can be asked about a text, and what was: the `params` trait, checked and completed.

A page may only name texts, classes, output tokens, methods, baselines and parameters that exist, with values in their ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from xaiwidgets.engine.abilities import abilities
from xaiwidgets.engine.errors import ExplainError, ParameterError, did_you_mean
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import METHODS, Method, find_method
from xaiwidgets.text.embedding import at_embedding
from xaiwidgets.text.tokenizers import spelling, token_id
from xaiwidgets.widgets.explanations import GIVEN
from xaiwidgets.widgets.words import encodable

from .pack import canonical

UNITS = ("token", "word", "sentence", "line", "paragraph")
"""What methods that take parts of a text away can take away at once."""
OF_VECTORS = {"zeros": "zeros", "mean": "the mean of the vocabulary"}
OF_TOKENS = ("mask", "pad")
STAND_INS = ("mask", "pad", "unk", "eos", "bos")
"""Tokens that can stand for absent ones, the best first."""
PER_TOKEN = frozenset({"feature_ablation", "prediction_difference", "token_erasure"})
"""One pass for each part: single tokens are affordable. All others take words."""
NO_TOKEN_NUMBERS = frozenset({"transformer_attribution"})
"""It reads attention and the gradient at the input, and is only offered vectors or numbers, not both."""
OF_CLASSES = frozenset({"explanation_vectors"})
WITHOUT_ATTENTION = frozenset({"bias_attribution", "deep_taylor", "excitation_backprop"})
"""They have no rule for a softmax between layers."""

Span = tuple[int, int]
"""First and last output token, both included."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    asked    canonical JSON of the params that asked for it
    span     of generated texts: output tokens; foil_token: one that could have come instead
    """

    asked: str
    input: int
    method: str
    baseline: str
    parameters: dict[str, Any]
    target: int | None = None
    foil: int | None = None
    span: Span | None = None
    foil_token: int | None = None

    @property
    def settings(self) -> str:
        """Equal for the same method in the same settings about the same text, whatever the target."""
        return canonical([self.input, self.method, self.baseline, self.parameters])

    @property
    def key(self) -> str:
        """Equal for equal questions."""
        return canonical([self.settings, self.target, self.foil, self.span, self.foil_token])


class Menu:
    """The methods and baselines that one model's texts can be asked with. `given`: parameters that no page can hold."""

    def __init__(self, tokenizer: Any, given: dict[str, Any]) -> None:
        self._tokenizer, self._given = tokenizer, given
        self._named = {name: number for name in STAND_INS if (number := token_id(tokenizer, name)) is not None}
        self._offered: list[Method] | None = None

    def baselines(self) -> list[dict[str, str]]:
        """The `baselines` trait."""
        found = {GIVEN: "as given"} if "baseline" in self._given else {}
        found |= OF_VECTORS | {name: self.title(name) for name in OF_TOKENS if name in self._named}
        return [{"name": name, "title": title} for name, title in found.items()]

    def title(self, baseline: str) -> str:
        """What a baseline is called."""
        if baseline in self._named:
            return encodable(f"{spelling(self._named[baseline], self._tokenizer)} tokens")
        return {**OF_VECTORS, GIVEN: "as given", "auto": "a token that says nothing"}.get(baseline, baseline)

    def offer(self, problem: Problem, task: str) -> list[dict[str, Any] | str]:
        """The `methods` trait: those whose needs the model meets and that answer with one number a token."""
        if self._offered is None:
            met = frozenset({"tokens", "gradient"})
            try:
                met |= abilities(at_embedding(problem))
            except ExplainError:
                met -= {"gradient"}
            left_out = NO_TOKEN_NUMBERS | (OF_CLASSES if task == "generate" else frozenset())
            left_out |= WITHOUT_ATTENTION if "attention" in met else frozenset()
            self._offered = [
                one
                for one in METHODS.values()
                if met.issuperset(one.needs) and one.shape == "input" and one.name not in left_out
            ]
        return [described(one) for one in self._offered]

    def request(self, params: dict[str, Any]) -> Request:
        """The `params` trait, checked but for what depends on the text. Raises ParameterError."""
        method = find_method(str(params.get("method")))
        if method.shape != "input" or "image" in method.needs:
            raise ParameterError(
                "not_for_texts", f"{method.title} does not explain texts", hint="Choose another method."
            )
        values = dict(params.get("parameters") or {})
        known = {parameter.name for parameter in method.parameters} - {"baseline"}
        values = {name: value for name, value in values.items() if name in known}
        if "regions" in known and "regions" not in self._given:
            unit = values.get("regions", default_unit(method))
            if unit not in UNITS:
                raise ParameterError("unknown_unit", f"There is no unit {unit!r}", hint=did_you_mean(str(unit), UNITS))
            values["regions"] = unit
        checked = method.check(values)
        values = {name: checked[name] for name in known if name in values or name not in self._given}
        takes = any(parameter.name == "baseline" for parameter in method.parameters)
        baseline = self._baseline(method, params.get("baseline")) if takes else ""
        return Request(canonical(params), int(params.get("input") or 0), method.name, baseline, values)

    def arguments(self, request: Request) -> dict[str, Any]:
        """What the method is called with."""
        method = find_method(request.method)
        names = {parameter.name for parameter in method.parameters}
        found = dict(request.parameters)
        found |= {name: value for name, value in self._given.items() if name in names and name not in found}
        if "baseline" in names and request.baseline != GIVEN:
            found["baseline"] = request.baseline
        return found

    def _baseline(self, method: Method, asked: Any) -> str:
        """A baseline that the method can take: token numbers have no zero and no mean."""
        asked = str(asked or "zeros")
        known = {entry["name"] for entry in self.baselines()} | self._named.keys() | {"auto"}
        if asked not in known:
            raise ParameterError("unknown_baseline", f"There is no baseline {asked!r}", hint=did_you_mean(asked, known))
        if asked == GIVEN:
            return GIVEN
        if "tokens" in method.needs:
            return asked if asked in self._named else next(iter(self._named), "auto")
        return "zeros" if asked == "auto" else asked


def default_unit(method: Method) -> str:
    """What a method takes away at once if nobody says."""
    return "token" if method.name in PER_TOKEN else "word"


def described(method: Method) -> dict[str, Any] | str:
    """A method for the menu; parts of a text take the place of parts of an image."""
    if not any(parameter.kind == "regions" for parameter in method.parameters):
        return method.name
    own = replace(method, parameters=tuple(_control(method, one) for one in method.parameters))
    return own.schema()


def _control(method: Method, parameter: Any) -> Any:
    if parameter.kind != "regions":
        return parameter
    return replace(
        parameter, kind="choice", choices=UNITS, default=default_unit(method), title="Parts",
        help="What is taken away at once.",
    )  # fmt: skip
