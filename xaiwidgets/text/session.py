"""A text asked about with any method: what the tokenizer, the embedding and the baseline have to do with it is settled here.

`text_session` wraps a session that knows nothing of texts (`xaiwidgets.Session`). Methods that need gradients are sent to the
embedding layer and their vectors come back as one number a token; others take tokens away. Special tokens and padding stay
as they are in every baseline, and padding gets exactly 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor

from xaiwidgets.engine.attribution import Attribution
from xaiwidgets.engine.baselines import NAMES
from xaiwidgets.engine.errors import InputError
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Method, find_method
from xaiwidgets.engine.state import module_of
from xaiwidgets.engine.target import Each

from .embedding import Reduce, at_embedding, baseline, embedding_layer, named_token, per_token, reduction
from .groups import UNIT_NAMES, group
from .tokenizers import Text, token_id, tokenize
from .tokens import Tokens


class Asked(Protocol):
    """What is needed of a session."""

    target: Any
    problem: Problem
    interrupt: Callable[[], None] | None

    def stream(self, method: str = ..., **parameters: Any) -> Generator[Attribution]: ...

    def predict(self) -> Tensor: ...

    def forget(self) -> None: ...


def text_session(
    model: Callable[..., Any],
    text: Text | Sequence[Text] | Tokens,
    tokenizer: Any,
    *,
    session: Callable[..., Asked],
    unit: str = "token",
    reduce: Reduce | Literal["auto"] = "auto",
    max_length: int | None = None,
    special: bool = True,
    kept: Tensor | None = None,
    inputs: Mapping[str, Any] | None = None,
    **options: Any,
) -> TextSession:
    """Ask about one text, a tuple of two that are read together, or a list of texts as a batch.

    session      makes the session that is wrapped, from (model, inputs, wrt=, **options): xaiwidgets.Session
    unit         what methods that take parts of the input away take away at once: "token", "word", "sentence", ...
    reduce       how a token's vector of values becomes one number: "sum", "l1" or "l2"; "auto" takes the l2 norm of slopes, whose
                 sum means nothing, and the sum of all else
    max_length   cut longer texts to so many tokens
    special      whether the tokenizer adds its own tokens
    kept         [rows, tokens] tokens that no baseline takes away, besides special ones and padding
    inputs       what else the model is called with

    Raises InputError for texts that are none or that the model cannot take.
    """
    texts = list(text) if isinstance(text, list) else [cast("Text | Tokens", text)]
    if not texts:
        raise InputError("empty_batch", "There is no text to explain")
    rows = [
        one if isinstance(one, Tokens) else tokenize(one, tokenizer, special=special, max_length=max_length)
        for one in texts
    ]
    for row in rows:
        check_length(model, len(row))
    rows = pad(rows, tokenizer)
    call, wrt = call_of(model, rows, inputs)
    asked = session(model, call, wrt=wrt, **options)
    return TextSession(asked, rows, tokenizer, unit=unit, reduce=reduce, kept=kept)


class TextSession:
    """Like the session it wraps, with values [rows, tokens].

    rows     the tokens of each text, padding included: as many as there are values
    """

    def __init__(
        self,
        session: Asked,
        rows: list[Tokens],
        tokenizer: Any,
        *,
        unit: str = "token",
        reduce: Reduce | Literal["auto"] = "auto",
        kept: Tensor | None = None,
    ) -> None:
        self.session, self.rows, self.tokenizer = session, rows, tokenizer
        self.unit, self.reduce = unit, reduce
        self.shown = torch.tensor([[token.part != "padding" for token in row.items] for row in rows])
        words = torch.tensor([row.words for row in rows])
        self.kept = ~words if kept is None else ~words | kept.cpu()
        if not bool((~self.kept).any(1).all()):
            raise InputError("only_special", "A text holds nothing but special tokens", hint="Pass some words.")

    @property
    def tokens(self) -> Tokens:
        """Those of the only text."""
        (row,) = self.rows
        return row

    @property
    def problem(self) -> Problem:
        return self.session.problem

    @property
    def target(self) -> Any:
        return self.session.target

    @property
    def interrupt(self) -> Callable[[], None] | None:
        """Called between chunks of the runs that start from now on; it may raise Cancelled."""
        return self.session.interrupt

    @interrupt.setter
    def interrupt(self, interrupt: Callable[[], None] | None) -> None:
        self.session.interrupt = interrupt

    @property
    def layer(self) -> str:
        """The name of the embedding layer."""
        return embedding_layer(self.problem)

    @cached_property
    def vectors(self) -> Problem:
        """The question at the embedding layer."""
        return at_embedding(self.problem)

    def stream(self, method: str = "integrated_gradients", **parameters: Any) -> Generator[Attribution]:
        """Attributions with values [rows, tokens] (behind the targets of Each), each better than the last.

        baseline   "zeros", "mean", "mask", "pad", a token's number or spelling, a tensor; see `embedding.baseline`
        regions    a unit ("word") or the usual
        """
        chosen = find_method(method)
        prepared = self.prepared(chosen, parameters)
        shown = self.shown & ~self.kept if any(one.name == "baseline" for one in chosen.parameters) else self.shown
        return self._stream(reduction(chosen, self.reduce), shown, parameters, self.session.stream(method, **prepared))

    def attribute(self, method: str = "integrated_gradients", **parameters: Any) -> Attribution:
        """The final attribution."""
        *_, last = self.stream(method, **parameters)
        return last

    def predict(self) -> Tensor:
        """The model's output for the texts: the tensor of scores, detached."""
        return self.session.predict()

    def forget(self) -> None:
        """Drop what is remembered."""
        self.session.forget()

    def prepared(self, method: Method, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as the wrapped session takes them."""
        known = {parameter.name: parameter.default for parameter in method.parameters}
        found = dict(parameters)
        kind = found.get("baseline", known.get("baseline"))
        numbers = "tokens" in method.needs  # baselines must be numbers of tokens
        if "layer" not in found and "layer" not in known and "attention" not in method.needs:
            at_vectors = "gradient" in method.needs or (
                "baseline" in known and not numbers and not self._is_token(kind)
            )
            if at_vectors:
                found["layer"] = self.layer
        if "baseline" in known:
            if numbers or "layer" not in found:
                found["baseline"] = self._token_baseline(kind)
            elif found["layer"] == self.layer:
                found["baseline"] = baseline(self.vectors, kind, self.kept, self.tokenizer)
        if "regions" in known:
            found["regions"] = self._regions(found.get("regions", self.unit), at_vectors="layer" in found)
        return found

    def _stream(
        self, how: Reduce, shown: Tensor, asked: dict[str, Any], results: Generator[Attribution]
    ) -> Generator[Attribution]:
        try:
            for found in results:
                values = cast("Tensor", found.values)
                if values.ndim - isinstance(self.target, Each) > 2:
                    values = per_token(values, shown, how)
                else:
                    values = torch.where(shown.to(values.device), values, 0)
                yield replace(found, values=values, parameters={**found.parameters, **asked})
        finally:
            results.close()

    def _is_token(self, kind: Any) -> bool:
        """Whether a baseline is a token, so that token numbers can be taken away and put back."""
        return (isinstance(kind, str) and kind not in NAMES) or (isinstance(kind, int) and not isinstance(kind, bool))

    def _token_baseline(self, kind: Any) -> Any:
        """Numbers [rows, tokens] that stand for absent tokens; special ones stay."""
        ids = self.problem.inputs.leaves[0]
        if isinstance(kind, Tensor):
            return kind
        if kind == "auto" or kind is None or kind in NAMES:
            known = [token_id(self.tokenizer, name) for name in ("mask", "pad", "unk", "eos", "bos")]
            number = next((one for one in known if one is not None), None)
            if number is None:
                return "auto"
        else:
            number = kind if isinstance(kind, int) else named_token(kind, self.tokenizer)
        return torch.where(self.kept.to(ids.device), ids, number)

    def _regions(self, regions: Any, *, at_vectors: bool) -> Any:
        """Units of the text as regions; what is kept is one region, which changes nothing."""
        if not isinstance(regions, str) or regions not in UNIT_NAMES:
            return regions
        parts = [torch.tensor(group(row, regions).of) + 1 for row in self.rows]
        ids = torch.where(self.kept, 0, torch.stack(parts))
        return ids[..., None] if at_vectors else ids


# --- what the model is called with ----------------------------------------------------------------------------------------


def call_of(model: Any, rows: list[Tokens], more: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
    """The model's keyword arguments for some texts of one length, and which of them are the token numbers.

    Of what the tokenizer gives, only what the model takes; a model that takes no `input_ids` gets them first.
    """
    module = module_of(model)
    device = next((parameter.device for parameter in module.parameters()), None) if module is not None else None
    parameters = inspect.signature(module.forward if module is not None else model).parameters
    names = [name for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    own = "input_ids" if "input_ids" in names or not names else names[0]
    call: dict[str, Any] = {}
    for name in rows[0].inputs:
        key = own if name == "input_ids" else name
        if key == own or key in names:
            call[key] = torch.tensor([row.inputs[name] for row in rows], dtype=torch.long, device=device)
    if own not in call:
        raise InputError(
            "no_tokenizer", "The tokenizer gives words without numbers", hint="Pass the model's own tokenizer."
        )
    return {**call, **(more or {})}, own


def pad(rows: list[Tokens], tokenizer: Any) -> list[Tokens]:
    """All rows as long as the longest, with an attention mask where one is needed."""
    length = max(map(len, rows))
    if all(len(row) == length for row in rows):
        return rows
    number = token_id(tokenizer, "pad")
    number = number if number is not None else token_id(tokenizer, "eos")
    if number is None:
        raise InputError(
            "no_padding",
            "Texts of different lengths need a padding token",
            hint="Set tokenizer.pad_token, or ask one by one.",
        )
    left = getattr(tokenizer, "padding_side", "right") == "left"
    masked = [
        replace(row, inputs={**row.inputs, "attention_mask": row.inputs.get("attention_mask", (1,) * len(row))})
        for row in rows
    ]
    return [row.padded(length, number, left=left) for row in masked]


def check_length(model: Any, length: int) -> None:
    """Refuse what the model has no positions for."""
    most = getattr(getattr(module_of(model), "config", None), "max_position_embeddings", None)
    if isinstance(most, int) and 0 < most < length:
        raise InputError(
            "text_too_long",
            f"The text has {length} tokens and the model takes {most}",
            hint=f"Pass max_length={most} to cut it.",
        )
    if length == 0:
        raise InputError("empty_text", "The text has no tokens", hint="Pass some words.")
