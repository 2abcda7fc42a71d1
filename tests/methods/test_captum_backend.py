"""Captum through the same call: the same numbers as calling it oneself, and as ours where both are right."""

from __future__ import annotations

import pytest
import torch
from captum import attr
from torch.nn import functional

from xaiwidgets.api import Contrast, Each, attribute
from xaiwidgets.engine.errors import ExplainError, ParameterError
from xaiwidgets.engine.registry import METHODS
from xaiwidgets.methods.captum_backend import TRANSLATIONS

QUICK = {
    "integrated_gradients": {"steps": 9, "rule": "gauss_legendre"},
    "smoothgrad": {"samples": 4}, "smoothgrad_squared": {"samples": 4}, "vargrad": {"samples": 4},
    "occlusion": {"window": 4, "stride": 4},
    "feature_ablation": {"regions": "block"}, "shapley": {"regions": "block", "samples": 128},
    "kernel_shap": {"samples": 64}, "lime": {"samples": 32},
}  # fmt: skip
QUADRANTS = torch.tensor([[0, 1], [2, 3]]).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]


def test_every_translation_is_of_a_method():
    assert TRANSLATIONS.keys() <= METHODS.keys()


@pytest.mark.parametrize("method", TRANSLATIONS)
def test_every_translation_answers_and_leaves_everything_as_it_was(digits, method):
    parameters = QUICK.get(method, {})
    if method in ("shapley_exact", "kernel_shap", "lime", "shapley"):
        parameters = {**parameters, "regions": QUADRANTS}
    before = {name: parameter.requires_grad for name, parameter in digits.model.named_parameters()}
    state, hooks = torch.get_rng_state(), [len(part._forward_hooks) for part in digits.model.modules()]
    if method == "lrp":  # Captum has no rule for nn.Flatten: its words come through
        with pytest.raises(TypeError, match="Flatten"):
            attribute(digits.model, digits.images[:2], target=digits.labels[:2], method=method, backend="captum")
    else:
        found = attribute(
            digits.model, digits.images[:2], target=digits.labels[:2], method=method, backend="captum", **parameters
        )
        assert found.values.shape[0] == 2
        assert torch.isfinite(found.values).all()
        assert float(found.values.abs().max()) > 0
        assert (found.delta is not None) == METHODS[method].complete
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: parameter.requires_grad for name, parameter in digits.model.named_parameters()} == before
    assert [len(part._forward_hooks) for part in digits.model.modules()] == hooks


def test_it_is_what_captum_gives_directly(digits):
    x, y = digits.images[:3], digits.labels[:3]
    found = attribute(digits.model, x, target=y, method="saliency", backend="captum")
    torch.testing.assert_close(found.values, attr.Saliency(digits.model).attribute(x, target=y))
    found = attribute(digits.model, x, target=y, backend="captum", steps=12)
    expected = attr.IntegratedGradients(digits.model).attribute(x, target=y, n_steps=12)
    torch.testing.assert_close(found.values, expected.float())
    found = attribute(digits.model, x, target=y, method="feature_ablation", regions=QUADRANTS, backend="captum")
    expected = attr.FeatureAblation(digits.model).attribute(x, target=y, feature_mask=QUADRANTS)
    torch.testing.assert_close(found.values, expected)
    found = attribute(digits.model, x, target=y, method="grad_cam", layer="3", backend="captum")
    expected = attr.LayerGradCam(digits.model, digits.model[3]).attribute(x, target=y, relu_attributions=True)
    torch.testing.assert_close(found.values, functional.interpolate(expected, (8, 8), mode="bilinear"))


@pytest.mark.parametrize(
    "method", ["saliency", "input_x_gradient", "integrated_gradients", "occlusion", "feature_ablation"]
)
def test_both_backends_agree_where_both_are_right(digits, method):
    ours, theirs = (
        attribute(
            digits.model,
            digits.images[:3],
            target=Contrast(3, 5),
            method=method,
            backend=backend,
            **QUICK.get(method, {}),
        )
        for backend in ("native", "captum")
    )
    torch.testing.assert_close(ours.values.expand_as(theirs.values), theirs.values, rtol=1e-4, atol=1e-5)


def test_several_targets_work_too(digits):
    ours, theirs = (
        attribute(digits.model, digits.images[:2], target=Each(3, 5), method="input_x_gradient", backend=backend)
        for backend in ("native", "captum")
    )
    torch.testing.assert_close(ours.values, theirs.values)


def test_what_captum_does_not_have(digits):
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, method="rise", backend="captum")
    assert caught.value.code == "captum_method"
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, backend="zennit")
    assert caught.value.code == "unknown_backend"
    with pytest.raises(ParameterError) as caught:
        attribute(digits.model, digits.images[:1], target=0, backend="captum", baseline=["zeros", "mean"])
    assert caught.value.code == "captum_baseline"


def test_without_captum_the_error_says_what_to_install(digits, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "captum", None)
    with pytest.raises(ExplainError) as caught:
        attribute(digits.model, digits.images[:1], target=0, method="saliency", backend="captum")
    assert caught.value.code == "missing_extra"
    assert "xaiwidgets[captum]" in caught.value.hint
