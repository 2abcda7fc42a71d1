"""What the tests of a map say in words, and the picture of them without a script."""

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.widgets.trust import tested as on_show
from xaiwidgets.widgets.trust.figure import figure
from xaiwidgets.widgets.trust.findings import Control, Findings, Layers, Line, Settings
from xaiwidgets.widgets.trust.traits import found_traits
from xaiwidgets.widgets.trust.words import sentences

SETTINGS = Settings("auto", "probability")
X = np.linspace(0, 1, 5)


def exhibit(**changes: Any) -> on_show.Tested:
    attribution = Attribution(
        values=torch.ones(1, 1, 2, 2), delta=torch.tensor([0.16]), error=None, evaluations={}, method="integrated_gradients",
        parameters={}, target=0, seconds=0.0, progress=(1, 1), score=torch.tensor([5.0]), baseline_score=torch.tensor([1.0]),
    )  # fmt: skip
    one = on_show.Tested(
        key="k", case=lambda _interrupt: None, attribution=attribution,  # type: ignore[arg-type, return-value]
        subject=on_show.Input("", np.zeros((2, 2, 3), np.uint8), lambda _point: np.zeros((2, 2, 3), np.uint8)),
        method="Integrated gradients", complete=True, target="<i>cat</i>", score="logit", fills=on_show.OF_IMAGES,
    )  # fmt: skip
    return replace(one, **changes)


def line(*values: float, spread: float = 0.0) -> Line:
    """A line through values at even shares; with a spread, 16 tries around them."""
    tries = np.array(values)[None]
    if spread:
        tries = tries + spread * np.linspace(-1, 1, 16)[:, None] * np.sin(np.pi * X)
    return Line(np.linspace(0, 1, len(values)), tries)


def findings(gone: Line, back: Line, **changes: Any) -> Findings:
    random = line(0.9, 0.7, 0.5, 0.3, 0.1, spread=0.1)
    rising = line(0.1, 0.3, 0.5, 0.7, 0.9, spread=0.1)
    return Findings(
        curves={"deletion": {"map": gone, "random": random}, "insertion": {"map": back, "random": rising}}, **changes
    )


STEEP, SLOW = line(0.9, 0.1, 0.1, 0.1, 0.1), line(0.9, 0.9, 0.9, 0.9, 0.1)
FAST, LATE = line(0.1, 0.9, 0.9, 0.9, 0.9), line(0.1, 0.1, 0.1, 0.1, 0.9)


def said(found: Findings, test: str, **changes: Any) -> dict[str, str]:
    (one,) = [one for one in sentences(found, exhibit(**changes), SETTINGS) if one["test"] == test]
    return one


@pytest.mark.parametrize(
    ("gone", "back", "level", "words"),
    [
        (STEEP, FAST, "plain", "better than chance, in both"),
        (STEEP, LATE, "watch", "when parts are taken away, not when they are put back"),
        (SLOW, FAST, "watch", "when parts are put back, not when they are taken away"),
        (SLOW, LATE, "watch", "no better than chance"),
    ],
)
def test_a_map_is_held_against_chance_in_both_curves(gone: Line, back: Line, level: str, words: str) -> None:
    one = said(findings(gone, back), "random")
    assert one["level"] == level
    assert words in one["text"]
    assert "16 random orders" in one["text"]


def test_the_curves_are_read_at_a_fifth() -> None:
    one = said(findings(STEEP, FAST), "curves")
    assert "probability of <i>cat</i> goes from 0.90 to 0.26 (at random: 0.74)" in one["text"]
    assert "nothing but that 20 % it is 0.74 (at random: 0.26)" in one["text"]
    assert one["level"] == "plain"
    assert "mean colour" in sentences(findings(STEEP, FAST), exhibit(), Settings("mean", "probability"))[1]["text"]
    still = said(findings(line(0.9, 0.1, 0.1, 0.1, 0.89), FAST), "curves")
    assert still["level"] == "watch"
    assert "no absence" in still["text"]


def test_sums_are_promised_or_not() -> None:
    found = findings(STEEP, FAST)
    one = said(found, "sum")
    assert "miss 4.0 % of it" in one["text"]
    assert one["level"] == "plain"
    wide = replace(exhibit().attribution, delta=torch.tensor([-2.0]))
    assert said(found, "sum", attribution=wide)["level"] == "watch"
    assert "does not promise" in said(found, "sum", complete=False)["text"]
    none = replace(exhibit().attribution, score=torch.tensor([1.0]))
    assert "sum" not in [one["test"] for one in sentences(found, exhibit(attribution=none), SETTINGS)]


@pytest.mark.parametrize(
    ("alike", "lines", "level"), [(0.2, SLOW, "plain"), (0.8, SLOW, "watch"), (0.2, STEEP, "watch")]
)
def test_edges_that_do_as_well_are_worth_a_look(alike: float, lines: Line, level: str) -> None:
    control = Control("edges", "Edge detector", np.ones((2, 2)), False, 0.1, alike, None)
    found = findings(STEEP, FAST, controls=[control])
    found.curves["deletion"]["edges"] = lines
    found.curves["insertion"]["edges"] = LATE
    one = said(found, "edges")
    assert one["level"] == level
    assert f"{alike:.2f}" in one["text"]
    assert ("no worse than this map" in one["text"]) is (lines is STEEP)


def test_a_map_that_survives_a_random_model_is_worth_a_look() -> None:
    layers = Layers(("fc", "conv"), rank=[0.9], rank_absolute=[0.95], ssim=[0.9], output=[0.4])
    found = findings(STEEP, FAST, layers=layers)
    assert said(found, "randomisation")["level"] == "plain"  # not done yet
    assert "the last 1 of its 2 layers" in said(found, "randomisation")["text"]
    layers.rank.append(0.1)
    layers.rank_absolute.append(0.7)
    assert said(found, "randomisation")["level"] == "watch"
    layers.rank_absolute[1] = 0.3
    assert said(found, "randomisation")["level"] == "plain"
    layers.rank[1] = float("nan")
    assert "not defined" in said(found, "randomisation")["text"]
    found.layers, found.missing = None, {"randomisation": "It is a function."}
    assert said(found, "randomisation")["text"].endswith("It is a function.")


def test_no_sentence_calls_a_score_accuracy_and_each_knows_its_limits() -> None:
    control = Control("edges", "Edge detector", np.ones((2, 2)), False, 0.1, 0.2, None)
    layers = Layers(("fc",), rank=[0.1], rank_absolute=[0.1], ssim=[0.9], output=[0.4])
    found = findings(STEEP, FAST, controls=[control], layers=layers)
    for one in sentences(found, exhibit(), SETTINGS):
        text = (one["text"] + one["cannot"]).lower()
        assert not any(word in text for word in ("accura", "correctness", "quality"))
        assert len(one["cannot"]) > 20


def test_what_is_not_known_is_null_for_the_page() -> None:
    nan = float("nan")
    control = Control("edges", "Edge detector", np.zeros((2, 2)), False, nan, nan, None)
    layers = Layers(("fc",), rank=[nan], rank_absolute=[0.5], ssim=[nan], output=[1.0])
    found = findings(STEEP, FAST, controls=[control], layers=layers)
    traits, data = found_traits(found, exhibit(), SETTINGS)
    assert traits["controls"][0]["rank"] is None
    assert traits["layers"]["ssim"] == [None]
    assert set(data) == {"maps", "layers"}


def test_the_figure_is_the_same_every_time_and_holds_no_markup_of_others() -> None:
    found = findings(STEEP, FAST)
    text = figure(found, exhibit(), SETTINGS)
    assert text == figure(found, exhibit(), SETTINGS)
    assert "<i>cat" not in text
    assert "<script" not in text
    first = text.split("base64,")[1].split('"')[0]
    picture = base64.b64decode(first).decode()
    assert picture.startswith("<svg ")
    assert "script" not in picture
    assert picture.count("<polyline") == 3  # the axis, the band's middle, the map
    assert picture.count("<polygon") == 1
    assert figure(Findings(), exhibit(), SETTINGS).count("<img") == 0
