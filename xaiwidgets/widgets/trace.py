"""`xaiwidgets.trace`: from an index of training examples and a query to the gallery that shows who made the model say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.text.session import call_of
from xaiwidgets.text.tokenizers import tokenize
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.training.registry import find_training_method
from xaiwidgets.widgets.example_gallery import ExampleGallery
from xaiwidgets.widgets.gallery.answers import Answers
from xaiwidgets.widgets.gallery.asks import PLAIN, Menu, Query, beyond_json
from xaiwidgets.widgets.gallery.media import SAMPLE, Album, leaves, media_of
from xaiwidgets.widgets.gallery.pack import shortened
from xaiwidgets.widgets.gallery.pair import Pairs
from xaiwidgets.widgets.questions import whole
from xaiwidgets.widgets.tokens.explain import own_labels
from xaiwidgets.widgets.tokens.reading import is_text
from xaiwidgets.widgets.words import Labels, encodable

TITLE = 60
"""Characters of a text in the menu of queries."""


def trace(
    index: Any,
    query: Any,
    *,
    k: int = 12,
    label: Any = None,
    given: Any = None,
    method: str = "tracin",
    labels: Labels = None,
    tokenizer: Any = None,
    image: Any = None,
    texts: Any = None,
    columns: Sequence[str] | None = None,
    checkpoints: Sequence[bool] | None = None,
    everything: bool = False,
    **parameters: Any,
) -> ExampleGallery:
    """Show which training examples made a model say so about a query, live: an `ExampleGallery`.

    Args:
        index: a `TrainingIndex` with its model and its data set.
        query: an input like the model's, the batch first (several rows become a menu); a text, or a list of texts, with
            its `tokenizer`; or `{"training": position}` (a list of positions) for training examples themselves.
        k: cards in a row.
        label: the label whose loss is asked about, or one for each query; "given" for the training examples' own. None:
            the class the model predicts.
        given: the labels the queries have, where they are known: shown beside the predictions, and nothing more.
        method: a name from the index's training methods; TracIn by default. The widget can change it.
        labels: class names, a list or a dict by class number; of texts, the model's own names if it has any.
        tokenizer: of texts: Hugging Face's, or whatever else `explain` takes.
        image: from a batch [n, channels, height, width] to values in 0..1, undoing the normalisation. Without it, the
            usual normalisations are recognised and the widget says so.
        texts: what to show of training examples: one text for each, or a function from a position to it. Without them,
            token numbers are decoded.
        columns: of rows of numbers, the names of the columns.
        checkpoints: which checkpoints count at first, one true or false each. The reader can change it.
        everything: score every training example, even where the index could leave most of them out.
        parameters: of the method.

    The computation starts at once, in the background: `.wait()` blocks until it is done and raises its error, `.result`
    is the Influence on show, `.selected_indices` and `.verdicts` what the reader chose and decided, `.to_html(path)` writes
    a page that works without a kernel.

    Raises:
        InputError: the query does not fit the training data, or these cannot be shown.
        ParameterError: an unknown method or parameter, or a value out of range.
    """
    chosen = find_training_method(method)
    checked = chosen.check(parameters)
    data = index.spec.data
    sample = [
        data.batch([int(at)])[0] for at in np.unique(np.linspace(0, len(data) - 1, min(SAMPLE, len(data))).astype(int))
    ]
    media = media_of(sample, image=image, tokenizer=tokenizer, texts=texts, columns=columns)
    queries = _queries(index, query, label, given, tokenizer=tokenizer, like=sample[0])
    menu = Menu(queries, beyond_json(chosen.name, parameters), vectors=index.shards.projection is not None)
    answers = Answers(index, menu, Album(media, lambda position: data.batch([position])[0]), everything=everything)
    mask = [True] * len(answers.rates) if checkpoints is None else [bool(one) for one in checkpoints]
    if len(mask) != len(answers.rates) or not any(mask):
        raise ParameterError(
            "unknown_checkpoint", f"checkpoints={checkpoints!r} does not choose from {len(answers.rates)}",
            hint="One true or false for each, at least one of them true.",
        )  # fmt: skip
    gallery = ExampleGallery(
        answers,
        Pairs(answers.model, media, tokenizer),
        labels=own_labels(index.spec.model) if labels is None else labels,
        k=k,
        params={
            "input": 0, "target": None, "foil": None, "method": chosen.name, "baseline": "",
            "parameters": {name: value for name, value in checked.items() if isinstance(value, PLAIN)},
        },
    )  # fmt: skip
    gallery.ckpt_mask = mask
    gallery.run()
    return gallery


def _queries(index: Any, query: Any, label: Any, given: Any, *, tokenizer: Any, like: Any) -> list[Query]:
    """One for each row, its label with it."""
    data = index.spec.data
    if isinstance(query, Mapping) and set(query) == {"training"}:
        chosen = query["training"]
        positions = [chosen] if isinstance(chosen, (int, np.integer)) else list(chosen)
        numbers = [whole(int(one), "training", len(data)) for one in positions]
        found = []
        for number, own in zip(numbers, _labels(label, len(numbers)), strict=True):
            inputs, labels = data.batch([number])
            asked = labels[0] if isinstance(own, str) else own
            found.append(Query(inputs, f"training example {number}", number, asked))
    else:
        if isinstance(label, str):
            raise InputError(
                "query_labels", 'label="given" is for training examples', hint='Pass {"training": position}.'
            )
        rows = _rows(index, query, tokenizer, like)
        asked, known = (_labels(one, len(rows)) for one in (label, given))
        found = [
            replace(row, label=own, given=None if y is None else torch.as_tensor(y).item())
            for row, own, y in zip(rows, asked, known, strict=True)
        ]
    if not found:
        raise InputError("empty_batch", "There is no query", hint="Pass at least one row.")
    return found


def _rows(index: Any, query: Any, tokenizer: Any, like: Any) -> list[Query]:
    """What was passed, row by row."""
    if is_text(query):
        if tokenizer is None:
            raise InputError(
                "no_tokenizer", "A text needs its tokenizer", hint="Pass tokenizer=, as it came with the model."
            )
        texts = query if isinstance(query, list) else [query]
        read = [encodable(_text_of(one)) for one in texts]
        return [
            Query(
                _tokenized(one, tokenizer, index.spec.model, like), shortened(" ".join(text.split()), TITLE), text=text
            )
            for one, text in zip(texts, read, strict=True)
        ]
    batch = _batched(query, like)
    sizes = {len(leaf) for leaf in leaves(batch)}
    if len(sizes) != 1:
        raise InputError(
            "not_like_training", f"The query is a {type(query).__name__}, unlike the training data",
            hint="Pass what the model is called with, the batch first: a tensor, or a tuple or dict of tensors.",
        )  # fmt: skip
    (count,) = sizes
    return [Query(_row(batch, number), f"query {number + 1}") for number in range(count)]


def _text_of(text: Any) -> str:
    """As it is shown: two that are read together, one after the other."""
    if isinstance(text, Tokens):
        return text.text
    return text if isinstance(text, str) else " ".join(text)


def _tokenized(text: Any, tokenizer: Any, model: Any, like: Any) -> Any:
    """A text as the training data has its texts: token numbers alone, or by name with what belongs to them."""
    call, own = call_of(model, [text if isinstance(text, Tokens) else tokenize(text, tokenizer)])
    if isinstance(like, Tensor):
        return call[own]
    if isinstance(like, Mapping):
        ones = torch.ones_like(call[own])
        spare = {"attention_mask": ones, "token_type_ids": torch.zeros_like(ones)}
        return {name: call.get(name, spare.get(name)) for name in like if name in call or name in spare}
    raise InputError(
        "not_like_training", "The model takes more than the text", hint="Pass the query as the model is called with it."
    )


def _batched(query: Any, like: Any) -> Any:
    """With the batch first: one example without it is unmistakable."""
    if isinstance(query, np.ndarray):
        query = torch.as_tensor(query)
    if isinstance(query, Tensor) and isinstance(like, Tensor) and query.ndim == like.ndim - 1:
        return query[None]
    return tuple(query) if isinstance(query, list) else query


def _row(batch: Any, number: int) -> Any:
    if isinstance(batch, Tensor):
        return batch[number : number + 1]
    if isinstance(batch, Mapping):
        return {name: _row(value, number) for name, value in batch.items()}
    return tuple(_row(value, number) for value in batch)


def _labels(label: Any, count: int) -> list[Any]:
    """One for each query."""
    if label is None or isinstance(label, (str, int, float, np.number)):
        if isinstance(label, str) and label != "given":
            raise InputError("query_labels", f"label={label!r} is no label", hint='A class number, "given", or None.')
        return [label] * count
    if isinstance(label, Tensor) and label.ndim == 0:
        return [label] * count
    if len(label) != count:
        raise InputError("query_labels", f"{len(label)} labels for {count} queries", hint="Pass one for each.")
    return list(label)
