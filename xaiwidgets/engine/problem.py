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

from .baselines import resolve
from .batching import Batcher, counted_bytes
from .chunk import Chunk, Work
from .errors import ModelError, ParameterError
from .fusion import Fusion
from .inputs import Inputs, Key, read_inputs
from .layers import LayerLike, call_order, find_layer, open_module, tapped
from .memory import Memory, model_stamp
from .precision import Precision, gradient_error
from .rewrite import Rewrite
from .state import borrowed, check_mode, lock_of, module_of
from .target import Neuron, Score, Target, scorers_of, unwrap

INTEGER_ROW_BYTES = 2**20  # assumed of a row when autograd keeps nothing that could be counted


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
        precision: Precision = "full",
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        if not callable(model):
            raise ModelError("not_callable", f"A {type(model).__name__} is not a model", hint="Pass a torch module.")
        self.inputs: Inputs = read_inputs(inputs, wrt)
        self.module = module_of(model)
        self.call = forward if forward is not None else model
        self.hooked = isinstance(target, Neuron)  # layers are watched whenever the model runs
        if isinstance(target, Neuron):
            self.call = _watched(self.call, find_layer(self.module, target.layer)[1])
            target = target.pick
        self.scorers = scorers_of(target, score, self.inputs.rows)
        self.asked: Tensor | None = None  # [rows] which of several targets a row is about, once rows are expanded
        if precision not in ("full", "bfloat16"):
            raise ParameterError(
                "unknown_precision", f"precision={precision!r} is not known", hint='"full" or "bfloat16".'
            )
        self.precision: Precision = precision
        self.training = training
        self.interrupt = interrupt
        self.batcher = Batcher(batch_size)
        self.fusion = Fusion(self.module, self.call)
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

    # --- other problems about the same model ---------------------------------------------------------------------

    def expanded(self) -> Problem:
        """With every target asked of every row: rows are target-major, [targets * rows]."""
        if self.columns == 1:
            return self
        other = copy.copy(self)
        other.inputs = self.inputs.repeated(self.columns)
        other.asked = torch.arange(self.columns, device=self.device).repeat_interleave(self.rows)
        other.remembered = self.memory("expanded").setdefault("memory", Memory())
        with torch.inference_mode(mode=False):
            other.points = other.inputs.points
        return other

    def rounding(self) -> float | None:
        """What the lowered precision costs: relative L1 distance of the first row's gradient; None at full precision, and
        where there is no gradient to compare.
        """
        if self.precision == "full" or not self.inputs.differentiable:
            return None
        known = self.memory("rounding")
        if not known:
            full = copy.copy(self)
            full.precision = "full"
            known["error"] = gradient_error(full, self)
        return float(known["error"])

    def with_points(self, points: Tensor) -> Problem:
        """The same question about other points [rows, ...]."""
        other = copy.copy(self)
        other.inputs = self.inputs.moved(points)
        other.points = points
        other.remembered = Memory()
        return other

    def at(self, layer: nn.Module | str) -> Problem:
        """The same question asked of what comes after a layer: its points are the layer's output."""
        from .suffix import suffix_problem  # noqa: PLC0415  # a suffix is a problem itself

        return suffix_problem(self, layer)

    # --- facts ---------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        return self.inputs.rows

    @property
    def samples(self) -> int:
        """Rows of the inputs before they were repeated for several targets."""
        return self.rows // (1 if self.asked is None else len(self.scorers))

    @property
    def columns(self) -> int:
        """Targets asked of each row at once."""
        return 1 if self.asked is not None else len(self.scorers)

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

    def baselines(self, baseline: Any) -> Tensor:
        """Any way of naming a baseline as points [k, rows, ...]."""
        return resolve(baseline, self.inputs)

    # --- asking the model ----------------------------------------------------------------------------------------

    def scores(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Scores [m, columns] of the points for every target, without gradients."""

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            output = chunk.output()
            if self.asked is not None:
                return (chunk.scores(output).detach().unsqueeze(1),)
            return (self._columns(output, chunk.rows).to(self.dtype).detach(),)

        return self.evaluate(work, points, rows, gradient=False)[0]

    def values(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Scores [m] of the points, without gradients."""
        return self.evaluate(lambda chunk: (chunk.scores(chunk.output()).detach(),), points, rows, gradient=False)[0]

    def outputs(self, points: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """The model's unwrapped output for the points, without gradients."""
        return self.evaluate(lambda chunk: (unwrap(chunk.output()).detach(),), points, rows, gradient=False)[0]

    def gradients(
        self,
        points: Tensor | None = None,
        rows: Tensor | None = None,
        *,
        rewrite: Callable[[], Rewrite] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Gradients [m, ...] of the scores with respect to the points, and the scores [m].

        `rewrite` makes a fresh mode for each chunk, which gives operations another gradient.
        """
        if points is None and self.asked is not None:
            return self._shared_gradients(rewrite)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            mode = rewrite() if rewrite is not None else None
            scores = chunk.scores(chunk.output(rewrite=mode))
            return *chunk.differentiate(scores, chunk.leaf), scores.detach()

        gradients, scores = self.evaluate(work, points, rows)
        return gradients, scores

    def layer_outputs(self, points: Tensor | None, rows: Tensor | None, layer: nn.Module | str) -> Tensor:
        """Output of a layer [m, ...] for the points, without gradients."""
        name, part_of_model = find_layer(self.module, layer)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            with tapped(part_of_model) as seen:
                chunk.output(hooked=True)
            return (_last(seen, name).detach().to(self.dtype),)

        return self.evaluate(work, points, rows, gradient=False)[0]

    def layer_gradients(
        self, points: Tensor | None, rows: Tensor | None, layer: nn.Module | str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output of a layer, gradient of the scores with respect to it, and the scores.

        Of a layer used several times in one pass, the last use counts.
        """
        name, part_of_model = find_layer(self.module, layer)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            with tapped(part_of_model) as seen:
                output = chunk.output(hooked=True)
            activation = _last(seen, name)
            scores = chunk.scores(output)
            (gradient,) = chunk.differentiate(scores, activation)
            return activation.detach().to(self.dtype), gradient, scores.detach()

        activation, gradient, scores = self.evaluate(work, points, rows)
        return activation, gradient, scores

    def layer_names(self, accept: Callable[[Tensor], bool]) -> list[str]:
        """Names of the layers with an accepted output, in the order in which they finish a one-row pass."""
        module, found = open_module(self.module), list[str]()

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            with call_order(module, accept) as order:
                output = chunk.output(hooked=True)
            found.extend(order)
            return (unwrap(output),)

        rows = torch.zeros(1, dtype=torch.long, device=self.device)
        self.evaluate(work, self.points[:1], rows, gradient=False)
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

    def evaluate(
        self,
        work: Work,
        points: Tensor | tuple[Tensor, ...] | None = None,
        rows: Tensor | None = None,
        *,
        gradient: bool = True,
    ) -> tuple[Tensor, ...]:
        """Run the points through `work` in chunks that fit, and join what it makes of each.

        Several tensors of points are cut alike. What `work` returns has the chunk's rows as its first axis.
        """
        sources = (self.points if points is None else points,) if not isinstance(points, tuple) else points
        total = len(sources[0])
        rows = torch.arange(total, device=self.device) if rows is None else rows.to(self.device)

        def evaluate(start: int, stop: int) -> tuple[tuple[Tensor, ...], Chunk]:
            if self.interrupt is not None:
                self.interrupt()
            # A first chunk of unknown size runs with gradients on, whatever is asked, to see what it keeps alive.
            measure = self.batcher.unmeasured
            with borrowed(
                self.module, self.lock, gradient=gradient or measure, training=self.training, device=self.device
            ):
                leaves = tuple(
                    source[start:stop].detach().to(self.dtype, copy=True).requires_grad_(gradient or measure)
                    for source in sources
                )
                chunk = Chunk(self, leaves, rows[start:stop], gradient, watched=measure)
                if not measure:
                    return work(chunk), chunk
                with counted_bytes(self.module) as kept:
                    result = work(chunk)
                self.batcher.measured((kept() or INTEGER_ROW_BYTES) + 4 * leaves[0].nbytes, self.device)
                return result, chunk

        parts: list[tuple[Tensor, ...]] = []
        for result, chunk in self.batcher.run(total, evaluate):
            for kind, count in chunk.evaluations.items():
                self.evaluations[kind] += count
            parts.append(result)
        if len(parts) == 1:
            return parts[0]
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def pick(self, output: Any, rows: Tensor) -> Tensor:
        """The score [n] each row is asked about."""
        if self.asked is None:
            return self.scorers[0](output, rows)
        columns = self._columns(output, rows % self.samples)
        return columns.gather(1, self.asked[rows].unsqueeze(1)).squeeze(1)

    def _columns(self, output: Any, rows: Tensor) -> Tensor:
        return torch.stack([scorer(output, rows) for scorer in self.scorers], dim=1)

    def _shared_gradients(self, rewrite: Callable[[], Rewrite] | None) -> tuple[Tensor, Tensor]:
        """At the inputs themselves: one forward pass a sample, one backward pass a target."""

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            output = chunk.output(rewrite=rewrite() if rewrite is not None else None)
            columns = self._columns(output, chunk.rows).to(self.dtype)
            gradients = [chunk.differentiate(column, chunk.leaf, keep=True)[0] for column in columns.unbind(1)]
            chunk.evaluations["gradient"] += len(chunk.rows) * (len(gradients) - 1)
            return torch.stack(gradients, dim=1), columns.detach()

        gradients, scores = self.evaluate(work, self.points[: self.samples])
        return gradients.transpose(0, 1).flatten(0, 1), scores.T.flatten()


def _last(seen: list[Tensor], name: str) -> Tensor:
    if not seen:
        raise ModelError(
            "layer_not_run", f"The layer {name!r} put out no tensor during the forward pass", hint="Pick one."
        )
    return seen[-1]


def _watched(call: Callable[..., Any], layer: nn.Module) -> Callable[..., Any]:
    """The model as a function to a layer's output."""

    def watched(*arguments: Any, **keywords: Any) -> Tensor:
        with tapped(layer) as seen:
            call(*arguments, **keywords)
        return _last(seen, type(layer).__name__)

    return watched
