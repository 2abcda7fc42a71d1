"""Excitation backprop: the probability that a neuron wins, walking down from the class; alone, or against its opposite."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from xaiwidgets.engine.errors import ModelError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, method
from xaiwidgets.engine.rewrite import Rule, active, graft, tensors_in

from .lrp_mode import Composite, Relevance
from .lrp_operations import RULES, mapped
from .lrp_rules import LinearMap, Part, Share, z_plus
from .lrp_rules import Rule as LinearRule

EXCITATION = Composite(z_plus(bias=False), z_plus(bias=False))
# What excites the class less what excites its dual unit, whose weights are the opposite.
AGAINST_DUAL = LinearRule(
    "contrast",
    (
        Share((Part("positive", 1, 0), Part("negative", 0, 1)), 1.0),
        Share((Part("positive", 0, 1), Part("negative", 1, 0)), -1.0),
    ),
)


def _refused(name: str) -> Rule:
    def rule(mode: Relevance, *_: Any, **__: Any) -> Any:
        raise mode.uncovered(name, "Winning probabilities are defined for layers of excitatory and inhibitory neurons.")

    return rule


class Excitation(Relevance):
    """Relevance that starts as the derivative of the score with respect to the model's output: one for a class."""

    title = "Excitation backprop"
    rules: ClassVar[Mapping[str, Rule]] = {
        **RULES,
        **{name: _refused(name) for name in ("softmax", "log_softmax", "logsumexp")},
    }

    def __init__(self) -> None:
        super().__init__(EXCITATION)

    def end(self, output: Any) -> Any:
        return _started(super().end(output))


class ContrastiveExcitation(Excitation):
    """The same, less what comes back from the dual unit of each output of the last linear maps."""

    def __init__(self) -> None:
        super().__init__()
        self.lasts: WeakIdKeyDictionary = WeakIdKeyDictionary()  # tensor -> the linear maps it was made with last
        self.followed: set[int] = set()
        self.maps: list[LinearMap] = []

    def linear(self, linear: LinearMap, x: Tensor, z: Tensor) -> Tensor:
        result = super().linear(linear, x, z)
        self.followed.update(map(id, self.lasts.get(x, ())))
        self.maps.append(linear)
        self.lasts[result] = (linear,)
        return result

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        result = super()._apply(name, function, args, kwargs)
        before = [linear for tensor in tensors_in((args, kwargs)) for linear in self.lasts.get(tensor, ())]
        for tensor in filter(active, tensors_in(result)):
            self.lasts.setdefault(tensor, tuple(before))
        return result

    def _follow(self, tensor: Tensor, other: Tensor) -> None:
        super()._follow(tensor, other)
        self.lasts[tensor] = self.lasts.get(other, ())

    def end(self, output: Any) -> Any:
        tensors = tensors_in([output, getattr(output, "__dict__", None)])
        reached = {id(linear) for tensor in tensors for linear in self.lasts.get(tensor, ())}
        lasts = [linear for linear in self.maps if id(linear) in reached - self.followed]
        if not lasts:
            raise ModelError(
                "no_linear_map", "The model's output comes from no convolution or linear layer to contrast"
            )
        for linear in lasts:
            linear.rule = AGAINST_DUAL
        return super().end(output)


def _started(output: Any) -> Any:
    """The same output, whose relevance is its gradient instead of its gradient times its value."""
    if isinstance(output, Tensor | tuple | list | Mapping) or not hasattr(output, "__dict__"):
        return mapped(output, lambda tensor: graft(tensor, tensor / _nonzero(tensor)) if active(tensor) else tensor)
    started = copy.copy(output)
    started.__dict__.update(_started(vars(output)))
    return started


def _nonzero(tensor: Tensor) -> Tensor:
    return tensor.detach().masked_fill(tensor == 0, 1)


@method(
    family="propagation",
    title="Excitation backprop",
    reference="Zhang, Lin, Brandt, Shen, Sclaroff (2016), Top-down Neural Attention by Excitation Backprop, arXiv:1608.00507",
    needs=("gradient", "relu"),
    unit="share of the class",
)
def excitation_backprop(
    problem: Problem,
    *,
    contrastive: Annotated[bool, Note("Subtract what excites the opposite of the class.")] = False,
) -> Iterator[Partial]:
    """How probably each value wins when a walk from the class chooses, at every neuron, among what excites it.

    Values [batch, ...] like the input; not negative and with a sum of one for each class the score is made of, unless
    `contrastive`, which makes them signed with a sum near zero. The paper takes them at a layer (`layer=`): there neurons
    are not negative, as winning probabilities suppose. Negative values at the input excite through negative weights.
    A shortcut whose branches have opposite signs hands down shares of opposite signs, which are no probabilities any more.
    A score that is not an output's value starts the walk with its derivatives. `score` is the score as ever, and no
    delta is given, because the values are no shares of it.
    """
    gradients, scores = problem.gradients(rewrite=ContrastiveExcitation if contrastive else Excitation)
    yield Partial(gradients * problem.points, done=1, total=1, score=scores)
