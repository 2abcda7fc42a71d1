"""Every attention map of a forward pass, whoever wrote the attention.

An attention map is a softmax that is multiplied into values. One mode finds them all: fused attention is taken apart,
`nn.MultiheadAttention` is opened, and what a softmax gave is followed through dropout, casts, masks, reshapes and mixing
of heads to the product (matmul, bmm, einsum). There it is recorded as it is used, as a node of the graph, so that scores
can be differentiated with respect to it; also where the model's input has no gradient, as token numbers have none.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from math import prod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .decompose import DECOMPOSED
from .errors import ModelError
from .inputs import Key
from .rewrite import ALIASES, Rewrite, Rule, active, tensors_in
from .token_streams import CONSTANT, Note, Streams, Tokens

# What leaves attention weights what they are.
CARRYING = frozenset(
    "dropout alpha_dropout feature_dropout to type type_as float double half bfloat16 clone contiguous detach view "
    "view_as reshape reshape_as flatten unflatten squeeze unsqueeze transpose permute swapaxes swapdims movedim moveaxis "
    "chunk split unbind narrow select index_select __getitem__ __get__ expand expand_as masked_fill nan_to_num where "
    "mul div".split()
)
# Between the heads of weights [rows, heads, queries, keys], in any order of axes: talking heads, re-attention.
MIXING = frozenset("linear conv2d layer_norm batch_norm matmul einsum".split())
PRODUCTS = {"matmul": (0, 1), "bmm": (0, 1), "mm": (0, 1), "__rmatmul__": (1, 0), "baddbmm": (1, 2)}


Change = Callable[[int, Tensor], Tensor]


class AttentionMap(NamedTuple):
    """One attention map as the model used it, and whose queries asked whose keys."""

    weights: Tensor  # [rows, heads, queries, keys], or what `keep` made of them
    node: Tensor | None  # the same in the graph of the scores, unreduced, where gradients were asked for
    queries: Tokens
    keys: Tokens
    shape: tuple[int, int]  # numbers of queries and keys

    @property
    def within(self) -> bool:
        """Whether this is self-attention: one sequence asks itself."""
        return self.queries.stream == self.keys.stream


class Capture(Rewrite):
    """Records the attention maps of one forward pass, in `maps`.

    rows        rows that the model is called with
    first_node  number of the first map that must be a node of the graph; None: none of them
    keep        what is kept of a map [rows, heads, queries, keys]
    change      makes of a map's number and the map what the model goes on with in its place, also [rows, heads, queries,
                keys]; it is this that becomes the node, while `keep` sees the map as it was
    """

    title = "Reading attention"
    passes = None  # nothing is given another gradient
    opaque: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        rows: int,
        *,
        first_node: int | None = 0,
        keep: Callable[[Tensor], Tensor] = lambda weights: weights,
        change: Change | None = None,
    ) -> None:
        super().__init__()
        self.rows, self.first_node, self.keep, self.change = rows, first_node, keep, change
        self.maps: list[AttentionMap] = []
        self.streams = Streams()
        self.numbers = count()
        # the shapes of those that look like attention, and how much of each has not been multiplied into anything yet
        self.softmaxes: dict[int, tuple[torch.Size, int]] = {}

    def begin(self, module: nn.Module | None, arguments: Any) -> None:
        super().begin(module, arguments)
        self.streams.start(*arguments)

    def end(self, output: Any) -> Any:
        """After the pass: no attention may have been lost on its way from the softmax to the values."""
        lost = [shape for shape, left in self.softmaxes.values() if 2 * left > prod(shape)]
        if lost:
            raise ModelError(
                "attention_lost",
                "Attention is computed whose weights cannot be followed to the values",
                f"Most of a softmax of shape {list(lost[0])} over keys is never multiplied into anything.",
                "Sliding windows (Longformer) and other attention over parts of a sequence are not understood: use a "
                "gradient, path or perturbation method.",
            )
        return super().end(output)

    def stream_of(self, key: Key) -> int | None:
        """The sequence that comes from an argument of the model, if attention reads it; the first one to be read."""
        for one in self.maps:
            stream, keys = one.keys.stream, one.shape[1]
            joined = self.streams.joined.get(stream)
            parts = [part.tokens.stream for part in joined.parts] if joined is not None else []
            for source in (stream, *parts):
                if self.streams.roots[source] == key and self.streams.place(stream, source, keys) is not None:
                    return source
        return None

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        given = list(tensors_in((args, kwargs)))
        name = str(getattr(func, "__name__", func))
        name = ALIASES.get(name, name)
        if any(map(active, given)):
            result = super().__torch_function__(func, _types, args, kwargs)
        else:  # rules hold also for what no gradient goes through
            result = self._apply(name, func, args, kwargs)
            self._mark(result)
        self._hand_on(name, given, given[:1] if name == "__setitem__" else list(tensors_in(result)))
        return result

    def _apply(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        if "attention" in name and name not in self.rules and not isinstance(function, types.FunctionType):
            raise ModelError(
                "fused_attention",
                f"{self.title} cannot look into the fused operation {name!r}",
                hint="Let the model use scaled_dot_product_attention or plain (eager) attention.",
            )
        return super()._apply(name, function, args, kwargs)

    def open(self, function: types.FunctionType, args: Any, kwargs: Any) -> Any:
        """Look only into torch's Python functions that contain attention."""
        return super().open(function, args, kwargs) if "attention" in function.__name__ else function(*args, **kwargs)

    def _hand_on(self, name: str, given: list[Tensor], results: list[Tensor]) -> None:
        """Note what an operation gave, unless its rule has."""
        if not results or not given:
            return
        merged = self.streams.merged(given)
        if merged is None:
            return
        name = name if name.endswith("__") else name.rstrip("_")
        for result in results:
            known = self.streams.read(result)
            if known is None:
                self.streams.write(result, self._carried(name, given, result, merged))
            elif any(result is one for one in given):  # in place, or nothing to do
                self.streams.write(result, known._replace(tokens=merged.tokens))

    def _carried(self, name: str, given: list[Tensor], result: Tensor, merged: Note) -> Note:
        """Attention weights stay attention weights where all that an operation does is to shape, mask or mix them."""
        for tensor in given:
            note = self.streams.read(tensor)
            if note is not None and note.softmax is not None:
                heads, same = tensor.ndim == 4, result.numel() == tensor.numel()
                others = [one for one in given if one is not tensor and one.is_floating_point()]
                gate = not heads and any(one.numel() == tensor.numel() for one in others)  # weights for features
                if (name in MIXING and heads and same) or (
                    name in CARRYING and result.numel() <= tensor.numel() and not gate
                ):
                    return merged._replace(queries=note.queries, softmax=note.softmax)
        return merged

    def record(self, weights: Tensor, note: Note, values: Tensor) -> Tensor:
        """Keep attention weights [..., queries, keys] that are about to be multiplied into values; returns what to
        multiply in their place.
        """
        if note.softmax in self.softmaxes:
            shape, left = self.softmaxes[note.softmax]
            self.softmaxes[note.softmax] = shape, left - weights.numel()
        keys = self.streams.tokens(values)
        looked_up = keys.stream == CONSTANT != note.tokens.stream  # in what the model has learned
        if looked_up or (weights.ndim == 2 and self.rows > 1):  # probabilities, one row a sample
            return weights
        queries, square = note.queries, weights.shape[-2] == weights.shape[-1]
        if queries is None:  # weights that do not come from a product of queries and keys
            queries = keys if square else Tokens(CONSTANT)
        if queries.stream == keys.stream == CONSTANT and not square:
            queries = self.streams.fresh(None)  # learned queries of another kind
        folded, index = _folded(weights, self.rows), len(self.maps)
        kept = self.keep(folded.detach())
        used = folded if self.change is None else self.change(index, folded)
        node = None
        if self.first_node is not None and index >= self.first_node and torch.is_grad_enabled():
            node = used if used.requires_grad else used.detach().requires_grad_()
            self._mark(node)
        self.maps.append(AttentionMap(kept, node, queries, keys, (weights.shape[-2], weights.shape[-1])))
        return weights if used is folded and node is None else (used if node is None else node).reshape(weights.shape)

    def written(self, result: Tensor) -> None:
        """Note what the last map put out."""
        self.streams.write(result, Note(Tokens(self.maps[-1].queries.stream, len(self.maps))))


def _folded(weights: Tensor, rows: int) -> Tensor:
    """Weights [rows * heads, queries, keys], or with any axes between rows and queries, as [rows, heads, queries, keys]."""
    lead = weights.shape[:-2]
    fits = lead[0] == rows or (len(lead) == 1 and lead[0] % rows == 0) if lead else rows == 1
    if not fits:
        raise ModelError(
            "attention_shape",
            f"An attention map of shape {list(weights.shape)} does not belong to {rows} samples",
            "Attention inside windows (Swin) or over several sequences a sample has no map over all tokens.",
            "Use a gradient, path or perturbation method, or a class activation map.",
        )
    return weights.reshape(rows, -1, *weights.shape[-2:])


# --- rules -----------------------------------------------------------------------------------------------------------


def _softmax(mode: Capture, function: Any, scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    result: Tensor = function(scores, *args, **kwargs)
    note = mode.streams.read(scores) or Note()
    axis = args[0] if args else kwargs.get("dim", -1)
    rows, columns = note.sides or (None, None)
    queries = columns if axis in (-2, scores.ndim - 2) else rows
    number = next(mode.numbers)
    mode.streams.write(result, note._replace(queries=queries, softmax=number))
    if rows is not None and result.ndim >= 4:
        mode.softmaxes[number] = result.shape, result.numel()
    return result


def _cat(mode: Capture, function: Any, tensors: Any, dim: int = 0, **kwargs: Any) -> Tensor:
    result: Tensor = function(tensors, dim, **kwargs)
    if result.ndim == 3 and dim in (1, -2) and result.is_floating_point():
        mode.streams.join(tensors, result, 1)
    return result


def _attention(mode: Capture, _function: Any, *args: Any, **kwargs: Any) -> Any:
    return mode.under(lambda: DECOMPOSED["scaled_dot_product_attention"](*args, **kwargs))


def _embedding(mode: Capture, function: Any, *args: Any, **kwargs: Any) -> Tensor:
    result: Tensor = function(*args, **kwargs)
    numbers = next(one for one in tensors_in((args, kwargs)) if not one.is_floating_point())
    root = mode.streams.roots[mode.streams.tokens(numbers).stream]
    mode.streams.write(result, Note(mode.streams.fresh(root)))
    return result


def _product(mode: Capture, function: Any, *args: Any, at: tuple[int, int], **kwargs: Any) -> Any:
    named = {key: value for key, value in kwargs.items() if isinstance(value, Tensor) and key != "out"}
    arguments = [*args, *named.values()]
    rest = {key: value for key, value in kwargs.items() if key not in named}
    left, right = (arguments[place] for place in at)
    before = len(mode.maps)
    for place, weights, values in ((at[0], left, right), (at[1], right, left)):
        note = mode.streams.read(weights)
        if note is not None and note.softmax is not None and len(mode.maps) == before:
            first = place == at[0]
            used = mode.record(weights if first else weights.mT, note, values)
            arguments[place] = used if first else used.mT
    result = function(*arguments, **rest)
    _note_product(mode, result, before, (left, right))
    return result


def _einsum(mode: Capture, function: Any, equation: Any, *given: Any, **kwargs: Any) -> Any:
    operands = list(given[0]) if len(given) == 1 and not isinstance(given[0], Tensor) else list(given)
    if not isinstance(equation, str) or len(operands) != 2:
        return function(equation, *given, **kwargs)
    terms, output = _spelled(equation, operands)
    left, right = operands
    before = len(mode.maps)
    for place in (0, 1):
        weights, values = operands[place], operands[1 - place]
        note, mine, theirs = mode.streams.read(weights), terms[place], terms[1 - place]
        keys = [label for label in mine if label in theirs and label not in output]
        queries = [label for label in mine if label in output and label not in theirs]
        if note is not None and note.softmax is not None and len(keys) == 1 and queries and len(mode.maps) == before:
            ends = [queries[-1], *keys]  # queries of several axes: groups of heads come first
            labels = [label for label in mine if label not in ends] + ends
            order = [mine.index(label) for label in labels]
            used = mode.record(weights.permute(order), note, values)
            operands[place] = used.permute([order.index(axis) for axis in range(len(order))])
    result = function(equation, *operands, **kwargs)
    rows_first = len(output) < 2 or output[-2] in terms[0]
    _note_product(mode, result, before, (left, right) if rows_first else (right, left))
    return result


def _note_product(mode: Capture, result: Tensor, before: int, sides: tuple[Tensor, Tensor]) -> None:
    if len(mode.maps) > before:
        mode.written(result)
    elif all((mode.streams.read(side) or Note()).softmax is None for side in sides):
        rows, columns = (mode.streams.tokens(side) for side in sides)
        if (rows.stream, columns.stream) != (CONSTANT, CONSTANT):
            merged = mode.streams.merged(sides) or Note()
            mode.streams.write(result, merged._replace(sides=(rows, columns)))


def _spelled(equation: str, operands: list[Tensor]) -> tuple[list[str], str]:
    """The axes' labels of an einsum's operands and its result, with digits in place of an ellipsis."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    covered = [
        operand.ndim - len(term.replace("...", "")) if "..." in term else 0
        for term, operand in zip(terms, operands, strict=True)
    ]
    digits = "0123456789"[: max(covered)]
    terms = [term.replace("...", digits[len(digits) - count :]) for term, count in zip(terms, covered, strict=True)]
    once = digits + "".join(sorted(label for label in set("".join(terms)) - set(digits) if inputs.count(label) == 1))
    return terms, output.replace("...", digits) if arrow else once


_RULES: Mapping[str, Rule] = {
    "softmax": _softmax,
    "scaled_dot_product_attention": _attention,
    "embedding": _embedding,
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "einsum": _einsum,
    **{name: partial(_product, at=at) for name, at in PRODUCTS.items()},
}
Capture.rules = _RULES
