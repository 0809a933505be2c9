"""A causal language model of random weights, and a tokenizer for it: real architecture, no download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pytest_slmsec.engines.packed.linears import unpack_linears

TEXT_VOCABULARY = 4096
"""Of the tokenizer; a model may embed more."""
SPREAD = 0.05
"""Standard deviation of the weights."""
END = 1
"""The id that ends a text."""
END_WEIGHTS = {4096: 2.4, 32000: 4.0}
"""By vocabulary: with the end-of-text row of the head scaled so, greedy answers end at very different lengths, on the
average after about a third of 64 tokens."""


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


def build_tokenizer(texts: Sequence[str], vocabulary: int = TEXT_VOCABULARY) -> Any:
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
        bos_token_id=0, eos_token_id=END, pad_token_id=2, initializer_range=SPREAD,
    )  # fmt: skip
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype)
    return model.eval()


@torch.no_grad()
def set_ends(models: Sequence[Any], vocabulary: int, ends: bool) -> None:
    """Let greedy answers of models with the same weights end by themselves, at different lengths, or never."""
    for model in models:
        unpack_linears(model)  # a packed head is no longer written to
        row = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(END)) * SPREAD
        model.lm_head.weight[END] = row * (END_WEIGHTS.get(vocabulary, 2.4) if ends else 0.0)
