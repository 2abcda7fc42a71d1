"""Widgets that are closed when their test is over."""

from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest
from pages import PATIENCE, Colourful, RecordingComm, colourful_images

import xaiwidgets as xw
from xaiwidgets.examples import Example
from xaiwidgets.examples import digits as train_digits


@pytest.fixture(scope="session")
def example() -> Example:
    """The digits and their network, trained briefly."""
    return train_digits(epochs=3)


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """`explain` for the test; what it makes is closed afterwards."""
    made = []

    def explain(*args: Any, wait: bool = True, **kwargs: Any) -> Any:
        widget = xw.explain(*args, **kwargs)
        made.append(widget)
        return widget.wait(PATIENCE) if wait else widget

    yield explain
    for widget in made:
        widget.close()


@pytest.fixture
def show() -> Iterator[Callable[..., Any]]:
    """`show` for the test; what it makes is closed afterwards."""
    made, real = [], xw.show

    def make(*args: Any, **kwargs: Any) -> Any:
        made.append(real(*args, **kwargs))
        return made[-1]

    yield make
    for widget in made:
        widget.close()


@pytest.fixture
def explore() -> Iterator[Callable[..., Any]]:
    """`explore_path` for the test; what it makes is closed afterwards."""
    made = []

    def explore_path(*args: Any, wait: bool = True, **kwargs: Any) -> Any:
        widget = xw.explore_path(*args, **kwargs)
        made.append(widget)
        return widget.wait(PATIENCE) if wait else widget

    yield explore_path
    for widget in made:
        widget.close()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[RecordingComm]:
    """Comms made from now on, newest last."""
    comms: list[RecordingComm] = []

    def create(*args: Any, **kwargs: Any) -> RecordingComm:
        comms.append(RecordingComm(*args, **kwargs))
        return comms[-1]

    monkeypatch.setattr(comm, "create_comm", create)
    return comms


@pytest.fixture
def model() -> Colourful:
    return Colourful()


@pytest.fixture
def widget(make: Callable[..., Any], model: Colourful) -> Any:
    """Two small colour images, explained."""
    return make(model, colourful_images(2), labels=["ant", "bee", "cat", "dog", "eel"])
