"""Attention methods against the papers' formulas written out, over models with their own way of attending."""

import math

import numpy as np
import pytest
import torch
import zoo
from seq2seq import TwoStreams, seq2seq
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute, stream
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.registry import METHODS
from xaiwidgets.engine.target import Each

NAMES = ("raw_attention", "attention_rollout", "attention_x_gradient", "chefer", "transformer_attribution")
FORWARD = NAMES[:2]
TEXT = {"bert": 0, "gpt2": 5, "llama": 5}  # the token that is scored


def run(model, inputs, method, target=1, **settings):
    return attribute(model, inputs, target=target, method=method, **settings)


def maps_and_gradients(family, target=1):
    """A Hugging Face model's own maps [n, heads, queries, keys] and the score's gradients, as arrays."""
    model, inputs = zoo.make(f"{family}_eager")
    output = model(**inputs, output_attentions=True)
    gradients = torch.autograd.grad(output.logits[:, target].sum(), output.attentions)
    return [one.detach().numpy() for one in output.attentions], [one.numpy() for one in gradients]


def on_image(tokens, side=8):
    """Tokens [n, 1 + 16], the class token first, at the image's size."""
    maps = torch.as_tensor(tokens)[:, 1:].reshape(-1, 1, 4, 4)
    return functional.interpolate(maps, (side, side), mode="bilinear")


def room(family):
    return 1e-6 if family in ("llama", "vit") else 1e-12  # their eager softmax is in float32


def rolled(maps):
    rows = []
    for sample in range(len(maps[0])):
        R = np.eye(maps[0].shape[-1])
        for one in maps:
            A = one[sample].mean(0) + np.eye(len(R))
            R = (A / A.sum(1, keepdims=True)) @ R
        rows.append(R)
    return np.stack(rows)


def gathered(maps, gradients):
    rows = []
    for sample in range(len(maps[0])):
        R = np.eye(maps[0].shape[-1])
        for A, G in zip(maps, gradients, strict=True):
            R = R + np.maximum(A[sample] * G[sample], 0).mean(0) @ R
        rows.append(R - np.eye(len(R)))
    return np.stack(rows)


# --- one sequence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "vit"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_formulas_on_hugging_face_models(family, attention):
    model, inputs = zoo.make(f"{family}_{attention}")
    maps, gradients = maps_and_gradients(family)
    row = TEXT.get(family, 0)
    products = [(A * G).sum((1, 2)) for A, G in zip(maps, gradients, strict=True)]
    grad_sam = [(A * np.maximum(G, 0)).sum((1, 2)) for A, G in zip(maps, gradients, strict=True)]
    expected = {
        ("raw_attention", ()): maps[-1].mean(1)[:, row],
        ("raw_attention", (("layer", 0), ("head", 2))): maps[0][:, 2, row],
        ("raw_attention", (("heads", "max"),)): maps[-1].max(1)[:, row],
        ("raw_attention", (("query", 3),)): maps[-1].mean(1)[:, 3],
        ("attention_rollout", ()): rolled(maps)[:, row],
        ("attention_rollout", (("query", 2),)): rolled(maps)[:, 2],
        ("attention_x_gradient", ()): np.mean(products, axis=0),
        ("attention_x_gradient", (("layers", "last"),)): products[-1],
        ("attention_x_gradient", (("relu", True),)): np.mean(grad_sam, axis=0),
        ("chefer", ()): gathered(maps, gradients)[:, row],
        ("chefer", (("query", 1),)): gathered(maps, gradients)[:, 1],
    }
    session = Session(model, inputs, target=1)
    for (method, settings), values in expected.items():
        found = session.attribute(method, **dict(settings)).values
        wanted = on_image(values) if family == "vit" else torch.as_tensor(values)
        assert found.dtype == torch.float64
        assert torch.allclose(found, wanted, rtol=0, atol=room(family)), (method, settings)


@pytest.mark.parametrize("batch_first", [True, False])
def test_rollout_of_torch_layers(batch_first):
    torch.manual_seed(0)
    model, images = zoo.VisionTransformer(batch_first).double().eval(), torch.randn(3, 2, 8, 8).double()
    if not batch_first:  # tokens first for the blocks, as nn.Transformer has it by default
        forward = model.forward

        def tokens_first(x):
            x = model.patch(x).flatten(2).mT
            x = (torch.cat([model.token.expand(len(x), -1, -1), x], 1) + model.place).transpose(0, 1)
            for block in model.blocks:
                x = block(x)
            return model.head(x[0])

        model.forward = tokens_first
    maps = []
    with torch.no_grad():
        x = model.patch(images).flatten(2).mT
        x = torch.cat([model.token.expand(len(x), -1, -1), x], 1) + model.place
        for block in model.blocks:
            q = block.norm1(x)
            order = (lambda t: t) if batch_first else (lambda t: t.transpose(0, 1))
            q = order(q)
            torch.backends.mha.set_fastpath_enabled(False)
            maps.append(block.self_attn(q, q, q, need_weights=True, average_attn_weights=False)[1].numpy())
            torch.backends.mha.set_fastpath_enabled(True)
            x = order(block(order(x)))
    found = run(model, images, "attention_rollout").values
    assert torch.allclose(found, on_image(rolled(maps)[:, 0]), rtol=0, atol=1e-12)
    if not batch_first:
        model.forward = forward


class Pooled(nn.Module):
    """No class token: the mean over all tokens is scored."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(2, 8, 2, 2)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).mT
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def test_without_a_class_token_the_mean_over_tokens_is_read():
    torch.manual_seed(1)
    model, images = Pooled().double().eval(), torch.randn(2, 2, 8, 12).double()
    found = run(model, images, "attention_rollout").values
    single = torch.stack([run(model, images, "attention_rollout", query=query).values for query in range(24)])
    assert found.shape == (2, 1, 8, 12)
    assert torch.allclose(found, single.mean(0), rtol=0, atol=1e-12)
    places = functional.interpolate(torch.ones(1, 1, 4, 6).double() / 24, (8, 12), mode="bilinear")
    assert torch.allclose(found.mean((2, 3)), places.mean((2, 3)).expand(2, 1), atol=0.02)


def test_the_last_real_token_of_a_padded_causal_model_is_read():
    model, _ = zoo.make("gpt2_sdpa")
    ids = torch.tensor([[5, 3, 7, 2, 9, 4], [9, 1, 4, 6, 0, 0]])
    mask = (ids != 0).long()
    found = run(model, {"input_ids": ids, "attention_mask": mask}, "attention_rollout", wrt="input_ids").values
    alone = run(model, {"input_ids": ids[1:, :4]}, "attention_rollout", wrt="input_ids").values
    assert found.shape == (2, 6)
    assert torch.allclose(found[1, :4], alone[0], atol=1e-6)
    assert not found[1, 4:].any()
    chefer = run(model, {"input_ids": ids, "attention_mask": mask}, "chefer", wrt="input_ids").values
    assert torch.allclose(
        chefer[1, :4], run(model, {"input_ids": ids[1:, :4]}, "chefer", wrt="input_ids").values[0], atol=1e-6
    )
    assert not chefer[1, 4:].any()
    assert chefer[0].any()


@pytest.mark.parametrize("method", NAMES[:4])
def test_token_numbers_are_explained_like_their_embeddings(method):
    model, _ = zoo.make("bert_sdpa")
    ids = torch.tensor([[5, 3, 7, 2], [9, 1, 4, 4]])
    numbers = run(model, ids, method).values
    embeddings = run(model, {"inputs_embeds": model.bert.embeddings.word_embeddings(ids).detach()}, method).values
    assert numbers.dtype == torch.float32
    assert torch.allclose(numbers, embeddings.float(), rtol=1e-5, atol=1e-6)
    assert run(model, ids, method).score.shape == (2,)


def test_attention_x_gradient_is_what_scaling_the_weights_does():
    """Summed over keys, weights × gradient is the score's derivative as the layer's weights are scaled."""
    torch.manual_seed(2)
    model, images = Pooled().double().eval(), torch.randn(2, 2, 8, 8).double()

    def scaled(size):
        def forward(x):
            x = model.blocks[0](model.patch(x).flatten(2).mT)
            block = model.blocks[1]
            attended = block.self_attn(x, x, x)[0] - block.self_attn.out_proj.bias
            x = block.norm1(x + size * attended + block.self_attn.out_proj.bias)
            return model.head(block.norm2(x + block.linear2(torch.relu(block.linear1(x)))).mean(1))

        with torch.no_grad():
            return forward(images)[:, 1]

    expected = (scaled(1 + 1e-5) - scaled(1 - 1e-5)) / 2e-5
    values = run(model, images, "attention_x_gradient", layers="last").values
    grid = functional.interpolate(torch.eye(16).double().reshape(16, 1, 4, 4), (8, 8), mode="bilinear")
    tokens = torch.linalg.lstsq(grid.flatten(1).T, values.flatten(1).T).solution.T
    assert torch.allclose(tokens.sum(1), expected, rtol=1e-6, atol=1e-8)


# --- several sequences -----------------------------------------------------------------------------------------------


def without_excess(R):
    """Rules 8 and 9, row by row."""
    result = np.eye(len(R))
    for i in range(len(R)):
        gained = R[i] - np.eye(len(R))[i]
        if gained.sum() > 0:
            result[i] += gained / gained.sum()
    return result


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_encoder_decoder_by_hand(attention):
    model, inputs = seq2seq("t5", "eager")
    embeddings = model.shared(inputs["input_ids"]).detach()
    decoder_ids = inputs["decoder_input_ids"][:, :4]
    output = model(inputs_embeds=embeddings, decoder_input_ids=decoder_ids, output_attentions=True)
    asked = {"inputs_embeds": embeddings, "decoder_input_ids": decoder_ids}
    groups = [output.encoder_attentions, output.decoder_attentions, output.cross_attentions]
    maps = [one for group in groups for one in group]
    found = torch.autograd.grad(output.logits[:, 2, 7].sum(), maps, allow_unused=True)
    A = [(one * gradient).clamp(min=0).mean(1).detach().numpy() for one, gradient in zip(maps, found, strict=True)]
    raw = [one.mean(1).detach().numpy() for one in maps]

    chefer, rollout = [], []
    for n in range(2):
        encoder, decoder, cross = np.eye(5), np.eye(4), np.zeros((4, 5))
        for layer in (0, 1):
            encoder = encoder + A[layer][n] @ encoder
        for layer in (0, 1):
            own, other = A[2 + layer][n], A[4 + layer][n]
            decoder, cross = decoder + own @ decoder, cross + own @ cross
            cross = cross + without_excess(decoder).T @ other @ without_excess(encoder)
        chefer.append((cross[2], decoder[2] - np.eye(4)[2]))
        encoder, decoder, cross = np.eye(5), np.eye(4), np.zeros((4, 5))
        for layer in (0, 1):
            encoder = (raw[layer][n] @ encoder + encoder) / 2
        for layer in (0, 1):
            own, other = raw[2 + layer][n], raw[4 + layer][n]
            decoder, cross = (own @ decoder + decoder) / 2, (own @ cross + cross) / 2
            decoder, cross = decoder / 2, (other @ encoder + cross) / 2
        rollout.append((cross[2], decoder[2]))
        assert math.isclose(cross[2].sum() + decoder[2].sum(), 1)

    model, _ = seq2seq("t5", attention)
    for method, expected in (("chefer", chefer), ("attention_rollout", rollout)):
        values = run(model, asked, method, target=(2, 7)).values
        assert torch.allclose(values, torch.as_tensor(np.stack([one[0] for one in expected])), rtol=0, atol=1e-9)
    values = run(model, asked, "raw_attention", target=(2, 7), layer=0).values
    assert torch.allclose(values, torch.as_tensor(raw[4][:, 2]), atol=1e-9)

    ids = {"input_ids": inputs["input_ids"], "decoder_input_ids": decoder_ids}
    both = run(model, ids, "chefer", target=(2, 7), wrt=["input_ids", "decoder_input_ids"]).values
    for place, name in enumerate(ids):
        expected = torch.as_tensor(np.stack([one[place] for one in chefer])).float()
        assert torch.allclose(both[name], expected, rtol=1e-4, atol=1e-6)
        single = run(model, ids, "chefer", target=(2, 7), wrt=name).values
        assert torch.allclose(single, both[name], rtol=1e-4, atol=1e-6)


def test_a_decoder_made_from_the_encoders_tokens():
    """Bart shifts the same numbers for its decoder; the encoder's reading of them is explained."""
    model, inputs = seq2seq("bart", "sdpa")
    for method in NAMES[:4]:
        values = run(model, inputs, method).values
        assert values.shape == (2, 5)
        eager = run(seq2seq("bart", "eager")[0], inputs, method).values
        assert torch.allclose(values, eager, rtol=1e-5, atol=1e-7)


def test_streams_that_attend_to_each_other_at_once():
    torch.manual_seed(4)
    model = TwoStreams().double().eval()
    words, regions = torch.randn(2, 4, 8).double(), torch.randn(2, 3, 8).double()
    seen = []

    def attend(part, q, k):
        output, weights = part(q, k, k, average_attn_weights=False)
        heads = part.in_proj_weight[16:] @ k.mT + part.in_proj_bias[16:, None]  # values [n, 8, keys]
        mixed = torch.einsum("nhqk,nhdk->nqhd", weights, heads.unflatten(1, (2, 4))).flatten(2)
        assert torch.allclose(part.out_proj(mixed), output)
        seen.append(weights)
        return part.out_proj(mixed)

    w, r = words.clone().requires_grad_(), regions.clone().requires_grad_()
    w = w + attend(model.own[0], w, w)
    r = r + attend(model.own[1], r, r)
    new = w + attend(model.other[0], w, r)
    r = r + attend(model.other[1], r, w)
    new = new + attend(model.again, new, r)
    score = model.head(new[:, 0])[:, 1].sum()
    gradients = torch.autograd.grad(score, seen)
    A = [(one * g).clamp(min=0).mean(1).detach().numpy() for one, g in zip(seen, gradients, strict=True)]
    for n in range(2):
        ww, rr, wr, rw = np.eye(4), np.eye(3), np.zeros((4, 3)), np.zeros((3, 4))
        ww, rr = ww + A[0][n] @ ww, rr + A[1][n] @ rr
        wr_new = wr + without_excess(ww).T @ A[2][n] @ without_excess(rr)
        ww_new = ww + A[2][n] @ rw
        rw = rw + without_excess(rr).T @ A[3][n] @ without_excess(ww)
        rr = rr + A[3][n] @ wr  # words as they were before they read the regions
        wr, ww = wr_new, ww_new
        wr, ww = wr + without_excess(ww).T @ A[4][n] @ without_excess(rr), ww + A[4][n] @ rw
        inputs = {"words": words, "regions": regions}
        found = run(model, inputs, "chefer", wrt="words").values[n]
        assert torch.allclose(found, torch.as_tensor(ww[0] - np.eye(4)[0]), rtol=0, atol=1e-12)
        found = run(model, inputs, "chefer", wrt="regions").values[n]
        assert torch.allclose(found, torch.as_tensor(wr[0]), rtol=0, atol=1e-12)


class Joint(nn.Module):
    """Words read each other, then words and regions are one sequence behind a class token."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.own, self.joint = (nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2))
        self.again, self.head = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), nn.Linear(8, 4)

    def forward(self, words, regions):
        return self.rest(torch.cat([self.token.expand(len(words), -1, -1), self.own(words), regions], dim=1))

    def rest(self, x):
        return self.head(self.again(self.joint(x))[:, 0])


def test_a_joined_sequence_is_followed_into_its_parts():
    torch.manual_seed(6)
    model = Joint().double().eval()
    words, regions = torch.randn(2, 4, 8).double(), torch.randn(2, 3, 8).double()

    class Rest(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model.rest(x)

    with torch.no_grad():
        x = torch.cat([model.token.expand(2, -1, -1), model.own(words), regions], dim=1)
        torch.backends.mha.set_fastpath_enabled(False)
        own = model.own.self_attn(words, words, words, average_attn_weights=False)[1].numpy()
        torch.backends.mha.set_fastpath_enabled(True)
    inputs = {"words": words, "regions": regions}
    for method in ("raw_attention", "attention_rollout", "attention_x_gradient", "chefer"):
        settings = {"layers": "last"} if method == "attention_x_gradient" else {}
        whole = run(Rest().eval(), x, method, **settings).values
        assert torch.allclose(run(model, inputs, method, wrt="regions", **settings).values, whole[:, 5:], atol=1e-12)
        if method not in ("attention_rollout", "chefer"):
            found = run(model, inputs, method, wrt="words", **settings).values
            assert torch.allclose(found, whole[:, 1:5], rtol=0, atol=1e-12)
    # What the words have read before comes in as the words themselves do.
    rollout = run(Rest().eval(), x, "attention_rollout").values
    found = run(model, inputs, "attention_rollout", wrt="words").values
    before = torch.as_tensor(rolled([own]))
    assert torch.allclose(found, (rollout[:, None, 1:5] @ before)[:, 0], rtol=0, atol=1e-12)
    assert run(model, inputs, "chefer", wrt="words").values.shape == (2, 4)


# --- with relevance --------------------------------------------------------------------------------------------------


class OneLayer(nn.Module):
    """Attention without a shortcut and a linear head on the first token: every share of relevance is known."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(6, 6, bias=False) for _ in range(3))
        self.head = nn.Linear(6, 4, bias=False)

    def forward(self, x):
        heads = (one(x).unflatten(2, (2, 3)).transpose(1, 2) for one in (self.q, self.k, self.v))
        return self.head(functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)[:, 0])


def test_transformer_attribution_by_hand():
    torch.manual_seed(5)
    model, x = OneLayer().double().eval(), torch.randn(2, 5, 6).double()
    q, k, v = (one(x).unflatten(2, (2, 3)).transpose(1, 2).detach() for one in (model.q, model.k, model.v))
    A = (q @ k.mT / 3**0.5).softmax(-1)
    out, weight = (A @ v)[:, :, 0], model.head.weight.detach()[1].unflatten(0, (2, 3))  # [n, heads, width]
    up = (out * weight).clamp(min=0)
    R_out = up / up.sum((1, 2), keepdim=True)  # relevance starts as 1, whatever the score
    shares = A[:, :, 0].unsqueeze(3) * v / out.unsqueeze(2)
    R_A = (shares * R_out.unsqueeze(2)).sum(3) / 2  # the values get the other half
    gradient = (weight.unsqueeze(1) * v).sum(3)
    expected = (gradient * R_A).clamp(min=0).mean(1)
    found = run(model, x, "transformer_attribution").values
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)  # the rule's stabilizer is 1e-6
    assert bool((expected.sum(1) > 0).all())
    assert bool((model(x)[:, 1] < 0).any())


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "vit"])
def test_transformer_attribution_is_the_same_for_sdpa_and_eager(family):
    values = [
        run(*zoo.make(f"{family}_{attention}"), "transformer_attribution").values for attention in ("sdpa", "eager")
    ]
    assert torch.allclose(*values, rtol=1e-5, atol=room(family))
    assert values[0].min() >= 0
    assert values[0].sum() > 0


def test_transformer_attribution_of_token_numbers_asks_for_embeddings():
    model, _ = zoo.make("bert_sdpa")
    ids = torch.tensor([[5, 3, 7, 2]])
    with pytest.raises(InputError) as error:
        run(model, ids, "transformer_attribution")
    assert error.value.code == "integer_input"
    layer = run(model, ids, "transformer_attribution", layer="bert.embeddings.word_embeddings").values
    embeddings = {"inputs_embeds": model.bert.embeddings.word_embeddings(ids).detach()}
    assert torch.allclose(
        layer, run(model, embeddings, "transformer_attribution").values.to(layer), rtol=1e-4, atol=1e-6
    )


# --- what holds for all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("name", ["vit", "llama_sdpa"])
def test_rows_do_not_know_each_other(method, name):
    model, inputs = zoo.make(name)
    whole = run(model, inputs, method)
    assert torch.allclose(run(model, inputs, method, batch_size=1).values, whole.values, rtol=0, atol=1e-12)
    assert torch.equal(run(model, inputs, method).values, whole.values)
    take = (
        (lambda t, n: {k: v[n : n + 1] for k, v in t.items()})
        if isinstance(inputs, dict)
        else (lambda t, n: t[n : n + 1])
    )
    for n in range(len(whole.values)):
        alone = run(model, take(inputs, n), method)
        assert torch.allclose(alone.values[0], whole.values[n], rtol=0, atol=1e-12)
        assert torch.allclose(alone.score, whole.score[n : n + 1], rtol=0, atol=1e-12)
    assert not torch.allclose(whole.values[0], whole.values[1])


@pytest.mark.parametrize("method", NAMES)
def test_several_targets_in_one_pass(method):
    model, inputs = zoo.make("bert_sdpa")
    several = run(model, inputs, method, target=Each(2, 0))
    assert several.values.shape == (2, 2, 6)
    for place, target in enumerate((2, 0)):
        single = run(model, inputs, method, target=target)
        assert torch.allclose(several.values[place], single.values, rtol=0, atol=1e-12)
        assert torch.allclose(several.score[place], single.score, rtol=0, atol=1e-12)
    assert torch.equal(*several.values) == (method in FORWARD)
    forward = several.evaluations["forward"]
    assert forward == (2 if method in FORWARD else 0)


def test_several_targets_read_from_different_tokens():
    model, inputs = seq2seq("t5", "sdpa")
    several = run(model, inputs, "attention_rollout", target=Each((2, 7), (4, 1)), wrt="input_ids").values
    for place, target in enumerate(((2, 7), (4, 1))):
        single = run(model, inputs, "attention_rollout", target=target, wrt="input_ids").values
        assert torch.allclose(several[place], single, rtol=0, atol=1e-6)
    assert not torch.allclose(several[0], several[1])


@pytest.mark.parametrize("method", NAMES)
def test_other_scores_streaming_and_state(method):
    model, images = zoo.make("vit")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    *_, last = stream(model, images, target=1, method=method, score="probability")
    assert last.values.shape == (3, 1, 8, 8)
    assert last.progress == (1, 1)
    with torch.no_grad():
        assert torch.allclose(last.score, model(images).softmax(1)[:, 1])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not torch.overrides._get_current_function_mode_stack()
    assert METHODS[method].signed == (method == "attention_x_gradient")
    assert method == "attention_x_gradient" or last.values.min() >= 0


def test_a_second_question_needs_no_second_look():
    model, inputs = zoo.make("bert_sdpa")
    session = Session(model, inputs, target=1)
    assert session.attribute("raw_attention").evaluations == {"forward": 2, "gradient": 1}
    assert session.attribute("attention_rollout").evaluations == {"forward": 2, "gradient": 0}
    assert session.attribute("chefer").evaluations == {"forward": 0, "gradient": 2}


def test_at_a_layer_only_what_comes_after_counts():
    model, inputs = zoo.make("bert_sdpa")
    maps, gradients = maps_and_gradients("bert")
    found = run(model, inputs, "chefer", layer="bert.encoder.layer.0").values
    assert torch.allclose(found, torch.as_tensor(gathered(maps[1:], gradients[1:])[:, 0]), rtol=0, atol=1e-9)
    found = run(model, inputs, "attention_rollout", layer="bert.embeddings").values
    assert torch.allclose(found, torch.as_tensor(rolled(maps)[:, 0]), rtol=0, atol=1e-9)


def test_without_gradients_habit_tells_which_token_is_read():
    bert, inputs = zoo.make("bert_sdpa")
    gpt2, _ = zoo.make("gpt2_sdpa")
    for model, row in ((bert, 0), (gpt2, 5)):

        def closed(model=model, **keywords):
            with torch.no_grad():
                return model(**keywords).logits

        found = run(model, inputs, "attention_rollout", forward=closed).values
        assert torch.allclose(found, run(model, inputs, "attention_rollout", query=row).values, rtol=0, atol=1e-12)
        for method in NAMES[2:]:
            with pytest.raises(ModelError) as error:
                run(model, inputs, method, forward=closed)
            assert error.value.code == "not_differentiable"


def test_a_class_token_put_in_front_of_a_sequence_is_dropped():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 1, 6))
            self.layer = OneLayer()

        def forward(self, x):
            return self.layer(torch.cat([self.token.expand(len(x), -1, -1), x], 1))

    torch.manual_seed(0)
    model, x = Model().double().eval(), torch.randn(2, 4, 6).double()
    values = run(model, x, "raw_attention").values
    assert values.shape == (2, 4)
    whole = run(model.layer, torch.cat([model.token.expand(2, -1, -1), x], 1).detach(), "raw_attention").values
    assert torch.allclose(values, whole[:, 1:], rtol=0, atol=1e-12)
    assert torch.allclose(whole.sum(1), torch.ones(2).double())


@pytest.mark.parametrize("method", NAMES)
def test_no_attention_is_an_error(method):
    model, images = zoo.make("shared_relu")
    with pytest.raises(ModelError) as error:
        run(model, images, method)
    assert error.value.code == "no_attention"


@pytest.mark.parametrize(
    ("method", "settings", "code"),
    [
        ("raw_attention", {"layer": 2}, "attention_layer"),
        ("raw_attention", {"layer": -3}, "attention_layer"),
        ("raw_attention", {"head": 4}, "head_range"),
        ("raw_attention", {"query": 6}, "query_range"),
        ("attention_rollout", {"query": 6}, "query_range"),
        ("chefer", {"query": 6}, "query_range"),
        ("attention_rollout", {"heads": "median"}, "parameter_choice"),
    ],
)
def test_wrong_settings(method, settings, code):
    model, inputs = zoo.make("bert_sdpa")
    with pytest.raises(ParameterError) as error:
        run(model, inputs, method, **settings)
    assert error.value.code == code


class Merging(nn.Module):
    """Half of the tokens are left after the first attention."""

    def __init__(self):
        super().__init__()
        self.attend = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, x):
        x = x + self.attend[0](x, x, x)[0]
        x = x[:, ::2] + x[:, 1::2]
        return (x + self.attend[1](x, x, x)[0])[:, 0, :4]


def test_merged_tokens_cannot_be_followed():
    torch.manual_seed(0)
    model, x = Merging().eval(), torch.randn(2, 6, 8)
    for method in ("attention_rollout", "chefer"):
        with pytest.raises(ModelError, match="6 to 3") as error:
            run(model, x, method)
        assert error.value.code == "attention_tokens"
    with pytest.raises(ModelError) as error:
        run(model, x, "raw_attention")  # over three tokens, for an input of six
    assert error.value.code == "attention_tokens"


def test_inputs_that_have_no_place_for_tokens():
    torch.manual_seed(0)
    model = OneLayer().eval()
    stretched = nn.Sequential(nn.Flatten(), nn.Linear(9, 30), nn.Unflatten(1, (5, 6)), model).eval()
    with pytest.raises(ModelError) as error:
        run(stretched, torch.randn(2, 9, 1), "raw_attention")
    assert error.value.code == "attention_tokens"
    values = run(stretched, torch.randn(2, 9, 1), "attention_rollout", layer="2").values
    assert values.shape == (2, 5)
    two = TwoStreams().eval()
    with pytest.raises(InputError) as error:
        run(two, (torch.randn(2, 4, 8), torch.randn(2, 3, 8)), "chefer", wrt=[0, 1])
    assert error.value.code == "attention_inputs"
