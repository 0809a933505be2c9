"""Which weights count, and what share of them is quantised."""

import re

import pytest
import text_architectures
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.common.quantized_share import (
    NothingQuantizedError,
    QuantizedShare,
    Weight,
    count_model,
    count_weights,
    named_left,
    require_quantized,
)

SIZES = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}


def names_of_linears(model):
    return {f"{name}.weight": m.weight.numel() for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}


def test_layers_with_numbers_are_one_line_of_what_is_left():
    found = count_weights(
        [
            Weight("model.layers.0.up.weight", 60, True),
            Weight("model.layers.0.experts.down", 20, False),
            Weight("model.layers.1.experts.down", 20, False),
        ]
    )
    assert (found.share, found.left) == (0.6, {"model.layers.*.experts.down": 40})


@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans())))
def test_what_is_quantised_and_what_is_left_add_up(weights):
    found = count_weights(Weight(f"layers.{n}.w", size, done) for n, (size, done) in enumerate(weights))
    assert found.quantized + sum(found.left.values()) == found.weights == sum(size for size, _ in weights)
    assert 0.0 <= found.share <= 1.0


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_and_an_untied_head_count_the_same_which_is_not_at_all(tied):
    config = transformers.LlamaConfig(**SIZES, num_attention_heads=2, tie_word_embeddings=tied)
    model = transformers.LlamaForCausalLM(config)
    found = count_model(model, names_of_linears(model))
    assert found == QuantizedShare(2 * (4 * 16 * 16 + 3 * 16 * 32), 2 * (4 * 16 * 16 + 3 * 16 * 32), {})


def test_stacked_experts_count_with_all_of_their_elements():
    config = transformers.Qwen3MoeConfig(
        **SIZES, num_attention_heads=2, num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=8,
    )  # fmt: skip
    model = transformers.Qwen3MoeForCausalLM(config)
    found = count_model(model, names_of_linears(model))
    experts = {"model.layers.*.mlp.experts.gate_up_proj": 2 * 4 * 16 * 16, "model.layers.*.mlp.experts.down_proj": 1024}
    assert experts.items() <= found.left.items()
    assert found.share < 0.5


def test_stacked_biases_of_experts_do_not_count():
    config = transformers.GptOssConfig(
        **SIZES, num_attention_heads=2, num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2
    )
    found = count_model(transformers.GptOssForCausalLM(config), {})
    assert not [name for name in found.left if "bias" in name]
    assert "model.layers.*.mlp.experts.down_proj" in found.left


@pytest.mark.parametrize("name", ["gemma3", "llava", "mistral3", "qwen2_5_vl", "smolvlm"])
def test_of_a_model_for_images_and_text_the_text_part_counts(name):
    model = text_architectures.made(name)
    linears = names_of_linears(model)
    text = {one: size for one, size in linears.items() if re.search("language_model|text_model", one)}
    images = {one: size for one, size in linears.items() if one not in text and "lm_head" not in one}
    assert text
    assert images
    assert count_model(model, text).share == 1.0
    assert count_model(model, images).share == 0.0
    assert count_model(model, images).weights == count_model(model, text).weights == sum(text.values())


def test_conv1d_of_gpt2_counts_and_its_tables_of_tokens_and_positions_do_not():
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=48, n_embd=16, n_layer=1, n_head=2))
    found = count_model(model, {})
    assert set(found.left) == {f"transformer.h.*.{name}.weight" for name in
                               ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}  # fmt: skip


def test_nothing_quantised_is_an_error_that_names_the_largest_layers(tmp_path):
    left = {f"layers.*.{name}": size for name, size in zip("abcdef", range(6000, 0, -1000), strict=True)}
    with pytest.raises(NothingQuantizedError, match=r"torchao, but none of its weights is .*a \(6,000\).* and 2 more"):
        require_quantized(tmp_path, "torchao", QuantizedShare(0, 21000, left))
    assert named_left({"layers.*.a": 7}) == "layers.*.a (7)"
