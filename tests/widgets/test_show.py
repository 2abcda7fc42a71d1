"""Values that were made elsewhere: how their axes are read, what is said of them, and that nothing asks a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pages import Elements, RecordingComm, ask, expecting, shown, tell
from PIL import Image
from texts import HARD, values

import xaiwidgets as xw
from xaiwidgets.live.transport import unpack

Show = Callable[..., Any]
HOSTILE = '<img src=x onerror="alert(1)">\u202eevil'
RANDOM = np.random.default_rng(7)
GREY = np.full((12, 12, 3), 0.5)


def maps(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


# --- axes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options", "form"),
    [
        ((9, 12), {}, (1, 1, 9, 12)),
        ((3, 9, 12), {}, (1, 3, 9, 12)),
        ((9, 12, 3), {}, (1, 3, 9, 12)),
        ((5, 9, 12), {}, (5, 1, 9, 12)),
        ((3, 12, 12), {"image": [GREY] * 3}, (3, 1, 12, 12)),
        ((3, 12, 12), {"image": GREY}, (1, 3, 12, 12)),
        ((512, 7, 7), {"image": GREY}, (1, 512, 7, 7)),
        ((2, 3, 9, 12), {}, (2, 3, 9, 12)),
        ((2, 9, 12, 3), {}, (2, 3, 9, 12)),
        ((2, 9, 12, 1), {}, (2, 1, 9, 12)),
        ((2, 3, 9, 3), {}, (2, 3, 9, 3)),
        ((2, 3, 9, 3), {"channels": "last"}, (2, 3, 3, 9)),
        ((3, 9, 3), {"channels": "last"}, (1, 3, 3, 9)),
    ],
    ids=str,
)
def test_axes(show: Show, shape: tuple[int, ...], options: dict[str, Any], form: tuple[int, ...]) -> None:
    given = maps(*shape)
    widget = show(given, **options)
    count, channels, height, width = form
    assert isinstance(widget, xw.HeatmapOverlay)
    assert (len(widget.inputs), widget.result.values.shape) == (count, (1, channels, height, width))
    total = given.reshape(-1).sum() if count == 1 else None
    if total is not None:
        assert float(widget.result.values.sum()) == pytest.approx(float(total), abs=1e-3)
    first = widget.result.values[0].sum(0).numpy()
    np.testing.assert_allclose(shown(widget), first, atol=np.abs(first).max() / 200)


@pytest.mark.parametrize(
    "container",
    [
        lambda a: torch.tensor(a, requires_grad=True), lambda a: torch.tensor(a, dtype=torch.bfloat16), lambda a: a.tolist(),
        lambda a: (torch.tensor(a),), lambda a: (torch.tensor(a), torch.tensor([0.5, 0.25])), list,
        lambda a: (torch.randn(2, 10), torch.tensor(a)), lambda a: a.astype(np.float64), lambda a: torch.tensor(a).to_sparse(),
        lambda a: ((torch.tensor(a),), torch.tensor([0.5, 0.25])),
    ],
    ids=["grad", "bfloat16", "lists", "tuple", "delta", "list", "zennit", "float64", "sparse", "tuple and delta"],
)  # fmt: skip
def test_containers(show: Show, container: Callable[[Any], Any]) -> None:
    given = maps(2, 3, 8, 8)
    widget = show(container(given))
    np.testing.assert_allclose(widget.result.to_numpy()[0], given[0], atol=0.02)
    assert len(widget.inputs) == 2
    if isinstance(container(given), tuple) and np.ndim(container(given)[-1]) == 1:
        assert widget.quality["delta"] == 0.5


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (maps(5), {}, ["[5]", "tokens="]),
        (maps(2, 3, 4, 5, 6), {}, ["[2, 3, 4, 5, 6]", "values[..., 0]"]),
        (maps(2, 3, 8, 8), {"image": GREY}, ["2 images", "there are 1"]),
        (np.where(np.eye(4) > 0, np.nan, 0), {}, ["4 of 16", "nan_to_num"]),
        (np.full((4, 4), 1e300), {}, ["16 of 16", "float32"]),
        (np.zeros((0, 4)), {}, ["no values"]),
        ("saliency", {}, ["str", "array"]),
        (None, {}, ["NoneType"]),
        ({}, {}, ["no values"]),
        (object(), {}, ["object"]),
        ([[1, 2], [3]], {}, ["list", "equal lengths"]),
        (np.array([["a"]]), {}, ["ndarray"]),
        ((maps(1, 3, 8, 8), maps(1, 3, 9, 9)), {}, ["2 inputs", "[1, 3, 8, 8]"]),
        ({"a": maps(2, 3, 8, 8), "b": maps(8, 8)}, {}, ["'a' is about 2", "'b' about 1"]),
        (maps(2, 8, 8), {"target": [1, 2, 3]}, ["3 classes for 2"]),
        (maps(2, 8, 8), {"score": [1.0]}, ["score= holds 1", "2 inputs"]),
        (maps(2, 8, 8), {"image": lambda x: x}, ["function"]),
        (maps(2, 8, 8), {"reduction": "mean"}, ["mean", "magnitude"]),
        (maps(2, 8, 8), {"channels": "middle"}, ["middle", "last"]),
        (maps(4), {"tokens": ["a", "b"]}, ["[4]", "2 tokens", "[2]"]),
        (maps(4), {"tokens": "abcd"}, ["one string", "list"]),
        (maps(2, 4), {"tokens": [["a"] * 4] * 3}, ["[2, 4]", "3 texts"]),
        (maps(2, 9), {"tokens": ["a"] * 3, "outputs": ["b", "c"]}, ["[2, 9]", "[2, 3] or [2, 5]"]),
        (np.array([np.inf, 1]), {"tokens": ["a", "b"]}, ["infinite"]),
        (maps(2), {"tokens": ["[CLS]", "[SEP]"]}, ["special tokens"]),
    ],
)  # fmt: skip
def test_errors_say_what_does_not_fit(show: Show, given: Any, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(xw.ExplainError) as error:
        show(given, **options)
    for word in words:
        assert word in str(error.value)


# --- what is said ---------------------------------------------------------------------------------------------------------


def test_the_question_and_what_is_known_of_the_sum(show: Show) -> None:
    given = maps(2, 1, 8, 8)
    sums = given.sum((1, 2, 3)).tolist()
    widget = show(
        {"mine": given, "its size": np.abs(given)}, target=[1, 0], labels=["cat", HOSTILE], score=[sums[0] + 3, sums[1] + 3],
        baseline_score=[2.0, 3.0], error=0.125, baseline={"mine": "black"}, unit="logit", title=HOSTILE,
    )  # fmt: skip
    question = {"target": 1, "target_label": HOSTILE, "baseline_title": "black", "method_title": "mine"}
    assert question.items() <= widget.question.items()
    facts = widget.quality
    assert facts["delta"] == pytest.approx(-1, abs=1e-5)
    assert facts["gap"] == pytest.approx(1 / abs(sums[0] + 1), rel=1e-4)
    assert facts["error"] == 0.125
    gap = next(notice["text"] for notice in widget.notices if notice["code"] == "gap")
    assert gap.endswith("of the difference between the score and the baseline's.")
    assert widget.heading == HOSTILE
    assert widget.maps[0]["unit"] == "logit"
    assert repr(widget) == f"BroughtHeatmap({HOSTILE})"
    ask(widget, method="its size")
    assert widget.quality["gap"] is widget.quality["delta"] is None, "strengths promise no sum"
    assert not widget.maps[0]["signed"]
    assert widget.question["baseline_title"] == ""
    ask(widget, input=1, method="mine")
    assert widget.question["target_label"] == "cat"
    assert widget.quality["gap"] == pytest.approx(0, abs=1e-5)


def test_signs_are_seen_or_told(show: Show) -> None:
    positive = np.abs(maps(8, 8)) + 0.1
    assert not show(positive).maps[0]["signed"]
    assert show(positive, signed=True).maps[0]["signed"]
    assert show(-positive).maps[0]["signed"]
    assert show(positive, tokens=None, text=None).question["target_label"] == "this answer"
    assert show(positive[0], tokens=list("abcdefgh")).values_meta["unsigned"]


def test_pictures(show: Show) -> None:
    given = maps(1, 8, 8)
    bare = show(given)
    assert (bare.image, bare.display["view"]) == (b"", "side")
    assert not any(notice["code"] == "colours" for notice in bare.notices)
    for image in (
        Image.fromarray(np.full((12, 12, 3), 128, np.uint8)), GREY, GREY.astype(np.float32).transpose(2, 0, 1), GREY[None],
        torch.tensor(GREY).permute(2, 0, 1)[None], (255 * GREY).astype(np.uint8), 255.0 * GREY[..., 0], [GREY],
    ):  # fmt: skip
        widget = show(given, image=image)
        assert widget.image_size == [12, 12]
        assert abs(int(widget._views[0].mean()) - 128) <= 1
        assert widget.notices == []
    normalised = show(given, image=torch.tensor(GREY).permute(2, 0, 1)[None] * 4 - 2.1)
    assert [notice["code"] for notice in normalised.notices] == ["colours"]
    wide = show(given, image=np.zeros((12, 24, 3)))
    assert [notice["code"] for notice in wide.notices] == ["stretched"]
    assert "8 × 8" in wide.notices[0]["text"]


# --- choices --------------------------------------------------------------------------------------------------------------


def test_everything_to_choose_from_is_in_the_page(show: Show) -> None:
    given = {"fine": maps(2, 3, 16, 16), "coarse": np.abs(maps(2, 4, 4))}
    widget = show(given, image=[GREY, GREY / 2], target=[0, 1])
    assert [method["name"] for method in widget.methods] == list(given)
    assert all(method["parameters"] == [] for method in widget.methods)
    assert set(widget.shelf) == {"0", "1", "0/fine", "0/coarse", "1/fine", "1/coarse"}
    for index in (1, 0):
        for name in given:
            ask(widget, input=index, method=name)
            for trait, value in (widget.shelf[f"{index}"] | widget.shelf[f"{index}/{name}"]).items():
                assert getattr(widget, trait) == value, (index, name, trait)
    coarse = unpack(widget.shelf["1/coarse"]["maps"], widget.shelf["1/coarse"]["map_data"])["sum"]
    np.testing.assert_allclose(coarse, given["coarse"][1], atol=0.02)
    assert widget.shared_scale["pixel"] > 0
    assert show(maps(8, 8)).shelf == {}


def test_what_is_too_heavy_to_save_is_left_to_the_kernel(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaiwidgets.widgets.brought.shelf.SHELF_BUDGET", 2000)
    widget = show(maps(8, 32, 32))
    assert "0/Given values" in widget.shelf
    assert "7/Given values" not in widget.shelf
    ask(widget, input=7)
    np.testing.assert_allclose(shown(widget), widget.choices[0].rows[7].values[0], atol=0.05)


def test_other_channel_sums_and_superpixels_need_no_model(show: Show) -> None:
    given = maps(1, 3, 16, 16)
    widget = show(given, image=np.random.default_rng(0).random((16, 16, 3)), reduction="l2")
    assert widget.display["reduction"] == "l2"
    np.testing.assert_allclose(shown(widget, "l2"), np.linalg.norm(given[0], axis=0), atol=0.05)
    with expecting(widget, "maps", lambda found: len(found) == 3):
        tell(widget, type="reduction", key="magnitude")
    with expecting(widget, "segments"):
        tell(widget, type="segments")
    assert widget.segments_shape == [16, 16]


# --- texts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["[CLS]", "un", "##believ", "##able", "!", "[SEP]"], "unbelievable !"),
        (["<s>", "Un", "believ", "able", "Ġfilm", "Ċ", "</s>"], "Unbelievable film\n"),
        (["▁Un", "believ", "able", "▁film", "</s>"], "Unbelievable film"),
        (["Unbeliev", "able ", "film", ""], "Unbelievable film"),
        (["not", "a", "film"], "not a film"),
        (["a", HOSTILE, "<script>"], f"a {HOSTILE} <script>"),
    ],
    ids=["wordpiece", "bytes", "sentencepiece", "own spaces", "words", "hostile"],
)
def test_a_text_is_put_together_from_its_tokens(show: Show, tokens: list[str], text: str) -> None:
    given = maps(len(tokens))
    widget = show(given, tokens=tokens, target=HOSTILE)
    assert isinstance(widget, xw.TokenStrip)
    assert widget.text == text
    np.testing.assert_array_equal(values(widget), given)
    special = [one[2] for one in widget.tokens]
    assert special == [int(token in ("[CLS]", "[SEP]", "<s>", "</s>", "")) for token in tokens]
    for (start, end, is_special, *_), token in zip(widget.tokens, tokens, strict=True):
        part = widget.text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")
        assert is_special or part.strip() == token.strip("Ġ▁ #").replace("Ċ", "") or HOSTILE in part
    assert {tag for tag, _ in Elements(widget._figure()).elements} <= {
        "figure", "div", "span", "figcaption", "details", "summary", "table", "tr", "th", "td"
    }  # fmt: skip


def test_characters_in_several_tokens(show: Show) -> None:
    emoji = "".join(dict(zip(range(256), _alphabet(), strict=True))[byte] for byte in " 👍".encode())
    widget = show(maps(4), tokens=["ok", emoji[:3], emoji[3:], "Ġyes"])
    assert widget.text == "ok 👍 yes"
    assert [start for start, *_ in widget.tokens] == sorted(start for start, *_ in widget.tokens)


def _alphabet() -> list[str]:
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(256, 512))
    return [chr(byte) if byte in own else chr(next(rest)) for byte in range(256)]


def test_texts_by_text_and_tokenizer(show: Show) -> None:
    assert show(maps(3), text="one  two three").text == "one  two three"
    widget = show(maps(4), text="One two", tokens=["[CLS]", "one", "two", "[SEP]"])
    assert (widget.text, [one[:2] for one in widget.tokens]) == ("One two", [[0, 0], [0, 3], [4, 7], [7, 7]])
    assert show(maps(len(HARD.split())), text=HARD).text == HARD
    with pytest.raises(xw.ExplainError, match="5"):
        show(maps(5), text="one two")


def test_vectors_are_added_up_and_several_texts_are_a_menu(show: Show) -> None:
    given = maps(2, 3, 5)
    widget = show({"a": given, "b": given[..., 0]}, tokens=[["x", "y", "z"], ["u", "v", "w"]], delta={"a": [1, 2]})
    np.testing.assert_allclose(values(widget), given[0].sum(-1), rtol=1e-5)
    assert [notice["text"] for notice in widget.notices] == ["The values of each token's vector were added up."]
    assert [one["label"] for one in widget.inputs] == ["x y z", "u v w"]
    for index in (1, 0):
        for name in "ab":
            ask(widget, input=index, method=name)
            for trait, value in (widget.shelf[f"{index}"] | widget.shelf[f"{index}/{name}"]).items():
                assert getattr(widget, trait) == value, (index, name, trait)
    assert widget.quality["delta"] is None
    np.testing.assert_array_equal(values(widget), given[0, :, 0])


def test_generated_texts(show: Show) -> None:
    given = maps(2, 3)
    widget = show({"a": given, "b": np.abs(given)}, tokens=["the", "nurse", "said"], outputs=["that", "she"])
    assert (widget.task, widget.n_prompt, widget.question["target_label"]) == ("generate", 3, '"that"')
    np.testing.assert_allclose(widget.attribution_matrix()[:, :3], given, atol=0.01)
    assert torch.isnan(widget.attribution_matrix()[:, 3:]).all()
    ask(widget, span=[0, 1])
    assert widget.question["target_label"] == '"that she"'
    np.testing.assert_allclose(values(widget)[:3], given.sum(0), rtol=1e-4)
    ask(widget, span=[1, 2])
    assert widget.error["code"] == "out_of_range"


# --- no model -------------------------------------------------------------------------------------------------------------


def test_what_asks_a_model_says_that_there_is_none(show: Show) -> None:
    image, text = show(maps(8, 8), image=GREY), show(maps(2), tokens=["a", "b"])
    for widget in (image, text):
        assert widget.no_model
        widget.test()
        with pytest.raises(xw.ExplainError, match="no model to ask"):
            widget.tested(30)
        assert (widget.trust["status"], widget.trust["error"]["code"]) == ("error", "no_model")
        assert "xaiwidgets.evaluate" in widget.trust["error"]["hint"]
        assert widget.status == "ready"
    with pytest.raises(xw.ExplainError, match="no model"):
        image.what_if(0, 0, 4, 4)
    with pytest.raises(xw.ExplainError, match="no model"):
        text.what_if("another text")
    with expecting(image, "error"):
        tell(image, type="whatif", region={"x0": 0, "y0": 0, "x1": 4, "y1": 4})
    text.edited_text = "another"
    with pytest.raises(xw.ExplainError, match="no model"):
        text.wait(30)
    ask(image, method="integrated_gradients")
    assert image.error["code"] == "unknown_method"


def test_exports(show: Show, tmp_path: Any) -> None:
    given = {"a": maps(1, 3, 8, 8), HOSTILE: maps(1, 3, 8, 8)}
    for widget in (
        show(given, image=GREY, title=HOSTILE),
        show({"a": maps(2), HOSTILE: maps(2)}, tokens=["a", HOSTILE], title="t"),
    ):
        page = widget.to_html()
        assert HOSTILE not in page
        assert '"no_model"' in page
        assert widget.static_state()["heading"] == ""
        widget.result.save(tmp_path / "a.safetensors")
        np.testing.assert_array_equal(xw.load(tmp_path / "a.safetensors").to_numpy(), widget.result.to_numpy())
        json.dumps(widget.provenance)
        assert widget.freeze().data == widget._figure()


def test_it_is_one_message_and_no_more(show: Show, recorded: list[RecordingComm]) -> None:
    widget = show({"a": maps(8, 8), "b": maps(8, 8)})
    before = len(widget.comm.sent)
    ask(widget, method="b")
    published = [state for state in widget.comm.updates()[-4:] if "maps" in state]
    assert len(published) == 1
    assert len(widget.comm.sent) - before <= 4
    assert recorded
