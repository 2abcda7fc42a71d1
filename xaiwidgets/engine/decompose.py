"""Operations that are several at once, taken apart into those that rules are written for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

HIDDEN = -1e9  # an attention weight of exactly zero after the exponential, in every dtype's range


def scaled_dot_product_attention(  # noqa: PLR0917  # torch's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001  # explained models do not drop out
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query keyᵀ scale + mask) value, with keys and values shared by groups of queries if asked."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (one.repeat_interleave(groups, -3) for one in (key, value))
    scores = torch.matmul(query, key.mT) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            hidden = max(HIDDEN, torch.finfo(scores.dtype).min / 4)
            attn_mask = torch.zeros_like(attn_mask, dtype=scores.dtype).masked_fill(~attn_mask, hidden)
        scores = scores + attn_mask
    return torch.matmul(torch.softmax(scores, -1), value)


def rdiv(divisor: Tensor, dividend: Any) -> Tensor:
    """Dividend / divisor as Python writes it."""
    quotient: Tensor = torch.reciprocal(divisor) * dividend
    return quotient


def var(
    values: Tensor, dim: Any = None, *, correction: float = 1, keepdim: bool = False, unbiased: bool | None = None
) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    axes = tuple(range(values.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    count = 1
    for axis in axes:
        count *= values.shape[axis]
    centred = values - values.mean(axes, keepdim=True)
    return centred.square().sum(axes, keepdim=keepdim) / (count - correction)


def std(values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return torch.sqrt(torch.var(values, *args, **kwargs))


def vector_norm(values: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:  # noqa: A002
    values = values if dtype is None else values.to(dtype)
    axes = tuple(range(values.ndim)) if dim is None else dim
    if ord == 2:
        return torch.sqrt(values.square().sum(axes, keepdim=keepdim))
    if ord == 1:
        return values.abs().sum(axes, keepdim=keepdim)
    return torch.pow(torch.pow(values.abs(), ord).sum(axes, keepdim=keepdim), 1 / ord)


def glu(values: Tensor, dim: int = -1) -> Tensor:
    first, second = values.chunk(2, dim)
    return first * torch.sigmoid(second)


def lerp(start: Tensor, end: Tensor, weight: Any) -> Tensor:
    between: Tensor = start + weight * (end - start)
    return between


def logaddexp(first: Tensor, second: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack(torch.broadcast_tensors(first, second)), 0)


def cosine_similarity(first: Tensor, second: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Each of the two norms is kept from zero by itself, as torch does it."""
    norms = (torch.sqrt(one.square().sum(dim)).clamp(min=eps) for one in (first, second))
    similarity: Tensor = (first * second).sum(dim) / next(norms) / next(norms)
    return similarity


def addcmul(values: Tensor, first: Tensor, second: Tensor, *, value: float = 1) -> Tensor:
    return values + first * second * value


def addcdiv(values: Tensor, first: Tensor, second: Tensor, *, value: float = 1) -> Tensor:
    return values + first / second * value


def lstm_cell(inputs: Tensor, state: Any, *weights: Any) -> tuple[Tensor, Tensor]:
    hidden, cell = state
    gates = _gates(inputs, hidden, *weights)
    enter, forget, candidate, leave = (one.contiguous() for one in (gates[0] + gates[1]).chunk(4, 1))
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(cell), cell


def gru_cell(inputs: Tensor, hidden: Tensor, *weights: Any) -> Tensor:
    of_inputs, of_hidden = _gates(inputs, hidden, *weights)
    (reset_i, update_i, new_i), (reset_h, update_h, new_h) = (one.chunk(3, 1) for one in (of_inputs, of_hidden))
    reset, update = torch.sigmoid(reset_i + reset_h), torch.sigmoid(update_i + update_h)
    new = torch.tanh(new_i + reset * new_h)
    return new + update * (hidden - new)


def rnn_tanh_cell(inputs: Tensor, hidden: Tensor, *weights: Any) -> Tensor:
    return torch.tanh(torch.add(*_gates(inputs, hidden, *weights)))


def rnn_relu_cell(inputs: Tensor, hidden: Tensor, *weights: Any) -> Tensor:
    return torch.relu(torch.add(*_gates(inputs, hidden, *weights)))


def _gates(  # noqa: PLR0917  # torch's own order
    inputs: Tensor, hidden: Tensor, weight_i: Tensor, weight_h: Tensor, bias_i: Any = None, bias_h: Any = None
) -> tuple[Tensor, Tensor]:
    linear = torch.nn.functional.linear
    return linear(inputs, weight_i, bias_i), linear(hidden, weight_h, bias_h)


DECOMPOSED: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "__rdiv__": rdiv,
    "__rtruediv__": rdiv,
    "var": var,
    "std": std,
    "linalg_vector_norm": vector_norm,
    "glu": glu,
    "lerp": lerp,
    "logaddexp": logaddexp,
    "cosine_similarity": cosine_similarity,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "rnn_tanh_cell": rnn_tanh_cell,
    "rnn_relu_cell": rnn_relu_cell,
}
