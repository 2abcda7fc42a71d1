"""What a strip leaves in a notebook and sends to a page: figure, traffic, messages, and nothing when it is closed."""

import base64
import gc
import json
import re
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pages import PATIENCE, Elements, RecordingComm, ask, expecting, tell, write
from texts import HARD, Bag, Words, values, writer

import xaiwidgets as xw
from xaiwidgets.widgets.tokens.pack import unpack_values

Make = Callable[..., Any]
HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\ud83d"]


def bundle_of(widget: Any) -> dict[str, str]:
    return widget._repr_mimebundle_()[0]


def test_the_figure_is_deterministic_and_script_free(make: Make) -> None:
    texts = set()
    for _ in range(2):
        widget = make(Bag(), HARD, tokenizer=Words(), target=0, labels=HOSTILE)
        ask(widget, foil=1)
        texts |= {bundle_of(widget)["text/html"], widget.freeze().data}
    assert len(texts) == 1
    read = Elements(texts.pop())
    assert {tag for tag, _ in read.elements} <= {
        "figure", "div", "span", "figcaption", "details", "summary", "table", "tr", "th", "td",
    }  # fmt: skip
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert {attributes["dir"] for tag, attributes in read.elements if tag == "div"} == {"auto"}
    for word in ("مرحبا", "👍🏽", "<", "script", "&", "e\u0301"):
        assert word in read.text
    assert f"{HOSTILE[0]} rather than {HOSTILE[1]}" in read.text
    assert "(logit)" in read.text


def test_the_figures_table_adds_up(make: Make) -> None:
    widget = make(Bag(), "one two three", tokenizer=Words(), method="input_x_gradient")
    cells = re.findall(r"<tr><td>(\w+)</td><td>([^<]+)</td>", widget._figure())
    assert [word for word, _ in cells] == ["one", "two", "three"]
    np.testing.assert_allclose([float(value) for _, value in cells], values(widget), rtol=1e-3)
    largest = int(np.abs(values(widget)).argmax())
    bars = re.findall(r"border-(\w+):(\d+)px", widget._figure())
    assert max(bars[2 * largest : 2 * largest + 2], key=lambda bar: int(bar[1]))[1] == "18"
    side = "bottom" if values(widget)[largest] > 0 else "top"
    assert (side, "18") in bars[2 * largest : 2 * largest + 2]
    ask(widget, method="saliency")
    assert "border-top" not in widget._figure()


def test_a_strip_can_be_shown_before_there_is_a_result(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.base.WAIT_FOR_PICTURE", 0.05)
    model = Bag()
    with model.blocked():
        widget = make(model, "one two", tokenizer=Words(), wait=False)
        assert "Not computed yet" in bundle_of(widget)["text/html"]
        assert len(widget.tokens) == 2
    widget.wait(PATIENCE)
    assert "Not computed yet" not in bundle_of(widget)["text/html"]


def test_half_an_emoji_can_be_sent(make: Make) -> None:
    widget = make(Bag(), "half \ud83d an emoji", tokenizer=Words(), labels=HOSTILE, method="input_x_gradient")
    for trait in ("text", "tokens", "classes", "question", "inputs", "caption"):
        json.dumps(getattr(widget, trait), ensure_ascii=False).encode("utf-8")
    widget.to_html().encode("utf-8")


def test_the_exported_page_holds_the_numbers(make: Make) -> None:
    widget = make(Bag(), HARD, tokenizer=Words(), method="input_x_gradient")
    found = re.search(r'<script type="application/json">(.*?)</script>', widget.to_html(), re.DOTALL)
    state = json.loads(found[1])
    assert state["_kind"] == "tokens"
    np.testing.assert_array_equal(unpack_values(base64.b64decode(state["values"]["__bytes"])), values(widget))
    assert state["text"] == HARD


def test_an_answer_is_one_message(make: Make, recorded: list[RecordingComm]) -> None:
    widget = make(Bag(), "one two three", tokenizer=Words(), method="input_x_gradient")
    line = widget.comm
    assert line in recorded
    ask(widget, method="saliency")
    answers = [state for state in line.updates() if state.get("values_meta")]
    assert len(answers) == widget.seq == 2
    for state in answers:
        assert {"quality", "question", "caption", "archive", "seq"} <= set(state)
    assert len(line.sent) < 20


def test_what_the_page_owns_starts_nothing(make: Make) -> None:
    model = Bag()
    widget = make(model, "one two three", tokenizer=Words(), method="input_x_gradient")
    rows = model.rows
    write(
        widget, granularity={"mode": "word", "regex": ""}, agg="max", show="tint", specials=False, k=3, scale_mode="all",
        view="matrix", selection=[[0, 3]],
    )  # fmt: skip
    assert (model.rows, widget.seq, widget.status) == (rows, 1, "ready")
    assert widget.selection_sum["text"] == "one"
    for wrong in ({"mode": "letters"}, {"regex": 3}):
        with pytest.raises(Exception, match="granularity"):
            widget.granularity = wrong


def test_the_pages_own_sum_is_not_sent_back(make: Make, recorded: list[RecordingComm]) -> None:
    widget = make(Bag(), "one two three", tokenizer=Words(), method="input_x_gradient")
    own = values(widget)[:2].astype(float)
    said = {
        "sum": own.sum() * (1 + 1e-6), "positive": own.clip(0).sum(), "negative": own.clip(None, 0).sum(), "share": 0.25,
        "tokens": 2, "text": "one two",
    }  # fmt: skip
    before = len(widget.comm.sent)
    write(widget, selection=[[0, 7]], selection_sum=said)
    assert widget.selection_sum["share"] == 0.25
    assert not [state for state in widget.comm.sent[before:] if state[0]["method"] == "update"]
    ask(widget, method="saliency")
    assert widget.selection_sum["sum"] == pytest.approx(float(values(widget)[:2].sum()), rel=1e-5)
    assert recorded


def test_messages(make: Make) -> None:
    widget = make(Bag(), "👍 one two", tokenizer=Words(), method="input_x_gradient")
    with expecting(widget, "whatif", lambda found: found.get("text") == "another"):
        tell(widget, type="whatif", text="another")
    with expecting(widget, "whatif", lambda found: "[MASK]" in found.get("text", "")):
        tell(widget, type="whatif", mask=[3, 6])
    assert widget.whatif["text"] == "👍 [MASK] two"
    assert widget.whatif.keys() == {"text", "before", "after", "seconds"}
    with expecting(widget, "error"):
        tell(widget, type="whatif", mask=[2, 3])
    assert widget.error["code"] == "nothing_masked"
    tell(widget, type="columns")
    with pytest.raises(xw.ExplainError, match="output tokens"):
        widget.wait(PATIENCE)
    widget.run().wait(PATIENCE)
    assert widget.status == "ready"


def test_cancel_takes_less_than_a_third_of_a_second(make: Make) -> None:
    model = Bag()
    entered = []

    def slow(*_: Any) -> None:
        entered.append(1)
        time.sleep(0.02)

    model.register_forward_hook(slow)
    widget = make(
        model, "one two", tokenizer=Words(), batch_size=1, steps=512, rule="gauss_legendre", target=0, wait=False
    )
    deadline = time.monotonic() + PATIENCE
    while len(entered) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    started = time.monotonic()
    tell(widget, type="cancel")
    widget.wait(PATIENCE)
    assert time.monotonic() - started < 0.3
    assert widget.status == "cancelled"


@pytest.mark.parametrize("generated", [False, True])
def test_close_frees_the_model(generated: bool) -> None:
    made = writer("gpt2") if generated else Bag()
    options: dict[str, Any] = {"continuation": " red green"} if generated else {}
    reference = weakref.ref(made)
    widget = xw.explain(made, "one two three", tokenizer=Words(), method="input_x_gradient", **options).wait(PATIENCE)
    widget.what_if("another")
    if generated:
        widget.attribution_matrix()
    with expecting(widget, "whatif", lambda found: found.get("text", "").startswith("a third")):
        tell(widget, type="whatif", text="a third")
    threads = [job._thread for job in (widget._job, widget._whatif) if job._thread]
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


def test_the_model_is_untouched(make: Make) -> None:
    model = Bag()
    before = [(parameter.requires_grad, parameter.grad, parameter._version) for parameter in model.parameters()]
    widget = make(model, "one two three", tokenizer=Words())
    ask(widget, method="deeplift")
    widget.what_if(mask=(0, 3))
    assert [(p.requires_grad, p.grad, p._version) for p in model.parameters()] == before
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
