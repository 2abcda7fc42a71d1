"""Whatever happens, the model comes back as it was lent, and the global random state too."""

import threading

import hypothesis.strategies as st
import pytest
import torch
from cases import quick
from hypothesis import given, settings
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute, methods, stream
from xaiwidgets.engine.errors import Cancelled, ModelError
from xaiwidgets.engine.state import borrowed, eager, lock_of, module_of

METHODS = [method.name for method in methods() if not {"attention", "tokens"} & set(method.needs)]
REFUSED_IN_TRAINING = ("batch_statistics", "cam_head", "no_layer")
"""Statistics mix the rows of a batch; dropout may cut every way from a layer to the score."""
IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Batch statistics, dropout and in-place operations, and a bomb that goes off at a chosen call."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)
        self.calls = 0
        self.bomb = -1

    def forward(self, x):
        self.calls += 1
        if self.calls == self.bomb:
            raise KeyError("boom")
        return self.head(self.drop(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)))


def snapshot(model):
    return {
        "training": [(name, module.training) for name, module in model.named_modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "parameters": [
            (id(p), p.requires_grad, None if p.grad is None else p.grad.tolist(), p.tolist())
            for p in model.parameters()
        ],
        "buffers": [(name, id(b), b.tolist()) for name, b in model.named_buffers()],
        "random": torch.get_rng_state().tolist(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    training=st.sampled_from([True, False]),
    flags=st.lists(st.booleans(), min_size=8, max_size=8),
    frozen=st.lists(st.booleans(), min_size=6, max_size=6),
    graded=st.booleans(),
    ending=st.sampled_from(["finish", "raise", "close", "cancel"]),
    when=st.integers(1, 6),
    batch_size=st.sampled_from(["auto", 1, 3]),
)
def test_nothing_is_left_behind(*, method, training, flags, frozen, graded, ending, when, batch_size):
    model = Net()
    for module, flag in zip(model.modules(), flags, strict=False):
        module.training = flag
    for parameter, off in zip(model.parameters(), frozen, strict=True):
        parameter.requires_grad_(not off)
        parameter.grad = torch.ones_like(parameter) if graded else None
    model.bomb = when if ending == "raise" else -1
    checks = 0

    def interrupt():
        nonlocal checks
        checks += 1
        if ending == "cancel" and checks == when:
            raise Cancelled

    refused = None
    before = snapshot(model)
    running = stream(
        model,
        IMAGES,
        target=1,
        method=method,
        training=training,
        batch_size=batch_size,
        interrupt=interrupt,
        **quick(method),
    )
    try:
        for seen, _ in enumerate(running, 1):
            assert snapshot(model) == before  # between partial results, too
            if ending == "close" and seen == when:
                running.close()
    except Cancelled:
        assert ending == "cancel"
    except ModelError as error:
        refused = error.code
    allowed = [*(REFUSED_IN_TRAINING if training else ()), *(["no_first_layer"] if method == "deep_taylor" else [])]
    assert refused is None or ending == "raise" or refused in allowed  # the network begins with a ReLU
    assert snapshot(model) == before


def test_what_the_model_raised_is_kept():
    model = Net().eval()
    model.bomb = 3
    with pytest.raises(ModelError, match="boom") as caught:
        attribute(model, IMAGES, target=0)
    assert caught.value.code == "forward_failed"
    assert isinstance(caught.value.__cause__, KeyError)


def test_training_mode_is_refused_unless_decided():
    model = Net()
    model.eval()
    model.drop.train()
    with pytest.raises(ModelError) as caught:
        attribute(model, IMAGES, target=0)
    assert caught.value.code == "training_mode"
    assert "drop" in caught.value.detail
    quiet = attribute(model, IMAGES, target=0, training=False)
    torch.testing.assert_close(quiet.values, attribute(model.eval(), IMAGES, target=0).values)


def test_training_true_explains_the_model_as_it_is():
    model = Net().train()
    mean = model.features[2].running_mean.clone()
    session = Session(model, IMAGES, target=0, training=True, batch_size=64)
    noisy = session.attribute("saliency").values
    assert torch.equal(model.features[2].running_mean, mean)
    assert not torch.allclose(noisy, attribute(model.eval(), IMAGES, target=0, method="saliency").values)


def test_parameters_are_frozen_inside_only():
    model = Net().eval()
    inside = []
    handle = model.head.register_forward_hook(lambda m, a, o: inside.append(m.weight.requires_grad))
    attribute(model, IMAGES, target=0, method="saliency")
    handle.remove()
    assert inside == [False] * len(inside) != []
    assert model.head.weight.requires_grad


def test_a_users_hook_survives_and_is_called():
    model = Net().eval()
    calls = []
    model.features.register_forward_hook(lambda *_: calls.append(1))
    attribute(model, IMAGES, target=0, method="grad_cam")
    assert calls
    assert len(model.features._forward_hooks) == 1


def test_the_module_behind_a_model():
    model = Net()
    assert module_of(model) is model
    assert module_of(model.forward) is model
    assert module_of(torch.compile(model, backend="eager")) is model
    assert module_of(lambda x: x) is None
    assert lock_of(model) is lock_of(model)
    assert lock_of(model) is not lock_of(Net())


def test_compiled_code_is_off_while_anyone_needs_that():
    torch.compiler.reset()
    compilations = []

    def backend(graph, _inputs):
        compilations.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x: x + 1, backend=backend)
    first, second = eager(needed=True), eager(needed=True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # in the order that would leave a plain context manager switched on
    compiled(torch.ones(2))
    assert not compilations
    second.__exit__(None, None, None)
    with eager(needed=False):
        compiled(torch.ones(2))
    assert compilations
    torch.compiler.reset()


def test_two_threads_on_one_model_take_turns():
    model = Net().eval()
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(50):
            with borrowed(model, lock_of(model), gradient=True, training=None, device=torch.device("cpu")):
                inside += 1
                most = max(most, inside)
                assert not model.head.weight.requires_grad
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert model.head.weight.requires_grad


def test_sessions_in_threads_agree_with_serial_results(digits):
    jobs = [
        (Session(digits.model, digits.images[i : i + 4], target=digits.labels[i : i + 4]), name)
        for i, name in ((0, "integrated_gradients"), (4, "grad_cam"), (8, "occlusion"), (12, "smoothgrad"))
    ]
    serial = [session.attribute(name).values for session, name in jobs]
    found = [None] * len(jobs)

    def work(index):
        session, name = jobs[index]
        session.forget()
        found[index] = session.attribute(name).values

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(serial, found, strict=True):
        torch.testing.assert_close(one, other)
    assert all(parameter.requires_grad for parameter in digits.model.parameters())


class Waiting(nn.Module):
    """Its first forward pass waits, and perhaps draws."""

    def __init__(self, noise):
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.noise = noise
        self.reached, self.go_on = threading.Event(), threading.Event()

    def forward(self, x):
        self.reached.set()
        assert self.go_on.wait(30)
        return self.head(x + self.noise * torch.randn_like(x) if self.noise else x)


def in_a_thread(model):
    thread = threading.Thread(target=lambda: attribute(model, torch.ones(2, 3), target=0, steps=17))
    thread.start()
    assert model.reached.wait(30)
    return thread


def test_a_background_job_takes_no_random_numbers_back():
    model = Waiting(0.0).eval()
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    thread = in_a_thread(model)
    first = torch.rand(2)  # while the model runs
    model.go_on.set()
    thread.join()
    torch.testing.assert_close(torch.cat([first, torch.rand(2)]), expected)


def test_a_background_job_of_a_model_that_draws_leaves_no_trace():
    model = Waiting(0.1).eval()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    thread = in_a_thread(model)
    model.go_on.set()
    thread.join()
    assert torch.equal(torch.get_rng_state(), before)
