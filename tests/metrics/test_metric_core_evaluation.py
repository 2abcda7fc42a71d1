"""Attributions × metrics: what is asked, what comes first, what goes wrong, what is kept."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.engine.errors import Cancelled
from xaiwidgets.metrics.case import Case
from xaiwidgets.metrics.evaluation import DEFAULT, evaluating
from xaiwidgets.metrics.registry import METRICS, Range, Reading, find_metric, metric
from xaiwidgets.metrics.result import Curve

SENTENCES = {"tells": "Something.", "cannot": "Everything else.", "reference": "Nobody (2000)"}


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    """Metrics of this file only."""
    before = dict(METRICS)

    @metric(family="removal", title="Sums", direction="lower", **SENTENCES)
    def toy_sum(case: Case, *, steps: Annotated[int, Range(1, 9, help="Readings.")] = 3) -> Iterator[Reading]:
        """The sum of the map."""
        for step in range(1, steps + 1):
            curve = Curve(torch.linspace(0, 1, 2), case.importance().nansum(1)[:, None].expand(-1, 2), "share", "sum")
            yield Reading(
                case.importance().nansum(1), step, steps, {"deletion": curve}, {"twice": 2 * case.values}, ("A note.",)
            )

    @metric(family="removal", title="Fails", direction="higher", asks=("method",), **SENTENCES)
    def toy_fails(case: Case) -> Iterator[Reading]:
        """Fails about one method, after a first reading."""
        yield Reading(torch.ones(case.rows), 1, 2)
        if case.name == "saliency":
            raise xw.ExplainError("broken", "This <b>broke</b>", hint="Leave it.")
        yield Reading(case.explain().flatten(1).sum(1), 2, 2)

    @metric(family="removal", title="Interrupted", direction="none", **SENTENCES)
    def toy_closed(case: Case) -> Iterator[Reading]:
        """Notes when it is closed."""
        try:
            for step in range(100):
                case.scores(case.problem.points, torch.arange(case.rows))
                yield Reading(torch.zeros(case.rows), step, 100)
        finally:
            CLOSED.append(case.name)

    yield
    METRICS.clear()
    METRICS.update(before)


CLOSED: list[str] = []


def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(75, 4)).eval()


def images(rows: int = 3) -> Tensor:
    return torch.rand(rows, 2, 5, 5, generator=torch.Generator().manual_seed(0))


def evaluate(attributions: Any = "saliency", metrics: Any = "toy_sum", **options: Any) -> xw.Evaluation:
    options = {"target": 1} | options
    return xw.evaluate(model(), images(), attributions, metrics=metrics, **options)


def refused(attributions: Any = "saliency", metrics: Any = "toy_sum", **options: Any) -> xw.ExplainError:
    """The error of the call itself: nothing is drawn from the generator."""
    options = {"target": 1} | options
    with pytest.raises(xw.ExplainError) as error:
        evaluating(
            options.pop("model", model()), options.pop("inputs", images()), attributions, metrics=metrics, **options
        )
    return error.value


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_one_method_and_one_metric() -> None:
    found = evaluate()
    result = found["saliency"]["toy_sum"]
    expected = xw.attribute(model(), images(), target=1, method="saliency").values
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(found.maps["saliency"], expected)
    torch.testing.assert_close(result.values, expected.flatten(1).sum(1).double())
    assert float(result) == pytest.approx(float(expected.flatten(1).sum(1).mean()))
    assert (result.direction, result.final, result.progress) == ("lower", True, (3, 3))
    assert result.parameters == {"steps": 3}
    assert (found.methods, found.metrics, found.rows, found.final) == (("saliency",), ("toy_sum",), 3, True)
    assert found.scores is not None
    torch.testing.assert_close(found.scores, model()(images())[:, 1].detach())
    assert found.entries["saliency"].evaluations == {"forward": 0, "gradient": 3}
    assert found.about["toy_sum"]["title"] == "Sums"
    assert found.progress == (2, 2)
    assert list(found) == ["saliency"]
    assert len(found) == 1


def test_the_default_metrics() -> None:
    found = xw.evaluate(model(), images(2), ["saliency"], target=1)
    assert found.metrics == DEFAULT
    assert all(found["saliency"][name].error is None for name in DEFAULT)


def test_every_way_of_naming_attributions() -> None:
    attribution = xw.attribute(model(), images(), target=1, method="integrated_gradients", steps=16)
    given = torch.rand(3, 1, 5, 5)
    found = evaluate(
        ["saliency", ("smoothgrad", {"samples": 4}), attribution, given, given.numpy(), "saliency", "random"]
    )
    assert found.methods == (
        "saliency",
        "smoothgrad",
        "integrated_gradients",
        "values",
        "values 2",
        "saliency 2",
        "random",
    )
    kinds = [entry.kind for entry in found.entries.values()]
    assert kinds == ["method", "method", "method", "values", "values", "method", "control"]
    assert found.entries["smoothgrad"].parameters["samples"] == 4
    assert torch.equal(found.maps["integrated_gradients"], attribution.values)  # type: ignore[arg-type]
    assert found.entries["integrated_gradients"].evaluations == attribution.evaluations
    torch.testing.assert_close(found.maps["values"], given)
    named = evaluate({"mine": given, "noisy": ("smoothgrad", {"samples": 2}), "plain": "saliency"})
    assert named.methods == ("mine", "noisy", "plain")
    assert evaluate(("smoothgrad", {"samples": 2})).methods == ("smoothgrad",)
    assert evaluate(given).methods == ("values",)
    layer = evaluate(("grad_cam", {"layer": "0"}))
    assert layer.maps["grad_cam"].shape == (3, 1, 5, 5)


def test_every_way_of_naming_metrics() -> None:
    found = evaluate(metrics=["toy_sum", ("toy_sum", {"steps": 2})])
    assert found.metrics == ("toy_sum", "toy_sum 2")
    assert found["saliency"]["toy_sum 2"].progress == (2, 2)
    assert found.about["toy_sum 2"]["metric"] == "toy_sum"
    assert evaluate(metrics={"toy_sum": {"steps": 1}})["saliency"]["toy_sum"].parameters == {"steps": 1}
    assert evaluate(metrics={"mine": ("toy_sum", {"steps": 1})}).metrics == ("mine",)
    assert evaluate(metrics=("toy_sum", {"steps": 1})).metrics == ("toy_sum",)


def test_controls() -> None:
    found = evaluate(["edges", "saliency"], controls=True, seed=4)
    assert found.methods == ("edges", "saliency", "random")
    assert [found.entries[name].kind for name in found.methods] == ["control", "method", "control"]
    assert found.entries["random"].parameters == {"seed": 4}
    assert not torch.equal(found.maps["random"], evaluate("random", seed=5).maps["random"])
    assert torch.equal(found.maps["random"], evaluate("random", seed=4).maps["random"])
    again = evaluate(["random", "edges"], "toy_fails")
    assert float(again["edges"]["toy_fails"]) == pytest.approx(float(again.maps["edges"].flatten(1).sum(1).mean()))
    flat = xw.evaluate(nn.Linear(4, 2).eval(), torch.rand(2, 4), "saliency", target=0, metrics="toy_sum", controls=True)
    assert flat.methods == ("saliency", "random")


def test_a_common_baseline() -> None:
    found = evaluate(["integrated_gradients", ("integrated_gradients", {"baseline": 0.5}), "saliency"], baseline="mean")
    assert [entry.parameters.get("baseline") for entry in found.entries.values()] == ["mean", 0.5, None]


def test_targets_forwards_and_batches() -> None:
    target = torch.tensor([0, 3, 2])
    found = evaluate(target=target, batch_size=1)
    expected = xw.attribute(model(), images(), target=target, method="saliency").values
    torch.testing.assert_close(found.maps["saliency"], expected)
    network = model()
    called = evaluate(forward=lambda x: network(2 * x), target=1)
    torch.testing.assert_close(called.scores, network(2 * images())[:, 1].detach())


def test_a_target_without_a_class_has_no_probability() -> None:
    for target in (lambda output: output[:, 1] * 100, xw.Neuron("3", 1)):
        found = evaluate(metrics=["deletion", "toy_sum"], target=target)["saliency"]["deletion"]
        assert found.error is None
        assert found.parameters["measure"] == "logit"
    assert evaluate(metrics=["deletion"])["saliency"]["deletion"].parameters["measure"] == "probability"
    both = evaluate(["saliency", "smoothgrad"], ["method_agreement"], target=lambda output: output[:, 1])
    assert both["saliency"]["method_agreement"].parameters["measure"] == "spearman"
    one = xw.evaluate(nn.Linear(4, 1).eval(), torch.rand(2, 4), "saliency", metrics="deletion")
    assert one["saliency"]["deletion"].parameters["measure"] == "logit"
    told = evaluate(metrics=[("deletion", {"measure": "probability"}), "toy_sum"], target=lambda output: output[:, 1])
    assert told["saliency"]["deletion"].error is not None


def test_several_inputs_explained_together() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a * 2).sum(1) + (b * b).flatten(1).sum(1)

    inputs = {"a": torch.rand(2, 3), "b": torch.rand(2, 2, 2)}
    found = xw.evaluate(Two().eval(), inputs, ["input_x_gradient"], wrt=["a", "b"], metrics=["toy_sum", "deletion"])
    expected = (inputs["a"] * 2).sum(1) + 2 * (inputs["b"] ** 2).flatten(1).sum(1)
    torch.testing.assert_close(found["input_x_gradient"]["toy_sum"].values, expected.double())
    assert found["input_x_gradient"]["deletion"].error is None


# --- what comes first ------------------------------------------------------------------------------------------------


def test_results_stream_in() -> None:
    seen: list[tuple[float, int, str]] = []
    stream = evaluating(
        model(), images(), ["saliency", "input_x_gradient"], target=1, metrics=["toy_sum", ("toy_sum", {"steps": 1})],
        progress=lambda *told: seen.append(told),
    )  # fmt: skip
    kept = list(stream)
    maps = [len(one.maps) for one in kept]
    assert maps[:2] == [1, 2], "all maps first"
    assert set(maps[2:]) == {2}
    filled = [sum(len(row) for row in one.values()) for one in kept]
    assert filled == sorted(filled)
    assert filled[0] == 0
    assert filled[-1] == 4
    first = next(one for one in kept if one["saliency"])
    assert not first["saliency"]["toy_sum"].final
    assert first["saliency"]["toy_sum"].progress == (1, 3)
    assert "toy_sum" not in first["input_x_gradient"], "what was yielded does not change behind one's back"
    assert [one.final for one in kept] == [False] * (len(kept) - 1) + [True]
    done = [one.progress[0] for one in kept]
    assert done == sorted(done)
    assert kept[-1].progress == (6, 6)
    told = [done for done, _, _ in seen]
    assert told == sorted(told)
    assert seen[-1][:2] == (6, 6)
    assert any(phase == "saliency: Sums" for _, _, phase in seen)


def test_closing_is_cancelling() -> None:
    CLOSED.clear()
    stream = evaluating(model(), images(), "saliency", target=1, metrics="toy_closed")
    for found in stream:
        if found["saliency"]:
            break
    stream.close()
    assert CLOSED == ["saliency"]


def test_an_interrupt_ends_it() -> None:
    CLOSED.clear()
    asked = []

    def interrupt() -> None:
        asked.append(1)
        if len(asked) > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate(["saliency", "random"], ["toy_closed", "toy_sum"], interrupt=interrupt)
    assert CLOSED == ["saliency"]
    assert len(asked) == 21


def test_a_callback_that_fails_is_not_the_metrics_fault() -> None:
    def progress(done: float, total: int, phase: str) -> None:
        if "Sums" in phase and done > 2:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        evaluate(["saliency", "random"], progress=progress)


def test_the_consumers_mode_does_not_matter() -> None:
    network, asked = model(), {"target": 1, "metrics": ["toy_fails", "deletion", "infidelity", "model_randomisation"]}
    expected = xw.evaluate(network, images(), ["integrated_gradients"], **asked)
    with torch.inference_mode():
        found = xw.evaluate(network, images(), ["integrated_gradients"], **asked)
    assert [float(one) for one in found["integrated_gradients"].values()] == [
        float(one) for one in expected["integrated_gradients"].values()
    ]


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_one_failure_does_not_lose_the_others() -> None:
    found = evaluate(["saliency", "input_x_gradient"], ["toy_fails", "toy_sum"])
    broken = found["saliency"]["toy_fails"]
    assert isinstance(broken.error, xw.ExplainError)
    assert math.isnan(broken)
    assert broken.final
    assert broken.values.isnan().tolist() == [True] * 3
    assert found["input_x_gradient"]["toy_fails"].error is None
    assert found["saliency"]["toy_sum"].error is None
    assert "failed" in str(found.table())
    drawn = found._repr_html_()
    assert "This &lt;b&gt;broke&lt;/b&gt;" in drawn
    assert "A note." in drawn
    assert "<script" not in drawn


def test_a_single_one_raises() -> None:
    with pytest.raises(xw.ExplainError, match="broke"):
        evaluate("saliency", "toy_fails")


def test_a_method_that_fails() -> None:
    class Hard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.detach())

    found = xw.evaluate(Hard().eval(), images(), ["saliency", "occlusion"], target=1, metrics=["toy_sum"])
    assert found.entries["saliency"].error is not None
    assert "saliency" not in found.maps
    assert found["saliency"]["toy_sum"].error is found.entries["saliency"].error
    assert found["occlusion"]["toy_sum"].error is None
    with pytest.raises(xw.ExplainError):
        xw.evaluate(Hard().eval(), images(), "saliency", target=1, metrics=["toy_sum", "toy_fails"])


def test_a_wrong_target_raises_whatever_is_asked() -> None:
    with pytest.raises(xw.ExplainError, match="target=0"):
        evaluate(["saliency", "random"], ["toy_sum", "toy_fails"], target=None)
    with pytest.raises(xw.ExplainError, match="4 classes"):
        evaluate(["saliency", "random"], ["toy_sum", "toy_fails"], target=9)


def test_a_metric_that_measures_other_rows_is_told() -> None:
    @metric(family="removal", title="Rows", direction="none", **SENTENCES)
    def toy_rows(case: Case) -> Iterator[Reading]:
        """One number for all."""
        yield Reading(torch.zeros(1), 1, 1)

    with pytest.raises(ValueError, match="for 3 rows"):
        evaluate(metrics="toy_rows")


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"metrics": "deltion"}, "unknown_metric", "deletion"),
        ({"metrics": ("toy_sum", {"stps": 3})}, "unknown_parameter", "steps"),
        ({"metrics": ("toy_sum", {"steps": 99})}, "parameter_range", "9"),
        ({"metrics": []}, "no_metrics", ""),
        ({"attributions": []}, "no_attributions", ""),
        ({"attributions": "salience"}, "unknown_method", "saliency"),
        ({"attributions": ("saliency", {"steps": 3})}, "unknown_parameter", "steps"),
        ({"attributions": torch.rand(2, 2, 5, 5)}, "values_shape", "3 rows"),
        ({"attributions": [object()]}, "values_shape", "object"),
        ({"attributions": torch.rand(3, 2, 5, 5), "metrics": "toy_fails"}, "bare_values", "toy_fails (Fails)"),
        ({"attributions": ["saliency", torch.rand(3, 2, 5, 5)], "metrics": "toy_fails"}, "bare_values", "'values'"),
        ({"metrics": "pointing_game"}, "no_mask", "mask="),
        ({"metrics": "method_agreement"}, "one_attribution", "two"),
        ({"metrics": "data_randomisation"}, "no_other_model", "other"),
        ({"metrics": "comprehensiveness"}, "not_a_text", "tokenizer"),
        ({"metrics": "model_randomisation", "model": lambda x: x.flatten(1)}, "model_is_a_function", "module"),
        ({"metrics": "model_randomisation", "forward": lambda x: x.flatten(1)}, "model_is_a_function", "function"),
        ({"attributions": "lengths"}, "not_a_text", "tokenizer"),
        ({"attributions": "saliency", "baseline": "mean"}, "no_baseline", ""),
        ({"target": xw.Each(0, 1)}, "several_targets", "one by one"),
        ({"mask": torch.ones(3, 1, 9, 9)}, "values_shape", "mask"),
        ({"attributions": "grad_cam", "inputs": torch.rand(2, 8), "model": nn.Linear(8, 2).eval()}, "not_an_image", ""),
        ({"attributions": "saliency", "inputs": torch.ones(2, 8).long()}, "integer_input", "float"),
    ],
)
def test_what_cannot_be_asked_raises_before_any_work(asked: dict[str, Any], code: str, says: str) -> None:
    error = refused(**asked)
    assert error.code == code
    assert says.lower() in str(error).lower()


def test_an_attribution_of_another_target() -> None:
    attribution = xw.attribute(model(), images(), target=2, method="saliency")
    assert refused(attribution).code == "other_target"


def test_an_attribution_made_by_other_means_is_values_to_a_metric_that_asks_again() -> None:
    attribution = xw.attribute(model(), images(), target=1, method="integrated_gradients")
    assert evaluate(attribution, "toy_fails")["integrated_gradients"]["toy_fails"].error is None
    strange = type(attribution)(**{**vars(attribution), "method": "mine"})
    assert refused(strange, "toy_fails").code == "bare_values"
    assert evaluate(strange).entries["mine"].title == "mine"


def test_nothing_measured_is_missing() -> None:
    found = evaluate()
    with pytest.raises(KeyError, match="saliency"):
        found["salience"]
    assert find_metric("toy_sum").check({}) == {"steps": 3}


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path: Path) -> None:
    network = model()
    found = xw.evaluate(
        network, images(), ["saliency", ("grad_cam", {"layer": network[0]}), torch.rand(3, 1, 5, 5)],
        target=torch.tensor([0, 1, 2]), metrics=["toy_sum", ("data_randomisation", {"other": model()})][:1],
        controls=True,
    )  # fmt: skip
    found.save(tmp_path / "found.safetensors")
    again = xw.Evaluation.load(tmp_path / "found.safetensors")
    assert (again.methods, again.metrics, again.rows) == (found.methods, found.metrics, found.rows)
    assert (again.final, again.progress, again.seconds) == (True, found.progress, found.seconds)
    assert torch.equal(again.target, found.target)
    assert torch.equal(again.scores, found.scores)  # type: ignore[arg-type]
    for name in found:
        torch.testing.assert_close(again.maps[name], found.maps[name])
        one, other = again[name]["toy_sum"], found[name]["toy_sum"]
        assert (float(one), one.interval, one.notes, one.direction) == (
            float(other),
            other.interval,
            other.notes,
            "lower",
        )
        assert (one.evaluations, one.parameters, one.seconds) == (other.evaluations, other.parameters, other.seconds)
        assert torch.equal(one.curves["deletion"].values, other.curves["deletion"].values)
        assert one.curves["deletion"].x_title == "share"
        torch.testing.assert_close(one.maps["twice"], other.maps["twice"])
    assert str(again.table()) == str(found.table())
    assert again._repr_html_() == found._repr_html_()
    assert again.entries["grad_cam"].parameters["layer"] == "0"


def test_errors_and_half_an_evaluation_are_saved_too(tmp_path: Path) -> None:
    found = evaluate(["saliency", "input_x_gradient"], ["toy_fails", "toy_sum"])
    found.save(tmp_path / "a")
    again = xw.Evaluation.load(tmp_path / "a")
    assert str(again["saliency"]["toy_fails"].error) == "This <b>broke</b>. Leave it."
    *_, half = (one for one in evaluating(model(), images(), "saliency", target=1, metrics="toy_sum") if not one.final)
    half.save(tmp_path / "b")
    assert not xw.Evaluation.load(tmp_path / "b").final


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    xw.attribute(model(), images(), target=1, method="saliency").save(tmp_path / "a")
    with pytest.raises(xw.ExplainError) as error:
        xw.Evaluation.load(tmp_path / "a")
    assert error.value.code == "not_an_evaluation"
    save_file({"x": torch.ones(1)}, tmp_path / "b", {"format": "xaiwidgets.evaluation/1", "evaluation": "{}"})
    with pytest.raises(xw.ExplainError, match="damaged"):
        xw.Evaluation.load(tmp_path / "b")


# --- the list of metrics ---------------------------------------------------------------------------------------------


def test_the_list_shows_itself() -> None:
    found = xw.metrics()
    assert {"deletion", "insertion", "infidelity", "max_sensitivity", "model_randomisation"} <= {
        one.name for one in found
    }
    assert "deletion" in repr(found)
    assert "↓" in repr(found)
    drawn = xw.metrics("removal")._repr_html_()
    assert "<script" not in drawn
    assert "Nobody (2000)" in drawn
    assert {one.family for one in xw.metrics("sanity")} == {"sanity"}
    with pytest.raises(xw.ExplainError, match="sanity"):
        xw.metrics("sanit")


def test_metrics_stays_the_function() -> None:
    code = """
import sys, xaiwidgets as xw
from xaiwidgets import evaluate, metrics
import xaiwidgets.metrics.removal
import importlib
importlib.reload(importlib.import_module("xaiwidgets.metrics"))
print(metrics is xw.metrics, callable(metrics), metrics("removal")[0].name, xw.Evaluation.__name__)
print([name for name in ("ipywidgets", "anywidget", "traitlets", "matplotlib", "IPython", "xaiwidgets.api") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True True deletion Evaluation", "[]"]


def test_arrays_are_as_good_as_tensors() -> None:
    values = np.random.default_rng(0).random((3, 1, 5, 5))
    assert float(evaluate(values)["values"]["toy_sum"]) == pytest.approx(values.sum() / 3)


def test_an_attribution_of_a_text_is_asked_again_as_its_method_is(shared: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = shared / "models/sst2-bert-tiny"
    if not folder.is_dir():
        pytest.skip(f"no model at {folder}")
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["a charming film", "what a bore of a movie"]
    asked = {"tokenizer": tokenizer, "target": 1}
    made = xw.attribute(network, texts, method="integrated_gradients", **asked)
    found = xw.evaluate(
        network, texts, {"made": made, "named": "integrated_gradients", "values": made.values},
        metrics="toy_sum", controls=True, **asked,
    )  # fmt: skip
    assert found.methods == ("made", "named", "values", "random", "lengths")
    assert torch.equal(found.maps["made"], found.maps["named"])
    counts = [found.entries[name].evaluations for name in ("made", "named")]
    assert counts[0]["gradient"] == counts[1]["gradient"] > 0  # type: ignore[index]
    assert float(found["made"]["toy_sum"]) == float(found["values"]["toy_sum"])
    assert found.tokens is not None
    assert found.tokens[0][:4] == ["[CLS]", "a", "charming", "film"]
    again = xw.evaluate(
        network, texts, {"made": made, "named": "integrated_gradients"}, metrics="max_sensitivity", **asked
    )
    assert float(again["made"]["max_sensitivity"]) == float(again["named"]["max_sensitivity"])
