"""The query and one training example side by side: what in each of them makes the model say so, on one scale."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.api import Session
from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.registry import find_method
from xaiwidgets.live.transport import LEVEL
from xaiwidgets.text.session import TextSession, call_of
from xaiwidgets.text.tokens import Tokens
from xaiwidgets.training.data import moved
from xaiwidgets.widgets.summary import UNITS, quality
from xaiwidgets.widgets.tokens.reading import Read, read_all
from xaiwidgets.widgets.tokens.subject import Options
from xaiwidgets.widgets.words import encodable

from .media import NUMBERS, Media, RowsMedia, leaves, numbers_of, picture_of

METHOD = "integrated_gradients"
Interrupt = Callable[[], None]


@dataclass(frozen=True)
class Model:
    """The model as it was at the last checkpoint; `forward(model, …)` is called instead of it, if given."""

    module: nn.Module
    forward: Callable[..., Any] | None = None

    @property
    def session(self) -> dict[str, Any]:
        """Arguments of sessions about it."""
        return {} if self.forward is None else {"forward": partial(self.forward, self.module)}


@dataclass(frozen=True, eq=False)
class Explained:
    """The map of one example: [h, w], or one number a token or column, named in `tokens`.

    gap         how far the values miss what they should add up to, as a share
    predicted   the class's probability
    """

    values: NDArray[np.float32]
    gap: float | None
    predicted: float | None
    tokens: list[str] | None = None


class Pairs:
    """Attributions of examples by the same method, one at a time and as they are asked for. `tokenizer`: of texts."""

    def __init__(self, model: Callable[[], Model], media: Media, tokenizer: Any = None) -> None:
        self._model, self._media, self.tokenizer = model, media, tokenizer

    def explain(self, inputs: Any, target: int | None, interrupt: Interrupt) -> Explained:
        """Why the model gives the class `target` to `inputs`, a batch of one. Raises ExplainError where it cannot say."""
        model = self._model()
        if self._media.medium == "text":
            read = self.read(inputs)
            call, own = call_of(model.module, [read.tokens], read.more)
            session = Session(model.module, call, wrt=own, target=target, interrupt=interrupt, **model.session)
            found = TextSession(session, [read.tokens], self.tokenizer).attribute(METHOD)
            return _explained(session, found, _row(found), [encodable(one) for one in read.tokens.surfaces])
        device = next((tensor.device for tensor in model.module.state_dict().values()), torch.device("cpu"))
        inputs = moved(inputs, device)
        wrt = _key_of(inputs, picture_of(inputs)) if self._media.medium == "image" else None
        session = Session(model.module, inputs, wrt=wrt, target=target, interrupt=interrupt, **model.session)
        found = session.attribute(METHOD)
        if self._media.medium == "image":
            return _explained(session, found, _row(found).sum(0))
        columns = self._media.columns if isinstance(self._media, RowsMedia) else None
        return _explained(session, found, _row(found).reshape(-1), columns)

    def read(self, inputs: Any) -> Read:
        """A text's token numbers as tokens, without padding."""
        named = dict(inputs) if isinstance(inputs, Mapping) else {"input_ids": numbers_of(inputs)[0][None]}
        name = next((one for one in NUMBERS if one in named), "input_ids")
        shown = None
        if self.tokenizer is None:
            shown = [[f"#{number}" for number in numbers_of(inputs)[0].tolist()]]
        (read,) = read_all(named, self.tokenizer, shown, self._model().module, Options(numbers=name))
        return read

    def tokens(self, inputs: Any) -> Tokens:
        """The tokens of a text."""
        return self.read(inputs).tokens


def pair_traits(
    position: int, query: Explained, example: Explained, label: dict[str, Any], score: str = "logit"
) -> dict[str, Any]:
    """`pair` and `pair_maps`. `label`: {id, name} of the class explained."""
    largest = max(float(np.abs(one.values).max(initial=0.0)) for one in (query, example))
    scale = largest / 127 or 1.0
    stored = [np.rint(one.values.astype(np.float64) / scale).astype(np.int8) for one in (query, example)]
    method = find_method(METHOD)
    pair = {
        "id": position, "method_title": method.title, "unit": method.unit.format(score=UNITS.get(score, "score")),
        "gap": [query.gap, example.gap], "shape": list(query.values.shape),
        "shapes": [list(query.values.shape), list(example.values.shape)], "scale": scale, "label": label,
        "predicted": [query.predicted, example.predicted],
    }  # fmt: skip
    if query.tokens is not None and example.tokens is not None:
        pair["tokens"] = [query.tokens, example.tokens]
    return {"pair": pair, "pair_maps": zlib.compress(b"".join(one.tobytes() for one in stored), LEVEL)}


def unpack_pair(pair: Mapping[str, Any], data: bytes) -> list[NDArray[np.float32]]:
    """The query's map and the example's."""
    raw, maps, offset = zlib.decompress(data), [], 0
    for shape in pair["shapes"]:
        count = int(np.prod(shape))
        stored = np.frombuffer(raw, np.int8, count=count, offset=offset).reshape(shape)
        maps.append((stored * np.float64(pair["scale"])).astype(np.float32))
        offset += count
    return maps


def joined(query: Any, example: Any) -> Any:
    """Two batches of one as a batch of two. Raises InputError where their shapes differ."""
    if isinstance(query, Tensor):
        if query.shape[1:] != example.shape[1:]:
            raise InputError(
                "shapes_differ", "The query and the example are of different shapes",
                f"{list(query.shape[1:])} and {list(example.shape[1:])}.",
            )  # fmt: skip
        return torch.cat([query.cpu(), example.cpu()])
    if isinstance(query, Mapping):
        return {name: joined(value, example[name]) for name, value in query.items()}
    return tuple(joined(one, other) for one, other in zip(query, example, strict=True))


def _explained(
    session: Session, attribution: Attribution, values: NDArray[np.float32], tokens: list[str] | None = None
) -> Explained:
    output = session.predict()[0].detach().float().cpu()
    target = session.target
    classes = output.ndim == 1 and len(output) > 1
    predicted = float(output.softmax(0)[target]) if classes and isinstance(target, int) else None
    return Explained(values, quality(attribution)["gap"], predicted, tokens)


def _key_of(inputs: Any, picture: Tensor) -> Any:
    """Where the picture is among several inputs."""
    if isinstance(inputs, Tensor) or len(leaves(inputs)) == 1:
        return None
    entries = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    return next(key for key, value in entries if value is picture)


def _row(attribution: Attribution) -> NDArray[np.float32]:
    """The values of the one row; of several inputs, the one that was explained."""
    values: Any = attribution.values
    while not isinstance(values, Tensor):
        values = next(iter(values.values() if isinstance(values, Mapping) else values))
    found: NDArray[np.float32] = values[0].detach().float().cpu().numpy()
    return found
