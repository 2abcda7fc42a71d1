"""From a model and texts to the strip that shows them."""

from __future__ import annotations

from typing import Any

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.engine.state import check_mode, module_of
from xaiwidgets.widgets.explanations import GIVEN
from xaiwidgets.widgets.questions import by_number
from xaiwidgets.widgets.token_strip import TokenStrip

from .answers import Answers
from .asks import OF_VECTORS, Menu, described
from .reading import is_text, read_all
from .subject import Options

__all__ = ["explain_text", "is_text"]
PLAIN = (bool, int, float, str, type(None))


def explain_text(
    model: Any, inputs: Any, *, target: Any, method: str, labels: Any, score: str, forward: Any, batch_size: Any,
    training: bool | None, tokenizer: Any, tokens: Any, generate: int | None, continuation: Any, max_length: int | None,
    special: bool, sample: bool, temperature: float, seed: int, parameters: dict[str, Any],
) -> TokenStrip:  # fmt: skip
    """See `xaiwidgets.explain`."""
    check_mode(module_of(model), training)
    chosen = find_method(method)
    checked = chosen.check(parameters)
    task = "generate" if generate is not None or continuation is not None or _goes_on(model) else "classify"
    if generate is not None and (isinstance(generate, bool) or not isinstance(generate, int) or generate < 1):
        raise ParameterError(
            "parameter_range", f"generate={generate!r} does not fit", hint="How many tokens: 1 or more."
        )
    numbers = by_number(target) if task == "classify" else None
    given = {name: value for name, value in checked.items() if not isinstance(value, PLAIN) and name in parameters}
    menu = Menu(tokenizer, given)
    baseline = checked.get("baseline", "zeros")
    known = {entry["name"] for entry in menu.baselines()}
    if (
        "baseline" in parameters
        and "baseline" not in given
        and (not isinstance(baseline, str) or baseline not in known)
    ):
        given["baseline"] = baseline
    if "regions" in parameters and not isinstance(parameters["regions"], str):
        given["regions"] = parameters["regions"]
    if "baseline" in given:
        baseline = GIVEN
    elif baseline not in known:
        baseline = next(iter(OF_VECTORS))
    options = Options(
        score=score, forward=forward, batch_size=batch_size, training=training, target=None if numbers else target,
        labels=labels, sample=sample, temperature=temperature, seed=seed, continuation=continuation,
        max_length=max_length, special=special, **({} if generate is None else {"generate": generate}),
    )  # fmt: skip
    texts = read_all(inputs, tokenizer, tokens, model, options)
    answers = Answers(model, texts, tokenizer, menu, options, task=task)
    strip = TokenStrip(
        answers,
        labels=labels,
        score=score,
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


def _goes_on(model: Any) -> bool:
    """Whether a Hugging Face model writes rather than sorts."""
    ask = getattr(model, "can_generate", None)
    return bool(callable(ask) and ask())
