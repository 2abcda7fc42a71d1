"""From outputs to scores."""

from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from xaiwidgets.engine.errors import ModelError, TargetError
from xaiwidgets.engine.target import Contrast, Scorer, unwrap

LOGITS = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
ROWS = torch.tensor([0, 1, 2, 3])


@dataclass
class Output:
    logits: Tensor
    loss: Tensor


def score(target, output=LOGITS, rows=ROWS, kind="logit", samples=4):
    return Scorer(target, kind, samples)(output, rows)


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        Output(LOGITS, torch.zeros(())),
        {"logits": LOGITS, "hidden": torch.zeros(4)},
        OrderedDict(out=LOGITS, aux=torch.zeros(4)),
        {"anything": LOGITS},
        (LOGITS, torch.zeros(4)),
        [None, LOGITS],
    ],
)
def test_unwrapping(output):
    assert unwrap(output) is LOGITS


@pytest.mark.parametrize("output", [{"a": LOGITS, "b": LOGITS}, (), "text", None])
def test_outputs_without_an_obvious_tensor(output):
    with pytest.raises(ModelError) as caught:
        unwrap(output)
    assert caught.value.code == "unknown_output"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (2, LOGITS[:, 2]),
        (torch.tensor(2), LOGITS[:, 2]),
        ((2,), LOGITS[:, 2]),
        (torch.tensor([0, 1, 4, 3]), LOGITS[range(4), [0, 1, 4, 3]]),
        ([0, 1, 4, 3], LOGITS[range(4), [0, 1, 4, 3]]),
        (Contrast(1, 3), LOGITS[:, 1] - LOGITS[:, 3]),
        (Contrast([0, 1, 4, 3], 2), LOGITS[range(4), [0, 1, 4, 3]] - LOGITS[:, 2]),
        (lambda output: output.max(1).values, LOGITS.max(1).values),
    ],
)
def test_targets(target, expected):
    torch.testing.assert_close(score(target), expected)


def test_targets_follow_the_rows_of_the_points():
    rows = torch.tensor([3, 3, 0, 1])
    torch.testing.assert_close(score([0, 1, 4, 3], rows=rows), LOGITS[range(4), [3, 3, 0, 1]])


def test_deeper_outputs_take_tuples():
    output = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(score((1, 2, 3), output, torch.tensor([0, 1]), samples=2), output[:, 1, 2, 3])
    per_row = torch.tensor([[0, 1, 2], [2, 3, 4]])
    expected = torch.stack([output[0, 0, 1, 2], output[1, 2, 3, 4]])
    torch.testing.assert_close(score(per_row, output, torch.tensor([0, 1]), samples=2), expected)


def test_probabilities():
    torch.testing.assert_close(score(1, kind="probability"), LOGITS.softmax(1)[:, 1])
    torch.testing.assert_close(score(1, kind="log_probability"), LOGITS.log_softmax(1)[:, 1])
    tokens = torch.randn(2, 3, 7)
    torch.testing.assert_close(
        score((1, 4), tokens, torch.tensor([0, 1]), "probability", 2), tokens.softmax(2)[:, 1, 4]
    )
    maps = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(
        score((1, 0, 2), maps, torch.tensor([0, 1]), "probability", 2), maps.softmax(1)[:, 1, 0, 2]
    )


@pytest.mark.parametrize("output", [LOGITS[:, 0], LOGITS[:, :1]])
def test_one_score_a_row_needs_no_target(output):
    torch.testing.assert_close(score(None, output), LOGITS[:, 0])
    torch.testing.assert_close(score(0, output), LOGITS[:, 0])
    torch.testing.assert_close(score(None, output, kind="probability"), LOGITS[:, 0].sigmoid())
    torch.testing.assert_close(score(None, LOGITS[0, 0], ROWS[:1]), LOGITS[0, :1])


@pytest.mark.parametrize(
    ("target", "output", "code", "says"),
    [
        (None, LOGITS, "target_missing", "5 classes: 0 to 4"),
        (5, LOGITS, "target_range", "has 5 classes. Choose 0 to 4"),
        (-1, LOGITS, "target_range", "Target -1 does not exist"),
        ([0, 1, 5, 3], LOGITS, "target_range", "Target 5"),
        (Contrast(0, 9), LOGITS, "target_range", "Target 9"),
        ((1, 2), LOGITS, "target_shape", "one integer"),
        (1, torch.zeros(4, 2, 3), "target_shape", "a tuple of 2 integers"),
        (lambda output: output, LOGITS, "target_shape", "function"),
        (lambda output: 3.0, LOGITS, "target_shape", "function"),
    ],
)
def test_targets_that_do_not_fit_the_output(target, output, code, says):
    with pytest.raises(TargetError) as caught:
        score(target, output)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("target", [True, 1.5, "cat", torch.rand(4), torch.ones(4).bool(), (1.0, 2)])
def test_things_that_are_no_targets(target):
    with pytest.raises(TargetError) as caught:
        Scorer(target, "logit", 4)
    assert caught.value.code == "target_type"


def test_settings_that_contradict_themselves():
    for target, kind, code in ((lambda o: o, "probability", "score_of_callable"), (0, "odds", "unknown_score")):
        with pytest.raises(TargetError) as caught:
            Scorer(target, kind, 4)
        assert caught.value.code == code
    with pytest.raises(TargetError) as caught:
        Scorer(torch.tensor([1, 2, 3]), "logit", 4)
    assert caught.value.code == "target_shape"


@pytest.mark.parametrize("output", [torch.zeros(()), torch.zeros(3, 5)])
def test_outputs_without_the_batch_in_front(output):
    with pytest.raises(ModelError) as caught:
        score(0, output)
    assert caught.value.code == "output_batch"
