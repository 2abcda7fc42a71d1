"""What examples look like: pictures, texts, or rows of a table. Read from the user's data set when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.pictures import encode
from xaiwidgets.text.tokenizers import decode, words_of
from xaiwidgets.widgets.images import Pixels, as_pixels, undone
from xaiwidgets.widgets.words import encodable

from .pack import shortened

SIDE = 96
"""Pixels of the longer side of a stored picture."""
EXACT_BYTES = 1024
"""What such a picture may weigh as PNG: there are many, to recognise an example by."""
SAMPLE = 64
CARD_TEXT = 400
"""Characters of a text that a card keeps."""
NUMBERS = ("input_ids", "ids", "tokens")
MOST_CELLS = 64
GREY = 128

Reader = Callable[[int], Any]
"""The inputs of one training example, a batch of one."""
Cells = list[list[str]]


class Media(Protocol):
    """How examples are shown. `inputs` is what the model is called with, a batch of one."""

    medium: str
    note: str

    def card(self, inputs: Any, position: int | None) -> dict[str, Any]:
        """What a card says besides its picture: {"text"} or {"cells"}. `position`: of a training example."""

    def pixels(self, inputs: Any) -> Pixels | None:
        """The picture, if there is one."""


class ImageMedia:
    """Pictures. `image`: from a batch [n, c, h, w] to values in 0..1; found out from a sample otherwise."""

    medium = "image"

    def __init__(self, sample: Sequence[Any], image: Any = None) -> None:
        if image is not None and not callable(image):
            raise InputError(
                "image_function", "image= of trace() is a function",
                f"Got a {type(image).__name__}.", "Pass one from a batch [n, c, h, w] to values in 0..1.",
            )  # fmt: skip
        rows = torch.cat([picture_of(one).detach().cpu().float() for one in sample])
        self.undo: Callable[[Tensor], Tensor]
        self.undo, self.note = (image, "") if image is not None else undone(rows)

    def card(self, _inputs: Any, _position: int | None) -> dict[str, Any]:
        return {}

    def pixels(self, inputs: Any) -> Pixels | None:
        return as_pixels(self.undo(picture_of(inputs).detach())[0])


class TextMedia:
    """Texts: given ones, or what the token numbers say."""

    medium = "text"
    note = ""

    def __init__(self, tokenizer: Any = None, texts: Any = None) -> None:
        self._tokenizer, self._texts = tokenizer, texts

    def card(self, inputs: Any, position: int | None) -> dict[str, Any]:
        return {"text": encodable(self._text(inputs, position))}

    def pixels(self, _inputs: Any) -> Pixels | None:
        return None

    def _text(self, inputs: Any, position: int | None) -> str:
        if self._texts is not None and position is not None:
            return str(self._texts(position) if callable(self._texts) else self._texts[position])
        ids, mask = numbers_of(inputs)
        numbers = [number for number, kept in zip(ids.tolist(), mask.tolist(), strict=True) if kept]
        text = decode(numbers, self._tokenizer)
        if text is not None:
            return text
        return " ".join(words_of(numbers, self._tokenizer).surfaces)


class RowsMedia:
    """Rows of numbers, with the names of their columns."""

    medium = "rows"
    note = ""

    def __init__(self, sample: Any, columns: Sequence[str] | None = None) -> None:
        count = len(values_of(sample))
        if columns is not None and len(columns) != count:
            raise InputError(
                "column_count", f"columns= names {len(columns)} columns, and a row has {count}", hint="Name each one."
            )
        self.columns = [encodable(str(name)) for name in columns or [f"column {number + 1}" for number in range(count)]]

    def card(self, inputs: Any, _position: int | None) -> dict[str, Any]:
        values = values_of(inputs)[:MOST_CELLS]
        return {"cells": [[name, f"{value:.4g}"] for name, value in zip(self.columns, values, strict=False)]}

    def pixels(self, _inputs: Any) -> Pixels | None:
        return None


class Album:
    """The examples of one data set and some queries, as they are shown. Safe to ask from several threads."""

    def __init__(self, media: Media, read: Reader) -> None:
        self.media, self._read = media, read
        self._lock = threading.Lock()

    @property
    def medium(self) -> str:
        return self.media.medium

    def inputs(self, position: int) -> Any:
        """What the model is called with for one training example, a batch of one."""
        with self._lock:
            return self._read(position)

    def card(self, position: int, *, whole: bool = False) -> dict[str, Any]:
        """The text (cut to what a card keeps, unless `whole`) or the cells of a training example."""
        inputs = None if self.medium == "image" else self.inputs(position)
        card = self.media.card(inputs, position)
        return card if whole else cut(card)

    def pixels(self, position: int) -> Pixels | None:
        """The picture of a training example."""
        return self.media.pixels(self.inputs(position)) if self.medium == "image" else None

    def sprite(self, position: int) -> bytes:
        """The same as the bytes of a small picture; nothing where there is none."""
        pixels = self.pixels(position)
        return b"" if pixels is None else card_picture(pixels)

    def close(self) -> None:
        """Let go of the data set."""
        self.__dict__.pop("_read", None)


def cut(card: dict[str, Any]) -> dict[str, Any]:
    """A card with no more of its text than it keeps."""
    return card | {"text": shortened(card["text"], CARD_TEXT)} if "text" in card else card


def media_of(
    sample: Sequence[Any],
    *,
    image: Any = None,
    tokenizer: Any = None,
    texts: Any = None,
    columns: Sequence[str] | None = None,
) -> Media:
    """How examples like these are shown. `sample`: inputs of some, batches of one.

    Raises InputError for what is neither pictures nor texts nor rows.
    """
    if tokenizer is not None or texts is not None or _has_numbers(sample[0]):
        if tokenizer is None and texts is None:
            raise InputError(
                "no_tokenizer", "The examples are token numbers, and nothing says which words they are",
                hint="Pass tokenizer=, or texts= with one text for each training example.",
            )  # fmt: skip
        return TextMedia(tokenizer, texts)
    if any(leaf.ndim == 4 for leaf in leaves(sample[0])):
        return ImageMedia(sample, image)
    return RowsMedia(sample[0], columns)


def leaves(inputs: Any) -> list[Tensor]:
    """The tensors among a model's inputs."""
    if isinstance(inputs, Tensor):
        return [inputs]
    values = inputs.values() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, (tuple, list)) else ()
    return [leaf for value in values for leaf in leaves(value)]


def picture_of(inputs: Any) -> Tensor:
    """The picture [1, c, h, w] among a model's inputs. Raises InputError if there is none."""
    found = [leaf for leaf in leaves(inputs) if leaf.ndim == 4]
    if not found:
        raise InputError("not_an_image", "There is no picture [1, channels, height, width] among the inputs")
    return found[0].float() / 255 if found[0].dtype == torch.uint8 else found[0]


def numbers_of(inputs: Any) -> tuple[Tensor, Tensor]:
    """The token numbers [T] among a model's inputs, and which of them are no padding."""
    named = dict(inputs) if isinstance(inputs, Mapping) else {}
    ids = next((named[name] for name in NUMBERS if name in named), None)
    if ids is None:
        ids = next((leaf for leaf in leaves(inputs) if leaf.ndim == 2 and not leaf.is_floating_point()), None)
    if ids is None:
        raise InputError("not_a_text", "There are no token numbers [1, tokens] among the inputs")
    mask = named.get("attention_mask")
    kept = torch.ones(ids.shape[1], dtype=torch.bool) if mask is None else torch.as_tensor(mask)[0].cpu() != 0
    return torch.as_tensor(ids)[0].cpu(), kept


def values_of(inputs: Any) -> NDArray[np.float64]:
    """All numbers of a row."""
    parts = [leaf.detach().cpu().double().flatten().numpy() for leaf in leaves(inputs)]
    if not parts:
        raise InputError(
            "not_a_row", f"A {type(inputs).__name__} cannot be shown", hint="Pass texts= to say what to show."
        )
    return np.concatenate(parts)


def card_picture(pixels: Pixels) -> bytes:
    """The bytes of a card's picture: of an example, or of the query beside them."""
    return encode(small(pixels, SIDE), exact_bytes=EXACT_BYTES, small=85)


def small(pixels: Pixels, side: int) -> Pixels:
    """At most `side` pixels on the longer side."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def square(pixels: Pixels, side: int) -> Pixels:
    """In the middle of a grey square of `side` pixels; what is much smaller is enlarged by whole pixels."""
    pixels = small(pixels, side)
    times = max(side // max(pixels.shape[:2]), 1)
    pixels = pixels.repeat(times, 0).repeat(times, 1)
    height, width = pixels.shape[:2]
    framed = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    framed[top : top + height, left : left + width] = pixels
    return framed


def _has_numbers(inputs: Any) -> bool:
    """Whether all there is are whole numbers, more than one in a row."""
    found = leaves(inputs)
    whole = bool(found) and all(not leaf.is_floating_point() and leaf.dtype != torch.bool for leaf in found)
    return (
        whole and any(leaf.ndim == 2 and leaf.shape[1] > 1 for leaf in found) and all(leaf.ndim < 4 for leaf in found)
    )
