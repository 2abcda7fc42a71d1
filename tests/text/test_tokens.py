"""The strip is the text, whatever the tokenizer; offsets found by ourselves are those of the tokenizer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_zoo import KINDS, NASTY, Slow, get

from xaiwidgets.engine.errors import InputError
from xaiwidgets.text.alignment import align
from xaiwidgets.text.graphemes import graphemes
from xaiwidgets.text.spelling import surface, visible
from xaiwidgets.text.tokenizers import decoded, special_ids, token_id, tokenize, words_of

PIECES = ["a", "the ", " fox", "é", "e\u0301", "\u0301", "\u200d", "👍", "👨\u200d👩\u200d👧", "🇩🇪", "ش\u064e", "שלום", "中", "क्ष",
          "\n", "\t", "   ", "\r\n", "\ud83d", "<script>", "&amp;", ".", "'s", "##", "▁", "Ġ", "[MASK]", "</s>", "\x00", "ﬁ"]  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.text(st.characters(codec=None), max_size=30),
)


def joined(tokens):
    return "".join(map(tokens.slice, tokens.strip))


def check(tokens, text):
    assert joined(tokens) == text
    assert tokens.text == text
    members = [member for stretch in tokens.strip for member in stretch.members]
    assert members == list(range(len(tokens)))
    bounds = {*graphemes(text), 0}
    for stretch in tokens.units:
        assert {stretch.start, stretch.end} <= bounds
        for member in stretch.members:
            token = tokens.items[member]
            assert stretch.start <= token.start <= token.end <= stretch.end
    assert all("\n" not in one and "\t" not in one for one in tokens.surfaces)


@pytest.mark.parametrize("kind", KINDS)
def test_the_strip_is_the_text(kind):
    tokenizer = get(kind)
    for text in NASTY:
        check(tokenize(text, tokenizer), text)
        check(tokenize(text, Slow(tokenizer)), text)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_the_strip_is_any_text(kind, text):
    tokenizer = get(kind)
    check(tokenize(text, tokenizer), text)
    check(tokenize(text, Slow(tokenizer)), text)


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_found_by_ourselves_are_the_tokenizers(kind):
    tokenizer, same, total = get(kind), 0, 0
    for text in NASTY:
        theirs, ours = tokenize(text, tokenizer), tokenize(text, Slow(tokenizer))
        assert theirs.ids == ours.ids
        assert theirs.missed == 0
        for one, other in zip(theirs.items, ours.items, strict=True):
            total += 1
            same += (one.start, one.end) == (other.start, other.end)
    assert same / total > (0.94 if kind == "wordpiece" else 0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_sentences_are_found_exactly(kind):
    tokenizer = get(kind)
    for text in ("The plot is not good, but the acting: superb!", "naïve café", "one\ntwo\tthree"):
        theirs, ours = tokenize(text, tokenizer), tokenize(text, Slow(tokenizer))
        assert ours.missed == 0
        for one, other in zip(theirs.items, ours.items, strict=True):
            bare = [text[item.start : item.end].strip() for item in (one, other)]
            assert bare[0] == bare[1] or not bare[1]  # a space put in front stands for no character


def test_unknown_words_keep_their_characters():
    tokens = tokenize("see 🤗 here", get("wordpiece"))
    assert [tokens.slice(unit) for unit in tokens.units if unit.end > unit.start] == ["see", "🤗", "here"]
    assert [token.special for token in tokens.items] == [True, False, False, False, True]
    assert tokens.words == [False, True, True, True, False]


def test_parts_of_a_character_are_one_unit():
    tokens = tokenize("a€👍🏽", get("bytes"))
    units = [unit for unit in tokens.units if len(unit.members) > 1]
    assert [tokens.slice(unit) for unit in units] == ["€", "👍🏽"]
    assert [tokens.surfaces[member] for member in units[0].members] == ["⟨E2⟩", "⟨82⟩", "⟨AC⟩"]
    characters = tokenize("x👨\u200d👩\u200d👧y", get("characters"))
    assert [characters.slice(unit) for unit in characters.units] == ["x", "👨\u200d👩\u200d👧", "y"]


def test_special_tokens_that_were_typed_are_text():
    text = "a [MASK] b [SEP] c"
    tokens = tokenize(text, get("wordpiece"))
    typed = {text[token.start : token.end]: token.special for token in tokens.items if token.end > token.start}
    assert typed == {"a": False, "[MASK]": False, "b": False, "[SEP]": True, "c": False}
    assert (tokens.items[0].start, tokens.items[0].end, tokens.items[0].surface) == (0, 0, "[CLS]")


@pytest.mark.parametrize("wrap", [lambda one: one, Slow])
def test_two_texts(wrap):
    tokenizer = get("wordpiece")
    if wrap is Slow:
        tokenizer = Slow(tokenizer)
        tokenizer.__class__ = type("Pairs", (Slow,), {"__call__": lambda self, *pair: dict(self.inner(*pair))})
    tokens = tokenize(("A question?", "An answer."), tokenizer)
    assert joined(tokens) == "A question?An answer."
    parts = [token.part for token in tokens.items if not token.special]
    assert parts == ["first"] * (parts.count("first")) + ["second"] * parts.count("second")
    assert {tokens.text[token.start : token.end] for token in tokens.items if token.part == "first"} >= {"A", "?"}
    assert len(tokens.inputs["attention_mask"]) == len(tokens)


def test_plain_functions_and_lists():
    tokens = tokenize("Hello, wide  world", str.split)
    assert [tokens.text[one.start : one.end] for one in tokens.items] == ["Hello,", "wide", "world"]
    tokens = tokenize("Hello, wide  world", ["hello", ",", "wide", "WORLD"])
    assert [tokens.text[one.start : one.end] for one in tokens.items] == ["Hello", ",", "wide", "world"]
    assert tokens.missed == 0
    tokens = tokenize("a b", ["zzz", "b"])
    assert tokens.missed == 1
    assert joined(tokens) == "a b"
    numbers = tokenize("abc", lambda text: [[ord(character) for character in text]])
    assert numbers.ids == [97, 98, 99]
    assert joined(numbers) == "abc"


def test_offsets_that_cannot_be_true_are_not_taken():
    class Lying:
        def __call__(self, text):
            return {"input_ids": [1, 2, 3], "offset_mapping": self.offsets}

        def convert_ids_to_tokens(self, number):
            return ["", "one", "two", "three"][number]

    for offsets in ([(0, 0), (4, 4), (8, 8)], [(4, 7), (0, 3), (8, 13)], [(0, 3), (4, 7), (8, 99)]):
        tokenizer = Lying()
        tokenizer.offsets = offsets
        tokens = tokenize("one two three", tokenizer)
        assert [(one.start, one.end) for one in tokens.items] == [(0, 3), (4, 7), (8, 13)]


def test_long_texts_are_cut_only_when_asked():
    text = "good " * 200
    whole, cut = tokenize(text, get("wordpiece")), tokenize(text, get("wordpiece"), max_length=10)
    assert (len(whole), len(cut)) == (202, 10)
    assert joined(cut) == text
    assert len(tokenize(text, get("bytes"), max_length=7)) == 7


def test_what_is_no_text_and_no_tokenizer():
    for text, tokenizer, code in (
        (3, str.split, "not_a_text"),
        (("a", "b", "c"), str.split, "not_a_text"),
        ("a", None, "no_tokenizer"),
        ("a", lambda text: 5, "no_tokenizer"),
        ("a", lambda text: [0.5], "no_tokenizer"),
        ("a", lambda text: {"words": 1}, "no_tokenizer"),
    ):
        with pytest.raises(InputError) as caught:
            tokenize(text, tokenizer)
        assert caught.value.code == code


def test_padding_and_joining():
    tokens = tokenize("good movie", get("wordpiece"))
    padded = tokens.padded(8, 0)
    assert padded.inputs["input_ids"][len(tokens) :] == (0,) * (8 - len(tokens))
    assert sum(padded.inputs["attention_mask"]) == len(tokens)
    assert [token.part for token in padded.items[len(tokens) :]] == ["padding"] * (8 - len(tokens))
    left = tokens.padded(8, 0, left=True)
    assert left.inputs["input_ids"][-len(tokens) :] == tokens.inputs["input_ids"]
    for one in (padded, left, tokens.joined(tokens)):
        assert joined(one) == one.text


def test_javascript_counts_differently():
    tokens = tokenize("a👍b", str.split)
    assert tokens.utf16([0, 1, 2, 3]) == [0, 1, 3, 4]
    for text in NASTY:
        places = list(range(len(text) + 1))
        lengths = [len(text[:place].encode("utf-16-le", "surrogatepass")) // 2 for place in places]
        assert tokenize(text, str.split).utf16(places) == lengths


def test_whitespace_is_made_visible():
    assert visible(" \n\t\u00a0\x07") == "␣⏎⇥⍽⟨07⟩"
    assert surface("two words\n") == "two words⏎"
    assert surface("  ") == "␣␣"


def test_tokens_without_a_text():
    tokenizer = get("llama")
    ids = tokenizer("a good 👍")["input_ids"]
    tokens = words_of(ids, tokenizer)
    assert tokens.items[0].special
    assert tokens.surfaces[0] == "<s>"
    assert tokens.surfaces[-1].startswith("⟨")
    assert words_of([1, 2], None, ["x", "y"]).surfaces == ["x", "y"]
    for arguments, code in (([1, 2], None, ["x"]), "token_count"), (([1], None), "no_tokens"):
        with pytest.raises(InputError) as caught:
            words_of(*arguments)
        assert caught.value.code == code
    assert decoded(0, tokenizer) == "<s>"


@pytest.mark.parametrize(("kind", "special", "unknown"), [("wordpiece", {0, 2, 3}, 1), ("characters", {1}, 0)])
def test_what_is_special(kind, special, unknown):
    tokenizer = get(kind)
    assert special_ids(tokenizer) == special
    assert token_id(tokenizer, "unk") == unknown
    assert token_id(tokenizer, "eos") is None


def test_graphemes_are_those_of_unicode():
    regex = pytest.importorskip("regex", reason="the regex package comes with transformers")
    draw = random.Random(0)
    pool = [*"ab é\n\r\t1.#", "\u0301", "\u200d", "\ufe0f", *"👨👩👧🏽❤🇩🇪ش🏴©", "\u064e", "\u0600", *"क्षिനകമ", "한", "\u1112", "\u1161",
            "\u11ab", "中", "ำ", "ก", "\U000e0067", "\u20e3", "\u200b", "\u0bbe", "\u0ba8"]  # fmt: skip
    for _ in range(4000):
        text = "".join(draw.choices(pool, k=draw.randint(1, 9)))
        assert graphemes(text) == [0, *(match.end() for match in regex.finditer(r"\X", text))], text


def test_a_long_text_is_aligned_in_linear_time():
    words = [f"word{number % 97}" for number in range(20_000)]
    text = "  ".join(words)
    found = align(text, [None if number % 7 == 3 else word for number, word in enumerate(words)])
    assert found.missed == 0
    assert [text[start:end] for start, end in found.spans] == words
