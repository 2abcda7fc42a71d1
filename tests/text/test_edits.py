"""Texts changed word by word: every step is what the model says, and the first flips are those that brute force finds."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from language_models import Letters, random, recurrent, stored

from xaiwidgets.api import Cancelled, Session
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError, TargetError
from xaiwidgets.examples.sentences import SentenceClassifier, WordTokenizer, vocabulary, written
from xaiwidgets.text.edits import hotflip, input_reduction
from xaiwidgets.text.session import text_session
from xaiwidgets.text.tokenizers import tokenize

COUNT = 3  # sentences that everything is tried on


class Tiny:
    """The example's model and tokenizer, not trained for long: enough that predictions differ."""

    def __init__(self):
        self.tokenizer = WordTokenizer(vocabulary())
        self.texts = [one.text for one in written(200, 3)]
        labels = torch.tensor([one.label for one in written(200, 3)])
        ids = self.tokenizer.batch(self.texts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = SentenceClassifier(width=16, heads=2)
        optimizer = torch.optim.Adam(self.model.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.model(ids), labels).backward()
            optimizer.step()
        self.model.double().eval()

    def ask(self, text, **options):
        return text_session(self.model, text, self.tokenizer, session=Session, **options)

    @torch.no_grad()
    def chances(self, ids):
        return self.model(ids).softmax(-1)


@pytest.fixture(scope="module")
def tiny():
    return Tiny()


def check(step, chances, original):
    """What a step tells is what the model says of its tokens, asked from outside."""
    assert step.prediction == int(chances.argmax())
    assert step.probability == pytest.approx(float(chances[original]), abs=1e-5)


# --- HotFlip --------------------------------------------------------------------------------------------------------------


def test_every_step_is_what_the_model_says(tiny):
    for text in tiny.texts[:COUNT]:
        steps = list(hotflip(tiny.ask(text)))
        original = steps[0].prediction
        assert steps[0].places == ()
        assert len(steps) > 1
        assert steps[-1].prediction != original
        for before, step in pairwise(steps):
            check(step, tiny.chances(torch.tensor([step.tokens.ids]))[0], original)
            assert step.probability < before.probability
            (place,) = step.places
            assert [a != b for a, b in zip(before.tokens.ids, step.tokens.ids, strict=True)].index(True) == place
            assert (step.before, step.after) == (before.text.split()[place], step.text.split()[place])
            assert tokenize(step.text, tiny.tokenizer).ids == step.tokens.ids
            assert [step.tokens.slice(unit) for unit in step.tokens.units] == step.text.split()
        assert all(one.prediction == original for one in steps[:-1])


def test_the_first_flip_is_as_good_as_brute_force_finds(tiny):
    """All replacements tried: the one taken is the best of them if all are candidates, and of the same sign if few are."""
    for text in tiny.texts[:COUNT]:
        ids = torch.tensor(tiny.tokenizer.encode(text))
        words = range(3, len(tiny.tokenizer))
        every = [(place, word) for place in range(len(ids)) for word in words if word != ids[place]]
        tried = ids.repeat(len(every), 1)
        for row, (place, word) in zip(tried, every, strict=True):
            row[place] = word
        original = int(tiny.chances(ids[None])[0].argmax())
        after = tiny.chances(tried)[:, original]
        best = float(after.min())
        start, step = hotflip(tiny.ask(text), flips=1, candidates=len(every))
        assert step.probability == pytest.approx(best, rel=1e-4)
        assert float(after[every.index((step.places[0], step.tokens.ids[step.places[0]]))]) == pytest.approx(best)
        start, few = hotflip(tiny.ask(text), flips=1)
        assert (few.probability - start.probability) * (best - start.probability) > 0
        assert few.probability - start.probability < 0.5 * (best - start.probability)


def test_a_class_is_reached(tiny):
    for text in tiny.texts[:COUNT]:
        (original,) = {next(hotflip(tiny.ask(text))).prediction}
        for goal in {0, 1, 2} - {original}:
            *_, last = hotflip(tiny.ask(text), towards=goal, flips=8)
            assert last.prediction == goal


def test_only_allowed_words_are_put_in_and_kept_ones_stay(tiny):
    text = tiny.texts[0]
    allowed = ["very", "local", tiny.tokenizer.convert_tokens_to_ids("garden")]
    kept = torch.zeros(1, len(text.split()), dtype=torch.bool)
    kept[0, :2] = True
    steps = list(hotflip(tiny.ask(text, kept=kept), vocabulary=allowed, flips=4, candidates=1000))
    assert all(step.after in {"very", "local", "garden"} for step in steps[1:])
    assert all(step.text.split()[:2] == text.split()[:2] for step in steps)
    changed = [step.places[0] for step in steps[1:]]
    assert len(set(changed)) == len(changed)


def test_special_tokens_stay_and_pieces_replace_pieces():
    model, tokenizer = stored("sst2-bert-tiny")
    session = text_session(model, "an unwatchable, charmless movie", tokenizer, session=Session)
    steps = list(hotflip(session, flips=3))
    first = steps[0].tokens
    assert len(steps) > 1
    for step in steps[1:]:
        assert (step.tokens.ids[0], step.tokens.ids[-1]) == (first.ids[0], first.ids[-1])
        place = step.places[0]
        spelled = [tokenizer.convert_ids_to_tokens(tokens.ids[place]) for tokens in (first, step.tokens)]
        assert spelled[0].startswith("##") == spelled[1].startswith("##")
        assert step.tokens.ids[place] not in tokenizer.all_special_ids
        with torch.no_grad():
            check(step, model(torch.tensor([step.tokens.ids])).logits.softmax(-1)[0], steps[0].prediction)


# --- input reduction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"beam": 3}, {"importance": "gradient", "trials": 2}])
def test_the_prediction_stays_until_nothing_more_can_go(tiny, options):
    for text in tiny.texts[:COUNT]:
        steps = list(input_reduction(tiny.ask(text), **options))
        original = steps[0].prediction
        assert steps[0].text == text
        for count, step in enumerate(steps):
            assert len(step.tokens) == len(text.split()) - count
            check(step, tiny.chances(torch.tensor([step.tokens.ids]))[0], original)
            assert step.prediction == original
            assert tokenize(step.text, tiny.tokenizer).ids == step.tokens.ids
            assert [step.tokens.slice(unit) for unit in step.tokens.units] == step.text.split()
        left = torch.tensor(steps[-1].tokens.ids)
        if len(left) > 1 and "beam" not in options:
            shorter = torch.stack([torch.cat([left[:place], left[place + 1 :]]) for place in range(len(left))])
            assert bool((tiny.chances(shorter).argmax(-1) != original).all())


def test_the_surest_word_goes_first(tiny):
    ids = torch.tensor(tiny.tokenizer.encode(tiny.texts[1]))
    shorter = torch.stack([torch.cat([ids[:place], ids[place + 1 :]]) for place in range(len(ids))])
    start, step, *_ = input_reduction(tiny.ask(tiny.texts[1]))
    assert step.places == (int(tiny.chances(shorter)[:, start.prediction].argmax()),)
    assert step.before == tiny.texts[1].split()[step.places[0]]


def test_a_beam_finds_no_longer_texts(tiny):
    for text in tiny.texts[:COUNT]:
        *_, narrow = input_reduction(tiny.ask(text))
        *_, wide = input_reduction(tiny.ask(text), beam=5)
        assert len(wide.tokens) <= len(narrow.tokens)


def test_words_of_several_pieces_go_whole():
    model, tokenizer = stored("sst2-bert-tiny")
    session = text_session(model, "an unwatchable, charmless movie", tokenizer, session=Session)
    for step in input_reduction(session):
        assert step.tokens.ids[0] == session.tokens.ids[0]
        assert step.tokens.ids[-1] == session.tokens.ids[-1]
        again = tokenizer(step.text)["input_ids"]
        assert again == step.tokens.ids
        with torch.no_grad():
            assert step.prediction == int(model(torch.tensor([again])).logits.argmax())


def test_the_next_token_of_a_language_model():
    session = text_session(random("gpt2"), "abcdefg", Letters(), session=Session)
    for steps in (list(input_reduction(session, unit="token")), list(hotflip(session, flips=2))):
        original = steps[0].prediction
        for step in steps:
            with torch.no_grad():
                logits = random("gpt2")(torch.tensor([step.tokens.ids])).logits[0, -1]
            check(step, logits.softmax(-1), original)
    plain = text_session(recurrent(), "abcdef", Letters(), session=Session)
    *_, last = input_reduction(plain, unit="token")
    assert len(last.tokens) < 6


# --- both -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [hotflip, input_reduction])
def test_the_same_again_and_nothing_changed(tiny, search):
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (list(search(tiny.ask(tiny.texts[2]))) for _ in range(2))
    assert first == again
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in tiny.model.state_dict().items())


@pytest.mark.parametrize("search", [hotflip, input_reduction])
def test_it_can_be_interrupted(tiny, search):
    session = tiny.ask(tiny.texts[2])
    steps = search(session)
    next(steps)

    def stop():
        raise Cancelled

    session.interrupt = stop
    with pytest.raises(Cancelled):
        list(steps)


@pytest.mark.parametrize(
    ("search", "options", "kind", "name"),
    [
        (input_reduction, {"beam": 0}, ParameterError, "beam=0"),
        (input_reduction, {"trials": True}, ParameterError, "trials=True"),
        (input_reduction, {"importance": "guess"}, ParameterError, "importance='guess'"),
        (input_reduction, {"unit": "regex"}, ParameterError, "unit='regex'"),
        (hotflip, {"flips": -1}, ParameterError, "flips=-1"),
        (hotflip, {"candidates": 1.5}, ParameterError, "candidates=1.5"),
        (hotflip, {"towards": 7}, TargetError, "towards=7"),
        (hotflip, {"vocabulary": []}, ParameterError, "vocabulary="),
        (hotflip, {"vocabulary": ["unheardof"]}, ParameterError, "'unheardof'"),
    ],
)
def test_wrong_arguments_are_named_at_once(tiny, search, options, kind, name):
    with pytest.raises(kind, match=name.replace("[", r"\[")):
        search(tiny.ask(tiny.texts[0]), **options)


def test_what_cannot_be_edited(tiny):
    predicted = next(hotflip(tiny.ask(tiny.texts[0]))).prediction
    with pytest.raises(TargetError, match=f"towards={predicted}"):
        hotflip(tiny.ask(tiny.texts[0]), towards=predicted)
    with pytest.raises(ParameterError, match="vocabulary="):
        list(hotflip(tiny.ask(tiny.texts[0]), vocabulary=[9999]))
    with pytest.raises(InputError, match="one text, not 2"):
        input_reduction(tiny.ask(tiny.texts[:2]))
    one = torch.nn.Sequential(torch.nn.Embedding(128, 1), torch.nn.Flatten(), torch.nn.LazyLinear(1)).eval()
    one(torch.zeros(1, len(tiny.texts[0].split()), dtype=torch.long))
    with pytest.raises(ModelError, match="two classes"):
        hotflip(text_session(one, tiny.texts[0], tiny.tokenizer, session=Session))
