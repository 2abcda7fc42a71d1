"""What every registered metric keeps to: its own words, the rows' independence, and everything borrowed given back."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaiwidgets as xw
from xaiwidgets.metrics.evaluation import evaluating
from xaiwidgets.metrics.registry import FAMILIES, METRICS, Metric

xw.metrics()  # registers them
EVERY = sorted(METRICS)
OF_IMAGES = [name for name in EVERY if "text" not in METRICS[name].asks]
ATTRIBUTIONS = [("integrated_gradients", {"steps": 9}), "saliency"]
LITTLE = {"samples": 4, "steps": 5, "tries": 2, "perturbations": 4, "subsets": 6}


class Small(nn.Sequential):
    """A convolution, a rectifier and two linear layers."""

    def __init__(self, seed: int) -> None:
        super().__init__(
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 6), nn.Tanh(), nn.Linear(6, 4)
        )
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3
        self.double().eval()


def images(rows: int = 3) -> Tensor:
    found = torch.rand(rows, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return found * (torch.arange(6) > 0)  # a column of background


def quick(metric: Metric) -> dict[str, Any]:
    """Settings that make it do little."""
    less = {
        one.name: int(max(one.low or 0, LITTLE[one.name]))
        for one in metric.parameters
        if one.name in LITTLE and one.integer
    }
    return less | ({"other": Small(7)} if "model_trained_otherwise" in metric.asks else {})


def measure(name: str, rows: int = 3, **options: Any) -> xw.Evaluation:
    mask = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    mask[..., 1:4, 2:5] = True
    return xw.evaluate(
        Small(0), images(rows), ATTRIBUTIONS,
        target=torch.arange(rows) % 4, metrics=[(name, quick(METRICS[name]))], mask=mask, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_it_says_what_it_is(name: str) -> None:
    found = METRICS[name]
    assert found.family in FAMILIES
    assert found.direction in ("higher", "lower", "none")
    for sentence in (found.summary, found.tells, found.cannot):
        assert sentence.endswith("."), sentence
        assert sentence[0].isupper(), sentence
    assert re.search(r"\((19|20)\d\d\)", found.reference), "authors and year"
    low, high = found.range
    assert low is None or high is None or low < high
    documentation = inspect.getdoc(found.run) or ""
    assert documentation.startswith(found.summary)
    assert len(documentation.removesuffix(found.facts()).strip()) > len(found.summary) + 40, "and how"
    for said in (found.reference, found.tells, found.cannot, "Range: "):
        assert said in documentation
    schema = found.schema()
    json.dumps({key: value for key, value in schema.items() if key != "parameters"}, allow_nan=False)
    for parameter in schema["parameters"]:
        json.dumps(parameter, allow_nan=False)
        assert parameter.get("help") or parameter["kind"] in ("choice", "switch", "seed"), parameter["name"]


@pytest.mark.parametrize("name", EVERY)
def test_no_score_is_called_what_it_is_not(name: str) -> None:
    found = METRICS[name]
    said = f"{name} {found.title} {found.summary} {found.tells}".lower()
    for word in ("accuracy", "correctness", "quality"):
        assert word not in said


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_row_does_not_depend_on_the_batch_or_on_other_rows(name: str) -> None:
    whole = measure(name)
    fewer = measure(name, rows=2, batch_size=1)
    for attribution in whole:
        values = whole[attribution][name].values
        assert whole[attribution][name].error is None
        torch.testing.assert_close(fewer[attribution][name].values, values[:2], equal_nan=True, rtol=1e-6, atol=1e-9)
        low, high = METRICS[name].range
        known = values[~values.isnan()]
        assert low is None or bool((known >= low - 1e-9).all())
        assert high is None or bool((known <= high + 1e-9).all())
        assert len(known) or whole[attribution][name].notes, "NaN without a word"


@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_is_borrowed_is_given_back(name: str) -> None:
    model, metrics = Small(0), [(name, quick(METRICS[name]))]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in model.parameters()]
    torch.manual_seed(3)
    random = torch.get_rng_state()
    mask = torch.ones(1, 1, 6, 6)
    mask[..., :3] = 0
    stream = evaluating(model, images(1), ATTRIBUTIONS, target=1, metrics=metrics, mask=mask, regions="block")
    measured = 0
    for evaluation in stream:
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
        assert [parameter.requires_grad for parameter in model.parameters()] == flags
        assert torch.equal(torch.get_rng_state(), random)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        measured += bool(evaluation["saliency"])
    assert measured
    assert all(parameter.grad is None for parameter in model.parameters())


def test_neither_order_nor_company_matters() -> None:
    mask = torch.ones(2, 1, 6, 6)
    mask[..., :3] = 0
    model, metrics = Small(0), [(name, quick(METRICS[name])) for name in OF_IMAGES]
    asked = {"target": 1, "mask": mask, "regions": "block"}
    forwards = xw.evaluate(model, images(2), ATTRIBUTIONS, metrics=metrics, **asked)
    backwards = xw.evaluate(model, images(2), ATTRIBUTIONS[::-1], metrics=metrics[::-1], **asked)
    assert set(forwards.metrics) == set(backwards.metrics) == set(OF_IMAGES)
    for attribution in forwards:
        for name in OF_IMAGES:
            one, other = forwards[attribution][name], backwards[attribution][name]
            assert one.error is None
            torch.testing.assert_close(one.values, other.values, equal_nan=True, rtol=0, atol=1e-12, msg=name)
