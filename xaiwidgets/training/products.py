"""One use of one parameter: the gradients of B rows as factors, and what can be asked of them without forming them.

    Outer     sum over positions of left ⊗ right: the weights of linear layers and convolutions
    Looked    sum over positions of e(id) ⊗ gradient: the rows of an embedding
    Formed    the gradient itself: biases, normalisations, what no rule knows

Inner products of two `Outer` are sums of (left·left')(right·right') over pairs of positions, or products of the formed
gradients, whichever is cheaper; nothing of the size rows × parameters is kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .unfold import Patches

FORMED_AT_ONCE = 2**22
"""Numbers of formed gradients, or of pairs of positions, at a time: larger pieces only cost memory."""

CACHED_AT_ONCE = 2**20
"""Numbers that are made and used up within the cache."""

Side = Tensor | Patches


class Outer:
    """Σ_positions left ⊗ right, for each of B rows and each group.

    left    [B, groups, positions, height]
    right   [B, groups, positions, width], or the patches it is made of (of an image [B · pieces, ...])
    shape   the parameter's, which is [groups · height, width] in memory
    """

    def __init__(self, left: Side, right: Side, shape: Sequence[int], rows: int) -> None:
        self.left, self.right, self.shape, self.rows = left, right, tuple(shape), rows
        self.groups, self.positions, self.height = _sizes(left, rows)
        self.width = _sizes(right, rows)[2]
        self.numel = math.prod(self.shape)
        self.plain = isinstance(left, Tensor) and isinstance(right, Tensor)
        # smaller than the factors are in memory: formed once and kept
        self.small = rows * self.numel <= _kept(left) + _kept(right)
        self._formed: Tensor | None = None

    def sides(self, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        return _cut_out(self.left, self.rows, rows), _cut_out(self.right, self.rows, rows)

    def formed(self, rows: slice = slice(None)) -> Tensor:
        """[rows, numbers of the parameter]."""
        if self._formed is not None:
            return self._formed[rows]
        start, stop, _ = (slice(None) if self.small else rows).indices(self.rows)
        size = self.groups * self.positions * self.width
        steps = blocks(stop - start, size, FORMED_AT_ONCE if self.plain else CACHED_AT_ONCE)
        formed = joined([self._form(slice(start + step.start, min(start + step.stop, stop))) for step in steps])
        if self.small:
            self._formed = formed
            return formed[rows]
        return formed

    def _form(self, rows: slice) -> Tensor:
        left, right = (side.flatten(0, 1) for side in self.sides(rows))
        # the same numbers either way; matrix products are faster with more columns than rows
        formed = left.mT @ right if self.height <= self.width else (right.mT @ left).mT
        return formed.reshape(-1, self.numel)

    def form_cost(self) -> int:
        """Multiplications for one row."""
        return 0 if self._formed is not None else self.positions * self.numel


class Looked:
    """Σ_positions e(id) ⊗ gradient: ids [B, T], gradients [B, T, width] of a parameter [height, width]."""

    def __init__(self, ids: Tensor, gradients: Tensor, shape: Sequence[int]) -> None:
        self.ids, self.gradients, self.shape = ids, gradients, tuple(shape)
        self.rows, self.positions = ids.shape

    def formed(self, rows: slice = slice(None)) -> Tensor:
        ids, gradients = self.ids[rows], self.gradients[rows]
        formed = gradients.new_zeros(len(ids), *self.shape)
        index = ids.unsqueeze(-1).expand_as(gradients)
        return formed.scatter_add_(1, index, gradients).flatten(1)


class Formed:
    """The gradients themselves: values [B, *shape]."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.shape, self.rows = values, tuple(values.shape[1:]), len(values)

    def formed(self, rows: slice = slice(None)) -> Tensor:
        return self.values[rows].flatten(1) if self.shape else self.values[rows].unsqueeze(1)


Part = Outer | Looked | Formed


def merged(parts: Sequence[Part]) -> list[Part]:
    """Uses of one kind as one use with more positions; what lies in patches stays apart."""
    result: list[Part] = [part for part in parts if isinstance(part, Outer) and not part.plain]
    plain = [part for part in parts if isinstance(part, Outer) and part.plain]
    looked = [part for part in parts if isinstance(part, Looked)]
    formed = [part for part in parts if isinstance(part, Formed)]
    if len(plain) > 1:
        left, right = (torch.cat(sides, 2) for sides in zip(*(part.sides() for part in plain), strict=True))
        plain = [Outer(left, right, plain[0].shape, plain[0].rows)]
    if len(looked) > 1:
        ids, gradients = (torch.cat([getattr(part, name) for part in looked], 1) for name in ("ids", "gradients"))
        looked = [Looked(ids, gradients, looked[0].shape)]
    if len(formed) > 1:
        formed = [Formed(added(part.values for part in formed))]
    return [*result, *plain, *looked, *formed]


def pairwise(one: Part, other: Part) -> Tensor:
    """Inner products [B, B'] of two uses of one parameter through their factors."""
    if isinstance(other, Formed):
        return with_vectors(one, other.formed())
    if isinstance(one, Formed):
        return with_vectors(other, one.formed()).T
    if isinstance(one, Outer) and isinstance(other, Outer):
        return _outer_outer(one, other)
    if isinstance(one, Looked):
        return _looked_looked(one, other) if isinstance(other, Looked) else _looked_outer(one, other)
    return pairwise(other, one).T


def with_vectors(part: Part, vectors: Tensor) -> Tensor:
    """Inner products [B, V] with vectors [V, numbers of the parameter]."""
    if isinstance(part, Looked):
        tables = vectors.reshape(len(vectors), *part.shape)
        return torch.stack([(table[part.ids] * part.gradients).sum((1, 2)) for table in tables], 1)
    if isinstance(part, Outer) and min(len(vectors), part.positions) == 1 and part.groups == 1 and not part.small:
        left, right = (side.squeeze(1) for side in part.sides())
        matrices = vectors.reshape(len(vectors), part.height, part.width)
        return (torch.einsum("bth,vhw->bvtw", left, matrices) * right.unsqueeze(1)).sum((2, 3))
    if isinstance(part, Outer) and part.plain and part.groups == 1 and not part.small:
        left, right = (side.squeeze(1) for side in part.sides())
        matrices = vectors.reshape(len(vectors), part.height, part.width)
        # some of the parameter's rows for the whole batch at a time: formed and used up within the cache
        return added(
            (left[..., some].mT @ right).flatten(1) @ matrices[:, some].flatten(1).T
            for some in blocks(part.height, part.rows * part.width, CACHED_AT_ONCE)
        )
    size = math.prod(part.shape)
    return joined([part.formed(rows) @ vectors.T for rows in blocks(part.rows, size)])


def own(one: Part, other: Part, rows: slice = slice(None)) -> Tensor:
    """Inner products [rows] of each row's two uses of one parameter through their factors."""
    if isinstance(one, Outer) and isinstance(other, Outer):
        sides = zip(one.sides(rows), other.sides(rows), strict=True)
        left, right = (ours @ theirs.mT for ours, theirs in sides)
        return (left * right).sum((1, 2, 3))
    if isinstance(one, Looked) and isinstance(other, Looked):
        same = one.ids[rows].unsqueeze(2) == other.ids[rows].unsqueeze(1)
        return ((one.gradients[rows] @ other.gradients[rows].mT) * same).sum((1, 2))
    if isinstance(one, Looked) and isinstance(other, Outer):
        left, right = (side.squeeze(1) for side in other.sides(rows))
        chosen = left.gather(2, one.ids[rows].unsqueeze(1).expand(-1, left.shape[1], -1))  # [rows, T', T]
        return ((right @ one.gradients[rows].mT) * chosen).sum((1, 2))
    if isinstance(one, Outer) and isinstance(other, Looked):
        return own(other, one, rows)
    return (one.formed(rows) * other.formed(rows)).sum(1)


def joined(pieces: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(pieces)) if len(pieces) > 1 else pieces[0]


def added(pieces: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, pieces)


def blocks(rows: int, size: int, most: int = FORMED_AT_ONCE) -> Iterator[slice]:
    """Slices of the rows, each of at most so many numbers."""
    step = max(1, most // max(1, size))
    return (slice(start, start + step) for start in range(0, rows, step))


def _outer_outer(one: Outer, other: Outer) -> Tensor:
    left, right = one.sides()
    if one.positions == other.positions == 1 and one.groups == 1:
        theirs = other.sides()
        return (left.flatten(1) @ theirs[0].flatten(1).T).mul_(right.flatten(1) @ theirs[1].flatten(1).T)
    left, right = (side.transpose(0, 1).flatten(1, 2) for side in (left, right))  # [groups, B · T, n]
    products = []
    for rows in blocks(other.rows, one.groups * one.rows * one.positions * other.positions):
        first, second = (side.transpose(0, 1).flatten(1, 2) for side in other.sides(rows))
        pairs = (left @ first.mT).mul_(right @ second.mT).sum(0)
        products.append(pairs.reshape(one.rows, one.positions, -1, other.positions).sum((1, 3)))
    return torch.cat(products, 1)


def _looked_looked(one: Looked, other: Looked) -> Tensor:
    products = []
    for rows in blocks(other.rows, one.ids.numel() * other.positions):
        ids, gradients = other.ids[rows], other.gradients[rows]
        same = one.ids.reshape(-1, 1) == ids.reshape(1, -1)
        pairs = (one.gradients.flatten(0, 1) @ gradients.flatten(0, 1).T).mul_(same)
        products.append(pairs.reshape(*one.ids.shape, *ids.shape).sum((1, 3)))
    return torch.cat(products, 1)


def _looked_outer(one: Looked, other: Outer) -> Tensor:
    products = []
    for rows in blocks(other.rows, one.ids.numel() * other.positions):
        left, right = (side.squeeze(1) for side in other.sides(rows))
        chosen = left.flatten(0, 1)[:, one.ids.flatten()]  # [B' · T', B · T]
        pairs = (right.flatten(0, 1) @ one.gradients.flatten(0, 1).T).mul_(chosen)
        products.append(pairs.reshape(*left.shape[:2], *one.ids.shape).sum((1, 3)).T)
    return torch.cat(products, 1)


def _sizes(side: Side, rows: int) -> tuple[int, int, int]:
    if isinstance(side, Tensor):
        return side.shape[1], side.shape[2], side.shape[3]
    images, groups, positions, numbers = side.shape
    return groups, positions * (images // rows), numbers


def _kept(side: Side) -> int:
    return side.numel() if isinstance(side, Tensor) else side.image.numel()


def _cut_out(side: Side, rows: int, chosen: slice) -> Tensor:
    if isinstance(side, Tensor):
        return side[chosen]
    pieces = len(side.image) // rows
    if chosen != slice(None):
        image = side.image.unflatten(0, (rows, pieces))[chosen].flatten(0, 1)
        side = replace(side, image=image)
    patches = side.tensor()
    if pieces > 1:
        patches = patches.unflatten(0, (-1, pieces)).transpose(1, 2).flatten(2, 3)
    return patches
