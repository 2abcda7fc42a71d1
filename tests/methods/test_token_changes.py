"""Token erasure against texts changed by hand, and ReAGent's update and its end against the paper's."""

import pytest
import torch
import zoo
from torch import nn
from torch.nn import functional

from xaiwidgets.api import Session, attribute, stream
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.target import Contrast, Each
from xaiwidgets.methods.token_changes import _Replacer, _Search
from xaiwidgets.methods.word_paths import nearest_words

IDS = torch.tensor([[5, 3, 7, 2, 9, 4], [9, 1, 4, 6, 0, 0]])


class Bag(nn.Module):
    """Logits are sums over the words: every token's part is known. [batch, tokens] to [batch, 5]."""

    def __init__(self, words=12, classes=5):
        super().__init__()
        self.embed = nn.Embedding(words, 6)
        self.head = nn.Linear(6, classes)

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return self.head((self.embed(input_ids) * mask.unsqueeze(2)).sum(1))


@pytest.fixture
def bag():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Bag().eval()


def run(model, inputs, method, target=1, **settings):
    return attribute(model, inputs, target=target, method=method, **settings)


# --- token erasure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("removal", ["replace", "attention_mask"])
def test_erasure_by_hand(family, removal):
    model, _ = zoo.make(f"{family}_sdpa")
    inputs = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
    found = run(model, inputs, "token_erasure", wrt="input_ids", removal=removal, baseline=8, target=Each(0, 3))
    with torch.no_grad():
        full = model(**inputs).logits
        for token in range(6):
            other = {key: value.clone() for key, value in inputs.items()}
            if removal == "replace":
                other["input_ids"][:, token] = 8
            else:
                other["attention_mask"][:, token] = 0
            change = full - model(**other).logits
            assert torch.allclose(found.values[:, :, token], change[:, [0, 3]].T.float(), rtol=1e-4, atol=1e-5)
    assert found.evaluations["gradient"] == 0


def test_erasure_of_a_sum_is_its_parts(bag):
    parts = functional.linear(bag.embed.weight, bag.head.weight)[:, 2].detach()
    hidden = run(bag, {"input_ids": IDS}, "token_erasure", target=2, removal="attention_mask").values
    assert torch.allclose(hidden, parts[IDS], atol=1e-5)
    replaced = run(bag, {"input_ids": IDS}, "token_erasure", target=2, baseline=8).values
    assert torch.allclose(replaced, parts[IDS] - parts[8], atol=1e-5)
    kept = torch.where(IDS == 9, 9, 8)
    assert torch.allclose(
        run(bag, IDS, "token_erasure", target=2, baseline=kept).values, parts[IDS] - parts[kept], atol=1e-5
    )
    words = torch.tensor([0, 0, 1, 1, 1, 2])
    grouped = run(bag, IDS, "token_erasure", target=2, baseline=8, regions=words).values
    sums = torch.zeros(2, 3).index_add_(1, words, parts[IDS] - parts[8])
    assert torch.allclose(grouped, sums[:, words], atol=1e-5)


def test_hidden_and_replaced_are_not_mixed_up(bag):
    session = Session(bag, {"input_ids": IDS}, target=2)
    replaced = session.attribute("token_erasure", baseline=0).values
    hidden = session.attribute("token_erasure", removal="attention_mask").values
    assert not torch.allclose(replaced, hidden)
    assert torch.equal(session.attribute("token_erasure", baseline=0).values, replaced)


def test_what_stands_for_absent(bag):
    with pytest.raises(ParameterError) as error:
        run(bag, IDS, "token_erasure")
    assert error.value.code == "baseline_needs_tokens"
    bag.config = type("Config", (), {"unk_token_id": 3, "eos_token_id": 7, "pad_token_id": None})()
    assert torch.equal(run(bag, IDS, "token_erasure").values, run(bag, IDS, "token_erasure", baseline=3).values)
    bag.config.pad_token_id = 5
    auto = run(bag, IDS, "token_erasure").values
    assert torch.equal(auto, run(bag, IDS, "token_erasure", baseline="pad_token").values)
    for baseline in (-1, 0.5, True, "zeros", torch.zeros(4, dtype=torch.long)):
        with pytest.raises(ParameterError):
            run(bag, IDS, "token_erasure", baseline=baseline)


@pytest.mark.parametrize("method", ["token_erasure", "reagent"])
def test_what_is_no_text(method, bag):
    for model, inputs, settings in (
        (nn.Linear(6, 3).eval(), torch.rand(2, 6), {}),
        (bag, IDS, {"layer": "embed"}),
        (bag, {"input_ids": IDS}, {"wrt": ["input_ids"]}),
    ):
        with pytest.raises(InputError) as error:
            run(model, inputs, method, **settings)
        assert error.value.code == "not_tokens"
    if method == "token_erasure":
        with pytest.raises(InputError) as error:
            run(bag, IDS, method, removal="attention_mask")
        assert error.value.code == "no_attention_mask"


# --- ReAGent ---------------------------------------------------------------------------------------------------------


def test_one_update_by_hand(bag):
    session = Session(bag, IDS, target=2)
    problem = session.problem.begin()
    with torch.no_grad():
        replacer = _Replacer(problem, IDS, "neighbours", 4)
        search = _Search(problem, replacer, 0.5, 1)
        generator = torch.Generator().manual_seed(0)
        chance, first, second = torch.rand((3, 3, 6), generator=generator)
        chosen = chance < 0.4
        search.update(chosen, first, second)
        vectors = bag.embed.weight
        before = bag(IDS).softmax(1)[:, 2].double()
        for sample in range(3):
            for row in range(2):
                text = IDS[row].clone()
                for token in torch.nonzero(chosen[sample]).flatten().tolist():
                    distances = (vectors - vectors[text[token]]).norm(dim=1)
                    distances[text[token]] = torch.inf
                    text[token] = distances.argsort()[int(first[sample, token] * 4)]
                fall = before[row] - bag(text[None]).softmax(1)[0, 2].double()
                signed = torch.where(chosen[sample], fall, -fall)
                expected = torch.logit(0.5 * signed + 0.5)
                assert torch.allclose(search.gained[0, sample, row], expected, rtol=1e-4, atol=1e-6)
                # enough: the best half of the tokens, with all others replaced, make class 2 the first
                kept = expected.argsort(descending=True, stable=True)[:3]
                text = replacer.draw(second)[sample, row].clone()
                text[kept] = IDS[row, kept]
                assert bool(search.active[0, sample, row]) == (int(bag(text[None]).argmax()) != 2)


def test_shares_settle_where_the_evidence_is():
    """A class that one word alone decides: that word gets most of the importance."""
    torch.manual_seed(1)
    model = Bag(words=20).eval()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
        model.embed.weight[:, 0] = 0
        model.embed.weight[7, 0] = 8
        model.head.weight[2, 0] = 0.5
        model.head.bias[2] = -1  # the last of all classes without word 7
    ids = torch.tensor([[3, 5, 7, 1, 2, 4, 6, 8, 9, 10]])
    found = run(model, ids, "reagent", target=2, replacements="vocabulary", keep=0.1, samples=16)
    assert found.values.shape == (1, 10)
    assert torch.allclose(found.values.sum(1), torch.ones(1))
    assert int(found.values[0].argmax()) == 2
    assert found.values.min() >= 0


def test_searches_end_and_cost_no_more(bag):
    """With every token kept the target keeps its rank at once; a function's rank is not known, and takes all steps."""
    model, target = bag, int(bag(IDS[:1]).argmax())
    short = run(model, IDS[:1], "reagent", target=target, keep=0.95, steps=16, samples=4)
    assert short.evaluations["forward"] <= 4 + 2 * 4
    assert short.progress == (64, 64)
    long = run(
        model, IDS[:1], "reagent", target=lambda output: output.softmax(1)[:, target], keep=0.95, steps=16, samples=4
    )
    assert long.evaluations["forward"] >= 4 * 16
    *parts, last = stream(model, IDS[:1], target=0, method="reagent", steps=5, samples=2, keep=0.05, rank=1)
    assert torch.allclose(last.values.sum(), torch.ones(()))
    assert len(parts) <= 4


@pytest.mark.parametrize("replacements", ["neighbours", "vocabulary"])
def test_rows_targets_batches_and_seeds(bag, replacements):
    settings = {"replacements": replacements, "steps": 6, "samples": 3}
    inputs = {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
    both = {"wrt": "input_ids", **settings}
    whole = run(bag, inputs, "reagent", **both)
    assert torch.equal(run(bag, inputs, "reagent", **both).values, whole.values)
    assert torch.allclose(run(bag, inputs, "reagent", batch_size=1, **both).values, whole.values, atol=1e-6)
    assert not torch.allclose(run(bag, inputs, "reagent", seed=1, **both).values, whole.values)
    alone = run(bag, {key: value[1:] for key, value in inputs.items()}, "reagent", **both)
    assert torch.allclose(alone.values[0], whole.values[1], atol=1e-6)
    assert not whole.values[1, 4:].any()  # hidden by the mask
    several = run(bag, inputs, "reagent", target=Each(1, Contrast(3, 0)), **both)
    assert torch.allclose(several.values[0], whole.values, atol=1e-6)
    assert torch.allclose(
        several.values[1], run(bag, inputs, "reagent", target=Contrast(3, 0), **both).values, atol=1e-6
    )


class Guesses(nn.Module):
    """A masked language model that is sure of one word at each place."""

    def __init__(self, sure, words=12):
        super().__init__()
        self.sure, self.words = sure, words

    def forward(self, input_ids, attention_mask=None):
        return 50.0 * functional.one_hot(self.sure.expand_as(input_ids), self.words).float()


def test_words_of_a_masked_language_model(bag):
    sure = torch.tensor([1, 2, 3, 4, 5, 6])
    problem = Session(bag, IDS, target=2).problem.begin()
    with torch.no_grad():
        drawn = _Replacer(problem, IDS, Guesses(sure), 4).draw(torch.rand(5, 6))
        assert drawn.shape == (5, 2, 6)
        assert torch.equal(drawn, sure.expand(5, 2, 6))  # it guesses none of the text's own words here
        own = _Replacer(problem, IDS, Guesses(IDS[0]), 4).draw(torch.rand(200, 6))[:, 0]
        assert not (own == IDS[0]).any()  # a word is not replaced by itself
    found = run(bag, IDS, "reagent", replacements=Guesses(sure), samples=2, steps=3)
    assert torch.allclose(found.values.sum(1), torch.ones(2))
    with pytest.raises(ParameterError) as error:
        run(bag, IDS, "reagent", replacements=nn.Embedding(12, 3))
    assert error.value.code == "masked_lm"


def test_what_reagent_refuses(bag):
    with pytest.raises(ParameterError) as error:
        run(bag, IDS, "reagent", target=lambda output: output[:, 1] * 100)
    assert error.value.code == "not_a_probability"
    with pytest.raises(ParameterError):
        run(bag, IDS, "reagent", replacements="roberta")

    class Counting(nn.Module):
        def forward(self, input_ids):
            return torch.stack([input_ids.sum(1), input_ids.amax(1)], 1).float()

    with pytest.raises(ModelError) as error:
        run(Counting().eval(), IDS, "reagent")
    assert error.value.code == "no_embedding"


def test_nearest_words():
    vectors = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    words = torch.tensor([3, 17])
    found = nearest_words(vectors, words, 5)
    distances = torch.cdist(vectors[words], vectors)
    assert torch.equal(found, distances.argsort(1)[:, 1:6])


def test_a_next_word_of_the_stored_model(shared):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = shared / "models" / "sst2-llama-tiny"
    if not folder.exists():
        pytest.skip(f"no stored model at {folder}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer("this is one of the best films of the", return_tensors="pt").input_ids
    last = ids.shape[1] - 1
    with torch.no_grad():
        word = int(model(input_ids=ids).logits[0, last].argmax())
    assert tokenizer.decode([word]).strip() == "year"
    found = run(model, {"input_ids": ids}, "reagent", target=(last, word))
    assert torch.allclose(found.values.sum(1), torch.ones(1))
    erased = run(model, {"input_ids": ids}, "token_erasure", target=(last, word)).values[0]
    assert int(erased.argmax()) == last  # "the year"
