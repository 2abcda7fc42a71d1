"""Texts: a path through embeddings of an unmodified Hugging Face model, and of a plain module."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import PATIENCE, Elements, ask, named
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.live.frames import unpack_frames

SENTENCE = "a gripping and thoroughly delightful film , never dull"
Explore = Callable[..., Any]


@pytest.fixture(scope="module")
def sentiment() -> tuple[Any, Any]:
    """The stored classifier of sentences and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    folder = Path(__file__).resolve().parents[3] / "shared/models/sst2-bert-tiny"
    if not folder.is_dir():
        pytest.skip(f"no stored model at {folder}")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


class Bag(nn.Module):
    """Positions and words, in that order; the words' embedding is the second module."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.places = nn.Embedding(6, 4)
            self.words = nn.Embedding(50, 4)
            self.head = nn.Linear(4, 3)
        self.eval()

    def forward(self, numbers: Tensor) -> Tensor:
        places = self.places(torch.arange(numbers.shape[1], device=numbers.device))
        return self.head(torch.tanh(self.words(numbers) + places).mean(1))


def test_a_sentence_is_explained_at_its_embedding(explore: Explore, sentiment: tuple[Any, Any]) -> None:
    model, tokenizer = sentiment
    widget = explore(model, SENTENCE, tokenizer=tokenizer, labels=["negative", "positive"], steps=33, tolerance=0.0)
    assert widget.medium == "text"
    assert widget.tokens == ["[CLS]", *SENTENCE.split(), "[SEP]"]
    assert widget.image_size == [11, 1]
    assert widget.question["target_label"] == "positive"
    assert [entry["id"] for entry in widget.baselines] == ["zeros", "mean", "mask", "pad"]
    assert {notice["code"] for notice in widget.notices} >= {"text_path"}

    inputs = dict(tokenizer(SENTENCE, return_tensors="pt"))
    embedding = model.bert.embeddings.word_embeddings
    own = embedding(inputs["input_ids"]).detach()
    baseline = torch.zeros_like(own)
    baseline[:, [0, -1]] = own[:, [0, -1]]  # special tokens stay
    expected = xw.attribute(
        model, inputs, target=1, wrt="input_ids", layer="bert.embeddings.word_embeddings", baseline=baseline,
        rule="trapezoid", steps=33,
    )  # fmt: skip
    torch.testing.assert_close(widget.result.values, expected.values, rtol=1e-3, atol=1e-5)
    assert widget.inc_meta["shape"] == [1, 11]
    frames = unpack_frames(widget.inc_meta, widget.increments)
    wanted = expected.values[0].sum(-1).numpy()
    np.testing.assert_allclose(frames.sum(0)[0], wanted, atol=np.abs(wanted).max() / 50)
    assert frames[:, 0, [0, -1]].max() == 0
    assert '"gripping"' in widget.caption


def test_the_baselines_of_a_text(explore: Explore, sentiment: tuple[Any, Any]) -> None:
    model, tokenizer = sentiment
    widget = explore(model, SENTENCE, tokenizer=tokenizer, steps=9)
    weight = model.bert.embeddings.word_embeddings.weight.detach()
    problem = widget._subject.problem(widget._questions.session(0, 1, None, None))

    def start(name: str) -> Tensor:
        return widget._subject.starts(problem, widget._gallery[name], "path", 1)[0, 0]

    torch.testing.assert_close(start("mask")[1:-1], weight[tokenizer.mask_token_id].expand(9, -1))
    torch.testing.assert_close(start("mean")[3], weight.mean(0), rtol=1e-4, atol=1e-6)
    assert not start("zeros")[1:-1].any()
    for name in ("zeros", "mean", "mask", "pad"):
        torch.testing.assert_close(start(name)[[0, -1]], weight[[tokenizer.cls_token_id, tokenizer.sep_token_id]])
    surfaces = {entry["id"]: entry["surfaces"] for entry in widget.baselines}
    assert surfaces["mask"] == ["[CLS]", *["[MASK]"] * 9, "[SEP]"]
    widget.add_baseline("token", token="film")
    widget.wait(PATIENCE)
    assert widget.shown == "path/token:token=film"
    torch.testing.assert_close(start("token:token=film")[4], weight[tokenizer.convert_tokens_to_ids("film")])
    info = widget.baselines[-1]
    assert info["blind"] == pytest.approx(3 / 11)  # both special tokens, and the word itself
    assert info["surfaces"][1:-1] == ["film"] * 9


def test_what_is_no_token_is_refused(explore: Explore, sentiment: tuple[Any, Any]) -> None:
    model, tokenizer = sentiment
    widget = explore(model, SENTENCE, tokenizer=tokenizer, steps=9)
    with pytest.raises(xw.ExplainError) as caught:
        widget.add_baseline("token", token="unbelievablyqqq")
    assert caught.value.code == "token_unknown"
    assert "cut into" in caught.value.detail
    for params in ({}, {"token": ""}, {"token": 5}, {"token": "x" * 1000}):
        with pytest.raises(xw.ExplainError):
            widget.add_baseline({"kind": "token", **params})
    assert len(widget.baselines) == 4
    ask(widget, mode="distribution")
    assert "distribution" in widget.error["title"]


def test_encoded_texts_do_as_well(explore: Explore, sentiment: tuple[Any, Any]) -> None:
    model, tokenizer = sentiment
    widget = explore(model, tokenizer(SENTENCE, return_tensors="pt"), tokenizer=tokenizer, steps=9)
    assert widget.tokens[2] == "gripping"
    padded = tokenizer(SENTENCE, return_tensors="pt", padding="max_length", max_length=14)
    widget = explore(model, dict(padded), tokenizer=tokenizer, steps=9)
    assert widget.baselines[0]["blind"] == pytest.approx(5 / 14)


@pytest.mark.parametrize("own_word", [True, False])
def test_a_plain_module(explore: Explore, own_word: bool) -> None:
    model = Bag()
    if own_word:
        model.get_input_embeddings = lambda: model.words
    widget = explore(
        model, torch.tensor([[7, 40, 3]]), tokens=["seven", "forty", "three"], target=2, baselines=["zeros", 0.25],
        steps=65, tolerance=0.0,
    )  # fmt: skip
    values = widget.result.values
    embedded = model.words(torch.tensor([[7, 40, 3]])).detach()
    assert values.shape == embedded.shape
    change = model(torch.tensor([[7, 40, 3]]))[0, 2] - model.head(torch.tanh(model.places.weight[:3]).mean(0))[2]
    assert float(values.sum()) == pytest.approx(float(change.detach()), abs=1e-3)
    assert widget.tokens == ["seven", "forty", "three"]
    assert [kind["kind"] for kind in widget.kinds] == ["zeros", "mean"]
    widget.add_baseline(torch.zeros(3, 4))
    widget.wait(PATIENCE)
    torch.testing.assert_close(widget.result.values, values)


@pytest.mark.parametrize(
    ("inputs", "more", "code"),
    [
        (torch.tensor([[1, 2]]), {}, "integer_input"),
        (torch.tensor([[1, 2]]), {"tokens": ["a"]}, "token_count"),
        (torch.rand(1, 2), {"tokens": ["a", "b"]}, "not_a_text"),
        (torch.tensor([[1, 99]]), {"tokens": ["a", "b"]}, "no_embedding"),
        ("some words", {}, "no_tokenizer"),
        ("some words", {"tokenizer": lambda text, return_tensors: [1, 2]}, "no_tokenizer"),
    ],
    ids=named,
)
def test_what_is_no_text_is_refused(explore: Explore, inputs: Any, more: dict[str, Any], code: str) -> None:
    with pytest.raises(xw.ExplainError) as caught:
        explore(Bag(), inputs, **more)
    assert caught.value.code == code
    assert caught.value.hint


def test_hostile_tokens_are_text(explore: Explore) -> None:
    hostile = ["</script><script>alert(1)</script>", "\ud83d", '<img src=x onerror="alert(1)">']
    widget = explore(Bag(), torch.tensor([[7, 40, 3]]), tokens=hostile, target=2, steps=9)
    assert widget.tokens == [hostile[0], "?", hostile[2]]
    read = Elements(widget._repr_mimebundle_()[0]["text/html"])
    assert hostile[0] in read.text
    assert "script" not in {tag for tag, _ in read.elements}
    assert {attributes["src"][:15] for tag, attributes in read.elements if tag == "img"} == {"data:image/jpeg"}
    page = Elements(widget.to_html())
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    page_text = widget.to_html()
    assert "<script>alert" not in page_text
