"""Discretized and sequential integrated gradients: the paths word by word, the sums, and what they refuse."""

import numpy as np
import pytest
import torch
import zoo
from torch import nn

from xaiwidgets.api import Session, attribute
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.target import Each
from xaiwidgets.methods.word_paths import _halved, _Walk

LAYER = "bert.embeddings.word_embeddings"
NAMES = ("discretized_ig", "sequential_ig")
IDS = torch.tensor([[5, 3, 7, 2, 9, 4], [9, 1, 4, 6, 0, 0]])


def bert():
    model, _ = zoo.make("bert_sdpa")
    return model, {"input_ids": IDS, "attention_mask": (IDS != 0).long()}


def run(model, inputs, method, target=1, **settings):
    settings = {"wrt": "input_ids", "layer": LAYER, "baseline": 0, **settings}
    return attribute(model, inputs, target=target, method=method, **settings)


def walked(vectors, word, end, *, steps, strategy, count):
    """The path of one word to the baseline, as the paper's program walks it: words, then points made monotone."""
    path, points = [word], [vectors[word].copy()]
    for _ in range(steps):
        here = path[-1]
        nearest = [w for w in np.argsort(((vectors - vectors[here]) ** 2).sum(1), kind="stable") if w != here][:count]
        best, best_cost = end, np.inf
        for other in nearest if here != end else []:
            inside = between(vectors[here], vectors[other], vectors[end])
            bent = np.where(inside, vectors[other], vectors[here] + (vectors[end] - vectors[here]) / steps)
            cost = np.sqrt(((vectors[other] - bent) ** 2).sum()) if strategy == "greedy" else (~inside).sum()
            if other != end and other not in path and cost < best_cost:
                best, best_cost = other, cost
        path.append(best)
        last = points[-1]
        inside = between(last, vectors[best], vectors[end])
        points.append(np.where(inside, vectors[best], last + (vectors[end] - last) / steps))
    return np.stack([vectors[end], *points[::-1]])


def between(start, value, end):
    return (np.minimum(start, end) <= value) & (value <= np.maximum(start, end))


@pytest.mark.parametrize("strategy", ["greedy", "maxcount"])
@pytest.mark.parametrize("count", [4, 11])  # with four neighbours some ways run out of words
def test_paths_are_those_of_the_paper(strategy, count):
    vectors = torch.randn(12, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ids, absent = torch.tensor([[3, 7, 0], [11, 3, 5]]), torch.tensor([[0, 0, 0], [2, 0, 5]])
    found = _Walk(vectors, 6, strategy, count).points(ids, absent)
    assert found.shape == (8, 2, 3, 5)
    for row in range(2):
        for token in range(3):
            expected = walked(
                vectors.numpy(), int(ids[row, token]), int(absent[row, token]), steps=6, strategy=strategy, count=count
            )
            assert np.allclose(found[:, row, token].numpy(), expected, rtol=0, atol=1e-12)
    moves = _halved(found, 2).diff(dim=0)
    whole = (vectors[ids] - vectors[absent]).sign()
    assert bool(((moves * whole) >= -1e-15).all())  # every value goes one way
    assert torch.allclose(moves.sum(0), vectors[ids] - vectors[absent])
    assert not moves[:, 1, 2].any()  # a token that equals the baseline stays


@pytest.mark.parametrize("strategy", ["greedy", "maxcount"])
def test_discretized_ig_adds_up_gradients_along_the_paths(strategy):
    model, inputs = bert()
    vectors = model.bert.embeddings.word_embeddings.weight.detach()
    path = _Walk(vectors, 5, strategy, 50).points(IDS, torch.zeros_like(IDS))
    total = torch.zeros_like(path[0])
    gradients = []
    for points in path:
        points.requires_grad_()
        score = model(inputs_embeds=points, attention_mask=inputs["attention_mask"]).logits[:, 1].sum()
        gradients.append(torch.autograd.grad(score, points)[0])
    path = path.detach()
    for number in range(len(path) - 1):
        total += gradients[number] * (path[number + 1] - path[number])
    settings = {"steps": 5, "strategy": strategy, "halvings": 0}
    found = run(model, inputs, "discretized_ig", rule="left", **settings)
    assert torch.allclose(found.values, total.detach(), rtol=1e-5, atol=1e-7)
    ends = torch.stack(gradients)
    both = ((ends[1:] + ends[:-1]) / 2 * path.diff(dim=0)).sum(0)
    assert torch.allclose(run(model, inputs, "discretized_ig", **settings).values, both, rtol=1e-5, atol=1e-7)


def test_discretized_ig_is_complete():
    model, inputs = bert()
    deltas = []
    for halvings in (0, 2, 4):
        found = run(model, inputs, "discretized_ig", halvings=halvings)
        assert torch.allclose(found.delta, found.values.sum((1, 2)) - (found.score - found.baseline_score), atol=1e-6)
        deltas.append(float(found.delta.abs().max()))
    assert deltas[2] < 0.01 * float((found.score - found.baseline_score).abs().min())
    assert deltas[0] > deltas[1] > deltas[2]


def test_sequential_ig_sums_to_what_erasing_a_token_does():
    model, inputs = bert()
    found = run(model, inputs, "sequential_ig", baseline=8)
    with torch.no_grad():
        full = model(**inputs).logits[:, 1]
        for token in range(6):
            ids = IDS.clone()
            ids[:, token] = 8
            change = full - model(**{**inputs, "input_ids": ids}).logits[:, 1]
            assert torch.allclose(found.values[:, token].sum(1), change, rtol=1e-3, atol=1e-3)
    assert found.error < 1e-3
    erased = attribute(model, inputs, target=1, method="token_erasure", wrt="input_ids", baseline=8).values
    assert torch.allclose(found.values.sum(2).float(), erased, rtol=1e-3, atol=1e-3)


def test_sequential_ig_is_an_integral_for_each_token():
    model, inputs = bert()
    vectors = model.bert.embeddings.word_embeddings.weight.detach()
    found = run(model, inputs, "sequential_ig", steps=4)
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for token in (0, 3):
        total = 0
        for alpha, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            points = vectors[IDS].clone()
            points[:, token] = vectors[0] + alpha * (vectors[IDS[:, token]] - vectors[0])
            points.requires_grad_()
            score = model(inputs_embeds=points, attention_mask=inputs["attention_mask"]).logits[:, 1].sum()
            total += weight * torch.autograd.grad(score, points)[0][:, token]
        expected = (vectors[IDS[:, token]] - vectors[0]) * total
        assert torch.allclose(found.values[:, token], expected, rtol=1e-5, atol=1e-7)
    kept = torch.tensor([[5, 0, 0, 2, 0, 0]])  # numbers like the input's keep tokens as they are
    some = run(model, inputs, "sequential_ig", steps=4, baseline=kept)
    assert not some.values[0, [0, 3]].any()
    assert torch.equal(some.values[0, [1, 2, 4, 5]], found.values[0, [1, 2, 4, 5]])
    assert some.evaluations["gradient"] < found.evaluations["gradient"] + 4 * 2


@pytest.mark.parametrize("method", NAMES)
def test_rows_targets_and_batches(method):
    model, inputs = bert()
    little = {"steps": 4} | ({"halvings": 0} if method == "discretized_ig" else {})
    whole = run(model, inputs, method, **little)
    assert torch.equal(run(model, inputs, method, **little).values, whole.values)
    assert torch.allclose(run(model, inputs, method, batch_size=3, **little).values, whole.values, rtol=0, atol=1e-7)
    alone = run(model, {key: value[1:] for key, value in inputs.items()}, method, **little)
    assert torch.allclose(alone.values[0], whole.values[1], rtol=0, atol=1e-7)
    several = run(model, inputs, method, target=Each(2, 1), **little)
    assert torch.allclose(several.values[1], whole.values, rtol=0, atol=1e-7)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_embeddings_that_do_more_than_look_up():
    """What counts is what the layer puts out, as in models that scale their embeddings."""

    class Scaled(nn.Embedding):
        def forward(self, numbers):
            return super().forward(numbers) * 3

    torch.manual_seed(0)
    model = nn.Sequential(Scaled(9, 4), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double().eval()
    ids = torch.tensor([[3, 5, 8]])
    found = attribute(model, ids, target=1, method="discretized_ig", layer="0", baseline=1, steps=4, halvings=4)
    with torch.no_grad():
        change = (model(ids) - model(torch.ones_like(ids)))[:, 1]
    assert torch.allclose(found.score - found.baseline_score, change, atol=1e-6)
    assert found.delta.abs() < 0.01 * change.abs() + 1e-3


@pytest.mark.parametrize("method", NAMES)
def test_where_they_cannot_be_asked(method):
    model, inputs = bert()
    with pytest.raises(InputError) as error:
        attribute(model, inputs, target=1, method=method, wrt="input_ids")
    assert error.value.code == "integer_input"
    assert "layer=" in error.value.hint
    with pytest.raises(InputError) as error:
        attribute(nn.Linear(3, 2).eval(), torch.rand(2, 3), target=1, method=method)
    assert error.value.code == "not_an_embedding"
    for layer in ("bert.encoder.layer.0", "bert.embeddings.position_embeddings"):
        with pytest.raises(ModelError) as error:
            run(model, inputs, method, layer=layer)
        assert error.value.code == "not_an_embedding"
        assert LAYER in error.value.hint
    for settings, code in (
        ({"baseline": 32}, "token_range"), ({"baseline": -1}, "token_range"), ({"baseline": 0.5}, "baseline_tokens"),
        ({"baseline": torch.zeros(5, dtype=torch.long)}, "baseline_shape"), ({"baseline": "blur"}, "unknown_baseline"),
        ({"baseline": "mask_token"}, "baseline_needs_tokens"), ({"steps": 1}, "parameter_range"),
    ):  # fmt: skip
        with pytest.raises(ParameterError) as error:
            run(model, inputs, method, **settings)
        assert error.value.code == code
    assert torch.equal(
        run(model, inputs, method, steps=2, baseline="auto").values, run(model, inputs, method, steps=2).values
    )  # the padding token, which is 0


def test_a_review_of_the_stored_model(shared):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = shared / "models" / "sst2-bert-tiny"
    if not folder.exists():
        pytest.skip(f"no stored model at {folder}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = dict(tokenizer(["a gorgeous , witty , seductive movie ."], return_tensors="pt"))
    inputs.pop("token_type_ids", None)
    session = Session(model, inputs, target=1, wrt="input_ids")
    absent = torch.where(inputs["input_ids"] > 4, tokenizer.mask_token_id, inputs["input_ids"])  # special tokens stay
    found = session.attribute("discretized_ig", layer=LAYER, baseline=absent)
    assert abs(float(found.delta)) < 0.02 * abs(float(found.score - found.baseline_score))
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    assert tokens[int(found.values.sum(2)[0].argmax())] == "witty"
    assert not found.values[0, [0, -1]].any()
