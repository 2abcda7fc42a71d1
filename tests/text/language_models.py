"""Small models that read and write, random weights or the stored ones."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tokenizer_zoo import MODELS
from torch import nn


@cache
def stored(name):
    """(model, tokenizer) of "sst2-bert-tiny" or "sst2-llama-tiny"."""
    if not MODELS.is_dir():
        pytest.skip(f"no stored models at {MODELS}")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    kind = "AutoModelForSequenceClassification" if "bert" in name else "AutoModelForCausalLM"
    model = getattr(transformers, kind).from_pretrained(MODELS / name, attn_implementation="eager")
    return model.eval(), transformers.AutoTokenizer.from_pretrained(MODELS / name)


@cache
def random(family):
    """A small model with random weights, in float64: "gpt2", "llama", "t5" or "bart"."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if family == "gpt2":
            config = transformers.GPT2Config(
                vocab_size=60, n_positions=40, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2,
                attn_implementation="eager",
            )  # fmt: skip
            model = transformers.GPT2LMHeadModel(config)
        elif family == "llama":
            config = transformers.LlamaConfig(
                vocab_size=60, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=40, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
            )  # fmt: skip
            model = transformers.LlamaForCausalLM(config)
        elif family == "t5":
            config = transformers.T5Config(
                vocab_size=60, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, decoder_start_token_id=0,
                attn_implementation="eager",
            )  # fmt: skip
            model = transformers.T5ForConditionalGeneration(config)
        else:
            config = transformers.BartConfig(
                vocab_size=60, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=40,
                forced_eos_token_id=None, attn_implementation="eager",
            )  # fmt: skip
            model = transformers.BartForConditionalGeneration(config)
        for parameter in model.parameters():
            parameter.data.mul_(2)
    return model.double().eval()


class Letters:
    """A token a letter, and one that ends the text; nothing but functions."""

    all_special_ids, pad_token_id, eos_token_id, unk_token_id = (0, 1, 2), 0, 2, None
    mask_token_id = 3

    def __call__(self, text):
        return [self._number(character) for character in text]

    def _number(self, character):
        return 4 + (ord(character) - 97) % 56

    def decode(self, ids):
        return "".join(chr(97 + number - 4) for number in ids if number >= 4)

    def convert_ids_to_tokens(self, number):
        return ["<pad>", "<s>", "</s>", "<mask>"][number] if number < 4 else chr(97 + number - 4)


class Recurrent(nn.Module):
    """A language model that is no transformer and knows no Hugging Face."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(60, 12)
        self.cell = nn.GRU(12, 16, batch_first=True)
        self.head = nn.Linear(16, 60)

    def forward(self, numbers):
        """Logits [n, tokens, 60]."""
        return self.head(self.cell(self.embed(numbers))[0])


@cache
def recurrent():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Recurrent().double().eval()
