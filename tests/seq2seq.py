"""Small models with more than one sequence of tokens, random weights."""

import pytest
import torch
from torch import nn


def seq2seq(family, attention="eager"):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        if family == "t5":
            config = transformers.T5Config(
                vocab_size=24, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, decoder_start_token_id=0,
                attn_implementation=attention,
            )  # fmt: skip
            model = transformers.T5ForConditionalGeneration(config)
        else:
            config = transformers.BartConfig(
                vocab_size=24, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=12,
                num_labels=4, attn_implementation=attention,
            )  # fmt: skip
            model = transformers.BartForSequenceClassification(config)
        ids = torch.randint(3, 24, (2, 5))
        ids[:, -1] = 2
        inputs = {"input_ids": ids}
        if family == "t5":
            inputs |= {"decoder_input_ids": torch.randint(3, 24, (2, 5))}  # as long as the encoder's
        for parameter in model.parameters():
            parameter.data.mul_(3)
    return model.double().eval(), inputs


class TwoStreams(nn.Module):
    """Words and regions that attend to each other at the same time, each as the other was before."""

    def __init__(self):
        super().__init__()
        self.own = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.other = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.again = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, words, regions):
        words = words + self.own[0](words, words, words)[0]
        regions = regions + self.own[1](regions, regions, regions)[0]
        new = words + self.other[0](words, regions, regions)[0]
        regions = regions + self.other[1](regions, words, words)[0]
        new = new + self.again(new, regions, regions)[0]
        return self.head(new[:, 0])
