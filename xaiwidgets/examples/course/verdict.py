"""What a check says, and what all checks share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor, nn

from xaiwidgets.api import attribute

P = ParamSpec("P")


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether an answer is right, and a sentence about it."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"✓ {self.text}" if self.right else f"Not yet. {self.text}"


class NotYetError(Exception):
    """Ends a check; its text is for the learner."""


def exercise(check: Callable[P, str]) -> Callable[P, Verdict]:
    """Make a check of a function that returns what to say to a right answer, and raises NotYetError for others."""

    @wraps(check)
    def checked(*given: P.args, **named: P.kwargs) -> Verdict:
        try:
            for one in given:
                answered(one)
            return Verdict(right=True, text=check(*given, **named))
        except NotYetError as error:
            return Verdict(right=False, text=str(error))

    return checked


def answered(answer: Any) -> Any:
    """The answer, if there is one: `...` and None are none."""
    if answer is ... or answer is None:
        raise NotYetError("Put your answer in the place of the dots.")
    return answer


def expect(holds: object, otherwise: str) -> None:
    """End the check with a hint unless this holds."""
    if not bool(holds):
        raise NotYetError(otherwise)


def number(answer: Any) -> float:
    """An answer that is one number, or a tensor of one."""
    answered(answer)
    try:
        return float(answer.detach() if isinstance(answer, Tensor) else answer)
    except (TypeError, ValueError) as error:
        raise NotYetError(f"One number is wanted, and this is {_named(answer)}.") from error


def like(answer: Any, wanted: Tensor, what: str) -> Tensor:
    """An answer that is a tensor of a known shape, detached, float64."""
    expect(isinstance(answer, Tensor), f"{what} is a tensor {list(wanted.shape)}, and this is {_named(answer)}.")
    shape = list(answer.shape)
    expect(shape == list(wanted.shape), f"{what} has the shape {list(wanted.shape)}; yours has {shape}.")
    numbers: Tensor = answer.detach().double()
    expect(numbers.isfinite().all(), "Some of the values are not finite.")
    return numbers


def close(one: float, other: float, share: float = 0.02) -> bool:
    """Whether two numbers differ by no more than a share of the larger."""
    return abs(one - other) <= share * max(abs(one), abs(other))


def apart(one: Tensor, other: Tensor) -> float:
    """How far a map is from another: the sum of the differences' sizes, as a share of that of the other's sizes."""
    one, other = one.double(), other.double()
    return float((one - other).abs().sum() / other.abs().sum())


def alike(one: Tensor, other: Tensor) -> float:
    """The correlation of two maps, place by place; 0 where one of them is flat."""
    pair = torch.stack([one.double().flatten(), other.double().flatten()])
    pair = pair - pair.mean(1, keepdim=True)
    lengths = float(pair[0].norm() * pair[1].norm())
    return float(pair[0] @ pair[1]) / lengths if lengths > 0 else 0.0


def explained(model: nn.Module, inputs: Any, target: Any, **asked: Any) -> Tensor:
    """The values of an attribution of one tensor or text."""
    values = attribute(model, inputs, target=target, **asked).values
    if not isinstance(values, Tensor):
        raise TypeError("one tensor or text is explained at a time")
    return values


@torch.no_grad()
def score(model: nn.Module, image: Tensor, target: int) -> float:
    """The logit of a class, for a batch of one."""
    return float(model(image)[0, target])


def _named(answer: Any) -> str:
    return f"a tensor {list(answer.shape)}" if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
