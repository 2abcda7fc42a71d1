"""What a method sees of a model: points in, scores and gradients out.

A point is one value of the explained input; its row says which sample it belongs to, so that targets and the other
inputs follow. Chunks, memory, devices, state and errors are settled here and nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .batching import Batcher, counted_bytes, is_out_of_memory
from .diagnosis import diagnose, require_finite, require_graph
from .errors import Cancelled, ExplainError, ModelError
from .inputs import Inputs, Key, read_inputs
from .layers import LayerLike, call_order, find_layer, open_module, tapped
from .memory import Memory, model_stamp
from .state import borrowed, check_mode, eager, lock_of, module_of
from .target import Score, Scorer, Target, unwrap


class Problem:
    """One question to one model: inputs, a score, and the means to evaluate both anywhere."""

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any,
        *,
        target: Target = None,
        score: Score = "logit",
        forward: Callable[..., Any] | None = None,
        wrt: Key | list[Key] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        training: bool | None = None,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        if not callable(model):
            raise ModelError("not_callable", f"A {type(model).__name__} is not a model", hint="Pass a torch module.")
        self.inputs: Inputs = read_inputs(inputs, wrt)
        self.module = module_of(model)
        self.call = forward if forward is not None else model
        self.scorer = Scorer(target, score, self.inputs.rows)
        self.training = training
        self.interrupt = interrupt
        self.batcher = Batcher(batch_size)
        self.lock = lock_of(self.module)
        self.remembered = Memory()
        self.evaluations = {"forward": 0, "gradient": 0}
        with torch.inference_mode(mode=False):
            self.points: Tensor = self.inputs.points

    def begin(self) -> Problem:
        """A view for one run: its own count of evaluations, everything else shared."""
        check_mode(self.module, self.training)
        self.remembered.forget_if_changed(model_stamp(self.module))
        run = copy.copy(self)
        run.evaluations = {"forward": 0, "gradient": 0}
        return run

    @property
    def rows(self) -> int:
        return self.inputs.rows

    @property
    def dtype(self) -> torch.dtype:
        """float32, or float64 for float64 inputs: of points, gradients, scores and results."""
        return self.inputs.dtype

    @property
    def device(self) -> torch.device:
        return self.points.device

    @property
    def sum_dtype(self) -> torch.dtype:
        """What long sums are kept in: float64 wherever the device has it."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    @property
    def chunk_rows(self) -> int:
        """Rows that go through the model at once, as far as known yet."""
        return self.batcher.rows

    def memory(self, key: Hashable) -> dict[Any, Any]:
        """A dictionary that survives until the next run of this session."""
        return self.remembered.of(key)

    def generator(self, seed: int) -> torch.Generator:
        """A private source of random numbers, on the CPU so that every device draws the same ones."""
        return torch.Generator().manual_seed(seed)

    def values(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Scores [m] of the points, without gradients."""

        def evaluate(output: Any, _leaf: Tensor, part: Tensor) -> tuple[Tensor, ...]:
            return (self._scores(output, part).detach(),)

        return self._evaluate(points, rows, evaluate, gradient=False)[0]

    def outputs(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """The model's unwrapped output for the points, without gradients."""

        def evaluate(output: Any, _leaf: Tensor, _part: Tensor) -> tuple[Tensor, ...]:
            return (unwrap(output).detach(),)

        return self._evaluate(points, rows, evaluate, gradient=False)[0]

    def gradients(self, points: Tensor | None = None, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Gradients [m, ...] of the scores with respect to the points, and the scores [m]."""

        def evaluate(output: Any, leaf: Tensor, part: Tensor) -> tuple[Tensor, ...]:
            scores = self._scores(output, part)
            return self._differentiate(scores, leaf), scores.detach()

        gradients, scores = self._evaluate(points, rows, evaluate, gradient=True)
        return gradients, scores

    def layer_gradients(
        self, points: Tensor | None, rows: Tensor | None, layer: nn.Module | str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output of a layer, gradient of the scores with respect to it, and the scores.

        Of a layer used several times in one pass, the last use counts.
        """
        name, part_of_model = find_layer(self.module, layer)
        seen: list[Tensor] = []

        def evaluate(output: Any, _leaf: Tensor, part: Tensor) -> tuple[Tensor, ...]:
            if not seen:
                raise ModelError(
                    "layer_not_run", f"The layer {name!r} put out no tensor during the forward pass", hint="Pick one."
                )
            scores = self._scores(output, part)
            activation = seen[-1]
            gradient = self._differentiate(scores, activation)
            return activation.detach().to(self.dtype), gradient, scores.detach()

        def watched(*arguments: Any, **keywords: Any) -> Any:
            with tapped(part_of_model) as outputs:
                seen[:] = []
                result = self.call(*arguments, **keywords)
                seen.extend(outputs)
            return result

        activation, gradient, scores = self._evaluate(points, rows, evaluate, gradient=True, call=watched)
        return activation, gradient, scores

    def layer_names(self, accept: Callable[[Tensor], bool]) -> list[str]:
        """Names of the layers with an accepted output, in the order in which they finish a one-row pass."""
        module, found = open_module(self.module), list[str]()

        def watched(*arguments: Any, **keywords: Any) -> Any:
            with call_order(module, accept) as order:
                result = self.call(*arguments, **keywords)
            found.extend(order)
            return result

        rows = torch.zeros(1, dtype=torch.long, device=self.device)
        self._evaluate(
            self.points[:1], rows, lambda output, _leaf, _part: (unwrap(output),), gradient=False, call=watched
        )
        return found

    def layer(self, layer: LayerLike, accept: Callable[[Tensor], bool]) -> str:
        """The name of the given layer, or of the last one whose output is accepted."""
        if layer is not None:
            return find_layer(self.module, layer)[0]
        known = self.memory("default layer")
        if not known:
            names = self.layer_names(accept)
            if not names:
                raise ModelError(
                    "no_layer", "No layer of the model has a suitable output", hint="Name one with layer=."
                )
            known["name"] = names[-1]
        return str(known["name"])

    # --- one chunk -----------------------------------------------------------------------------------------------

    def _evaluate(
        self,
        points: Tensor | None,
        rows: Tensor | None,
        finish: Callable[[Any, Tensor, Tensor], tuple[Tensor, ...]],
        *,
        gradient: bool,
        call: Callable[..., Any] | None = None,
    ) -> tuple[Tensor, ...]:
        """Run the points through the model in chunks and join what `finish` makes of each output."""
        points = self.points if points is None else points
        rows = torch.arange(len(points), device=self.device) if rows is None else rows.to(self.device)
        model = self.call if call is None else call

        def evaluate(start: int, stop: int) -> tuple[Tensor, ...]:
            if self.interrupt is not None:
                self.interrupt()
            part = rows[start:stop]
            # A first chunk of unknown size runs with gradients on, whatever is asked, to see what it keeps alive.
            measure = self.batcher.unmeasured
            with (
                borrowed(
                    self.module, self.lock, gradient=gradient or measure, training=self.training, device=self.device
                ),
                eager(measure or call is not None),
            ):
                leaf = points[start:stop].detach().to(self.dtype, copy=True).requires_grad_(gradient or measure)
                # A copy, because a model may begin with an in-place operation, and a leaf must not be overwritten.
                arguments, keywords = self.inputs.assemble(leaf.clone(), part)
                if not measure:
                    return finish(self._forward(model, arguments, keywords), leaf, part)
                with counted_bytes(self.module) as kept:
                    output = self._forward(model, arguments, keywords)
                self.batcher.measured(kept() + 4 * leaf.nbytes, self.device)
                return finish(output, leaf, part)

        chunks: list[tuple[Tensor, ...]] = []
        for chunk in self.batcher.run(len(points), evaluate):
            self.evaluations["gradient" if gradient else "forward"] += len(chunk[0])
            chunks.append(chunk)
        if len(chunks) == 1:
            return chunks[0]
        return tuple(torch.cat(column) for column in zip(*chunks, strict=True))

    def _forward(self, model: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        try:
            return model(*arguments, **keywords)
        except (ExplainError, Cancelled):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise diagnose(error, self.module, self.inputs.leaves[0]) from error

    def _scores(self, output: Any, rows: Tensor) -> Tensor:
        scores = self.scorer(output, rows).to(self.dtype)
        require_finite(scores, "score")
        return scores

    def _differentiate(self, scores: Tensor, leaf: Tensor) -> Tensor:
        gradient = None
        if scores.requires_grad:
            (gradient,) = torch.autograd.grad(scores.sum(), leaf, allow_unused=True)
        gradient = require_graph(gradient).to(self.dtype)
        require_finite(gradient, "gradient")
        return gradient
