"""The rewrite mode itself: what it sees, what it refuses, and that it leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from xaiwidgets.api import attribute
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.rewrite import ELEMENTWISE, LINEAR, PRODUCT, SELECTING, STRUCTURAL, Rewrite, Rule, graft
from xaiwidgets.methods.deeplift_rules import DeepLift
from xaiwidgets.methods.implicit_biases import Biases


class Plain(Rewrite):
    """Lets every operation have its own gradient."""

    title = "Nothing"
    passes = STRUCTURAL | LINEAR | PRODUCT | ELEMENTWISE | SELECTING | {"div", "softmax", "layer_norm", "batch_norm"}


class Noted(Plain):
    """The same, and the names of the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def otherwise(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        self.found.append(name)
        return super().otherwise(name, function, args, kwargs)


def double(*shape: int, seed: int = 0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(model, x, rewrite=None, **keywords):
    return Problem(model, x, **keywords).gradients(rewrite=rewrite)


@pytest.mark.parametrize("name", zoo.ALL)
def test_without_rules_nothing_changes(name):
    """Opened, taken apart and done out of place, every model has the same value and the same gradient."""
    model, inputs = zoo.make(name)
    with torch.no_grad():
        plain, score = gradients(model, inputs, target=1)
        found, under = gradients(model, inputs, Plain, target=1)
    torch.testing.assert_close(under, score, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)


def test_names_are_the_same_however_an_operation_is_written():
    def model(x):
        y = functional.relu(nn.ReLU()(x.relu()), inplace=True)
        y = torch.relu_(torch.relu(y.relu_()))
        y = functional.relu(y, True)
        y = nn.ReLU(inplace=True)(y * 1)
        return y.sum(1)

    mode = Noted()
    gradients(model, double(1, 3), lambda: mode)
    assert mode.found.count("relu") == 8
    assert set(mode.found) <= {
        "relu",
        "mul",
        "sum",
        "copy_",
        "to",
        "__get__",
        "reshape",
        "size",
        "dim",
        "stack",
        "__len__",
    }


def test_a_rule_sees_every_call_and_keeps_every_value():
    seen: list[tuple[int, ...]] = []

    def doubled(_mode: Rewrite, function: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return graft(function(x, *args, **kwargs), 2 * x)

    class Doubling(Plain):
        rules: ClassVar[Mapping[str, Rule]] = {"relu": doubled}

    model, x = zoo.make("shared_relu")
    with torch.no_grad():
        expected = model(x)[:, 1]
    _, scores = gradients(model, x, Doubling, target=1, batch_size=3)
    assert torch.equal(scores, expected)
    assert seen == [(3, 6, 8, 8), (3, 8, 4, 4), (3, 32), (3, 32)]  # in place, functional, shared, a method in place
    found, _ = gradients(lambda x: functional.relu(x.relu_() - 9).sum(1), double(1, 3), Doubling)
    assert found.tolist() == [[4.0, 4.0, 4.0]]


def test_writing_in_place_keeps_its_aliases():
    def model(x):
        y = x * 1
        view = y[:, :2]
        view.sin_()
        y += view.sum(1, keepdim=True)
        y.mul_(3)
        return y.sum(1)

    x = double(2, 4)
    plain, score = gradients(model, x)
    found, under = gradients(model, x, Plain)
    assert torch.equal(under, score)
    torch.testing.assert_close(found, plain)


# --- what cannot be seen ---------------------------------------------------------------------------------------------


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


class Hidden(nn.Module):
    """A network whose second part is done out of sight."""

    def __init__(self, how):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.double()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for parameter in self.parameters():
                nn.init.normal_(parameter)
        self.hide = how(nn.Sequential(self.second, nn.ReLU()))
        self.eval()

    def forward(self, x):
        return self.last(self.hide(self.first(x)))


def in_a_thread(part):
    """What DataParallel does."""

    def run(x):
        result = []
        thread = threading.Thread(target=lambda: result.append(part(x)))
        thread.start()
        thread.join()
        return result[0]

    return run


def with_custom_function(part):
    return lambda x: Squared.apply(part(x))


def scripted(part):
    return torch.jit.trace(part, torch.zeros(1, 4, dtype=torch.float64))


UNSEEN = {
    "a custom autograd function": with_custom_function,
    "a thread": in_a_thread,
    "a traced module": scripted,
    "checkpoint": lambda part: lambda x: checkpoint(part, x, use_reentrant=False),
    "reentrant checkpoint": lambda part: lambda x: checkpoint(part, x, use_reentrant=True),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("rewrite", [Plain, DeepLift, Biases])
@pytest.mark.parametrize("hidden", UNSEEN)
def test_what_is_hidden_is_an_error(hidden, rewrite):
    model = Hidden(UNSEEN[hidden])
    flags = [parameter.requires_grad for parameter in model.parameters()]
    for rows in (1, "auto"):  # the first row is measured by hooks of its own
        with pytest.raises(ModelError) as caught:
            gradients(model, double(3, 4), rewrite, target=0, batch_size=rows)
        assert caught.value.code == "unseen_operation"
        assert caught.value.hint
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.overrides._get_current_function_mode_stack() == []


def test_plain_gradients_see_what_is_hidden():
    """Nothing is left of the mode: such models are explained by gradients as ever, as far as torch can."""
    reference = Hidden(lambda part: part)
    x = double(3, 4)
    expected = attribute(reference, x, target=0, method="saliency").values
    for hidden in ("a thread", "a traced module", "checkpoint"):
        model = Hidden(UNSEEN[hidden])
        with pytest.raises(ModelError):
            gradients(model, x, DeepLift, target=0)
        torch.testing.assert_close(attribute(model, x, target=0, method="saliency").values, expected)
    with pytest.raises(ModelError, match="heckpoint") as caught:
        attribute(Hidden(UNSEEN["reentrant checkpoint"]), x, target=0, method="saliency")
    assert caught.value.code == "checkpointing"


def test_a_backward_pass_that_fails_is_explained():
    def overwriting(x):
        y = x.exp()
        y *= y
        return y.sum(1)

    with pytest.raises(ModelError, match="overwrites") as caught:
        attribute(overwriting, double(2, 3), method="saliency")
    assert caught.value.code == "overwritten"


def test_models_that_a_function_closes_over():
    """Their parameters are nobody's, and require gradients; they are constants all the same."""
    model, x = zoo.make("shared_relu")
    assert all(parameter.requires_grad for parameter in model.parameters())

    def closed(x):
        return model(x)

    for method in ("deeplift", "full_grad", "guided_backprop", "bias_attribution"):
        expected = attribute(model, x, target=1, method=method).values
        torch.testing.assert_close(attribute(closed, x, target=1, method=method).values, expected)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_checkpointing_is_named():
    with pytest.raises(ModelError, match="checkpointing") as caught:
        gradients(Hidden(UNSEEN["checkpoint"]), double(3, 4), Plain, target=0)
    found = caught.value.hint
    assert "gradient_checkpointing_disable" in found or "activation checkpointing" in found  # the latter: torch 2.8


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_fused_recurrence_is_an_error(layer):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer(3, 4, batch_first=True)

        def forward(self, x):
            return self.layer(x)[0][:, -1, 0]

    with pytest.raises(ModelError, match="fused") as caught:
        gradients(Model().double().eval(), double(2, 5, 3), Plain)
    assert caught.value.code == "fused_recurrence"
    assert "LSTMCell" in caught.value.hint


def test_operations_without_a_rule_are_an_error_only_where_they_matter():
    with pytest.raises(ModelError, match="'cumprod'") as caught:
        gradients(lambda x: x.cumprod(1)[:, 2], double(2, 3), Plain)
    assert caught.value.code == "uncovered_operation"
    found, _ = gradients(lambda x: (x * torch.ones(3, dtype=x.dtype).cumprod(0)).sum(1), double(2, 3), Plain)
    assert found.tolist() == [[1.0] * 3] * 2
    # Comparisons and indices have no gradient that could be wrong.
    found, _ = gradients(
        lambda x: x.where(x > 9, 2 * x).gather(1, x.argmax(1, keepdim=True))[:, 0], double(2, 3), Plain
    )
    assert found.sum(1).tolist() == [2.0, 2.0]


def test_an_error_in_the_model_leaves_it_as_it_was():
    model, x = zoo.make("shared_relu")
    model.head.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("broken")))
    model.conv1.weight.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    for method in ("deeplift", "full_grad", "guided_backprop", "bias_attribution", "deep_shap"):
        with pytest.raises(ModelError, match="broken"):
            attribute(model, x, target=0, method=method)
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert torch.overrides._get_current_function_mode_stack() == []
    assert torch.is_grad_enabled()


# --- models that are not quite plain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["deeplift", "full_grad", "guided_backprop"])
def test_compiled_models(method):
    model, x = zoo.make("shared_relu")
    expected = attribute(model, x, target=1, method=method).values
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    torch.testing.assert_close(attribute(compiled, x, target=1, method=method).values, expected)


@pytest.mark.filterwarnings("ignore:DeepLIFT's values")
def test_autocast():
    model, x = zoo.make("shared_relu")
    model, x = model.float(), x.float()

    def mixed(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(x)

    exact = attribute(model, x, target=1, method="deeplift").values
    found = attribute(mixed, x, target=1, method="deeplift")
    assert float((found.values - exact).abs().mean()) < 0.1 * float(exact.abs().mean())
    assert float(found.delta.abs().max()) < 0.05 * float((found.score - found.baseline_score).abs().max())


def test_vectorised_models():
    """What vmap gives its function is no tensor that was seen."""
    weight = double(3, 3)

    def model(x):
        return torch.vmap(lambda row: (weight @ row).sin().sum())(x)

    x = double(4, 3)
    with pytest.raises(ModelError) as caught:
        gradients(model, x, DeepLift)
    assert caught.value.code == "unseen_operation"


def test_models_run_in_threads_of_their_own_user():
    """A mode belongs to the thread that entered it: explaining in one does not disturb the model in another."""
    model, x = zoo.make("residual")
    with torch.no_grad():
        expected = model(x)
    results: list[torch.Tensor] = []
    stop = threading.Event()

    def run():
        with torch.no_grad():
            while not stop.is_set():
                results.append(model(x))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(3):
            attribute(model, x, target=1, method="deeplift")
    finally:
        stop.set()
        thread.join()
    assert results
    assert all(torch.equal(one, expected) for one in results)
