"""Results of other libraries: those that are installed by running them, the others by objects of the same form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shap
import torch
from captum.attr import LLMAttributionResult
from captum.attr._utils.visualization import VisualizationDataRecord
from pages import Colourful, colourful_images, shown
from texts import Bag

import xaiwidgets as xw
from xaiwidgets.widgets.tokens.pack import unpack_values

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bring.md"
Show = Callable[..., Any]


def snippets() -> list[Any]:
    """The page's examples under the headings they stand under, and which libraries they import."""
    found = []
    for part in re.split(r"\n## ", PAGE.read_text(encoding="utf-8")):
        for code in re.findall(r"```python\n(.*?)```", part, re.DOTALL):
            found.append((part.partition("\n")[0], code))
    return found


def explained(texts: list[str]) -> Any:
    """What shap.Explainer gives of a text and two classes; running it compiles for ten seconds."""
    words = tuple(np.array(re.findall(r"\w+\W*", text), dtype=object) for text in texts)
    good = np.array([[0.0, 0.1, -0.6, 0.3]])
    return shap.Explanation(
        values=np.stack([-good, good], 2), base_values=np.full((1, 2), 0.5), data=words, output_names=["bad", "good"]
    )


def test_every_example_of_the_page_runs(show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("quantus", reason="quantus, which one of the examples is about, is not installed")
    images = colourful_images(2)
    ids = torch.tensor([[5, 9, 11, 7]])
    scope = {
        "xw": xw, "np": np, "torch": torch, "model": Colourful(), "images": images, "labels": ["ant", "bee", "cat", "dog", "eel"],
        "values": torch.randn(2, 3, 24, 24), "gradient": torch.randn(2, 3, 24, 24), "smoothed": torch.randn(2, 1, 24, 24),
        "text_model": Bag(), "ids": ids, "tokens": ["not", "a", "bad", "film"], "judge": None, "path": tmp_path / "why.safetensors",
    }  # fmt: skip
    made: list[tuple[str, Any]] = []
    part = ""

    def record(*args: Any, **options: Any) -> Any:
        made.append((part, show(*args, **options)))
        return made[-1][1]

    monkeypatch.setitem(xw.__dict__, "show", record)
    monkeypatch.setattr(shap, "Explainer", lambda *_args, **_options: explained)
    for part, code in snippets():
        exec(compile(code, f"{PAGE.name}: {part}", "exec"), scope)
    assert {widget.status for _, widget in made} == {"ready"}
    kinds = {part: {widget._kind for there, widget in made if there == part} for part, _ in made}
    assert kinds["Captum"] == kinds["SHAP"] == {"heatmap", "tokens"}
    assert {kinds[part].pop() for part in ("Zennit", "Quantus", "Grad-CAM packages")} == {"heatmap"}
    captum, text = (widget for part, widget in made if part == "Captum")
    assert captum.quality["delta"] == pytest.approx(float(scope["found"][1][0]))
    assert text.quality["delta"] == pytest.approx(float(scope["delta"][0]))
    np.testing.assert_allclose(unpack_values(text.values), scope["words"].attribute(ids, baselines=0 * ids, target=1).sum(2)[0].detach().numpy(), rtol=1e-4, atol=1e-6)  # fmt: skip
    both, one = (widget for part, widget in made if part == "SHAP" and widget._kind == "tokens")
    assert [method["title"] for method in both.methods] == ["SHAP: bad", "SHAP: good"]
    assert one.text.strip() == "not a bad film"
    best = int(np.abs(unpack_values(one.values)).argmax())
    assert one.tokens[best][3].strip() == "bad"
    assert unpack_values(one.values)[best] < 0
    assert one.question["target_label"] == "good"


def test_shap_of_images(show: Show) -> None:
    values = np.random.default_rng(0).normal(size=(2, 6, 6, 3, 2))
    data = np.random.default_rng(1).integers(0, 255, (2, 6, 6, 3))
    found = SimpleNamespace(values=values, base_values=np.zeros((2, 2)), data=data, output_names=["<b>cat</b>", "dog"])
    widget = show(found)
    assert [method["name"] for method in widget.methods] == ["SHAP: <b>cat</b>", "SHAP: dog"]
    assert widget.question["target_label"] == "<b>cat</b>"
    np.testing.assert_allclose(shown(widget), values[0, ..., 0].sum(-1), atol=0.05)
    np.testing.assert_allclose(shown(show(found, target=1)), values[0, ..., 1].sum(-1), atol=0.05)
    assert widget.image_size == [6, 6]
    table = SimpleNamespace(values=values[:, 0, 0, :, 0], base_values=0, data=data[0, 0, 0], output_names=None)
    with pytest.raises(xw.ExplainError, match="neither of a text nor of an image"):
        show(table)


@dataclass
class Piece:
    """As inseq's tokens are."""

    token: str
    id: int = 0


def pieces(*words: str) -> list[Piece]:
    return [Piece(word) for word in words]


def test_inseq_of_an_encoder_and_a_decoder(show: Show) -> None:
    source, target = torch.randn(4, 3), torch.randn(3, 3)
    target[torch.triu(torch.ones(3, 3), 0).bool()] = torch.nan
    one = SimpleNamespace(
        source=pieces("▁The", "▁nurse", "▁slept", "</s>"), target=pieces("▁Die", "▁Pflege", "rin"), source_attributions=source,
        target_attributions=target, attr_pos_start=0, attr_pos_end=3,
    )  # fmt: skip
    widget = show(SimpleNamespace(sequence_attributions=[one], info={}))
    assert (widget.task, widget.n_prompt, widget.text) == ("generate", 4, "The nurse slept Die Pflegerin")
    matrix = widget.attribution_matrix()
    torch.testing.assert_close(matrix[:, :4], source.T, rtol=0, atol=0.01)
    torch.testing.assert_close(matrix[:, 4:], target.T, rtol=0, atol=0.01, equal_nan=True)
    assert [token[2] for token in widget.tokens] == [0, 0, 0, 1, 0, 0, 0]


def test_inseq_of_a_decoder_with_the_parts_of_vectors(show: Show) -> None:
    values = torch.randn(4, 2, 5)
    one = SimpleNamespace(
        source=pieces("ĠThe", "Ġnurse"), target=pieces("ĠThe", "Ġnurse", "Ġsaid", "Ġthat"), source_attributions=None,
        target_attributions=values, attr_pos_start=2, attr_pos_end=4,
    )  # fmt: skip
    widget = show(one)
    assert (widget.n_prompt, widget.text) == (2, "The nurse said that")
    torch.testing.assert_close(widget.attribution_matrix(), values.sum(2).T, rtol=0, atol=0.01)
    assert any("aggregate" in notice["text"] for notice in widget.notices)


def test_captums_records_and_language_models(show: Show) -> None:
    records = [
        VisualizationDataRecord(torch.tensor([0.1, -0.5]), 0.9, 1, 1, "pos", 0.2, ["so", "bad"], 0.01),
        VisualizationDataRecord(torch.tensor([0.3]), 0.9, 1, 1, "neg", 0.2, ["good"], torch.tensor([0.02])),
    ]
    widget = show(records)
    assert (len(widget.inputs), widget.question["target_label"]) == (2, "pos")
    assert widget.quality["delta"] == pytest.approx(0.01)
    widget.params = widget.params | {"input": 1}
    widget.wait()
    assert (widget.text, widget.question["target_label"]) == ("good", "neg")
    values = torch.randn(2, 3)
    answer = LLMAttributionResult(
        input_tokens=["a", "b", "c"], output_tokens=["d", "e"], seq_attr=values.sum(0), token_attr=values
    )
    torch.testing.assert_close(show(answer).attribution_matrix()[:, :3], values, rtol=0, atol=0.01)
    answer.token_attr = None
    assert show(answer).question["target_label"] == "the whole answer"


def test_our_own_with_everything_they_know(show: Show) -> None:
    images, model = colourful_images(2), Colourful()
    found = xw.attribute(model, images, target=torch.tensor([0, 3]), method="integrated_gradients", steps=16)
    widget = show(found, image=images, labels=["ant", "bee", "cat", "dog", "eel"])
    own = xw.explain(model, images, target=0, method="integrated_gradients", steps=16, labels=["ant"]).wait()
    np.testing.assert_allclose(shown(widget), shown(own), atol=1e-6)
    assert widget.quality["gap"] == pytest.approx(own.quality["gap"], rel=1e-3)
    assert widget.maps[0]["unit"] == own.maps[0]["unit"].replace("logit", "score")
    assert (widget.question["method_title"], widget.question["target_label"]) == ("Integrated gradients", "ant")
    own.close()
    several = show([found, found], image=[*images, *images])
    assert len(several.inputs) == 4
