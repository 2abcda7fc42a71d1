"""The blocks of a transformer: which module makes a layer's output of its input, around each attention map.

A block is a module that takes a sequence [rows, tokens, width] and puts out one of the same shape, with a single attention
map in between: `BertLayer`, `LlamaDecoderLayer`, `nn.TransformerEncoderLayer`. Models that use one module several times
(ALBERT) have several calls of it, told apart by their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .attention_maps import Capture
from .attention_reading import last_map
from .chunk import Chunk
from .errors import ModelError
from .layers import first_tensor, open_module, unseen
from .problem import Problem


class Block(NamedTuple):
    """One call of a module, and the axis of its output that counts rows."""

    name: str
    call: int
    axis: int


@dataclass
class _Call:
    """A call of a module while it is watched."""

    name: str
    call: int
    depth: int
    listed: bool  # an element of a list of modules
    given: list[torch.Size]
    before: int  # maps recorded before it
    maps: range = range(0)
    output: torch.Size | None = None


def blocks(problem: Problem) -> list[Block]:
    """The block around each map up to the last that the score depends on, found once with one row."""
    known = problem.memory("attention blocks")
    if not known:
        last = last_map(problem)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            capture = Capture(len(chunk.rows), first_node=None)
            with _watched(open_module(problem.module), lambda: len(capture.maps)) as calls:
                chunk.output(rewrite=capture, hooked=True)
            maps = capture.maps[: last + 1]
            if not all(one.within for one in maps):
                raise ModelError(
                    "cross_attention",
                    "The scored tokens also attend to another sequence",
                    "A block without one value of its own sequence says nothing about what came from the other.",
                    "Use attention_rollout, chefer or attattr, which follow several sequences.",
                )
            known["blocks"] = [_around(number, one.shape[0], calls) for number, one in enumerate(maps)]
            return (chunk.rows,)

        row = torch.zeros(1, dtype=torch.long, device=problem.device)
        problem.evaluate(work, problem.points[:1], row, gradient=False)
    return list(known["blocks"])


@contextmanager
def outputs_changed(
    module: nn.Module | None, places: list[Block], change: Callable[[int, Tensor], None]
) -> Iterator[None]:
    """Hand the output of each block to `change`, rows first, which may write to it; no mode sees what it does."""
    named = dict(open_module(module).named_modules())
    seen: Counter[str] = Counter()
    numbers = {(place.name, place.call): number for number, place in enumerate(places)}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def run(_module: nn.Module, _arguments: Any, output: Any) -> None:
            number = numbers.get((name, seen[name]))
            seen[name] += 1
            tensor = first_tensor(output)
            if number is not None and tensor is not None:
                with unseen(), torch.no_grad():
                    change(number, tensor.movedim(places[number].axis, 0))

        return run

    handles = [named[name].register_forward_hook(hook(name)) for name in sorted({place.name for place in places})]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _watched(module: nn.Module, maps: Callable[[], int]) -> Iterator[list[_Call]]:
    """Every call of a module inside another, with the shapes that go in and come out."""
    calls, stack, seen = list[_Call](), list[_Call](), Counter[str]()

    def enter(name: str, listed: bool) -> Callable[[nn.Module, Any, Any], None]:
        def run(_module: nn.Module, arguments: Any, keywords: Any) -> None:
            with unseen():
                given = [one.shape for one in (*arguments, *keywords.values()) if isinstance(one, Tensor)]
            stack.append(_Call(name, seen[name], len(stack), listed, given, maps()))
            seen[name] += 1

        return run

    def leave(_module: nn.Module, _arguments: Any, output: Any) -> None:
        call, tensor = stack.pop(), first_tensor(output)
        with unseen():
            call.maps, call.output = range(call.before, maps()), None if tensor is None else tensor.shape
        calls.append(call)

    parents = dict(module.named_modules())
    handles = []
    for name, part in parents.items():
        listed = isinstance(parents.get(name.rpartition(".")[0]), nn.ModuleList | nn.Sequential)
        handles.append(part.register_forward_pre_hook(enter(name, listed), with_kwargs=True))
        handles.append(part.register_forward_hook(leave))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _around(number: int, tokens: int, calls: list[_Call]) -> Block:
    """The widest module around one map alone; of those in a list of modules, if there is one."""
    shapes = {(1, tokens): 0, (tokens, 1): 1}  # one row was run
    found = [
        (not call.listed, call.depth, Block(call.name, call.call, shapes[call.output[0], call.output[1]]))
        for call in calls
        if call.maps == range(number, number + 1)
        and call.output is not None
        and len(call.output) == 3
        and tuple(call.output[:2]) in shapes
        and call.output in call.given
    ]
    if not found:
        raise ModelError(
            "no_block",
            f"No module stands for the layer around attention map {number}",
            "A layer is a module that takes tokens [rows, tokens, width], puts out the same shape, and attends once.",
            "Write the model in such modules, or use attention_rollout, chefer or attattr.",
        )
    return min(found)[2]
