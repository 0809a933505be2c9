"""Every way a GGUF file can be wrong has one sentence of its own, and none ends the process."""

import shutil
import struct

import numpy as np
import pytest
from enginechecks import refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.checkpoint import find_gguf
from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf, shards

gguf = pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

KINDS = {
    bool: gguf.GGUFValueType.BOOL,
    int: gguf.GGUFValueType.UINT32,
    str: gguf.GGUFValueType.STRING,
}
FIXED = [HealthCheck.function_scoped_fixture]


def set_key(path, key, value, form="<I"):
    """Overwrite the number of a key where it stands."""
    data = bytearray(path.read_bytes())
    mark = struct.pack("<Q", len(key)) + key.encode()
    struct.pack_into(form, data, data.index(mark) + len(mark) + 4, value)
    path.write_bytes(data)


def rewrite(path, out, keep=lambda name: True, change=lambda key, value: value, **how):
    """The same file written again by the package gguf, with changes."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(out, "llama", **how)
    for field in reader.fields.values():
        if not field.name.startswith(("GGUF.", "general.architecture")):
            value = change(field.name, field.contents())
            writer.add_key_value(field.name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        if keep(tensor.name):
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_sound_file_is_read_as_the_package_reads_it(directory):
    file, reader = read_gguf(directory / "model.gguf"), gguf.GGUFReader(directory / "model.gguf")
    assert file.architecture == "llama"
    assert {t.name: (t.shape, t.n_bytes) for t in file.tensors} == {
        t.name: (tuple(map(int, t.shape)), int(t.n_bytes)) for t in reader.tensors
    }
    assert list(file.metadata["tokenizer.ggml.tokens"]) == reader.fields["tokenizer.ggml.tokens"].contents()
    assert file.bits_per_weight == 32


@settings(max_examples=60, suppress_health_check=FIXED, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_anywhere_is_refused(directory, tmp_path, share):
    data = (directory / "model.gguf").read_bytes()
    end = max(t.offset + t.n_bytes for t in read_gguf(directory / "model.gguf").tensors)
    path = tmp_path / "cut.gguf"
    path.write_bytes(data[: int(share * (len(data) - 32))])
    assert end < len(data)
    with pytest.raises(ModelError, match=r"cut\.gguf (is|holds|has|does)"):
        read_gguf(path)


@settings(max_examples=150, suppress_health_check=FIXED, deadline=None)
@given(at=st.integers(4, 4000), value=st.integers(0, 255))
def test_a_damaged_header_is_refused_or_read_and_nothing_else(directory, tmp_path, at, value):
    data = bytearray((directory / "model.gguf").read_bytes())
    data[at] = value
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        found = read_gguf(path)
    except ModelError:
        return
    (announced,) = struct.unpack_from("<Q", data, 8)  # fewer than there were: llama.cpp says which one it misses
    assert len(found.tensors) == announced


def test_what_is_no_gguf_file(load, tmp_path):
    path = tmp_path / "model.gguf"
    for content in (b"", b"GG", b"<html>404</html>", b"ggml" + bytes(100)):
        path.write_bytes(content)
        refused(load, path, 'is no GGUF file: it does not begin with "GGUF"')


def test_a_version_that_is_not_known(load, copy):
    path = copy / "model.gguf"
    data = bytearray(path.read_bytes())
    for version, said in ((1, "version 1"), (9, "version 9"), (3 << 24, "big-endian")):
        struct.pack_into("<I", data, 4, version)
        path.write_bytes(data)
        refused(load, path, said, "versions 2 and 3")


def test_a_download_that_broke_off(load, copy):
    path = copy / "model.gguf"
    path.write_bytes(path.read_bytes()[:-5000])
    refused(load, path, "is cut short: it has", "of its 20 tensors are not there in full")


def test_a_vocabulary_of_another_size(load, copy):
    whole = copy / "model.gguf"
    rewrite(whole, copy / "less.gguf", change=lambda key, value: value[:-1] if key.endswith("ggml.tokens") else value)
    refused(load, copy / "less.gguf", "has a vocabulary of 383 tokens, but embeds 384")


def test_a_special_token_beyond_the_vocabulary(load, copy):
    set_key(copy / "model.gguf", "tokenizer.ggml.eos_token_id", 384)
    refused(load, copy / "model.gguf", "eos_token_id does not fit its vocabulary of 384 tokens")


def test_a_tokenizer_of_another_model_beside_it(load, copy, tmp_path):
    import tinymodel

    tinymodel.build_tokenizer(tmp_path / "other", vocab=360)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tmp_path / "other" / name, copy / name)
    assert load(copy).info.extra["tokens_by"] == "the Hugging Face tokenizer"  # it only has fewer merges
    tinymodel.build_tokenizer(tmp_path / "larger", vocab=420)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tmp_path / "larger" / name, copy / name)
    with pytest.raises(ModelError, match="as token 384, which is beyond the 384 of the file: tokenizer and weights"):
        load(copy)


def test_a_missing_tensor(load, copy):
    rewrite(copy / "model.gguf", copy / "less.gguf", keep=lambda name: name != "blk.1.ffn_up.weight")
    refused(load, copy / "less.gguf", "tensor 'blk.1.ffn_up.weight' not found")


def test_an_architecture_that_llama_cpp_does_not_know(load, copy):
    path = copy / "model.gguf"
    path.write_bytes(path.read_bytes().replace(b"llama", b"lhama"))
    refused(load, path, "unknown model architecture: 'lhama'", "update llama-cpp-python")


def write_header(path, architecture, **keys):
    """A file with a vocabulary and one tensor; `__` in a key stands for a dot."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_token_list(["a", "b"])
    for key, value in keys.items():
        writer.add_key_value(key.replace("__", "."), value, KINDS[type(value)])
    writer.add_tensor("token_embd.weight", np.zeros((2, 32), "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("architecture", "keys", "said"),
    [
        ("bert", {"bert__attention__causal": False}, "is no causal language model: each of its tokens sees"),
        (
            "bert",
            {"bert__pooling_type": 1},
            "no causal language model: it turns texts into vectors (bert.pooling_type)",
        ),
        ("qwen3", {"qwen3__pooling_type": 3}, "it turns texts into vectors (qwen3.pooling_type)"),
        ("llama", {"general__type": "adapter"}, "is no model but an adapter (LoRA)"),
        ("imatrix", {"general__type": "imatrix"}, "is no model but an importance matrix"),
        ("clip", {}, "is no model but what shows images to a model (mmproj)"),
    ],
)
def test_what_is_no_language_model(load, tmp_path, architecture, keys, said):
    path = tmp_path / "model.gguf"
    write_header(path, architecture, **keys)
    refused(load, path, said)


def test_keys_that_say_that_it_generates_are_no_obstacle(tmp_path):
    path = tmp_path / "model.gguf"
    keys = {"general__type": "model", "llama__attention__causal": True, "llama__pooling_type": 0}
    write_header(path, "llama", **keys)
    assert read_gguf(path).architecture == "llama"


def test_a_file_that_ends_llama_cpp_does_not_end_the_run(load, copy):
    set_key(copy / "model.gguf", "llama.block_count", 0)
    refused(load, copy / "model.gguf", "ends llama.cpp (GGML_ASSERT(")


def test_weights_that_are_not_finite(load, copy):
    path = copy / "model.gguf"
    data = bytearray(path.read_bytes())
    data[-4:] = struct.pack("<f", float("nan"))
    path.write_bytes(data)
    refused(load, path, "invalid data")


def test_a_directory_with_several_files(load, copy):
    shutil.copyfile(copy / "model.gguf", copy / "other.gguf")
    refused(load, copy, "holds 2 GGUF files (model.gguf, other.gguf): name the one that is meant")


def test_a_split_model_is_loaded_from_its_first_part(load, own, copy, tmp_path):
    rewrite(copy / "model.gguf", tmp_path / "parts.gguf", split_max_tensors=8)
    parts = shards(find_gguf(tmp_path))
    assert [part.name for part in parts] == [f"parts-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    engine = load(parts[0], dtype="fp32")
    tokens = list(range(7, 40))
    assert engine.logits(tokens).equal(own.logits(tokens))
    assert engine.info.model_bytes == sum(part.stat().st_size for part in parts)
    with pytest.raises(ModelError, match=r"name its first part, parts-00001-of-00003\.gguf"):
        load(parts[1])
    parts[2].unlink()
    with pytest.raises(ModelError, match=r"lacks parts-00003-of-00003\.gguf \(1 of 3 parts"):
        load(parts[0])
