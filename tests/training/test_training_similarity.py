"""Similarity of features and the vote of neighbours, asked through an index."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.training.shapley_values import knn_shapley


class Two(nn.Module):
    """Two linear layers whose order in the module is not the order of use, and a branch after the last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.body = nn.Linear(2 * 4, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images.flatten(1)).relu_())


@pytest.fixture(scope="module")
def index():
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(70, 2, 4, generator=generator), torch.randint(0, 3, (70,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = [Two(), Two()]
    with TrainingIndex.build(
        models[0], (inputs, labels), checkpoints=models, projection=False, progress=False, batch_size=16
    ) as built:
        yield built, models[1], inputs, labels


def hidden(model: Two, inputs: torch.Tensor) -> torch.Tensor:
    return model.body(inputs.flatten(1)).relu().detach()


def alike(measure: str, queries: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    pairs = queries.flatten(1)[:, None], rows.flatten(1)[None]
    if measure == "cosine":
        return functional.cosine_similarity(*pairs, dim=2)
    return (pairs[0] * pairs[1]).sum(2) if measure == "dot" else -(pairs[0] - pairs[1]).square().sum(2)


@pytest.mark.parametrize("measure", ["cosine", "dot", "l2"])
def test_layers_and_measures(index, measure):
    built, model, inputs, labels = index
    layers = {None: hidden, "body": lambda model, x: model.body(x.flatten(1)).detach(), "input": lambda _model, x: x}
    for layer, features in layers.items():
        result = built.influence(inputs[:4], labels[:4], method="feature_similarity", layer=layer, measure=measure)
        expected = alike(measure, features(model, inputs[:4]), features(model, inputs))
        np.testing.assert_allclose(result.scores, expected.numpy(), atol=2e-5)
        assert result.per_checkpoint.shape == (4, 70, 1)
        assert "raised or lowered" in result.notes[-1]


def test_only_the_candidates_and_only_the_leaders(index):
    built, _, inputs, labels = index
    every = built.influence(inputs[:2], labels[:2], method="feature_similarity")
    some = built.influence(inputs[:2], labels[:2], method="feature_similarity", candidates=[3, 50, 69])
    np.testing.assert_allclose(some.scores, every.scores[:, [3, 50, 69]], rtol=1e-5)
    leaders, _ = built.influence(inputs[:2], labels[:2], method="feature_similarity", k=2).proponents(1)
    assert leaders.ravel().tolist() == [0, 1]  # training examples are most like themselves


def test_another_checkpoint_has_other_features(index):
    built, _, inputs, labels = index
    first, last = (
        built.influence(inputs[:2], labels[:2], method="feature_similarity", checkpoints=[one]) for one in (0, 1)
    )
    assert not np.allclose(first.scores, last.scores, atol=0.01)


def test_neighbours_vote(index):
    built, model, inputs, labels = index
    result = built.influence(inputs[:5], labels[:5], method="knn_shapley", neighbours=3)
    expected = knn_shapley(hidden(model, inputs), labels, hidden(model, inputs[:5]), labels[:5], neighbours=3)
    np.testing.assert_allclose(result.scores, expected.numpy(), atol=1e-6)
    assert not result.exact
    some = built.influence(inputs[:5], labels[:5], method="knn_shapley", neighbours=3, candidates=range(0, 70, 2))
    fewer = knn_shapley(hidden(model, inputs)[::2], labels[::2], hidden(model, inputs[:5]), labels[:5], neighbours=3)
    np.testing.assert_allclose(some.scores, fewer.numpy(), atol=1e-6)


def test_neighbours_vote_about_classes():
    model, data = nn.Linear(3, 1), (torch.randn(8, 3), torch.randn(8, 1))
    with (
        TrainingIndex.build(
            model, data, checkpoints=[model], loss="squared_error", projection=False, progress=False
        ) as built,
        pytest.raises(InputError, match="one class"),
    ):
        built.influence(data[0][:2], data[1][:2], method="knn_shapley")


def test_what_cannot_be_compared_is_named(index):
    built, _, inputs, labels = index
    with pytest.raises(ParameterError, match="bodi"):
        built.influence(inputs[:2], labels[:2], method="feature_similarity", layer="bodi")
    tokens = torch.arange(12).view(4, 3), torch.tensor([0, 1, 0, 1])
    model = nn.Sequential(nn.Embedding(12, 2), nn.Flatten(), nn.Linear(6, 2))
    with (
        TrainingIndex.build(model, tokens, checkpoints=[model], projection=False, progress=False) as words,
        pytest.raises(ModelError, match="no row of numbers"),
    ):
        words.influence(tokens[0][:1], method="feature_similarity", layer="input")


def test_texts_of_different_lengths_have_no_common_features():
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embedding(ids).mean(1))

    texts = [(torch.arange(length), length % 2) for length in (3, 5)]
    model = Words()
    with TrainingIndex.build(
        model, texts, checkpoints=[model], projection=False, progress=False, batch_size=1
    ) as built:
        assert built.influence(texts[0][0][None], method="feature_similarity").scores.shape == (1, 2)
        with pytest.raises(InputError, match="cannot be compared"):
            built.influence(texts[0][0][None], method="feature_similarity", layer="embedding")
