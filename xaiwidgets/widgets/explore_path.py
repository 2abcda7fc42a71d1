"""`xaiwidgets.explore_path`: from a model and one input to the explorer of the paths that lead to it."""

from collections.abc import Callable, Sequence
from typing import Any

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.inputs import require_differentiable
from xaiwidgets.widgets.path.gallery import Gallery
from xaiwidgets.widgets.path.image import ImageSubject
from xaiwidgets.widgets.path.kinds import MODES
from xaiwidgets.widgets.path.runs import Effort
from xaiwidgets.widgets.path.subject import Subject
from xaiwidgets.widgets.path.text import TextSubject, encoded
from xaiwidgets.widgets.path_explorer import PathExplorer
from xaiwidgets.widgets.questions import Questions, by_number, with_batch
from xaiwidgets.widgets.words import Labels

FOR_IMAGES = ("black", "white", "mean", "blur", "gaussian", "max_distance")
FOR_TEXTS = ("zeros", "mean", "mask", "pad")


def explore_path(
    model: Callable[..., Any],
    inputs: Any,
    *,
    target: Any = None,
    baselines: Sequence[Any] | None = None,
    labels: Labels = None,
    image: Any = None,
    tokenizer: Any = None,
    tokens: Sequence[str] | None = None,
    dataset: Any = None,
    steps: int = 65,
    tolerance: float = 0.01,
    samples: int = 128,
    mode: str = "path",
    score: str = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Any = None,
    batch_size: Any = "auto",
    training: bool | None = None,
) -> PathExplorer:
    """Show how a model gets from a baseline to one input: integrated gradients, place by place, from many baselines.

    Args:
        model: any torch model in eval mode; it is left exactly as it was.
        inputs: an image [1, channels, height, width] (or without the batch); a text, with its `tokenizer`; token numbers
            [1, tokens], with `tokenizer` or `tokens`; or a tuple or dict of the model's inputs with one of these in it.
        target: the class to explain; `None` explains the predicted class. Also a `Contrast` of two classes, or anything
            else `attribute` takes.
        baselines: what to start from. Each is the name of a kind, a dict {"kind": …} with its settings, a number, a tensor
            like the input, a picture (PIL image or array [h, w, 3]), or an object from `xaiwidgets.baselines`. By default
            black, white, the mean colour, a blur, Gaussian noise and the most distant image; for texts the zero and the
            mean embedding and the mask and padding tokens, where there are such.
        labels: class names, a list or a dict by class number.
        image: what the input looks like: a picture of its size, or a callable from the input batch to values in 0..1.
            Without it, the usual normalisations are recognised and the widget says so.
        tokenizer: of a text: Hugging Face's, or anything with `decode`, `encode` and the special tokens' numbers.
        tokens: of a text: one string for each position, instead of the tokenizer's.
        dataset: rows like the input (a tensor, or anything with a length whose items are such rows): the "dataset" kind.
        steps: nodes on a path, at most; 2^k + 1 of them are used.
        tolerance: stop earlier when no gap on the path is larger than this share of the change of the score.
        samples: gradients of a distribution.
        mode: "path" (one baseline) or "distribution" (expected gradients over many, or SmoothGrad times input).
        score: "logit", "probability" or "log_probability".

    The computation starts at once, in the background: `.wait()` blocks until it is done and raises its error, `.result`
    is the Attribution on show, `.alphas`, `.F`, `.C` and `.gaps` its curves, `.to_html(path)` writes a page that works
    without a kernel.

    Raises:
        InputError: the input is no image and no text, or cannot be explained.
        ParameterError: an unknown baseline, or a value out of range.
        ModelError: the model is no model, or has no embedding for a text.
    """
    if isinstance(inputs, str):
        inputs, wrt = encoded(inputs, tokenizer), "input_ids"
    elif tokenizer is not None and wrt is None and "input_ids" in _names(inputs):
        inputs, wrt = dict(inputs), "input_ids"
    effort = Effort.of({"steps": steps, "tolerance": tolerance, "samples": samples})
    if mode not in MODES:
        raise ParameterError("unknown_mode", f"mode={mode!r} is not known", hint='"path" or "distribution".')
    numbers = by_number(target)
    questions = Questions(
        model, with_batch(inputs), target=None if numbers else target,
        score=score, forward=forward, wrt=wrt, batch_size=batch_size, training=training,
    )  # fmt: skip
    if questions.count != 1:
        raise InputError(
            "one_row", f"explore_path() shows one input, not {questions.count}", hint="Pass one of them: inputs[:1]."
        )
    subject: Subject
    if tokenizer is not None or tokens is not None:
        subject = TextSubject(model, questions.inputs, tokenizer, tokens)
    else:
        require_differentiable(questions.inputs, "A path")
        subject = ImageSubject(questions.inputs, image, dataset)
    gallery = Gallery(subject)
    defaults = [kind for kind in (FOR_TEXTS if subject.medium == "text" else FOR_IMAGES) if kind in subject.kinds]
    for asked in defaults if baselines is None else baselines:
        gallery.add(asked)
    if not len(gallery):
        raise ParameterError("unknown_baseline", "baselines= is empty", hint='Name at least one, for example "black".')
    first = gallery.with_mode(mode) or next(iter(gallery))
    explorer = PathExplorer(
        questions, subject, gallery, labels=labels, score=score,
        baseline_id=first.id, mode=mode,
        params={
            "input": 0, "target": numbers[0] if numbers else None, "foil": numbers[1] if numbers else None, "method": "",
            "mode": mode, "baseline": first.id,
            "parameters": {"steps": effort.steps, "tolerance": effort.tolerance, "samples": effort.samples},
        },
    )  # fmt: skip
    explorer.run()
    return explorer


def _names(inputs: Any) -> list[str]:
    keys = getattr(inputs, "keys", None)
    return list(keys()) if callable(keys) else []
