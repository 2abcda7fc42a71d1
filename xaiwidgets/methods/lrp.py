"""Layer-wise relevance propagation with rules and composites, deep Taylor decomposition, and its form for transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Literal

from torch import Tensor

from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Note, Partial, Range, method
from xaiwidgets.engine.suffix import SuffixProblem

from .lrp_mode import Composite, Relevance
from .lrp_rules import Rule, alpha_beta, epsilon, flat, gamma, w_squared, z_box, z_plus

Name = Literal[
    "epsilon",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
    "gamma",
    "alpha_beta",
    "z_plus",
    "deep_taylor",
    "attn_lrp",
    "cp_lrp",
    "signal",
]


def composites(
    *,
    stabilizer: float = 1e-6,
    factor: float = 0.25,
    alpha: float = 2.0,
    low: float | Tensor | None = None,
    high: float | Tensor | None = None,
) -> dict[str, Composite]:
    """The named composites: rules of convolutions, dense layers and the first layer.

    Those that begin with epsilon_ are the presets of Kohlbrenner et al. (2020), arXiv:1910.09840, and of zennit (Anders
    et al. 2021, arXiv:2106.13200); "cp_lrp" is Ali et al. (2022), arXiv:2202.07304; "signal" (gates are constants) Arras
    et al. (2017), arXiv:1706.07206, for recurrent networks.
    """
    near = epsilon(stabilizer)
    twice = alpha_beta(2.0)
    return {
        "epsilon": Composite(near, near),
        "epsilon_plus": Composite(z_plus(), near),
        "epsilon_plus_flat": Composite(z_plus(), near, flat()),
        "epsilon_alpha2_beta1": Composite(twice, near),
        "epsilon_alpha2_beta1_flat": Composite(twice, near, flat()),
        "epsilon_gamma_box": Composite(gamma(factor), near, z_box(low, high)),
        "gamma": Composite(gamma(factor), gamma(factor)),
        "alpha_beta": Composite(alpha_beta(alpha), alpha_beta(alpha)),
        "z_plus": Composite(z_plus(), z_plus()),
        "deep_taylor": Composite(z_plus(bias=False), z_plus(bias=False), z_box(low, high)),
        "attn_lrp": Composite(near, near),
        "cp_lrp": Composite(near, near, constant=frozenset({"softmax"})),
        "signal": Composite(near, near, constant=frozenset({"softmax", "sigmoid"})),
    }


def propagate(problem: Problem, composite: Composite, mode: Callable[[Composite], Relevance] = Relevance) -> Partial:
    """Relevance of the points, like the points. At a layer there is no first layer, so its rule is left out."""
    if isinstance(problem, SuffixProblem):
        composite = replace(composite, first=None)
    gradients, scores = problem.gradients(rewrite=lambda: mode(composite))
    values = gradients if composite.starts_raw else gradients * problem.points
    return Partial(values, done=1, total=1, score=scores, delta=values.flatten(1).sum(1) - scores)


def _bounds(low: float, high: float) -> tuple[float | None, float | None]:
    return (low, high) if low < high else (None, None)


@method(
    family="propagation",
    title="LRP",
    reference="Bach, Binder, Montavon, Klauschen, Müller, Samek (2015), On Pixel-Wise Explanations for Non-Linear "
    "Classifier Decisions by Layer-Wise Relevance Propagation, doi:10.1371/journal.pone.0130140; presets: Kohlbrenner et "
    "al. (2020), arXiv:1910.09840",
    needs=("gradient",),
)
def lrp(
    problem: Problem,
    *,
    composite: Annotated[
        Name | Composite,
        Note("Which rule goes where: at the first layer, in convolutions, in dense layers."),
    ] = "epsilon_plus",
    epsilon: Annotated[
        float, Range(1e-9, 1.0, log=True, help="Relevance that weak sums absorb in dense layers.")
    ] = 1e-6,
    gamma: Annotated[
        float, Range(0.01, 10.0, log=True, help="How much more agreeing weights count (gamma rules).")
    ] = 0.25,
    alpha: Annotated[float, Range(1.0, 4.0, help="Weight of what pulls up in alpha_beta; beta is one less.")] = 2.0,
    low: Annotated[float, Note("Smallest possible input (box rules); low = high takes each input's own range.")] = 0.0,
    high: Annotated[float, Note("Largest possible input (box rules).")] = 0.0,
) -> Iterator[Partial]:
    """The score handed down layer by layer, each input getting its share by a rule.

    Values [batch, ...] like the input, in units of the score. `composite` is a name or a `Composite` made of rules of
    `xaiwidgets.methods.lrp_rules`, which may name layers. `delta` is sum(values) − score: what biases, constants and the
    stabilizers have kept (zero for networks without them), so the sum is no promise. With score="probability" or a
    function as target what is handed down is output × gradient of the score.
    At a layer (`layer=`) the values are the relevance of what it puts out, and no rule is that of a first layer.

    The authors' institutes claim a patent on LRP (a US application); their library lxt says that LRP is free for personal
    and scientific use only.
    """
    bounds = _bounds(low, high)
    known = composites(stabilizer=epsilon, factor=gamma, alpha=alpha, low=bounds[0], high=bounds[1])
    yield propagate(problem, composite if isinstance(composite, Composite) else known[composite])


@method(
    family="propagation",
    title="Deep Taylor decomposition",
    reference="Montavon, Lapuschkin, Binder, Samek, Müller (2017), Explaining NonLinear Classification Decisions with Deep "
    "Taylor Decomposition, arXiv:1512.02479",
    needs=("gradient", "relu"),
)
def deep_taylor(
    problem: Problem,
    *,
    domain: Annotated[
        Literal["box", "real", "positive"],
        Note("What inputs can be: pixels in a box (z^B), any number (w²), or none below zero (z⁺)."),
    ] = "box",
    low: Annotated[float, Note("Smallest possible input of the box; low = high takes each input's own range.")] = 0.0,
    high: Annotated[float, Note("Largest possible input of the box.")] = 0.0,
) -> Iterator[Partial]:
    """The score handed down by first-order Taylor expansions at roots that each layer can reach.

    Values [batch, ...] like the input, in units of the score; for networks of ReLUs and positive scores. They sum to the
    score unless nothing pulls a unit up, or a norm, a constant or a bias outside the linear maps keeps its part (`delta`).
    The patent claim named at `lrp` is about the same family.
    """
    first: dict[str, Rule] = {"box": z_box(*_bounds(low, high)), "real": w_squared(), "positive": z_plus(bias=False)}
    hidden = z_plus(bias=False)
    yield propagate(problem, Composite(hidden, hidden, first[domain]))


@method(
    family="propagation",
    title="AttnLRP",
    reference="Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin, Samek (2024), AttnLRP: Attention-Aware Layer-Wise "
    "Relevance Propagation for Transformers, arXiv:2402.05602",
    needs=("gradient",),
)
def attn_lrp(
    problem: Problem,
    *,
    attention: Annotated[
        Literal["expanded", "constant"],
        Note("Through where attention looks as well (AttnLRP), or only through what it carries (CP-LRP)."),
    ] = "expanded",
    epsilon: Annotated[
        float, Range(1e-9, 1.0, log=True, help="Relevance that weak sums absorb in linear layers.")
    ] = 1e-6,
) -> Iterator[Partial]:
    """LRP for transformers: relevance through softmax, attention, gates and norms.

    Values [batch, ...] like the input, [batch, tokens, features] for embeddings, in units of the score. Linear layers take the ε rule,
    products of two activations give each factor half, activations σ(x)/x, norms and divisors are constants, and softmax
    is expanded to first order. "constant" is CP-LRP (Ali et al. 2022, arXiv:2202.07304). `delta` is sum(values) − score:
    what biases, positions and the expansion of softmax have kept. The patent claim named at `lrp` is about this too.
    """
    name = "attn_lrp" if attention == "expanded" else "cp_lrp"
    yield propagate(problem, composites(stabilizer=epsilon)[name])
