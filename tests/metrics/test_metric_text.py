"""Metrics of texts: closed forms of a bag of words, brute force with a real tokenizer and model."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import xaiwidgets.methods
import xaiwidgets.metrics  # noqa: F401 - both register what is asked for by name
from xaiwidgets.engine.errors import InputError, ParameterError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.examples.sentences import WordTokenizer
from xaiwidgets.metrics.fills import fill_names, removal_by
from xaiwidgets.metrics.registry import CONTROLS, METRICS
from xaiwidgets.metrics.text_case import TextCase, explain_text, text_question

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
TEXTS = ["alpha beta gamma delta epsilon zeta eta theta iota kappa", "beta alpha", "delta iota zeta alpha"]
MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"


class Bag(nn.Module):
    """Each word adds its own numbers to the logits [n, 2]."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(3 + len(WORDS), 2)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            self.embed.weight.copy_(torch.randn(self.embed.weight.shape, generator=generator))
            self.embed.weight[:2] = 0  # padding and mask

    def forward(self, input_ids, attention_mask):
        return (self.embed(input_ids) * attention_mask[..., None]).sum(1)


@pytest.fixture(scope="module")
def bag():
    return Bag().double().eval(), WordTokenizer(WORDS)


@pytest.fixture(scope="module")
def bert():
    if not MODELS.is_dir():
        pytest.skip(f"no stored models at {MODELS}")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        MODELS / "sst2-bert-tiny", attn_implementation="eager"
    )
    return model.eval(), transformers.AutoTokenizer.from_pretrained(MODELS / "sst2-bert-tiny")


def words_of(bag, text, target=1):
    """What each word of a text adds to a logit."""
    model, tokenizer = bag
    return model.embed.weight[tokenizer(text)["input_ids"], target].detach()


def the_case(bag, texts=TEXTS, values=None, **options):
    """With each word's own addition as values, unless told otherwise."""
    model, tokenizer = bag
    question = text_question(model, texts, tokenizer, target=1)
    if values is None:
        values = nn.utils.rnn.pad_sequence([words_of(bag, text) for text in texts], batch_first=True)
    return TextCase(question, values, **options)


def last(name, case, **given):
    metric = METRICS[name]
    *_, found = metric.run(case, **metric.check(given))
    return found


def chosen_of(case, *units):
    """[rows, units] bool with some units of every row."""
    chosen = torch.zeros(case.rows, case.count, dtype=torch.bool)
    chosen[:, list(units)] = True
    return chosen & case.present


# --- units and scores -----------------------------------------------------------------------------------------------


def test_units_are_words_and_never_padding_or_special_tokens(bag, bert):
    case = the_case(bag)
    assert case.counts == (10, 2, 4)
    assert case.ids.shape == (3, 10, 1)
    assert case.ids[1, :, 0].tolist() == [0, 1] + [-1] * 8
    torch.testing.assert_close(case.importance()[1, :2], words_of(bag, TEXTS[1]))
    assert case.importance()[1, 2:].isnan().all()
    question = text_question(*(bert[0], ["an unwatchable movie", "bad"], bert[1]), target=1)
    tokens = question.rows[0]
    case = TextCase(question, torch.ones(2, len(tokens)), regions="word")
    assert case.counts == (3, 1)
    assert case.ids[0, [0, -1], 0].tolist() == [-1, -1]
    pieces = len(tokens) - 4  # besides [CLS], an, movie, [SEP]
    assert pieces > 1
    assert case.importance()[0].tolist() == [1, pieces, 1]
    assert case.importance()[1, 0] == 1


def test_regions_that_are_no_parts_of_a_text_are_refused(bag):
    with pytest.raises(ParameterError, match="superpixel"):
        the_case(bag, regions="superpixel")
    own = torch.tensor([[7, 7, 3, 3, 3, 3, 3, 3, 3, 3]])
    case = the_case(bag, TEXTS[:1], regions=own)
    assert case.counts == (2,)
    values = words_of(bag, TEXTS[0])
    torch.testing.assert_close(case.importance()[0], torch.stack([values[2:].sum(), values[:2].sum()]))


@pytest.mark.parametrize("fill", ["mask_token", "pad_token", "zeros", "delete", "auto"])
def test_a_bag_of_words_loses_what_its_words_add(bag, fill):
    case = the_case(bag)
    removal = removal_by(case, fill, 0)
    rows = torch.tensor([0, 2, 0, 1])
    chosen = chosen_of(case, 0, 3)[rows]
    chosen[2] = False
    chosen[3] = torch.tensor([False, True] + [False] * 8)
    expected = []
    for row, gone in zip(rows.tolist(), chosen, strict=True):
        words = words_of(bag, TEXTS[row])
        expected.append(words[~gone[: len(words)]].sum())
    torch.testing.assert_close(removal.scores(rows, chosen, "logit"), torch.stack(expected))


def test_mean_is_that_of_the_vocabulary(bag):
    case = the_case(bag, TEXTS[1:2])
    mean = bag[0].embed.weight.detach().mean(0)[1]
    found = removal_by(case, "mean", 0).scores(torch.tensor([0]), chosen_of(case, 0), "logit")
    torch.testing.assert_close(found[0], words_of(bag, TEXTS[1])[1] + mean)


def test_fills_of_texts_are_offered_and_those_of_pictures_refused(bag):
    case = the_case(bag)
    assert set(fill_names(case)) == {"mask_token", "pad_token", "zeros", "mean", "delete"}
    with pytest.raises(ParameterError, match="blur"):
        removal_by(case, "blur", 0)


def test_nothing_left_is_an_error_with_a_way_out(bag):
    case = the_case(bag)
    with pytest.raises(ParameterError) as error:
        removal_by(case, "delete", 0).scores(torch.arange(3), case.present, "logit")
    assert error.value.code == "nothing_left"
    assert "mask_token" in error.value.hint


def test_deleted_words_are_those_of_the_text_without_them(bert):
    model, tokenizer = bert
    texts = ["not a good movie at all", "bad", "a fine thing"]
    question = text_question(model, texts, tokenizer, target=1)
    case = TextCase(question, torch.zeros(3, len(question.rows[0])))
    rows, chosen = torch.tensor([0, 2, 0]), torch.zeros(3, 6, dtype=torch.bool)
    chosen[0, 0] = chosen[1, 0] = chosen[2, 3] = True
    found = case.without(rows, chosen, "probability")
    with torch.no_grad():
        for score, text in zip(found, ["a good movie at all", "fine thing", "not a good at all"], strict=True):
            alone = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0, 1]
            torch.testing.assert_close(score.float(), alone, rtol=1e-4, atol=1e-5)
    assert case.evaluations["forward"] >= 3


def test_masked_words_are_the_mask_token(bert):
    model, tokenizer = bert
    case = TextCase(text_question(model, "not a good movie", tokenizer, target=1), torch.zeros(1, 6))
    found = removal_by(case, "mask_token", 0).scores(torch.tensor([0]), chosen_of(case, 0, 2), "logit")
    with torch.no_grad():
        expected = model(**tokenizer("[MASK] a [MASK] movie", return_tensors="pt")).logits[0, 1]
    torch.testing.assert_close(found[0].float(), expected, rtol=1e-4, atol=1e-4)


def test_places_that_would_move_are_refused(bag):
    class Speaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(13, 4), nn.Linear(4, 13)

        def forward(self, input_ids):
            return self.head(self.embed(input_ids))

    question = text_question(Speaks().eval(), TEXTS[0], bag[1], target=(9, 4))
    case = TextCase(question, torch.zeros(1, 10))
    removal_by(case, "zeros", 0).scores(torch.tensor([0]), chosen_of(case, 0), "logit")
    with pytest.raises(ParameterError, match="place"):
        removal_by(case, "delete", 0).scores(torch.tensor([0]), chosen_of(case, 0), "logit")


# --- the method again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["integrated_gradients", "saliency", "shapley", "token_erasure"])
def test_methods_are_run_again_here_elsewhere_and_of_other_models(bert, name):
    model, tokenizer = bert
    question = text_question(model, ["not a good movie", "bad"], tokenizer, target=1)
    method = find_method(name)
    parameters = method.check({"samples": 64} if name == "shapley" else {})
    *_, found = explain_text(question, method, parameters)
    assert found.values.shape == (2, 6)
    assert not found.values[1, 3:].any()
    case = TextCase(question, found.values, method=method, parameters=parameters)
    torch.testing.assert_close(case.explain(), case.values, rtol=1e-3, atol=1e-4)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.classifier.weight.neg_()
        other.classifier.bias.neg_()
    sign = 1 if name == "saliency" else -1
    torch.testing.assert_close(case.explain(case.asked_of(other)), sign * case.values, rtol=1e-2, atol=1e-3)
    near = case.problem.with_points(case.problem.points + 0.05)
    if name == "token_erasure":
        with pytest.raises(ParameterError, match="between tokens"):
            case.explain(near)
    else:
        assert float((case.explain(near) - case.values).abs().max()) > 0
    assert case.evaluations["forward"] + case.evaluations["gradient"] > 0


def test_controls_fit_texts(bag):
    case = the_case(bag, method=CONTROLS["random"], parameters={"seed": 0})
    assert case.explain().shape == (3, 10)
    assert len(case.explain()[0].unique()) == 10
    lengths = the_case(bag, method=CONTROLS["lengths"])
    assert lengths.explain()[1].tolist() == [4, 5] + [0] * 8


# --- the metrics ------------------------------------------------------------------------------------------------------


def brute(bag, text, gone):
    """Probability of class 1 of a text without some of its words."""
    left = [place for place in range(len(text.split())) if place not in gone]
    logits = torch.stack([words_of(bag, text, target)[left].sum() for target in (0, 1)])
    return logits.softmax(0)[1]


def test_comprehensiveness_and_sufficiency_of_a_bag_of_words(bag):
    # of 10 words the shares 1, 5, 10, 20, 50 % are 1, 1, 1, 2, 5 words; of 4 words 1, 1, 1, 1, 2
    case = the_case(bag, [TEXTS[0], TEXTS[2]])
    for keep, name in ((False, "comprehensiveness"), (True, "sufficiency")):
        found = last(name, case)
        for row, (text, counts) in enumerate(((TEXTS[0], (1, 1, 1, 2, 5)), (TEXTS[2], (1, 1, 1, 1, 2)))):
            order = words_of(bag, text).argsort(descending=True).tolist()
            gone = [order[count:] if keep else order[:count] for count in counts]
            expected = brute(bag, text, []) - torch.stack([brute(bag, text, some) for some in gone])
            torch.testing.assert_close(found.values[row], expected.mean())
            torch.testing.assert_close(found.curves[name].values[row], brute(bag, text, []) - expected)
        assert found.curves[name].x.tolist() == [0.01, 0.05, 0.1, 0.2, 0.5]


def test_comprehensiveness_of_a_real_model_by_asking_it_about_the_shorter_texts(bert):
    model, tokenizer = bert
    text = "a good movie that is not at all bad"
    question = text_question(model, text, tokenizer, target=1)
    values = torch.zeros(1, len(question.rows[0]))
    values[0, 1:-1] = torch.tensor([0.1, 0.9, 0.2, 0.0, -0.1, -0.8, 0.3, 0.25, -0.5])
    case = TextCase(question, values)
    words = text.split()
    order = [1, 6, 7, 2, 0]  # good, at, all, movie, a

    def probability(gone):
        left = " ".join(word for place, word in enumerate(words) if place not in gone)
        with torch.no_grad():
            return model(**tokenizer(left, return_tensors="pt")).logits.softmax(-1)[0, 1].double()

    after = torch.stack([probability(order[:count]) for count in (1, 1, 1, 2, 5)])
    found = last("comprehensiveness", case).values[0]
    torch.testing.assert_close(found, (probability([]) - after).mean(), rtol=1e-3, atol=1e-4)


def test_log_odds_of_a_bag_of_words(bag):
    case = the_case(bag, TEXTS[:1])
    for share, count in ((0.01, 1), (0.2, 2), (0.21, 3), (1.0, 10)):
        gone = words_of(bag, TEXTS[0]).argsort(descending=True)[:count].tolist()
        expected = brute(bag, TEXTS[0], gone).log() - brute(bag, TEXTS[0], []).log()
        torch.testing.assert_close(last("log_odds", case, share=share).values[0], expected)


def test_faithfulness_violations_are_wrong_signs(bag):
    right = the_case(bag)
    assert last("faithfulness_violation", right, top=10, measure="logit").values.tolist() == [0, 0, 0]
    wrong = the_case(bag, values=-right.values)
    assert last("faithfulness_violation", wrong, top=10, measure="logit").values.tolist() == [1, 1, 1]
    values = right.values.clone()
    values[0, 1:] = 0
    values[0, 1] = -100 * words_of(bag, TEXTS[0])[1]
    values[1] = 0
    some = last("faithfulness_violation", the_case(bag, values=values), top=2, measure="logit")
    torch.testing.assert_close(some.values, torch.tensor([0.5, torch.nan, 0], dtype=torch.float64), equal_nan=True)
    assert some.notes == ("1 of 3 rows have no value but 0",)
    assert last("faithfulness_violation", the_case(bag, values=values)).values[0] == 1


def test_a_unit_whose_absence_changes_nothing_is_no_violation(bag):
    model = copy.deepcopy(bag[0])
    with torch.no_grad():
        model.embed.weight[bag[1]("beta")["input_ids"]] = 0
    question = text_question(model, "alpha gamma beta", bag[1], target=1)
    for sign in (-1.0, 1.0):
        case = TextCase(question, torch.tensor([[0.0, 0.0, sign]]))
        assert last("faithfulness_violation", case, measure="logit").values.tolist() == [0]


@pytest.mark.parametrize("name", ["comprehensiveness", "sufficiency", "log_odds", "faithfulness_violation", "deletion"])
def test_a_row_does_not_depend_on_its_neighbours_or_on_batches(bag, name):
    together = last(name, the_case(bag)).values
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(last(name, the_case(bag, [text])).values[0], together[row])
    small = text_question(*(bag[0], TEXTS, bag[1]), target=1, batch_size=1)
    torch.testing.assert_close(last(name, TextCase(small, the_case(bag).values)).values, together)


@pytest.mark.parametrize("fill", ["auto", "delete"])
def test_ties_are_broken_by_the_seed(bag, fill):
    flat = torch.zeros(1, 10, dtype=torch.float64)
    found = [
        float(last("sufficiency", the_case(bag, TEXTS[:1], flat, seed=seed), fill=fill).values) for seed in (0, 0, 1, 2)
    ]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_the_order_of_ties_does_not_depend_on_longer_neighbours(bag):
    alone = the_case(bag, TEXTS[2:], torch.zeros(1, 4)).order()[0]
    together = the_case(bag, [TEXTS[2], TEXTS[0]], torch.zeros(2, 10)).order()[0]
    assert alone.tolist() == together[:4].tolist()


def test_the_model_is_left_as_it_was(bert):
    model, tokenizer = bert
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    question = text_question(model, ["not a good movie", "bad"], tokenizer, target=1)
    for name in ("comprehensiveness", "log_odds", "faithfulness_violation"):
        last(name, TextCase(question, torch.randn(2, 6, generator=torch.Generator().manual_seed(0))))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_texts_need_words(bag):
    with pytest.raises(InputError, match="special"):
        text_question(bag[0], "[PAD] [PAD]", bag[1], target=1)


@pytest.mark.parametrize("name", [name for name, one in METRICS.items() if one.family == "removal"])
@pytest.mark.parametrize("fill", ["auto", "pad_token"])
def test_every_metric_that_takes_away_works_on_texts(bag, name, fill):
    found = last(name, the_case(bag), fill=fill)
    assert found.values.shape == (3,)
    assert found.values[0].isfinite()
    assert found.done == found.total
