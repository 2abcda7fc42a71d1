"""A widget whose cell is gone sleeps, and wakes when it is shown again."""

import threading
from collections.abc import Callable
from typing import Any

import comm
import pytest
from pages import PATIENCE, RecordingComm, ask, colourful_images, shown, tell

from xaiwidgets.widgets import base


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any], model: Any) -> Any:
    """A widget on a recorded comm, whose page answers questions quickly or never."""
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    monkeypatch.setattr(base, "ANSWER_WITHIN", 0.3)
    return make(model, colourful_images())


def say_bye(widget: Any, then: Callable[[], None] = lambda: None) -> None:
    """The page takes a view away, on the thread that carries widget messages; then the kernel's patience passes."""
    thread = threading.Thread(target=lambda: (tell(widget, type="bye"), then()))
    thread.start()
    thread.join(PATIENCE)
    for roll_call in [t for t in threading.enumerate() if t.name == "xaiwidgets-roll-call"]:
        roll_call.join(PATIENCE)


def test_the_last_goodbye_closes_the_comm_and_showing_it_again_wakes_it(live: Any) -> None:
    picture = shown(live).copy()
    say_bye(live)
    assert live.comm is None
    data, _metadata = live._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == live.model_id
    assert (shown(live) == picture).all()
    ask(live, target=1, method="saliency", parameters={})
    assert live.status == "ready"


def test_an_answer_of_another_view_keeps_it_awake(live: Any) -> None:
    say_bye(live, then=lambda: tell(live, type="hello", id=7))
    assert live.comm is not None
    assert {"type": "rollcall"} in [data.get("content") for data, _ in live.comm.sent]


def test_a_kernel_that_handles_messages_between_cells_never_concludes(live: Any) -> None:
    tell(live, type="bye")
    assert not [t for t in threading.enumerate() if t.name == "xaiwidgets-roll-call"]
    assert live.comm is not None


def test_a_closed_widget_stays_closed(live: Any) -> None:
    live.close()
    assert live._repr_mimebundle_ is None
    assert live.comm is None
