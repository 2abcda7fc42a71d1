"""Models, and the page's side of a widget, for the widgets' tests."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import numpy as np
import torch
from comm.base_comm import BaseComm
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.live.transport import unpack

PATIENCE = 30.0
"""Seconds after which a test that hangs fails; nothing here takes as long."""


class Colourful(nn.Module):
    """A small seeded network on three channels that counts its rows, and waits or fails when told.

    `rows`: how many rows went through it. `block()`: the next passes wait until `go`. `fail`: raise.
    """

    def __init__(self, classes: int = 5, width: int = 8) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.first = nn.Conv2d(3, width, 5, stride=2, padding=2)
            self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
            self.last = nn.Linear(2 * width, classes)
        self.rows = 0
        self.fail = False
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        self.entered.set()
        assert self.go.wait(PATIENCE)
        if self.fail:
            raise RuntimeError("the model <b>broke</b>")
        hidden = torch.relu(self.second(torch.relu(self.first(images))))
        return self.last(hidden.mean((2, 3)) + hidden.amax((2, 3))) * 4

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Passes wait inside; on leaving they go on."""
        self.entered.clear()
        self.go.clear()
        try:
            yield
        finally:
            self.go.set()


def colourful_images(count: int = 1, side: int = 24) -> Tensor:
    """Seeded images [count, 3, side, side] in 0..1 with some structure."""
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    return (0.8 * smooth + 0.2 * torch.rand(smooth.shape, generator=generator)).clamp(0, 1)


class RecordingComm(BaseComm):
    """What a kernel would send to the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[Any]]] = []
        super().__init__(*args, **kwargs)

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        if msg_type == "comm_msg":
            self.sent.append((data, list(buffers or [])))

    def updates(self) -> list[dict[str, Any]]:
        """The states of the update messages, buffers left out."""
        return [data["state"] for data, _ in self.sent if data["method"] == "update"]

    def sizes(self) -> list[int]:
        """Bytes of each message."""
        return [len(json.dumps(data)) + sum(len(memoryview(part)) for part in buffers) for data, buffers in self.sent]


def write(widget: Any, **state: Any) -> None:
    """The page writes traits, as one message."""
    state = json.loads(json.dumps(state))
    widget._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def tell(widget: Any, **content: Any) -> None:
    """The page sends a message."""
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def ask(widget: Any, **changes: Any) -> None:
    """The page asks for a run with other params, and waits for it; errors are for the caller to look at."""
    write(widget, params=widget.params | changes, request_id=widget.request_id + 1)
    try:
        widget.wait(PATIENCE)
    except TimeoutError:
        raise
    except Exception:
        assert widget.status == "error"


@contextmanager
def expecting(widget: Any, trait: str, when: Callable[[Any], bool] = bool) -> Iterator[None]:
    """On leaving, wait until a trait was set to something that satisfies `when`."""
    happened = threading.Event()

    def look(change: dict[str, Any]) -> None:
        if when(change["new"]):
            happened.set()

    widget.observe(look, trait)
    try:
        yield
        assert happened.wait(PATIENCE), f"{trait} stayed {getattr(widget, trait)!r}"
    finally:
        widget.unobserve(look, trait)
    with widget._sync_lock:
        pass  # until the message with all of its traits is complete


def shown(widget: Any, key: str = "sum") -> NDArray[np.float32]:
    """The numbers the page has."""
    return unpack(widget.maps, widget.map_data)[key]


class Elements(HTMLParser):
    """A text's elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def named(value: Any) -> str:
    """The name of a test's parameter, the same in every process: no random numbers, no addresses."""
    text = str(value)
    changes = not isinstance(value, (str, int, float, tuple, list, dict)) or "0x" in text or "tensor" in text
    return type(value).__name__ if changes else text
