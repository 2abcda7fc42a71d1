"""Many attributions measured by many metrics, each number there as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Literal

from xaiwidgets.engine.errors import ParameterError, did_you_mean
from xaiwidgets.engine.inputs import Key
from xaiwidgets.engine.target import Score, Target

from .answer import Evaluation
from .asking import entries_of, metrics_of
from .fitting import require
from .metric_table import MetricTable
from .registry import METRICS
from .shapes import mask_of
from .subject import subject_of
from .working import Progress, Work

__all__ = ["DEFAULT", "Evaluation", "Progress", "evaluate", "evaluating", "metrics"]

DEFAULT = ("deletion", "insertion", "infidelity", "max_sensitivity")


def evaluating(
    model: Callable[..., Any],
    inputs: Any,
    attributions: Any,
    *,
    target: Target = None,
    metrics: Any = DEFAULT,
    controls: bool = False,
    baseline: Any = None,
    mask: Any = None,
    regions: Any = "auto",
    tokenizer: Any = None,
    score: Score = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Key | list[Key] | None = None,
    training: bool | None = None,
    batch_size: int | Literal["auto"] = "auto",
    seed: int = 0,
    interrupt: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Generator[Evaluation]:
    """Measure attributions, yielding the evaluation each time there is more in it. Closing the generator is cancelling.

    attributions  a method's name, (name, parameters), an Attribution, a tensor or an array like the input; a list of these, or a
                  dict that gives each a name of its own. "random", "edges" (images) and "lengths" (texts) name maps that explain
                  nothing, and `controls=True` adds those that fit
    metrics       names, (name, parameters), or {name: parameters}; see `xaiwidgets.metrics()`. Those that measure a probability
                  take the score as it is where the target names no class (None, a neuron, a function), unless told otherwise
    baseline      given to every method that has one and is not given its own
    mask          [1 or rows, ...] true where the object is, for metrics that compare with it
    regions       what is taken away at once: "auto" (pixels with their channels, tokens), "block", "superpixel", ids, ...
    tokenizer     the inputs are texts
    seed          of ties, noise, random orders and controls
    interrupt     called between chunks; it may raise Cancelled
    progress      called with (done, total, what is being done)

    The other arguments are those of `xaiwidgets.attribute`. What cannot be asked raises here, before any work is done. Where one
    metric fails about one attribution, its result says so in `.error` and the others go on; a single one raises.
    """
    subject = subject_of(
        model, inputs, tokenizer, target=target, score=score, forward=forward, wrt=wrt, training=training,
        batch_size=batch_size, interrupt=interrupt,
    )  # fmt: skip
    entries = entries_of(attributions, subject, target=target, controls=controls, baseline=baseline, seed=seed)
    measurings = metrics_of(metrics, subject.defaults)
    for measuring in measurings.values():
        require(measuring, entries, subject, mask)
    if mask is not None:
        mask_of(subject.points, mask)
    options = {"seed": seed, "mask": mask, "regions": regions}
    return Work(subject, entries, measurings, options, target, progress).run()


def evaluate(
    model: Callable[..., Any],
    inputs: Any,
    attributions: Any,
    *,
    target: Target = None,
    metrics: Any = DEFAULT,
    controls: bool = False,
    baseline: Any = None,
    mask: Any = None,
    regions: Any = "auto",
    tokenizer: Any = None,
    score: Score = "logit",
    forward: Callable[..., Any] | None = None,
    wrt: Key | list[Key] | None = None,
    training: bool | None = None,
    batch_size: int | Literal["auto"] = "auto",
    seed: int = 0,
    interrupt: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure attributions once; the arguments are those of `evaluating`.

    r = xaiwidgets.evaluate(model, images, ["saliency", "integrated_gradients"], target=3, controls=True)
    r["saliency"]["deletion"]     # a float with .interval, .curves, .notes
    r.table()
    """
    *_, last = evaluating(
        model,
        inputs,
        attributions,
        target=target,
        metrics=metrics,
        controls=controls,
        baseline=baseline,
        mask=mask,
        regions=regions,
        tokenizer=tokenizer,
        score=score,
        forward=forward,
        wrt=wrt,
        training=training,
        batch_size=batch_size,
        seed=seed,
        interrupt=interrupt,
        progress=progress,
    )
    return last


def metrics(family: str | None = None) -> MetricTable:
    """The registered metrics, of one family or of all; shows itself as a table."""
    families = {metric.family for metric in METRICS.values()}
    if family is not None and family not in families:
        raise ParameterError(
            "unknown_family", f"There is no family {family!r} of metrics", hint=did_you_mean(family, families)
        )
    return MetricTable(metric for metric in METRICS.values() if family in (None, metric.family))
