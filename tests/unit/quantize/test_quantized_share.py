"""A quantisation states the share of the weights that it quantised; none at all is refused."""

import json

import pytest
import tinymodel
import transformers

from pytest_slmsec.cli.quantize import share_facts
from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.store import ensure_quantized

SIZES = {"vocab_size": 384, "bos_token_id": 0, "eos_token_id": 1}


@pytest.fixture
def model_of(tmp_path):
    def make(config, quant):
        directory = tmp_path / type(config).__name__
        directory.mkdir()
        tinymodel.build_tokenizer(directory, 384)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(directory)
        return ModelSpec(f"tiny-{quant}", "tiny", quant, source="path", location=str(directory))

    return make


def test_a_model_of_which_nothing_is_quantised_is_refused_and_not_kept(model_of, settings, calibration):
    pytest.importorskip("torchao")
    spec = model_of(transformers.GPT2Config(**SIZES, n_embd=32, n_layer=1, n_head=2), "int8wo")
    with pytest.raises(
        QuantizeError,
        match=r": the result claims .* torchao, but none of its weights is .*transformer\.h\.\*\.mlp\.c_fc",
    ):
        ensure_quantized(spec, settings, calibration)
    assert not list(settings.cache_dir.glob("quantized/GPT2Config-int8wo-*"))


def test_experts_in_full_precision_are_stated_with_the_share(model_of, settings, calibration):
    pytest.importorskip("torchao")
    config = transformers.Qwen3MoeConfig(
        **SIZES, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, head_dim=16,
        num_key_value_heads=2, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
    )  # fmt: skip
    spec = model_of(config, "int8wo")
    directory = ensure_quantized(spec, settings, calibration)
    stated = json.loads((directory / "slmsec-manifest.json").read_text("utf-8"))["quantized"]
    assert 0 < stated["share"] < 0.5
    assert "model.layers.*.mlp.experts.gate_up_proj" in stated["left"]
    assert make_engine(spec, settings).info.extra["quantized"] == stated
    first, second = share_facts(stated)
    assert f"% of {stated['weights']:,} weights" in first
    assert second.startswith("left in full precision: model.layers.*.mlp.experts.gate_up_proj")


@pytest.mark.parametrize(("package", "quant"), [("torchao", "int8wo"), ("bitsandbytes", "nf4"), ("onnx", "onnx-int4")])
def test_all_layers_of_a_llama_are_quantised(package, quant, quantised):
    pytest.importorskip(package)
    stated = json.loads((quantised(quant) / "slmsec-manifest.json").read_text("utf-8"))["quantized"]
    assert (stated["share"], stated["left"]) == (1.0, {})
    assert len(share_facts(stated)) == 1


@pytest.mark.parametrize(("package", "quant"), [("torchao", "int8wo"), ("bitsandbytes", "nf4")])
def test_a_model_for_images_and_text_is_quantised_whole(package, quant, tmp_path, settings, calibration):
    pytest.importorskip(package)
    directory = tmp_path / "mistral3"
    tinymodel.build_tokenizer(directory, 384)
    sizes = SIZES | {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.Mistral3Config(
        text_config=dict(sizes, model_type="mistral", num_key_value_heads=1, initializer_range=0.3),
        vision_config=dict(sizes, model_type="pixtral", image_size=28, patch_size=14, head_dim=16),
    )
    transformers.Mistral3ForConditionalGeneration(config).save_pretrained(directory)
    spec = ModelSpec(f"tiny-{quant}", "tiny", quant, source="path", location=str(directory))
    facts = make_engine(spec, settings).info.extra
    assert facts["architecture"] == "Mistral3ForConditionalGeneration"
    assert 0.5 < facts["quantized"]["share"] <= 1.0
