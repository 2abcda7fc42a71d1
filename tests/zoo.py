"""Small models with random weights, one for each way of writing a network that libraries stumble over.

`MODELS` maps names to functions that make (model in float64, inputs). Inputs are a tensor or a dict of keyword arguments;
everything is drawn from a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 4


class SharedReLU(nn.Module):
    """A plain CNN: functional, shared and in-place rectifiers, a shared pool, a linear layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.twice, self.head = nn.Linear(32, 32), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x))).flatten(1)
        x = self.relu(self.twice(x))
        return self.head(self.twice(x).relu_())


class Residual(nn.Module):
    """Batch norm, a shortcut added in place, a projecting shortcut, mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv1, self.norm1 = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.project = nn.Sequential(nn.Conv2d(6, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm0(self.stem(x)))
        y = self.norm1(self.conv1(x))
        y += x
        x = functional.relu(y, inplace=True)
        x = functional.relu(self.norm2(self.conv2(x)) + self.project(x))
        return self.head(x.mean((2, 3)))


class GatedMLP(nn.Module):
    """GELU, SwiGLU, layer norm, RMS norm written out, a division."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.norm = nn.Linear(5, 12), nn.LayerNorm(12)
        self.gate, self.up, self.down = nn.Linear(12, 16), nn.Linear(12, 16), nn.Linear(16, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.enter(x))
        y = self.norm(x)
        x = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.head(x / (1 + x.abs().mean(-1, keepdim=True)))


class VisionTransformer(nn.Module):
    """Patches, a class token, nn.MultiheadAttention in nn.TransformerEncoderLayer."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 16, 2, 2)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, 16)), nn.Parameter(torch.zeros(1, 17, 16))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=batch_first, norm_first=True)
            for _ in range(2)
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class Recurrent(nn.Module):
    """A cell in a Python loop."""

    def __init__(self, cell: type[nn.Module]) -> None:
        super().__init__()
        self.cell, self.head = cell(3, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for moment in x.unbind(1):
            state = self.cell(moment, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


def _image() -> Tensor:
    return torch.randn(3, 2, 8, 8)


def _hugging_face(family: str, attention: str) -> Callable[[], tuple[nn.Module, Any]]:
    def make() -> tuple[nn.Module, Any]:
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 16, "intermediate_size": 32}
        text = {"vocab_size": 32, "num_labels": CLASSES, "pad_token_id": 0, "attn_implementation": attention}
        configs: dict[str, Callable[[], Any]] = {
            "bert": lambda: transformers.BertConfig(**sizes, **text, max_position_embeddings=16),
            "gpt2": lambda: transformers.GPT2Config(n_layer=2, n_head=4, n_embd=16, n_positions=16, **text),
            "llama": lambda: transformers.LlamaConfig(**sizes, **text, num_key_value_heads=2),
            "vit": lambda: transformers.ViTConfig(
                **sizes, image_size=8, patch_size=2, num_channels=2, num_labels=CLASSES, attn_implementation=attention
            ),
        }
        classes = {
            "bert": "BertForSequenceClassification", "gpt2": "GPT2ForSequenceClassification",
            "llama": "LlamaForSequenceClassification", "vit": "ViTForImageClassification",
        }  # fmt: skip
        model = getattr(transformers, classes[family])(configs[family]())
        if family == "vit":
            return model, {"pixel_values": _image()}
        return model, {"inputs_embeds": torch.randn(2, 6, 16), "attention_mask": torch.ones(2, 6, dtype=torch.long)}

    return make


_MAKERS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "shared_relu": lambda: (SharedReLU(), _image()),
    "residual": lambda: (Residual(), _image()),
    "gated_mlp": lambda: (GatedMLP(), torch.randn(3, 5)),
    "vit": lambda: (VisionTransformer(), _image()),
    "lstm_cell": lambda: (Recurrent(nn.LSTMCell), torch.randn(3, 5, 3)),
    "gru_cell": lambda: (Recurrent(nn.GRUCell), torch.randn(3, 5, 3)),
    **{
        f"{family}_{attention}": _hugging_face(family, attention)
        for family in ("bert", "gpt2", "llama", "vit")
        for attention in ("sdpa", "eager")
    },
}
RELU = ("shared_relu", "residual")
SMOOTH = (
    "gated_mlp",
    "vit",
    "lstm_cell",
    "gru_cell",
    *(name for name in _MAKERS if "_sdpa" in name or "_eager" in name),
)
ALL = (*RELU, *SMOOTH)


def make(name: str, seed: int = 0) -> tuple[nn.Module, Any]:
    """A model in evaluation mode, with weights large enough that nothing is nearly linear, and inputs for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, inputs = _MAKERS[name]()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(
                    torch.randn_like(parameter) * (0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5 * 1.5)
                )
            for part in model.modules():
                if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
                    part.weight.add_(1.0)
                if isinstance(part, nn.BatchNorm2d):
                    part.running_mean.normal_(0, 0.3)
                    part.running_var.uniform_(0.5, 1.5)
    inputs = {key: _double(value) for key, value in inputs.items()} if isinstance(inputs, dict) else _double(inputs)
    return model.double().eval(), inputs


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
