"""What stays in the kernel when cells with widgets are run again and again: nothing."""

import builtins
import gc
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import comm
import ipywidgets
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import nn
from traitlets.config import Config

import xaiwidgets as xw
from tests.widgets.pages import PATIENCE, Colourful, RecordingComm, colourful_images, tell
from tests.widgets.texts import Bag, Words
from xaiwidgets.engine.batching import counted_bytes
from xaiwidgets.live import jobs
from xaiwidgets.widgets import base

RUNS = {"heatmap": 100, "path": 5, "tokens": 5, "examples": 5, "scoreboard": 2}
WATCHED = (nn.Module, torch.Tensor, ipywidgets.Widget, RecordingComm, jobs.LatestJob, xw.Session)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that concludes at once what it otherwise waits seconds for."""
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    monkeypatch.setattr(base, "ANSWER_WITHIN", 0.0)
    monkeypatch.setattr(jobs, "IDLE", 0.01)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """IPython as a notebook has it, with its history of outputs."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # IPython puts its own there
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    quiet = Config({"HistoryManager": {"enabled": False}})
    yield InteractiveShell.instance(config=quiet, user_ns={})
    InteractiveShell.clear_instance()


def tiny() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).eval()


@pytest.fixture(scope="module")
def index() -> xw.TrainingIndex:
    images, labels = torch.rand(40, 3, 8, 8), torch.arange(40) % 4
    net = tiny()
    return xw.TrainingIndex.build(net, (images, labels), checkpoints=[net.state_dict()], progress=False)


def leave(widget: Any) -> None:
    """The page takes the widget's last view away, on the thread that carries messages."""
    goodbye = threading.Thread(target=tell, args=(widget,), kwargs={"type": "bye"})
    goodbye.start()
    goodbye.join(PATIENCE)


def settle() -> None:
    """Until the threads of what is gone have ended."""
    deadline = time.monotonic() + PATIENCE
    while [thread for thread in threading.enumerate() if thread.name.startswith("xaiwidgets")]:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def traced(thing: Any) -> bool:
    return isinstance(thing, torch.Tensor) and any(type(side) is not int for side in thing.shape)


def kept() -> Counter[str]:
    """What is alive, by class; and the bytes of all tensors. Not what compiling has left of other tests: sizes without numbers."""
    gc.collect()
    found = [thing for thing in gc.get_objects() if isinstance(thing, WATCHED) and not traced(thing)]
    count = Counter(type(thing).__name__ for thing in found)
    count["bytes"] = sum(thing.nbytes for thing in found if isinstance(thing, torch.Tensor))
    count["threads"] = threading.active_count()
    count["open widgets"] = len(ipywidgets.widgets.widget._instances)
    return count


def makers(index: xw.TrainingIndex) -> dict[str, Callable[[], Any]]:
    text = "not good but it moved me"
    return {
        "heatmap": lambda: xw.explain(tiny(), torch.rand(1, 3, 8, 8), method="saliency"),
        "path": lambda: xw.explore_path(Colourful(), colourful_images(), baselines=("black", "blur"), steps=9),
        "tokens": lambda: xw.explain(Bag(), text, tokenizer=Words(), target=1),
        "examples": lambda: xw.trace(index, torch.rand(1, 3, 8, 8), k=4),
        "scoreboard": lambda: xw.compare(Colourful(), colourful_images(side=8), ("saliency", "input_x_gradient")),
    }


@pytest.mark.parametrize("kind", RUNS)
def test_a_cell_that_is_run_again_leaves_nothing(kind: str, index: xw.TrainingIndex) -> None:
    make = makers(index)[kind]

    def run() -> None:
        widget = make().wait(PATIENCE)
        widget._repr_mimebundle_()
        leave(widget)

    run()
    settle()
    before = kept()
    for _ in range(RUNS[kind]):
        run()
    settle()
    assert kept() - before == Counter()


def test_outputs_of_a_cell_that_is_run_again_are_forgotten(shell: Any) -> None:
    shell.user_ns |= {"xw": xw, "Colourful": Colourful, "images": colourful_images()}
    cell = "w = xw.explain(Colourful(), images, method='saliency', target=1).wait(); w"
    settle()
    before = kept()
    for _ in range(8):
        last = shell.user_ns.get("w")
        shell.run_cell(cell, store_history=True).raise_error()
        if last is not None:
            leave(last)
        del last
    settle()
    names = [name for name in shell.user_ns if name.strip("_").isdigit()]
    assert len(shell.user_ns["Out"]) == len(names) == 1  # of the widget on show
    assert (kept() - before)["Colourful"] <= 3  # IPython's _, __ and ___
    assert shell.user_ns["Out"][8] is shell.user_ns["w"]
    shell.user_ns["w"].close()


def test_a_widget_that_slept_comes_back_with_a_layout() -> None:
    widget = xw.explain(Colourful(), colourful_images(), target=1).wait(PATIENCE)
    leave(widget)
    settle()
    assert widget.comm is None
    assert widget.layout.comm is None
    widget._repr_mimebundle_()
    assert widget.get_state()["layout"] == f"IPY_MODEL_{widget.layout.model_id}"
    assert widget.layout.model_id
    widget.close()
    assert widget.layout.comm is None


def test_memory_counted_without_a_backward_pass_is_freed() -> None:
    def count() -> int:
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    model, before = Colourful(), 0
    for _ in range(3):
        with counted_bytes(model) as bytes_kept:
            model(colourful_images().requires_grad_())
        assert bytes_kept() > 0
        before = before or count()
    assert count() == before


def test_a_second_derivative_through_counted_memory_is_right() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    points = torch.randn(3, 4, requires_grad=True)

    def curvature() -> torch.Tensor:
        slope = torch.autograd.grad(model(points).exp().sum(), points, create_graph=True)[0]
        return torch.autograd.grad(slope.square().sum(), points)[0]

    with counted_bytes(model):
        counted = curvature()
    torch.testing.assert_close(counted, curvature(), rtol=0, atol=0)
