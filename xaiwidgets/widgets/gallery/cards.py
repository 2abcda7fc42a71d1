"""Cards of answers, and what a saved page keeps of the user's data to fill them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from xaiwidgets.widgets.questions import keep

from .answers import Answer
from .asks import Query
from .facts import Facts
from .media import Album, card_picture, cut
from .pack import finite
from .ranking import Scored, leading

log = logging.getLogger(__name__)
SAVED_PICTURES = 24
"""A side, and of the triage: what a saved page shows."""
KEEP_PICTURES = 400
KEEP_CARDS = 4_000


class Keepsakes:
    """Pictures, texts and cells of examples, read once from the user's data."""

    def __init__(self, album: Album, facts: Facts) -> None:
        self._album, self._facts = album, facts
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        self._cards: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def card(self, position: int) -> dict[str, Any]:
        """The text or the cells of a training example; nothing where it has a picture."""
        if self._album.medium == "image":
            return {}
        if position not in self._cards:
            keep(self._cards, position, self._album.card(position), KEEP_CARDS)
        return self._cards[position]

    def query_card(self, query: Query) -> dict[str, Any]:
        """The same of a query."""
        if self._album.medium == "image":
            return {}
        own = {"text": query.text} if query.text is not None else None
        return cut(own or self._album.media.card(query.inputs, query.training))

    def query_picture(self, query: Query, key: str) -> dict[str, bytes]:
        """Its entry in `sprites`, if it has one."""
        pixels = self._album.media.pixels(query.inputs)
        return {} if pixels is None else {key: card_picture(pixels)}

    def saved(
        self, own: dict[str, bytes], items: Sequence[dict[str, Any]], leaders: tuple[list[int], list[int]]
    ) -> dict[str, Any]:
        """What a saved page shows without a kernel: pictures of those that lead, of the triage, and of the query (`own`)."""
        suspicious = self._facts.suspicious(SAVED_PICTURES)
        if self._album.medium == "image":
            wanted = dict.fromkeys([items[row]["id"] for side in leaders for row in side] + suspicious)
            pictures = {str(position): self._picture(position) for position in wanted}
            return {"sprites": own | {key: data for key, data in pictures.items() if data}}
        stored = {item["id"] for item in items}
        rest = {str(position): self.card(position) for position in suspicious if position not in stored}
        name, trait = ("text", "texts") if self._album.medium == "text" else ("cells", "cells")
        return {trait: {position: card[name] for position, card in rest.items()}}

    def _picture(self, position: int) -> bytes:
        """Nothing where the data set fails: the page asks for that one again, and is told why."""
        if position not in self._pictures:
            try:
                sprite = self._album.sprite(position)
            except Exception:
                log.debug("no picture of example %d", position, exc_info=True)
                return b""
            keep(self._pictures, position, sprite, KEEP_PICTURES)
        return self._pictures[position]


def cards(answer: Answer, facts: Facts, said: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The `items` trait. `said`: the text or the cells of an example."""
    shares = answer.hubs
    twins = answer.duplicates or {}
    return [
        {
            "id": position, **facts.card(position), "hub": None if shares is None else shares.share(position),
            "dup": twins.get(position), **said(position),
        }
        for position in map(int, answer.scored.ids)
    ]  # fmt: skip


def query_card(answer: Answer, query: Query, facts: Facts, said: dict[str, Any]) -> dict[str, Any]:
    """The `query` trait."""
    asked = answer.asked
    chances = asked.chances
    yhat = None if chances is None else int(chances.argmax())
    own = query.training if query.training is not None else answer.same_as
    given = query.given if own is None else facts.card(own)["y"]
    usual = query.label.item() if isinstance(query.label, Tensor) and query.label.numel() == 1 else query.label
    return {
        "key": f"q{answer.request.input}", "y": given, "yhat": yhat,
        "conf": None if chances is None or yhat is None else float(chances[yhat]), "loss": finite(asked.loss),
        "label": asked.label, "usual": yhat if usual is None else usual if isinstance(usual, (int, float)) else None,
        "training_id": own, **said,
    }  # fmt: skip


def ends(
    scored: Scored, mode: str, mask: Sequence[bool] | None, own: int | None, count: int
) -> tuple[list[int], list[int]]:
    """Rows of the leading proponents and opponents, without the query itself."""
    scores = scored.by(mode, mask)
    if own is not None:
        scores = np.where(scored.ids == own, 0.0, scores)
    proponents, opponents = leading(scores, count)
    return proponents.tolist(), opponents.tolist()
