"""Lesson 6: words."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xaiwidgets.engine.target import Contrast
from xaiwidgets.examples.course.verdict import apart, exercise, expect, explained, like
from xaiwidgets.examples.sentences import BLAME, NAMES, NEGATORS, PRAISE, WordTokenizer

SURE = 0.7


@exercise
def left_out(model: nn.Module, tokenizer: WordTokenizer, text: str, target: int, changes: Sequence[float]) -> str:
    """`changes` has a number a word: the logit of the sentence minus that of the sentence with the word masked."""
    ids = tokenizer.batch([text])
    words = ids.shape[1]
    masked = ids.repeat(words, 1)
    masked.fill_diagonal_(tokenizer.mask_token_id)
    with torch.no_grad():
        before, after = model(ids)[0], model(masked)
    truth = before[target] - after[:, target]
    yours = like(torch.as_tensor(changes), truth, "What you return")
    shares = before.softmax(0)[target] - after.softmax(1)[:, target]
    expect(
        apart(yours, -truth) > 0.01, "The sign is wrong: what goes when the word goes is the sentence minus the rest."
    )
    expect(apart(yours, after[:, target]) > 0.01, "These are the scores without the word. What has changed?")
    expect(apart(yours, shares) > 0.01, "These are changes of the probability. Take the logit.")
    expect(
        apart(yours, truth) < 0.01, f"They are {apart(yours, truth):.0%} away. One word a time, the others as they are."
    )
    return f"The largest change is that of “{tokenizer.words[int(ids[0, int(truth.argmax())])]}”."


@exercise
def rather_than(model: nn.Module, tokenizer: WordTokenizer, text: str, pair: tuple[int, int], values: Tensor) -> str:
    """`values` [1, words] says why the sentence is the first of a pair of classes rather than the second, by a map of each."""
    a, b = pair
    asked: dict[str, Any] = {"tokenizer": tokenizer, "baseline": "mask"}
    truth = explained(model, text, Contrast(a, b), **asked)
    yours = like(values, truth, "A map")
    expect(apart(yours, -truth) > 0.02, f"That is why {NAMES[b]} rather than {NAMES[a]}.")
    away = apart(yours, truth)
    expect(away < 0.02, f"It is {away:.0%} away. The score in question is that of {NAMES[a]} minus that of {NAMES[b]}.")
    return f"{away:.1%} away from asking about the contrast itself."


@exercise
def turned(model: nn.Module, tokenizer: WordTokenizer, text: str) -> str:
    """`text` is praise without a word of praise, and the network reads it as such."""
    words = _words(tokenizer, text)
    praising = [word for word in words if word in PRAISE]
    expect(not praising, f"“{' '.join(praising)}” is a word of praise.")
    return f"{_verdict(model, tokenizer, text, 'positive')}, without a word of praise."


@exercise
def two_negations(model: nn.Module, tokenizer: WordTokenizer, text: str) -> str:
    """`text` judges with one word behind two negations, which cancel, and the network gets it wrong."""
    words = _words(tokenizer, text)
    judging = [place for place, word in enumerate(words) if word in PRAISE or word in BLAME]
    expect(len(judging) == 1, f"One word of praise or blame is wanted; there are {len(judging)}.")
    (place,) = judging
    negators = [word for word in words if word in NEGATORS]
    before = words[max(place - 2, 0) : place]
    both = len(before) == 2 and all(word in NEGATORS for word in before)
    expect(len(negators) == 2 and both, f"Put two of {', '.join(NEGATORS)} right before “{words[place]}”, no others.")
    meant = "positive" if words[place] in PRAISE else "negative"
    says = {"positive": "negative", "negative": "positive"}[meant]
    return f"{_verdict(model, tokenizer, text, says)}, though the two negations cancel and it means the reverse."


def _words(tokenizer: WordTokenizer, text: str) -> list[str]:
    """The words of a text, all of which the network knows."""
    expect(isinstance(text, str) and text.strip(), "A sentence is wanted.")
    unknown = [
        word for word in text.lower().split() if tokenizer.encode(word) == [tokenizer.numbers[tokenizer.unk_token]]
    ]
    expect(not unknown, f"The network does not know “{' '.join(unknown)}”.")
    return [tokenizer.words[number] for number in tokenizer.encode(text)]


def _verdict(model: nn.Module, tokenizer: WordTokenizer, text: str, wanted: str) -> str:
    with torch.no_grad():
        shares = model(tokenizer.batch([text])).softmax(1)[0]
    says = NAMES[int(shares.argmax())]
    expect(says == wanted, f"The network says {says}, and it should say {wanted}.")
    expect(shares.max() >= SURE, f"The network says {says}, but with {shares.max():.0%} only; {SURE:.0%} are wanted.")
    return f"The network says {says}, with {shares.max():.0%}"
