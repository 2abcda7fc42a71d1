"""Searching an index: what a full sort of all products gives, a page at a time, and little lost to few bits."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from training_parts import digits, finished, spec_of

from benchmarks.training_scan import write
from xaiwidgets.engine.errors import Cancelled, InputError, ParameterError
from xaiwidgets.training import scan as scanning
from xaiwidgets.training.checkpoints import Checkpoints
from xaiwidgets.training.data import TrainingData
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.scan import Tally, scores, top
from xaiwidgets.training.shards import Shards
from xaiwidgets.training.sketch import query_vectors
from xaiwidgets.training.spec import Spec

ROWS, DIM, QUESTIONS = 700, 32, 3


@pytest.fixture(scope="module", params=["float16", "int8"])
def random_index(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write(folder, ROWS, DIM, request.param, block=128)
    return Shards(folder)


@pytest.fixture
def questions():
    return torch.randn(QUESTIONS, DIM, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def a_page_for_every_block(monkeypatch):
    monkeypatch.setattr(scanning, "PAGE_EVERY", 0.0)
    monkeypatch.setattr(scanning, "BUFFER", 4 * DIM * 50)  # several buffers a block, the last one not full


@pytest.mark.parametrize("k", [1, 10, 699, 2000])
@pytest.mark.parametrize("some", [False, True], ids=["all", "some"])
def test_the_last_page_is_a_full_sort(random_index, questions, k, some):
    candidates = np.array([650, 3, 3, *range(100, 300)]) if some else None
    among = np.arange(ROWS) if candidates is None else np.unique(candidates)
    exact = questions @ random_index.vectors(among).T
    *_, page = top(questions, random_index, k, candidates=candidates)
    kept = min(k, len(among))
    for (positions, found), ordered in (
        (page.proponents, exact.sort(1, descending=True)),
        (page.opponents, exact.sort(1)),
    ):
        assert positions.shape == found.shape == (QUESTIONS, kept)
        np.testing.assert_allclose(found, ordered.values[:, :kept], rtol=1e-4, atol=1e-4)
        where = np.searchsorted(among, positions)
        np.testing.assert_allclose(exact.gather(1, torch.from_numpy(where)), found, rtol=1e-4, atol=1e-4)
    assert page.scanned == page.total == len(among)


def test_pages_come_before_the_end_and_only_get_better(random_index, questions):
    pages = list(top(questions, random_index, 5))
    assert [page.scanned for page in pages] == [128, 256, 384, 512, 640, 700]
    for earlier, later in itertools.pairwise(pages):
        assert (later.proponents[1] >= earlier.proponents[1]).all()
        assert (later.opponents[1] <= earlier.opponents[1]).all()
        assert earlier.proponents[0].max() < earlier.scanned


def test_pages_are_not_more_frequent_than_can_be_seen(monkeypatch, random_index, questions):
    monkeypatch.setattr(scanning, "PAGE_EVERY", 1e6)
    assert [page.scanned for page in top(questions, random_index, 5)] == [128, 700]


def test_totals_are_those_of_all_scores(random_index, questions):
    exact = (questions @ random_index.vectors(np.arange(ROWS)).T).double()
    *_, page = top(questions, random_index, 5)
    totals = page.totals
    np.testing.assert_allclose(totals.positive, exact.clamp(min=0).sum(1), rtol=1e-4)
    np.testing.assert_allclose(totals.negative, exact.clamp(max=0).sum(1), rtol=1e-4)
    assert totals.counts.sum(1).tolist() == [ROWS] * QUESTIONS
    for row, counts in zip(exact, totals.counts, strict=True):
        expected, _ = np.histogram(row.numpy(), totals.edges)
        assert np.abs(expected - counts).sum() <= 4  # a score on an edge may round to either side


def test_a_histogram_widens_without_losing_what_it_counted():
    tally = Tally(1)
    values = torch.tensor([[0.01, -0.02, 0.5, -100.0, 3.0]])
    for value in values[0]:
        tally.add(value.reshape(1, 1))
    totals = tally.totals()
    assert totals.edges[0] <= -100
    assert totals.edges[-1] >= 100
    expected, _ = np.histogram(values.numpy(), totals.edges)
    assert totals.counts[0].tolist() == expected.tolist()


def test_each_candidates_scores_can_be_divided(random_index, questions):
    divisors = np.linspace(0, 2, ROWS)
    exact = questions @ random_index.vectors(np.arange(ROWS)).T / torch.from_numpy(divisors).float()
    exact[:, 0] = 0
    *_, page = top(questions, random_index, 3, divisors=divisors)
    np.testing.assert_allclose(page.proponents[1], exact.topk(3).values, rtol=1e-4)


def test_scores_come_block_by_block(random_index, questions):
    blocks = list(scores(questions, random_index, candidates=np.array([5, 130, 131, 699])))
    assert [positions.tolist() for positions, _ in blocks] == [[5], [130, 131], [699]]
    exact = questions @ random_index.vectors(np.array([5, 130, 131, 699])).T
    torch.testing.assert_close(torch.cat([scored for _, scored in blocks], 1), exact, rtol=1e-4, atol=1e-4)


def test_an_interrupt_ends_the_scan(random_index, questions):
    calls = iter(range(10))

    def interrupt():
        if next(calls) == 2:
            raise Cancelled

    pages = top(questions, random_index, 5, interrupt=interrupt)
    assert next(pages).scanned == 128
    assert next(pages).scanned == 256
    with pytest.raises(Cancelled):
        next(pages)


def test_what_cannot_be_asked_is_said(random_index, questions, tmp_path):
    with pytest.raises(ParameterError, match="k=0"):
        next(top(questions, random_index, 0))
    with pytest.raises(InputError, match="32 numbers"):
        next(top(questions[:, :5], random_index, 3))
    with pytest.raises(InputError, match="not finite"):
        next(top(questions * torch.nan, random_index, 3))
    with pytest.raises(InputError, match="no vectors"):
        next(top(questions, finished(spec_of(20), tmp_path, projection=False), 3))


# --- what few numbers of few bits cost -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A spec of 700 digits and four checkpoints of a small training, exact TracIn of 40 others, and their gradients."""
    images, labels = digits(740)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    states = []
    for step in range(80):
        optimiser.zero_grad()
        functional.cross_entropy(model(images[:700]), labels[:700]).backward()
        optimiser.step()
        if step % 20 == 19:
            states.append({name: value.clone() for name, value in model.state_dict().items()})
    checkpoints = Checkpoints(states, model, learning_rates=0.5)
    spec = Spec(
        model, TrainingData((images[:700], labels[:700])), checkpoints, loss_of("cross_entropy"), None, None, 50
    )
    exact, asked = 0, []
    for number, checkpoint in enumerate(checkpoints):
        copy = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
        checkpoint.load_into(copy)
        recorder = spec.recorder(copy)
        asked.append((number, recorder.record(images[700:], labels[700:])))
        everyone = recorder.record(images[:700], labels[:700])
        exact = exact + checkpoint.learning_rate * asked[-1][1].dot(everyone)
    return spec, exact, asked


@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("int8", 0.999)])
def test_few_bits_cost_little_beside_the_sketch_itself(trained, tmp_path, dtype, least):
    spec, exact, asked = trained
    index = finished(spec, tmp_path, projection={"dtype": dtype})
    vectors = query_vectors(spec, index.projection, asked)
    estimate = torch.cat([scored for _, scored in scores(vectors, index)], 1)
    unrounded = vectors @ torch.cat([_unrounded(spec, index, start) for start in range(0, 700, 350)]).T
    assert _correlation(estimate, unrounded) > least
    assert _correlation(estimate, exact) > 0.95
    assert _correlation(unrounded, exact) - _correlation(estimate, exact) < 0.002
    shortlist = estimate.topk(50).indices
    found = (exact.topk(10).indices[:, :, None] == shortlist[:, None, :]).any(2).float().mean()
    assert found > 0.97


def _unrounded(spec, index, start):
    images, labels = spec.data.batch(np.arange(start, start + 350))
    recorded = []
    for number, checkpoint in enumerate(spec.checkpoints):
        copy = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
        checkpoint.load_into(copy)
        recorded.append((number, spec.recorder(copy).record(images, labels)))
    return query_vectors(spec, index.projection, recorded)


def _correlation(first, second):
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])
