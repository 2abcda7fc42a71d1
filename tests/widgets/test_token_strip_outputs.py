"""Strips of generated texts: spans, foils, every output token at once, other prompts."""

import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pages import PATIENCE, RecordingComm, ask, expecting, tell, write
from texts import Words, pieces, stored, values, writer

import xaiwidgets as xw
from xaiwidgets.api import Session
from xaiwidgets.text.generation import generate
from xaiwidgets.text.outputs import OutputSession

Make = Callable[..., Any]
TYPED = " red green blue"


def matrix(widget: Any) -> NDArray[np.float32]:
    """The numbers the page has, [rows, columns]."""
    meta = widget.matrix_meta
    found = np.frombuffer(zlib.decompress(widget.matrix), "<f2").reshape(meta["rows"], meta["columns"])
    return found.astype(np.float32) * meta["scale"]


@pytest.fixture
def strip(make: Make) -> Any:
    return make(writer("gpt2"), "one two three", tokenizer=Words(), continuation=TYPED, method="input_x_gradient")


@pytest.mark.parametrize("family", ["gpt2", "t5", "sst2-llama-tiny"])
def test_outputs_are_explained(make: Make, family: str) -> None:
    model, tokenizer = stored(family) if "sst2" in family else (writer(family), Words())
    widget = make(model, "the film 👍 is", tokenizer=tokenizer, generate=4, method="input_x_gradient")
    found = generate(model, "the film 👍 is", tokenizer, tokens=4)
    assert widget.task == "generate"
    assert widget.text == found.tokens.text == "".join(pieces(widget))
    assert widget.n_prompt == found.n_prompt
    assert widget.text.encode("utf-16-le")[: 2 * widget.prompt_end].decode("utf-16-le") == "the film 👍 is"
    assert len(widget.steps) == len(found.output) == len(widget.tokens) - widget.n_prompt
    for step, own in zip(widget.steps, found.steps, strict=True):
        assert step["p"] == pytest.approx(own.probability, rel=1e-4)
        assert step["topk"][0]["p"] >= step["topk"][1]["p"]
        assert (step["rank"], step["topk"][0]["id"]) == (1, own.id)
    assert widget.values_meta["span"] == [0, 0]
    expected = OutputSession(found, session=Session).attribute("input_x_gradient", span=0).values[0]
    np.testing.assert_allclose(values(widget), expected.numpy(), atol=1e-5)
    cut = found.output.ids[-1] != tokenizer.eos_token_id
    assert any(one["code"] == "generation_cut" for one in widget.notices) == cut


def test_spans_and_foils(strip: Any) -> None:
    session = OutputSession(generate(writer("gpt2"), "one two three", Words(), continuation=TYPED), session=Session)
    ask(strip, span=[1, 2])
    both = session.attribute("input_x_gradient", span=(1, 3)).values[0].numpy()
    np.testing.assert_allclose(values(strip), both, atol=1e-5)
    assert strip.values_meta["span"] == [1, 2]
    assert '"green blue"' in strip.caption
    other = strip.steps[1]["topk"][0]["id"]
    ask(strip, span=[1, 1], foil_token=other)
    contrast = session.attribute("input_x_gradient", span=1, foil=other).values[0].numpy()
    np.testing.assert_allclose(values(strip), contrast, atol=1e-5)
    assert strip.values_meta["foil_token"] == other
    assert "rather than" in strip.caption
    ask(strip, span=[0, 1], foil_token=other)  # the words before cancel out
    np.testing.assert_allclose(values(strip), contrast, atol=1e-5)
    assert strip.values_meta["span"] == [1, 1]
    ask(strip, span=[1, 3], foil_token=None)
    assert strip.error["code"] == "out_of_range"
    ask(strip, span=[1, 1], foil_token=64)
    assert strip.error["code"] == "out_of_range"
    ask(strip, span=[1, 1], foil_token=None)
    assert strip.status == "ready"


@pytest.mark.parametrize("family", ["gpt2", "t5"])
@pytest.mark.parametrize("method", ["input_x_gradient", "token_erasure", "chefer"])
def test_every_output_token(make: Make, family: str, method: str) -> None:
    model = writer(family)
    widget = make(model, "one two three", tokenizer=Words(), continuation=TYPED, method=method)
    shown = values(widget)
    found = widget.attribution_matrix()
    assert found.shape == (3, len(widget.tokens))
    assert not found.isnan().any()
    assert widget.matrix_meta["have"] == [0, 1, 2]
    np.testing.assert_allclose(matrix(widget), found.numpy(), atol=2e-3 * float(found.abs().max()))
    np.testing.assert_allclose(found[0].numpy(), shown, atol=1e-5)
    for row in range(3):
        ask(widget, span=[row, row])
        np.testing.assert_allclose(found[row].numpy(), values(widget), rtol=1e-3, atol=1e-5)
        assert (found[row, widget.n_prompt + row :] == 0).all()


def test_words_of_the_output_are_never_one_with_the_prompts(make: Make) -> None:
    widget = make(writer("gpt2"), "one two", tokenizer=Words(), continuation="fold", method="input_x_gradient")
    assert "<b><u>fold</u></b>" in widget._figure()
    assert widget._figure().count("<div") == 2


def test_columns_go_on_when_something_else_is_asked(make: Make) -> None:
    model = writer("gpt2")
    widget = make(model, "one two three", tokenizer=Words(), continuation=TYPED * 3, steps=9, rule="gauss_legendre")
    seen = []
    widget.observe(lambda change: seen.append(list(change["new"].get("have", []))), "matrix_meta")
    with expecting(widget, "matrix_meta", lambda meta: len(meta.get("have", [])) == 9):
        tell(widget, type="columns")
        write(widget, params=widget.params | {"span": [5, 5]})
    widget.wait(PATIENCE)
    assert widget.values_meta["span"] == [5, 5]
    assert seen == sorted(seen, key=len)
    ask(widget, method="input_x_gradient")  # other settings are not attributed everywhere
    assert widget.matrix_meta["have"] == list(range(9))
    ask(widget, span=[0, 0])
    assert widget.status == "ready"


def test_columns_stop_at_once(make: Make) -> None:
    model = writer("gpt2", positions=700)
    prompt = "one two three four five six " * 100
    widget = make(model, prompt, tokenizer=Words(), continuation=TYPED * 5, method="input_x_gradient")
    slow = {"steps": 128, "rule": "gauss_legendre"}
    write(widget, params=widget.params | {"method": "integrated_gradients", "parameters": slow})
    widget.columns()
    time.sleep(0.3)
    started = time.monotonic()
    widget.cancel()
    widget.wait(PATIENCE)
    assert time.monotonic() - started < 1  # a row and its way back, on a machine that does other things
    assert widget.status == "cancelled"


def test_a_long_answer_is_light(make: Make, recorded: list[RecordingComm]) -> None:
    model = writer("gpt2", positions=1100)
    widget = make(model, "one two three four " * 250, tokenizer=Words(), continuation=" red green blue cyan pink" * 10,
                  method="input_x_gradient")  # fmt: skip
    line = widget.comm
    assert line in recorded
    assert widget.n_prompt == 1000
    assert len(widget.steps) == 50
    widget.attribution_matrix()
    rows = [len(state["matrix_meta"]["have"]) for state in line.updates() if "matrix_meta" in state]
    assert len(rows) > 3
    assert rows == sorted(rows)
    assert rows[-1] == 50
    assert max(line.sizes()) < 300_000
    state = widget.static_state()
    assert sum(len(value) if isinstance(value, bytes) else len(repr(value)) for value in state.values()) < 1_000_000


def test_another_prompt_changes_the_probability(strip: Any) -> None:
    ask(strip, span=[1, 2])
    model, tokenizer = writer("gpt2"), Words()

    def probability(prompt: list[int], past: list[int]) -> float:
        target = tokenizer(TYPED)["input_ids"][1:]
        ids = [*prompt, *past, *target]
        with torch.no_grad():
            log = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        return float(sum(log[place - 1, ids[place]] for place in (len(ids) - 2, len(ids) - 1)).exp())

    prompt, past = tokenizer("one two three")["input_ids"], tokenizer(TYPED)["input_ids"][:1]
    found = strip.what_if("four five")
    assert found["p_before"] == pytest.approx(probability(prompt, past), rel=1e-4)
    assert found["p_after"] == pytest.approx(probability(tokenizer("four five")["input_ids"], past), rel=1e-4)
    assert found["text"] == "four five" + TYPED
    masked = strip.what_if(mask=(4, 7))
    assert masked["text"] == "one [MASK] three" + TYPED
    assert masked["p_after"] == pytest.approx(probability([prompt[0], 1, prompt[2]], past), rel=1e-4)
    masked = strip.what_if(mask=(14, 17))
    assert masked["text"] == "one two three [MASK] green blue"
    assert masked["p_after"] == pytest.approx(probability(prompt, [1]), rel=1e-4)
    with pytest.raises(xw.ExplainError):
        strip.what_if(mask=(18, 23))  # what is explained did not cause itself


def test_another_prompt_is_gone_on_with(make: Make) -> None:
    widget = make(writer("gpt2"), "one two three", tokenizer=Words(), generate=3, method="input_x_gradient")
    ask(widget, span=[2, 2])
    write(widget, edited_text="four five")
    widget.wait(PATIENCE)
    assert widget.text.startswith("four five")
    assert widget.prompt_end == 9
    assert widget.params["span"] is None
    assert widget.values_meta["span"] == [0, 0]


def test_generating_can_be_stopped(make: Make) -> None:
    model = writer("gpt2", positions=1000)
    entered = threading.Event()

    def slow(*_: Any) -> None:
        entered.set()
        time.sleep(0.02)

    model.register_forward_hook(slow)
    widget = make(model, "one two", tokenizer=Words(), generate=900, wait=False)
    assert entered.wait(PATIENCE)
    with expecting(widget, "progress", lambda progress: progress.get("phase") == "generating"):
        pass
    started = time.monotonic()
    widget.cancel()
    widget.wait(PATIENCE)
    assert time.monotonic() - started < 1
    assert widget.status == "cancelled"
    assert widget.text == "one two"
    assert widget.steps == []
