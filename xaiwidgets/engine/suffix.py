"""What comes after a layer, as a problem of its own: points are the layer's output.

The model is always called as a whole, with the layer's output replaced. What comes before the layer gives the same for
every point of a sample, so it is run once, and its operations' results are handed out again instead of being computed: a
`TorchFunctionMode` answers each call with what the first run gave. The replay is used only after it has been seen to give
what the whole model gives; models it does not fit (operations that mix samples, or whose order depends on the point) are
run whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .batching import Batcher, is_out_of_memory
from .chunk import Chunk
from .diagnosis import diagnose
from .errors import ExplainError, ModelError
from .inputs import Inputs
from .layers import find_layer, unseen
from .memory import Memory
from .problem import Problem
from .rewrite import Watch
from .state import borrowed, eager

LARGEST_TAPE = 256 * 2**20
MOST_SAMPLES = 32  # more are not recorded at once, and run the whole model
AGREE = {torch.float64: 1e-6, torch.float32: 1e-4}  # relative; half precision gets more room


class Operation(NamedTuple):
    """One call before the layer, and what it gave; None for what is no tensor and is simply done again."""

    name: str
    in_place: bool
    result: Any


@dataclass
class Prefix:
    """What is known of the model up to a layer."""

    points: Tensor  # [samples, ...] the layer's output at the inputs
    calls: int  # times the layer runs in one pass; the last counts
    tape: list[Operation] | None  # None: run the whole model


class SuffixInputs(Inputs):
    """A layer's output in place of the inputs; `assemble` passes on which samples the points belong to."""

    def assemble(self, points: Tensor, rows: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (points.to(self.leaves[0].dtype), rows), {}


class SuffixProblem(Problem):
    """The question of `whole`, asked at a layer; made by `suffix_problem`."""

    whole: Problem
    layer_name: str

    def baselines(self, baseline: Any) -> Tensor:
        """What the layer puts out at the baselines of the inputs. A tensor with the layer's shape is taken as it is, and
        where the inputs are no numbers, baselines are those of the layer's own output.
        """
        own_shape = isinstance(baseline, Tensor) and baseline.shape[1 - self.points.ndim :] == self.points.shape[1:]
        if own_shape or not self.whole.inputs.differentiable:
            return super().baselines(baseline)
        drawn = self.whole.baselines(baseline)
        rows = torch.arange(self.rows, device=drawn.device).repeat(len(drawn))
        outputs = self.whole.layer_outputs(drawn.flatten(0, 1), rows, self.layer_name)
        return outputs.reshape(len(drawn), *self.points.shape)

    def expanded(self) -> Problem:
        return self.whole.expanded().at(self.layer_name)

    def at(self, layer: nn.Module | str) -> Problem:
        return self.whole.at(layer)


def suffix_problem(whole: Problem, layer: nn.Module | str) -> SuffixProblem:
    """See `Problem.at`."""
    name, part = find_layer(whole.module, layer)
    kept = whole.memory(("suffix", name))
    if not kept:
        prefix = _first_run(whole, name, part)
        kept.update(prefix=prefix, memory=Memory(), batcher=Batcher(whole.batcher.size))
    problem = copy.copy(whole)
    problem.__class__ = SuffixProblem
    assert isinstance(problem, SuffixProblem)  # noqa: S101  # for the type checker
    problem.whole, problem.layer_name, problem.hooked = whole, name, True
    problem.remembered, problem.batcher = kept["memory"], kept["batcher"]
    problem.call = _Suffix(whole, part, kept["prefix"])
    points = torch.cat([kept["prefix"].points] * (whole.rows // whole.samples))
    problem.inputs = SuffixInputs({0: points}, (0,), "tensor", several=False)
    problem.points = problem.inputs.points
    return problem


class _Suffix:
    """Call with a layer's output [n, ...] and the rows [n]; runs the model from there on."""

    def __init__(self, whole: Problem, layer: nn.Module, prefix: Prefix) -> None:
        self.whole, self.layer, self.prefix = whole, layer, prefix

    def __call__(self, activation: Tensor, rows: Tensor) -> Any:
        if self.prefix.tape is not None:
            try:
                return self._run(
                    activation, rows, _Replay(self.prefix.tape, rows % self.whole.samples, self.whole.samples)
                )
            except NotRepeatedError:  # before the layer, so nothing has happened to the activation yet
                self.prefix.tape = None
        return self._run(activation, rows, None)

    def _run(self, activation: Tensor, rows: Tensor, replay: _Replay | None) -> Any:
        with unseen():
            arguments, keywords = self.whole.inputs.assemble(self.whole.points[rows], rows)
        with _replaced(self.layer, activation, self.prefix.calls, replay), replay or nullcontext():
            return self.whole.call(*arguments, **keywords)


class NotRepeatedError(Exception):
    """The model does other operations than on the tape: hooks were added, or they depend on the number of rows."""


class _Replay(TorchFunctionMode):
    """Answers calls from a tape until the layer has put out."""

    def __init__(self, tape: list[Operation], rows: Tensor, samples: int) -> None:
        super().__init__()
        self.tape = iter(tape)
        self.rows, self.samples = rows, samples
        self.over = False

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.over:
            return func(*args, **(kwargs or {}))
        operation = next(self.tape, None)
        if operation is None or operation.name != _name(func):
            raise NotRepeatedError(_name(func))
        if operation.result is None:
            return func(*args, **(kwargs or {}))
        result = _mapped(operation.result, self._of_rows)
        if operation.in_place:
            args[0].data = result
            return args[0]
        return result

    def _of_rows(self, tensor: Tensor) -> Tensor:
        """A tensor of its own, so that nothing done in place can reach the tape."""
        if tensor.ndim == 0 or tensor.shape[0] != self.samples:
            return tensor.clone()
        if self.samples == 1:
            return tensor.expand(len(self.rows), *tensor.shape[1:])
        return tensor.index_select(0, self.rows.to(tensor.device))


class _Record(Watch):
    """Writes down what every operation gives."""

    def __init__(self, module: nn.Module | None) -> None:
        super().__init__()
        own = (*module.parameters(), *module.buffers()) if module is not None else ()
        self.own = {id(tensor) for tensor in own}
        self.tape: list[Operation] = []
        self.usable = True

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors: list[Tensor] = []
        _mapped(result, tensors.append)
        in_place = bool(args) and bool(tensors) and result is args[0]
        # A model that writes to its own state as it runs must go on doing so; `out=` is not followed.
        self.usable &= not (in_place and id(result) in self.own) and "out" not in (kwargs or {})
        kept = _mapped(result, lambda tensor: tensor.detach().clone() if in_place else tensor.detach())
        self.tape.append(Operation(_name(func), in_place, kept if tensors else None))
        return result


def _first_run(whole: Problem, name: str, layer: nn.Module) -> Prefix:
    """The layer's output at the inputs, and the tape of all before it unless that is too much to keep."""
    points = whole.points[: min(whole.samples, MOST_SAMPLES)]
    record, outputs, lengths = _Record(whole.module), list[Tensor](), list[int]()

    def note(output: Tensor) -> Tensor:
        outputs.append(output.detach().clone())
        lengths.append(len(record.tape))
        return output

    with borrowed(whole.module, whole.lock, gradient=False, training=whole.training, device=whole.device):
        rows = torch.arange(len(points), device=whole.device)
        chunk = Chunk(whole, (points,), rows, gradient=False, watched=True)
        with _rewired(layer, note):
            chunk.output(rewrite=record)
        if not outputs:
            raise ModelError("layer_not_run", f"The layer {name!r} put out no tensor during the forward pass")
        tape = record.tape[: lengths[-1]]
        usable = len(points) == whole.samples and record.usable and sum(map(_nbytes, tape)) <= LARGEST_TAPE
        prefix = Prefix(outputs[-1], len(outputs), tape if usable else None)
        if usable:
            with eager(needed=True):
                _verify(whole, layer, prefix)
    whole.evaluations["forward"] += len(points)
    if len(points) < whole.samples:
        prefix.points = whole.layer_outputs(whole.points[: whole.samples], None, name).to(prefix.points.dtype)
    return prefix


def _verify(whole: Problem, layer: nn.Module, prefix: Prefix) -> None:
    """Compare with the whole model at points that are not the samples' own; without agreement the tape is dropped."""
    rows = torch.tensor([0, 0, len(prefix.points) - 1], device=whole.device)
    own = prefix.points[rows]
    generator = torch.Generator().manual_seed(0)
    points = own * (0.5 + torch.rand(own.shape, generator=generator, dtype=torch.float64)).to(own)
    try:
        expected = whole.pick(_Suffix(whole, layer, replace(prefix, tape=None))(points.clone(), rows), rows)
    except ExplainError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise diagnose(error, whole.module, whole.inputs.leaves[0]) from error
        prefix.tape = None  # not checked, not used
        return
    try:
        found = whole.pick(_Suffix(whole, layer, prefix)(points.clone(), rows), rows)
    except Exception:  # noqa: BLE001  # whatever the model makes of operations that were not run: run it whole
        found = torch.full_like(expected, torch.nan)
    room = AGREE.get(expected.dtype, 0.05)
    if not torch.allclose(found, expected, rtol=room, atol=room * float(expected.abs().max())):
        prefix.tape = None


@contextmanager
def _rewired(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Pass what a layer puts out through a function that no mode sees."""

    def hook(_module: nn.Module, _arguments: Any, output: Any) -> Any:
        with unseen():
            if isinstance(output, Tensor):
                return change(output)
            if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
                rest = (change(output[0]), *output[1:])
                return type(output)(*rest) if hasattr(output, "_fields") else rest
        return output

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _replaced(layer: nn.Module, activation: Tensor, calls: int, replay: _Replay | None) -> Iterator[None]:
    """Put `activation` in the place of what the layer's last call puts out; from there on operations are done again."""
    count = 0

    def change(output: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count < calls:
            return output
        if replay is not None:
            replay.over = True
        return activation.to(output.dtype)

    with _rewired(layer, change):
        yield


def _mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """A function applied to the tensors an operation may return."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        items = [_mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _name(func: Any) -> str:
    return str(getattr(func, "__name__", func))


def _nbytes(operation: Operation) -> int:
    sizes: list[int] = []
    _mapped(operation.result, lambda tensor: sizes.append(tensor.nbytes))
    return sum(sizes)
