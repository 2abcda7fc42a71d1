"""Small problems whose curvature can be written down, for the tests of influence functions and their kin."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.training.checkpoints import Checkpoints
from xaiwidgets.training.data import TrainingData
from xaiwidgets.training.losses import loss_of
from xaiwidgets.training.question import Question
from xaiwidgets.training.registry import Preparing, Scored, find_training_method
from xaiwidgets.training.spec import Spec


def spec_of(model: nn.Module, data: Any, *, loss: str = "cross_entropy", chunk: int = 20, **others: Any) -> Spec:
    checkpoints = Checkpoints(others.get("checkpoints", [model]), model, learning_rates=1.0)
    return Spec(model, TrainingData(data), checkpoints, loss_of(loss), others.get("layers"), None, chunk)


def answer(spec: Spec, queries: tuple[Any, Tensor], method: str, *, interrupt: Any = None, **parameters: Any) -> Tensor:
    """Scores [Q, N] of all training examples."""
    return torch.cat([step.scores.sum(2) for step in answers(spec, queries, method, interrupt=interrupt, **parameters)], 1)


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
    """[B, P] in float64 by a backward pass for each row, the parameters one after the other."""
    model = spec.model
    inputs, labels = rows
    result = []
    chosen = [
        parameter
        for name, parameter in model.named_parameters()
        if spec.layers is None or any(name.startswith(layer) for layer in spec.layers)
    ]
    for parameter in chosen:
        parameter.requires_grad_(True)
    for row in range(len(labels)):
        loss = spec.loss(model(inputs[row : row + 1]), labels[row : row + 1]).sum()
        result.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, chosen)]))
    return torch.stack(result).double()


def gauss_newton(spec: Spec, rows: tuple[Any, Tensor]) -> Tensor:
    """Σ J' (diag p − p p') J / N of cross-entropy, from the Jacobian of each row's output [P, P]."""
    model, total = spec.model, 0.0
    inputs, _ = rows
    chosen = [parameter.requires_grad_(True) for parameter in model.parameters()]
    for row in range(len(inputs)):
        output = model(inputs[row : row + 1])[0]
        jacobian = torch.stack([
            torch.cat([one.flatten() for one in torch.autograd.grad(value, chosen, retain_graph=True)]) for value in output
        ]).double()  # fmt: skip
        p = output.detach().double().softmax(0)
        total = total + jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    return total / len(inputs)


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
