"""Tokenizers of every kind, and texts that are hard on them."""

from __future__ import annotations

from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"

CORPUS = [
    "the quick brown fox jumps over the lazy dog", "naïve café, déjà vu!", "good movie; bad plot.", "مرحبا بالعالم",
    "שלום עולם", "你好，世界。", "x = 1 + 2\n\tprint(x)", "emoji 👍 and 🙂", "<script>alert('hi')</script>",
] * 3  # fmt: skip

NASTY = [
    "", " ", "\n\n\t  \r\n", "plain words, nothing else.", "  two  spaces   and a tab\there ",
    "family 👨‍👩‍👧‍👦 flag 🇩🇪🇫🇷 skin 👋🏽 heart ❤️ keycap 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301 and é, n\u0303, Z̴̢̛͙a̶l̷g̶o̷",
    "ﬁne ﬀ Ⅷ ½ ﷺ ①", "İstanbul ß straße ŉ", "مرحبا، كيف حالُكَ؟ 123", "שָׁלוֹם עולם", "mixed עברית and English (أهلا)",
    "他说：“今天天气很好。”然后走了。", "日本語のテキストとカタカナ", "한국어 텍스트 \u1112\u1161\u11ab", "क्षत्रिय हिन्दी கணினி ไทยคำ",
    "half \ud83d an emoji \ude00 here", "\ud83d\ude00 as two halves", "<script>alert('x')</script> & <b>&amp;</b>",
    "[CLS] [MASK] [SEP] [UNK] </s> <s> <pad> <unk>", "Ġhello ▁world ##ing <0xE2> </w>", "x" * 300,
    "a" + " " * 3000 + "b", "\u00a0nbsp\u2009thin\u200bzero\u200dwidth\ufeff\u00ad", "\x00null \x07bell \x1b[31m",
    "don't can't I'm -- well... 3.14 1,000 e-mail", "https://example.org/a?b=c&d=%20", "\u202egnirts\u202c rtl override",
]  # fmt: skip


def built(kind):
    """A tokenizer made on the spot from a small corpus."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    if kind == "bytes":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
    elif kind == "unigram":
        made = tokenizers.Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=220, unk_token="<unk>", special_tokens=["<unk>", "</s>"], show_progress=False
        )
    elif kind == "fallback":  # as Llama's first: SentencePiece with bytes for unknown characters
        made = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        specials = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, limit_alphabet=30, show_progress=False)
        made.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 3, trainer)
        return made
    elif kind == "characters":
        made = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex("[\\s\\S]"), "isolated")
        trainer = trainers.WordLevelTrainer(special_tokens=["[UNK]", "[PAD]", "[MASK]"], show_progress=False)
    else:
        raise ValueError(kind)
    made.train_from_iterator(CORPUS, trainer)
    return made


KINDS = ("wordpiece", "llama", "bytes", "unigram", "fallback", "characters")
_MADE = {}


def get(kind):
    if kind not in _MADE:
        folder = {"wordpiece": "sst2-bert-tiny", "llama": "sst2-llama-tiny"}.get(kind)
        if folder is None:
            _MADE[kind] = built(kind)
        else:
            if not MODELS.is_dir():
                pytest.skip(f"no stored models at {MODELS}")
            transformers = pytest.importorskip("transformers", reason="transformers is not installed")
            _MADE[kind] = transformers.AutoTokenizer.from_pretrained(MODELS / folder)
    return _MADE[kind]


class Slow:
    """A tokenizer that says nothing about offsets."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, text):
        found = self.inner(text) if callable(self.inner) else self.inner.encode(text)
        return {"input_ids": list(found["input_ids"] if callable(self.inner) else found.ids)}

    def convert_ids_to_tokens(self, number):
        return (
            self.inner.convert_ids_to_tokens(number)
            if hasattr(self.inner, "convert_ids_to_tokens")
            else self.inner.id_to_token(number)
        )

    @property
    def all_special_ids(self):
        return getattr(self.inner, "all_special_ids", [])

    @property
    def unk_token_id(self):
        from xaiwidgets.text.tokenizers import token_id

        return token_id(self.inner, "unk")
