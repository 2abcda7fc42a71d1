"""`xaiwidgets.explain`: from a model and inputs to the widget that shows them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.inputs import require_differentiable
from xaiwidgets.engine.registry import find_method
from xaiwidgets.widgets.explanations import BASELINES, GIVEN, Explanations
from xaiwidgets.widgets.heatmap import HeatmapOverlay
from xaiwidgets.widgets.images import pictures
from xaiwidgets.widgets.questions import by_number, with_batch
from xaiwidgets.widgets.reductions import REDUCTIONS
from xaiwidgets.widgets.token_strip import TokenStrip
from xaiwidgets.widgets.tokens.explain import explain_text, is_text
from xaiwidgets.widgets.tokens.subject import Options
from xaiwidgets.widgets.words import Labels

DEFAULT_METHOD = "integrated_gradients"


def explain(
    model: Callable[..., Any],
    inputs: Any,
    *,
    target: Any = None,
    method: str | None = None,
    labels: Labels = None,
    image: Any = None,
    tokenizer: Any = None,
    tokens: Sequence[Any] | None = None,
    generate: int | None = None,
    continuation: str | Sequence[int] | None = None,
    max_length: int | None = None,
    special: bool = True,
    sample: bool = False,
    temperature: float = 1.0,
    seed: int = 0,
    score: str = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Any = None,
    batch_size: Any = "auto",
    training: bool | None = None,
    **parameters: Any,
) -> HeatmapOverlay | TokenStrip:
    """Show why a model said so about images or texts, live: a `HeatmapOverlay` or a `TokenStrip`.

    Args:
        model: any torch model in eval mode; it is left exactly as it was.
        inputs: a tensor [batch, channels, height, width] (one image may come without the batch), or a tuple or dict
            of the model's inputs with one such tensor among them (`wrt` names it if there are several). Or a text, a
            tuple of two that are read together, or a list of texts, with `tokenizer`; or token numbers [batch, tokens]
            (alone, or a dict with `input_ids` among the model's inputs), with `tokenizer` or `tokens`.
        target: the class to explain; `None` explains the predicted class. Also a tensor of classes, a `Contrast` or a
            callable from the output to one number a row, as for `attribute`.
        method: a name from `xaiwidgets.methods()`; integrated gradients by default. The widget can change it.
        labels: class names, a list or a dict by class number; of texts, the model's own names if it has any.
        image: what to show: a picture (or a list of them), or a callable from the input batch to values in 0..1 that
            undoes the normalisation. Without it, the usual normalisations are recognised and the widget says so.
        tokenizer: of texts: Hugging Face's, SentencePiece's, a `tokenizers.Tokenizer`, or any function from a text to
            token numbers.
        tokens: of token numbers: one string for each position, where there is no tokenizer.
        generate: let a language model go on with the text, for so many tokens at most, and explain those.
        continuation: what it should have gone on with: a text, or token numbers.
        max_length: cut longer texts to so many tokens.
        special: whether the tokenizer adds its own tokens, such as [CLS].
        sample: draw the continuation, with `temperature`, from `seed`; otherwise the most probable token each time.
        score: "logit", "probability" or "log_probability".
        parameters: of the method, for example `steps=128` or `baseline="blur"`.

    The computation starts at once, in the background: `.wait()` blocks until it is done and raises its error,
    `.result` is the Attribution on show, `.to_html(path)` writes a page that works without a kernel.

    Raises:
        InputError: the inputs are no images and no texts, or cannot be explained.
        ParameterError: an unknown method or parameter, or a value out of range.
        ModelError: the model is in training mode, or is no model.
    """
    if tokenizer is not None or tokens is not None or is_text(inputs):
        options = Options(
            score=score, forward=forward, batch_size=batch_size, training=training, target=target, labels=labels,
            generate=generate, continuation=continuation, sample=sample, temperature=temperature, seed=seed,
            max_length=max_length, special=special, numbers=wrt if isinstance(wrt, str) else "input_ids",
        )  # fmt: skip
        return explain_text(
            model, inputs, options, tokenizer=tokenizer, words=tokens, method=method or DEFAULT_METHOD,
            parameters=parameters,
        )  # fmt: skip
    chosen = find_method(method or DEFAULT_METHOD)
    numbers = by_number(target)
    checked = chosen.check(parameters)
    explanations = Explanations(
        model, with_batch(inputs), target=None if numbers else target, given=_beyond_json(checked),
        score=score, forward=forward, wrt=wrt, batch_size=batch_size, training=training,
    )  # fmt: skip
    if "gradient" in chosen.needs:
        require_differentiable(explanations.inputs, chosen.title)
    images = torch.cat([explanations.points(row) for row in range(explanations.count)])
    if images.ndim != 4:
        raise InputError("not_an_image", "explain() shows images [batch, channels, height, width]", f"Got shape {tuple(images.shape)}.",
                         "For the numbers of other inputs use xaiwidgets.attribute().")  # fmt: skip
    views, note = pictures(images, image)
    baseline = checked.get("baseline", "zeros")
    named = _is_named(baseline)
    overlay = HeatmapOverlay(
        explanations, views, labels=labels, score=score, note=note,
        methods=[chosen.name],  # the others follow once the model has been seen to run
        baselines=[{"name": name, "title": title} for name, title in (BASELINES if named else {GIVEN: "as given"} | BASELINES).items()],
        reductions=[{"name": name, "title": title} for name, title in REDUCTIONS.items()] if images.shape[1] > 1 else [],
        params={
            "input": 0, "target": numbers[0] if numbers else None, "foil": numbers[1] if numbers else None, "method": chosen.name,
            "baseline": baseline if named else GIVEN,
            "parameters": {name: value for name, value in checked.items() if name != "baseline" and isinstance(value, (bool, int, float, str))},
        },
    )  # fmt: skip
    overlay.run()
    return overlay


def _is_named(baseline: Any) -> bool:
    return isinstance(baseline, str) and baseline in BASELINES


def _beyond_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameter values a page cannot hold: modules, tensors, baseline objects."""
    plain = (bool, int, float, str, type(None))
    given = {name: value for name, value in parameters.items() if not isinstance(value, plain)}
    if "baseline" in parameters and not _is_named(parameters["baseline"]):
        given["baseline"] = parameters["baseline"]
    return given
