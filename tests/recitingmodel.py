"""Tiny real models that recite: a Llama whose next token depends on its last one alone, as a table says.

Embeddings are one-hot and the layers add nothing, so the output head is the table. Its tokenizer and chat template are
ordinary ones, so that everything between a template and a text can be tested with a model whose answer is known.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from tinymodel import build_tokenizer

TURNS = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
PLAIN = TURNS + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
"""The model thinks, or not, by itself: Magistral."""
OPENS = TURNS + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
"""The template opens the thought: DeepSeek R1 and its distillations, QwQ."""
SWITCH = TURNS + (
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""The template closes an empty thought where thinking is off: Qwen3, SmolLM3."""
HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if reasoning_effort is defined %}<|start|>system<|message|>Reasoning: {{ reasoning_effort }}<|end|>{% endif %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}{# <|channel|> #}"
)
"""gpt-oss."""
END = "</s>"


def reciting_model(
    path: Path, follows: dict[str, str], template: str = PLAIN, special: tuple[str, ...] = (), context: int = 512
) -> Path:
    """Save a model that writes behind each token the one that `follows` names, and else the end-of-text token.

    Args:
        follows: texts of tokens; each becomes a token of its own.
        special: those of them that are special tokens, which a detokenizer may drop.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    path.mkdir(parents=True, exist_ok=True)
    build_tokenizer(path, template=template, adds_bos=False)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_tokens(sorted({*follows, *follows.values()} - {*special} - {*tokenizer.get_vocab()}))
    tokenizer.add_tokens(list(special), special_tokens=True)
    tokenizer.save_pretrained(path)
    vocab = tokenizer.get_vocab()
    size = -(-len(tokenizer) // 32) * 32
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=False, bos_token_id=0,
        eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    table = torch.zeros(size, size)
    table[1, :] = 0.5
    for last, following in follows.items():
        table[vocab[following], vocab[last]] = 1.0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(table)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    model.save_pretrained(path)
    return path


def chain(*tokens: str) -> dict[str, str]:
    """Each token followed by the next one."""
    return dict(itertools.pairwise(tokens))
