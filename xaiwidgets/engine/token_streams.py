"""Which sequence of tokens a tensor belongs to, followed through a forward pass.

Attention reads one sequence and writes to one, the same or another. Shapes do not tell which: an encoder and a decoder may
be equally long. So every tensor is noted with its sequence as operations hand it on. An input starts a sequence, and so
does every embedding of token numbers (a decoder's tokens are often the encoder's, shifted by one); sequences of several
inputs put one after the other are a new one with parts. What depends on no input, such as learned queries, belongs to
the sequence `CONSTANT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from .inputs import Key
from .rewrite import tensors_in

CONSTANT = 0


class Tokens(NamedTuple):
    """A sequence as it is at one moment: how many attention maps the pass had computed when one last wrote to it."""

    stream: int
    age: int = 0


class Note(NamedTuple):
    """What is known of a tensor."""

    tokens: Tokens = Tokens(CONSTANT)
    sides: tuple[Tokens, Tokens] | None = None  # of a product of two sequences: its rows' and its columns'
    queries: Tokens | None = None  # of attention weights: who asks
    softmax: int | None = None  # of attention weights: the number of the softmax that made them


class Part(NamedTuple):
    """Where a sequence lies in one that was joined from several."""

    tokens: Tokens
    start: int
    stop: int


class Joined(NamedTuple):
    """A sequence of `length` tokens, put together from others."""

    length: int
    parts: tuple[Part, ...]


class Streams:
    """Notes about tensors, and where each sequence started."""

    def __init__(self) -> None:
        self.roots: list[Key | None] = [None]  # the argument of the model that a sequence comes from
        self.joined: dict[int, Joined] = {}
        self._notes = WeakIdKeyDictionary()

    def start(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """Every argument of the model is a sequence of its own."""
        named: dict[Key, Any] = {**dict(enumerate(arguments)), **{str(key): value for key, value in keywords.items()}}
        for key, value in named.items():
            tokens = self.fresh(key)
            for tensor in tensors_in(value):
                self.write(tensor, Note(tokens))

    def fresh(self, root: Key | None) -> Tokens:
        """A new sequence."""
        self.roots.append(root)
        return Tokens(len(self.roots) - 1)

    def join(self, tensors: Sequence[Tensor], result: Tensor, axis: int) -> None:
        """Several inputs' tokens one after the other become a sequence of their own."""
        parts, stop = list[Part](), 0
        for tensor in tensors:
            start, stop = stop, stop + tensor.shape[axis]
            tokens = self.tokens(tensor)
            if self.roots[tokens.stream] is not None or tokens.stream in self.joined:
                parts.append(Part(tokens, start, stop))
        if len({part.tokens.stream for part in parts}) > 1:
            tokens = self.fresh(None)
            self.joined[tokens.stream] = Joined(stop, tuple(parts))
            self.write(result, Note(tokens))

    def place(self, stream: int, source: int, count: int) -> slice | None:
        """Where the tokens of `source` lie among the `count` tokens of a sequence; None if they are not in it."""
        if stream == source:
            return slice(0, count)
        joined = self.joined.get(stream)
        for part in joined.parts if joined is not None and joined.length == count else ():
            inner = self.place(part.tokens.stream, source, part.stop - part.start)
            if inner is not None:
                return slice(part.start + inner.start, part.start + inner.stop)
        return None

    def read(self, tensor: Tensor) -> Note | None:
        """The tensor's note, if it has one."""
        note: Note | None = self._notes.get(tensor)
        return note

    def write(self, tensor: Tensor, note: Note) -> None:
        self._notes[tensor] = note

    def tokens(self, tensor: Tensor) -> Tokens:
        note = self.read(tensor)
        return note.tokens if note is not None else Tokens(CONSTANT)

    def merged(self, tensors: Iterable[Tensor]) -> Note | None:
        """What the result of an operation is, if nothing better is known: as the largest number that goes in, and as
        young as the youngest of the same sequence. Where masks or positions come in too, the sequence is that of an input.
        """
        noted = [(tensor, note) for tensor in tensors if (note := self.read(tensor)) is not None]
        if not noted:
            return None
        _, main = max(noted, key=self._rank)
        age = max(note.tokens.age for _, note in noted if note.tokens.stream == main.tokens.stream)
        sides = next((note.sides for _, note in noted if note.sides is not None), None)
        return Note(Tokens(main.tokens.stream, age), sides)

    def _rank(self, noted: tuple[Tensor, Note]) -> tuple[bool, bool, bool, int]:
        tensor, (tokens, *_) = noted
        return tensor.is_floating_point(), tokens.age > 0, self.roots[tokens.stream] is not None, tensor.numel()
