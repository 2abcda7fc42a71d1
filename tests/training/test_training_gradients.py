"""Gradients of single examples against one backward pass for each, for every kind of layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.training.recorder import Recorder


def cross_entropy(output, labels):
    return functional.cross_entropy(output, labels, reduction="none")


def one_by_one(model, loss, inputs, labels, names):
    """name -> [B, *shape] by a backward pass for each row, in the plainest way."""
    model = copy.deepcopy(model)
    parameters = dict(model.named_parameters())
    rows = []
    for at in range(len(labels)):
        row = (
            {key: value[at : at + 1] for key, value in inputs.items()}
            if isinstance(inputs, dict)
            else inputs[at : at + 1]
        )
        output = model(**row) if isinstance(row, dict) else model(row)
        output = getattr(output, "logits", output)
        model.zero_grad()
        loss(output, labels[at : at + 1]).sum().backward()
        rows.append(
            [
                torch.zeros_like(parameters[name]) if parameters[name].grad is None else parameters[name].grad.clone()
                for name in names
            ]
        )
    return {name: torch.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def flat(gradients):
    return torch.cat([one.reshape(len(one), -1).double() for one in gradients.values()], 1)


def check(model, inputs, labels, *, loss=cross_entropy, queries=2, tolerance=1e-9, fallback=()):
    """Every product of a model's recorded gradients against the plain ones, several times over."""
    model = copy.deepcopy(model).double() if tolerance < 1e-7 else copy.deepcopy(model)
    rows = len(labels)

    def cut(part):
        return {key: value[part] for key, value in inputs.items()} if isinstance(inputs, dict) else inputs[part]

    def near(got, wanted, size):
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=float(tolerance * size))

    recorder = Recorder(copy.deepcopy(model), loss)
    names = list(recorder.parameters)
    expected = one_by_one(model, loss, inputs, labels, names)
    few = {name: one[:queries] for name, one in expected.items()}
    everything, fewer = flat(expected), flat(few)
    scale = everything.norm(dim=1).max()
    asked = recorder.record(cut(slice(queries)), labels[:queries])
    for _ in range(2):
        got = recorder.record(inputs, labels)
        assert set(recorder.fallback) == set(fallback)
        for name, dense in got.dense().items():
            near(dense, expected[name].double(), scale)
        near(got.dot(asked), everything @ fewer.T, scale**2)
        near(got.dot(asked), everything @ fewer.T, scale**2)
        near(asked.dot(got), fewer @ everything.T, scale**2)
        near(got.squared_norms(), everything.square().sum(1), scale**2)
        vectors = {name: torch.stack([one[0], one[-1] + one[0], one[0] * 2]) for name, one in expected.items()}
        for v in (vectors, {name: one[:1] for name, one in vectors.items()}):
            near(got.dot_vectors(v), everything @ flat(v).T, 4 * scale**2)
        weights = torch.linspace(-1, 2, rows, dtype=got.losses.dtype)
        for name, one in got.total(weights).items():
            near(one, torch.einsum("b,b...->...", weights.double(), expected[name].double()), rows * scale)
        for name, pair in got.factors().items():
            if pair is not None:
                columns, left = pair
                formed = torch.einsum("bto,btk->bok", left, columns).reshape(expected[name].shape)
                near(formed, expected[name].double(), scale)
    single = recorder.record(cut(slice(1)), labels[:1])
    near(flat(single.dense()), everything[:1], scale)
    return recorder


def images(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_linear_layers():
    torch.manual_seed(0)
    check(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)), images(7, 6), torch.arange(7) % 3)


CONVOLUTIONS = {
    "plain": lambda: (nn.Conv2d(2, 4, 3), (2, 7, 8)),
    "strided": lambda: (nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0)), (2, 7, 8)),
    "dilated": lambda: (nn.Conv2d(2, 4, 3, dilation=2, padding="same"), (2, 7, 8)),
    "even same": lambda: (nn.Conv2d(2, 4, 4, padding="same"), (2, 7, 8)),
    "grouped": lambda: (nn.Conv2d(4, 6, 3, groups=2), (4, 7, 8)),
    "depthwise": lambda: (nn.Conv2d(4, 4, 3, groups=4, bias=False), (4, 7, 8)),
    "reflected": lambda: (nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), (2, 7, 8)),
    "one axis": lambda: (nn.Conv1d(3, 4, 3, stride=2, padding=1), (3, 9)),
    "three axes": lambda: (nn.Conv3d(2, 3, 2, padding="valid"), (2, 4, 5, 3)),
    "pointwise": lambda: (nn.Conv2d(3, 40, 1), (3, 2, 2)),
    "transposed": lambda: (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (3, 4, 5)),
    "transposed grouped": lambda: (nn.ConvTranspose2d(4, 6, 2, groups=2, dilation=2), (4, 4, 5)),
    "transposed, one axis": lambda: (nn.ConvTranspose1d(3, 4, 3, stride=2), (3, 5)),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions(kind):
    torch.manual_seed(0)
    layer, shape = CONVOLUTIONS[kind]()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layer = nn.Conv1d(1, 1, 1), layer
            self.last = nn.Linear(self.layer(torch.zeros(1, *shape)).numel(), 3)

        def forward(self, x):
            return self.last(torch.tanh(self.layer(x)).flatten(1))

    net = Net()
    net.first.requires_grad_(False)
    check(net, images(5, *shape), torch.arange(5) % 3)


NORMS = {
    "batch": lambda: nn.BatchNorm2d(4),
    "group": lambda: nn.GroupNorm(2, 4),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "instance, tracked": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "layer": lambda: nn.LayerNorm([4, 5, 5]),
    "layer, last": lambda: nn.LayerNorm(5),
    "root mean square": lambda: nn.RMSNorm(5),
}


@pytest.mark.parametrize("kind", NORMS)
def test_normalisations(kind):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), NORMS[kind](), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(100, 3)
    ).eval()
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2)
    for parameter in net[1].parameters():
        nn.init.normal_(parameter)
    check(net, images(4, 1, 7, 7), torch.arange(4) % 3)


class Words(nn.Module):
    def __init__(self, tied=False, padding=None):
        super().__init__()
        self.words = nn.Embedding(11, 6, padding_idx=padding)
        self.middle = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.middle(self.words(ids)))).mean(1)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("padding", [None, 3])
def test_embeddings(tied, padding):
    torch.manual_seed(0)
    check(Words(tied, padding), torch.randint(0, 11, (6, 9)), torch.arange(6))


def test_a_module_used_twice_and_a_residual_added_in_place():
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.twice, self.last = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            x = functional.relu(self.first(x), inplace=True)
            y = self.twice(x)
            y += x
            y = y + functional.relu_(self.twice(y))
            return self.last(y)

    check(Net(), images(5, 5), torch.arange(5) % 3)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("tokens", [4, 5])
def test_transformer_layers(batch_first, tokens):
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=batch_first)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = self.layer(x if batch_first else x.transpose(0, 1))
            return self.head(x.mean(1 if batch_first else 0))

    check(Net().eval(), images(5, tokens, 8), torch.arange(5) % 3)
