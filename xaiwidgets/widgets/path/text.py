"""A text to explain: the path runs through the space of embeddings, one vector a token."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.api import Session
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.inputs import Inputs
from xaiwidgets.engine.layers import find_layer
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.state import module_of
from xaiwidgets.widgets.words import encodable

from .kinds import text_kinds
from .subject import Entry, Look

ROWS_AT_ONCE = 4096
"""Of the vocabulary, for its mean."""


class TextSubject:
    """One row of token numbers [1, tokens].

    Special tokens keep their own embedding in every baseline: the model must still see where a text begins and ends, and
    padding is no text.
    """

    medium = "text"
    note = ""

    def __init__(self, model: Any, inputs: Inputs, tokenizer: Any = None, tokens: Any = None) -> None:
        leaf = inputs.leaves[0]
        if inputs.several or leaf.ndim != 2 or leaf.is_floating_point():
            raise InputError(
                "not_a_text",
                "A text is one row of token numbers [1, tokens]",
                f"Got {leaf.dtype} of shape {list(leaf.shape)}.",
                "Name them with wrt=, or pass the text itself and tokenizer=.",
            )
        self._ids = leaf[0].cpu()
        self._tokenizer = tokenizer
        self.size = (1, len(self._ids))
        self.tokens = self._surfaces(tokens)
        self._embedding = _embedding(model, self._ids)
        self._layer = find_layer(module_of(model), self._embedding)[0]
        self._kept = self._special(inputs)
        special = {name: getattr(tokenizer, f"{name}_token_id", None) for name in ("mask", "pad")}
        self._numbers = {name: int(number) for name, number in special.items() if number is not None}
        self.kinds = text_kinds(mask="mask" in self._numbers, pad="pad" in self._numbers, tokens=tokenizer is not None)

    def problem(self, session: Session) -> Problem:
        return session.problem.at(self._layer)

    def reduce(self, values: Tensor) -> Tensor:
        return values.sum(-1)

    def traits(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "image_size": [self.size[1], 1]}

    # --- baselines ------------------------------------------------------------------------------------------------

    def starts(self, problem: Problem, entry: Entry, mode: str, samples: int) -> Tensor:  # noqa: ARG002 - one for a path
        points = problem.points
        if entry.given is not None:
            start = _fitted(entry.given, points)
        elif entry.kind == "zeros":
            start = torch.zeros_like(points)
        elif entry.kind == "mean":
            start = self._mean().to(points).expand_as(points)
        else:
            number = self._number(entry)
            start = self._embedded(torch.tensor([[number]])).to(points).expand_as(points)
        return torch.where(torch.from_numpy(self._kept)[None, :, None].to(points.device), points, start)[None]

    def thumbnails(self, points: Tensor, side: int) -> None:
        """A text has no pictures."""

    def entry(self, asked: Any) -> Entry | None:
        if isinstance(asked, bool):
            return None
        if isinstance(asked, (int, float)):
            return Entry(f"{asked:g}", "number", f"{asked:g} everywhere", {}, ("path",), torch.tensor(float(asked)))
        if isinstance(asked, (Tensor, np.ndarray)):
            return Entry("given", "given", "as given", {}, ("path",), torch.as_tensor(asked))
        return None

    def look(self, entry: Entry) -> Look:
        blind = self._kept.copy()
        word = {"zeros": "∅", "mean": "μ"}.get(entry.kind, "·")
        if entry.given is None and entry.kind not in ("zeros", "mean"):
            number = self._number(entry)
            word = self._decoded(number)
            blind |= self._ids.numpy() == number
        surfaces = [own if kept else word for own, kept in zip(self.tokens, self._kept, strict=True)]
        return Look(blind[None], surfaces=surfaces)

    def close(self) -> None:
        """Let go of the embedding."""
        self.__dict__.pop("_embedding", None)

    def _number(self, entry: Entry) -> int:
        if entry.kind != "token":
            return self._numbers[entry.kind]
        token = entry.params["token"]
        numbers = self._tokenizer.encode(token, add_special_tokens=False)
        if len(numbers) != 1:
            pieces = ", ".join(repr(self._decoded(number)) for number in numbers[:8])
            raise ParameterError(
                "token_unknown",
                f"{token!r} is not one token of this vocabulary",
                f"It is cut into: {pieces}." if pieces else "",
                "Choose a word that the vocabulary holds whole.",
            )
        return int(numbers[0])

    def _surfaces(self, tokens: Any) -> list[str]:
        if tokens is not None:
            surfaces = [encodable(str(token)) for token in tokens]
            if len(surfaces) != len(self._ids):
                raise InputError(
                    "token_count",
                    f"tokens= holds {len(surfaces)} for {len(self._ids)} positions",
                    hint="Pass one for each.",
                )
            return surfaces
        if self._tokenizer is None:
            raise InputError(
                "no_tokens",
                "A text needs its words to be shown",
                hint="Pass tokenizer=, or tokens= with one string for each.",
            )
        return [self._decoded(number) for number in self._ids.tolist()]

    def _decoded(self, number: int) -> str:
        """One token as text; the vocabulary's own spelling where it is only a part of a character."""
        text = str(self._tokenizer.decode([number]))
        if "\ufffd" in text and hasattr(self._tokenizer, "convert_ids_to_tokens"):
            text = str(self._tokenizer.convert_ids_to_tokens([number])[0])
        return encodable(text)

    def _special(self, inputs: Inputs) -> NDArray[np.bool_]:
        special = torch.tensor(list(getattr(self._tokenizer, "all_special_ids", [])), dtype=self._ids.dtype)
        kept = torch.isin(self._ids, special)
        mask = inputs.items.get("attention_mask")
        if isinstance(mask, Tensor) and mask.shape == (1, len(self._ids)):
            kept |= mask[0].cpu() == 0
        if bool(kept.all()):
            raise InputError("only_special", "The text holds nothing but special tokens", hint="Pass some words.")
        return kept.numpy()

    @torch.no_grad()
    def _embedded(self, numbers: Tensor) -> Tensor:
        found: Tensor = self._embedding(numbers.to(self._embedding.weight.device))
        return found.detach()

    def _mean(self) -> Tensor:
        rows = torch.arange(len(self._embedding.weight)).split(ROWS_AT_ONCE)
        return torch.stack([self._embedded(part).double().sum(0) for part in rows]).sum(0) / len(self._embedding.weight)


def _fitted(given: Tensor, points: Tensor) -> Tensor:
    try:
        return given.detach().to(points).broadcast_to(points.shape)
    except RuntimeError as error:
        raise ParameterError(
            "baseline_shape",
            f"A baseline of shape {list(given.shape)} does not fit embeddings of shape {list(points.shape)}",
        ) from error


def _embedding(model: Any, ids: Tensor) -> nn.Embedding:
    """The layer that turns these token numbers into vectors: the model's own word, or the first that knows them all."""
    module = module_of(model)
    own = getattr(module, "get_input_embeddings", None)
    found = own() if callable(own) else None
    if not isinstance(found, nn.Embedding):
        parts = module.modules() if module is not None else []
        candidates = [part for part in parts if isinstance(part, nn.Embedding) and part.num_embeddings > int(ids.max())]
        found = candidates[0] if candidates else None
    if found is None:
        raise ModelError(
            "no_embedding",
            "The model has no embedding that takes these token numbers",
            hint="Pass embeddings instead, or a model with a torch.nn.Embedding of its vocabulary.",
        )
    return found


def encoded(text: str, tokenizer: Any) -> dict[str, Tensor]:
    """What a Hugging Face tokenizer makes of one text: the model's keyword arguments, one row each."""
    if not callable(tokenizer):
        raise InputError(
            "no_tokenizer", "A text needs its tokenizer", hint="Pass tokenizer=, as it came with the model."
        )
    pieces = tokenizer(text, return_tensors="pt")
    if not isinstance(pieces, Mapping) or not isinstance(pieces.get("input_ids"), Tensor):
        raise InputError(
            "no_tokenizer", f"{type(tokenizer).__name__} gives no input_ids", hint="Pass token numbers and tokens=."
        )
    return {str(name): value for name, value in pieces.items() if isinstance(value, Tensor)}
