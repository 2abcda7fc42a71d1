"""AttnLRP and CP-LRP against the formulas of their papers, written out step by step on relevances."""

import numpy as np
import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Each, attribute

EPS = 1e-6
GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def explain(model, x, **parameters):
    return attribute(model, x, target=parameters.pop("target", 1), method="attn_lrp", **parameters)


# --- the rules of arXiv:2402.05602, on relevances instead of gradients ---------------------------------------------------


def stable(z, eps=EPS):
    return z + np.where(z < 0, -eps, eps)


def linear_rule(x, weight, bias, relevance):
    """The ε rule: R_i = Σ_j x_i w_ji R_j / (z_j + ε)."""
    return x * (relevance / stable(x @ weight.T + bias) @ weight)


def matmul_rule(a, b, relevance):
    """R_a = Σ a b R / (2 z), and the same to b."""
    share = relevance / (2 * (a @ b))
    return a * (share @ np.swapaxes(b, -1, -2)), b * (np.swapaxes(a, -1, -2) @ share)


def softmax_rule(x, relevance):
    """R_i = x_i (R_i − s_i Σ_j R_j)."""
    weights = np.exp(x - x.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return x * (relevance - weights * relevance.sum(-1, keepdims=True)), weights


def softmax(x):
    return softmax_rule(x, x)[1]


def heads(x, count):
    """[tokens, features] to [heads, tokens, features of a head]."""
    return x.reshape(len(x), count, -1).swapaxes(0, 1)


def joined(x):
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def attention_rule(qkv, scale, mask, relevance, *, constant):
    """Through softmax(q kᵀ scale + mask) v; everything [heads, tokens, features]."""
    q, k, v = qkv
    scores = q @ k.swapaxes(1, 2) * scale + mask
    weights = softmax(scores)
    if constant:
        share = relevance / stable(weights @ v)
        return np.zeros_like(q), np.zeros_like(k), v * (weights.swapaxes(1, 2) @ share)
    of_weights, of_v = matmul_rule(weights, v, relevance)
    of_scores = np.where(mask < 0, 0, softmax_rule(scores, of_weights)[0])
    of_q, of_k = matmul_rule(q * scale, k.swapaxes(1, 2), of_scores)
    return of_q, of_k.swapaxes(1, 2), of_v


def numpy(parameter):
    return parameter.detach().numpy()


class Block(nn.Module):
    """Attention over tokens, read out at the first."""

    def __init__(self, count=2, width=6):
        super().__init__()
        self.count = count
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        for part in (self.q, self.k, self.v, self.out):
            part.weight.data = draw(width, width)
            part.bias.data = draw(width)

    def split(self, x):
        return x.unflatten(-1, (self.count, -1)).transpose(1, 2)

    def forward(self, x):
        q, k, v = (self.split(part(x)) for part in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))[:, 0]


class Fused(Block):
    def forward(self, x):
        mixed = functional.scaled_dot_product_attention(*(self.split(part(x)) for part in (self.q, self.k, self.v)))
        return self.out(mixed.transpose(1, 2).flatten(2))[:, 0]


class Packaged(nn.Module):
    """The same weights in nn.MultiheadAttention."""

    def __init__(self, block):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, block.count, batch_first=True)
        for name in ("weight", "bias"):
            parts = torch.cat([getattr(part, name).data for part in (block.q, block.k, block.v)])
            getattr(self.attention, f"in_proj_{name}").data = parts
            getattr(self.attention.out_proj, name).data = getattr(block.out, name).data

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0][:, 0]


@pytest.mark.parametrize("attention", ["expanded", "constant"])
@pytest.mark.parametrize("writing", ["by hand", "fused", "packaged"])
def test_an_attention_block(attention, writing):
    block = Fused() if writing == "fused" else Block()
    model = (Packaged(block) if writing == "packaged" else block).eval()
    weights = [(numpy(part.weight), numpy(part.bias)) for part in (block.q, block.k, block.v, block.out)]
    x = draw(2, 4, 6)
    result = explain(model, x, attention=attention)
    for row in range(2):
        tokens = x[row].numpy()
        q, k, v = (heads(tokens @ w.T + b, 2) for w, b in weights[:3])
        scale = q.shape[-1] ** -0.5
        mixed = joined(softmax(q @ k.swapaxes(1, 2) * scale) @ v)
        relevance = np.zeros((4, 6))
        relevance[0, 1] = (mixed @ weights[3][0].T + weights[3][1])[0, 1]
        relevance = heads(linear_rule(mixed, *weights[3], relevance), 2)
        found = attention_rule((q, k, v), scale, np.zeros((4, 4)), relevance, constant=attention == "constant")
        parts = (linear_rule(tokens, *weight, joined(of)) for weight, of in zip(weights[:3], found, strict=True))
        np.testing.assert_allclose(result.values[row].numpy(), sum(parts), rtol=1e-6, atol=1e-8)


def rms(x, weight, eps):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def silu(x):
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_llama_block(implementation):
    """RMS norm, rotary embeddings, grouped causal attention and SwiGLU of Hugging Face, unmodified, by the paper's rules."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.LlamaConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=8, num_labels=3, pad_token_id=0, attn_implementation=implementation,
    )  # fmt: skip
    model = transformers.LlamaForSequenceClassification(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(draw(*parameter.shape) * 0.6)
    x = draw(1, 5, 8)
    # Its norms and its eager softmax compute in single precision.
    result = explain(model, {"inputs_embeds": x}, wrt="inputs_embeds")
    np.testing.assert_allclose(result.values[0].numpy(), _llama_by_hand(model, x[0].numpy(), 1), rtol=2e-3, atol=2e-5)


def _llama_by_hand(model, tokens, target):
    block, eps = model.model.layers[0], model.config.rms_norm_eps
    attention, mlp = block.self_attn, block.mlp
    w = {name: numpy(getattr(attention, f"{name}_proj").weight) for name in "qkvo"}
    gate, up, down = (numpy(getattr(mlp, f"{name}_proj").weight) for name in ("gate", "up", "down"))
    norms = [numpy(norm.weight) for norm in (block.input_layernorm, block.post_attention_layernorm, model.model.norm)]
    count, width = len(tokens), 4

    # forward
    h0 = rms(tokens, norms[0], eps)
    frequencies = 1 / model.config.rope_parameters["rope_theta"] ** (np.arange(0, width, 2) / width)
    angles = np.arange(count)[:, None] * np.concatenate([frequencies, frequencies])
    turn = np.array([[0, 0, -1, 0], [0, 0, 0, -1], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=float)

    def rotate(x):
        return x * np.cos(angles) + x @ turn.T * np.sin(angles)

    def rotation_rule(x, relevance):
        """A sum of two linear terms, each getting relevance as its share of the sum."""
        share = relevance / rotate(x)
        return x * (share * np.cos(angles) + (share * np.sin(angles)) @ turn)

    q, k, v = (heads(h0 @ w[name].T, n) for name, n in (("q", 2), ("k", 1), ("v", 1)))
    rotated_q, rotated_k = rotate(q), rotate(k)
    shared_k, shared_v = (np.repeat(one, 2, 0) for one in (rotated_k, v))
    mask = np.where(np.tril(np.ones((count, count))) > 0, 0, -1e9)
    scale = width**-0.5
    mixed = joined(softmax(rotated_q @ shared_k.swapaxes(1, 2) * scale + mask) @ shared_v)
    attended = mixed @ w["o"].T
    middle = tokens + attended
    h1 = rms(middle, norms[1], eps)
    gated, upped = h1 @ gate.T, h1 @ up.T
    product = silu(gated) * upped
    added = product @ down.T
    last = middle + added
    h2 = rms(last, norms[2], eps)
    head = numpy(model.score.weight)

    # and back; a norm is an identity for relevance
    relevance = np.zeros((count, len(head)))
    relevance[-1, target] = h2[-1] @ head[target]
    of_last = linear_rule(h2, head, 0.0, relevance)
    of_added, of_middle = of_last * added / last, of_last * middle / last
    of_product = linear_rule(product, down, 0.0, of_added)
    of_middle = of_middle + linear_rule(h1, gate, 0.0, of_product / 2) + linear_rule(h1, up, 0.0, of_product / 2)
    of_attended, of_tokens = of_middle * attended / middle, of_middle * tokens / middle
    of_mixed = heads(linear_rule(mixed, w["o"], 0.0, of_attended), 2)
    of_q, of_k, of_v = attention_rule((rotated_q, shared_k, shared_v), scale, mask, of_mixed, constant=False)
    of_k, of_v = of_k.sum(0, keepdims=True), of_v.sum(0, keepdims=True)
    of_inputs = (rotation_rule(q, of_q), rotation_rule(k, of_k), of_v)
    return of_tokens + sum(linear_rule(h0, w[name], 0.0, joined(of)) for name, of in zip("qkv", of_inputs, strict=True))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "vit"])
def test_hugging_face_sdpa_and_eager_are_the_same(family):
    """Values are [rows, tokens, features] on embeddings, or like the pixels."""
    models = [zoo.make(f"{family}_{attention}") for attention in ("sdpa", "eager")]
    models[1][0].load_state_dict(models[0][0].state_dict())
    inputs = models[0][1]
    wrt = next(iter(inputs))
    found = [explain(model, inputs, wrt=wrt, target=Each(0, 2)) for model, _ in models]
    assert found[0].values.shape == (2, *inputs[wrt].shape)
    size = float(found[0].values.abs().max())
    torch.testing.assert_close(found[0].values, found[1].values, rtol=1e-3, atol=1e-4 * size)
    constant = explain(models[0][0], inputs, wrt=wrt, target=Each(0, 2), attention="constant").values
    assert float((constant - found[0].values).abs().max()) > 1e-3 * size


def test_networks_without_biases_and_with_constant_attention_conserve():
    model, inputs = zoo.make("llama_sdpa")
    result = explain(model, inputs, wrt="inputs_embeds", attention="constant")
    torch.testing.assert_close(result.values.sum((1, 2)), result.score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result.delta, torch.zeros_like(result.delta), rtol=0, atol=1e-4)


def test_padding_gets_nothing_and_does_not_matter():
    model, inputs = zoo.make("bert_sdpa")
    inputs["attention_mask"][:, 4:] = 0
    padded = explain(model, inputs, wrt="inputs_embeds").values
    assert float(padded[:, 4:].abs().max()) == 0
    short = {key: value[:, :4] for key, value in inputs.items()}
    torch.testing.assert_close(explain(model, short, wrt="inputs_embeds").values, padded[:, :4], rtol=1e-4, atol=1e-6)


def test_one_row_of_the_composites():
    model, x = Block().eval(), draw(2, 4, 6)
    for attention, composite in (("expanded", "attn_lrp"), ("constant", "cp_lrp")):
        named = attribute(model, x, target=1, method="lrp", composite=composite).values
        assert torch.equal(explain(model, x, attention=attention).values, named)


def test_at_a_layer():
    """A residual stream in the middle: what it hands on is the sum of what the rest of the network gives it."""
    model, x = zoo.make("vit")
    middle = attribute(model, x, target=1, method="attn_lrp", layer="blocks.0")
    assert middle.values.shape == (3, 17, 16)
    with torch.no_grad():
        stream = torch.cat([model.token.expand(3, -1, -1), model.patch(x).flatten(2).mT], 1) + model.place
        stream = model.blocks[0](stream)

    class Rest(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.head = model.blocks[1], model.head

        def forward(self, stream):
            return self.head(self.block(stream)[:, 0])

    torch.testing.assert_close(explain(Rest().eval(), stream).values, middle.values, rtol=1e-6, atol=1e-9)


def test_gated_recurrences():
    """Gates as constants (composite "signal"): all relevance of a product goes to what is gated."""
    model, x = zoo.make("lstm_cell")
    weights = {name: numpy(value) for name, value in model.cell.named_parameters()}
    result = attribute(model, x, target=1, method="lrp", composite="signal")

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for row in range(3):
        steps = x[row].numpy()
        hidden, cell, kept = np.zeros(8), np.zeros(8), []
        for step in steps:
            of_x = weights["weight_ih"] @ step + weights["bias_ih"]
            of_h = weights["weight_hh"] @ hidden + weights["bias_hh"]
            enter, forget, new, leave = (of_x + of_h).reshape(4, 8)
            kept.append((step, hidden, cell, of_x[16:24], of_h[16:24], sigmoid(enter), sigmoid(forget), np.tanh(new)))
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(cell)
        head = numpy(model.head.weight), numpy(model.head.bias)
        relevance = np.zeros(4)
        relevance[1] = (head[0] @ hidden + head[1])[1]
        of_cell, expected = linear_rule(hidden, *head, relevance), []
        of_hidden = np.zeros(8)
        for step, before, cell_before, of_x, of_h, enter, forget, new in reversed(kept):
            of_cell = of_cell + of_hidden
            total = forget * cell_before + enter * new
            of_new, of_cell = of_cell * enter * new / total, of_cell * forget * cell_before / total
            whole, part = of_x + of_h, slice(16, 24)
            expected.append(
                linear_rule(step, weights["weight_ih"][part], weights["bias_ih"][part], of_new * of_x / whole)
            )
            of_hidden = linear_rule(before, weights["weight_hh"][part], weights["bias_hh"][part], of_new * of_h / whole)
        np.testing.assert_allclose(result.values[row].numpy(), expected[::-1], rtol=1e-4, atol=1e-6)
