"""Linear layers laid out in advance give what plain ones give, and take no memory of their own."""

import copy
import weakref

import pytest
import torch
from architectures import PACKABLE, made
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.engines.packed.fragile import FragileItems
from pytest_slmsec.engines.packed.linears import (
    PACKED,
    PackedLinear,
    PackedWeight,
    pack_linears,
    packed_weight,
    unpack_linears,
)

IDS = torch.tensor([[5, 17, 3, 80, 9]])
BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""Whether oneDNN computes in bfloat16 on this processor, which takes AVX-512 or its like."""
needs_bf16 = pytest.mark.skipif(not BF16, reason="oneDNN has no bfloat16 on this processor")


def packed(model):
    return {name for name, module in model.named_modules() if isinstance(module, PackedLinear)}


@torch.inference_mode()
def logits(model):
    return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16)])
@pytest.mark.parametrize("name", PACKABLE)
def test_a_model_says_the_same_and_is_itself_again_afterwards(name, dtype):
    model = made(PACKABLE[name]).to(dtype)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    before = logits(model)
    assert pack_linears(model) == PACKED
    assert packed(model)
    largest = before.abs().max().item()
    assert logits(model).sub(before).abs().max().item() <= largest * (1e-4 if dtype == torch.float32 else 0.05)
    unpack_linears(model)
    assert not packed(model)
    after = model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[key], weights[key]) for key in weights)
    assert torch.equal(logits(model), before)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), rows=st.integers(1, 70), given_rows=st.integers(1, 70),
    bias=st.booleans(), dtype=st.sampled_from([torch.float32, *[torch.bfloat16] * BF16]),
)  # fmt: skip
def test_any_matrix_multiplies_any_number_of_rows(shape, rows, given_rows, bias, dtype):
    draw = torch.Generator().manual_seed(rows)
    weight, shift = torch.randn(*shape, generator=draw).to(dtype), torch.randn(shape[0], generator=draw).to(dtype)
    product = packed_weight(weight, shift if bias else None, rows)
    assert product is not None
    assert torch.equal(product.plain(), weight)
    given = torch.randn(2, given_rows, shape[1], generator=draw).to(dtype)
    plain = torch.nn.functional.linear(given, weight, shift if bias else None)
    assert torch.allclose(
        product(given).float(), plain.float(), rtol=2e-2, atol=1e-4 if dtype == torch.float32 else 0.1
    )


def test_a_copy_is_plain():
    model = made(PACKABLE["Llama"])
    before = logits(model)
    pack_linears(model)
    twin = copy.deepcopy(model)
    assert packed(model)
    assert not packed(twin)
    assert torch.equal(logits(twin), before)


def test_shared_weights_adapters_and_layers_that_are_looked_at_stay_plain():
    model = made(PACKABLE["Llama"])
    model.lm_head.weight = model.get_input_embeddings().weight
    watched = model.get_decoder().layers[0].mlp.up_proj
    watched.register_forward_hook(lambda *_: None)
    model.get_decoder().layers[0].mlp.base_layer = torch.nn.Linear(4, 4)
    pack_linears(model)
    names = packed(model)
    assert names
    assert not any(name.endswith(("lm_head", "layers.0.mlp.up_proj", "base_layer")) for name in names)


def test_plain_weights_go_as_soon_as_they_are_laid_out(monkeypatch):
    model = made(PACKABLE["Llama"])
    plain = [weakref.ref(module) for module in model.modules() if type(module) is torch.nn.Linear]
    left = []
    init = PackedWeight.__init__

    def counting(self, *args):
        init(self, *args)
        left.append(sum(ref() is not None for ref in plain))

    monkeypatch.setattr(PackedWeight, "__init__", counting)
    pack_linears(model)
    assert all(there <= len(plain) - made_before + 1 for made_before, there in enumerate(left))


def test_parts_of_adapters_and_layers_without_a_weight_of_their_own_stay_plain():
    model = made(PACKABLE["Llama"])
    first, second = model.get_decoder().layers
    first.mlp.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(4, 4)})
    torch.nn.utils.parametrizations.weight_norm(first.mlp.up_proj)
    second.mlp.twice = second.self_attn.q_proj
    pack_linears(model)
    names = packed(model)
    assert names
    assert not any("lora_A" in name or "layers.0.mlp.up_proj" in name for name in names)
    assert names.isdisjoint({"model.layers.1.mlp.twice", "model.layers.1.self_attn.q_proj"})


def test_layers_whose_weights_are_looked_at_are_plain_again():
    model = made(PACKABLE["Llama"])
    pack_linears(model)
    layer = model.get_decoder().layers[0].mlp.up_proj
    assert layer.weight.dtype == torch.float32
    unpack_linears(model, only_read=True)
    names = packed(model)
    assert names
    assert "model.layers.0.mlp.up_proj" not in names


def test_other_dtypes_and_devices_stay_plain():
    assert "float16" in pack_linears(made(PACKABLE["Llama"]).to(torch.float16))
    assert "meta" in pack_linears(made(PACKABLE["Llama"]).to("meta"))


def test_without_onednn_layers_stay_plain(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = made(PACKABLE["Llama"])
    assert "no oneDNN" in pack_linears(model)
    assert not packed(model)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("could not create it\nand more"), "could not create it"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_where_an_operator_fails_half_way_every_layer_is_plain_again(error, said, monkeypatch):
    model = made(PACKABLE["Llama"])
    before = logits(model)
    made_so_far = []

    def failing(self, weight, bias, rows):
        if len(made_so_far) == 3:
            raise error
        made_so_far.append(rows)
        self._weight, self._bias = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows), bias

    monkeypatch.setattr("pytest_slmsec.engines.packed.linears.PackedWeight.__init__", failing)
    assert pack_linears(model) == f"plain: {type(error).__name__}: {said}"
    assert not packed(model)
    assert torch.equal(logits(model), before)


def test_a_product_that_says_something_else_is_not_used(monkeypatch):
    monkeypatch.setattr("pytest_slmsec.engines.packed.linears.PackedWeight.__call__", lambda self, rows: rows.sum())
    model = made(PACKABLE["Llama"])
    assert pack_linears(model) == "plain: no layer agreed"
    assert not packed(model)


def test_the_record_says_how_the_layers_compute(tiny, load):
    assert load(tiny).info.extra["linears"] == PACKED
    assert "linears" not in load(tiny, packing=False).info.extra
    assert FragileItems.refusal(load(tiny, "bf16").network.model) is None
