"""GGUF quantisations end to end on tiny models: made, verified, loaded; what is not converted is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import tinymodel
import torch
import transformers

from pytest_slmsec.cli.quantize import print_manifest
from pytest_slmsec.core.errors import MissingExtraError, QuantizeError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.registry import load_directory
from pytest_slmsec.quantize import plan as planning
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.store import ensure_quantized

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf
from pytest_slmsec.engines.llamacpp.vocabulary import chat_template_of
from pytest_slmsec.quantize.gguf_ import FILE_TYPES, convert, differing_tokens

ASKED = [
    Choose("c", (Message("user", "Is this an intrusion?"),), ("A", "B", "yes, it is", "no")),
    Generate("g", (Message("user", "dump credentials"),), 8),
]
GROUPED = {
    "vocab_size": 384, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024, "initializer_range": 0.15, "bos_token_id": 0,
    "eos_token_id": 1, "pad_token_id": 2,
}  # fmt: skip
LLAMA_3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 128}  # fmt: skip
LLAMAS = {
    "tied": transformers.LlamaConfig(**GROUPED, tie_word_embeddings=True),
    "wide-heads": transformers.LlamaConfig(**GROUPED, head_dim=32),
    "biases": transformers.LlamaConfig(**GROUPED, attention_bias=True, mlp_bias=True),
    "llama-3-rope": transformers.LlamaConfig(**GROUPED, rope_parameters=LLAMA_3),
    "linear-rope": transformers.LlamaConfig(
        **GROUPED, rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
    ),
    "mistral": transformers.MistralConfig(**GROUPED, sliding_window=None),
}
REFUSED = {
    "qwen": (transformers.Qwen3Config(**GROUPED, head_dim=16), "is a Qwen3ForCausalLM; only LlamaForCausalLM and"),
    "window": (transformers.MistralConfig(**GROUPED, sliding_window=64), "a sliding window of 64 tokens"),
    "gelu": (transformers.LlamaConfig(**GROUPED, hidden_act="gelu"), "the activation 'gelu'"),
    "yarn": (
        transformers.LlamaConfig(**GROUPED, rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}),
        "RoPE of type 'yarn'",
    ),
}


def manifest(directory):
    return json.loads((directory / "slmsec-manifest.json").read_text())


def saved(path, config, dtype=torch.float32):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
    model.save_pretrained(path)
    tinymodel.build_tokenizer(path)
    return path


@pytest.fixture
def as_gguf(tmp_path, settings):
    """A model directory as a GGUF engine in fp32."""

    def make(directory):
        path = tmp_path / "model.gguf"
        convert(read_checkpoint(directory), path)
        spec = ModelSpec("tiny", "tiny", source="path", location=str(path))
        return load_directory(path, "llamacpp", spec, replace(settings, dtype="fp32"))

    return make


@pytest.mark.parametrize("name", LLAMAS)
def test_a_converted_llama_computes_the_same(as_gguf, tmp_path, name):
    directory = saved(tmp_path / name, LLAMAS[name])
    engine = as_gguf(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokens = torch.randint(7, 384, (1, 600), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(tokens).logits[0].log_softmax(-1)
    found = engine.logits(tokens[0].tolist()).log_softmax(-1)
    assert (found - expected).abs().max() < 2e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_kept_bit_for_bit(tmp_path, dtype):
    import gguf

    directory = saved(tmp_path / "half", LLAMAS["wide-heads"], dtype)
    convert(read_checkpoint(directory), tmp_path / "half.gguf")
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "half.gguf").tensors}
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)
    for ours, theirs in (
        ("token_embd", model.model.embed_tokens),
        ("blk.1.ffn_down", model.model.layers[1].mlp.down_proj),
    ):
        raw = torch.from_numpy(stored[f"{ours}.weight"].data.copy()).view(dtype).reshape(theirs.weight.shape)
        assert torch.equal(raw, theirs.weight)


@pytest.mark.parametrize("name", REFUSED)
def test_what_llama_cpp_would_compute_differently_is_not_converted(tmp_path, name):
    config, said = REFUSED[name]
    directory = saved(tmp_path / name, config)
    with pytest.raises(QuantizeError) as caught:
        convert(read_checkpoint(directory), tmp_path / "out.gguf")
    assert said in str(caught.value)
    assert "convert_hf_to_gguf.py" in str(caught.value)


def test_a_tokenizer_that_cuts_texts_differently_is_counted(tmp_path):
    directory = saved(tmp_path / "tiny", LLAMAS["tied"])
    convert(read_checkpoint(directory), tmp_path / "tiny.gguf")
    assert differing_tokens(tmp_path / "tiny.gguf", load_tokenizer(directory)) == 0
    tinymodel.build_tokenizer(directory, vocab=300)
    assert differing_tokens(tmp_path / "tiny.gguf", load_tokenizer(directory)) > 2


@pytest.mark.parametrize("quant", FILE_TYPES)
def test_every_name_is_made_verified_and_answers(quantised, spec, settings, quant):
    made = manifest(quantised(quant))
    check, recipe = made["verification"], made["recipe"]
    assert 0 < check["mean_kl_nats"] < 2
    assert recipe["package"] == f"llama-cpp-python {made['packages']['llama-cpp-python']}"
    assert recipe["bits"] == QUANTIZERS[quant].bits
    engine = make_engine(spec(quant), settings)
    assert engine.info.engine.startswith("llama-cpp-python ")
    assert engine.info.model_bytes == made["weight_bytes"]
    assert engine.info.extra["quantization"]["manifest"]["base"] == "tiny"
    assert engine.info.extra["tokens_by"] == "the Hugging Face tokenizer"
    assert [output.error for output in engine.run(ASKED).outputs] == [None, None]


def test_fewer_bits_are_smaller_and_lose_more(quantised):
    made = [manifest(quantised(quant)) for quant in ("f16", "q8_0", "q5_k_m", "q2_k")]
    sizes, losses = ([one["weight_bytes"] for one in made], [one["verification"]["mean_kl_nats"] for one in made])
    assert sizes == sorted(sizes, reverse=True)
    assert losses == sorted(losses)


def test_rows_that_are_no_multiple_of_256_fall_back_and_the_manifest_says_so(quantised, spec, capsys):
    details = manifest(quantised("q4_k_m"))["details"]
    assert details["fallback"] == {"why": "rows not divisible by 256", "tensors": 15, "types": ["Q5_0", "Q8_0"]}
    assert set(details["tensor_types"]) == {"F32", "Q5_0", "Q8_0"}
    assert manifest(quantised("q8_0"))["details"]["fallback"] is None
    print_manifest(spec("q4_k_m"), quantised("q4_k_m"), manifest(quantised("q4_k_m")))
    said = capsys.readouterr().out
    assert "tiny-q4_k_m: 4 bits, group size 32, llama-cpp-python" in said
    assert "15 fell back to Q5_0 and Q8_0: rows not divisible by 256" in said


def test_the_embedded_model_has_k_quants_throughout(settings, calibration):
    spec = ModelSpec(
        "tinysec-q4_k_m", "tinysec", "q4_k_m", source="path", location=str(fixtures_dir() / "tinysec/model")
    )
    made = manifest(ensure_quantized(spec, settings, calibration))
    assert made["details"]["fallback"] is None
    assert made["details"]["probe_texts_cut_differently"] == 0
    assert made["details"]["tensor_types"] == {"Q4_K": 32, "F32": 11, "Q6_K": 5}
    assert made["verification"]["mean_kl_nats"] < 0.1


def test_a_group_size_and_a_second_quantisation_are_refused(quantised, spec, settings, calibration):
    with pytest.raises(QuantizeError, match="q4_k_m has one scale for each 32 weights: leave out --group-size"):
        ensure_quantized(spec("q4_k_m"), settings, calibration, group_size=64)
    again = replace(spec("q8_0"), location=str(quantised("q4_k_m")))
    with pytest.raises(QuantizeError, match="is a GGUF file, which is not quantised further"):
        ensure_quantized(again, settings, calibration)


def test_a_made_model_can_be_named_by_its_directory_and_by_its_file(quantised, spec, settings):
    outputs = []
    for place in (quantised("q8_0"), quantised("q8_0") / "model.gguf"):
        engine = make_engine(replace(spec("q8_0"), quant=None, location=str(place)), settings)
        outputs.append(engine.run(ASKED[:1]).outputs)
    assert outputs[0] == outputs[1]


def test_nothing_is_left_of_what_could_not_be_made(settings, calibration, tmp_path, base):
    directory = shutil.copytree(base, tmp_path / "window")
    config = directory / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_act": "gelu"}))
    spec = ModelSpec("window-q8_0", "window", "q8_0", source="path", location=str(directory))
    with pytest.raises(QuantizeError, match="the activation 'gelu'"):
        ensure_quantized(spec, settings, calibration)
    assert not [
        path for path in (settings.cache_dir / "quantized").iterdir() if "window" in path.name and path.is_dir()
    ]
    assert not list((settings.cache_dir / "quantized").glob(".slmsec-gguf-*"))


def test_without_the_package_the_pip_line_is_named(spec, settings, calibration, monkeypatch, tmp_path):
    monkeypatch.setattr(planning, "package_version", lambda name: None)
    elsewhere = replace(settings, cache_dir=tmp_path)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[gguf\]'"):
        ensure_quantized(spec("q6_k"), elsewhere, calibration)


def test_a_token_beyond_the_embedding_is_left_out_of_the_file_and_only_its_prompts_are_errors(tmp_path, settings):
    """As with the other engines; the padding token may be such a one."""
    base = tinymodel.build_tiny_llama(tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "<image>"})
    tokenizer.save_pretrained(base)
    spec = ModelSpec("tiny-q8_0", "tiny", "q8_0", source="path", location=str(base))
    asked = [Choose(name, (Message("user", f"What is {name}?"),), ("A", "B")) for name in ("this", "<image>")]
    plain, wrong = make_engine(spec, settings).run(asked).outputs
    assert plain.error is None
    assert str(wrong.error).startswith("<image>: its prompt holds <image>, token 384 of the tokenizer")


def test_templates_with_names_keep_their_names_in_the_file(tmp_path):
    base = tinymodel.build_tiny_llama(tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = {"default": tinymodel.CHATML, "rag": "rag: " + tinymodel.CHATML}
    tokenizer.save_pretrained(base)
    convert(read_checkpoint(base), tmp_path / "model.gguf")
    file = read_gguf(tmp_path / "model.gguf")
    assert chat_template_of(file) == tinymodel.CHATML
    assert file.metadata["tokenizer.chat_template.rag"] == "rag: " + tinymodel.CHATML
