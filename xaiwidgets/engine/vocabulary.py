"""Token numbers of a problem: which they are, what stands for an absent one, and the vectors they are looked up as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .chunk import Chunk
from .errors import InputError, ModelError, ParameterError
from .layers import find_layer, open_module, unseen
from .problem import Problem
from .state import borrowed
from .suffix import SuffixProblem

TokensLike = str | int | Tensor
"""A token's number, numbers like the input's, or "auto"."""

# Names in a model's configuration, the most neutral first.
NEUTRAL = ("mask_token_id", "pad_token_id", "unk_token_id", "eos_token_id", "bos_token_id")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens of an embedding layer.

    ids      [rows, tokens] the problem's own
    vectors  [words, width] what the layer puts out for each
    name     of the layer
    """

    ids: Tensor
    vectors: Tensor
    name: str


def token_numbers(problem: Problem, method: str) -> Tensor:
    """The explained token numbers [rows, tokens], or an error that says what to explain instead."""
    leaves = problem.inputs.leaves
    if problem.inputs.several or leaves[0].is_floating_point() or leaves[0].ndim != 2:
        shapes = ", ".join(f"{list(leaf.shape)} of {str(leaf.dtype).removeprefix('torch.')}" for leaf in leaves)
        raise InputError(
            "not_tokens",
            f"{method} is about token numbers [batch, tokens]",
            f"What is explained has shape {shapes}.",
            'Pass input_ids, and wrt="input_ids" if there are other inputs.',
        )
    return leaves[0]


def vocabulary(problem: Problem, method: str) -> Vocabulary:
    """Of a problem at an embedding layer whose output is that of its token numbers alone."""
    if not isinstance(problem, SuffixProblem):
        raise InputError(
            "not_an_embedding",
            f"{method} walks from word to word, so it needs the layer that looks them up",
            hint='Pass input_ids, and layer= the embedding layer or its name, as "bert.embeddings.word_embeddings".',
        )
    ids = token_numbers(problem.whole, method)
    name, layer = find_layer(problem.module, problem.layer_name)
    if isinstance(layer, nn.Embedding):
        vectors = _vectors(problem, layer)
        if problem.points.shape[:2] == ids.shape and int(ids.max()) < len(vectors):
            room = 1e-5 * float(problem.points.abs().max())
            if torch.allclose(vectors[ids], problem.points.to(vectors), rtol=1e-5, atol=room):
                return Vocabulary(ids, vectors, name)
    raise ModelError(
        "not_an_embedding",
        f"The layer {name!r} does not look up the explained token numbers",
        f"It is a {type(layer).__name__}.",
        f"{method} needs the layer that does (an nn.Embedding), for example layer={_of_inputs(problem.whole)!r}.",
    )


def input_vectors(problem: Problem, ids: Tensor) -> Tensor:
    """The vectors [words, width] of the first embedding layer that is called with the explained token numbers."""
    name = _of_inputs(problem)
    if not name:
        raise ModelError(
            "no_embedding",
            "No nn.Embedding of the model is called with the explained token numbers",
            hint="Choose replacements in another way.",
        )
    vectors = _vectors(problem, find_layer(problem.module, name)[1])
    if int(ids.max()) >= len(vectors):
        raise InputError("token_range", f"Token {int(ids.max())} is not among the model's {len(vectors)}")
    return vectors


def absent_tokens(problem: Problem, ids: Tensor, tokens: TokensLike) -> Tensor:
    """Token numbers [rows, tokens] that stand for absent ones; where they equal the input's, nothing is taken away."""
    if isinstance(tokens, str):
        tokens = _named(problem, tokens)
    given = torch.as_tensor(tokens)
    if given.is_floating_point() or given.dtype == torch.bool or given.is_complex():
        raise ParameterError(
            "baseline_tokens",
            f"A baseline of tokens is made of integers, not {given.dtype}",
            hint="Convert it to long.",
        )
    try:
        absent = given.to(ids).broadcast_to(ids.shape)
    except RuntimeError as error:
        raise ParameterError(
            "baseline_shape",
            f"Token numbers of shape {list(given.shape)} do not fit an input of shape {list(ids.shape)}",
            hint="Give one number, one for each token, or one row for each row.",
        ) from error
    if int(absent.min()) < 0:
        raise ParameterError("token_range", f"Token {int(absent.min())} does not exist", hint="Numbers start at 0.")
    return absent


def _named(problem: Problem, name: str) -> int:
    """A token's number from the model's configuration."""
    config = getattr(problem.module, "config", None)
    wanted = NEUTRAL if name == "auto" else (f"{name}_id",) if name in ("mask_token", "pad_token") else ()
    if not wanted:
        raise ParameterError(
            "unknown_baseline",
            f"There is no token {name!r}",
            hint='Use "auto", "mask_token", "pad_token", a token\'s number, or a tensor of numbers.',
        )
    for one in wanted:
        number = getattr(config, one, None)
        if isinstance(number, int | np.integer) and not isinstance(number, bool) and number >= 0:
            return int(number)
    raise ParameterError(
        "baseline_needs_tokens",
        "The model does not say which token stands for an absent one",
        hint="Name it: baseline=tokenizer.mask_token_id (or pad_token_id, unk_token_id).",
    )


def _vectors(problem: Problem, layer: nn.Module) -> Tensor:
    """What the layer puts out for every word, whatever it does beside looking them up."""
    assert isinstance(layer, nn.Embedding)  # noqa: S101  # for the type checker
    with borrowed(problem.module, problem.lock, gradient=False, training=problem.training, device=problem.device):
        words = torch.arange(layer.num_embeddings, device=layer.weight.device)
        vectors: Tensor = layer(words)
        return vectors.to(problem.device, problem.dtype)


def _of_inputs(problem: Problem) -> str:
    """The name of the first embedding layer that is called with the explained numbers; empty if there is none."""
    known = problem.memory("embedding of inputs")
    if not known:
        names: list[str] = []

        def work(chunk: Chunk) -> tuple[Tensor, ...]:
            wanted = chunk.leaf.detach().to(problem.inputs.leaves[0].dtype)
            with _lookups(open_module(problem.module), wanted) as found:
                chunk.output(hooked=True)
            names.extend(found)
            return (chunk.rows,)

        row = torch.zeros(1, dtype=torch.long, device=problem.device)
        problem.evaluate(work, problem.points[:1], row, gradient=False)
        known["name"] = names[0] if names else ""
    return str(known["name"])


@contextmanager
def _lookups(module: nn.Module, wanted: Tensor) -> Iterator[list[str]]:
    """Names of the embedding layers called with some numbers."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, arguments: Any, _output: Any) -> None:
            with unseen():
                numbers = arguments[0] if arguments else None
                if isinstance(numbers, Tensor) and numbers.shape == wanted.shape and bool((numbers == wanted).all()):
                    found.append(name)

        return hook

    named = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Embedding)]
    handles = [part.register_forward_hook(watch(name)) for name, part in named]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
