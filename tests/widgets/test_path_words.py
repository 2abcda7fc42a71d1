"""What is said about a path: in captions, and in notices for those who would believe it too soon."""

from typing import Any

import numpy as np
import pytest
import torch
from pages import PATIENCE, Colourful, ask, colourful_images

import xaiwidgets as xw
from xaiwidgets.methods.walk import Curves, Gaps
from xaiwidgets.widgets.path.words import caption, notices, rising, steepest

ALPHAS = np.linspace(0, 1, 101).tolist()
QUESTION = {"method_title": "Integrated gradients", "target_label": "cat", "foil_label": "", "baseline_title": "black"}
MAP = np.zeros((9, 9))
MAP[0, 0], MAP[4, 4], MAP[8, 8] = 3.0, 1.0, -1.0


def path(F: Any, *, prob: Any = (), first: float = 1.0, gap: float = 0.0) -> Curves:
    F = np.asarray(F, float)
    relative = abs(F[-1]) > 1e-3 * max(abs(first), abs(first + F[-1]))
    gaps = Gaps(end=gap, max=2 * gap, at=0.11, local_sum=3 * gap, difference=float(F[-1]), relative=bool(relative))
    return Curves(ALPHAS, F.tolist(), F.tolist(), list(prob), (first, first + float(F[-1])), gaps)


def say(curves: Curves, **more: Any) -> str:
    about: dict[str, Any] = {"mode": "path", "unit": "logit", "promises": True} | more
    return caption({**QUESTION, **about.pop("question", {})}, curves, MAP, **about)


def codes(curves: Curves, **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"mode": "path", "promises": True, "training": False, "colours": "", "text": False} | more
    return {notice["code"]: notice for notice in notices(curves, **about)}


EARLY = 10 * np.clip((np.array(ALPHAS) - 0.04) / 0.1, 0, 1)
EARLY_PROB = (0.02 + 0.93 * EARLY / 10).tolist()


def test_a_saturated_path() -> None:
    text = say(path(EARLY, prob=EARLY_PROB))
    assert text.startswith("Integrated gradients for cat, baseline: black. The output rises from ")
    assert "then is flat: saturated for 91 % of the path" in text
    low, high = rising(path(EARLY), "path") or (0, 0)
    assert 0.04 <= low < high <= 0.14
    assert high - low == pytest.approx(0.09, abs=0.006)
    notice = codes(path(EARLY))["saturated"]
    assert notice["window"] == [low, high]
    assert notice["level"] == "info"
    assert "Largest support: upper left (60 %), the centre (20 %)." in text
    assert "20 % of the total opposes." in text


def test_where_the_rise_lies_is_said_rightly() -> None:
    late = 10 * np.clip((np.array(ALPHAS) - 0.9) / 0.08, 0, 1)
    middle = 10 * np.clip((np.array(ALPHAS) - 0.5) / 0.1, 0, 1)
    assert "and is flat before:" in say(path(late))
    assert "and is flat before and after:" in say(path(middle))


def test_an_even_path_is_not_saturated() -> None:
    curves = path(5 * np.array(ALPHAS))
    assert rising(curves, "path") is None
    assert codes(curves) == {}
    assert "The score rises from 1 logit to 6 logit over most of the path." in say(curves)


def test_a_falling_output() -> None:
    curves = path(-EARLY, prob=[1 - value for value in EARLY_PROB])
    assert "The output falls from 9" in say(curves)
    assert codes(curves).keys() == {"saturated"}
    assert steepest(ALPHAS, (-EARLY).tolist()) == steepest(ALPHAS, EARLY.tolist())


def test_a_score_that_goes_beyond_its_ends_says_so() -> None:
    hump = 4 * np.array(ALPHAS) + 20 * np.sin(np.pi * np.array(ALPHAS))
    text = say(path(hump))
    assert "over most of the path, highest at 0.5" in text
    assert rising(path(hump), "path") is None  # not flat outside the steep part
    assert "saturated" not in codes(path(hump))
    assert ", lowest at 0.48 (-17" in say(path(4 * np.array(ALPHAS) - 20 * np.sin(np.pi * np.array(ALPHAS))))


def test_a_probability_that_says_something_else_is_left_out() -> None:
    falling = [0.9 - 0.5 * alpha for alpha in ALPHAS]
    assert "The score rises from 1 logit to 6 logit" in say(path(5 * np.array(ALPHAS), prob=falling))
    same = [0.991 + 0.001 * alpha for alpha in ALPHAS]
    assert "The score rises" in say(path(5 * np.array(ALPHAS), prob=same))
    dip = [0.1 + 0.5 * alpha + 0.3 * float(np.sin(np.pi * alpha)) for alpha in ALPHAS]
    words = say(path(5 * np.array(ALPHAS) + 9 * np.sin(np.pi * np.array(ALPHAS)), prob=dip))
    assert "The output rises from 10 % to 60 % over most of the path, highest at 0.68 (69 %)." in words
    rising_prob = [0.1 + 0.5 * alpha for alpha in ALPHAS]
    contrast = say(path(5 * np.array(ALPHAS), prob=rising_prob), question={"foil_label": "dog"})
    assert "cat rather than dog" in contrast
    assert "The score rises from 1 logit to 6 logit" in contrast


def test_the_same_score_at_both_ends() -> None:
    curves = path(1e-6 * np.array(ALPHAS), gap=0.2)
    text = say(curves)
    assert "The score is practically the same at the baseline (1 logit) and at the input (1 logit)." in text
    assert "Completeness gap 0.2 logit at the end, at most 0.4 logit on the path (at 0.11)." in text
    assert codes(curves).keys() == {"same_score"}
    flat = path(np.zeros(101))
    assert steepest(ALPHAS, flat.F) is None
    assert "practically the same" in say(flat)
    assert codes(flat).keys() == {"same_score"}


@pytest.mark.parametrize(("gap", "warned"), [(0.1, False), (0.2, True), (0.3, True)])
def test_attributions_that_do_not_add_up(gap: float, warned: bool) -> None:
    curves = path(5 * np.array(ALPHAS), gap=gap)
    assert ("gap" in codes(curves)) == warned
    assert f"Completeness gap {100 * gap / 5:.1f} % at the end" in say(curves)
    if warned:
        notice = codes(curves)["gap"]
        assert notice["level"] == "warning"
        assert "raise the steps, or refine" in notice["text"]
    assert "gap" not in codes(curves, promises=False)


def test_other_notices() -> None:
    found = codes(path(5 * np.array(ALPHAS)), training=True, colours="Colours: guessed.", text=True)
    assert found.keys() == {"training", "colours", "text_path"}
    assert "not words" in found["text_path"]["text"]
    assert found["colours"]["text"] == "Colours: guessed."


def test_texts_name_their_words() -> None:
    values = np.array([[0.0, 3.0, -1.0, 1.0]])
    text = caption(
        QUESTION, path(EARLY), values, mode="path", unit="logit", promises=True, surfaces=["a", "<b>", "c", "d"]
    )
    assert 'Largest support: "<b>" (60 %), "d" (20 %).' in text
    assert "20 % of the total opposes." in text
    nothing = caption(
        QUESTION, path(EARLY), 0 * values, mode="path", unit="logit", promises=True, surfaces=list("abcd")
    )
    assert "Every value is zero." in nothing


def test_a_distribution_counts_samples() -> None:
    curves = Curves(
        [1.0, 2.0, 3.0], [5, 5, 5], [9, 2, 5.5], [], (1.0, 6.0), Gaps(0.5, 4.0, 1.0, 2.0, 5.0, relative=True)
    )
    text = say(curves, mode="distribution")
    assert (
        "After 3 samples the values add up to 5.5 logit; the output is 1 at the baselines and 6 at the input." in text
    )
    assert "Completeness gap 10 %." in text
    notice = codes(curves, mode="distribution")["gap"]
    assert "draw more samples" in notice["text"]
    assert rising(curves, "distribution") is None


# --- on a widget -----------------------------------------------------------------------------------------------------


def test_a_baseline_that_is_the_input(explore: Any, model: Colourful) -> None:
    image = colourful_images()
    widget = explore(model, image, target=1, baselines=[image[0], "black"], steps=9)
    assert {notice["code"] for notice in widget.notices} == {"same_score"}
    assert not widget.gaps["relative"]
    assert widget.baselines[0]["gap"]["path"] is None
    assert widget.baselines[0]["blind"] == 1
    assert "practically the same" in widget.caption
    ask(widget, baseline="black")
    assert "same_score" not in {notice["code"] for notice in widget.notices}


def test_contrast_and_its_words(explore: Any, model: Colourful) -> None:
    labels = ["ant", "bee", "cat", "dog", "eel"]
    widget = explore(model, colourful_images(), target=xw.Contrast(1, 3), labels=labels, steps=17)
    assert widget.caption.startswith("Integrated gradients for bee rather than dog, baseline: black. The score ")
    assert widget.result.target.a == 1
    logits = model(colourful_images())[0].detach()
    assert widget.scores[1] == pytest.approx(float(logits[1] - logits[3]), abs=1e-4)


def test_a_model_in_training_mode(explore: Any, model: Colourful) -> None:
    model.train()
    widget = explore(model, colourful_images(), target=1, wait=False)
    with pytest.raises(xw.ExplainError, match="training"):
        widget.wait(PATIENCE)
    assert widget.error["code"] == "training_mode"
    as_it_is = explore(model, colourful_images(), target=1, training=True, steps=9)
    assert "training" in {notice["code"] for notice in as_it_is.notices}
    evaluated = explore(model, colourful_images(), target=1, training=False, steps=9)
    assert "training" not in {notice["code"] for notice in evaluated.notices}
    assert model.training


def test_out_of_memory_halves_the_batch_and_keeps_the_nodes(explore: Any, model: Colourful) -> None:
    tried = []

    def small(images: torch.Tensor) -> torch.Tensor:
        tried.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return model(images)

    widget = explore(small, colourful_images(), target=1, tolerance=0.0, batch_size=16)
    assert widget.status == "ready"
    assert max(tried) > 3
    assert len(widget.alphas) == 65
    assert widget.result.evaluations["gradient"] == 65
