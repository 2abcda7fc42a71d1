"""Experiments on scores of training examples: retraining, wrong labels, classes, a randomised model.

The digits network is 64-32-10; all retraining is done side by side (`training.retraining`). Simple baselines stand beside.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measure import SHARED
from xaiwidgets.training import evaluation
from xaiwidgets.training.dynamics import DynamicsRecorder
from xaiwidgets.training.evaluation import Agreement, Detection
from xaiwidgets.training.index import TrainingIndex
from xaiwidgets.training.retraining import Networks, Schedule, margins, train_networks
from xaiwidgets.training.shapley_values import knn_shapley, similarity
from xaiwidgets.training.vog import variance_of_gradients

SIZES = (64, 32, 10)
SCHEDULE = Schedule(steps=200, learning_rate=0.5, momentum=0.9, weight_decay=1e-3)
MOMENTS = tuple(range(20, 200, 20))  # with the end: ten checkpoints
TRAIN, QUERIES = 1200, 200
SUBSETS, REPEATS = 64, 4
MODELS = 10
WRONG = 0.1
NEIGHBOURS = 10
PICTURES, EPOCHS = 3000, 8

GAUSS_NEWTON = "influence function, Gauss-Newton"
TRAK, TRAK_10 = "TRAK, 1 model", "TRAK, 10 models"
COSINE = "gradient cosine"
FEATURES, INPUTS, RANDOM = "feature cosine", "distance of inputs", "random"

METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    GAUSS_NEWTON: ("end", "influence_function", {"solver": "exact", "hessian": "gauss_newton"}),
    TRAK_10: ("models", "trak", {}),
    "EK-FAC": ("end", "influence_function", {"solver": "ekfac"}),
    "influence function, Fisher": ("end", "influence_function", {"solver": "exact", "hessian": "fisher"}),
    TRAK: ("end", "trak", {}),
    "RelatIF": ("end", "relatif", {}),
    COSINE: ("end", "gradient_cosine", {}),
    "gradient product": ("end", "gradient_dot", {}),
    "TracIn, 10 checkpoints": ("moments", "tracin", {}),
    "TracIn, last layer": ("moments", "tracin_last_layer", {}),
    "representer points": ("end", "representer_points", {}),
    "KNN-Shapley of features": ("end", "knn_shapley", {}),
    FEATURES: ("end", "feature_similarity", {}),
    INPUTS: ("end", "feature_similarity", {"layer": "input", "measure": "l2"}),
    RANDOM: ("end", "random", {}),
}
"""Title -> which checkpoints (the end of one training, its ten moments, the ends of ten trainings), method, parameters."""


@dataclass(frozen=True, eq=False)
class Data:
    inputs: Tensor
    labels: Tensor
    queries: Tensor
    asked: Tensor
    """Labels of the queries."""


@cache
def digits(seed: int = 0, train: int = TRAIN, queries: int = QUERIES) -> Data:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(seed))
    inputs, labels = torch.tensor(bunch.data / 16, dtype=torch.float32)[order], torch.tensor(bunch.target)[order]
    end = train + queries
    return Data(inputs[:train], labels[:train], inputs[train:end], labels[train:end])


def trained(data: Data, seeds: Sequence[int], moments: Sequence[int] = ()) -> list[list[nn.Module]]:
    """Networks on all the data: for each seed the moments and the end."""
    every = torch.arange(len(data.labels)).expand(len(seeds), -1)
    times = train_networks(
        data.inputs, data.labels, every, sizes=SIZES, seeds=seeds, schedule=SCHEDULE, snapshots=moments
    )
    return [[networks.module(place) for networks in times] for place in range(len(seeds))]


def indexed(data: Data, models: Sequence[nn.Module]) -> TrainingIndex:
    return TrainingIndex.build(
        models[-1], (data.inputs, data.labels), checkpoints=list(models), projection=False, progress=False
    )


def scored(
    data: Data, titles: Sequence[str] = tuple(METHODS), seed: int = 0
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Title, scores [queries, training examples] of the queries' own labels, seconds."""
    path = trained(data, [seed], MOMENTS)[0]
    wanted = {METHODS[title][0] for title in titles}
    others = [one[-1] for one in trained(data, range(seed + 1, seed + MODELS))] if "models" in wanted else []
    checkpoints = {"end": path[-1:], "moments": path, "models": [*path[-1:], *others]}
    indexes = {kind: indexed(data, checkpoints[kind]) for kind in wanted}
    for title in titles:
        kind, method, parameters = METHODS[title]
        started = time.perf_counter()
        result = indexes[kind].influence(data.queries, data.asked, method=method, **parameters)
        yield title, result.scores, time.perf_counter() - started
    for index in indexes.values():
        index.close()


# --- retraining ------------------------------------------------------------------------------------------------------


def subset_margins(data: Data, subsets: int, repeats: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Half-subsets [S, n] and the margins [S, queries] of networks trained on them, the mean over `repeats` first weights."""
    kept = evaluation.half_subsets(len(data.labels), subsets, seed=seed)
    seeds = range(1000, 1000 + subsets * repeats)
    networks = train_networks(
        data.inputs, data.labels, kept.repeat_interleave(repeats, 0), sizes=SIZES, seeds=seeds, schedule=SCHEDULE
    )[-1]
    return kept, margins(networks(data.queries), data.asked).view(subsets, repeats, -1).mean(1)


def linear_datamodeling(
    data: Data, titles: Sequence[str] = tuple(METHODS), subsets: int = SUBSETS, repeats: int = REPEATS
) -> Iterator[tuple[str, Agreement, float]]:
    kept, outputs = subset_margins(data, subsets, repeats)
    for title, scores, seconds in scored(data, titles):
        yield title, evaluation.linear_datamodeling(scores, kept, outputs), seconds


def left_out(titles: Sequence[str], count: int = 60) -> Iterator[tuple[str, Agreement]]:
    """Scores of some training examples beside retraining without each: a linear classifier with weight decay, few examples.

    Float64 and trained until nothing moves: what leaving one out changes is small. The damping is the weight decay.
    """
    whole = digits(train=300)
    data = Data(whole.inputs.double(), whole.labels, whole.queries.double(), whole.asked)
    sizes, schedule = (SIZES[0], SIZES[-1]), replace(SCHEDULE, steps=600, learning_rate=1.0, weight_decay=0.01)

    def networks(kept: Tensor) -> Networks:
        return train_networks(data.inputs, data.labels, kept, sizes=sizes, seeds=[0] * len(kept), schedule=schedule)[-1]

    positions = range(count)
    gone = evaluation.leave_one_out(
        lambda kept: margins(networks(kept)(data.queries), data.asked), positions, len(data.labels)
    )
    with indexed(data, [networks(torch.arange(len(data.labels))[None]).module(0)]) as index:
        for title in titles:
            _, method, parameters = METHODS[title]
            if method == "influence_function":
                parameters = parameters | {"damping": schedule.weight_decay}
            result = index.influence(data.queries, data.asked, method=method, candidates=positions, **parameters)
            yield title, evaluation.rank_agreement(result.scores, gone)


def removal(
    data: Data, titles: Sequence[str], sizes: Sequence[int], queries: Sequence[int]
) -> Iterator[tuple[str, Tensor]]:
    """Mean margin of some queries after their strongest proponents are left out: [1 + sizes], first with all."""

    def retrain(kept: Tensor) -> Tensor:
        networks = train_networks(
            data.inputs, data.labels, kept, sizes=SIZES, seeds=[0] * len(kept), schedule=SCHEDULE
        )[-1]
        return margins(networks(data.queries), data.asked)

    for title, scores, _ in scored(data, titles):
        yield title, evaluation.subset_removal(scores, retrain, sizes, queries).mean(1)


# --- classes ---------------------------------------------------------------------------------------------------------


def same_class(data: Data, titles: Sequence[str] = tuple(METHODS), seed: int = 0) -> Iterator[tuple[str, float, float]]:
    """Share of queries led by an example of their class; of their digit, by a network that was taught pairs of digits."""
    pairs = replace(data, labels=data.labels // 2, asked=data.asked // 2)
    right = (trained(pairs, [seed])[0][-1](data.queries).argmax(1) == pairs.asked).detach()
    coarse = scored(pairs, titles, seed)
    for (title, scores, _), (_, sub, _) in zip(scored(data, titles, seed), coarse, strict=True):
        yield (
            title,
            evaluation.identical_class(scores, data.labels, data.asked),
            evaluation.identical_subclass(sub, data.labels, data.asked, right),
        )


def randomised(data: Data, titles: Sequence[str]) -> Iterator[tuple[str, Agreement]]:
    """Rank agreement with the scores of a network that has learnt nothing; the one checkpoint is the end of training."""
    model = trained(data, [0])[0][-1]
    with indexed(data, [model]) as learnt, indexed(data, [evaluation.randomised(model)]) as blank:
        for title in titles:
            _, method, parameters = METHODS[title]
            first, second = (
                one.influence(data.queries, data.asked, method=method, **parameters).scores for one in (learnt, blank)
            )
            yield title, evaluation.rank_agreement(first, second)


def repeated(data: Data, titles: Sequence[str]) -> Iterator[tuple[str, Agreement]]:
    """Rank agreement of the scores of two trainings that differ in their first weights."""
    for (title, first, _), (_, second, _) in zip(scored(data, titles, 0), scored(data, titles, 100), strict=True):
        yield title, evaluation.rank_agreement(first, second)


# --- wrong labels ----------------------------------------------------------------------------------------------------


def planted(data: Data, share: float = WRONG, seed: int = 0) -> tuple[Data, Tensor]:
    """The same data with that share of the labels moved to another class, and which [N]."""
    generator = torch.Generator().manual_seed(seed)
    count = len(data.labels)
    wrong = torch.zeros(count, dtype=torch.bool)
    wrong[torch.randperm(count, generator=generator)[: round(share * count)]] = True
    shift = torch.randint(1, 10, (count,), generator=generator)
    return replace(data, labels=torch.where(wrong, (data.labels + shift) % 10, data.labels)), wrong


def suspicions(
    data: Data, index: TrainingIndex, features: Tensor, query_features: Tensor
) -> dict[str, np.ndarray | Tensor]:
    """What an index of one training says of each example, larger = more suspicious, and the simple baselines."""
    dynamics = index.dynamics()
    said = dynamics.suspicion()
    alike = similarity(features, features, "cosine").fill_diagonal_(-torch.inf)
    near = data.labels[alike.topk(NEIGHBOURS, dim=1).indices]
    generator = torch.Generator().manual_seed(0)
    return {
        "self-influence": index.self_influence(),
        "AUM": said["aum"],
        "EL2N": said["el2n"],
        "GraNd": said["grand"],
        "forgetting": said["forgetting"],
        "1 − mean confidence": said["confidence"],
        "variability": said["variability"],
        "variance of gradients": variance_of_gradients(index.spec.model, index.spec.data, index.spec.checkpoints),
        "KNN-Shapley": -knn_shapley(features, data.labels, query_features, data.asked, neighbours=NEIGHBOURS).mean(0),
        "loss at the end": dynamics.losses[:, -1],
        "neighbours of another label": (near != data.labels[:, None]).float().mean(1),
        "random": torch.rand(len(data.labels), generator=generator),
    }


def wrong_digits(seed: int = 0) -> dict[str, Detection]:
    data, wrong = planted(digits(seed), seed=seed)
    models = trained(data, [seed], MOMENTS)[0]
    with indexed(data, models) as index:
        said = suspicions(data, index, data.inputs, data.queries)
    return {title: evaluation.mislabelled(values, wrong) for title, values in said.items()}


def convolutional() -> nn.Sequential:
    """A small network for 32 × 32 pixels; its last layer is linear, of 64 features."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def wrong_pictures(count: int = PICTURES, epochs: int = EPOCHS) -> tuple[dict[str, Detection], float]:
    """CIFAR-10 with planted labels; the scores, and how many of the clean pictures of its test set the network gets right."""
    with np.load(SHARED / "data" / "cifar10_train.npz") as file, np.load(SHARED / "data" / "cifar10_test.npz") as other:
        inputs, labels = picture_tensor(file["images"][:count]), torch.tensor(file["labels"][:count]).long()
        queries, asked = picture_tensor(other["images"][:500]), torch.tensor(other["labels"][:500]).long()
    data, wrong = planted(Data(inputs, labels, queries, asked))
    torch.manual_seed(0)
    model, recorder, states = convolutional(), DynamicsRecorder(count), []
    optimiser = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    for _ in range(epochs):
        for rows in torch.randperm(count).split(50):
            optimiser.zero_grad()
            logits = model(data.inputs[rows])
            recorder.see(rows, logits, data.labels[rows])
            functional.cross_entropy(logits, data.labels[rows]).backward()
            optimiser.step()
        states.append({name: value.clone() for name, value in model.state_dict().items()})
    model.eval()
    with torch.no_grad():
        features, query_features = (
            torch.cat([model[:-1](part) for part in one.split(250)]) for one in (inputs, queries)
        )
    with TrainingIndex.build(
        model, (data.inputs, data.labels), checkpoints=states, projection=False, progress=False
    ) as index:
        said = suspicions(data, index, features, query_features)
    said["AUM, recorded while training"] = recorder.dynamics().suspicion()["aum"]
    accuracy = float((model[-1](query_features).argmax(1) == asked).double().mean())
    return {title: evaluation.mislabelled(values, wrong) for title, values in said.items()}, accuracy


def picture_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5
