"""From one number a token to the shape of the explained input."""

from __future__ import annotations

import torch
from torch import Tensor

from xaiwidgets.engine.errors import InputError, ModelError
from xaiwidgets.engine.places import MOST_EXTRA, PlaceLayer
from xaiwidgets.engine.problem import Problem


def like_input(problem: Problem, parts: list[Tensor]) -> Tensor:
    """Relevances [m, tokens] of each explained input's tokens as values of the input.

    Images get a map [m, 1, height, width]: the grid of tokens, enlarged bilinearly. Sequences [batch, tokens] and
    [batch, tokens, width] get [m, tokens]. Class and register tokens, which the model puts in front, are dropped.
    """
    leaves = problem.inputs.leaves
    if not problem.inputs.several:
        return _image(problem, parts[0]) if leaves[0].ndim == 4 else _sequence(parts[0], leaves[0])
    if any(leaf.ndim != 2 for leaf in leaves):
        raise InputError(
            "attention_inputs",
            "Several inputs are explained together by attention only if they are token numbers [batch, tokens]",
            hint="Explain one input at a time: wrt=its name.",
        )
    return torch.cat([_sequence(part, leaf) for part, leaf in zip(parts, leaves, strict=True)], dim=1)


def _image(problem: Problem, tokens: Tensor) -> Tensor:
    place = PlaceLayer(problem, "attention")
    if not place.readable(tokens.unsqueeze(2)):
        raise _unplaced(tokens, problem.inputs.leaves[0], "does not fit any grid of patches")
    return place.enlarge(place.maps(tokens.unsqueeze(2)).contiguous(), relu=False)


def _sequence(tokens: Tensor, leaf: Tensor) -> Tensor:
    length = leaf.shape[1] if leaf.ndim in (2, 3) else -1
    if not 0 <= tokens.shape[1] - length <= min(MOST_EXTRA, length):
        raise _unplaced(tokens, leaf, "is not the input's")
    return tokens[:, tokens.shape[1] - length :]


def _unplaced(tokens: Tensor, leaf: Tensor, why: str) -> ModelError:
    return ModelError(
        "attention_tokens",
        f"Attention is over {tokens.shape[1]} tokens, which {why}",
        f"The input has shape {list(leaf.shape)}.",
        "Explain the layer that puts out the tokens, layer=its name, or use another method.",
    )
