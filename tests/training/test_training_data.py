"""Training data in every form people have them in, and the losses of single examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.training.data import TrainingData, label_column, like
from xaiwidgets.training.losses import loss_of, outcomes, predicted_labels

X, Y = torch.arange(60.0).reshape(20, 3), torch.arange(20) % 4


class Items(Dataset):
    """Gives whatever `form` makes of a position."""

    def __init__(self, form, length=20):
        self.form, self.length = form, length

    def __len__(self):
        return self.length

    def __getitem__(self, position):
        return self.form(position)


FORMS = {
    "tensors": lambda: (X, Y),
    "arrays": lambda: (X.numpy(), Y.numpy()),
    "tensor data set": lambda: TensorDataset(X, Y),
    "subset": lambda: Subset(TensorDataset(X, Y), range(20)),
    "list of pairs": lambda: [(X[i], int(Y[i])) for i in range(20)],
    "numbers of NumPy": lambda: Items(lambda i: (X[i].numpy(), np.int64(Y[i]))),
    "shuffled loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=7, shuffle=True),
    "loader that collates": lambda: DataLoader(
        [(X[i].tolist(), int(Y[i])) for i in range(20)],
        collate_fn=lambda items: (torch.tensor([one[0] for one in items]), torch.tensor([one[1] for one in items])),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_batches_and_the_same_fingerprint(form):
    data = TrainingData(FORMS[form]())
    inputs, labels = data.batch([3, 0, 19])
    assert torch.equal(inputs, X[[3, 0, 19]])
    assert torch.equal(labels, Y[[3, 0, 19]])
    assert len(data) == 20
    assert data.label_kind == "class"
    assert torch.equal(data.labels(), Y)
    assert data.fingerprint() == TrainingData((X, Y)).fingerprint()
    one, label = data.item(5)
    assert torch.equal(torch.as_tensor(one), X[5])
    assert int(label) == int(Y[5])


@pytest.mark.parametrize("key", ["labels", "label", "target", "y"])
def test_dict_items_give_keyword_inputs_and_their_label(key):
    items = Items(lambda i: {"input_ids": [i, i + 1], "mask": torch.ones(2), "sentence": "words", key: int(Y[i])})
    inputs, labels = TrainingData(items).batch([2, 4])
    assert torch.equal(inputs["input_ids"], torch.tensor([[2, 3], [4, 5]]))
    assert set(inputs) == {"input_ids", "mask"}, "no model reads text"
    assert torch.equal(labels, Y[[2, 4]])


def test_a_dict_of_columns_and_several_inputs():
    columns = TrainingData({"a": X, "text": ["no"] * 20, "labels": Y})
    assert torch.equal(columns.batch([1])[0]["a"], X[[1]])
    several = TrainingData(Items(lambda i: (X[i], X[i] + 1, int(Y[i]))))
    first, second = several.batch([1, 2])[0]
    assert torch.equal(second, first + 1)


def test_what_makes_a_fingerprint_differ():
    same = TrainingData((X, Y)).fingerprint()
    other_input, other_label = X.clone(), Y.clone()
    other_input[7, 1] += 1
    other_label[7] += 1
    different = [(other_input, Y), (X, other_label), (X[:19], Y[:19]), (X.flip(0), Y.flip(0)), (X.double(), Y)]
    prints = {TrainingData(one).fingerprint() for one in different}
    assert same not in prints
    assert len(prints) == len(different)


def test_changed_labels_are_found_where_they_are_at_hand():
    changed = Y.clone()
    changed[11] += 1
    where = np.arange(5, 15)
    TrainingData((X, Y)).compare_labels(where, Y.numpy()[where])
    with pytest.raises(InputError, match="label of training example 11 is not"):
        TrainingData((X, changed)).compare_labels(where, Y.numpy()[where])


class Endless(IterableDataset):
    def __iter__(self):
        return iter([(X[0], 1)])


BAD = {
    "no_labels": [X, TensorDataset(X), [X[0], X[1]], Items(lambda i: {"input_ids": X[i]}), DataLoader(X)],
    "empty_data": [(X[:0], Y[:0]), []],
    "iterable_data": [Endless(), iter([(X[0], 1)]), 3, DataLoader(Endless())],
    "data_sizes": [(X, Y[:3])],
    "items_do_not_stack": [Items(lambda i: (torch.zeros(i + 1), 0)), Items(lambda i: (object(), 0))],
    "random_items": [Items(lambda i: (torch.rand(3), 0))],
}


def _use(dataset):
    data = TrainingData(dataset)
    data.batch([0, 1])
    data.fingerprint()


@pytest.mark.parametrize(("code", "number"), [(code, number) for code in BAD for number in range(len(BAD[code]))])
def test_data_that_cannot_be_used_say_why_and_what_to_do(code, number):
    dataset = BAD[code][number]
    with pytest.raises(InputError) as caught:
        _use(dataset)
    assert caught.value.code == code
    assert caught.value.hint or code == "empty_data"


def test_collate_makes_pairs_of_anything():
    data = TrainingData([3, 4, 5], collate=lambda items: {"n": torch.tensor(items), "y": torch.tensor(items) % 2})
    assert data.batch([0, 2])[0]["n"].tolist() == [3, 5]
    with pytest.raises(InputError, match="no training example 3"):
        data.batch([3])


def test_labels_of_every_kind_have_one_number_each():
    assert label_column(Y[:, None]).tolist() == Y.tolist()
    assert label_column(torch.tensor([0.5, 2.0])).dtype == np.float32
    words = torch.tensor([[1, 2], [1, 3], [1, 2]])
    column = label_column(words)
    assert column[0] == column[2] != column[1]
    assert [TrainingData((X[:3], one)).label_kind for one in (Y[:3], Y[:3].float(), words)] == [
        "class",
        "number",
        "other",
    ]


def test_queries_take_the_form_of_the_training_data():
    batch = TrainingData((X, Y)).batch([0])[0]
    assert like(X[:2].double().numpy(), batch).dtype == torch.float32
    for wrong, code in ((X[0], "query_shape"), ({"x": X}, "query_form"), (3, "query_form")):
        with pytest.raises(InputError) as caught:
            like(wrong, batch)
        assert caught.value.code == code
    with pytest.raises(InputError, match="2 inputs"):
        like(X, (X, X))


# ---- losses ----

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def test_named_losses_are_torchs():
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    expected = functional.cross_entropy(LOGITS, labels, reduction="none")
    assert torch.allclose(loss_of("cross_entropy")(LOGITS, labels), expected)
    p = LOGITS.softmax(1).gather(1, labels[:, None])[:, 0]
    assert torch.allclose(loss_of("margin")(LOGITS, labels), -(p / (1 - p)).log(), atol=1e-5)
    binary = functional.binary_cross_entropy_with_logits(LOGITS[:, 0], (labels > 1).float(), reduction="none")
    assert torch.allclose(loss_of("binary_cross_entropy")(LOGITS[:, :1], labels > 1), binary)
    assert torch.allclose(loss_of("margin")(LOGITS[:, 0], labels > 1), (1 / binary.neg().exp() - 1).log(), atol=1e-5)
    squares = (LOGITS - 1).square().mean(1)
    assert torch.allclose(loss_of("squared_error")(LOGITS, torch.ones(6, 4)), squares)
    soft = functional.one_hot(labels, 4).float()
    assert torch.allclose(loss_of("cross_entropy")(LOGITS, soft), expected)


@pytest.mark.parametrize("classes_last", [True, False])
@pytest.mark.parametrize("name", ["cross_entropy", "margin"])
def test_losses_of_many_places_are_means_over_the_labelled_ones(name, classes_last):
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[0, 1, -100, 3, -100], [2, 2, 2, 2, 2]])
    loss = loss_of(name)
    rows = [loss(logits[row][labels[row] >= 0], labels[row][labels[row] >= 0]).mean() for row in (0, 1)]
    assert torch.allclose(loss(logits if classes_last else logits.movedim(2, 1), labels), torch.stack(rows))


def test_losses_run_under_vmap_as_outside():
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    for name in ("cross_entropy", "margin"):
        loss = loss_of(name)
        single = torch.func.vmap(lambda x, y, loss=loss: loss(x[None], y[None])[0])(LOGITS, labels)
        assert torch.allclose(single, loss(LOGITS, labels))


def test_losses_refuse_what_makes_no_sense():
    with pytest.raises(InputError, match="Label 4 does not exist: the model has 4 classes"):
        loss_of("cross_entropy")(LOGITS, torch.full((6,), 4))
    with pytest.raises(InputError, match="do not fit"):
        loss_of("cross_entropy")(LOGITS, torch.zeros(5, dtype=torch.long))
    with pytest.raises(InputError, match="do not fit"):
        loss_of("squared_error")(LOGITS, torch.zeros(6))
    with pytest.raises(ModelError, match="reduction='none'"):
        loss_of(nn.CrossEntropyLoss())(LOGITS, torch.zeros(6, dtype=torch.long))
    with pytest.raises(ParameterError, match="cross_entropy"):
        loss_of("crossentropy")
    with pytest.raises(ParameterError, match="not a loss"):
        loss_of(3)


def test_outcomes_of_classes():
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    read = outcomes(LOGITS, labels)
    p = LOGITS.softmax(1)
    assert torch.equal(read.predicted.long(), LOGITS.argmax(1))
    assert torch.allclose(read.confidence, p[range(6), labels])
    assert torch.equal(read.margin > 0, LOGITS.argmax(1) == labels)
    assert torch.allclose(read.el2n, (p - functional.one_hot(labels, 4)).norm(dim=1))
    two = torch.stack([torch.zeros(6), LOGITS[:, 0]], 1)
    binary = outcomes(LOGITS[:, :1], (labels > 1).float(), "binary_cross_entropy")
    softmax = outcomes(two, (labels > 1).long())
    for name in ("predicted", "confidence", "margin", "el2n"):
        assert torch.allclose(getattr(binary, name), getattr(softmax, name)), name


def test_outcomes_say_nothing_of_regression():
    for output, labels in ((LOGITS[:, 0], LOGITS[:, 1]), (LOGITS, LOGITS)):
        read = outcomes(output, labels, "squared_error")
        assert (read.predicted == -1).all()
        assert read.confidence.isnan().all()
        with pytest.raises(InputError, match="labels="):
            predicted_labels(output, "squared_error")
    places = outcomes(torch.stack([LOGITS, LOGITS]), torch.tensor([[0, 1, -100, -100, -100, -100]] * 2))
    assert (places.predicted == -1).all()
    assert torch.allclose(places.confidence[0], LOGITS.softmax(1)[[0, 1], [0, 1]].mean())


def test_predicted_labels() -> None:
    assert torch.equal(predicted_labels(LOGITS, "cross_entropy"), LOGITS.argmax(1))
    single: Tensor = predicted_labels(LOGITS[:, :1], "binary_cross_entropy")
    assert torch.equal(single, (LOGITS[:, :1] > 0).float())
