"""Colab shows nothing of what a thread sends: jobs run where they are asked for, and all that is sent is seen."""

import importlib.util
import json
import sys
import threading
from pathlib import Path
from types import ModuleType

import comm
import pytest
import torch
from comm.base_comm import BaseComm

import xaiwidgets as xw


def load(name: str) -> ModuleType:
    """A neighbour that kernels import by its name alone."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Page(BaseComm):
    """What a page that sees the main thread alone knows of a widget."""

    def __init__(self, *args, **kwargs):
        self.state, self.statuses, self.hidden, self.files = {}, [], 0, []
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if threading.current_thread() is not threading.main_thread():
            self.hidden += 1
            return
        state = (data or {}).get("state", {})
        self.state |= state
        self.statuses += [state["status"]] if "status" in state else []
        self.files += [data["content"]] if (data or {}).get("method") == "custom" else []


@pytest.fixture
def colab(monkeypatch):
    pages = []

    def create(*args, **kwargs):
        pages.append(Page(*args, **kwargs))
        return pages[-1]

    monkeypatch.setattr(comm, "create_comm", create)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    yield pages
    assert [page.hidden for page in pages] == [0] * len(pages)


def ask(widget, **content):
    widget._handle_msg({"content": {"data": content}, "buffers": []})


def write(widget, **state):
    ask(widget, method="update", state=json.loads(json.dumps(state)), buffer_paths=[])


@pytest.mark.parametrize("kind", ["heatmap", "path", "tokens", "examples", "scoreboard"])
def test_everything_is_seen(colab, tmp_path, kind):
    widget = load("specimens").make(kind, str(tmp_path))
    page = next(page for page in colab if page.state.get("_kind") == kind)
    assert page.statuses[-1] == "ready"
    assert page.state["seq"] == widget.seq > 0
    assert widget.result is not None
    widget.close()


def test_a_change_is_answered_before_the_message_ends(colab, tmp_path):
    widget = load("specimens").make("heatmap", str(tmp_path))
    page = next(page for page in colab if page.state.get("_kind") == "heatmap")
    before = page.state["seq"]
    write(widget, params={**widget.params, "method": "saliency"}, request_id=1)
    assert page.state["seq"] > before
    assert page.state["status"] == "ready"
    assert page.state["result_id"] == 1
    (tmp_path / "broken-heatmap").touch()
    write(widget, params={**widget.params, "target": 3}, request_id=2)
    assert page.state["status"] == "error"
    assert "holiday" in page.state["error"]["detail"]
    (tmp_path / "broken-heatmap").unlink()
    ask(widget, method="custom", content={"type": "run"})
    assert page.state["status"] == "ready"
    ask(widget, method="custom", content={"type": "export", "format": "npy", "id": 1})
    assert page.files
    widget.close()


def test_no_thread_is_started(colab):
    running = {thread.name for thread in threading.enumerate()}
    widget = xw.explain(lambda x: x.flatten(1)[:, :2], torch.rand(1, 3, 4, 4), target=0, method="occlusion")
    assert widget.wait(0).status == "ready"
    assert {thread.name for thread in threading.enumerate()} == running
    widget.close()
