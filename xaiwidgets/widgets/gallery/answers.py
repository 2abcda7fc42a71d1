"""The kernel side of a gallery: an index asked about queries, answers ready to be shown, kept for going back."""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaiwidgets.training.influence import Influence
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, find_training_method
from xaiwidgets.training.scan import top
from xaiwidgets.widgets.questions import keep

from .asks import Menu, Query, Request
from .facts import Facts
from .hubs import Hubs, find_duplicates, find_hubs, find_query
from .media import Album
from .pair import Model
from .ranking import Scored, histogram, stored, totals, without

KEEP_ANSWERS = 8
MOST = 100
"""Examples on either side that a page gets, for each way to rank them."""
WHOLE = 2_000
"""Up to so many examples all are scored, whatever the index could leave out."""
WHOLE_NUMBERS = 8_000_000
"""Scores that are kept at a time, of all examples and checkpoints."""
PARTIAL_EVERY = 0.3

Interrupt = Callable[[], None]
Report = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Asked:
    """What the model says to a query. `label`: whose loss is asked, as a number; None where it is none.

    chances   [classes] probabilities; None where the output is no classes
    norms     squared lengths of the gradients at the checkpoints
    vectors   [1, dim] the gradients as the index stores those of its examples
    """

    outputs: Tensor
    label: float | int | None
    labels: Tensor
    loss: float
    chances: Tensor | None = None
    norms: NDArray[np.float64] | None = None
    vectors: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """A result. `scored`: what is stored of it, with the way it can be ranked.

    rank        the `rank` trait, but for what hubs know
    same_as     a training example that is the query
    duplicates  of the stored ones
    """

    request: Request
    influence: Influence
    asked: Asked
    scored: Scored
    rank: dict[str, Any]
    same_as: int | None = None
    hubs: Hubs | None = None
    duplicates: dict[int, int] | None = None

    @property
    def final(self) -> bool:
        return bool(self.rank["final"])


class Answers:
    """What is known about one index and some queries. `everything`: score all examples, whatever the index could leave out."""

    def __init__(self, index: Any, menu: Menu, album: Album, *, everything: bool = False) -> None:
        self._index, self.menu, self.album = index, menu, album
        self._everything = everything
        self.data, self.shards, self.spec = index.spec.data, index.shards, index.spec
        self.facts = Facts.of(index, self.data.label_kind)
        self.rates: NDArray[np.float64] = np.asarray(index.spec.checkpoints.learning_rates, np.float64)
        self._known: OrderedDict[str, Answer] = OrderedDict()
        self._asked: OrderedDict[tuple[Any, ...], Asked] = OrderedDict()
        self._hubs: Hubs | None = None
        self._model: Model | None = None

    @property
    def vectors(self) -> bool:
        """Whether the index keeps vectors."""
        return self.shards.projection is not None

    @property
    def regression(self) -> bool:
        """Whether the labels are numbers, and not two classes written as such."""
        return bool(self.data.label_kind == "number" and self.facts.yhat is None)

    def query(self, request: Request) -> Query:
        return self.menu.queries[request.input]

    def asked(self, request: Request, interrupt: Interrupt) -> Asked:
        """The model's output and loss for a query; the lengths of its gradients where the method's scores are made of them."""
        lengths = _ranked(request)
        key = (request.input, request.label, lengths)
        if key not in self._asked:
            query = self.query(request)
            label = query.label if request.label is None else request.label
            labels = None if label is None else torch.as_tensor(label)[None]
            if labels is not None and labels.ndim == 1:  # a number, however the data set wraps it
                labels = labels.reshape(1, *(1 for _ in self.data.batch([0])[1].shape[1:]))
            question = Question(self.spec, query.inputs, labels, shards=self.shards, interrupt=interrupt)
            losses, norms = None, []
            for checkpoint in question.checkpoints if lengths else question.checkpoints[-1:]:
                gradients = question.queries(checkpoint)
                losses = gradients.losses
                norms.append(float(gradients.squared_norms()[0]))
            assert losses is not None  # noqa: S101 - an index has a checkpoint
            own = question.labels.detach().cpu()
            number = own.item() if own.numel() == 1 else None
            outputs = question.output.detach().cpu().float()
            classes = self.facts.yhat is not None
            found = Asked(
                outputs, int(number) if classes and number is not None else number, own, float(losses[0]),
                chances=_chances(outputs) if classes else None,
                norms=np.array(norms) if lengths else None,
                vectors=question.vectors(question.checkpoints) if lengths and self.vectors else None,
            )  # fmt: skip
            keep(self._asked, key, found, 2 * KEEP_ANSWERS)
        return self._asked[key]

    def explain(self, request: Request, interrupt: Interrupt, report: Report) -> Iterator[Answer]:
        """Answers, each better than the last; a finished one is given again without computing."""
        known = self._known.get(request.key)
        if known is not None:
            self._known.move_to_end(request.key)
            yield known
            return
        asked = self.asked(request, interrupt)
        shown, influence = -PARTIAL_EVERY, None
        for influence in self._stream(request, asked, interrupt, report):
            report(*influence.progress, "scoring")
            now = time.monotonic()
            if now - shown >= PARTIAL_EVERY:
                shown = now
                yield self._answer(request, influence, asked, final=False)
        if influence is None:
            return
        answer = self._answer(request, influence, asked, final=True)
        yield answer
        more = self._alike(request, influence, asked, interrupt)
        if more is not None:
            answer = self._answer(request, influence, asked, final=True, more=more)
        report(0, 0, "looking for examples that lead everywhere")
        answer = replace(answer, hubs=self.hubs(interrupt), duplicates=self._duplicates(answer, interrupt))
        keep(self._known, request.key, answer, KEEP_ANSWERS)
        yield answer

    def hubs(self, interrupt: Interrupt) -> Hubs | None:
        """Who leads for everybody; found once. None without vectors."""
        if self._hubs is None and self.vectors:
            self._hubs = find_hubs(self.shards, interrupt=interrupt)
        return self._hubs

    def model(self) -> Model:
        """A copy of the model as it was at the last checkpoint."""
        if self._model is None:
            module = copy.deepcopy(self.spec.model)
            self.spec.checkpoints[-1].load_into(module)
            self._model = Model(module, self.spec.forward)
        return self._model

    def close(self) -> None:
        """Let go of the index and of everything computed."""
        self._known.clear()
        self._asked.clear()
        for name in ("_index", "data", "shards", "spec", "_model"):
            self.__dict__.pop(name, None)
        self.menu.queries.clear()
        self.album.close()

    def _stream(self, request: Request, asked: Asked, interrupt: Interrupt, report: Report) -> Iterator[Influence]:
        """The engine's answers: all scores where that is affordable, else the leaders."""

        def prepare(step: Preparing) -> None:
            report(step.done, step.total, step.phase)

        whole = self._whole(request)
        count, width = len(self.facts), len(self.rates) if find_training_method(request.method).per_checkpoint else 1
        found: Iterator[Influence] = self._index.stream(
            self.query(request).inputs, asked.labels, method=request.method, interrupt=interrupt, prepare=prepare,
            k=None if whole and count * width <= WHOLE_NUMBERS else MOST, candidates="all" if whole else None,
            **request.parameters,
        )  # fmt: skip
        return found

    def _whole(self, request: Request) -> bool:
        """Whether every example is scored."""
        shortlist = self.vectors and find_training_method(request.method).shortlist
        return self._everything or len(self.facts) <= WHOLE or not shortlist

    def _alike(self, request: Request, influence: Influence, asked: Asked, interrupt: Interrupt) -> Influence | None:
        """Examples that lead by their directions and not by their lengths, scored as well; None if all are scored already."""
        if influence.kept is None or asked.vectors is None or self._whole(request):
            return None
        lengths = np.sqrt(self.facts.own.astype(np.float64))
        *_, page = top(asked.vectors, self.shards, 2 * MOST, divisors=lengths, interrupt=interrupt)
        found = np.union1d(page.proponents[0], page.opponents[0])
        missing = np.setdiff1d(found, influence.indices)
        if not len(missing):
            return None
        more: Influence = self._index.influence(
            self.query(request).inputs, asked.labels, method=request.method, candidates=missing, interrupt=interrupt,
            **request.parameters,
        )  # fmt: skip
        return more

    def _answer(
        self, request: Request, influence: Influence, asked: Asked, *, final: bool, more: Influence | None = None
    ) -> Answer:
        """`more`: scores of examples that are not in `influence`."""
        method = find_training_method(request.method)
        found = _finite(influence, more)
        each = found.parts.shape[1] == len(self.rates)  # the index's sketches hold all checkpoints together
        if _ranked(request) and asked.norms is not None and each:
            found = replace(found, norms=self.facts.norms[found.ids], query_norms=asked.norms, rates=self.rates)
        training = self.query(request).training
        same_as = self._same(request, asked) if final and training is None else None
        own = training if training is not None else same_as
        candidates = stored(found, MOST, always=[] if own is None else [own])
        complete = final and (influence.kept is None or more is not None)
        rank = {
            "stored": len(candidates), "scanned": influence.progress[0], "total": influence.progress[1], "final": final,
            "exact": influence.exact, "approximations": list(influence.approximations), "notes": list(influence.notes),
            "missing": [list(one) for one in influence.missing], "hub_sample": 0, "hub_leading": 0,
            "seconds": influence.seconds, "per_checkpoint": method.per_checkpoint and each, "shape": list(candidates.parts.shape),
            "title": method.title, "unit": f"{method.title} score", "modes": list(candidates.modes),
            "modes_complete": complete, **self._summary(request, influence, found, own),
        }  # fmt: skip
        return Answer(request, influence, asked, candidates, rank, same_as)

    def _summary(self, request: Request, influence: Influence, found: Scored, own: int | None) -> dict[str, Any]:
        """What all scores add up to, the query's own left out."""
        if influence.kept is None:
            scores = without(found, own).by("dot")
            return {"totals": totals(scores), "hist": histogram(scores), "approximate_totals": False}
        sums = influence.totals
        positive, negative = float(sums.positive[0]), float(sums.negative[0])
        if own is not None:
            mine = found.take(np.flatnonzero(found.ids == own)).by("dot")
            positive -= float(np.maximum(mine, 0).sum())
            negative -= float(np.minimum(mine, 0).sum())
        return {
            "totals": {"positive": positive, "negative": negative},
            "hist": {"edges": np.atleast_2d(sums.edges)[0].tolist(), "counts": sums.counts[0].tolist()},
            "approximate_totals": not self._whole(request),
        }

    def _same(self, request: Request, asked: Asked) -> int | None:
        """A training example that is the query itself."""
        if self.facts.y is None:
            return None
        labels, places = np.unique(self.facts.y, return_inverse=True)
        each = torch.as_tensor(labels, dtype=asked.labels.dtype).reshape(-1, *asked.labels.shape[1:])
        outputs = asked.outputs.expand(len(each), *asked.outputs.shape[1:])
        losses = self.spec.loss(outputs, each).detach().numpy()[places]
        return find_query(self.query(request).inputs, losses, self.facts, self.album.inputs)

    def _duplicates(self, answer: Answer, interrupt: Interrupt) -> dict[int, int]:
        ids = [int(one) for one in answer.scored.ids]
        return find_duplicates(ids, self.facts, self.album.inputs, interrupt=interrupt)


def _finite(*influences: Influence | None) -> Scored:
    """What has a score in some answers about one query."""
    parts = [
        Scored(one.indices[0], one.per_checkpoint[0]).take(np.flatnonzero(np.isfinite(one.scores[0])))
        for one in influences
        if one is not None
    ]
    return Scored(np.concatenate([one.ids for one in parts]), np.concatenate([one.parts for one in parts]))


def _chances(outputs: Tensor) -> Tensor | None:
    """Probabilities of one query's classes; of a single logit, those of no and yes."""
    if outputs.numel() == 1:
        yes = outputs.sigmoid().reshape(1)
        return torch.cat([1 - yes, yes])
    return outputs[0].softmax(-1) if outputs.ndim == 2 else None


def _ranked(request: Request) -> bool:
    """Whether the contributions are products of the very gradients whose lengths the index keeps."""
    return request.method == "tracin" and request.parameters.get("normalise", "none") == "none"
