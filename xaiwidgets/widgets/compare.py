"""`xaiwidgets.compare`: from a model and inputs to the table of methods and tests that shows them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.api import Session
from xaiwidgets.engine.abilities import abilities
from xaiwidgets.engine.errors import ExplainError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.engine.state import check_mode, module_of
from xaiwidgets.metrics.evaluation import Evaluation, evaluating
from xaiwidgets.widgets.board.subject import MOST, subject_of
from xaiwidgets.widgets.questions import with_batch
from xaiwidgets.widgets.scoreboard import Ask, Predicted, Report, Scoreboard
from xaiwidgets.widgets.tokens.explain import own_labels
from xaiwidgets.widgets.words import Labels

METHODS = ("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "guided_backprop", "grad_cam", "lrp")
FOR_TEXTS = ("saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "feature_ablation")
METRICS = ("deletion", "insertion", "infidelity", "max_sensitivity", "model_randomisation")


def compare(
    model: Callable[..., Any],
    inputs: Any,
    methods: Any = None,
    *,
    metrics: Any = None,
    target: Any = None,
    labels: Labels = None,
    image: Any = None,
    tokenizer: Any = None,
    mask: Any = None,
    controls: bool = True,
    baseline: Any = None,
    regions: Any = "auto",
    score: str = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Any = None,
    training: bool | None = None,
    batch_size: Any = "auto",
    seed: int = 0,
) -> Scoreboard:
    """Show how several explanations of the same inputs stand several tests, live: a `Scoreboard`.

    Args:
        model: any torch model in eval mode; it is left exactly as it was.
        inputs: a tensor [batch, ...] (one image may come without the batch), a tuple or dict of the model's inputs, or a text
            or a list of texts with `tokenizer`.
        methods: what is compared: names of methods, (name, parameters), Attributions, or arrays like the input; a list of
            these, or a dict that gives each a name of its own. By default some that the model can be asked with.
        metrics: names from `xaiwidgets.metrics()`, (name, parameters), or {name: parameters}. By default deletion, insertion,
            infidelity, sensitivity and model randomisation, as far as they can be asked here.
        target: the class to explain, or one for each input; `None` explains the class the model predicts.
        labels: class names, a list or a dict by class number; of texts, the model's own names if it has any.
        image: what to show: a picture for each input, or a callable from the batch to values in 0..1 that undoes the
            normalisation. Without it, the usual normalisations are recognised and the widget says so.
        tokenizer: of texts.
        mask: [1 or batch, ...] true where the object is, for metrics that compare with it.
        controls: add maps that know nothing of the model: a method should beat them.
        baseline: given to every method that has one.
        regions: what is taken away at once: "auto" (pixels, tokens), "block", "superpixel", or ids.
        seed: of ties, noise, random orders and controls.

    The other arguments are those of `xaiwidgets.attribute`. The computation starts at once, in the background, and the cells
    fill as they are known: `.wait()` blocks until it is done and raises its error, `.cancel()` keeps what is there, `.result` is
    the Evaluation, `.frame()` the table in pandas, `.selection` the picked names, `.to_html(path)` a page that works without a
    kernel.

    Raises:
        InputError: the inputs cannot be explained or shown.
        ParameterError: an unknown method, metric or parameter, or a metric that cannot be asked here.
        ModelError: the model is in training mode, or is no model.
    """
    check_mode(module_of(model), training)
    inputs = with_batch(inputs) if tokenizer is None else inputs
    target = torch.as_tensor(target) if isinstance(target, (list, tuple)) else target
    session = {"score": score, "forward": forward, "training": training, "batch_size": batch_size}
    subject = subject_of(inputs, image=image, texts=tokenizer is not None)
    chosen = _methods(model, inputs, tokenizer, wrt, session) if methods is None else methods
    options: dict[str, Any] = {
        "controls": controls, "baseline": baseline, "mask": mask, "regions": regions, "tokenizer": tokenizer, "wrt": wrt,
        "seed": seed, **session,
    }  # fmt: skip

    def measuring(which: Any, explained: Any, **listeners: Any) -> Generator[Evaluation]:
        return evaluating(model, inputs, chosen, target=explained, metrics=which, **options, **listeners)

    asked = _askable(lambda which: measuring(which, target)) if metrics is None else metrics
    measuring(asked, target).close()  # what cannot be asked is refused here, before any work

    def ask(interrupt: Callable[[], None], report: Report) -> Iterator[tuple[Evaluation, Predicted | None]]:
        report(0, 1, "asking the model")
        outputs = _session(model, inputs, tokenizer, wrt, {**session, "interrupt": interrupt}).predict()
        explained = _explained(outputs, target)
        predicted = _predicted(outputs, explained)
        for evaluation in measuring(asked, explained, interrupt=interrupt, progress=report):
            yield evaluation, predicted

    run: Ask = ask
    board = Scoreboard(
        subject=subject, ask=run, labels=own_labels(model) if labels is None else labels, score=score,
        about={"model": type(model).__name__, "score": score, "seed": seed},
    )  # fmt: skip
    board.run()
    return board


def _session(model: Any, inputs: Any, tokenizer: Any, wrt: Any, options: dict[str, Any]) -> Any:
    if tokenizer is not None:
        return Session.of_text(model, inputs, tokenizer, **options)
    return Session(model, inputs, wrt=wrt, **options)


def _methods(model: Any, inputs: Any, tokenizer: Any, wrt: Any, session: dict[str, Any]) -> Sequence[str]:
    """Some that the model can be asked with."""
    if tokenizer is not None:
        return FOR_TEXTS
    problem = Session(model, inputs, wrt=wrt, **session).problem.begin()
    met = {"gradient", *abilities(problem)} | ({"image", "layer"} if problem.points.ndim == 4 else set())
    return [name for name in METHODS if met.issuperset(find_method(name).needs)]


def _askable(measuring: Callable[[Any], Generator[Evaluation]]) -> list[str]:
    """Those of the usual metrics that can be asked here; raises the first one's error if none can."""
    found, errors = [], []
    for name in METRICS:
        try:
            measuring((name,)).close()
        except ExplainError as error:
            errors.append(error)
        else:
            found.append(name)
    if not found:
        raise errors[0]
    return found


def _explained(outputs: Tensor, target: Any) -> Any:
    """The target of every input: the class the model predicts, where none was chosen and there are classes."""
    if target is None and outputs.ndim == 2 and outputs.shape[1] > 1:
        return outputs.argmax(1)
    return target


def _predicted(outputs: Tensor, explained: Any) -> Predicted:
    """What is shown beside each input."""
    outputs = outputs.detach().to("cpu", torch.float32)[:MOST]
    rows = len(outputs)
    targets: list[int | None] = [None] * rows
    if isinstance(explained, Tensor) and explained.ndim == 1 and len(explained) >= rows:
        targets = [int(one) for one in explained[:rows]]
    elif isinstance(explained, int) and not isinstance(explained, bool):
        targets = [explained] * rows
    classes = outputs.ndim == 2 and outputs.shape[1] > 1
    chances = outputs.softmax(1) if classes else outputs
    return Predicted(
        targets, [float(chances[row, one]) if classes and one is not None else None for row, one in enumerate(targets)]
    )
