"""Models and tokenizers for the tests of strips."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xaiwidgets.widgets.tokens.pack import unpack_values

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
PATIENCE = 30.0
HARD = "not bad 👍🏽 at all, مرحبا 你好 <script>alert(1)</script> & e\u0301"


class Words:
    """Words and signs as tokens with offsets; each word's number comes from its letters."""

    mask_token_id, pad_token_id, unk_token_id, eos_token_id = 1, 0, 2, 3
    all_special_ids = (0, 1, 2, 3)
    names = ("[PAD]", "[MASK]", "[UNK]", "[END]")

    def __call__(self, text: str) -> dict[str, Any]:
        found = list(re.finditer(r"\w+|[^\w\s]", text))
        return {
            "input_ids": [4 + sum(map(ord, match[0])) % 60 for match in found],
            "offset_mapping": [match.span() for match in found],
        }

    def convert_ids_to_tokens(self, number: int) -> str:
        return self.names[number] if number < 4 else f"w{number}"

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{number}" for number in ids if number >= 4)


class Bag(nn.Module):
    """A plain module with an embedding layer: three classes from the words and their order. Counts its rows, and waits."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.embed = nn.Embedding(64, 8)
            self.mix = nn.Conv1d(8, 8, 3, padding=1)
            self.last = nn.Linear(8, classes)
        self.rows = 0
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        self.rows += len(ids)
        self.entered.set()
        assert self.go.wait(PATIENCE)
        hidden = torch.tanh(self.mix(self.embed(ids).mT).mT)
        return self.last(hidden.sum(1))

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Passes wait inside; on leaving they go on."""
        self.entered.clear()
        self.go.clear()
        try:
            yield
        finally:
            self.go.set()


@cache
def stored(name: str) -> tuple[Any, Any]:
    """(model, tokenizer) of "sst2-bert-tiny" or "sst2-llama-tiny"."""
    if not (MODELS / name).is_dir():
        pytest.skip(f"no stored model at {MODELS / name}")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    kind = "AutoModelForSequenceClassification" if "bert" in name else "AutoModelForCausalLM"
    model = getattr(transformers, kind).from_pretrained(MODELS / name)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(MODELS / name)


def writer(family: str, positions: int = 48) -> Any:
    """A small language model with random weights: "gpt2" or "t5"."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if family == "gpt2":
            config = transformers.GPT2Config(
                vocab_size=64, n_positions=positions, n_embd=16, n_layer=2, n_head=2, bos_token_id=3, eos_token_id=3
            )
            model = transformers.GPT2LMHeadModel(config)
        else:
            config = transformers.T5Config(
                vocab_size=64, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, decoder_start_token_id=0,
                eos_token_id=3,
            )  # fmt: skip
            model = transformers.T5ForConditionalGeneration(config)
        for parameter in model.parameters():
            parameter.data.mul_(3)
    return model.eval()


def values(widget: Any) -> NDArray[np.float32]:
    """The numbers the page has."""
    return unpack_values(widget.values)


def pieces(widget: Any) -> list[str]:
    """The texts of the strip's stretches, cut as JavaScript cuts."""
    units = widget.text.encode("utf-16-le", "surrogatepass")
    return [units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") for start, end, *_ in widget.strip]
