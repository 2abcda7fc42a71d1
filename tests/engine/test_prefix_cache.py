"""Suffixes from a cache against whole texts, and who is run whole."""

from itertools import pairwise

import pytest
import torch
import zoo
from torch import nn

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine import prefix_cache
from xaiwidgets.engine.prefix_cache import prefix_scores, supported
from xaiwidgets.engine.target import Contrast, Each

TOKENS = 24
FAMILIES = {
    "gpt2": {"n_layer": 2, "n_head": 4, "n_embd": 16, "n_positions": 64},
    "llama": {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16},
    "qwen2": {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16},
    "mistral": {
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16, "sliding_window": 6
    },
}  # fmt: skip
CLASSES = {"gpt2": "GPT2", "llama": "Llama", "qwen2": "Qwen2", "mistral": "Mistral"}


class Function:
    """A model as a plain function, which has no cache."""

    def __init__(self, model):
        self.model = model

    def __call__(self, **named):
        return self.model(**named)


def decoder(family, kind="ForCausalLM", attention="sdpa"):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {"vocab_size": 40, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 4}
    rest = {} if family == "gpt2" else {"intermediate_size": 32, "max_position_embeddings": 64}
    name = CLASSES[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(
            **sizes, **rest, **FAMILIES[family], attn_implementation=attention
        )
        kind = "LMHeadModel" if (family, kind) == ("gpt2", "ForCausalLM") else kind
        model = getattr(transformers, f"{name}{kind}")(config).eval()
        for parameter in model.parameters():
            parameter.data.mul_(4) if parameter.ndim > 1 else None
    return model


def texts(rows=2, padded=True):
    ids = torch.randint(3, 40, (rows, TOKENS), generator=torch.Generator().manual_seed(1))
    if padded and rows > 1:
        ids[1, -4:] = 0
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def changed(ids, count, seed=2):
    """Texts with one or several other tokens, of any row, in any order."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(ids), (count,), generator=generator)
    points = ids[rows].clone()
    for number in range(count):
        places = torch.randint(0, ids.shape[1], (1 + number % 3,), generator=generator)
        points[number, places] = torch.randint(0, 40, (len(places),), generator=generator)
    return points.float(), rows


@torch.no_grad()
def compare(model, inputs, target, wrt="input_ids", batch_size="auto"):
    """Scores of changed texts from the cache and whole, and what was counted."""
    session = Session(model, inputs, target=target, wrt=wrt, batch_size=batch_size)
    problem = session.problem.begin()
    points, rows = changed(inputs["input_ids"], 40)
    if wrt == "attention_mask":
        points = (points != inputs["input_ids"][rows]).logical_not().float() * inputs["attention_mask"][rows]
    assert supported(problem)
    found, expected = prefix_scores(problem, points, rows), problem.scores(points, rows)
    return found, expected, problem.evaluations


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("wrt", ["input_ids", "attention_mask"])
def test_suffixes_give_what_whole_texts_give(family, attention, wrt):
    target = Each(Contrast((TOKENS - 1, 3), (TOKENS - 1, 9)), (5, 7), lambda output: output.logits[:, :, 4].sum(1))
    found, expected, counts = compare(decoder(family, attention=attention), texts(), target, wrt)
    assert found.shape == (40, 3)
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    assert counts["tokens"] + counts["tokens_saved"] == 40 * TOKENS
    assert counts["tokens_saved"] > 0


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("batch_size", ["auto", 1, 7])
def test_classifiers_read_the_last_token_that_is_no_padding(family, batch_size):
    """Also where the change makes padding of the last tokens, and where it is among the padding."""
    model, inputs = decoder(family, "ForSequenceClassification"), texts()
    found, expected, _ = compare(model, inputs, 1, batch_size=batch_size)
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    with torch.no_grad():
        problem = Session(model, inputs, target=1, wrt="input_ids").problem.begin()
        points, rows = inputs["input_ids"][[0, 0, 1, 1]].float(), torch.tensor([0, 0, 1, 1])
        points[0, -1], points[1, -3:], points[2, -1], points[3, 10:] = 0, 0, 5, 0
        assert torch.allclose(prefix_scores(problem, points, rows), problem.scores(points, rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["token_erasure", "feature_ablation"])
def test_erasing_every_token_saves_nearly_half(method, capsys):
    model, inputs = decoder("llama"), texts(rows=1)
    inputs["input_ids"] = torch.randint(3, 40, (1, 60), generator=torch.Generator().manual_seed(3))
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    settings = {"target": (59, 7), "wrt": "input_ids", "method": method, "baseline": 0}
    found = attribute(model, inputs, **settings)
    tokens, saved = found.evaluations["tokens"], found.evaluations["tokens_saved"]
    with capsys.disabled():
        print(f"\n{method}: {tokens} tokens evaluated, {saved} saved ({saved / (tokens + saved):.0%})")
    assert tokens + saved == 60 * 60
    assert saved > 0.35 * 60 * 60
    whole = attribute(model, inputs, forward=Function(model), **settings)
    assert "tokens" not in whole.evaluations
    assert torch.allclose(found.values, whole.values, rtol=1e-4, atol=1e-5)
    alone = attribute(model, inputs, batch_size=1, **settings)
    assert alone.evaluations["tokens"] == 60 * 61 // 2  # nothing but suffixes
    assert torch.allclose(alone.values, whole.values, rtol=1e-4, atol=1e-5)


def test_words_several_targets_and_rows():
    model, inputs = decoder("gpt2"), texts()
    words = torch.arange(TOKENS) // 3
    target = Each((TOKENS - 1, 5), (TOKENS - 5, 6))
    for settings in ({"baseline": 0}, {"removal": "attention_mask"}):
        found = attribute(
            model, inputs, target=target, wrt="input_ids", method="token_erasure", regions=words, **settings
        )
        assert found.values.shape == (2, 2, TOKENS)
        for word in (0, 4, 7):
            other = {key: value.clone() for key, value in inputs.items()}
            other["attention_mask" if "removal" in settings else "input_ids"][:, words == word] = 0
            with torch.no_grad():
                change = model(**inputs).logits - model(**other).logits
            for place, (position, token) in enumerate(target.targets):
                expected = change[:, position, token][:, None].expand(-1, 3)
                assert torch.allclose(found.values[place][:, words == word], expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_was_changed_is_asked_again():
    model, inputs = decoder("llama"), texts(rows=1)
    session = Session(model, inputs, target=(20, 3), wrt="input_ids")
    before = session.attribute("token_erasure", baseline=0).values
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    assert torch.allclose(session.attribute("token_erasure", baseline=0).values, 2 * before, rtol=1e-4, atol=1e-5)


class Liar(nn.Module):
    """Takes a cache and does not use it."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, input_ids, past_key_values=None, use_cache=False):
        output = self.model(input_ids)
        if past_key_values is not None:
            self.model(input_ids, past_key_values=past_key_values, use_cache=use_cache)
            output.logits = output.logits * 1.001
        return output


@torch.no_grad()
def test_who_is_run_whole():
    bert, _ = zoo.make("bert_sdpa")
    llama, inputs = decoder("llama"), texts(rows=1)
    embeddings = {"inputs_embeds": llama.model.embed_tokens(inputs["input_ids"])}
    ids = inputs["input_ids"]
    for model, given, settings in (
        (bert, {key: value[:, :10] % 32 for key, value in inputs.items()}, {"target": 1, "wrt": "input_ids"}),
        (llama, embeddings, {"target": (3, 4)}),
        (llama, {**inputs, "labels": ids}, {"target": (3, 4), "wrt": "input_ids"}),
        (llama, inputs, {"target": (3, 4), "wrt": "input_ids", "forward": Function(llama)}),
        (llama, (ids,), {"target": (3, 4)}),
        (llama, {"input_ids": ids[:, :3]}, {"target": (2, 4)}),
        (Liar(llama).eval(), {"input_ids": ids}, {"target": (3, 4)}),
    ):
        problem = Session(model, given, **settings).problem.begin()
        assert not supported(problem)
        rows = torch.zeros(2, dtype=torch.long)
        points = problem.points[rows].clone()
        if not problem.inputs.differentiable:
            points[1, 1] = 4
        assert torch.allclose(prefix_scores(problem, points, rows), problem.scores(points, rows), rtol=1e-5)
        assert problem.evaluations.keys() == {"forward", "gradient"}
    assert supported(Session(llama, ids, target=(3, 4)).problem.begin())


def test_groups_are_worth_a_call():
    first = [0, 0, 1, 5, 6, 30, 31, 50, 60, 63]
    groups = list(prefix_cache._groups(first, 64))
    assert groups[0].start == 0
    assert groups[-1].stop == len(first)
    assert all(one.stop == two.start for one, two in pairwise(groups))
    for group in groups[:-1]:
        assert (group.stop - group.start) * (64 - first[group.start]) >= prefix_cache.WORTH_A_CALL
    assert len(list(prefix_cache._groups([0, 1, 2, 3], 4))) == 1
    assert list(prefix_cache._groups([7], 8)) == [slice(0, 1)]


def test_the_stored_language_model(shared):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = shared / "models" / "sst2-llama-tiny"
    if not folder.exists():
        pytest.skip(f"no stored model at {folder}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    inputs = {
        "input_ids": tokenizer("this is one of the best films of the year , and " * 3, return_tensors="pt").input_ids
    }
    target = (inputs["input_ids"].shape[1] - 1, 7)
    found = attribute(model, inputs, target=target, wrt="input_ids", method="token_erasure")
    whole = attribute(model, inputs, target=target, wrt="input_ids", method="token_erasure", forward=Function(model))
    assert found.evaluations["tokens_saved"] > 0.3 * inputs["input_ids"].numel() ** 2
    assert float((found.values - whole.values).abs().max()) <= 1e-5 * float(whole.score.abs().max())
