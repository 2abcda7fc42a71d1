"""Generated words and why they came: what each step said, spans, foils, all at once."""

from __future__ import annotations

import pytest
import torch
from captum.attr import FeatureAblation, LLMAttribution, TextTokenInput
from language_models import Letters, Recurrent, random, recurrent, stored

from xaiwidgets.api import Cancelled, Each, Session, attribute
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError, TargetError
from xaiwidgets.text.generation import generate
from xaiwidgets.text.outputs import OutputSession, foil_id

FAMILIES = ("gpt2", "llama", "t5", "bart")
BRIEF = {"integrated_gradients": {"steps": 17}, "shapley": {"samples": 32}, "reagent": {"samples": 1}}


def joined(tokens):
    return "".join(map(tokens.slice, tokens.strip))


def question(family, **options):
    generated = generate(random(family), "abcde", Letters(), continuation="fgh")
    return OutputSession(generated, session=Session, **options)


def by_hand(model, generated, ids=None):
    """Logits [output tokens, words], one pass for each."""
    ids = generated.output.ids if ids is None else ids
    rows = []
    for place in range(len(ids)):
        with torch.no_grad():
            if generated.encoder_decoder:
                decoder = torch.tensor([[*generated.start, *ids[:place]]])
                output = model(input_ids=torch.tensor([generated.prompt.ids]), decoder_input_ids=decoder)
            else:
                output = model(torch.tensor([[*generated.prompt.ids, *ids[:place]]]))
        rows.append(getattr(output, "logits", output)[0, -1])
    return torch.stack(rows).float()


@pytest.mark.parametrize("family", [*FAMILIES, "recurrent"])
def test_greedy_generation_is_step_by_step(family):
    model = recurrent() if family == "recurrent" else random(family)
    state = torch.get_rng_state()
    settings = {name: value.clone() for name, value in model.state_dict().items()}
    counts = []
    found = generate(model, "abcde", Letters(), tokens=6, progress=counts.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, settings[name])
    steps = by_hand(model, found)
    assert steps.argmax(1).tolist() == found.output.ids
    assert counts == list(range(1, len(found.output) + 1))
    torch.testing.assert_close(found.logits, steps, rtol=1e-4, atol=1e-5)
    for step, logits in zip(found.steps, steps, strict=True):
        probabilities = logits.softmax(0)
        assert step.rank == 1
        assert step.top[0].id == step.id
        assert [one.probability for one in step.top] == pytest.approx(probabilities.topk(10).values.tolist(), abs=1e-5)
        assert step.logit == pytest.approx(float(logits.max()), abs=1e-4)
        assert step.probability == pytest.approx(float(probabilities.max()), abs=1e-5)
        assert step.entropy == pytest.approx(float(torch.distributions.Categorical(probabilities).entropy()), abs=1e-4)
    assert joined(found.tokens) == found.tokens.text == "abcde" + found.output.text
    assert {token.part for token in found.output.items} == {"output"}


@pytest.mark.parametrize("family", ["gpt2", "t5", "recurrent"])
def test_drawing_depends_on_its_seed_alone(family):
    model = recurrent() if family == "recurrent" else random(family)
    state = torch.get_rng_state()
    drawn = [generate(model, "abc", Letters(), tokens=8, sample=True, seed=seed).output.ids for seed in (1, 1, 2, 3)]
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in drawn}) > 1


def test_real_text_goes_on():
    model, tokenizer = stored("sst2-llama-tiny")
    found = generate(model, "the movie is", tokenizer, tokens=10)
    whole = tokenizer.decode([*found.prompt.ids, *found.output.ids], skip_special_tokens=True)
    assert found.tokens.text == whole.strip()
    expected = model.generate(torch.tensor([found.prompt.ids]), max_new_tokens=10, do_sample=False)[0]
    assert found.prompt.ids + found.output.ids == expected.tolist()
    for typed in (" not good at all", " 👍 شكرا", "\n\nyes", "!"):
        given = generate(model, "the movie is", tokenizer, continuation=typed)
        assert given.tokens.text == "the movie is" + typed
        assert joined(given.tokens) == given.tokens.text
        again = generate(model, "the movie is", tokenizer, continuation=given.output.ids)
        assert joined(again.tokens) == again.tokens.text
        assert again.output.ids == given.output.ids


@pytest.mark.parametrize(
    ("family", "score"),
    [
        *((family, "log_probability") for family in FAMILIES),
        ("gpt2", "logit"),
        ("gpt2", "probability"),
        ("bart", "logit"),
    ],
)
def test_a_span_is_the_sum_of_its_steps(family, score):
    asked = question(family, score=score)
    steps = by_hand(asked.generated.model, asked.generated)
    steps = {"logit": steps, "log_probability": steps.log_softmax(1), "probability": steps.softmax(1)}[score]
    each = steps.gather(1, torch.tensor(asked.generated.output.ids)[:, None]).squeeze(1)
    for span, expected in ((0, each[0]), (2, each[2]), ((0, 3), each.sum()), ((1, 3), each[1:].sum())):
        found = asked.attribute("input_x_gradient", span=span)
        scored = asked.attribute("feature_ablation", span=span, regions="paragraph")
        torch.testing.assert_close(scored.score[0].float(), expected, rtol=1e-4, atol=1e-5)
        last = span if isinstance(span, int) else span[1] - 1
        assert found.values[0, 5 + last :].tolist() == [0] * (3 - last)
        assert bool((found.values[0, :5] != 0).all())


@pytest.mark.parametrize(
    ("family", "method"),
    [
        *(("gpt2", method) for method in ("input_x_gradient", "integrated_gradients", "deeplift", "shapley")),
        *((family, "input_x_gradient") for family in ("llama", "t5", "bart")),
        ("t5", "shapley"),
    ],
)
def test_a_foil_is_the_difference_of_two(family, method):
    asked = question(family)
    quick = {"integrated_gradients": {"steps": 12, "rule": "gauss_legendre"}, "shapley": {"samples": 4096}}.get(
        method, {}
    )
    this = asked.attribute(method, span=1, **quick)
    between = asked.attribute(method, span=1, foil=17, **quick)
    ids = list(asked.generated.output.ids)
    ids[1] = 17
    other = OutputSession(
        generate(asked.generated.model, asked.generated.prompt, Letters(), continuation=ids), session=Session
    ).attribute(method, span=1, **quick)
    torch.testing.assert_close(between.values, this.values - other.values, rtol=1e-4, atol=1e-6)


ALL = ["saliency", "integrated_gradients", "deeplift", "attn_lrp", "shapley", "feature_ablation", "token_erasure",
       "attention_rollout", "chefer"]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "method", "past"),
    [
        *(("gpt2", method, past) for method in ALL for past in (True, False)),
        ("gpt2", "reagent", True),
        *(("t5", method, past) for method in ALL for past in (True, False) if method != "deeplift"),
        *(("llama", method, True) for method in ("integrated_gradients", "attn_lrp", "token_erasure")),
        *(("bart", method, True) for method in ("deeplift", "shapley", "chefer")),
    ],
)
def test_all_at_once_is_one_by_one(family, method, past):
    asked = question(family, past=past)
    quick = BRIEF.get(method, {})
    *_, found = asked.columns(method, **quick)
    assert found.values.shape == (3, 8)
    assert (found.done, found.total) == (3, 3)
    for place in range(3):
        alone = asked.attribute(method, span=place, **quick)
        torch.testing.assert_close(found.values[place], alone.values[0].to(found.values), rtol=1e-3, atol=1e-5)
        assert found.values[place, 5 + place :].tolist() == [0] * (3 - place)
        assert bool(found.values[place, :5].any())
        if not past:
            assert found.values[place, 5:].tolist() == [0] * 3


def test_columns_share_passes():
    generated = generate(random("gpt2"), "abcde", Letters(), continuation="fghijklm")
    asked = OutputSession(generated, session=Session)
    results = list(asked.columns("input_x_gradient"))
    assert results[0].done == 1
    assert bool(results[0].values[1:].isnan().all())
    assert results[-1].evaluations == {"forward": 0, "gradient": 8}
    *_, erased = asked.columns("feature_ablation")
    one = asked.attribute("feature_ablation", span=7)
    assert erased.evaluations["forward"] == one.evaluations["forward"] == 14
    *_, some = asked.columns("input_x_gradient", positions=[6, 2])
    torch.testing.assert_close(some.values, results[-1].values[[6, 2]])


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_sums_are_complete(family):
    asked = question(family)
    *_, found = asked.columns("deeplift", baseline="mask")
    assert float(found.delta.abs().max()) < 1e-6
    *_, found = asked.columns("integrated_gradients", steps=65)
    scores = [asked.attribute("deeplift", span=place) for place in range(3)]
    rise = torch.stack([one.score - one.baseline_score for one in scores]).squeeze(1)
    torch.testing.assert_close(found.values.sum(1).to(rise), rise, rtol=0.02, atol=1e-3)


def test_each_targets_are_those_of_the_library():
    asked = question("gpt2")
    generated = asked.generated
    ids = torch.tensor([generated.tokens.ids])
    where = [(4 + place, number) for place, number in enumerate(generated.output.ids)]
    whole = attribute(
        generated.model, {"input_ids": ids}, target=Each(*where), method="input_x_gradient", layer="transformer.wte"
    )
    *_, found = asked.columns("input_x_gradient")
    torch.testing.assert_close(found.values, whole.values[:, 0].sum(-1).to(found.values), rtol=1e-4, atol=1e-6)


def test_attention_is_read_before_the_word():
    asked = question("llama")
    generated = asked.generated
    for place in range(3):
        prefix = torch.tensor([[*generated.prompt.ids, *generated.output.ids[:place]]])
        expected = attribute(generated.model, {"input_ids": prefix}, target=(4 + place, 3), method="attention_rollout")
        found = asked.attribute("attention_rollout", span=place).values
        torch.testing.assert_close(found[0, : 5 + place], expected.values[0])


def test_captums_ablation_of_a_language_model():
    model, tokenizer = stored("sst2-llama-tiny")
    found = generate(model, "the movie is", tokenizer, tokens=4)
    asked = OutputSession(found, session=Session, score="log_probability", past=False)
    *_, ours = asked.columns("feature_ablation", baseline="pad")
    wrapped = LLMAttribution(FeatureAblation(model), tokenizer)
    pad = tokenizer.pad_token_id
    given = TextTokenInput("the movie is", tokenizer, baselines=pad, skip_tokens=[0])
    # With its cache of outputs, Captum 0.9 goes on from keys and values that the step before has already added to.
    theirs = wrapped.attribute(given, target=found.output.text, num_trials=1, use_cached_outputs=False)
    torch.testing.assert_close(ours.values[:, 1:4], theirs.token_attr, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.values[:, 1:4].sum(0), theirs.seq_attr, rtol=1e-3, atol=1e-4)


def test_cancelling():
    asked = question("gpt2")
    columns = asked.columns("integrated_gradients", steps=17)
    next(columns)
    columns.close()

    def stop():
        raise Cancelled

    stopped = question("gpt2", interrupt=stop)
    with pytest.raises(Cancelled):
        stopped.attribute("saliency")

    def enough(count):
        if count == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        generate(random("gpt2"), "abc", Letters(), tokens=5, progress=enough)
    assert all(parameter.requires_grad for parameter in random("gpt2").parameters())


def test_units_of_prompt_and_output():
    asked = question("gpt2", unit="word")
    found = asked.attribute("shapley", span=2, baseline="mask")
    assert len(set(found.values[0, :7].tolist())) == 1  # one word


def test_errors_say_what_to_do():
    asked = question("gpt2")
    for arguments, code in (({"span": 3}, "target_range"), ({"span": (0, 2), "foil": 5}, "foil_of_span")):
        with pytest.raises(TargetError) as caught:
            asked.attribute("saliency", **arguments)
        assert caught.value.code == code
    with pytest.raises(TargetError):
        question("gpt2", score="odds")
    with pytest.raises(ParameterError):
        generate(random("gpt2"), "abc", Letters(), tokens=0)
    with pytest.raises(InputError):
        generate(random("gpt2"), "abc", Letters(), continuation="")
    with pytest.raises(InputError):
        generate(random("gpt2"), "a" * 99, Letters())
    with pytest.raises(ModelError) as training:
        generate(Recurrent(), "abc", Letters())
    assert training.value.code == "training_mode"
    _, tokenizer = stored("sst2-llama-tiny")
    assert tokenizer.convert_ids_to_tokens(foil_id("good", tokenizer)) == "Ġgood"
    with pytest.raises(TargetError):
        foil_id("no such word", tokenizer)
