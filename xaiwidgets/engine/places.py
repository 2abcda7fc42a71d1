"""Layers whose output has places: which one to read, and how to read it as maps [n, channels, height, width].

Three layouts are understood: convolutional maps [n, channels, h, w]; maps with the channels last [n, h, w, channels], as
of Swin; and sequences of tokens [n, tokens, channels], as of vision transformers, whose class and register tokens come
first and are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .chunk import Chunk
from .errors import ModelError, ParameterError
from .layers import LayerLike, find_layer, open_module
from .problem import Problem
from .target import unwrap

MOST_EXTRA = 16  # class, distillation and register tokens
MOST_DISTORTED = log(2)  # how far the sides of a map may be from those of the image and still be taken for places

Grid = tuple[int, int]


class Layout(NamedTuple):
    """How places lie in an output: the map's size, and a view of the output as maps."""

    grid: Grid
    maps: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PlaceLayer:
    """A layer that is read as maps."""

    problem: Problem
    name: str

    def maps(self, output: Tensor) -> Tensor:
        """The layer's output (or its gradient) [n, ...] as a view [n, channels, height, width]."""
        layout = self._layout(output)
        if layout is None:
            raise ParameterError(
                "layer_shape",
                f"The layer {self.name!r} puts out shape {list(output.shape)}, which has no places",
                "Understood are [batch, channels, height, width], [batch, height, width, channels] and "
                "[batch, tokens, channels] with a token for every patch.",
                "Choose a convolutional layer or a transformer block.",
            )
        return layout.maps(output)

    def readable(self, output: Tensor) -> bool:
        """Whether the output has places."""
        return self._layout(output) is not None

    def _layout(self, output: Tensor) -> Layout | None:
        return _layout(output.shape, _image(self.problem), lambda: _survey(self.problem).grids)

    def enlarge(self, maps: Tensor, *, relu: bool) -> Tensor:
        """Maps [n, 1, h, w] at the input's height and width, bilinearly.

        The ReLU comes first: it belongs to the map, and the enlargement keeps it non-negative.
        """
        return functional.interpolate(maps.relu() if relu else maps, _image(self.problem), mode="bilinear")


def place_layer(problem: Problem, layer: LayerLike) -> PlaceLayer:
    """The given layer, or the last one with places that the model's output depends on.

    In a transformer whose output is read from the class token, nothing depends on the last block's patch tokens any more:
    there it is what goes into that block's attention. Projections that run beside others from the same tokens (query,
    key, value) or to another width are not chosen by themselves, because a token is not whole in them.
    """
    if layer is not None:
        return PlaceLayer(problem, find_layer(problem.module, layer)[0])
    last = _survey(problem).last
    if last is None:
        raise ModelError(
            "no_layer",
            "No layer of the model puts out maps or a grid of tokens that its output depends on",
            hint="Name one with layer=.",
        )
    return PlaceLayer(problem, last)


def names_with_places(problem: Problem) -> list[str]:
    """Names of the layers that can be read as maps, in the order in which they finish."""
    return list(_survey(problem).names)


# --- reading a shape -------------------------------------------------------------------------------------------------


def _layout(shape: torch.Size, image: Grid, grids: Callable[[], tuple[Grid, ...]]) -> Layout | None:
    if len(shape) == 4:
        first, last = (shape[2], shape[3]), (shape[1], shape[2])
        if _distortion(first, image) <= _distortion(last, image):
            return Layout(first, lambda output: output)
        return Layout(last, lambda output: output.movedim(3, 1))
    if len(shape) == 3:
        grid = _token_grid(shape[1], image, grids())
        if grid is not None:
            places = grid[0] * grid[1]
            return Layout(grid, lambda output: output[:, -places:].transpose(1, 2).unflatten(2, grid))
    return None


def _distortion(grid: Grid, image: Grid) -> float:
    return abs(log(grid[0] * image[1] / (grid[1] * image[0])))


def _token_grid(tokens: int, image: Grid, seen: tuple[Grid, ...]) -> Grid | None:
    """The grid that leaves the fewest tokens over.

    A patch embedding is mostly a convolution, whose grid has been seen, and merging halves it; without one, every patch
    size that divides the image is tried.
    """
    sizes = range(1, max(image) + 1)
    grids = seen or tuple((image[0] // size, image[1] // size) for size in sizes)
    left = {(h, w): tokens - h * w for h, w in grids if h * w > 1}
    fitting = {grid: extra for grid, extra in left.items() if 0 <= extra <= min(MOST_EXTRA, tokens // 2)}
    return min(fitting, key=fitting.__getitem__) if fitting else None


def _image(problem: Problem) -> Grid:
    return int(problem.points.shape[2]), int(problem.points.shape[3])


# --- looking at one pass ---------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What a layer took and gave in one pass."""

    source: Tensor | None
    output: Tensor
    version: int

    @property
    def untouched(self) -> bool:
        """Whether nothing has changed the output in place since."""
        return self.output._version == self.version  # noqa: SLF001  # has no public name


class Survey(NamedTuple):
    """What one pass says about a model's layers."""

    grids: tuple[Grid, ...]  # sizes of convolutional maps, and those halved any number of times
    names: tuple[str, ...]  # layers with places, in the order in which they finish
    last: str | None  # the last of them that the output depends on


def _survey(problem: Problem) -> Survey:
    """Look at one row's pass, once."""
    known = problem.memory("places")
    if not known:
        module = open_module(problem.module)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            with watched(module) as layers:
                output = chunk.output(hooked=True)
            grids = _grids(layers, _image(problem))
            candidates = _candidates(layers, _image(problem), grids)
            known["survey"] = Survey(grids, tuple(candidates), _last_alive(candidates, _probe(problem, chunk, output)))
            return (chunk.rows,)

        problem.evaluate(work, problem.points[:1], torch.zeros(1, dtype=torch.long, device=problem.device))
    survey: Survey = known["survey"]
    return survey


@contextmanager
def watched(module: nn.Module) -> Iterator[dict[str, Seen]]:
    """Every layer's first tensor in and out, in the order in which the layers finish."""
    layers: dict[str, Seen] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            if isinstance(first, Tensor):
                given = (*arguments, *keywords.values())
                source = next((one for one in given if isinstance(one, Tensor)), None)
                layers.pop(name, None)  # of a layer used several times, the last use counts
                layers[name] = Seen(source, first, first._version)  # noqa: SLF001

        return hook

    handles = [
        part.register_forward_hook(watch(name), with_kwargs=True) for name, part in module.named_modules() if name
    ]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


def _grids(layers: dict[str, Seen], image: Grid) -> tuple[Grid, ...]:
    shapes = [seen.output.shape for seen in layers.values()]
    lengths = {shape[1] for shape in shapes if len(shape) == 3}
    found: dict[Grid, None] = {}
    for shape in shapes:
        # A side as long as a sequence: an attention map, or tokens cut into heads.
        if len(shape) == 4 and shape[0] == 1 and lengths.isdisjoint(shape[2:]):
            h, w = shape[2:]
            while h * w > 1 and _distortion((h, w), image) <= MOST_DISTORTED:
                found[h, w] = None
                h, w = (h + 1) // 2, (w + 1) // 2
    return tuple(found)


def _candidates(layers: dict[str, Seen], image: Grid, grids: tuple[Grid, ...]) -> dict[str, tuple[Tensor, Layout]]:
    """Layers with places, in order."""
    shapes = {name: seen.output.shape for name, seen in layers.items()}
    laid = {name: _layout(shape, image, lambda: grids) for name, shape in shapes.items() if shape and shape[0] == 1}
    counts = {shapes[name][1] for name, layout in laid.items() if layout is not None and len(shapes[name]) == 3}
    return {
        name: (layers[name].output, layout)
        for name, layout in laid.items()
        if layout is not None
        and layout.grid[0] * layout.grid[1] > 1
        and _distortion(layout.grid, image) <= MOST_DISTORTED
        # Four axes and one of them the tokens: an attention map, or tokens cut into heads.
        and (_whole(name, layers) if len(shapes[name]) == 3 else counts.isdisjoint(shapes[name][1:]))
    }


def _whole(name: str, layers: dict[str, Seen]) -> bool:
    """Whether the layer keeps the tokens' width, and is not one of several that start from the same tokens."""
    source, output, _ = layers[name]
    if source is None or source.ndim != 3:
        return True
    beside = (
        other
        for other, seen in layers.items()
        if seen.source is source and seen.output is not source and not _nested(name, other)
    )
    return source.shape == output.shape and next(beside, None) is None


def _nested(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _probe(problem: Problem, chunk: Chunk, output: Any) -> Tensor:
    """A number that depends on the whole output, whatever is asked of it, so that all questions read one layer."""
    try:
        found = unwrap(output)
    except ModelError:
        return chunk.scores(output).sum()
    weights = torch.randn(found.shape, generator=problem.generator(0)).to(found)
    return (found * weights).sum()


def _last_alive(candidates: dict[str, tuple[Tensor, Layout]], probe: Tensor) -> str | None:
    """The last layer whose places have a gradient; simply the last where there are no gradients at all."""
    if not probe.requires_grad:
        return next(reversed(candidates), None)
    for name, (output, layout) in reversed(candidates.items()):
        if output.requires_grad:
            (gradient,) = torch.autograd.grad(probe, output, retain_graph=True, allow_unused=True)
            if gradient is not None and bool(layout.maps(gradient).any()):
                return name
    return None
