"""TRAK: the model as a linear one in its sketched gradients. Park et al. (2023), TRAK: attributing model behavior at scale.

With f = log(p / (1 − p)) the margin of the label, φ = the sketch of ∂f/∂θ, and a logistic regression on φ in place of the
network, the first-order effect of training with an example (one Newton step, Pregibon 1981) is, for M models,

    score(example, query) = mean_m [ φ_m(query)' (Φ_m'Φ_m / N + λI)⁻¹ φ_m(example) ] · mean_m [ 1 − p_m(example) ]

Positive: training with the example raises the margin of the query's label. Score / N is the estimated change of the margin.
The authors use no λ, as their sketches are short beside N; here a tenth of the mean eigenvalue makes one model on digits
(N = 1,200) agree with training again at 0.56 instead of 0.43 with a hundredth (linear datamodeling score).
The authors' models are trained anew from other seeds; checkpoints of one training resemble each other and gain less.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xaiwidgets.engine.errors import ParameterError
from xaiwidgets.engine.registry import Note, Range
from xaiwidgets.training.data import moved
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.question import Question
from xaiwidgets.training.recorder import Gradients, Recorder
from xaiwidgets.training.registry import Preparing, Scored, Step, training_method
from xaiwidgets.training.sketch import TensorSketch

KEPT = 512 * 2**20
"""Bytes of sketches of training examples that are kept; beyond, they are computed twice."""


def _approximations(parameters: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"gradients sketched to {parameters['dim']} numbers",
        "the model taken to be linear in its gradients, trained by one Newton step",
    )


@training_method(
    title="TRAK",
    family="curvature",
    reference="Park et al. 2023, TRAK: attributing model behavior at scale, arXiv:2303.14186",
    approximations=_approximations,
)
def trak(
    question: Question,
    *,
    models: Annotated[
        Literal["all", "last"], Note("all: the mean over the checkpoints, as over models. last: the last of them only")
    ] = "all",
    dim: Annotated[int, Range(64, 4096, log=True, help="Numbers a gradient is sketched to")] = 1024,
    damping: Annotated[
        float, Range(0, 10, help="λ as a multiple of the mean eigenvalue of Φ'Φ / N", title="Damping")
    ] = 0.1,
    seed: Annotated[int, Note("Of the sketch", "seed")] = 0,
) -> Iterator[Step]:
    """Sketched gradients of the margin through the inverse of their second moments, times how unsure the example is.

    Park et al. 2023, arXiv:2303.14186. Approximates the datamodel of the query: its margin as a linear function of which
    examples were trained on. The sketch is a TensorSketch in place of the authors' dense random signs.
    """
    numbers = question.checkpoints if models == "all" else question.checkpoints[-1:]
    features = [_Model(question, number, TensorSketch(dim, seed, number)) for number in numbers]
    kept = KEPT // max(1, 4 * dim * len(numbers) * len(question.data)) > 0
    for at, model in enumerate(features):
        for done in model.prepare(damping, keep=kept):
            yield Preparing(at * len(question.data) + done, len(numbers) * len(question.data), "sketching")
    unsure = sum((model.unsure for model in features), torch.zeros(len(question.data))) / len(features)
    for positions in question.spans():
        products = torch.zeros(len(question), len(positions))
        for model in features:
            products += model.queries @ model.of(positions).T
        yield Scored(positions, (products / len(features) * unsure[torch.from_numpy(positions)]).unsqueeze(2))


class _Model:
    """One model's sketches.

    queries  [Q, dim] φ(query)' (Φ'Φ / N + λI)⁻¹
    unsure   [N] 1 − p
    """

    def __init__(self, question: Question, checkpoint: int, sketch: TensorSketch) -> None:
        self.question, self.checkpoint, self.sketch = question, checkpoint, sketch
        self.queries = torch.empty(0)
        self.unsure = torch.empty(0)
        self._recorder: Recorder | None = None
        self._kept: Tensor | None = None

    def prepare(self, damping: float, *, keep: bool) -> Generator[int, None, None]:
        count, dim = len(self.question.data), self.sketch.dim
        moments = torch.zeros(dim, dim, dtype=torch.float64)
        self.unsure = torch.empty(count)
        self._kept = torch.empty(count, dim) if keep else None
        for start in range(0, count, self.question.batch_size):
            rows = slice(start, min(start + self.question.batch_size, count))
            gradients = self._recorded(torch.arange(count)[rows].numpy())
            sketches = self._sketched(gradients)
            moments += (sketches.T @ sketches).double()
            self.unsure[rows] = torch.sigmoid(gradients.losses.float()).cpu()  # the loss is −log(p / (1 − p))
            if self._kept is not None:
                self._kept[rows] = sketches
            yield rows.stop
        moments /= count
        moments.diagonal().add_(damping * moments.diagonal().mean())
        queries = self._sketched(self._margins().record(self.question.inputs, self.question.labels)).double()
        factor, info = torch.linalg.cholesky_ex(moments)
        if info:
            raise ParameterError(
                "singular",
                f"The second moments of the sketched gradients are singular with damping={damping:g}",
                hint="Raise damping=, or lower dim= below the number of training examples.",
            )
        self.queries = torch.cholesky_solve(queries.T, factor).T.float()

    def of(self, positions: Any) -> Tensor:
        """[n, dim] of training examples."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(positions)]
        size = self.question.batch_size
        parts = (positions[start : start + size] for start in range(0, len(positions), size))
        return torch.cat([self._sketched(self._recorded(part)) for part in parts])

    def _margins(self) -> Recorder:
        """Of the question's model, which holds one checkpoint's weights at a time."""
        recorder = self.question.at(self.checkpoint)
        if self._recorder is None:
            self._recorder = Recorder(
                self.question.model,
                loss_of("margin"),
                layers=list(recorder.parameters),
                call=self.question.spec.forward,
            )
        return self._recorder

    def _recorded(self, positions: Any) -> Gradients:
        self.question.check()
        inputs, labels = self.question.data.batch(positions)
        return self._margins().record(moved(inputs, self.question.device), labels.to(self.question.device))

    def _sketched(self, gradients: Gradients) -> Tensor:
        return gradients.sketch(self.sketch).float().cpu()
