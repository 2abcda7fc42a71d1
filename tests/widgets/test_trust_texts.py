"""The Trust drawer of texts and of paths: tokens that go, output tokens, runs on one path or another."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pages import PATIENCE, colourful_images, tell, write
from test_trust import plain, plain_images
from texts import Words, stored, writer
from torch import Tensor, nn

from xaiwidgets.engine.errors import InputError
from xaiwidgets.widgets.tokens.pack import canonical

Make = Callable[..., Any]
TEXT = "the film is not bad <b>at</b> all"


class Sentiment(nn.Module):
    """Three classes from the words and their order; it can be copied."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.embed = nn.Embedding(64, 8)
            self.mix = nn.Conv1d(8, 8, 3, padding=1)
            self.last = nn.Linear(8, 3)
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(torch.tanh(self.mix(self.embed(ids).mT).mT).sum(1))


@pytest.fixture
def strip(make: Make) -> Any:
    return make(Sentiment(), TEXT, tokenizer=Words())


def masked_by_hand(
    model: Any, ids: list[int], order: list[int], kind: str, score: Callable[[Tensor], float]
) -> list[float]:
    """The score with the first k words of an order masked, or with all others masked, for k = 0, 1, …, all."""
    found = []
    for count in range(len(order) + 1):
        gone = set(order[:count] if kind == "deletion" else order[count:])
        with torch.no_grad():
            found.append(score(model(torch.tensor([[1 if place in gone else one for place, one in enumerate(ids)]]))))
    return found


def test_the_curves_of_a_text_are_those_of_a_loop(strip: Any) -> None:
    strip.test().tested(PATIENCE)
    assert strip.trust["settings"] == {"fill": "mask_token", "measure": "probability"}
    order = strip.result.values[0].argsort(descending=True).tolist()
    ids, target = Words()(TEXT)["input_ids"], strip.question["target"]
    for kind in ("deletion", "insertion"):
        line = strip.trust["curves"][kind]["map"]
        found = masked_by_hand(Sentiment(), ids, order, kind, lambda output: float(output.softmax(1)[0, target]))
        assert line["x"] == pytest.approx([count / len(ids) for count in range(len(ids) + 1)], abs=1e-5)
        assert line["y"] == pytest.approx(found, abs=2e-5)
    assert set(strip.trust["curves"]["deletion"]) == {"map", "random", "lengths"}
    assert [one["key"] for one in strip.trust["controls"]] == ["map", "random", "lengths", "randomised"]
    assert strip.trust["controls"][0]["shape"] == [1, len(ids)]
    raw = np.frombuffer(zlib.decompress(strip.trust_data["maps"]), np.int8).reshape(4, -1)
    own = strip.result.values[0].numpy()
    assert raw[0] * strip.trust["controls"][0]["scale"] == pytest.approx(own, abs=float(np.abs(own).max()) / 200)
    assert strip.trust["layers"]["names"] == ["last", "mix", "embed"]
    assert [one["test"] for one in strip.trust["sentences"]] == ["sum", "curves", "random", "lengths", "randomisation"]


def test_which_tokens_are_left_is_said_for_each(strip: Any) -> None:
    strip.test().tested(PATIENCE)
    frames = strip.trust["frames"]
    assert frames["tokens"] == [one[3] for one in strip.tokens]
    count = len(frames["tokens"])
    order = strip.result.values[0].argsort(descending=True)
    for row, share in enumerate(frames["shares"]):
        first = np.zeros(count, int)
        first[order[: round(share * count)]] = 1
        assert frames["kept"]["insertion"][row] == first.tolist()
        assert frames["kept"]["deletion"][row] == (1 - first).tolist()
    assert "deletion" not in strip.trust_data
    assert strip.trust["about"]["medium"] == "text"
    assert "<b>" not in strip._figure()


def test_special_tokens_stay(make: Make) -> None:
    model, tokenizer = stored("sst2-bert-tiny")
    strip = make(model, "never boring", tokenizer=tokenizer, method="input_x_gradient")
    found = strip.test(fill="delete").tested(PATIENCE)
    kept = np.array(strip.trust["frames"]["kept"]["deletion"])
    assert kept[:, [0, -1]].all()
    assert not kept[-1, 1:-1].any()
    with torch.no_grad():
        empty = model(torch.tensor([[tokenizer.cls_token_id, tokenizer.sep_token_id]])).logits.softmax(-1)[0]
    assert strip.trust["curves"]["deletion"]["map"]["y"][-1] == pytest.approx(
        float(empty[strip.question["target"]]), abs=1e-5
    )
    assert "model_randomisation" in found


def test_an_output_token_is_tested_by_what_it_was_given(make: Make) -> None:
    model = writer("gpt2")
    strip = make(model, "the film is not bad", tokenizer=Words(), generate=4, method="input_x_gradient")
    strip.test().tested(PATIENCE)
    assert strip.trust["settings"]["measure"] == "logit"
    assert strip.trust["unit"] == f"logit of {strip.question['target_label']}"
    written = strip._answers.subject(0).generated
    ids = [*written.prompt.ids, *written.output.ids]
    order = strip.result.values[0][:5].argsort(descending=True).tolist()
    first = written.output.ids[0]
    for kind in ("deletion", "insertion"):
        found = masked_by_hand(model, ids, order, kind, lambda output: float(output.logits[0, 4, first]))
        if kind == "deletion":
            assert found[0] == pytest.approx(float(written.logits[0, first]), abs=1e-4)
        assert strip.trust["curves"][kind]["map"]["y"] == pytest.approx(found, rel=1e-3, abs=1e-3)
    assert all(
        all(row[5:]) for row in strip.trust["frames"]["kept"]["deletion"]
    )  # what is explained, and what came later
    strip.columns().wait(PATIENCE)
    tell(strip, type="trust", key=f"{strip.map_key}#2")
    strip.tested(PATIENCE)
    assert strip.trust["key"] == f"{strip.map_key}#2"
    assert strip.trust["about"]["target_label"] != strip.question["target_label"]
    assert len(strip.trust["curves"]["deletion"]["map"]["x"]) == 5 + 2 + 1


def test_encoder_and_decoder(make: Make) -> None:
    strip = make(writer("t5"), "the film is not bad", tokenizer=Words(), generate=3, method="input_x_gradient")
    found = strip.test().tested(PATIENCE)
    assert len(strip.trust["frames"]["tokens"]) == 5
    assert "model_randomisation" in found


def test_an_archived_text_result_is_tested_under_its_own_name(strip: Any) -> None:
    first = strip.map_key
    assert first == strip.values_meta["key"] == canonical(strip.params)
    write(strip, params=strip.params | {"target": 2}, request_id=1)
    strip.wait(PATIENCE)
    assert strip.map_key != first
    tell(strip, type="trust", key=first)  # the page has gone back to it without asking anybody
    strip.tested(PATIENCE)
    assert strip.trust["key"] == first
    assert strip.trust["about"]["target_label"] != "class 2"
    tell(strip, type="trust", key="nonsense#7")
    with pytest.raises(InputError, match="no such map"):
        strip.tested(PATIENCE)
    assert (strip.trust["key"], strip.trust["status"]) == ("nonsense#7", "error")


def test_another_text_in_its_place_makes_the_test_void(make: Make) -> None:
    strip = make(Sentiment(), [TEXT, "a good film"], tokenizer=Words())
    strip.test().tested(PATIENCE)
    tested = strip.trust
    write(strip, params=strip.params | {"input": 1}, request_id=1)
    strip.wait(PATIENCE)
    assert strip.trust == tested  # about the other text, as its key says
    assert strip.map_key != tested["key"]
    write(strip, params=strip.params | {"input": 0}, request_id=2)
    strip.wait(PATIENCE)
    write(strip, edited_text="a bad film", request_id=3)
    strip.wait(PATIENCE)
    assert (strip.trust, strip.trust_data) == ({}, {})
    strip.test().tested(PATIENCE)
    assert len(strip.trust["frames"]["tokens"]) == 3


def test_words_taken_away_together_are_ranked_as_the_method_did(make: Make) -> None:
    strip = make(Sentiment(), TEXT, tokenizer=Words(), method="feature_ablation", regions="sentence")
    strip.test().tested(PATIENCE)
    raw = np.frombuffer(zlib.decompress(strip.trust_data["maps"]), np.int8).reshape(len(strip.trust["controls"]), -1)
    assert len(set(raw[0].tolist())) == 1  # one sentence: all tokens alike, so all orders are by lot


# --- paths -------------------------------------------------------------------------------------------------------------


def test_a_run_of_an_explorer(explore: Make) -> None:
    explorer = explore(plain(), plain_images(), baselines=("black", "blur"), steps=17)
    explorer.compare().wait(PATIENCE)
    assert explorer.map_key == f"{explorer.asked}/{explorer.shown}"
    shown = explorer.shown
    other = next(key for key in explorer.archive if key != shown)
    tell(explorer, type="trust", key=f"{explorer.asked}/{other}")  # the page shows it without asking the kernel
    found = explorer.tested(PATIENCE)
    assert explorer.trust["key"] == f"{explorer.asked}/{other}"
    assert other.split("/")[1] in explorer.trust["about"]["method_title"]
    assert explorer.shown == shown
    values = explorer.results[other].values[0].sum(0).flatten()
    raw = np.frombuffer(zlib.decompress(explorer.trust_data["maps"]), np.int8).reshape(4, -1)
    assert np.corrcoef(raw[0], values)[0, 1] > 0.999
    assert found["model_randomisation"].curves["rank"].values.shape == (1, 2)
    assert explorer.trust["cost"]["gradient"] > 0
    tell(explorer, type="trust", key=f"{explorer.asked - 1}/{other}")
    with pytest.raises(InputError):
        explorer.tested(PATIENCE)


def test_a_distribution_and_a_method_of_the_explorer_alone(explore: Make) -> None:
    explorer = explore(plain(), plain_images(), baselines=("gaussian",), mode="distribution", samples=8)
    found = explorer.test().tested(PATIENCE)
    assert explorer.trust["about"]["method_title"].startswith("Expected gradients")
    assert "model_randomisation" in found
    assert "svg" in explorer._figure()
    explorer.add_baseline("smoothgrad")
    explorer.wait(PATIENCE)
    assert "svg" not in explorer._figure()
    found = explorer.test().tested(PATIENCE)
    assert "model_randomisation" not in found  # no method can be asked again
    assert "insertion/edges" in found
    json.dumps(explorer.trust, allow_nan=False)


def test_the_path_of_a_text(explore: Make) -> None:
    explorer = explore(Sentiment(), torch.tensor([Words()(TEXT)["input_ids"]]), tokenizer=Words(), steps=17)
    found = explorer.test().tested(PATIENCE)
    assert explorer.trust["frames"]["tokens"] == explorer.tokens
    assert "delete" not in dict(explorer.trust["choices"]["fill"])
    assert "model_randomisation" in found
    (answer,) = explorer.results.values()
    order = answer.values[0].sum(-1).argsort(descending=True).tolist()
    target = explorer.question["target"]
    ids = Words()(TEXT)["input_ids"]
    by_hand = masked_by_hand(Sentiment(), ids, order, "deletion", lambda output: float(output.softmax(1)[0, target]))
    assert explorer.trust["curves"]["deletion"]["map"]["y"] == pytest.approx(by_hand, abs=2e-5)


def test_a_path_is_tested_anew_when_it_was_refined(explore: Make) -> None:
    explorer = explore(plain(24), colourful_images(1, 24), baselines=("black",), steps=9, tolerance=0.0)
    explorer.test().tested(PATIENCE)
    seconds = explorer.trust["cost"]["seconds"]
    explorer.test().tested(PATIENCE)
    assert explorer.trust["cost"]["seconds"] == seconds
    explorer.refine(4).wait(PATIENCE)
    explorer.test().tested(PATIENCE)
    assert explorer._course.tested.attribution is explorer.result
