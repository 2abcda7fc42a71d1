"""Value zeroing and self-attention attribution against their formulas, on the models' own layers."""

import numpy as np
import pytest
import torch
import zoo
from seq2seq import seq2seq
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine.errors import ModelError, ParameterError
from xaiwidgets.engine.target import Each

NAMES = ("value_zeroing", "attattr")
FAMILIES = ("bert", "gpt2", "llama", "vit")
TEXT = {"bert": 0, "gpt2": 5, "llama": 5}  # the token that is scored
VALUES = {"bert": "attention.self.value", "gpt2": "attn.c_attn", "llama": "self_attn.v_proj", "vit": ""}


def run(model, inputs, method, target=1, **settings):
    return attribute(model, inputs, target=target, method=method, **settings)


def room(family):
    return 1e-6 if family in ("llama", "vit") else 1e-10  # their eager softmax is in float32


def layers_of(model, family):
    names = {"bert": "bert.encoder.layer", "gpt2": "transformer.h", "llama": "model.layers", "vit": "vit.layers"}
    return model.get_submodule(names[family])


def on_image(tokens):
    return functional.interpolate(torch.as_tensor(tokens)[:, 1:].reshape(-1, 1, 4, 4), (8, 8), mode="bilinear")


def value_layer(layer, family):
    """The linear layer that makes the values, and which of its outputs they are."""
    if family == "vit":
        name = next(
            name for name, part in layer.named_modules() if isinstance(part, nn.Linear) and "v" in name.split(".")[-1]
        )
        return layer.get_submodule(name), slice(None)
    return layer.get_submodule(VALUES[family]), slice(32, 48) if family == "gpt2" else slice(None)


def zeroed(model, inputs, family):
    """The paper's maps: the whole model is run for each layer and token, with that layer's value vector set to zero."""
    maps = []
    for layer in layers_of(model, family):
        outputs, hide = [], []
        linear, part = value_layer(layer, family)

        def blank(_module, _arguments, output, hide=hide, part=part):
            if hide:
                output = output.clone()
                output[:, hide[0], part] = 0
            return output

        def note(_module, _arguments, output, outputs=outputs):
            outputs.append(output[0] if isinstance(output, tuple) else output)

        handles = [linear.register_forward_hook(blank), layer.register_forward_hook(note)]
        with torch.no_grad():
            model(**inputs)
            for token in range(outputs[0].shape[1]):
                hide[:] = [token]
                model(**inputs)
        for handle in handles:
            handle.remove()
        distances = [1 - functional.cosine_similarity(outputs[0], one, dim=2) for one in outputs[1:]]
        C = torch.stack(distances, 2)
        maps.append(C / C.sum(2, keepdim=True))
    return maps


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_value_zeroing_by_zeroing_values(family, attention):
    model, inputs = zoo.make(f"{family}_{attention}")
    maps = zeroed(model, inputs, family)
    row = TEXT.get(family, 0)
    session = Session(model, inputs, target=1)
    for layers, expected in (("all", maps[1] @ maps[0]), ("last", maps[1])):
        found = session.attribute("value_zeroing", layers=layers).values
        wanted = on_image(expected[:, row]) if family == "vit" else expected[:, row]
        assert torch.allclose(found, wanted, rtol=0, atol=room(family) * 10)
    other = session.attribute("value_zeroing", query=2).values
    wanted = (maps[1] @ maps[0])[:, 2]
    assert torch.allclose(other, on_image(wanted) if family == "vit" else wanted, rtol=0, atol=room(family) * 10)
    if family in ("gpt2", "llama"):
        assert not other[:, 3:].abs().gt(1e-9).any()  # nobody looks ahead


def test_value_zeroing_asks_for_a_row_a_token():
    model, inputs = zoo.make("bert_sdpa")
    session = Session(model, inputs, target=1)
    session.attribute("value_zeroing")
    found = session.attribute("value_zeroing")
    assert found.evaluations == {"forward": 2 + 2 * 6, "gradient": 0}
    assert torch.allclose(found.values.sum(1), torch.ones(2).double())


@pytest.mark.parametrize("batch_first", [True, False])
def test_torch_layers_are_blocks(batch_first):
    """nn.TransformerEncoderLayer, tokens first or rows first, by zeroing the value in a copy of the layer's arithmetic."""
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=batch_first)
            self.blocks = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

        def forward(self, x):
            x = x if batch_first else x.transpose(0, 1)
            x = self.blocks(x)
            return (x if batch_first else x.transpose(0, 1))[:, 0]

    model, x = Model().double().eval(), torch.randn(3, 4, 8).double()
    (block,) = model.blocks.layers
    attention = block.self_attn

    def layer(hidden):
        q, k, v = (x @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, 2)
        if hidden is not None:
            v = v.clone()
            v[:, hidden] = 0
        q, k, v = (one.unflatten(2, (2, 4)).transpose(1, 2) for one in (q, k, v))
        mixed = ((q @ k.mT / 2).softmax(3) @ v).transpose(1, 2).flatten(2)
        y = block.norm1(x + attention.out_proj(mixed))
        return block.norm2(y + block.linear2(torch.relu(block.linear1(y))))

    with torch.no_grad():
        C = torch.stack([1 - functional.cosine_similarity(layer(None), layer(token), dim=2) for token in range(4)], 2)
    expected = (C / C.sum(2, keepdim=True))[:, 0]
    found = run(model, x, "value_zeroing").values
    assert torch.allclose(found, expected, rtol=0, atol=1e-10)


def test_one_module_used_for_every_layer():
    torch.manual_seed(1)

    class Shared(nn.Module):
        def __init__(self, times):
            super().__init__()
            self.block, self.times = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), times

        def forward(self, x):
            for _ in range(self.times):
                x = self.block(x)
            return x[:, 0]

    model, x = Shared(2).double().eval(), torch.randn(2, 4, 8).double()
    with torch.no_grad():
        between = model.block(x)
    model.times = 1
    maps = [
        torch.stack([run(model, one, "value_zeroing", query=query).values for query in range(4)], 1)
        for one in (x, between)
    ]
    model.times = 2
    found = run(model, x, "value_zeroing").values
    assert torch.allclose(found, (maps[1] @ maps[0])[:, 0], rtol=0, atol=1e-9)


# --- self-attention attribution --------------------------------------------------------------------------------------


def integrated(family, steps=32, target=1):
    """A ∫ ∂f(αA)/∂A dα of a Hugging Face model with eager attention: its softmax is scaled in one layer at a time."""
    model, inputs = zoo.make(f"{family}_eager")
    plain, number, scale = torch.nn.functional.softmax, [0], [None, 1.0]
    seen = {}

    def softmax(*args, **kwargs):
        result = plain(*args, **kwargs)
        if result.ndim != 4:
            return result
        if number[0] == scale[0]:
            result = seen["A"] = (scale[1] * result).detach().requires_grad_()
        number[0] += 1
        return result

    nodes, weights = np.polynomial.legendre.leggauss(steps)
    totals = []
    torch.nn.functional.softmax = softmax
    try:
        for layer in (0, 1):
            total = 0
            for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                number[0], scale[:] = 0, [layer, node]
                score = model(**inputs).logits[:, target].sum()
                (gradient,) = torch.autograd.grad(score, seen["A"])
                total = total + weight * gradient * seen["A"].detach() / node
            totals.append(total)
    finally:
        torch.nn.functional.softmax = plain
    return totals


@pytest.mark.parametrize("family", FAMILIES)
def test_attattr_by_scaling_the_softmax(family):
    maps = [one.sum((1, 2)) for one in integrated(family)]
    for attention in ("sdpa", "eager"):
        model, inputs = zoo.make(f"{family}_{attention}")
        session = Session(model, inputs, target=1)
        for layers, expected in (("all", (maps[0] + maps[1]) / 2), ("last", maps[1])):
            found = session.attribute("attattr", layers=layers, steps=32)
            wanted = on_image(expected) if family == "vit" else expected
            assert torch.allclose(found.values, wanted.to(found.values), rtol=0, atol=2e-5 if family == "vit" else 2e-6)
            assert found.error < (1e-3 if family == "vit" else 1e-5)


def test_attattr_is_complete_in_every_layer():
    """The last layer's values sum to the score minus the score with no attention there: what is left of it is a bias."""
    model, inputs = zoo.make("bert_sdpa")
    attention = model.bert.encoder.layer[1].attention.self

    def nothing(_module, _arguments, output):
        return (torch.zeros_like(output[0]), *output[1:])

    handle = attention.register_forward_hook(nothing)
    with torch.no_grad():
        empty = model(**inputs).logits[:, 1]
    handle.remove()
    found = run(model, inputs, "attattr", layers="last", steps=64)
    assert torch.allclose(found.values.sum(1), found.score - empty, rtol=1e-6, atol=1e-7)
    rough = run(model, inputs, "attattr", layers="last", steps=2)
    miss = (rough.values.sum(1) - (rough.score - empty)).abs()
    assert rough.error > 10 * found.error
    assert float(miss.max()) > 0


def test_attattr_of_an_encoder_and_a_decoder():
    """Cross-attention is scaled as any other; the explained sequence gets what its own keys gather."""
    model, inputs = seq2seq("bart", "sdpa")
    found = run(model, inputs, "attattr")
    assert found.error < 1e-4
    assert torch.allclose(
        found.values, run(seq2seq("bart", "eager")[0], inputs, "attattr").values, rtol=1e-4, atol=1e-6
    )
    model, inputs = seq2seq("t5", "sdpa")
    both = list(inputs)
    whole = run(model, inputs, "attattr", target=(2, 7), wrt=both, steps=2).values
    for name in both:
        assert whole[name].shape == (2, 5)
        single = run(model, inputs, "attattr", target=(2, 7), wrt=name, steps=2).values
        assert torch.allclose(single, whole[name], rtol=1e-4, atol=1e-5)


# --- what holds for both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("name", ["vit", "llama_sdpa"])
def test_rows_do_not_know_each_other(method, name):
    model, inputs = zoo.make(name)
    little = {"steps": 3} if method == "attattr" else {}
    whole = run(model, inputs, method, **little)
    other = run(model, inputs, method, batch_size=5, **little)
    assert torch.allclose(other.values, whole.values, rtol=0, atol=1e-9)
    assert torch.equal(run(model, inputs, method, **little).values, whole.values)
    alone = {k: v[1:2] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[1:2]
    assert torch.allclose(run(model, alone, method, **little).values[0], whole.values[1], rtol=0, atol=1e-9)
    assert not torch.allclose(whole.values[0], whole.values[1])


@pytest.mark.parametrize("method", NAMES)
def test_several_targets_and_the_models_state(method):
    model, inputs = zoo.make("bert_sdpa")
    several = run(model, inputs, method, target=Each(2, 0))
    for place, target in enumerate((2, 0)):
        single = run(model, inputs, method, target=target)
        assert torch.allclose(several.values[place], single.values, rtol=0, atol=1e-12)
        assert torch.allclose(several.score[place], single.score, rtol=0, atol=1e-12)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert not torch.overrides._get_current_function_mode_stack()


@pytest.mark.parametrize("method", NAMES)
def test_token_numbers_are_explained_like_their_embeddings(method):
    model, _ = zoo.make("bert_sdpa")
    ids = torch.tensor([[5, 3, 7, 2], [9, 1, 4, 4]])
    numbers = run(model, ids, method).values
    embeddings = run(model, {"inputs_embeds": model.bert.embeddings.word_embeddings(ids).detach()}, method).values
    assert torch.allclose(numbers, embeddings.float(), rtol=1e-4, atol=1e-5)
    layer = run(model, ids, method, layer="bert.embeddings.word_embeddings").values
    assert torch.allclose(layer.float(), numbers, rtol=1e-4, atol=1e-5)


def test_what_value_zeroing_cannot_answer():
    with pytest.raises(ModelError) as error:
        run(*seq2seq("t5", "sdpa"), "value_zeroing", target=(2, 7), wrt="input_ids")
    assert error.value.code == "cross_attention"

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.Linear(8, 24)

        def forward(self, x):
            q, k, v = self.attend(x).unsqueeze(1).chunk(3, 3)
            return functional.scaled_dot_product_attention(q, k, v)[:, 0, 0]

    with pytest.raises(ModelError) as error:
        run(Bare().eval(), torch.randn(2, 3, 8), "value_zeroing")
    assert error.value.code == "no_block"
    for method in NAMES:
        with pytest.raises(ModelError) as error:
            run(*zoo.make("shared_relu"), method)
        assert error.value.code == "no_attention"
    with pytest.raises(ParameterError):
        run(*zoo.make("bert_sdpa"), "attattr", steps=1)
    with pytest.raises(ParameterError) as error:
        run(*zoo.make("bert_sdpa"), "value_zeroing", query=6)
    assert error.value.code == "query_range"


def test_words_that_decide_a_review(shared):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = shared / "models" / "sst2-bert-tiny"
    if not folder.exists():
        pytest.skip(f"no stored model at {folder}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = dict(tokenizer(["the plot is a dull and boring mess ."], return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    for method in NAMES:
        found = run(model, inputs, method, target=0, wrt="input_ids").values[0]
        assert {tokens[place] for place in found.topk(2).indices.tolist()} == {"dull", "boring"}, method
