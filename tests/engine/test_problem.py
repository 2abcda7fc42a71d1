"""What a method sees: scores, gradients and layers, of any model in any mode and precision."""

import copy

import pytest
import torch
from cases import EVERY, case, quick
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import find_method

EACH_WAY_OF_ASKING = (
    "saliency", "integrated_gradients", "conductance", "lrp", "deeplift", "full_grad", "guided_backprop", "grad_cam",
    "score_cam", "ablation_cam", "occlusion", "kernel_shap", "extremal_perturbation", "attention_rollout", "chefer",
)  # fmt: skip


def test_gradients_match_finite_differences(digits):
    model = copy.deepcopy(digits.model).double()
    for index in (1, 4, 7):  # smooth, so that differences are exact to their order
        if isinstance(model[index], nn.ReLU):
            model[index] = nn.Softplus(10)
    images = digits.images[:3].double() + 0.01 * torch.rand(3, 1, 8, 8, dtype=torch.float64)
    problem = Problem(model, images, target=digits.labels[:3], score="log_probability")
    gradients, scores = problem.gradients()
    torch.testing.assert_close(scores, problem.values())
    direction = torch.randn_like(images)
    step = 1e-6
    rise = (problem.values(images + step * direction) - problem.values(images - step * direction)) / (2 * step)
    torch.testing.assert_close((gradients * direction).flatten(1).sum(1), rise, rtol=1e-5, atol=1e-7)


def test_points_belong_to_their_rows():
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    problem = Problem(lambda x, w: x * w, (torch.rand(3, 2), weights), wrt=0, target=[0, 1, 1])
    rows = torch.tensor([2, 0, 1, 2])
    gradients, scores = problem.gradients(torch.ones(4, 2), rows)
    assert gradients.tolist() == [[0, 6], [1, 0], [0, 4], [0, 6]]
    assert scores.tolist() == [6, 1, 4, 6]
    assert problem.evaluations == {"forward": 0, "gradient": 4}
    assert problem.outputs().tolist() == (problem.points * weights).tolist()
    assert problem.evaluations == {"forward": 3, "gradient": 4}


def test_layer_gradients_are_those_of_the_layer(digits):
    problem = Problem(digits.model, digits.images[:4], target=digits.labels[:4])
    activation, gradient, scores = problem.layer_gradients(None, None, "0")  # an in-place ReLU is not far behind
    expected = digits.model[0](digits.images[:4]).detach().requires_grad_()
    output = digits.model[1:](expected)[range(4), digits.labels[:4]]
    torch.testing.assert_close(activation, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(output.sum(), expected)[0])
    torch.testing.assert_close(scores, output)


def test_a_layer_before_an_in_place_operation_keeps_its_own_value(digits):
    convolution = digits.model[3]
    assert digits.model[4].inplace
    problem = Problem(digits.model, digits.images[:2], target=0)
    activation, _, _ = problem.layer_gradients(None, None, convolution)
    assert (activation < 0).any()


def test_layers_by_name_and_by_object_are_the_same(digits):
    by_name = attribute(digits.model, digits.images[:2], target=0, method="grad_cam", layer="0")
    by_object = attribute(digits.model, digits.images[:2], target=0, method="grad_cam", layer=digits.model[0])
    assert torch.equal(by_name.values, by_object.values)


def test_unknown_layers(digits):
    for layer in ("7x", nn.ReLU()):
        with pytest.raises(ParameterError) as caught:
            attribute(digits.model, digits.images, target=0, method="grad_cam", layer=layer)
        assert caught.value.code == "unknown_layer"
        assert "Known: 0" in caught.value.hint
    with pytest.raises(ModelError) as caught:
        attribute(lambda x: digits.model(x) * 1, digits.images, target=0, method="grad_cam")
    assert caught.value.code == "no_layers"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_scripted_and_transformed_models():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    images = torch.rand(2, 1, 8, 8)
    for transformed in (torch.jit.script(model), torch.jit.trace(model, images), torch.fx.symbolic_trace(model)):
        found, expected = (
            attribute(one, images, target=1, method="integrated_gradients").values for one in (transformed, model)
        )
        torch.testing.assert_close(found, expected)
    with pytest.raises(ModelError) as caught:
        attribute(torch.jit.trace(model, images), images, target=1, method="grad_cam")
    assert caught.value.code == "no_layers"


def test_a_recurrent_model_and_autocast():
    recurrent = nn.LSTM(5, 8, batch_first=True).eval()
    words = torch.rand(3, 7, 5)
    found = attribute(recurrent, words, target=lambda output: output[0][:, -1].sum(1))
    torch.testing.assert_close(found.values.sum((1, 2)), found.score - found.baseline_score, rtol=1e-3, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            recurrent(words)
        except RuntimeError as error:
            pytest.skip(f"this processor has no bfloat16 recurrence: {error}")
        rough = attribute(recurrent, words, target=lambda output: output[0][:, -1].sum(1))
    torch.testing.assert_close(rough.values, found.values, rtol=0.1, atol=0.02)


def test_a_layer_that_does_not_run():
    model = nn.Sequential(nn.Linear(3, 2)).eval()
    model.spare = nn.Linear(3, 3)
    with pytest.raises(ModelError) as caught:
        Problem(model, torch.rand(1, 3), target=0, forward=model[0]).layer_gradients(None, None, "spare")
    assert caught.value.code == "layer_not_run"


def test_prediction_and_forward(digits):
    session = Session(digits.model, digits.images[:3], target=0, forward=lambda x: 2 * digits.model(x))
    prediction = session.predict()
    assert not prediction.requires_grad
    torch.testing.assert_close(prediction, 2 * digits.model(digits.images[:3]).detach())


@pytest.mark.parametrize(
    ("method", "backend"),
    [*((method, "eager") for method in EACH_WAY_OF_ASKING), ("integrated_gradients", "aot_eager")],
)
def test_compiled_models(method, backend):
    torch.compiler.reset()
    model, images = case(method, rows=2)
    expected = attribute(model, images, target=3, method=method, **quick(method)).values
    compiled = torch.compile(model, backend=backend, dynamic=True)
    session = Session(compiled, images, target=3)
    for _ in range(2):  # the second time with compiled code in the cache
        found = session.attribute(method, **quick(method)).values
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    if method == "grad_cam":
        named = session.attribute(method, layer="_orig_mod.0").values
        torch.testing.assert_close(named, attribute(model, images, target=3, method=method, layer="0").values)
    torch.compiler.reset()


@pytest.mark.parametrize("method", EVERY)
def test_precisions(method):
    model, images = case(method, rows=2)
    exact, half, single = (
        attribute(copy.deepcopy(model).to(dtype), images.to(dtype), target=3, method=method, **quick(method))
        for dtype in (torch.float64, torch.bfloat16, torch.float32)
    )
    assert exact.values.dtype == torch.float64
    assert half.values.dtype == torch.float32
    assert torch.isfinite(half.values).all()
    if (
        method == "extremal_perturbation"
    ):  # sorts its mask at every step: rounding decides which of two equals comes first
        return
    torch.testing.assert_close(single.values.double(), exact.values, rtol=2e-3, atol=2e-4)
    if "gradient" in find_method(method).needs:  # small differences of scores are lost in bfloat16's three digits
        assert (half.values - exact.values).abs().sum() < 0.25 * exact.values.abs().sum()


@pytest.mark.parametrize("method", EVERY)
def test_modes_of_the_caller(method):
    model, images = case(method, rows=2)

    def found_for(inputs):
        return attribute(model, inputs, target=3, method=method, **quick(method)).values

    expected = found_for(images)
    with torch.inference_mode():
        of_inference = found_for(images * 1.0)
    with torch.no_grad():
        without_gradient = found_for(images * 1.0)
    channels_last = found_for(images.to(memory_format=torch.channels_last))
    for found in (of_inference, without_gradient, channels_last, found_for(images.clone().requires_grad_())):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
        assert not found.requires_grad
        assert not found.is_inference()


def test_a_model_that_overwrites_its_input():
    x = torch.tensor([[-1.0, 2.0]])
    result = attribute(lambda x: x.mul_(3).relu_().sum(1), x, method="saliency")
    assert result.values.tolist() == [[0, 3]]
    assert x.tolist() == [[-1, 2]]


@pytest.mark.parametrize("method", EVERY)
def test_results_repeat_exactly(method):
    model, images = case(method, rows=2)
    first, second = (attribute(model, images, target=3, method=method, **quick(method)).values for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("model", "inputs", "code"),
    [
        (nn.Linear(3, 2).double(), torch.rand(1, 3), "dtype_mismatch"),
        (nn.Linear(3, 2, device="meta"), torch.rand(1, 3), "device_mismatch"),
        (nn.Linear(4, 2), torch.rand(1, 3), "forward_failed"),
        (lambda x: x / 0, torch.rand(1, 3), "non_finite_score"),
        (lambda x: (x * 0).sqrt(), torch.rand(1, 3), "non_finite_gradient"),
        (lambda x: functional.one_hot(x.argmax(1), 3).float(), torch.rand(1, 3), "not_differentiable"),
        (lambda x: torch.zeros(len(x), 2, requires_grad=True), torch.rand(1, 3), "not_differentiable"),
        (3, torch.rand(1, 3), "not_callable"),
    ],
)
def test_models_that_cannot_be_explained(model, inputs, code):
    with pytest.raises(ModelError) as caught:
        attribute(model, inputs, target=0, method="saliency", training=False)
    assert caught.value.code == code


def test_the_models_own_words_are_kept():
    with pytest.raises(ModelError, match="mat1 and mat2 shapes cannot be multiplied"):
        attribute(nn.Linear(4, 2).eval(), torch.rand(1, 3), target=0)


def test_perturbation_explains_what_has_no_gradient():
    result = attribute(
        lambda x: (x.flatten(1).sum(1, keepdim=True) > 3).float(),
        torch.ones(1, 1, 2, 2),
        target=0,
        method="occlusion",
        window=1,
    )
    assert result.values.flatten().tolist() == [1, 1, 1, 1]
