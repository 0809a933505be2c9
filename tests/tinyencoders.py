"""Tiny real encoders for tests: each architecture with random weights and a tokenizer of its own, made in a second."""

from __future__ import annotations

import json
from pathlib import Path

CORPUS = (
    "Which technique dumps credentials from LSASS memory on a domain controller?",
    "The adversary moves tools laterally between systems of the victim network.",
    "A buffer overflow lets a remote attacker run code; map the flaw to its weakness.",
    "Phishing with a macro document starts PowerShell and fetches a second stage.",
    "Credential dumping, lateral tool transfer, spearphishing attachment, process injection, scheduled task.",
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0}
WIDE = {"hidden_size": 32, "intermediate_size": 48, "initializer_range": 0.3, **SIZES}
KINDS = {
    "bert": ("BertForMaskedLM", WIDE),
    "distilbert": ("DistilBertForMaskedLM", {
        "dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
        "initializer_range": 0.3,
    }),
    "albert": ("AlbertForMaskedLM", {"embedding_size": 16, **WIDE}),
    "mobilebert": ("MobileBertForMaskedLM", {
        "hidden_size": 32, "intermediate_size": 48, "embedding_size": 16, "intra_bottleneck_size": 16,
        "num_feedforward_networks": 2, "initializer_range": 0.3, **SIZES,
    }),
    "electra": ("ElectraForPreTraining", {"embedding_size": 16, **WIDE}),
    "minilm": ("BertModel", WIDE),
}  # fmt: skip
"""Class of transformers and its configuration, by the name of the test model."""
MASKED = ("bert", "distilbert", "albert", "mobilebert")


def build_tokenizer(path: Path, *, metaspace: bool = False) -> int:
    """Train and save a WordPiece tokenizer as BERT's, or a Unigram one as ALBERT's; returns its vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if metaspace:
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.Lowercase()
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=120, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False
        )
    else:
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=SPECIAL, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    special = [(token, SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    names = {"pad_token": 0, "unk_token": 1, "cls_token": 2, "sep_token": 3, "mask_token": 4}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, **{name: SPECIAL[place] for name, place in names.items()}
    )
    tokenizer.save_pretrained(path)
    return len(tokenizer)


def build_tiny_encoder(path: Path, kind: str, *, seed: int = 0) -> Path:
    """Save an encoder of random weights and its tokenizer under `path`; the same seed gives the same bytes.

    Weights are drawn wide, so that scores differ well from option to option.

    Args:
        kind: one of `KINDS`. ``minilm`` is a sentence-embedding model with the files of sentence-transformers.
    """
    import torch
    import transformers

    path.mkdir(parents=True, exist_ok=True)
    vocab = build_tokenizer(path, metaspace=kind == "albert")
    name, sizes = KINDS[kind]
    made = getattr(transformers, name)
    torch.manual_seed(seed)
    made(made.config_class(vocab_size=vocab, **sizes)).save_pretrained(path)
    if kind == "minilm":
        write_pooling(path)
    return path


def write_pooling(path: Path, mode: str = "pooling_mode_mean_tokens", max_tokens: int = 48, **settings: object) -> None:
    """The files that sentence-transformers puts beside an encoder: mean pooling of at most `max_tokens` tokens."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    entries = [
        {"idx": number, "name": str(number), "path": folder, "type": f"sentence_transformers.models.{kind}"}
        for number, (folder, kind) in enumerate(modules)
    ]
    (path / "modules.json").write_text(json.dumps(entries))
    (path / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, mode: True}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": max_tokens, **settings}))
