"""Every text architecture of the installed transformers as a tiny model of random weights.

Configurations are made of the defaults with small sizes (`SIZES`), and of what some architectures need beside
(`SPECIAL`). Run as a script, it prints the table of docs/architectures.md::

    python tests/text_architectures.py
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.causal_lm.routes import Routes
from pytest_slmsec.engines.causal_lm.transformers_ import loader_of
from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.decoding.network import Network
from pytest_slmsec.engines.packed.path import packed_path
from pytest_slmsec.engines.prompting.encoded import Encoded

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
    "hidden_size": 32, "d_model": 32, "n_embd": 32, "embedding_size": 32, "head_dim": 8,
    "intermediate_size": 64, "ffn_dim": 64, "d_ff": 64, "n_inner": 64, "decoder_ffn_dim": 64, "encoder_ffn_dim": 64,
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "decoder_layers": 2, "encoder_layers": 1,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_attention_heads": 4, "num_key_value_heads": 2,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
    "max_position_embeddings": 256, "n_positions": 256, "initializer_range": 0.3, "init_std": 0.3,
    "is_decoder": True,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
    "v_head_dim": 8, "n_group": 1, "topk_group": 1, "n_shared_experts": 1,
}  # fmt: skip
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 32}
ALTERNATING = ["sliding_attention", "full_attention"]
HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
LINEAR = HYBRID | {
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 2,
}  # fmt: skip
GEMMA3N = {
    "num_hidden_layers": 4, "num_kv_shared_layers": 2, "layer_types": ALTERNATING * 2, "altup_num_inputs": 2,
    "activation_sparsity_pattern": [0.0] * 4, "laurel_rank": 4, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY, "intermediate_size": 64,
}  # fmt: skip
MROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
SPECIAL: dict[str, dict] = {
    "axk1": LATENT,
    "axk2": LATENT,
    "bamba": MAMBA2 | {"attn_layer_indices": [1]},
    "codegen": {"rotary_dim": 4},
    "bailing_hybrid": LATENT | HYBRID | {"q_lora_rank": None, "layer_group_size": 2},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "cpmant": {"dim_head": 8, "dim_ff": 64},
    "ctrl": {"dff": 64},
    "deepseek_v2": LATENT,
    "deepseek_v3": LATENT | {"first_k_dense_replace": 1},
    "deepseek_v32": LATENT | {"index_topk": 64, "index_head_dim": 16, "index_n_heads": 2},
    "dots1": {"n_shared_experts": 1},
    "falcon": {"head_dim": None},
    "falcon_h1": MAMBA2 | {"mamba_d_ssm": 64},
    "falcon_mamba": {"state_size": 8},
    "gemma3n_text": GEMMA3N,
    "gemma4_text": {"head_dim": None, "num_key_value_heads": None, "hidden_size_per_layer_input": 8,
                    "vocab_size_per_layer_input": VOCABULARY, "layer_types": ALTERNATING},
    "glm4_moe_lite": LATENT,
    "glm_moe_dsa": LATENT | {"index_topk": 64, "index_head_dim": 16, "index_n_heads": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 24},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": MAMBA2 | HYBRID | {"shared_intermediate_size": 64},
    "jamba": {"use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2,
              "num_experts_per_tok": 1, "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_state": 8,
              "mamba_dt_rank": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": LATENT | {"ffn_hidden_size": 64, "expert_ffn_hidden_size": 32, "zero_expert_num": 2,
                               "moe_topk": 2, "head_dim": 8},
    "mamba": {"state_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 32},
    "minicpm3": LATENT,
    "minimax": HYBRID | {"block_size": 32},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 32},
    "kimi_linear": LATENT | HYBRID | {"q_lora_rank": None, "linear_head_dim": 8, "linear_num_heads": 4},
    "prophetnet": {"num_hidden_layers": None, "num_encoder_layers": 1, "num_decoder_layers": 1,
                   "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4},
    "dots3_note_text": LATENT | {
        "index_topk": 64, "index_head_dim": 16, "index_n_heads": 2, "num_attention_heads": 4, "per_layer_config": {},
        "layer_types": ["indexed_attention", "sliding_attention"], "head_dim": 16,
    },
    "qwen3_5_text": LINEAR,
    "qwen3_5_moe_text": LINEAR,
    "qwen3_next": LINEAR,
    "glm4v_text": MROPE,
    "qwen2_5_vl_text": MROPE,
    "qwen2_vl_text": MROPE,
    "recurrent_gemma": {"num_hidden_layers": 3, "num_key_value_heads": 1, "lru_width": 32,
                        "attention_window_size": 24},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [16, 16], "attention_head_size": 8,
                 "feed_forward_size": 64, "attn_layers": ["local", "local"], "num_hidden_layers": None},
    "rwkv": {"attention_hidden_size": 32, "context_length": 256},
    "xlnet": {"max_position_embeddings": None, "d_head": 8, "d_inner": 64},
    "xmod": {"default_language": "en_XX"},
    "youtu": LATENT,
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2,
              "num_key_value_heads": 4, "attention_head_dim": 16,
              "attention_hidden_size": 64, "mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False,
              "attn_layer_period": 2, "attn_layer_offset": 1},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"], "num_key_value_heads": 4, "mamba_d_state": 8,
               "chunk_size": 32, "n_mamba_heads": 8, "use_mamba_kernels": False, "hybrid_layer_ids": [1],
               "attention_head_dim": 16, "kv_channels": 8, "num_query_groups": 4, "mamba_headdim": 8,
               "attention_hidden_size": 64},
    "zaya": {"num_experts_per_tok": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8},
}  # fmt: skip
"""By architecture, what its configuration needs beside `SIZES`; None: leave the default."""

REASONS = {
    "build": "transformers cannot build it from its own configuration",
    "parts": "a part of another model, which answers nothing by itself",
    "audio": "writes codes of sounds, no text",
    "bytes": "reads bytes in patches that a small model cuts differently",
}
SKIPPED = {
    "blt": REASONS["bytes"],
    "dbrx": REASONS["build"] + " (DbrxAttentionConfig has no rope_theta)",
    "dots3_note": "its text part is dots3_note_text",
    "gemma3n": "its vision part needs the package timm; its text part is gemma3n_text",
    "gemma4_assistant": REASONS["parts"],
    "gemma4_unified_assistant": REASONS["parts"],
    "musicgen": REASONS["audio"],
    "musicgen_melody": REASONS["audio"],
}
"""Architectures that are not built here, and why."""
NAMES = [name for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name not in SKIPPED]
WITH_IMAGES = (
    "mistral3", "qwen2_5_vl", "qwen2_vl", "qwen3_vl", "gemma3", "gemma4", "qwen3_5", "llava", "internvl", "idefics3",
    "smolvlm", "aya_vision", "cohere2_vision", "llama4", "lfm2_vl", "glm4v",
)  # fmt: skip
"""Architectures for images and text, as tiny models."""


def config_of(name):
    """A small configuration of one architecture, parts of multimodal ones included."""
    cls = transformers.CONFIG_MAPPING[name]
    return cls(**_small(cls(), name))


def _small(default, name) -> dict[str, Any]:
    own: dict[str, Any] = SPECIAL.get(name, {})
    found: dict[str, Any] = {
        key: value
        for key, value in {**SIZES, **own}.items()
        if (key in own or _has(default, key)) and value is not None
    }
    for part in getattr(default, "sub_configs", None) or ():
        sub = getattr(default, part, None)
        if sub is not None:
            found[part] = {**_small(sub, sub.model_type), "model_type": sub.model_type}
    return found


def _has(config, key):
    try:
        return hasattr(config, key)
    except Exception:  # an attribute that may differ from layer to layer
        return False


def made(name):
    """A tiny model of random weights."""
    torch.manual_seed(0)
    config = config_of(name)
    multimodal = name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    loader = transformers.AutoModelForImageTextToText if multimodal else transformers.AutoModelForCausalLM
    model = loader.from_config(config).float().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.3)
    return model.requires_grad_(False)


def asked(count=5):
    """Questions of random tokens with choices of several tokens, some of which begin alike."""
    draw = random.Random(4)
    found = []
    for length in (9, 2, 17, 5, 12)[:count]:
        prompt, stem = _tokens(draw, length), _tokens(draw, 2)
        choices = (stem[:1], stem, (*stem, *_tokens(draw, 2)), _tokens(draw, 3))
        found.append(Encoded(prompt, choices, len(prompt)))
    return found


def rows(limit=7):
    """Answers to generate behind random prompts, with limits of their own, so that some end before others."""
    draw = random.Random(5)
    return [Row(_tokens(draw, length), limit - at, _never) for at, length in enumerate((4, 15, 1, 8, 11))]


def _tokens(draw, count):
    return tuple(draw.randrange(3, VOCABULARY) for _ in range(count))


def _never(tokens):
    return False


@torch.inference_mode()
def plain_scores(model, one):
    """Log-probabilities of the choices from one forward pass of transformers for each."""
    found = []
    for choice in one.choices:
        logprobs = model(input_ids=torch.tensor([one.prompt + choice]), use_cache=False).logits[0].log_softmax(-1)
        found.append(sum(logprobs[len(one.prompt) - 1 + at, token].item() for at, token in enumerate(choice)))
    return found


@torch.inference_mode()
def plain_text(model, row, ends):
    """Greedy answer from one forward pass of transformers for each token."""
    tokens = []
    while len(tokens) < row.limit and not (tokens and tokens[-1] in ends):
        logits = model(input_ids=torch.tensor([[*row.prompt, *tokens]]), use_cache=False).logits[0, -1]
        tokens.append(int(logits.argmax()))
    return tokens


def routes_of(model, name):
    """The engine's ways to feed a model.

    Raises:
        ModelError: it is refused.
    """
    loader_of(Path(name), config_of(name))
    return Routes(Network(model), name, packed_path(model, 8192, 8192))


def path_of(routes):
    """``packed``, ``padded`` or ``alone``, as the record says."""
    return "packed" if routes.packed is not None else routes.unpacked.path.name


def table():
    """Lines of the table in docs/architectures.md: what happens to each architecture, by what happens."""
    found = {}
    for name in [*NAMES, *(name for name in WITH_IMAGES if name not in NAMES)]:
        try:
            outcome = path_of(routes_of(made(name), name))
        except ModelError as error:
            causal = "no causal language model" in str(error)
            outcome = f"refused: {'reads tokens that come later' if causal else 'has an encoder and a decoder'}"
        found.setdefault(outcome, []).append(name)
    for name, why in SKIPPED.items():
        found.setdefault(f"not built: {why}", []).append(name)
    yield f"transformers {transformers.__version__}, {len(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)} text architectures"
    yield ""
    yield "| path | architectures |"
    yield "|---|---|"
    for outcome, names in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield f"| {outcome} | {', '.join(sorted(names))} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    print("\n".join(table()))
