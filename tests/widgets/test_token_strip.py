"""Strips of classified texts: what is sent, kept, refused, asked beside."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pages import ask, write
from texts import HARD, Bag, Words, pieces, stored, values

import xaiwidgets as xw
from xaiwidgets.text.groups import group
from xaiwidgets.widgets.tokens.pack import canonical
from xaiwidgets.widgets.tokens.words import caption

Make = Callable[..., Any]
LABELS = ["ant", "bee", "cat"]


@pytest.fixture
def strip(make: Make) -> Any:
    return make(Bag(), "the film was not bad at all", tokenizer=Words(), labels=LABELS)


def test_a_text_is_explained(strip: Any) -> None:
    model = Bag()
    expected = xw.attribute(model, strip.text, tokenizer=Words(), target=strip.values_meta["target"])
    np.testing.assert_allclose(values(strip), expected.values[0].numpy(), rtol=1e-5, atol=1e-6)
    assert isinstance(strip, xw.TokenStrip)
    assert strip.task == "classify"
    assert strip.result.values.shape == (1, len(strip.tokens)) == (1, 7)
    best = int(model(torch.tensor([Words()(strip.text)["input_ids"]])).argmax())
    assert strip.values_meta == {
        "length": 7, "unsigned": False, "unit": "logit", "key": canonical(strip.params), "span": None,
        "foil_token": None, "target": best, "foil": None,
    }  # fmt: skip
    assert strip.question["target_label"] == LABELS[best] == strip.classes[0]["name"]
    assert strip.quality["gap"] < 0.01
    assert "Largest support" in strip.caption
    assert strip.inputs == [{"label": strip.text}]


@pytest.mark.parametrize("name", ["sst2-bert-tiny", "sst2-llama-tiny"])
def test_the_strip_is_the_text(make: Make, name: str) -> None:
    model, tokenizer = stored(name)
    options = {"continuation": " and 👍 so on"} if "llama" in name else {}
    widget = make(model, HARD, tokenizer=tokenizer, method="input_x_gradient", **options)
    assert "".join(pieces(widget)) == widget.text == HARD + options.get("continuation", "")
    members = sorted(place for _, _, *own in widget.strip for place in own)
    assert members == list(range(len(widget.tokens)))
    for unit, starts in widget.boundaries.items():
        assert starts[0] == 0, unit
        assert sorted(set(starts)) == starts, unit
    json.dumps(widget.tokens, ensure_ascii=False).encode("utf-8")


def test_every_offered_method_answers(make: Make) -> None:
    model, tokenizer = stored("sst2-bert-tiny")
    widget = make(model, "a gripping film", tokenizer=tokenizer)
    known = {one if isinstance(one, str) else one["name"]: one for one in widget.methods}
    assert {"saliency", "attn_lrp", "deeplift", "chefer", "raw_attention", "value_zeroing", "attattr", "shapley", "lime",
            "token_erasure", "discretized_ig", "sequential_ig", "reagent", "expected_gradients"} <= known.keys()  # fmt: skip
    assert not {"grad_cam", "occlusion", "conductance", "xrai"} & known.keys()
    for name in known:
        ask(widget, method=name, parameters={})
        assert widget.status == "ready", (name, widget.error)
        assert np.isfinite(values(widget)).all(), name
        assert np.abs(values(widget)).max() > 0, name
        assert widget.values_meta["length"] == len(widget.tokens) == 5
        unsigned = widget.values_meta["unsigned"]
        assert unsigned == any(one["code"] == "unsigned" for one in widget.notices)
        assert not unsigned or (values(widget) >= 0).all(), name


def test_parts_are_words_of_the_text(make: Make) -> None:
    model, tokenizer = stored("sst2-bert-tiny")
    widget = make(
        model, "unwatchably tedious filmmaking", tokenizer=tokenizer, method="feature_ablation", regions="word"
    )
    groups = group(widget._tokens, "word")
    assert len(groups) < len(widget.tokens)
    sums = groups.reduce(torch.tensor(values(widget)))
    whole = xw.attribute(
        model, widget.text, tokenizer=tokenizer, method="feature_ablation", regions="word",
        target=widget.values_meta["target"],
    ).values[0]  # fmt: skip
    for place, span in enumerate(groups.spans):
        assert float(sums[place]) == pytest.approx(float(whole[span.members[0]]), abs=1e-5)
    (found,) = [one for one in widget.methods if isinstance(one, dict) and one["name"] == "shapley"]
    (control,) = [one for one in found["parameters"] if one["name"] == "regions"]
    assert control["choices"] == ["token", "word", "sentence", "line", "paragraph"]
    ask(widget, parameters={"regions": "nibble"})
    assert widget.error["code"] == "unknown_unit"


def test_foils_are_differences(strip: Any) -> None:
    found = []
    for target, foil in ((0, None), (1, None), (0, 1)):
        ask(strip, target=target, foil=foil, parameters={"steps": 64, "rule": "gauss_legendre"})
        found.append(values(strip))
    np.testing.assert_allclose(found[2], found[0] - found[1], atol=1e-4)
    assert "ant rather than bee" in strip.caption


def test_finished_answers_are_kept(make: Make) -> None:
    model = Bag()
    strip = make(model, "one two three", tokenizer=Words(), method="input_x_gradient")
    first, key = values(strip), strip.values_meta["key"]
    ask(strip, method="saliency")
    entry = strip.archive[key]
    assert entry.keys() == {"values", "values_meta", "question", "quality", "notices", "caption"}
    assert list(strip.archive) == [key, strip.values_meta["key"]]
    rows = model.rows
    ask(strip, method="input_x_gradient")
    assert model.rows == rows
    np.testing.assert_array_equal(values(strip), first)
    for seed in range(30):
        ask(strip, method="smoothgrad", parameters={"samples": 2, "seed": seed})
    assert len(strip.archive) == 24
    assert strip.values_meta["key"] in strip.archive


def test_keys_are_written_as_javascript_writes_them() -> None:
    value = {"b": 1.0, "a": [1e-6, 1.5e-7, 0.002, 3, True, None, 'é\u2028"'], "c": 123456789.5, "d": 1e22}
    assert canonical(value) == '{"a":[0.000001,1.5e-7,0.002,3,true,null,"é\u2028\\""],"b":1,"c":123456789.5,"d":1e+22}'


def test_another_text_takes_its_place(strip: Any) -> None:
    before = strip.text
    strip.selection = [[0, 3]]
    assert strip.selection_sum["tokens"] == 1
    write(strip, edited_text="quite another text 👍 now")
    strip.wait(30)
    assert strip.text == strip.edited_text != before
    assert len(strip.archive) == 1
    assert strip.selection == []
    assert strip.whatif == {}
    assert len(values(strip)) == len(strip.tokens) == 5
    assert strip.inputs == [{"label": strip.text}]
    write(strip, edited_text=" ")
    with pytest.raises(xw.ExplainError):
        strip.wait(30)
    assert strip.status == "error"


def test_several_texts(make: Make) -> None:
    model = Bag()
    strip = make(model, ["first one", "and a second text"], tokenizer=Words(), method="input_x_gradient")
    assert [one["label"] for one in strip.inputs] == ["first one", "and a second text"]
    ask(strip, input=1)
    assert strip.text == "and a second text"
    assert len(values(strip)) == 4
    ask(strip, input=2)
    assert strip.error["code"] == "out_of_range"
    ask(strip, input=0)
    assert strip.text == "first one"


def test_what_if(strip: Any) -> None:
    found = strip.what_if("a wholly different film")
    model = Bag()
    expected = model(torch.tensor([Words()("a wholly different film")["input_ids"]])).softmax(1)[0]
    assert {one["id"]: one["score"] for one in found["after"]} == pytest.approx(dict(enumerate(expected.tolist())))
    assert found["before"] == strip.classes
    place = strip.text.index("not")
    masked = strip.what_if(mask=(place, place + 3))
    assert masked["text"] == strip.text.replace("not", "[MASK]")
    ids = Words()(strip.text)["input_ids"]
    ids[3] = 1
    expected = model(torch.tensor([ids])).softmax(1)[0]
    assert {one["id"]: one["score"] for one in masked["after"]} == pytest.approx(dict(enumerate(expected.tolist())))
    assert strip.whatif["text"] == masked["text"]
    with pytest.raises(xw.ExplainError, match="no word"):
        strip.what_if(mask=(3, 4))
    with pytest.raises(xw.ExplainError):
        strip.what_if()


def test_selections_are_summed_in_code_units(make: Make) -> None:
    strip = make(Bag(), "👍 good 👍 bad", tokenizer=Words(), method="input_x_gradient")
    strip.selection = [[3, 7], [11, 14]]  # good, bad
    own = values(strip).astype(float)[[1, 3]]
    found = strip.selection_sum
    assert found["sum"] == pytest.approx(own.sum())
    assert found["positive"] + found["negative"] == pytest.approx(own.sum())
    assert found["share"] == pytest.approx(own.sum() / np.abs(values(strip)).sum(), rel=1e-5)
    assert found["tokens"] == 2
    assert found["text"] == "good … bad"
    for wrong in ([[3, 1]], [[1]], [["a", 2]], [[-1, 2]]):
        with pytest.raises(Exception, match="selection"):
            strip.selection = wrong


def test_token_numbers_with_words(make: Make) -> None:
    ids = torch.tensor([[10, 11, 12], [20, 21, 22]])
    strip = make(Bag(), ids, tokens=[["a ", "b ", "c"], ["x ", "y ", "z"]], method="input_x_gradient")
    assert strip.text == "a b c"
    assert len(strip.inputs) == 2
    expected = xw.attribute(
        Bag(), ids[:1], target=strip.values_meta["target"], method="input_x_gradient", layer="embed"
    ).values.sum(-1)[0]  # fmt: skip
    np.testing.assert_allclose(values(strip), expected.numpy(), atol=1e-6)
    padded = {
        "input_ids": torch.tensor([[10, 11, 0], [20, 21, 22]]),
        "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]]),
    }
    strip = make(Bag(), padded, tokenizer=Words(), method="input_x_gradient")
    assert [surface for *_, surface, _part in strip.tokens] == ["w10", "w11"]


def test_baselines_are_named(make: Make) -> None:
    strip = make(Bag(), "one two three", tokenizer=Words(), baseline="mask")
    assert [one["name"] for one in strip.baselines] == ["zeros", "mean", "mask", "pad"]
    assert "baseline: [MASK] tokens" in strip.caption
    expected = xw.attribute(
        Bag(), "one two three", tokenizer=Words(), baseline="mask", target=strip.values_meta["target"]
    )
    np.testing.assert_allclose(values(strip), expected.values[0].numpy(), atol=1e-5)
    ask(strip, method="token_erasure", baseline="zeros")
    assert "[MASK] tokens" in strip.caption  # token numbers have no zero
    ask(strip, baseline="nothing")
    assert strip.error["code"] == "unknown_baseline"
    given = make(Bag(), "one two", tokenizer=Words(), baseline=torch.ones(1, 2, 8))
    assert given.baselines[0]["name"] == "given"
    assert "as given" in given.caption


def test_notices(make: Make) -> None:
    def codes(widget: Any) -> set[str]:
        return {one["code"] for one in widget.notices}

    model, tokenizer = stored("sst2-bert-tiny")
    cut = make(model, "word " * 300, tokenizer=tokenizer, method="input_x_gradient")
    assert "text_cut" in codes(cut)
    assert len(cut.tokens) <= 128
    assert len(cut.text) == 1500
    vague = Words()
    vague.__class__ = type("Vague", (Words,), {"__call__": lambda self, text: Words.__call__(self, text)["input_ids"]})
    guessed = make(Bag(), "café zzz", tokenizer=vague, method="input_x_gradient")
    assert "no_offsets" in codes(guessed)
    assert "".join(pieces(guessed)) == "café zzz"
    short = make(model, "word " * 30, tokenizer=tokenizer, max_length=10, method="saliency")
    assert len(short.tokens) == 10
    assert {"unsigned", "text_cut"} <= codes(short)


def test_what_cannot_be_explained_is_said_at_once() -> None:
    with pytest.raises(xw.ExplainError, match="tokenizer"):
        xw.explain(Bag(), "a text")
    with pytest.raises(xw.ExplainError, match="token numbers"):
        xw.explain(Bag(), torch.rand(1, 3), tokens=["a", "b", "c"])
    with pytest.raises(xw.ExplainError, match="training"):
        xw.explain(Bag().train(), "a text", tokenizer=Words())
    with pytest.raises(xw.ExplainError, match="no method"):
        xw.explain(Bag(), "a text", tokenizer=Words(), method="magic")
    with pytest.raises(xw.ExplainError, match="does not explain texts"):
        xw.explain(Bag(), "a text", tokenizer=Words(), method="grad_cam").wait(30)


def test_a_text_without_influence_says_so() -> None:
    from xaiwidgets.text.tokenizers import tokenize

    tokens = tokenize("a b", Words())
    question = {"method_title": "M", "target_label": "t"}
    assert "Every value is zero" in caption(np.zeros(2), tokens, question, signed=True, gap=None)


def test_a_trained_model_is_another_one(make: Make) -> None:
    model = Bag()
    strip = make(model, "one two three", tokenizer=Words(), method="input_x_gradient")
    before = values(strip)
    with torch.no_grad():
        model.last.weight.mul_(2)
    strip.run().wait(30)
    assert not np.allclose(values(strip), before)


def test_classes_are_called_as_the_model_calls_them(make: Make) -> None:
    model = Bag()
    model.config = type("Config", (), {"id2label": {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}})
    assert make(model, "one two", tokenizer=Words(), target=1).question["target_label"] == "class 1"
    model.config.id2label = {0: "bad", 1: "so-so", 2: "good"}
    assert make(model, "one two", tokenizer=Words(), target=1).question["target_label"] == "so-so"
    assert make(model, "one two", tokenizer=Words(), target=1, labels=LABELS).question["target_label"] == "bee"
