"""Results of attribution libraries, told apart by what they hold: no library is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Number
from typing import Any

import numpy as np

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import METHODS

from .arrays import CALL, Array, array, is_numeric, summed
from .reading import Reading

MOST_OUTPUTS = 24
"""Classes of one result that become choices of the menu."""


def read(value: Any, target: Any = None) -> list[Reading]:
    """What a value says: one reading, or one for each class that it explains. Raises InputError.

    target   which of several classes is wanted
    """
    for fits, reader in _READERS:
        if fits(value):
            return reader(value, target)
    return [Reading(array(value))]


# --- this package ---------------------------------------------------------------------------------------------------------


def _attribution(value: Attribution, target: Any) -> list[Reading]:  # noqa: ARG001 - it is about one
    parts = list(value.values.values()) if isinstance(value.values, Mapping) else value.values
    known = METHODS.get(value.method)
    base = _tuple(tuple(parts), None)[0] if isinstance(parts, (tuple, list)) else Reading(array(parts))
    return [
        replace(
            base, title=known.title if known else value.method, delta=value.delta, score=value.score,
            baseline_score=value.baseline_score, error=value.error, complete=bool(known and known.complete),
            signed=known.signed or None if known else None, unit=known.unit.format(score="score") if known else "",
            seconds=value.seconds, parameters=value.parameters, targets=_classes(value.target),
            about=known.summary if known else "An attribution that was saved.",
        )
    ]  # fmt: skip


def _classes(target: Any) -> list[Any] | None:
    if isinstance(target, int) and not isinstance(target, bool):
        return [target]
    return None if not is_numeric(target) else [int(one) for one in np.asarray(target).reshape(-1)]


# --- SHAP -----------------------------------------------------------------------------------------------------------------


def _is_shap(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("values", "base_values", "data", "output_names"))


def _shap(value: Any, target: Any) -> list[Reading]:
    """A `shap.Explanation` of texts or images, of one row or of several."""
    tokens = _strings(value.data)
    rows: list[Array] | Array
    if tokens is not None:
        one = not _is_nested(value.data)
        rows = [array(value.values)] if one else [array(row) for row in value.values]
        several = rows[0].ndim == 2
    else:
        rows = array(value.values)
        if value.data is None or np.ndim(value.data) < 2:
            raise InputError(
                "not_shown", f"SHAP values of shape {list(rows.shape)} are neither of a text nor of an image",
                hint="Tables have no widget here: shap.plots shows them.",
            )  # fmt: skip
        several = rows.ndim > np.ndim(value.data)
    about = "SHAP: with the base value, they add up to the model's output."
    base = Reading(
        rows, "SHAP", tokens, pictures=None if tokens is not None else np.asarray(value.data), signed=True, about=about
    )
    if not several:
        return [base]
    names = _names(value.output_names, rows[0].shape[-1] if isinstance(rows, list) else rows.shape[-1])
    found = []
    for place in _wanted(names, target):
        own = [row[..., place] for row in rows] if isinstance(rows, list) else rows[..., place]
        found.append(replace(base, values=own, title=f"SHAP: {names[place]}", targets=[names[place]]))
    return [replace(found[0], title="SHAP")] if len(found) == 1 else found


def _names(names: Any, count: int) -> list[str]:
    known = [] if names is None else list(np.asarray(names, dtype=object).reshape(-1))[:count]
    return [str(name) for name in known] + [f"output {place}" for place in range(len(known), count)]


def _wanted(names: list[str], target: Any) -> Sequence[int]:
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(names):
        return [target]
    if isinstance(target, str) and target in names:
        return [names.index(target)]
    if len(names) > MOST_OUTPUTS:
        raise InputError(
            "too_many_outputs", f"The values are about {len(names)} outputs", hint="Choose one: target=number or name."
        )
    return range(len(names))


def _strings(data: Any) -> list[list[str]] | None:
    """Tokens of one text or of several; None for what is no text."""
    if data is None or isinstance(data, str) or not hasattr(data, "__len__") or not len(data):
        return None
    if all(isinstance(one, str) for one in data):
        return [[str(one) for one in data]]
    rows = list(data)
    each = all(
        hasattr(row, "__len__") and not isinstance(row, str) and all(isinstance(one, str) for one in row)
        for row in rows
    )
    return [[str(one) for one in row] for row in rows] if each else None


def _is_nested(data: Any) -> bool:
    return not isinstance(data[0], str)


# --- captum ---------------------------------------------------------------------------------------------------------------


def _is_record(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("word_attributions", "raw_input_ids", "attr_class"))


def _records(values: list[Any], target: Any) -> list[Reading]:  # noqa: ARG001 - each is about one
    """Captum's records of texts."""
    return [
        Reading(
            [array(one.word_attributions).reshape(-1) for one in values], "Captum", [list(map(str, one.raw_input_ids)) for one in values],
            targets=[_plain(one.attr_class) for one in values], about="Captum's record of a text.",
            delta=[float(array(one.convergence_score).reshape(-1)[0]) for one in values] if all(one.convergence_score is not None for one in values) else None,
        )
    ]  # fmt: skip


def _is_generation(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("seq_attr", "token_attr", "input_tokens", "output_tokens"))


def _generation(value: Any, target: Any) -> list[Reading]:  # noqa: ARG001 - about every output token
    """Captum's attribution of what a language model wrote."""
    about = "Captum's attribution of what a language model wrote."
    tokens = [list(map(str, value.input_tokens))]
    if value.token_attr is None:
        return [Reading([array(value.seq_attr)], "Captum", tokens, targets=["the whole answer"], about=about)]
    return [Reading([array(value.token_attr)], "Captum", tokens, [list(map(str, value.output_tokens))], about=about)]


# --- inseq ----------------------------------------------------------------------------------------------------------------


def _is_inseq(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("source", "target", "source_attributions", "target_attributions"))


def _inseq_rows(values: list[Any], target: Any) -> list[Reading]:  # noqa: ARG001 - about every output token
    """Inseq's results of generated texts: [source, output] and [target, output], sometimes with the parts of each token's vector."""
    rows, tokens, outputs, parts = [], [], [], False
    for one in values:
        source, written = ([str(getattr(token, "token", token)) for token in side] for side in (one.source, one.target))
        first = int(getattr(one, "attr_pos_start", 0) or 0)
        last = getattr(one, "attr_pos_end", None) or len(written)
        blocks = []
        if one.source_attributions is not None:
            blocks.append(array(one.source_attributions))
            prompt = source + written[:first]
        else:
            prompt = written[:first]
        if one.target_attributions is not None:
            blocks.append(array(one.target_attributions))
        if not blocks:
            raise InputError("no_numbers", "inseq's result holds no attributions")
        if any(block.ndim == 3 for block in blocks):
            parts = True
            blocks = [summed(block, 2) for block in blocks]
        found = np.concatenate(blocks).T  # [outputs, source and target]
        rows.append(found[:, : len(prompt) + last - first])
        tokens.append(prompt)
        outputs.append(written[first:last])
    rounding = (
        "The parts of each token's vector were added up; call .aggregate() first for inseq's own way." if parts else ""
    )
    return [
        Reading(rows, "inseq", tokens, outputs, about="Inseq's attribution of what a model wrote.", rounding=rounding)
    ]


# --- transformers-interpret, and containers -------------------------------------------------------------------------------


def _is_pairs(value: Any) -> bool:
    """A list of (token, number)."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_pair, value))


def _is_pair(one: Any) -> bool:
    if not isinstance(one, (list, tuple)) or len(one) != 2 or not isinstance(one[0], str):
        return False
    return isinstance(one[1], Number) or is_numeric(one[1])


def _pairs(values: Sequence[Any], target: Any) -> list[Reading]:  # noqa: ARG001 - they are about one
    return [
        Reading(
            [np.array([float(number) for _, number in one], np.float32) for one in values],
            tokens=[[word for word, _ in one] for one in values],
        )
    ]


def _tuple(value: tuple[Any, ...], target: Any) -> list[Reading]:
    """What Captum and Zennit return: values of several inputs, values and a delta, an output and values."""
    first, *rest = value
    if len(rest) == 1 and isinstance(first, tuple):
        return [replace(_tuple(first, target)[0], delta=rest[0])]
    parts = [array(part) for part in value]
    if len(parts) == 1:
        return [Reading(parts[0])]
    if len(parts) == 2 and parts[1].ndim <= 1 < parts[0].ndim and parts[1].size == len(parts[0]):
        return [Reading(parts[0], delta=parts[1])]
    wide = [part for part in parts if part.ndim == max(one.ndim for one in parts)]
    if len(wide) == 1 and wide[0].ndim >= 3:
        return [Reading(wide[0])]
    raise InputError(
        "several_inputs", f"There are values of {len(parts)} inputs", f"Shapes {', '.join(str(list(part.shape)) for part in parts)}.",
        f"Choose one of them, as values[0]; several attributions of the same input: {CALL}",
    )  # fmt: skip


def _list(value: list[Any], target: Any) -> list[Reading]:
    """One entry for each input."""
    for fits, reader in _EACH:
        if all(map(fits, value)):
            return reader(value, target)
    if value and all(isinstance(one, Attribution) for one in value):
        found = [_attribution(one, target)[0] for one in value]
        rows = [row for one in found for row in one.values]
        return [
            replace(
                found[0],
                values=rows,
                targets=_every([one.targets for one in found]),
                delta=None,
                score=None,
                baseline_score=None,
                error=None,
            )
        ]
    if value and all(is_numeric(one) for one in value):
        return [Reading([array(one) for one in value])]
    return [Reading(array(value))]


def _every(targets: list[list[Any] | None]) -> list[Any] | None:
    known = [one for part in targets for one in part or []]
    return known if len(known) == len(targets) else None


def _plain(value: Any) -> Any:
    """A number or a name, whatever holds it."""
    if is_numeric(value) and np.asarray(value).size == 1:
        return np.asarray(value).item()
    return value


_EACH: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], list[Reading]]], ...] = (
    (_is_record, _records),
    (_is_inseq, _inseq_rows),
    (_is_pairs, _pairs),
)
"""Results of one input, of which several may come in a list."""
_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any], list[Reading]]], ...] = (
    (lambda value: isinstance(value, Attribution), _attribution),
    (_is_shap, _shap),
    (_is_generation, _generation),
    (lambda value: hasattr(value, "sequence_attributions"), lambda value, target: _inseq_rows(list(value.sequence_attributions), target)),
    *((fits, lambda value, target, reader=reader: reader([value], target)) for fits, reader in _EACH),
    (lambda value: isinstance(value, tuple) and len(value) > 0, _tuple),
    (lambda value: isinstance(value, list) and len(value) > 0, _list),
)  # fmt: skip
