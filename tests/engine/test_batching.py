"""Chunks: sized by memory, halved when memory runs out, and invisible in the result."""

import weakref

import pytest
import torch
from cases import EVERY, case, quick
from torch import nn

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine import batching
from xaiwidgets.engine.batching import Batcher, counted_bytes
from xaiwidgets.engine.errors import ModelError, ParameterError

CPU = torch.device("cpu")


def chunks(batcher, total, capacity=10**9, error=torch.OutOfMemoryError):
    tried = []

    def evaluate(start, stop):
        tried.append(stop - start)
        if stop - start > capacity:
            raise error("out of memory")
        return list(range(start, stop))

    done = [row for chunk in batcher.run(total, evaluate) for row in chunk]
    assert done == list(range(total))
    return tried


def test_fixed_sizes():
    assert chunks(Batcher(4), 10) == [4, 4, 2]


def test_automatic_sizes_come_from_memory():
    batcher = Batcher()
    assert batcher.unmeasured
    assert chunks(batcher, 2) == [1, 1]
    middling = batching.CPU_FEW_ROWS_BUDGET // 3
    for kept, rows in (
        (batching.CPU_BUDGET // 10, 10),
        (middling, 3),
        (batching.CPU_BUDGET, batching.CPU_FEW_ROWS - 1),
        (10 * batching.CPU_FEW_ROWS_BUDGET, 1),
        (0, batching.LARGEST),
    ):
        batcher.measured(kept, CPU)
        assert batcher.rows == rows


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_out_of_memory_halves_and_goes_on(error):
    batcher = Batcher(64)
    assert chunks(batcher, 20, capacity=5, error=error) == [20, 10, 5, 5, 5, 5]
    assert batcher.rows == 5


def test_the_batch_grows_back_after_success():
    batcher = Batcher(8)
    chunks(batcher, 8, capacity=2)
    assert batcher.rows == 2
    chunks(batcher, 2 * batching.REGROW_AFTER)
    assert batcher.rows == 4
    chunks(batcher, 1000)
    assert batcher.rows == 8


def test_one_row_that_does_not_fit_is_an_error():
    with pytest.raises(ModelError) as caught:
        chunks(Batcher(4), 4, capacity=0)
    assert caught.value.code == "out_of_memory"
    assert caught.value.hint


def test_other_errors_are_not_swallowed():
    with pytest.raises(RuntimeError, match="shape"):
        chunks(Batcher(4), 4, capacity=0, error=lambda _: RuntimeError("bad shape"))


def test_the_failed_attempt_holds_no_tensors_during_the_retry():
    seen = []

    def evaluate(start, stop):
        big = torch.zeros(10)
        seen.append(weakref.ref(big))
        if stop - start > 1:
            raise torch.OutOfMemoryError("out of memory")
        assert seen[0]() is None or len(seen) == 1  # freed before the smaller attempt began
        return start

    assert list(Batcher(2).run(2, evaluate)) == [0, 1]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "large"])
def test_bad_sizes(size):
    with pytest.raises(ParameterError):
        Batcher(size)


def test_what_autograd_keeps_is_counted_without_the_weights():
    model = nn.Sequential(nn.Linear(100, 50), nn.Tanh(), nn.Linear(50, 2))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with counted_bytes(model) as kept:
        model(torch.zeros(1, 100, requires_grad=True))
    assert kept() == 50 * 4  # the output of tanh


@pytest.mark.parametrize("method", EVERY)
def test_results_do_not_depend_on_the_batch(method):
    model, images = case(method, rows=5)
    model, images = model.double(), images.double()  # so that what differs is not rounding
    labels = torch.tensor([0, 1, 2, 3, 0])
    results = [
        attribute(model, images, target=labels, method=method, batch_size=size, **quick(method)).values
        for size in (1, 3, 256, "auto")
    ]
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", EVERY)
def test_a_rows_result_does_not_depend_on_its_neighbours(method):
    model, images = case(method)
    model, images = model.double(), images.double()
    labels = torch.tensor([0, 1, 2])
    whole = attribute(model, images, target=labels, method=method, **quick(method)).values
    alone = attribute(model, images[1:2], target=labels[1:2], method=method, **quick(method)).values
    torch.testing.assert_close(whole[1:2], alone, rtol=1e-7, atol=1e-9)


def test_a_model_that_runs_out_of_memory_is_explained_all_the_same(digits):
    sizes = []

    def greedy(x):
        sizes.append(len(x))
        if len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return digits.model(x)

    expected = attribute(digits.model, digits.images[:2], target=1, steps=17, tolerance=0.0)
    found = attribute(greedy, digits.images[:2], target=1, steps=17, tolerance=0.0, batch_size=16)
    torch.testing.assert_close(found.values, expected.values, rtol=1e-3, atol=1e-5)
    assert found.evaluations == expected.evaluations
    assert sizes[:4] == [16, 8, 4, 2]


def test_the_automatic_batch_is_the_same_every_time(digits):
    sizes = []
    for _ in range(2):
        session = Session(digits.model, digits.images[:2], target=0)
        session.attribute("saliency")
        sizes.append(session.problem.chunk_rows)
    assert sizes[0] == sizes[1] > 1
