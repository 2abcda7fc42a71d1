"""Where token numbers become vectors: the layer, baselines made of vectors, and one number a token out of many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xaiwidgets.engine.baselines import NAMES
from xaiwidgets.engine.chunk import Chunk
from xaiwidgets.engine.errors import InputError, ModelError, ParameterError
from xaiwidgets.engine.layers import find_layer, first_tensor, open_module, unseen
from xaiwidgets.engine.problem import Problem
from xaiwidgets.engine.registry import Method
from xaiwidgets.engine.state import borrowed

from .tokenizers import spelling, token_id

Reduce = Literal["sum", "l1", "l2"]
AT_ONCE = 4096  # of the vocabulary, for its mean
TOKENS = ("mask", "pad", "unk", "bos", "eos")


def embedding_layer(problem: Problem) -> str:
    """The name of the layer that is called with the explained token numbers and puts out a vector for each.

    The model is run on one row to see it. Raises ModelError if no layer does, or if it is called for other tokens too (an
    encoder and a decoder that share one): nothing could then be put in its place for the explained ones alone.
    """
    known = problem.memory("embedding layer")
    if not known:
        ids = problem.inputs.leaves[0]
        if problem.inputs.several or ids.ndim != 2 or ids.is_floating_point():
            raise InputError(
                "not_a_text",
                "A text is made of token numbers [rows, tokens]",
                f"Got {ids.dtype} of shape {list(ids.shape)}.",
                'Pass input_ids, and wrt="input_ids" if there are other inputs.',
            )
        module, calls = open_module(problem.module), list[tuple[str, bool]]()
        check_vocabulary(module, ids)

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            with _lookups(module, chunk.leaf.detach().to(ids.dtype)) as found:
                chunk.output(hooked=True)
            of_tokens = {name for name, asked in found if asked and _of_tokens(find_layer(module, name)[1], ids[:1])}
            calls.extend((name, asked and name in of_tokens) for name, asked in found)
            return (chunk.rows,)

        problem.evaluate(work, problem.points[:1], torch.zeros(1, dtype=torch.long), gradient=False)
        known["name"] = _chosen(calls, last=str(problem.inputs.explained[0]).startswith("decoder"))
    return str(known["name"])


def check_vocabulary(module: nn.Module | None, ids: Tensor) -> None:
    """Refuse token numbers that no embedding of the model knows."""
    parts = [part for part in module.modules() if isinstance(part, nn.Embedding)] if module is not None else []
    most = max((part.num_embeddings for part in parts), default=None)
    if most is not None and most <= int(ids.max()):
        raise ModelError(
            "no_embedding",
            "No layer of the model turns the explained token numbers into vectors",
            f"The largest number is {int(ids.max())}, and the largest embedding has tokens 0 to {most - 1}.",
            "Use the tokenizer that came with the model.",
        )


def at_embedding(problem: Problem) -> Problem:
    """The same question asked of the vectors [rows, tokens, width] that the tokens become."""
    return problem.at(embedding_layer(problem))


def per_token(values: Tensor, shown: Tensor | None = None, how: Reduce = "sum") -> Tensor:
    """Values [..., tokens, width] as one number a token: their sum, or their l1 or l2 norm.

    shown   [rows, tokens] (or broadcastable), false where there is only padding: those get exactly 0
    """
    if how not in ("sum", "l1", "l2"):
        raise ParameterError("unknown_reduction", f"{how!r} does not join values", hint="sum, l1 or l2.")
    reduced = values.sum(-1) if how == "sum" else values.norm(p=int(how[1]), dim=-1)
    return reduced if shown is None else torch.where(shown.to(reduced.device), reduced, 0)


def reduction(method: Method, asked: Reduce | Literal["auto"]) -> Reduce:
    """How a token's vector becomes one number. Slopes have no sum that means anything, so that "auto" takes their length."""
    if asked != "auto":
        return asked
    return "l2" if "per unit of input" in method.unit else "sum"


@dataclass(frozen=True, eq=False, repr=False)
class TextBaseline:
    """Absent texts [k, rows, tokens, width] under the name they were asked for by."""

    name: Any
    points: Tensor

    def __repr__(self) -> str:
        return repr(self.name)

    def draw(self, inputs: Tensor) -> Tensor:
        """For the rows, and as often over as there are targets."""
        return self.points.to(inputs).repeat(1, len(inputs) // self.points.shape[1], *[1] * (self.points.ndim - 2))


def baseline(problem: Problem, kind: Any, kept: Tensor, tokenizer: Any = None) -> TextBaseline:
    """A text with nothing in it, as vectors.

    problem   at the embedding layer
    kind      "zeros", "mean" (of the vocabulary), "mask", "pad", "unk", "bos" or "eos" (also as "mask_token"), a whole number:
              that token; any other string: the token that it is; a tensor of vectors, or whatever is a baseline elsewhere
    kept      [rows, tokens] tokens that stay as they are: special ones, padding, what is not asked about
    """
    points = problem.points
    if isinstance(kind, TextBaseline):
        return kind
    kinds = kind if isinstance(kind, list) and kind else [kind]
    start = torch.cat([_start(problem, one, tokenizer) for one in kinds])
    return TextBaseline(kind, torch.where(kept.to(points.device)[..., None], points, start))


def _start(problem: Problem, kind: Any, tokenizer: Any) -> Tensor:
    """One kind of absent text [k, rows, tokens, width], special tokens and all."""
    points = problem.points
    if kind == "zeros" or kind is None:
        return torch.zeros_like(points)[None]
    if kind == "mean":
        return _mean(problem).expand_as(points)[None]
    if isinstance(kind, int | str) and not isinstance(kind, bool) and kind not in NAMES:
        number = kind if isinstance(kind, int) else named_token(kind, tokenizer)
        return _vectors(problem, torch.tensor([number])).to(points).expand_as(points)[None]
    return problem.baselines(kind)


def named_token(name: str, tokenizer: Any) -> int:
    """The number of the token called "mask" or "mask_token", or spelled so."""
    short = name.removesuffix("_token")
    number = token_id(tokenizer, short) if short in TOKENS else None
    if number is None and short not in TOKENS:
        number = _whole(name, tokenizer)
    if number is None:
        raise ParameterError(
            "unknown_baseline",
            f"The tokenizer has no {short} token"
            if short in TOKENS
            else f"{name!r} is not one token of the vocabulary",
            hint='Use "zeros", "mean", another token\'s name, spelling or number, or a tensor of vectors.',
        )
    return number


def _whole(word: str, tokenizer: Any) -> int | None:
    """The token of a word that the vocabulary holds whole."""
    for name in ("convert_tokens_to_ids", "token_to_id"):
        ask = getattr(tokenizer, name, None)
        for spelled in (word, f"Ġ{word}", f"▁{word}"):
            number = ask(spelled) if callable(ask) else None
            if isinstance(number, int) and spelling(number, tokenizer) == spelled:
                return number
    return None


def _vectors(problem: Problem, numbers: Tensor) -> Tensor:
    """What the embedding layer puts out for some tokens [n]: [n, width]."""
    layer = _layer(problem)
    count = getattr(layer, "num_embeddings", None)
    if isinstance(count, int) and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
        raise ParameterError(
            "token_range",
            f"Token {int(numbers.max())} does not exist",
            hint=f"The embedding has tokens 0 to {count - 1}.",
        )
    with borrowed(problem.module, problem.lock, gradient=False, training=problem.training, device=problem.device):
        device = next((parameter.device for parameter in layer.parameters()), problem.device)
        found: Tensor = first_tensor(layer(numbers.to(device)[None]))  # type: ignore[assignment]  # seen to be one
        return found[0]


def _mean(problem: Problem) -> Tensor:
    """The mean vector [width] of the vocabulary."""
    known = problem.memory("mean of the vocabulary")
    if not known:
        count = getattr(_layer(problem), "num_embeddings", None)
        if not isinstance(count, int):
            raise ParameterError(
                "unknown_baseline",
                "The embedding layer does not say how many tokens it knows, so that there is no mean",
                hint='Use "zeros", or a tensor of vectors.',
            )
        parts = torch.arange(count).split(AT_ONCE)
        total = torch.stack([_vectors(problem, part).to(problem.sum_dtype).sum(0) for part in parts]).sum(0)
        known["mean"] = (total / count).to(problem.points)
    found: Tensor = known["mean"]
    return found


def _layer(problem: Problem) -> nn.Module:
    name = getattr(problem, "layer_name", "")
    if not name:
        raise ModelError(
            "not_an_embedding", "The question is not asked at an embedding", hint="Use at_embedding(problem)."
        )
    return find_layer(problem.module, name)[1]


# --- finding it -----------------------------------------------------------------------------------------------------------


def _chosen(calls: list[tuple[str, bool]], *, last: bool) -> str:
    """Of layers in the order in which they finished, the first (or last) one called with the explained numbers."""
    own = [name for name, asked in calls if asked]
    if not own:
        raise ModelError(
            "no_embedding",
            "No layer of the model turns the explained token numbers into vectors",
            hint="Pass the vectors instead, or explain with a method that needs no gradient.",
        )
    name = own[-1] if last else own[0]
    if sum(other == name for other, _ in calls) > 1:
        raise ModelError(
            "shared_embedding",
            f"The layer {name!r} looks up other tokens too",
            "An encoder and a decoder share it in one pass.",
            "Pass inputs_embeds instead of input_ids.",
        )
    return name


def _of_tokens(layer: nn.Module, ids: Tensor) -> bool:
    """Whether the layer gives a token the same vector wherever it stands; layers of positions do not."""
    here, there = first_tensor(layer(ids)), first_tensor(layer(ids.flip(1)))
    return here is not None and there is not None and bool(torch.equal(here, there.flip(1)))


@contextmanager
def _lookups(module: nn.Module, wanted: Tensor) -> Iterator[list[tuple[str, bool]]]:
    """Layers that put out a vector for each of some whole numbers, and whether those are the wanted ones."""
    found: list[tuple[str, bool]] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, arguments: Any, keywords: Any, output: Any) -> None:
            with unseen():
                given = [one for one in (*arguments, *keywords.values()) if isinstance(one, Tensor)]
                vectors = first_tensor(output)
                if not given or vectors is None or given[0].is_floating_point() or not vectors.is_floating_point():
                    return
                if vectors.shape[:-1] == given[0].shape:
                    same = given[0].shape == wanted.shape and bool((given[0] == wanted).all())
                    found.append((name, same))

        return hook

    named = [(name, part) for name, part in module.named_modules() if name]
    handles = [part.register_forward_hook(watch(name), with_kwargs=True) for name, part in named]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
