"""Sentences whose deciding words are known: learned, and pointed at by the methods that promise it."""

from __future__ import annotations

import pytest
import torch

from benchmarks.tokens import PROMISED, first_words
from xaiwidgets.examples.sentences import (
    BLAME,
    MASK,
    NAMES,
    NEGATORS,
    PAD,
    PRAISE,
    Sentences,
    WordTokenizer,
    sentences,
    vocabulary,
    written,
)  # fmt: skip
from xaiwidgets.text.tokenizers import tokenize

COUNT = 60


@pytest.fixture(scope="module")
def example() -> Sentences:
    return sentences()


def test_the_model_knows_negation(example):
    assert example.accuracy >= 0.98
    assert example.accuracy_negated >= 0.98
    assert not example.model.training
    ids = example.tokenizer.batch([one.text for one in example.sentences])
    with torch.no_grad():
        says = example.model(ids).argmax(1)
    assert float((says == torch.tensor([one.label for one in example.sentences])).float().mean()) == example.accuracy
    trained = {one.text for one in example.train_sentences}
    assert not any(one.text in trained for one in example.sentences)
    assert sum(one.negated for one in example.sentences) > 200


def test_the_deciding_words_are_as_told(example):
    for one in example.sentences:
        words = one.text.split()
        judged = [place for place, word in enumerate(words) if word in PRAISE or word in BLAME]
        assert list(one.salient[-1:]) == judged
        assert one.negated == (len(one.salient) == 2)
        praised = bool(judged) and words[judged[0]] in PRAISE
        assert NAMES[one.label] == ("neutral" if not judged else "positive" if praised != one.negated else "negative")
        if one.negated:
            assert words[one.salient[0]] in NEGATORS
            assert judged[0] - one.salient[0] in (1, 2)
        elif judged:
            assert not {*NEGATORS} & {*words[max(0, judged[0] - 2) : judged[0]]}
    assert {one.label for one in example.sentences} == {0, 1, 2}


def test_without_its_deciding_words_a_sentence_says_something_else(example):
    """Deciding is meant: masking the evaluation makes neutral, masking what negates it turns the sentence round."""
    chosen = [one for one in example.sentences if one.salient][:200]
    ids = example.tokenizer.batch([one.text for one in chosen])
    for which, expected in ((-1, lambda _label: 1), (0, lambda label: 2 - label)):
        part = [row for row, one in enumerate(chosen) if which == -1 or one.negated]
        masked = ids[part].clone()
        masked[torch.arange(len(part)), torch.tensor([chosen[row].salient[which] for row in part])] = MASK
        with torch.no_grad():
            says = example.model(masked).argmax(1)
        right = says == torch.tensor([expected(chosen[row].label) for row in part])
        assert float(right.float().mean()) > 0.97


def test_the_known_words_are_the_top_words(example):
    """The words that decide have the largest values, in at least 95 of 100 sentences; the benchmarks have all methods' figures."""
    shares = {method: first_words(example, method, COUNT)[0] for method in (*PROMISED, "attention_rollout")}
    assert all(shares[method] >= 0.95 for method in PROMISED), shares
    assert shares["attention_rollout"] < 0.5  # the figure tells methods apart


def test_the_tokenizer_is_like_others():
    tokenizer = WordTokenizer(vocabulary())
    assert len(tokenizer) <= 128
    text = "The film, sadly, was [MASK] good!"
    tokens = tokenize(text, tokenizer)
    assert [tokens.slice(unit) for unit in tokens.units] == [
        "The",
        "film",
        ",",
        "sadly",
        ",",
        "was",
        "[MASK]",
        "good",
        "!",
    ]
    assert [token.id for token in tokens.items][3] == tokenizer.unk_token_id
    assert tokens.items[6].id == MASK
    both = tokenizer("the film", return_tensors="pt")
    assert both["input_ids"].tolist() == [tokenizer.encode("the film")]
    assert tokenizer.decode([*tokenizer.encode("the film"), PAD], skip_special_tokens=True) == "the film"
    assert tokenizer.convert_ids_to_tokens([PAD, MASK]) == ["[PAD]", "[MASK]"]
    assert tokenizer.convert_tokens_to_ids("film") == tokenizer.encode("film")[0]
    assert tokenizer.convert_tokens_to_ids("xyz") == tokenizer.unk_token_id


def test_everything_depends_on_the_seed_alone():
    state = torch.get_rng_state()
    first, again, other = (sentences.__wrapped__(count=300, steps=3, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.sentences == again.sentences != other.sentences
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(value, again.model.state_dict()[name], rtol=0, atol=0)
        torch.testing.assert_close(value, first.checkpoints[-1][name], rtol=0, atol=0)
    assert len(written(50, 0)) == len({one.text for one in written(50, 0)}) == 50
