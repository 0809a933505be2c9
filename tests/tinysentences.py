"""A tiny sentence-embedding model in the layout of sentence-transformers: a BERT of random weights."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = (
    "the",
    "a",
    "worm",
    "mail",
    "server",
    "spreads",
    "by",
    "attacks",
    "patch",
    "bank",
    "and",
    "no",
    "one",
    "蠕",
    "虫",
    ".",
)


def build_tiny_sentences(path: Path, *, max_tokens: int = 8, seed: int = 0) -> Path:
    """Save the model under `path`; the same seed gives the same weights. Unknown words become ``[UNK]``."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    path.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.WordPiece({word: at for at, word in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(path)  # fmt: skip
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(special) + len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    modules = [{"idx": at, "name": str(at), "path": folder, "type": f"sentence_transformers.models.{kind}"}
               for at, (folder, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])]  # fmt: skip
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": max_tokens, "do_lower_case": False}))
    (path / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return path
