"""What a widget leaves in a notebook and sends to a page: static picture, saved state, traffic, and nothing else."""

import base64
import gc
import io
import json
import re
import threading
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import comm
import ipywidgets
import numpy as np
import pytest
import torch
from pages import PATIENCE, Colourful, Elements, RecordingComm, ask, colourful_images, expecting, shown, tell, write

import xaiwidgets as xw
from xaiwidgets.examples import Example, photographs
from xaiwidgets.live.assets import asset, parts
from xaiwidgets.live.transport import unpack
from xaiwidgets.widgets.frontend import Core, core

Make = Callable[..., Any]
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"\' onmouseover="x',
    "\u202egnp.exe",
    "<!--",
]


def bundle_of(widget: Any) -> dict[str, str]:
    return widget._repr_mimebundle_()[0]


# --- the static picture ----------------------------------------------------------------------------------------------


def test_the_static_picture_is_deterministic(make: Make) -> None:
    texts = set()
    for _ in range(2):
        widget = make(Colourful(), colourful_images(), target=1)
        texts |= {bundle_of(widget)["text/html"], bundle_of(widget)["text/html"]}
        assert bundle_of(widget)["text/plain"] == "HeatmapOverlay(Integrated gradients for class 1, baseline: zeros)"
    assert len(texts) == 1


def test_the_static_picture_is_script_free_and_complete(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=0, labels=HOSTILE)
    ask(widget, foil=1)
    read = Elements(bundle_of(widget)["text/html"])
    assert {tag for tag, _ in read.elements} == {
        "figure", "img", "figcaption", "details", "summary", "table", "tr", "th", "td",
    }  # fmt: skip
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    sources = [attributes["src"] for tag, attributes in read.elements if tag == "img"]
    assert len(sources) == 2
    assert all(re.match(r"data:image/(png|jpeg);base64,", source) for source in sources)
    assert all(attributes["alt"] for tag, attributes in read.elements if tag == "img")
    assert f"{HOSTILE[0]} rather than {HOSTILE[1]}" in read.text
    assert read.text.count(" logit") == 8


def test_the_table_lists_the_strongest_areas(widget: Any) -> None:
    values = widget.result.values[0].sum(0).numpy()
    cells = np.array(
        [[cell.sum() for cell in np.array_split(band, 14, axis=1)] for band in np.array_split(values, 14, axis=0)]
    )
    row, column = np.unravel_index(np.abs(cells).argmax(), cells.shape)
    text = Elements(bundle_of(widget)["text/html"]).text
    assert f"row {row + 1}, column {column + 1}{cells[row, column]:+.3g} logit" in text


def test_reprs_hold_no_address(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=1, wait=False)
    for _ in range(2):
        assert "0x" not in repr(widget)
        assert repr(widget) == str(widget)
        widget.wait(PATIENCE)
    assert repr(core()) == "Core()"


def test_hostile_labels_pass_through_unchanged(make: Make, model: Colourful) -> None:
    widget = make(model, colourful_images(), target=2, labels=HOSTILE)
    assert widget.question["target_label"] == HOSTILE[2]
    assert {bar["name"] for bar in widget.classes} == set(HOSTILE)
    page = Elements(widget.to_html())
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_half_an_emoji_can_be_sent_and_saved(make: Make, model: Colourful, tmp_path: Any) -> None:
    widget = make(model, colourful_images(), target=0, labels=["\ud83d", "b", "c", "d", "e"])
    json.dumps(widget.question, ensure_ascii=False).encode("utf-8")
    json.dumps(widget.classes, ensure_ascii=False).encode("utf-8")
    bundle_of(widget)["text/html"].encode("utf-8")
    widget.to_html(tmp_path / "page.html")


def test_the_exported_page_holds_the_numbers(widget: Any, tmp_path: Any) -> None:
    path = tmp_path / "page.html"
    text = widget.to_html(path, title="Two & <three>")
    assert path.read_text(encoding="utf-8") == text
    assert "<title>Two &amp; &lt;three&gt;</title>" in text
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    state = json.loads(found[1])
    assert state["_kind"] == "heatmap"
    assert not {name for name in state if name.startswith("_")} - {"_kind"}
    assert "layout" not in state
    data = base64.b64decode(state["map_data"]["__bytes"])
    np.testing.assert_array_equal(unpack(state["maps"], data)["sum"], shown(widget))
    assert base64.b64decode(state["image"]["__bytes"]) == widget.image


def test_freeze(widget: Any) -> None:
    assert widget.freeze().data == bundle_of(widget)["text/html"]


def test_showing_a_slow_widget_does_not_wait_for_long(
    make: Make, model: Colourful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.base.WAIT_FOR_PICTURE", 0.05)
    with model.blocked():
        widget = make(model, colourful_images(), target=1, wait=False)
        started = time.monotonic()
        assert "Not computed yet" in bundle_of(widget)["text/html"]
        assert time.monotonic() - started < 2
    widget.wait(PATIENCE)
    assert "Not computed yet" not in bundle_of(widget)["text/html"]


# --- what remains when it is over ------------------------------------------------------------------------------------


def test_close_frees_the_model_and_the_thread(model: Colourful) -> None:
    made = Colourful()
    reference = weakref.ref(made)
    widget = xw.explain(made, colourful_images(2), forward=made.forward).wait(PATIENCE)
    widget.what_if(0, 0, 5, 5)
    with expecting(widget, "segments"):
        tell(widget, type="segments")
    threads = [job._thread for job in (widget._job, *widget._asides.values()) if job._thread]
    assert threads
    widget.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    del made
    gc.collect()
    assert reference() is None
    assert widget.result is None
    with pytest.raises(RuntimeError, match="closed"):
        widget.run()


def test_close_frees_the_model_after_an_error() -> None:
    made = Colourful()
    made.fail = True
    reference = weakref.ref(made)
    widget = xw.explain(made, colourful_images(), target=1)
    with pytest.raises(xw.ExplainError):
        widget.wait(PATIENCE)
    thread = widget._job._thread
    widget.close()
    thread.join(PATIENCE)
    del made
    gc.collect()
    assert reference() is None


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_closing_twice_and_forgetting() -> None:
    widget = xw.explain(Colourful(), colourful_images(), target=1).wait(PATIENCE)
    widget.close()
    widget.close()
    with xw.explain(Colourful(), colourful_images(), target=1) as other:
        other.wait(PATIENCE)
    reference = weakref.ref(other)
    del widget, other
    deadline = time.monotonic() + PATIENCE
    while reference() is not None and time.monotonic() < deadline:  # its thread may be ending still
        gc.collect()
        time.sleep(0.01)
    assert reference() is None


def test_close_stops_what_runs(model: Colourful) -> None:
    with model.blocked():
        widget = xw.explain(model, colourful_images(), target=1)
        assert model.entered.wait(PATIENCE)
        thread = widget._job._thread
        widget.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert widget.result is None


def state_of(model: torch.nn.Module) -> Any:
    """Everything a borrowed model must have back."""
    parts = list(model.modules())
    hooks = [name for name in vars(torch.nn.Module()) if name.endswith("_hooks")]
    assert len(hooks) > 5
    return (
        [part.training for part in parts],
        [(parameter.requires_grad, parameter.grad, parameter._version) for parameter in model.parameters()],
        [(buffer.tolist(), buffer._version) for buffer in model.buffers()],
        [{name: len(vars(part)[name]) for name in hooks} for part in parts],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002  # the global state is what must not change
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad", "grad_cam", "occlusion"])
@pytest.mark.parametrize("training", [None, False])
def test_the_model_is_untouched(make: Make, method: str, training: bool | None) -> None:
    model = Colourful()
    model.norm = torch.nn.BatchNorm2d(3)
    model.forward = lambda images, forward=model.forward: forward(model.norm(images))
    model.train(training is False)
    model.last.bias.requires_grad_(False)
    before = state_of(model)
    widget = make(model, colourful_images(), target=1, method=method, training=training)
    assert state_of(model) == before
    with model.blocked():
        write(widget, params=widget.params | {"target": 2})
        assert model.entered.wait(PATIENCE)
        widget.cancel()
    widget.wait(PATIENCE)
    assert widget.status == "cancelled"
    assert state_of(model) == before
    model.fail = True
    ask(widget, target=3)
    assert widget.status == "error"
    assert state_of(model) == before
    widget.what_if  # noqa: B018  # the last public way to the model fails as well
    with pytest.raises(xw.ExplainError):
        widget.what_if(0, 0, 5, 5)
    assert state_of(model) == before


def test_cancel_takes_less_than_a_third_of_a_second(make: Make, model: Colourful) -> None:
    entered = threading.Event()

    def slow(images: torch.Tensor) -> torch.Tensor:
        entered.set()
        time.sleep(0.02 * len(images))
        return model(images)

    widget = make(slow, colourful_images(), target=1, batch_size=2, steps=512, tolerance=0.0, wait=False)
    assert entered.wait(PATIENCE)
    started = time.monotonic()
    widget.cancel()
    widget.wait(PATIENCE)
    assert time.monotonic() - started < 0.3
    assert widget.status == "cancelled"


# --- traffic and size ------------------------------------------------------------------------------------------------


def test_one_update_for_each_picture(make: Make, model: Colourful, recorded: list[RecordingComm]) -> None:
    widget = make(model, colourful_images(2), target=1, steps=65, tolerance=0.0)
    line = widget.comm
    assert line in recorded
    ask(widget, input=1, target=3)
    ask(widget, method="smoothgrad", parameters={"samples": 16})
    pictures = [state for state in line.updates() if "map_data" in state or "maps" in state]
    assert len(pictures) == widget.seq
    assert [state["seq"] for state in pictures] == list(range(1, widget.seq + 1))
    for state in pictures:
        assert {"maps", "quality", "seq"} <= set(state)  # and the status, where it is another one
    finals = [state for state in line.updates() if state.get("status") == "ready"]
    assert len(finals) == 3
    assert len(line.sent) < 10 * 3 + 2 * widget.seq


def test_updates_are_small(make: Make, recorded: list[RecordingComm]) -> None:
    widget = make(Colourful(), photograph(0), target=1, tolerance=0.0)
    line = widget.comm
    with expecting(widget, "maps", lambda maps: len(maps) == 3):
        tell(widget, type="reduction", key="l2")
        tell(widget, type="reduction", key="magnitude")
    assert widget.seq > 1
    assert max(line.sizes()) < 1_000_000


def photograph(number: int) -> torch.Tensor:
    """Photographs in turn, shifted crops of them, [1, 3, 224, 224], normalised as for ImageNet."""
    pictures = list(photographs().values())
    picture = torch.from_numpy(pictures[number % len(pictures)]).permute(2, 0, 1)[None].float() / 255
    side = min(picture.shape[2:]) - 20 * (number // len(pictures))
    small = torch.nn.functional.interpolate(picture[..., :side, :side], (224, 224), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (small - mean[:, None, None]) / std[:, None, None]


def noisy_model() -> torch.nn.Module:
    """A seeded network with maps about as noisy, and so as heavy, as those of large trained ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        widths = (3, 16, 32, 64)
        layers = [
            layer
            for a, b in pairwise(widths)
            for layer in (torch.nn.Conv2d(a, b, 5 if a > 3 else 7, stride=2, padding=2), torch.nn.ReLU())
        ]
        head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(widths[-1], 1000)]
        return torch.nn.Sequential(*layers, *head).eval()


def weigh(widgets: list[Any]) -> dict[str, int]:
    """Bytes that a notebook with these widgets saves, by what they are for."""
    models = [*widgets, *(widget.layout for widget in widgets), core(), core().layout]
    saved = ipywidgets.Widget.get_manager_state(widgets=models)
    weights = {"state": len(json.dumps(saved)), "pictures": sum(len(json.dumps(bundle_of(w))) for w in widgets)}
    for model in saved["state"].values():
        entries = [(name, value) for name, value in model["state"].items()]
        entries += [(buffer["path"][0], buffer["data"]) for buffer in model.get("buffers", [])]
        for name, value in entries:
            weights[f"  {name}"] = weights.get(f"  {name}", 0) + len(json.dumps(value))
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def test_ten_widgets_in_a_notebook_save_less_than_a_megabyte(make: Make, record_property: Callable[..., None]) -> None:
    labels = [f"a class with a name {index}" for index in range(1000)]
    model = noisy_model()
    core().close()  # one that carries this kind alone, as a new kernel's would
    widgets = [make(model, photograph(number), labels=labels, steps=9) for number in range(10)]
    weights = weigh(widgets)
    total = weights["state"] + weights["pictures"]
    record_property("saved_bytes", total)
    assert weights["  map_data"] > 300_000  # the maps are realistic
    assert total <= 1_000_000, weights


def test_the_code_is_saved_once(make: Make, model: Colourful) -> None:
    widgets = [make(model, colourful_images(), target=1) for _ in range(2)]
    for widget in widgets:
        state = widget.get_state()
        assert len(state["_esm"]) < 1000
        assert state["_parts"] == {}
        assert state["_core"] == f"IPY_MODEL_{core().model_id}" or core().model_id in str(state["_core"])
    carried = core().get_state()
    assert carried["_esm"] == asset("assemble.js")
    assert carried["_parts"].items() >= parts("heatmap").items()


def test_the_core_carries_the_kinds_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    built = {"heatmap": {"a.js": "a", "c.js": "c"}, "other": {"b.js": "b", "c.js": "c"}}
    monkeypatch.setattr("xaiwidgets.live.assets.all_kinds", lambda: built)
    carrier = Core()
    carrier.comm.close()
    carrier.comm = RecordingComm(data={})
    for kinds, files in (
        (["heatmap"], {"a.js", "c.js"}),
        (["heatmap", "unknown"], {"a.js", "c.js"}),
        (["other"], {"a.js", "b.js", "c.js"}),
    ):
        carrier.carry(*kinds)
        assert carrier._parts.keys() == files
    assert len(carrier.comm.updates()) == 2  # nothing is sent for what is there
    carrier.close()


def carries_itself(widget: Any) -> bool:
    state = widget.get_state()
    return (
        state["_esm"] == asset("assemble.js")
        and state["_parts"] == parts("heatmap")
        and all(isinstance(method, dict) for method in state["methods"])
    )


def test_a_widget_carries_its_own_code_where_it_must(
    monkeypatch: pytest.MonkeyPatch, make: Make, model: Colourful, recorded: list[RecordingComm]
) -> None:
    widget = make(model, colourful_images(), target=1)
    assert not carries_itself(widget)
    line = widget.comm
    write(widget, _inline=True)  # the loader found no core
    assert carries_itself(widget)
    (update,) = (state for state in line.updates() if "_esm" in state)
    assert {"_parts", "methods"} <= update.keys()  # together: the page starts over when its code changes
    monkeypatch.setenv("XAIWIDGETS_INLINE", "1")
    assert carries_itself(make(model, colourful_images(), target=1))


def test_the_state_is_plain_json_and_bytes(make: Make, example: Example) -> None:
    widget = make(example.model, example.images[:2], labels=example.names)
    for name, value in widget.get_state().items():
        if not isinstance(value, bytes):
            json.dumps(value, allow_nan=False)
        assert name.startswith("_") or name in widget.traits()


def exported(widget: Any, kind: str) -> tuple[dict[str, Any], bytes]:
    """What the page gets when it asks for a file."""
    tell(widget, type="export", id="7", kind=kind)
    widget._downloads._job.wait(PATIENCE)
    data, buffers = widget.comm.sent[-1]
    return data["content"], bytes(buffers[0])


def test_the_page_downloads_what_the_kernel_makes(
    monkeypatch: pytest.MonkeyPatch, make: Make, model: Colourful
) -> None:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    widget = make(model, colourful_images())
    message, page = exported(widget, "html")
    assert message == {"type": "export", "id": "7", "mime": "text/html"}
    assert page.decode() == widget.to_html()
    message, array = exported(widget, "npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(array), allow_pickle=False), widget.result.to_numpy())
    message, nothing = exported(widget, "../../etc/passwd")
    assert "KeyError" in message["error"]
    assert nothing == b""
