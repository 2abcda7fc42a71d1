"""What was explained, as it is shown: pictures, or words with a number each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError
from xaiwidgets.live.pictures import encode, thumbnails
from xaiwidgets.widgets.gallery.media import leaves, small
from xaiwidgets.widgets.gallery.pack import shortened
from xaiwidgets.widgets.images import Pixels, pictures
from xaiwidgets.widgets.tokens.reading import is_text
from xaiwidgets.widgets.words import encodable

MOST = 24
"""Inputs that are shown; all are measured."""
SIDE = 160
"""Pixels on the longer side of a stored picture."""
MOST_NUMBERS = 512
"""Of a row of numbers; longer ones are not shown."""
TITLE = 80


@dataclass(frozen=True, eq=False)
class Subject:
    """The shown inputs.

    views    of images, their pictures; empty where they are not known
    titles   one for each shown input; empty where nothing is known but their number
    tokens   of texts and rows of numbers; those of texts come with the evaluation
    note     how the colours of pictures were guessed
    """

    medium: str = "image"
    views: Sequence[Pixels] = ()
    titles: Sequence[str] = ()
    tokens: Sequence[Sequence[str]] = ()
    note: str = ""
    stored: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stored", {
            "medium": self.medium,
            "thumbnails": thumbnails(list(self.views)) if self.views else b"",
            "pictures": {str(row): encode(small(view, SIDE)) for row, view in enumerate(self.views)},
            "tokens": [list(words) for words in self.tokens],
        })  # fmt: skip

    def title(self, row: int) -> str:
        """What an input is called."""
        return self.titles[row] if row < len(self.titles) else f"input {row + 1}"


def subject_of(inputs: Any, *, image: Any = None, texts: bool = False) -> Subject:
    """How inputs are shown: a text or a list of them, images, rows of numbers; None where they are not known.

    Raises InputError for pictures that do not fit.
    """
    if inputs is None:
        return Subject()
    if texts or is_text(inputs):
        rows = inputs if isinstance(inputs, list) else [inputs]
        said = [one if isinstance(one, str) else " ".join(map(str, one)) for one in rows[:MOST]]
        return Subject("text", titles=[shortened(encodable(" ".join(one.split())), TITLE) for one in said])
    tensors = leaves(inputs if not isinstance(inputs, list) else tuple(inputs))
    images = [leaf for leaf in tensors if leaf.ndim == 4]
    if images:
        views, note = _views(images[0], image)
        return Subject(views=views, titles=[f"input {row + 1}" for row in range(len(views))], note=note)
    numbers = [leaf for leaf in tensors if leaf.is_floating_point()]
    width = numbers[0][0].numel() if numbers and numbers[0].ndim > 1 else 0
    names = [f"{column + 1}" for column in range(width)] if width <= MOST_NUMBERS else []
    return Subject("text", tokens=[names] * (min(len(numbers[0]), MOST) if numbers else 0))


def _views(images: Tensor, image: Any) -> tuple[list[Pixels], str]:
    if isinstance(image, (list, tuple)):
        if len(image) != len(images):
            raise InputError(
                "image_count", f"image= holds {len(image)} pictures for {len(images)} inputs",
                hint="Pass one picture for each input.",
            )  # fmt: skip
        image = list(image[:MOST])
    if image is not None and not callable(image):
        return pictures(images[:MOST], image)
    shown = images[:MOST].detach().float() / (255 if images.dtype == torch.uint8 else 1)
    return pictures(shown, image)
