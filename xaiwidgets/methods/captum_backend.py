"""The same call answered by Captum: `backend="captum"`, to see two implementations side by side.

Captum gets a module that returns one score a row, so targets, scores and inputs mean what they mean natively. It runs in
one piece: there is one result, no error estimate, no cancelling on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaiwidgets.engine.errors import ExplainError, ParameterError, did_you_mean
from xaiwidgets.engine.layers import find_layer
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.regions import resolve as resolve_regions
from xaiwidgets.engine.registry import Method, Partial
from xaiwidgets.engine.state import borrowed

RULES = {
    "adaptive": "gausslegendre", "gauss_legendre": "gausslegendre", "trapezoid": "riemann_trapezoid",
    "midpoint": "riemann_middle", "left": "riemann_left", "right": "riemann_right",
}  # fmt: skip
AT_ONCE = 8  # perturbed rows that Captum evaluates together


class Asked(nn.Module):
    """The model as Captum wants it: points and their rows in, one score a row out."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.module  # so that hooks find its layers
        self.problem = problem

    def forward(self, points: Tensor, rows: Tensor) -> Tensor:
        problem = self.problem
        arguments, keywords = problem.inputs.assemble(points, rows)
        problem.evaluations["forward"] += len(rows)
        return problem.pick(problem.call(*arguments, **keywords), rows).to(problem.dtype)


@dataclass
class Call:
    """What a translation works with."""

    problem: Problem
    attr: Any  # the module captum.attr
    model: Asked
    parameters: dict[str, Any]
    arguments: dict[str, Any] = field(default_factory=dict)

    def baselines(self) -> Tensor:
        """[rows, ...]; Captum takes one baseline a row."""
        found = self.problem.baselines(self.parameters["baseline"])
        if len(found) != 1:
            raise ParameterError(
                "captum_baseline", f"Captum takes one baseline a row, not {len(found)}", hint='For example "zeros".'
            )
        return found[0]

    def regions(self) -> Tensor:
        found = resolve_regions(self.parameters["regions"], self.problem.inputs)
        return found.ids.to(self.problem.device).expand(-1, *self.problem.points.shape[1:])

    def run(self, explainer: Any, /, **options: Any) -> Tensor:
        found: Tensor = explainer.attribute(self.problem.points, additional_forward_args=(self._rows(),), **options)
        return found

    def _rows(self) -> Tensor:
        return torch.arange(self.problem.rows, device=self.problem.device)


def _saliency(call: Call) -> Tensor:
    return call.run(call.attr.Saliency(call.model), abs=call.parameters["absolute"])


def _integrated_gradients(call: Call) -> Tensor:
    return call.run(
        call.attr.IntegratedGradients(call.model),
        baselines=call.baselines(),
        n_steps=call.parameters["steps"],
        method=RULES[call.parameters["rule"]],
        internal_batch_size=max(call.problem.chunk_rows, call.problem.rows),
    )


def _noise(kind: str) -> Callable[[Call], Tensor]:
    def run(call: Call) -> Tensor:
        points = call.problem.points
        tunnel = call.attr.NoiseTunnel(call.attr.Saliency(call.model))
        torch.manual_seed(call.parameters["seed"])  # Captum draws from the global state, which is put back afterwards
        return call.run(
            tunnel,
            nt_type=kind,
            nt_samples=call.parameters["samples"],
            nt_samples_batch_size=1,
            stdevs=call.parameters["noise"] * float(points.max() - points.min()),
            abs=False,
        )

    return run


def _deeplift(call: Call) -> Tensor:
    return call.run(call.attr.DeepLift(call.model), baselines=call.baselines())


def _grad_cam(call: Call) -> Tensor:
    name = call.problem.layer(call.parameters["layer"], lambda output: output.ndim == 4 and output.shape[2] > 1)
    layer = find_layer(call.problem.module, name)[1]
    maps = call.run(call.attr.LayerGradCam(call.model, layer), relu_attributions=call.parameters["relu"])
    return functional.interpolate(maps, call.problem.points.shape[2:], mode="bilinear")


def _occlusion(call: Call) -> Tensor:
    points = call.problem.points
    side = call.parameters["window"] or max(1, min(points.shape[2:]) // 8)
    stride = call.parameters["stride"] or max(1, side // 2)
    values = call.run(
        call.attr.Occlusion(call.model),
        sliding_window_shapes=(points.shape[1], *[min(side, length) for length in points.shape[2:]]),
        strides=(points.shape[1], *[min(stride, length) for length in points.shape[2:]]),
        baselines=call.baselines(),
        perturbations_per_eval=AT_ONCE,
    )
    return values[:, :1]


def _masked(name: str, *, sampled: bool = False) -> Callable[[Call], Tensor]:
    def run(call: Call) -> Tensor:
        mask = call.regions()
        options: dict[str, Any] = {"feature_mask": mask, "baselines": call.baselines()}
        if sampled:
            torch.manual_seed(call.parameters["seed"])
            count = int(mask.max()) + 1
            per_order = name == "ShapleyValueSampling"
            options["n_samples"] = (
                max(1, call.parameters["samples"] // count) if per_order else call.parameters["samples"]
            )
        return call.run(getattr(call.attr, name)(call.model), perturbations_per_eval=AT_ONCE, **options)

    return run


def _plain(name: str) -> Callable[[Call], Tensor]:
    return lambda call: call.run(getattr(call.attr, name)(call.model))


TRANSLATIONS: dict[str, Callable[[Call], Tensor]] = {
    "saliency": _saliency,
    "input_x_gradient": _plain("InputXGradient"),
    "smoothgrad": _noise("smoothgrad"),
    "smoothgrad_squared": _noise("smoothgrad_sq"),
    "vargrad": _noise("vargrad"),
    "integrated_gradients": _integrated_gradients,
    "deeplift": _deeplift,
    "guided_backprop": _plain("GuidedBackprop"),
    "deconvnet": _plain("Deconvolution"),
    "lrp": _plain("LRP"),
    "grad_cam": _grad_cam,
    "occlusion": _occlusion,
    "feature_ablation": _masked("FeatureAblation"),
    "shapley": _masked("ShapleyValueSampling", sampled=True),
    "shapley_exact": _masked("ShapleyValues"),
    "kernel_shap": _masked("KernelShap", sampled=True),
    "lime": _masked("Lime", sampled=True),
}


def captum_run(method: Method) -> Callable[..., Iterator[Partial]]:
    """A method's Captum counterpart, with the signature of its generator. Raises ParameterError if there is none."""
    translation = TRANSLATIONS.get(method.name)
    if translation is None:
        raise ParameterError(
            "captum_method", f"Captum has no {method.title}", hint=did_you_mean(method.name, TRANSLATIONS)
        )

    def run(problem: Problem, **parameters: Any) -> Iterator[Partial]:
        score = problem.values()
        baseline_score = problem.values(problem.baselines(parameters["baseline"])[0]) if method.complete else None
        with borrowed(problem.module, problem.lock, gradient=True, training=problem.training, device=problem.device):
            found = translation(Call(problem, _captum(), Asked(problem), parameters)).detach().to(problem.dtype)
        delta = None if baseline_score is None else found.flatten(1).sum(1) - (score - baseline_score)
        yield Partial(found, done=1, total=1, delta=delta, score=score, baseline_score=baseline_score)

    return run


def _captum() -> Any:
    try:
        from captum import attr  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ExplainError(
            "missing_extra", 'backend="captum" needs Captum', str(error), "pip install 'xaiwidgets[captum]'"
        ) from error
    return attr
