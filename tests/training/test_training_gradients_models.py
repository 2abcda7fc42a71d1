"""Gradients of single examples of whole models, and of parameters that no rule knows."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.training.test_training_gradients import check, cross_entropy, images, one_by_one
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.training.recorder import Recorder

transformers = pytest.importorskip("transformers")


class Headed(nn.Module):
    """Anything, and a linear layer on what is left of it."""

    def __init__(self, function, width, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.register_parameter(name, module) if isinstance(module, nn.Parameter) else self.add_module(name, module)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.function(self, x))


def parameter(*shape):
    return nn.Parameter(torch.randn(*shape))


MADE = {
    "scaled and shifted": (lambda m, x: m.scale * torch.tanh(x * m.shift - m.scale + 2), 6, lambda: {"scale": parameter(6), "shift": parameter(1)}),
    "one number": (lambda m, x: x * m.scale, 6, lambda: {"scale": nn.Parameter(torch.tensor(1.5))}),
    "added in place": (lambda m, x: (x * 2).add_(m.shift), 6, lambda: {"shift": parameter(1, 6)}),
    "x @ w": (lambda m, x: torch.tanh(x @ m.w), 4, lambda: {"w": parameter(6, 4)}),
    "transposed": (lambda m, x: torch.addmm(m.b, x, m.w.t(), alpha=2, beta=3), 4, lambda: {"w": parameter(4, 6), "b": parameter(4)}),
    "transposed twice": (lambda m, x: functional.linear(x, m.w.T.mT, m.b.to(x.dtype)), 4, lambda: {"w": parameter(4, 6), "b": parameter(4)}),
    "in pieces": (lambda m, x: functional.linear(x, m.w[1:3]) * functional.linear(x, m.w[3:], m.b.chunk(2)[1]), 2, lambda: {"w": parameter(5, 6), "b": parameter(4)}),
    "a cast copy": (lambda m, x: functional.linear(x, m.w.float().double()), 4, lambda: {"w": parameter(4, 6)}),
    "one plus": (lambda m, x: x * (1 + m.w), 6, lambda: {"w": parameter(6)}),
    "merged": (lambda m, x: functional.linear(x, m.w + m.b @ m.a), 4, lambda: {"w": parameter(4, 6), "a": parameter(2, 6), "b": parameter(4, 2)}),
    "divided": (lambda m, x: x / (m.w.square() + 1) - 2 / (1 + x.square() * m.w.square()), 6, lambda: {"w": parameter(6)}),
    "where": (lambda m, x: torch.where(x > 0, m.w, x) * torch.where(x < 1, m.v, 0.0), 6, lambda: {"w": parameter(6), "v": parameter(1, 1)}),
    "cells": (lambda m, x: m.cell(x[:, 4:], m.cell(x[:, 2:4], m.cell(x[:, :2])))[0], 4, lambda: {"cell": nn.LSTMCell(2, 4)}),
    "prelu": (lambda m, x: m.act(x), 6, lambda: {"act": nn.PReLU()}),
    "prelu by channel": (lambda m, x: m.act(x), 6, lambda: {"act": nn.PReLU(6)}),
    "detached": (lambda m, x: x * m.w.detach() + x * m.w, 6, lambda: {"w": parameter(6)}),
    "without gradient": (lambda m, x: x * still(m.w) + x * m.w, 6, lambda: {"w": parameter(6)}),
}  # fmt: skip
FORMED = {
    "bilinear": (lambda m, x: m.pair(x, x.flip(1)), 4, lambda: {"pair": nn.Bilinear(6, 6, 4)}, ["pair.weight", "pair.bias"]),
    "product of sums": (lambda m, x: torch.einsum("bi,ij,bj->bi", x, m.w, x), 6, lambda: {"w": parameter(6, 6)}, ["w"]),
    "recurrent": (lambda m, x: m.net(x.unflatten(1, (3, 2)))[0][:, -1], 4, lambda: {"net": nn.LSTM(2, 4, batch_first=True)}, [f"net.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]),
    "bag": (lambda m, x: m.bag((x * 3).long().abs().clamp(max=8)), 4, lambda: {"bag": nn.EmbeddingBag(9, 4)}, ["bag.weight"]),
    "an own function": (lambda m, x: Unseen.apply(x, m.w), 6, lambda: {"w": parameter(6)}, ["w"]),
}  # fmt: skip


def still(w):
    with torch.no_grad():
        return w * 2


class Unseen(torch.autograd.Function):
    """No mode sees into it."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w.exp()

    @staticmethod
    def backward(ctx, gradient):
        x, w = ctx.saved_tensors
        return gradient * w.exp(), (gradient * x * w.exp()).sum(0)


@pytest.mark.parametrize("kind", MADE)
def test_parameters_that_are_used_directly(kind):
    torch.manual_seed(0)
    function, width, modules = MADE[kind]
    check(Headed(function, width, **modules()), images(5, 6), torch.arange(5) % 3)


@pytest.mark.parametrize("kind", FORMED)
def test_parameters_that_no_rule_knows(kind):
    torch.manual_seed(0)
    function, width, modules, formed = FORMED[kind]
    check(Headed(function, width, **modules()), images(5, 6), torch.arange(5) % 3, fallback=formed)


class Vision(nn.Module):
    """A small vision transformer: class token, position embedding, relative bias, weight normalisation."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 3, 3)
        self.token = parameter(1, 1, 8)
        self.places = parameter(1, 5, 8)
        self.table = parameter(9, 2)
        self.register_buffer("index", torch.arange(25).reshape(5, 5) % 9)
        self.qkv = nn.utils.parametrizations.weight_norm(nn.Linear(8, 24))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.flatten()].unflatten(0, (5, 5)).permute(2, 0, 1).unsqueeze(0)
        x = x + ((q @ k.mT + bias).softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.head(x[:, 0])


@pytest.mark.parametrize("rows", [4, 5])
def test_a_vision_transformer(rows):
    torch.manual_seed(0)
    check(Vision(), images(rows, 1, 6, 6), torch.arange(rows) % 3)


@pytest.mark.parametrize("rows", [4, 6])
@pytest.mark.parametrize("copies", [False, True])
def test_position_embeddings(rows, copies):
    torch.manual_seed(0)

    class Net(Words):
        def forward(self, ids):
            places = torch.arange(ids.shape[1])
            if copies:
                places = places.expand(len(ids), -1)
            return self.head(torch.tanh(self.words(ids) + self.places(places)).mean(1))

    check(Net(), torch.randint(0, 9, (rows, 6)), torch.arange(rows) % 3)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places, self.head = nn.Embedding(9, 4), nn.Embedding(6, 4), nn.Linear(4, 3)


def test_attention_between_different_sizes():
    torch.manual_seed(0)
    for sizes in ({}, {"kdim": 5, "vdim": 3}):
        attention = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=not sizes, **sizes)

        def attend(m, x, sizes=sizes):
            query, key, value = (
                x[:, :3],
                x[:, 1:, :5] if sizes else x[:, 1:],
                x[:, 1:, 5:] if sizes else x[:, 1:].flip(1),
            )
            return m.attention(query, key, value)[0].mean(1)

        check(Headed(attend, 8, attention=attention).eval(), images(4, 5, 8), torch.arange(4) % 3)


CONFIGURATIONS = {
    "bert": lambda t: t.BertForSequenceClassification(t.BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=16, num_labels=3)),
    "gpt2": lambda t: t.GPT2ForSequenceClassification(t.GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=16, num_labels=3, pad_token_id=0)),
    "llama": lambda t: t.LlamaForSequenceClassification(t.LlamaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, intermediate_size=24, max_position_embeddings=16, num_labels=3, pad_token_id=0)),
    "t5": lambda t: t.T5ForSequenceClassification(t.T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, num_labels=3, decoder_start_token_id=0)),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_language_models(kind):
    torch.manual_seed(0)
    model = CONFIGURATIONS[kind](transformers).eval()
    ids = torch.randint(2, 40, (5, 7))
    ids[:, -1] = 1
    ids[2, 5:] = 0
    ids[2, 4] = 1
    mask = (ids != 0).long()
    check(model, {"input_ids": ids, "attention_mask": mask}, torch.arange(5) % 3, tolerance=1e-8)


def test_low_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3)).bfloat16()
    inputs, labels = torch.randn(6, 1, 7, 7).bfloat16(), torch.arange(6) % 3
    got = Recorder(copy.deepcopy(model), cross_entropy).record(inputs, labels)
    expected = one_by_one(model, cross_entropy, inputs, labels, list(got.shapes))
    assert got.losses.dtype == torch.float32
    for name, one in got.dense().items():
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, expected[name].float(), rtol=0, atol=0.03 * float(expected[name].abs().max()))


def test_single_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(100, 3))
    check(model, torch.randn(6, 1, 7, 7), torch.arange(6) % 3, tolerance=1e-5)


def test_inputs_that_are_changed_in_place_after_their_use():
    torch.manual_seed(0)

    def net(writes):
        def function(m, x):
            x = torch.tanh(m.first(x))
            y = x * 1
            with torch.no_grad():
                first = m.second(y)
            z = m.second(y)
            y.mul_(2) if writes else None
            return z + first + (y if writes else 2 * y)

        torch.manual_seed(1)
        return Headed(function, 4, first=nn.Linear(6, 4), second=nn.Linear(4, 4)).double()

    inputs, labels = images(5, 6), torch.arange(5) % 3
    expected = Recorder(net(False), cross_entropy).record(inputs, labels).dense()
    recorder = Recorder(net(True), cross_entropy)
    for _ in range(2):
        recorder._audited = 2  # training it is an error of PyTorch's
        for name, one in recorder.record(inputs, labels).dense().items():
            torch.testing.assert_close(one, expected[name])


def test_a_row_without_a_loss_spoils_no_other():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    inputs, labels = images(5, 6), torch.arange(5) % 3
    expected = one_by_one(model, cross_entropy, inputs, labels, ["0.weight"])["0.weight"]
    inputs[2] = torch.nan
    recorder = Recorder(model, cross_entropy)
    for _ in range(2):
        got = recorder.record(inputs, labels)
        assert got.losses.isnan().tolist() == [False, False, True, False, False]
        kept = [0, 1, 3, 4]
        torch.testing.assert_close(got.dense()["0.weight"][kept], expected[kept])
        torch.testing.assert_close(got.squared_norms()[kept].isnan(), torch.zeros(4, dtype=torch.bool))
    assert not recorder.fallback


def test_rows_that_depend_on_each_other_are_an_error():
    labels = torch.arange(6) % 3
    normalised = Headed(lambda m, x: m.norm(x), 6, norm=nn.BatchNorm1d(6))
    with pytest.raises(ModelError, match="evaluation mode") as raised:
        Recorder(normalised, cross_entropy).record(torch.randn(6, 6), labels)
    assert raised.value.code == "rows_interact"
    mixed = Headed(lambda m, x: torch.tanh(m.first(x)) - m.first(x).mean(0), 6, first=nn.Linear(6, 6))
    with pytest.raises(ModelError, match="rows") as raised:
        Recorder(mixed, cross_entropy).record(torch.randn(6, 6), labels)
    assert raised.value.code == "rows_interact"
    dropped = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    with pytest.raises(ModelError, match="random") as raised:
        Recorder(dropped, cross_entropy).record(torch.randn(6, 6), labels)


def test_layers_can_be_chosen_and_the_rest_is_named():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 3))
    model[0].bias.requires_grad_(False)
    every = Recorder(copy.deepcopy(model), cross_entropy)
    assert every.left_out == {"0.bias": "frozen"}
    some = Recorder(copy.deepcopy(model), cross_entropy, layers=["2", "3.bias"])
    assert list(some.parameters) == ["2.weight", "2.bias", "3.bias"]
    assert some.left_out["0.weight"] == "not in layers"
    inputs, labels = torch.randn(4, 6), torch.arange(4) % 3
    dense, full = some.record(inputs, labels).dense(), every.record(inputs, labels).dense()
    for name, one in dense.items():
        torch.testing.assert_close(one, full[name])
    with pytest.raises(ModelError, match="no layer 'tow'"):
        Recorder(copy.deepcopy(model), cross_entropy, layers=["tow"])
    for one in model.parameters():
        one.requires_grad_(False)
    with pytest.raises(ModelError, match="frozen"):
        Recorder(model, cross_entropy)


def test_a_loss_of_another_shape_is_an_error():
    with pytest.raises(ModelError, match="one number a row"):
        Recorder(nn.Linear(3, 2), lambda output, labels: output.mean()).record(torch.randn(4, 3), torch.zeros(4))


def test_other_weights_can_be_loaded_between_two_chunks():
    torch.manual_seed(0)
    inputs, labels = images(5, 6), torch.arange(5) % 3
    first, second = (nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double() for _ in range(2))
    expected = one_by_one(second, cross_entropy, inputs, labels, ["0.weight", "2.bias"])
    recorder = Recorder(first, cross_entropy)
    recorder.record(inputs, labels)
    first.load_state_dict(second.state_dict())
    for name, one in expected.items():
        torch.testing.assert_close(recorder.record(inputs, labels).dense()[name], one)


def test_the_way_a_model_is_called():
    torch.manual_seed(0)
    model = nn.Bilinear(3, 3, 2).double()
    pair, labels = (images(4, 3), images(4, 3)), torch.arange(4) % 2
    by_position = Recorder(copy.deepcopy(model), cross_entropy).record(pair, labels).squared_norms()
    called = Recorder(copy.deepcopy(model), cross_entropy, call=lambda m, x: {"logits": m(x["a"], x["b"])})
    torch.testing.assert_close(called.record({"a": pair[0], "b": pair[1]}, labels).squared_norms(), by_position)
