"""Tiny real encoders for tests: each architecture with random weights and a tokenizer of its own, made in a second."""

from __future__ import annotations

import json
import re
import string
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


def pieces() -> list[tuple[str, bool]]:
    """Pieces of words and whether each begins one: the characters, each second word of the corpus, and of the others
    parts of four characters. Not trained: training breaks ties differently in each process."""
    text = " ".join(CORPUS).lower()
    words = sorted(set(re.findall(r"[a-z]+", text)))
    found = {
        (character, first)
        for character in sorted(set(text + string.ascii_lowercase) - {" "})
        for first in (True, False)
    }
    found |= {(word, True) for word in words[::2]}
    found |= {(word[at : at + 4], at == 0) for word in words[1::2] for at in range(0, len(word), 4)}
    return sorted(found)


def build_tokenizer(path: Path, *, metaspace: bool = False) -> int:
    """Save a WordPiece tokenizer as BERT's, or a Unigram one as ALBERT's; returns its vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    if metaspace:
        scored = [(("\u2581" if first else "") + piece, len(piece) - 20.0) for piece, first in pieces()]
        vocabulary = [*((token, 0.0) for token in SPECIAL), ("\u2581", -20.0), *scored]
        backend = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("[UNK]")))
        backend.normalizer = normalizers.Lowercase()
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    else:
        tokens = [*SPECIAL, *(piece if first else f"##{piece}" for piece, first in pieces())]
        backend = Tokenizer(models.WordPiece({token: at for at, token in enumerate(tokens)}, unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
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
