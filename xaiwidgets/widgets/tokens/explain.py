"""From a model and texts to the strip that shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.engine.state import check_mode, module_of
from xaiwidgets.widgets.explanations import GIVEN
from xaiwidgets.widgets.questions import by_number
from xaiwidgets.widgets.token_strip import TokenStrip

from .answers import Answers
from .asks import UNITS, Menu, described
from .reading import is_text, read_all
from .subject import Options

__all__ = ["explain_text", "is_text"]
PLAIN = (bool, int, float, str, type(None))


def explain_text(
    model: Any, inputs: Any, options: Options, *, tokenizer: Any, words: Any, method: str, parameters: dict[str, Any]
) -> TokenStrip:
    """See `xaiwidgets.explain`. `words`: of token numbers, one string for each position."""
    check_mode(module_of(model), options.training)
    chosen = find_method(method)
    checked = chosen.check(parameters)
    generate = options.generate
    if generate is not None and (isinstance(generate, bool) or not isinstance(generate, int) or generate < 1):
        raise ParameterError(
            "parameter_range", f"generate={generate!r} does not fit", hint="How many tokens: 1 or more."
        )
    asked = generate is not None or options.continuation is not None
    task = "generate" if asked or _goes_on(model) else "classify"
    numbers = by_number(options.target) if task == "classify" else None
    target = None if numbers is not None else options.target
    labels = own_labels(model) if options.labels is None else options.labels
    options = replace(options, target=target, labels=labels)
    given, baseline = _beyond_json(parameters, checked, tokenizer)
    texts = read_all(inputs, tokenizer, words, model, options)
    answers = Answers(model, texts, tokenizer, Menu(tokenizer, given), options, task=task)
    strip = TokenStrip(
        answers,
        labels=options.labels,
        score=options.score,
        task=task,
        methods=[described(chosen)],  # the others follow once the model has been seen to run
        params={
            "input": 0, "target": numbers[0] if numbers else None, "foil": numbers[1] if numbers else None,
            "method": chosen.name, "baseline": baseline, "span": None, "foil_token": None,
            "parameters": {
                name: value for name, value in checked.items()
                if name not in ("baseline", *given) and isinstance(value, (bool, int, float, str))
                and (name != "regions" or name in parameters)
            },
        },
    )  # fmt: skip
    strip.run()
    return strip


def _beyond_json(parameters: dict[str, Any], checked: dict[str, Any], tokenizer: Any) -> tuple[dict[str, Any], str]:
    """The parameter values that a page cannot hold, and the name under which it knows the baseline."""
    given = {name: value for name, value in checked.items() if not isinstance(value, PLAIN) and name in parameters}
    regions = parameters.get("regions", UNITS[0])
    if not isinstance(regions, str) or regions not in UNITS:
        given["regions"] = regions
    known = [entry["name"] for entry in Menu(tokenizer, {}).baselines()]
    baseline = checked.get("baseline")
    if "baseline" not in parameters:
        return given, baseline if baseline in known else known[0]
    if not isinstance(baseline, str) or baseline not in known:
        return given | {"baseline": baseline}, GIVEN
    return given, baseline


def own_labels(model: Any) -> dict[int, str] | None:
    """What a Hugging Face model calls its classes, unless it only counts them."""
    names = getattr(getattr(module_of(model), "config", None), "id2label", None)
    if not isinstance(names, dict) or all(str(name) == f"LABEL_{number}" for number, name in names.items()):
        return None
    return {int(number): str(name) for number, name in names.items()}


def _goes_on(model: Any) -> bool:
    """Whether a Hugging Face model writes rather than sorts."""
    ask = getattr(model, "can_generate", None)
    return bool(callable(ask) and ask())
