"""Texts explained at their embedding: one number a token, special tokens kept, padding exactly 0."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from language_models import Letters, random, recurrent, stored
from torch import nn

from xaiwidgets.api import Each, Session, attribute
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.text.embedding import at_embedding, baseline, embedding_layer, per_token
from xaiwidgets.text.session import text_session

TEXT = "The movie is not good, at all."


@pytest.fixture(scope="module")
def bert():
    return stored("sst2-bert-tiny")


def ask(model, text, tokenizer, **options):
    return text_session(model, text, tokenizer, session=Session, **options)


def test_integrated_gradients_are_captums(bert):
    model, tokenizer = bert
    session = ask(model, TEXT, tokenizer, target=1)
    found = session.attribute("integrated_gradients", baseline="mask", rule="gauss_legendre", steps=20)
    ids = torch.tensor([session.tokens.ids])
    absent = torch.where(session.kept, ids, tokenizer.mask_token_id)
    theirs = LayerIntegratedGradients(lambda one: model(one).logits[:, 1], model.bert.embeddings.word_embeddings)
    expected = theirs.attribute(ids, absent, n_steps=20, method="gausslegendre").sum(-1)
    torch.testing.assert_close(found.values, expected, rtol=1e-3, atol=1e-4)
    assert found.values.shape == (1, len(session.tokens))
    assert found.parameters["baseline"] == "mask"
    assert float(found.delta.abs().max()) < 0.02


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift", "shapley", "sequential_ig", "token_erasure"])
@pytest.mark.parametrize("kind", ["zeros", "mean", "mask", "pad", 7, "movie"])
def test_special_tokens_are_kept(bert, method, kind):
    model, tokenizer = bert
    quick = {"shapley": {"samples": 32}, "integrated_gradients": {"steps": 17}, "sequential_ig": {"steps": 2}}
    session = ask(model, "not a good movie", tokenizer, target=1)
    found = session.attribute(method, baseline=kind, **quick.get(method, {}))
    assert found.values.shape == (1, 6)
    assert found.values[0, [0, -1]].tolist() == [0, 0]
    assert bool((found.values[0, 1:5] != 0).any())
    if method in ("deeplift", "shapley"):
        torch.testing.assert_close(found.values.sum(1), found.score - found.baseline_score, rtol=1e-3, atol=1e-3)


def test_token_baselines_are_the_tokens_themselves(bert):
    model, tokenizer = bert
    session = ask(model, "not good", tokenizer, target=1)
    found = session.attribute("deeplift", baseline="mask")
    with torch.no_grad():
        absent = model(torch.tensor([[2, 4, 4, 3]])).logits[:, 1]
    torch.testing.assert_close(found.baseline_score, absent, rtol=1e-4, atol=1e-4)
    assert session.attribute("shapley", baseline="mask").baseline_score.allclose(absent, atol=1e-4)


@pytest.mark.parametrize(
    "method", ["integrated_gradients", "saliency", "attn_lrp", "shapley", "chefer", "attention_rollout"]
)
def test_padding_gets_nothing_and_changes_nothing(bert, method):
    model, tokenizer = bert
    texts = ["not a good movie at all", "bad", "a fine thing"]
    quick = {"shapley": {"samples": 64}, "integrated_gradients": {"steps": 17}}.get(method, {})
    together = ask(model, texts, tokenizer, target=1)
    values = together.attribute(method, **quick).values
    assert values.shape == (3, 8)
    for row, text in enumerate(texts):
        alone = ask(model, text, tokenizer, target=1).attribute(method, **quick).values[0]
        assert values[row, len(alone) :].tolist() == [0] * (8 - len(alone))
        torch.testing.assert_close(values[row, : len(alone)], alone, rtol=1e-3, atol=1e-4)


def test_several_targets(bert):
    model, tokenizer = bert
    each = ask(model, ["a good movie", "bad"], tokenizer, target=Each(0, 1)).attribute("integrated_gradients", steps=17)
    assert each.values.shape == (2, 2, 5)
    one = ask(model, ["a good movie", "bad"], tokenizer, target=1).attribute("integrated_gradients", steps=17)
    torch.testing.assert_close(each.values[1], one.values, rtol=1e-3, atol=1e-4)


def test_words_are_taken_away_whole(bert):
    model, tokenizer = bert
    session = ask(model, "unwatchable movie", tokenizer, target=1, unit="word")
    assert len(session.tokens) > 4
    found = session.attribute("shapley", baseline="mask").values[0]
    parts = [place for place, token in enumerate(session.tokens.items) if token.start < 11 and not token.special]
    torch.testing.assert_close(found[parts], found[parts][:1].expand(len(parts)))
    single = session.attribute("shapley", baseline="mask", regions="token").values[0]
    assert not torch.allclose(single[parts], found[parts])


def test_slopes_are_lengths_and_products_are_sums(bert):
    model, tokenizer = bert
    session = ask(model, TEXT, tokenizer, target=1)
    slope = attribute(
        model, {"input_ids": torch.tensor([session.tokens.ids])}, target=1, method="saliency", layer=session.layer
    )
    torch.testing.assert_close(session.attribute("saliency").values, slope.values.norm(dim=-1))
    for how, power in (("l1", 1), ("l2", 2)):
        found = ask(model, TEXT, tokenizer, target=1, reduce=how).attribute("input_x_gradient").values
        vectors = session.session.attribute("input_x_gradient", layer=session.layer).values
        torch.testing.assert_close(found, vectors.norm(p=power, dim=-1))
        torch.testing.assert_close(session.attribute("input_x_gradient").values, vectors.sum(-1))


def test_streams_and_predictions(bert):
    model, tokenizer = bert
    session = ask(model, TEXT, tokenizer, target=1)
    shapes = {one.values.shape for one in session.stream("integrated_gradients")}
    assert shapes == {(1, len(session.tokens))}
    with torch.no_grad():
        torch.testing.assert_close(session.predict(), model(torch.tensor([session.tokens.ids])).logits)
    session.interrupt = lambda: None
    assert session.interrupt is session.session.interrupt
    session.forget()


def test_a_plain_module(bert):
    model = recurrent()
    session = ask(model, "abcdef", Letters(), target=(5, 9))
    assert session.layer == "embed"
    found = session.attribute("integrated_gradients", baseline="mean")
    torch.testing.assert_close(found.values.sum(1), found.score - found.baseline_score, rtol=0.01, atol=1e-6)
    mean = model.embed.weight.mean(0).expand(1, 6, -1)
    problem = at_embedding(session.problem)
    kept = torch.zeros(1, 6, dtype=torch.bool)
    torch.testing.assert_close(baseline(problem, "mean", kept).draw(problem.points)[0], mean.detach())


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("gpt2", "transformer.wte"),
        ("llama", "model.embed_tokens"),
        ("t5", "encoder.embed_tokens"),
        ("bart", "model.encoder.embed_tokens"),
    ],
)
def test_the_embedding_is_found(family, name):
    model = random(family)
    ids = torch.tensor([[5, 6, 7, 8]])
    call = {"input_ids": ids, "decoder_input_ids": ids} if family in ("t5", "bart") else {"input_ids": ids}
    assert embedding_layer(Problem(model, call, wrt="input_ids", target=(0, 1))) == name
    if len(call) > 1:
        decoder = embedding_layer(Problem(model, call, wrt="decoder_input_ids", target=(0, 1)))
        assert decoder == name.replace("encoder", "decoder")


def test_embeddings_that_cannot_be_used():
    class OneHot(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(60, 2)

        def forward(self, numbers):
            return self.linear(nn.functional.one_hot(numbers, 60).float().mean(1))

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(60, 2)

        def forward(self, numbers):
            return self.embed(numbers).mean(1) + self.embed(numbers.flip(1)).mean(1)

    for model, code in ((OneHot(), "no_embedding"), (Twice(), "shared_embedding")):
        with pytest.raises(ModelError) as caught:
            ask(model.eval(), "abcd", Letters(), target=0).attribute("saliency")
        assert caught.value.code == code
    assert ask(OneHot().eval(), "abcd", Letters(), target=0).attribute("shapley", baseline="mask").values.shape == (
        1,
        4,
    )


def test_errors_say_what_to_do(bert):
    model, tokenizer = bert
    for text, options, code in (
        ("", {}, "only_special"),
        ([], {}, "empty_batch"),
        ("word " * 200, {}, "text_too_long"),
        (5, {}, "not_a_text"),
    ):
        with pytest.raises(InputError) as caught:
            ask(model, text, tokenizer, target=1, **options)
        assert caught.value.code == code
    assert len(ask(model, "word " * 200, tokenizer, target=1, max_length=128).tokens) == 128
    session = ask(model, "good", tokenizer, target=1)
    for parameters, code in (
        ({"baseline": "no such word"}, "unknown_baseline"),
        ({"baseline": "bos"}, "unknown_baseline"),
        ({"baseline": 99999}, "token_range"),
    ):
        with pytest.raises(ParameterError) as refused:
            session.attribute("deeplift", **parameters)
        assert refused.value.code == code
    bare = Letters()
    bare.pad_token_id = bare.eos_token_id = None
    with pytest.raises(InputError) as unpadded:
        ask(recurrent(), ["ab", "abc"], bare, target=(0, 0))
    assert unpadded.value.code == "no_padding"


def test_one_number_a_token():
    values = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    shown = torch.tensor([[True, True, False]])
    torch.testing.assert_close(per_token(values, shown)[:, :2], values.sum(-1)[:, :2])
    assert per_token(values * torch.inf, shown)[:, 2].tolist() == [0, 0]
    with pytest.raises(ParameterError):
        per_token(values, how="max")
