"""Guided backpropagation, deconvnet and DeSaliNet against captum, hand-written backward passes and each other."""

from __future__ import annotations

import pytest
import torch
import zoo
from captum import attr
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Each, attribute
from xaiwidgets.engine.errors import ModelError

METHODS = ("guided_backprop", "deconvnet", "desalinet")


class Modules(nn.Module):
    """Every rectifier a module of its own: the one way of writing it that hook-based libraries see."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(2, 5, 3), nn.Conv2d(5, 6, 3), nn.Linear(96, 3)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return self.head(self.relu2(self.conv2(self.relu1(self.conv1(x)))).flatten(1))


class Functional(Modules):
    def forward(self, x):
        x = functional.relu(self.conv1(x))
        return self.head(functional.relu(self.conv2(x), inplace=True).flatten(1))


class Shared(Modules):
    def forward(self, x):
        return self.head(self.relu1(self.conv2(self.relu1(self.conv1(x)))).flatten(1))


class InPlace(Modules):
    def forward(self, x):
        x = self.conv1(x)
        x.relu_()
        return self.head(torch.relu_(self.conv2(x)).flatten(1))


def same_weights(kind):
    model = Modules().double().eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    other = kind().double().eval()
    other.load_state_dict(model.state_dict())
    return model, other


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [Modules, Functional, Shared, InPlace])
@pytest.mark.parametrize(
    ("method", "peer"), [("guided_backprop", attr.GuidedBackprop), ("deconvnet", attr.Deconvolution)]
)
def test_captum_agrees_however_the_rectifier_is_written(kind, method, peer):
    readable, model = same_weights(kind)
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    expected = peer(readable).attribute(x, target=1)
    found = attribute(model, x, target=1, method=method)
    torch.testing.assert_close(found.values, expected)
    plain = attribute(model, x, target=1, method="saliency", absolute=False)
    assert float((found.values - plain.values).abs().max()) > 0.1 * float(expected.abs().max())
    torch.testing.assert_close(found.score, plain.score)


def test_the_backward_pass_by_hand():
    weights = torch.tensor([[1.0, -2.0], [3.0, 0.5]]), torch.tensor([[2.0, -1.0]])
    x = torch.tensor([[0.5, 1.0]])
    hidden = x @ weights[0].T  # [-1.5, 2]
    back = weights[1].clamp(min=0)  # what is positive of [2, -1]

    def model(v):
        return (functional.relu(v @ weights[0].T) @ weights[1].T).squeeze(1)

    guided = attribute(model, x, method="guided_backprop").values
    torch.testing.assert_close(guided, (back * (hidden > 0)) @ weights[0])
    torch.testing.assert_close(attribute(model, x, method="deconvnet").values, back @ weights[0])


def test_desalinet_forgets_where_the_maximum_was():
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)

    def model(v):
        return functional.max_pool2d(functional.relu(v), 2).sum((1, 2, 3))

    switched = attribute(model, x, method="desalinet", pooling="switches").values
    assert torch.equal(switched, attribute(model, x, method="guided_backprop").values)
    assert torch.equal(switched.nonzero()[:, 2:].unique(dim=0), torch.tensor([[1, 1], [1, 3], [3, 1], [3, 3]]))
    x = x.flip(2, 3)  # the maxima move to the other corners
    moved = attribute(model, x, method="desalinet", pooling="switches").values
    assert not torch.equal(moved, switched)
    centred = attribute(model, x, method="desalinet", pooling="centre").values
    torch.testing.assert_close(centred.sum(), torch.tensor(4.0))
    assert torch.equal(centred.nonzero()[:, 2:], torch.tensor([[1, 1], [1, 3], [3, 1], [3, 3]]))


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, 2, ceil_mode=True), nn.MaxPool2d(3, stride=1)])
def test_desalinet_follows_every_kind_of_window(pool):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), pool, nn.Flatten(), nn.LazyLinear(1)).eval()
    x = torch.rand(2, 1, 7, 7)
    model(x)
    found = attribute(model, x, target=0, method="desalinet")
    torch.testing.assert_close(found.score, model(x)[:, 0].detach())
    assert float(found.values.abs().sum()) > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", zoo.RELU)
def test_values_are_kept_and_rows_independent(method, name):
    model, x = zoo.make(name)
    found = attribute(model, x, target=1, method=method)
    torch.testing.assert_close(found.score, model(x)[:, 1].detach())
    alone = attribute(model, x[1:2], target=1, method=method)
    torch.testing.assert_close(found.values[1:2], alone.values)
    each = attribute(model, x, target=Each(0, 1), method=method)
    torch.testing.assert_close(each.values[1], found.values)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_rectifier_there_is_no_silent_gradient(method):
    model, x = zoo.make("gated_mlp")
    with pytest.raises(ModelError) as caught:
        attribute(model, x, target=0, method=method)
    assert caught.value.code == "no_rectifier"


def test_a_fused_recurrent_layer_with_rectifiers_is_refused():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)

        def forward(self, x):
            return functional.relu(self.rnn(x)[0][:, -1])

    with pytest.raises(ModelError) as caught:
        attribute(Network().eval(), torch.rand(1, 5, 3), target=0, method="guided_backprop")
    assert caught.value.code == "fused_recurrence"
