"""Maps that explain nothing: what the model does plays no part in them. A metric must tell an explanation from these.

They are asked for by name like methods, and `evaluate(controls=True)` adds those that fit. Beneath them are plain functions
of the points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial
from xaiwidgets.text.groups import group
from xaiwidgets.text.tokens import Tokens

from .case import generator_of
from .registry import control

LUMINANCE = (0.299, 0.587, 0.114)
SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], dtype=torch.float64) / 8
SMOOTH = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4

Seed = Annotated[int, Note("Seed of the map.", kind="seed")]


@control(title="Random map")
def random(problem: Problem, *, seed: Seed = 0) -> Iterator[Partial]:
    """Normal noise: a map that knows neither the input nor the model."""
    yield Partial(random_map(problem.points, seed), 1, 1)


@control(
    title="Edge detector",
    reference="Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim (2018), Sanity Checks for Saliency Maps, arXiv:1810.03292",
    needs=("image",),
)
def edges(problem: Problem) -> Iterator[Partial]:
    """The edges of the image, slightly blurred: a map that knows the input but not the model."""
    yield Partial(edge_map(problem.points), 1, 1)


@control(title="Word lengths", needs=("text",))
def lengths(problem: Problem) -> Iterator[Partial]:
    """The letters of each word: a map that knows the text but not the model."""
    raise InputError(
        "not_a_text",
        "Word lengths are of texts",
        f"The input has shape {list(problem.points.shape)}.",
        'Pass texts and a tokenizer, or use the control "random".',
    )
    yield  # a generator like every control; of texts, `length_map` answers


def random_map(points: Tensor, seed: int = 0) -> Tensor:
    """Independent normal numbers for every place of points [rows, ...]; those of a row depend on the seed and its number.

    [rows, 1, places...] for [rows, channels, places...] with two axes of places or more, else like the points. The first
    numbers of a row do not depend on how many there are: padding changes nothing.
    """
    shape = (1, *points.shape[2:]) if points.ndim > 3 else tuple(points.shape[1:])
    drawn = []
    for row in range(len(points)):
        even = torch.rand(shape, generator=generator_of(seed, row, "random map"), dtype=torch.float64)
        drawn.append(torch.special.ndtri(even.clamp(min=1e-12)))
    return torch.stack(drawn).to(points)


def edge_map(points: Tensor) -> Tensor:
    """How steeply the brightness changes at each place of images [rows, channels, h, w]: [rows, 1, h, w], never negative.

    Sobel's operator on the luminance (the mean of the channels where there are not three), borders repeated, then a 3 × 3
    binomial blur. Raises InputError for anything but images.
    """
    if points.ndim != 4:
        raise InputError(
            "not_an_image",
            "Edges are of images [batch, channels, height, width]",
            f"The input has shape {list(points.shape)}.",
            'Use the control "random".',
        )
    channels = points.shape[1]
    weights = points.new_tensor(LUMINANCE if channels == 3 else [1 / channels] * channels).reshape(1, -1, 1, 1)
    bright = (points * weights).sum(1, keepdim=True)
    across, down = (_filtered(bright, kernel) for kernel in (SOBEL, SOBEL.T))
    return _filtered((across.square() + down.square()).sqrt(), SMOOTH[:, None] * SMOOTH)


def length_map(rows: Sequence[Tokens]) -> Tensor:
    """[rows, tokens] the letters of the word each token belongs to; 0 for special tokens and padding.

    Long words are rare and say much, so that many a map of a text resembles this one.
    """
    lengths = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.float32)
    for row, tokens in enumerate(rows):
        for word in group(tokens, "word").spans:
            letters = sum(map(str.isalnum, tokens.slice(word)))
            lengths[row, [place for place in word.members if tokens.words[place]]] = letters
    return lengths


def _filtered(images: Tensor, kernel: Tensor) -> Tensor:
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, kernel.to(images)[None, None])
