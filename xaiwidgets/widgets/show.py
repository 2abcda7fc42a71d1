"""`xaiwidgets.show`: attributions that another library made, in our widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ParameterError, did_you_mean
from xaiwidgets.widgets.brought.arrays import Array, Channels, maps, numbers
from xaiwidgets.widgets.brought.heatmap import BroughtHeatmap
from xaiwidgets.widgets.brought.photos import photos
from xaiwidgets.widgets.brought.readers import read
from xaiwidgets.widgets.brought.reading import Reading
from xaiwidgets.widgets.brought.shelf import Choice, Row
from xaiwidgets.widgets.brought.strip import BroughtStrip
from xaiwidgets.widgets.brought.texts import rows, texts_of
from xaiwidgets.widgets.heatmap import HeatmapOverlay
from xaiwidgets.widgets.reductions import REDUCTIONS
from xaiwidgets.widgets.token_strip import TokenStrip
from xaiwidgets.widgets.words import Labels


def show(
    values: Any,
    *,
    image: Any = None,
    tokens: Sequence[Any] | None = None,
    text: str | Sequence[str] | None = None,
    outputs: Sequence[Any] | None = None,
    tokenizer: Any = None,
    title: str | None = None,
    target: Any = None,
    labels: Labels = None,
    score: Any = None,
    baseline_score: Any = None,
    delta: Any = None,
    error: float | None = None,
    baseline: str | Mapping[str, str] | None = None,
    signed: bool | Mapping[str, bool] | None = None,
    unit: str | Mapping[str, str] | None = None,
    reduction: str = "sum",
    channels: Channels | None = None,
) -> HeatmapOverlay | TokenStrip:
    """Show attributions that were made elsewhere, without a model: a `HeatmapOverlay` or a `TokenStrip`.

    Args:
        values: of images [images, channels, height, width], with the colours last, [images, height, width] or
            [height, width], in tensors, arrays or lists; of texts, with `tokens` or `text`, [texts, tokens] or [tokens],
            and of generated ones, with `outputs`, [outputs, tokens]; a trailing axis for the parts of each token's vector
            is added up. Or what a library gave: an `Attribution`, a `shap.Explanation`, what Captum and Zennit return (a
            tuple, with a delta or without), Captum's records of texts and of language models, inseq's results, a list of
            (token, value). Several of them about the same inputs are a dict {name: values}: choices of the method menu.
        image: the pictures that were explained: PIL images, arrays or tensors, one or a list or a batch.
        tokens: of a text: a string for each value, as its tokenizer spells it; or a list of these.
        text: what the tokens stand for, where that is known. Alone, it is split at its spaces.
        outputs: of a generated text: the tokens that are explained, one for each row of values.
        tokenizer: of `text`, in place of `tokens`.
        title: over the widget, and of its page.
        target: what is explained: a class by number, or in words; a list with one for each input. It also chooses among
            the classes of a `shap.Explanation`.
        labels: class names, a list or a dict by class number.
        score: what the model said for each input, and `baseline_score`, what it said for the baseline: the sum of the values
            is held against the difference.
        delta: by how much the sum misses that difference, where the library says so; by name if there are several values.
        error: an estimate of the relative error of the values.
        baseline: what the inputs were compared with, in words.
        signed: whether a value's sign means something. Without it, as soon as one of the values is negative.
        unit: of the values, in words.
        reduction: how the channels of an image become one number: "sum", "magnitude" or "l2". The reader can change it.
        channels: "first" or "last", where an image's colours cannot be told from its height and width.

    Everything that needs no model works as in other widgets; what-if, other classes and tests of the map do not.
    `.result` is the Attribution on show.

    Raises:
        InputError: values and inputs do not fit together, or are no numbers.
        ParameterError: an unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ParameterError(
            "unknown_reduction", f"There is no reduction {reduction!r}", hint=did_you_mean(reduction, REDUCTIONS)
        )
    if channels not in (None, "first", "last"):
        raise ParameterError("unknown_channels", f"channels={channels!r} is not known", hint='"first" or "last".')
    readings = _readings(values, target)
    told = {"target": target, "score": score, "baseline_score": baseline_score, "delta": delta, "error": error,
            "baseline": baseline, "signed": signed, "unit": unit}  # fmt: skip
    about_text = tokens is not None or text is not None or any(one.is_text for one in readings.values())
    widget: BroughtHeatmap | BroughtStrip
    if about_text:
        texts = texts_of(list(readings.values()), tokens, text, outputs, tokenizer)
        found = {name: rows(one, texts, name) for name, one in readings.items()}
        choices = [_choice(name, readings[name], own, told, added=added) for name, (own, added) in found.items()]
        widget = BroughtStrip(choices, texts, labels=labels, heading=title or "")
    else:
        pictures = (
            image
            if image is not None
            else next((one.pictures for one in readings.values() if one.pictures is not None), None)
        )
        views, note = (None, "") if pictures is None else photos(pictures)
        count = None if views is None else len(views)
        split = {name: _images(one, name, count, channels) for name, one in readings.items()}
        first, *others = split
        for name in others:
            if len(split[name]) != len(split[first]):
                raise InputError(
                    "input_count", f"{first!r} is about {len(split[first])} images and {name!r} about {len(split[name])}",
                    hint="Values of different inputs are different widgets.",
                )  # fmt: skip
        choices = [_choice(name, readings[name], own, told) for name, own in split.items()]
        widget = BroughtHeatmap(choices, views, labels=labels, note=note, reduction=reduction, heading=title or "")
    return widget.run().wait()


def _readings(values: Any, target: Any) -> dict[str, Reading]:
    """What there is to choose from, by name."""
    several = isinstance(values, Mapping)
    if several and not values:
        raise InputError("no_values", "There are no values", hint="Pass {name: values}.")
    found: dict[str, Reading] = {}
    for given, one in values.items() if several else [("", values)]:
        if one is None or isinstance(one, (str, bytes)):
            raise InputError(
                "no_numbers",
                f"{given or 'values'} holds no numbers",
                f"Got {type(one).__name__}.",
                "Pass an array, or what a library gave.",
            )
        wanted = target if isinstance(target, (int, str)) else None
        readings = read(one, wanted)
        for reading in readings:
            name = (
                reading.title
                if not given
                else str(given)
                if len(readings) == 1
                else f"{given}: {reading.title.removeprefix('SHAP: ')}"
            )
            while name in found:
                name += " (2)"
            found[name] = reading
    return found


def _images(reading: Reading, name: str, count: int | None, channels: Channels | None) -> list[Array]:
    values = reading.values
    if isinstance(values, np.ndarray) and values.ndim < 2:
        raise InputError(
            "values_shape", f"{name}: values of shape {list(values.shape)} are no image",
            hint='Values of a text need its tokens: tokens=["one", "string", "for", "each"].',
        )  # fmt: skip
    return maps(values, count, channels, name)


def _choice(
    name: str, reading: Reading, values: list[Array], told: Mapping[str, Any], *, added: bool = False
) -> Choice:
    count = len(values)

    def own(what: str, otherwise: Any = None) -> Any:
        given = told[what]
        given = given.get(name) if isinstance(given, Mapping) else given
        return otherwise if given is None else given

    scores, starts = (numbers(own(what, getattr(reading, what)), count, what) for what in ("score", "baseline_score"))
    deltas = numbers(own("delta", reading.delta), count, "delta")
    targets = _targets(told["target"], reading.targets, count)
    sign = own("signed", reading.signed)
    sign = any((one < 0).any() for one in values) if sign is None else sign
    for place, (score, start) in enumerate(zip(scores, starts, strict=True)):
        # strengths promise no sum
        if sign and deltas[place] is None and score is not None and start is not None:
            deltas[place] = float(np.nansum(values[place], dtype=np.float64)) - (score - start)
    note = " ".join(
        filter(None, [reading.rounding, "The values of each token's vector were added up." if added else ""])
    )
    return Choice(
        name, name, [Row(*row) for row in zip(values, targets, deltas, scores, starts, strict=True)],
        bool(sign), str(own("unit", reading.unit)), reading.complete,
        str(own("baseline", "")), reading.about, note, own("error", reading.error), reading.seconds, reading.parameters,
    )  # fmt: skip


def _targets(told: Any, read_: list[Any] | None, count: int) -> list[Any]:
    """What is explained, for each input: as told, or else as it came with the values."""
    if told is None or (read_ is not None and isinstance(told, (int, str))):
        known = read_ or [None]
    else:
        if isinstance(told, (Tensor, np.ndarray)):
            told = told.tolist()
        known = list(told) if isinstance(told, (list, tuple)) else [told]
    if len(known) == 1:
        return known * count
    if len(known) != count:
        raise InputError(
            "target_count", f"target= names {len(known)} classes for {count} inputs", hint="Pass one for each."
        )
    return known
