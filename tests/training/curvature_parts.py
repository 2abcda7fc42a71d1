"""Small problems whose curvature can be written down, for the tests of influence functions and their kin."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import xaiwidgets.training.methods  # registers them
from xaiwidgets.training.checkpoints import Checkpoints
from xaiwidgets.training.data import TrainingData
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import TRAINING_METHODS, Preparing, Scored, find_training_method
from xaiwidgets.training.spec import Spec

assert xaiwidgets.training.methods.trak.trak in [method.run for method in TRAINING_METHODS.values()]


def spec_of(model: nn.Module, data: Any, *, loss: str = "cross_entropy", chunk: int = 20, **others: Any) -> Spec:
    checkpoints = Checkpoints(others.get("checkpoints", [model]), model, learning_rates=1.0)
    return Spec(model, TrainingData(data), checkpoints, loss_of(loss), others.get("layers"), None, chunk)


def answer(spec: Spec, queries: tuple[Any, Tensor], method: str, *, interrupt: Any = None, **parameters: Any) -> Tensor:
    """Scores [Q, N] of all training examples."""
    return torch.cat(
        [step.scores.sum(2) for step in answers(spec, queries, method, interrupt=interrupt, **parameters)], 1
    )


def answers(
    spec: Spec, queries: tuple[Any, Tensor], method: str, *, interrupt: Any = None, **parameters: Any
) -> list[Scored]:
    steps = every_step(spec, queries, method, interrupt=interrupt, **parameters)
    return [step for step in steps if isinstance(step, Scored)]


def every_step(
    spec: Spec, queries: tuple[Any, Tensor], method: str, *, interrupt: Any = None, **parameters: Any
) -> list[Scored | Preparing]:
    chosen = find_training_method(method)
    question = Question(spec, *queries, interrupt=interrupt)
    return list(chosen.run(question, **chosen.check(parameters)))


def gradients(spec: Spec, rows: tuple[Any, Tensor]) -> Tensor:
    """[B, P] in float64: the Jacobian of the losses."""
    return jacobian(spec, lambda output: spec.loss(output, rows[1]), rows[0])


def gauss_newton(spec: Spec, rows: tuple[Any, Tensor]) -> Tensor:
    """Σ J' (diag p − p p') J / N of cross-entropy, from the Jacobian of each row's output [P, P]."""
    rates = jacobian(spec, lambda output: output, rows[0])
    p = spec.model(rows[0]).detach().double().softmax(1)
    bends = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    return torch.einsum("bcp,bcd,bdq->pq", rates, bends, rates) / len(p)


def jacobian(spec: Spec, function: Any, inputs: Any) -> Tensor:
    """Of a function of the output, with respect to the parameters one after the other: [..., P] in float64."""
    values = {
        name: parameter.detach()
        for name, parameter in spec.model.named_parameters()
        if spec.layers is None or any(name.startswith(layer) for layer in spec.layers)
    }
    rates = torch.func.jacrev(lambda named: function(torch.func.functional_call(spec.model, named, (inputs,))))(values)
    return torch.cat([rate.flatten(rate.ndim - values[name].ndim) for name, rate in rates.items()], -1).double()


def correlations(first: Tensor, second: Tensor) -> Tensor:
    """Of each query's scores."""
    return torch.stack([torch.corrcoef(torch.stack(pair).double())[0, 1] for pair in zip(first, second, strict=True)])


def digits(rows: int) -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    return torch.tensor(bunch.data[:rows] / 16, dtype=torch.float32), torch.tensor(bunch.target[:rows])


def fitted(model: nn.Module, data: tuple[Tensor, Tensor], *, decay: float = 0.0, steps: int = 60) -> nn.Module:
    """Trained with cross-entropy plus decay / 2 · ‖θ‖² by L-BFGS, near enough to a minimum for a convex model."""
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, history_size=20, tolerance_grad=1e-9, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        squares = sum(parameter.square().sum() for parameter in model.parameters())
        loss = functional.cross_entropy(model(data[0]), data[1]) + decay / 2 * squares
        loss.backward()
        return loss

    optimizer.step(closure)
    return model.eval()


def seeded(build: Any, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def small_network(seed: int = 0) -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 3)), seed)


def blobs(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three classes that overlap, ten numbers each: predictions stay unsure, as the theory would have it."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (rows,), generator=generator)
    centres = torch.randn(3, 10, generator=torch.Generator().manual_seed(1))
    return centres[labels] + 1.5 * torch.randn(rows, 10, generator=generator), labels
