"""Groups of tokens: a partition whose sums are the tokens' sums."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given, settings
from test_tokens import texts
from tokenizer_zoo import KINDS, NASTY, get

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.text.groups import UNIT_NAMES, find_all, group
from xaiwidgets.text.segments import UNITS, starts, words
from xaiwidgets.text.tokenizers import tokenize

UNITS_BY_PLACE = [unit for unit in UNIT_NAMES if unit != "regex"]


def check(tokens, groups):
    assert len(groups.of) == len(tokens)
    assert set(groups.of) == set(range(len(groups)))
    members = sorted(member for span in groups.spans for member in span.members)
    assert members == list(range(len(tokens)))
    for number, span in enumerate(groups.spans):
        assert all(groups.of[member] == number for member in span.members)
        assert all(
            span.start <= tokens.items[member].start <= tokens.items[member].end <= span.end for member in span.members
        )
    values = torch.randn(3, len(tokens), generator=torch.Generator().manual_seed(len(tokens)))
    sums = groups.reduce(values)
    assert sums.shape == (3, len(groups))
    expected = [values.double()[:, list(span.members)].sum(1) for span in groups.spans]
    if expected:
        torch.testing.assert_close(sums, torch.stack(expected, 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(sums.sum(1), values.double().sum(1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(text=texts)
def test_groups_are_a_partition_and_keep_sums(kind, text):
    tokens = tokenize(text, get(kind))
    for unit in UNITS_BY_PLACE:
        check(tokens, group(tokens, unit))


@pytest.mark.parametrize("kind", KINDS)
def test_nasty_texts_too(kind):
    for text in NASTY:
        tokens = tokenize(text.replace(" " * 3000, " " * 300), get(kind))
        for unit in UNITS_BY_PLACE:
            check(tokens, group(tokens, unit))
    check(tokens, group(tokens, "regex", r"\w+"))


def names(text, unit, kind="bytes", pattern=None):
    tokens = tokenize(text, get(kind))
    return [tokens.slice(span) for span in group(tokens, unit, pattern).spans]


@pytest.mark.parametrize("kind", ["bytes", "characters"])
def test_words(kind):
    assert names("It isn't 3.14, Zoë!", "word", kind) == ["It ", "isn't ", "3.14", ", ", "Zoë", "!"]
    assert names("nothing-like e-mails", "word", kind) == ["nothing-like ", "e-mails"]


def test_words_of_many_scripts():
    assert words("he said: “no” (twice)") == ["he", "said", ":", "“", "no", "”", "(", "twice", ")"]
    assert words("你好，世界") == ["你", "好", "，", "世", "界"]
    assert words("شُكراً جزيلاً") == ["شُكراً", "جزيلاً"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]


def test_sentences_lines_and_paragraphs():
    assert names('Good? "Yes." he said. It ended', "sentence") == ["Good? ", '"Yes." he said. ', "It ended"]
    assert names("one\ntwo\r\nthree", "line") == ["one\n", "two\r\n", "three"]
    text = "a b\nc\n\n \nd\ne"
    assert starts(text, "paragraph") == [0, text.index("d")]
    assert starts("你好。再见！", "sentence") == [0, 3]


@given(text=texts)
@settings(max_examples=50, deadline=None)
def test_starts_are_in_order(text):
    for unit in UNITS:
        found = starts(text, unit)
        assert found[0] == 0
        assert found == sorted(set(found))
        assert all(place < len(text) for place in found[1:])


def test_matches_are_groups_and_the_rest_is_single():
    expected = ["Q", ":", " ", "w", "h", "o", "?", " ", "A: me.", " ", "o", "k"]
    assert names("Q: who? A: me. ok", "regex", pattern=r"A:[^.]*\.") == expected
    tokens = tokenize("aaa bbb aaa", get("characters"))
    groups = group(tokens, "regex", "a+")
    assert groups.of == (0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6)


@pytest.mark.parametrize("pattern", ["(", "*a", "[z-a]", "", None, "(?P<1>a)", "a{99999999999999}"])
def test_patterns_that_are_none(pattern):
    with pytest.raises(ParameterError) as caught:
        group(tokenize("a b", str.split), "regex", pattern)
    assert caught.value.code == "regex_invalid"


def test_a_catastrophic_pattern_is_given_up():
    started = time.perf_counter()
    with pytest.raises(ParameterError) as caught:
        find_all(r"(a+)+$", "a" * 60 + "b")
    assert caught.value.code == "regex_slow"
    assert time.perf_counter() - started < 30  # on a busy machine; it would take centuries


def test_hostile_texts_do_not_hang_the_units():
    started = time.perf_counter()
    for text in (" " * 50_000, "\n " * 20_000, ".!?" * 20_000, "a\n" + " " * 50_000, "\"'" * 20_000, "\u0301" * 50_000):
        for unit in UNITS:
            starts(text, unit)
    assert time.perf_counter() - started < 60


def test_other_ways_of_joining():
    tokens = tokenize("aa b", get("characters"))
    groups = group(tokens, "word")
    values = torch.tensor([[1.0, -3.0, 0.5, 0.25]])
    assert groups.of == (0, 0, 0, 1)
    torch.testing.assert_close(groups.reduce(values, "mean"), torch.tensor([[-0.5, 0.25]]).double())
    torch.testing.assert_close(groups.reduce(values, "largest"), torch.tensor([[-3.0, 0.25]]))
    for unit, how, given_values, code in (
        ("verse", "sum", values, "unknown_unit"),
        ("word", "median", values, "unknown_reduction"),
        ("word", "sum", values[:, :2], "group_tokens"),
    ):
        with pytest.raises(ParameterError) as caught:
            group(tokens, unit).reduce(given_values, how)
        assert caught.value.code == code


def test_special_tokens_stay_alone():
    tokens = tokenize("not good", get("wordpiece"))
    for unit in UNITS_BY_PLACE:
        groups = group(tokens, unit)
        assert groups.spans[0].members == (0,)
        assert groups.spans[-1].members == (len(tokens) - 1,)
