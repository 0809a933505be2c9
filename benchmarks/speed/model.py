"""A causal language model of random weights, and a tokenizer for it: real architecture, no download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

END_WEIGHT = 3.0
"""The end-of-text row of the head is scaled by this, so that greedy answers end by themselves, at different lengths."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama."""

    hidden: int = 512
    layers: int = 8
    heads: int = 8
    key_value_heads: int = 2
    intermediate: int = 1536

    @property
    def weights(self) -> int:
        """Parameters in linear layers, without embedding and head."""
        head = self.hidden // self.heads
        attention = self.hidden * head * (2 * self.heads + 2 * self.key_value_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)


SHAPES = {
    "small": Shape(),
    "phi3": Shape(hidden=3072, layers=32, heads=32, key_value_heads=32, intermediate=8192),
}


def build_tokenizer(texts: Sequence[str], vocabulary: int = 4096) -> Any:
    """A byte-level BPE tokenizer trained on the very texts it will read, so that their tokens are of usual length."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<s>", "</s>", "<pad>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=4096
    )


def build_model(shape: Shape, vocabulary: int, dtype: torch.dtype, device: str, seed: int = 0) -> Any:
    """A Llama of random weights in eval mode; the same seed gives the same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.key_value_heads,
        intermediate_size=shape.intermediate, max_position_embeddings=4096, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=1, pad_token_id=2, initializer_range=0.05,
    )  # fmt: skip
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype)
    with torch.no_grad():
        model.lm_head.weight[1] *= END_WEIGHT
    return model.eval()
