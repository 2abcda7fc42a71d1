"""Pictures and texts that a page asks for while its reader scrolls. Requests add up; the newest are answered first."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from xaiwidgets.live.jobs import LatestJob, Token
from xaiwidgets.live.pictures import encode

from .media import Album, square

log = logging.getLogger(__name__)
TOGETHER = 24
"""Examples that travel in one message."""
WAITING = 2000
"""Of longer queues the oldest requests are forgotten: their reader has scrolled on."""
THUMBNAIL = 64

Send = Callable[[dict[str, Any], list[bytes]], None]


class Errands:
    """Answers `thumbs` and `texts` messages beside whatever else is computed."""

    def __init__(self, album: Album, size: int, send: Send) -> None:
        self._album, self._size, self._send = album, size, send
        self._waiting: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._lock = threading.Lock()
        self._job: LatestJob[None] = LatestJob(lambda _result, _last: None, lambda _state, _error: None)

    def ask(self, kind: str, ids: Iterable[Any]) -> None:
        """Queue some examples; `kind` is "thumbs" or "texts". Numbers of no example are left out."""
        with self._lock:
            wanted = [
                one for one in ids if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < self._size
            ]
            for position in reversed(wanted):
                self._waiting[kind, position] = None
                self._waiting.move_to_end((kind, position))
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
        if wanted:
            self._job.submit(self._work)

    def wait(self, timeout: float | None = None) -> None:
        """Block until every request is answered."""
        self._job.wait(timeout)

    def close(self) -> None:
        """Answer no more."""
        self._job.close()

    def _work(self, token: Token) -> Iterator[None]:
        while True:
            token.check()  # a newer request goes on with what is left here
            with self._lock:
                if not self._waiting:
                    return
                kind = next(reversed(self._waiting))[0]
                ids = [number for name, number in reversed(self._waiting) if name == kind][:TOGETHER]
                for position in ids:
                    del self._waiting[kind, position]
            self._send(*(self._thumbs(ids) if kind == "thumbs" else self._texts(ids)))
            yield

    def _thumbs(self, ids: list[int]) -> tuple[dict[str, Any], list[bytes]]:
        pictures, failed = {}, {}
        for position in ids:
            try:
                pixels = self._album.pixels(position)
            except Exception as error:
                log.debug("no picture of example %d", position, exc_info=True)
                failed[str(position)] = f"{type(error).__name__}: {error}"[:300]
                continue
            if pixels is not None:
                pictures[position] = square(pixels, THUMBNAIL)
        strip = [encode(np.concatenate(list(pictures.values()), axis=1), quality=85)] if pictures else []
        return {"type": "thumbs", "ids": list(pictures), "side": THUMBNAIL, "failed": failed}, strip

    def _texts(self, ids: list[int]) -> tuple[dict[str, Any], list[bytes]]:
        texts, cells, failed = {}, {}, {}
        for position in ids:
            try:
                card = self._album.card(position, whole=True)
            except Exception as error:
                log.debug("no text of example %d", position, exc_info=True)
                failed[str(position)] = f"{type(error).__name__}: {error}"[:300]
                continue
            if "text" in card:
                texts[str(position)] = card["text"]
            if "cells" in card:
                cells[str(position)] = card["cells"]
        return {"type": "texts", "texts": texts, "cells": cells, "failed": failed}, []
