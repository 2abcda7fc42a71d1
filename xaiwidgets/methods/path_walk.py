"""The straight way from a baseline to an input, walked with every node kept: what can be looked at while it is walked.

The textbook shows the end of a path integral. Here the nodes stay, so that what has accumulated up to any of them can be
compared with what the score has done up to there (pathwise completeness: the two are equal when the quadrature is good),
and so that more nodes never cost those that are known. The rule is the trapezoid's, on whatever nodes there are: its
partial sums end at nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.problem import Problem

from .curves import Line, scattered
from .quadrature import NARROWEST
from .walk import Curves, Gaps, Node, Place, Reduce, Walk, curves_of, frame_bounds

__all__ = ["Curves", "Gaps", "Node", "PathWalk"]

FIRST_CELLS = 8  # the first picture: nine nodes
FEWEST_TO_STOP = 17  # nine nodes can agree by chance


class PathWalk(Walk):
    """The straight path from one baseline to the one row of a problem.

    start        the baseline [1, ...] like `problem.points`
    evaluations  what was paid so far: one gradient for each node, no forward passes
    stopped      why the last walk ended: "tolerance", "steps", or "" while it runs and after a cancel

    Nodes are kept on the model's device in the problem's dtype, so that trapezoid, curves and frames can be asked for at any
    time, over the nodes there are.
    """

    def __init__(self, problem: Problem, start: Tensor) -> None:
        super().__init__(problem)
        if start.shape != problem.points.shape:
            raise ParameterError(
                "baseline_shape",
                f"A baseline of shape {list(start.shape)} does not fit an input of shape {list(problem.points.shape)}",
            )
        with torch.inference_mode(mode=False):
            self.start = start.detach().to(problem.points)
            self._line = Line(0, self.start[0], problem.points[0] - self.start[0])
        self.stopped: Literal["tolerance", "steps", ""] = ""
        self.steps = 0  # nodes asked for by the last walk
        self._known: dict[float, Node] = {}

    # --- walking -------------------------------------------------------------------------------------------------

    def walk(self, steps: int, tolerance: float) -> Iterator[None]:
        """Double the cells until `steps` nodes would be exceeded; yields whenever there is something better to show.

        The first time after nine nodes, then after every chunk of new ones; never if there is nothing new. Nodes come to
        lie at multiples of a power of two, in an order in which few are fair to all. Stops early when, after a whole
        doubling and with at least 17 nodes, no gap on the path exceeds `tolerance` times the change of the score (see `Curves.size` where nearly nothing changes).
        """
        if steps < 2:
            raise ParameterError("parameter_range", f"steps={steps} leaves out an end of the path", hint="From 2 on.")
        return self._walk(steps, tolerance)

    def _walk(self, steps: int, tolerance: float) -> Iterator[None]:
        run = self._begin()
        self.stopped = ""
        finest = 1 << ((steps - 1).bit_length() - 1)
        self.steps = finest + 1
        cells = min(FIRST_CELLS, finest)
        while True:
            ends_first = (0, cells, *(1 + place for place in scattered(cells - 1)))
            missing = [alpha for place in ends_first if (alpha := place / cells) not in self._known]
            begun = self.ready  # nothing can be shown before all of the first nodes are known
            for _ in self._visit(run, missing):
                if begun:
                    yield
            if not begun:
                yield
            if cells + 1 >= FEWEST_TO_STOP:
                curves = self.curves()
                if curves.gaps.max <= tolerance * curves.size:
                    self.stopped = "tolerance"
                    return
            if cells == finest:
                self.stopped = "steps"
                return
            cells *= 2

    def refine(self, nodes: int) -> Iterator[None]:
        """Halve the cell that fails its own sum most, `nodes` times, with one evaluation each; yields after each.

        Ends early where no cell fails, or the failing ones are too narrow for single precision to tell their ends apart.
        """
        self._require_ready()
        run = self._begin()
        self._require_ready()  # a changed model has no nodes any more
        for _ in range(nodes):
            cells = [(abs(_residual(one, two)), one.alpha, two.alpha) for one, two in pairwise(self.nodes)]
            worst = max(((r, -low, high) for r, low, high in cells if high - low > NARROWEST), default=(0.0, 0.0, 0.0))
            if worst[0] == 0:
                return
            yield from self._visit(run, [(worst[2] - worst[1]) / 2])

    def _visit(self, run: Problem, alphas: Sequence[float]) -> Iterator[None]:
        """Evaluate nodes, no more at a time than go through the model together; yields after each time."""
        done = 0
        while done < len(alphas):
            part = alphas[done : done + run.chunk_rows]
            places = [Place(alpha, self._line.at(alpha), self._line.step) for alpha in part]
            self._look(run, places)
            done += len(part)
            yield

    def _forget(self) -> None:
        self._known.clear()

    def _keep(self, node: Node) -> None:
        self._known[node.alpha] = node

    # --- what is known -------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """Every node known, from the baseline to the input."""
        return sorted(list(self._known.values()), key=lambda node: node.alpha)  # noqa: C414 - one moment's, for threads

    @property
    def ready(self) -> bool:
        """Whether both ends of the path are known, so that there is something to show."""
        return 0.0 in self._known and 1.0 in self._known

    def curves(self) -> Curves:
        """The score and what has accumulated, at every node."""
        nodes = self._all_nodes()
        scores = [node.score for node in nodes]
        C, local = [0.0], [0.0]
        for one, two in pairwise(nodes):
            C.append(C[-1] + _cell(one, two))
            local.append(_residual(one, two))
        return curves_of(
            [node.alpha for node in nodes],
            F=[score - scores[0] for score in scores],
            C=C,
            prob=[node.probability for node in nodes if node.probability is not None],
            scores=(scores[0], scores[-1]),
            local_sum=sum(map(abs, local)),
        )

    @torch.inference_mode(mode=False)
    def values(self) -> Tensor:
        """The attribution [1, ...]: the trapezoid over all nodes, in the dtype of long sums."""
        return self._sum(self._all_nodes())

    @torch.inference_mode(mode=False)
    def increments(self, most: int, reduce: Reduce) -> tuple[list[float], Tensor]:
        """The attribution in frames that follow each other on the path: edges [K + 1], frames [K, h, w], K <= `most`.

        Edges are nodes, and frames hold equally many cells, so that there are more of them where nodes are dense.
        `reduce` turns a map [1, ...] into a picture [h, w]; where it is linear, frames sum to the reduced values.
        """
        nodes = self._all_nodes()
        bounds = frame_bounds(len(nodes) - 1, most)
        frames = [reduce(self._sum(nodes[low : high + 1])) for low, high in pairwise(bounds)]
        return [nodes[bound].alpha for bound in bounds], torch.stack(frames)

    @torch.inference_mode(mode=False)
    def attribution(
        self,
        method: str = "integrated_gradients",
        parameters: Mapping[str, Any] | None = None,
        target: Any = None,
    ) -> Attribution:
        """What is known as an attribution; values in the container of the problem's inputs."""
        nodes = self._all_nodes()
        values = self._sum(nodes)
        score, baseline_score = (torch.tensor([node.score], dtype=torch.float64) for node in (nodes[-1], nodes[0]))
        delta = values.sum().cpu() - (score - baseline_score)
        return Attribution(
            values=self.problem.inputs.unpack(values.to(self.problem.dtype)),
            delta=delta.to(self.problem.points),
            error=None,
            evaluations=dict(self.evaluations),
            method=method,
            parameters=dict(parameters or {}),
            target=target,
            seconds=self.seconds,
            progress=(len(nodes), max(len(nodes), self.steps)),
            score=score.to(self.problem.points),
            baseline_score=baseline_score.to(self.problem.points),
            rounding=self.rounding,
        )

    def _all_nodes(self) -> list[Node]:
        self._require_ready()
        return self.nodes

    def _sum(self, nodes: Sequence[Node]) -> Tensor:
        """The trapezoid [1, ...] over consecutive nodes."""
        total = torch.zeros_like(nodes[0].integrand, dtype=self.problem.sum_dtype)
        ends = [nodes[0].alpha, *(node.alpha for node in nodes), nodes[-1].alpha]
        for before, node, after in zip(ends, nodes, ends[2:], strict=False):
            total.add_(node.integrand, alpha=(after - before) / 2)
        return total.unsqueeze(0)


def _cell(one: Node, two: Node) -> float:
    """What accumulates between two neighbours."""
    return (one.total + two.total) / 2 * (two.alpha - one.alpha)


def _residual(one: Node, two: Node) -> float:
    return _cell(one, two) - (two.score - one.score)
