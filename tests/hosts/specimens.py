"""One small widget of each kind, made inside a host's kernel: seeded, ready within a second, and failing when told to.

A model fails while the file `broken-KIND` lies in the folder: a test can say so to any host, whatever its kernel is behind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import xaiwidgets as xw

TEXT = "Not good, but it moved me: <b>bold</b> and new"
LABELS = ["ant", "<b>bee</b>", "cat", "dog"]

torch.set_num_threads(1)  # the fastest for networks as small as these


class Words:
    """Words and signs as tokens with offsets; each word's number comes from its letters."""

    mask_token_id, pad_token_id, unk_token_id, eos_token_id = 1, 0, 2, 3
    all_special_ids = (0, 1, 2, 3)

    def __call__(self, text: str) -> dict[str, Any]:
        found = list(re.finditer(r"\w+|[^\w\s]", text))
        return {
            "input_ids": [4 + sum(map(ord, match[0])) % 60 for match in found],
            "offset_mapping": [match.span() for match in found],
        }

    def convert_ids_to_tokens(self, number: int) -> str:
        return ("[PAD]", "[MASK]", "[UNK]", "[END]")[number] if number < 4 else f"w{number}"

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{number}" for number in ids if number >= 4)


class Reader(nn.Module):
    """Three classes from words and their order."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 8)
        self.mix = nn.Conv1d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(torch.tanh(self.mix(self.embed(ids).mT).mT).sum(1))


def sight() -> nn.Module:
    """Four classes from a small picture."""
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.GELU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 4))


def make(kind: str, folder: str) -> Any:
    """The widget, with its result (the scoreboard on its way to it). Its model fails while the file `broken-KIND` lies in the folder."""
    torch.manual_seed(0)
    flag = Path(folder) / f"broken-{kind}"

    def fragile(model: nn.Module) -> nn.Module:
        def fail(*_: object) -> None:
            if flag.exists():
                raise RuntimeError("the network is on holiday")

        model.register_forward_pre_hook(fail)
        return model.eval()

    images = torch.rand(2, 3, 16, 20)
    if kind == "heatmap":
        return xw.explain(fragile(sight()), images[:1], labels=LABELS).wait(60)
    if kind == "path":
        return xw.explore_path(
            fragile(sight()), images[:1], baselines=("black", "white"), labels=LABELS, steps=17
        ).wait(60)
    if kind == "tokens":
        return xw.explain(fragile(Reader()), TEXT, tokenizer=Words(), target=1, labels=LABELS[:3]).wait(60)
    if kind == "scoreboard":
        methods = ("saliency", "input_x_gradient")
        return xw.compare(fragile(sight()), images, methods, labels=LABELS, metrics=("deletion", "sparseness"))
    seen, truth = torch.rand(24, 3, 8, 8), torch.arange(24) % 4
    model = fragile(nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 4)))
    other = {name: value + 0.05 for name, value in model.state_dict().items()}
    index = xw.TrainingIndex.build(model, (seen, truth), checkpoints=[model.state_dict(), other], progress=False)
    return xw.trace(index, images[..., :8, :8], k=3, labels=LABELS).wait(60)
