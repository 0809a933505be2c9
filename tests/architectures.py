"""Tiny models of random weights, one an architecture, to hold a way of computing against the model itself."""

import torch
import transformers

SIZES = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 2048, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = SIZES | {"num_key_value_heads": 2}
PACKABLE = {
    "Llama": transformers.LlamaConfig(**GROUPED),
    "Qwen3": transformers.Qwen3Config(**GROUPED, head_dim=8),
    "Mistral": transformers.MistralConfig(**GROUPED, sliding_window=None),
    "Phi3": transformers.Phi3Config(**GROUPED),
    "Gemma3": transformers.Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=64),
    "GPTNeoX": transformers.GPTNeoXConfig(**SIZES),
}


def made(config, dtype=torch.float32):
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).to(dtype).eval()
