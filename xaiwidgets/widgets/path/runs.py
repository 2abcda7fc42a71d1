"""What was computed, kept by question: going back costs nothing, and more steps cost only the new ones.

A run is one baseline in one mode. Its nodes are as large as the input, each; so only some runs keep theirs, those looked
at last, while the pictures of all runs of the last questions stay.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xaiwidgets.api import Session
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.live.frames import pooled
from xaiwidgets.methods.path_walk import PathWalk
from xaiwidgets.methods.sample_walk import SampleWalk
from xaiwidgets.methods.walk import Curves
from xaiwidgets.widgets.questions import keep

from .kinds import DISTRIBUTION, PATH
from .subject import Entry, Subject

KEEP_QUESTIONS = 4
NODE_BYTES = 512 * 2**20
"""Kept of all nodes together."""
FRAMES, SIDE = 32, 128
"""Of a sight: what the page gets of a run at most."""
THUMBNAIL = 48

Question = tuple[int | None, int | None]
"""The class, and the class it is contrasted with."""


@dataclass(frozen=True)
class Effort:
    """How far to go: nodes of a path and when they are enough, samples of a distribution."""

    steps: int = 65
    tolerance: float = 0.01
    samples: int = 128

    @classmethod
    def of(cls, values: Any) -> "Effort":
        """From a page's `parameters`. Raises ParameterError."""
        values = dict(values or {}) if isinstance(values, Mapping) or not values else None
        if values is None:
            raise ParameterError("parameter_range", "parameters is no dict")
        bounds = {"steps": (2, 1025, True), "tolerance": (0, 0.5, False), "samples": (2, 1024, True)}
        known = {}
        for name, (low, high, integer) in bounds.items():
            value = values.get(name, getattr(cls, name))
            number = isinstance(value, int if integer else (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                what = "a whole number" if integer else "a number"
                raise ParameterError(
                    "parameter_range", f"{name}={value!r} does not fit", hint=f"Choose {what} from {low} to {high}."
                )
            known[name] = value
        return cls(**known)

    def covers(self, other: "Effort", mode: str) -> bool:
        """Whether nothing is left to do for `other`."""
        if mode == DISTRIBUTION:
            return self.samples == other.samples
        return self.steps >= other.steps and self.tolerance <= other.tolerance


@dataclass(frozen=True, eq=False)
class Sight:
    """A run as it stands: everything the page and the static picture draw of it.

    `frames` [K, h', w'] between `edges` [K + 1], pooled to what the page gets; `total` [h, w].
    """

    curves: Curves
    edges: list[float]
    frames: NDArray[np.float32]
    total: NDArray[np.float32]
    attribution: Attribution
    evaluations: dict[str, int]
    stopped: str
    samples: int = 0
    refs: NDArray[np.uint8] | None = None
    """[K, h, w, 3] the last reference of each frame, as pictures."""
    ref_alphas: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Run:
    """One baseline in one mode, for one question."""

    entry: Entry
    mode: str
    walk: PathWalk | SampleWalk | None = None
    done_for: Effort | None = None
    """What it was finished for; None while it is not."""
    failed: bool = False
    sight: Sight | None = None
    """As last looked at."""
    settled: bool = False
    """Whether nothing has come to be known since."""
    target: Any = None
    packed: dict[Any, dict[str, Any]] = field(default_factory=dict)
    """The finished sight as traits, by detail."""

    @property
    def key(self) -> str:
        return key_of(self.mode, self.entry.id)

    @property
    def ready(self) -> bool:
        """Whether it is finished, for some effort."""
        return self.done_for is not None

    @property
    def promises(self) -> bool:
        """Whether its values should add up to the change of the score."""
        return self.entry.kind != "smoothgrad"


def key_of(mode: str, baseline: str) -> str:
    """The name of a run in the traits."""
    return f"{mode}/{baseline}"


class Runs:
    """All runs of the last questions about one subject."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tables: OrderedDict[Question, dict[str, Run]] = OrderedDict()
        self._used: OrderedDict[int, Run] = OrderedDict()

    def table(self, question: Question) -> dict[str, Run]:
        """The runs of a question by key."""
        return dict(self._tables.get(question, {}))

    def of(self, question: Question, entry: Entry, mode: str) -> Run:
        """The run of a question, new if there is none."""
        table = self._tables.get(question, {})
        keep(self._tables, question, table, KEEP_QUESTIONS)
        kept = {id(run) for one in self._tables.values() for run in one.values()}
        for number in self._used.keys() - kept:
            del self._used[number]
        return table.setdefault(key_of(mode, entry.id), Run(entry, mode))

    def forget(self) -> None:
        """The model is another one: nothing computed is true any more."""
        self._tables.clear()
        self._used.clear()

    def compute(self, run: Run, session: Session, effort: Effort) -> Iterator[tuple[int, int]]:
        """Walk until the effort is spent; yields (done, total) whenever there is something better to show."""
        walk = self._walk(run, session, effort)
        if isinstance(walk, PathWalk):
            for _ in walk.walk(effort.steps, effort.tolerance):
                run.settled = False
                yield len(walk.nodes), effort.steps
        else:
            run.done_for = None
            for _ in walk.walk():
                run.settled = False
                yield walk.done, walk.samples
        self._finish(run, effort)

    def refine(self, run: Run, session: Session, effort: Effort, nodes: int) -> Iterator[tuple[int, int]]:
        """Some more nodes where a path fails its own sum most."""
        walk = self._walk(run, session, effort)
        if not isinstance(walk, PathWalk):
            raise ParameterError(
                "refine_path_only",
                "Only a path can be refined",
                "This is a distribution.",
                "Raise the samples instead.",
            )
        if not walk.ready:  # its nodes had to make room
            yield from self.compute(run, session, effort)
        for number, _ in enumerate(walk.refine(nodes)):
            run.settled = False
            yield number + 1, nodes
        self._finish(run, run.done_for or effort)

    def look(self, run: Run) -> Sight:
        """The run as it stands."""
        walk = run.walk
        if run.sight is not None and (run.settled or walk is None):
            return run.sight
        assert walk is not None  # noqa: S101  # what was never looked at has its nodes
        curves = walk.curves()
        edges, frames = walk.increments(FRAMES, self._subject.reduce)
        shape = self._subject.size
        total = self._subject.reduce(walk.values()).reshape(shape).to("cpu", torch.float32).numpy()
        small, _pool = pooled(
            frames.reshape(-1, *shape).to("cpu", torch.float32).numpy(), SIDE if shape[0] > 1 else shape[1]
        )
        about: dict[str, Any] = {"baseline": run.entry.title}
        if isinstance(walk, PathWalk):
            about |= {"rule": "trapezoid", "steps": len(walk.nodes)}
            more: dict[str, Any] = {"stopped": walk.stopped}
        else:
            about |= {"samples": walk.samples, "seed": run.entry.params.get("seed", 0)}
            more = {"stopped": "", "samples": walk.done, **self._references(walk, edges)}
        attribution = walk.attribution(parameters=about, target=run.target)
        run.sight = Sight(curves, edges, small.astype(np.float32), total, attribution, dict(walk.evaluations), **more)
        run.settled = True
        return run.sight

    def _finish(self, run: Run, effort: Effort) -> None:
        run.settled = False  # why it stopped is known only now
        self.look(run)
        run.done_for, run.failed = effort, False
        run.packed.clear()
        self._make_room()

    def _walk(self, run: Run, session: Session, effort: Effort) -> PathWalk | SampleWalk:
        """The run's walk with what it knows; a new one where there is none, or none of so many samples."""
        walk = run.walk
        if isinstance(walk, SampleWalk) and walk.samples != effort.samples:
            walk = None
        if walk is None:
            problem = self._subject.problem(session)
            starts = self._subject.starts(problem, run.entry, run.mode, effort.samples)
            if run.mode == PATH:
                walk = PathWalk(problem, starts[0])
            else:
                seed = int(run.entry.params.get("seed", 0))
                kind = "expected_gradients" if run.promises else "smoothgrad_x_input"
                walk = SampleWalk(problem, starts, samples=effort.samples, seed=seed, kind=kind)  # type: ignore[arg-type]
        run.walk, run.target = walk, session.target
        self._used.pop(id(run), None)
        self._used[id(run)] = run
        self._make_room()
        return walk

    def _make_room(self) -> None:
        """Let the walks go that were used longest ago, never the one in use; their pictures stay."""
        total = sum(_nbytes(run.walk) for run in self._used.values())
        while total > NODE_BYTES and len(self._used) > 1:
            _, oldest = self._used.popitem(last=False)
            total -= _nbytes(oldest.walk)
            oldest.walk = None

    def _references(self, walk: SampleWalk, edges: list[float]) -> dict[str, Any]:
        points, alphas = walk.references_of(edges)
        return {"refs": self._subject.thumbnails(points, THUMBNAIL), "ref_alphas": alphas}


def _nbytes(walk: PathWalk | SampleWalk | None) -> int:
    """What a walk keeps: a value of the input's size for each node, a sum and a reference for each sample at most."""
    if walk is None:
        return 0
    if isinstance(walk, PathWalk):
        return len(walk.nodes) * walk.problem.points.nbytes
    return walk.references.nbytes + 64 * walk.problem.points.nbytes
