"""Sentences made on the spot whose deciding words are known, and a small transformer that learns them in seconds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.examples.example import accuracy, seeded

NAMES = ("negative", "neutral", "positive")
PRAISE = "good great wonderful superb lovely brilliant charming delightful excellent moving".split()
BLAME = "bad awful terrible dull boring poor clumsy horrible weak tedious".split()
PLAIN = "long short blue new old local quiet digital early wooden small usual round foreign".split()
NEGATORS = "not never hardly".split()
ADVERBS = "very really quite rather so".split()
NOUNS = "film plot book acting music food hotel room camera story ending service song garden".split()
BEFORE = ("yesterday", "in the evening", "as i remember", "to be honest", "last summer", "on the first day")
AFTER = ("said my sister", "for two hours", "and we went home", "when it rained", "so they told us", "in this town")
LINKS = ("and", "but", "while")
PAD, MASK, UNKNOWN = 0, 1, 2
HIDDEN = 0.25  # of the words in training; a hidden word means nothing, so that the label is that of the others


@dataclass(frozen=True)
class Sentence:
    """A text, its label, and which of its words decide it: the evaluation, and what turns it round. Counted from 0."""

    text: str
    label: int
    salient: tuple[int, ...]
    negated: bool


class WordTokenizer:
    """Words and signs as tokens, in the manner of Hugging Face tokenizers: numbers, offsets, names of special tokens."""

    mask_token, pad_token, unk_token = "[MASK]", "[PAD]", "[UNK]"  # no passwords
    mask_token_id, pad_token_id, unk_token_id = MASK, PAD, UNKNOWN

    def __init__(self, words: list[str]) -> None:
        self.words = [self.pad_token, self.mask_token, self.unk_token, *words]
        self.numbers = {word: number for number, word in enumerate(self.words)}
        self.all_special_ids = [PAD, MASK, UNKNOWN]

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, text: str, *, return_tensors: str | None = None) -> dict[str, Any]:
        """`input_ids`, `attention_mask` and `offset_mapping` of one text; with return_tensors="pt" as tensors of one row."""
        found = [(match[0], match.span()) for match in re.finditer(r"\[[A-Z]+\]|\w+|[^\w\s]", text)]
        ids = [self.numbers.get(word if word in self.words[:3] else word.lower(), UNKNOWN) for word, _ in found]
        plain = {"input_ids": ids, "attention_mask": [1] * len(ids), "offset_mapping": [span for _, span in found]}
        if return_tensors != "pt":
            return plain
        return {name: torch.tensor([plain[name]], dtype=torch.long) for name in ("input_ids", "attention_mask")}

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:  # noqa: ARG002  # there are none to add
        """Only the numbers."""
        ids: list[int] = self(text)["input_ids"]
        return ids

    def decode(self, ids: list[int], *, skip_special_tokens: bool = False) -> str:
        """The words, a space between any two."""
        return " ".join(self.words[number] for number in ids if not (skip_special_tokens and number == PAD))

    def convert_ids_to_tokens(self, ids: int | list[int]) -> str | list[str]:
        """Their spellings."""
        return self.words[ids] if isinstance(ids, int) else [self.words[number] for number in ids]

    def convert_tokens_to_ids(self, word: str) -> int:
        """The number of a word; that of [UNK] for others."""
        return self.numbers.get(word, UNKNOWN)

    def batch(self, texts: list[str]) -> Tensor:
        """Numbers [texts, words of the longest], padded behind."""
        rows = [torch.tensor(self(text)["input_ids"]) for text in texts]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


class SentenceClassifier(nn.Module):
    """Words see the two before them, then all words see each other, then the most telling ones are read.

    Token numbers [n, words] to logits [n, 3]. A hidden word's vector is zero.
    """

    def __init__(self, words: int = 128, width: int = 96, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Embedding(words, width, padding_idx=MASK)
        self.near = nn.Linear(3 * width, 2 * width)
        self.joint = nn.Linear(2 * width, 3 * width)
        self.out = nn.Linear(width, 2 * width)
        self.feed = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width))
        self.telling = nn.Linear(2 * width, 1)
        self.head = nn.Linear(2 * width, len(NAMES))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits [n, 3]. Padding is recognised by its number, or given as 0 in the mask."""
        hidden = input_ids == PAD if attention_mask is None else attention_mask == 0
        x = self.embed(input_ids)
        before = [functional.pad(x, (0, 0, shift, 0))[:, : x.shape[1]] for shift in (0, 1, 2)]
        x = self.near(torch.cat(before, -1)).relu()
        x = x + self.out(self._attended(x, hidden))
        x = x + self.feed(x)
        weights = self.telling(x).squeeze(-1).masked_fill(hidden, -1e9).softmax(-1)
        return self.head((weights[:, None] @ x).squeeze(1))  # type: ignore[no-any-return]  # torch modules return Any

    def _attended(self, x: Tensor, hidden: Tensor) -> Tensor:
        """What each word takes from all words that are not padding [n, words, width]."""
        n, words, _ = x.shape
        query, key, value = self.joint(x).reshape(n, words, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(hidden[:, None, None], -1e9)
        attended: Tensor = scores.softmax(-1) @ value
        return attended.transpose(1, 2).reshape(n, words, -1)


@dataclass(frozen=True)
class Sentences:
    """A trained classifier, its tokenizer, and sentences that it was not trained on.

    `accuracy` and `accuracy_negated`: on these sentences, and on those with a negated evaluation. `checkpoints` are the
    model's state dicts after each part of the training, the last one equal to the model's.
    """

    model: nn.Module
    tokenizer: WordTokenizer
    sentences: list[Sentence]
    names: tuple[str, ...]
    accuracy: float
    accuracy_negated: float
    train_sentences: list[Sentence]
    checkpoints: list[dict[str, Tensor]] = field(repr=False)


@cache
def sentences(*, count: int = 6_000, steps: int = 400, seed: int = 0) -> Sentences:
    """Train on `count` sentences, test on 1,000 others. Takes a few seconds on a CPU and is kept for the rest of the process."""
    made = written(count + 1_000, seed)
    train_part, test_part = made[:count], made[count:]
    tokenizer = WordTokenizer(vocabulary())
    model = seeded(SentenceClassifier, seed)
    checkpoints = _train(model, tokenizer.batch([one.text for one in train_part]), train_part, steps, seed)
    negated = [one for one in test_part if one.negated]
    found = [
        accuracy(model, tokenizer.batch([one.text for one in part]), torch.tensor([one.label for one in part]))
        for part in (test_part, negated)
    ]
    return Sentences(model, tokenizer, test_part, NAMES, found[0], found[1], train_part, checkpoints)


# --- writing --------------------------------------------------------------------------------------------------------------


def vocabulary() -> list[str]:
    """Every word that sentences are made of, in alphabetical order."""
    phrases = " ".join((*BEFORE, *AFTER, *LINKS, "the was , ."))
    return sorted({*PRAISE, *BLAME, *PLAIN, *NEGATORS, *ADVERBS, *NOUNS, *phrases.split()})


def written(count: int, seed: int) -> list[Sentence]:
    """So many different sentences, a third of each label; half of the evaluations are negated."""
    draw, known = Random(seed), dict[str, Sentence]()  # noqa: S311  # no secrets
    while len(known) < count:
        one = _sentence(draw, len(known) % 3)
        known.setdefault(one.text, one)
    order = list(known.values())
    draw.shuffle(order)
    return order


def _sentence(draw: Random, label: int) -> Sentence:
    """Up to two clauses, at most one with an evaluation; the other may negate something that is none."""
    words: list[str] = []
    salient: tuple[int, ...] = ()
    negated = label != 1 and draw.random() < 0.5
    clauses = draw.choice([1, 2, 2])
    judging = draw.randrange(clauses) if label != 1 else -1
    if draw.random() < 0.5:
        words += [*draw.choice(BEFORE).split(), ","]
    for clause in range(clauses):
        words += [draw.choice(LINKS)] * (clause > 0)
        words += ["the", draw.choice(NOUNS), "was"]
        decides = clause == judging
        place = len(words)
        if negated if decides else draw.random() < 0.35:
            words.append(draw.choice(NEGATORS))
        if draw.random() < 0.4:
            words.append(draw.choice(ADVERBS))
        if decides:
            words.append(draw.choice(PRAISE if (label == 2) != negated else BLAME))
            salient = (place, len(words) - 1) if negated else (len(words) - 1,)
        else:
            words.append(draw.choice(PLAIN))
    if draw.random() < 0.5:
        words += draw.choice(AFTER).split()
    return Sentence(" ".join([*words, "."]), label, salient, negated)


# --- training -------------------------------------------------------------------------------------------------------------


def _train(model: nn.Module, ids: Tensor, known: list[Sentence], steps: int, seed: int) -> list[dict[str, Tensor]]:
    """AdamW with a one-cycle schedule; a state dict after each quarter. Hidden words take their meaning with them."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    labels = torch.tensor([one.label for one in known])
    evaluation = torch.tensor([one.salient[-1] if one.salient else -1 for one in known])
    negator = torch.tensor([one.salient[0] if one.negated else -1 for one in known])
    checkpoints = []
    model.train()
    for step, rows in enumerate(_batches(len(known), steps, generator)):
        batch = ids[rows]
        hide = (torch.rand(batch.shape, generator=generator) < HIDDEN) & (batch != PAD)
        hide &= torch.rand(len(batch), 1, generator=generator) < 0.7  # the others are seen whole
        hidden = batch.masked_fill(hide, MASK)
        target = _visible(labels[rows], evaluation[rows], negator[rows], hide)
        optimizer.zero_grad()
        functional.cross_entropy(model(hidden), target, label_smoothing=0.1).backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, steps // 4) == 0 or step + 1 == steps:
            checkpoints.append({name: value.detach().clone() for name, value in model.state_dict().items()})
    model.eval()
    return checkpoints


def _visible(labels: Tensor, evaluation: Tensor, negator: Tensor, hide: Tensor) -> Tensor:
    """The labels [n] of sentences some of whose words are hidden: neutral without the evaluation, the other way round
    without what negates it.
    """

    def gone(places: Tensor) -> Tensor:
        return (places >= 0) & hide.gather(1, places.clamp(min=0)[:, None]).squeeze(1)

    turned = torch.where(gone(negator), 2 - labels, labels)
    return torch.where(gone(evaluation), 1, turned)


def _batches(count: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Random rows, 32 at a time, none twice before all were seen."""
    done = 0
    while True:
        for rows in torch.randperm(count, generator=generator).split(32):
            if done == steps:
                return
            done += 1
            yield rows
