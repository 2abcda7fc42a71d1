"""Captured attention maps against what the models themselves return, and whose queries ask whose keys."""

import pytest
import torch
import zoo
from seq2seq import TwoStreams, seq2seq
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.attention_maps import Capture
from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.problem import Problem

FAMILIES = ("bert", "gpt2", "llama", "vit")


def captured(model, inputs, rows=None, **settings):
    """The mode after one pass, and the output."""
    keywords = inputs if isinstance(inputs, dict) else {}
    arguments = () if isinstance(inputs, dict) else (inputs,)
    rows = rows or len(next(iter(keywords.values())) if keywords else inputs)
    mode = Capture(rows, **settings)
    if isinstance(model, nn.Module):
        model.requires_grad_(False)  # as while a model is borrowed
    mode.begin(model if isinstance(model, nn.Module) else None, (arguments, keywords))
    with mode:
        output = model(*arguments, **keywords)
    return mode, mode.end(output)


# --- whoever wrote it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("gradient", [True, False])
def test_equal_to_what_hugging_face_models_return(family, attention, gradient):
    eager, inputs = zoo.make(f"{family}_eager")
    model, _ = zoo.make(f"{family}_{attention}")
    with torch.no_grad():
        plain = model(**inputs).logits
        theirs = eager(**inputs, output_attentions=True).attentions
        main = "pixel_values" if family == "vit" else "inputs_embeds"
        with torch.set_grad_enabled(gradient):
            leaf = inputs[main].clone().requires_grad_(gradient)
            mode, output = captured(model, {**inputs, main: leaf})
    assert torch.allclose(output.logits, plain, rtol=0, atol=1e-12)
    assert len(mode.maps) == len(theirs)
    for ours, one in zip(mode.maps, theirs, strict=True):
        if attention == "eager":
            assert torch.equal(ours.weights, one)
        room = 1e-6 if family in ("llama", "vit") else 1e-12  # their eager softmax is in float32
        assert torch.allclose(ours.weights, one, rtol=0, atol=room)
        assert torch.allclose(ours.weights.sum(-1), torch.ones_like(one.sum(-1)), atol=1e-6)
        assert ours.within
        assert (ours.node is not None) == gradient


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_equal_to_what_multihead_attention_returns(batch_first, need_weights, causal):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first).double().eval().requires_grad_(False)
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None

    def model(x, need=need_weights):
        y = x if batch_first else x.transpose(0, 1)
        return attention(y, y, y, need_weights=need, average_attn_weights=False, attn_mask=mask)

    with torch.no_grad():
        mode, _ = captured(model, x)
        torch.backends.mha.set_fastpath_enabled(False)  # which rounds in another way
        try:
            _, weights = model(x, need=True)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    (one,) = mode.maps
    if need_weights:
        assert torch.equal(one.weights, weights)
    assert torch.allclose(one.weights, weights, rtol=0, atol=1e-12)
    assert one.within


def test_encoder_layers_do_not_take_their_fused_way():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double().eval()
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).eval().requires_grad_(False)
    x = torch.randn(2, 4, 8, dtype=torch.float64)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    with torch.no_grad():
        mode, output = captured(lambda x: model(x, src_key_padding_mask=padding), x)
        plain = torch.stack([model(x[:1])[0, :2], model(x[1:, :2])[0]])
    assert len(mode.maps) == 2
    assert not mode.maps[0].weights[1, :, :, 2:].any()
    assert torch.allclose(output[:, :2][1], plain[1], atol=1e-12)


def _hand_written():
    def project(x):
        heads = x.unflatten(2, (2, 4)).transpose(1, 2)  # [n, heads, tokens, width]
        return heads, heads.flip(2), heads * 0.5

    def plain(x):
        q, k, v = project(x)
        weights = (q @ k.mT / 2).softmax(-1)
        return weights @ v, weights

    def einsum(x):
        q, k, v = (one.transpose(1, 2) for one in project(x))
        weights = functional.softmax(torch.einsum("bqhd,bkhd->bhqk", q, k), dim=-1)
        return torch.einsum("bhqk,bkhd->bqhd", functional.dropout(weights, 0.3, training=False), v), weights

    def ellipsis(x):
        q, k, v = project(x)
        weights = torch.softmax(torch.einsum("...qd,...kd->...qk", q, k), -1)
        return torch.einsum("...qk,...kd->...qd", weights, v), weights

    def backwards(x):  # values on the left, as in self-attention GANs
        q, k, v = project(x)
        weights = torch.matmul(q, k.mT).softmax(3)
        return torch.matmul(v.mT, weights.permute(0, 1, 3, 2)), weights

    def columns(x):  # softmax over the first of the two axes
        q, k, v = project(x)
        weights = torch.matmul(k, q.mT).softmax(-2)
        return torch.matmul(v.mT, weights), weights.mT

    def folded(x):
        q, k, v = (one.flatten(0, 1) for one in project(x))
        weights = nn.Softmax(dim=-1)(torch.baddbmm(torch.zeros(1, dtype=x.dtype), q, k.mT))
        return torch.bmm(weights, v), weights.unflatten(0, (len(x), 2))

    def masked(x):
        q, k, v = project(x)
        scores = torch.matmul(q, k.mT)
        scores += torch.ones_like(scores).triu(1) * -1e9
        weights = functional.softmax(scores, -1, dtype=torch.float32).type_as(v)
        weights = weights.masked_fill(torch.ones_like(weights, dtype=torch.bool).triu(1), 0.0)
        return weights @ v, weights

    def grouped(x):  # one key and value head for two query heads
        q, k, v = project(x)
        q = q.unflatten(1, (1, 2))
        weights = torch.einsum("ngrqd,ngkd->ngrqk", q, k[:, :1]).softmax(-1)
        return torch.einsum("ngrqk,ngkd->ngrqd", weights, v[:, :1]), weights.flatten(1, 2)

    def single(x):
        weights = (x @ x.mT).softmax(-1)
        return weights @ x, weights.unsqueeze(1)

    def talking(x):  # heads mixed after the softmax
        q, k, v = project(x)
        mix = torch.tensor([[0.9, 0.2], [-0.1, 0.7]], dtype=x.dtype)
        weights = functional.linear((q @ k.mT).softmax(-1).permute(0, 2, 3, 1), mix).permute(0, 3, 1, 2)
        return weights @ v, weights

    def reattention(x):
        q, k, v = project(x)
        mix = torch.tensor([[0.9, 0.2], [-0.1, 0.7]], dtype=x.dtype)
        weights = torch.einsum("bhij,hg->bgij", (q @ k.mT).softmax(-1), mix)
        return weights @ v, weights

    def head_mask(x):
        q, k, v = project(x)
        weights = (q @ k.mT).softmax(-1) * torch.tensor([1.0, 0.0], dtype=x.dtype)[:, None, None]
        return weights @ v, weights

    def causal(x):
        q, k, v = project(x)
        with torch._C.DisableTorchFunction():  # only what is expected
            weights = (
                (q @ k.mT / 2).masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1).bool(), -1e9).softmax(-1).detach()
            )
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True), weights

    def additive(x):
        weights = torch.tanh(x.unsqueeze(1) + x.unsqueeze(2)).sum(-1).softmax(-1)
        return weights @ x, weights.unsqueeze(1)

    return {name: one for name, one in locals().items() if name != "project"}


WRITTEN = _hand_written()


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("rows", [1, 3])
def test_hand_written_attention(name, rows):
    x = torch.randn(rows, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    plain, weights = WRITTEN[name](x)
    mode, (output, _) = captured(WRITTEN[name], x)
    (one,) = mode.maps
    assert torch.allclose(output, plain, rtol=0, atol=1e-12)
    assert torch.allclose(one.weights, weights, rtol=0, atol=1e-12)
    assert one.within
    # The node is what the values were multiplied with: the score's derivative goes through it, and only that of the
    # values goes around it.
    score = (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum()
    (gradient,) = torch.autograd.grad(score, one.node, retain_graph=True)
    assert gradient.shape == one.weights.shape
    assert torch.allclose((gradient * one.weights).sum(), score.detach(), rtol=1e-9)  # linear in the weights


def test_a_gradient_for_every_map_without_a_differentiable_input():
    model, _ = zoo.make("bert_sdpa")
    ids = torch.tensor([[5, 3, 7, 2], [9, 1, 4, 4]])
    mode, output = captured(model, {"input_ids": ids})
    eager, _ = zoo.make("bert_eager")
    theirs = eager(ids, output_attentions=True)
    ours = torch.autograd.grad(output.logits[:, 1].sum(), [one.node for one in mode.maps])
    for one, gradient in zip(ours, torch.autograd.grad(theirs.logits[:, 1].sum(), theirs.attentions), strict=True):
        assert torch.allclose(one, gradient, rtol=0, atol=1e-12)


def test_only_late_maps_are_nodes_when_no_more_is_asked():
    model, inputs = zoo.make("vit")
    mode, output = captured(model, inputs, first_node=1, keep=lambda weights: weights.mean(1))
    assert [one.node is None for one in mode.maps] == [True, False]
    assert output.requires_grad
    assert [one.weights.shape for one in mode.maps] == [(3, 17, 17)] * 2
    mode, output = captured(model, inputs, first_node=None)
    assert not output.requires_grad


# --- who asks whom ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_cross_attention_is_told_apart_at_equal_lengths(family):
    model, inputs = seq2seq(family)
    with torch.no_grad():
        mode, _ = captured(model, inputs)
        theirs = model(**inputs, output_attentions=True)
    encoder, decoder = mode.maps[0].queries.stream, mode.maps[2].queries.stream
    kinds = [(one.queries.stream, one.keys.stream) for one in mode.maps]
    assert encoder != decoder
    assert kinds == [(encoder, encoder)] * 2 + [(decoder, decoder), (decoder, encoder)] * 2
    both = zip(theirs.decoder_attentions, theirs.cross_attentions, strict=True)
    expected = [*theirs.encoder_attentions, *(one for pair in both for one in pair)]
    for ours, one in zip(mode.maps, expected, strict=True):
        assert torch.equal(ours.weights, one)
    assert mode.stream_of("input_ids") == encoder
    assert mode.stream_of("decoder_input_ids") == (decoder if family == "t5" else None)
    assert [one.keys.age for one in mode.maps[3::2]] == [2, 2]  # the finished encoder


def test_two_streams_attend_to_what_the_other_was():
    torch.manual_seed(0)
    model, x = TwoStreams().double().eval(), torch.randn(2, 4, 8, dtype=torch.float64)
    mode, _ = captured(model, {"words": x, "regions": torch.randn(2, 4, 8, dtype=torch.float64)})
    words, regions = mode.stream_of("words"), mode.stream_of("regions")
    assert [(one.queries, one.keys) for one in mode.maps] == [
        ((words, 0), (words, 0)),
        ((regions, 0), (regions, 0)),
        ((words, 1), (regions, 2)),
        ((regions, 2), (words, 1)),  # not 3: words as they were before they read the regions
        ((words, 3), (regions, 4)),
    ]


def test_learned_queries_are_a_sequence_without_an_input():
    """As in DETR: positions are added to queries and keys only, and the decoder starts from zeros."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(3))
            self.queries = nn.Parameter(torch.randn(3, 8))

        def forward(self, image):
            x = image.flatten(2).mT
            y = x + torch.linspace(0, 1, 8, dtype=x.dtype)
            x = x + self.attend[0](y, y, x)[0]
            learned = self.queries.expand(len(x), -1, -1)
            found = torch.zeros_like(learned)
            found = found + self.attend[1](found + learned, found + learned, found)[0]
            return found + self.attend[2](found + learned, x + 1, x)[0]

    mode, _ = captured(Model().double().eval(), torch.randn(2, 8, 2, 3, dtype=torch.float64))
    image = mode.stream_of(0)
    assert [(one.queries.stream, one.keys.stream) for one in mode.maps] == [(image, image), (0, 0), (0, image)]
    assert [one.shape for one in mode.maps] == [(6, 6), (3, 3), (3, 6)]


def test_a_joined_sequence_has_the_inputs_as_parts():
    token, layer = torch.randn(1, 1, 8), nn.MultiheadAttention(8, 2, batch_first=True).eval().requires_grad_(False)

    def model(words, regions):
        words = words + layer(words, words, words)[0]
        x = torch.cat([token.expand(len(words), -1, -1), words, regions], dim=1)
        return layer(x, x, x)[0]

    mode, _ = captured(model, {"words": torch.randn(2, 4, 8), "regions": torch.randn(2, 3, 8)})
    own, joint = mode.maps
    assert own.within
    assert joint.within
    assert own.keys.stream != joint.keys.stream
    assert mode.stream_of("words") == own.keys.stream
    assert mode.streams.place(joint.keys.stream, mode.stream_of("words"), 8) == slice(1, 5)
    assert mode.streams.place(joint.keys.stream, mode.stream_of("regions"), 8) == slice(5, 8)
    assert mode.streams.place(joint.keys.stream, mode.stream_of("regions"), 9) is None  # not as it was joined


# --- what is no attention, and what cannot be read -------------------------------------------------------------------


def test_probabilities_and_look_ups_are_no_attention():
    prototypes, mix = torch.randn(4, 8), torch.randn(4, 4)

    def model(x):
        classes = x.sum(1)[:, :4].softmax(-1)  # [rows, 4]
        found = x[..., :4].softmax(-1) @ prototypes  # learned, not attended to
        gate = x.softmax(-1) * x
        return classes @ mix, found, gate @ x.mT

    mode, _ = captured(model, torch.randn(3, 5, 8))
    assert mode.maps == []


def test_windows_are_refused():
    x = torch.randn(2, 8, 4)

    def model(x):
        windows = x.reshape(4, 1, 4, 4)  # two windows a sample
        return (windows @ windows.mT).softmax(-1) @ windows

    with pytest.raises(ModelError, match="windows") as error:
        captured(model, x)
    assert error.value.code == "attention_shape"


def test_attention_that_is_lost_on_its_way_is_refused():
    """Weights of which only a part is multiplied into values where they can be seen, as in sliding windows."""

    def model(x):
        heads = x.unflatten(2, (2, 4)).transpose(1, 2)
        weights = (heads @ heads.mT).softmax(-1)
        windows = (weights[..., :4].unsqueeze(-1) * heads[:, :, None, :4]).sum(-2)
        return weights[..., 4:] @ heads[:, :, 4:] + windows

    with pytest.raises(ModelError, match="never multiplied") as error:
        captured(model, torch.randn(2, 5, 8))
    assert error.value.code == "attention_lost"


def test_a_sink_that_is_cut_off_is_not_lost():
    def model(x):
        heads = x.unflatten(2, (2, 4)).transpose(1, 2)
        scores = torch.cat([heads @ heads.mT, torch.ones(len(x), 2, 5, 1)], -1)
        return scores.softmax(-1)[..., :-1] @ heads

    mode, _ = captured(model, torch.randn(2, 5, 8))
    assert mode.maps[0].shape == (5, 5)
    assert mode.maps[0].within
    assert bool((mode.maps[0].weights.sum(-1) < 1).all())


def test_fused_attention_without_a_decomposition_is_an_error():
    x = torch.randn(2, 1, 4, 8)
    with pytest.raises(ModelError) as error:
        captured(lambda x: torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x), x)
    assert error.value.code == "fused_attention"


def test_attention_in_a_scripted_block_is_an_error():
    @torch.jit.script
    def hidden(x):
        return (x @ x.mT).softmax(-1) @ x

    with pytest.raises(ModelError) as error:
        captured(
            lambda x: hidden(x).sum((1, 2)) + (x @ x.mT).softmax(-1).matmul(x).sum((1, 2)),
            torch.randn(2, 4, 8).requires_grad_(),
        )
    assert error.value.code == "unseen_operation"


def test_nothing_is_left_behind():
    model, inputs = zoo.make("bert_eager")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    problem = Problem(model, inputs, target=1, wrt="inputs_embeds").begin()
    rows = torch.zeros(1, dtype=torch.long)
    for _ in range(2):
        problem.evaluate(lambda chunk: (chunk.output(rewrite=Capture(1)).logits,), problem.points[:1], rows)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not torch.overrides._get_current_function_mode_stack()
